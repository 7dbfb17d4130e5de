/*
 * dns/doubt, through dns/mx: when an NXDOMAIN is believed. The resolver here
 * says what a script tells it to, question by question.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/resolver.h"
#include "base/sys.h"
#include "dns/mx.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

struct question {
	struct question *next;
	uint64_t id;
	char *name;
	int type;
	resolver_cb *cb;
	void *arg;
};

/*
 * script: a letter for each question of a type that means nothing, the last
 * one for all that follow: `e` it exists (NODATA), `x` NXDOMAIN, `f` SERVFAIL,
 * `b` bogus, `-` no answer. Names that begin with `good` have an MX, others
 * are NXDOMAIN (that of `hostless` is); those with `slow` are not answered.
 */
struct mad {
	struct resolver resolver;
	const char *script;
	bool later; /* answers come when mad_step is called */
	struct buf log;
	struct question *first, **last;
	uint64_t last_id;
	size_t asked, waiting;
	int types[64];
};

static struct sys sys;
static int64_t wall;

static int64_t
fake_wall(struct sys *s)
{
	(void)s;
	return (wall * 1000000);
}

static void
say(struct mad *m, const struct question *q)
{
	static const uint8_t mx[] = "\0\12\2mx\7example", a[] = "\24\0\0\1";
	static const uint8_t no[] = "\0\12\2no\7example";
	bool hostless = strncmp(q->name, "hostless", 8) == 0;
	struct resolver_rr rr = { q->type == ns_t_a ? a :
		    hostless			    ? no :
						      mx,
		q->type == ns_t_a ? 4 : sizeof(mx) };
	struct resolver_answer ans = { .rcode = ns_r_noerror,
		.ttl = 300,
		.n = 1,
		.rr = &rr };

	if (q->type < 32770) {
		if (strncmp(q->name, "good", 4) != 0 && !hostless &&
		    strcmp(q->name, "mx.example") != 0) {
			ans.rcode = ns_r_nxdomain;
			ans.n = 0;
		}
	} else {
		ans.n = 0;
		if (*m->script == 'x')
			ans.rcode = ns_r_nxdomain;
		if (*m->script == 'f')
			ans.rcode = ns_r_servfail;
		ans.bogus = *m->script == 'b';
		if (m->script[1] != '\0')
			m->script++;
	}
	q->cb(q->arg, &ans);
}

static void
question_free(struct question *q)
{
	free(q->name);
	free(q);
}

static int
mad_query(struct resolver *r, const char *name, int rrtype, resolver_cb *cb,
    void *arg, uint64_t *ret_id)
{
	struct mad *m = (struct mad *)r;
	struct question *q = xcalloc(1, sizeof(*q));
	bool never = strncmp(name, "slow", 4) == 0;

	if (rrtype >= 32770) {
		buf_addf(&m->log, "%s ", name);
		m->types[m->asked++ % NELEM(m->types)] = rrtype;
		if (*m->script == '-') {
			never = true;
			if (m->script[1] != '\0')
				m->script++;
		}
	}
	q->name = xstrdup(name);
	q->type = rrtype;
	q->cb = cb;
	q->arg = arg;
	*ret_id = 0;
	if (!m->later && !never) {
		say(m, q);
		question_free(q);
		return (0);
	}
	q->id = *ret_id = ++m->last_id;
	*m->last = q;
	m->last = &q->next;
	m->waiting++;
	return (0);
}

static struct question *
mad_take(struct mad *m, struct question **at)
{
	struct question *q = *at;

	*at = q->next;
	if (m->last == &q->next)
		m->last = at;
	m->waiting--;
	return (q);
}

static void
mad_cancel(struct resolver *r, uint64_t id)
{
	struct mad *m = (struct mad *)r;
	struct question **at = &m->first;

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	assert_non_null(*at); /* only what is under way is cancelled */
	question_free(mad_take(m, at));
}

/* Answer the oldest question; false: there is none. */
static bool
mad_step(struct mad *m)
{
	struct question *q;

	if (m->first == NULL)
		return (false);
	q = mad_take(m, &m->first);
	say(m, q);
	question_free(q);
	return (true);
}

struct bench {
	struct loop *loop;
	struct mad mad;
	struct dns *dns;
	struct buf watch; /* what the watch heard */
};

static void
on_brake(void *arg, const char *why)
{
	struct bench *b = arg;

	buf_addf(&b->watch, "%s|", why != NULL ? why : "off");
}

static void
bench_open(struct bench *b, const char *script, size_t canaries)
{
	static const char *const names[] = { "canary.example", "c2.example" };

	memset(b, 0, sizeof(*b));
	sys_init(&sys);
	sys.wall = fake_wall;
	wall = 1795470845;
	b->mad.script = script;
	b->mad.last = &b->mad.first;
	b->mad.resolver.query = mad_query;
	b->mad.resolver.cancel = mad_cancel;
	sys.resolver = &b->mad.resolver;
	b->loop = loop_new();
	b->dns = dns_new(b->loop, &sys, NULL);
	dns_set_canary(b->dns, names, canaries);
	dns_set_watch(b->dns, on_brake, b);
}

static void
bench_close(struct bench *b)
{
	dns_free(b->dns);
	assert_null(b->mad.first); /* everything was cancelled */
	loop_free(b->loop);
	buf_release(&b->mad.log);
	buf_release(&b->watch);
}

/* Verdicts, counted; the last route's text. */
struct got {
	size_t n[DNS_SPECIAL + 1];
	char text[300];
	char status[8];
};

static void
on_route(void *arg, struct dns_route *r)
{
	struct got *g = arg;

	g->n[r->verdict]++;
	if (r->verdict != DNS_OK) {
		(void)snprintf(g->text, sizeof(g->text), "%s", r->text);
		(void)snprintf(g->status, sizeof(g->status), "%s", r->status);
	}
	dns_route_free(r);
}

static uint64_t
start(struct bench *b, struct got *g, const char *domain)
{
	struct dns_query q = { .domain = domain, .port = 25, .want_v4 = true };

	return (dns_route_start(b->dns, &q, on_route, g));
}

/* n domains PREFIX0.example ... */
static void
start_many(struct bench *b, struct got *g, const char *prefix, unsigned n)
{
	char name[64];
	unsigned i;

	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s%u.example", prefix, i);
		(void)start(b, g, name);
	}
}

/* Everything is answered, as far as it will be. */
static void
settle(struct bench *b)
{
	while (dns_pending(b->dns) > 0) {
		if (b->mad.later)
			(void)mad_step(&b->mad);
		loop_turn(b->loop, false);
	}
}

/* Turns without waiting: what can happen now, happens. */
static void
turn(struct bench *b)
{
	int i;

	for (i = 0; i < 20; i++)
		loop_turn(b->loop, false);
}

#define CANARY "the canary canary.example: "
#define X "none.example: no such domain (NXDOMAIN)"

static const struct {
	size_t canaries;
	const char *script;
	enum dns_verdict verdict;
	const char *text;
	const char *asked;
} cases[] = {
	{ 1, "exe", DNS_NO_DOMAIN, X,
	    "canary.example none.example canary.example " },
	{ 0, "x", DNS_NO_DOMAIN, X, "none.example " },
	/* Mad from the beginning. */
	{ 1, "x", DNS_TEMPORARY,
	    X "; not believed: " CANARY "no such domain (NXDOMAIN)",
	    "canary.example " },
	/* Sound again before the name was asked for again. */
	{ 1, "e", DNS_TEMPORARY,
	    X "; not believed: asked again, DNS says that it exists",
	    "canary.example none.example canary.example " },
	{ 0, "e", DNS_TEMPORARY,
	    X "; not believed: asked again, DNS says that it exists",
	    "none.example " },
	{ 1, "efe", DNS_TEMPORARY,
	    X "; not believed: asked again, DNS does not say so",
	    "canary.example none.example canary.example " },
	{ 1, "ebe", DNS_TEMPORARY,
	    X "; not believed: asked again, DNS does not say so",
	    "canary.example none.example canary.example " },
	/* Mad before it was asked for again, and still so. */
	{ 1, "exx", DNS_TEMPORARY,
	    X "; not believed: " CANARY "no such domain (NXDOMAIN)",
	    "canary.example none.example canary.example " },
	{ 1, "exf", DNS_TEMPORARY,
	    X "; not believed: " CANARY "server failure (SERVFAIL)",
	    "canary.example none.example canary.example " },
	{ 1, "f", DNS_TEMPORARY,
	    X "; not believed: " CANARY "server failure (SERVFAIL)",
	    "canary.example " },
	{ 1, "b", DNS_TEMPORARY,
	    X "; not believed: " CANARY "not valid by DNSSEC",
	    "canary.example " },
	{ 1, "-", DNS_TEMPORARY,
	    X "; not believed: " CANARY "no answer in time",
	    "canary.example " },
	{ 1, "e-e", DNS_TEMPORARY,
	    X "; not believed: asked again, DNS does not say so",
	    "canary.example none.example canary.example " },
	{ 1, "ex-", DNS_TEMPORARY,
	    X "; not believed: " CANARY "no answer in time",
	    "canary.example none.example canary.example " },
	/* Of two one is enough, unless the other does not exist. */
	{ 2, "fexfe", DNS_NO_DOMAIN, X,
	    "canary.example c2.example none.example "
	    "canary.example c2.example " },
	{ 2, "efxef", DNS_NO_DOMAIN, X,
	    "canary.example c2.example none.example "
	    "canary.example c2.example " },
	{ 2, "xe", DNS_TEMPORARY,
	    X "; not believed: " CANARY "no such domain (NXDOMAIN)",
	    "canary.example c2.example " },
	{ 2, "ex", DNS_TEMPORARY,
	    X "; not believed: the canary c2.example: "
	      "no such domain (NXDOMAIN)",
	    "canary.example c2.example " },
	{ 2, "fx", DNS_TEMPORARY,
	    X "; not believed: the canary c2.example: "
	      "no such domain (NXDOMAIN)",
	    "canary.example c2.example " },
	{ 2, "f", DNS_TEMPORARY,
	    X "; not believed: " CANARY "server failure (SERVFAIL)",
	    "canary.example c2.example " },
};

static void
test_cases(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct got g = { 0 };
		struct bench b;

		bench_open(&b, cases[i].script, cases[i].canaries);
		dns_set_timeout(b.dns, 50);
		(void)start(&b, &g, "none.example");
		settle(&b);
		assert_int_equal(g.n[cases[i].verdict], 1);
		assert_string_equal(g.text, cases[i].text);
		assert_string_equal(g.status,
		    cases[i].verdict == DNS_NO_DOMAIN ? "5.1.2" : "4.4.3");
		assert_string_equal(buf_str(&b.mad.log), cases[i].asked);
		for (k = 1; k < b.mad.asked; k++) /* no type twice */
			assert_int_equal(b.mad.types[k],
			    b.mad.types[k - 1] == 65534 ?
				32770 :
				b.mad.types[k - 1] + 1);
		bench_close(&b);
	}
}

/* A host that does not exist is a doubt, too; no name at all is none. */
static void
test_no_mx(void **state)
{
	struct got g = { 0 };
	struct bench b;

	(void)state;
	bench_open(&b, "x", 0);
	(void)start(&b, &g, "not a name");
	settle(&b);
	assert_int_equal(g.n[DNS_NO_DOMAIN], 1); /* DNS was not asked */
	assert_int_equal(b.mad.asked, 0);
	(void)start(&b, &g, "hostless.example");
	settle(&b);
	assert_int_equal(g.n[DNS_NO_MX], 1);
	assert_string_equal(buf_str(&b.mad.log), "no.example ");
	b.mad.script = "e";
	(void)start(&b, &g, "hostless.example");
	settle(&b);
	assert_int_equal(g.n[DNS_TEMPORARY], 1);
	assert_string_equal(g.text,
	    "hostless.example: no host has an IPv4 address; not believed: "
	    "asked again, DNS says that it exists");
	bench_close(&b);
}

/* Few that are wrong are believed, too many are not. */
static void
test_share(void **state)
{
	static const struct {
		unsigned good, bad;
		bool believed;
	} shares[] = { { 0, 1, true }, { 1, 2, true }, { 0, 29, true },
		{ 0, 30, false }, { 70, 30, true }, { 69, 31, false },
		{ 400, 25, true }, { 20, 480, false } };
	size_t i;

	(void)state;
	for (i = 0; i < 2 * NELEM(shares); i++) {
		struct got g = { 0 };
		struct bench b;

		/* Canaries and names: the script cannot know which. */
		bench_open(&b, "x", 0);
		b.mad.later = i % 2 != 0;
		start_many(&b, &g, "good", shares[i / 2].good);
		start_many(&b, &g, "bad", shares[i / 2].bad);
		settle(&b);
		assert_int_equal(g.n[DNS_OK], shares[i / 2].good);
		assert_int_equal(g.n[shares[i / 2].believed ? DNS_NO_DOMAIN :
							      DNS_TEMPORARY],
		    shares[i / 2].bad);
		if (!shares[i / 2].believed) {
			assert_non_null(strstr(g.text, " of the last "));
			assert_non_null(strstr(b.watch.p, " of the last "));
		}
		bench_close(&b);
	}
}

/* It goes mad when a hundred good ones are remembered: none is believed. */
static void
test_mid_run(void **state)
{
	struct got g = { 0 };
	struct bench b;

	(void)state;
	bench_open(&b, "x", 0);
	start_many(&b, &g, "good", 100);
	settle(&b);
	start_many(&b, &g, "bad", 40);
	settle(&b);
	assert_int_equal(g.n[DNS_OK], 100);
	assert_int_equal(g.n[DNS_NO_DOMAIN], 0);
	assert_int_equal(g.n[DNS_TEMPORARY], 40);
	/* They exist again: the brake lets go. */
	buf_clear(&b.watch);
	start_many(&b, &g, "good-again", 100);
	settle(&b);
	assert_null(dns_braked(b.dns));
	assert_string_equal(buf_str(&b.watch), "off|");
	(void)start(&b, &g, "bad.example");
	settle(&b);
	assert_int_equal(g.n[DNS_NO_DOMAIN], 1);
	bench_close(&b);
}

/* A cache keeps the bad answers: the second look shows it, and lets go. */
static void
test_stale(void **state)
{
	struct got g = { 0 };
	struct bench b;

	(void)state;
	bench_open(&b, "x", 0);
	start_many(&b, &g, "bad", 40);
	settle(&b);
	assert_int_equal(g.n[DNS_TEMPORARY], 40);
	assert_non_null(dns_braked(b.dns));
	b.mad.script = "e";
	start_many(&b, &g, "bad", 40);
	settle(&b);
	assert_int_equal(g.n[DNS_TEMPORARY], 80);
	assert_null(dns_braked(b.dns));
	bench_close(&b);
}

/* What is asked meanwhile has its say first. */
static void
test_hold(void **state)
{
	struct got g = { 0 }, slow = { 0 };
	struct bench b;
	uint64_t id;

	(void)state;
	bench_open(&b, "x", 0);
	id = start(&b, &slow, "slow.example");
	(void)start(&b, &g, "none.example");
	turn(&b);
	assert_int_equal(b.mad.asked, 0);
	dns_route_cancel(b.dns, id);
	settle(&b);
	assert_int_equal(g.n[DNS_NO_DOMAIN], 1);
	/* Or a hundred answers have come. */
	(void)start(&b, &slow, "slow.example");
	(void)start(&b, &g, "none2.example");
	turn(&b);
	start_many(&b, &slow, "good", 99);
	turn(&b);
	assert_int_equal(g.n[DNS_NO_DOMAIN], 1);
	(void)start(&b, &slow, "good99.example");
	while (g.n[DNS_NO_DOMAIN] < 2)
		loop_turn(b.loop, true);
	assert_int_equal(dns_pending(b.dns), 1);
	bench_close(&b);
}

/* The canary fails: what comes next is not asked about; it is sound again. */
static void
test_again(void **state)
{
	struct got g = { 0 };
	struct bench b;

	(void)state;
	bench_open(&b, "xe", 1);
	(void)start(&b, &g, "none.example");
	settle(&b);
	assert_string_equal(buf_str(&b.watch),
	    CANARY "no such domain (NXDOMAIN)|");
	assert_non_null(dns_braked(b.dns));
	(void)start(&b, &g, "none2.example");
	settle(&b);
	assert_int_equal(g.n[DNS_TEMPORARY], 2);
	assert_int_equal(b.mad.asked, 1);
	/* By itself it is looked at again, and the brake lets go. */
	while (dns_braked(b.dns) != NULL)
		loop_turn(b.loop, true);
	assert_string_equal(buf_str(&b.watch),
	    CANARY "no such domain (NXDOMAIN)|off|");
	/* Other canaries: nothing is known of them. */
	b.mad.script = "x";
	(void)start(&b, &g, "none.example");
	settle(&b);
	assert_non_null(dns_braked(b.dns));
	dns_set_canary(b.dns, NULL, 0);
	assert_null(dns_braked(b.dns));
	bench_close(&b);
}

/* How many verdicts there were. */
static size_t
calls(const struct got *g)
{
	size_t i, n = 0;

	for (i = 0; i < NELEM(g->n); i++)
		n += g->n[i];
	return (n);
}

/* Two of three are cancelled, or everything ends, at each point of a round. */
static void
test_cancel(void **state)
{
	static const char *const name[] = { "none0.example", "none1.example",
		"none2.example" };
	size_t at, i, before;

	(void)state;
	for (at = 0; at < 24; at++) {
		struct got g[3] = { 0 };
		struct bench b;
		uint64_t id[3];

		bench_open(&b, "eexxxee", 2);
		b.mad.later = true;
		for (i = 0; i < 3; i++)
			id[i] = start(&b, &g[i], name[i]);
		for (i = 0; i < at / 2; i++) {
			(void)mad_step(&b.mad);
			turn(&b);
		}
		before = calls(&g[1]) + calls(&g[2]);
		for (i = 1; i < 3; i++)
			dns_route_cancel(b.dns, id[i]);
		if (at % 2 == 0) {
			settle(&b);
			assert_int_equal(calls(&g[0]), 1);
			assert_int_equal(g[0].n[DNS_NO_DOMAIN] +
				g[0].n[DNS_TEMPORARY],
			    1);
			assert_int_equal(calls(&g[1]) + calls(&g[2]), before);
		}
		bench_close(&b);
	}
}

/* The canaries change in the middle of a round: it is begun anew. */
static void
test_change(void **state)
{
	static const char *const other[] = { "other.example" };
	size_t at, i;

	(void)state;
	for (at = 0; at < 5; at++) {
		struct got g = { 0 };
		struct bench b;

		bench_open(&b, "e", 1);
		b.mad.later = true;
		(void)start(&b, &g, "none.example");
		for (i = 0; i < at; i++) {
			(void)mad_step(&b.mad);
			turn(&b);
		}
		dns_set_canary(b.dns, other, 1);
		settle(&b);
		assert_int_equal(g.n[DNS_TEMPORARY], 1);
		if (at < 4)
			assert_non_null(strstr(b.mad.log.p, "other.example"));
		bench_close(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_no_mx),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_mid_run),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_change),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
