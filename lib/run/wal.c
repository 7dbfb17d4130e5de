/*
 * Group commit. Records gather while the last group is being synced in
 * another thread; when that is done, the effects of its records are applied
 * in order and the next group goes. Nothing here waits.
 *
 * Crash behaviour: a record that is durable and whose effect is not in its
 * batch is applied by the next run's replay. A record that is not durable is
 * lost with the process: its recipient is tried again. WAL_WINDOW bounds how
 * many of those may already have been delivered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acct/journal.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/exports.h"
#include "run/route.h"
#include "run/sess.h"
#include "run/wal.h"
#include "run/work.h"
#include "run/worker.h"

#define WAL_DELAY_MS 4	  /* how long a lonely record waits for company */
#define WAL_GROUP 64	  /* records that do not wait */
#define WAL_RETRY_MS 1000 /* after a full disk */

struct wal {
	struct journal *j;
	struct wal_effect *fx; /* a ring: effects of records not durable */
	size_t fx_at;
	size_t fx_n;
	size_t fx_cap;
	uint64_t fx_lsn; /* LSN of the first of them */
	uint32_t unsafe; /* of WAL_WINDOW, in use */
	uint32_t large;	 /* of the large transaction */
	bool starved;	 /* who waits longest waits for the window itself */
	struct sess_list waiting;
	struct journal_chunk *chunk; /* being written */
	struct loop_timer *timer;
	bool complained;
	bool rotate_complained;
	bool checkpointing;
	int checkpoint_err; /* errno, 0: it came about */
	/*
	 * The spool, for the syncs of checkpoints alone: what could not be
	 * written is told to each open file once, and must not be told to the
	 * sync of a move.
	 */
	int sync_fd;
};

static void wal_flush(struct worker *w);

/*
 * Room in the window for n recipients of s? *ret_share: not for this one, but
 * others need not wait for that: its route has its share, or another large one
 * is under way.
 */
static bool
wal_room(const struct wal *wal, const struct sess *s, uint32_t n,
    bool *ret_share)
{
	uint32_t left = WAL_WINDOW - wal->unsafe;

	*ret_share = n > WAL_LARGE && wal->large > 0;
	if (n > WAL_LARGE)
		return (!*ret_share);
	if (n > left)
		return (false);
	*ret_share = s->route->unanswered > 0 &&
	    s->route->unanswered + n > left;
	return (!*ret_share);
}

/* Window and disk room for n recipients of s, or not. */
static bool
wal_take(struct worker *w, struct sess *s, uint32_t n, bool *ret_share)
{
	struct wal *wal = w->wal;
	struct verr err = VERR_INIT;

	*ret_share = false;
	if (w->hurried || journal_failed(wal->j) ||
	    !wal_room(wal, s, n, ret_share))
		return (false);
	if (journal_reserve(wal->j, n, &err) == -1) {
		if (!wal->complained)
			log_event(LOG_LV_ERROR, "journal-full", "text",
			    err.text, NULL);
		wal->complained = true;
		loop_timer_set(wal->timer, WAL_RETRY_MS);
		/* less than it wants may do for others, and they make room */
		*ret_share = n > WAL_LARGE;
		return (false);
	}
	wal->complained = false;
	if (n > WAL_LARGE)
		wal->large = n;
	else {
		wal->unsafe += n;
		s->route->unanswered += n;
	}
	s->txn.large = n > WAL_LARGE;
	s->txn.window = s->txn.unanswered = n;
	return (true);
}

void
wal_answered(struct sess *s)
{
	if (!s->txn.large)
		s->route->unanswered -= s->txn.unanswered;
	s->txn.unanswered = 0;
}

bool
wal_may_large(struct worker *w, uint32_t n)
{
	if (w->wal->large > 0 || journal_reserve(w->wal->j, n, NULL) == -1)
		return (false);
	journal_release(w->wal->j, n);
	return (true);
}

/* n recipients of the window, or of the large transaction, are safe. */
static void
wal_give(struct wal *wal, bool large, uint32_t n)
{
	if (large)
		wal->large -= n;
	else
		wal->unsafe -= n;
}

/*
 * Let those go on that the window now has room for: first come first, but that
 * who waits for his route's share lets others pass.
 */
static void
wal_resume(struct worker *w)
{
	struct sess *s, *next;
	bool share;

	w->wal->starved = false;
	for (s = TAILQ_FIRST(&w->wal->waiting); s != NULL; s = next) {
		next = TAILQ_NEXT(s, waiting);
		if (!wal_take(w, s, s->waiting_n, &share)) {
			w->wal->starved = !share;
			if (!share)
				return;
			continue;
		}
		TAILQ_REMOVE(&w->wal->waiting, s, waiting);
		s->waiting_n = 0;
		smtp_conn_resume(s->conn);
	}
}

bool
wal_may_end(struct worker *w, struct sess *s, uint32_t n)
{
	bool share = false;

	if (!w->wal->starved && wal_take(w, s, n, &share))
		return (true);
	if (!share)
		w->wal->starved = true;
	s->waiting_n = n;
	TAILQ_INSERT_TAIL(&w->wal->waiting, s, waiting);
	return (false);
}

void
wal_forget(struct worker *w, struct sess *s)
{
	if (s->waiting_n == 0)
		return;
	TAILQ_REMOVE(&w->wal->waiting, s, waiting);
	s->waiting_n = 0;
}

void
wal_release(struct worker *w, const struct txn *t, uint32_t n)
{
	if (n == 0)
		return;
	journal_release(w->wal->j, n);
	wal_give(w->wal, t->large, n);
	wal_resume(w);
}

/* Room for one more effect in the ring. */
static void
wal_grow(struct wal *wal)
{
	size_t i, cap = wal->fx_cap > 0 ? wal->fx_cap * 2 : 256;
	struct wal_effect *fx = xreallocarray(NULL, cap, sizeof(*fx));

	for (i = 0; i < wal->fx_n; i++)
		fx[i] = wal->fx[(wal->fx_at + i) & (wal->fx_cap - 1)];
	free(wal->fx);
	wal->fx = fx;
	wal->fx_at = 0;
	wal->fx_cap = cap;
}

void
wal_append(struct worker *w, const struct acct_record *r,
    const struct wal_effect *e)
{
	struct wal *wal = w->wal;
	uint64_t lsn;

	if (e->unsafe > 0)
		lsn = journal_append_reserved(wal->j, r);
	else
		lsn = journal_append(wal->j, r);
	if (wal->fx_n == wal->fx_cap)
		wal_grow(wal);
	if (wal->fx_n == 0)
		wal->fx_lsn = lsn;
	wal->fx[(wal->fx_at + wal->fx_n++) & (wal->fx_cap - 1)] = *e;
	if (wal->chunk != NULL)
		return;
	if (wal->fx_n >= WAL_GROUP)
		wal_flush(w);
	else if (wal->fx_n == 1)
		loop_timer_set(wal->timer, WAL_DELAY_MS);
}

/* Apply what is durable. */
static void
wal_apply(struct worker *w, uint64_t durable)
{
	struct wal *wal = w->wal;
	struct wal_effect e;

	while (wal->fx_n > 0 && wal->fx_lsn <= durable) {
		e = wal->fx[wal->fx_at];
		wal->fx_at = (wal->fx_at + 1) & (wal->fx_cap - 1);
		wal->fx_n--;
		wal->fx_lsn++;
		wal_give(wal, e.large, e.unsafe);
		if (e.work != NULL)
			work_settle(w, e.work, &e);
	}
}

/* In the other thread. */
static void
wal_on_write(void *arg)
{
	struct worker *w = arg;

	journal_write_run(w->wal->chunk);
}

/* The group is on disk, or not. */
static void
wal_on_written(void *arg)
{
	struct worker *w = arg;
	struct wal *wal = w->wal;
	struct verr err = VERR_INIT;
	uint64_t durable = 0;
	int rc;

	rc = journal_write_end(wal->j, wal->chunk, &durable, &err);
	wal->chunk = NULL;
	wal_apply(w, durable);
	if (rc != 0) {
		log_event(LOG_LV_ERROR, "journal-error", "text", err.text,
		    "final", rc == -1 ? "yes" : "no", NULL);
		if (rc == -1)
			worker_stop(w, true);
		else
			loop_timer_set(wal->timer, WAL_RETRY_MS);
		return;
	}
	if (wal->fx_n > 0)
		wal_flush(w);
	wal_resume(w);
	worker_kick(w);
}

/* Write what has gathered, unless a group is under way. */
static void
wal_flush(struct worker *w)
{
	struct wal *wal = w->wal;

	if (wal->chunk != NULL)
		return;
	wal->chunk = journal_write_begin(wal->j);
	if (wal->chunk == NULL)
		return;
	loop_timer_stop(wal->timer);
	if (loop_work(w->loop, wal_on_write, wal_on_written, w) == -1) {
		wal_on_write(w);
		wal_on_written(w);
	}
}

static void
wal_on_timer(void *arg)
{
	struct worker *w = arg;

	wal_flush(w);
	wal_resume(w);
}

const struct journal *
wal_journal(const struct worker *w)
{
	return (w->wal != NULL ? w->wal->j : NULL);
}

size_t
wal_pending(const struct worker *w)
{
	return (w->wal->fx_n);
}

bool
wal_busy(const struct worker *w)
{
	return (w->wal->fx_n > 0 || w->wal->chunk != NULL ||
	    w->wal->checkpointing);
}

bool
wal_failed(const struct worker *w)
{
	return (journal_failed(w->wal->j));
}

/* Of all that was written to the spool's filesystem: batches, directories. */
static void
wal_on_checkpoint(void *arg)
{
	struct worker *w = arg;

	w->wal->checkpoint_err = w->sys->syncfs(w->sys, w->wal->sync_fd) == -1 ?
	    errno :
	    0;
}

/*
 * A sync that failed is not tried again: the kernel may have dropped pages and
 * called them clean, so that the next one says nothing. The run ends, and the
 * next one's replay writes all of it anew.
 */
static void
wal_on_checkpointed(void *arg)
{
	struct worker *w = arg;
	struct verr err = VERR_INIT;

	w->wal->checkpointing = false;
	if (w->wal->checkpoint_err != 0) {
		errno = w->wal->checkpoint_err;
		(void)verr_sys(&err, "sync %s", w->spool->path);
		log_err(&err);
		worker_broke(w);
		return;
	}
	if (journal_retire(w->wal->j, &err) == -1)
		log_err(&err);
}

/* Begin a new segment when this one is large; retire the old ones. */
static void
wal_rotate(struct worker *w)
{
	struct wal *wal = w->wal;
	struct verr err = VERR_INIT;
	bool failed;

	if (wal->checkpointing || wal->chunk != NULL)
		return;
	if (journal_full(wal->j)) {
		failed = journal_rotate(wal->j, &err) == -1;
		if (failed && !wal->rotate_complained)
			log_err(&err);
		wal->rotate_complained = failed;
	}
	if (!journal_has_old(wal->j) || work_flush_all(w) == -1)
		return;
	wal->checkpointing = true;
	if (loop_work(w->loop, wal_on_checkpoint, wal_on_checkpointed, w) == -1)
		wal->checkpointing = false;
}

void
wal_tick(struct worker *w)
{
	wal_flush(w);
	wal_rotate(w);
	exports_tick(w, journal_id(w->wal->j), journal_size(w->wal->j));
}

int
wal_open(struct worker *w, struct verr *err)
{
	struct wal *wal = xcalloc(1, sizeof(*wal));

	wal->sync_fd = file_open_dir(w->sys, w->spool->fd, ".");
	if (wal->sync_fd == -1)
		(void)verr_sys(err, "open spool %s", w->spool->path);
	else
		wal->j = journal_open(w->spool, w->owner, err);
	if (wal->j == NULL) {
		if (wal->sync_fd != -1)
			(void)w->sys->close(w->sys, wal->sync_fd);
		free(wal);
		return (-1);
	}
	TAILQ_INIT(&wal->waiting);
	wal->timer = loop_timer_new(w->loop, wal_on_timer, w);
	w->wal = wal;
	exports_load(w);
	return (0);
}

int
wal_close(struct worker *w, struct verr *err)
{
	struct wal *wal = w->wal;
	uint64_t durable = 0;
	int rc;

	if (wal == NULL)
		return (0);
	while (wal->chunk != NULL || wal->checkpointing || exports_busy(w))
		loop_turn(w->loop, true);
	rc = journal_sync(wal->j, &durable, err);
	wal_apply(w, durable);
	if (rc == 0 && work_close_all(w) == -1)
		rc = verr_set(err, VEX_IO, "states are not all written");
	if (rc == 0 && w->sys->syncfs(w->sys, wal->sync_fd) == -1)
		rc = verr_sys(err, "sync %s", w->spool->path);
	if (rc == 0)
		rc = journal_close(wal->j, err);
	else
		journal_free(wal->j); /* the next run replays it */
	if (rc == 0)
		exports_last(w);
	(void)w->sys->close(w->sys, wal->sync_fd);
	loop_timer_free(wal->timer);
	exports_unload(w);
	free(wal->fx);
	free(wal);
	w->wal = NULL;
	return (rc);
}
