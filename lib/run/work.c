/*
 * Open batches. A batch is opened when a session needs its mail and closed
 * when all of its recipients have been tried and their results are durable:
 * then it is unlinked (nothing open), or its states are written and it goes
 * to cur/ under a name that says when it is due again.
 *
 * Crash behaviour: states are in the journal before they are here, so a
 * batch that was not written, renamed or unlinked is set right by replay. When
 * one of these fails while we live, the run ends and leaves the journal for
 * the next one to replay: going on would lead to second deliveries.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/plan.h"
#include "run/queue.h"
#include "run/result.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/suppress.h"
#include "run/tpl.h"
#include "run/wal.h"
#include "run/window.h"
#include "run/work.h"
#include "run/worker.h"
#include "spool/commit.h"
#include "spool/state.h"

#define WORK_JOB_KEY 12
#define WORK_FAULT_S 10 /* after a fault of this machine */
#define WORK_PIECE 1000 /* final records without a session, in one turn */
#define WORK_AHEAD 64	/* open batches that a session passes over */
#define WORK_LOOKS 1000 /* recipients looked at for one address */

/* The key of a batch's job in its queue's paused. */
static const char *
work_job(const struct batch_name *n, char buf[WORK_JOB_KEY])
{
	(void)snprintf(buf, WORK_JOB_KEY, "%08lx", (unsigned long)n->job);
	return (buf);
}

bool
work_name_paused(const struct queue *q, const struct batch_name *n)
{
	char key[WORK_JOB_KEY];

	return (q->paused.n > 0 &&
	    map_get(&q->paused, work_job(n, key)) != NULL);
}

struct work *
work_get(const struct queue *q, const struct id *id)
{
	struct work *k;

	TAILQ_FOREACH (k, &q->works, entry)
		if (strcmp(k->id.s, id->s) == 0)
			return (k);
	return (NULL);
}

/* A batch that this machine cannot read just now: again in a moment. */
static void
work_again(struct worker *w, struct queue *q, const struct ref *r)
{
	struct ref later = *r;

	w->n_faults++;
	later.due = sys_now(w->sys) + WORK_FAULT_S;
	later.forced = false;
	queue_add_ref(w, q, &later);
}

/* A batch that cannot be read: set aside, or left where it is. */
static void
work_unreadable(struct worker *w, struct queue *q, const struct ref *r,
    const char *file, const struct verr *why)
{
	struct verr err = VERR_INIT;

	log_event(LOG_LV_ERROR, "batch", "queue", q->name, "file", file, "text",
	    why->text, NULL);
	if (why->code == VEX_UNAVAILABLE)
		return; /* a newer version */
	if (why->code != VEX_DATA) {
		work_again(w, q, r);
		return;
	}
	if (batch_set_aside(w->spool, q->vmta->name, r->area, q->domain, file,
		why->text, &err) == -1)
		log_err(&err);
}

/* Is its job paused? Then the plan leaves out all of that job. */
static void
work_pause(struct worker *w, struct work *k)
{
	char key[WORK_JOB_KEY];
	struct batch_name n;

	k->paused = pause_match(w->pauses, k->queue->domain,
	    k->queue->vmta->name, batch_header(k->batch)->job);
	if (!k->paused)
		return;
	batch_name_now(k->batch, &n);
	(void)map_put(&k->queue->paused, work_job(&n, key), k->queue);
}

struct work *
work_open_untouched(struct worker *w, struct queue *q, const struct ref *r)
{
	struct verr err = VERR_INIT;
	char file[BATCH_NAME_MAX];
	struct batch *b = NULL;
	struct work *k;

	if (work_get(q, &r->name.id) != NULL)
		return (NULL);
	if (commit_stuck(w->spool, r->name.id.s)) {
		w->n_faults++; /* a request must not say that it is done */
		return (NULL);
	}
	(void)batch_name_format(&r->name, file);
	if (batch_open(w->spool, q->vmta->name, r->area, q->domain, file, true,
		&b, &err) == -1) {
		if (err.err !=
		    ENOENT) /* else it has another name, or is done */
			work_unreadable(w, q, r, file, &err);
		return (NULL);
	}
	k = xcalloc(1, sizeof(*k));
	k->queue = q;
	k->batch = b;
	k->id = r->name.id;
	k->prio = r->name.prio;
	k->forced = r->forced;
	k->n = batch_slots(b);
	work_pause(w, k);
	k->flag = xcalloc(k->n, sizeof(*k->flag));
	TAILQ_INSERT_TAIL(&q->works, k, entry);
	TAILQ_INSERT_TAIL(&w->works, k, all);
	w->n_open++;
	k->untouched = r->area == BATCH_NEW;
	return (k);
}

struct work *
work_open(struct worker *w, struct queue *q, const struct ref *r)
{
	struct work *k = work_open_untouched(w, q, r);

	if (k == NULL)
		return (NULL);
	k->untouched = false;
	if (w->want_r && r->area == BATCH_NEW)
		result_received(w, k);
	return (k);
}

/* Out of the lists; the batch is closed. */
static void
work_free(struct worker *w, struct work *k)
{
	TAILQ_REMOVE(&k->queue->works, k, entry);
	TAILQ_REMOVE(&w->works, k, all);
	w->n_open--;
	batch_close(k->batch);
	free(k->flag);
	free(k);
}

/* Write the states and give the file the name that fits them. */
static int
work_requeue(struct worker *w, struct work *k, struct verr *err)
{
	struct queue *q = k->queue;

	if (batch_flush(k->batch, err) == -1)
		return (-1);
	if (k->bad)
		return (batch_set_aside(w->spool, q->vmta->name,
		    batch_area(k->batch), q->domain, batch_file(k->batch),
		    "a line is damaged", err));
	if (batch_space(k->batch, err) == -1)
		log_err(err); /* room is not worth a run */
	return (k->untouched ? batch_rename(k->batch, err) :
			       batch_requeue(k->batch, err));
}

/* Does the name of k promise too late a time, or is it due in vain? */
static bool
work_misnamed(struct worker *w, const struct work *k)
{
	int64_t now = sys_now(w->sys);
	struct batch_name file, fit;

	batch_name_now(k->batch, &fit);
	return (batch_name_parse(batch_file(k->batch), &file) == -1 ||
	    file.due > fit.due || (file.due <= now && fit.due > now));
}

/* Nothing of k is in flight: unlink it, or put it back into the plan. */
static int
work_put_away(struct worker *w, struct work *k)
{
	struct verr err = VERR_INIT;
	struct queue *q = k->queue;
	struct ref r = { .forced = false };
	bool left = batch_open_count(k->batch) > 0 && !k->bad && !k->paused;
	int rc = 0;

	if (batch_open_count(k->batch) == 0)
		rc = batch_finish(k->batch, &err);
	else if (batch_dirty(k->batch) || k->bad || work_misnamed(w, k))
		rc = work_requeue(w, k, &err);
	if (rc == -1 && err.err != ENOENT) {
		log_err(&err);
		worker_broke(w);
		return (-1);
	}
	if (rc == 0 && left) {
		(void)batch_name_parse(batch_file(k->batch), &r.name);
		r.due = r.name.due;
		r.area = batch_area(k->batch);
		if (k->fault)
			work_again(w, q, &r);
		else
			queue_add_ref(w, q, &r);
	}
	work_free(w, k);
	queue_kick(w, q);
	return (0);
}

void
work_check(struct worker *w, struct work *k)
{
	bool rests = k->drained || k->paused || k->queue->block != QUEUE_OPEN;

	if (rests && k->busy == 0 && !w->broken)
		(void)work_put_away(w, k);
}

/* --- taking ------------------------------------------------------------- */

/*
 * The address that a recipient's next attempt must leave from: that of the
 * last one, as long as it is the VirtualMTA's and here, leads to a target and
 * gets connections. NULL: any.
 */
static const char *
work_bound(struct worker *w, const struct queue *q, const struct batch_slot *s)
{
	int family;
	size_t i;

	if (s->source == NULL || !rvmta_has(w, q->vmta, s->source, &i) ||
	    (i < 64 && (q->shunned >> i & 1) != 0))
		return (NULL);
	family = source_at(q->vmta->sources, i)->addr.ss_family;
	if (q->route != NULL && route_pick(q, family) == q->route->dns->n)
		return (NULL);
	return (s->source);
}

/* May a session of this address (NULL: any) have the recipient? own: only
 * what must leave from there. */
static bool
work_fits(struct worker *w, const struct queue *q, const struct batch_slot *s,
    const char *source, bool own)
{
	const char *bound = source != NULL ? work_bound(w, q, s) : NULL;

	if (bound == NULL)
		return (!own);
	return (strcmp(bound, source) == 0);
}

bool
work_slot_due(struct worker *w, const struct work *k,
    const struct batch_slot *s, int64_t now)
{
	int64_t last;

	if (s->state != BATCH_FRESH && s->state != BATCH_DEFERRED)
		return (false);
	if (s->next <= now)
		return (true);
	/* a schedule (--at) always holds; none if the clock was set back */
	if (s->state == BATCH_FRESH)
		return (s->next <= id_time(&k->id));
	last = retry_last(w, k->queue->set);
	/* the ladder may lead into a window, and that is further ahead */
	return (k->forced ||
	    (s->next > last && s->next > window_next(k, last)));
}

/* Is it a recipient whose time has come, and that nobody has? */
static bool
work_due(struct worker *w, const struct work *k, uint32_t slot, int64_t now,
    struct batch_slot *ret_s)
{
	if (k->flag[slot] != WORK_IDLE)
		return (false);
	batch_slot(k->batch, slot, ret_s);
	return (work_slot_due(w, k, ret_s, now));
}

/*
 * The first recipient for source; k->n: none. Moves the cursor; sets drained
 * when nothing is left for any source.
 */
static uint32_t
work_find(struct worker *w, struct work *k, const char *source, bool own)
{
	int64_t now = sys_now(w->sys);
	struct batch_slot s;
	bool other = false;
	uint32_t i;

	for (i = k->cursor; i < k->n; i++) {
		if (work_due(w, k, i, now, &s)) {
			if (work_fits(w, k->queue, &s, source, own))
				return (i);
			other = true;
		}
		if (!other)
			k->cursor = i + 1;
	}
	k->drained = !other;
	return (k->n);
}

/* Which recipients a session may have. */
struct work_want {
	const char *source; /* its address */
	bool own;	    /* only what must leave from there */
	uint32_t max;	    /* of one transaction */
};

/* The recipients of one message from slot first on; returns how many. */
static uint32_t
work_gather(struct worker *w, const struct work *k, uint32_t first,
    const struct work_want *want, uint32_t *ret_slot)
{
	int64_t now = sys_now(w->sys);
	struct batch_slot s;
	uint32_t i, n = 0, msg;

	batch_slot(k->batch, first, &s);
	msg = s.msg;
	for (i = first; i < k->n && n < want->max && n < WORK_SLOTS; i++) {
		batch_slot(k->batch, i, &s);
		if (s.msg != msg)
			break;
		if (work_due(w, k, i, now, &s) &&
		    work_fits(w, k->queue, &s, want->source, want->own))
			ret_slot[n++] = i;
	}
	return (n);
}

/* The message of a merge for its recipient: into memory. */
static int
work_render(struct worker *w, struct txn *t, struct verr *err)
{
	struct batch_msg *m = &t->b.msg;
	struct message_facts f;

	if (w->tpl == NULL)
		w->tpl = tpl_new(w->sys);
	if (tpl_render(w->tpl, t->work->batch, &t->b, &t->body, &f, err) == -1)
		return (-1);
	m->size = f.size;
	m->longest = (uint32_t)f.longest;
	m->dots = (uint32_t)f.dots;
	m->flags |= (f.body_8bit ? BATCH_8BIT_BODY : 0u) |
	    (f.header_8bit ? BATCH_8BIT_HEADER : 0u);
	return (0);
}

/* The message of t in the words of lib/smtp. */
static int
work_message(struct worker *w, struct txn *t, struct verr *err)
{
	const struct batch_msg *m = &t->b.msg;
	bool merge = batch_header(t->work->batch)->merge;
	off_t off = 0;
	uint32_t i;
	int fd = -1;

	if (merge ? work_render(w, t, err) == -1 :
		    batch_content(t->work->batch, m, &fd, &off, err) == -1)
		return (-1);
	if (t->b.n > t->cap) {
		t->cap = t->b.n;
		t->rcpt = xreallocarray(t->rcpt, t->cap, sizeof(*t->rcpt));
	}
	for (i = 0; i < t->b.n; i++)
		t->rcpt[i] = (struct smtp_rcpt) { t->b.rcpt[i].rcpt,
			t->b.rcpt[i].notify, t->b.rcpt[i].orcpt };
	t->m = (struct smtp_message) {
		.from = m->sender,
		.envid = m->envid,
		.ret = m->ret,
		.rcpt = t->rcpt,
		.n_rcpt = t->b.n,
		.mem = merge ? buf_str(&t->body) : NULL,
		.fd = fd,
		.off = off,
		.size = (int64_t)m->size,
		.dots = m->dots,
		.body_8bit = (m->flags & BATCH_8BIT_BODY) != 0,
		.header_8bit = (m->flags & BATCH_8BIT_HEADER) != 0,
	};
	return (0);
}

/* Fill t from k; false when k has nothing of what is wanted. */
static bool
work_take_from(struct worker *w, struct work *k, const struct work_want *want,
    struct txn *t)
{
	struct work_want one = *want;
	struct verr err = VERR_INIT;
	uint32_t slot[WORK_SLOTS], n, i, first;

	if (!suppress_batch(w, k) || !window_open(w, k))
		return (false);
	first = work_find(w, k, want->source, want->own);
	if (first == k->n)
		return (false);
	if (batch_header(k->batch)->merge)
		one.max = 1; /* each has a message of its own */
	n = work_gather(w, k, first, &one, slot);
	t->work = k;
	if (batch_load(k->batch, slot, n, &t->b, &err) == -1 ||
	    work_message(w, t, &err) == -1) {
		log_event(LOG_LV_ERROR, "batch", "queue", k->queue->name,
		    "file", batch_file(k->batch), "text", err.text, NULL);
		/* shared content that is gone does not come back */
		k->bad = err.code == VEX_DATA || err.err == ENOENT;
		k->fault = !k->bad;
		k->drained = true;
		return (false);
	}
	for (i = 0; i < n; i++)
		k->flag[slot[i]] = WORK_TAKEN;
	k->busy += n;
	t->loaded = true;
	/* no connection for what is taken */
	(void)work_find(w, k, NULL, false);
	return (true);
}

bool
work_room(struct worker *w, struct queue *q)
{
	if (w->n_open < w->open_max)
		return (true);
	queue_wait_slot(w, q); /* asked again when one was put away */
	return (false);
}

/* Has k somebody to send to, now that windows and lists were asked? */
static bool
work_ready(struct worker *w, struct work *k)
{
	if (suppress_batch(w, k) && window_open(w, k))
		(void)work_find(w, k, NULL, false);
	return (!k->drained);
}

/* Open the first of the plan, if its priority is above this; NULL: none. */
static struct work *
work_open_next(struct worker *w, struct queue *q, int above)
{
	uint64_t bounced = w->count.bounced;
	const struct ref *top;
	struct work *k;
	struct ref r;

	queue_promote(w, q);
	while ((top = heap_top(&q->ready)) != NULL && top->name.prio > above) {
		if (!work_room(w, q))
			break;
		heap_pop(&q->ready, &r);
		if (pause_match_name(w->pauses, q->domain, q->vmta->name,
			&r.name))
			continue; /* since it was listed */
		k = work_open(w, q, &r);
		if (k != NULL && !k->paused && work_ready(w, k))
			return (k);
		if (k != NULL)
			work_check(w, k);
		if (w->count.bounced - bounced > WORK_PIECE) {
			queue_kick(w, q);
			break;
		}
	}
	return (NULL);
}

/* May one more batch be opened beside n that a session has no use for? */
static bool
work_may_pass(const struct worker *w, size_t n)
{
	return (n == 0 || (n < WORK_AHEAD && w->n_open < WORK_OPEN_MAX));
}

/* The open batch whose turn it is, one from the plan if need be (and open says
 * so); NULL: none. */
static struct work *
work_next(struct worker *w, struct queue *q, bool open)
{
	struct work *k, *best = NULL;
	size_t passed = 0;

	TAILQ_FOREACH (k, &q->works, entry) {
		passed += k->passed;
		if (!k->drained && !k->passed && !k->paused &&
		    (best == NULL || k->prio > best->prio))
			best = k;
	}
	if (!open || !work_may_pass(w, passed))
		return (best);
	if (best == NULL)
		plan_more(w, q);
	k = work_open_next(w, q, best != NULL ? best->prio : -1);
	return (k != NULL ? k : best);
}

bool
work_take(struct worker *w, struct queue *q, const char *source, bool own,
    uint32_t max, struct txn *ret_txn)
{
	struct work_want want = { source, own, max };
	struct work *k;
	bool got = false;

	/* who makes room looks at what is open */
	while (!got && (k = work_next(w, q, !own)) != NULL) {
		got = work_take_from(w, k, &want, ret_txn);
		k->passed = !got;
		if (!got)
			work_check(w, k);
	}
	TAILQ_FOREACH (k, &q->works, entry)
		k->passed = false;
	return (got);
}

/* What the recipients of open batches that nobody has wait for. */
struct work_wait {
	bool any;	    /* one may leave from any address */
	const char *lonely; /* an address that no session has, */
	const char *least;  /* or else the one that the fewest have, */
	size_t n;	    /* so many */
	uint32_t looks;	    /* recipients that may still be looked at */
};

/* Add one recipient. */
static void
work_wait_add(struct worker *w, const struct queue *q,
    const struct batch_slot *s, struct work_wait *wait)
{
	const char *bound = work_bound(w, q, s);
	size_t n;

	if (bound == NULL) {
		wait->any = true;
		return;
	}
	if (wait->least == bound)
		return; /* the same text: just counted */
	n = sess_from(q, bound);
	if (n == 0)
		wait->lonely = bound;
	else if (wait->least == NULL || n < wait->n) {
		wait->least = bound;
		wait->n = n;
	}
}

/* Look at the open batches, until an address is found that has no session. */
static void
work_wait_look(struct worker *w, struct queue *q, struct work_wait *ret_wait)
{
	int64_t now = sys_now(w->sys);
	struct batch_slot s;
	struct work *k;
	uint32_t i;

	*ret_wait = (struct work_wait) { .looks = WORK_LOOKS };
	TAILQ_FOREACH (k, &q->works, entry) {
		if (k->drained || k->paused)
			continue;
		for (i = k->cursor; i < k->n && ret_wait->looks > 0; i++) {
			ret_wait->looks--;
			if (work_due(w, k, i, now, &s))
				work_wait_add(w, q, &s, ret_wait);
			if (ret_wait->lonely != NULL)
				return;
		}
	}
}

/* One more batch, where nothing in the open ones is new; NULL: none. */
static struct work *
work_ahead(struct worker *w, struct queue *q)
{
	const struct work *k;
	size_t n = 0;

	TAILQ_FOREACH (k, &q->works, entry)
		n += !k->drained;
	return (work_may_pass(w, n) ? work_open_next(w, q, -1) : NULL);
}

bool
work_lonely(struct worker *w, struct queue *q)
{
	const struct ref *top = heap_top(&q->ready);
	struct work_wait wait;

	/* what was never tried waits for no address */
	if (TAILQ_EMPTY(&q->works) && w->n_open < WORK_OPEN_MAX &&
	    top != NULL && top->area == BATCH_CUR)
		(void)work_open_next(w, q, -1);
	work_wait_look(w, q, &wait);
	return (wait.lonely != NULL);
}

const char *
work_source(struct worker *w, struct queue *q)
{
	struct work_wait wait = { .least = NULL };
	struct work *k;

	for (k = work_next(w, q, true); k != NULL; k = work_ahead(w, q)) {
		work_wait_look(w, q, &wait);
		if (wait.lonely != NULL)
			return (wait.lonely);
		if (wait.any)
			return (NULL);
	}
	return (wait.least);
}

size_t
work_left(const struct work *k)
{
	return (k->drained || k->paused ? 0 : k->n - k->cursor);
}

/* --- giving back -------------------------------------------------------- */

void
work_mark(struct work *k, uint32_t slot)
{
	k->flag[slot] = WORK_TAKEN;
	k->busy++;
}

void
work_untake(struct worker *w, struct work *k, uint32_t slot)
{
	k->flag[slot] = WORK_IDLE;
	k->busy--;
	if (slot < k->cursor)
		k->cursor = slot;
	k->drained = false;
	queue_kick(w, k->queue);
}

void
work_return(struct worker *w, struct txn *t)
{
	uint32_t i;

	if (!t->loaded)
		return;
	for (i = 0; i < t->b.n; i++)
		work_untake(w, t->work, t->b.rcpt[i].slot);
	t->loaded = false;
	wal_release(w, t, t->window);
	t->window = 0;
}

void
work_settle(struct worker *w, struct work *k, const struct wal_effect *e)
{
	struct verr err = VERR_INIT;

	if (e->slot == WAL_RECEIVED) {
		k->busy--;
		k->receiving = false;
		if (w->broken)
			return;
		if (work_requeue(w, k, &err) == -1 && err.err != ENOENT)
			log_err(&err);
		work_check(w, k);
		return;
	}
	batch_set(k->batch, e->slot, e->state, e->attempts, e->next_try,
	    e->source[0] != '\0' ? e->source : NULL);
	k->flag[e->slot] = WORK_TRIED;
	k->busy--;
	work_check(w, k);
}

void
work_fault(struct worker *w, struct work *k)
{
	k->fault = true;
	k->drained = true;
	work_check(w, k);
}

void
work_rest(struct worker *w, struct queue *q)
{
	struct work *k, *next;

	for (k = TAILQ_FIRST(&q->works); k != NULL; k = next) {
		next = TAILQ_NEXT(k, entry);
		if (k->busy == 0 && !w->broken)
			(void)work_put_away(w, k);
	}
	q->stale = true; /* names say less than what was open */
}

void
work_pause_all(struct worker *w)
{
	struct work *k, *next;
	struct queue *q;
	size_t i = 0;

	while ((q = map_next(&w->queues, &i, NULL)) != NULL)
		map_release(&q->paused, NULL);
	for (k = TAILQ_FIRST(&w->works); k != NULL; k = next) {
		next = TAILQ_NEXT(k, all);
		work_pause(w, k);
		if (k->paused)
			work_check(w, k);
	}
}

int
work_flush_all(struct worker *w)
{
	struct verr err = VERR_INIT;
	struct work *k;

	if (w->broken)
		return (-1); /* replay has it */
	TAILQ_FOREACH (k, &w->works, all)
		if (batch_dirty(k->batch) &&
		    batch_flush(k->batch, &err) == -1) {
			log_err(&err);
			return (-1);
		}
	return (0);
}

int
work_close_all(struct worker *w)
{
	struct work *k;

	while (!w->broken && (k = TAILQ_FIRST(&w->works)) != NULL)
		(void)work_put_away(w, k);
	return (w->broken ? -1 : 0);
}

void
work_free_all(struct worker *w)
{
	struct work *k, *next;

	for (k = TAILQ_FIRST(&w->works); k != NULL; k = next) {
		next = TAILQ_NEXT(k, all);
		work_free(w, k);
	}
}

void
txn_release(struct txn *t)
{
	batch_txn_release(&t->b);
	free(t->rcpt);
	buf_release(&t->body);
}
