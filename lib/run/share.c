/*
 * Fair shares of a VirtualMTA's own max-smtp-out. Queues that it holds back
 * stand in two lines: those without a connection, and behind them those that
 * have some and want more. In a line the priority of the mail counts first,
 * then the ticket, which a queue has from when it began to wait until it has a
 * connection, however often it is looked at. A connection that ends wakes one
 * of them, so that thousands may wait and cost nothing.
 *
 * A connection that has sent a message makes room: for a queue that has none,
 * when its own has others, or only less urgent mail, or when it had its turn
 * (SHARE_TURN_MS); for one
 * that has some, when its own has at least two more. What is under way is
 * never broken off, so that a queue whose peer stalls keeps what it has until
 * its time-outs; it has little, since connections are only added as others of
 * it bring answers (run/sched.c).
 */
#include "run/rvmta.h"
#include "run/sess.h"
#include "run/share.h"
#include "run/worker.h"

#define SHARE_TURN_MS 10000 /* of an only connection, while others wait */

void
share_init(struct share *sh)
{
	TAILQ_INIT(&sh->waiters);
	TAILQ_INIT(&sh->growers);
}

static unsigned int
share_has(const struct queue *q)
{
	return (q->n_starting + q->n_ready);
}

/* Into its line, behind all that are to come before it. */
static void
share_insert(struct queue *q)
{
	struct queue *prev = TAILQ_LAST(q->line, queue_list);

	while (prev != NULL &&
	    (prev->urgency < q->urgency ||
		(prev->urgency == q->urgency && prev->ticket > q->ticket)))
		prev = TAILQ_PREV(prev, queue_list, entry);
	if (prev != NULL)
		TAILQ_INSERT_AFTER(q->line, prev, q, entry);
	else
		TAILQ_INSERT_HEAD(q->line, q, entry);
}

void
share_wait(struct worker *w, struct queue *q)
{
	struct share *sh = &q->vmta->share;

	if (q->line != NULL)
		return;
	q->line = share_has(q) == 0 ? &sh->waiters : &sh->growers;
	if (q->ticket == 0)
		q->ticket = ++sh->tickets;
	q->urgency = queue_urgency(q);
	share_insert(q);
	sh->waiting++;
	if (q->line != &sh->waiters)
		return;
	w->n_waiting++;
	sess_evict(w, q->vmta);
}

bool
share_waits(const struct queue *q)
{
	const struct share *sh = &q->vmta->share;

	return (q->line == &sh->waiters || q->line == &sh->growers);
}

void
share_forget(struct worker *w, struct queue *q)
{
	if (!share_waits(q))
		return;
	q->vmta->share.waiting--;
	if (q->line == &q->vmta->share.waiters)
		w->n_waiting--;
	TAILQ_REMOVE(q->line, q, entry);
	q->line = NULL;
}

void
share_wake(struct worker *w, struct rvmta *v)
{
	struct queue *q = TAILQ_FIRST(&v->share.waiters);

	if (q == NULL)
		q = TAILQ_FIRST(&v->share.growers);
	if (q == NULL)
		return;
	share_forget(w, q);
	q->woken = true;
	queue_kick(w, q);
}

void
share_used(struct worker *w, struct queue *q, bool opened)
{
	const struct slots *s = &q->vmta->slots;

	q->woken = false;
	if (!opened && (s->max <= 0 || s->used < s->max))
		share_wake(w, q->vmta); /* it had no use for it */
}

/* It is no reason just now: the next one is asked, next time. */
static bool
share_rotate(struct queue_list *line, struct queue *q)
{
	TAILQ_REMOVE(line, q, entry);
	q->ticket = ++q->vmta->share.tickets;
	share_insert(q);
	return (false);
}

bool
share_yields(const struct sess *s)
{
	struct share *sh = &s->queue->vmta->share;
	unsigned int mine = share_has(s->queue);
	bool spare = mine > 1 ||
	    loop_now(s->w->loop) - s->since >= SHARE_TURN_MS;
	struct queue *q;

	if (s->messages == 0)
		return (false);
	if (s->w->total_waits && s->w->n_leaving == 0)
		return (spare);
	if (sh->waiting <= sh->leaving)
		return (false); /* there will be room for all of them */
	if ((q = TAILQ_FIRST(&sh->waiters)) != NULL) {
		if (q->route == s->route) /* s serves it as well, in turn */
			return (share_rotate(&sh->waiters, q));
		return (spare || q->urgency > queue_urgency(s->queue));
	}
	if ((q = TAILQ_FIRST(&sh->growers)) != NULL) {
		if (share_has(q) + 1 >= mine)
			return (share_rotate(&sh->growers, q));
		return (true);
	}
	return (false);
}
