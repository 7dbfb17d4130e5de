/*
 * The check of a spool. Four things are looked at:
 *
 *	leftovers	files in tmp, records, `.ID`s and contents that no
 *			batch names, while no injector is alive: what
 *			commit_sweep would remove or roll forward
 *	names		whatever is in the queue's tree and is not ours
 *	kinds		links, FIFOs, other people's files (spool/foreign.h)
 *	batches		each is opened as an owner would open it, and its
 *			content is read: hashes, ends, links, due times
 *
 * It runs beside owners and injectors: what they are just changing is not
 * reported (a batch that vanishes was renamed or finished), and nothing of a
 * VirtualMTA that somebody owns is repaired. Nothing is ever deleted that a
 * recipient may still need: what cannot be read is set aside in bad/.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/map.h"
#include "base/mem.h"
#include "spool/batch.h"
#include "spool/check.h"
#include "spool/commit.h"
#include "spool/foreign.h"
#include "spool/list.h"
#include "spool/owner.h"
#include "spool/spool.h"

#define CHECK_READ (256 * 1024)

struct check {
	struct spool *sp;
	bool repair;
	void (*cb)(void *arg, const struct spool_finding *f);
	void *arg;
	struct spool_tally *tally;
	struct verr *err;
	struct owner *owner;
	const char *vmta;
	enum batch_area area;
	const char *domain;
	bool mine;	/* we own vmta: it may be repaired */
	bool held;	/* somebody else owns it: it changes as we look */
	bool any_held;	/* somebody owns one */
	bool injectors; /* one is alive */
	struct buf path;
	struct map left; /* path -> what, of leftovers */
	struct map used; /* ids of batches with shared content */
	char *block;
};

/* Report the file in c->path. */
static void
check_report(struct check *c, const char *what, bool repairable, bool repaired)
{
	struct spool_finding f = { .path = buf_str(&c->path),
		.what = what,
		.repairable = repairable,
		.repaired = repaired };

	if (!repaired)
		c->tally->findings++;
	c->cb(c->arg, &f);
}

/* queue/VMTA/AREA/DOMAIN/NAME into c->path, as far as it goes. */
static void
check_path(struct check *c, const char *area, const char *domain,
    const char *name)
{
	buf_clear(&c->path);
	buf_addf(&c->path, "queue/%s", c->vmta);
	if (area != NULL)
		buf_addf(&c->path, "/%s", area);
	if (domain != NULL)
		buf_addf(&c->path, "/%s", domain);
	if (name != NULL)
		buf_addf(&c->path, "/%s", name);
}

static const char *
check_area(const struct check *c)
{
	return (c->area == BATCH_NEW ? "new" : "cur");
}

/* Does the content of a message fit its hash? 1, 0 or -1. */
static int
check_hash(struct check *c, struct batch *b, const struct batch_msg *m)
{
	XXH3_state_t *h;
	uint64_t left = m->size, got;
	struct verr err;
	ssize_t n = 1;
	off_t off;
	int fd;

	if (batch_content(b, m, &fd, &off, &err) == -1)
		return (err.code == VEX_DATA || err.err == ENOENT ? 0 : -1);
	if ((h = XXH3_createState()) == NULL)
		abort();
	(void)XXH3_64bits_reset(h);
	while (left > 0 && n > 0) {
		n = sys_pread_all(c->sp->sys, fd, c->block,
		    left < CHECK_READ ? (size_t)left : CHECK_READ, off);
		if (n > 0) {
			(void)XXH3_64bits_update(h, c->block, (size_t)n);
			left -= (uint64_t)n;
			off += n;
		}
	}
	got = XXH3_64bits_digest(h);
	(void)XXH3_freeState(h);
	if (n == -1)
		return (-1);
	return (left == 0 && got == m->hash);
}

/* The contents that open recipients need. */
static int
check_contents(struct check *c, struct batch *b)
{
	struct batch_txn t;
	struct batch_slot s;
	uint32_t i, first, n;
	bool open;
	int rc = 1;

	batch_txn_init(&t);
	for (i = 0; i < batch_msgs(b) && rc == 1; i++) {
		n = batch_msg_slots(b, i, &first);
		for (open = false; n > 0 && !open; n--, first++) {
			batch_slot(b, first, &s);
			open = !batch_state_final(s.state);
		}
		if (!open)
			continue;
		first--;
		rc = batch_load(b, &first, 1, &t, c->err);
		if (rc == 0)
			rc = check_hash(c, b, &t.msg);
	}
	batch_txn_release(&t);
	return (rc);
}

/* A batch that can be opened. */
static int
check_opened(struct check *c, struct batch *b, const struct batch_name *n)
{
	struct batch_name now;
	bool fixed;
	int rc;

	c->tally->messages += batch_msgs(b);
	c->tally->open += batch_open_count(b);
	if (batch_header(b)->content != NULL)
		(void)map_put(&c->used, batch_header(b)->id, c);
	if (batch_open_count(b) == 0) {
		if (c->held)
			return (0);
		fixed = c->mine && batch_finish(b, c->err) == 0;
		check_report(c, "all its recipients are final", true, fixed);
		return (0);
	}
	if ((rc = check_contents(c, b)) == -1)
		return (-1);
	if (rc == 0) {
		check_report(c,
		    "a content is missing or does not fit its"
		    " hash",
		    false, false);
		return (0);
	}
	batch_name_now(b, &now);
	if (n->due > now.due && !c->held) {
		fixed = c->mine && batch_requeue(b, c->err) == 0;
		check_report(c, "its name is later than a recipient is due",
		    true, fixed);
	}
	return (0);
}

/* A file of a domain. */
static int
check_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct verr why = VERR_INIT;
	struct check *c = arg;
	struct batch *b;
	bool fixed;
	int rc;

	check_path(c, check_area(c), c->domain, file);
	if (n == NULL) {
		check_report(c, "no batch of vmta", false, false);
		return (0);
	}
	c->tally->batches++;
	if (batch_open(c->sp, c->vmta, c->area, c->domain, file, c->mine, &b,
		&why) == 0) {
		rc = check_opened(c, b, n);
		batch_close(b);
		return (rc);
	}
	if (why.err == ENOENT)
		return (0);
	if (why.code == VEX_DATA) {
		fixed = c->mine &&
		    batch_set_aside(c->sp, c->vmta, c->area, c->domain, file,
			why.text, c->err) == 0;
		check_report(c, why.text, true, fixed);
	} else {
		check_report(c, why.text, false, false);
	}
	return (0);
}

/* Is what c->path names a directory (or gone)? */
static bool
check_dir(const struct check *c)
{
	struct stat st;

	return (c->sp->sys->fstatat(c->sp->sys, c->sp->fd, c->path.p, &st,
		    AT_SYMLINK_NOFOLLOW) == -1 ||
	    S_ISDIR(st.st_mode));
}

static int
check_domain(void *arg, const char *domain, bool foreign)
{
	struct check *c = arg;

	check_path(c, check_area(c), domain, NULL);
	if (foreign || !check_dir(c)) {
		check_report(c, "no domain", false, false);
		return (0);
	}
	c->domain = domain;
	return (spool_batches(c->sp, c->vmta, c->area, domain, check_batch, c,
	    c->err));
}

/* Note a leftover; it is reported when the sweep has had its turn. */
static void
check_leftover(struct check *c, const char *what)
{
	if (!c->injectors)
		free(map_put(&c->left, c->path.p, xstrdup(what)));
}

static int
check_tmp(void *arg, const char *file, const struct batch_name *n)
{
	struct check *c = arg;

	check_path(c, "tmp", NULL, file);
	if (n == NULL)
		check_report(c, "no batch of vmta", false, false);
	else
		check_leftover(c, "left by an injector that is gone");
	return (0);
}

static int
check_vmta(void *arg, const char *vmta, bool foreign)
{
	struct check *c = arg;
	int rc;

	c->vmta = vmta;
	check_path(c, NULL, NULL, NULL);
	if (foreign || !check_dir(c)) {
		check_report(c, "no VirtualMTA", false, false);
		return (0);
	}
	c->tally->vmtas++;
	/* a mere look must not keep a run from owning it */
	rc = c->repair ? owner_try(c->owner, vmta, c->err) :
			 owner_held(c->owner, vmta, c->err);
	if (rc == -1)
		return (-1);
	c->held = rc == 1;
	c->mine = c->repair && !c->held;
	c->any_held = c->any_held || c->held;
	rc = spool_tmp(c->sp, vmta, check_tmp, c, c->err);
	for (c->area = BATCH_NEW; rc == 0 && c->area <= BATCH_CUR; c->area++)
		rc = spool_domains(c->sp, vmta, c->area, check_domain, c,
		    c->err);
	if (c->mine)
		owner_release(c->owner, vmta);
	return (rc);
}

/* Is what c->path names no regular file? foreign_walk tells that. */
static bool
check_no_file(const struct check *c)
{
	struct stat st;

	return (c->sp->sys->fstatat(c->sp->sys, c->sp->fd, c->path.p, &st,
		    AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISREG(st.st_mode));
}

/* What foreign_walk found. */
static void
check_foreign(void *arg, const char *path, const char *what)
{
	struct check *c = arg;

	buf_clear(&c->path);
	buf_adds(&c->path, path);
	check_report(c, what, false, false);
}

/* A name in commit/. */
static int
check_record(void *arg, const char *name)
{
	struct check *c = arg;

	buf_clear(&c->path);
	buf_addf(&c->path, "commit/%s", name);
	if (check_no_file(c))
		return (0);
	if (id_valid(name) || (name[0] == '.' && id_valid(name + 1)))
		check_leftover(c, "a commit of an injector that is gone");
	else
		check_report(c, "no commit of vmta", false, false);
	return (0);
}

/* A name in content/. */
static int
check_content(void *arg, const char *name)
{
	struct check *c = arg;

	buf_clear(&c->path);
	buf_addf(&c->path, "content/%s", name);
	if (check_no_file(c))
		return (0);
	if (strlen(name) != 2 * ID_LEN + 1 || name[ID_LEN] != '-' ||
	    !id_valid(name + ID_LEN + 1))
		check_report(c, "no content of vmta", false, false);
	else if (!c->any_held && map_get(&c->used, name + ID_LEN + 1) == NULL)
		check_leftover(c, "content that no batch uses");
	return (0);
}

/* A name in bad/: its content is kept. */
static int
check_bad(void *arg, const char *name)
{
	struct check *c = arg;
	struct batch_name n;

	if (batch_name_parse(name, &n) == 0)
		(void)map_put(&c->used, n.id.s, c);
	return (0);
}

/* Is an injector alive? Then what lies in tmp may be his. */
static int
check_injectors(struct check *c)
{
	struct sys *sys = c->sp->sys;
	int fd;

	fd = sys->openat(sys, c->sp->commit_fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1)
		return (verr_sys(c->err, "open commit"));
	c->injectors = flock(fd, LOCK_EX | LOCK_NB) == -1;
	(void)sys->close(sys, fd);
	return (0);
}

/* Repair and report the leftovers that are still there. */
static int
check_leftovers(struct check *c)
{
	const char *what, *path;
	struct stat st;
	size_t i = 0;
	bool gone;

	if (c->left.n == 0)
		return (0);
	/* what a sweep could not do is still there, and told below */
	if (c->repair)
		(void)commit_sweep(c->sp, c->err);
	else if (check_injectors(c) == -1)
		return (-1);
	/* one that came while we looked: what we saw may be his */
	if (c->injectors)
		return (0);
	while ((what = map_next(&c->left, &i, &path)) != NULL) {
		buf_clear(&c->path);
		buf_adds(&c->path, path);
		gone = c->sp->sys->fstatat(c->sp->sys, c->sp->fd, path, &st,
			   AT_SYMLINK_NOFOLLOW) == -1 &&
		    errno == ENOENT;
		if (!gone || c->repair)
			check_report(c, what, true, gone);
	}
	return (0);
}

int
spool_check(struct spool *sp, bool repair,
    void (*cb)(void *arg, const struct spool_finding *f), void *arg,
    struct spool_tally *ret_tally, struct verr *err)
{
	struct check c = { .sp = sp,
		.repair = repair,
		.cb = cb,
		.arg = arg,
		.tally = ret_tally,
		.err = err };
	int rc = -1;

	*ret_tally = (struct spool_tally) { 0 };
	if (owner_open(sp, &c.owner, err) == -1)
		return (-1);
	c.block = xmalloc(CHECK_READ);
	if (check_injectors(&c) == 0 &&
	    foreign_walk(sp, check_foreign, &c, err) == 0 &&
	    spool_vmtas(sp, check_vmta, &c, err) == 0 &&
	    spool_walk(sp, sp->commit_fd, check_record, &c, err) == 0 &&
	    spool_walk(sp, sp->bad_fd, check_bad, &c, err) == 0 &&
	    spool_walk(sp, sp->content_fd, check_content, &c, err) == 0 &&
	    check_leftovers(&c) == 0)
		rc = 0;
	owner_close(c.owner);
	map_release(&c.left, free);
	map_release(&c.used, NULL);
	buf_release(&c.path);
	free(c.block);
	return (rc);
}
