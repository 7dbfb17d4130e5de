/*
 * Exports in threads. Each acct-file has a job of its own, so that one on a
 * stuck disk delays only itself; a job that outlives a reload is freed when
 * it ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acct/export.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/exports.h"
#include "run/worker.h"

#define EXPORTS_LOOK_MS 1000
#define EXPORTS_CLEAN_MS 3600000

/* An acct-file section and the thread that serves it. */
struct exporter {
	TAILQ_ENTRY(exporter) entry; /* of the orphans */
	struct worker *w;
	struct conf *conf; /* holds the strings of file */
	struct acct_file file;
	struct export_job job;
	char live_id[32];
	struct verr err;
	bool busy;
	bool failed;
	bool complained;
	bool orphan; /* the configuration has another one by now */
};

/* The removal of old segments, and what must outlive it. */
struct exports_clean {
	struct worker *w;
	struct conf *conf;
	struct acct_file *files;
	struct export_job job;
	struct verr err;
};

/* What an acct-file section says, in the words of lib/acct. */
static void
exporter_fill(struct exporter *x, const struct conf_acct *a)
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

static void
exporter_free(struct exporter *x)
{
	conf_unref(x->conf);
	free(x);
}

void
exports_load(struct worker *w)
{
	struct exports *e = &w->exports;
	struct exporter *x;
	size_t i;

	if (e->next_clean == 0) {
		e->next_clean = loop_now(w->loop) + EXPORTS_CLEAN_MS;
		TAILQ_INIT(&e->orphans);
	}
	e->n = conf_acct_n(w->conf);
	e->file = xcalloc(e->n, sizeof(struct exporter *));
	w->want_r = false;
	for (i = 0; i < e->n; i++) {
		x = xcalloc(1, sizeof(*x));
		x->w = w;
		x->conf = conf_ref(w->conf);
		exporter_fill(x, conf_acct_at(w->conf, i));
		e->file[i] = x;
		if ((x->file.records & RECORD_R) != 0)
			w->want_r = true;
	}
}

void
exports_unload(struct worker *w)
{
	struct exports *e = &w->exports;
	size_t i;

	for (i = 0; i < e->n; i++) {
		e->file[i]->orphan = true;
		if (!e->file[i]->busy)
			exporter_free(e->file[i]);
		else
			TAILQ_INSERT_TAIL(&e->orphans, e->file[i], entry);
	}
	free(e->file);
	e->file = NULL;
	e->n = 0;
}

bool
exports_busy(const struct worker *w)
{
	return (w->exports.busy > 0);
}

/* In the other thread. */
static void
exporter_work(void *arg)
{
	struct exporter *x = arg;

	x->failed = export_file(&x->job, &x->file, NULL, &x->err) == -1;
}

static void
exporter_done(void *arg)
{
	struct exporter *x = arg;

	x->busy = false;
	x->w->exports.busy--;
	if (x->failed && !x->complained)
		log_event(LOG_LV_WARN, "acct-file", "file", x->file.path,
		    "text", x->err.text, NULL);
	x->complained = x->failed;
	if (x->orphan) {
		TAILQ_REMOVE(&x->w->exports.orphans, x, entry);
		exporter_free(x);
	}
}

/*
 * Does one of a former configuration write this file still? It may hang: then
 * each reload would take one more thread.
 */
static bool
exporter_before(const struct exporter *x)
{
	const struct exporter *o;

	TAILQ_FOREACH (o, &x->w->exports.orphans, entry)
		if (strcmp(o->file.path, x->file.path) == 0)
			return (true);
	return (false);
}

/* A look of one acct-file at the journal, in a thread of its own. */
static void
exporter_start(struct exporter *x, const char *id, uint64_t size)
{
	struct worker *w = x->w;

	if (x->busy || exporter_before(x))
		return;
	(void)snprintf(x->live_id, sizeof(x->live_id), "%s", id);
	x->job = (struct export_job) {
		.sp = w->spool,
		.file = &x->file,
		.n_files = 1,
		.now = sys_now(w->sys),
		.journal_keep = conf_global(w->conf)->journal_keep,
		.live_id = x->live_id,
		.live_size = size,
	};
	x->busy = loop_work(w->loop, exporter_work, exporter_done, x) == 0;
	if (x->busy)
		w->exports.busy++;
}

/* All acct-files as one table, and a job for them. Caller frees the table. */
static struct acct_file *
exports_table(struct worker *w, struct export_job *ret_job)
{
	struct exports *e = &w->exports;
	struct acct_file *files = xcalloc(e->n, sizeof(*files));
	size_t i;

	for (i = 0; i < e->n; i++)
		files[i] = e->file[i]->file;
	*ret_job = (struct export_job) {
		.sp = w->spool,
		.file = files,
		.n_files = e->n,
		.now = sys_now(w->sys),
		.journal_keep = conf_global(w->conf)->journal_keep,
	};
	return (files);
}

/* In the other thread: segments that are old and exported go. */
static void
clean_work(void *arg)
{
	struct exports_clean *c = arg;

	if (export_clean(&c->job, &c->err) == 0)
		c->err.code = VEX_OK;
}

static void
clean_done(void *arg)
{
	struct exports_clean *c = arg;

	if (c->err.code != VEX_OK)
		log_err(&c->err);
	c->w->exports.cleaning = false;
	c->w->exports.busy--;
	conf_unref(c->conf);
	free(c->files);
	free(c);
}

static void
clean_start(struct worker *w)
{
	struct exports *e = &w->exports;
	struct exports_clean *c;

	if (e->cleaning || loop_now(w->loop) < e->next_clean)
		return;
	e->next_clean = loop_now(w->loop) + EXPORTS_CLEAN_MS;
	c = xcalloc(1, sizeof(*c));
	c->w = w;
	c->conf = conf_ref(w->conf);
	c->files = exports_table(w, &c->job);
	c->err.code = VEX_IO;
	e->cleaning = true;
	e->busy++;
	if (loop_work(w->loop, clean_work, clean_done, c) == -1)
		clean_done(c);
}

void
exports_tick(struct worker *w, const char *id, uint64_t size)
{
	struct exports *e = &w->exports;
	size_t i;

	if (loop_now(w->loop) < e->next_look)
		return;
	e->next_look = loop_now(w->loop) + EXPORTS_LOOK_MS;
	for (i = 0; i < e->n; i++)
		exporter_start(e->file[i], id, size);
	clean_start(w);
}

void
exports_last(struct worker *w)
{
	struct verr err = VERR_INIT;
	struct export_job job;
	struct acct_file *files = exports_table(w, &job);

	job.wait = true; /* for another worker that ends just now */
	if (export_run(&job, NULL, &err) == -1)
		log_event(LOG_LV_WARN, "acct-file", "text", err.text, NULL);
	free(files);
}
