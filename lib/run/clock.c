/*
 * The wall clock may be set while a run lasts: by a person, or by NTP after a
 * boot with a clock that was wrong. Waits go on as if it had not been: what is
 * planned is listed anew, with due times that are judged by the new time, and
 * what was added makes no mail older in this run (run/retry.c).
 */
#include "base/log.h"
#include "run/clock.h"
#include "run/plan.h"
#include "run/queue.h"
#include "run/worker.h"

#define CLOCK_STEP_S 2 /* less is no step */

static int64_t
clock_offset(struct worker *w)
{
	return (w->sys->wall(w->sys) - w->sys->mono(w->sys));
}

void
clock_begin(struct worker *w)
{
	w->clock_off = clock_offset(w);
}

/* The waits of queues end when they would have. */
static void
clock_shift(struct worker *w, int64_t step)
{
	struct queue *q;
	size_t i = 0;

	while ((q = map_next(&w->queues, &i, NULL)) != NULL) {
		if (q->next_try > 0 && q->next_try + step > 0)
			q->next_try += step;
		q->stale = true;
		queue_kick(w, q);
	}
}

void
clock_tick(struct worker *w)
{
	int64_t off = clock_offset(w), step = (off - w->clock_off) / 1000000;

	w->clock_off = off;
	if (step > -CLOCK_STEP_S && step < CLOCK_STEP_S)
		return;
	log_event(LOG_LV_WARN, "clock-set", "seconds", log_num(step), NULL);
	/* set back, what was too much is not; mail of before stays young */
	w->leap = w->leap + step > 0 ? w->leap + step : 0;
	clock_shift(w, step);
}
