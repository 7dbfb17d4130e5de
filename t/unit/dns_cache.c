/* dns/cache: what is kept, for how long, and what a text can do. */
#include "dns_script.h"

#include "base/map.h"
#include "dns/cache.h"

#define NOW INT64_C(1795470845) /* 2026-11-23 21:54:05 */

static int64_t wall;

static int64_t
fake_wall(struct sys *s)
{
	(void)s;
	return (wall * 1000000);
}

/* The cache frees the resolver behind. */
static void
zone_free(struct resolver *r)
{
	assert_null(((struct zone *)r)->waiting);
}

struct cached {
	struct zone zone;
	struct dns_cache *cache;
	struct resolver *r;
	size_t calls;
	struct buf last; /* RCODE KEPT TTL HEX ... */
};

static void
cached_open(struct cached *c, const struct row *rows, enum how how, size_t max)
{
	memset(c, 0, sizeof(*c));
	zone_init(&c->zone, rows, how);
	c->zone.resolver.free = zone_free;
	sys.wall = fake_wall;
	wall = NOW;
	c->cache = dns_cache_new(&sys, &c->zone.resolver, max);
	c->r = dns_cache_resolver(c->cache);
}

static void
cached_close(struct cached *c)
{
	c->r->free(c->r);
	buf_release(&c->last);
}

static void
on_answer(void *arg, const struct resolver_answer *ans)
{
	struct cached *c = arg;
	size_t i, k;

	c->calls++;
	buf_clear(&c->last);
	buf_addf(&c->last, "%d %s%s%u", ans->rcode, ans->kept ? "kept " : "",
	    ans->secure ? "secure " : "", (unsigned)ans->ttl);
	for (i = 0; i < ans->n; i++) {
		buf_addc(&c->last, ' ');
		for (k = 0; k < ans->rr[i].len; k++)
			buf_addf(&c->last, "%02x", ans->rr[i].data[k]);
	}
}

/* Ask; what came, as text. */
static const char *
ask(struct cached *c, const char *name, int type)
{
	uint64_t id;

	assert_int_equal(c->r->query(c->r, name, type, on_answer, c, &id), 0);
	while (zone_step(&c->zone))
		;
	return (buf_str(&c->last));
}

static const struct row rows[] = {
	{ "one.example", ns_t_mx, "10 mx.example." },
	{ "one.example", ns_t_mx, "20 mx2.example." },
	{ "null.example", ns_t_mx, "0 ." },
	{ "mx.example", ns_t_a, "20.0.0.1" },
	{ "mx.example", ns_t_a, "20.0.0.2" },
	{ "mx.example", ns_t_aaaa, "2a00::1" },
	{ "nodata.example", ns_t_txt, "x" },
	{ "fail.example", ns_t_mx, "!SERVFAIL" },
	{ "bogus.example", ns_t_mx, "!BOGUS" },
	{ "nul.example", ns_t_mx, "=000a0361006200" },
	{ "pointer.example", ns_t_mx, "=000ac00c" },
	{ "short.example", ns_t_a, "=140000" },
	{ "half.example", ns_t_a, "20.0.0.3" },
	{ "half.example", ns_t_a, "=14000003ff" },
	{ NULL, 0, NULL },
};

#define MX1 "000a026d78076578616d706c6500"
#define MX2 "0014036d7832076578616d706c6500"

static void
test_kept(void **state)
{
	static const struct {
		const char *name;
		int type;
		const char *first, *second; /* NULL: asked again */
	} cases[] = {
		{ "one.example", ns_t_mx, "0 300 " MX1 " " MX2,
		    "0 kept 300 " MX1 " " MX2 },
		{ "null.example", ns_t_mx, "0 300 000000",
		    "0 kept 300 000000" },
		{ "mx.example", ns_t_a, "0 300 14000001 14000002",
		    "0 kept 300 14000001 14000002" },
		{ "mx.example", ns_t_aaaa,
		    "0 300 2a000000000000000000000000000001",
		    "0 kept 300 2a000000000000000000000000000001" },
		{ "nodata.example", ns_t_mx, "0 300", "0 kept 300" },
		{ "nodata.example", ns_t_a, "0 300", "0 kept 300" },
		{ "none.example", ns_t_mx, "3 300", NULL },
		{ "fail.example", ns_t_mx, "2 300", NULL },
		{ "bogus.example", ns_t_mx, "0 300", NULL },
		{ "nul.example", ns_t_mx, "0 300 000a0361006200", NULL },
		{ "pointer.example", ns_t_mx, "0 300 000ac00c", NULL },
		{ "short.example", ns_t_a, "0 300 140000", NULL },
		{ "half.example", ns_t_a, "0 300 14000003 14000003ff", NULL },
		{ "one.example", ns_t_txt, "0 300", NULL },
		{ "one.example", 32770, "0 300", NULL },
		{ "-bad-.example", ns_t_a, "3 300", NULL },
	};
	static const enum how hows[] = { AT_ONCE, LATER };
	struct cached c;
	size_t i, k, asked;

	(void)state;
	for (k = 0; k < NELEM(hows); k++) {
		cached_open(&c, rows, hows[k], 0);
		for (i = 0; i < NELEM(cases); i++) {
			assert_string_equal(ask(&c, cases[i].name,
						cases[i].type),
			    cases[i].first);
			asked = c.zone.asked;
			assert_string_equal(ask(&c, cases[i].name,
						cases[i].type),
			    cases[i].second != NULL ? cases[i].second :
						      cases[i].first);
			assert_int_equal(c.zone.asked - asked,
			    cases[i].second == NULL);
		}
		/* case does not matter */
		assert_string_equal(ask(&c, "NULL.Example.", ns_t_mx),
		    "0 kept 300 000000");
		assert_int_equal(dns_cache_count(c.cache), 6);
		cached_close(&c);
	}
}

static void
test_time(void **state)
{
	struct cached c;
	size_t kept;

	(void)state;
	cached_open(&c, rows, AT_ONCE, 0);
	c.zone.secure = true;
	(void)ask(&c, "mx.example", ns_t_a);
	wall += 299;
	assert_string_equal(ask(&c, "mx.example", ns_t_a),
	    "0 kept secure 1 14000001 14000002");
	wall++;
	c.zone.secure = false;
	assert_string_equal(ask(&c, "mx.example", ns_t_a),
	    "0 300 14000001 14000002");
	/* No time to live, and too long a one. */
	c.zone.ttl = 0;
	kept = dns_cache_count(c.cache);
	(void)ask(&c, "one.example", ns_t_mx);
	assert_int_equal(dns_cache_count(c.cache), kept);
	assert_string_equal(ask(&c, "one.example", ns_t_mx),
	    "0 0 " MX1 " " MX2);
	c.zone.ttl = UINT32_MAX;
	(void)ask(&c, "null.example", ns_t_mx);
	assert_string_equal(ask(&c, "null.example", ns_t_mx),
	    "0 kept 86400 000000");
	/* The clock is set back: nothing lasts longer for it. */
	wall -= 1;
	assert_string_equal(ask(&c, "null.example", ns_t_mx),
	    "0 4294967295 000000");
	cached_close(&c);
}

/* There is an end to it; what has expired makes room. */
static void
test_bound(void **state)
{
	struct row many[40];
	char name[40][24];
	struct cached c;
	size_t i;

	(void)state;
	memset(many, 0, sizeof(many));
	for (i = 0; i < 39; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "h%zu.example", i);
		many[i] = (struct row) { name[i], ns_t_a, "20.0.0.1" };
	}
	cached_open(&c, many, AT_ONCE, 20);
	for (i = 0; i < 39; i++)
		(void)ask(&c, name[i], ns_t_a);
	assert_int_equal(dns_cache_count(c.cache), 20);
	assert_string_equal(ask(&c, name[19], ns_t_a), "0 kept 300 14000001");
	assert_string_equal(ask(&c, name[20], ns_t_a), "0 300 14000001");
	wall += 301;
	(void)ask(&c, name[30], ns_t_a);
	assert_int_equal(dns_cache_count(c.cache), 1);
	cached_close(&c);
}

/* Too many records, or too long ones, are not kept. */
static void
test_large(void **state)
{
	struct row many[67];
	struct cached c;
	size_t i;

	(void)state;
	memset(many, 0, sizeof(many));
	for (i = 0; i < 66; i++)
		many[i] = (struct row) { i < 64 ? "a.example" : "b.example",
			ns_t_a, "20.0.0.1" };
	cached_open(&c, many, AT_ONCE, 0);
	(void)ask(&c, "a.example", ns_t_a);
	assert_int_equal(dns_cache_count(c.cache), 1);
	many[64].name = "a.example"; /* 65 */
	wall += 301;
	(void)ask(&c, "a.example", ns_t_a);
	(void)ask(&c, "a.example", ns_t_a);
	assert_int_equal(c.zone.asked, 3);
	cached_close(&c);
}

/* Cancelled before the answer; and the cache goes while one is waited for. */
static void
test_cancel(void **state)
{
	struct cached c;
	uint64_t id, other;

	(void)state;
	cached_open(&c, rows, LATER, 0);
	assert_int_equal(c.r->query(c.r, "mx.example", ns_t_a, on_answer, &c,
			     &id),
	    0);
	assert_int_equal(c.r->query(c.r, "mx.example", 32770, on_answer, &c,
			     &other),
	    0);
	c.r->cancel(c.r, id);
	c.r->cancel(c.r, other);
	assert_int_equal(c.zone.cancelled, 2);
	assert_int_equal(c.calls, 0);
	assert_false(dns_cache_changed(c.cache));
	cached_close(&c);
}

static void
test_text(void **state)
{
	struct buf text = BUF_INIT, copy = BUF_INIT;
	struct verr err = VERR_INIT;
	struct cached c, d;

	(void)state;
	cached_open(&c, rows, AT_ONCE, 0);
	dns_cache_format(c.cache, "KEY", &text); /* nothing */
	assert_int_equal(dns_cache_parse(c.cache, "KEY", &text, &err), 0);
	buf_clear(&text);
	(void)ask(&c, "one.example", ns_t_mx);
	assert_true(dns_cache_changed(c.cache));
	dns_cache_format(c.cache, "KEY", &text);
	assert_false(dns_cache_changed(c.cache));
	assert_non_null(strstr(text.p,
	    "vmta-dns 1 KEY\n"
	    "one.example MX 20261123T215905Z - 10/mx.example 20/mx2.example\n"
	    "end 1 "));
	(void)ask(&c, "null.example", ns_t_mx);
	(void)ask(&c, "mx.example", ns_t_aaaa);
	(void)ask(&c, "nodata.example", ns_t_a);
	c.zone.secure = true;
	(void)ask(&c, "mx.example", ns_t_a);
	buf_clear(&text);
	dns_cache_format(c.cache, "KEY", &text);
	assert_non_null(strstr(text.p,
	    "\nmx.example A 20261123T215905Z s 20.0.0.1 20.0.0.2\n"));
	assert_non_null(strstr(text.p,
	    "\nmx.example AAAA 20261123T215905Z - 2a00::1\n"));
	assert_non_null(strstr(text.p,
	    "\nnull.example MX 20261123T215905Z - 0/.\n"));
	assert_non_null(strstr(text.p,
	    "\nnodata.example A 20261123T215905Z -\n"));
	buf_add(&copy, text.p, text.len);
	cached_close(&c);

	cached_open(&d, rows, AT_ONCE, 0);
	assert_int_equal(dns_cache_parse(d.cache, "OTHER", &copy, &err), 1);
	assert_int_equal(dns_cache_count(d.cache), 0);
	buf_clear(&copy);
	buf_add(&copy, text.p, text.len);
	wall = NOW + 100;
	(void)ask(&d, "null.example", ns_t_mx); /* valid for longer */
	assert_int_equal(dns_cache_parse(d.cache, "KEY", &copy, &err), 0);
	assert_int_equal(dns_cache_count(d.cache), 5);
	assert_string_equal(ask(&d, "null.example", ns_t_mx),
	    "0 kept 300 000000");
	assert_string_equal(ask(&d, "one.example", ns_t_mx),
	    "0 kept 200 " MX1 " " MX2);
	assert_string_equal(ask(&d, "mx.example", ns_t_a),
	    "0 kept secure 200 14000001 14000002");
	assert_string_equal(ask(&d, "mx.example", ns_t_aaaa),
	    "0 kept 200 2a000000000000000000000000000001");
	assert_string_equal(ask(&d, "nodata.example", ns_t_a), "0 kept 200");
	assert_int_equal(d.zone.asked, 1);
	/* Later, none of it is worth to be read. */
	wall = NOW + 300;
	cached_close(&d);
	cached_open(&d, rows, AT_ONCE, 0);
	wall = NOW + 300;
	assert_int_equal(dns_cache_parse(d.cache, "KEY", &text, &err), 0);
	assert_int_equal(dns_cache_count(d.cache), 0);
	cached_close(&d);
	buf_release(&text);
	buf_release(&copy);
}

/* lines, with the end that belongs to them. */
static void
sealed(struct buf *b, const char *head, const char *lines, size_t n)
{
	buf_clear(b);
	buf_addf(b, "%s\n%s", head, lines);
	buf_addf(b, "end %zu %016llx\n", n,
	    (unsigned long long)map_hash(b->p, b->len));
}

#define GOOD "a.example A 20261123T215905Z - 20.0.0.1\n"

/* A text that fits its hash, and holds what none may hold. */
static void
test_hostile(void **state)
{
	static const char *const lines[] = {
		"",
		"a.example\n",
		"a.example A\n",
		"a.example A 20261123T215905Z\n",
		"a.example A 20261123T215905Z x 20.0.0.1\n",
		"a.example A 20261123T215905Z -20.0.0.1\n",
		"a.example A now - 20.0.0.1\n",
		"a.example A 20261123T215905Z - 20.0.0.1 \n",
		"a.example A 20261123T215905Z - 20.0.0\n",
		"a.example A 20261123T215905Z - 2a00::1\n",
		"a.example AAAA 20261123T215905Z - 20.0.0.1\n",
		"a.example TXT 20261123T215905Z - x\n",
		"a.example MX 20261123T215905Z - mx.example\n",
		"a.example MX 20261123T215905Z - 65536/mx.example\n",
		"a.example MX 20261123T215905Z - -1/mx.example\n",
		"a.example MX 20261123T215905Z - 10/\n",
		"a.example MX 20261123T215905Z - 10/a..b\n",
		"a.example MX 20261123T215905Z - 10/20.0.0.1\n",
		"-a-.example A 20261123T215905Z - 20.0.0.1\n",
		" A 20261123T215905Z - 20.0.0.1\n",
		"a b A 20261123T215905Z - 20.0.0.1\n",
		"\n",
	};
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT, many = BUF_INIT;
	char label[64] = "";
	struct cached c;
	size_t i;

	(void)state;
	cached_open(&c, rows, AT_ONCE, 0);
	for (i = 0; i < NELEM(lines); i++) {
		buf_clear(&many);
		buf_addf(&many, GOOD "%s", lines[i]);
		sealed(&b, "vmta-dns 1 KEY", many.p, 2);
		err = (struct verr)VERR_INIT;
		assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err), -1);
		assert_int_equal(err.code, VEX_DATA);
		assert_int_equal(dns_cache_count(c.cache), 0);
	}
	/* Records without an end, and a line of great length. */
	buf_clear(&many);
	buf_adds(&many, "a.example A 20261123T215905Z -");
	for (i = 0; i < 65; i++)
		buf_adds(&many, " 20.0.0.1");
	buf_addc(&many, '\n');
	sealed(&b, "vmta-dns 1 KEY", many.p, 1);
	assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err), -1);
	buf_clear(&many);
	buf_adds(&many, "a.example MX 20261123T215905Z -");
	memset(label, 'a', 63);
	for (i = 0; i < 64; i++)
		buf_addf(&many, " 1/%s.%s.%s", label, label, label);
	buf_addc(&many, '\n');
	sealed(&b, "vmta-dns 1 KEY", many.p, 1);
	assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err), -1);
	/* Of a time to come: passed over. */
	sealed(&b, "vmta-dns 1 KEY",
	    "a.example A 20361123T215905Z - 20.0.0.1\n", 1);
	assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err), 0);
	assert_int_equal(dns_cache_count(c.cache), 0);
	sealed(&b, "vmta-dns 1 KEY", GOOD, 1);
	assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err), 0);
	assert_int_equal(dns_cache_count(c.cache), 1);
	cached_close(&c);
	buf_release(&b);
	buf_release(&many);
}

/* Every octet that is lost or changed is noticed. */
static void
test_damaged(void **state)
{
	static const char *const heads[] = { "vmta-dns 2 KEY", "vmta-dns 1",
		"vmta-live 1 KEY", "" };
	struct verr err = VERR_INIT;
	struct buf good = BUF_INIT, b = BUF_INIT;
	struct cached c;
	size_t i;

	(void)state;
	cached_open(&c, rows, AT_ONCE, 0);
	sealed(&good, "vmta-dns 1 KEY", GOOD GOOD, 2);
	for (i = 0; i < 2 * good.len; i++) {
		buf_clear(&b);
		buf_add(&b, good.p, i < good.len ? i : good.len);
		if (i >= good.len)
			b.p[i - good.len] ^= 1;
		else if (i == 0)
			(void)buf_room(&b, 1);
		assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err), -1);
	}
	for (i = 0; i < NELEM(heads); i++) {
		sealed(&b, heads[i], GOOD, 1);
		assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err), -1);
	}
	for (i = 0; i < 4; i++) { /* another number than there are */
		sealed(&b, "vmta-dns 1 KEY", GOOD, i);
		assert_int_equal(dns_cache_parse(c.cache, "KEY", &b, &err),
		    i == 1 ? 0 : -1);
	}
	cached_close(&c);
	buf_release(&b);
	buf_release(&good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_damaged),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
