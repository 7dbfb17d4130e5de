/*
 * Queues. A queue keeps the names of at most QUEUE_REFS batches, the best of
 * what its directories hold; when they are used up and more is there, the
 * directories are listed again (run/plan.c). So a million queued messages
 * need no more memory than a few thousand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/bouncer.h"
#include "run/plan.h"
#include "run/queue.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/share.h"
#include "run/work.h"
#include "run/worker.h"

/* Names that one queue keeps in memory: of each kind, and twice as many for
 * a moment. */
#define QUEUE_REFS 4096

/* Ready: the highest priority first, then the longest due, then the id. */
static int
ref_cmp_ready(const void *va, const void *vb)
{
	const struct ref *a = va, *b = vb;

	if (a->name.prio != b->name.prio)
		return (a->name.prio > b->name.prio ? -1 : 1);
	if (a->due != b->due)
		return (a->due < b->due ? -1 : 1);
	return (strcmp(a->name.id.s, b->name.id.s));
}

/* Waiting: the earliest first. */
static int
ref_cmp_wait(const void *va, const void *vb)
{
	const struct ref *a = va, *b = vb;

	if (a->due != b->due)
		return (a->due < b->due ? -1 : 1);
	return (strcmp(a->name.id.s, b->name.id.s));
}

struct queue *
queue_get(struct worker *w, struct rvmta *v, const char *domain)
{
	struct buf name = BUF_INIT;
	struct queue *q;

	buf_addf(&name, "%s/%s", domain, v->name);
	q = map_get(&w->queues, name.p);
	if (q != NULL) {
		buf_release(&name);
		return (q);
	}
	q = xcalloc(1, sizeof(*q));
	q->name = buf_take(&name);
	q->domain = xstrdup(domain);
	q->vmta = v;
	q->worker = w;
	heap_init(&q->ready, sizeof(struct ref), ref_cmp_ready);
	heap_init(&q->wait, sizeof(struct ref), ref_cmp_wait);
	TAILQ_INIT(&q->works);
	q->more_at = INT64_MAX;
	(void)map_put(&w->queues, q->name, q);
	slots_init(&q->slots, LIMIT_QUEUE_CONNS, 0);
	(void)queue_set(w, q);
	retry_load(w, q);
	return (q);
}

/* The one copy of these settings; most queues have the same. */
static const struct conf_queue *
queue_intern(struct worker *w, const struct conf_queue *set)
{
	struct conf_queue *copy;
	char key[24];

	(void)snprintf(key, sizeof(key), "%u %016llx", w->conf_gen,
	    (unsigned long long)set->hash);
	copy = map_get(&w->settings, key);
	if (copy == NULL) {
		copy = xmemdup(set, sizeof(*set));
		(void)map_put(&w->settings, key, copy);
	}
	return (copy);
}

const struct conf_queue *
queue_set(struct worker *w, struct queue *q)
{
	struct conf_queue set;

	if (q->set_gen == w->conf_gen)
		return (q->set);
	/* of an orphan: what holds globally, it is not sent anyway */
	(void)conf_queue(w->conf, q->domain, q->vmta->name, &set);
	q->set = queue_intern(w, &set);
	q->set_gen = w->conf_gen;
	q->slots.max = q->set->max_smtp_out;
	q->shunned = 0;
	q->failed_from = 0;
	return (q->set);
}

static void
queue_free(struct worker *w, struct queue *q)
{
	bouncer_stop(w, q);
	route_drop(w, q);
	share_forget(w, q);
	if (q->line != NULL)
		TAILQ_REMOVE(q->line, q, entry);
	heap_release(&q->ready);
	heap_release(&q->wait);
	map_release(&q->paused, NULL);
	retry_forget(q);
	free(q->last_error);
	free(q->unlisted);
	free(q->domain);
	free(q->name);
	free(q);
}

/* Nothing planned, open or running? */
static bool
queue_idle(const struct queue *q)
{
	return (q->ready.n == 0 && q->wait.n == 0 && !q->more && !q->stale &&
	    TAILQ_EMPTY(&q->works) && q->n_starting == 0 && q->n_ready == 0 &&
	    q->slots.used == 0 && q->lookup == 0 && q->line == NULL &&
	    q->n_wakes == 0 && q->bouncer == NULL);
}

void
queue_sweep(struct worker *w)
{
	struct queue *q, **idle = xcalloc(w->queues.n, sizeof(*idle));
	size_t i = 0, n = 0;

	while ((q = map_next(&w->queues, &i, NULL)) != NULL)
		if (queue_idle(q))
			idle[n++] = q;
	for (i = 0; i < n; i++) {
		(void)map_del(&w->queues, idle[i]->name);
		queue_free(w, idle[i]);
	}
	free(idle);
}

void
queue_reload_all(struct worker *w)
{
	struct queue *q;
	size_t i = 0;

	while ((q = map_next(&w->queues, &i, NULL)) != NULL) {
		(void)queue_set(w, q);
		share_forget(w, q); /* limits may be others; all are kicked */
		route_drop(w, q);   /* sessions keep theirs until they end */
	}
}

void
queue_stop_all(struct worker *w)
{
	struct queue *q;
	size_t i = 0;

	while ((q = map_next(&w->queues, &i, NULL)) != NULL) {
		bouncer_stop(w, q);
		route_drop(w, q);
	}
}

void
queue_free_all(struct worker *w)
{
	struct queue *q;
	size_t i = 0;

	while ((q = map_next(&w->queues, &i, NULL)) != NULL)
		queue_free(w, q);
	map_release(&w->queues, NULL);
	heap_release(&w->wakes);
	TAILQ_INIT(&w->hungry);
	TAILQ_INIT(&w->lookers);
	TAILQ_INIT(&w->answered);
}

/*
 * Keep the best QUEUE_REFS of h when it has twice as many; the rest is found
 * again by listing. Returns the best one that is dropped, or NULL.
 */
static const struct ref *
queue_trim(struct heap *h)
{
	if (h->n < 2 * (size_t)QUEUE_REFS)
		return (NULL);
	qsort(h->p, h->n, h->size, h->cmp); /* sorted, it is a heap as well */
	h->n = QUEUE_REFS;
	return ((const struct ref *)(const void *)h->p + h->n);
}

void
queue_add_ref(struct worker *w, struct queue *q, const struct ref *r)
{
	bool due = r->forced || r->due <= sys_now(w->sys);
	const struct ref *rest;

	heap_push(due ? &q->ready : &q->wait, r);
	if (w->opt->now)
		return;
	rest = queue_trim(due ? &q->ready : &q->wait);
	if (rest != NULL && due)
		q->more = true;
	else if (rest != NULL && rest->due < q->more_at)
		q->more_at = rest->due;
}

void
queue_promote(struct worker *w, struct queue *q)
{
	int64_t now = sys_now(w->sys);
	const struct ref *top;
	struct ref r;

	while ((top = heap_top(&q->wait)) != NULL && top->due <= now) {
		heap_pop(&q->wait, &r);
		heap_push(&q->ready, &r);
	}
	if (q->more_at <= now)
		q->more = true;
}

/* Has one of the open batches recipients that nobody has taken? */
static bool
queue_works_left(const struct queue *q)
{
	const struct work *k;

	TAILQ_FOREACH (k, &q->works, entry)
		if (!k->drained && !k->paused)
			return (true);
	return (false);
}

int
queue_urgency(const struct queue *q)
{
	const struct ref *top = heap_top(&q->ready);
	int prio = top != NULL ? top->name.prio : -1;
	const struct work *k;

	TAILQ_FOREACH (k, &q->works, entry)
		if (!k->drained && !k->paused && k->prio > prio)
			prio = k->prio;
	return (prio);
}

bool
queue_has_work(struct worker *w, struct queue *q)
{
	if (q->block != QUEUE_OPEN || w->stopping || w->broken)
		return (false);
	queue_promote(w, q);
	return (q->ready.n > 0 || q->more || plan_due(w, q) ||
	    queue_works_left(q));
}

int64_t
queue_next(const struct queue *q)
{
	const struct ref *top;

	if (q->block != QUEUE_OPEN)
		return (q->next_try > 0 ? q->next_try : INT64_MAX);
	if (q->ready.n > 0 || q->more || q->stale || queue_works_left(q))
		return (0);
	top = heap_top(&q->wait);
	return (top != NULL && top->due < q->more_at ? top->due : q->more_at);
}

const char *
queue_why(enum queue_block b)
{
	static const char *const text[] = {
		[QUEUE_OPEN] = "",
		[QUEUE_RETRY] = "retry",
		[QUEUE_PAUSED] = "paused",
		[QUEUE_NO_SOURCE] = "no-source-address",
		[QUEUE_LOCAL] = "local-fault",
		[QUEUE_MOVING] = "unfinished-move",
		[QUEUE_ORPHAN] = "no-virtual-mta",
	};

	return (text[b]);
}
