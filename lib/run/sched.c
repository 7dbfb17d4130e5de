/*
 * Scheduling. Queues that have work and may want a connection stand in the
 * worker's hungry list. Each is asked in turn: blocked? route known? limits?
 * What wants a look-up, while too many are under way, waits in a line of its
 * own: a resolver that does not answer must not hold up what it has answered.
 * One connection probes a target that is not known to work; when it is ready,
 * another one follows, and two more for each that has had a message answered,
 * up to the limits and to what there is to send. So a peer that accepts
 * connections and then stalls ties few of them up.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "run/plan.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/sched.h"
#include "run/sess.h"
#include "run/share.h"
#include "run/worker.h"
#include "spool/state.h"

#define SCHED_LOOKUPS 500     /* DNS look-ups under way */
#define SCHED_SOURCE_MS 10000 /* between looks for a missing address */
#define SCHED_PAUSE_MS 60000  /* safety net; resume kicks at once */
#define SCHED_BURST 200	      /* connections opened in one turn */
#define SCHED_LOOKS 256	      /* queues looked at in one turn, and */
#define SCHED_BREATH_MS 1     /* then the sessions have theirs */
#define SCHED_FIRST 2	      /* connections before a message is answered */

int
sched_wake_cmp(const void *va, const void *vb)
{
	const struct sched_wake *a = va, *b = vb;

	return (a->at < b->at ? -1 : a->at > b->at);
}

/* Remember to look at q at its next time. */
static void
sched_later(struct worker *w, struct queue *q)
{
	struct sched_wake e = { queue_next(q), q };

	if (e.at == INT64_MAX || (q->wake != 0 && q->wake <= e.at))
		return;
	if (e.at == 0)
		e.at = sys_now(w->sys) + 1;
	q->wake_then = q->wake;
	q->wake = e.at;
	q->n_wakes++;
	heap_push(&w->wakes, &e);
}

void
queue_kick(struct worker *w, struct queue *q)
{
	queue_wait_slot(w, q);
	w->news = true;
	worker_kick(w);
}

void
sched_wake(struct worker *w)
{
	int64_t now = sys_now(w->sys);
	const struct sched_wake *top;
	struct sched_wake e;

	while ((top = heap_top(&w->wakes)) != NULL && top->at <= now) {
		heap_pop(&w->wakes, &e);
		e.queue->n_wakes--;
		if (e.queue->wake == e.at) { /* the later one stands */
			e.queue->wake = e.queue->wake_then;
			e.queue->wake_then = 0;
		}
		queue_kick(w, e.queue);
	}
}

int64_t
sched_next(struct worker *w)
{
	const struct sched_wake *top = heap_top(&w->wakes);

	return (top != NULL ? top->at : INT64_MAX);
}

/* Is q blocked? Blocks whose time has passed are lifted. */
static bool
sched_blocked(struct worker *w, struct queue *q)
{
	if (q->vmta->conf == NULL) {
		q->block = QUEUE_ORPHAN;
		q->next_try = 0;
		return (true);
	}
	if (q->vmta->stuck) {
		q->block = QUEUE_MOVING;
		q->next_try = 0;
		return (true);
	}
	if (pause_match(w->pauses, q->domain, q->vmta->name, NULL)) {
		q->block = QUEUE_PAUSED;
		q->next_try = 0;
		return (true);
	}
	if (q->block == QUEUE_PAUSED || q->block == QUEUE_ORPHAN ||
	    q->block == QUEUE_MOVING)
		q->block = q->step > 0 && !w->opt->now ? QUEUE_RETRY :
							 QUEUE_OPEN;
	if (q->block != QUEUE_OPEN &&
	    (q->next_try <= sys_now(w->sys) ||
		(w->opt->now && q->block == QUEUE_RETRY && !q->tried)))
		q->block = QUEUE_OPEN;
	return (q->block != QUEUE_OPEN);
}

/* About how many messages wait that no session has taken? */
static size_t
sched_backlog(const struct queue *q)
{
	const struct work *k;
	const struct ref *top = heap_top(&q->ready);
	size_t n = q->ready.n;

	if (top != NULL)
		n += top->name.open - 1;
	TAILQ_FOREACH (k, &q->works, entry)
		n += work_left(k);
	return (n);
}

/* Say once a run that an address is not here. */
static void
sched_missing(struct queue *q, const struct source *missing)
{
	if (missing == NULL || q->vmta->complained)
		return;
	q->vmta->complained = true;
	log_tell("source-missing", "vmta", q->vmta->name, "source",
	    missing->text, NULL);
}

/* A source address of a family for q's next connection, NULL: none is here. */
static const struct source *
sched_source(struct worker *w, struct queue *q, int family, const char *prefer)
{
	const struct source *src, *missing = NULL;
	struct rvmta *v = q->vmta;

	src = source_next(v->sources, family, rvmta_turn(w, v), prefer,
	    &missing);
	sched_missing(q, missing);
	return (src);
}

/* The address that q's next connection should leave from, NULL: any. */
static const char *
sched_prefer(struct worker *w, struct queue *q)
{
	const char *want = work_source(w, q);
	size_t i;

	/* it failed twice, and nobody says that others fail: another one */
	if (want != NULL && q->step > 1 && q->n_ready == 0 &&
	    rvmta_has(w, q->vmta, want, &i) && i + 1 == q->failed_from)
		return (NULL);
	return (want);
}

/* The next target of q and the address to go there from; false: none. */
static bool
sched_pair(struct worker *w, struct queue *q, size_t *ret_target,
    const struct source **ret_src)
{
	const struct dns_target *t = q->route->dns->target;
	const char *prefer = sched_prefer(w, q);
	size_t i, n = q->route->dns->n;

	if (prefer != NULL) {
		i = route_pick(q,
		    strchr(prefer, ':') != NULL ? AF_INET6 : AF_INET);
		if (i < n) {
			*ret_target = i;
			*ret_src = sched_source(w, q, t[i].addr.sa.sa_family,
			    prefer);
			if (*ret_src != NULL)
				return (true);
		}
	}
	while (q->target < n) {
		*ret_target = q->target;
		*ret_src = sched_source(w, q, t[q->target].addr.sa.sa_family,
		    NULL);
		if (*ret_src != NULL)
			return (true);
		/* a family that we have no address for now */
		route_target_failed(q, q->target);
	}
	return (false);
}

/* No slot is free: may q ask for one of its route's? */
static void
sched_crowded(struct worker *w, struct queue *q)
{
	if (q->route->n_sess > 0 && q->hold_until <= loop_now(w->loop) &&
	    work_lonely(w, q))
		sess_make_room(q);
}

/* How many more connections should q have? */
static size_t
sched_wanted(struct worker *w, struct queue *q)
{
	size_t left = sched_backlog(q), n = q->n_starting, most;
	size_t has = q->n_ready + n, may = SCHED_FIRST + 2 * q->n_proven;

	if (w->opt->trace != NULL)
		return (w->traced || q->n_starting + q->n_ready > 0 ? 0 : 1);
	if (q->n_ready + n == 0 &&
	    q->route->n_sess >= (size_t)q->set->max_smtp_out) {
		sched_crowded(w, q);
		return (0); /* those of its route take its mail in turn */
	}
	if (q->n_ready == 0)
		return (n == 0 && left > 0 ? 1 : 0);
	if (q->hold_until > loop_now(w->loop))
		return (0);
	/*
	 * As many begin as there are: a host that takes one or two of us at a
	 * time is asked for one more, not for max-smtp-out of them.
	 */
	most = left < q->n_ready ? left : q->n_ready;
	if (has >= may || most <= n)
		return (0);
	return (most - n < may - has ? most - n : may - has);
}

/* Open one connection; false when q can have none now. */
static bool
sched_open(struct worker *w, struct queue *q)
{
	struct limiter *list[SESS_LIMITS];
	const struct source *src = NULL;
	struct limit_answer a;
	size_t target;
	bool found;

	sess_limits(w, q, list);
	a = limit_ask(list, SESS_LIMITS, loop_now(w->loop), 1);
	q->limited = a.now ? LIMIT_NONE : a.why;
	if (a.now && TAILQ_EMPTY(&q->works) && !work_room(w, q)) {
		q->limited = LIMIT_FILES; /* it could open no batch */
		return (false);
	}
	if (!a.now) { /* before an address has its turn */
		sched_crowded(w, q);
		return (false);
	}
	found = sched_pair(w, q, &target, &src);
	if (!queue_has_work(w, q))
		return (false); /* the batches in the plan are not there */
	if (!found) {
		retry_queue_no_way(w, q, QUEUE_NO_SOURCE, SCHED_SOURCE_MS);
		return (false);
	}
	a = limit_take(list, SESS_LIMITS, loop_now(w->loop), 1);
	q->limited = a.now ? LIMIT_NONE : a.why;
	if (!a.now)
		return (false);
	sess_open(w, q, target, src);
	return (true);
}

/* Does a limit hold q back that all queues share? */
static bool
sched_is_total(const struct queue *q)
{
	return (q->limited == LIMIT_TOTAL_CONNS || q->limited == LIMIT_FILES);
}

/* Connections for q, as many as it should and may have. */
static void
sched_connect(struct worker *w, struct queue *q, size_t *budget)
{
	size_t n;

	while (sess_reuse(w, q) && queue_has_work(w, q))
		;
	for (n = sched_wanted(w, q); n > 0 && *budget > 0; n--, (*budget)--)
		if (!sched_open(w, q))
			break;
	if (q->block != QUEUE_OPEN)
		return;
	if (q->limited == LIMIT_VMTA_CONNS)
		share_wait(w, q);
	else if (sched_is_total(q) && q->n_starting + q->n_ready == 0) {
		queue_wait_slot(w, q);
		sess_evict(w, NULL);
	}
}

/* q waits in that line, or goes on waiting where it does. */
static void
sched_line(struct queue *q, struct queue_list *line)
{
	if (q->line != NULL)
		return;
	q->line = line;
	TAILQ_INSERT_TAIL(line, q, entry);
}

/* q leaves its line. */
static void
sched_unline(struct queue *q)
{
	TAILQ_REMOVE(q->line, q, entry);
	q->line = NULL;
}

/* Those that wait for look-ups stand in nobody's way: as many as may, now. */
static void
sched_lookers(struct worker *w)
{
	size_t n = w->n_lookup;
	struct queue *q;

	for (; n < SCHED_LOOKUPS && (q = TAILQ_FIRST(&w->lookers)) != NULL;
	     n++) {
		sched_unline(q);
		q->looked = w->round - 1;
		sched_line(q, &w->hungry);
	}
}

/* One queue of the hungry list. */
static void
sched_queue(struct worker *w, struct queue *q, size_t *budget)
{
	q->limited = LIMIT_NONE;
	if (sched_blocked(w, q)) {
		route_deactivate(q);
		work_rest(w, q);
		sched_later(w, q);
		return;
	}
	if (q->bouncer != NULL) { /* kicks when it is done */
		route_deactivate(q);
		return;
	}
	(void)queue_set(w, q);
	plan_more(w, q);
	if (!queue_has_work(w, q)) {
		if (q->stale)
			queue_wait_slot(w, q); /* it was listed just now */
		sched_later(w, q);
		return;
	}
	if (!rvmta_any_here(w, q->vmta)) {
		(void)sched_source(w, q, AF_INET, NULL); /* says which */
		(void)sched_source(w, q, AF_INET6, NULL);
		retry_queue_hold(w, q, QUEUE_NO_SOURCE, SCHED_SOURCE_MS);
		sched_later(w, q);
		return;
	}
	if (!route_usable(w, q)) {
		if (w->n_lookup >= SCHED_LOOKUPS)
			sched_line(q, &w->lookers);
		else
			route_lookup(w, q);
		return;
	}
	route_activate(q);
	sched_connect(w, q, budget);
	sched_later(w, q);
}

void
queue_wait_slot(struct worker *w, struct queue *q)
{
	if (q->line == &w->hungry || q->line == &w->lookers ||
	    q->line == &w->answered || q->line == &q->vmta->share.waiters)
		return;
	share_forget(w, q); /* it is looked at, and may wait again */
	sched_line(q, &w->hungry);
}

void
queue_answered(struct worker *w, struct queue *q)
{
	q->looked = w->round - 1; /* not in this round: it goes on with it */
	if (q->line == NULL)
		sched_line(q, &w->answered);
	queue_kick(w, q);
}

/* The answered ones before the hungry ones, each in their order. */
static void
sched_join(struct worker *w)
{
	struct queue *q;

	TAILQ_FOREACH (q, &w->answered, entry)
		q->line = &w->hungry;
	TAILQ_CONCAT(&w->answered, &w->hungry, entry);
	TAILQ_CONCAT(&w->hungry, &w->answered, entry);
}

/* The first turn of a round, or one more of it. */
static void
sched_begin(struct worker *w)
{
	if (!w->round_open) {
		w->round_open = true;
		w->round++;
		w->news = false;
		w->total_waits = false;
	}
	sched_lookers(w);
	sched_join(w);
}

void
sched_run(struct worker *w)
{
	struct queue *q;
	size_t budget = SCHED_BURST, looks = 0;
	bool over = w->stopping;
	unsigned int n;

	sched_begin(w);
	while (!over && budget > 0 && looks++ < SCHED_LOOKS) {
		q = TAILQ_FIRST(&w->hungry);
		if (q == NULL || q->looked == w->round) {
			over = true;
			break;
		}
		q->looked = w->round;
		sched_unline(q);
		n = q->n_starting;
		sched_queue(w, q, &budget);
		if (q->woken && q->line != &w->hungry)
			share_used(w, q, q->n_starting > n);
		w->total_waits = w->total_waits ||
		    (sched_is_total(q) && q->line == &w->hungry);
		over = sched_is_total(q);
	}
	w->round_open = !over;
	if (!w->stopping &&
	    (!over || w->news ||
		(!TAILQ_EMPTY(&w->lookers) && w->n_lookup < SCHED_LOOKUPS)))
		/* at once would be before what sessions wait for */
		loop_timer_set(w->sched_timer, SCHED_BREATH_MS);
}

void
sched_why(struct worker *w, struct queue *q, struct buf *ret_text)
{
	struct limiter *list[SESS_LIMITS];
	struct limit_answer a;
	char text[128];

	(void)sched_blocked(w, q);
	if (q->block != QUEUE_OPEN) {
		buf_adds(ret_text, queue_why(q->block));
		return;
	}
	sess_limits(w, q, list);
	a = limit_ask(list, SESS_LIMITS, loop_now(w->loop), 1);
	if (!a.now)
		buf_adds(ret_text, limit_text(&a, text, sizeof(text)));
	else if (q->unlisted != NULL)
		buf_adds(ret_text, q->unlisted);
}
