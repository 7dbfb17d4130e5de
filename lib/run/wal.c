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
#include <stdlib.h>
#include <string.h>

#include "acct/export.h"
#include "acct/journal.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/sess.h"
#include "run/wal.h"
#include "run/work.h"
#include "run/worker.h"

#define WAL_DELAY_MS 4	   /* how long a lonely record waits for company */
#define WAL_GROUP 64	   /* records that do not wait */
#define WAL_RETRY_MS 1000  /* after a full disk */
#define WAL_CLEAN_MS 3600000
#define WAL_EXPORT_MS 1000 /* between two looks of the acct-files */

/* An acct-file section and the thread that serves it. */
struct wal_export {
	struct worker *w;
	struct conf *conf; /* holds the strings of file while busy */
	struct acct_file file;
	struct export_job job;
	char live_id[32];
	struct verr err;
	bool busy;
	bool failed;
	bool complained;
};

/* The removal of old segments, and what it must not outlive. */
struct wal_clean {
	struct worker *w;
	struct conf *conf;
	struct acct_file *files;
	struct export_job job;
	struct verr err;
};

struct wal {
	struct journal *j;
	struct wal_effect *fx; /* a ring: effects of records not durable */
	size_t fx_at;
	size_t fx_n;
	size_t fx_cap;
	uint64_t fx_lsn; /* LSN of the first of them */
	uint32_t unsafe; /* of WAL_WINDOW, in use */
	struct sess_list waiting;
	struct journal_chunk *chunk; /* being written */
	struct loop_timer *timer;
	bool complained;
	bool checkpointing;
	bool checkpoint_failed;
	int64_t next_export; /* monotonic ms */
	int64_t next_clean;
	bool cleaning;
	struct wal_export *export;
	size_t n_export;
};

static void wal_flush(struct worker *w);

/* Window and disk room for n recipients, or not. */
static bool
wal_take(struct worker *w, uint32_t n)
{
	struct wal *wal = w->wal;
	struct verr err = VERR_INIT;

	if (journal_failed(wal->j))
		return (false);
	if (wal->unsafe > 0 && wal->unsafe + n > WAL_WINDOW)
		return (false);
	if (journal_reserve(wal->j, n, &err) == -1) {
		if (!wal->complained)
			log_event(LOG_LV_ERROR, "journal-full", "text",
			    err.text, NULL);
		wal->complained = true;
		loop_timer_set(wal->timer, WAL_RETRY_MS);
		return (false);
	}
	wal->complained = false;
	wal->unsafe += n;
	return (true);
}

/* Let those go on that the window now has room for, first come first. */
static void
wal_resume(struct worker *w)
{
	struct sess *s;

	while ((s = TAILQ_FIRST(&w->wal->waiting)) != NULL) {
		if (!wal_take(w, s->waiting_n))
			return;
		TAILQ_REMOVE(&w->wal->waiting, s, waiting);
		s->txn.window = s->waiting_n;
		s->waiting_n = 0;
		smtp_conn_resume(s->conn);
	}
}

bool
wal_may_end(struct worker *w, struct sess *s, uint32_t n)
{
	if (TAILQ_EMPTY(&w->wal->waiting) && wal_take(w, n)) {
		s->txn.window = n;
		return (true);
	}
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
wal_release(struct worker *w, uint32_t n)
{
	if (n == 0)
		return;
	journal_release(w->wal->j, n);
	w->wal->unsafe -= n;
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
		wal->unsafe -= e.unsafe;
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

	w->wal->checkpoint_failed = w->sys->syncfs(w->sys, w->spool->fd) == -1;
}

static void
wal_on_checkpointed(void *arg)
{
	struct worker *w = arg;
	struct verr err = VERR_INIT;

	w->wal->checkpointing = false;
	if (w->wal->checkpoint_failed)
		return; /* the old segments stay, the next tick tries again */
	if (journal_retire(w->wal->j, &err) == -1)
		log_err(&err);
}

/* Begin a new segment when this one is large; retire the old ones. */
static void
wal_rotate(struct worker *w)
{
	struct wal *wal = w->wal;
	struct verr err = VERR_INIT;

	if (wal->checkpointing || wal->chunk != NULL)
		return;
	if (journal_full(wal->j) && journal_rotate(wal->j, &err) == -1)
		log_err(&err);
	if (!journal_has_old(wal->j) || work_flush_all(w) == -1)
		return;
	wal->checkpointing = true;
	if (loop_work(w->loop, wal_on_checkpoint, wal_on_checkpointed, w) ==
	    -1)
		wal->checkpointing = false;
}

/* What the acct-file section i says, in the words of lib/acct. */
static void
wal_export_fill(struct wal_export *x, const struct conf_acct *a)
{
	const char *type = NULL;

	x->file = (struct acct_file) {
		.path = a->file,
		.move_to = a->move_to[0] != '\0' ? a->move_to : NULL,
		.move_interval = a->move_interval,
		.max_size = a->max_size,
		.delete_after = a->delete_after > 0 ? a->delete_after : 0,
		.world_readable = a->world_readable,
		.user_string = a->user_string[0] != '\0' ? a->user_string :
							   NULL,
	};
	while ((type = conf_list_next(&a->records, type)) != NULL)
		x->file.records |= record_type_bit(type);
}

/* The export table for the configuration in force. */
static void
wal_export_load(struct worker *w)
{
	struct wal *wal = w->wal;
	size_t i;

	wal->n_export = conf_acct_n(w->conf);
	w->want_r = false;
	wal->export = xcalloc(wal->n_export, sizeof(*wal->export));
	for (i = 0; i < wal->n_export; i++) {
		wal->export[i].w = w;
		wal->export[i].conf = conf_ref(w->conf);
		wal_export_fill(&wal->export[i], conf_acct_at(w->conf, i));
		if ((wal->export[i].file.records & RECORD_R) != 0)
			w->want_r = true;
	}
}

static void
wal_export_unload(struct wal *wal)
{
	size_t i;

	for (i = 0; i < wal->n_export; i++)
		conf_unref(wal->export[i].conf);
	free(wal->export);
	wal->export = NULL;
	wal->n_export = 0;
}

static void
wal_on_export(void *arg)
{
	struct wal_export *x = arg;

	x->failed = export_file(&x->job, &x->file, NULL, &x->err) == -1;
}

static void
wal_on_exported(void *arg)
{
	struct wal_export *x = arg;

	x->busy = false;
	if (x->failed && !x->complained)
		log_event(LOG_LV_WARN, "acct-file", "file", x->file.path,
		    "text", x->err.text, NULL);
	x->complained = x->failed;
}

/* In the other thread: segments that are old and exported go. */
static void
wal_on_clean(void *arg)
{
	struct wal_clean *c = arg;

	if (export_clean(&c->job, &c->err) == 0)
		c->err.code = VEX_OK;
}

static void
wal_on_cleaned(void *arg)
{
	struct wal_clean *c = arg;

	if (c->err.code != VEX_OK)
		log_err(&c->err);
	c->w->wal->cleaning = false;
	free(c->files);
	conf_unref(c->conf);
	free(c);
}

/* Once an hour. */
static void
wal_clean_start(struct worker *w)
{
	struct wal *wal = w->wal;
	struct wal_clean *c;
	size_t i;

	if (wal->cleaning || loop_now(w->loop) < wal->next_clean)
		return;
	wal->next_clean = loop_now(w->loop) + WAL_CLEAN_MS;
	c = xcalloc(1, sizeof(*c));
	c->w = w;
	c->conf = conf_ref(w->conf);
	c->files = xcalloc(wal->n_export, sizeof(*c->files));
	for (i = 0; i < wal->n_export; i++)
		c->files[i] = wal->export[i].file;
	c->job = (struct export_job) {
		.sp = w->spool,
		.file = c->files,
		.n_files = wal->n_export,
		.now = sys_now(w->sys),
		.journal_keep = conf_global(w->conf)->journal_keep,
	};
	c->err.code = VEX_IO;
	wal->cleaning = true;
	if (loop_work(w->loop, wal_on_clean, wal_on_cleaned, c) == -1)
		wal_on_cleaned(c);
}

/* A look of one acct-file at the journal, in a thread of its own. */
static void
wal_export_start(struct wal_export *x)
{
	struct worker *w = x->w;

	if (x->busy)
		return;
	(void)strncpy(x->live_id, journal_id(w->wal->j),
	    sizeof(x->live_id) - 1);
	x->job = (struct export_job) {
		.sp = w->spool,
		.file = &x->file,
		.n_files = 1,
		.now = sys_now(w->sys),
		.journal_keep = conf_global(w->conf)->journal_keep,
		.live_id = x->live_id,
		.live_size = journal_size(w->wal->j),
	};
	x->busy = loop_work(w->loop, wal_on_export, wal_on_exported, x) == 0;
}

static bool
wal_exporting(const struct wal *wal)
{
	size_t i;

	for (i = 0; i < wal->n_export; i++)
		if (wal->export[i].busy)
			return (true);
	return (false);
}

void
wal_reload(struct worker *w)
{
	struct wal *wal = w->wal;

	while (wal_exporting(wal))
		loop_turn(w->loop, true);
	wal_export_unload(wal);
	wal_export_load(w);
}

void
wal_tick(struct worker *w)
{
	struct wal *wal = w->wal;
	size_t i;

	wal_flush(w);
	wal_rotate(w);
	if (loop_now(w->loop) < wal->next_export)
		return;
	wal->next_export = loop_now(w->loop) + WAL_EXPORT_MS;
	for (i = 0; i < wal->n_export; i++)
		wal_export_start(&wal->export[i]);
	wal_clean_start(w);
}

int
wal_open(struct worker *w, struct verr *err)
{
	struct wal *wal = xcalloc(1, sizeof(*wal));

	wal->j = journal_open(w->spool, w->owner, err);
	if (wal->j == NULL) {
		free(wal);
		return (-1);
	}
	TAILQ_INIT(&wal->waiting);
	wal->next_clean = loop_now(w->loop) + WAL_CLEAN_MS;
	wal->timer = loop_timer_new(w->loop, wal_on_timer, w);
	w->wal = wal;
	wal_export_load(w);
	return (0);
}

/* The journal is retired: the acct-files take the rest of it. */
static void
wal_export_last(struct worker *w)
{
	struct wal *wal = w->wal;
	struct acct_file *files = xcalloc(wal->n_export, sizeof(*files));
	struct verr err = VERR_INIT;
	struct export_job job = {
		.sp = w->spool,
		.file = files,
		.n_files = wal->n_export,
		.now = sys_now(w->sys),
		.journal_keep = conf_global(w->conf)->journal_keep,
		.wait = true, /* another worker may be at it, and end sooner */
	};
	size_t i;

	for (i = 0; i < wal->n_export; i++)
		files[i] = wal->export[i].file;
	if (export_run(&job, NULL, &err) == -1)
		log_event(LOG_LV_WARN, "acct-file", "text", err.text, NULL);
	free(files);
}

int
wal_close(struct worker *w, struct verr *err)
{
	struct wal *wal = w->wal;
	uint64_t durable = 0;
	int rc;

	if (wal == NULL)
		return (0);
	while (wal->chunk != NULL || wal->checkpointing || wal->cleaning ||
	    wal_exporting(wal))
		loop_turn(w->loop, true);
	rc = journal_sync(wal->j, &durable, err);
	wal_apply(w, durable);
	if (rc == 0 && work_close_all(w) == -1)
		rc = verr_set(err, VEX_IO, "states are not all written");
	if (rc == 0 && w->sys->syncfs(w->sys, w->spool->fd) == -1)
		rc = verr_sys(err, "sync %s", w->spool->path);
	if (rc == 0)
		rc = journal_close(wal->j, err);
	else
		journal_free(wal->j); /* the next run replays it */
	if (rc == 0)
		wal_export_last(w);
	loop_timer_free(wal->timer);
	wal_export_unload(wal);
	free(wal->fx);
	free(wal);
	w->wal = NULL;
	return (rc);
}
