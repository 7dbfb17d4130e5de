/*
 * What dead injectors left behind. A record in commit/ without a lock is of
 * a dead writer; doing what it says is idempotent, and two that try it keep
 * each other out by the same lock. Everything else that is in tmp, or is a
 * record with a dot, or content that no batch names, was never visible: it
 * is removed when no injector is alive, since only then it is nobody's.
 *
 * A record that takes recipients out of batches (a move) changes what only an
 * owner may change: it is done by the owner of those batches, before he opens
 * any of them. So he waits for the lock on such a record: who has it is dying,
 * or about to find that the record is not his to do.
 *
 * An owner renames batches while we look, and a walk may miss a name that
 * moves: so content is judged only while this process owns all VirtualMTAs.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "spool/commit.h"
#include "spool/list.h"
#include "spool/owner.h"
#include "spool/record.h"
#include "spool/spool.h"
#include "spool/trigger.h"

/* The largest record that is believed: a few million queues. */
#define RECOVER_MAX (1024U * 1024 * 1024)

struct recover {
	struct spool *sp;
	struct owner *mine; /* what the caller owns, or NULL */
	struct verr *err;   /* the last failure */
	bool any;
	bool failed;
	bool busy;	  /* a record that somebody else holds */
	const char *hash; /* of a look-up: other records may fail */
	/* a sweep's */
	const char *vmta;
	struct owner *owner; /* for a moment */
	struct map content;  /* batch id -> name in content/ */
	int tmp_fd;
};

/*
 * Read a record. 0; 1: it is gone; 2: it is damaged or no file, and not of
 * the submit id that is looked for; -1.
 */
static int
recover_read(struct recover *rc, const char *name, struct record *ret_r)
{
	struct buf b = BUF_INIT;
	int ret = 0;

	if (file_read(rc->sp->sys, rc->sp->commit_fd, name, RECOVER_MAX, &b,
		rc->err) == -1) {
		if (errno == ENOENT)
			ret = 1;
		else
			ret = rc->hash != NULL && errno == EFBIG ? 2 : -1;
	} else if (commit_record_parse(b.p, b.len, ret_r) == -1) {
		ret = verr_set(rc->err, VEX_IO,
		    "commit/%s is damaged: see vmta-check spool", name);
		if (rc->hash != NULL &&
		    memmem(b.p, b.len, rc->hash, strlen(rc->hash)) == NULL)
			ret = 2;
	}
	buf_release(&b);
	return (ret);
}

/* Do we own what it takes from (or did the caller; or does a sweep now)? */
static bool
recover_may_take(struct recover *rc, const struct record *r)
{
	size_t i;

	for (i = 0; i < r->n_take; i++)
		if (!(rc->mine != NULL &&
			owner_has(rc->mine, r->take[i].vmta)) &&
		    !(rc->owner != NULL &&
			owner_try(rc->owner, r->take[i].vmta, NULL) == 0))
			return (false);
	return (true);
}

/* Does the caller need to know what the record says? */
static bool
recover_concerns(const struct recover *rc, const struct record *r)
{
	return (rc->hash == NULL ||
	    (r->hash != NULL && strcmp(r->hash, rc->hash) == 0));
}

/* Do a record that is open and locked. */
static int
recover_locked(struct recover *rc, const char *name)
{
	struct record r;
	int ret = recover_read(rc, name, &r);

	if (ret != 0) /* done by another one before we had the lock */
		return (ret == -1 ? -1 : 0);
	if (recover_may_take(rc, &r)) {
		rc->any = true;
		ret = record_forward(rc->sp, &r, name, rc->err);
		if (ret == -1 && !recover_concerns(rc, &r))
			ret = 0;
	} else {
		rc->busy = true;
	}
	commit_record_release(&r);
	return (ret);
}

/*
 * Somebody has the lock of a record: wait for it, if it takes from us, or is
 * of the submit id that is ours: a process that was killed has lost that
 * already and may still have this.
 */
static bool
recover_wait(struct recover *rc, const char *name, int fd)
{
	struct record r;
	bool wait;

	if ((rc->mine == NULL && rc->hash == NULL) ||
	    recover_read(rc, name, &r) != 0)
		return (false);
	wait = rc->hash != NULL ? recover_concerns(rc, &r) :
				  r.n_take > 0 && recover_may_take(rc, &r);
	commit_record_release(&r);
	if (!wait)
		return (false);
	while (flock(fd, LOCK_EX) == -1)
		if (errno != EINTR)
			return (false);
	return (true);
}

/* A name in commit/. */
static int
recover_name(void *arg, const char *name)
{
	struct recover *rc = arg;
	struct sys *sys = rc->sp->sys;
	int fd;

	if (!id_valid(name))
		return (0);
	fd = sys->openat(sys, rc->sp->commit_fd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -1) {
		if (errno == ENOENT)
			return (0);
		(void)verr_sys(rc->err, "open commit/%s", name);
		/* a link is nobody's record, and a shortage says nothing */
		rc->failed = rc->failed || rc->hash == NULL || errno != ELOOP;
		return (0);
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 && !recover_wait(rc, name, fd))
		rc->busy = true;
	else if (recover_locked(rc, name) == -1)
		rc->failed = true;
	(void)sys->close(sys, fd);
	return (0);
}

/* All records. */
static int
recover_all(struct recover *rc)
{
	if (rc->mine != NULL)
		map_release(&rc->sp->stuck, NULL);
	if (spool_walk(rc->sp, rc->sp->commit_fd, recover_name, rc, rc->err) ==
	    -1)
		return (-1);
	if (rc->any)
		(void)trigger_mark(rc->sp, NULL);
	return (rc->failed ? -1 : 0);
}

int
commit_recover(struct spool *sp, struct owner *o, bool *ret_any,
    struct verr *err)
{
	struct recover rc = { .sp = sp, .mine = o, .err = err };
	int ret = recover_all(&rc);

	if (ret_any != NULL)
		*ret_any = rc.any;
	return (ret);
}

int
commit_recover_submit(struct spool *sp, const char *hash, struct verr *err)
{
	struct recover rc = { .sp = sp, .hash = hash, .err = err };

	return (recover_all(&rc));
}

bool
commit_stuck(const struct spool *sp, const char *id)
{
	return (map_get(&sp->stuck, id) != NULL);
}

/* Remove dfd/name; what is gone is gone. */
static void
sweep_unlink(struct recover *rc, int dfd, const char *name)
{
	if (rc->sp->sys->unlinkat(rc->sp->sys, dfd, name, 0) == 0 ||
	    errno == ENOENT)
		return;
	(void)verr_sys(rc->err, "remove %s", name);
	rc->failed = true;
}

/* A record that was not complete. */
static int
sweep_record(void *arg, const char *name)
{
	struct recover *rc = arg;

	if (name[0] == '.' && id_valid(name + 1))
		sweep_unlink(rc, rc->sp->commit_fd, name);
	return (0);
}

/* A file in tmp. */
static int
sweep_tmp_name(void *arg, const char *name)
{
	struct recover *rc = arg;
	struct batch_name n;

	if (batch_name_parse(name, &n) == 0)
		sweep_unlink(rc, rc->tmp_fd, name);
	return (0);
}

/* A VirtualMTA's tmp. */
static int
sweep_tmp(void *arg, const char *vmta, bool foreign)
{
	struct recover *rc = arg;
	struct sys *sys = rc->sp->sys;
	int fd;

	if (foreign)
		return (0);
	fd = spool_dir(rc->sp, rc->sp->queue_fd, vmta, rc->err);
	if (fd == -1)
		return (0); /* no directory, or gone */
	rc->tmp_fd = spool_dir(rc->sp, fd, "tmp", rc->err);
	(void)sys->close(sys, fd);
	if (rc->tmp_fd == -1)
		return (0);
	if (spool_walk(rc->sp, rc->tmp_fd, sweep_tmp_name, rc, rc->err) == -1)
		rc->failed = true;
	(void)sys->close(sys, rc->tmp_fd);
	return (0);
}

/* A name in content/: CONTENTID-BATCHID. */
static int
sweep_content_name(void *arg, const char *name)
{
	struct recover *rc = arg;
	const char *batch = name + ID_LEN + 1;

	if (strlen(name) != 2 * ID_LEN + 1 || name[ID_LEN] != '-' ||
	    !id_valid(batch))
		return (0);
	free(map_put(&rc->content, batch, xstrdup(name)));
	return (0);
}

/* Own it, so that nothing moves while we look; else end the walk. */
static int
sweep_own(void *arg, const char *vmta, bool foreign)
{
	struct recover *rc = arg;
	int ret;

	if (foreign)
		return (0);
	ret = owner_try(rc->owner, vmta, rc->err);
	if (ret == -1)
		rc->failed = true;
	return (ret);
}

/* A batch: its content is used. */
static int
sweep_used(void *arg, const char *file, const struct batch_name *n)
{
	struct recover *rc = arg;

	(void)file;
	if (n != NULL)
		free(map_del(&rc->content, n->id.s));
	return (0);
}

static int
sweep_domain_new(void *arg, const char *domain, bool foreign)
{
	struct recover *rc = arg;

	return (foreign ? 0 :
			  spool_batches(rc->sp, rc->vmta, BATCH_NEW, domain,
			      sweep_used, rc, rc->err));
}

static int
sweep_domain_cur(void *arg, const char *domain, bool foreign)
{
	struct recover *rc = arg;

	return (foreign ? 0 :
			  spool_batches(rc->sp, rc->vmta, BATCH_CUR, domain,
			      sweep_used, rc, rc->err));
}

/* All batches of a VirtualMTA. */
static int
sweep_vmta(void *arg, const char *vmta, bool foreign)
{
	struct recover *rc = arg;

	if (foreign)
		return (0);
	rc->vmta = vmta;
	if (spool_domains(rc->sp, vmta, BATCH_NEW, sweep_domain_new, rc,
		rc->err) == -1)
		return (-1);
	return (spool_domains(rc->sp, vmta, BATCH_CUR, sweep_domain_cur, rc,
	    rc->err));
}

/* A name in bad/: who sets the batch right wants its content, too. */
static int
sweep_bad_name(void *arg, const char *name)
{
	struct batch_name n;

	return (batch_name_parse(name, &n) == 0 ? sweep_used(arg, name, &n) :
						  0);
}

/* Shared content that no batch names. 0 or -1. */
static int
sweep_content(struct recover *rc)
{
	struct spool *sp = rc->sp;
	const char *name;
	size_t i = 0;
	int ret;

	map_init(&rc->content);
	/* first, since a run that owns something makes the rest needless */
	ret = spool_vmtas(sp, sweep_own, rc, rc->err);
	if (ret == 0)
		ret = spool_walk(sp, sp->content_fd, sweep_content_name, rc,
		    rc->err);
	if (ret == 0 && rc->content.n > 0)
		ret = spool_vmtas(sp, sweep_vmta, rc, rc->err);
	if (ret == 0)
		ret = spool_walk(sp, sp->bad_fd, sweep_bad_name, rc, rc->err);
	while (ret == 0 && (name = map_next(&rc->content, &i, NULL)) != NULL)
		sweep_unlink(rc, sp->content_fd, name);
	map_release(&rc->content, free);
	return (ret == -1 ? -1 : 0);
}

int
commit_sweep(struct spool *sp, struct verr *err)
{
	struct recover rc = { .sp = sp, .err = err };
	int fd, ret;

	fd = sp->sys->openat(sp->sys, sp->commit_fd, ".",
	    O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1)
		return (verr_sys(err, "open commit"));
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		ret = errno == EWOULDBLOCK ? 0 : verr_sys(err, "lock commit");
		(void)sp->sys->close(sp->sys, fd);
		return (ret);
	}
	ret = owner_open(sp, &rc.owner, err);
	if (ret == 0)
		ret = recover_all(&rc);
	/* what a record still needs is in tmp: leave it alone then */
	if (ret == 0 && !rc.busy) {
		if (spool_walk(sp, sp->commit_fd, sweep_record, &rc, err) ==
			-1 ||
		    spool_vmtas(sp, sweep_tmp, &rc, err) == -1 ||
		    sweep_content(&rc) == -1)
			ret = -1;
	}
	owner_close(rc.owner);
	(void)sp->sys->close(sp->sys, fd);
	return (rc.failed ? -1 : ret);
}
