/*
 * Asking. The request is written first, so that owners work on it while this
 * process does what it can own itself. An owner that ends without an answer
 * makes this call fail for now (75); the next one finds its mail free.
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

struct ask {
	struct sys *sys;
	struct conf *conf;
	const char *command;
	const struct selection *sel;
	char **option;
	size_t n_option;
	struct id id;
	struct control_reply own; /* what was done here */
};

/* Become owner of what is free, and do it there. *ret_left: owned by others. */
static int
ask_self(struct ask *a, unsigned int *ret_left, struct verr *err)
{
	static const struct run_options opt = { .workers = 1 };
	struct worker w = { .sys = a->sys,
		.conf = conf_ref(a->conf),
		.opt = &opt,
		.conf_gen = 1,
		.only = a->sel };
	int rc;

	rc = worker_begin(&w, err);
	if (rc == 0)
		rc = worker_take(&w, err);
	*ret_left = w.n_foreign;
	if (rc == 0 && w.owned)
		rc = request_apply(&w, a->command, a->option, a->n_option,
		    &a->own, err);
	if (w.loop != NULL && w.spool != NULL &&
	    worker_let_go(&w, rc == 0 ? err : NULL) == -1)
		rc = -1;
	if (rc == 0 && w.owned)
		rc = trigger_mark(w.spool,
		    err); /* a run may have turned away */
	worker_end(&w);
	conf_unref(w.conf);
	return (rc);
}

/* Have the owners answered for so many VirtualMTAs? Fills ret_rep. */
static int
ask_answered(struct ask *a, struct spool *sp, unsigned int left,
    struct control_reply *ret_rep, struct verr *err)
{
	size_t i, n = 0;

	if (control_collect(sp, &a->id, ret_rep, err) == -1)
		return (-1);
	for (i = 0; i < ret_rep->n_vmta; i++)
		if (selection_vmta(a->sel, ret_rep->vmta[i]))
			n++;
	return (n >= left ? 1 : 0);
}

/* Wait for the owners of `left` VirtualMTAs. */
static int
ask_wait(struct ask *a, struct spool *sp, unsigned int left,
    struct control_reply *ret_rep, struct verr *err)
{
	struct timespec ts = { 0, ASK_LOOK_MS * 1000000L };
	int64_t end = a->sys->mono(a->sys) + ASK_WAIT_MS * 1000LL;
	int rc;

	for (;;) {
		rc = ask_answered(a, sp, left, ret_rep, err);
		if (rc != 0)
			return (rc == 1 ? 0 : -1);
		if (a->sys->mono(a->sys) > end)
			return (verr_set(err, VEX_TEMP,
			    "the owner of %u VirtualMTA(s) does not answer",
			    left));
		control_reply_release(ret_rep);
		(void)nanosleep(&ts, NULL);
	}
}

/* Add what was done here to what the owners said. */
static void
ask_sum(struct ask *a, struct control_reply *ret_rep)
{
	size_t i;

	ret_rep->matched += a->own.matched;
	ret_rep->changed += a->own.changed;
	for (i = 0; i < a->own.n_flight; i++)
		control_reply_flight(ret_rep, a->own.flight[i].queue,
		    a->own.flight[i].msgid, a->own.flight[i].index);
	control_reply_release(&a->own);
}

int
ask_owners(struct sys *sys, struct conf *c, const char *command,
    const struct selection *sel, const char *const *extra, size_t n,
    struct control_reply *ret_rep, struct verr *err)
{
	struct ask a = { .sys = sys,
		.conf = c,
		.command = command,
		.sel = sel };
	struct spool *sp = NULL;
	unsigned int left = 0;
	size_t i;
	int rc;

	memset(ret_rep, 0, sizeof(*ret_rep));
	a.option = selection_terms(sel, &a.n_option);
	a.option = xreallocarray(a.option, a.n_option + n, sizeof(*a.option));
	for (i = 0; i < n; i++)
		a.option[a.n_option++] = xstrdup(extra[i]);
	rc = spool_open(sys, conf_spool(c), &sp, err);
	if (rc == 0)
		rc = control_ask(sp, command, (const char *const *)a.option,
		    a.n_option, &a.id, err);
	if (rc == 0) {
		rc = ask_self(&a, &left, err);
		if (rc == 0)
			rc = ask_wait(&a, sp, left, ret_rep, err);
		if (control_done(sp, &a.id, rc == 0 ? err : NULL) == -1)
			rc = -1;
	}
	ask_sum(&a, ret_rep);
	for (i = 0; i < a.n_option; i++)
		free(a.option[i]);
	free(a.option);
	if (sp != NULL)
		spool_close(sp);
	return (rc);
}
