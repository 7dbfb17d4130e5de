/* Regular expressions: what they match, and that none of them hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/regex.h"

static struct regex *
compile(const char *p, unsigned int flags)
{
	struct verr err = VERR_INIT;
	struct regex *r = NULL;

	if (regex_new(p, strlen(p), flags, &r, &err) == -1)
		fail_msg("/%s/: %s", p, err.text);
	return (r);
}

static void
test_match(void **state)
{
	static const struct {
		const char *re, *text;
		unsigned int flags;
		enum regex_result want;
	} t[] = {
		{ "^abc", "abc@x", 0, REGEX_YES },
		{ "^abc", "ABC@x", 0, REGEX_NO },
		{ "^abc", "ABC@x", REGEX_CASELESS, REGEX_YES },
		{ "@x\\.com$", "a@x.com", 0, REGEX_YES },
		{ "@x\\.com$", "a@xxcom", 0, REGEX_NO },
		{ "\\xe4", "\xe4", 0, REGEX_YES }, /* octets, not UTF-8 */
		{ "^.$", "\xc3\xa4", 0, REGEX_NO },
		{ "a/b", "xa/bx", 0, REGEX_YES },
		{ "^$", "", 0, REGEX_YES },
	};
	struct regex *r;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r = compile(t[i].re, t[i].flags);
		for (k = 0; k < 200; k++) /* interpreted, then machine code */
			assert_int_equal(regex_match(r, t[i].text,
					     strlen(t[i].text)),
			    t[i].want);
		regex_free(r);
	}
}

static void
test_refused(void **state)
{
	static const char *const t[] = { "(", "[a", "a{2,1}", "*a", "(?<n>a",
		"\\C", "(a+)+$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$",
		"(x+x+)+y|(1+)+$" };
	struct verr err;
	struct regex *r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r = NULL;
		memset(&err, 0, sizeof(err));
		if (regex_new(t[i], strlen(t[i]), 0, &r, &err) == 0)
			fail_msg("/%s/ was accepted", t[i]);
		assert_int_equal(err.code, VEX_CONFIG);
		assert_true(strlen(err.text) > 0);
		assert_null(r);
	}
}

/* An expression may pass the probe and still meet a text that it cannot. */
static void
test_gives_up(void **state)
{
	struct regex *r = compile("(b+)+[cd]", 0);
	char text[1 << 16];
	size_t i;

	(void)state;
	memset(text, 'b', sizeof(text));
	for (i = 0; i < 200; i++)
		assert_int_equal(regex_match(r, text, 40 + i), REGEX_GAVE_UP);
	/* and it still works for others */
	assert_int_equal(regex_match(r, "bbc", 3), REGEX_YES);
	assert_int_equal(regex_match(r, "xyz", 3), REGEX_NO);
	regex_free(r);
}

/*
 * V11: long texts against expressions whose repeats start anywhere: not over
 * any limit of steps, and yet the square of the length; hence
 * REGEX_TEXT_MAX.
 */
static void
test_long(void **state)
{
	static const char *const t[] = { "a*a*a*b", "[ab]+[!?]", ".*.*=.*",
		"\\s+$", "(?i)unsubscribe|opt.?out" };
	size_t i, n = 1 << 20;
	char *text = malloc(n);
	struct regex *r;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', n);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r = compile(t[i], 0);
		assert_int_not_equal(regex_match(r, text, n), REGEX_YES);
		regex_free(r);
	}
	free(text);
}

static void
test_size(void **state)
{
	char text[REGEX_MAX + 1];
	struct verr err = VERR_INIT;
	struct regex *r = NULL;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(regex_new(text, sizeof(text), 0, &r, &err), -1);
	assert_int_equal(err.code, VEX_CONFIG);
	assert_int_equal(regex_new(text, REGEX_MAX, 0, &r, &err), 0);
	regex_free(r);
	regex_free(NULL);
}

/* What is behind REGEX_TEXT_MAX is not looked at. */
static void
test_text_max(void **state)
{
	struct regex *r = compile("x", 0);
	char text[REGEX_TEXT_MAX + 1];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[REGEX_TEXT_MAX] = 'x';
	assert_int_equal(regex_match(r, text, sizeof(text)), REGEX_NO);
	text[REGEX_TEXT_MAX - 1] = 'x';
	assert_int_equal(regex_match(r, text, sizeof(text)), REGEX_YES);
	regex_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_text_max),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
