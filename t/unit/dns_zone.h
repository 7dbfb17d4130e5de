/*
 * A scripted resolver for the tests of lib/dns: it answers from a zone in
 * memory, at once, later, in the opposite order, or never. Included by the
 * programs that use it.
 */
#ifndef VMTA_T_DNS_ZONE_H
#define VMTA_T_DNS_ZONE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/resolver.h"
#include "base/sys.h"
#include "dns/mx.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define ZONE_TTL 300

/*
 * One record. data of A and AAAA: an address; of MX: `PREF NAME`; `!TEXT`: the
 * answer is this fault; `=HEX`: these octets. No row of a name: NXDOMAIN.
 */
struct row {
	const char *name;
	int type;
	const char *data;
};

enum how { AT_ONCE, LATER, BACKWARDS, NEVER };

struct waiting {
	struct waiting *next;
	uint64_t id;
	char *name;
	int type;
	resolver_cb *cb;
	void *arg;
};

struct zone {
	struct resolver resolver;
	const struct row *row;
	enum how how;
	uint64_t last_id;
	struct waiting *waiting; /* the latest first */
	size_t n_waiting;
	size_t asked, asked_mx, asked_a, asked_aaaa, cancelled;
	uint32_t ttl;
	bool secure;
};

static struct sys sys;
static uint64_t lots; /* state of the random numbers; 0: always zero */

static int
fake_random(struct sys *s, void *buf, size_t len)
{
	uint8_t *p = buf;
	size_t i;

	(void)s;
	for (i = 0; i < len; i++) {
		lots ^= lots << 13;
		lots ^= lots >> 7;
		lots ^= lots << 17;
		p[i] = (uint8_t)(lots >> 32);
	}
	return (0);
}

/* RDATA of a row; its length. */
static size_t
rdata(const struct row *r, uint8_t *out)
{
	const char *s = r->data;
	union dns_addr a;
	unsigned v;
	size_t n = 0, len;

	if (*s == '=') {
		for (s++; *s != '\0'; s += 2) {
			assert_int_equal(sscanf(s, "%2x", &v), 1);
			out[n++] = (uint8_t)v;
		}
		return (n);
	}
	if (r->type != ns_t_mx) {
		assert_int_equal(dns_addr_parse(s, 0, &a), 0);
		if (a.sa.sa_family == AF_INET) {
			memcpy(out, &a.in.sin_addr, 4);
			return (4);
		}
		memcpy(out, &a.in6.sin6_addr, 16);
		return (16);
	}
	v = (unsigned)strtoul(s, NULL, 10);
	out[n++] = (uint8_t)(v >> 8);
	out[n++] = (uint8_t)v;
	for (s = strchr(s, ' ') + 1; *s != '\0' && *s != '.'; s += len) {
		len = strcspn(s, ".");
		out[n++] = (uint8_t)len;
		memcpy(out + n, s, len);
		n += len;
		if (s[len] == '.')
			len++;
	}
	out[n++] = 0;
	return (n);
}

/* A fault row into an answer. */
static void
fault(const char *text, struct resolver_answer *ans)
{
	static const struct {
		const char *name;
		int rcode;
	} names[] = { { "SERVFAIL", 2 }, { "NXDOMAIN", 3 }, { "REFUSED", 5 },
		{ "YXDOMAIN", 6 }, { "TIMEOUT", -1 }, { "NODATA", 0 } };
	size_t i;

	if (strcmp(text, "BOGUS") == 0) {
		ans->bogus = true;
		ans->why = "signature\nexpired";
	}
	for (i = 0; i < NELEM(names); i++)
		if (strcmp(text, names[i].name) == 0)
			ans->rcode = names[i].rcode;
}

/* Answer from the zone. */
static void
zone_answer(struct zone *z, const char *name, int type, resolver_cb *cb,
    void *arg)
{
	struct resolver_answer ans = { .rcode = ns_r_nxdomain,
		.ttl = z->ttl,
		.secure = z->secure };
	struct resolver_rr *rr = NULL;
	const struct row *r;
	uint8_t *copy, buf[512];
	size_t i;

	for (r = z->row; r != NULL && r->name != NULL; r++) {
		if (strcasecmp(r->name, name) != 0)
			continue;
		if (ans.rcode == ns_r_nxdomain)
			ans.rcode = ns_r_noerror;
		if (r->type != type)
			continue;
		if (r->data[0] == '!') {
			fault(r->data + 1, &ans);
			break;
		}
		rr = xreallocarray(rr, ans.n + 1, sizeof(*rr));
		rr[ans.n].len = rdata(r, buf);
		copy = xmalloc(rr[ans.n].len + (rr[ans.n].len == 0));
		memcpy(copy, buf, rr[ans.n].len);
		rr[ans.n++].data = copy;
	}
	ans.rr = rr;
	cb(arg, &ans);
	for (i = 0; i < ans.n; i++)
		free((void *)(uintptr_t)rr[i].data);
	free(rr);
}

static int
zone_query(struct resolver *res, const char *name, int rrtype, resolver_cb *cb,
    void *arg, uint64_t *ret_id)
{
	struct zone *z = (struct zone *)res;
	struct waiting *w;

	z->asked++;
	z->asked_mx += rrtype == ns_t_mx;
	z->asked_a += rrtype == ns_t_a;
	z->asked_aaaa += rrtype == ns_t_aaaa;
	if (z->how == AT_ONCE) {
		*ret_id = 0;
		zone_answer(z, name, rrtype, cb, arg);
		return (0);
	}
	w = xcalloc(1, sizeof(*w));
	*ret_id = w->id = ++z->last_id;
	w->name = xstrdup(name);
	w->type = rrtype;
	w->cb = cb;
	w->arg = arg;
	w->next = z->waiting;
	z->waiting = w;
	z->n_waiting++;
	return (0);
}

/* Take one out of the waiting list. */
static struct waiting *
zone_take(struct zone *z, struct waiting **at)
{
	struct waiting *w = *at;

	*at = w->next;
	z->n_waiting--;
	return (w);
}

static void
waiting_free(struct waiting *w)
{
	free(w->name);
	free(w);
}

static void
zone_cancel(struct resolver *res, uint64_t id)
{
	struct zone *z = (struct zone *)res;
	struct waiting **at = &z->waiting;

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	assert_non_null(*at); /* only what is under way is cancelled */
	waiting_free(zone_take(z, at));
	z->cancelled++;
}

/* Answer one question; false: there is none. */
static bool
zone_step(struct zone *z)
{
	struct waiting **at = &z->waiting, *w;

	if (*at == NULL || z->how == NEVER)
		return (false);
	while (z->how == LATER && (*at)->next != NULL)
		at = &(*at)->next;
	w = zone_take(z, at);
	zone_answer(z, w->name, w->type, w->cb, w->arg);
	waiting_free(w);
	return (true);
}

static void
zone_init(struct zone *z, const struct row *row, enum how how)
{
	memset(z, 0, sizeof(*z));
	z->resolver.query = zone_query;
	z->resolver.cancel = zone_cancel;
	z->row = row;
	z->how = how;
	z->ttl = ZONE_TTL;
	sys_init(&sys);
	sys.random = fake_random;
	sys.resolver = &z->resolver;
	lots = 0;
}

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
