/*
 * Windows at delivery. A batch has one schedule, in its header. Outside of a
 * window it is put away, like mail that is due later; so a queue that is not
 * to be sent costs nothing. Its age does not count (bounce-after): it is over
 * when the last window is.
 */
#include <string.h>

#include "base/log.h"
#include "mail/schedule.h"
#include "run/fault.h"
#include "run/queue.h"
#include "run/result.h"
#include "run/retry.h"
#include "run/window.h"
#include "run/work.h"
#include "run/worker.h"

/* The schedule of k: false: it has none. */
static bool
window_schedule(const struct work *k, struct schedule *ret_s)
{
	const char *text = batch_header(k->batch)->schedule;
	struct verr err = VERR_INIT;

	if (text == NULL)
		return (false);
	if (schedule_parse(text, strlen(text), 0, ret_s, &err) == 0)
		return (true);
	/* whoever wrote it meant no time of ours: none is left */
	log_err(&err);
	ret_s->n = 0;
	return (true);
}

int64_t
window_next(const struct work *k, int64_t t)
{
	struct schedule s;

	return (window_schedule(k, &s) ? schedule_next(&s, t) : t);
}

/* Is it one that would be tried, and that nobody has? */
static bool
window_waits(const struct work *k, uint32_t slot, struct batch_slot *ret_s)
{
	batch_slot(k->batch, slot, ret_s);
	return ((k->flag[slot] == WORK_IDLE || k->flag[slot] == WORK_TRIED) &&
	    (ret_s->state == BATCH_FRESH || ret_s->state == BATCH_DEFERRED));
}

/* No window is left: final records. */
static void
window_over(struct worker *w, struct work *k)
{
	const struct retry_cause cause = { .status = "4.4.7",
		.text = "the last delivery window is over" };
	struct batch_slot s;
	struct batch_txn t;
	uint32_t i;

	batch_txn_init(&t);
	for (i = 0; i < k->n && !k->bad; i++) {
		if (!window_waits(k, i, &s))
			continue;
		if (fault_load(k, i, &t) == -1)
			break;
		work_mark(k, i);
		result_bounce(w, k, &t.msg, &t.rcpt[0], &cause,
		    "message-expired");
	}
	batch_txn_release(&t);
}

/* The next window begins then: nobody is due before. */
static void
window_later(struct work *k, int64_t next)
{
	struct batch_slot s;
	uint32_t i;

	for (i = 0; i < k->n; i++)
		if (window_waits(k, i, &s) && s.next < next)
			batch_set(k->batch, i, s.state, s.attempts, next, NULL);
}

bool
window_open(struct worker *w, struct work *k)
{
	int64_t now = sys_now(w->sys), next;
	struct schedule s;

	if (k->until == 0)
		k->until = !window_schedule(k, &s) ? INT64_MAX :
		    schedule_next(&s, now) == now  ? schedule_end(&s, now) :
						     -1;
	if (now < k->until)
		return (true);
	next = window_next(k, now);
	if (next == -1)
		window_over(w, k);
	else
		window_later(k, next);
	k->until = 0;
	k->drained = true;
	return (false);
}
