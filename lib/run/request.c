/*
 * Requests. A command is a row of a table: what it does to one recipient that
 * is neither final nor in flight. Deletions go through the journal like every
 * final state; the others are written to the batch and synced before the
 * reply, since a hold is a promise. A move is a commit (run/mover.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/mover.h"
#include "run/plan.h"
#include "run/queue.h"
#include "run/recover.h"
#include "run/request.h"
#include "run/result.h"
#include "run/retry.h"
#include "run/wal.h"
#include "run/work.h"
#include "run/worker.h"
#include "spool/list.h"
#include "spool/select.h"

#define REQUEST_OPEN_MAX 256 /* batches */

struct request;

/* Does its work on one recipient; false: it is in that state already. */
typedef bool request_fn(struct request *rq, struct work *k,
    const struct batch_txn *t, uint32_t slot, const struct batch_slot *s);

struct request {
	struct worker *w;
	request_fn *fn;
	struct selection sel;
	bool no_accounting;
	bool dry;
	char *to;	     /* of a move; NULL: it is none */
	struct mover *mover; /* NULL: as well when it is dry */
	uint32_t *slot;	     /* of one batch, that move */
	uint32_t n_slot;
	struct control_reply *rep;
	struct control_vmta *count; /* of the VirtualMTA at hand */
	int64_t asked;		    /* wall seconds */
	struct rvmta *vmta;
	struct queue *queue;
	struct batch_txn txn;
	struct ref *ref; /* the queue's batches */
	size_t n_ref;
	enum batch_area area;
};

static bool
request_delete(struct request *rq, struct work *k, const struct batch_txn *t,
    uint32_t slot, const struct batch_slot *s)
{
	struct retry_cause cause = { .status = "5.0.0",
		.text = "deleted by the administrator" };

	if (rq->no_accounting) {
		batch_set(k->batch, slot, BATCH_BOUNCED, s->attempts, 0, NULL);
		return (true);
	}
	work_mark(k, slot);
	result_bounce(rq->w, k, &t->msg, &t->rcpt[0], &cause, "deleted");
	return (true);
}

static bool
request_hold(struct request *rq, struct work *k, const struct batch_txn *t,
    uint32_t slot, const struct batch_slot *s)
{
	(void)rq;
	(void)t;
	if (batch_state_held(s->state) || s->state == BATCH_SUPPRESSED)
		return (false);
	batch_set(k->batch, slot,
	    s->state == BATCH_FRESH ? BATCH_HELD : BATCH_HELD_TRIED,
	    s->attempts, s->next, NULL);
	return (true);
}

static bool
request_release(struct request *rq, struct work *k, const struct batch_txn *t,
    uint32_t slot, const struct batch_slot *s)
{
	(void)rq;
	(void)t;
	if (!batch_state_held(s->state))
		return (false);
	batch_set(k->batch, slot,
	    s->state == BATCH_HELD ? BATCH_FRESH : BATCH_DEFERRED, s->attempts,
	    s->next, NULL);
	k->suppressed = 0; /* lists are asked anew */
	return (true);
}

static bool
request_retry(struct request *rq, struct work *k, const struct batch_txn *t,
    uint32_t slot, const struct batch_slot *s)
{
	(void)t;
	if (batch_state_held(s->state))
		return (false);
	batch_set(k->batch, slot, s->state, s->attempts, sys_now(rq->w->sys),
	    NULL);
	k->flag[slot] = WORK_IDLE;
	return (true);
}

/* Gathers what mover_add moves when all of the batch was looked at. */
static bool
request_move(struct request *rq, struct work *k, const struct batch_txn *t,
    uint32_t slot, const struct batch_slot *s)
{
	(void)k;
	(void)t;
	(void)s;
	rq->slot[rq->n_slot++] = slot;
	return (true);
}

static const struct {
	const char *name;
	request_fn *fn;
} request_table[] = {
	{ "delete", request_delete },
	{ "hold", request_hold },
	{ "release", request_release },
	{ "retry-now", request_retry },
	{ "move", request_move },
};

/* Is something of it under way? */
static bool
request_flies(const struct request *rq, const struct work *k, uint32_t slot)
{
	return (k->flag[slot] == WORK_TAKEN || k->flag[slot] == WORK_PENDING ||
	    (rq->mover != NULL && k->receiving));
}

/* One recipient of an open batch. */
static int
request_slot(struct request *rq, struct work *k, uint32_t slot,
    struct verr *err)
{
	struct batch_slot s;

	batch_slot(k->batch, slot, &s);
	if (batch_state_final(s.state) || !selection_state(&rq->sel, s.state))
		return (0);
	if (batch_load(k->batch, &slot, 1, &rq->txn, err) == -1) {
		k->bad = err->code == VEX_DATA;
		k->fault = !k->bad;
		return (-1);
	}
	if (!selection_rcpt(&rq->sel, &rq->txn.msg, &rq->txn.rcpt[0]))
		return (0);
	rq->count->matched++;
	if (request_flies(rq, k, slot)) {
		control_reply_flight(rq->rep, rq->queue->name,
		    rq->txn.msg.msgid, rq->txn.rcpt[0].index);
		return (0);
	}
	if (rq->dry || rq->fn(rq, k, &rq->txn, slot, &s))
		rq->count->changed++;
	return (0);
}

/*
 * May anything of it be meant? Not what came after the request, unless the
 * clock says that it comes from the future.
 */
static bool
request_means(const struct request *rq, const struct work *k)
{
	const struct batch_header *h = batch_header(k->batch);
	int64_t now = sys_now(rq->w->sys);

	if (h->queued > rq->asked && h->queued <= now)
		return (false);
	return (selection_batch(&rq->sel, h, now));
}

/* The batch of a reference; a move leaves it to its next owner as it was. */
static struct work *
request_open(struct request *rq, const struct ref *r)
{
	struct work *k = work_get(rq->queue, &r->name.id);

	if (k == NULL)
		k = rq->mover != NULL ?
		    work_open_untouched(rq->w, rq->queue, r) :
		    work_open(rq->w, rq->queue, r);
	return (k);
}

/* One batch: change, write, sync, and back into the plan. */
static int
request_batch(struct request *rq, const struct ref *r, struct verr *err)
{
	struct worker *w = rq->w;
	unsigned int faults = w->n_faults;
	struct work *k = request_open(rq, r);
	uint32_t i;
	int rc = 0;

	if (k == NULL && w->n_faults > faults)
		return (verr_set(err, VEX_IO,
		    "a batch of %s cannot be read: see the log",
		    rq->queue->name));
	if (k == NULL)
		return (0); /* gone */
	if (rq->mover != NULL)
		rq->slot = xreallocarray(rq->slot, k->n, sizeof(*rq->slot));
	rq->n_slot = 0;
	if (request_means(rq, k))
		for (i = 0; i < k->n && rc == 0; i++)
			rc = request_slot(rq, k, i, err);
	if (rc == 0 && rq->n_slot > 0)
		return (mover_add(rq->mover, k, rq->slot, rq->n_slot, err));
	if (batch_dirty(k->batch) &&
	    (batch_flush(k->batch, err) == -1 ||
		batch_sync(k->batch, err) == -1))
		return (-1);
	k->drained = true; /* back into the plan, under a name that fits */
	work_check(w, k);
	return (rc);
}

static int
request_on_batch(void *arg, const char *file, const struct batch_name *name)
{
	struct request *rq = arg;
	struct ref r = { .area = rq->area };

	(void)file;
	if (name == NULL)
		return (0);
	if ((rq->n_ref & (rq->n_ref + 1)) == 0)
		rq->ref = xreallocarray(rq->ref, rq->n_ref * 2 + 2,
		    sizeof(*rq->ref));
	r.name = *name;
	rq->ref[rq->n_ref++] = r;
	return (0);
}

/*
 * Deleted batches stay open until their records are durable. A tool that owns
 * for a moment waits for them now and then; in a run the loop goes on by
 * itself.
 */
static void
request_drain(struct worker *w)
{
	if (w->sched_timer != NULL || w->n_open < REQUEST_OPEN_MAX)
		return;
	while (wal_busy(w) && !wal_failed(w))
		loop_turn(w->loop, true);
}

/* All batches of one queue. */
static int
request_queue(struct request *rq, struct verr *err)
{
	struct queue *q = rq->queue;
	uint64_t before = rq->count->matched;
	enum batch_area area;
	size_t i;

	rq->n_ref = 0;
	for (area = BATCH_NEW; area <= BATCH_CUR; area++) {
		rq->area = area;
		if (spool_batches(rq->w->spool, q->vmta->name, area, q->domain,
			request_on_batch, rq, err) == -1)
			return (-1);
	}
	for (i = 0; i < rq->n_ref; i++) {
		if (request_batch(rq, &rq->ref[i], err) == -1)
			return (-1);
		request_drain(rq->w);
	}
	if (rq->fn == request_retry && !rq->dry &&
	    rq->count->matched > before && q->block == QUEUE_RETRY)
		retry_queue_due(rq->w, q);
	q->stale = true;
	queue_kick(rq->w, q);
	return (0);
}

struct request_walk {
	struct request *rq;
	struct verr *err;
};

static int
request_on_domain(void *arg, const char *domain, bool foreign)
{
	struct request_walk *walk = arg;
	struct request *rq = walk->rq;

	if (foreign || !selection_queue(&rq->sel, domain, rq->vmta->name))
		return (0);
	/* made here even for the second area: a queue is asked only once */
	rq->queue = queue_get(rq->w, rq->vmta, domain);
	if (rq->queue->asked == rq->w->n_asked)
		return (0);
	rq->queue->asked = rq->w->n_asked;
	return (request_queue(rq, walk->err));
}

/* All that this worker owns. */
static int
request_all(struct request *rq, struct verr *err)
{
	struct request_walk walk = { rq, err };
	struct worker *w = rq->w;
	size_t i = 0;

	w->n_asked++;
	while ((rq->vmta = map_next(&w->vmtas, &i, NULL)) != NULL) {
		rq->count = control_reply_vmta(rq->rep, rq->vmta->name);
		if (!selection_vmta(&rq->sel, rq->vmta->name))
			continue;
		if (rq->vmta->stuck)
			return (verr_set(err, VEX_TEMP,
			    "a move of mail of %s is not complete",
			    rq->vmta->name));
		if (rq->to != NULL && strcmp(rq->to, rq->vmta->name) == 0)
			continue; /* it is there, or has come just now */
		if (spool_domains(w->spool, rq->vmta->name, BATCH_NEW,
			request_on_domain, &walk, err) == -1 ||
		    spool_domains(w->spool, rq->vmta->name, BATCH_CUR,
			request_on_domain, &walk, err) == -1)
			return (-1);
		if (rq->mover != NULL && mover_finish(rq->mover, err) == -1)
			return (-1);
	}
	return (0);
}

/* `KEY=VALUE` of a request. */
static int
request_option(struct request *rq, const char *option, struct verr *err)
{
	char *key = xstrdup(option), *eq = strchr(key, '=');
	int rc;

	if (eq != NULL)
		*eq++ = '\0';
	rc = selection_add(&rq->sel, key, eq != NULL ? eq : "", err);
	if (rc == 1 && strcmp(key, "no-accounting") == 0) {
		rq->no_accounting = true;
		rc = 0;
	} else if (rc == 1 && strcmp(key, "dry-run") == 0) {
		rq->dry = true;
		rc = 0;
	} else if (rc == 1 && strcmp(key, "to") == 0 && eq != NULL &&
	    spool_vmta_valid(eq) && rq->to == NULL) {
		rq->to = xstrdup(eq);
		rc = 0;
	}
	if (rc == 1)
		rc = verr_set(err, VEX_USAGE, "unknown option %s", key);
	free(key);
	return (rc);
}

int
request_apply(struct worker *w, const struct control_request *what,
    struct control_reply *ret_rep, struct verr *err)
{
	struct request rq = { .w = w,
		.rep = ret_rep,
		.asked = id_time(&what->id) };
	size_t i;
	int rc = 0;

	for (i = 0; i < sizeof(request_table) / sizeof(request_table[0]); i++)
		if (strcmp(request_table[i].name, what->command) == 0)
			rq.fn = request_table[i].fn;
	if (rq.fn == NULL)
		return (verr_set(err, VEX_USAGE, "unknown command %s",
		    what->command));
	selection_init(&rq.sel);
	batch_txn_init(&rq.txn);
	for (i = 0; i < what->n && rc == 0; i++)
		rc = request_option(&rq, what->option[i], err);
	if (rc == 0 && (rq.fn == request_move) != (rq.to != NULL))
		rc = verr_set(err, VEX_USAGE, "%s: bad target", what->command);
	if (rc == 0 && rq.to != NULL && !rq.dry)
		rq.mover = mover_new(w, rq.to);
	if (rc == 0)
		rc = request_all(&rq, err);
	mover_free(rq.mover);
	selection_release(&rq.sel);
	batch_txn_release(&rq.txn);
	free(rq.slot);
	free(rq.to);
	free(rq.ref);
	return (rc);
}

/* The sums of a reply, for the log. */
static void
request_log(const char *command, const struct control_reply *rep)
{
	uint64_t matched = 0, changed = 0;
	size_t i;

	for (i = 0; i < rep->n_vmta; i++) {
		matched += rep->vmta[i].matched;
		changed += rep->vmta[i].changed;
	}
	log_event(LOG_LV_INFO, "request", "command", command, "matched",
	    log_num((int64_t)matched), "changed", log_num((int64_t)changed),
	    "text", rep->error, NULL);
}

/* A request file. */
static int
request_on_file(void *arg, const struct control_request *rq)
{
	struct worker *w = arg;
	struct control_reply rep = { 0 };
	struct verr err = VERR_INIT;

	/* commits whose writer is gone are mail that it may mean */
	if (recover_commits(w))
		plan_all(w);
	if (request_apply(w, rq, &rep, &err) == -1)
		control_reply_error(&rep, err.code, err.text);
	if (control_answer(w->spool, &rq->id, w->id.s, &rep, &err) == -1)
		log_err(&err);
	request_log(rq->command, &rep);
	control_reply_release(&rep);
	return (w->broken); /* nothing may be written any more */
}

void
request_poll(struct worker *w)
{
	struct verr err = VERR_INIT;

	if (w->wal == NULL || w->broken)
		return;
	if (control_requests(w->spool, w->id.s, request_on_file, w, &err) == -1)
		log_err(&err);
}
