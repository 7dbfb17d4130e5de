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
#include "run/tpl.h"
#include "run/wal.h"
#include "run/work.h"
#include "run/worker.h"
#include "spool/state.h"

#define WORK_SLOTS 1000 /* recipients that one transaction can have */
#define WORK_JOB_KEY 12
#define WORK_FAULT_S 10 /* after a fault of this machine */

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
work_open(struct worker *w, struct queue *q, const struct ref *r)
{
	struct verr err = VERR_INIT;
	char file[BATCH_NAME_MAX];
	struct batch *b = NULL;
	struct work *k;

	if (work_get(q, &r->name.id) != NULL)
		return (NULL);
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
	return (batch_requeue(k->batch, err));
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

/* May the recipient's next attempt leave from this address? */
static bool
work_source_fits(struct worker *w, const struct queue *q, const char *last,
    const char *source)
{
	const struct source_set *set = q->vmta->sources;
	const struct source *src;
	size_t i, n = source_count(set);

	if (last == NULL || source == NULL || strcmp(last, source) == 0)
		return (true);
	for (i = 0; i < n; i++) {
		src = source_at(set, i);
		if (strcmp(src->text, last) == 0)
			return (!source_local(w->net,
			    (const struct sockaddr *)&src->addr));
	}
	return (true); /* it is not the VirtualMTA's any more */
}

/* Is it a recipient whose time has come, and that nobody has? */
static bool
work_due(struct worker *w, const struct work *k, uint32_t slot, int64_t now,
    struct batch_slot *ret_s)
{
	if (k->flag[slot] != WORK_IDLE)
		return (false);
	batch_slot(k->batch, slot, ret_s);
	if (ret_s->state != BATCH_FRESH && ret_s->state != BATCH_DEFERRED)
		return (false);
	if (ret_s->next <= now)
		return (true);
	/* a schedule (--at) is no retry time: it always holds */
	return (ret_s->state == BATCH_DEFERRED &&
	    (k->forced || retry_sane(w, k->queue->set, ret_s->next) <= now));
}

/*
 * The first recipient for source; k->n: none. Moves the cursor; sets drained
 * when nothing is left for any source.
 */
static uint32_t
work_find(struct worker *w, struct work *k, const char *source)
{
	int64_t now = sys_now(w->sys);
	struct batch_slot s;
	bool other = false;
	uint32_t i;

	for (i = k->cursor; i < k->n; i++) {
		if (work_due(w, k, i, now, &s)) {
			if (work_source_fits(w, k->queue, s.source, source))
				return (i);
			other = true;
		}
		if (!other)
			k->cursor = i + 1;
	}
	k->drained = !other;
	return (k->n);
}

/* The recipients of one message from slot first on; returns how many. */
static uint32_t
work_gather(struct worker *w, const struct work *k, uint32_t first,
    const char *source, uint32_t max, uint32_t *ret_slot)
{
	int64_t now = sys_now(w->sys);
	struct batch_slot s;
	uint32_t i, n = 0, msg;

	batch_slot(k->batch, first, &s);
	msg = s.msg;
	for (i = first; i < k->n && n < max && n < WORK_SLOTS; i++) {
		batch_slot(k->batch, i, &s);
		if (s.msg != msg)
			break;
		if (work_due(w, k, i, now, &s) &&
		    work_source_fits(w, k->queue, s.source, source))
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

/* Fill t from k; false when k has nothing for this source. */
static bool
work_take_from(struct worker *w, struct work *k, const char *source,
    uint32_t max, struct txn *t)
{
	struct verr err = VERR_INIT;
	uint32_t slot[WORK_SLOTS], n, i, first;

	first = work_find(w, k, source);
	if (first == k->n)
		return (false);
	if (batch_header(k->batch)->merge)
		max = 1; /* each has a message of its own */
	n = work_gather(w, k, first, source, max, slot);
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
	(void)work_find(w, k, NULL); /* no connection for what is taken */
	return (true);
}

/* The open batch whose turn it is, opened if need be; NULL: none. */
static struct work *
work_next(struct worker *w, struct queue *q)
{
	const struct ref *top;
	struct work *k, *best = NULL;
	struct ref r;

	TAILQ_FOREACH (k, &q->works, entry)
		if (!k->drained && !k->passed && !k->paused &&
		    (best == NULL || k->prio > best->prio))
			best = k;
	if (best == NULL)
		plan_more(w, q);
	queue_promote(w, q);
	while ((top = heap_top(&q->ready)) != NULL &&
	    (best == NULL || top->name.prio > best->prio)) {
		heap_pop(&q->ready, &r);
		if (pause_match_name(w->pauses, q->domain, q->vmta->name,
			&r.name))
			continue; /* since it was listed */
		k = work_open(w, q, &r);
		if (k != NULL && !k->paused)
			return (k);
		if (k != NULL)
			work_check(w, k);
	}
	return (best);
}

bool
work_take(struct worker *w, struct queue *q, const char *source, uint32_t max,
    struct txn *ret_txn)
{
	struct work *k;
	bool got = false;

	while (!got && (k = work_next(w, q)) != NULL) {
		got = work_take_from(w, k, source, max, ret_txn);
		k->passed = !got;
		if (!got)
			work_check(w, k);
	}
	TAILQ_FOREACH (k, &q->works, entry)
		k->passed = false;
	return (got);
}

const char *
work_source(struct worker *w, struct queue *q)
{
	struct batch_slot s;
	struct work *k;
	uint32_t first;

	k = work_next(w, q);
	if (k == NULL)
		return (NULL);
	first = work_find(w, k, NULL);
	if (first == k->n)
		return (NULL);
	batch_slot(k->batch, first, &s);
	return (s.source);
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
	wal_release(w, t->window);
	t->window = 0;
}

void
work_settle(struct worker *w, struct work *k, const struct wal_effect *e)
{
	struct verr err = VERR_INIT;

	if (e->slot == WAL_RECEIVED) {
		k->busy--;
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
work_rest(struct worker *w, struct queue *q)
{
	struct work *k, *next;

	for (k = TAILQ_FIRST(&q->works); k != NULL; k = next) {
		next = TAILQ_NEXT(k, entry);
		if (k->busy == 0 && !w->broken)
			(void)work_put_away(w, k);
	}
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
