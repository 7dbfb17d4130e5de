/* dns/brake: shares of domains that do not exist, and what outlives a run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "dns/brake.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1795470845) /* 2026-11-23 21:54:05 */

/* n domains PREFIX0.example ...: they exist, or not. */
static void
see(struct dns_brake *b, const char *prefix, unsigned n, bool exists,
    int64_t now)
{
	char name[64];
	unsigned i;

	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s%u.example", prefix, i);
		dns_brake_seen(b, name, exists, now);
	}
}

static void
test_share(void **state)
{
	static const struct {
		unsigned good, bad;
		const char *why;
	} cases[] = {
		{ 0, 0, NULL },
		{ 0, 1, NULL },
		{ 2, 2, NULL },
		{ 0, 29, NULL }, /* too few to say */
		{ 0, 30, "30 of the last 30 domains do not exist" },
		{ 21, 9, NULL }, /* 30 per cent */
		{ 20, 10, "10 of the last 30 domains do not exist" },
		{ 70, 30, NULL },
		{ 69, 31, "31 of the last 100 domains do not exist" },
		{ 500, 30, NULL },
		{ 500, 31, "31 of the last 100 domains do not exist" },
		{ 5, 500, "100 of the last 100 domains do not exist" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct dns_brake *b = dns_brake_new();
		const char *why;

		see(b, "good", cases[i].good, true, NOW);
		see(b, "bad", cases[i].bad, false, NOW);
		why = dns_brake_why(b, NOW);
		if (cases[i].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, cases[i].why);
		dns_brake_free(b);
	}
}

/* One domain is one, however often it is asked for. */
static void
test_distinct(void **state)
{
	struct dns_brake *b = dns_brake_new();
	unsigned i;

	(void)state;
	see(b, "good", 29, true, NOW);
	for (i = 0; i < 1000; i++)
		dns_brake_seen(b, "bad.example", false, NOW);
	assert_null(dns_brake_why(b, NOW));
	see(b, "bad", 12, false, NOW);
	assert_string_equal(dns_brake_why(b, NOW),
	    "13 of the last 42 domains do not exist");
	/* They do exist, after all. */
	dns_brake_exists(b, "bad.example");
	dns_brake_exists(b, "bad.example");
	dns_brake_exists(b, "other.example");
	assert_string_equal(dns_brake_why(b, NOW),
	    "12 of the last 42 domains do not exist");
	see(b, "bad", 12, true, NOW);
	assert_null(dns_brake_why(b, NOW));
	/* What is asked for often stays, what is not goes. */
	for (i = 0; i < 10; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "b%u-", i);
		see(b, "good", 70, true, NOW);
		see(b, name, 3, false, NOW);
	}
	assert_null(dns_brake_why(b, NOW));
	dns_brake_free(b);
}

/* On above 30 per cent, off at 20. */
static void
test_hysteresis(void **state)
{
	struct dns_brake *b = dns_brake_new();

	(void)state;
	see(b, "good", 69, true, NOW);
	see(b, "bad", 31, false, NOW);
	assert_non_null(dns_brake_why(b, NOW));
	see(b, "bad", 10, true, NOW);
	assert_string_equal(dns_brake_why(b, NOW),
	    "21 of the last 100 domains do not exist");
	see(b, "bad", 11, true, NOW);
	assert_null(dns_brake_why(b, NOW));
	see(b, "bad", 10, false, NOW);
	assert_null(dns_brake_why(b, NOW)); /* 30 again, not more */
	dns_brake_free(b);
}

static void
test_age(void **state)
{
	struct dns_brake *b = dns_brake_new();

	(void)state;
	see(b, "bad", 50, false, NOW);
	assert_non_null(dns_brake_why(b, NOW + DNS_BRAKE_AGE - 1));
	assert_null(dns_brake_why(b, NOW + DNS_BRAKE_AGE));
	/* The clock is set back: what is of a time to come does not count. */
	see(b, "bad", 50, false, NOW);
	assert_null(dns_brake_why(b, NOW - 10));
	dns_brake_free(b);
}

static void
test_canary(void **state)
{
	struct dns_brake *b = dns_brake_new();

	(void)state;
	assert_false(dns_brake_canary_failed(b));
	dns_brake_canary(b, "the canary x:\nnone");
	assert_true(dns_brake_canary_failed(b));
	assert_string_equal(dns_brake_why(b, NOW), "the canary x:\\x0anone");
	see(b, "bad", 50, false, NOW);
	assert_string_equal(dns_brake_why(b, NOW),
	    "50 of the last 50 domains do not exist; the canary x:\\x0anone");
	dns_brake_canary(b, NULL);
	assert_string_equal(dns_brake_why(b, NOW),
	    "50 of the last 50 domains do not exist");
	dns_brake_free(b);
}

/* The text of b; its reason, from a copy. */
static void
format(struct dns_brake *b, int64_t now, struct buf *ret_text)
{
	buf_clear(ret_text);
	dns_brake_format(b, now, ret_text);
}

static void
test_text(void **state)
{
	struct dns_brake *b = dns_brake_new(), *to = dns_brake_new();
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct verr err = VERR_INIT;

	(void)state;
	assert_false(dns_brake_changed(b));
	see(b, "good", 1, true, NOW - 5);
	see(b, "bad", 1, false, NOW);
	assert_true(dns_brake_changed(b));
	format(b, NOW, &text);
	assert_false(dns_brake_changed(b));
	assert_string_equal(text.p,
	    "vmta-brake 1\nat 20261123T215405Z\n"
	    "20261123T215400Z exists good0.example\n"
	    "20261123T215405Z none bad0.example\nend\n");
	assert_null(dns_brake_reason(text.p, NOW));
	/* What is newer here stays. */
	dns_brake_seen(to, "bad0.example", true, NOW + 1);
	format(b, NOW, &text);
	assert_int_equal(dns_brake_parse(to, text.p, NOW + 1, &err), 0);
	format(to, NOW + 1, &text);
	assert_non_null(strstr(text.p, "20261123T215406Z exists bad0.example"));
	assert_non_null(strstr(text.p, "exists good0.example"));
	/* A whole ring, and the reason. */
	see(b, "bad", 200, false, NOW);
	format(b, NOW, &text);
	buf_add(&again, text.p, text.len);
	assert_string_equal(dns_brake_reason(again.p, NOW),
	    "100 of the last 100 domains do not exist");
	buf_clear(&again);
	buf_add(&again, text.p, text.len);
	assert_null(dns_brake_reason(again.p, NOW + DNS_BRAKE_AGE));
	assert_int_equal(dns_brake_parse(to, text.p, NOW + 1, &err), 0);
	assert_string_equal(dns_brake_why(to, NOW + 1),
	    "99 of the last 100 domains do not exist");
	buf_release(&text);
	buf_release(&again);
	dns_brake_free(b);
	dns_brake_free(to);
}

#define HEAD "vmta-brake 1\nat 20261123T215405Z\n"
#define LINE "20261123T215405Z none bad.example\n"

/* Nothing of a damaged text is taken. */
static void
test_damaged(void **state)
{
	static const char *const cases[] = { "", "\n", "vmta-brake 2\n" LINE,
		"vmta-brake 1\n", "vmta-brake 1\nend\n", HEAD, HEAD LINE,
		HEAD LINE "end", /* a line without its end is one */
		HEAD "20261123T215405Z none BAD.example\nend\n",
		HEAD "20261123T215405Z none ../etc\nend\n",
		HEAD "20261123T215405Z none a b\nend\n",
		HEAD "20261123T215405Z none\nend\n",
		HEAD "20261123T215405Z perhaps bad.example\nend\n",
		HEAD "yesterday none bad.example\nend\n", HEAD LINE "\nend\n",
		"vmta-brake 1\nat\nend\n", "vmta-brake 1\nat noon why\nend\n" };
	struct verr err = VERR_INIT;
	struct buf text = BUF_INIT;
	unsigned i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct dns_brake *b = dns_brake_new();

		buf_clear(&text);
		buf_adds(&text, cases[i]);
		if (i == 7) { /* the exception */
			assert_int_equal(dns_brake_parse(b, text.p, NOW, &err),
			    0);
		} else {
			assert_int_equal(dns_brake_parse(b, text.p, NOW, &err),
			    -1);
			assert_int_equal(err.code, VEX_DATA);
		}
		dns_brake_free(b);
	}
	/* More than a ring. */
	buf_clear(&text);
	buf_adds(&text, HEAD);
	for (i = 0; i <= DNS_BRAKE_RING; i++)
		buf_addf(&text, "20261123T215405Z none b%u.example\n", i);
	buf_adds(&text, "end\n");
	{
		struct dns_brake *b = dns_brake_new();

		assert_int_equal(dns_brake_parse(b, text.p, NOW, &err), -1);
		assert_null(dns_brake_why(b, NOW));
		dns_brake_free(b);
	}
	buf_release(&text);
	dns_brake_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_distinct),
		cmocka_unit_test(test_hysteresis),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_canary),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_damaged),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
