/*
 * Walks, each on a descriptor of its own: nothing is sorted or kept (readdir
 * would cost an allocation and three more calls for each domain).
 * Names that appear or vanish meanwhile may be seen or not; whoever cares
 * looks again (the trigger says when).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>

#include "spool/area.h"
#include "spool/list.h"
#include "spool/spool.h"

#define LIST_BLOCK 8192 /* octets of names that are read at once */

int
spool_walk(struct spool *sp, int dfd, int (*cb)(void *arg, const char *name),
    void *arg, struct verr *err)
{
	alignas(struct dirent64) char block[LIST_BLOCK];
	const struct dirent64 *e;
	ssize_t n, at;
	int fd, rc = 0;

	fd = area_open(sp, dfd, ".", O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		return (errno == ENOENT ? 0 : /* removed meanwhile */
					  verr_sys(err, "open directory"));
	while (rc == 0 && (n = getdents64(fd, block, sizeof(block))) != 0) {
		if (n == -1) {
			if (errno != ENOENT)
				rc = verr_sys(err, "read directory");
			break;
		}
		for (at = 0; rc == 0 && at < n; at += e->d_reclen) {
			e = (const void *)(block + at);
			if (strcmp(e->d_name, ".") != 0 &&
			    strcmp(e->d_name, "..") != 0)
				rc = cb(arg, e->d_name);
		}
	}
	(void)sp->sys->close(sp->sys, fd);
	return (rc);
}

/* What the walks below hand on. */
struct list {
	spool_name_cb *name;
	spool_batch_cb *batch;
	bool (*valid)(const char *s);
	void *arg;
};

static int
list_name(void *arg, const char *name)
{
	struct list *l = arg;

	if (name[0] == '.')
		return (0);
	return (l->name(l->arg, name, !l->valid(name)));
}

static int
list_batch(void *arg, const char *name)
{
	struct list *l = arg;
	struct batch_name n;

	if (name[0] == '.')
		return (0);
	return (l->batch(l->arg, name,
	    batch_name_parse(name, &n) == 0 ? &n : NULL));
}

/* The result of a walk over fd, -1: over nothing, if there is no directory. */
static int
list_at(struct spool *sp, int fd, int (*cb)(void *arg, const char *name),
    struct list *l, struct verr *err)
{
	if (fd == -1)
		return (errno == ENOENT || errno == ENOTDIR ? 0 : -1);
	return (spool_walk(sp, fd, cb, l, err));
}

int
spool_vmtas(struct spool *sp, spool_name_cb *cb, void *arg, struct verr *err)
{
	struct list l = { .name = cb, .valid = spool_vmta_valid, .arg = arg };

	return (list_at(sp, sp->queue_fd, list_name, &l, err));
}

int
spool_domains(struct spool *sp, const char *vmta, enum batch_area area,
    spool_name_cb *cb, void *arg, struct verr *err)
{
	struct list l = { .name = cb, .valid = spool_domain_valid, .arg = arg };

	area_forget(sp, vmta); /* a plan is made of what is there now */
	return (list_at(sp, area_dir(sp, vmta, area, err), list_name, &l, err));
}

int
spool_batches(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, spool_batch_cb *cb, void *arg, struct verr *err)
{
	struct list l = { .batch = cb, .arg = arg };
	int fd, rc;

	fd = area_domain(sp, vmta, area, domain, err);
	rc = list_at(sp, fd, list_batch, &l, err);
	if (fd != -1)
		(void)sp->sys->close(sp->sys, fd);
	return (rc);
}

int
spool_tmp(struct spool *sp, const char *vmta, spool_batch_cb *cb, void *arg,
    struct verr *err)
{
	struct list l = { .batch = cb, .arg = arg };
	int dir, fd, rc, saved;

	if ((dir = spool_dir(sp, sp->queue_fd, vmta, err)) == -1)
		return (list_at(sp, -1, list_batch, &l, err));
	fd = spool_dir(sp, dir, "tmp", err);
	saved = errno;
	(void)sp->sys->close(sp->sys, dir);
	errno = saved;
	rc = list_at(sp, fd, list_batch, &l, err);
	if (fd != -1)
		(void)sp->sys->close(sp->sys, fd);
	return (rc);
}
