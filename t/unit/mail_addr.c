/*
 * Envelope addresses: what is legal and its canonical form, what is refused;
 * random octets must never crash nor yield an unsafe domain.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/esc.h"
#include "mail/addr.h"

#define L10 "aaaaaaaaaa"
#define L60 L10 L10 L10 L10 L10 L10
#define L63 L60 "aaa"

struct good {
	const char *in;
	const char *orig; /* NULL: as in */
	const char *smtp; /* NULL: as in */
	const char *domain;
	bool utf8;
};

static const struct good good[] = { { "a@b", NULL, NULL, "b", false },
	{ "joe@example.com", NULL, NULL, "example.com", false },
	{ "<joe@example.com>", "joe@example.com", "joe@example.com",
	    "example.com", false },
	{ "Joe.User+Tag@EXAMPLE.Com", NULL, "Joe.User+Tag@example.com",
	    "example.com", false },
	{ "-oQ/tmp@example.com", NULL, NULL, "example.com", false },
	{ "${run}%n|x`@example.com", NULL, NULL, "example.com", false },
	{ "a@_dmarc.x_y.example", NULL, NULL, "_dmarc.x_y.example", false },
	{ "\"john smith\"@example.com", NULL, NULL, "example.com", false },
	{ "<\"a>b\"@example.com>", "\"a>b\"@example.com", "\"a>b\"@example.com",
	    "example.com", false },
	{ "\"a\\\"@b\"@c", NULL, NULL, "c", false },
	{ "\"\"@c", NULL, NULL, "c", false },
	{ "\"a\"@b", NULL, NULL, "b", false },
	{ "joe@b\xc3\xbc"
	  "cher.example",
	    NULL, "joe@xn--bcher-kva.example", "xn--bcher-kva.example", false },
	{ "joe@B\xc3\x9c"
	  "CHER.Example",
	    NULL, "joe@xn--bcher-kva.example", "xn--bcher-kva.example", false },
	{ "joe@XN--Bcher-KVA.example", NULL, "joe@xn--bcher-kva.example",
	    "xn--bcher-kva.example", false },
	/* IDNA2008 non-transitional keeps the sharp s */
	{ "j@stra\xc3\x9f"
	  "e.example",
	    NULL, "j@xn--strae-oqa.example", "xn--strae-oqa.example", false },
	/* ideographic full stop */
	{ "j@\xe4\xbe\x8b\xe3\x80\x82"
	  "example",
	    NULL, "j@xn--fsq.example", "xn--fsq.example", false },
	{ "j\xc3\xb6rg@example.com", NULL, NULL, "example.com", true },
	{ "\"j\xc3\xb6 rg\"@example.com", NULL, NULL, "example.com", true },
	{ "a@[127.0.0.1]", NULL, NULL, "[127.0.0.1]", false },
	{ "a@[IPv6:2001:DB8:0:0::1]", NULL, "a@[ipv6:2001:db8::1]",
	    "[ipv6:2001:db8::1]", false },
	{ "a@[ipv6:::ffff:192.0.2.1]", NULL, NULL, "[ipv6:::ffff:192.0.2.1]",
	    false },
	{ "<@x.example,@[1.2.3.4],@[ipv6:::1]:joe@y.example>", "joe@y.example",
	    "joe@y.example", "y.example", false },
	{ "<@x:\"@y:z\"@w>", "\"@y:z\"@w", "\"@y:z\"@w", "w", false },
	{ L60 "abcd@x", NULL, NULL, "x", false },
	{ "a@" L63 "." L63 "." L63 ".x", NULL, NULL, L63 "." L63 "." L63 ".x",
	    false },
	{ "a@1.example2", NULL, NULL, "1.example2", false },
	{ "a@163.com", NULL, NULL, "163.com", false } };

static void
test_good(void **state)
{
	const struct good *g;
	struct verr err = VERR_INIT;
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		g = &good[i];
		if (addr_parse(g->in, strlen(g->in), ADDR_RCPT, &a, &err) != 0)
			fail_msg("%s: %s", g->in, err.text);
		assert_string_equal(a.orig, g->orig != NULL ? g->orig : g->in);
		assert_string_equal(a.smtp, g->smtp != NULL ? g->smtp : g->in);
		assert_string_equal(addr_domain(&a), g->domain);
		assert_int_equal(a.utf8, g->utf8);
		assert_int_equal(a.literal, g->domain[0] == '[');
		assert_int_equal(a.orig_len, strlen(a.orig));
		assert_int_equal(a.smtp_len, strlen(a.smtp));
		assert_false(addr_is_null(&a));
	}
}

static const char *const bad[] = { "<>", "<", ">", "@", "a@", "@b", "<@b>",
	"joe", "<joe>", "postmaster", " a@b", "a@b ", "a @b", "a@ b", "<a@b",
	"a@b>", "<a@b>x", "<a@b> ", "<<a@b>>", "a@b,c@d", "a@b@c",
	"a@b\r\nRCPT TO:<x@y>", "a\r@b", "a\n@b", "a@b\n", "a@b\r", "a\t@b",
	"\x01@b", "a\x7f@b", "\"a\nb\"@c", "\"a\\\nb\"@c", "\"a\x7f\"@c",
	"\"a@b", "\"a\"b@c", "a\"b\"@c", "\"a\\\"@b", "\"a\".b@c", ".a@b",
	"a.@b", "a..b@c", ".@b", "$(id)@b", "a(x)@b", "a\\b@c", "a:b@c",
	"a;b@c", "a[b@c", "a<b@c", "a@.", "a@..", "a@.b", "a@b.", "a@b..c",
	"a@../x", "a@a/b", "a@a\\b", "a@-b", "a@b-", "a@b-.c", "a@b.-c",
	"a@b c", "a@b%c", "a@b*c", "a@[127.0.0.1", "a@127.0.0.1",
	"a@[127.0.0.1]x", "a@[127.0.0]", "a@[127.0.0.01]", "a@[]", "a@[", "a@]",
	"a@[2001:db8::1]", "a@[ipv6:]", "a@[ipv6:1]", "a@[ipv6:fe80::1%eth0]",
	"a@[ipv6:::1", "a@[x:y]", "a@123", "a@x.1", "\xff@b", "a\xc3@b",
	"\xc0\x80@b", "\xed\xa0\x80@b", "\xc2\x80@b", "\"\xc2\x9f\"@b",
	"a@\xc3", "a@\xc3\xbc\xff", "a@\xc3\xbc..b", "a@.\xc3\xbc",
	"a@\xc3\xbc.", "a@\xc3\xbc/b", "a@\xc3\xbc b", "a@\xc3\xbc\x01",
	"a@-\xc3\xbc.de", "a@\xef\xbc\x8f\xc3\xbc",
	"a@\xef\xbc\x8e\xef\xbc\x8e", "a@x\xef\xbc\xa0y", "a@i\xe2\x9d\xa4.ws",
	L63 "ab@x", "a@" L63 "a.x", "a@" L63 "." L63 "." L63 "." L60 "aa",
	L60 "a@" L63 "." L63 "." L63 ".x", "<@>", "<@:a@b>", "<@x a@b>",
	"<@x,a@b>", "<@x,:a@b>", "<@x/y:a@b>", "<@x:>", "<@x:@y:a@b>",
	"<@x\r\n:a@b>", "<@[1.2.3.4:a@b>" };

static void
test_bad(void **state)
{
	static const char bidi[] = { 'a', '@', 'x', '\xe2', '\x80', '\xae',
		'y' };
	struct verr err;
	struct addr a;
	size_t i;

	(void)state;
	/* an override of the direction of writing */
	assert_int_equal(addr_parse(bidi, sizeof(bidi), ADDR_RCPT, &a, &err),
	    -1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = (struct verr)VERR_INIT;
		if (addr_parse(bad[i], strlen(bad[i]), ADDR_RCPT, &a, &err) !=
		    -1)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(err.code, VEX_DATA);
		assert_true(strlen(err.text) > 3);
	}
	assert_int_equal(addr_parse("a\0b@c", 5, ADDR_RCPT, &a, &err), -1);
	assert_int_equal(addr_parse("a@b\0c", 5, ADDR_RCPT, &a, &err), -1);
	assert_int_equal(addr_parse("a@b\0", 4, ADDR_RCPT, &a, &err), -1);
	assert_int_equal(addr_parse("a@[1.2.3.4\0]", 12, ADDR_RCPT, &a, &err),
	    -1);
}

static void
test_null(void **state)
{
	struct verr err = VERR_INIT;
	struct addr a;
	size_t used;

	(void)state;
	assert_int_equal(addr_parse("", 0, ADDR_SENDER, &a, &err), 0);
	assert_true(addr_is_null(&a));
	assert_string_equal(addr_domain(&a), "");
	assert_int_equal(addr_parse("<>", 2, ADDR_SENDER, &a, &err), 0);
	assert_true(addr_is_null(&a));
	assert_int_equal(addr_parse("", 0, ADDR_RCPT, &a, &err), -1);
	assert_int_equal(addr_parse("<>x", 3, ADDR_SENDER, &a, &err), -1);
	assert_int_equal(addr_path("", 0, ADDR_SENDER, &used, &a, &err), -1);
}

static void
test_path(void **state)
{
	static const struct {
		const char *in;
		int used;
	} tab[] = { { "<a@b> SIZE=1", 5 }, { "<>", 2 }, { "a@b SIZE=1", 3 },
		{ "a@b", 3 }, { "<\"x> \"@b> R", 9 }, { "\"x y\"@b R", 7 },
		{ "<@x:a@b>", 8 }, { "", -1 }, { " <a@b>", -1 },
		{ "<a@b SIZE=1", -1 }, { "<a@b\"> SIZE", -1 } };
	struct verr err = VERR_INIT;
	struct addr a;
	size_t i, used;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		if (addr_path(tab[i].in, strlen(tab[i].in), ADDR_SENDER, &used,
			&a, &err) == -1)
			assert_int_equal(tab[i].used, -1);
		else
			assert_int_equal(tab[i].used, used);
	}
}

static void
test_domain(void **state)
{
	char d[ADDR_DOMAIN_MAX + 1];
	struct verr err = VERR_INIT;

	(void)state;
	assert_int_equal(addr_domain_parse("Example.COM", 11, d, &err), 0);
	assert_string_equal(d, "example.com");
	assert_int_equal(addr_domain_parse("", 0, d, &err), -1);
	assert_int_equal(addr_domain_parse("*", 1, d, &err), -1);
}

/* Nothing that gets through may harm a command line or a path. */
static void
check_safe(const struct addr *a)
{
	const char *d = addr_domain(a);

	assert_true(a->smtp_len <= ADDR_MAX && a->orig_len <= ADDR_MAX);
	assert_int_equal(strlen(a->smtp), a->smtp_len);
	assert_true(esc_is_utf8(a->orig, a->orig_len));
	assert_null(strpbrk(a->smtp, "\r\n\t"));
	assert_true(strlen(d) >= 1 && strlen(d) <= ADDR_DOMAIN_MAX);
	assert_int_equal(strspn(d,
			     "abcdefghijklmnopqrstuvwxyz0123456789-_.[]:"),
	    strlen(d));
	assert_null(strstr(d, ".."));
	assert_true(d[0] != '.' && d[0] != '-');
}

static void
test_random(void **state)
{
	static const char set[] = "aaaabz@@@@..<>\"\\[]:,-_ \t\n\r\x7f\xc3\xbc"
				  "\xe3\x80\x82\xef\xbc\x8f\xff"
				  "16v/()";
	unsigned seed = (unsigned)time(NULL);
	struct verr err;
	struct addr a, again;
	char *s;
	size_t n, i;
	int round;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 100000; round++) {
		n = (size_t)random() % (round % 50 == 0 ? 400 : 16);
		s = malloc(n + 1); /* exact, for the address sanitizer */
		assert_non_null(s);
		for (i = 0; i < n; i++)
			s[i] = random() % 20 == 0 ?
			    (char)random() :
			    set[(size_t)random() % (sizeof(set) - 1)];
		if (addr_parse(s, n, ADDR_RCPT, &a, &err) == 0) {
			check_safe(&a);
			/* the canonical form is its own */
			assert_int_equal(addr_parse(a.smtp, a.smtp_len,
					     ADDR_RCPT, &again, &err),
			    0);
			assert_string_equal(a.smtp, again.smtp);
			assert_string_equal(a.smtp, again.orig);
		}
		free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
