/*
 * Moves: recipients of open batches go to another VirtualMTA's queues of the
 * same domains, all at once and durably, or not at all. The caller owns the
 * batches' VirtualMTA.
 *
 *	m = move_new(sp, "other");
 *	move_add(m, batch, slots, n, &err);	for each batch
 *	move_finish(m, &err);
 *	move_free(m);
 */
#ifndef VMTA_SPOOL_MOVE_H
#define VMTA_SPOOL_MOVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct batch;
struct move;
struct spool;

/* Never NULL. to: a valid name of a VirtualMTA. sp must outlive it. */
struct move *move_new(struct spool *sp, const char *to);
/* Frees; what was not finished leaves nothing behind. NULL is legal. */
void move_free(struct move *m);
/*
 * These n recipients (slots, ascending, open, of which nothing is in flight)
 * of b shall move: they are written to a new batch, with their states as they
 * are in memory. b stays the caller's, open and unchanged until move_finish.
 * 0 or -1: the whole move has failed.
 */
int move_add(struct move *m, struct batch *b, const uint32_t *slot, uint32_t n,
    struct verr *err);
/* Batches so far. */
size_t move_batches(const struct move *m);
/*
 * Commit. 0: the recipients are in their new batches, durably, and in the old
 * ones BATCH_MOVED (in memory, too); an old batch in which nothing is left
 * open may be gone from the disk. -1: nothing has happened. 1: it has, or will
 * when the record is rolled forward: nothing may be sent from the old batches,
 * nor be written to them, before the next recovery.
 */
int move_finish(struct move *m, struct verr *err);

#endif
