/*
 * Command lines of all tools: one table of options makes the parser, --help
 * and the check against the manual. --help and --version are in every tool
 * and need no row.
 *
 *	enum { O_CONFIG = 'C', O_VMTA = 256, O_ALL };
 *	static const struct cli_opt opts[] = {
 *		{ "config", 'C', "FILE", "read this configuration", O_CONFIG },
 *		{ "vmta", 0, "NAME", "only this VirtualMTA", O_VMTA },
 *		{ "all", 'a', NULL, "everything", O_ALL },
 *		CLI_END
 *	};
 *	static const struct cli_tool tool = { "vmta-queue",
 *		"COMMAND [OPTION ...]", "look at the queue", opts };
 *
 *	cli_init(&cli, &tool, argc, argv);
 *	while ((id = cli_next(&cli, &err)) > 0)
 *		switch (id) { case O_VMTA: name = cli.arg; ... }
 *	if (id == CLI_DONE)
 *		return (VEX_OK);
 *	if (id == CLI_ERROR)
 *		return (cli_fail(&cli, &err));
 *	for (i = 0; i < cli.nrest; i++) ... cli.rest[i]
 */
#ifndef VMTA_BASE_CLI_H
#define VMTA_BASE_CLI_H

#include <stdbool.h>

#include "base/err.h"

/* One option; long_name or short_name (0: none) may be missing, not both. */
struct cli_opt {
	const char *long_name;
	int short_name;
	const char *arg;  /* name of its argument for --help; NULL: none */
	const char *help; /* one line; NULL: not shown */
	int id;		  /* what cli_next returns; > 0 */
};
#define CLI_END               \
	{                     \
		0, 0, 0, 0, 0 \
	}

struct cli_tool {
	const char *name;  /* vmta-queue */
	const char *usage; /* what follows the name in the usage line */
	const char *what;  /* what it does, one line */
	const struct cli_opt *opts;
};

enum { CLI_REST = 0, CLI_DONE = -2, CLI_ERROR = -1 };

struct cli {
	const struct cli_tool *tool;
	char *arg;   /* argument of the option just returned, or NULL */
	int nrest;   /* after CLI_REST: operands */
	char **rest; /* NULL-ended */
	/* private */
	int argc;
	char **argv;
	void *getopt_tables;
	bool started;
};

/*
 * Begin with argv (argv[0] is skipped). Options may stand after operands,
 * `--` ends them. strict: options end at the first operand (for tools whose
 * first operand is a command with options of its own).
 */
void cli_init(struct cli *cli, const struct cli_tool *tool, int argc,
    char **argv);
void cli_init_strict(struct cli *cli, const struct cli_tool *tool, int argc,
    char **argv);
/*
 * The id of the next option; CLI_REST: no more, rest and nrest are set;
 * CLI_DONE: --help or --version was printed on standard output, exit with
 * 0; CLI_ERROR: err holds a usage error (VEX_USAGE, or VEX_IO when standard
 * output failed). What cli_init allocated is freed with the last three.
 */
int cli_next(struct cli *cli, struct verr *err);
/*
 * Print `TOOL: text` (a configuration error without the TOOL) on standard
 * error; returns err->code as exit code.
 */
int cli_fail(const struct cli *cli, const struct verr *err);
/* Flush standard output: VEX_OK, or VEX_IO after a message. */
int cli_finish(const struct cli *cli);
/* The text of --help; for tests and tools with several tables. */
void cli_print_help(const struct cli_tool *tool);

#endif
