/* A file in a pickup directory: is it one that may be taken now? */
#ifndef VMTA_SUBMIT_DROP_H
#define VMTA_SUBMIT_DROP_H

#include <sys/stat.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sys.h"
#include "mail/pickup.h"

/* A file rests when nothing about it has changed for so long. */
#define DROP_REST_US INT64_C(2000000)

enum drop_state {
	DROP_READY,
	DROP_NOT,    /* not for us, or gone: nothing to say */
	DROP_YOUNG,  /* it changed a moment ago */
	DROP_BUSY,   /* a process has it open for writing */
	DROP_DENIED, /* we have not the rights; err says it */
	DROP_BAD     /* it never will be */
};

struct drop {
	enum drop_state state;
	int fd;		       /* READY: open to be read, else -1 */
	enum pickup_kind kind; /* READY: never PICKUP_NONE */
	struct stat st;	       /* READY */
	int64_t ripe_us;       /* YOUNG: in so many microseconds */
	const char *why;       /* BAD */
	struct verr denied;    /* DENIED */
};

struct drop_opts {
	bool rename_only; /* who has a name is complete */
	bool claimed;	  /* it was looked at before, and is ours now */
};

/*
 * Look at dfd/name; nothing is followed, waited for, or changed. A process
 * that opens the file for writing while ret_d->fd is open waits until that is
 * closed (or lease-break-time is over), where a lease could be had; SIGIO,
 * which tells us so, must be ignored. 0; -1 (VEX_TEMP) for want of
 * descriptors or memory.
 */
int drop_open(struct sys *sys, int dfd, const char *name,
    const struct drop_opts *opts, struct drop *ret_d, struct verr *err);

#endif
