/*
 * Ownership by OFD byte-range locks on one file that is never written: the
 * byte for a name is its 64-bit hash shifted into the range of off_t. Two
 * names with one byte would only keep one another waiting; at 5,000 names the
 * chance is one in 10^11. Nothing is left by a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "spool/owner.h"
#include "spool/spool.h"

struct owner {
	struct sys *sys;
	int fd;
	struct map has; /* names of VirtualMTAs that are owned */
};

int
owner_open(struct spool *sp, struct owner **ret_o, struct verr *err)
{
	struct owner *o;
	int fd;

	fd = sp->sys->openat(sp->sys, sp->state_fd, "owners",
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1)
		return (verr_sys(err, "open state/owners"));
	if (file_own(sp->sys, fd, "state/owners", err) == -1) {
		(void)sp->sys->close(sp->sys, fd);
		return (-1);
	}
	o = xmalloc(sizeof(*o));
	*o = (struct owner) { .sys = sp->sys, .fd = fd, .has = MAP_INIT };
	*ret_o = o;
	return (0);
}

void
owner_close(struct owner *o)
{
	if (o == NULL)
		return;
	(void)o->sys->close(o->sys, o->fd);
	map_release(&o->has, NULL);
	free(o);
}

/* The lock for prefix + name. */
static struct flock
owner_byte(const char *prefix, const char *name, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };
	struct buf b = BUF_INIT;

	buf_adds(&b, prefix);
	buf_adds(&b, name);
	l.l_start = (off_t)(map_hash(b.p, b.len) >> 2);
	buf_release(&b);
	return (l);
}

static int
owner_lock(struct owner *o, const char *prefix, const char *name,
    struct verr *err)
{
	struct flock l = owner_byte(prefix, name, F_WRLCK);

	if (fcntl(o->fd, F_OFD_SETLK, &l) == 0)
		return (0);
	if (errno == EAGAIN || errno == EACCES)
		return (1);
	return (verr_sys(err, "lock state/owners"));
}

static void
owner_unlock(struct owner *o, const char *prefix, const char *name)
{
	struct flock l = owner_byte(prefix, name, F_UNLCK);

	(void)fcntl(o->fd, F_OFD_SETLK, &l);
}

static int
owner_test(struct owner *o, const char *prefix, const char *name,
    struct verr *err)
{
	struct flock l = owner_byte(prefix, name, F_WRLCK);

	if (fcntl(o->fd, F_OFD_GETLK, &l) == -1)
		return (verr_sys(err, "test lock of state/owners"));
	return (l.l_type != F_UNLCK);
}

int
owner_try(struct owner *o, const char *vmta, struct verr *err)
{
	int rc = owner_lock(o, "", vmta, err);

	if (rc == 0)
		(void)map_put(&o->has, vmta, o);
	return (rc);
}

void
owner_release(struct owner *o, const char *vmta)
{
	owner_unlock(o, "", vmta);
	(void)map_del(&o->has, vmta);
}

bool
owner_has(const struct owner *o, const char *vmta)
{
	return (map_get(&o->has, vmta) != NULL);
}

int
owner_held(struct owner *o, const char *vmta, struct verr *err)
{
	return (owner_test(o, "", vmta, err));
}

int
owner_segment_lock(struct owner *o, const char *id, struct verr *err)
{
	return (owner_lock(o, "segment ", id, err));
}

void
owner_segment_unlock(struct owner *o, const char *id)
{
	owner_unlock(o, "segment ", id);
}

int
owner_segment_alive(struct owner *o, const char *id, struct verr *err)
{
	return (owner_test(o, "segment ", id, err));
}
