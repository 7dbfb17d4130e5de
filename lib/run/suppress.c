/*
 * Suppression at delivery. A batch is looked through when a session is about
 * to be opened for it, and again, when a list has been replaced since, before
 * a session takes the next message of it: so no connection is made for the
 * sake of those who get nothing, and a new list counts within a second.
 *
 * What a list cannot tell (it is missing, damaged, or an expression gives up)
 * is not answered by sending: the batch waits. Mail of sources with other
 * lists goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "run/fault.h"
#include "run/queue.h"
#include "run/result.h"
#include "run/retry.h"
#include "run/suppress.h"
#include "run/work.h"
#include "run/worker.h"
#include "spool/supset.h"

#define SUPPRESS_STATUS "5.7.1"
#define SUPPRESS_CATEGORY "suppressed"

struct suppress {
	struct supset *set;
	unsigned int gen; /* of set */
	struct map told;  /* what was said of lists since then */
};

/* The record of the recipient in t. list NULL: it was on one once. */
static void
suppress_rcpt(struct worker *w, struct work *k, const struct batch_txn *t,
    const char *list)
{
	char text[128];
	struct retry_cause cause = { .status = SUPPRESS_STATUS, .text = text };

	(void)snprintf(text, sizeof(text), "recipient suppressed%s%s",
	    list != NULL ? ": on list " : "", list != NULL ? list : "");
	work_mark(k, t->rcpt[0].slot);
	result_bounce(w, k, &t->msg, &t->rcpt[0], &cause, SUPPRESS_CATEGORY);
}

/* Is it one that may be sent to, and that nobody has? */
static bool
suppress_open(const struct work *k, uint32_t slot)
{
	struct batch_slot s;

	batch_slot(k->batch, slot, &s);
	return ((k->flag[slot] == WORK_IDLE || k->flag[slot] == WORK_TRIED) &&
	    (s.state == BATCH_FRESH || s.state == BATCH_DEFERRED));
}

/* Ask the lists for one recipient. 0, or -1 with err. */
static int
suppress_ask(struct worker *w, struct work *k, const struct conf_list *lists,
    uint32_t slot, struct batch_txn *t, struct verr *err)
{
	const char *list = NULL;
	int rc;

	if (fault_load(k, slot, t) == -1)
		return (-1);
	rc = supset_find(w->suppress->set, lists, t->rcpt[0].rcpt, &list, err);
	if (rc == 1)
		suppress_rcpt(w, k, t, list);
	return (rc == -1 ? -1 : 0);
}

/* A list cannot be read: k waits. That is said once, until a list changes. */
static void
suppress_trouble(struct worker *w, struct work *k, const struct verr *err)
{
	k->fault = true;
	free(k->queue->unlisted);
	k->queue->unlisted = xstrdup(err->text);
	if (map_put(&w->suppress->told, err->text, w) != NULL)
		return;
	log_tell("suppression", "source", batch_header(k->batch)->source,
	    "text", err->text, "so", "its mail waits", NULL);
}

/* All recipients of k. 0, or -1: k must wait. */
static int
suppress_all(struct worker *w, struct work *k, const struct conf_list *lists)
{
	struct verr err = VERR_INIT;
	struct batch_txn t;
	uint32_t i;
	int rc = 0;

	batch_txn_init(&t);
	for (i = 0; i < k->n && rc == 0; i++)
		if (suppress_open(k, i))
			rc = suppress_ask(w, k, lists, i, &t, &err);
	batch_txn_release(&t);
	if (rc == -1 && !k->bad && !k->fault)
		suppress_trouble(w, k, &err);
	return (rc);
}

void
suppress_marked(struct worker *w, struct work *k)
{
	struct batch_slot s;
	struct batch_txn t;
	uint32_t i;

	batch_txn_init(&t);
	for (i = 0; i < k->n; i++) {
		batch_slot(k->batch, i, &s);
		if (s.state != BATCH_SUPPRESSED || k->flag[i] != WORK_IDLE)
			continue;
		if (fault_load(k, i, &t) == -1)
			break;
		suppress_rcpt(w, k, &t, NULL);
	}
	batch_txn_release(&t);
}

/* What changes when lists, or those that a source has, do; never 0. */
static unsigned int
suppress_gen(struct worker *w)
{
	struct suppress *x = w->suppress;
	unsigned int gen;

	if (x == NULL) {
		x = w->suppress = xcalloc(1, sizeof(*x));
		x->set = supset_new(w->spool);
	}
	gen = supset_gen(x->set);
	if (x->gen != gen)
		map_release(&x->told, NULL);
	x->gen = gen;
	return (gen + w->conf_gen);
}

bool
suppress_batch(struct worker *w, struct work *k)
{
	const char *source = batch_header(k->batch)->source;
	struct conf_source src;
	unsigned int gen = suppress_gen(w);

	if (k->suppressed == gen)
		return (true);
	if (k->suppressed == 0)
		suppress_marked(w, k);
	conf_source(w->conf, source != NULL ? source : "", &src);
	if (k->bad || (k->suppressed == 0 && k->fault) ||
	    (src.suppression_lists.n > 0 &&
		suppress_all(w, k, &src.suppression_lists) == -1)) {
		k->drained = true;
		return (false);
	}
	k->suppressed = gen;
	free(k->queue->unlisted);
	k->queue->unlisted = NULL;
	return (true);
}

void
suppress_close(struct worker *w)
{
	if (w->suppress == NULL)
		return;
	supset_free(w->suppress->set);
	map_release(&w->suppress->told, NULL);
	free(w->suppress);
	w->suppress = NULL;
}
