/*
 * Whoever may write in a pickup directory can put anything there under any
 * name, and change it at any time. So a file is looked at without following,
 * waiting or reading more than its beginning, and again once it is ours.
 *
 * Is its writer through? Three answers, each for some of the cases:
 *
 *	a lease		F_RDLCK is granted only when no process has the file
 *			open for writing. It takes the owner of the file (or
 *			CAP_LEASE) and a filesystem that knows leases; where
 *			there is none, the next answer has to do.
 *	rest		the time of change (ctime, which no writer can set)
 *			is two seconds old. A time in the future, by a clock
 *			that was set back, counts only for who has a lease.
 *	its name	with pickup-rename-only writers promise to write under
 *			another name, and to rename what is complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "submit/drop.h"

/* Names that belong to writers: hidden, or said to be incomplete. */
static bool
drop_name_left(const char *name)
{
	static const char *const suffix[] = { ".tmp", ".part" };
	size_t n = strlen(name), len, i;

	if (name[0] == '.')
		return (true);
	for (i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		len = strlen(suffix[i]);
		if (n >= len && strcmp(name + n - len, suffix[i]) == 0)
			return (true);
	}
	return (false);
}

/* Settle what it is. */
static int
drop_is(struct drop *d, enum drop_state state, const char *why)
{
	d->state = state;
	d->why = why;
	return (0);
}

/* What is no regular file: a directory is somebody's, all else is bad. */
static int
drop_kind(struct drop *d, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return (drop_is(d, DROP_NOT, NULL));
	return (drop_is(d, DROP_BAD,
	    S_ISLNK(st->st_mode)      ? "a symbolic link" :
		S_ISFIFO(st->st_mode) ? "a FIFO" :
		S_ISSOCK(st->st_mode) ? "a socket" :
					"a device"));
}

/* open failed with errno. 0, or -1 for what has nothing to do with the file. */
static int
drop_no_open(struct drop *d, const char *name, struct verr *err)
{
	switch (errno) {
	case ENOENT:
	case ELOOP: /* became a link just now */
	case ENXIO: /* ... a socket */
		return (drop_is(d, DROP_NOT, NULL));
	case EWOULDBLOCK: /* somebody has a lease on it */
		return (drop_is(d, DROP_BUSY, NULL));
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EINTR:
		return (verr_sys(err, "open %s", name));
	default:
		(void)verr_sys(&d->denied, "cannot be read");
		return (drop_is(d, DROP_DENIED, NULL));
	}
}

/* Microseconds until the file has rested; 0 or less: it has. */
static int64_t
drop_unrest(struct sys *sys, const struct stat *st)
{
	int64_t changed = (int64_t)st->st_ctim.tv_sec * 1000000 +
	    st->st_ctim.tv_nsec / 1000;

	return (changed + DROP_REST_US - sys->wall(sys));
}

/* Is its writer through? */
static enum drop_state
drop_writer(struct sys *sys, const struct drop_opts *o, struct drop *d)
{
	bool leased = false;

	if (o->rename_only)
		return (DROP_READY);
	if (fcntl(d->fd, F_SETLEASE, F_RDLCK) == 0)
		leased = true;
	else if (errno == EAGAIN)
		return (DROP_BUSY);
	if (o->claimed)
		return (DROP_READY);
	d->ripe_us = drop_unrest(sys, &d->st);
	/* more than it can be: the clock was set back */
	if (d->ripe_us > 2 * DROP_REST_US && leased)
		return (DROP_READY);
	return (d->ripe_us > 0 ? DROP_YOUNG : DROP_READY);
}

/* What can be said of the open file. 0 or -1. */
static int
drop_file(struct sys *sys, const struct drop_opts *o, const char *name,
    struct drop *d, struct verr *err)
{
	char head[PICKUP_LOOK];
	ssize_t n;

	if (sys->fstat(sys, d->fd, &d->st) == -1)
		return (verr_sys(err, "stat %s", name));
	if (!S_ISREG(d->st.st_mode))
		return (drop_kind(d, &d->st));
	/* link and unlink is a way to rename: then there are two for a moment
	 */
	if (d->st.st_nlink != 1) {
		d->ripe_us = drop_unrest(sys, &d->st);
		return (drop_is(d,
		    d->ripe_us > 0 && !o->claimed ? DROP_YOUNG : DROP_BAD,
		    "a file with several links"));
	}
	d->state = drop_writer(sys, o, d);
	if (d->state != DROP_READY)
		return (0);
	n = sys_pread_all(sys, d->fd, head, sizeof(head), 0);
	if (n == -1)
		return (drop_no_open(d, name, err));
	if (n == 0)
		return (drop_is(d, DROP_BAD, "empty"));
	d->kind = pickup_kind(head, (size_t)n);
	if (d->kind == PICKUP_NONE)
		return (drop_is(d, DROP_BAD,
		    "begins neither with x-sender nor as batch SMTP"));
	return (0);
}

int
drop_open(struct sys *sys, int dfd, const char *name,
    const struct drop_opts *opts, struct drop *ret_d, struct verr *err)
{
	int rc;

	memset(ret_d, 0, sizeof(*ret_d));
	ret_d->fd = -1;
	if (!opts->claimed && drop_name_left(name))
		return (drop_is(ret_d, DROP_NOT, NULL));
	if (sys->fstatat(sys, dfd, name, &ret_d->st, AT_SYMLINK_NOFOLLOW) == -1)
		return (drop_no_open(ret_d, name, err));
	/* not opened at all: a device may do something then */
	if (!S_ISREG(ret_d->st.st_mode))
		return (drop_kind(ret_d, &ret_d->st));
	ret_d->fd = sys->openat(sys, dfd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (ret_d->fd == -1)
		return (drop_no_open(ret_d, name, err));
	rc = drop_file(sys, opts, name, ret_d, err);
	if (rc == -1 || ret_d->state != DROP_READY) {
		(void)sys->close(sys, ret_d->fd);
		ret_d->fd = -1;
	}
	return (rc);
}
