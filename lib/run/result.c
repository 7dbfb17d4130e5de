/*
 * Results. Every attempt makes one record in the journal and one line in the
 * log, both built here; the state in the batch follows when the record is
 * durable (run/wal.c).
 */
#include <stdlib.h>
#include <string.h>

#include "acct/record.h"
#include "acct/status.h"
#include "base/esc.h"
#include "base/log.h"
#include "run/queue.h"
#include "run/result.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/sess.h"
#include "run/wal.h"
#include "run/window.h"
#include "run/work.h"
#include "run/worker.h"

/* One recipient's result on its way into the journal. */
struct result {
	struct work *work;
	const struct batch_msg *msg;
	const struct batch_rcpt *rcpt;
	const char *type;   /* d, b, t */
	const char *status; /* `2.0.0` */
	const char *diag;   /* reply or our words */
	const char *category;
	char state;	   /* of the R line */
	uint32_t attempts; /* after this one */
	int64_t next;	   /* wall seconds, for t */
	uint32_t unsafe;   /* reservation and window to give back */
	bool large;	   /* of the large transaction */
	bool ours;	   /* it broke by our fault: no reason to expire */
};

/* The columns that come from the batch. */
static void
result_record(struct worker *w, const struct result *x,
    struct acct_record *ret_r)
{
	const struct batch_header *h = batch_header(x->work->batch);

	*ret_r = (struct acct_record) {
		.type = x->type,
		.time_logged = sys_now(w->sys),
		.time_queued = h->queued,
		.orig = x->msg->sender,
		.rcpt = x->rcpt->rcpt,
		.orcpt = x->rcpt->orcpt,
		.dsn_status = x->status,
		.dsn_diag = x->diag,
		.bounce_cat = x->category,
		.src_type = h->source_type,
		.src_mta = h->source_mta,
		.dlv_type = "smtp",
		.vmta = h->vmta,
		.job_id = h->job,
		.env_id = x->msg->envid,
		.queue = x->work->queue->name,
		.pool = h->pool,
		.user_string = conf_global(w->conf)->user_string,
		.msg_id = x->msg->msgid,
		.rcpt_index = x->rcpt->index,
		.batch = h->id,
		.state = x->state,
		.slot = x->rcpt->slot,
		.attempts = x->attempts,
		.next_try = x->next,
	};
}

/* Count it, log it, journal it. s may be NULL: no session was involved. */
static void
result_put(struct worker *w, const struct sess *s, const struct result *x,
    const char *mta)
{
	struct wal_effect e = { .work = x->work,
		.slot = x->rcpt->slot,
		.state = x->state,
		.attempts = (uint16_t)x->attempts,
		.next_try = x->next,
		.unsafe = x->unsafe,
		.large = x->large };
	struct acct_record r;

	result_record(w, x, &r);
	r.dsn_mta = mta;
	if (s != NULL) {
		r.dlv_source_ip = s->source;
		r.dlv_destination_ip = s->peer;
		r.dlv_esmtp = buf_str(&s->esmtp);
		r.dlv_size = (int64_t)x->msg->size;
		memcpy(e.source, s->source, sizeof(e.source) - 1);
	}
	switch (*x->type) {
	case 'd':
		w->count.delivered++;
		break;
	case 'b':
		w->count.bounced++;
		break;
	default:
		w->count.deferred++;
	}
	log_event(LOG_LV_INFO,
	    *x->type == 'd'	? "delivered" :
		*x->type == 'b' ? "bounced" :
				  "deferred",
	    "queue", x->work->queue->name, "session", s != NULL ? s->id : NULL,
	    "msgId", x->msg->msgid, "rcpt", x->rcpt->rcpt, "from",
	    x->msg->sender, "mta", mta, "source", s != NULL ? s->source : NULL,
	    "status", x->status, "diag", x->diag, NULL);
	x->work->flag[x->rcpt->slot] = WORK_PENDING;
	wal_append(w, &r, &e);
}

/* Expire, or set the next try of, a recipient that failed for now. */
static void
result_defer(struct worker *w, struct queue *q, struct result *x)
{
	const struct batch_header *h = batch_header(x->work->batch);
	const struct conf_queue *set = queue_set(w, q);
	int64_t next = retry_rcpt_next(w, set, x->attempts);
	int64_t window = window_next(x->work, next);
	bool over;

	x->next = window != -1 ? window : next;
	over = h->schedule != NULL ?
	    window == -1 :
	    retry_age(w, h) >= set->bounce_after / 1000;
	if (over && !x->ours) {
		x->next = 0;
		x->type = "b";
		x->state = 'b';
		x->status = "4.4.7";
		x->category = "message-expired";
		return;
	}
	x->type = "t";
	x->state = 't';
}

/* Fill x for a recipient that was tried. */
static void
result_judge(struct worker *w, struct sess *s, const struct smtp_result *r,
    struct result *x)
{
	x->attempts = x->rcpt->attempts + 1u;
	switch (r->cls) {
	case SMTP_DELIVERED:
		x->type = "d";
		x->state = 'd';
		s->delivered++;
		break;
	case SMTP_PERMANENT:
		x->type = "b";
		x->state = 'b';
		x->category = acct_bounce_category(x->status, r->code);
		break;
	default:
		if (r->cls == SMTP_AMBIGUOUS)
			w->count.ambiguous++;
		result_defer(w, s->queue, x);
	}
	if (r->code >= 400)
		s->errors++;
}

/* The reply of a result as one line: `250 2.0.0 OK`. */
static void
result_diag(const struct smtp_result *r, struct buf *b)
{
	buf_clear(b);
	if (r->cls == SMTP_AMBIGUOUS)
		buf_adds(b, "ambiguous: ");
	if (r->code > 0)
		buf_addf(b, "%d ", r->code);
	esc_string(b, r->text, r->text_len);
}

/* Was nothing of this transaction ever answered, on a connection that had
 * worked before? Then the message was not tried (the peer had gone). */
static bool
result_stale(const struct smtp_outcome *out, const struct smtp_result *r)
{
	return (r->cls == SMTP_BROKEN && out->reused && !out->answered &&
	    !out->end_sent);
}

/* Did it break, before the end of data, by what was our fault? */
static bool
result_ours(const struct sess *s, const struct smtp_outcome *out,
    const struct smtp_result *r)
{
	if (r->cls != SMTP_BROKEN)
		return (false);
	return (s->waited || sess_source_gone(s) ||
	    (out->failure != NULL && out->failure->blame == SMTP_BLAME_LOCAL));
}

/* How many of late were refused: decides whether bodies go ahead. */
static void
result_learn(struct queue *q, const struct smtp_result *r)
{
	if (r->stage != SMTP_STAGE_RCPT && r->cls != SMTP_DELIVERED)
		return;
	if (q->seen >= 128) {
		q->seen /= 2;
		q->refused /= 2;
	}
	q->seen++;
	if (r->cls != SMTP_DELIVERED)
		q->refused++;
}

void
result_apply(struct worker *w, struct sess *s, const struct smtp_outcome *out)
{
	struct buf diag = BUF_INIT, mta = BUF_INIT;
	char status[SMTP_STATUS_LEN + 1];
	struct txn *t = &s->txn;
	uint32_t window = t->window, tried = 0;
	uint64_t delivered = s->delivered;
	struct result x;
	size_t i;

	wal_answered(s);
	buf_addf(&mta, "%s (%s)", s->host, s->peer);
	for (i = 0; i < out->n_rcpt; i++) {
		const struct smtp_result *r = &out->rcpt[i];

		if (r->cls == SMTP_UNTRIED || result_stale(out, r) ||
		    result_ours(s, out, r)) {
			work_untake(w, t->work, t->b.rcpt[i].slot);
			continue;
		}
		result_diag(r, &diag);
		x = (struct result) { .work = t->work,
			.msg = &t->b.msg,
			.rcpt = &t->b.rcpt[i],
			.diag = buf_str(&diag),
			.status = smtp_status_text(&r->status, status),
			.ours = out->failure != NULL &&
			    out->failure->blame == SMTP_BLAME_LOCAL,
			.unsafe = window > 0,
			.large = t->large };
		window -= x.unsafe;
		result_judge(w, s, r, &x);
		result_learn(s->queue, r);
		result_put(w, s, &x, buf_str(&mta));
		tried++;
	}
	if (out->too_many_rcpts && tried > 0)
		s->rcpt_cap = tried;
	t->window = 0;
	t->loaded = false;
	wal_release(w, t, window);
	/* one that was given back keeps it open */
	if (tried < out->n_rcpt && out->failure != NULL &&
	    out->failure->blame == SMTP_BLAME_LOCAL)
		work_fault(w, t->work);
	if (s->delivered > delivered)
		retry_queue_ok(w, s->queue);
	buf_release(&diag);
	buf_release(&mta);
}

void
result_refuse(struct worker *w, struct sess *s, enum smtp_fit fit)
{
	struct smtp_status st;
	char status[SMTP_STATUS_LEN + 1];
	struct txn *t = &s->txn;
	struct buf mta = BUF_INIT;
	const char *text = "";
	struct result x;
	uint32_t i;

	st = smtp_fit_status(fit, &text);
	buf_addf(&mta, "%s (%s)", s->host, s->peer);
	for (i = 0; i < t->b.n; i++) {
		x = (struct result) { .work = t->work,
			.msg = &t->b.msg,
			.rcpt = &t->b.rcpt[i],
			.type = "b",
			.state = 'b',
			.status = smtp_status_text(&st, status),
			.diag = text,
			.attempts = t->b.rcpt[i].attempts };
		x.category = acct_bounce_category(x.status, 0);
		result_put(w, s, &x, buf_str(&mta));
	}
	t->loaded = false;
	buf_release(&mta);
}

void
result_bounce(struct worker *w, struct work *k, const struct batch_msg *m,
    const struct batch_rcpt *r, const struct retry_cause *cause,
    const char *category)
{
	struct result x = { .work = k,
		.msg = m,
		.rcpt = r,
		.type = "b",
		.state = 'b',
		.status = cause->status,
		.diag = cause->text,
		.attempts = r->attempts };
	struct buf mta = BUF_INIT;

	x.category = category != NULL ?
	    category :
	    acct_bounce_category(cause->status, cause->code);
	if (cause->host != NULL)
		buf_addf(&mta, "%s (%s)", cause->host,
		    cause->peer != NULL ? cause->peer : "");
	result_put(w, NULL, &x, mta.len > 0 ? mta.p : NULL);
	buf_release(&mta);
}

/* The `r` record of one recipient. */
static void
result_r(struct worker *w, struct work *k, const struct batch_msg *m,
    const struct batch_rcpt *r, bool last)
{
	const struct batch_header *h = batch_header(k->batch);
	struct wal_effect e = { .work = last ? k : NULL, .slot = WAL_RECEIVED };
	struct acct_record rec = {
		.type = "r",
		.time_logged = sys_now(w->sys),
		.orig = m->sender,
		.rcpt = r->rcpt,
		.orcpt = r->orcpt,
		.src_type = h->source_type,
		.src_mta = h->source_mta,
		.vmta = h->vmta,
		.pool = h->pool,
		.job_id = h->job,
		.env_id = m->envid,
		.queue = k->queue->name,
		.user_string = conf_global(w->conf)->user_string,
		.msg_id = m->msgid,
		.rcpt_index = r->index,
		/* replay takes this as the sign that all of them are there */
		.batch = last ? h->id : NULL,
	};

	wal_append(w, &rec, &e);
}

void
result_received(struct worker *w, struct work *k)
{
	struct verr err = VERR_INIT;
	struct batch_txn t;
	struct batch_slot s;
	uint32_t i, last = 0;

	batch_txn_init(&t);
	for (i = 0; i < k->n; i++) { /* who moved is received where he is */
		batch_slot(k->batch, i, &s);
		last = s.state != BATCH_MOVED ? i : last;
	}
	for (i = 0; i <= last; i++) {
		batch_slot(k->batch, i, &s);
		if (s.state == BATCH_MOVED)
			continue;
		if (batch_load(k->batch, &i, 1, &t, &err) == -1) {
			log_err(&err);
			break;
		}
		k->receiving = i == last;
		if (k->receiving)
			k->busy++; /* until they are durable */
		result_r(w, k, &t.msg, &t.rcpt[0], k->receiving);
	}
	batch_txn_release(&t);
}
