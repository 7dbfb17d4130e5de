/*
 * vmta-check config: read and check the configuration as it is in the files
 * (no compiled image is used or written); print defaults, the manual section,
 * or where each value of a queue comes from.
 *
 * 0; 78 with FILE:LINE: what is wrong; 65 for a queue that cannot be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "submit/take.h"
#include "vmta-check.h"

enum { O_CONFIG = 1, O_DEFAULTS, O_EXPLAIN, O_MANUAL };

static const struct cli_opt opts[] = { { "config", 'C', "FILE",
					   "check this file", O_CONFIG },
	{ "print-defaults", 0, NULL, "print all parameters with defaults",
	    O_DEFAULTS },
	{ "explain", 0, "DOMAIN/VMTA",
	    "print each value of a queue and where it is from", O_EXPLAIN },
	{ "print-manual", 0, NULL, "print the parameters as mdoc", O_MANUAL },
	CLI_END };
static const struct cli_tool tool = { "vmta-check config", "[OPTION ...]",
	"Read and check the configuration.", opts };

/* What is wrong with a pickup directory. */
static void
say_pickup(void *arg, const char *line)
{
	(void)fprintf(stderr, "%s: %s\n", (const char *)arg, line);
}

/* The line for people, and the warnings, on standard error. */
static void
say_ok(const struct conf *c)
{
	const struct conf_list warn = conf_warnings(c);
	const char *s = NULL;
	char *file;

	while ((s = conf_list_next(&warn, s)) != NULL)
		(void)fprintf(stderr, "%s\n", s);
	file = xstrdup(conf_file(c));
	take_check(sys_real(), c, say_pickup, file);
	free(file);
	(void)fprintf(stderr,
	    "%s: ok, %zu virtual-mta, %zu virtual-mta-pool, "
	    "%zu acct-file, %u warnings\n",
	    conf_file(c), conf_vmta_n(c), conf_pool_n(c), conf_acct_n(c),
	    warn.n);
}

/* Write text to standard output. */
static int
put(const struct cli *cli, struct buf *text)
{
	(void)fwrite(buf_str(text), 1, text->len, stdout);
	buf_release(text);
	return (cli_finish(cli));
}

/* --explain DOMAIN/VMTA */
static int
explain(const struct cli *cli, const struct conf *c, const char *queue)
{
	const char *slash = strrchr(queue, '/');
	struct buf text = BUF_INIT;
	struct verr err = VERR_INIT;
	char domain[1024];

	(void)snprintf(domain, sizeof(domain), "%.*s",
	    slash != NULL ? (int)(slash - queue) : 0, queue);
	if (slash == NULL ||
	    conf_explain(c, domain, slash + 1, &text, &err) == -1) {
		if (slash == NULL)
			(void)verr_set(&err, VEX_USAGE,
			    "--explain %s: expected DOMAIN/VMTA", queue);
		return (cli_fail(cli, &err));
	}
	return (put(cli, &text));
}

/* Print a part of the parameter table. */
static int
print_table(const struct cli *cli, int what)
{
	struct buf text = BUF_INIT;

	if (what == O_MANUAL)
		conf_print_manual(&text);
	else
		conf_print_defaults(&text);
	return (put(cli, &text));
}

/* Read the file; then say so, or explain a queue. */
static int
check_file(const struct cli *cli, const char *file, const char *queue)
{
	struct verr err = VERR_INIT;
	struct conf *c;
	int rc = VEX_OK;

	if (conf_parse(sys_real(), file, &c, &err) == -1)
		return (cli_fail(cli, &err));
	if (queue != NULL)
		rc = explain(cli, c, queue);
	else
		say_ok(c);
	conf_unref(c);
	return (rc);
}

int
check_cmd_config(int argc, char **argv)
{
	const char *file = NULL, *queue = NULL;
	struct verr err = VERR_INIT;
	struct cli cli;
	int id, table = 0;

	cli_init(&cli, &tool, argc, argv);
	while ((id = cli_next(&cli, &err)) > 0)
		if (id == O_CONFIG)
			file = cli.arg;
		else if (id == O_EXPLAIN)
			queue = cli.arg;
		else
			table = id;
	if (id == CLI_DONE)
		return (VEX_OK);
	if (id == CLI_REST && cli.nrest > 0)
		id = verr_set(&err, VEX_USAGE, "unexpected argument '%s'",
		    cli.rest[0]);
	if (id == CLI_ERROR)
		return (cli_fail(&cli, &err));
	if (table != 0)
		return (print_table(&cli, table));
	return (check_file(&cli, file, queue));
}
