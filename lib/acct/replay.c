/*
 * Replay of segments whose writer is gone.
 *
 * A segment's writer holds a lock on it as long as it lives (spool/owner.h),
 * so ID.live without a lock is a dead run's. Each is read twice: once to
 * find the end of the last whole record, where it is cut (a torn tail was
 * never durable, nobody was told of it, and no export has read it), and
 * once to hand the records out. Reading goes line by line. Only the last line
 * can be torn; any other that is no record is reported and stays, and a
 * segment whose header row is damaged is read as if it had ours: no fault of
 * the disk may keep a spool from being delivered.
 *
 * Crash: the cut is synced before the first record is handed out; until
 * replay_retire has renamed the segment, the next run replays it again,
 * which changes nothing: what a record says is in the batch already.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "acct/journal.h"
#include "acct/replay.h"
#include "acct/segment.h"
#include "spool/owner.h"
#include "spool/spool.h"

/* One segment that is being read. */
struct dead {
	struct sys *sys;
	const char *id;
	int fd;
	uint64_t good; /* end of the last whole record, or of the header */
	struct record_map map;
	bool headless; /* its first line is no header row */
};

/* Read the header row. 1: there (good or bad), 0: not one line, -1. */
static int
dead_header(struct dead *d, struct segment_reader *rd, struct verr *err)
{
	bool whole;
	char *p;
	size_t n;
	int rc;

	rc = segment_reader_line(rd, &p, &n, &whole);
	if (rc == -1)
		return (verr_sys(err, "read journal segment %s", d->id));
	d->headless = rc == 1 &&
	    (!whole || record_map_read(&d->map, p, n, NULL) == -1);
	if (d->headless)
		record_map_default(&d->map);
	return (rc);
}

/*
 * Find d->good: the end of the last line that is whole. A last line that is
 * no record is torn, too.
 */
static int
dead_measure(struct dead *d, struct verr *err)
{
	struct segment_reader rd;
	struct acct_record r;
	struct stat st;
	uint64_t end;
	bool whole, ok = true;
	char *p;
	size_t n;
	int rc;

	segment_reader_init(&rd, d->sys, d->fd, 0, UINT64_MAX);
	d->good = 0;
	if ((rc = dead_header(d, &rd, err)) != 1)
		goto out;
	end = d->good = rd.off;
	while ((rc = segment_reader_line(&rd, &p, &n, &whole)) == 1) {
		d->good = end;
		end = rd.off;
		ok = whole && record_parse(&d->map, p, n, &r) == 0;
	}
	if (rc == -1 || d->sys->fstat(d->sys, d->fd, &st) == -1)
		rc = verr_sys(err, "read journal segment %s", d->id);
	else if (ok || end < (uint64_t)st.st_size)
		d->good = end;
out:
	segment_reader_release(&rd);
	return (rc);
}

/* Cut the torn tail off, durably; frees room allocated beyond, too. */
static int
dead_cut(struct dead *d, struct verr *err)
{
	if (d->sys->ftruncate(d->sys, d->fd, (off_t)d->good) == -1 ||
	    d->sys->fsync(d->sys, d->fd) == -1)
		return (verr_sys(err, "cut journal segment %s", d->id));
	return (0);
}

/* Hand a line out (p NULL: a bad header row). */
static int
dead_line(struct dead *d, struct replay *rp, char *p, size_t n, bool whole,
    uint64_t end, replay_cb *cb, void *arg, struct verr *err)
{
	struct acct_record r;
	struct verr where;

	if (p != NULL && whole && record_parse(&d->map, p, n, &r) == 0) {
		rp->records++;
		return (cb(arg, &r, NULL, err));
	}
	rp->bad++;
	(void)verr_set(&where, VEX_DATA,
	    "journal segment %s: the line that ends at octet %llu is no %s",
	    d->id, (unsigned long long)end,
	    p == NULL ? "header row" : "record");
	return (cb(arg, NULL, where.text, err));
}

/* Hand out all records of a segment that was measured and cut. */
static int
dead_walk(struct dead *d, struct replay *rp, replay_cb *cb, void *arg,
    struct verr *err)
{
	struct segment_reader rd;
	bool whole;
	char *p;
	size_t n;
	int rc;

	segment_reader_init(&rd, d->sys, d->fd, 0, d->good);
	rc = dead_header(d, &rd, err);
	if (rc == 1 && d->headless &&
	    dead_line(d, rp, NULL, 0, true, rd.off, cb, arg, err) == -1)
		rc = -1;
	while (rc == 1) {
		rc = segment_reader_line(&rd, &p, &n, &whole);
		if (rc == -1)
			(void)verr_sys(err, "read journal segment %s", d->id);
		if (rc == 1 &&
		    dead_line(d, rp, p, n, whole, rd.off, cb, arg, err) == -1)
			rc = -1;
	}
	segment_reader_release(&rd);
	return (rc);
}

/* Replay a segment that is locked by us. 1: gone meanwhile, 0, -1. */
static int
replay_segment(struct replay *rp, const char *id, replay_cb *cb, void *arg,
    struct verr *err)
{
	struct dead d = { .sys = rp->sp->sys, .id = id };
	char name[SEGMENT_NAME_MAX];
	int rc;

	d.fd = segment_fd(d.sys, rp->sp->acct_fd, segment_name(id, true, name),
	    O_RDWR, err);
	if (d.fd == -1)
		return (errno == ENOENT ? 1 : -1);
	if ((rc = dead_measure(&d, err)) == 0 && (rc = dead_cut(&d, err)) == 0)
		rc = dead_walk(&d, rp, cb, arg, err);
	(void)d.sys->close(d.sys, d.fd);
	return (rc);
}

int
replay_dead(struct spool *sp, struct owner *o, const struct journal *own,
    replay_cb *cb, void *arg, struct replay *ret_r, struct verr *err)
{
	struct segment_list l;
	size_t i;
	int rc = 0;

	*ret_r = (struct replay) { .sp = sp, .owner = o };
	if (segment_list(sp->sys, sp->acct_fd, &l, err) == -1)
		return (-1);
	for (i = 0; i < l.n && rc == 0; i++) {
		if (!l.live[i] ||
		    (own != NULL && journal_holds(own, l.id[i].s)))
			continue;
		rc = owner_segment_lock(o, l.id[i].s, err);
		if (rc != 0) {
			rc = rc == 1 ? 0 : -1;
			continue;
		}
		rc = replay_segment(ret_r, l.id[i].s, cb, arg, err);
		if (rc == 0)
			segment_list_add(&ret_r->seg, l.id[i].s, true);
		else
			owner_segment_unlock(o, l.id[i].s);
		if (rc == 1)
			rc = 0;
	}
	segment_list_release(&l);
	return (rc);
}

/* Rename a segment, or unlink it when it has no records. */
static int
retire_one(struct replay *r, const char *id)
{
	char live[SEGMENT_NAME_MAX], csv[SEGMENT_NAME_MAX];
	struct sys *sys = r->sp->sys;
	struct buf header = BUF_INIT;
	struct stat st;
	size_t n;

	record_header(&header, COL_N);
	n = header.len;
	buf_release(&header);
	(void)segment_name(id, true, live);
	(void)segment_name(id, false, csv);
	if (sys->fstatat(sys, r->sp->acct_fd, live, &st, AT_SYMLINK_NOFOLLOW) ==
	    -1)
		return (-1);
	if ((uint64_t)st.st_size <= n)
		return (sys->unlinkat(sys, r->sp->acct_fd, live, 0));
	return (sys->renameat(sys, r->sp->acct_fd, live, r->sp->acct_fd, csv));
}

int
replay_retire(struct replay *r, struct verr *err)
{
	struct sys *sys = r->sp->sys;
	size_t i;
	int rc = 0;

	for (i = 0; i < r->seg.n && rc == 0; i++)
		if (retire_one(r, r->seg.id[i].s) == -1)
			rc = verr_sys(err, "retire journal segment %s",
			    r->seg.id[i].s);
	if (rc == 0 && r->seg.n > 0 && sys->fsync(sys, r->sp->acct_fd) == -1)
		rc = verr_sys(err, "sync the journal's directory");
	replay_release(r);
	return (rc);
}

void
replay_release(struct replay *r)
{
	size_t i;

	for (i = 0; i < r->seg.n; i++)
		owner_segment_unlock(r->owner, r->seg.id[i].s);
	segment_list_release(&r->seg);
}
