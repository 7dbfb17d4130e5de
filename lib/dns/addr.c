/*
 * Addresses as octets, and a table of the networks where mail from the
 * Internet must not be sent just because a zone says so: whoever controls a
 * zone could otherwise make us talk to our own services and neighbours.
 *
 * The table follows RFC 6890 and the IANA special-purpose registries. IPv6
 * addresses that embed an IPv4 address (NAT64, 6to4) are judged by it;
 * mapped ones (::ffff:0:0/96) never occur in DNS for good reason.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/unit.h"
#include "dns/addr.h"

struct special {
	struct dns_net net;
	const char *what;
};

/* clang-format off */
#define NET4(a, b, c, d, bits) { AF_INET, { a, b, c, d }, bits }
#define NET6(bits, ...) { AF_INET6, { __VA_ARGS__ }, bits }
/* clang-format on */

static const struct special special_table[] = {
	{ NET4(0, 0, 0, 0, 32), "unspecified" },
	{ NET4(0, 0, 0, 0, 8), "this network" },
	{ NET4(10, 0, 0, 0, 8), "private" },
	{ NET4(100, 64, 0, 0, 10), "shared (RFC 6598)" },
	{ NET4(127, 0, 0, 0, 8), "loopback" },
	{ NET4(169, 254, 0, 0, 16), "link-local" },
	{ NET4(172, 16, 0, 0, 12), "private" },
	{ NET4(192, 0, 0, 0, 24), "protocol assignment" },
	{ NET4(192, 0, 2, 0, 24), "documentation" },
	{ NET4(192, 88, 99, 0, 24), "6to4 relay" },
	{ NET4(192, 168, 0, 0, 16), "private" },
	{ NET4(198, 18, 0, 0, 15), "benchmarking" },
	{ NET4(198, 51, 100, 0, 24), "documentation" },
	{ NET4(203, 0, 113, 0, 24), "documentation" },
	{ NET4(224, 0, 0, 0, 4), "multicast" },
	{ NET4(255, 255, 255, 255, 32), "broadcast" },
	{ NET4(240, 0, 0, 0, 4), "reserved" },
	{ NET6(128, 0), "unspecified" },
	{ NET6(128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
	    "loopback" },
	{ NET6(96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), "IPv4-mapped" },
	{ NET6(96, 0), "IPv4-compatible" },
	{ NET6(48, 0, 0x64, 0xff, 0x9b, 0, 1), "local-use translation" },
	{ NET6(64, 1), "discard-only" },
	{ NET6(23, 0x20, 1), "protocol assignment" },
	{ NET6(32, 0x20, 1, 0x0d, 0xb8), "documentation" },
	{ NET6(20, 0x3f, 0xff), "documentation" },
	{ NET6(16, 0x5f, 0), "segment routing" },
	{ NET6(7, 0xfc), "private" },
	{ NET6(10, 0xfe, 0x80), "link-local" },
	{ NET6(10, 0xfe, 0xc0), "site-local" },
	{ NET6(8, 0xff), "multicast" },
};

/* IPv6 networks whose addresses hold an IPv4 address at this offset. */
static const struct {
	struct dns_net net;
	size_t at;
} embed_table[] = {
	{ NET6(96, 0, 0x64, 0xff, 0x9b), 12 },
	{ NET6(16, 0x20, 2), 2 },
};

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* The octets of the address, 4 or 16; NULL for another family. */
static const uint8_t *
addr_octets(const union dns_addr *a, size_t *ret_n)
{
	if (a->sa.sa_family == AF_INET) {
		*ret_n = 4;
		return ((const uint8_t *)&a->in.sin_addr);
	}
	if (a->sa.sa_family == AF_INET6) {
		*ret_n = 16;
		return (a->in6.sin6_addr.s6_addr);
	}
	*ret_n = 0;
	return (NULL);
}

int
dns_addr_octets(const uint8_t *p, size_t n, uint16_t port,
    union dns_addr *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (n == 4) {
		ret_addr->in.sin_family = AF_INET;
		ret_addr->in.sin_port = htons(port);
		memcpy(&ret_addr->in.sin_addr, p, n);
		return (0);
	}
	if (n == 16) {
		ret_addr->in6.sin6_family = AF_INET6;
		ret_addr->in6.sin6_port = htons(port);
		memcpy(&ret_addr->in6.sin6_addr, p, n);
		return (0);
	}
	return (-1);
}

int
dns_addr_parse(const char *s, uint16_t port, union dns_addr *ret_addr)
{
	uint8_t octets[16];

	if (inet_pton(AF_INET, s, octets) == 1)
		return (dns_addr_octets(octets, 4, port, ret_addr));
	if (inet_pton(AF_INET6, s, octets) == 1)
		return (dns_addr_octets(octets, 16, port, ret_addr));
	return (-1);
}

socklen_t
dns_addr_len(const union dns_addr *a)
{
	return (a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6));
}

uint16_t
dns_addr_port(const union dns_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return (ntohs(a->in.sin_port));
	return (ntohs(a->in6.sin6_port));
}

bool
dns_addr_equal(const union dns_addr *a, const union dns_addr *b)
{
	size_t na, nb;
	const uint8_t *pa = addr_octets(a, &na), *pb = addr_octets(b, &nb);

	return (pa != NULL && na == nb && memcmp(pa, pb, na) == 0 &&
	    dns_addr_port(a) == dns_addr_port(b));
}

const char *
dns_addr_text(const union dns_addr *a, char buf[DNS_ADDR_TEXT])
{
	size_t n;
	const uint8_t *p = addr_octets(a, &n);

	if (p == NULL ||
	    inet_ntop(a->sa.sa_family, p, buf, DNS_ADDR_TEXT) == NULL)
		(void)snprintf(buf, DNS_ADDR_TEXT, "?");
	return (buf);
}

/* Are the first `bits` bits equal? */
static bool
addr_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return (false);
	return (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

/* Is every bit after the prefix zero? */
static bool
net_is_clean(const struct dns_net *net)
{
	unsigned i, width = net->family == AF_INET ? 32 : 128;

	for (i = net->bits; i < width; i++)
		if ((net->addr[i / 8] & (0x80u >> (i % 8))) != 0)
			return (false);
	return (true);
}

/* `ADDRESS` or `ADDRESS/BITS` into net, without judging it. */
static int
net_read(const char *s, struct dns_net *net)
{
	const char *slash = strchr(s, '/');
	char text[DNS_ADDR_TEXT];
	union dns_addr a;
	const uint8_t *p;
	int64_t bits;
	size_t n;

	n = slash != NULL ? (size_t)(slash - s) : strlen(s);
	if (n >= sizeof(text))
		return (-1);
	memcpy(text, s, n);
	text[n] = '\0';
	if (dns_addr_parse(text, 0, &a) == -1)
		return (-1);
	p = addr_octets(&a, &n);
	bits = (int64_t)n * 8;
	if (slash != NULL &&
	    (unit_int(slash + 1, &bits) == -1 || bits > (int64_t)n * 8))
		return (-1);
	memset(net, 0, sizeof(*net));
	net->family = a.sa.sa_family;
	memcpy(net->addr, p, n);
	net->bits = (unsigned)bits;
	return (0);
}

int
dns_net_parse(const char *s, struct dns_net *ret_net, struct verr *err)
{
	if (net_read(s, ret_net) == -1)
		return (verr_set(err, VEX_CONFIG,
		    "'%.100s' is not a network like 192.0.2.0/24", s));
	if (!net_is_clean(ret_net))
		return (verr_set(err, VEX_CONFIG,
		    "'%.100s' has bits set after its prefix", s));
	return (0);
}

bool
dns_net_has(const struct dns_net *net, const union dns_addr *a)
{
	size_t n;
	const uint8_t *p = addr_octets(a, &n);

	return (p != NULL && a->sa.sa_family == net->family &&
	    addr_prefix_equal(p, net->addr, net->bits));
}

bool
dns_net_any(const struct dns_net *net, size_t n, const union dns_addr *a)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (dns_net_has(&net[i], a))
			return (true);
	return (false);
}

/* The table's word for a, or NULL. */
static const char *
special_find(const union dns_addr *a)
{
	size_t i;

	for (i = 0; i < NELEM(special_table); i++)
		if (dns_net_has(&special_table[i].net, a))
			return (special_table[i].what);
	return (NULL);
}

const char *
dns_addr_special(const union dns_addr *a)
{
	union dns_addr inner;
	const uint8_t *p;
	size_t i, n;

	for (i = 0; i < NELEM(embed_table); i++) {
		if (!dns_net_has(&embed_table[i].net, a))
			continue;
		p = addr_octets(a, &n);
		(void)dns_addr_octets(p + embed_table[i].at, 4, 0, &inner);
		return (special_find(&inner));
	}
	return (special_find(a));
}
