/*
 * SPOOL/state/config.img: load it, put it in place.
 *
 * It is believed only when it belongs to the owner of the spool directory and
 * nobody else can write it. It is written without syncs, as a temporary file
 * that is renamed: a crash leaves the old one, the new one, or one whose
 * checksum is wrong, which is as good as none.
 *
 * A file that is changed twice within one tick of the kernel's clock keeps
 * its time; so nothing is stored for a file that is as new as that.
 */
#include <sys/mman.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "conf/image.h"

#define STORE_TICK 50000000 /* ns */

/* Open SPOOL and SPOOL/state; the latter's descriptor, or -1. */
static int
store_open(struct sys *sys, const char *spool, uid_t *ret_owner)
{
	struct stat st;
	int fd, state = -1;

	fd = sys->openat(sys, AT_FDCWD, spool,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd == -1)
		return (-1);
	if (sys->fstat(sys, fd, &st) == 0) {
		*ret_owner = st.st_uid;
		state = sys->openat(sys, fd, "state",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	}
	(void)sys->close(sys, fd);
	return (state);
}

/* Map the open file, if it is one to believe. */
static void *
store_map(struct sys *sys, int fd, uid_t owner, size_t *ret_size)
{
	struct stat st;
	void *p;

	if (sys->fstat(sys, fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_uid != owner || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
	    st.st_size < (off_t)sizeof(struct img_head) ||
	    st.st_size > UINT32_MAX)
		return (NULL);
	*ret_size = (size_t)st.st_size;
	p = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		return (NULL);
	if (!image_valid(p, *ret_size)) {
		(void)munmap(p, *ret_size);
		return (NULL);
	}
	return (p);
}

void *
image_load(struct sys *sys, const char *spool, size_t *ret_size)
{
	void *p = NULL;
	uid_t owner;
	int state, fd;

	state = store_open(sys, spool, &owner);
	if (state == -1)
		return (NULL);
	fd = sys->openat(sys, state, IMG_NAME,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd != -1) {
		p = store_map(sys, fd, owner, ret_size);
		(void)sys->close(sys, fd);
	}
	(void)sys->close(sys, state);
	return (p);
}

/* Is a file so new that a change in this moment would not show? */
static bool
store_too_new(struct sys *sys, const struct tree *t)
{
	int64_t now = sys->wall(sys) * 1000;
	size_t i;

	for (i = 0; i < t->nkey; i++)
		if (t->key[i].mtime > now - STORE_TICK)
			return (true);
	return (false);
}

void
image_store(struct sys *sys, const char *spool, const struct buf *img,
    const struct tree *t)
{
	uid_t owner;
	int state;

	if (store_too_new(sys, t))
		return;
	state = store_open(sys, spool, &owner);
	if (state == -1)
		return;
	if (owner == geteuid())
		(void)file_write_fast(sys, state, IMG_NAME, img->p, img->len,
		    NULL);
	(void)sys->close(sys, state);
}
