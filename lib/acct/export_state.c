/*
 * The progress of an acct-file.
 *
 * Format of state/export/HASH (HASH: XXH3-64 of the path, hex):
 *	vmta-export 1
 *	path: log/acct.csv
 *	out: 81234 1795470845 acct-2026-11-23-0002.csv	octets, opened, name
 *	serial: 20261123 2
 *	swept: 1795470845
 *	before: ID		every segment up to ID is taken
 *	done: ID		this one is
 *	at: ID 16384		this one up to octet 16384
 * A segment without a line was not read yet. The file is replaced as a whole
 * (file_write), so it is the old one or the new one after a crash. HASH.lock
 * is what a process that works on the acct-file locks.
 *
 * `before` keeps the list short. It only moves over segments that are a day
 * old, so that a clock that is set back a little cannot bring a new segment
 * whose id is below it; segment_new_id takes care of the rest. The
 * directory is listed twice: a file that is renamed while it is listed may be
 * missed, but a segment is renamed once in its life.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acct/export_state.h"
#include "base/esc.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/unit.h"
#include "spool/spool.h"

#define DAY ((int64_t)86400)
/* 8 days of 2,880 segments and more. */
#define STATE_MAX ((size_t)4 * 1024 * 1024)

/* The place of an id in the list, or -1. */
static ssize_t
state_find(const struct export_state *s, const char *id)
{
	size_t lo = 0, hi = s->seg.n, mid;
	int c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(id, s->seg.id[mid].s);
		if (c == 0)
			return ((ssize_t)mid);
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return (-1);
}

/* Insert an id unless it is there; the list stays sorted. */
static void
list_merge(struct segment_list *l, const char *id, bool live)
{
	struct id tmp_id;
	bool tmp_live;
	size_t i;

	for (i = l->n; i > 0 && strcmp(l->id[i - 1].s, id) > 0; i--)
		;
	if (i > 0 && strcmp(l->id[i - 1].s, id) == 0) {
		l->live[i - 1] = l->live[i - 1] && live;
		return;
	}
	segment_list_add(l, id, live);
	tmp_id = l->id[l->n - 1];
	tmp_live = l->live[l->n - 1];
	memmove(l->id + i + 1, l->id + i, (l->n - 1 - i) * sizeof(*l->id));
	memmove(l->live + i + 1, l->live + i,
	    (l->n - 1 - i) * sizeof(*l->live));
	l->id[i] = tmp_id;
	l->live[i] = tmp_live;
}

/* All segments there are. */
static int
state_list(struct export_state *s, const char *live_id, struct verr *err)
{
	struct segment_list again;
	size_t i, at = 0;

	if (segment_list(s->sp->sys, s->sp->acct_fd, &s->seg, err) == -1 ||
	    segment_list(s->sp->sys, s->sp->acct_fd, &again, err) == -1)
		return (-1);
	for (i = 0; i < again.n; i++) {
		while (at < s->seg.n &&
		    strcmp(s->seg.id[at].s, again.id[i].s) < 0)
			at++;
		if (at == s->seg.n || s->seg.live[at] != again.live[i] ||
		    strcmp(s->seg.id[at].s, again.id[i].s) != 0)
			list_merge(&s->seg, again.id[i].s, again.live[i]);
	}
	segment_list_release(&again);
	if (live_id != NULL)
		list_merge(&s->seg, live_id, true);
	s->mark = xcalloc(s->seg.n + 1, sizeof(*s->mark));
	return (0);
}

/* The words after the key of a line; NULL: another key. */
static char *
state_value(char *line, const char *key)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0 || line[n] != ':' || line[n + 1] != ' ')
		return (NULL);
	return (line + n + 2);
}

/* `LENGTH OPENED NAME`; the name may hold spaces. */
static int
state_out(struct export_state *s, char *v)
{
	char *length = strsep(&v, " "), *opened = strsep(&v, " ");
	int64_t n;

	if (v == NULL || unit_int(length, &n) == -1 ||
	    unit_int(opened, &s->opened) == -1 || v[0] == '\0' ||
	    strlen(v) >= sizeof(s->out) || strchr(v, '/') != NULL)
		return (-1);
	s->length = (uint64_t)n;
	(void)snprintf(s->out, sizeof(s->out), "%s", v);
	return (0);
}

/* `DATE NUMBER` */
static int
state_serial(struct export_state *s, char *v)
{
	char *date = strsep(&v, " ");
	int64_t d, n;

	if (v == NULL || unit_int(date, &d) == -1 || d > INT_MAX ||
	    unit_int(v, &n) == -1 || n > UINT_MAX)
		return (-1);
	s->date = (int)d;
	s->serial = (unsigned int)n;
	return (0);
}

/* `ID` or `ID OCTETS` */
static int
state_mark(struct export_state *s, char *v, bool done)
{
	char *sp = strchr(v, ' ');
	int64_t at = 0;
	ssize_t i;

	if (sp != NULL)
		*sp = '\0';
	if (!id_valid(v) || (sp == NULL) != done ||
	    (sp != NULL && unit_int(sp + 1, &at) == -1))
		return (-1);
	if ((i = state_find(s, v)) != -1) {
		s->mark[i].done = done;
		s->mark[i].at = (uint64_t)at;
	}
	return (0);
}

static int
state_line(struct export_state *s, char *line)
{
	char *v;

	if ((v = state_value(line, "out")) != NULL)
		return (state_out(s, v));
	if ((v = state_value(line, "serial")) != NULL)
		return (state_serial(s, v));
	if ((v = state_value(line, "swept")) != NULL)
		return (unit_int(v, &s->swept));
	if ((v = state_value(line, "before")) != NULL) {
		if (!id_valid(v))
			return (-1);
		memcpy(s->before.s, v, sizeof(s->before.s));
		return (0);
	}
	if ((v = state_value(line, "done")) != NULL)
		return (state_mark(s, v, true));
	if ((v = state_value(line, "at")) != NULL)
		return (state_mark(s, v, false));
	return (0);
}

/* Read what is in data. */
static int
state_parse(struct export_state *s, char *data, struct verr *err)
{
	char *line, *rest = data;
	bool first = true;
	size_t i;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (first ? strcmp(line, "vmta-export 1") != 0 :
			    state_line(s, line) == -1)
			return (verr_set(err, VEX_DATA,
			    "state/export/%s (%s) cannot be read: %.60s",
			    s->hash, s->path, line));
		first = false;
	}
	for (i = 0; i < s->seg.n; i++)
		if (strcmp(s->seg.id[i].s, s->before.s) <= 0)
			s->mark[i].done = true;
	return (0);
}

static int
state_load(struct export_state *s, struct verr *err)
{
	struct buf data = BUF_INIT;
	int rc;

	if (file_read(s->sp->sys, s->dfd, s->hash, STATE_MAX, &data, err) == 0)
		rc = state_parse(s, data.p, err);
	else
		rc = errno == ENOENT ? 0 : -1;
	buf_release(&data);
	return (rc);
}

/* Lock HASH.lock; 0, 1 (another has it), -1. */
static int
state_lock(struct export_state *s, bool wait, struct verr *err)
{
	struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char name[32];
	int rc;

	(void)snprintf(name, sizeof(name), "%s.lock", s->hash);
	s->lock_fd = s->sp->sys->openat(s->sp->sys, s->dfd, name,
	    O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (s->lock_fd == -1)
		return (verr_sys(err, "open state/export/%s", name));
	do
		rc = fcntl(s->lock_fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lk);
	while (rc == -1 && errno == EINTR);
	if (rc == -1 && !wait && (errno == EAGAIN || errno == EACCES))
		return (1);
	if (rc == -1)
		return (verr_sys(err, "lock state/export/%s", name));
	return (0);
}

int
export_state_open(struct spool *sp, const char *path, const char *live_id,
    bool wait, struct export_state *ret_s, struct verr *err)
{
	struct export_state *s = ret_s;
	int rc;

	memset(s, 0, sizeof(*s));
	s->sp = sp;
	s->path = path;
	s->lock_fd = -1;
	(void)snprintf(s->hash, sizeof(s->hash), "%016" PRIx64,
	    map_hash(path, strlen(path)));
	s->dfd = file_open_dir(sp->sys, sp->state_fd, "export");
	if (s->dfd == -1 && errno == ENOENT &&
	    file_make_dir(sp->sys, sp->state_fd, "export", 0700, err) == 0)
		s->dfd = file_open_dir(sp->sys, sp->state_fd, "export");
	if (s->dfd == -1)
		return (verr_sys(err, "open state/export"));
	if ((rc = state_lock(s, wait, err)) == 0 &&
	    (rc = state_list(s, live_id, err)) == 0)
		rc = state_load(s, err);
	if (rc != 0)
		export_state_release(s);
	return (rc);
}

/* Move `before` over what is done and a day old. */
static void
state_advance(struct export_state *s, int64_t now)
{
	size_t i;

	for (i = 0; i < s->seg.n; i++) {
		if (!s->mark[i].done || id_time(&s->seg.id[i]) > now - DAY)
			break;
		if (strcmp(s->seg.id[i].s, s->before.s) > 0)
			s->before = s->seg.id[i];
	}
}

int
export_state_save(struct export_state *s, int64_t now, struct verr *err)
{
	struct buf b = BUF_INIT;
	size_t i;
	int rc;

	state_advance(s, now);
	buf_adds(&b, "vmta-export 1\npath: ");
	esc_line(&b, s->path, strlen(s->path));
	buf_addc(&b, '\n');
	if (s->out[0] != '\0')
		buf_addf(&b, "out: %" PRIu64 " %" PRId64 " %s\n", s->length,
		    s->opened, s->out);
	if (s->date != 0)
		buf_addf(&b, "serial: %d %u\n", s->date, s->serial);
	if (s->swept != 0)
		buf_addf(&b, "swept: %" PRId64 "\n", s->swept);
	if (s->before.s[0] != '\0')
		buf_addf(&b, "before: %s\n", s->before.s);
	for (i = 0; i < s->seg.n; i++) {
		if (strcmp(s->seg.id[i].s, s->before.s) <= 0)
			continue;
		if (s->mark[i].done)
			buf_addf(&b, "done: %s\n", s->seg.id[i].s);
		else if (s->mark[i].at != 0)
			buf_addf(&b, "at: %s %" PRIu64 "\n", s->seg.id[i].s,
			    s->mark[i].at);
	}
	rc = file_write(s->sp->sys, s->dfd, s->hash, b.p, b.len, err);
	buf_release(&b);
	return (rc);
}

void
export_state_release(struct export_state *s)
{
	struct sys *sys = s->sp->sys;

	if (s->lock_fd != -1)
		(void)sys->close(sys, s->lock_fd);
	if (s->dfd != -1)
		(void)sys->close(sys, s->dfd);
	segment_list_release(&s->seg);
	free(s->mark);
	s->mark = NULL;
	s->lock_fd = s->dfd = -1;
}
