/*
 * Internet addresses as mail destinations: text to socket address and back,
 * networks in CIDR form, and the special networks of RFC 6890.
 */
#ifndef VMTA_DNS_ADDR_H
#define VMTA_DNS_ADDR_H

#include <sys/socket.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A socket address that takes 28 octets instead of 128. */
union dns_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

#define DNS_ADDR_TEXT 48 /* longest text of an address, with NUL */

/* A network: family, address (4 or 16 octets used), prefix length in bits. */
struct dns_net {
	int family;
	uint8_t addr[16];
	unsigned bits;
};

/*
 * From the octets of an A (4) or AAAA (16) record; port in host order.
 * 0, or -1 for any other length.
 */
int dns_addr_octets(const uint8_t *p, size_t n, uint16_t port,
    union dns_addr *ret_addr);
/*
 * From text: `192.0.2.1` or `2001:db8::1`, without brackets or zone.
 * 0, or -1 when it is no address.
 */
int dns_addr_parse(const char *s, uint16_t port, union dns_addr *ret_addr);
/* For bind and connect. */
socklen_t dns_addr_len(const union dns_addr *a);
uint16_t dns_addr_port(const union dns_addr *a);
/* Same family, address and port? */
bool dns_addr_equal(const union dns_addr *a, const union dns_addr *b);
/* The address as inet_ntop writes it, without port; returns buf. */
const char *dns_addr_text(const union dns_addr *a, char buf[DNS_ADDR_TEXT]);

/*
 * A network from `192.0.2.0/24`, `2001:db8::/32` or a single address. Bits
 * after the prefix must be zero. 0, or -1 with err (VEX_CONFIG).
 */
int dns_net_parse(const char *s, struct dns_net *ret_net, struct verr *err);
bool dns_net_has(const struct dns_net *net, const union dns_addr *a);
/* Is a in one of n networks? */
bool dns_net_any(const struct dns_net *net, size_t n, const union dns_addr *a);

/*
 * What kind of special address a is (RFC 6890 and its registries: loopback,
 * private use, link local, documentation ...; multicast and unspecified;
 * IPv6 forms that carry a special IPv4 address), as a word for people; NULL
 * for one that mail may go to.
 */
const char *dns_addr_special(const union dns_addr *a);

#endif
