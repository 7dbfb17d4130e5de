/*
 * Submit ids. The file is written as part of the commit that it counts
 * (finish.c: it is in the commit's record), so it never says more than is in
 * the spool, and never less once what dead injectors left is rolled forward.
 *
 *	vmta-submit 1
 *	count: N
 *	id: MSGID
 *	print: HASH	a fingerprint of what was given (submit/print.h)
 *	first: HASH	the same, up to the first message
 *
 * Locks are bytes of state/submit/.lock, two for each hash: one is had by the
 * call (spool_submit_lock), the other while the file is looked at and written.
 * Of two records of a submission the earlier may be done last (what it lists
 * could not be done at first, or two processes do one each): so the file is
 * written only by who has counted more.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/unit.h"
#include "spool/commit.h"
#include "spool/spool.h"
#include "spool/store.h"
#include "spool/submit.h"

/* Where the two sets of locks begin; a hash is shorter than the second. */
#define LOCK_CALL ((off_t)0)
#define LOCK_PUT ((off_t)1 << 62)

void
spool_submit_hash(uid_t uid, const char *key,
    char ret_hash[SUBMIT_HASH_LEN + 1])
{
	struct buf b = BUF_INIT;
	XXH128_hash_t h;

	buf_addf(&b, "%lu ", (unsigned long)uid);
	buf_adds(&b, key);
	h = XXH3_128bits(b.p, b.len);
	(void)snprintf(ret_hash, SUBMIT_HASH_LEN + 1,
	    "%016" PRIx64 "%016" PRIx64, h.high64, h.low64);
	buf_release(&b);
}

bool
spool_submit_hash_valid(const char *s)
{
	return (strlen(s) == SUBMIT_HASH_LEN &&
	    strspn(s, "0123456789abcdef") == SUBMIT_HASH_LEN);
}

bool
spool_submit_print_valid(const char *s)
{
	return (strlen(s) == SUBMIT_PRINT_LEN &&
	    strspn(s, "0123456789abcdef") == SUBMIT_PRINT_LEN);
}

/* What a file says. */
struct submit_file {
	struct spool_submission s;
	bool bad;
};

static void
submit_line_print(struct submit_file *f, const char *value,
    char ret[SUBMIT_PRINT_LEN + 1])
{
	if (!spool_submit_print_valid(value))
		f->bad = true;
	else
		memcpy(ret, value, SUBMIT_PRINT_LEN + 1);
}

static void
submit_line(void *arg, const char *key, const char *value)
{
	struct submit_file *f = arg;
	int64_t n;

	if (strcmp(key, "count") == 0) {
		if (unit_int(value, &n) == -1)
			f->bad = true;
		else
			f->s.count = (uint64_t)n;
	}
	if (strcmp(key, "id") == 0 && id_valid(value))
		memcpy(f->s.msgid, value, ID_LEN + 1);
	if (strcmp(key, "print") == 0)
		submit_line_print(f, value, f->s.print);
	if (strcmp(key, "first") == 0)
		submit_line_print(f, value, f->s.first);
}

/* Read state/submit/HASH; nothing is known of one that is not there. */
static int
submit_read(struct spool *sp, int dfd, const char *hash,
    struct spool_submission *ret_s, struct verr *err)
{
	struct submit_file f = { .bad = false };
	struct buf b = BUF_INIT;
	int rc;

	*ret_s = f.s;
	rc = file_read(sp->sys, dfd, hash, 4096, &b, err);
	if (rc == -1 && errno == ENOENT)
		rc = 0;
	else if (rc == 0 &&
	    (store_lines(&b, "vmta-submit 1", submit_line, &f) == -1 || f.bad ||
		f.s.msgid[0] == '\0'))
		rc = verr_set(err, VEX_IO, "state/submit/%s is damaged", hash);
	buf_release(&b);
	if (rc == 0)
		*ret_s = f.s;
	return (rc);
}

int
spool_submit_lookup(struct spool *sp, const char *hash,
    struct spool_submission *ret_s, struct verr *err)
{
	int fd, rc;

	*ret_s = (struct spool_submission) { .count = 0 };
	if (!spool_submit_hash_valid(hash))
		return (verr_set(err, VEX_DATA, "bad submit hash"));
	if (commit_recover_submit(sp, hash, err) == -1 ||
	    (fd = store_dir(sp, "submit", err)) == -1)
		return (-1);
	rc = submit_read(sp, fd, hash, ret_s, err);
	(void)sp->sys->close(sp->sys, fd);
	return (rc);
}

/*
 * Lock the byte of hash in .lock, of one of two sets of bytes. 0 and *ret_fd;
 * 1: another one has it, and wait is false; -1.
 */
static int
submit_lock(struct spool *sp, int dfd, const char *hash, off_t set, bool wait,
    int *ret_fd, struct verr *err)
{
	struct flock l = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_len = 1 };
	int fd, rc;

	*ret_fd = -1;
	fd = sp->sys->openat(sp->sys, dfd, ".lock",
	    O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd == -1)
		return (verr_sys(err, "open state/submit/.lock"));
	l.l_start = set + (off_t)(map_hash(hash, strlen(hash)) >> 2);
	do
		rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
	while (rc == -1 && errno == EINTR);
	if (rc == -1)
		rc = !wait && (errno == EAGAIN || errno == EACCES) ?
		    1 :
		    verr_sys(err, "lock state/submit/.lock");
	if (rc == 0)
		*ret_fd = fd;
	else
		(void)sp->sys->close(sp->sys, fd);
	return (rc);
}

int
spool_submit_lock(struct spool *sp, const char *hash, int *ret_fd,
    struct verr *err)
{
	int dfd, rc;

	*ret_fd = -1;
	if ((dfd = store_dir(sp, "submit", err)) == -1)
		return (-1);
	rc = submit_lock(sp, dfd, hash, LOCK_CALL, false, ret_fd, err);
	(void)sp->sys->close(sp->sys, dfd);
	return (rc);
}

/* Write state/submit/HASH, unless it has as much. 0 or -1. */
static int
submit_write(struct spool *sp, int dfd, const char *hash,
    const struct spool_submission *s, struct verr *err)
{
	struct spool_submission now;
	struct buf b = BUF_INIT;
	struct verr why = VERR_INIT;
	int rc;

	rc = submit_read(sp, dfd, hash, &now, &why);
	if (rc == 0 && now.count > s->count)
		return (0);
	if (rc == -1 && why.err != 0) { /* not damaged: not read */
		*err = why;
		return (-1);
	}
	buf_addf(&b, "vmta-submit 1\ncount: %" PRIu64 "\nid: %s\n", s->count,
	    s->msgid);
	if (s->print[0] != '\0')
		buf_addf(&b, "print: %s\n", s->print);
	if (s->first[0] != '\0')
		buf_addf(&b, "first: %s\n", s->first);
	rc = store_put(sp, dfd, hash, b.p, b.len, true, err);
	buf_release(&b);
	return (rc);
}

int
spool_submit_put(struct spool *sp, const char *hash,
    const struct spool_submission *s, struct verr *err)
{
	int dfd, lock, rc;

	if ((dfd = store_dir(sp, "submit", err)) == -1)
		return (-1);
	rc = submit_lock(sp, dfd, hash, LOCK_PUT, true, &lock, err);
	if (rc == 0) {
		rc = submit_write(sp, dfd, hash, s, err);
		(void)sp->sys->close(sp->sys, lock);
	}
	(void)sp->sys->close(sp->sys, dfd);
	return (rc);
}

int
spool_submit_sweep(struct spool *sp, int64_t before, struct verr *err)
{
	int fd, rc;

	if ((fd = store_dir(sp, "submit", err)) == -1)
		return (-1);
	rc = store_sweep(sp, fd, before, err);
	(void)sp->sys->close(sp->sys, fd);
	return (rc);
}
