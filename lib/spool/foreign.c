/*
 * Whoever can write in the spool can put a link, a FIFO or a device where
 * vmta expects a file. What opens files there does not follow, wait or write
 * through such a thing; this tells a person where they are.
 *
 * A table says what belongs where. Nothing is opened but directories, and
 * those as everywhere: a component at a time, no link followed. What vanishes
 * while we look is nobody's concern.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "spool/foreign.h"
#include "spool/list.h"
#include "spool/spool.h"

/* Deeper than anything of ours. */
#define FOREIGN_DEPTH 8

enum kind {
	KIND_ANY,   /* somebody else looks at it */
	KIND_FILE,  /* of our own, one link */
	KIND_LINKS, /* of our own */
	KIND_DIR,
	KIND_SKIP, /* a directory whose content is not ours to judge */
	KIND_NONE
};

/* The first that matches holds. */
static const struct {
	const char *pattern;
	enum kind kind;
} kinds[] = {
	{ "bad", KIND_SKIP },
	{ "pickup", KIND_SKIP },
	{ "trigger", KIND_FILE },
	{ "acct/*", KIND_FILE },
	{ "control/*", KIND_FILE },
	{ "commit/*", KIND_FILE },
	{ "content/*", KIND_LINKS },
	{ "state/retry", KIND_DIR },
	{ "state/retry/*", KIND_DIR },
	{ "state/retry/*/*", KIND_FILE },
	{ "state/counter", KIND_DIR },
	{ "state/export", KIND_DIR },
	{ "state/nochunk", KIND_DIR },
	{ "state/submit", KIND_DIR },
	{ "state/suppress", KIND_DIR },
	{ "state/*", KIND_FILE },
	{ "state/*/*", KIND_FILE },
	{ "queue/*/tmp", KIND_DIR },
	{ "queue/*/new", KIND_DIR },
	{ "queue/*/cur", KIND_DIR },
	{ "queue/*", KIND_ANY },
	{ "queue/*/*", KIND_NONE },
	{ "queue/*/*/*", KIND_ANY },
	{ "queue/*/*/*/*", KIND_ANY },
};

struct foreign {
	struct spool *sp;
	void (*cb)(void *arg, const char *path, const char *what);
	void *arg;
	struct verr *err;
	struct buf path; /* of what is looked at */
	int dfd;	 /* the directory that it is in */
	unsigned int depth;
};

static int foreign_dir(struct foreign *f, const char *name);

/* What belongs at the path? */
static enum kind
foreign_kind(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (fnmatch(kinds[i].pattern, path, FNM_PATHNAME) == 0)
			return (kinds[i].kind);
	return (strchr(path, '/') == NULL ? KIND_ANY : KIND_NONE);
}

/* What is wrong with it, or NULL. */
static const char *
foreign_what(enum kind kind, const struct stat *st)
{
	bool dir = S_ISDIR(st->st_mode), file = S_ISREG(st->st_mode);

	if (kind == KIND_NONE)
		return ("not of vmta");
	if (kind == KIND_ANY && !dir)
		return (NULL);
	if (!dir && !file)
		return ("neither a file nor a directory");
	if ((kind == KIND_DIR || kind == KIND_SKIP) && !dir)
		return ("a file where a directory belongs");
	if ((kind == KIND_FILE || kind == KIND_LINKS) && !file)
		return ("a directory where a file belongs");
	if (st->st_uid != geteuid())
		return ("belongs to another user");
	if (dir && (st->st_mode & 022) != 0)
		return ("a directory that others may write in");
	if (kind == KIND_FILE && st->st_nlink != 1)
		return ("a file with several links");
	return (NULL);
}

/* A name of the directory. */
static int
foreign_name(void *arg, const char *name)
{
	struct foreign *f = arg;
	size_t len = f->path.len;
	const char *what;
	struct stat st;
	enum kind kind;
	int rc = 0;

	if (f->sp->sys->fstatat(f->sp->sys, f->dfd, name, &st,
		AT_SYMLINK_NOFOLLOW) == -1)
		return (errno == ENOENT ? 0 :
					  verr_sys(f->err, "stat %s", name));
	if (len > 0)
		buf_addc(&f->path, '/');
	buf_adds(&f->path, name);
	kind = foreign_kind(f->path.p);
	what = foreign_what(kind, &st);
	if (what != NULL)
		f->cb(f->arg, f->path.p, what);
	if (S_ISDIR(st.st_mode) && kind != KIND_SKIP && kind != KIND_NONE)
		rc = foreign_dir(f, name);
	f->path.len = len;
	f->path.p[len] = '\0';
	return (rc);
}

/* A directory below the present one. */
static int
foreign_dir(struct foreign *f, const char *name)
{
	struct sys *sys = f->sp->sys;
	int up = f->dfd, fd, rc;

	if (f->depth == FOREIGN_DEPTH)
		return (0);
	fd = file_open_dir(sys, up, name);
	if (fd == -1) /* gone; or changed, or closed to us: that was told */
		return (errno == ENOENT || errno == ENOTDIR || errno == EACCES ?
			0 :
			verr_sys(f->err, "open directory %s", f->path.p));
	f->dfd = fd;
	f->depth++;
	rc = spool_walk(f->sp, fd, foreign_name, f, f->err);
	f->depth--;
	f->dfd = up;
	(void)sys->close(sys, fd);
	return (rc);
}

int
foreign_walk(struct spool *sp,
    void (*cb)(void *arg, const char *path, const char *what), void *arg,
    struct verr *err)
{
	struct foreign f = { .sp = sp,
		.cb = cb,
		.arg = arg,
		.err = err,
		.dfd = sp->fd };
	int rc;

	rc = spool_walk(sp, sp->fd, foreign_name, &f, err);
	buf_release(&f.path);
	return (rc);
}
