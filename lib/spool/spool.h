/*
 * The spool directory: opened once, everything else relative to its
 * descriptors. The tree and its formats are in share/doc/DESIGN.md.
 */
#ifndef VMTA_SPOOL_SPOOL_H
#define VMTA_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "base/sys.h"

#define SPOOL_VMTA_MAX 64    /* characters of a VirtualMTA's name */
#define SPOOL_DOMAIN_MAX 253 /* characters of a queue's domain */

struct area_cache;

struct spool {
	struct sys *sys;
	char *path; /* as given, for messages */
	int fd;	    /* the root; holds trigger */
	int queue_fd;
	int commit_fd;
	int content_fd;
	int acct_fd;
	int control_fd;
	int state_fd;
	int bad_fd;
	struct map stuck;	  /* commit_stuck */
	struct area_cache *areas; /* area.c */
};

/*
 * Open the spool at path; make it and what is missing in it (0700). A spool,
 * or a directory in it, that another uid owns or that group or others may
 * write is refused (VEX_CONFIG); below path no symlink is followed. sys must
 * outlive *ret_sp. 0 or -1. Free with spool_close.
 */
int spool_open(struct sys *sys, const char *path, struct spool **ret_sp,
    struct verr *err);
void spool_close(struct spool *sp);

/*
 * Has the filesystem this much room left (for such as us)? 0, or -1 with
 * VEX_TEMP when it is short, or with what statvfs failed with.
 */
int spool_room(struct spool *sp, uint64_t min_bytes, uint64_t min_inodes,
    struct verr *err);

/* A VirtualMTA's name: [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool spool_vmta_valid(const char *s);
/*
 * A queue's domain, safe as a file name: lower-case labels of letters,
 * digits, `-` and `_`, at most 253 characters, or `[127.0.0.1]` or
 * `[ipv6:2001:db8::1]` exactly as inet_ntop writes the address.
 */
bool spool_domain_valid(const char *s);
/*
 * Split `domain/vmta` at its slash; both parts are checked. 0 and the
 * copies, or -1.
 */
int spool_queue_split(const char *queue, char ret_domain[SPOOL_DOMAIN_MAX + 1],
    char ret_vmta[SPOOL_VMTA_MAX + 1]);

/*
 * For the modules of lib/spool: open the directory dfd/name, no symlink
 * followed. fd, or -1 with errno and err.
 */
int spool_dir(struct spool *sp, int dfd, const char *name, struct verr *err);
/*
 * The same; a missing one is made. *ret_made (may be NULL: no matter) is set
 * to true when its name is perhaps not durable: it was made now, or somebody
 * else has made it and not said spool_dir_durable. Else it is left alone. The
 * caller syncs dfd where that matters.
 */
int spool_dir_make(struct spool *sp, int dfd, const char *name, bool *ret_made,
    struct verr *err);
/* The name of the open directory fd is durable: its parent was synced. */
void spool_dir_durable(struct spool *sp, int fd);

#endif
