/* Command lines: every way to write an option, every way to get it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cli.h"

enum { O_FILE = 1, O_ALL, O_FROM };

static const struct cli_opt opts[] = {
	{ "config", 'C', "FILE", "read it", O_FILE },
	{ "all", 'a', NULL, "everything", O_ALL },
	{ NULL, 'f', "SENDER", "from", O_FROM },
	CLI_END,
};
static const struct cli_tool tool = { "tool", "[OPTION ...]", "Does it.",
	opts };

/* Run the line; ret_seen: `id=arg;` for each option, then operands. */
static int
run(const char *line, bool strict, char *ret_seen, size_t size,
    struct verr *err)
{
	char words[256], *argv[32] = { NULL }, *p = words;
	struct cli cli;
	int argc = 0, id, i;
	size_t n = 0;

	(void)snprintf(words, sizeof(words), "%s", line);
	ret_seen[0] = '\0';
	while (*p != '\0') {
		argv[argc++] = p;
		p += strcspn(p, " ");
		if (*p != '\0')
			*p++ = '\0';
	}
	if (strict)
		cli_init_strict(&cli, &tool, argc, argv);
	else
		cli_init(&cli, &tool, argc, argv);
	while ((id = cli_next(&cli, err)) > 0)
		n += (size_t)snprintf(ret_seen + n, size - n, "%d=%s;", id,
		    cli.arg != NULL ? cli.arg : "");
	for (i = 0; id == CLI_REST && i < cli.nrest; i++)
		n += (size_t)snprintf(ret_seen + n, size - n, "%s ",
		    cli.rest[i]);
	return (id);
}

static void
test_lines(void **state)
{
	static const struct {
		const char *line;
		bool strict;
		int id;
		const char *want; /* options and operands, or the error */
	} cases[] = {
		{ "tool", false, CLI_REST, "" },
		{ "tool -C x -a", false, CLI_REST, "1=x;2=;" },
		{ "tool -aCx", false, CLI_REST, "2=;1=x;" },
		{ "tool --config=x --all", false, CLI_REST, "1=x;2=;" },
		{ "tool --config x", false, CLI_REST, "1=x;" },
		{ "tool --conf x", false, CLI_REST, "1=x;" },
		{ "tool -f <> b", false, CLI_REST, "3=<>;b " },
		{ "tool b -a c", false, CLI_REST, "2=;b c " },
		{ "tool b -a c", true, CLI_REST, "b -a c " },
		{ "tool -- -a", false, CLI_REST, "-a " },
		{ "tool -", false, CLI_REST, "- " },
		{ "tool -x", false, CLI_ERROR, "unknown option -x" },
		{ "tool -ax", false, CLI_ERROR, "unknown option -x" },
		{ "tool --bogus", false, CLI_ERROR, "unknown option --bogus" },
		{ "tool a --bogus b", false, CLI_ERROR,
		    "unknown option --bogus" },
		{ "tool -C", false, CLI_ERROR, "-C needs an argument" },
		{ "tool --config", false, CLI_ERROR,
		    "--config needs an argument (FILE)" },
		{ "tool --all=3", false, CLI_ERROR,
		    "--all=3 takes no argument" },
	};
	struct verr err;
	char seen[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(run(cases[i].line, cases[i].strict, seen,
				     sizeof(seen), &err),
		    cases[i].id);
		if (cases[i].id == CLI_ERROR) {
			assert_int_equal(err.code, VEX_USAGE);
			assert_string_equal(err.text, cases[i].want);
		} else {
			assert_string_equal(seen, cases[i].want);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
