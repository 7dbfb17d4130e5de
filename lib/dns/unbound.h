/*
 * struct resolver on libunbound: asynchronous, caching. The resolving thread
 * starts with the first question, so make it after the last fork.
 */
#ifndef VMTA_DNS_UNBOUND_H
#define VMTA_DNS_UNBOUND_H

#include <stddef.h>

#include "base/err.h"
#include "base/resolver.h"

struct loop;

/*
 * server: n name servers, `ip` or `ip@port`; n 0: those of /etc/resolv.conf.
 * Answers arrive through the loop, which must outlive the resolver. Returns
 * NULL with err (VEX_CONFIG for a wrong server) on failure; free it with
 * r->free(r), which waits for its thread and calls no more callbacks.
 */
struct resolver *dns_unbound_new(struct loop *loop, const char *const *server,
    size_t n, struct verr *err);

#endif
