/*
 * The retry clocks. A queue's clock is one small file, written when the
 * queue fails and removed when something is delivered; it is not synced,
 * since losing it costs one early attempt. A recipient's next try is in its
 * R line, through the journal.
 *
 * A wrong clock must not bounce a campaign: mail expires only after an
 * attempt that failed in this run, and a next try further ahead than the
 * ladder's longest step counts as due.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acct/record.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/bouncer.h"
#include "run/queue.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/wal.h"
#include "run/worker.h"
#include "smtp/status.h"
#include "spool/state.h"

#define RETRY_LOOK_MS 10000 /* to mail that cannot even be bounced */

/* ms and up to 10 % more, so that what failed together does not come back
 * together. */
static int64_t
retry_jitter(struct worker *w, int64_t ms)
{
	uint32_t r = 0;

	if (w->sys->random(w->sys, &r, sizeof(r)) == -1)
		return (ms);
	return (ms + (ms / 10) * (int64_t)(r % 1000) / 1000);
}

/* Milliseconds of step (from 1) on a ladder, with jitter, in seconds >= 1. */
static int64_t
retry_seconds(struct worker *w, const struct conf_ladder *ladder,
    unsigned int step)
{
	int64_t ms = conf_ladder_at(ladder, step > 0 ? step - 1 : 0);
	int64_t s = (retry_jitter(w, ms) + 999) / 1000;

	return (s > 0 ? s : 1);
}

/* The longest wait that a ladder can give, in seconds. */
static int64_t
retry_longest(const struct conf_ladder *ladder)
{
	int64_t max = 0;
	uint32_t i;

	for (i = 0; i < ladder->n; i++)
		if (ladder->ms[i] > max)
			max = ladder->ms[i];
	return (max / 1000 + max / 10000 + 2);
}

int64_t
retry_last(struct worker *w, const struct conf_queue *set)
{
	int64_t longest = retry_longest(&set->retry_after);
	int64_t rcpt = retry_longest(&set->retry_recipients_after);

	return (sys_now(w->sys) + (rcpt > longest ? rcpt : longest));
}

int64_t
retry_sane(struct worker *w, const struct conf_queue *set, int64_t due)
{
	return (due > retry_last(w, set) ? sys_now(w->sys) : due);
}

void
retry_load(struct worker *w, struct queue *q)
{
	struct retry_state st;
	struct verr err = VERR_INIT;
	int rc;

	if (q->vmta->untried)
		return; /* who owns it is the only one to change that */
	rc = retry_state_read(w->spool, q->vmta->name, q->domain, &st, &err);
	if (rc == -1)
		log_err(&err);
	if (rc != 0)
		return;
	q->step = st.step;
	q->failing_since = st.since;
	q->next_try = retry_sane(w, q->set, st.next);
	q->last_error = st.error != NULL ? xstrdup(st.error) : NULL;
	memcpy(q->last_status, st.status, sizeof(q->last_status));
	q->block = QUEUE_RETRY;
	retry_state_release(&st);
}

/* The clock's file. */
static void
retry_store(struct worker *w, struct queue *q, const struct retry_cause *cause)
{
	struct verr err = VERR_INIT;
	struct buf host = BUF_INIT;
	struct retry_state st = { .step = q->step,
		.next = q->next_try,
		.since = q->failing_since,
		.error = q->last_error };

	q->vmta->untried = false;
	memcpy(st.status, q->last_status, sizeof(st.status));
	if (cause->host != NULL) {
		buf_addf(&host, "%s (%s)", cause->host,
		    cause->peer != NULL ? cause->peer : "");
		st.host = host.p;
	}
	if (retry_state_write(w->spool, q->vmta->name, q->domain, &st, &err) ==
	    -1)
		log_err(&err);
	buf_release(&host);
}

/* A tq record: the queue as such could not send. */
static void
retry_record(struct worker *w, const struct queue *q,
    const struct retry_cause *cause)
{
	struct buf mta = BUF_INIT;
	struct wal_effect none = { .work = NULL };
	struct acct_record r = {
		.type = "tq",
		.time_logged = sys_now(w->sys),
		.queue = q->name,
		.vmta = q->vmta->name,
		.dsn_status = cause->status,
		.dsn_diag = cause->text,
		.dlv_type = "smtp",
		.dlv_source_ip = cause->source,
		.dlv_destination_ip = cause->peer,
		.user_string = conf_global(w->conf)->user_string,
	};

	if (cause->host != NULL)
		buf_addf(&mta, "%s (%s)", cause->host,
		    cause->peer != NULL ? cause->peer : "");
	r.dsn_mta = mta.len > 0 ? mta.p : NULL;
	wal_append(w, &r, &none);
	buf_release(&mta);
}

void
retry_queue_failed(struct worker *w, struct queue *q,
    const struct retry_cause *cause)
{
	const struct conf_queue *set = queue_set(w, q);
	int64_t now = sys_now(w->sys);

	if (q->step == 0)
		q->failing_since = now;
	q->step++;
	q->tried = true;
	q->next_try = now + retry_seconds(w, &set->retry_after, q->step);
	q->block = QUEUE_RETRY;
	free(q->last_error);
	q->last_error = xstrdup(cause->text);
	(void)snprintf(q->last_status, sizeof(q->last_status), "%s",
	    cause->status);
	log_event(LOG_LV_INFO, "queue-deferred", "queue", q->name, "stage",
	    cause->stage, "host", cause->host, "status", cause->status, "step",
	    log_num(q->step), "wait", log_num(q->next_try - now), "text",
	    cause->text, NULL);
	retry_store(w, q, cause);
	retry_record(w, q, cause);
	route_deactivate(q);
	bouncer_start(w, q, cause, set->bounce_after, "4.4.7",
	    "message-expired");
	queue_kick(w, q);
}

/* A cause that outlives its session. */
struct retry_memo {
	struct retry_cause cause; /* points to what follows */
	char status[SMTP_STATUS_LEN + 1];
	char host[256], peer[DNS_ADDR_TEXT], source[SOURCE_TEXT];
	char *text;
};

void
retry_remember(struct queue *q, const struct retry_cause *cause)
{
	struct retry_memo *m = xcalloc(1, sizeof(*m));

	m->cause = *cause;
	m->cause.status = m->status;
	m->cause.host = m->host;
	m->cause.peer = m->peer;
	m->cause.source = m->source;
	m->cause.text = m->text = xstrdup(cause->text);
	(void)snprintf(m->status, sizeof(m->status), "%s", cause->status);
	(void)snprintf(m->host, sizeof(m->host), "%s", cause->host);
	(void)snprintf(m->peer, sizeof(m->peer), "%s", cause->peer);
	(void)snprintf(m->source, sizeof(m->source), "%s", cause->source);
	retry_forget(q);
	q->memo = m;
}

void
retry_forget(struct queue *q)
{
	if (q->memo == NULL)
		return;
	free(q->memo->text);
	free(q->memo);
	q->memo = NULL;
}

void
retry_queue_no_way(struct worker *w, struct queue *q, enum queue_block why,
    int64_t ms)
{
	if (q->memo != NULL)
		retry_queue_failed(w, q, &q->memo->cause);
	else
		retry_queue_hold(w, q, why, ms);
	route_drop(w, q);
	route_target_reset(q);
}

void
retry_queue_ok(struct worker *w, struct queue *q)
{
	struct verr err = VERR_INIT;

	if (q->step == 0)
		return;
	q->step = 0;
	q->failing_since = 0;
	if (q->block == QUEUE_RETRY)
		q->block = QUEUE_OPEN;
	free(q->last_error);
	q->last_error = NULL;
	if (retry_state_remove(w->spool, q->vmta->name, q->domain, &err) == -1)
		log_err(&err);
}

void
retry_queue_due(struct worker *w, struct queue *q)
{
	struct verr err = VERR_INIT;
	struct retry_state st;
	int rc;

	q->next_try = 0;
	rc = retry_state_read(w->spool, q->vmta->name, q->domain, &st, &err);
	if (rc == 0) {
		st.next = sys_now(w->sys);
		rc = retry_state_write(w->spool, q->vmta->name, q->domain, &st,
		    &err);
		retry_state_release(&st);
	}
	if (rc == -1)
		log_err(&err);
}

void
retry_queue_hold(struct worker *w, struct queue *q, enum queue_block why,
    int64_t ms)
{
	q->block = why;
	q->next_try = sys_now(w->sys) + (ms + 999) / 1000;
	route_deactivate(q);
	queue_kick(w, q);
}

int64_t
retry_rcpt_next(struct worker *w, const struct conf_queue *set,
    unsigned int attempts)
{
	const struct conf_ladder *ladder = set->retry_recipients_after.n > 0 ?
	    &set->retry_recipients_after :
	    &set->retry_after;

	return (sys_now(w->sys) + retry_seconds(w, ladder, attempts));
}

int64_t
retry_age(struct worker *w, const struct batch_header *h)
{
	int64_t since = h->due > h->queued ? h->due : h->queued;

	return (sys_now(w->sys) - w->leap - since);
}

void
retry_bounce_queue(struct worker *w, struct queue *q,
    const struct retry_cause *cause, int64_t age)
{
	q->tried = true;
	bouncer_start(w, q, cause, age, NULL, NULL);
	if (q->bouncer == NULL && age == 0) /* nothing that can be bounced */
		retry_queue_hold(w, q, QUEUE_LOCAL, RETRY_LOOK_MS);
}
