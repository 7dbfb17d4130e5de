/*
 * vmta-runq: deliver what is due. Options, configuration, rights, then one
 * call of the library.
 */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/log.h"
#include "base/unit.h"
#include "conf/conf.h"
#include "run/dry.h"
#include "run/run.h"

enum {
	O_CONFIG = 'C',
	O_ONCE = 256,
	O_LINGER,
	O_DAEMON,
	O_PATIENCE,
	O_WORKERS,
	O_VMTA,
	O_DOMAIN,
	O_QUEUE,
	O_NOW,
	O_DRY,
	O_TRACE
};

static const struct cli_opt runq_opts[] = {
	{ "config", 'C', "FILE", "read this configuration", O_CONFIG },
	{ "once", 0, NULL, "deliver what is due now, then return (default)",
	    O_ONCE },
	{ "linger", 0, "TIME", "stay that long after the last mail", O_LINGER },
	{ "daemon", 0, NULL, "stay until a signal ends it", O_DAEMON },
	{ "patience", 0, "TIME",
	    "with --once: wait so long for a limit (default 1m)", O_PATIENCE },
	{ "workers", 0, "N", "processes that share the VirtualMTAs (1)",
	    O_WORKERS },
	{ "vmta", 0, "NAME", "only this VirtualMTA", O_VMTA },
	{ "domain", 0, "NAME", "only this recipient domain", O_DOMAIN },
	{ "queue", 0, "DOMAIN/VMTA", "only this queue", O_QUEUE },
	{ "now", 0, NULL, "ignore retry times, never limits", O_NOW },
	{ "dry-run", 0, NULL, "print what would be tried, and when", O_DRY },
	{ "trace", 0, "DOMAIN/VMTA",
	    "send one message, its session on standard error", O_TRACE },
	CLI_END
};

static const struct cli_tool runq_tool = { "vmta-runq", "[OPTION ...]",
	"deliver what is due", runq_opts };

struct runq {
	struct run_options run;
	const char *config;
	bool dry;
	char domain[256]; /* of --trace, --domain */
};

/* An interval from the command line; 0 or -1. */
static int
runq_interval(const char *opt, const char *arg, int64_t *ret_ms,
    struct verr *err)
{
	if (unit_interval(arg, ret_ms) == -1)
		return (verr_set(err, VEX_USAGE, "--%s: not an interval: %s",
		    opt, arg));
	return (0);
}

/* DOMAIN/VMTA of --queue and --trace. */
static int
runq_queue(struct runq *r, const char *opt, const char *arg, struct verr *err)
{
	const char *slash = strrchr(arg, '/');
	char name[300];

	if (slash == NULL || slash == arg || slash[1] == '\0' ||
	    (size_t)(slash - arg) >= sizeof(name))
		return (verr_set(err, VEX_USAGE, "--%s: not DOMAIN/VMTA: %s",
		    opt, arg));
	memcpy(name, arg, (size_t)(slash - arg));
	name[slash - arg] = '\0';
	if (conf_domain(name, r->domain) == -1)
		return (verr_set(err, VEX_USAGE, "--%s: no domain: %s", opt,
		    name));
	r->run.domain = r->domain;
	r->run.vmta = slash + 1;
	return (0);
}

/* --workers N. */
static int
runq_workers(struct runq *r, const char *arg, struct verr *err)
{
	int64_t n;

	if (unit_int(arg, &n) == -1 || n < 1 || n > 256)
		return (verr_set(err, VEX_USAGE,
		    "--workers: not a number from 1 to 256: %s", arg));
	r->run.workers = (unsigned int)n;
	return (0);
}

/* One option; 0 or -1. */
static int
runq_option(struct runq *r, int id, const char *arg, struct verr *err)
{
	switch (id) {
	case O_CONFIG:
		r->config = arg;
		return (0);
	case O_ONCE:
		r->run.mode = RUN_ONCE;
		return (0);
	case O_LINGER:
		r->run.mode = RUN_LINGER;
		return (runq_interval("linger", arg, &r->run.linger, err));
	case O_DAEMON:
		r->run.mode = RUN_DAEMON;
		return (0);
	case O_PATIENCE:
		return (runq_interval("patience", arg, &r->run.patience, err));
	case O_WORKERS:
		return (runq_workers(r, arg, err));
	case O_VMTA:
		r->run.vmta = arg;
		return (0);
	case O_DOMAIN:
		if (conf_domain(arg, r->domain) == -1)
			return (verr_set(err, VEX_USAGE,
			    "--domain: no domain: %s", arg));
		r->run.domain = r->domain;
		return (0);
	case O_NOW:
		r->run.now = true;
		return (0);
	case O_DRY:
		r->dry = true;
		return (0);
	case O_QUEUE:
		return (runq_queue(r, "queue", arg, err));
	default:
		r->run.trace = arg;
		r->run.now = true;
		return (runq_queue(r, "trace", arg, err));
	}
}

/* Warnings and the log, as configured. */
static int
runq_log(const struct runq *r, const struct conf *c, struct verr *err)
{
	struct conf_list warnings = conf_warnings(c);
	const char *text = NULL;

	if (r->run.trace != NULL)
		log_to_stderr("vmta-runq");
	else if (log_open("vmta-runq", conf_global(c)->log_file, err) == -1)
		return (-1);
	if (conf_stale(c) != NULL)
		log_event(LOG_LV_WARN, "configuration", "text", conf_stale(c),
		    NULL);
	while ((text = conf_list_next(&warnings, text)) != NULL)
		log_event(LOG_LV_WARN, "configuration", "text", text, NULL);
	return (0);
}

/* Run; the exit code. */
static int
runq_main(struct runq *r, const struct cli *cli)
{
	struct verr err = VERR_INIT;
	struct conf *c = NULL;
	int rc;

	if (conf_open(sys_real(), r->config, &c, &err) == -1)
		return (cli_fail(cli, &err));
	rc = run_become_owner(c, &err);
	if (rc == 0)
		rc = runq_log(r, c, &err);
	if (rc == 0 && r->run.vmta != NULL && conf_vmta(c, r->run.vmta) == NULL)
		rc = verr_set(&err, VEX_USAGE, "no VirtualMTA %s", r->run.vmta);
	if (rc == 0 && r->dry)
		rc = dry_print(sys_real(), c, &r->run, stdout, &err);
	else if (rc == 0)
		rc = run_deliver(sys_real(), c, &r->run, &err);
	log_close();
	conf_unref(c);
	return (rc == 0 ? cli_finish(cli) : cli_fail(cli, &err));
}

int
main(int argc, char **argv)
{
	struct runq r = { .run = { .patience = 60000, .workers = 1 } };
	struct verr err = VERR_INIT;
	struct cli cli;
	bool bad = false;
	int id;

	cli_init(&cli, &runq_tool, argc, argv);
	while ((id = cli_next(&cli, &err)) > 0)
		bad = bad || runq_option(&r, id, cli.arg, &err) == -1;
	if (id == CLI_DONE)
		return (VEX_OK);
	if (id == CLI_ERROR || bad)
		return (cli_fail(&cli, &err));
	if (cli.nrest > 0) {
		(void)verr_set(&err, VEX_USAGE, "unexpected operand: %s",
		    cli.rest[0]);
		return (cli_fail(&cli, &err));
	}
	return (runq_main(&r, &cli));
}
