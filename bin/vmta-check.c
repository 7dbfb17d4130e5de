/*
 * vmta-check: is it right? Each command is a row of the table below and a
 * file vmta-check-COMMAND.c with a table of options of its own.
 */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "vmta-check.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "config", check_cmd_config, "read and check the configuration" },
	{ "route", check_cmd_route, "say which VirtualMTA a message goes to" },
	{ "spool", check_cmd_spool, "look for states that should not be" },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct cli_opt opts[] = { CLI_END };
static const struct cli_tool tool = { "vmta-check", "COMMAND [OPTION ...]",
	"Check what vmta works with; "
	"COMMAND --help tells more of each.",
	opts };

/* Print the commands, after the options that --help has shown. */
static void
print_commands(void)
{
	size_t i;

	(void)printf("\ncommands:\n");
	for (i = 0; i < NCOMMANDS; i++)
		(void)printf("  %-26s %s\n", commands[i].name,
		    commands[i].help);
}

int
main(int argc, char **argv)
{
	struct verr err = VERR_INIT;
	struct cli cli;
	size_t i;
	int id;

	cli_init_strict(&cli, &tool, argc, argv);
	id = cli_next(&cli, &err);
	if (id == CLI_ERROR)
		return (cli_fail(&cli, &err));
	if (id == CLI_DONE) {
		if (argc > 1 && strcmp(argv[1], "--version") != 0)
			print_commands();
		return (cli_finish(&cli));
	}
	for (i = 0; i < NCOMMANDS && cli.nrest > 0; i++)
		if (strcmp(commands[i].name, cli.rest[0]) == 0)
			return (commands[i].run(cli.nrest, cli.rest));
	(void)verr_set(&err, VEX_USAGE,
	    cli.nrest > 0 ? "unknown command '%s' (--help lists them)" :
			    "no command given (--help lists them)",
	    cli.rest[0]);
	return (cli_fail(&cli, &err));
}
