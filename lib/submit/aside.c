/*
 * A bad file keeps its name, made harmless and cut, and gets an id, so that
 * none takes the place of another: NAME.ID, and the reason in NAME.ID.why.
 *
 * A crash leaves a reason without its file: the file is where it was, and
 * gets another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/id.h"
#include "base/mem.h"
#include "submit/aside.h"

#define ASIDE_NAME_MAX 200 /* octets of the name that are kept */

int
aside_open(struct sys *sys, const char *path, int dfd, struct aside *ret_a,
    struct verr *err)
{
	struct stat a, b;

	ret_a->sys = sys;
	ret_a->path = xstrdup(path);
	ret_a->fd = -1;
	if (sys->mkdirat(sys, AT_FDCWD, path, 0700) == -1 && errno != EEXIST)
		return (verr_sys(err, "make %s", path));
	ret_a->fd = sys->openat(sys, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (ret_a->fd == -1 || sys->fstat(sys, ret_a->fd, &a) == -1 ||
	    sys->fstat(sys, dfd, &b) == -1)
		return (verr_sys(err, "open %s", path));
	if (a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return (verr_set(err, VEX_CONFIG,
		    "%s: bad files would be taken again", path));
	if (a.st_dev != b.st_dev)
		return (verr_set(err, VEX_CONFIG,
		    "%s: bad files cannot go there from another filesystem",
		    path));
	return (0);
}

void
aside_close(struct aside *a)
{
	if (a->fd != -1)
		(void)a->sys->close(a->sys, a->fd);
	free(a->path);
	a->path = NULL;
	a->fd = -1;
}

/* Append a name without what a terminal or a shell might obey. */
static void
aside_name(const char *name, struct buf *ret)
{
	size_t n = strlen(name), i, len;

	for (i = 0; i < n && i < ASIDE_NAME_MAX - 4; i += len) {
		len = esc_utf8(name + i, n - i);
		if (len == 0 || esc_is_hostile(name + i, len)) {
			buf_addc(ret, '_');
			len = 1;
		} else {
			buf_add(ret, name + i, len);
		}
	}
}

/* Write the reason, durably. 0 or -1. */
static int
aside_why(struct aside *a, const char *name, const struct buf *why,
    struct verr *err)
{
	struct sys *sys = a->sys;
	int fd, rc;

	fd = sys->openat(sys, a->fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd == -1)
		return (verr_sys(err, "%s/%s", a->path, name));
	rc = sys_write_all(sys, fd, why->p, why->len);
	if (rc == 0)
		rc = sys->fsync(sys, fd);
	if (rc == -1) {
		(void)verr_sys(err, "%s/%s", a->path, name);
		(void)sys->unlinkat(sys, a->fd, name, 0);
	}
	(void)sys->close(sys, fd);
	return (rc);
}

int
aside_put(struct aside *a, int dfd, const char *name, const struct buf *why,
    struct buf *ret_name, struct verr *err)
{
	struct sys *sys = a->sys;
	struct buf file = BUF_INIT;
	struct id id;
	int rc;

	if (id_make(sys, &id, err) == -1)
		return (-1);
	buf_clear(ret_name);
	aside_name(name, ret_name);
	buf_addf(ret_name, ".%s", id.s);
	buf_addf(&file, "%s.why", ret_name->p);
	rc = aside_why(a, file.p, why, err);
	if (rc == 0 &&
	    sys->renameat(sys, dfd, name, a->fd, ret_name->p) == -1) {
		rc = errno == ENOENT ? 1 : verr_sys(err, "move to %s", a->path);
		(void)sys->unlinkat(sys, a->fd, file.p, 0);
	}
	if (rc == 0 && sys->fsync(sys, a->fd) == -1)
		rc = verr_sys(err, "sync %s", a->path);
	buf_release(&file);
	return (rc);
}
