/*
 * The journal as write-ahead log.
 *
 * Format: a segment is CSV with a header row (acct/record.h). A segment is
 * created by O_EXCL, its header row and its name are synced before the first
 * record; records are written at the end with pwrite and fdatasync, a group
 * at a time, in a thread of their own.
 *
 * Room: fallocate(FALLOC_FL_KEEP_SIZE) ahead of the end in steps of 1 MiB,
 * for RECORD_MAX octets a reserved record, and always 1 MiB more, which is
 * for records that have no reservation (t, tq, r) while the disk is full.
 * Where the file system knows no fallocate, statvfs is asked instead, which
 * is a look and not a promise. What is allocated and not used is given back
 * when the segment is retired. A segment that cannot have DRAIN_ROOM at once
 * is not begun: on a full disk it would hold the records of what was looked
 * at and have no room for a single result, so that nothing ever became free.
 *
 * Faults:
 * - A write that fails for want of space is repeated, at the same offset,
 *   with the next chunk. What part of it did reach the disk is true, and
 *   overwritten by the same octets.
 * - Any other failed write, and each failed fdatasync, is final for the
 *   segment: the kernel may have dropped pages and called them clean. The
 *   segment is cut back to what is known to be durable, synced, left for
 *   retirement, and every record that is not durable is written again to a
 *   fresh segment. Only when the cut is durable is anything written
 *   elsewhere: a record is never in two segments, so that exports, which
 *   count records and do not compare them, have it once. When the cut or the
 *   fresh segment fails too, or the third one in a row, the journal has
 *   failed for good and the run must end.
 *
 * Crash: at any moment each durable record is in exactly one segment. The
 * last, unsynced group may be there in whole, in part, or with holes; replay
 * cuts a torn tail off and names lines in the middle that are none. A record
 * of that group which survived is true as well: its end of data was answered.
 */
#include <sys/statvfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "acct/journal.h"
#include "acct/segment.h"
#include "base/buf.h"
#include "base/mem.h"
#include "spool/owner.h"
#include "spool/spool.h"

/* Room is taken in steps of this, and so much is always ahead. */
#define ROOM_STEP ((uint64_t)1024 * 1024)
/* What a fresh segment has for reservations: 256 of them. */
#define DRAIN_ROOM ((uint64_t)256 * RECORD_MAX)
/* Fresh segments in a row that may fail before the journal does. */
#define ABANDON_MAX 3

struct segment {
	struct id id;
	int fd;
	uint64_t size;	  /* durable octets */
	uint64_t room;	  /* allocated up to here */
	uint64_t records; /* durable */
	bool ripe;	  /* the next checkpoint covers it */
	bool renamed;	  /* on the way to retirement */
};

struct journal_chunk {
	struct sys *sys;
	int fd;
	uint64_t off;
	struct buf data;
	uint64_t records;
	uint64_t lsn; /* of its last record */
	bool synced;
	bool in_write; /* the write failed, not the sync */
	int err;       /* errno of what failed */
};

struct journal {
	struct spool *sp;
	struct owner *owner;
	struct sys *sys;
	struct segment cur;
	struct segment *old; /* wait for retirement */
	size_t n_old;
	struct buf gather; /* not taken yet */
	uint64_t gathered; /* records in it */
	struct journal_chunk chunk;
	bool busy; /* the chunk is under way */
	uint64_t last;
	uint64_t durable;
	size_t reserved;
	unsigned int abandoned; /* in a row */
	bool dirty; /* a write failed: octets beyond size may be on disk */
	bool failed;
};

/* Octets that the present segment may come to hold. */
static uint64_t
journal_need(const struct journal *j, size_t more)
{
	return (j->cur.size + (j->busy ? j->chunk.data.len : 0) +
	    j->gather.len + (uint64_t)(j->reserved + more) * RECORD_MAX);
}

/* Is there space for n octets, as far as statvfs knows? 0 or -1. */
static int
room_look(int fd, uint64_t n)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) == -1)
		return (-1);
	if ((uint64_t)v.f_bavail * v.f_frsize < n) {
		errno = ENOSPC;
		return (-1);
	}
	return (0);
}

/* Allocate s up to `need` octets and a step. 0, or -1 with errno. */
static int
segment_room(struct sys *sys, struct segment *s, uint64_t need)
{
	uint64_t to = need + ROOM_STEP;
	int rc;

	if (to <= s->room)
		return (0);
	to = (to + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
	do
		rc = sys->fallocate(sys, s->fd, FALLOC_FL_KEEP_SIZE,
		    (off_t)s->room, (off_t)(to - s->room));
	while (rc == -1 && errno == EINTR);
	if (rc == -1 && (errno == EOPNOTSUPP || errno == ENOSYS))
		return (room_look(s->fd, need + ROOM_STEP - s->size));
	if (rc == -1)
		return (-1);
	s->room = to;
	return (0);
}

/*
 * Write the header row of a new segment, take its room; file and name become
 * durable.
 */
static int
segment_begin(struct journal *j, struct segment *s)
{
	struct buf b = BUF_INIT;
	int rc;

	record_header(&b, COL_N);
	rc = sys_pwrite_all(j->sys, s->fd, b.p, b.len, 0);
	s->size = b.len;
	buf_release(&b);
	if (rc == -1 || segment_room(j->sys, s, s->size + DRAIN_ROOM) == -1 ||
	    j->sys->fsync(j->sys, s->fd) == -1 ||
	    j->sys->fsync(j->sys, j->sp->acct_fd) == -1)
		return (-1);
	return (0);
}

/* A new segment, locked. 0, or -1 with nothing left behind. */
static int
segment_open(struct journal *j, struct segment *s, struct verr *err)
{
	char name[SEGMENT_NAME_MAX];
	int saved;

	memset(s, 0, sizeof(*s));
	if (segment_new_id(j->sys, j->sp->acct_fd, &s->id, err) == -1)
		return (-1);
	saved = owner_segment_lock(j->owner, s->id.s, err);
	if (saved == 1)
		(void)verr_set(err, VEX_TEMP, "journal segment %s is taken",
		    s->id.s);
	if (saved != 0)
		return (-1);
	(void)segment_name(s->id.s, true, name);
	s->fd = j->sys->openat(j->sys, j->sp->acct_fd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (s->fd != -1 && segment_begin(j, s) == 0)
		return (0);
	saved = errno;
	if (s->fd != -1) {
		(void)j->sys->unlinkat(j->sys, j->sp->acct_fd, name, 0);
		(void)j->sys->close(j->sys, s->fd);
	}
	owner_segment_unlock(j->owner, s->id.s);
	errno = saved;
	return (verr_sys(err, "begin a journal segment"));
}

struct journal *
journal_open(struct spool *sp, struct owner *o, struct verr *err)
{
	struct journal *j = xcalloc(1, sizeof(*j));

	j->sp = sp;
	j->owner = o;
	j->sys = sp->sys;
	if (segment_open(j, &j->cur, err) == -1) {
		free(j);
		return (NULL);
	}
	return (j);
}

uint64_t
journal_append(struct journal *j, const struct acct_record *r)
{
	record_format(r, &j->gather);
	j->gathered++;
	/*
	 * Without a reservation: ask for room now, so that this record does
	 * not take what others reserved; if there is none it uses the step
	 * that is kept ahead for this.
	 */
	(void)segment_room(j->sys, &j->cur, journal_need(j, 0));
	return (++j->last);
}

uint64_t
journal_append_reserved(struct journal *j, const struct acct_record *r)
{
	if (j->reserved > 0)
		j->reserved--;
	record_format(r, &j->gather);
	j->gathered++;
	return (++j->last);
}

int
journal_reserve(struct journal *j, size_t n, struct verr *err)
{
	if (j->failed) {
		errno = EIO;
		return (verr_sys(err, "the journal has failed"));
	}
	if (segment_room(j->sys, &j->cur, journal_need(j, n)) == -1)
		return (verr_sys(err, "reserve room in the journal"));
	j->reserved += n;
	return (0);
}

void
journal_release(struct journal *j, size_t n)
{
	j->reserved -= n < j->reserved ? n : j->reserved;
}

struct journal_chunk *
journal_write_begin(struct journal *j)
{
	struct journal_chunk *c = &j->chunk;
	struct buf empty;

	if (j->busy || j->failed || j->gather.len == 0)
		return (NULL);
	empty = c->data;
	c->data = j->gather;
	j->gather = empty;
	buf_clear(&j->gather);
	c->sys = j->sys;
	c->fd = j->cur.fd;
	c->off = j->cur.size;
	c->records = j->gathered;
	c->lsn = j->last;
	c->synced = false;
	c->in_write = false;
	c->err = 0;
	j->gathered = 0;
	j->busy = true;
	return (c);
}

void
journal_write_run(struct journal_chunk *c)
{
	if (sys_pwrite_all(c->sys, c->fd, c->data.p, c->data.len,
		(off_t)c->off) == -1) {
		c->err = errno;
		c->in_write = true;
	} else if (c->sys->fdatasync(c->sys, c->fd) == -1)
		c->err = errno;
	else
		c->synced = true;
}

/* Put the chunk's records before those that have gathered meanwhile. */
static void
journal_put_back(struct journal *j, struct journal_chunk *c)
{
	struct buf data = c->data;

	buf_add(&data, buf_str(&j->gather), j->gather.len);
	buf_clear(&j->gather);
	c->data = j->gather;
	j->gather = data;
	j->gathered += c->records;
}

/* Move the present segment to those that wait for retirement. */
static void
journal_set_aside(struct journal *j, const struct segment *fresh, bool ripe)
{
	j->old = xreallocarray(j->old, j->n_old + 1, sizeof(*j->old));
	j->cur.ripe = ripe;
	j->old[j->n_old++] = j->cur;
	j->cur = *fresh;
}

/*
 * Give the present segment up after a fault and begin another. 0, or -1 when
 * the journal has failed for good.
 */
static int
journal_abandon(struct journal *j, struct verr *err)
{
	struct segment fresh;

	if (++j->abandoned > ABANDON_MAX)
		return (verr_prefix(err, "the journal failed %d times",
		    ABANDON_MAX + 1));
	if (j->sys->ftruncate(j->sys, j->cur.fd, (off_t)j->cur.size) == -1 ||
	    j->sys->fsync(j->sys, j->cur.fd) == -1)
		return (verr_sys(err, "cut journal segment %s back",
		    j->cur.id.s));
	if (segment_open(j, &fresh, err) == -1)
		return (-1);
	/* A checkpoint may be under way that does not cover it. */
	journal_set_aside(j, &fresh, false);
	/* Best effort: what the old segment had ahead is free again. */
	(void)segment_room(j->sys, &j->cur, journal_need(j, 0));
	return (0);
}

/* May a write that failed with this be repeated in place? */
static bool
errno_is_shortage(int e)
{
	return (e == ENOSPC || e == EDQUOT || e == EAGAIN || e == ENOMEM ||
	    e == EINTR);
}

int
journal_write_end(struct journal *j, struct journal_chunk *c,
    uint64_t *ret_durable, struct verr *err)
{
	j->busy = false;
	if (c->synced) {
		j->cur.size += c->data.len;
		j->cur.records += c->records;
		j->durable = c->lsn;
		j->abandoned = 0;
		j->dirty = false;
		buf_clear(&c->data);
		*ret_durable = j->durable;
		return (0);
	}
	*ret_durable = j->durable;
	journal_put_back(j, c);
	errno = c->err;
	(void)verr_sys(err, "write journal segment %s", j->cur.id.s);
	j->dirty = true;
	if (c->in_write && errno_is_shortage(c->err))
		return (1);
	if (journal_abandon(j, err) == 0) {
		j->dirty = false;
		return (1);
	}
	j->failed = true;
	return (-1);
}

int
journal_sync(struct journal *j, uint64_t *ret_durable, struct verr *err)
{
	struct journal_chunk *c;
	unsigned int tries = 0;
	int rc;

	*ret_durable = j->durable;
	if (j->busy) {
		errno = EBUSY;
		return (verr_sys(err, "a journal write is under way"));
	}
	while ((c = journal_write_begin(j)) != NULL) {
		journal_write_run(c);
		rc = journal_write_end(j, c, ret_durable, err);
		if (rc == -1 || (rc == 1 && ++tries > ABANDON_MAX))
			return (-1);
	}
	if (j->failed) {
		errno = EIO;
		return (verr_sys(err, "the journal has failed"));
	}
	return (0);
}

int
journal_rotate(struct journal *j, struct verr *err)
{
	struct segment fresh;
	uint64_t need;

	if (j->busy || j->dirty || j->failed) {
		errno = j->failed ? EIO : EBUSY;
		return (verr_sys(err, "rotate the journal"));
	}
	if (segment_open(j, &fresh, err) == -1)
		return (-1);
	need = journal_need(j, 0) - j->cur.size + fresh.size;
	if (segment_room(j->sys, &fresh, need) == -1) {
		(void)verr_sys(err, "reserve room in the journal");
		/* An empty segment: it vanishes when it is retired. */
		j->old = xreallocarray(j->old, j->n_old + 1, sizeof(*j->old));
		fresh.ripe = true;
		j->old[j->n_old++] = fresh;
		return (-1);
	}
	journal_set_aside(j, &fresh, true);
	return (0);
}

/* Give a segment its last name. 0 or -1; may be called again. */
static int
segment_retire(struct journal *j, struct segment *s)
{
	char live[SEGMENT_NAME_MAX], csv[SEGMENT_NAME_MAX];
	int rc;

	if (s->renamed)
		return (0);
	(void)segment_name(s->id.s, true, live);
	(void)segment_name(s->id.s, false, csv);
	if (s->records == 0)
		rc = j->sys->unlinkat(j->sys, j->sp->acct_fd, live, 0);
	else {
		/* Gives back what fallocate took beyond the end. */
		if (j->sys->ftruncate(j->sys, s->fd, (off_t)s->size) == -1)
			return (-1);
		rc = j->sys->renameat(j->sys, j->sp->acct_fd, live,
		    j->sp->acct_fd, csv);
	}
	if (rc == 0)
		s->renamed = true;
	return (rc);
}

/* Close a segment and let go of its lock. */
static void
segment_free(struct journal *j, struct segment *s)
{
	(void)j->sys->close(j->sys, s->fd);
	owner_segment_unlock(j->owner, s->id.s);
}

int
journal_retire(struct journal *j, struct verr *err)
{
	size_t i, left = 0;

	for (i = 0; i < j->n_old; i++)
		if (j->old[i].ripe && segment_retire(j, &j->old[i]) == -1)
			return (verr_sys(err, "retire journal segment %s",
			    j->old[i].id.s));
	if (j->n_old > 0 && j->sys->fsync(j->sys, j->sp->acct_fd) == -1)
		return (verr_sys(err, "sync the journal's directory"));
	for (i = 0; i < j->n_old; i++) {
		if (j->old[i].ripe) {
			segment_free(j, &j->old[i]);
			continue;
		}
		j->old[left] = j->old[i];
		j->old[left++].ripe = true;
	}
	j->n_old = left;
	return (0);
}

int
journal_close(struct journal *j, struct verr *err)
{
	static const struct segment none = { .fd = -1 };
	size_t i;
	int rc;

	if (j->failed || j->busy || j->durable != j->last)
		rc = verr_set(err, VEX_IO,
		    "journal segment %s is left for the next run: "
		    "not all of it is durable",
		    j->cur.id.s);
	else {
		journal_set_aside(j, &none, true);
		for (i = 0; i < j->n_old; i++)
			j->old[i].ripe = true;
		rc = journal_retire(j, err);
	}
	journal_free(j);
	return (rc);
}

void
journal_free(struct journal *j)
{
	size_t i;

	if (j == NULL)
		return;
	for (i = 0; i < j->n_old; i++)
		segment_free(j, &j->old[i]);
	if (j->cur.fd != -1)
		segment_free(j, &j->cur);
	free(j->old);
	buf_release(&j->gather);
	buf_release(&j->chunk.data);
	free(j);
}

uint64_t
journal_last(const struct journal *j)
{
	return (j->last);
}

uint64_t
journal_durable(const struct journal *j)
{
	return (j->durable);
}

bool
journal_failed(const struct journal *j)
{
	return (j->failed);
}

uint64_t
journal_size(const struct journal *j)
{
	return (j->cur.size);
}

const char *
journal_id(const struct journal *j)
{
	return (j->cur.id.s);
}

bool
journal_holds(const struct journal *j, const char *id)
{
	size_t i;

	for (i = 0; i < j->n_old; i++)
		if (strcmp(j->old[i].id.s, id) == 0)
			return (true);
	return (strcmp(j->cur.id.s, id) == 0);
}

bool
journal_full(const struct journal *j)
{
	return (j->cur.size >= JOURNAL_SEGMENT_MAX);
}

bool
journal_has_old(const struct journal *j)
{
	return (j->n_old > 0);
}
