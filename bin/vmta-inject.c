/*
 * vmta-inject: put mail into the spool. Options, rights, configuration; then
 * one message from standard input (vmta-inject-message.c), or what one of the
 * other parts reads.
 *
 * It exits 0 only when all of it is on stable storage. A single message that
 * is refused leaves nothing behind; what a crash leaves is invisible.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/sys.h"
#include "base/unit.h"
#include "mail/xtext.h"
#include "submit/merge.h"
#include "vmta-inject.h"

enum {
	O_CONFIG = 'C',
	O_FROM = 'f',
	O_HEADER = 't',
	O_VERBOSE = 'v',
	O_VMTA = 256,
	O_JOB,
	O_ENVID,
	O_PRIORITY,
	O_AT,
	O_KEY,
	O_VERP,
	O_HOLD,
	O_SEED,
	O_BSMTP,
	O_MBOX,
	O_ALL,
	O_REJECTS,
	O_MERGE,
	O_DELIMITER,
	O_EMAIL,
	O_DEDUPE,
	O_UNDEFINED,
	O_PREVIEW,
	O_SERVE,
	O_PICKUP
};

static const struct cli_opt inject_opts[] = {
	{ "config", 'C', "FILE", "read this configuration", O_CONFIG },
	{ NULL, 'f', "SENDER", "envelope sender; <> for none", O_FROM },
	{ "vmta", 0, "NAME", "VirtualMTA or pool that sends it", O_VMTA },
	{ "job", 0, "ID", "the job that it belongs to", O_JOB },
	{ "envid", 0, "ID", "envelope id, returned in notices", O_ENVID },
	{ "priority", 0, "N", "0 to 100, higher goes first (50)", O_PRIORITY },
	{ "at", 0, "TIME", "send it then, not before", O_AT },
	{ "verp", 0, NULL, "a sender address for each recipient", O_VERP },
	{ "hold", 0, NULL, "queue it, to wait for vmta-queue release", O_HOLD },
	{ "seed-first", 0, "FILE", "hold all but the addresses in FILE",
	    O_SEED },
	{ "submit-id", 0, "KEY", "calls with the same key submit once", O_KEY },
	{ NULL, 't', NULL, "recipients from To, Cc and Bcc too", O_HEADER },
	{ NULL, 'v', NULL, "print id and recipients of messages", O_VERBOSE },
	{ "bsmtp", 0, NULL, "read batch SMTP from FILEs", O_BSMTP },
	{ "mbox", 0, NULL, "read messages from the mboxes FILE", O_MBOX },
	{ "pickup", 0, NULL, "take what is in the pickup directories",
	    O_PICKUP },
	{ "merge", 0, "LIST", "a message for each row of this CSV file",
	    O_MERGE },
	{ "email-column", 0, "NAME", "its column of recipients (email)",
	    O_EMAIL },
	{ "delimiter", 0, "C", "what parts its fields (a comma)", O_DELIMITER },
	{ "dedupe", 0, NULL, "of rows with one address only the first",
	    O_DEDUPE },
	{ "undefined", 0, "HOW", "keep or empty undefined variables",
	    O_UNDEFINED },
	{ "preview", 0, "N", "print the message of row N, submit nothing",
	    O_PREVIEW },
	{ "all-or-nothing", 0, NULL, "of a stream or a list all, or nothing",
	    O_ALL },
	{ "rejects", 0, "FILE", "what of it was refused, and why", O_REJECTS },
	{ "serve", 0, NULL, "speak with libvmta-submit, which runs it",
	    O_SERVE },
	CLI_END
};

static const struct cli_tool inject_tool = { "vmta-inject",
	"[OPTION ...] [RCPT ...] < message\n"
	"       vmta-inject --bsmtp [OPTION ...] [FILE ...]\n"
	"       vmta-inject --mbox -t [OPTION ...] [FILE ...]\n"
	"       vmta-inject --merge LIST [OPTION ...] < template\n"
	"       vmta-inject --pickup [-C FILE] [-v]",
	"put mail into the spool", inject_opts };

/* An option whose value is a number or a time. */
static int
inject_value(struct inject *j, int id, const char *arg, struct verr *err)
{
	int64_t n;

	if (id == O_PRIORITY) {
		if (unit_int(arg, &n) == -1 || n > 100)
			return (verr_set(err, VEX_USAGE,
			    "--priority: not a number from 0 to 100"));
		j->env.prio = (int)n;
		return (0);
	}
	if (stamp_parse(arg, sys_now(sys_real()), &j->env.due) == -1)
		return (verr_set(err, VEX_USAGE, "--at: not a time"));
	return (0);
}

/* An option of --merge. */
static int
inject_merge_option(struct inject *j, int id, const char *arg, struct verr *err)
{
	switch (id) {
	case O_EMAIL:
		j->email_column = arg;
		return (0);
	case O_DEDUPE:
		j->dedupe = true;
		return (0);
	case O_DELIMITER:
		j->delimiter = strcmp(arg, "tab") == 0 ? '\t' : arg[0];
		if (strchr("\"\r\n", j->delimiter) != NULL ||
		    (j->delimiter != '\t' && arg[1] != '\0'))
			return (verr_set(err, VEX_USAGE,
			    "--delimiter: one character, or tab"));
		return (0);
	case O_UNDEFINED:
		j->undefined = strcmp(arg, "keep") == 0 ?
		    SUBMIT_UNDEFINED_KEEP :
		    SUBMIT_UNDEFINED_EMPTY;
		if (strcmp(arg, "keep") != 0 && strcmp(arg, "empty") != 0)
			return (verr_set(err, VEX_USAGE,
			    "--undefined: keep or empty"));
		return (0);
	default:
		if (unit_int(arg, &j->preview) == -1 || j->preview == 0)
			return (verr_set(err, VEX_USAGE,
			    "--preview: not a number of a row"));
		return (0);
	}
}

/* One option; 0 or -1. */
static int
inject_option(struct inject *j, int id, const char *arg, struct verr *err)
{
	switch (id) {
	case O_CONFIG:
		j->config = arg;
		break;
	case O_FROM:
		j->sender = arg;
		break;
	case O_VMTA:
		j->env.vmta = arg;
		break;
	case O_JOB:
		j->env.job = arg;
		break;
	case O_ENVID:
		buf_clear(&j->envid);
		xtext_encode(arg, strlen(arg), &j->envid);
		j->env.envid = buf_str(&j->envid);
		break;
	case O_KEY:
		j->key = arg;
		break;
	case O_VERP:
		j->env.verp = true;
		break;
	case O_HOLD:
		j->env.hold = true;
		break;
	case O_SEED:
		j->env.hold = true;
		j->seed_file = arg;
		break;
	case O_HEADER:
		j->from_header = true;
		break;
	case O_VERBOSE:
		j->verbose = true;
		break;
	case O_BSMTP:
		j->bsmtp = true;
		break;
	case O_MBOX:
		j->mbox = true;
		break;
	case O_PICKUP:
		j->pickup = true;
		break;
	case O_ALL:
		j->all_or_nothing = true;
		break;
	case O_REJECTS:
		j->rejects = arg;
		break;
	case O_SERVE:
		j->serve = true;
		break;
	case O_MERGE:
		j->merge = arg;
		break;
	case O_DELIMITER:
	case O_EMAIL:
	case O_DEDUPE:
	case O_UNDEFINED:
	case O_PREVIEW:
		return (inject_merge_option(j, id, arg, err));
	default:
		return (inject_value(j, id, arg, err));
	}
	return (0);
}

/* What does not go together. */
static int
inject_usage(const struct inject *j, struct verr *err)
{
	if (j->pickup && !inject_pickup_alone(j))
		return (verr_set(err, VEX_USAGE,
		    "--pickup takes no operands, and -C and -v alone"));
	if (j->bsmtp &&
	    (j->sender != NULL || j->from_header || j->env.envid != NULL))
		return (verr_set(err, VEX_USAGE,
		    "-f, -t and --envid do not go with --bsmtp"));
	if (j->mbox && (j->bsmtp || !j->from_header))
		return (verr_set(err, VEX_USAGE,
		    "--mbox needs -t, and does not go with --bsmtp"));
	if (j->merge != NULL &&
	    (j->bsmtp || j->mbox || j->from_header || j->nrest > 0))
		return (verr_set(err, VEX_USAGE,
		    "--bsmtp, -t and recipients do not go with --merge"));
	if (j->serve &&
	    (j->bsmtp || j->mbox || j->merge != NULL || j->from_header ||
		j->nrest > 0))
		return (verr_set(err, VEX_USAGE,
		    "--serve takes nothing beside --config"));
	if (!j->bsmtp && !j->mbox && j->merge == NULL &&
	    (j->all_or_nothing || j->rejects != NULL))
		return (verr_set(err, VEX_USAGE,
		    "--all-or-nothing and --rejects need --bsmtp, --mbox or "
		    "--merge"));
	if (j->merge == NULL &&
	    (j->dedupe || j->delimiter != '\0' || j->email_column != NULL ||
		j->undefined != 0 || j->preview != 0))
		return (verr_set(err, VEX_USAGE,
		    "--dedupe, --delimiter, --email-column, --undefined and "
		    "--preview need --merge"));
	return (0);
}

/* `ID RECIPIENTS`, once it is durable. */
static void
inject_durable(void *arg, const char *id, size_t rcpts)
{
	(void)arg;
	(void)printf("%s %zu\n", id, rcpts);
}

int
inject_end(const struct cli *cli, uint64_t accepted, int code)
{
	int rc = cli_finish(cli);

	return (rc != VEX_OK && accepted == 0 ? rc : code);
}

/* Nothing can be submitted, because of err; the exit code. */
static int
inject_fail(const struct inject *j, const struct cli *cli,
    const struct verr *err)
{
	return (j->serve ? inject_serve_fail(err) : cli_fail(cli, err));
}

/* Submit as told; the exit code. */
static int
inject_submit(struct inject *j, struct submit *s, const struct conf *c,
    const struct cli *cli)
{
	struct verr err = VERR_INIT;

	if (j->verbose)
		submit_on_durable(s, inject_durable, NULL);
	if (j->seed_file != NULL &&
	    inject_seeds(j->seed_file, &j->seeds, &err) == -1)
		return (cli_fail(cli, &err));
	if (j->seed_file != NULL)
		j->env.seeds = &j->seeds;
	if (input_init(&j->in, &err) == -1 ||
	    (j->key != NULL && submit_key(s, j->key, &err) == -1))
		return (inject_fail(j, cli, &err));
	if (j->serve)
		return (inject_serve(j, s));
	if (j->bsmtp || j->mbox)
		return (inject_stream(j, s, cli));
	if (j->merge != NULL)
		return (inject_merge(j, s, cli));
	if (j->mode == 's')
		return (inject_smtp(j, s, conf_global(c)->host_name, cli));
	if (inject_message(j, s, &err) == -1)
		return (cli_fail(cli, &err));
	return (inject_end(cli, 1, VEX_OK));
}

/* The configuration: never the caller's when set-uid. */
static int
inject_conf(const struct inject *j, const struct rights *r, struct conf **ret_c,
    struct verr *err)
{
	char *file = j->config != NULL && !r->secure ?
	    strdup(j->config) :
	    conf_default_path(r->secure);
	int rc;

	if (file == NULL)
		return (verr_set(err, VEX_CONFIG, "no configuration file"));
	rc = rights_conf_ok(r, file, err);
	if (rc == 0)
		rc = conf_open(sys_real(), file, ret_c, err);
	free(file);
	return (rc);
}

/* With options read: configuration, rights, submission. */
static int
inject_main(struct inject *j, const struct rights *r, const struct cli *cli)
{
	struct submit_who who = { .source = r->source,
		.source_type = "api",
		.source_mta = "localhost",
		.user = r->user,
		.uid = r->uid,
		.users = j->users,
		.dot_ends = j->dot_ends,
		.notify = j->notify };
	struct verr err = VERR_INIT;
	struct conf *c = NULL;
	struct submit *s;
	int rc;

	if (inject_conf(j, r, &c, &err) == -1)
		return (inject_fail(j, cli, &err));
	if (conf_stale(c) != NULL && !j->serve)
		(void)fprintf(stderr, "%s\n", conf_stale(c));
	if (rights_become_owner(c, &err) == -1) {
		conf_unref(c);
		return (inject_fail(j, cli, &err));
	}
	if (j->pickup) {
		rc = inject_pickup(j, r, c, cli);
		conf_unref(c);
		return (rc);
	}
	/* who may write the spool may as well be a source of its own */
	if (j->serve && (r->uid == 0 || r->uid == geteuid()))
		who.source = "api";
	s = submit_open(sys_real(), c, &who);
	rc = inject_submit(j, s, c, cli);
	if (submit_warning(s) != NULL)
		(void)fprintf(stderr,
		    "%s: accepted, and left to the next run: %s\n",
		    cli->tool->name, submit_warning(s));
	submit_close(s);
	conf_unref(c);
	return (rc);
}

/* The options; 0, -1, or 1: all is done. */
static int
inject_args(struct inject *j, struct cli *cli, int argc, char **argv,
    struct verr *err)
{
	bool bad = false;
	int id;

	if (inject_is_sendmail(argv[0])) {
		*cli = (struct cli) { .tool = &inject_sendmail };
		if (inject_sendmail_args(j, argc, argv, err) == -1)
			return (-1);
		return (j->mode == 'i');
	}
	cli_init(cli, &inject_tool, argc, argv);
	while ((id = cli_next(cli, err)) > 0)
		bad = bad || inject_option(j, id, cli->arg, err) == -1;
	if (id == CLI_DONE)
		return (1);
	j->rest = cli->rest;
	j->nrest = cli->nrest;
	if (id == CLI_ERROR || bad || inject_usage(j, err) == -1)
		return (-1);
	return (0);
}

int
main(int argc, char **argv)
{
	struct inject j = { .env = { .prio = -1 } };
	struct verr err = VERR_INIT;
	struct rights r;
	struct cli cli;
	int rc, temp;

	/*
	 * sendmail's 75 says that the mail is queued, to be tried again, and
	 * a caller that knows this takes it for success (as PHP's mail() is
	 * written to). Ours says that nothing is: it must be an error to all.
	 */
	temp = inject_is_sendmail(argv[0]) ? VEX_IO : VEX_TEMP;
	mem_exit_code(temp);
	rights_init(&r, temp);
	rc = inject_args(&j, &cli, argc, argv, &err);
	if (rc == -1)
		return (cli_fail(&cli, &err));
	rc = rc == 1 ? VEX_OK : inject_main(&j, &r, &cli);
	if (rc == VEX_TEMP)
		rc = temp;
	input_release(&j.in);
	buf_release(&j.envid);
	map_release(&j.seeds, NULL);
	return (rc);
}
