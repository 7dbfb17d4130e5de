/*
 * A scripted resolver for the tests of lib/dns: it answers from a zone in
 * memory, at once, later, in the opposite order, or never. Included by the
 * programs that use it.
 */
#ifndef VMTA_T_DNS_SCRIPT_H
#define VMTA_T_DNS_SCRIPT_H

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
#include "dns/addr.h"

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

#endif
