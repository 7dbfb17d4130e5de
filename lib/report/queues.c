/*
 * Tables of what report/live.h finds. Times are as accounting writes them; an
 * empty nextTry means now, or, where the state says held or paused, never.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acct/segment.h"
#include "base/buf.h"
#include "base/stamp.h"
#include "report/live.h"
#include "report/queues.h"
#include "spool/spool.h"

static const struct report_col queue_cols[] = {
	{ "queue", "queue", 36, false },
	{ "rcpts", "rcpts", 9, true },
	{ "kbytes", "kbytes", 9, true },
	{ "conns", "conns", 5, true },
	{ "mode", "mode", 7, false },
	{ "state", "state", 8, false },
	{ "reason", "reason", 20, false },
	{ "nextTry", "next try", 24, false },
	{ "oldest", "oldest", 24, false },
	{ "lastError", "last error", 0, false },
};
#define QUEUE_COLS (sizeof(queue_cols) / sizeof(queue_cols[0]))

struct queue_table {
	struct report_out out;
	int64_t now;
	uint64_t n;
};

/* Why it waits, in a few words. */
static const char *
queue_reason(const struct live_queue *q)
{
	if (strcmp(q->state, "orphan") == 0)
		return ("VirtualMTA not configured");
	if (strcmp(q->state, "paused") == 0)
		return ("paused");
	if (strcmp(q->state, "held") == 0)
		return ("held");
	if (q->why != NULL)
		return (q->why);
	if (strcmp(q->state, "retry") == 0)
		return ("connection failed");
	if (strcmp(q->state, "deferred") == 0)
		return ("recipients deferred");
	return (q->paused > 0 ? "some jobs paused" : "");
}

/* When something of it is tried next; 0: now, or nobody knows. */
static int64_t
queue_next(const struct live_queue *q, int64_t now)
{
	int64_t next = q->next;

	if (strcmp(q->state, "orphan") == 0 ||
	    strcmp(q->state, "paused") == 0 || next == INT64_MAX)
		return (0);
	if (q->has_retry && q->retry.next > next)
		next = q->retry.next;
	return (next > now ? next : 0);
}

/* `4.4.1 mx (ip): text` */
static void
queue_error(const struct live_queue *q, struct buf *b)
{
	if (!q->has_retry)
		return;
	buf_adds(b, q->retry.status);
	if (q->retry.host != NULL)
		buf_addf(b, "%s%s", b->len > 0 ? " " : "", q->retry.host);
	if (q->retry.error != NULL)
		buf_addf(b, "%s%s", b->len > 0 ? ": " : "", q->retry.error);
}

static int
on_queue(void *arg, const struct live_queue *q, struct verr *err)
{
	char rcpts[24], kbytes[24], conns[24], next[32] = "", old[32] = "";
	char name[SPOOL_DOMAIN_MAX + SPOOL_VMTA_MAX + 2];
	struct queue_table *t = arg;
	struct buf error = BUF_INIT;
	const char *value[QUEUE_COLS];
	int64_t at = queue_next(q, t->now);

	(void)err;
	(void)snprintf(name, sizeof(name), "%s/%s", q->domain, q->vmta);
	(void)snprintf(rcpts, sizeof(rcpts), "%" PRIu64, q->rcpts);
	(void)snprintf(kbytes, sizeof(kbytes), "%" PRIu64,
	    (q->bytes + 1023) / 1024);
	(void)snprintf(conns, sizeof(conns), "%u", q->conns);
	if (at != 0)
		(void)stamp_acct(at, next);
	if (q->oldest != 0)
		(void)stamp_acct(q->oldest, old);
	queue_error(q, &error);
	value[0] = name;
	value[1] = rcpts;
	value[2] = kbytes;
	value[3] = conns;
	value[4] = "normal";
	value[5] = q->state;
	value[6] = queue_reason(q);
	value[7] = next;
	value[8] = old;
	value[9] = buf_str(&error);
	report_out_row(&t->out, value);
	buf_release(&error);
	t->n++;
	return (0);
}

int
report_queues(struct spool *sp, const struct conf *conf,
    const struct report_filter *f, int64_t now, FILE *out,
    enum report_format format, uint64_t *ret_n, struct verr *err)
{
	struct queue_table t = { .now = now };
	int rc;

	report_out_begin(&t.out, out, format, queue_cols, QUEUE_COLS, false);
	rc = live_walk(sp, conf, f, now, on_queue, &t, NULL, err);
	report_out_end(&t.out);
	*ret_n = t.n;
	return (rc);
}

/* What the last minute and hour brought. */
struct recent {
	int64_t now;
	uint64_t minute[3]; /* delivered, bounced, deferred */
	uint64_t hour[3];
};

static int
on_recent(void *arg, struct report_row *row, struct verr *err)
{
	struct recent *r = arg;
	int i = row->type == RECORD_D ? 0 : row->type == RECORD_B ? 1 : 2;

	(void)err;
	r->hour[i]++;
	if (row->logged > r->now - 60)
		r->minute[i]++;
	return (0);
}

/* Segments and octets of the journal. */
static int
journal_size_of(struct spool *sp, uint64_t *ret_n, uint64_t *ret_bytes,
    struct verr *err)
{
	char name[SEGMENT_NAME_MAX];
	struct segment_list l;
	struct stat st;
	size_t i;

	*ret_bytes = 0;
	if (segment_list(sp->sys, sp->acct_fd, &l, err) == -1)
		return (-1);
	for (i = 0; i < l.n; i++)
		if (sp->sys->fstatat(sp->sys, sp->acct_fd,
			segment_name(l.id[i].s, l.live[i], name), &st, 0) == 0)
			*ret_bytes += (uint64_t)st.st_size;
	*ret_n = l.n;
	segment_list_release(&l);
	return (0);
}

static const struct report_col status_cols[] = {
	{ "name", "name", 20, false },
	{ "value", "value", 0, true },
};

static void
put_number(struct report_out *o, const char *name, uint64_t v)
{
	char text[24];
	const char *value[2] = { name, text };

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	report_out_row(o, value);
}

/* A time; 0 and INT64_MAX: there is none. */
static void
put_time(struct report_out *o, const char *name, int64_t t)
{
	char text[STAMP_ACCT_LEN + 1] = "";
	const char *value[2] = { name, text };

	if (t != 0 && t != INT64_MAX)
		(void)stamp_acct(t, text);
	report_out_row(o, value);
}

static void
put_text(struct report_out *o, const char *name, const char *text)
{
	const char *value[2] = { name, text };

	report_out_row(o, value);
}

static void
status_write(struct report_out *o, const struct live_total *t,
    const struct recent *r, uint64_t segments, uint64_t bytes)
{
	put_number(o, "workers", t->workers);
	put_number(o, "vmtas", t->vmtas);
	put_number(o, "queues", t->queues);
	put_number(o, "batches", t->batches);
	put_number(o, "rcpts", t->rcpts);
	put_number(o, "kbytes", (t->bytes + 1023) / 1024);
	put_number(o, "due", t->due);
	put_number(o, "deferred", t->rcpts - t->due - t->held - t->paused);
	put_number(o, "held", t->held);
	put_number(o, "paused", t->paused);
	put_time(o, "oldest", t->oldest);
	put_time(o, "nextTry", t->next);
	put_number(o, "deliveredLastMinute", r->minute[0]);
	put_number(o, "bouncedLastMinute", r->minute[1]);
	put_number(o, "deferredLastMinute", r->minute[2]);
	put_number(o, "deliveredLastHour", r->hour[0]);
	put_number(o, "bouncedLastHour", r->hour[1]);
	put_number(o, "deferredLastHour", r->hour[2]);
	put_number(o, "journalSegments", segments);
	put_number(o, "journalBytes", bytes);
	put_text(o, "dnsBrake", t->brake);
}

int
report_status(struct spool *sp, const struct conf *conf,
    const struct report_filter *f, int64_t now, FILE *out,
    enum report_format format, struct verr *err)
{
	struct report_filter last = *f;
	struct report_count count;
	struct recent recent = { .now = now };
	struct live_total total;
	struct report_out o;
	uint64_t segments, bytes;

	last.since = now - 3600 + 1;
	last.until = 0;
	last.types = RECORD_D | RECORD_B | RECORD_T;
	if (live_walk(sp, conf, f, now, NULL, NULL, &total, err) == -1 ||
	    report_rows(sp->sys, sp, NULL, 0, &last, on_recent, &recent, &count,
		err) == -1 ||
	    journal_size_of(sp, &segments, &bytes, err) == -1)
		return (-1);
	report_out_begin(&o, out, format, status_cols, 2, false);
	status_write(&o, &total, &recent, segments, bytes);
	report_out_end(&o);
	return (0);
}
