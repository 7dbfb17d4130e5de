/*
 * Exports of the journal: one acct-file at a time, one process at a time.
 *
 * A pass reads every segment that the file has not taken yet, in the order
 * of their ids: retired ones (ID.csv) to their end, the caller's own (ID.live)
 * as far as it is durable. Live segments of others are theirs to export, or
 * anybody's once they are retired. Rows are gathered up to 1 MiB, then
 * written and synced, and then the state (acct/export_state.h) is replaced,
 * which holds both ends: the length of the file and the places in the
 * segments. A crash at any moment therefore leaves each record before both
 * or after both; see acct/export_out.h for the file itself.
 *
 * A line of the journal that is no record is counted and left out; replay
 * and vmta-report name it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "acct/export.h"
#include "acct/export_out.h"
#include "acct/export_state.h"
#include "acct/record.h"
#include "acct/segment.h"
#include "base/csv.h"
#include "base/esc.h"
#include "base/mem.h"
#include "spool/spool.h"

/* Rows are written and synced in pieces of this size. */
#define PIECE ((size_t)1024 * 1024)

struct pass {
	const struct export_job *job;
	const struct acct_file *conf;
	struct export_state st;
	struct export_out out;
	struct export_mark *next; /* st.mark once rows are written */
	struct buf rows;	  /* not written yet */
	uint64_t n_rows;	  /* in rows */
	uint64_t read;		  /* octets of the journal */
	struct buf user;	  /* userString, escaped; empty: the record's */
	bool changed;		  /* next is newer than the state's file */
	bool full;		  /* max_bytes is reached */
	bool stuck; /* the file cannot be rotated: err holds why */
	struct export_result res;
};

/* Add the row of a record, if the section wants its type. */
static void
pass_row(struct pass *p, char **field)
{
	unsigned int want = p->conf->records;
	struct buf *b = &p->rows;
	int c;

	if (want == 0)
		want = RECORD_D | RECORD_B;
	if ((record_type_bit(field[COL_TYPE]) & want) == 0)
		return;
	for (c = 0; c < COL_PUBLIC_N; c++)
		if (c == COL_USER_STRING && p->user.len > 0)
			csv_field(b, false, p->user.p, p->user.len);
		else
			csv_field(b, c == 0, field[c], strlen(field[c]));
	csv_end(b);
	p->n_rows++;
}

/*
 * Make rows, then progress durable (not before: appending may save the state,
 * with the name of a new file, while the rows are not there yet). A rotation
 * that fails is remembered only: the file goes on growing, which loses nothing.
 */
static int
pass_commit(struct pass *p, struct verr *err)
{
	if (p->rows.len > 0 &&
	    export_out_append(&p->out, p->rows.p, p->rows.len, err) == -1)
		return (-1);
	if (p->st.seg.n > 0)
		memcpy(p->st.mark, p->next, p->st.seg.n * sizeof(*p->next));
	if ((p->changed || p->rows.len > 0) &&
	    export_state_save(&p->st, p->job->now, err) == -1)
		return (-1);
	p->res.records += p->n_rows;
	p->n_rows = 0;
	p->changed = false;
	buf_clear(&p->rows);
	if (!p->stuck && export_out_rotate(&p->out, err) == -1)
		p->stuck = true;
	return (0);
}

/* Read the header row of a segment; 1, 0: it has none yet, -1. */
static int
pass_header(struct pass *p, int fd, struct record_map *ret_m)
{
	struct segment_reader rd;
	bool whole;
	char *line;
	size_t n;
	int rc;

	segment_reader_init(&rd, p->job->sp->sys, fd, 0, UINT64_MAX);
	rc = segment_reader_line(&rd, &line, &n, &whole);
	if (rc == 1 && (!whole || record_map_read(ret_m, line, n, NULL) == -1))
		record_map_default(ret_m);
	segment_reader_release(&rd);
	return (rc);
}

/* Has this call read enough? */
static bool
pass_enough(struct pass *p)
{
	if (p->job->max_bytes > 0 && p->read >= p->job->max_bytes)
		p->full = p->res.more = true;
	return (p->full);
}

/* Take the lines of a segment from mark->at on, up to limit. 0 or -1. */
static int
pass_lines(struct pass *p, int fd, const struct record_map *map,
    struct export_mark *mark, uint64_t limit, struct verr *err)
{
	struct segment_reader rd;
	char *field[COL_N], *line;
	bool whole, header = mark->at == 0;
	size_t n;
	int rc = 1;

	segment_reader_init(&rd, p->job->sp->sys, fd, mark->at, limit);
	while (!pass_enough(p) &&
	    (rc = segment_reader_line(&rd, &line, &n, &whole)) == 1) {
		if (!header && whole &&
		    record_split(map, line, n, field) == 0 &&
		    record_type_bit(field[COL_TYPE]) != 0)
			pass_row(p, field);
		else if (!header)
			p->res.bad++;
		header = false;
		p->read += rd.off - mark->at;
		mark->at = rd.off;
		p->changed = true;
		if (p->rows.len >= PIECE && pass_commit(p, err) == -1) {
			segment_reader_release(&rd);
			return (-1);
		}
	}
	segment_reader_release(&rd);
	return (rc == -1 ? verr_sys(err, "read the journal") : 0);
}

/* Open a segment under whichever name it has; fd, or -1 with errno. */
static int
pass_open(struct pass *p, size_t i, struct verr *err)
{
	struct sys *sys = p->job->sp->sys;
	char name[SEGMENT_NAME_MAX];
	int fd;

	fd = segment_fd(sys, p->job->sp->acct_fd,
	    segment_name(p->st.seg.id[i].s, p->st.seg.live[i], name), O_RDONLY,
	    err);
	if (fd == -1 && errno == ENOENT && p->st.seg.live[i])
		fd = segment_fd(sys, p->job->sp->acct_fd,
		    segment_name(p->st.seg.id[i].s, false, name), O_RDONLY,
		    err);
	return (fd);
}

/* Take what is new in segment i. */
static int
pass_segment(struct pass *p, size_t i, struct verr *err)
{
	struct export_mark *mark = &p->next[i];
	struct record_map map;
	bool live = p->st.seg.live[i];
	int fd, rc;

	if (mark->done ||
	    (live &&
		(p->job->live_id == NULL ||
		    strcmp(p->job->live_id, p->st.seg.id[i].s) != 0)))
		return (0);
	if (live && mark->at >= p->job->live_size)
		return (0);
	if ((fd = pass_open(p, i, err)) == -1)
		return (errno == ENOENT ? 0 : -1);
	rc = pass_header(p, fd, &map);
	if (rc == -1)
		(void)verr_sys(err, "read journal segment %s",
		    p->st.seg.id[i].s);
	if (rc == 1)
		rc = pass_lines(p, fd, &map, mark,
		    live ? p->job->live_size : UINT64_MAX, err);
	(void)p->job->sp->sys->close(p->job->sp->sys, fd);
	if (rc == 0 && !live && !p->full) {
		mark->done = true;
		p->changed = true;
	}
	return (rc);
}

/* All of it, with the file open. */
static int
pass_run(struct pass *p, struct verr *err)
{
	size_t i;

	/* What is due by time comes before new records. */
	if (export_out_rotate(&p->out, err) == -1)
		p->stuck = true;
	for (i = 0; i < p->st.seg.n && !pass_enough(p); i++)
		if (pass_segment(p, i, err) == -1)
			return (-1);
	if (pass_commit(p, err) == -1)
		return (-1);
	return (p->stuck ? -1 : 0);
}

int
export_file(const struct export_job *job, const struct acct_file *f,
    struct export_result *ret, struct verr *err)
{
	struct pass p = { .job = job, .conf = f };
	int rc;

	if (f->user_string != NULL)
		esc_line(&p.user, f->user_string, strlen(f->user_string));
	rc = export_state_open(job->sp, f->path, job->live_id, job->wait, &p.st,
	    err);
	if (rc == 0) {
		rc = export_out_open(f, &p.st, job->sp->sys, job->now, &p.out,
		    err);
		if (rc == 0) {
			p.next = xmemdup(p.st.mark,
			    (p.st.seg.n + 1) * sizeof(*p.next));
			rc = pass_run(&p, err);
			free(p.next);
			export_out_release(&p.out);
		}
		export_state_release(&p.st);
	} else if (rc == 1)
		rc = 0;
	buf_release(&p.rows);
	buf_release(&p.user);
	if (rc == -1)
		(void)verr_prefix(err, "acct-file %s", f->path);
	if (ret != NULL)
		*ret = p.res;
	return (rc);
}

/* Is retired segment id older than journal-keep? */
static bool
clean_due(const struct export_job *job, const char *id)
{
	struct sys *sys = job->sp->sys;
	char name[SEGMENT_NAME_MAX];
	struct stat st;

	return (sys->fstatat(sys, job->sp->acct_fd,
		    segment_name(id, false, name), &st,
		    AT_SYMLINK_NOFOLLOW) == 0 &&
	    job->now - st.st_mtime > job->journal_keep / 1000);
}

/*
 * Take out of l what acct-file f still needs: all of it while another
 * process is at the file.
 */
static int
clean_spare(const struct export_job *job, const struct acct_file *f,
    struct segment_list *l, struct verr *err)
{
	struct segment_list left = SEGMENT_LIST_INIT;
	struct export_state st;
	size_t i, at = 0;
	int rc;

	rc = export_state_open(job->sp, f->path, NULL, false, &st, err);
	if (rc == 0) {
		for (i = 0; i < l->n; i++) {
			while (at < st.seg.n &&
			    strcmp(st.seg.id[at].s, l->id[i].s) < 0)
				at++;
			if (at < st.seg.n && st.mark[at].done &&
			    strcmp(st.seg.id[at].s, l->id[i].s) == 0)
				segment_list_add(&left, l->id[i].s, false);
		}
		export_state_release(&st);
	}
	segment_list_release(l);
	*l = left;
	return (rc == -1 ? -1 : 0);
}

int
export_clean(const struct export_job *job, struct verr *err)
{
	struct sys *sys = job->sp->sys;
	struct segment_list all, old = SEGMENT_LIST_INIT;
	char name[SEGMENT_NAME_MAX];
	size_t i;
	int rc = 0;

	if (segment_list(sys, job->sp->acct_fd, &all, err) == -1)
		return (-1);
	for (i = 0; i < all.n; i++)
		if (!all.live[i] && clean_due(job, all.id[i].s))
			segment_list_add(&old, all.id[i].s, false);
	segment_list_release(&all);
	for (i = 0; i < job->n_files && rc == 0 && old.n > 0; i++)
		rc = clean_spare(job, &job->file[i], &old, err);
	for (i = 0; i < old.n && rc == 0; i++)
		if (sys->unlinkat(sys, job->sp->acct_fd,
			segment_name(old.id[i].s, false, name), 0) == -1 &&
		    errno != ENOENT)
			rc = verr_sys(err, "remove journal segment %s", name);
	segment_list_release(&old);
	return (rc);
}

int
export_run(const struct export_job *job, struct export_result *ret,
    struct verr *err)
{
	struct export_result one, all = { 0 };
	struct verr fault;
	size_t i;
	int rc = 0;

	for (i = 0; i < job->n_files; i++) {
		if (export_file(job, &job->file[i], &one, &fault) == -1 &&
		    rc == 0) {
			rc = -1;
			if (err != NULL)
				*err = fault;
		}
		all.records += one.records;
		all.bad += one.bad;
		all.more |= one.more;
	}
	if (ret != NULL)
		*ret = all;
	if (export_clean(job, rc == 0 ? err : NULL) == -1)
		rc = -1;
	return (rc);
}
