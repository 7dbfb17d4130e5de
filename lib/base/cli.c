/*
 * Command lines: the option table of a tool becomes getopt_long's tables and
 * the text of --help. getopt_long itself prints nothing; what it finds is
 * told as one usage error (64).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/mem.h"
#include "base/version.h"

#define CLI_LONG 0x10000 /* val of table row i: CLI_LONG + i */

struct cli_getopt {
	struct option *longs;
	char *shorts;
};

/* Rows of a table. */
static size_t
cli_count(const struct cli_opt *opts)
{
	size_t n = 0;

	while (opts[n].id != 0)
		n++;
	return (n);
}

/* Make getopt_long's tables. lead: '+', ':' ... at the head of shorts. */
static struct cli_getopt *
cli_tables(const struct cli_opt *opts, const char *lead)
{
	struct cli_getopt *g = xcalloc(1, sizeof(*g));
	size_t i, at = 0, n = cli_count(opts), len = strlen(lead);

	g->longs = xcalloc(n + 3, sizeof(*g->longs));
	g->shorts = xcalloc(n * 2 + len + 1, 1);
	memcpy(g->shorts, lead, len);
	for (i = 0; i < n; i++) {
		if (opts[i].long_name != NULL) {
			g->longs[at].name = opts[i].long_name;
			g->longs[at].has_arg = opts[i].arg != NULL ?
			    required_argument :
			    no_argument;
			g->longs[at++].val = CLI_LONG + (int)i;
		}
		if (opts[i].short_name != 0) {
			g->shorts[len++] = (char)opts[i].short_name;
			if (opts[i].arg != NULL)
				g->shorts[len++] = ':';
		}
	}
	g->longs[at].name = "help";
	g->longs[at++].val = CLI_LONG + (int)n;
	g->longs[at].name = "version";
	g->longs[at].val = CLI_LONG + (int)n + 1;
	return (g);
}

static void
cli_start(struct cli *cli, const struct cli_tool *tool, int argc, char **argv,
    const char *lead)
{
	memset(cli, 0, sizeof(*cli));
	cli->tool = tool;
	cli->argc = argc;
	cli->argv = argv;
	cli->getopt_tables = cli_tables(tool->opts, lead);
}

void
cli_init(struct cli *cli, const struct cli_tool *tool, int argc, char **argv)
{
	cli_start(cli, tool, argc, argv, ":");
}

void
cli_init_strict(struct cli *cli, const struct cli_tool *tool, int argc,
    char **argv)
{
	cli_start(cli, tool, argc, argv, "+:");
}

static void
cli_end(struct cli *cli)
{
	struct cli_getopt *g = cli->getopt_tables;

	if (g == NULL)
		return;
	free(g->longs);
	free(g->shorts);
	free(g);
	cli->getopt_tables = NULL;
}

/* One line of --help. */
static void
cli_help_line(int short_name, const char *long_name, const char *arg,
    const char *help)
{
	char left[80] = "";
	int n = 0;

	if (short_name != 0)
		n = snprintf(left, sizeof(left), "-%c", short_name);
	if (long_name != NULL)
		n += snprintf(left + n, sizeof(left) - (size_t)n, "%s--%s",
		    n > 0 ? ", " : "", long_name);
	if (arg != NULL)
		(void)snprintf(left + n, sizeof(left) - (size_t)n, " %s", arg);
	(void)printf("  %-26s %s\n", left, help);
}

void
cli_print_help(const struct cli_tool *tool)
{
	const struct cli_opt *o;

	(void)printf("usage: %s %s\n%s\n\n", tool->name, tool->usage,
	    tool->what);
	for (o = tool->opts; o->id != 0; o++)
		if (o->help != NULL)
			cli_help_line(o->short_name, o->long_name, o->arg,
			    o->help);
	cli_help_line(0, "help", NULL, "print this and exit");
	cli_help_line(0, "version", NULL, "print the version and exit");
}

/* Standard output is complete: 0, or -1 with err. */
static int
cli_flush(struct verr *err)
{
	errno = 0;
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return (0);
	if (errno == 0)
		errno = EIO;
	return (verr_sys(err, "standard output"));
}

/* What getopt_long did not like. */
static int
cli_refuse(struct cli *cli, int how, struct verr *err)
{
	const char *word = cli->argv[optind > 1 ? optind - 1 : 1];
	const struct cli_opt *o;
	char name[3] = { '-', (char)optopt, '\0' };

	/* a long option; optopt is its val when the argument is the matter */
	if (optopt == 0 || optopt >= CLI_LONG) {
		for (o = cli->tool->opts; how == ':' && o->id != 0; o++)
			if (optopt == CLI_LONG + (int)(o - cli->tool->opts))
				return (verr_set(err, VEX_USAGE,
				    "--%s needs an argument (%s)", o->long_name,
				    o->arg));
		return (verr_set(err, VEX_USAGE,
		    optopt == 0 ? "unknown option %s" : "%s takes no argument",
		    word));
	}
	return (verr_set(err, VEX_USAGE,
	    how == ':' ? "%s needs an argument" : "unknown option %s", name));
}

/* --help or --version. */
static int
cli_about(struct cli *cli, bool help, struct verr *err)
{
	if (help)
		cli_print_help(cli->tool);
	else
		(void)printf("%s (vmta) %s\n", cli->tool->name, VMTA_VERSION);
	return (cli_flush(err) == 0 ? CLI_DONE : CLI_ERROR);
}

/* The id of what getopt_long returned. */
static int
cli_id(struct cli *cli, int c, struct verr *err)
{
	const struct cli_opt *opts = cli->tool->opts;
	size_t i, n = cli_count(opts);

	cli->arg = optarg;
	if (c >= CLI_LONG) {
		i = (size_t)(c - CLI_LONG);
		return (i < n ? opts[i].id : cli_about(cli, i == n, err));
	}
	for (i = 0; i < n; i++)
		if (c != '?' && c != ':' && opts[i].short_name == c)
			return (opts[i].id);
	return (cli_refuse(cli, c, err));
}

int
cli_next(struct cli *cli, struct verr *err)
{
	const struct cli_getopt *g = cli->getopt_tables;
	int c, id;

	if (!cli->started) {
		optind = 0; /* glibc: begin anew */
		opterr = 0;
		cli->started = true;
	}
	c = getopt_long(cli->argc, cli->argv, g->shorts, g->longs, NULL);
	if (c != -1) {
		id = cli_id(cli, c, err);
		if (id <= 0)
			cli_end(cli);
		return (id);
	}
	cli->arg = NULL;
	cli->rest = cli->argv + optind;
	cli->nrest = cli->argc - optind;
	cli_end(cli);
	return (CLI_REST);
}

int
cli_fail(const struct cli *cli, const struct verr *err)
{
	(void)fflush(stdout);
	/* FILE:LINE: of a configuration error comes first, as editors like */
	if (err->code == VEX_CONFIG)
		(void)fprintf(stderr, "%s\n", err->text);
	else
		(void)fprintf(stderr, "%s: %s\n", cli->tool->name, err->text);
	return (err->code);
}

int
cli_finish(const struct cli *cli)
{
	struct verr err = VERR_INIT;

	return (cli_flush(&err) == 0 ? VEX_OK : cli_fail(cli, &err));
}
