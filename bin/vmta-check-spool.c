/*
 * vmta-check spool: states that should not be, one a line on standard output
 * as PATH, a tab, what is wrong; with --repair what can be set right is, and
 * says so.
 *
 * 0 nothing was found, or all of it was repaired; 1 something is left; 74, 75
 * when the spool could not be read.
 */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/esc.h"
#include "conf/conf.h"
#include "spool/check.h"
#include "spool/medium.h"
#include "spool/spool.h"
#include "vmta-check.h"

enum { O_CONFIG = 1, O_REPAIR };

static const struct cli_opt opts[] = {
	{ "config", 'C', "FILE", "read this configuration", O_CONFIG },
	{ "repair", 0, NULL, "set right what can be set right", O_REPAIR },
	CLI_END
};
static const struct cli_tool tool = { "vmta-check spool", "[OPTION ...]",
	"Look for states of the spool that should not be.", opts };

/* One finding. */
static void
say(void *arg, const struct spool_finding *f)
{
	struct buf b = BUF_INIT;

	(void)arg;
	/* a name in the spool may be anybody's */
	esc_line(&b, f->path, strlen(f->path));
	(void)printf("%s\t%s%s\n", buf_str(&b), f->what,
	    f->repaired	      ? " (repaired)" :
		f->repairable ? " (--repair can set it right)" :
				"");
	buf_release(&b);
}

/* What it lies on may not keep what is promised: no state, and no finding. */
static void
warn_medium(const struct spool *sp)
{
	const char *doubt = spool_medium_doubt(sp);

	if (doubt != NULL)
		(void)fprintf(stderr, "warning: the spool's filesystem: %s\n",
		    doubt);
}

/* Open the spool that the configuration names, and check it. */
static int
check(const struct cli *cli, const char *file, bool repair)
{
	struct verr err = VERR_INIT;
	struct spool *sp = NULL;
	struct spool_tally tally = { 0 };
	struct conf *c;
	int rc;

	if (conf_open(sys_real(), file, &c, &err) == -1)
		return (cli_fail(cli, &err));
	rc = spool_open(sys_real(), conf_spool(c), &sp, &err);
	if (rc == 0)
		warn_medium(sp);
	if (rc == 0)
		rc = spool_check(sp, repair, say, NULL, &tally, &err);
	spool_close(sp);
	conf_unref(c);
	if (rc == -1)
		return (cli_fail(cli, &err));
	(void)fprintf(stderr,
	    "%llu virtual-mta, %llu batches, %llu messages, "
	    "%llu open recipients, %llu findings\n",
	    (unsigned long long)tally.vmtas, (unsigned long long)tally.batches,
	    (unsigned long long)tally.messages, (unsigned long long)tally.open,
	    (unsigned long long)tally.findings);
	rc = cli_finish(cli);
	return (rc == VEX_OK && tally.findings > 0 ? VEX_PART : rc);
}

int
check_cmd_spool(int argc, char **argv)
{
	const char *file = NULL;
	struct verr err = VERR_INIT;
	struct cli cli;
	bool repair = false;
	int id;

	cli_init(&cli, &tool, argc, argv);
	while ((id = cli_next(&cli, &err)) > 0)
		if (id == O_CONFIG)
			file = cli.arg;
		else
			repair = true;
	if (id == CLI_DONE)
		return (VEX_OK);
	if (id == CLI_REST && cli.nrest > 0)
		id = verr_set(&err, VEX_USAGE, "unexpected argument '%s'",
		    cli.rest[0]);
	if (id == CLI_ERROR)
		return (cli_fail(&cli, &err));
	return (check(&cli, file, repair));
}
