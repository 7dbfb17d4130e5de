/*
 * Replay. A dead worker's segment may hold results that never reached their
 * batches; every worker makes sure that none is left before it opens a batch.
 *
 * Two workers may each own part of what a dead one had owned. So replay is
 * done under one lock for the whole spool (owner_segment_lock of "replay"):
 * whoever comes second waits and then finds nothing left to do.
 *
 * Replay is idempotent: a final state stays, and attempts only grow. It may be
 * killed anywhere and done again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acct/replay.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "run/recover.h"
#include "run/worker.h"
#include "spool/commit.h"
#include "spool/list.h"

#define RECOVER_LOCK "replay"
#define RECOVER_WAIT_MS 20
#define RECOVER_OPEN_MAX 256 /* batches open at a time */

/* Where a batch file is. */
struct recover_file {
	enum batch_area area;
	char name[BATCH_NAME_MAX];
};

struct recover {
	struct worker *w;
	struct map queues; /* domain/vmta -> struct map of recover_file by id */
	struct map open;   /* id -> struct batch */
	struct map *into;  /* that is being filled */
	enum batch_area area;
	uint64_t applied;
	bool newer; /* a batch of a newer version has not had its records */
};

static void
recover_free_files(void *arg)
{
	map_release(arg, free);
	free(arg);
}

static int
recover_on_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct recover *rv = arg;
	struct recover_file *f;

	if (n == NULL)
		return (0);
	f = xcalloc(1, sizeof(*f));
	f->area = rv->area;
	(void)snprintf(f->name, sizeof(f->name), "%s", file);
	free(map_put(rv->into, n->id.s, f));
	return (0);
}

/* The batch files of a queue by their ids; NULL with err. */
static struct map *
recover_files(struct recover *rv, const char *queue, const char *domain,
    const char *vmta, struct verr *err)
{
	struct map *files = map_get(&rv->queues, queue);
	struct spool *sp = rv->w->spool;

	if (files != NULL)
		return (files);
	files = xcalloc(1, sizeof(*files));
	(void)map_put(&rv->queues, queue, files);
	rv->into = files;
	rv->area = BATCH_NEW;
	if (spool_batches(sp, vmta, BATCH_NEW, domain, recover_on_batch, rv,
		err) == -1)
		return (NULL);
	rv->area = BATCH_CUR;
	if (spool_batches(sp, vmta, BATCH_CUR, domain, recover_on_batch, rv,
		err) == -1)
		return (NULL);
	return (files);
}

/* Write a batch's states and put it away: unlink it or rename it. */
static int
recover_put_away(struct batch *b, struct verr *err)
{
	int rc = batch_flush(b, err);

	if (rc == 0)
		rc = batch_open_count(b) == 0 ? batch_finish(b, err) :
						batch_requeue(b, err);
	if (rc == -1 && err->err == ENOENT)
		rc = 0;
	batch_close(b);
	return (rc);
}

/* Put all open batches away. */
static int
recover_flush(struct recover *rv, struct verr *err)
{
	struct batch *b;
	size_t i = 0;
	int rc = 0;

	while ((b = map_next(&rv->open, &i, NULL)) != NULL)
		if (recover_put_away(b, err) == -1)
			rc = -1;
	map_release(&rv->open, NULL);
	map_release(&rv->queues, recover_free_files); /* names changed */
	return (rc);
}

/*
 * The batch that a record speaks of: 0 and *ret_b (NULL: it is gone), or -1.
 * One that cannot be read is left for the run to set aside.
 */
static int
recover_batch(struct recover *rv, const struct acct_record *r,
    struct batch **ret_b, struct verr *err)
{
	char domain[SPOOL_DOMAIN_MAX + 1], vmta[SPOOL_VMTA_MAX + 1];
	struct recover_file *f;
	struct map *files;

	*ret_b = map_get(&rv->open, r->batch);
	if (*ret_b != NULL || spool_queue_split(r->queue, domain, vmta) == -1)
		return (0);
	if (rv->open.n >= RECOVER_OPEN_MAX && recover_flush(rv, err) == -1)
		return (-1);
	files = recover_files(rv, r->queue, domain, vmta, err);
	if (files == NULL)
		return (-1);
	f = map_get(files, r->batch);
	if (f == NULL)
		return (0);
	if (batch_open(rv->w->spool, vmta, f->area, domain, f->name, true,
		ret_b, err) == -1) {
		*ret_b = NULL;
		rv->newer = rv->newer || err->code == VEX_UNAVAILABLE;
		if (err->err == ENOENT || err->code == VEX_DATA ||
		    err->code == VEX_UNAVAILABLE)
			return (0);
		return (-1);
	}
	(void)map_put(&rv->open, r->batch, *ret_b);
	return (0);
}

/*
 * The state that a record gives to its recipient. One that is there already is
 * written all the same: after a sync that failed it may be nowhere but in
 * memory, and no later sync would say so.
 */
static void
recover_apply(struct recover *rv, struct batch *b, const struct acct_record *r)
{
	struct batch_slot s;

	if (r->slot >= batch_slots(b))
		return;
	batch_slot(b, r->slot, &s);
	if (batch_state_final(s.state) ||
	    (!batch_state_final(r->state) && s.attempts >= r->attempts)) {
		batch_set(b, r->slot, s.state, s.attempts, s.next, NULL);
		return;
	}
	batch_set(b, r->slot, r->state, r->attempts, r->next_try,
	    r->dlv_source_ip);
	rv->applied++;
}

static int
recover_on_record(void *arg, const struct acct_record *r, const char *bad,
    struct verr *err)
{
	struct recover *rv = arg;
	struct batch *b;

	if (bad != NULL) {
		log_event(LOG_LV_ERROR, "journal-line", "text", bad, NULL);
		return (0);
	}
	if (r->batch == NULL || r->queue == NULL)
		return (0);
	if (recover_batch(rv, r, &b, err) == -1)
		return (-1);
	if (b != NULL && r->state != 0)
		recover_apply(rv, b, r);
	return (0);
}

/* Replay all dead segments; the lock is held. */
static int
recover_replay(struct worker *w, struct verr *err)
{
	struct recover rv = { .w = w };
	struct replay segments;
	int rc;

	rc = replay_dead(w->spool, w->owner, wal_journal(w), recover_on_record,
	    &rv, &segments, err);
	if (recover_flush(&rv, err) == -1)
		rc = -1;
	if (rc == 0 && segments.seg.n > 0 &&
	    w->sys->syncfs(w->sys, w->spool->fd) == -1)
		rc = verr_sys(err, "sync %s", w->spool->path);
	if (rc == -1) {
		replay_release(&segments);
		return (-1);
	}
	if (segments.seg.n > 0)
		log_event(LOG_LV_INFO, "replayed", "segments",
		    log_num((int64_t)segments.seg.n), "records",
		    log_num((int64_t)segments.records), "applied",
		    log_num((int64_t)rv.applied), NULL);
	if (!rv.newer)
		return (replay_retire(&segments, err));
	/*
	 * Retired, its mail would leave twice once that version is back; kept,
	 * the segments would be replayed into batches that others have open.
	 */
	replay_release(&segments);
	return (verr_set(err, VEX_UNAVAILABLE,
	    "the journal has results of a batch of a newer version: a run of "
	    "that version must come first"));
}

/* Wait for the lock; 0 or -1. */
static int
recover_lock(struct worker *w, struct verr *err)
{
	struct timespec ts = { 0, RECOVER_WAIT_MS * 1000000L };
	int rc;

	while ((rc = owner_segment_lock(w->owner, RECOVER_LOCK, err)) == 1)
		(void)nanosleep(&ts, NULL);
	return (rc);
}

/* A VirtualMTA that mail is to be taken from. */
static void
recover_on_take(void *arg, const char *vmta)
{
	struct worker *w = arg;
	struct rvmta *v = map_get(&w->vmtas, vmta);

	if (v != NULL)
		v->stuck = true;
}

/*
 * Which VirtualMTAs have mail that a move has put elsewhere as well? If nobody
 * knows: all may. True: one is free again.
 */
static bool
recover_stuck(struct worker *w)
{
	struct verr err = VERR_INIT;
	struct rvmta *v;
	bool some, freed = false;
	size_t i;

	for (i = 0; (v = map_next(&w->vmtas, &i, NULL)) != NULL;) {
		v->was_stuck = v->stuck;
		v->stuck = false;
	}
	some = commit_damaged(w->spool, recover_on_take, w, &err) == 0;
	if (!some)
		worker_trouble(w, &err);
	for (i = 0; (v = map_next(&w->vmtas, &i, NULL)) != NULL;) {
		v->stuck = v->stuck || !some;
		if (v->stuck && !v->was_stuck)
			log_tell("unfinished-move", "vmta", v->name, "text",
			    "its mail waits: a move could not be completed",
			    NULL);
		freed = freed || (v->was_stuck && !v->stuck);
	}
	return (freed);
}

bool
recover_commits(struct worker *w)
{
	struct verr err = VERR_INIT;
	bool any = false;

	/* mail of a record that is stuck waits; other mail need not */
	if (commit_recover(w->spool, w->owner, &any, &err) == -1)
		worker_trouble(w, &err);
	return (recover_stuck(w) || any);
}

int
recover_own(struct worker *w, struct verr *err)
{
	struct verr own = VERR_INIT;
	size_t before = w->vmtas.n;
	int rc;

	rc = owner_segment_lock(w->owner, RECOVER_LOCK, err);
	if (rc != 0)
		return (rc);
	if (rvmta_own_all(w, &own) == -1)
		log_err(&own); /* those that were taken are ours all the same */
	if (w->vmtas.n > before) {
		(void)recover_commits(w);
		rc = recover_replay(w, err);
	}
	owner_segment_unlock(w->owner, RECOVER_LOCK);
	return (rc);
}

int
recover_all(struct worker *w, struct verr *err)
{
	int rc;

	if (recover_lock(w, err) == -1)
		return (-1);
	(void)recover_commits(w);
	rc = recover_replay(w, err);
	owner_segment_unlock(w->owner, RECOVER_LOCK);
	return (rc);
}
