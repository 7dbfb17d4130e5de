/* Address lists of header fields: forms, errors, random octets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "mail/addrlist.h"

/* Collect the wire forms, separated by spaces. */
static int
collect(void *arg, const struct addr *a, struct verr *err)
{
	struct buf *b = arg;

	(void)err;
	if (b->len > 0)
		buf_addc(b, ' ');
	buf_add(b, a->smtp, a->smtp_len);
	return (0);
}

static const struct {
	const char *in;
	const char *out; /* NULL: an error */
} cases[] = { { "", "" }, { "  \t ", "" }, { ",,,", "" }, { "a@b", "a@b" },
	{ " a@b , c@d ", "a@b c@d" }, { ",a@b,,c@d,", "a@b c@d" },
	{ "a@b; c@d;", "a@b c@d" }, { "Joe <a@b>", "a@b" },
	{ "Joe Q. Public <a@B>, \"x, y\" <c@d>", "a@b c@d" },
	{ "\"Joe \\\"the\\\" <z@z>\" <a@b>", "a@b" }, { "<a@b>", "a@b" },
	{ "a@b <c@d>", "c@d" }, { "[ext] Joe <a@b>", "a@b" },
	{ "J\xc3\xb6rg <a@b>", "a@b" }, { "J\xf6rg <a@b>", "a@b" },
	{ "=?utf-8?Q?J=C3=B6rg?= <a@b>", "a@b" },
	{ "j\xc3\xb6rg@b\xc3\xbc"
	  "cher.example",
	    "j\xc3\xb6rg@xn--bcher-kva.example" },
	{ "a@b (comment)", "a@b" },
	{ "(x) a (y) @ (z) b (w) . c, d@e", "a@b.c d@e" },
	{ "a . b @ c . d", "a.b@c.d" },
	{ "(nested (deep \\) (er)) <no@no>) a@b", "a@b" },
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	    "pete@silly.test" },
	{ "A Group:Ed Jones <joe@a.test>,John <jdoe@one.test>, mary@x.test;",
	    "joe@a.test jdoe@one.test mary@x.test" },
	{ "undisclosed-recipients:;", "" }, { "\"a b\": ; , x@y", "x@y" },
	{ "g:a@b;, h:c@d;, e@f", "a@b c@d e@f" },
	{ "Joe\r\n <a@b>,\r\n\tc@d", "a@b c@d" },
	{ "Joe\n <a@b>,\n\tc@d", "a@b c@d" }, { "\"a\r\n b\"@c", "\"a b\"@c" },
	{ "\"joe smith\"@b", "\"joe smith\"@b" },
	{ "<@x.test,@y.test:a@b>", "a@b" },
	{ "a@[127.0.0.1], b@[IPv6:::1]", "a@[127.0.0.1] b@[ipv6:::1]" },
	{ "-f@b", "-f@b" }, { "joe", NULL }, { "a@b, joe", NULL },
	{ "Joe Smith", NULL }, { "a b@c", NULL }, { "a@b c", NULL },
	{ "a@b c@d", NULL }, { "a@b.c d", NULL }, { "<a b@c>", NULL },
	{ "<a@b c>", NULL }, { "<a@b> c", NULL }, { "<a@b> <c@d>", NULL },
	{ "<a@b", NULL }, { "<>", NULL }, { "Joe <>", NULL },
	{ "<<a@b>>", NULL }, { "a@b>", NULL }, { "a@", NULL }, { "@b", NULL },
	{ "a@@b", NULL }, { "a@b:c@d", NULL }, { ":a@b;", NULL },
	{ "g: h: a@b; ;", NULL }, { "g: a@b", NULL }, { "\"a@b", NULL },
	{ "(a@b", NULL }, { "(a(b) a@b", NULL }, { "a@b)", NULL },
	{ "a\\@b", NULL }, { "a@[1.2.3.4", NULL }, { "a@b\r\nBcc: c@d", NULL },
	{ "a@b\nc@d", NULL }, { "a@b\r c@d", NULL }, { "a@b\r\n", NULL },
	{ "a@b\x01", NULL }, { "a@../b", NULL }, { "\"a\".b@c", NULL } };

static void
test_cases(void **state)
{
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&b);
		rc = addrlist_parse(cases[i].in, strlen(cases[i].in), NULL,
		    collect, &b, &err);
		if (rc != (cases[i].out != NULL ? 0 : -1))
			fail_msg("%s: %d %s", cases[i].in, rc,
			    rc == 0 ? buf_str(&b) : err.text);
		if (cases[i].out != NULL)
			assert_string_equal(buf_str(&b), cases[i].out);
	}
	assert_int_equal(addrlist_parse("a@b\0", 4, NULL, collect, &b, &err),
	    -1);
	buf_release(&b);
}

static int
stop(void *arg, const struct addr *a, struct verr *err)
{
	int *n = arg;

	(void)a;
	return (++*n == 2 ? verr_set(err, VEX_DATA, "enough") : 0);
}

static void
test_stop(void **state)
{
	static const char text[] = "a@b, c@d, e@f";
	struct verr err = VERR_INIT;
	int n = 0;

	(void)state;
	assert_int_equal(addrlist_parse(text, sizeof(text) - 1, NULL, stop, &n,
			     &err),
	    -1);
	assert_int_equal(n, 2);
	assert_string_equal(err.text, "enough");
}

/* Deep nesting and long lists take linear time and no stack. */
static void
test_large(void **state)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct verr err = VERR_INIT;
	int i;

	(void)state;
	for (i = 0; i < 100000; i++)
		buf_addc(&in, '(');
	assert_int_equal(addrlist_parse(in.p, in.len, NULL, collect, &out,
			     &err),
	    -1);
	for (i = 0; i < 100000; i++)
		buf_addc(&in, ')');
	buf_adds(&in, "a@b");
	for (i = 0; i < 20000; i++)
		buf_addf(&in, ",\r\n \"User, %d\" <u%d@example.com>", i, i);
	assert_int_equal(addrlist_parse(in.p, in.len, NULL, collect, &out,
			     &err),
	    0);
	assert_non_null(strstr(out.p, " u19999@example.com"));
	buf_release(&in);
	buf_release(&out);
}

static void
test_random(void **state)
{
	static const char set[] = "aab@@..<>\"\\[]:;,,()  \t\r\n\xc3\xbc\xff";
	unsigned seed = (unsigned)time(NULL);
	struct buf out = BUF_INIT;
	struct verr err;
	size_t n, i;
	int round;
	char *s;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 200000; round++) {
		n = (size_t)random() % 24;
		s = malloc(n + 1);
		assert_non_null(s);
		for (i = 0; i < n; i++)
			s[i] = set[(size_t)random() % (sizeof(set) - 1)];
		buf_clear(&out);
		(void)addrlist_parse(s, n, NULL, collect, &out, &err);
		assert_null(strpbrk(buf_str(&out), "\r\n"));
		free(s);
	}
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
