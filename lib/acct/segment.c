/*
 * Names, lists and lines of journal segments.
 *
 * A segment is acct/ID.live from its creation until it is retired, when it
 * becomes acct/ID.csv; nothing else in acct/ is looked at. Ids sort by time,
 * so a list in the order of ids is nearly a list in the order of writing;
 * segment_new_id keeps it so when the clock is set back.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acct/segment.h"
#include "base/file.h"
#include "base/mem.h"

const char *
segment_name(const char *id, bool live, char buf[SEGMENT_NAME_MAX])
{
	(void)snprintf(buf, SEGMENT_NAME_MAX, "%.21s%s", id,
	    live ? ".live" : ".csv");
	return (buf);
}

int
segment_fd(struct sys *sys, int dfd, const char *name, int flags,
    struct verr *err)
{
	int fd;

	fd = sys->openat(sys, dfd, name, flags | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -1)
		return (verr_sys(err, "open journal segment %s", name));
	if (file_own(sys, fd, name, err) == 0)
		return (fd);
	(void)verr_prefix(err, "journal segment");
	(void)sys->close(sys, fd);
	errno = EINVAL;
	return (-1);
}

void
segment_list_add(struct segment_list *l, const char *id, bool live)
{
	if ((l->n & (l->n - 1)) == 0) {
		l->id = xreallocarray(l->id, l->n == 0 ? 1 : l->n * 2,
		    sizeof(*l->id));
		l->live = xreallocarray(l->live, l->n == 0 ? 1 : l->n * 2,
		    sizeof(*l->live));
	}
	(void)snprintf(l->id[l->n].s, sizeof(l->id[l->n].s), "%s", id);
	l->live[l->n++] = live;
}

bool
segment_list_has(const struct segment_list *l, const char *id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->id[i].s, id) == 0)
			return (true);
	return (false);
}

void
segment_list_release(struct segment_list *l)
{
	free(l->id);
	free(l->live);
	*l = (struct segment_list)SEGMENT_LIST_INIT;
}

/* File names are `ID.csv` or `ID.live`: by id, then .csv before .live. */
static int
name_cmp(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a, *(char *const *)b));
}

/* Is this the name of a segment? */
static bool
name_is_segment(const char *name)
{
	char id[ID_LEN + 1];
	size_t n = strlen(name);

	if (n <= ID_LEN ||
	    (strcmp(name + ID_LEN, ".live") != 0 &&
		strcmp(name + ID_LEN, ".csv") != 0))
		return (false);
	memcpy(id, name, ID_LEN);
	id[ID_LEN] = '\0';
	return (id_valid(id));
}

/* Sort names into l; frees them. */
static void
list_fill(struct segment_list *l, char **name, size_t n)
{
	char id[ID_LEN + 1];
	size_t i;

	if (n > 0)
		qsort(name, n, sizeof(*name), name_cmp);
	for (i = 0; i < n; i++) {
		memcpy(id, name[i], ID_LEN);
		id[ID_LEN] = '\0';
		segment_list_add(l, id, name[i][ID_LEN + 1] == 'l');
		free(name[i]);
	}
	free(name);
}

int
segment_list(struct sys *sys, int dfd, struct segment_list *ret_l,
    struct verr *err)
{
	struct dirent *e;
	char **name = NULL;
	size_t n = 0, cap = 0;
	DIR *d;
	int fd, saved;

	*ret_l = (struct segment_list)SEGMENT_LIST_INIT;
	fd = sys->openat(sys, dfd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1)
		return (verr_sys(err, "open the journal's directory"));
	if ((d = fdopendir(fd)) == NULL) {
		saved = errno;
		(void)sys->close(sys, fd);
		errno = saved;
		return (verr_sys(err, "read the journal's directory"));
	}
	while (errno = 0, (e = readdir(d)) != NULL) {
		if (!name_is_segment(e->d_name))
			continue;
		if (n == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			name = xreallocarray(name, cap, sizeof(*name));
		}
		name[n++] = xstrdup(e->d_name);
	}
	saved = errno;
	(void)closedir(d);
	list_fill(ret_l, name, n);
	if (saved != 0) {
		segment_list_release(ret_l);
		errno = saved;
		return (verr_sys(err, "read the journal's directory"));
	}
	return (0);
}

/* Add a second to the time in an id. */
static void
id_step(char *s)
{
	int i;

	for (i = 7; i >= 0; i--) {
		if (s[i] != 'v') {
			s[i] = s[i] == '9' ? 'a' : (char)(s[i] + 1);
			return;
		}
		s[i] = '0';
	}
}

int
segment_new_id(struct sys *sys, int dfd, struct id *ret_id, struct verr *err)
{
	struct segment_list l;

	if (id_make(sys, ret_id, err) == -1)
		return (-1);
	if (segment_list(sys, dfd, &l, err) == -1)
		return (-1);
	if (l.n > 0 && strcmp(ret_id->s, l.id[l.n - 1].s) <= 0) {
		memcpy(ret_id->s, l.id[l.n - 1].s, 8);
		id_step(ret_id->s);
	}
	segment_list_release(&l);
	return (0);
}

/* Read so much at a time. */
#define BLOCK ((size_t)65536)

void
segment_reader_init(struct segment_reader *r, struct sys *sys, int fd,
    uint64_t off, uint64_t limit)
{
	*r = (struct segment_reader) { .sys = sys,
		.fd = fd,
		.off = off,
		.limit = limit };
	r->block = xmalloc(BLOCK + 1);
}

void
segment_reader_release(struct segment_reader *r)
{
	free(r->block);
	r->block = NULL;
}

/* More of the file into the block; 1: got some, 0: the end, -1: errno. */
static int
reader_fill(struct segment_reader *r)
{
	uint64_t from, left;
	size_t want;
	ssize_t n;

	if (r->at > 0) {
		memmove(r->block, r->block + r->at, r->have - r->at);
		r->have -= r->at;
		r->at = 0;
	}
	from = r->off + r->have;
	left = from < r->limit ? r->limit - from : 0;
	want = BLOCK - r->have;
	if (want > left)
		want = (size_t)left;
	if (want == 0)
		return (0);
	if (r->stream)
		do
			n = r->sys->read(r->sys, r->fd, r->block + r->have,
			    want);
		while (n == -1 && errno == EINTR);
	else
		n = sys_pread_all(r->sys, r->fd, r->block + r->have, want,
		    (off_t)from);
	if (n > 0)
		r->have += (size_t)n;
	return (n > 0 ? 1 : (int)n);
}

/* Forget the rest of a line that is too long. As segment_reader_line. */
static int
reader_skip(struct segment_reader *r)
{
	char *end;
	size_t n;
	int rc;

	for (;;) {
		end = memchr(r->block + r->at, '\n', r->have - r->at);
		n = end != NULL ? (size_t)(end + 1 - (r->block + r->at)) :
				  r->have - r->at;
		r->at += n;
		r->off += n;
		if (end != NULL)
			return (1);
		if ((rc = reader_fill(r)) != 1)
			return (rc);
	}
}

int
segment_reader_line(struct segment_reader *r, char **ret_p, size_t *ret_n,
    bool *ret_whole)
{
	static char none[1];
	char *p, *end;
	size_t n, seen = 0;
	int rc;

	while ((end = memchr(r->block + r->at + seen, '\n',
		    r->have - r->at - seen)) == NULL) {
		seen = r->have - r->at;
		if (seen > SEGMENT_LINE) {
			none[0] = '\0';
			*ret_p = none;
			*ret_n = 0;
			*ret_whole = false;
			return (reader_skip(r));
		}
		if ((rc = reader_fill(r)) != 1)
			return (rc);
	}
	p = r->block + r->at;
	n = (size_t)(end - p) + 1;
	r->at += n;
	r->off += n;
	n -= n >= 2 && p[n - 2] == '\r' ? 2 : 1;
	*ret_p = p;
	*ret_n = n;
	*ret_whole = true;
	return (1);
}

bool
segment_reader_rest(struct segment_reader *r, char **ret_p, size_t *ret_n)
{
	*ret_p = r->block + r->at;
	*ret_n = r->have - r->at;
	return (*ret_n > 0 && *ret_n <= SEGMENT_LINE);
}
