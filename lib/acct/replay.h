/*
 * Recovery: segments whose writer is gone are read again before a run owns
 * anything, so that every result that was durable reaches its batch.
 */
#ifndef VMTA_ACCT_REPLAY_H
#define VMTA_ACCT_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "acct/record.h"
#include "acct/segment.h"
#include "base/err.h"

struct journal;
struct owner;
struct spool;

/*
 * Called for each record in order; r and its texts live only during the
 * call. bad: not NULL for a line that is no record (r is then NULL): where
 * and what it is, in words; the caller logs it. Return -1 with err to stop:
 * the segment stays as it is and is replayed again by the next run.
 */
typedef int replay_cb(void *arg, const struct acct_record *r, const char *bad,
    struct verr *err);

/* Segments taken by replay_dead, until they are retired. */
struct replay {
	struct spool *sp;
	struct owner *owner;
	struct segment_list seg;
	uint64_t records; /* given to the callback */
	uint64_t bad;	  /* lines that were no records */
};

/*
 * For each acct/ID.live whose writer is gone, by id: lock it, truncate a
 * torn tail (what follows the last whole record), sync, and call cb for
 * each record. Memory is bounded. own: this process's journal, whose segments
 * are not dead (a process cannot see its own locks), or NULL. Fills ret_r,
 * which the caller gives to replay_retire or replay_release, whatever is
 * returned. 0 or -1.
 */
int replay_dead(struct spool *sp, struct owner *o, const struct journal *own,
    replay_cb *cb, void *arg, struct replay *ret_r, struct verr *err);
/*
 * After a checkpoint of what the callback changed: rename the segments to
 * ID.csv (unlink empty ones), sync the directory, release the locks. 0 or
 * -1. Frees what r holds in any case.
 */
int replay_retire(struct replay *r, struct verr *err);
/* Release the locks, leave the segments for another replay. */
void replay_release(struct replay *r);

#endif
