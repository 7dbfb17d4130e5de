/*
 * The live file: one line a queue that has connections or a reason to wait,
 *
 *	vmta-live 1
 *	DOMAIN/VMTA CONNECTIONS REASON
 *
 * and, while the brake is on, `dns 0 REASON` (a name without a slash is no
 * queue). REASON is `-` for none and may hold spaces. The file is replaced, not
 * synced: it is of no use after its worker has gone, who removes it. A reader
 * ignores files that are older than ten seconds.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "run/live.h"
#include "run/queue.h"
#include "run/sched.h"
#include "run/worker.h"

#define LIVE_EVERY_MS 1000
#define LIVE_SELDOM_MS 5000 /* at least, however many queues there are */
#define LIVE_SHARE 20	    /* one part in so many of the time, up to that */

/* The name of the file. */
static void
live_name(const struct worker *w, char *buf, size_t n)
{
	(void)snprintf(buf, n, "live.%s", w->id.s);
}

/* When the next one is due, after one that took so long (us). */
static int64_t
live_next(int64_t now, int64_t took)
{
	int64_t ms = took * LIVE_SHARE / 1000;

	return (now +
	    (ms < LIVE_EVERY_MS		? LIVE_EVERY_MS :
		    ms > LIVE_SELDOM_MS ? LIVE_SELDOM_MS :
					  ms));
}

/* The line of a queue, if there is something to say. */
static void
live_line(struct worker *w, struct queue *q, struct buf *b)
{
	struct buf why = BUF_INIT;
	unsigned int conns = q->n_starting + q->n_ready;

	sched_why(w, q, &why);
	if (conns > 0 || why.len > 0)
		buf_addf(b, "%s %u %s\n", q->name, conns,
		    why.len > 0 ? why.p : "-");
	buf_release(&why);
}

void
live_write(struct worker *w)
{
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	struct queue *q;
	const char *brake = dns_braked(w->dns);
	char name[64];
	size_t i = 0;
	int64_t began;

	if (loop_now(w->loop) < w->next_live)
		return;
	began = w->sys->mono(w->sys);
	buf_adds(&b, "vmta-live 1\n");
	if (brake != NULL)
		buf_addf(&b, "dns 0 %s\n", brake);
	while ((q = map_next(&w->queues, &i, NULL)) != NULL)
		live_line(w, q, &b);
	live_name(w, name, sizeof(name));
	if (file_write_fast(w->sys, w->spool->state_fd, name, b.p, b.len,
		&err) == -1 &&
	    !w->complained_live) {
		w->complained_live = true;
		log_err(&err);
	}
	buf_release(&b);
	w->next_live = live_next(loop_now(w->loop),
	    w->sys->mono(w->sys) - began);
}

void
live_remove(struct worker *w)
{
	char name[64];

	if (w->spool == NULL)
		return; /* it did not get so far */
	live_name(w, name, sizeof(name));
	(void)w->sys->unlinkat(w->sys, w->spool->state_fd, name, 0);
}
