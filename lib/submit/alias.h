/*
 * Aliases: recipients that stand for others, once their VirtualMTA is chosen.
 */
#ifndef VMTA_SUBMIT_ALIAS_H
#define VMTA_SUBMIT_ALIAS_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/conf.h"
#include "mail/addr.h"

/*
 * What the recipient smtp stands for, aliases of aliases followed. 1 and
 * ret_a; 0: itself; -1 (VEX_DATA): aliases in a circle, or no address.
 */
int alias_find(const struct conf *c, const char *smtp, struct addr *ret_a,
    struct verr *err);

/*
 * What completes addresses of this machine: domain-suffix, or, where names
 * of users are accepted, host-name. The texts are the configuration's.
 */
struct addr_local alias_local(const struct conf *c, bool users);

#endif
