/* The form of single values: addresses, hosts, paths, rules. */
#ifndef VMTA_CONF_CHECK_H
#define VMTA_CONF_CHECK_H

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/param.h"

/*
 * Check one text against the row's check. Appends to ret_text what is to be
 * stored (paths made absolute, host names as A-labels). 0, or -1 and *ret_why
 * says what was expected.
 */
int check_text(enum conf_check check, const struct conf_text *text,
    struct buf *ret_text, const char **ret_why);

/* `IP` or `IP/BITS` (host bits zero): 0 and family, bits, addr; or -1. */
int check_net(const char *s, size_t n, struct conf_addr *ret_net);
/*
 * `IP NAME`, `IP/BITS NAME`, `IP`: 0 and *ret_addr, whose ehlo points at
 * NAME inside s (empty when there is none); or -1.
 */
int check_source_host(const char *s, struct conf_addr *ret_addr);
/* `DIRECTORY [BADDIRECTORY] [source=NAME]`: 0 and its parts; or -1. */
int check_pickup(const char *s, struct conf_pickup *ret_p);
/* Does net hold the address a (same family)? */
bool check_in_net(const struct conf_addr *net, const struct conf_addr *a);
/* A VirtualMTA's or pool's name: [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool check_name(const char *s, size_t n);
/* Length of the first word of s. */
size_t check_word(const char *s);
/* What follows the first word and the white space after it. */
const char *check_after(const char *s);
/* Is s[0..n] one of the words (each ended by a space)? */
bool check_among(const char *s, size_t n, const char *words);

#endif
