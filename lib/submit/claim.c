/*
 * Taking files so that each is taken once.
 *
 * A process makes a directory .vmta-ID in the pickup directory, after it has
 * locked the submit id `pickup ID` in the spool, and renames files into it:
 * the rename is what makes a file its own. Both directories are synced. Then
 * the files are submitted in one commit, which notes the submit id
 * (spool/submit.h), and are removed. Batch SMTP, which may take many commits,
 * has a claim for itself.
 *
 * What is in a claim when the commit is made is accepted by it. So whatever
 * is refused has gone to the bad files, and whatever is not ready has gone
 * back, durably, before.
 *
 * Crash, anywhere: the lock is free, the claim is there, and whoever comes
 * next (claim_adopt) locks its id and asks the spool for it. Unknown: nothing
 * was accepted, and the files are submitted. Known: all of them were, and are
 * removed; of batch SMTP, so many messages were, and are skipped.
 *
 * When something is broken off (a full disk), the spool is asked in the same
 * way; what was not accepted goes back under its name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "submit/claim.h"
#include "submit/impl.h"

struct claim {
	struct take_dir *d;
	struct submit *s;
	char name[sizeof(CLAIM_PREFIX) + ID_LEN];
	int fd;
	struct claim_item *item;
	size_t n;
	bool left;   /* something went out: to be synced before the commit */
	bool partly; /* batch SMTP is accepted in parts */
};

/* ---- what is said about files ------------------------------------------ */

void
claim_why(const struct take_dir *d, const char *name, uint64_t line,
    const char *why, struct buf *ret_text)
{
	buf_adds(ret_text, d->p.dir);
	buf_addc(ret_text, '/');
	esc_line(ret_text, name, strlen(name));
	if (line > 0)
		buf_addf(ret_text, ":%llu", (unsigned long long)line);
	buf_addf(ret_text, ": %s\n", why);
}

void
claim_denied(struct take_dir *d, const char *name, const struct verr *why)
{
	struct buf b = BUF_INIT;

	d->totals->denied++;
	if (d->told)
		return;
	claim_why(d, name, 0, why->text, &b);
	b.p[--b.len] = '\0';
	d->opts->say(d->opts->arg, b.p);
	buf_release(&b);
}

int
claim_bad(struct take_dir *d, int dfd, const char *name, const struct buf *why,
    bool *ret_gone, struct verr *err)
{
	struct buf to = BUF_INIT, line = BUF_INIT;
	int rc;

	rc = aside_put(&d->bad, dfd, name, why, &to, err);
	if (rc == 0) {
		buf_add(&line, why->p, strcspn(why->p, "\n"));
		buf_addf(&line, " (%s/%s)", d->bad.path, to.p);
		d->opts->say(d->opts->arg, line.p);
	} else if (rc == -1 && err->code != VEX_TEMP) {
		claim_denied(d, name, err);
	}
	if (ret_gone != NULL)
		*ret_gone = rc != -1;
	buf_release(&to);
	buf_release(&line);
	return (rc == -1 && err->code == VEX_TEMP ? -1 : 0);
}

/* ---- into and out of a claim ------------------------------------------- */

/* The item is not in the claim any more. */
static void
item_left(struct claim *c, struct claim_item *it)
{
	free(it->name);
	it->name = NULL;
	c->left = true;
}

/*
 * Back under its name; where that is somebody else's now, to the bad files.
 * 0 or -1.
 */
static int
item_back(struct claim *c, struct claim_item *it, struct verr *err)
{
	struct take_dir *d = c->d;
	struct buf why = BUF_INIT;
	bool gone = true;
	int rc = 0;

	if (d->sys->rename_new(d->sys, c->fd, it->name, d->fd, it->name) ==
		-1 &&
	    errno != ENOENT) {
		claim_why(d, it->name, 0,
		    "changed while it was taken, and its name is in use", &why);
		rc = claim_bad(d, c->fd, it->name, &why, &gone, err);
		buf_release(&why);
	}
	if (rc == 0 && !gone)
		return (verr_set(err, VEX_IO, "%s/%s/%s: cannot be put back",
		    d->p.dir, c->name, it->name));
	if (rc == 0)
		item_left(c, it);
	return (rc);
}

/* Is dfd/name the file that was looked at? */
static bool
item_same(struct sys *sys, int dfd, const struct claim_item *it)
{
	const struct stat *a = &it->st;
	struct stat b;

	return (sys->fstatat(sys, dfd, it->name, &b, AT_SYMLINK_NOFOLLOW) ==
		0 &&
	    a->st_dev == b.st_dev && a->st_ino == b.st_ino &&
	    a->st_size == b.st_size && a->st_mtim.tv_sec == b.st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b.st_mtim.tv_nsec);
}

/* Make it ours, if it is there and what it was. 0 or -1. */
static int
item_claim(struct claim *c, struct claim_item *it, struct verr *err)
{
	struct sys *sys = c->d->sys;

	if (sys->renameat(sys, c->d->fd, it->name, c->fd, it->name) == -1) {
		if (errno != ENOENT) {
			(void)verr_sys(err, "cannot be taken");
			if (err->code == VEX_TEMP)
				return (-1);
			claim_denied(c->d, it->name, err);
		}
		item_left(c, it);
		return (0);
	}
	return (item_same(sys, c->fd, it) ? 0 : item_back(c, it, err));
}

/* Sync the claim and its directory. 0 or -1. */
static int
claim_sync(struct claim *c, struct verr *err)
{
	struct sys *sys = c->d->sys;

	if (sys->fsync(sys, c->fd) == -1 || sys->fsync(sys, c->d->fd) == -1)
		return (verr_sys(err, "sync %s", c->d->p.dir));
	c->left = false;
	return (0);
}

/* ---- the submission ---------------------------------------------------- */

/* Submit one file. 0, 1: stopped, or -1. */
static int
item_submit(struct claim *c, struct claim_item *it, struct verr *err)
{
	struct drop_opts o = { c->d->rename_only, true };
	struct take_dir *d = c->d;
	struct buf why = BUF_INIT;
	struct drop f;
	bool gone = true;
	int rc = FILE_CHANGED;

	if (drop_open(d->sys, c->fd, it->name, &o, &f, err) == -1)
		return (-1);
	if (f.state == DROP_READY) {
		c->partly = f.kind == PICKUP_BSMTP;
		rc = c->partly ?
		    claim_bsmtp(d, c->s, it->name, &f, &why, err) :
		    claim_message(d, c->s, it->name, &f, &why, err);
		(void)d->sys->close(d->sys, f.fd);
	} else if (f.state == DROP_BAD) {
		claim_why(d, it->name, 0, f.why, &why);
		d->totals->rejected++;
		rc = FILE_REFUSED;
	} else if (f.state == DROP_DENIED) {
		claim_denied(d, it->name, &f.denied);
	}
	if (rc == FILE_REFUSED) {
		rc = claim_bad(d, c->fd, it->name, &why, &gone, err);
		if (rc == 0 && gone)
			item_left(c, it);
		else if (rc == 0)
			/* parts of it may be accepted: not back */
			rc = c->partly ?
			    verr_set(err, VEX_IO, "%s cannot be set aside",
				it->name) :
			    item_back(c, it, err);
	} else if (rc == FILE_CHANGED) {
		/* what is partly accepted must not begin anew */
		rc = c->s->before.count > 0 ?
		    verr_set(err, VEX_IO, "%s/%s cannot be read now", c->name,
			it->name) :
		    item_back(c, it, err);
	} else if (rc == FILE_STOPPED) {
		rc = 1;
	}
	buf_release(&why);
	return (rc);
}

/* Say what is left to the next run. */
static void
claim_warn(struct claim *c)
{
	struct buf b = BUF_INIT;

	if (submit_warning(c->s) == NULL)
		return;
	buf_addf(&b, "%s: accepted, and left to the next run: %s", c->d->p.dir,
	    submit_warning(c->s));
	c->d->opts->say(c->d->opts->arg, buf_str(&b));
	buf_release(&b);
}

/* All files, and the commit. 0, 1: stopped, or -1. */
static int
claim_submit(struct claim *c, struct verr *err)
{
	uint64_t before = c->d->totals->accepted;
	size_t i;
	int rc = 0;

	if (c->n > 1)
		submit_one_commit(c->s);
	for (i = 0; i < c->n && rc == 0; i++)
		if (c->item[i].name != NULL)
			rc = item_submit(c, &c->item[i], err);
	if (rc == 0 && c->left)
		rc = claim_sync(c, err);
	if (rc != 0)
		return (rc);
	/* broken here: batch SMTP that was another one, and is set aside */
	if (!submit_broken(c->s) && submit_finish(c->s, err) == -1)
		return (-1);
	c->d->totals->accepted = before + submit_accepted(c->s);
	c->d->totals->suppressed += submit_suppressed(c->s);
	claim_warn(c);
	return (0);
}

/* All of it is accepted: remove it. */
static void
claim_remove(struct claim *c)
{
	struct sys *sys = c->d->sys;
	size_t i;

	for (i = 0; i < c->n && c->fd != -1; i++)
		if (c->item[i].name != NULL)
			(void)sys->unlinkat(sys, c->fd, c->item[i].name, 0);
	(void)sys->unlinkat(sys, c->d->fd, c->name, AT_REMOVEDIR);
}

/* It was broken off: what the spool does not know goes back. */
static void
claim_undo(struct claim *c)
{
	struct spool_submission known = { .count = 0 };
	struct verr ignored = VERR_INIT;
	size_t i;

	if (c->fd == -1) {
		claim_remove(c);
		return;
	}
	(void)submit_settle(c->s, &ignored);
	if (spool_submit_lookup(c->s->sp, c->s->hash, &known, &ignored) == -1 ||
	    known.count > 0)
		return;
	for (i = 0; i < c->n; i++)
		if (c->item[i].name != NULL &&
		    item_back(c, &c->item[i], &ignored) == -1)
			return;
	claim_remove(c);
}

/* Submit and remove. 0, 1: stopped, or -1. */
static int
claim_finish(struct claim *c, struct verr *err)
{
	int rc = claim_submit(c, err);

	if (rc == 0)
		claim_remove(c);
	else
		claim_undo(c);
	return (rc);
}

/* ---- beginning and end ------------------------------------------------- */

void
claim_forget(struct claim_item *item, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(item[i].name);
}

static void
claim_close(struct claim *c)
{
	if (c->fd != -1)
		(void)c->d->sys->close(c->d->sys, c->fd);
	submit_close(c->s);
}

/*
 * A submission under the id of the claim. 0; 1: another process has it; -1.
 * To be ended with claim_close in any case.
 */
static int
claim_open(struct claim *c, struct take_dir *d, const char *id,
    struct verr *err)
{
	struct submit_who who = { .source = d->p.source,
		.source_type = "api",
		.source_mta = "localhost",
		.uid = geteuid() };
	struct buf key = BUF_INIT;
	int rc;

	memset(c, 0, sizeof(*c));
	c->d = d;
	c->fd = -1;
	(void)snprintf(c->name, sizeof(c->name), CLAIM_PREFIX "%s", id);
	c->s = submit_open(d->sys, d->conf, &who);
	if (d->opts->durable != NULL)
		submit_on_durable(c->s, d->opts->durable, d->opts->arg);
	buf_addf(&key, "pickup %s", id);
	rc = submit_key_try(c->s, key.p, err);
	buf_release(&key);
	return (rc);
}

/* Make the directory and rename the files into it. 0 or -1. */
static int
claim_make(struct claim *c, struct verr *err)
{
	struct sys *sys = c->d->sys;
	size_t i;

	if (sys->mkdirat(sys, c->d->fd, c->name, 0700) == -1)
		return (verr_sys(err, "make %s/%s", c->d->p.dir, c->name));
	c->fd = sys->openat(sys, c->d->fd, c->name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (c->fd == -1)
		return (verr_sys(err, "open %s/%s", c->d->p.dir, c->name));
	for (i = 0; i < c->n; i++)
		if (item_claim(c, &c->item[i], err) == -1)
			return (-1);
	return (claim_sync(c, err));
}

int
claim_take(struct take_dir *d, struct claim_item *item, size_t n,
    struct verr *err)
{
	const struct conf_global *g = conf_global(d->conf);
	struct claim c;
	struct id id;
	int rc;

	do {
		if (id_make(d->sys, &id, err) == -1)
			return (-1);
		rc = claim_open(&c, d, id.s, err);
		if (rc == 1)
			claim_close(&c);
	} while (rc == 1);
	c.item = item;
	c.n = n;
	if (rc == 0)
		rc = spool_room(c.s->sp, (uint64_t)g->min_free_space,
		    (uint64_t)g->min_free_inodes, err);
	if (rc == 0) {
		rc = claim_make(&c, err);
		if (rc == 0)
			rc = claim_finish(&c, err);
		else
			claim_undo(&c);
	}
	claim_close(&c);
	return (rc);
}

/* The names in the claim, at most CLAIM_FILES. 0 or -1. */
static int
claim_list(struct claim *c, struct verr *err)
{
	struct dirent *e;
	DIR *dir;
	int fd, rc = 0;

	fd = c->d->sys->openat(c->d->sys, c->fd, ".", O_RDONLY | O_DIRECTORY,
	    0);
	if (fd == -1 || (dir = fdopendir(fd)) == NULL) {
		(void)verr_sys(err, "open %s", c->name);
		if (fd != -1)
			(void)c->d->sys->close(c->d->sys, fd);
		return (-1);
	}
	while (rc == 0 && c->n < CLAIM_FILES) {
		errno = 0;
		e = readdir(dir);
		if (e == NULL && errno != 0)
			rc = verr_sys(err, "read %s", c->name);
		if (e == NULL)
			break;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			c->item[c->n++].name = xstrdup(e->d_name);
	}
	(void)closedir(dir);
	return (rc);
}

/*
 * Is it the rest of batch SMTP, which is to be looked at again? 1, 0; -1: that
 * cannot be known now.
 */
static int
claim_is_bsmtp(struct claim *c, struct verr *err)
{
	struct drop_opts o = { true, true };
	struct drop f;
	int is;

	if (c->n != 1)
		return (0);
	if (drop_open(c->d->sys, c->fd, c->item[0].name, &o, &f, err) == -1)
		return (-1);
	if (f.state == DROP_DENIED) {
		*err = f.denied;
		return (-1);
	}
	is = f.state == DROP_READY && f.kind == PICKUP_BSMTP;
	if (f.fd != -1)
		(void)c->d->sys->close(c->d->sys, f.fd);
	return (is);
}

/* With the lock, and the directory open: what is to be done? As claim_take. */
static int
claim_resume(struct claim *c, struct verr *err)
{
	struct stat st;
	int is;

	/* another's .vmta- is none of ours */
	if (c->d->sys->fstat(c->d->sys, c->fd, &st) == -1 ||
	    st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return (0);
	if (claim_list(c, err) == -1)
		return (-1);
	is = c->s->before.count > 0 ? claim_is_bsmtp(c, err) : 1;
	if (is == 1)
		return (claim_finish(c, err));
	if (is == 0)
		claim_remove(c);
	return (is);
}

int
claim_adopt(struct take_dir *d, const char *name, struct verr *err)
{
	struct claim_item item[CLAIM_FILES] = { { .name = NULL } };
	const char *id = name + strlen(CLAIM_PREFIX);
	struct claim c;
	int rc;

	if (!id_valid(id))
		return (0);
	rc = claim_open(&c, d, id, err);
	if (rc == 0) {
		c.item = item;
		c.fd = d->sys->openat(d->sys, d->fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (c.fd != -1)
			rc = claim_resume(&c, err);
	}
	claim_forget(item, c.n);
	claim_close(&c);
	return (rc == 1 && c.item == NULL ? 0 : rc);
}
