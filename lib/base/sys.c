/* The real system calls behind struct sys, and loops over short transfers. */
#include <sys/random.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"

static int64_t
sys_clock(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return ((int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

static int64_t
real_mono(struct sys *s)
{
	(void)s;
	return (sys_clock(CLOCK_MONOTONIC));
}

static int64_t
real_wall(struct sys *s)
{
	(void)s;
	return (sys_clock(CLOCK_REALTIME));
}

static int
real_random(struct sys *s, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	(void)s;
	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (-1);
		p += n;
		len -= (size_t)n;
	}
	return (0);
}

static int
real_openat(struct sys *s, int dfd, const char *path, int flags, mode_t mode)
{
	(void)s;
	return (openat(dfd, path, flags | O_CLOEXEC, mode));
}

static int
real_close(struct sys *s, int fd)
{
	(void)s;
	return (close(fd));
}

static ssize_t
real_read(struct sys *s, int fd, void *p, size_t n)
{
	(void)s;
	return (read(fd, p, n));
}

static ssize_t
real_write(struct sys *s, int fd, const void *p, size_t n)
{
	(void)s;
	return (write(fd, p, n));
}

static ssize_t
real_pread(struct sys *s, int fd, void *p, size_t n, off_t off)
{
	(void)s;
	return (pread(fd, p, n, off));
}

static ssize_t
real_pwrite(struct sys *s, int fd, const void *p, size_t n, off_t off)
{
	(void)s;
	return (pwrite(fd, p, n, off));
}

static int
real_fsync(struct sys *s, int fd)
{
	(void)s;
	return (fsync(fd));
}

static int
real_fdatasync(struct sys *s, int fd)
{
	(void)s;
	return (fdatasync(fd));
}

static int
real_syncfs(struct sys *s, int fd)
{
	(void)s;
	return (syncfs(fd));
}

static int
real_renameat(struct sys *s, int ofd, const char *o, int nfd, const char *n)
{
	(void)s;
	return (renameat(ofd, o, nfd, n));
}

static int
real_rename_new(struct sys *s, int ofd, const char *o, int nfd, const char *n)
{
	(void)s;
	return (renameat2(ofd, o, nfd, n, RENAME_NOREPLACE));
}

static int
real_linkat(struct sys *s, int ofd, const char *o, int nfd, const char *n)
{
	(void)s;
	return (linkat(ofd, o, nfd, n, 0));
}

static int
real_unlinkat(struct sys *s, int dfd, const char *path, int flags)
{
	(void)s;
	return (unlinkat(dfd, path, flags));
}

static int
real_mkdirat(struct sys *s, int dfd, const char *path, mode_t mode)
{
	(void)s;
	return (mkdirat(dfd, path, mode));
}

static int
real_fchmod(struct sys *s, int fd, mode_t mode)
{
	(void)s;
	return (fchmod(fd, mode));
}

static int
real_ftruncate(struct sys *s, int fd, off_t len)
{
	(void)s;
	return (ftruncate(fd, len));
}

static int
real_fallocate(struct sys *s, int fd, int mode, off_t off, off_t len)
{
	(void)s;
	return (fallocate(fd, mode, off, len));
}

static int
real_fstat(struct sys *s, int fd, struct stat *st)
{
	(void)s;
	return (fstat(fd, st));
}

static int
real_fstatat(struct sys *s, int dfd, const char *path, struct stat *st,
    int flags)
{
	(void)s;
	return (fstatat(dfd, path, st, flags));
}

static int
real_socket(struct sys *s, int family, int type, int proto)
{
	(void)s;
	return (socket(family, type | SOCK_CLOEXEC, proto));
}

static int
real_bind(struct sys *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)s;
	return (bind(fd, sa, len));
}

static int
real_connect(struct sys *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)s;
	return (connect(fd, sa, len));
}

void
sys_init(struct sys *s)
{
	*s = (struct sys) {
		.mono = real_mono,
		.wall = real_wall,
		.random = real_random,
		.openat = real_openat,
		.close = real_close,
		.read = real_read,
		.write = real_write,
		.pread = real_pread,
		.pwrite = real_pwrite,
		.fsync = real_fsync,
		.fdatasync = real_fdatasync,
		.syncfs = real_syncfs,
		.renameat = real_renameat,
		.rename_new = real_rename_new,
		.linkat = real_linkat,
		.unlinkat = real_unlinkat,
		.mkdirat = real_mkdirat,
		.fchmod = real_fchmod,
		.ftruncate = real_ftruncate,
		.fallocate = real_fallocate,
		.fstat = real_fstat,
		.fstatat = real_fstatat,
		.socket = real_socket,
		.bind = real_bind,
		.connect = real_connect,
	};
}

struct sys *
sys_real(void)
{
	static struct sys real;

	if (real.mono == NULL)
		sys_init(&real);
	return (&real);
}

int64_t
sys_now(struct sys *s)
{
	return (s->wall(s) / 1000000);
}

int
sys_write_all(struct sys *s, int fd, const void *p, size_t n)
{
	const char *q = p;
	ssize_t w;

	while (n > 0) {
		w = s->write(s, fd, q, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return (-1);
		q += w;
		n -= (size_t)w;
	}
	return (0);
}

int
sys_pwrite_all(struct sys *s, int fd, const void *p, size_t n, off_t off)
{
	const char *q = p;
	ssize_t w;

	while (n > 0) {
		w = s->pwrite(s, fd, q, n, off);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return (-1);
		q += w;
		off += w;
		n -= (size_t)w;
	}
	return (0);
}

ssize_t
sys_pread_all(struct sys *s, int fd, void *p, size_t n, off_t off)
{
	char *q = p;
	size_t got = 0;
	ssize_t r;

	while (got < n) {
		r = s->pread(s, fd, q + got, n - got, off + (off_t)got);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return (-1);
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return ((ssize_t)got);
}
