/*
 * To be preloaded: writes and reads of files that do less than was asked, and
 * calls that fail, as a system may at any time.
 *
 *	SHORT_SEED=N	every write and read of a regular file is cut to a
 *			random part, and one in eight fails with EINTR first
 *	SHORT_AT=N	only the N-th write of the process is cut in half, and
 *			SHORT_ERROR (an errno) is what the one after it says
 *
 * Sockets, pipes and standard error are left alone.
 */
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_ulong calls;

static unsigned long
setting(const char *name)
{
	const char *s = getenv(name);

	return (s != NULL ? strtoul(s, NULL, 10) : 0);
}

/* A number that follows from the seed and the count of calls. */
static unsigned long
dice(unsigned long n)
{
	unsigned long x = setting("SHORT_SEED") * 2654435761UL + n;

	x ^= x >> 16;
	x *= 0x45d9f3b3335b369UL;
	x ^= x >> 32;
	return (x);
}

static int
is_file(int fd)
{
	int saved = errno;
	struct stat st;
	int is;

	is = fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	errno = saved;
	return (is);
}

/* How much of n octets is done; -1 with errno for a call that fails. */
static ssize_t
part(int fd, size_t n, int writes)
{
	unsigned long at = setting("SHORT_AT"), x;

	if ((at == 0 && getenv("SHORT_SEED") == NULL) || !is_file(fd) ||
	    (at != 0 && !writes))
		return ((ssize_t)n);
	x = atomic_fetch_add(&calls, 1) + 1;
	if (at != 0) {
		if (x == at + 1) {
			errno = (int)setting("SHORT_ERROR");
			return (-1);
		}
		return (x == at && n > 1 ? (ssize_t)(n / 2) : (ssize_t)n);
	}
	x = dice(x);
	if (x % 8 == 0) {
		errno = EINTR;
		return (-1);
	}
	return (n > 1 ? (ssize_t)(1 + x / 8 % n) : (ssize_t)n);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	ssize_t m = part(fd, n, 1);

	return (m == -1 ? -1 : syscall(SYS_write, fd, p, (size_t)m));
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t m = part(fd, n, 1);

	return (m == -1 ? -1 : syscall(SYS_pwrite64, fd, p, (size_t)m, at));
}

ssize_t
read(int fd, void *p, size_t n)
{
	ssize_t m = part(fd, n, 0);

	return (m == -1 ? -1 : syscall(SYS_read, fd, p, (size_t)m));
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	ssize_t m = part(fd, n, 0);

	return (m == -1 ? -1 : syscall(SYS_pread64, fd, p, (size_t)m, at));
}

ssize_t
sendfile(int to, int from, off_t *at, size_t n)
{
	ssize_t m = part(from, n, 0);

	return (m == -1 ? -1 : syscall(SYS_sendfile, to, from, at, (size_t)m));
}
