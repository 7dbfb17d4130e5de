/*
 * The plan. A look over the spool finds only the names of queues; the names
 * of a queue's batches are listed when the scheduler comes to it, at most
 * QUEUE_REFS of them are kept. An announced queue with very many files is not
 * listed again for every new one: a listing that took T ms is repeated after
 * 10 T at the earliest.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "run/plan.h"
#include "run/queue.h"
#include "run/retry.h"
#include "run/share.h"
#include "run/work.h"
#include "run/worker.h"
#include "spool/list.h"
#include "spool/state.h"

#define PLAN_FAULT_MS 1000 /* after a directory could not be read */

struct plan_look {
	struct worker *w;
	struct rvmta *vmta;
	struct queue *queue;
	enum batch_area area;
};

int64_t
plan_when(struct worker *w, const struct queue *q, enum batch_area area,
    const struct batch_name *n)
{
	int64_t now = sys_now(w->sys);

	if (n->due == BATCH_DUE_NEVER)
		return (n->due);
	/* neither scheduled nor tried: the clock was set back since */
	if (n->due > now && n->due <= id_time(&n->id))
		return (now);
	return (area == BATCH_CUR ? retry_sane(w, q->set, n->due) : n->due);
}

/* A batch file of the queue that is listed. */
static int
plan_on_batch(void *arg, const char *file, const struct batch_name *name)
{
	struct plan_look *look = arg;
	struct queue *q = look->queue;
	struct ref r = { .area = look->area, .forced = look->w->opt->now };

	if (name == NULL) {
		log_event(LOG_LV_WARN, "foreign-file", "queue", q->name, "file",
		    file, NULL);
		return (0);
	}
	if (work_get(q, &name->id) != NULL || work_name_paused(q, name) ||
	    pause_match_name(look->w->pauses, q->domain, q->vmta->name, name))
		return (0);
	r.name = *name;
	r.due = plan_when(look->w, q, look->area, name);
	queue_add_ref(look->w, q, &r);
	return (0);
}

/* List the directories of one queue anew; 0, or -1 (logged). */
static int
plan_queue(struct worker *w, struct queue *q)
{
	struct plan_look look = { w, q->vmta, q, BATCH_NEW };
	int64_t begun = w->sys->mono(w->sys);
	struct verr err = VERR_INIT;

	heap_release(&q->ready);
	heap_release(&q->wait);
	q->more = false;
	q->more_at = INT64_MAX;
	q->stale = false;
	if (spool_batches(w->spool, q->vmta->name, BATCH_NEW, q->domain,
		plan_on_batch, &look, &err) == -1)
		goto fail;
	look.area = BATCH_CUR;
	if (spool_batches(w->spool, q->vmta->name, BATCH_CUR, q->domain,
		plan_on_batch, &look, &err) == -1)
		goto fail;
	q->listed = loop_now(w->loop);
	q->list_cost = (w->sys->mono(w->sys) - begun) / 1000;
	return (0);
fail:
	q->stale = true;
	q->listed = loop_now(w->loop) + PLAN_FAULT_MS;
	log_err(&err);
	return (-1);
}

bool
plan_due(const struct worker *w, const struct queue *q)
{
	return (q->stale && loop_now(w->loop) >= q->listed + 10 * q->list_cost);
}

void
plan_more(struct worker *w, struct queue *q)
{
	if ((q->ready.n == 0 && q->more) || plan_due(w, q))
		(void)plan_queue(w, q);
}

/* A queue of the spool: it will be listed when its turn comes. */
static int
plan_on_domain(void *arg, const char *domain, bool foreign)
{
	struct plan_look *look = arg;
	struct worker *w = look->w;
	struct queue *q;

	if (foreign)
		return (0); /* vmta-check spool reports it */
	if (w->opt->domain != NULL && strcmp(w->opt->domain, domain) != 0)
		return (0);
	q = queue_get(w, look->vmta, domain);
	q->stale = true;
	queue_kick(w, q);
	return (0);
}

void
plan_all(struct worker *w)
{
	struct plan_look look = { .w = w };
	struct verr err = VERR_INIT;
	bool failed = false, passing = false;
	size_t i = 0;

	while ((look.vmta = map_next(&w->vmtas, &i, NULL)) != NULL) {
		if (spool_domains(w->spool, look.vmta->name, BATCH_NEW,
			plan_on_domain, &look, &err) == -1 ||
		    spool_domains(w->spool, look.vmta->name, BATCH_CUR,
			plan_on_domain, &look, &err) == -1) {
			failed = true;
			passing = passing || err.code == VEX_TEMP ||
			    err.err == EIO;
		}
	}
	if (failed && !w->look_failed)
		log_err(&err);
	w->look_failed = failed;
	/* what was not seen is looked for again; by a run if that may pass */
	w->full_look = passing || (failed && w->opt->mode == RUN_DAEMON);
}

void
plan_new_mail(struct worker *w, struct rvmta *v, const char *domain)
{
	struct queue *q;

	if (w->opt->domain != NULL && strcmp(w->opt->domain, domain) != 0)
		return;
	q = queue_get(w, v, domain);
	q->stale = true;
	if (q->block == QUEUE_RETRY && q->set->retry_upon_new_mail)
		q->block = QUEUE_OPEN;
	share_forget(w, q); /* it may be more urgent than what waits */
	queue_kick(w, q);
}
