/*
 * Look-ups of routes from a zone, for the tests of lib/dns. Included by the
 * programs that use it.
 */
#ifndef VMTA_T_DNS_ZONE_H
#define VMTA_T_DNS_ZONE_H

#include "dns_script.h"

#include "dns/mx.h"

/* What a test waits for. */
struct got {
	struct dns_route *route;
	size_t calls;
};

static void
on_route(void *arg, struct dns_route *r)
{
	struct got *g = arg;

	dns_route_free(g->route);
	g->route = r;
	g->calls++;
}

/* Turn the loop and answer questions until everything is answered. */
static void
settle(struct loop *l, struct zone *z, struct dns *d)
{
	while (dns_pending(d) > 0) {
		(void)zone_step(z);
		loop_turn(l, false);
	}
}

static bool
own_8(void *arg, const struct sockaddr *sa)
{
	union dns_addr a;

	(void)arg;
	memcpy(&a, sa, sa->sa_family == AF_INET ? sizeof(a.in) : sizeof(a.in6));
	return (sa->sa_family == AF_INET &&
	    (ntohl(a.in.sin_addr.s_addr) >> 24) == 8);
}

/* `PREF HOST ADDRESS:PORT` for each target. */
static void
show(const struct dns_route *r, struct buf *b)
{
	char text[DNS_ADDR_TEXT];
	size_t i;

	buf_clear(b);
	for (i = 0; i < r->n; i++)
		buf_addf(b, "%s%d %s %s:%u", i > 0 ? " | " : "",
		    r->target[i].pref, r->target[i].host,
		    dns_addr_text(&r->target[i].addr, text),
		    (unsigned)dns_addr_port(&r->target[i].addr));
}

/* Start a lookup with smtp-hosts and networks as texts. */
static uint64_t
start(struct dns *d, struct got *g, const char *domain, const char *hosts,
    const char *families, const char *allow)
{
	static struct dns_net net; /* lives until the answer */
	struct dns_hosts h = DNS_HOSTS_INIT;
	struct dns_query q = { .domain = domain, .port = 25, .is_own = own_8 };
	uint64_t id;

	q.want_v4 = strchr(families, '4') != NULL;
	q.want_v6 = strchr(families, '6') != NULL;
	if (hosts != NULL) {
		assert_int_equal(dns_hosts_parse(&hosts, 1, &h, NULL), 0);
		q.hosts = &h;
	}
	if (allow != NULL) {
		assert_int_equal(dns_net_parse(allow, &net, NULL), 0);
		q.allow = &net;
		q.n_allow = 1;
	}
	id = dns_route_start(d, &q, on_route, g);
	assert_true(id != 0);
	dns_hosts_release(&h);
	return (id);
}

/* Addresses are of networks that nobody minds in memory: 20/8, 2a00::/16. */
static const struct row zone[] = {
	/* Two preferences, a host with both families. */
	{ "normal.example", ns_t_mx, "20 b.mx.example." },
	{ "normal.example", ns_t_mx, "10 A.MX.Example." },
	{ "a.mx.example", ns_t_a, "20.0.0.1" },
	{ "a.mx.example", ns_t_aaaa, "2a00::1" },
	{ "b.mx.example", ns_t_a, "20.0.0.2" },
	/* Several addresses: the families by turns. */
	{ "many.example", ns_t_mx, "10 many.mx.example." },
	{ "many.mx.example", ns_t_a, "20.0.1.1" },
	{ "many.mx.example", ns_t_a, "20.0.1.2" },
	{ "many.mx.example", ns_t_a, "20.0.1.3" },
	{ "many.mx.example", ns_t_aaaa, "2a00::1:1" },
	/* The same address twice. */
	{ "twice.example", ns_t_mx, "10 b.mx.example." },
	{ "twice.example", ns_t_mx, "20 b2.mx.example." },
	{ "twice.example", ns_t_mx, "30 b.mx.example." },
	{ "b2.mx.example", ns_t_a, "20.0.0.2" },
	{ "b2.mx.example", ns_t_a, "20.0.0.3" },
	/* No MX. */
	{ "implicit.example", ns_t_a, "20.0.0.4" },
	{ "implicit6.example", ns_t_aaaa, "2a00::4" },
	{ "txtonly.example", ns_t_txt, "x" },
	{ "localpart.example", ns_t_a, "127.0.0.1" },
	/* Null MX, alone and not. */
	{ "null.example", ns_t_mx, "0 ." },
	{ "null.example", ns_t_a, "20.0.0.5" },
	{ "null10.example", ns_t_mx, "10 ." },
	{ "null2.example", ns_t_mx, "0 ." },
	{ "null2.example", ns_t_mx, "10 ." },
	{ "mixed.example", ns_t_mx, "0 ." },
	{ "mixed.example", ns_t_mx, "10 b.mx.example." },
	{ "nullbad.example", ns_t_mx, "0 ." },
	{ "nullbad.example", ns_t_mx, "=000a" },
	/* Faults. */
	{ "servfail.example", ns_t_mx, "!SERVFAIL" },
	{ "servfail.example", ns_t_a, "20.0.0.6" },
	{ "refused.example", ns_t_mx, "!REFUSED" },
	{ "yx.example", ns_t_mx, "!YXDOMAIN" },
	{ "timeout.example", ns_t_mx, "!TIMEOUT" },
	{ "bogus.example", ns_t_mx, "!BOGUS" },
	{ "bogus.example", ns_t_mx, "10 b.mx.example." },
	{ "afail.example", ns_t_mx, "10 fail.mx.example." },
	{ "fail.mx.example", ns_t_a, "!SERVFAIL" },
	{ "fail.mx.example", ns_t_aaaa, "!TIMEOUT" },
	{ "half.example", ns_t_mx, "10 fail.mx.example." },
	{ "half.example", ns_t_mx, "20 b.mx.example." },
	{ "gone.example", ns_t_mx, "10 gone.mx.example." },
	{ "gone2.example", ns_t_mx, "10 gone.mx.example." },
	{ "gone2.example", ns_t_mx, "20 b.mx.example." },
	{ "gone3.example", ns_t_mx, "10 gone.mx.example." },
	{ "gone3.example", ns_t_mx, "20 fail.mx.example." },
	{ "imp-fail.example", ns_t_a, "!SERVFAIL" },
	/* Records that are none, hosts that are none. */
	{ "bad.example", ns_t_mx, "=" }, { "bad.example", ns_t_mx, "=00" },
	{ "bad.example", ns_t_mx, "=000a" },
	{ "bad.example", ns_t_mx, "=000a3f6d78" },
	{ "bad.example", ns_t_mx, "=000ac00c" },
	{ "bad.example", ns_t_mx, "=000a0b31302e302e302e312e3530" },
	{ "bad.example", ns_t_mx, "=000a036d0a7800" },
	{ "bad.example", ns_t_mx, "30 b.mx.example." },
	{ "allbad.example", ns_t_mx, "=000ac00c" },
	{ "allbad.example", ns_t_a, "20.0.0.7" },
	{ "literal.example", ns_t_mx, "10 20.0.0.8." },
	{ "badaddr.example", ns_t_mx, "10 badaddr.mx.example." },
	{ "badaddr.mx.example", ns_t_a, "=140000" },
	{ "badaddr.mx.example", ns_t_a, "=1400000101" },
	{ "badaddr.mx.example", ns_t_a, "=2a000000000000000000000000000001" },
	{ "badaddr.mx.example", ns_t_a, "=14000009" },
	{ "badaddr.mx.example", ns_t_aaaa, "=14000009" },
	/* Special addresses. */
	{ "lo.example", ns_t_mx, "10 lo.mx.example." },
	{ "lo.mx.example", ns_t_a, "127.0.0.1" },
	{ "lo.mx.example", ns_t_aaaa, "::1" },
	{ "mapped.example", ns_t_mx, "10 mapped.mx.example." },
	{ "mapped.mx.example", ns_t_aaaa, "::ffff:127.0.0.1" },
	{ "priv.example", ns_t_mx, "10 priv.mx.example." },
	{ "priv.mx.example", ns_t_a, "10.1.2.3" },
	{ "own.example", ns_t_mx, "10 own.mx.example." },
	{ "own.mx.example", ns_t_a, "8.8.4.4" },
	{ "some.example", ns_t_mx, "10 lo.mx.example." },
	{ "some.example", ns_t_mx, "20 b.mx.example." },
	{ "lofail.example", ns_t_mx, "10 lo.mx.example." },
	{ "lofail.example", ns_t_mx, "20 fail.mx.example." },
	{ "zero.example", ns_t_a, "0.0.0.0" },
	{ "multi.example", ns_t_a, "224.0.0.1" }, { NULL, 0, NULL }
};

/* A context with a zone, for the tests below. */
struct bench {
	struct loop *loop;
	struct zone zone;
	struct dns *dns;
};

static void
bench_open(struct bench *b, const struct row *rows, enum how how)
{
	b->loop = loop_new();
	zone_init(&b->zone, rows, how);
	b->dns = dns_new(b->loop, &sys, NULL);
}

static void
bench_close(struct bench *b)
{
	dns_free(b->dns);
	assert_null(b->zone.waiting); /* everything was cancelled */
	loop_free(b->loop);
}

#endif
