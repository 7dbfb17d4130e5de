/*
 * The questions of one lookup. MX answers become candidates, each candidate
 * is asked for the addresses of the families that are wanted; with no MX
 * record at all the domain itself is the only candidate (RFC 5321 5.1).
 * All candidates are asked at once: the resolver shares and caches questions,
 * and few domains have more than five hosts.
 *
 * Only a definite answer (NXDOMAIN, NODATA, null MX) may become a permanent
 * verdict (an NXDOMAIN after a second look: dns/doubt.h). Every other fault,
 * and everything that smtp-hosts names wrongly, is remembered as temporary;
 * hosts that were found are used nevertheless.
 *
 * Records come from strangers: lengths are checked, counts are cut, names that
 * are no host names are passed over.
 */
#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/resolver.h"
#include "dns/hostsfile.h"
#include "dns/lookup.h"
#include "dns/name.h"

#define LOOKUP_WHY 200	  /* octets that a resolver may tell */
#define LOOKUP_RANK 65536 /* preferences of MX per one of smtp-hosts */

/* One MX host of an answer. */
struct mx_host {
	int pref;
	uint32_t lot;
	char name[DNS_NAME_MAX];
};

static void lookup_ask(struct dns_lookup *l, struct dns_ask *ask,
    const char *name);

/* An entry of hosts with a name of its own. */
static void
lookup_add_entry(struct dns_lookup *l, const struct dns_host *h)
{
	struct dns_host *to;

	l->hosts.v = xreallocarray(l->hosts.v, l->hosts.n + 1,
	    sizeof(*l->hosts.v));
	to = &l->hosts.v[l->hosts.n++];
	*to = *h;
	to->name = xstrdup(h->name);
	if (to->port == 0)
		to->port = l->port;
}

/* What a query without smtp-hosts begins with: its domain. */
static void
lookup_add_domain(struct dns_lookup *l, const char *domain)
{
	char name[DNS_NAME_MAX], text[DNS_ADDR_TEXT + 2];
	char plain[DNS_ADDR_TEXT];
	struct dns_host h = { .kind = DNS_HOST_MX, .name = name };

	if (dns_literal_parse(domain, l->port, &h.addr) == 0) {
		(void)snprintf(text, sizeof(text), "[%s]",
		    dns_addr_text(&h.addr, plain));
		h.kind = DNS_HOST_ADDR;
		h.name = text;
	} else if (dns_name_clean(domain, strlen(domain), name) == -1) {
		l->verdict = DNS_NO_DOMAIN;
		l->why = xstrdup("not the name of a domain");
		return;
	}
	free(l->domain);
	l->domain = xstrdup(h.name);
	lookup_add_entry(l, &h);
}

struct dns_lookup *
dns_lookup_new(struct sys *sys, struct dns_hostsfile *file,
    const struct dns_query *q, dns_lookup_done *done, dns_lookup_seen *seen)
{
	struct dns_lookup *l = xcalloc(1, sizeof(*l));
	size_t i;

	l->sys = sys;
	l->file = file;
	l->done = done;
	l->seen = seen;
	l->configured = q->hosts != NULL && q->hosts->n > 0;
	l->domain = xstrdup(l->configured ? "smtp-hosts" : "");
	l->port = q->port;
	l->want_v4 = q->want_v4;
	l->want_v6 = q->want_v6;
	l->allow = q->allow;
	l->n_allow = q->n_allow;
	l->is_own = q->is_own;
	l->own_arg = q->own_arg;
	l->ttl = DNS_MAX_TTL;
	LIST_INIT(&l->asks);
	if (!l->configured)
		lookup_add_domain(l, q->domain);
	for (i = 0; l->configured && i < q->hosts->n; i++)
		lookup_add_entry(l, &q->hosts->v[i]);
	return (l);
}

/* Cancel every question. */
static void
lookup_drop(struct dns_lookup *l)
{
	struct dns_ask *ask, *next;

	for (ask = LIST_FIRST(&l->asks); ask != NULL; ask = next) {
		next = LIST_NEXT(ask, link);
		l->sys->resolver->cancel(l->sys->resolver, ask->id);
		free(ask->name);
		free(ask);
	}
	LIST_INIT(&l->asks);
}

void
dns_lookup_free(struct dns_lookup *l)
{
	size_t i;

	if (l == NULL)
		return;
	lookup_drop(l);
	for (i = 0; i < l->n_cand; i++) {
		free(l->cand[i].name);
		free(l->cand[i].addr);
	}
	free(l->cand);
	dns_hosts_release(&l->hosts);
	dns_route_free(l->route);
	free(l->missing);
	free(l->fail_text);
	free(l->why);
	free(l->domain);
	free(l);
}

/* Remember a fault that may pass; the first one is told. */
static void
lookup_fail(struct dns_lookup *l, const char *status, const char *what,
    const char *name, const char *why)
{
	struct buf b = BUF_INIT;

	if (l->fail_text != NULL)
		return;
	buf_addf(&b, "%s%s: ", what, name);
	esc_line(&b, why, strnlen(why, LOOKUP_WHY));
	l->fail_status = status;
	l->fail_text = buf_take(&b);
}

/*
 * Remember a definite "there is none". Where smtp-hosts named it, it is a
 * mistake of our own, which must not bounce mail.
 */
static void
lookup_none(struct dns_lookup *l, enum dns_verdict verdict, const char *name,
    const char *why)
{
	struct buf b = BUF_INIT;

	if (l->configured) {
		lookup_fail(l, "4.4.4", "smtp-hosts: ", name, why);
		return;
	}
	if (l->verdict != DNS_OK)
		return;
	buf_addf(&b, "%s: %s", name, why);
	l->verdict = verdict;
	l->why = buf_take(&b);
}

const char *
dns_rcode_text(const struct resolver_answer *ans)
{
	static const char *const name[] = { NULL, "format error (FORMERR)",
		"server failure (SERVFAIL)", "no such domain (NXDOMAIN)",
		"not implemented (NOTIMP)", "refused (REFUSED)" };

	if (ans->why != NULL)
		return (ans->why);
	if (ans->bogus)
		return ("not valid by DNSSEC");
	if (ans->rcode < 0)
		return ("no answer");
	if ((size_t)ans->rcode < sizeof(name) / sizeof(name[0]) &&
	    name[ans->rcode] != NULL)
		return (name[ans->rcode]);
	return ("unknown response code");
}

/* Is it an answer that counts? Notes the fault or the time to live. */
static bool
lookup_answered(struct dns_lookup *l, const char *what, const char *name,
    const struct resolver_answer *ans)
{
	if (ans->bogus ||
	    (ans->rcode != ns_r_noerror && ans->rcode != ns_r_nxdomain)) {
		lookup_fail(l, "4.4.3", what, name, dns_rcode_text(ans));
		return (false);
	}
	if (ans->ttl < l->ttl)
		l->ttl = ans->ttl;
	if (ans->rcode == ns_r_nxdomain && l->missing == NULL)
		l->missing = xstrdup(name);
	return (true);
}

/* A random number; 0 without randomness: order is then as it comes. */
static uint32_t
lookup_lot(struct dns_lookup *l)
{
	uint32_t lot;

	if (l->sys->random(l->sys, &lot, sizeof(lot)) == -1)
		return (0);
	return (lot);
}

static struct dns_cand *
lookup_add_cand(struct dns_lookup *l, const char *name, int64_t rank,
    uint16_t port)
{
	struct dns_cand *c;

	l->cand = xreallocarray(l->cand, l->n_cand + 1, sizeof(*l->cand));
	c = &l->cand[l->n_cand++];
	memset(c, 0, sizeof(*c));
	c->name = xstrdup(name);
	c->rank = rank;
	c->port = port;
	c->lot = lookup_lot(l);
	return (c);
}

/* One more address, if its family is wanted and there is room. */
static void
cand_add(struct dns_lookup *l, struct dns_cand *c, const uint8_t *p, size_t n)
{
	union dns_addr a;

	if (c->n >= DNS_MAX_TARGETS || !(n == 4 ? l->want_v4 : l->want_v6) ||
	    dns_addr_octets(p, n, c->port, &a) == -1)
		return;
	c->addr = xreallocarray(c->addr, c->n + 1, sizeof(*c->addr));
	c->addr[c->n++] = a;
}

/* As cand_add, from an address. */
static void
cand_add_addr(struct dns_lookup *l, struct dns_cand *c, const union dns_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		cand_add(l, c, (const uint8_t *)&a->in.sin_addr, 4);
	else
		cand_add(l, c, a->in6.sin6_addr.s6_addr, 16);
}

/* An address question for candidate number i. */
static void
lookup_ask_addr(struct dns_lookup *l, size_t i, int type)
{
	struct dns_ask *ask = xcalloc(1, sizeof(*ask));
	/* The answer may come at once and move l->cand. */
	char *name = xstrdup(l->cand[i].name);

	ask->type = type;
	ask->cand = i;
	lookup_ask(l, ask, name);
	free(name);
}

static void
lookup_ask_addrs(struct dns_lookup *l, size_t i)
{
	if (l->want_v6)
		lookup_ask_addr(l, i, ns_t_aaaa);
	if (l->want_v4)
		lookup_ask_addr(l, i, ns_t_a);
}

/* A or AAAA came. */
static void
lookup_on_addr(struct dns_lookup *l, const struct dns_ask *ask,
    const struct resolver_answer *ans)
{
	struct dns_cand *c = &l->cand[ask->cand];
	size_t i, want = ask->type == ns_t_a ? 4 : 16;

	if (!lookup_answered(l, ask->type == ns_t_a ? "A of " : "AAAA of ",
		c->name, ans))
		return;
	if (!ans->secure)
		c->secure = false;
	for (i = 0; i < ans->n; i++)
		if (ans->rr[i].len == want)
			cand_add(l, c, ans->rr[i].data, want);
}

static int
mx_compare(const void *va, const void *vb)
{
	const struct mx_host *a = va, *b = vb;

	if (a->pref != b->pref)
		return (a->pref < b->pref ? -1 : 1);
	if (a->lot != b->lot)
		return (a->lot < b->lot ? -1 : 1);
	return (strcmp(a->name, b->name));
}

/* The usable hosts of an answer, best first; their number. */
static size_t
mx_collect(struct dns_lookup *l, const struct resolver_answer *ans,
    struct mx_host **ret_host, size_t *ret_nulls)
{
	struct mx_host *host = xcalloc(ans->n + 1, sizeof(*host));
	size_t i, n = 0;

	*ret_nulls = 0;
	for (i = 0; i < ans->n; i++) {
		switch (dns_mx_parse(ans->rr[i].data, ans->rr[i].len,
		    &host[n].pref, host[n].name)) {
		case DNS_MX_HOST:
			host[n++].lot = lookup_lot(l);
			break;
		case DNS_MX_NULL:
			(*ret_nulls)++;
			break;
		case DNS_MX_WRONG:
			break;
		}
	}
	qsort(host, n, sizeof(*host), mx_compare);
	*ret_host = host;
	return (n < DNS_MAX_MX ? n : DNS_MAX_MX);
}

/* MX records are there. */
static void
lookup_use_mx(struct dns_lookup *l, const struct dns_ask *ask,
    const struct resolver_answer *ans)
{
	struct mx_host *host;
	struct dns_cand *c;
	size_t i, n, nulls, first = l->n_cand;

	n = mx_collect(l, ans, &host, &nulls);
	for (i = 0; i < n; i++) {
		c = lookup_add_cand(l, host[i].name, ask->rank + host[i].pref,
		    ask->port);
		c->secure = ans->secure;
	}
	free(host);
	if (n == 0 && nulls == ans->n)
		lookup_none(l, DNS_NULL_MX, ask->name,
		    "does not accept mail (null MX)");
	else if (n == 0)
		lookup_none(l, DNS_NO_MX, ask->name,
		    "its MX records name no host");
	for (i = 0; i < n; i++)
		lookup_ask_addrs(l, first + i);
}

/* MX came, or that there is none. */
static void
lookup_on_mx(struct dns_lookup *l, const struct dns_ask *ask,
    const struct resolver_answer *ans)
{
	struct dns_cand *c;

	if (!lookup_answered(l, "MX of ", ask->name, ans))
		return;
	if (!ans->kept && !l->configured)
		l->seen(l, ans->rcode == ns_r_noerror);
	if (ans->rcode == ns_r_nxdomain) {
		lookup_none(l, DNS_NO_DOMAIN, ask->name, dns_rcode_text(ans));
	} else if (ans->n > 0) {
		lookup_use_mx(l, ask, ans);
	} else {
		c = lookup_add_cand(l, ask->name, ask->rank, ask->port);
		c->secure = ans->secure;
		l->implicit = true;
		lookup_ask_addrs(l, l->n_cand - 1);
	}
}

/* One question less. */
static void
lookup_settle(struct dns_lookup *l)
{
	if (--l->pending == 0)
		l->done(l);
}

static void
lookup_on_answer(void *arg, const struct resolver_answer *ans)
{
	struct dns_ask *ask = arg;
	struct dns_lookup *l = ask->lookup;

	if (ask->type == ns_t_mx)
		lookup_on_mx(l, ask, ans);
	else
		lookup_on_addr(l, ask, ans);
	LIST_REMOVE(ask, link);
	free(ask->name);
	free(ask);
	lookup_settle(l);
}

/* Ask; ask is the resolver's until it answers. */
static void
lookup_ask(struct dns_lookup *l, struct dns_ask *ask, const char *name)
{
	static const struct resolver_answer none = { .rcode = -1,
		.why = "the resolver takes no question" };
	struct resolver *r = l->sys->resolver;
	uint64_t id = 0;

	ask->lookup = l;
	LIST_INSERT_HEAD(&l->asks, ask, link);
	l->pending++;
	if (r == NULL ||
	    r->query(r, name, ask->type, lookup_on_answer, ask, &id) == -1)
		lookup_on_answer(ask, &none);
	else if (id != 0)
		ask->id = id;
}

/* A host that smtp-hosts names: its addresses, from the file or from DNS. */
static void
lookup_begin_name(struct dns_lookup *l, const struct dns_host *h, int64_t rank)
{
	struct dns_cand *c = lookup_add_cand(l, h->name, rank, h->port);
	const union dns_addr *a = NULL;
	size_t i, n = 0;

	c->exempt = true;
	c->secure = true;
	if (l->file != NULL)
		a = dns_hostsfile_find(l->file, h->name, &n);
	for (i = 0; i < n; i++)
		cand_add_addr(l, c, &a[i]);
	if (c->n == 0)
		lookup_ask_addrs(l, l->n_cand - 1);
	else
		c->secure = false;
}

static void
lookup_begin_mx(struct dns_lookup *l, const struct dns_host *h, int64_t rank)
{
	struct dns_ask *ask = xcalloc(1, sizeof(*ask));

	ask->type = ns_t_mx;
	ask->name = xstrdup(h->name);
	ask->rank = rank;
	ask->port = h->port;
	lookup_ask(l, ask, h->name);
}

static void
lookup_begin_addr(struct dns_lookup *l, const struct dns_host *h, int64_t rank)
{
	struct dns_cand *c = lookup_add_cand(l, h->name, rank, h->port);

	c->exempt = l->configured;
	cand_add_addr(l, c, &h->addr);
}

void
dns_lookup_begin(struct dns_lookup *l)
{
	size_t i;

	l->pending = 1;
	if (!l->want_v4 && !l->want_v6) {
		lookup_fail(l, "4.3.5", "route to ", l->domain,
		    "the VirtualMTA has no source address");
		lookup_settle(l);
		return;
	}
	for (i = 0; i < l->hosts.n; i++) {
		const struct dns_host *h = &l->hosts.v[i];
		int64_t rank = (int64_t)h->pref * LOOKUP_RANK;

		if (h->kind == DNS_HOST_ADDR)
			lookup_begin_addr(l, h, rank);
		else if (h->kind == DNS_HOST_NAME)
			lookup_begin_name(l, h, rank);
		else
			lookup_begin_mx(l, h, rank);
	}
	lookup_settle(l);
}

void
dns_lookup_expire(struct dns_lookup *l)
{
	lookup_drop(l);
	l->pending = 0;
	lookup_fail(l, "4.4.3", "route to ", l->domain,
	    "no answer from DNS in time");
}
