/*
 * Bouncing mail without an attempt. The queue's directories are listed once,
 * the ids that are old enough are kept (24 octets each), and batch after
 * batch is opened and its open recipients get their records, so many at a
 * time as the journal takes without growing. A crash in the middle leaves
 * the rest as it was: it fails, or expires, again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/bouncer.h"
#include "run/plan.h"
#include "run/queue.h"
#include "run/result.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/suppress.h"
#include "run/wal.h"
#include "run/window.h"
#include "run/work.h"
#include "run/worker.h"
#include "spool/list.h"
#include "spool/state.h"

#define BOUNCER_PIECE 1000 /* recipients between two turns of the loop */
#define BOUNCER_WAIT_MS 5
#define BOUNCER_IDLE_MS 10000 /* after nothing could be bounced */
#define BOUNCER_AHEAD 1000    /* records that may wait for the journal */

struct bouncer {
	struct worker *w;
	struct queue *queue;
	char *status;
	char *text;
	char *host;
	char *peer;
	char *category;
	int code;
	bool dns;    /* for what DNS said, not for their age */
	bool aged;   /* for their age alone */
	int64_t age; /* seconds: of mail that is so old */
	size_t done; /* recipients that had a record */
	struct ref *ref;
	size_t n;
	size_t at;
	enum batch_area area;
	struct loop_timer *timer;
	struct batch_txn txn;
};

/* A batch that may have something that is due and old enough. */
static int
bouncer_on_batch(void *arg, const char *file, const struct batch_name *name)
{
	struct bouncer *b = arg;
	struct ref r = { .area = b->area, .forced = b->w->opt->now };
	int64_t now = sys_now(b->w->sys);

	(void)file;
	if (name == NULL || now - b->w->leap - id_time(&name->id) < b->age ||
	    (!r.forced && plan_when(b->w, b->queue, b->area, name) > now))
		return (0);
	if ((b->n & (b->n + 1)) == 0)
		b->ref = xreallocarray(b->ref, b->n * 2 + 2, sizeof(*b->ref));
	r.name = *name;
	b->ref[b->n++] = r;
	return (0);
}

/* List what is to be bounced. */
static int
bouncer_list(struct bouncer *b)
{
	struct queue *q = b->queue;
	struct verr err = VERR_INIT;

	b->area = BATCH_NEW;
	if (spool_batches(b->w->spool, q->vmta->name, BATCH_NEW, q->domain,
		bouncer_on_batch, b, &err) == 0) {
		b->area = BATCH_CUR;
		if (spool_batches(b->w->spool, q->vmta->name, BATCH_CUR,
			q->domain, bouncer_on_batch, b, &err) == 0)
			return (0);
	}
	log_err(&err);
	return (-1);
}

/* The record of one recipient. */
static void
bouncer_rcpt(struct bouncer *b, struct work *k, uint32_t slot)
{
	struct verr err = VERR_INIT;
	struct retry_cause cause = { .status = b->status,
		.text = b->text,
		.host = b->host,
		.peer = b->peer,
		.code = b->code };

	if (batch_load(k->batch, &slot, 1, &b->txn, &err) == -1) {
		log_err(&err);
		k->bad = err.code == VEX_DATA;
		return;
	}
	work_mark(k, slot);
	result_bounce(b->w, k, &b->txn.msg, &b->txn.rcpt[0], &cause,
	    b->category);
}

/*
 * The recipients of one open batch that an attempt just now would have been
 * for; returns how many had a record. What is scheduled, held or paused, or
 * has a clock of its own, had no part in what failed.
 */
static size_t
bouncer_work(struct bouncer *b, struct work *k)
{
	int64_t now = sys_now(b->w->sys), window;
	struct batch_slot s;
	uint32_t i;
	size_t n = 0;

	if (k->paused || retry_age(b->w, batch_header(k->batch)) < b->age)
		return (0);
	/*
	 * What has windows does not age, but is over with the last one; and
	 * outside of them it had no part in what failed.
	 */
	window = window_next(k, now);
	if (window > now ||
	    (b->aged && window != -1 &&
		batch_header(k->batch)->schedule != NULL))
		return (0);
	suppress_marked(b->w, k);
	for (i = 0; i < k->n && !k->bad; i++) {
		batch_slot(k->batch, i, &s);
		if (k->flag[i] != WORK_IDLE && k->flag[i] != WORK_TRIED)
			continue;
		if (!work_slot_due(b->w, k, &s, now))
			continue;
		bouncer_rcpt(b, k, i);
		n++;
	}
	return (n);
}

/* The open batch of this reference, opened if need be. */
static struct work *
bouncer_open(struct bouncer *b, const struct ref *r)
{
	struct work *k = work_get(b->queue, &r->name.id);

	return (k != NULL ? k : work_open(b->w, b->queue, r));
}

void
bouncer_stop(struct worker *w, struct queue *q)
{
	struct bouncer *b = q->bouncer;

	if (b == NULL)
		return;
	q->bouncer = NULL;
	q->stale = true; /* what is planned may be gone */
	w->n_bouncers--;
	loop_timer_free(b->timer);
	batch_txn_release(&b->txn);
	free(b->ref);
	free(b->status);
	free(b->text);
	free(b->host);
	free(b->peer);
	free(b->category);
	free(b);
	queue_kick(w, q);
}

void
bouncer_brake(struct worker *w)
{
	struct queue *q;
	size_t i = 0;

	while ((q = map_next(&w->queues, &i, NULL)) != NULL)
		if (q->bouncer != NULL && q->bouncer->dns)
			bouncer_stop(w, q);
}

/* May it not go on? Mail of an orphan, or of a pause, does not expire. */
static bool
bouncer_ends(const struct bouncer *b)
{
	const struct queue *q = b->queue;

	return (b->at == b->n || b->w->stopping || b->w->broken ||
	    q->vmta->conf == NULL || q->vmta->stuck ||
	    pause_match(b->w->pauses, q->domain, q->vmta->name, NULL));
}

/* All was looked at. A queue that is open still would be tried at once. */
static void
bouncer_end(struct bouncer *b)
{
	struct worker *w = b->w;
	struct queue *q = b->queue;

	if (b->done == 0 && q->block == QUEUE_OPEN)
		retry_queue_hold(w, q, QUEUE_LOCAL, BOUNCER_IDLE_MS);
	bouncer_stop(w, q);
}

/* A piece. */
static void
bouncer_on_timer(void *arg)
{
	struct bouncer *b = arg;
	struct work *k;
	size_t done = 0;

	while (!bouncer_ends(b) && done < BOUNCER_PIECE &&
	    wal_pending(b->w) <= BOUNCER_AHEAD) {
		k = bouncer_open(b, &b->ref[b->at++]);
		if (k == NULL)
			continue;
		done += bouncer_work(b, k);
		k->drained = true;
		work_check(b->w, k);
	}
	b->done += done;
	if (bouncer_ends(b))
		bouncer_end(b);
	else
		loop_timer_set(b->timer, BOUNCER_WAIT_MS);
}

/* A copy, or NULL for NULL. */
static char *
bouncer_copy(const char *s)
{
	return (s != NULL ? xstrdup(s) : NULL);
}

void
bouncer_start(struct worker *w, struct queue *q,
    const struct retry_cause *cause, int64_t age, const char *status,
    const char *category)
{
	struct bouncer *b;

	if (q->bouncer != NULL)
		return;
	b = xcalloc(1, sizeof(*b));
	b->w = w;
	b->queue = q;
	b->status = xstrdup(status != NULL ? status : cause->status);
	b->text = xstrdup(cause->text);
	b->host = bouncer_copy(cause->host);
	b->peer = bouncer_copy(cause->peer);
	b->category = bouncer_copy(category);
	b->code = cause->code;
	b->dns = status == NULL && cause->stage != NULL &&
	    strcmp(cause->stage, "dns") == 0;
	b->aged = category != NULL && strcmp(category, "message-expired") == 0;
	b->age = age > 0 ? age / 1000 : INT64_MIN;
	b->timer = loop_timer_new(w->loop, bouncer_on_timer, b);
	batch_txn_init(&b->txn);
	q->bouncer = b;
	w->n_bouncers++;
	route_deactivate(q); /* no session takes what is bounced */
	if (bouncer_list(b) == -1 || b->n == 0)
		bouncer_stop(w, q);
	else
		loop_timer_set(b->timer, 0);
}
