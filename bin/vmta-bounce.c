/*
 * vmta-bounce: what failed, and who must not be sent to any more. So far:
 * suppression lists.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "conf/conf.h"
#include "run/run.h"
#include "spool/spool.h"
#include "vmta-bounce.h"

#define BOUNCE_FILES 64 /* --from, that often */

enum { O_CONFIG = 'C', O_LIST = 256, O_FROM };

static const struct cli_opt bounce_opts[] = {
	{ "config", 'C', "FILE", "read this configuration", O_CONFIG },
	{ "list", 0, "NAME", "this list (" BOUNCE_LIST ")", O_LIST },
	{ "from", 0, "FILE", "entries, one a line; -: standard input", O_FROM },
	CLI_END
};

static const struct cli_tool bounce_tool = { "vmta-bounce",
	"suppress build|add|remove|check|list [--list NAME] [--from FILE ...] "
	"[ENTRY ...]",
	"keep the lists of those who get no mail", bounce_opts };

struct tool {
	const char *config;
	struct suppress s;
	char *from[BOUNCE_FILES];
	int fd[BOUNCE_FILES];
};

/* One option; 0 or -1. */
static int
bounce_option(struct tool *t, int id, char *arg, struct verr *err)
{
	if (id == O_CONFIG)
		t->config = arg;
	else if (id == O_LIST && !spool_vmta_valid(arg))
		return (verr_set(err, VEX_USAGE, "--list: no name of a list"));
	else if (id == O_LIST)
		t->s.list = arg;
	else if (t->s.n_from == BOUNCE_FILES)
		return (verr_set(err, VEX_USAGE, "more than %d files",
		    BOUNCE_FILES));
	else
		t->from[t->s.n_from++] = arg;
	return (0);
}

/* The files, opened as who calls: before we become the spool's owner. */
static int
bounce_files(struct tool *t, struct verr *err)
{
	struct stat st;
	int i, fd;

	for (i = 0; i < t->s.n_from; i++) {
		t->fd[i] = STDIN_FILENO;
		if (strcmp(t->from[i], "-") == 0)
			continue;
		fd = open(t->from[i],
		    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd == -1 || fstat(fd, &st) == -1)
			return (verr_set(err,
			    verr_code(errno) == VEX_TEMP ? VEX_TEMP : VEX_DATA,
			    "%s: %s", t->from[i], strerror(errno)));
		t->fd[i] = fd;
		if (!S_ISREG(st.st_mode))
			return (verr_set(err, VEX_DATA,
			    "%s: not a regular file", t->from[i]));
	}
	return (0);
}

/* Find and run the command; the exit code, or -1 with err. */
static int
bounce_command(struct tool *t, const struct cli *cli, struct verr *err)
{
	struct conf *c = NULL;
	struct spool *sp = NULL;
	int rc = -1;

	if (cli->nrest < 2 || strcmp(cli->rest[0], "suppress") != 0)
		return (verr_set(err, VEX_USAGE, "no command: suppress ..."));
	t->s.entry = cli->rest + 2;
	t->s.n_entry = cli->nrest - 2;
	if (suppress_known(cli->rest[1], &t->s, err) == 0 &&
	    bounce_files(t, err) == 0 &&
	    conf_open(sys_real(), t->config, &c, err) == 0 &&
	    run_become_owner(c, err) == 0 &&
	    spool_open(sys_real(), conf_spool(c), &sp, err) == 0)
		rc = suppress_command(sp, cli->rest[1], &t->s, err);
	if (sp != NULL)
		spool_close(sp);
	conf_unref(c);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct tool t = { .s = { .list = BOUNCE_LIST } };
	struct verr err = VERR_INIT;
	struct cli cli;
	int id, rc = 0;

	t.s.from = t.from;
	t.s.fd = t.fd;
	cli_init(&cli, &bounce_tool, argc, argv);
	while ((id = cli_next(&cli, &err)) > 0 && rc == 0)
		rc = bounce_option(&t, id, cli.arg, &err);
	if (id == CLI_DONE)
		return (VEX_OK);
	rc = rc == 0 && id != CLI_ERROR ? bounce_command(&t, &cli, &err) : -1;
	if (rc == -1)
		return (cli_fail(&cli, &err));
	id = cli_finish(&cli);
	return (id != VEX_OK ? id : rc);
}
