/*
 * Counters: a number and a line feed, changed in place under a flock. The
 * file is never renamed, so the lock is on the right one; a crash in the
 * middle leaves the old or the new digits, at worst a number that is none and
 * counts as 0. Whoever uses a counter only wants an even spread from it.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "spool/counter.h"
#include "spool/spool.h"
#include "spool/store.h"

#define COUNTER_NAME_MAX 128

static bool
counter_valid(const char *s)
{
	static const char set[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"
				  "IJKLMNOPQRSTUVWXYZ"
				  "._-";
	size_t n = strlen(s);

	return (n > 0 && n <= COUNTER_NAME_MAX && strspn(s, set) == n &&
	    strchr("._-", s[0]) == NULL);
}

/* The number at p, 0 when it is none. */
static uint64_t
counter_parse(const char *p)
{
	uint64_t v = 0, digit;

	for (; *p >= '0' && *p <= '9'; p++) {
		digit = (uint64_t)(*p - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return (0);
		v = v * 10 + digit;
	}
	return (*p == '\n' && p[1] == '\0' ? v : 0);
}

/* Read, add, write, in the locked file. 0 or -1 with errno. */
static int
counter_change(struct sys *sys, int fd, uint64_t n, uint64_t *ret_old)
{
	char text[32] = "";
	ssize_t had;
	int len;

	had = sys_pread_all(sys, fd, text, sizeof(text) - 1, 0);
	if (had == -1)
		return (-1);
	text[had] = '\0';
	*ret_old = counter_parse(text);
	len = snprintf(text, sizeof(text), "%" PRIu64 "\n", *ret_old + n);
	if (sys_pwrite_all(sys, fd, text, (size_t)len, 0) == -1)
		return (-1);
	return (had > len ? sys->ftruncate(sys, fd, len) : 0);
}

int
counter_add(struct spool *sp, const char *name, uint64_t n, uint64_t *ret_old,
    struct verr *err)
{
	int dfd, fd, rc;

	if (!counter_valid(name))
		return (verr_set(err, VEX_SOFTWARE, "bad counter name '%s'",
		    name));
	if ((dfd = store_dir(sp, "counter", err)) == -1)
		return (-1);
	fd = sp->sys->openat(sp->sys, dfd, name,
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
	(void)sp->sys->close(sp->sys, dfd);
	if (fd == -1)
		return (verr_sys(err, "open state/counter/%s", name));
	if (file_own(sp->sys, fd, name, err) == -1) {
		(void)sp->sys->close(sp->sys, fd);
		return (verr_prefix(err, "state/counter"));
	}
	do {
		rc = flock(fd, LOCK_EX);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0)
		rc = counter_change(sp->sys, fd, n, ret_old);
	if (rc == -1)
		(void)verr_sys(err, "change state/counter/%s", name);
	(void)sp->sys->close(sp->sys, fd);
	return (rc);
}
