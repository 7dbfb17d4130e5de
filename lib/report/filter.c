/*
 * Rows of accounting files, read line by line and filtered.
 *
 * The journal is read as it lies there: retired segments, and those that are
 * being written as far as they go (a line that is not whole yet has no line
 * end and is not seen; in a file that is named, it is read if it is whole). A
 * segment last written before --since is passed over. Lines that are no records
 * are counted, and the first is named.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acct/segment.h"
#include "base/glob.h"
#include "base/stamp.h"
#include "report/filter.h"
#include "spool/spool.h"

/* The state of a walk over files. */
struct walk {
	struct sys *sys;
	const struct report_filter *f;
	report_row_cb *cb;
	void *arg;
	struct report_count *count;
	char day[11];	/* the last day seen, `2026-11-23`, */
	int64_t day_at; /* and when it began */
};

/* Two digits at p, or a negative number. */
static int
two(const char *p)
{
	if (!isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1]))
		return (-10000);
	return ((p[0] - '0') * 10 + (p[1] - '0'));
}

/*
 * timeLogged and timeQueued: nearly always our own form and the same day as
 * the row before, which needs no calendar. 0: none, or not a time.
 */
static int64_t
walk_time(struct walk *w, const char *s)
{
	int64_t t;
	int h, m, sec;

	if (strlen(s) != STAMP_ACCT_LEN || s[10] != ' ' || s[13] != ':' ||
	    s[16] != ':' || strcmp(s + 19, "+0000") != 0) {
		if (*s != '\0' && strspn(s, "0123456789") == strlen(s) &&
		    strlen(s) < 12)
			return (strtoll(s, NULL, 10));
		return (*s != '\0' && stamp_parse(s, 0, &t) == 0 ? t : 0);
	}
	if (memcmp(s, w->day, 10) != 0) {
		if (stamp_parse(s, 0, &t) == -1)
			return (0);
		memcpy(w->day, s, 10);
		w->day_at = t - t % 86400;
	}
	h = two(s + 11);
	m = two(s + 14);
	sec = two(s + 17);
	if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60)
		return (0);
	return (w->day_at + h * 3600 + m * 60 + sec);
}

/* The domain that a row is about. */
static void
row_domain(struct report_row *r)
{
	const char *s = r->field[COL_QUEUE], *end = strchr(s, '/');
	size_t i, n;

	if (*s == '\0' || end == NULL) {
		s = strrchr(r->field[COL_RCPT], '@');
		s = s == NULL ? "" : s + 1;
		end = s + strlen(s);
	}
	n = (size_t)(end - s);
	if (n > sizeof(r->domain_buf) - 1)
		n = sizeof(r->domain_buf) - 1;
	for (i = 0; i < n; i++)
		r->domain_buf[i] = (char)tolower((unsigned char)s[i]);
	r->domain_buf[n] = '\0';
	r->domain = r->domain_buf;
}

/* A name; NULL is no pattern. */
static bool
name_fits(const char *pattern, const char *s)
{
	return (pattern == NULL || glob_name(pattern, s));
}

/* A queue: the text is cut for a moment. */
static bool
queue_fits(const char *pattern, char *s)
{
	char *slash;
	bool match;

	if (pattern == NULL)
		return (true);
	slash = strrchr(s, '/');
	if (slash == NULL)
		return (glob_name(pattern, s));
	*slash = '\0';
	match = glob_queue(pattern, s, slash + 1);
	*slash = '/';
	return (match);
}

static bool
row_matches(const struct report_row *r, const struct report_filter *f)
{
	if (f->types != 0 && (r->type & f->types) == 0)
		return (false);
	if ((f->since != 0 && r->logged < f->since) ||
	    (f->until != 0 && r->logged >= f->until))
		return (false);
	return (name_fits(f->vmta, r->field[COL_VMTA]) &&
	    (f->domain == NULL || glob_domain(f->domain, r->domain)) &&
	    queue_fits(f->queue, r->field[COL_QUEUE]) &&
	    name_fits(f->job, r->field[COL_JOB_ID]) &&
	    name_fits(f->from, r->field[COL_ORIG]) &&
	    name_fits(f->rcpt, r->field[COL_RCPT]) &&
	    name_fits(f->id, r->field[COL_MSG_ID]));
}

/* A line that is no record. */
static void
walk_bad(struct walk *w, const char *name, uint64_t line)
{
	if (w->count->bad++ == 0)
		(void)snprintf(w->count->first_bad, sizeof(w->count->first_bad),
		    "%.200s:%llu", name, (unsigned long long)line);
}

/* The first line: columns. A segment that is damaged there has ours. */
static int
walk_header(struct record_map *m, char *p, size_t n, bool whole, bool segment,
    const char *name, struct verr *err)
{
	if (whole && record_map_read(m, p, n, NULL) == 0)
		return (0);
	if (!segment)
		return (verr_set(err, VEX_DATA, "%s: no header row", name));
	record_map_default(m);
	return (0);
}

/* A line after the first. */
static int
walk_row(struct walk *w, const struct record_map *map, char *p, size_t n,
    const char *name, uint64_t line, struct verr *err)
{
	struct report_row row = { .type = 0 };

	if (p != NULL && record_split(map, p, n, row.field) == 0)
		row.type = record_type_bit(row.field[COL_TYPE]);
	if (row.type == 0) {
		walk_bad(w, name, line);
		return (0);
	}
	row.logged = walk_time(w, row.field[COL_TIME_LOGGED]);
	row.queued = walk_time(w, row.field[COL_TIME_QUEUED]);
	row_domain(&row);
	if (!row_matches(&row, w->f))
		return (0);
	w->count->rows++;
	return (w->cb(w->arg, &row, err));
}

/* All lines of an open file. */
static int
walk_lines(struct walk *w, struct segment_reader *rd, const char *name,
    bool segment, struct verr *err)
{
	struct record_map map;
	uint64_t line = 0;
	bool whole;
	char *p;
	size_t n;
	int rc;

	while ((rc = segment_reader_line(rd, &p, &n, &whole)) == 1) {
		if (line++ == 0)
			rc = walk_header(&map, p, n, whole, segment, name, err);
		else
			rc = walk_row(w, &map, whole ? p : NULL, n, name, line,
			    err);
		if (rc == -1)
			return (-1);
	}
	if (rc == -1)
		return (verr_sys(err, "read %s", name));
	/* A segment's last line may be half written; a file's may lack LF. */
	if (!segment && line > 0 && segment_reader_rest(rd, &p, &n)) {
		p[n] = '\0';
		return (walk_row(w, &map, p, n, name, line + 1, err));
	}
	return (0);
}

/* One file. 1: a segment that is gone. */
static int
walk_file(struct walk *w, int dfd, const char *path, bool segment,
    struct verr *err)
{
	struct segment_reader rd;
	struct stat st;
	int fd, rc;

	if (segment)
		fd = segment_fd(w->sys, dfd, path, O_RDONLY, err);
	else if (strcmp(path, "-") == 0)
		fd = dup(STDIN_FILENO);
	else
		fd = w->sys->openat(w->sys, dfd, path, O_RDONLY, 0);
	if (fd == -1 && segment)
		return (errno == ENOENT ? 1 : -1);
	if (fd == -1)
		return (verr_sys(err, "open %s", path));
	if (segment && w->f->since != 0 &&
	    w->sys->fstat(w->sys, fd, &st) == 0 && st.st_mtime < w->f->since) {
		(void)w->sys->close(w->sys, fd);
		return (0);
	}
	segment_reader_init(&rd, w->sys, fd, 0, UINT64_MAX);
	rd.stream = !segment && lseek(fd, 0, SEEK_CUR) == -1;
	rc = walk_lines(w, &rd, path, segment, err);
	segment_reader_release(&rd);
	(void)w->sys->close(w->sys, fd);
	return (rc);
}

/* All segments of the journal; one may be renamed or removed meanwhile. */
static int
walk_journal(struct walk *w, struct spool *sp, struct verr *err)
{
	char name[SEGMENT_NAME_MAX];
	struct segment_list l;
	size_t i;
	int rc = 0;

	if (segment_list(w->sys, sp->acct_fd, &l, err) == -1)
		return (-1);
	for (i = 0; i < l.n && rc != -1; i++) {
		rc = walk_file(w, sp->acct_fd,
		    segment_name(l.id[i].s, l.live[i], name), true, err);
		if (rc == 1 && l.live[i])
			rc = walk_file(w, sp->acct_fd,
			    segment_name(l.id[i].s, false, name), true, err);
	}
	segment_list_release(&l);
	return (rc == -1 ? -1 : 0);
}

int
report_rows(struct sys *sys, struct spool *sp, char *const *files,
    size_t n_files, const struct report_filter *f, report_row_cb *cb, void *arg,
    struct report_count *ret_count, struct verr *err)
{
	struct walk w = { .sys = sys,
		.f = f,
		.cb = cb,
		.arg = arg,
		.count = ret_count };
	size_t i;

	memset(ret_count, 0, sizeof(*ret_count));
	if (n_files == 0)
		return (walk_journal(&w, sp, err));
	for (i = 0; i < n_files; i++)
		if (walk_file(&w, AT_FDCWD, files[i], false, err) == -1)
			return (-1);
	return (0);
}
