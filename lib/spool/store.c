/*
 * Small files: written beside their place under a name of their own (`.ID`,
 * so that names of 253 characters and writers on several hosts go together)
 * and renamed. A crash leaves the old content or the new, and perhaps a `.ID`
 * that nobody reads and a sweep removes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "spool/list.h"
#include "spool/spool.h"
#include "spool/store.h"

int
store_dir(struct spool *sp, const char *name, struct verr *err)
{
	bool made = false;
	int fd;

	fd = spool_dir_make(sp, sp->state_fd, name, &made, err);
	if (fd != -1 && made && sp->sys->fsync(sp->sys, sp->state_fd) == -1) {
		(void)verr_sys(err, "sync state");
		(void)sp->sys->close(sp->sys, fd);
		return (-1);
	}
	if (fd != -1 && made)
		spool_dir_durable(sp, fd);
	return (fd);
}

/* Write the bytes to a new file. 0 or -1 with errno. */
static int
store_fill(struct spool *sp, int dfd, const char *name, const void *p, size_t n,
    bool durable)
{
	struct sys *sys = sp->sys;
	int fd, saved;

	fd = sys->openat(sys, dfd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
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

int
store_put(struct spool *sp, int dfd, const char *name, const void *p, size_t n,
    bool durable, struct verr *err)
{
	struct sys *sys = sp->sys;
	char tmp[ID_LEN + 2];
	struct id id;
	int saved;

	if (id_make(sys, &id, err) == -1)
		return (-1);
	(void)snprintf(tmp, sizeof(tmp), ".%s", id.s);
	if (store_fill(sp, dfd, tmp, p, n, durable) == -1 ||
	    sys->renameat(sys, dfd, tmp, dfd, name) == -1) {
		saved = errno;
		(void)sys->unlinkat(sys, dfd, tmp, 0);
		errno = saved;
		return (verr_sys(err, "write %s", name));
	}
	if (durable && sys->fsync(sys, dfd) == -1)
		return (verr_sys(err, "sync directory of %s", name));
	return (0);
}

int
store_lines(struct buf *b, const char *head,
    void (*cb)(void *arg, const char *key, const char *value), void *arg)
{
	char *p = b->p, *end, *nl, *colon;
	bool first = true;

	if (b->len == 0 || p[b->len - 1] != '\n')
		return (-1);
	for (end = p + b->len; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		*nl = '\0';
		if (first && strcmp(p, head) != 0)
			return (-1);
		colon = strstr(p, ": ");
		if (colon != NULL)
			*colon = '\0';
		if (!first)
			cb(arg, p, colon != NULL ? colon + 2 : "");
		first = false;
	}
	return (0);
}

/* A sweep of one directory. */
struct sweep {
	struct spool *sp;
	int dfd;
	int64_t before;
	struct verr *err;
	bool failed;
};

static int
sweep_name(void *arg, const char *name)
{
	struct sweep *s = arg;
	struct sys *sys = s->sp->sys;
	struct stat st;

	if (strcmp(name, ".lock") == 0 ||
	    sys->fstatat(sys, s->dfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode) || st.st_mtime >= s->before)
		return (0);
	if (sys->unlinkat(sys, s->dfd, name, 0) == -1 && errno != ENOENT) {
		(void)verr_sys(s->err, "remove %s", name);
		s->failed = true;
	}
	return (0);
}

int
store_sweep(struct spool *sp, int dfd, int64_t before, struct verr *err)
{
	struct sweep s = { .sp = sp, .dfd = dfd, .before = before, .err = err };

	if (spool_walk(sp, dfd, sweep_name, &s, err) == -1 || s.failed)
		return (-1);
	return (0);
}
