/*
 * Walks, by readdir on a descriptor of their own: nothing is sorted or kept.
 * Names that appear or vanish meanwhile may be seen or not; whoever cares
 * looks again (the trigger says when).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "spool/list.h"
#include "spool/spool.h"

int
spool_walk(struct spool *sp, int dfd, int (*cb)(void *arg, const char *name),
    void *arg, struct verr *err)
{
	struct dirent *e;
	DIR *d;
	int fd, rc = 0;

	fd = sp->sys->openat(sp->sys, dfd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1 && errno == ENOENT)
		return (0); /* removed meanwhile */
	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		(void)verr_sys(err, "open directory");
		if (fd != -1)
			(void)sp->sys->close(sp->sys, fd);
		return (-1);
	}
	while (rc == 0) {
		errno = 0;
		if ((e = readdir(d)) == NULL) {
			if (errno != 0 && errno != ENOENT)
				rc = verr_sys(err, "read directory");
			break;
		}
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = cb(arg, e->d_name);
	}
	(void)closedir(d);
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

/* Walk queue/a/b/c (b and c may be NULL); missing ones are empty. */
static int
list_at(struct spool *sp, const char *a, const char *b, const char *c,
    int (*cb)(void *arg, const char *name), struct list *l, struct verr *err)
{
	const char *part[3] = { a, b, c };
	int fd = sp->queue_fd, next, rc, saved;
	size_t i;

	for (i = 0; i < 3 && part[i] != NULL; i++) {
		next = spool_dir(sp, fd, part[i], err);
		saved = errno;
		if (fd != sp->queue_fd)
			(void)sp->sys->close(sp->sys, fd);
		errno = saved;
		if (next == -1)
			return (errno == ENOENT || errno == ENOTDIR ? 0 : -1);
		fd = next;
	}
	rc = spool_walk(sp, fd, cb, l, err);
	if (fd != sp->queue_fd)
		(void)sp->sys->close(sp->sys, fd);
	return (rc);
}

/* The directory of an area. */
static const char *
list_area(enum batch_area area)
{
	return (area == BATCH_NEW ? "new" : "cur");
}

int
spool_vmtas(struct spool *sp, spool_name_cb *cb, void *arg, struct verr *err)
{
	struct list l = { .name = cb, .valid = spool_vmta_valid, .arg = arg };

	return (list_at(sp, NULL, NULL, NULL, list_name, &l, err));
}

int
spool_domains(struct spool *sp, const char *vmta, enum batch_area area,
    spool_name_cb *cb, void *arg, struct verr *err)
{
	struct list l = { .name = cb, .valid = spool_domain_valid, .arg = arg };

	return (list_at(sp, vmta, list_area(area), NULL, list_name, &l, err));
}

int
spool_batches(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, spool_batch_cb *cb, void *arg, struct verr *err)
{
	struct list l = { .batch = cb, .arg = arg };

	return (list_at(sp, vmta, list_area(area), domain, list_batch, &l,
	    err));
}

int
spool_tmp(struct spool *sp, const char *vmta, spool_batch_cb *cb, void *arg,
    struct verr *err)
{
	struct list l = { .batch = cb, .arg = arg };

	return (list_at(sp, vmta, "tmp", NULL, list_batch, &l, err));
}
