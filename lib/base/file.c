/*
 * Whole small files. A write is temporary file, fsync, rename, fsync of the
 * directory: a crash leaves the old bytes or the new ones, never a mixture,
 * and at most one `.name.PID` that nobody reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/file.h"

int
file_read(struct sys *sys, int dfd, const char *path, size_t max,
    struct buf *ret_data, struct verr *err)
{
	struct stat st;
	ssize_t n;
	int fd, saved;

	fd = sys->openat(sys, dfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -1)
		return (verr_sys(err, "open %s", path));
	if (sys->fstat(sys, fd, &st) == -1) {
		(void)verr_sys(err, "stat %s", path);
		goto fail;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max) {
		errno = EFBIG;
		(void)verr_set(err, VEX_IO,
		    "%s: not a regular file of at most %zu bytes", path, max);
		goto fail;
	}
	n = sys_pread_all(sys, fd, buf_room(ret_data, (size_t)st.st_size),
	    (size_t)st.st_size, 0);
	if (n == -1) {
		(void)verr_sys(err, "read %s", path);
		goto fail;
	}
	ret_data->len += (size_t)n;
	ret_data->p[ret_data->len] = '\0';
	(void)sys->close(sys, fd);
	return (0);
fail:
	saved = errno;
	(void)sys->close(sys, fd);
	errno = saved;
	return (-1);
}

int
file_own(struct sys *sys, int fd, const char *what, struct verr *err)
{
	struct stat st;

	if (sys->fstat(sys, fd, &st) == -1)
		return (verr_sys(err, "stat %s", what));
	if (S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid())
		return (0);
	errno = EINVAL;
	return (verr_set(err, VEX_IO,
	    "%s: not a regular file of our own with one link", what));
}

/*
 * Make tmp, which did not exist: whatever has this name (a killed process's
 * piece, something planted) is removed, never opened.
 */
static int
file_fresh(struct sys *sys, int dfd, const char *tmp)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
	int fd = sys->openat(sys, dfd, tmp, flags, 0600);

	if (fd == -1 && errno == EEXIST && sys->unlinkat(sys, dfd, tmp, 0) == 0)
		fd = sys->openat(sys, dfd, tmp, flags, 0600);
	return (fd);
}

/* Write the bytes to a new file tmp; 0, or -1 with errno. */
static int
file_fill(struct sys *sys, int dfd, const char *tmp, const void *p, size_t n,
    bool durable)
{
	int fd, saved;

	fd = file_fresh(sys, dfd, tmp);
	if (fd == -1)
		return (-1);
	if (sys_write_all(sys, fd, p, n) == -1 ||
	    (durable && sys->fsync(sys, fd) == -1)) {
		saved = errno;
		(void)sys->close(sys, fd);
		errno = saved;
		return (-1);
	}
	return (sys->close(sys, fd));
}

static int
file_replace(struct sys *sys, int dfd, const char *path, const void *p,
    size_t n, bool durable, struct verr *err)
{
	char tmp[300];
	int saved;

	(void)snprintf(tmp, sizeof(tmp), ".%.255s.%ld", path, (long)getpid());
	if (file_fill(sys, dfd, tmp, p, n, durable) == -1 ||
	    sys->renameat(sys, dfd, tmp, dfd, path) == -1) {
		saved = errno;
		(void)sys->unlinkat(sys, dfd, tmp, 0);
		errno = saved;
		return (verr_sys(err, "write %s", path));
	}
	if (durable && sys->fsync(sys, dfd) == -1)
		return (verr_sys(err, "sync directory of %s", path));
	return (0);
}

int
file_write(struct sys *sys, int dfd, const char *path, const void *p, size_t n,
    struct verr *err)
{
	return (file_replace(sys, dfd, path, p, n, true, err));
}

int
file_write_fast(struct sys *sys, int dfd, const char *path, const void *p,
    size_t n, struct verr *err)
{
	return (file_replace(sys, dfd, path, p, n, false, err));
}

int
file_open_dir(struct sys *sys, int dfd, const char *path)
{
	return (sys->openat(sys, dfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
	    0));
}

int
file_make_dir(struct sys *sys, int dfd, const char *path, mode_t mode,
    struct verr *err)
{
	if (sys->mkdirat(sys, dfd, path, mode) == 0) {
		if (sys->fsync(sys, dfd) == -1)
			return (verr_sys(err, "sync parent of %s", path));
		return (0);
	}
	if (errno == EEXIST)
		return (0);
	return (verr_sys(err, "make directory %s", path));
}
