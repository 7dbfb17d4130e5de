/*
 * The renames of a commit, and their syncs. A batch that is not in tmp any
 * more was renamed before (and may have been delivered since). An owner
 * removes empty domain directories, so a rename that meets ENOENT makes them
 * again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "spool/publish.h"

/* How often an owner may take a directory away under our hands. */
#define PUBLISH_TRIES 10000

void
publish_init(struct publish *p, struct spool *sp)
{
	*p = (struct publish) {
		.sp = sp,
		.tmp_fd = -1,
		.area_fd = { -1, -1 },
	};
}

void
publish_end(struct publish *p)
{
	struct sys *sys = p->sp->sys;
	int saved = errno, i;

	if (p->tmp_fd != -1)
		(void)sys->close(sys, p->tmp_fd);
	for (i = 0; i < 2; i++)
		if (p->area_fd[i] != -1)
			(void)sys->close(sys, p->area_fd[i]);
	publish_init(p, p->sp);
	errno = saved;
}

int
publish_vmta(struct publish *p, const char *vmta, bool sync, struct verr *err)
{
	bool made = false, made_vmta = false;
	struct sys *sys = p->sp->sys;
	int fd, rc = -1;

	if (strcmp(p->vmta, vmta) == 0)
		return (0);
	publish_end(p);
	fd = spool_dir_make(p->sp, p->sp->queue_fd, vmta, &made_vmta, err);
	if (fd == -1)
		return (-1);
	p->tmp_fd = spool_dir_make(p->sp, fd, "tmp", &made, err);
	if (p->tmp_fd != -1)
		p->area_fd[BATCH_NEW] = spool_dir_make(p->sp, fd, "new", &made,
		    err);
	if (p->area_fd[BATCH_NEW] == -1)
		goto out;
	if ((sync && made && sys->fsync(sys, fd) == -1) ||
	    (sync && made_vmta && sys->fsync(sys, p->sp->queue_fd) == -1)) {
		(void)verr_sys(err, "sync queue/%s", vmta);
		goto out;
	}
	if (sync && (made || made_vmta)) {
		spool_dir_durable(p->sp, fd);
		spool_dir_durable(p->sp, p->tmp_fd);
		spool_dir_durable(p->sp, p->area_fd[BATCH_NEW]);
	}
	(void)snprintf(p->vmta, sizeof(p->vmta), "%s", vmta);
	rc = 0;
out:
	(void)sys->close(sys, fd);
	if (rc == -1)
		publish_end(p);
	return (rc);
}

/* The directory of an area: `cur`, for what was moved, is opened on demand. */
static int
publish_area(struct publish *p, enum batch_area area, bool sync,
    struct verr *err)
{
	struct sys *sys = p->sp->sys;
	bool made = false;
	int fd;

	if (p->area_fd[area] != -1)
		return (0);
	fd = spool_dir(p->sp, p->sp->queue_fd, p->vmta, err);
	if (fd == -1)
		return (-1);
	p->area_fd[area] = spool_dir_make(p->sp, fd, "cur", &made, err);
	if (p->area_fd[area] != -1 && sync && made &&
	    sys->fsync(sys, fd) == -1) {
		(void)verr_sys(err, "sync queue/%s", p->vmta);
		(void)sys->close(sys, p->area_fd[area]);
		p->area_fd[area] = -1;
	}
	if (p->area_fd[area] != -1 && sync && made)
		spool_dir_durable(p->sp, p->area_fd[area]);
	(void)sys->close(sys, fd);
	return (p->area_fd[area] == -1 ? -1 : 0);
}

/* Is name still in tmp? */
static bool
publish_left(struct publish *p, const char *name)
{
	struct stat st;
	int saved = errno;
	bool gone;

	gone = p->sp->sys->fstatat(p->sp->sys, p->tmp_fd, name, &st,
		   AT_SYMLINK_NOFOLLOW) == -1 &&
	    errno == ENOENT;
	errno = saved;
	return (!gone);
}

/* Rename, and leave the domain's directory open in *ret_fd. */
static int
publish_rename(struct publish *p, int afd, const char *domain, const char *name,
    bool *ret_made, int *ret_fd, struct verr *err)
{
	struct sys *sys = p->sp->sys;
	bool gone;
	int i;

	for (i = 0; i < PUBLISH_TRIES; i++) {
		*ret_fd = spool_dir_make(p->sp, afd, domain, ret_made, err);
		if (*ret_fd == -1)
			return (-1);
		if (sys->renameat(sys, p->tmp_fd, name, *ret_fd, name) == 0)
			return (0);
		gone = errno == ENOENT;
		(void)verr_sys(err, "rename %s to its place", name);
		(void)sys->close(sys, *ret_fd);
		*ret_fd = -1;
		if (!gone)
			return (-1);
		if (!publish_left(p, name))
			return (1);
	}
	return (-1);
}

/*
 * A rename that could not be made durable is taken back, unless an owner
 * was faster: then it is his, and will be delivered.
 */
static int
publish_undo(struct publish *p, int fd, const char *name)
{
	struct sys *sys = p->sp->sys;

	if (sys->renameat(sys, fd, name, p->tmp_fd, name) == 0)
		return (-1);
	if (errno == ENOENT)
		return (0);
	(void)sys->unlinkat(sys, fd, name, 0);
	return (-1);
}

/* It was renamed before, perhaps not durably: sync what may have it. */
static int
publish_again(struct publish *p, int afd, const char *domain, struct verr *err)
{
	struct sys *sys = p->sp->sys;
	int fd, rc = 1;

	fd = file_open_dir(sys, afd, domain);
	if (fd == -1 && errno == ENOENT)
		return (1); /* and delivered since */
	if (fd == -1 || sys->fsync(sys, fd) == -1 || sys->fsync(sys, afd) == -1)
		rc = verr_sys(err, "sync directory %s", domain);
	if (fd != -1)
		(void)sys->close(sys, fd);
	return (rc);
}

/* The domain's directory, and its name in the area's unless that is durable. */
static int
publish_sync(struct publish *p, int afd, int fd, bool made)
{
	struct sys *sys = p->sp->sys;

	if (made && sys->fsync(sys, afd) == -1)
		return (-1);
	if (made)
		spool_dir_durable(p->sp, fd);
	return (sys->fsync(sys, fd));
}

int
publish_batch(struct publish *p, enum batch_area area, const char *domain,
    const char *name, bool sync, struct verr *err)
{
	struct sys *sys = p->sp->sys;
	bool made = false;
	int afd, fd = -1, rc;

	if (publish_area(p, area, sync, err) == -1)
		return (-1);
	afd = p->area_fd[area];
	rc = publish_rename(p, afd, domain, name, &made, &fd, err);
	if (rc == 1 && sync)
		return (publish_again(p, afd, domain, err));
	if (rc != 0)
		return (rc);
	if (sync && publish_sync(p, afd, fd, made) == -1) {
		(void)verr_sys(err, "sync directory %s", domain);
		rc = publish_undo(p, fd, name);
	}
	(void)sys->close(sys, fd);
	return (rc);
}
