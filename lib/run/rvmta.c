/* VirtualMTAs of a worker: ownership, source addresses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/rvmta.h"
#include "run/worker.h"
#include "spool/counter.h"
#include "spool/list.h"
#include "spool/select.h"
#include "spool/state.h"

/* Is an address on this machine? */
enum rvmta_here { RVMTA_UNASKED, RVMTA_HERE, RVMTA_AWAY };

/* Which of the worker processes may own it? */
static bool
rvmta_mine(const struct worker *w, const char *name)
{
	if (w->only != NULL && !selection_vmta(w->only, name))
		return (false);
	if (w->done != NULL && map_get(w->done, name) != NULL)
		return (false);
	if (w->opt->vmta != NULL && strcmp(w->opt->vmta, name) != 0)
		return (false);
	return (map_hash(name, strlen(name)) % w->opt->workers == w->index);
}

/* What the kernel said of the addresses is not true any more. */
static void
rvmta_forget(struct rvmta *v)
{
	free(v->here);
	v->here = NULL;
}

/* A domain: there is mail, or was a moment ago. */
static int
rvmta_on_domain(void *arg, const char *domain, bool foreign)
{
	(void)arg;
	(void)domain;
	return (foreign ? 0 : 1);
}

/* Say that a VirtualMTA left the configuration, if it left mail behind. */
static void
rvmta_orphan(struct worker *w, const struct rvmta *v)
{
	struct verr err = VERR_INIT;

	if (w->only != NULL) /* a tool: it knows */
		return;
	if (spool_domains(w->spool, v->name, BATCH_NEW, rvmta_on_domain, NULL,
		&err) == 1 ||
	    spool_domains(w->spool, v->name, BATCH_CUR, rvmta_on_domain, NULL,
		&err) == 1)
		log_tell("no-virtual-mta", "vmta", v->name, "text",
		    "its mail waits: it is not in the configuration", NULL);
}

/* Addresses and limits, as configured. */
static void
rvmta_load(struct worker *w, struct rvmta *v)
{
	const struct conf_vmta *c = conf_vmta(w->conf, v->name);

	rvmta_forget(v);
	source_set_free(v->sources);
	v->sources = source_set_new(w->net, c != NULL ? c->addr : NULL,
	    c != NULL ? c->naddr : 0);
	v->conf = c;
	v->slots.max = c != NULL ? c->max_smtp_out : 0;
	v->complained = false;
	if (c == NULL)
		rvmta_orphan(w, v);
}

/* Own this VirtualMTA (also one that left the configuration), if free. */
static int
rvmta_own(struct worker *w, const char *name, struct verr *err)
{
	struct rvmta *v;
	int rc;

	if (!rvmta_mine(w, name) || map_get(&w->vmtas, name) != NULL)
		return (0);
	rc = owner_try(w->owner, name, err);
	if (rc == 1) {
		w->n_foreign++;
		if (w->others != NULL)
			(void)map_put(w->others, name, w);
	}
	if (rc != 0)
		return (rc == 1 ? 0 : -1);
	v = xcalloc(1, sizeof(*v));
	v->name = xstrdup(name);
	v->untried = !retry_state_any(w->spool, name);
	slots_init(&v->slots, LIMIT_VMTA_CONNS, 0);
	share_init(&v->share);
	rvmta_load(w, v);
	(void)map_put(&w->vmtas, name, v);
	return (0);
}

struct rvmta_walk {
	struct worker *w;
	struct verr *err;
};

/* A VirtualMTA that the spool has a directory for. */
static int
rvmta_on_name(void *arg, const char *name, bool foreign)
{
	struct rvmta_walk *walk = arg;

	if (foreign || conf_vmta(walk->w->conf, name) != NULL)
		return (0); /* those of the configuration had their turn */
	return (rvmta_own(walk->w, name, walk->err));
}

int
rvmta_own_all(struct worker *w, struct verr *err)
{
	struct rvmta_walk walk = { w, err };
	size_t i, n = conf_vmta_n(w->conf);

	w->n_foreign = 0;
	for (i = 0; i < n; i++)
		if (rvmta_own(w, conf_vmta_at(w->conf, i)->name, err) == -1)
			return (-1);
	return (spool_vmtas(w->spool, rvmta_on_name, &walk, err));
}

static void
rvmta_free(void *arg)
{
	struct rvmta *v = arg;

	rvmta_forget(v);
	source_set_free(v->sources);
	free(v->name);
	free(v);
}

void
rvmta_release_all(struct worker *w)
{
	struct rvmta *v;
	size_t i = 0;

	while ((v = map_next(&w->vmtas, &i, NULL)) != NULL)
		owner_release(w->owner, v->name);
	map_release(&w->vmtas, rvmta_free);
}

void
rvmta_reload_all(struct worker *w)
{
	struct rvmta *v;
	size_t i = 0;

	while ((v = map_next(&w->vmtas, &i, NULL)) != NULL)
		rvmta_load(w, v);
}

/* Its addresses have other numbers now: what is known of them is void. */
static void
rvmta_renumber(struct worker *w, struct rvmta *v)
{
	struct queue *q;
	size_t i = 0;

	v->numbers++;
	while ((q = map_next(&w->queues, &i, NULL)) != NULL)
		if (q->vmta == v) {
			q->shunned = 0;
			q->failed_from = 0;
		}
}

void
rvmta_refresh_all(struct worker *w)
{
	struct rvmta *v;
	size_t i = 0;

	while ((v = map_next(&w->vmtas, &i, NULL)) != NULL) {
		rvmta_forget(v);
		if (source_refresh(v->sources))
			rvmta_renumber(w, v);
	}
}

/* Is its address number i on this machine? */
static bool
rvmta_here(struct worker *w, struct rvmta *v, size_t i)
{
	const struct source *src = source_at(v->sources, i);

	if (v->here == NULL || v->here_at != loop_now(w->loop)) {
		free(v->here);
		v->here = xcalloc(source_count(v->sources), sizeof(*v->here));
		v->here_at = loop_now(w->loop);
	}
	if (v->here[i] == RVMTA_UNASKED)
		v->here[i] = source_local(w->net,
				 (const struct sockaddr *)&src->addr) ?
		    RVMTA_HERE :
		    RVMTA_AWAY;
	return (v->here[i] == RVMTA_HERE);
}

bool
rvmta_any_here(struct worker *w, struct rvmta *v)
{
	size_t i, n = source_count(v->sources);

	for (i = 0; i < n; i++)
		if (rvmta_here(w, v, i))
			return (true);
	return (false);
}

bool
rvmta_has(struct worker *w, struct rvmta *v, const char *text, size_t *ret_i)
{
	size_t i, n = source_count(v->sources);

	for (i = 0; i < n; i++)
		if (strcmp(source_at(v->sources, i)->text, text) == 0) {
			*ret_i = i;
			return (rvmta_here(w, v, i));
		}
	return (false);
}

uint64_t
rvmta_turn(struct worker *w, const struct rvmta *v)
{
	struct verr err = VERR_INIT;
	char name[96];
	uint64_t turn = 0;

	(void)snprintf(name, sizeof(name), "source.%s", v->name);
	if (counter_add(w->spool, name, 1, &turn, &err) == -1)
		log_err(&err); /* the first address, then */
	return (turn);
}
