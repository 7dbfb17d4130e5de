/* Host names and RDATA from DNS: nothing from outside is trusted. */
#ifndef VMTA_DNS_NAME_H
#define VMTA_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 254 /* 253 characters and a NUL */

/*
 * Lower-case s[0..n] without a final dot into ret_name. 0; -1 when it is no
 * host name: labels of 1 to 63 letters, digits, hyphens and underscores (no
 * hyphen at either end), 253 in all, the last label not all digits.
 */
int dns_name_clean(const char *s, size_t n, char ret_name[DNS_NAME_MAX]);

enum dns_mx_kind {
	DNS_MX_HOST, /* a usable host */
	DNS_MX_NULL, /* the root: takes no mail (RFC 7505) */
	DNS_MX_WRONG /* malformed, an address literal, no host name */
};

/*
 * Take an MX record's RDATA apart (RFC 1035 3.3.9, without compression).
 * Never reads past p[n]; *ret_pref is set and ret_name filled for
 * DNS_MX_HOST only.
 */
enum dns_mx_kind dns_mx_parse(const uint8_t *p, size_t n, int *ret_pref,
    char ret_name[DNS_NAME_MAX]);

#endif
