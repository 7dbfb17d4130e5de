/*
 * The directive smtp-hosts: where a domain's mail goes instead of to its MX.
 *
 * Entries: `[192.0.2.1]:2525`, `[2001:db8::1]:25`, `[ipv6:2001:db8::1]`,
 * `host.example`, `host.example:587`, `lookup-mx:example.com`, also a bare
 * IPv4 address; the port may be left out everywhere. `,` (or the next element
 * of the list) separates entries of one preference, `;` begins the next.
 */
#ifndef VMTA_DNS_HOSTS_H
#define VMTA_DNS_HOSTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "dns/addr.h"

enum dns_host_kind {
	DNS_HOST_ADDR, /* an address: connect there */
	DNS_HOST_NAME, /* a host: its addresses */
	DNS_HOST_MX    /* lookup-mx: the MX hosts of a domain */
};

struct dns_host {
	enum dns_host_kind kind;
	int pref;	     /* 0 for the first, 1 after the first `;` ... */
	uint16_t port;	     /* 0: the default port of the query */
	union dns_addr addr; /* DNS_HOST_ADDR; its port is not used */
	char *name; /* lower case, no final dot; DNS_HOST_ADDR: `[text]` */
};

struct dns_hosts {
	struct dns_host *v;
	size_t n;
};

/* clang-format off */
#define DNS_HOSTS_INIT { NULL, 0 }
/* clang-format on */

/*
 * Parse the n elements of the directive. 0; -1 with err (VEX_CONFIG) naming
 * the wrong entry, ret_hosts is then empty. Free with dns_hosts_release.
 */
int dns_hosts_parse(const char *const *item, size_t n,
    struct dns_hosts *ret_hosts, struct verr *err);
void dns_hosts_release(struct dns_hosts *h);

/*
 * A domain that is an address literal, `[192.0.2.1]`, `[ipv6:2001:db8::1]`
 * (RFC 5321 4.1.3, any case), to its address. 0, or -1 when it is none.
 */
int dns_literal_parse(const char *domain, uint16_t port,
    union dns_addr *ret_addr);

#endif
