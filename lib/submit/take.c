/*
 * A run over the pickup directories. Names stream by: the files that are
 * ready gather to claims of up to CLAIM_FILES files and a commit's octets, so
 * a directory of a million files takes no more memory than one of a thousand,
 * and costs a few syncs for each claim.
 *
 * Files that changed in the last two seconds are what a writer is probably
 * about to finish: the run waits until they have rested, once, and looks
 * again. What is being written for longer is left to the next run.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "spool/spool.h"
#include "submit/claim.h"
#include "submit/submit.h"

/* A run waits for files that long altogether. */
#define TAKE_WAIT_US (DROP_REST_US + DROP_REST_US / 4)

struct take {
	struct take_dir *dir;
	size_t n;
	struct take_totals *totals;
	struct verr first; /* error of a directory; code 0: none */
	bool stopped;
	int64_t ripe_us; /* the first young file is, in so long; 0: none is */
};

/* A look over one directory. */
struct pass {
	struct take *t;
	struct take_dir *d;
	struct claim_item item[CLAIM_FILES];
	size_t n;
	uint64_t bytes;
};

/* Keep the first error of a directory; the others are still taken. */
static void
take_failed(struct take *t, const struct verr *err)
{
	if (t->first.code == 0)
		t->first = *err;
}

/* Take what was gathered. 0 or -1. */
static int
pass_flush(struct pass *p, struct verr *err)
{
	int rc;

	if (p->n == 0)
		return (0);
	rc = claim_take(p->d, p->item, p->n, err);
	claim_forget(p->item, p->n);
	memset(p->item, 0, sizeof(p->item));
	p->n = 0;
	p->bytes = 0;
	if (rc == 1 || p->d->opts->stop(p->d->opts->arg, 0))
		p->t->stopped = true;
	return (rc == -1 ? -1 : 0);
}

/* A file that is ready: to the others, or alone. 0 or -1. */
static int
pass_ready(struct pass *p, const char *name, const struct drop *f,
    struct verr *err)
{
	uint64_t size = (uint64_t)f->st.st_size;
	bool alone = f->kind == PICKUP_BSMTP || size > SUBMIT_COMMIT_BYTES;

	if ((alone || p->bytes + size > SUBMIT_COMMIT_BYTES) &&
	    pass_flush(p, err) == -1)
		return (-1);
	if (p->t->stopped)
		return (0);
	p->item[p->n].name = xstrdup(name);
	p->item[p->n++].st = f->st;
	p->bytes += size;
	if (alone || p->n == CLAIM_FILES)
		return (pass_flush(p, err));
	return (0);
}

/* One that will never be taken. 0 or -1. */
static int
pass_bad(struct pass *p, const char *name, const char *why, struct verr *err)
{
	struct buf text = BUF_INIT;
	int rc;

	claim_why(p->d, name, 0, why, &text);
	p->t->totals->rejected++;
	rc = claim_bad(p->d, p->d->fd, name, &text, NULL, err);
	buf_release(&text);
	return (rc);
}

/* A claim: finish it, if its process is dead. 0, or -1 for want of space. */
static int
pass_claim(struct pass *p, const char *name, struct verr *err)
{
	int rc = claim_adopt(p->d, name, err);

	if (rc == 1)
		p->t->stopped = true;
	if (rc == -1 && err->code != VEX_TEMP) {
		take_failed(p->t, err);
		memset(err, 0, sizeof(*err));
		return (0);
	}
	return (rc == -1 ? -1 : 0);
}

/* A name of the directory. 0 or -1. */
static int
pass_name(struct pass *p, const char *name, struct verr *err)
{
	struct drop_opts o = { p->d->rename_only, false };
	struct take *t = p->t;
	struct drop f;
	int rc = 0;

	if (strncmp(name, CLAIM_PREFIX, strlen(CLAIM_PREFIX)) == 0)
		return (pass_claim(p, name, err));
	if (drop_open(p->d->sys, p->d->fd, name, &o, &f, err) == -1)
		return (-1);
	switch (f.state) {
	case DROP_READY:
		(void)p->d->sys->close(p->d->sys, f.fd);
		rc = pass_ready(p, name, &f, err);
		break;
	case DROP_YOUNG:
		if (t->ripe_us == 0 || f.ripe_us < t->ripe_us)
			t->ripe_us = f.ripe_us;
		break;
	case DROP_DENIED:
		claim_denied(p->d, name, &f.denied);
		break;
	case DROP_BAD:
		rc = pass_bad(p, name, f.why, err);
		break;
	case DROP_NOT:
	case DROP_BUSY:
		break;
	}
	return (rc);
}

/* All names of the directory. 0 or -1. */
static int
pass_names(struct pass *p, DIR *dir, struct verr *err)
{
	struct dirent *e;

	while (!p->t->stopped) {
		errno = 0;
		e = readdir(dir);
		if (e == NULL && errno != 0)
			return (verr_sys(err, "read %s", p->d->p.dir));
		if (e == NULL)
			return (pass_flush(p, err));
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    pass_name(p, e->d_name, err) == -1)
			return (-1);
	}
	return (0);
}

/* Look over one directory, and take what is ready. 0 or -1. */
static int
pass_dir(struct take *t, struct take_dir *d, struct verr *err)
{
	struct pass *p = xcalloc(1, sizeof(*p));
	DIR *dir = NULL;
	int fd, rc;

	p->t = t;
	p->d = d;
	fd = d->sys->openat(d->sys, d->fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1 || (dir = fdopendir(fd)) == NULL) {
		rc = verr_sys(err, "open %s", d->p.dir);
		if (fd != -1)
			(void)d->sys->close(d->sys, fd);
	} else {
		rc = pass_names(p, dir, err);
		(void)closedir(dir);
	}
	claim_forget(p->item, p->n);
	free(p);
	return (rc);
}

/* ---- the directories --------------------------------------------------- */

/* Open a pickup directory and that of its bad files. 0 or -1. */
static int
dir_open(struct take_dir *d, struct verr *err)
{
	struct buf bad = BUF_INIT;
	int rc;

	d->fd = d->sys->openat(d->sys, AT_FDCWD, d->p.dir,
	    O_RDONLY | O_DIRECTORY, 0);
	if (d->fd == -1) {
		(void)verr_sys(err, "pickup %s", d->p.dir);
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
			err->code = VEX_CONFIG;
		return (-1);
	}
	if (*d->p.bad != '\0')
		buf_adds(&bad, d->p.bad);
	else
		buf_addf(&bad, "%s/bad", conf_spool(d->conf));
	rc = aside_open(d->sys, bad.p, d->fd, &d->bad, err);
	if (rc == -1)
		(void)verr_prefix(err, "pickup %s", d->p.dir);
	buf_release(&bad);
	return (rc);
}

static void
dir_close(struct take_dir *d)
{
	if (d->fd != -1)
		(void)d->sys->close(d->sys, d->fd);
	d->fd = -1;
	aside_close(&d->bad);
}

/* All directories that the configuration names; caller frees. */
static struct take_dir *
dirs_open(struct take *t, struct sys *sys, struct conf *c,
    const struct take_opts *opts)
{
	size_t i, n = conf_global(c)->pickup.n;
	struct take_dir *dir = xcalloc(n + 1, sizeof(*dir));
	struct verr err = VERR_INIT;

	for (i = 0; i < n; i++) {
		dir[i].sys = sys;
		dir[i].conf = c;
		dir[i].opts = opts;
		dir[i].totals = t->totals;
		dir[i].fd = dir[i].bad.fd = -1;
		dir[i].bad.sys = sys;
		dir[i].rename_only = conf_global(c)->pickup_rename_only;
		(void)conf_pickup(c, i, &dir[i].p);
		if (dir_open(&dir[i], &err) == -1) {
			take_failed(t, &err);
			dir_close(&dir[i]);
		}
	}
	t->n = n;
	return (dir);
}

/* One look over all of them. */
static void
take_pass(struct take *t)
{
	struct verr err;
	size_t i;

	t->ripe_us = 0;
	t->totals->denied = 0;
	for (i = 0; i < t->n && !t->stopped; i++) {
		memset(&err, 0, sizeof(err));
		if (t->dir[i].fd != -1 && pass_dir(t, &t->dir[i], &err) == -1)
			take_failed(t, &err);
		t->dir[i].told = true;
	}
}

int
take_run(struct sys *sys, struct conf *c, const struct take_opts *opts,
    struct take_totals *ret_t, struct verr *err)
{
	struct take t = { .totals = ret_t };
	int64_t end = sys->mono(sys) + TAKE_WAIT_US, left;
	struct spool *sp;
	size_t i;

	memset(ret_t, 0, sizeof(*ret_t));
	/* that makes spool/pickup and spool/bad */
	if (spool_open(sys, conf_spool(c), &sp, err) == -1)
		return (-1);
	spool_close(sp);
	t.dir = dirs_open(&t, sys, c, opts);
	for (;;) {
		take_pass(&t);
		left = end - sys->mono(sys);
		if (t.stopped || t.ripe_us == 0 || t.ripe_us > left ||
		    t.first.code == VEX_TEMP ||
		    opts->stop(opts->arg, (int)(t.ripe_us / 1000) + 5))
			break;
	}
	for (i = 0; i < t.n; i++)
		dir_close(&t.dir[i]);
	free(t.dir);
	if (t.first.code == 0)
		return (0);
	*err = t.first;
	return (-1);
}

/* ---- the check --------------------------------------------------------- */

/* Append what is wrong with a directory and that of its bad files. */
static void
check_dir(struct sys *sys, const struct conf *c, const struct conf_pickup *p,
    const char *bad, struct buf *line)
{
	size_t n = strlen(conf_spool(c));
	struct stat a, b;

	if (sys->fstatat(sys, AT_FDCWD, p->dir, &a, 0) == -1) {
		/* what is in the spool is made with it */
		if (errno != ENOENT || strncmp(p->dir, conf_spool(c), n) != 0 ||
		    strcmp(p->dir + n, "/pickup") != 0)
			buf_addf(line, "pickup %s: %s", p->dir,
			    strerror(errno));
	} else if (!S_ISDIR(a.st_mode)) {
		buf_addf(line, "pickup %s: not a directory", p->dir);
	} else if (eaccess(p->dir, R_OK | W_OK | X_OK) == -1) {
		buf_addf(line, "pickup %s: may not be changed: %s", p->dir,
		    strerror(errno));
	} else if (sys->fstatat(sys, AT_FDCWD, bad, &b, 0) == 0) {
		if (!S_ISDIR(b.st_mode) || a.st_dev != b.st_dev)
			buf_addf(line,
			    "pickup %s: %s is no directory on the same "
			    "filesystem",
			    p->dir, bad);
		else if (a.st_ino == b.st_ino)
			buf_addf(line,
			    "pickup %s: bad files would be taken again",
			    p->dir);
	}
}

void
take_check(struct sys *sys, const struct conf *c,
    void (*say)(void *arg, const char *line), void *arg)
{
	struct buf bad = BUF_INIT, line = BUF_INIT;
	struct conf_pickup p;
	size_t i;

	for (i = 0; conf_pickup(c, i, &p) == 0; i++) {
		buf_clear(&bad);
		buf_clear(&line);
		if (*p.bad != '\0')
			buf_adds(&bad, p.bad);
		else
			buf_addf(&bad, "%s/bad", conf_spool(c));
		check_dir(sys, c, &p, bad.p, &line);
		if (line.len > 0)
			say(arg, line.p);
	}
	buf_release(&bad);
	buf_release(&line);
}
