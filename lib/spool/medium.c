/*
 * Kinds of filesystems that a spool is better not on: what is said of each is
 * what its documentation says, or that nobody has tried.
 */
#include <sys/vfs.h>
#include <linux/magic.h>
#include <stddef.h>

#include "spool/medium.h"
#include "spool/spool.h"

#define MEMORY "is in memory: its mail is gone when the machine stops"
#define REMOTE \
	"is another machine's: locks, unlinked files and syncs are as that" \
	" one has them, and vmta was not tested on it"
#define LAYER \
	"is a layer over others, on which vmta was not tested: give the spool" \
	" a filesystem of its own"
#define PROGRAM \
	"is a program's: what a sync is worth is for that to say, and vmta" \
	" was not tested on it"

static const struct {
	unsigned int magic;
	const char *doubt;
} media[] = {
	{ TMPFS_MAGIC, "tmpfs " MEMORY },
	{ RAMFS_MAGIC, "ramfs " MEMORY },
	{ NFS_SUPER_MAGIC, "NFS " REMOTE },
	{ SMB_SUPER_MAGIC, "SMB " REMOTE },
	{ SMB2_SUPER_MAGIC, "SMB " REMOTE },
	{ CIFS_SUPER_MAGIC, "SMB " REMOTE },
	{ V9FS_MAGIC, "9p " REMOTE },
	{ OVERLAYFS_SUPER_MAGIC, "overlayfs " LAYER },
	{ FUSE_SUPER_MAGIC, "FUSE " PROGRAM },
};

const char *
spool_medium_doubt(const struct spool *sp)
{
	struct statfs st;
	size_t i;

	if (fstatfs(sp->fd, &st) == -1)
		return (NULL);
	for (i = 0; i < sizeof(media) / sizeof(media[0]); i++)
		if (media[i].magic == (unsigned int)st.f_type)
			return (media[i].doubt);
	return (NULL);
}
