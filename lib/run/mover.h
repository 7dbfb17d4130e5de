/* Mail that a request moves to another VirtualMTA, in groups of batches. */
#ifndef VMTA_RUN_MOVER_H
#define VMTA_RUN_MOVER_H

#include <stdint.h>

#include "base/err.h"

struct mover;
struct work;
struct worker;

/* Never NULL. to: a valid name of a VirtualMTA. */
struct mover *mover_new(struct worker *w, const char *to);
void mover_free(struct mover *mv);
/*
 * Move n recipients (slots, ascending, idle) of k; k is the mover's until it
 * is put away. All k are of one VirtualMTA between two calls of mover_finish.
 * 0 or -1.
 */
int mover_add(struct mover *mv, struct work *k, const uint32_t *slot,
    uint32_t n, struct verr *err);
/* All of it is moved, durably, when this returns 0. -1: not all. */
int mover_finish(struct mover *mv, struct verr *err);

#endif
