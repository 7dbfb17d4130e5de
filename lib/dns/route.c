/*
 * From candidates to a route.
 *
 * Order: by preference; inside one preference hosts by lot; of one host IPv6
 * and IPv4 by turns, IPv6 first, each family shuffled. An address (with its
 * port) occurs once, at its best place. At most DNS_MAX_TARGETS.
 *
 * An address that came from DNS is dropped when it is special or our own,
 * unless the configuration allows its network: else any zone could point our
 * mail at our own services, or back at us.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dns/lookup.h"

#define ROUTE_DOUBT_TTL 60 /* seconds: hosts found, but some answer missing */

/* What was dropped, for the verdict. */
struct dropped {
	size_t n;
	bool own;
	char text[512]; /* of the first */
};

static int
cand_compare(const void *va, const void *vb)
{
	const struct dns_cand *a = va, *b = vb;

	if (a->rank != b->rank)
		return (a->rank < b->rank ? -1 : 1);
	if (a->lot != b->lot)
		return (a->lot < b->lot ? -1 : 1);
	return (strcmp(a->name, b->name));
}

/* Shuffle n addresses (Fisher-Yates); left alone without randomness. */
static void
cand_shuffle(struct sys *sys, union dns_addr *a, size_t n)
{
	union dns_addr tmp;
	uint32_t lot;
	size_t i, j;

	for (i = n; i > 1; i--) {
		if (sys->random(sys, &lot, sizeof(lot)) == -1)
			return;
		j = lot % i;
		tmp = a[i - 1];
		a[i - 1] = a[j];
		a[j] = tmp;
	}
}

/* Put a candidate's addresses in the order of trying. */
static void
cand_order(struct sys *sys, struct dns_cand *c)
{
	union dns_addr *v6 = xcalloc(c->n + 1, sizeof(*v6));
	union dns_addr *v4 = xcalloc(c->n + 1, sizeof(*v4));
	size_t i, n6 = 0, n4 = 0, at6 = 0, at4 = 0;

	for (i = 0; i < c->n; i++)
		if (c->addr[i].sa.sa_family == AF_INET6)
			v6[n6++] = c->addr[i];
		else
			v4[n4++] = c->addr[i];
	cand_shuffle(sys, v6, n6);
	cand_shuffle(sys, v4, n4);
	for (i = 0; i < c->n;) {
		if (at6 < n6)
			c->addr[i++] = v6[at6++];
		if (at4 < n4)
			c->addr[i++] = v4[at4++];
	}
	free(v6);
	free(v4);
}

/* Why a must not be used, or NULL. */
static const char *
route_refuse(const struct dns_lookup *l, const union dns_addr *a, bool *ret_own)
{
	const char *what;

	*ret_own = false;
	if (dns_net_any(l->allow, l->n_allow, a))
		return (NULL);
	what = dns_addr_special(a);
	if (what != NULL)
		return (what);
	*ret_own = l->is_own != NULL && l->is_own(l->own_arg, &a->sa);
	return (*ret_own ? "our own" : NULL);
}

/* Is a allowed? Notes what is not. */
static bool
route_allowed(const struct dns_lookup *l, const struct dns_cand *c,
    const union dns_addr *a, struct dropped *drop)
{
	char text[DNS_ADDR_TEXT];
	const char *what;
	bool own = false;

	what = c->exempt ? NULL : route_refuse(l, a, &own);
	if (what == NULL)
		return (true);
	if (drop->n++ == 0) {
		drop->own = own;
		(void)snprintf(drop->text, sizeof(drop->text),
		    "%s has %s%s address %s "
		    "(allow-special-destination would allow it)",
		    c->name, own ? "" : "the ", what, dns_addr_text(a, text));
	}
	return (false);
}

/* Is this address among the targets? */
static bool
route_has(const struct dns_route *r, const union dns_addr *a)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (dns_addr_equal(&r->target[i].addr, a))
			return (true);
	return (false);
}

/* The targets of one candidate; the route takes its name over. */
static void
route_add(struct dns_route *r, const struct dns_lookup *l, struct dns_cand *c,
    struct dropped *drop)
{
	struct dns_target *t;
	size_t i, before = r->n;

	for (i = 0; i < c->n && r->n < DNS_MAX_TARGETS; i++) {
		if (!route_allowed(l, c, &c->addr[i], drop) ||
		    route_has(r, &c->addr[i]))
			continue;
		t = &r->target[r->n++];
		t->host = c->name;
		t->addr = c->addr[i];
		t->pref = c->rank < INT32_MAX ? (int)c->rank : INT32_MAX;
		t->secure = c->secure;
	}
	if (r->n == before)
		return;
	r->name[r->n_names++] = c->name;
	c->name = NULL;
}

static int
text_compare(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a, *(char *const *)b));
}

/* `host:port,...` of targets [from, to), sorted, each once. */
static void
route_key_part(struct buf *b, const struct dns_route *r, size_t from, size_t to)
{
	char **part = xcalloc(to - from, sizeof(*part));
	size_t i, n = to - from;

	for (i = 0; i < n; i++) {
		const struct dns_target *t = &r->target[from + i];
		struct buf text = BUF_INIT;

		buf_addf(&text, "%s:%u", t->host,
		    (unsigned)dns_addr_port(&t->addr));
		part[i] = buf_take(&text);
	}
	qsort(part, n, sizeof(*part), text_compare);
	for (i = 0; i < n; i++) {
		if (i > 0 && strcmp(part[i], part[i - 1]) == 0)
			continue;
		if (i > 0)
			buf_addc(b, ',');
		buf_adds(b, part[i]);
	}
	for (i = 0; i < n; i++)
		free(part[i]);
	free(part);
}

/* The hosts of each preference, `;` between preferences. */
static char *
route_key(const struct dns_route *r)
{
	struct buf b = BUF_INIT;
	size_t from, to;

	for (from = 0; from < r->n; from = to) {
		to = from;
		while (to < r->n && r->target[to].pref == r->target[from].pref)
			to++;
		if (from > 0)
			buf_addc(&b, ';');
		route_key_part(&b, r, from, to);
	}
	return (buf_take(&b));
}

static void
route_verdict(struct dns_route *r, enum dns_verdict verdict, const char *status,
    const char *text)
{
	r->verdict = verdict;
	(void)snprintf(r->status, sizeof(r->status), "%s", status);
	free(r->text);
	r->text = xstrdup(text);
}

/* There are hosts, but none has an address of the families we have. */
static void
route_no_address(struct dns_route *r, const struct dns_lookup *l)
{
	const char *kind = l->want_v4 && l->want_v6 ? "" :
	    l->want_v4				    ? "IPv4 " :
						      "IPv6 ";
	/* An address that was named, not found, is only of no use to us. */
	bool ours = l->configured || l->domain[0] == '[';
	char text[512];

	(void)snprintf(text, sizeof(text), "%s: %s %saddress", l->domain,
	    l->implicit ? "no MX record and no" : "no host has an", kind);
	if (ours)
		route_verdict(r, DNS_TEMPORARY, "4.4.4", text);
	else
		route_verdict(r, DNS_NO_MX, "5.4.4", text);
}

/* Why there is no target. */
static void
route_explain(struct dns_route *r, const struct dns_lookup *l,
    const struct dropped *drop)
{
	if (l->fail_text != NULL)
		route_verdict(r, DNS_TEMPORARY, l->fail_status, l->fail_text);
	else if (drop->n > 0)
		route_verdict(r, DNS_SPECIAL, drop->own ? "5.4.6" : "5.4.4",
		    drop->text);
	else if (l->verdict == DNS_NULL_MX)
		route_verdict(r, l->verdict, "5.1.10", l->why);
	else if (l->verdict == DNS_NO_DOMAIN)
		route_verdict(r, l->verdict, "5.1.2", l->why);
	else if (l->verdict != DNS_OK)
		route_verdict(r, l->verdict, "5.4.4", l->why);
	else
		route_no_address(r, l);
}

struct dns_route *
dns_route_make(struct dns_lookup *l)
{
	struct dns_route *r = xcalloc(1, sizeof(*r));
	struct dropped drop = { 0 };
	size_t i;

	r->target = xcalloc(DNS_MAX_TARGETS, sizeof(*r->target));
	r->name = xcalloc(l->n_cand + 1, sizeof(*r->name));
	r->text = xstrdup("");
	if (l->n_cand > 0)
		qsort(l->cand, l->n_cand, sizeof(*l->cand), cand_compare);
	for (i = 0; i < l->n_cand; i++) {
		cand_order(l->sys, &l->cand[i]);
		route_add(r, l, &l->cand[i], &drop);
	}
	r->target = xreallocarray(r->target, r->n + 1, sizeof(*r->target));
	r->key = route_key(r);
	r->ttl = l->ttl;
	if (r->n == 0)
		route_explain(r, l, &drop);
	else if (l->fail_text != NULL && r->ttl > ROUTE_DOUBT_TTL)
		r->ttl = ROUTE_DOUBT_TTL;
	if (r->verdict == DNS_TEMPORARY)
		r->ttl = 0;
	return (r);
}

void
dns_route_doubt(struct dns_route *r, const char *why)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s; not believed: %s", r->text, why);
	route_verdict(r, DNS_TEMPORARY, "4.4.3", b.p);
	r->ttl = 0;
	buf_release(&b);
}

void
dns_route_free(struct dns_route *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->n_names; i++)
		free(r->name[i]);
	free(r->name);
	free(r->target);
	free(r->key);
	free(r->text);
	free(r);
}

const char *
dns_verdict_name(enum dns_verdict v)
{
	static const char *const name[] = {
		[DNS_OK] = "ok",
		[DNS_TEMPORARY] = "temporary",
		[DNS_NULL_MX] = "null-mx",
		[DNS_NO_DOMAIN] = "no-domain",
		[DNS_NO_MX] = "no-mx",
		[DNS_SPECIAL] = "special",
	};

	return (name[v]);
}
