/*
 * Listing recipients. Batches that a runner unlinks or renames meanwhile are
 * passed over: what is shown was true a moment ago.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "conf/conf.h"
#include "report/filter.h"
#include "report/listing.h"
#include "spool/list.h"
#include "spool/select.h"
#include "spool/spool.h"
#include "spool/state.h"
#include "spool/vars.h"

#define LISTING_TEXTS 4
#define LISTING_HEADER 65536 /* octets of a header that are shown */

static const struct report_col listing_col[] = {
	{ "id", "ID", 21, false },
	{ "rcptIndex", "IDX", 3, true },
	{ "queue", "QUEUE", 24, false },
	{ "orig", "FROM", 24, false },
	{ "rcpt", "TO", 24, false },
	{ "jobId", "JOB", 8, false },
	{ "envId", NULL, 0, false },
	{ "state", "STATE", 8, false },
	{ "attempts", "TRIES", 5, true },
	{ "queued", "QUEUED", 24, false },
	{ "nextTry", "NEXT TRY", 24, false },
	{ "priority", NULL, 0, true },
	{ "bytes", "BYTES", 8, true },
	{ "lastStatus", "STATUS", 6, false },
	{ "lastDiag", NULL, 0, false },
	{ "reason", "REASON", 8, false },
};
#define LISTING_COLS (sizeof(listing_col) / sizeof(listing_col[0]))

struct listing {
	struct spool *sp;
	const struct conf *conf;
	const struct selection *sel;
	int64_t now;
	FILE *text; /* show: people's text goes there */
	struct report_out *out;
	struct listing_count *count;
	struct pause_list *pauses;
	struct verr *err;
	/* of what is at hand: */
	const char *vmta;
	const char *domain;
	char queue[SPOOL_DOMAIN_MAX + SPOOL_VMTA_MAX + 2];
	enum batch_area area;
	struct retry_state retry;
	bool has_retry;
	struct batch_txn txn;
	uint32_t last_msg;
	struct buf cell[LISTING_TEXTS];
};

/* Why a recipient is not sent just now. */
static const char *
listing_reason(const struct listing *l, const struct batch_header *h,
    char state)
{
	if (batch_state_held(state))
		return ("held");
	if (pause_match(l->pauses, l->domain, l->vmta, h->job))
		return ("paused");
	if (l->conf != NULL && conf_vmta(l->conf, l->vmta) == NULL)
		return ("no-virtual-mta");
	if (l->has_retry && l->retry.next > l->now)
		return ("retry");
	return ("");
}

/*
 * A text as it is in the spool, made as the journal has it, so that a listing
 * and the reports show the same, and no text looks like another one's escape.
 * JSON has its own way.
 */
static const char *
listing_text(const struct listing *l, const char *s, struct buf *b)
{
	if (s == NULL || l->out->format == REPORT_JSON)
		return (s);
	buf_clear(b);
	esc_line(b, s, strlen(s));
	return (buf_str(b));
}

/* One recipient as a row. */
static void
listing_row(struct listing *l, const struct batch_header *h,
    const struct batch_msg *m, const struct batch_rcpt *r)
{
	char idx[16], tries[16], prio[16], bytes[24];
	char queued[STAMP_ACCT_LEN + 1], next[STAMP_ACCT_LEN + 1];
	int64_t due = l->has_retry && l->retry.next > r->next ? l->retry.next :
								r->next;
	const char *value[LISTING_COLS] = { m->msgid, idx, l->queue,
		listing_text(l, m->sender, &l->cell[0]),
		listing_text(l, r->rcpt, &l->cell[1]),
		listing_text(l, h->job, &l->cell[2]),
		listing_text(l, m->envid, &l->cell[3]),
		batch_state_word(r->state), tries,
		stamp_acct(h->queued, queued), stamp_acct(due, next), prio,
		bytes, l->has_retry ? l->retry.status : "",
		l->has_retry ? l->retry.error : "",
		listing_reason(l, h, r->state) };

	if (due < h->queued)
		value[10] = value[9]; /* never tried: since it is here */
	(void)snprintf(idx, sizeof(idx), "%u", r->index);
	(void)snprintf(tries, sizeof(tries), "%u", r->attempts);
	(void)snprintf(prio, sizeof(prio), "%d", h->prio);
	(void)snprintf(bytes, sizeof(bytes), "%llu",
	    (unsigned long long)m->size);
	report_out_row(l->out, value);
}

/* A line for people: `name: value`, when there is a value. */
static void
listing_line(struct listing *l, const char *name, const char *value)
{
	struct buf b = BUF_INIT;

	if (value == NULL || *value == '\0')
		return;
	report_safe(&b, value);
	(void)fprintf(l->text, "%-10s %s\n", name, buf_str(&b));
	buf_release(&b);
}

/* The header of a message, line by line, escaped. */
static int
listing_header(struct listing *l, struct batch *b, const struct batch_msg *m)
{
	size_t n = m->size < LISTING_HEADER ? (size_t)m->size : LISTING_HEADER;
	char *raw = xmalloc(n + 1), *p, *end;
	struct buf line = BUF_INIT;
	ssize_t got;
	off_t off;
	int fd;

	if (batch_content(b, m, &fd, &off, l->err) == -1) {
		free(raw);
		return (-1);
	}
	got = sys_pread_all(l->sp->sys, fd, raw, n, off);
	raw[got > 0 ? got : 0] = '\0';
	(void)fprintf(l->text, "\n");
	for (p = raw; (end = strstr(p, "\r\n")) != NULL && end != p;
	     p = end + 2) {
		buf_clear(&line);
		esc_line(&line, p, (size_t)(end - p));
		(void)fprintf(l->text, "    %s\n", buf_str(&line));
	}
	(void)fprintf(l->text, "\n");
	buf_release(&line);
	free(raw);
	return (0);
}

/* What the journal has about a message. */
static int
listing_on_record(void *arg, struct report_row *row, struct verr *err)
{
	struct listing *l = arg;
	struct buf b = BUF_INIT;

	(void)err;
	buf_addf(&b, "%s %s rcpt=%s status=%s mta=%s source=%s ",
	    row->field[COL_TIME_LOGGED], row->field[COL_TYPE],
	    row->field[COL_RCPT], row->field[COL_DSN_STATUS],
	    row->field[COL_DSN_MTA], row->field[COL_DLV_SOURCE_IP]);
	buf_adds(&b, row->field[COL_DSN_DIAG]);
	listing_line(l, "attempt", b.p);
	buf_release(&b);
	return (0);
}

/* A message and its first recipient, for people. */
static int
listing_message(struct listing *l, struct batch *b,
    const struct batch_header *h, const struct batch_msg *m)
{
	struct report_filter f = { .id = m->msgid,
		.types = RECORD_T | RECORD_D | RECORD_B };
	struct report_count count;
	char queued[STAMP_ACCT_LEN + 1], number[64];

	listing_line(l, "message", m->msgid);
	listing_line(l, "queue", l->queue);
	listing_line(l, "pool", h->pool);
	listing_line(l, "from", *m->sender != '\0' ? m->sender : "<>");
	listing_line(l, "job", h->job);
	listing_line(l, "envid", m->envid);
	listing_line(l, "source", h->source);
	listing_line(l, "queued", stamp_acct(h->queued, queued));
	(void)snprintf(number, sizeof(number), "%llu octets, priority %d",
	    (unsigned long long)m->size, h->prio);
	listing_line(l, "size", number);
	if (l->has_retry)
		listing_line(l, "last error", l->retry.error);
	if (report_rows(l->sp->sys, l->sp, NULL, 0, &f, listing_on_record, l,
		&count, l->err) == -1)
		return (-1);
	return (listing_header(l, b, m));
}

/* The variables of a recipient of a merge: `    name = value`. */
static void
listing_vars(struct listing *l, const struct batch_header *h,
    const struct batch_rcpt *r)
{
	const char *name = h->vars, *value = r->vars;
	struct buf b = BUF_INIT, line = BUF_INIT;
	int rc;

	while (name != NULL && value != NULL) {
		buf_clear(&b);
		buf_clear(&line);
		(void)vars_next(&name, &line);
		buf_adds(&line, " = ");
		rc = vars_next(&value, &b);
		if (rc == 1)
			buf_adds(&line, "(undefined)");
		else
			esc_line(&line, buf_str(&b), b.len);
		(void)fprintf(l->text, "    %s\n", buf_str(&line));
	}
	buf_release(&b);
	buf_release(&line);
}

/* A recipient, for people. */
static void
listing_rcpt(struct listing *l, const struct batch_header *h,
    const struct batch_rcpt *r)
{
	char next[STAMP_ACCT_LEN + 1];
	struct buf rcpt = BUF_INIT;

	report_safe(&rcpt, r->rcpt);
	(void)fprintf(l->text, "rcpt %u %s state=%s attempts=%u next=%s%s%s\n",
	    r->index, buf_str(&rcpt), batch_state_word(r->state), r->attempts,
	    r->next > 0 ? stamp_acct(r->next, next) : "-",
	    *listing_reason(l, h, r->state) != '\0' ? " reason=" : "",
	    listing_reason(l, h, r->state));
	listing_vars(l, h, r);
	buf_release(&rcpt);
}

/* One slot of an open batch. */
static int
listing_slot(struct listing *l, struct batch *b, uint32_t slot)
{
	const struct batch_header *h = batch_header(b);
	struct batch_slot s;
	bool first;

	batch_slot(b, slot, &s);
	if (batch_state_final(s.state) || !selection_state(l->sel, s.state))
		return (0);
	first = s.msg != l->last_msg;
	if (l->out != NULL || l->text != NULL || selection_needs_text(l->sel)) {
		if (batch_load(b, &slot, 1, &l->txn, l->err) == -1)
			return (-1);
		if (!selection_rcpt(l->sel, &l->txn.msg, &l->txn.rcpt[0]))
			return (0);
		if (first)
			l->count->bytes += l->txn.msg.size;
	}
	l->last_msg = s.msg;
	l->count->rcpts++;
	l->count->messages += first;
	if (l->out != NULL)
		listing_row(l, h, &l->txn.msg, &l->txn.rcpt[0]);
	if (l->text == NULL)
		return (0);
	if (first && listing_message(l, b, h, &l->txn.msg) == -1)
		return (-1);
	listing_rcpt(l, h, &l->txn.rcpt[0]);
	return (0);
}

static int
listing_on_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct listing *l = arg;
	struct verr err = VERR_INIT;
	struct batch *b = NULL;
	uint32_t i, slots;
	int rc = 0;

	if (n == NULL)
		return (0);
	if (batch_open(l->sp, l->vmta, l->area, l->domain, file, false, &b,
		&err) == -1)
		return (0); /* gone, or for vmta-check spool to tell */
	l->last_msg = UINT32_MAX;
	slots = batch_slots(b);
	if (selection_batch(l->sel, batch_header(b), l->now))
		for (i = 0; i < slots && rc == 0; i++)
			rc = listing_slot(l, b, i);
	batch_close(b);
	return (rc);
}

static int
listing_on_domain(void *arg, const char *domain, bool foreign)
{
	struct listing *l = arg;
	struct verr err = VERR_INIT;
	int rc;

	if (foreign || !selection_queue(l->sel, domain, l->vmta))
		return (0);
	l->domain = domain;
	(void)snprintf(l->queue, sizeof(l->queue), "%s/%s", domain, l->vmta);
	l->has_retry = retry_state_read(l->sp, l->vmta, domain, &l->retry,
			   &err) == 0;
	rc = spool_batches(l->sp, l->vmta, l->area, domain, listing_on_batch, l,
	    l->err);
	if (l->has_retry)
		retry_state_release(&l->retry);
	return (rc);
}

static int
listing_on_vmta(void *arg, const char *name, bool foreign)
{
	struct listing *l = arg;
	int rc;

	if (foreign || !selection_vmta(l->sel, name))
		return (0);
	l->vmta = name;
	l->area = BATCH_NEW;
	rc = spool_domains(l->sp, name, BATCH_NEW, listing_on_domain, l,
	    l->err);
	l->area = BATCH_CUR;
	if (rc == 0)
		rc = spool_domains(l->sp, name, BATCH_CUR, listing_on_domain, l,
		    l->err);
	return (rc);
}

/* The walk that all of them make. */
static int
listing_walk(struct listing *l)
{
	size_t i;
	int rc;

	memset(l->count, 0, sizeof(*l->count));
	batch_txn_init(&l->txn);
	rc = pause_list_read(l->sp, &l->pauses, l->err);
	if (rc == 0)
		rc = spool_vmtas(l->sp, listing_on_vmta, l, l->err);
	pause_list_free(l->pauses);
	batch_txn_release(&l->txn);
	for (i = 0; i < LISTING_TEXTS; i++)
		buf_release(&l->cell[i]);
	return (rc);
}

int
listing_print(struct spool *sp, const struct conf *conf,
    const struct selection *sel, int64_t now, FILE *out,
    enum report_format format, struct listing_count *ret_n, struct verr *err)
{
	struct report_out table = { 0 };
	struct listing l = { .sp = sp,
		.conf = conf,
		.sel = sel,
		.now = now,
		.out = out != NULL ? &table : NULL,
		.count = ret_n,
		.err = err };
	int rc;

	if (out == NULL)
		return (listing_walk(&l));
	report_out_begin(&table, out, format, listing_col, LISTING_COLS, false);
	rc = listing_walk(&l);
	report_out_end(&table);
	return (rc);
}

int
listing_show(struct spool *sp, const struct conf *conf,
    const struct selection *sel, int64_t now, FILE *out,
    struct listing_count *ret_n, struct verr *err)
{
	struct listing l = { .sp = sp,
		.conf = conf,
		.sel = sel,
		.now = now,
		.text = out,
		.count = ret_n,
		.err = err };

	return (listing_walk(&l));
}
