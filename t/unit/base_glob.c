/* base: patterns on names, as pauses, selections and reports take them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/glob.h"

struct row {
	const char *pattern, *text;
	bool match;
};

static void
test_GLOB_name(void **state)
{
	static const struct row rows[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "anything", true },
		{ "a*c", "abc", true },
		{ "a*c", "ac", true },
		{ "a*c", "acb", false },
		{ "a*b*c", "a-b-b-c", true },
		{ "A", "a", true },
		{ "a?c", "abc", false },
		{ "a?c", "a?c", true },
		{ "[a]", "a", false },
		{ "\\*", "\\x", true },
		{ "**a**", "bab", true },
		{ "*a", "ab", false },
		{ "*aaaaaaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		    false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(glob_name(rows[i].pattern, rows[i].text),
		    rows[i].match);
}

static void
test_GLOB_domain(void **state)
{
	static const struct row rows[] = {
		{ "Example.COM", "example.com", true },
		{ "*.example.com", "a.b.example.com", true },
		{ "*.example.com", "example.com", false },
		{ "[*.]example.com", "example.com", true },
		{ "[*.]example.com", "a.b.example.com", true },
		{ "[*.]example.com", "badexample.com", false },
		{ "[*.]*.org", "a.b.org", true },
		{ "[127.0.0.1]", "[127.0.0.1]", true },
		{ "[127.*]", "[127.0.0.1]", true },
		{ "[127.0.0.1]", "1", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(glob_domain(rows[i].pattern, rows[i].text),
		    rows[i].match);
}

static void
test_GLOB_queue(void **state)
{
	static const struct row rows[] = {
		{ "D.example/v1", "", true },
		{ "d.example/V1", "", true },
		{ "d.example/v?", "", false },
		{ "*/v1", "", true },
		{ "[*.]example/v*", "", true },
		{ "*", "", true },
		{ "*v1", "", true },
		{ "d.example", "", false },
		{ "/v1", "", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(glob_queue(rows[i].pattern, "d.example", "v1"),
		    rows[i].match);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_GLOB_name),
		cmocka_unit_test(test_GLOB_domain),
		cmocka_unit_test(test_GLOB_queue) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
