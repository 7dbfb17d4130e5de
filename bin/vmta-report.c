/*
 * vmta-report: what happened, what is happening. The reports are lib/report;
 * here are the options, and what each report needs opened.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "conf/conf.h"
#include "report/filter.h"
#include "report/find.h"
#include "report/out.h"
#include "report/queues.h"
#include "report/summary.h"
#include "spool/spool.h"

enum { O_CONFIG = 'C', O_FORMAT = 256, O_SINCE, O_UNTIL, O_LAST };
enum { O_VMTA = 300, O_DOMAIN, O_QUEUE, O_JOB, O_FROM, O_RCPT, O_ID };
enum { O_TYPE = 400, O_BY };

static const struct cli_opt opts[] = {
	{ "config", 'C', "FILE", "read this configuration", O_CONFIG },
	{ "format", 0, "FORMAT", "text (default), csv or json", O_FORMAT },
	{ "since", 0, "TIME", "what was logged from this time on", O_SINCE },
	{ "until", 0, "TIME", "what was logged before this time", O_UNTIL },
	{ "last", 0, "INTERVAL", "what was logged lately, as 3h15m", O_LAST },
	{ "vmta", 0, "NAME", "only this VirtualMTA (* is any text)", O_VMTA },
	{ "domain", 0, "NAME", "only this recipient domain", O_DOMAIN },
	{ "queue", 0, "D/V", "only this queue", O_QUEUE },
	{ "job", 0, "ID", "only this job", O_JOB },
	{ "from", 0, "ADDRESS", "only this envelope sender", O_FROM },
	{ "rcpt", 0, "ADDRESS", "only this recipient", O_RCPT },
	{ "id", 0, "ID", "only this message", O_ID },
	{ "type", 0, "TYPE", "only d, b, t, tq or r records (may be repeated)",
	    O_TYPE },
	{ "by", 0, "WHAT", "vmta, domain, source, job, from, hour, day", O_BY },
	CLI_END
};
static const struct cli_tool tool = { "vmta-report",
	"[OPTION ...] summary|find|queues|status [ACCT-FILE ...]",
	"Report what was delivered, bounced and deferred, and what is queued.",
	opts };

struct request {
	const char *config;
	enum report_format format;
	struct report_filter filter;
	unsigned int by; /* 0: the sections that one wants most */
	int64_t now;
	const char *report;
	char **files;
	size_t n_files;
	struct sys *sys;
	struct conf *conf;
	struct spool *sp;
	struct report_count count;
};

/* --since, --until, --last */
static int
set_time(struct request *rq, int id, const char *arg, struct verr *err)
{
	int64_t *t = id == O_UNTIL ? &rq->filter.until : &rq->filter.since;
	int64_t ms;

	if (id == O_LAST && unit_interval(arg, &ms) == 0)
		*t = rq->now - ms / 1000;
	else if (id == O_LAST || stamp_parse(arg, rq->now, t) == -1)
		return (verr_set(err, VEX_USAGE, "%s: not a%s", arg,
		    id == O_LAST ? "n interval" : " time"));
	return (0);
}

/* --format, --by, --type */
static int
set_word(struct request *rq, int id, const char *arg, struct verr *err)
{
	enum summary_by by = SUMMARY_TOTAL;
	unsigned int type = 0;
	bool ok;

	if (id == O_FORMAT)
		ok = report_format_parse(arg, &rq->format) == 0;
	else if (id == O_BY)
		ok = summary_by_parse(arg, &by) == 0;
	else
		ok = (type = record_type_bit(arg)) != 0;
	if (!ok)
		return (verr_set(err, VEX_USAGE,
		    "%s: there is no such %s (see --help)", arg,
		    id == O_BY	     ? "summary" :
			id == O_TYPE ? "record" :
				       "format"));
	if (id == O_BY)
		rq->by |= 1u << by;
	rq->filter.types |= type;
	return (0);
}

/* Options that are texts: where each goes. */
static const struct {
	int id;
	size_t off;
} texts[] = {
	{ O_CONFIG, offsetof(struct request, config) },
	{ O_VMTA, offsetof(struct request, filter.vmta) },
	{ O_DOMAIN, offsetof(struct request, filter.domain) },
	{ O_QUEUE, offsetof(struct request, filter.queue) },
	{ O_JOB, offsetof(struct request, filter.job) },
	{ O_FROM, offsetof(struct request, filter.from) },
	{ O_RCPT, offsetof(struct request, filter.rcpt) },
	{ O_ID, offsetof(struct request, filter.id) },
};

/* One option. */
static int
set_option(struct request *rq, int id, const char *arg, struct verr *err)
{
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].id == id) {
			memcpy((char *)rq + texts[i].off, &arg, sizeof(arg));
			return (0);
		}
	if (id == O_SINCE || id == O_UNTIL || id == O_LAST)
		return (set_time(rq, id, arg, err));
	return (set_word(rq, id, arg, err));
}

static int
do_summary(struct request *rq, uint64_t *ret_n, struct verr *err)
{
	struct summary *s;
	unsigned int by = rq->by;
	int rc;

	if (by == 0)
		by = 1u << SUMMARY_TOTAL | 1u << SUMMARY_VMTA |
		    1u << SUMMARY_DOMAIN | 1u << SUMMARY_SOURCE;
	s = summary_new(by);
	rc = report_rows(rq->sys, rq->sp, rq->files, rq->n_files, &rq->filter,
	    summary_add, s, &rq->count, err);
	if (rc == 0 && (summary_rows(s) > 0 || rq->format != REPORT_TEXT))
		summary_write(s, stdout, rq->format, rq->by == 0 ? 20 : 0);
	*ret_n = summary_rows(s);
	summary_free(s);
	return (rc);
}

static int
do_find(struct request *rq, uint64_t *ret_n, struct verr *err)
{
	struct find fi;
	int rc;

	find_begin(&fi, stdout, rq->format);
	rc = report_rows(rq->sys, rq->sp, rq->files, rq->n_files, &rq->filter,
	    find_add, &fi, &rq->count, err);
	find_end(&fi);
	*ret_n = fi.rows;
	return (rc);
}

static int
do_queues(struct request *rq, uint64_t *ret_n, struct verr *err)
{
	return (report_queues(rq->sp, rq->conf, &rq->filter, rq->now, stdout,
	    rq->format, ret_n, err));
}

static int
do_status(struct request *rq, uint64_t *ret_n, struct verr *err)
{
	*ret_n = 1;
	return (report_status(rq->sp, rq->conf, &rq->filter, rq->now, stdout,
	    rq->format, err));
}

static const struct {
	const char *name;
	int (*run)(struct request *rq, uint64_t *ret_n, struct verr *err);
	bool files; /* may it be about files that are named? */
} reports[] = {
	{ "summary", do_summary, true },
	{ "find", do_find, true },
	{ "queues", do_queues, false },
	{ "status", do_status, false },
};

/* Open what is needed and write the report; the exit code, or -1. */
static int
run(struct request *rq, struct verr *err)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < sizeof(reports) / sizeof(reports[0]); i++)
		if (strcmp(rq->report, reports[i].name) == 0)
			break;
	if (i == sizeof(reports) / sizeof(reports[0]))
		return (verr_set(err, VEX_USAGE,
		    "%s: there is no such report (see --help)", rq->report));
	if (rq->n_files > 0 && !reports[i].files)
		return (verr_set(err, VEX_USAGE, "%s takes no files",
		    rq->report));
	if (rq->n_files == 0 &&
	    (conf_open(rq->sys, rq->config, &rq->conf, err) == -1 ||
		spool_open(rq->sys, conf_spool(rq->conf), &rq->sp, err) == -1))
		return (-1);
	if (reports[i].run(rq, &n, err) == -1)
		return (-1);
	if (rq->count.bad > 0)
		(void)fprintf(stderr,
		    "vmta-report: %llu lines are no "
		    "records and were left out, the first at %s\n",
		    (unsigned long long)rq->count.bad, rq->count.first_bad);
	return (n > 0 ? VEX_OK : VEX_PART);
}

int
main(int argc, char **argv)
{
	struct request rq = { .sys = sys_real() };
	struct verr err = VERR_INIT;
	struct cli cli;
	bool bad = false;
	int id, rc;

	rq.now = sys_now(rq.sys);
	cli_init(&cli, &tool, argc, argv);
	while ((id = cli_next(&cli, &err)) > 0)
		bad = bad || set_option(&rq, id, cli.arg, &err) == -1;
	if (id != CLI_REST || bad)
		return (id == CLI_DONE ? VEX_OK : cli_fail(&cli, &err));
	rq.report = cli.nrest > 0 ? cli.rest[0] : "";
	rq.files = cli.rest + 1;
	rq.n_files = cli.nrest > 1 ? (size_t)cli.nrest - 1 : 0;
	rc = run(&rq, &err);
	spool_close(rq.sp);
	conf_unref(rq.conf);
	if (rc == -1)
		return (cli_fail(&cli, &err));
	id = cli_finish(&cli);
	return (id != VEX_OK ? id : rc);
}
