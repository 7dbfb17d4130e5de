/* VERP senders, and what include-headers-from may hold. */
#include "submit_util.h"

#include "submit/header.h"
#include "submit/impl.h"

static void
test_verp(void **state)
{
	static const struct {
		const char *sender, *rcpt, *want;
	} t[] = {
		{ "news@example.com", "joe@example.org",
		    "news-joe=example.org@example.com" },
		{ "n@a.b", "x+y@[127.0.0.1]", "\"n-x+y=[127.0.0.1]\"@a.b" },
		{ "n@a.b", "\"a b\"@c.d", "\"n-a b=c.d\"@a.b" },
		{ "n@a.b", "\"a\\\"b\"@c.d", "\"n-a\\\"b=c.d\"@a.b" },
		{ "\"n\"@a.b", "x@c.d", "n-x=c.d@a.b" },
		{ "n@a.b", "\"a@b\"@c.d", "\"n-a@b=c.d\"@a.b" },
		{ "n@a.b", "\xc3\xa4@c.d", "n-\xc3\xa4=c.d@a.b" },
		{ "n@a.b", "\".a\"@c.d", "n-.a=c.d@a.b" },
		{ "n@a.b", "\"a..b\"@c.d", "\"n-a..b=c.d\"@a.b" },
	};
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		buf_clear(&b);
		assert_int_equal(header_verp(t[i].sender, t[i].rcpt, &b, &err),
		    0);
		assert_string_equal(buf_str(&b), t[i].want);
		/* it is an address that we would take ourselves */
		assert_int_equal(addr_parse(b.p, b.len, ADDR_SENDER, &a, &err),
		    0);
	}
	buf_release(&b);
}

static void
test_verp_long(void **state)
{
	char rcpt[255], sender[255];
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	memset(rcpt, 'x', 60);
	(void)snprintf(rcpt + 60, sizeof(rcpt) - 60, "@%060d.%060d.example", 0,
	    0);
	(void)snprintf(sender, sizeof(sender), "news@%050d.example", 0);
	assert_int_equal(header_verp(sender, rcpt, &b, &err), 0);
	b.len = 0;
	(void)snprintf(sender, sizeof(sender), "news@%050d.%050d.example", 0,
	    0);
	assert_int_equal(header_verp(sender, rcpt, &b, &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verp),
		cmocka_unit_test(test_verp_long),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
