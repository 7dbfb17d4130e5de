/*
 * Changes of an open batch by its owner. The journal has each result before
 * (promise 3), so nothing here is synced or ordered: whatever a crash leaves
 * of it, the replay sets right.
 *
 *	batch_flush	62 octets of R lines are overwritten in place
 *	batch_requeue	rename to cur/ with a name that fits
 *	batch_finish	content link first, then the file: a crash between
 *			leaves a batch without open recipients, not a content
 *			without a batch; then the domain's directory, when it
 *			is empty (a committer makes it again)
 *	batch_space	holes in place of content that nobody needs any more
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stamp.h"
#include "spool/area.h"
#include "spool/batch_int.h"

/* Blocks that are freed; filesystems ignore less. */
#define UPDATE_BLOCK 4096
/* Not worth a system call. */
#define UPDATE_SPACE_MIN (64 * 1024)
/* Changed lines nearer than this are written with what is between them. */
#define UPDATE_NEAR 512
#define UPDATE_SPAN (64 * 1024)

void
batch_set(struct batch *b, uint32_t slot, char state, unsigned int attempts,
    int64_t next, const char *source)
{
	struct bslot *s = &b->slot[slot];
	bool was = !batch_state_final(s->state);
	bool is = !batch_state_final(state);

	if (was && !is) {
		b->open--;
		b->msg[s->msg].open--;
	} else if (!was && is) {
		b->open++;
		b->msg[s->msg].open++;
	}
	s->state = state;
	s->attempts = (uint16_t)(attempts > BATCH_ATTEMPTS_MAX ?
		BATCH_ATTEMPTS_MAX :
		attempts);
	s->next = next;
	if (source != NULL)
		s->source = batch_source_number(b, source);
	s->dirty = true;
	if (slot < b->dirty_from)
		b->dirty_from = slot;
	if (slot >= b->dirty_to)
		b->dirty_to = slot + 1;
}

bool
batch_dirty(const struct batch *b)
{
	return (b->dirty_from < b->dirty_to);
}

void
batch_fields(const struct batch *b, const struct bslot *s,
    char ret_f[BATCH_FIELDS + 1])
{
	char at[STAMP_NAME_LEN + 1];

	(void)snprintf(ret_f, BATCH_FIELDS + 1, "%c %03u %s %-39s", s->state,
	    (unsigned int)s->attempts, stamp_name(s->next, at),
	    s->source > 0 ? b->source[s->source - 1] : "-");
}

/* The last changed slot of a run of near ones that begins with `from`. */
static uint32_t
flush_run(const struct batch *b, uint32_t from)
{
	uint32_t i, last = from;

	for (i = from + 1; i < b->dirty_to; i++) {
		if (b->slot[i].line - b->slot[last].line > UPDATE_NEAR ||
		    b->slot[i].line - b->slot[from].line > UPDATE_SPAN)
			break;
		if (b->slot[i].dirty)
			last = i;
	}
	return (last);
}

/* Write the changed slots from..last, and what is between them again. */
static int
flush_write(struct batch *b, uint32_t from, uint32_t last, struct buf *buf)
{
	off_t start = (off_t)b->slot[from].line + BATCH_FIELDS_AT;
	size_t n = b->slot[last].line - b->slot[from].line + BATCH_FIELDS;
	char f[BATCH_FIELDS + 1];
	uint32_t i;
	ssize_t got;

	if (from == last) {
		batch_fields(b, &b->slot[from], f);
		return (sys_pwrite_all(b->sp->sys, b->fd, f, BATCH_FIELDS,
		    start));
	}
	buf_clear(buf);
	got = sys_pread_all(b->sp->sys, b->fd, buf_room(buf, n), n, start);
	if (got != (ssize_t)n) {
		if (got != -1)
			errno = EIO;
		return (-1);
	}
	for (i = from; i <= last; i++) {
		if (!b->slot[i].dirty)
			continue;
		batch_fields(b, &b->slot[i], f);
		memcpy(buf->p + (b->slot[i].line - b->slot[from].line), f,
		    BATCH_FIELDS);
	}
	return (sys_pwrite_all(b->sp->sys, b->fd, buf->p, n, start));
}

int
batch_flush(struct batch *b, struct verr *err)
{
	struct buf buf = BUF_INIT;
	uint32_t i, last;

	for (i = b->dirty_from; i < b->dirty_to; i++) {
		if (!b->slot[i].dirty)
			continue;
		last = flush_run(b, i);
		if (flush_write(b, i, last, &buf) == -1) {
			b->dirty_from = i;
			buf_release(&buf);
			return (verr_sys(err, "write batch %s", b->file));
		}
		for (; i <= last; i++)
			b->slot[i].dirty = false;
		i--;
	}
	b->dirty_from = b->n_slot;
	b->dirty_to = 0;
	buf_release(&buf);
	return (0);
}

int
batch_sync(struct batch *b, struct verr *err)
{
	if (b->sp->sys->fdatasync(b->sp->sys, b->fd) == -1)
		return (verr_sys(err, "sync batch %s", b->file));
	return (0);
}

/* Remove the domain's directory if it is empty. */
static void
update_rmdir(struct batch *b)
{
	int afd, saved = errno;

	afd = area_dir(b->sp, b->h.vmta, b->area, NULL);
	if (afd != -1)
		(void)b->sp->sys->unlinkat(b->sp->sys, afd, b->h.domain,
		    AT_REMOVEDIR);
	errno = saved;
}

int
batch_finish(struct batch *b, struct verr *err)
{
	struct sys *sys = b->sp->sys;
	char name[2 * ID_LEN + 2];
	int dfd, rc = 0;

	if (b->h.content != NULL) {
		(void)snprintf(name, sizeof(name), "%s-%s", b->h.content,
		    b->h.id);
		if (sys->unlinkat(sys, b->sp->content_fd, name, 0) == -1 &&
		    errno != ENOENT)
			return (verr_sys(err, "remove content/%s", name));
	}
	dfd = area_domain(b->sp, b->h.vmta, b->area, b->h.domain, err);
	if (dfd == -1)
		return (errno == ENOENT ? 0 : -1);
	if (sys->unlinkat(sys, dfd, b->file, 0) == -1 && errno != ENOENT)
		rc = verr_sys(err, "remove batch %s", b->file);
	(void)sys->close(sys, dfd);
	if (rc == 0)
		update_rmdir(b);
	return (rc);
}

/* AREA/DOMAIN, made when it is missing. */
static int
requeue_dir(struct batch *b, enum batch_area area, struct verr *err)
{
	struct sys *sys = b->sp->sys;
	int vfd, cfd, fd = -1;

	vfd = spool_dir(b->sp, b->sp->queue_fd, b->h.vmta, err);
	if (vfd == -1)
		return (-1);
	cfd = spool_dir_make(b->sp, vfd, area == BATCH_NEW ? "new" : "cur",
	    NULL, err);
	(void)sys->close(sys, vfd);
	if (cfd == -1)
		return (-1);
	fd = spool_dir_make(b->sp, cfd, b->h.domain, NULL, err);
	(void)sys->close(sys, cfd);
	return (fd);
}

/* To this area, with the name that fits. */
static int
requeue(struct batch *b, enum batch_area area, struct verr *err)
{
	struct sys *sys = b->sp->sys;
	char name[BATCH_NAME_MAX];
	struct batch_name n;
	int from, to, rc = 0;

	batch_name_now(b, &n);
	(void)batch_name_format(&n, name);
	if (b->area == area && strcmp(name, b->file) == 0)
		return (0);
	from = area_domain(b->sp, b->h.vmta, b->area, b->h.domain, err);
	if (from == -1)
		return (-1);
	if ((to = requeue_dir(b, area, err)) == -1) {
		(void)sys->close(sys, from);
		return (-1);
	}
	if (sys->renameat(sys, from, b->file, to, name) == -1)
		rc = verr_sys(err, "rename batch %s", b->file);
	(void)sys->close(sys, from);
	(void)sys->close(sys, to);
	if (rc == -1)
		return (-1);
	if (b->area != area)
		update_rmdir(b);
	b->area = area;
	memcpy(b->file, name, sizeof(name));
	return (0);
}

int
batch_requeue(struct batch *b, struct verr *err)
{
	return (requeue(b, BATCH_CUR, err));
}

int
batch_rename(struct batch *b, struct verr *err)
{
	return (requeue(b, b->area, err));
}

/* Free the whole blocks in from..to of the content. 0, 1 cannot, -1. */
static int
space_punch(struct batch *b, uint64_t from, uint64_t to)
{
	struct sys *sys = b->sp->sys;

	from += b->index_len;
	to += b->index_len;
	from = (from + UPDATE_BLOCK - 1) / UPDATE_BLOCK * UPDATE_BLOCK;
	to = to / UPDATE_BLOCK * UPDATE_BLOCK;
	if (from >= to)
		return (0);
	if (sys->fallocate(sys, b->fd,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
		(off_t)(to - from)) == 0)
		return (0);
	return (errno == EOPNOTSUPP || errno == ENOSYS ? 1 : -1);
}

int
batch_space(struct batch *b, struct verr *err)
{
	uint64_t need, at = 0, len = b->content_len;
	struct brange *r;
	size_t n, i;
	int rc = 0;

	/* what was freed before does not count: half of the rest must go */
	if (b->h.content != NULL || len < UPDATE_SPACE_MIN || b->open == 0)
		return (0);
	need = batch_ranges(b, NULL, &r, &n);
	if (need * 2 < len - b->freed) {
		for (i = 0; i < n && rc == 0; i++) {
			rc = space_punch(b, at, r[i].from);
			at = r[i].to;
		}
		if (rc == 0)
			rc = space_punch(b, at, len);
		if (rc == 0 || rc == 1)
			b->freed = len - need;
	}
	free(r);
	return (rc == -1 ? verr_sys(err, "free space of batch %s", b->file) :
			   0);
}
