/*
 * vmta-queue: look at the queue and take hold of it. The commands that read
 * (list, count, show, why) go to lib/report, those that change something to
 * the owners (lib/run/ask), pauses to the spool's state.
 */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "conf/conf.h"
#include "report/listing.h"
#include "report/queues.h"
#include "run/ask.h"
#include "run/run.h"
#include "spool/select.h"
#include "spool/spool.h"
#include "spool/state.h"

enum {
	O_CONFIG = 'C',
	O_FORMAT = 256,
	O_DRY,
	O_NO_ACCOUNTING,
	O_TO,
	O_SELECT /* and above: a term of the selection */
};

static const struct cli_opt queue_opts[] = {
	{ "config", 'C', "FILE", "read this configuration", O_CONFIG },
	{ "queue", 0, "DOMAIN/VMTA", "this queue", O_SELECT },
	{ "vmta", 0, "NAME", "this VirtualMTA", O_SELECT + 1 },
	{ "domain", 0, "NAME", "this recipient domain", O_SELECT + 2 },
	{ "from", 0, "ADDRESS", "this sender", O_SELECT + 3 },
	{ "rcpt", 0, "ADDRESS", "this recipient", O_SELECT + 4 },
	{ "job", 0, "ID", "this job", O_SELECT + 5 },
	{ "envid", 0, "ID", "this envelope id", O_SELECT + 6 },
	{ "state", 0, "STATE", "new, deferred or held", O_SELECT + 7 },
	{ "id", 0, "ID", "this message", O_SELECT + 8 },
	{ "older-than", 0, "TIME", "queued that long ago", O_SELECT + 9 },
	{ "all", 0, NULL, "everything", O_SELECT + 10 },
	{ "format", 0, "text|csv|json", "how to print", O_FORMAT },
	{ "dry-run", 0, NULL, "only say what would be changed", O_DRY },
	{ "no-accounting", 0, NULL, "delete without a record",
	    O_NO_ACCOUNTING },
	{ "to", 0, "VMTA", "move to this VirtualMTA", O_TO }, CLI_END
};

static const struct cli_tool queue_tool = { "vmta-queue",
	"list|count|show|why|delete|hold|release|retry-now|move|pause|resume "
	"[SELECTION]",
	"look at the queue and take hold of it", queue_opts };

struct tool {
	const struct cli *cli;
	const char *config;
	enum report_format format;
	bool dry;
	bool no_accounting;
	const char *to;
	struct selection sel;
	struct conf *conf;
	struct spool *sp;
	int64_t now;
};

static int
queue_list(struct tool *t, const char *command, struct verr *err)
{
	struct listing_count n;
	int rc;

	if (strcmp(command, "show") == 0)
		rc = listing_show(t->sp, t->conf, &t->sel, t->now, stdout, &n,
		    err);
	else
		rc = listing_print(t->sp, t->conf, &t->sel, t->now,
		    strcmp(command, "list") == 0 ? stdout : NULL, t->format, &n,
		    err);
	if (rc == -1)
		return (-1);
	if (strcmp(command, "count") == 0)
		(void)printf("%llu\n", (unsigned long long)n.rcpts);
	return (n.rcpts > 0 ? VEX_OK : VEX_PART);
}

/* Why queues wait: the live view of the queues that are meant. */
static int
queue_why(struct tool *t, const char *command, struct verr *err)
{
	struct report_filter f = { 0 };
	uint64_t n = 0;

	(void)command;
	f.queue = t->sel.n[SELECT_QUEUE] > 0 ? t->sel.value[SELECT_QUEUE][0] :
					       NULL;
	f.vmta = t->sel.n[SELECT_VMTA] > 0 ? t->sel.value[SELECT_VMTA][0] :
					     NULL;
	f.domain = t->sel.n[SELECT_DOMAIN] > 0 ?
	    t->sel.value[SELECT_DOMAIN][0] :
	    NULL;
	if (report_queues(t->sp, t->conf, &f, t->now, stdout, t->format, &n,
		err) == -1)
		return (-1);
	return (n > 0 ? VEX_OK : VEX_PART);
}

/* delete, hold, release, retry-now, move. */
static int
queue_change(struct tool *t, const char *command, struct verr *err)
{
	const char *extra[3];
	char to[sizeof("to=") + SPOOL_VMTA_MAX];
	struct control_reply rep;
	uint64_t matched = 0, changed = 0;
	size_t n = 0, i;
	int rc;

	if (t->dry)
		extra[n++] = "dry-run=yes";
	if (t->no_accounting)
		extra[n++] = "no-accounting=yes";
	if (t->to != NULL) {
		(void)snprintf(to, sizeof(to), "to=%s", t->to);
		extra[n++] = to;
	}
	rc = ask_owners(sys_real(), t->conf, command, &t->sel, extra, n, &rep,
	    err);
	for (i = 0; i < rep.n_flight; i++)
		(void)printf("in flight: %s %s %u\n", rep.flight[i].queue,
		    rep.flight[i].msgid, rep.flight[i].index);
	for (i = 0; i < rep.n_vmta; i++) {
		matched += rep.vmta[i].matched;
		changed += rep.vmta[i].changed;
	}
	if (rc == 0)
		(void)printf("%llu of %llu recipients\n",
		    (unsigned long long)changed, (unsigned long long)matched);
	if (rc == 0)
		rc = matched > 0 ? VEX_OK : VEX_PART;
	control_reply_release(&rep);
	return (rc);
}

/* move: the target is a VirtualMTA of the configuration. */
static int
queue_move(struct tool *t, const char *command, struct verr *err)
{
	if (conf_pool(t->conf, t->to) != NULL)
		return (verr_set(err, VEX_DATA,
		    "--to: '%s' is a pool: name one of its VirtualMTAs",
		    t->to));
	if (conf_vmta(t->conf, t->to) == NULL)
		return (verr_set(err, VEX_DATA,
		    "--to: unknown VirtualMTA '%.64s'", t->to));
	return (queue_change(t, command, err));
}

/* The i-th value of a key, NULL when there are fewer. */
static const char *
queue_value(const struct tool *t, enum select_key key, size_t i)
{
	return (i < t->sel.n[key] ? t->sel.value[key][i] : NULL);
}

/* Several keys, and several values of one: no list of pauses says that. */
static bool
queue_pause_odd(const struct selection *sel)
{
	size_t k, keys = 0, most = 0;

	for (k = 0; k < SELECT_KEYS; k++) {
		keys += sel->n[k] > 0;
		if (sel->n[k] > most)
			most = sel->n[k];
	}
	return (keys > 1 && most > 1);
}

/* pause, resume: a pause for the i-th value of each key. */
static int
queue_pause(struct tool *t, const char *command, struct verr *err)
{
	bool add = strcmp(command, "pause") == 0;
	struct listing_count n;
	size_t i, removed = 0, some = 0;
	struct pause p;

	if (t->sel.n[SELECT_FROM] + t->sel.n[SELECT_RCPT] +
		    t->sel.n[SELECT_ENVID] + t->sel.n[SELECT_STATE] +
		    t->sel.n[SELECT_ID] >
		0 ||
	    t->sel.older_than > 0)
		return (verr_set(err, VEX_USAGE,
		    "%s takes --queue, --vmta, --domain, --job and --all",
		    command));
	if (queue_pause_odd(&t->sel))
		return (verr_set(err, VEX_USAGE,
		    "%s: one value each when options are combined", command));
	if (listing_print(t->sp, t->conf, &t->sel, t->now, NULL, t->format, &n,
		err) == -1)
		return (-1);
	for (i = 0; !t->dry; i++) {
		p = (struct pause) { queue_value(t, SELECT_QUEUE, i),
			queue_value(t, SELECT_VMTA, i),
			queue_value(t, SELECT_DOMAIN, i),
			queue_value(t, SELECT_JOB, i) };
		if (p.queue == NULL && p.vmta == NULL && p.domain == NULL &&
		    p.job == NULL) {
			if (i > 0)
				break;
			if (add)
				p.vmta = "*"; /* --all */
		}
		if ((add ? pause_add(t->sp, &p, err) :
			   pause_remove(t->sp, &p, &removed, err)) == -1)
			return (-1);
		some += removed;
	}
	(void)printf("%llu of %llu recipients\n",
	    (unsigned long long)(t->dry || (!add && some == 0) ? 0 : n.rcpts),
	    (unsigned long long)n.rcpts);
	return (VEX_OK);
}

static const struct {
	const char *name;
	int (*fn)(struct tool *t, const char *command, struct verr *err);
	bool changes; /* needs a SELECTION */
} queue_commands[] = {
	{ "list", queue_list, false },
	{ "count", queue_list, false },
	{ "show", queue_list, true },
	{ "why", queue_why, false },
	{ "delete", queue_change, true },
	{ "hold", queue_change, true },
	{ "release", queue_change, true },
	{ "retry-now", queue_change, true },
	{ "move", queue_move, true },
	{ "pause", queue_pause, true },
	{ "resume", queue_pause, true },
};
#define QUEUE_COMMANDS (sizeof(queue_commands) / sizeof(queue_commands[0]))

/* One option; 0 or -1. */
static int
queue_option(struct tool *t, int id, const char *arg, struct verr *err)
{
	static const char *const key[] = { "queue", "vmta", "domain", "from",
		"rcpt", "job", "envid", "state", "id", "older-than", "all" };

	switch (id) {
	case O_CONFIG:
		t->config = arg;
		return (0);
	case O_FORMAT:
		if (report_format_parse(arg, &t->format) == -1)
			return (verr_set(err, VEX_USAGE,
			    "--format: not text, csv or json: %s", arg));
		return (0);
	case O_DRY:
		t->dry = true;
		return (0);
	case O_NO_ACCOUNTING:
		t->no_accounting = true;
		return (0);
	case O_TO:
		t->to = arg;
		return (0);
	default:
		return (selection_add(&t->sel, key[id - O_SELECT],
		    arg != NULL ? arg : "", err));
	}
}

/* Find and run the command; the exit code, or -1 with err. */
static int
queue_command(struct tool *t, struct verr *err)
{
	const char *name = t->cli->nrest > 0 ? t->cli->rest[0] : "";
	size_t i;
	int rc;

	for (i = 0; i < QUEUE_COMMANDS; i++)
		if (strcmp(queue_commands[i].name, name) == 0)
			break;
	if (i == QUEUE_COMMANDS || t->cli->nrest > 1)
		return (verr_set(err, VEX_USAGE, "%s: %s",
		    i == QUEUE_COMMANDS ? "unknown command" :
					  "unexpected operand",
		    i == QUEUE_COMMANDS ? name : t->cli->rest[1]));
	if (queue_commands[i].changes && selection_empty(&t->sel))
		return (verr_set(err, VEX_USAGE,
		    "%s needs a SELECTION (--all: everything)", name));
	if ((queue_commands[i].fn == queue_move) != (t->to != NULL))
		return (verr_set(err, VEX_USAGE,
		    t->to != NULL ? "--to is for move" : "move needs --to"));
	if (conf_open(sys_real(), t->config, &t->conf, err) == -1 ||
	    run_become_owner(t->conf, err) == -1 ||
	    spool_open(sys_real(), conf_spool(t->conf), &t->sp, err) == -1)
		return (-1);
	if (conf_stale(t->conf) != NULL)
		(void)fprintf(stderr, "vmta-queue: %s\n", conf_stale(t->conf));
	t->now = sys_now(sys_real());
	rc = queue_commands[i].fn(t, name, err);
	return (rc);
}

int
main(int argc, char **argv)
{
	struct verr err = VERR_INIT;
	struct cli cli;
	struct tool t = { .cli = &cli };
	int id, rc = 0;

	selection_init(&t.sel);
	cli_init(&cli, &queue_tool, argc, argv);
	while ((id = cli_next(&cli, &err)) > 0 && rc == 0)
		rc = queue_option(&t, id, cli.arg, &err);
	if (id == CLI_DONE)
		return (VEX_OK);
	if (rc == 0 && id != CLI_ERROR)
		rc = queue_command(&t, &err);
	else
		rc = -1;
	if (t.sp != NULL)
		spool_close(t.sp);
	conf_unref(t.conf);
	selection_release(&t.sel);
	if (rc == -1)
		return (cli_fail(&cli, &err));
	id = cli_finish(&cli);
	return (id != VEX_OK ? id : rc);
}
