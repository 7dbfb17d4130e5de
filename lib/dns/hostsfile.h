/* The file /etc/hosts: names to addresses without DNS. */
#ifndef VMTA_DNS_HOSTSFILE_H
#define VMTA_DNS_HOSTSFILE_H

#include <stddef.h>

#include "dns/addr.h"

struct dns_hostsfile;

/* The file is read at the first question. Never NULL. */
struct dns_hostsfile *dns_hostsfile_new(const char *path);
void dns_hostsfile_free(struct dns_hostsfile *f);
/*
 * The addresses of name (lower case), port 0, valid until the next call;
 * NULL and *ret_n 0: not there, or no such file. Reads the file again when
 * it has changed.
 */
const union dns_addr *dns_hostsfile_find(struct dns_hostsfile *f,
    const char *name, size_t *ret_n);

#endif
