/*
 * What the tests of lib/acct share: a spool in a directory of its own, and a
 * table of system calls that fails or ends the process at the n-th call.
 */
#ifndef T_UNIT_ACCT_UTIL_H
#define T_UNIT_ACCT_UTIL_H

#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "acct/journal.h"
#include "acct/record.h"
#include "acct/segment.h"
#include "base/buf.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/mem.h"
#include "spool/owner.h"
#include "spool/spool.h"

enum call {
	C_OPEN,
	C_WRITE,
	C_FSYNC,
	C_FDATASYNC,
	C_RENAME,
	C_UNLINK,
	C_MKDIR,
	C_TRUNCATE,
	C_ALLOCATE,
	C_N
};

/* s must be first: a struct sys * is a struct faulty *. */
struct faulty {
	struct sys s;
	unsigned int n;	      /* calls so far */
	unsigned int kill_at; /* end the process before this call, 0: never */
	unsigned int fail_at; /* fail this call, 0: none */
	int fail_call;	      /* fail each call of this kind, -1: none */
	int fail_errno;
	bool torn;     /* a write that is killed is done by half */
	int64_t clock; /* wall seconds; 0: the real clock */
};

static struct faulty faulty;

/* One call: should it fail? Ends the process where it is asked to. */
static inline bool
faulty_hit(struct sys *s, enum call c)
{
	struct faulty *f = (struct faulty *)s;

	f->n++;
	if (f->n == f->kill_at)
		_exit(77);
	if (f->n == f->fail_at || f->fail_call == (int)c) {
		errno = f->fail_errno;
		return (true);
	}
	return (false);
}

static inline int
faulty_openat(struct sys *s, int dfd, const char *path, int flags, mode_t mode)
{
	if (faulty_hit(s, C_OPEN))
		return (-1);
	return (openat(dfd, path, flags | O_CLOEXEC, mode));
}

static inline ssize_t
faulty_pwrite(struct sys *s, int fd, const void *p, size_t n, off_t off)
{
	struct faulty *f = (struct faulty *)s;

	if (f->torn && f->n + 1 == f->kill_at)
		(void)!pwrite(fd, p, n / 2, off);
	if (faulty_hit(s, C_WRITE))
		return (-1);
	return (pwrite(fd, p, n, off));
}

static inline ssize_t
faulty_write(struct sys *s, int fd, const void *p, size_t n)
{
	if (faulty_hit(s, C_WRITE))
		return (-1);
	return (write(fd, p, n));
}

static inline int
faulty_fsync(struct sys *s, int fd)
{
	(void)fd;
	return (faulty_hit(s, C_FSYNC) ? -1 : 0);
}

static inline int
faulty_fdatasync(struct sys *s, int fd)
{
	(void)fd;
	return (faulty_hit(s, C_FDATASYNC) ? -1 : 0);
}

static inline int
faulty_renameat(struct sys *s, int ofd, const char *o, int nfd, const char *n)
{
	return (faulty_hit(s, C_RENAME) ? -1 : renameat(ofd, o, nfd, n));
}

static inline int
faulty_unlinkat(struct sys *s, int dfd, const char *path, int flags)
{
	return (faulty_hit(s, C_UNLINK) ? -1 : unlinkat(dfd, path, flags));
}

static inline int
faulty_mkdirat(struct sys *s, int dfd, const char *path, mode_t mode)
{
	return (faulty_hit(s, C_MKDIR) ? -1 : mkdirat(dfd, path, mode));
}

static inline int
faulty_ftruncate(struct sys *s, int fd, off_t len)
{
	return (faulty_hit(s, C_TRUNCATE) ? -1 : ftruncate(fd, len));
}

static inline int
faulty_fallocate(struct sys *s, int fd, int mode, off_t off, off_t len)
{
	return (faulty_hit(s, C_ALLOCATE) ? -1 : fallocate(fd, mode, off, len));
}

static inline int64_t
faulty_wall(struct sys *s)
{
	struct faulty *f = (struct faulty *)s;

	if (f->clock != 0)
		return (f->clock * 1000000);
	return (sys_real()->wall(sys_real()));
}

/* No fault planned; the count begins anew. */
static inline void
faulty_reset(void)
{
	faulty.n = faulty.kill_at = faulty.fail_at = 0;
	faulty.fail_call = -1;
	faulty.fail_errno = EIO;
	faulty.torn = false;
}

static inline struct sys *
faulty_sys(void)
{
	sys_init(&faulty.s);
	faulty.s.openat = faulty_openat;
	faulty.s.pwrite = faulty_pwrite;
	faulty.s.write = faulty_write;
	faulty.s.fsync = faulty_fsync;
	faulty.s.fdatasync = faulty_fdatasync;
	faulty.s.renameat = faulty_renameat;
	faulty.s.unlinkat = faulty_unlinkat;
	faulty.s.mkdirat = faulty_mkdirat;
	faulty.s.ftruncate = faulty_ftruncate;
	faulty.s.fallocate = faulty_fallocate;
	faulty.s.wall = faulty_wall;
	faulty.clock = 0;
	faulty_reset();
	return (&faulty.s);
}

/* A directory, and in it a spool. */
struct place {
	char dir[200];
	struct spool sp;
	struct owner *owner;
};

static inline int
place_dir(int dfd, const char *name)
{
	int fd;

	(void)mkdirat(dfd, name, 0700);
	fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	return (fd);
}

static inline void
place_init(struct place *p)
{
	const char *tmp = getenv("TMPDIR");
	struct verr err = VERR_INIT;
	int fd;

	memset(p, 0, sizeof(*p));
	(void)snprintf(p->dir, sizeof(p->dir), "%.150s/vmta-acct-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(p->dir));
	fd = place_dir(AT_FDCWD, p->dir);
	p->sp.sys = faulty_sys();
	p->sp.acct_fd = place_dir(fd, "acct");
	p->sp.state_fd = place_dir(fd, "state");
	(void)close(fd);
	assert_int_equal(owner_open(&p->sp, &p->owner, &err), 0);
}

/* Remove it all. */
static inline void
place_release(struct place *p)
{
	char cmd[300];

	owner_close(p->owner);
	(void)close(p->sp.acct_fd);
	(void)close(p->sp.state_fd);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", p->dir);
	assert_int_equal(system(cmd), 0);
}

#endif
