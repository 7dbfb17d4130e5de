/*
 * Asking. The request is written first, so that owners work on it while this
 * process does what it can own itself. Each VirtualMTA is done once: here, or
 * by the first of its owners that answers for it; what comes later, by who
 * owned it next, does not count. An owner that ends without an answer leaves
 * its VirtualMTAs free, and they are done here.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "run/ask.h"
#include "run/request.h"
#include "run/worker.h"
#include "spool/select.h"
#include "spool/trigger.h"

#define ASK_WAIT_MS 5000
#define ASK_LOOK_MS 10
#define ASK_SELF_EVERY 50 /* looks */

struct ask {
	struct sys *sys;
	struct conf *conf;
	const struct selection *sel;
	struct control_request rq;
	struct map done;	   /* VirtualMTAs that were answered for */
	struct map others;	   /* that others own, at the last look */
	struct control_reply *sum; /* of what counts */
};

/* Add what is new in a reply: of VirtualMTAs that nobody answered for yet. */
static void
ask_add(struct ask *a, const struct control_reply *rep)
{
	const struct control_flight *f;
	const struct control_vmta *v;
	struct control_vmta *to;
	size_t i;

	for (i = 0; i < rep->n_flight; i++) {
		f = &rep->flight[i];
		if (map_get(&a->done, strrchr(f->queue, '/') + 1) == NULL)
			control_reply_flight(a->sum, f->queue, f->msgid,
			    f->index);
	}
	for (i = 0; i < rep->n_vmta; i++) {
		v = &rep->vmta[i];
		if (!selection_vmta(a->sel, v->name) ||
		    map_get(&a->done, v->name) != NULL)
			continue;
		(void)map_put(&a->done, v->name, a);
		to = control_reply_vmta(a->sum, v->name);
		to->matched = v->matched;
		to->changed = v->changed;
	}
}

/* Become owner of what is free and not done, and do it there. */
static int
ask_self(struct ask *a, struct verr *err)
{
	static const struct run_options opt = { .workers = 1 };
	struct worker w = { .sys = a->sys,
		.conf = conf_ref(a->conf),
		.opt = &opt,
		.conf_gen = 1,
		.only = a->sel,
		.done = &a->done,
		.others = &a->others };
	struct control_reply rep = { 0 };
	int rc;

	map_release(&a->others, NULL);
	rc = worker_begin(&w, err);
	if (rc == 0)
		rc = worker_take(&w, err);
	if (rc == 0 && w.owned)
		rc = request_apply(&w, &a->rq, &rep, err);
	if (w.loop != NULL && w.spool != NULL &&
	    worker_let_go(&w, rc == 0 ? err : NULL) == -1)
		rc = -1;
	if (rc == 0 && w.owned) /* a run may have turned away */
		rc = trigger_mark(w.spool, err);
	ask_add(a, &rep);
	control_reply_release(&rep);
	worker_end(&w);
	conf_unref(w.conf);
	return (rc);
}

/* Take in what owners said. 1: all of it is done; 0: not yet; -1. */
static int
ask_collect(struct ask *a, struct spool *sp, struct verr *err)
{
	struct control_reply rep;
	const char *name;
	size_t i = 0;
	int rc = 1;

	if (control_collect(sp, &a->rq.id, &rep, err) == -1)
		return (-1);
	ask_add(a, &rep);
	if (rep.error != NULL)
		rc = verr_set(err, rep.code, "%s", rep.error);
	while (rc == 1 && map_next(&a->others, &i, &name) != NULL)
		rc = map_get(&a->done, name) != NULL;
	control_reply_release(&rep);
	return (rc);
}

/* Wait for the owners; now and then see whether they are still there. */
static int
ask_wait(struct ask *a, struct spool *sp, struct verr *err)
{
	struct timespec ts = { 0, ASK_LOOK_MS * 1000000L };
	int64_t end = a->sys->mono(a->sys) + ASK_WAIT_MS * 1000LL;
	int rc, looks;

	for (looks = 1;; looks++) {
		rc = ask_collect(a, sp, err);
		if (rc != 0)
			return (rc == 1 ? 0 : -1);
		if (a->sys->mono(a->sys) > end)
			return (verr_set(err, VEX_TEMP,
			    "the owner of a VirtualMTA does not answer"));
		(void)nanosleep(&ts, NULL);
		if (looks % ASK_SELF_EVERY == 0 && ask_self(a, err) == -1)
			return (-1);
	}
}

int
ask_owners(struct sys *sys, struct conf *c, const char *command,
    const struct selection *sel, const char *const *extra, size_t n,
    struct control_reply *ret_rep, struct verr *err)
{
	struct ask a = { .sys = sys, .conf = c, .sel = sel, .sum = ret_rep };
	struct control_request *rq = &a.rq;
	struct spool *sp = NULL;
	size_t i;
	int rc, fd = -1;

	memset(ret_rep, 0, sizeof(*ret_rep));
	rq->command = xstrdup(command);
	rq->option = selection_terms(sel, &rq->n);
	rq->option = xreallocarray(rq->option, rq->n + n, sizeof(*rq->option));
	for (i = 0; i < n; i++)
		rq->option[rq->n++] = xstrdup(extra[i]);
	rc = spool_open(sys, conf_spool(c), &sp, err);
	if (rc == 0)
		rc = control_ask(sp, command, (const char *const *)rq->option,
		    rq->n, &rq->id, &fd, err);
	if (rc == 0) {
		rc = ask_self(&a, err);
		if (rc == 0)
			rc = ask_wait(&a, sp, err);
		if (control_done(sp, &rq->id, fd, rc == 0 ? err : NULL) == -1)
			rc = -1;
	}
	for (i = 0; i < rq->n; i++)
		free(rq->option[i]);
	free(rq->option);
	free(rq->command);
	map_release(&a.done, NULL);
	map_release(&a.others, NULL);
	if (sp != NULL)
		spool_close(sp);
	return (rc);
}
