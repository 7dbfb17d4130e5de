/*
 * Moves are commits with two syncs of the whole filesystem, so up to
 * MOVER_GROUP batches share one. All of it happens in one turn of the loop:
 * no session takes mail from a batch of the group meanwhile.
 *
 * When a move is committed and cannot be completed, the run ends: the next
 * one rolls it forward before it opens a batch.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "run/mover.h"
#include "run/work.h"
#include "run/worker.h"
#include "spool/move.h"

#define MOVER_GROUP 256 /* batches */

struct mover {
	struct worker *w;
	char *to;
	struct move *move; /* NULL: the group is empty */
	struct work *work[MOVER_GROUP];
	size_t n;
};

struct mover *
mover_new(struct worker *w, const char *to)
{
	struct mover *mv = xcalloc(1, sizeof(*mv));

	mv->w = w;
	mv->to = xstrdup(to);
	return (mv);
}

/* The group is done, or has failed: its batches go back into the plan. */
static void
mover_end(struct mover *mv)
{
	size_t i;

	move_free(mv->move);
	mv->move = NULL;
	for (i = 0; i < mv->n; i++) {
		mv->work[i]->busy--;
		mv->work[i]->drained = true;
		work_check(mv->w, mv->work[i]);
	}
	mv->n = 0;
}

void
mover_free(struct mover *mv)
{
	if (mv == NULL)
		return;
	mover_end(mv);
	free(mv->to);
	free(mv);
}

int
mover_add(struct mover *mv, struct work *k, const uint32_t *slot, uint32_t n,
    struct verr *err)
{
	k->busy++; /* it is not put away before the group is done */
	mv->work[mv->n++] = k;
	if (mv->move == NULL)
		mv->move = move_new(mv->w->spool, mv->to);
	if (move_add(mv->move, k->batch, slot, n, err) == -1)
		return (-1);
	return (mv->n < MOVER_GROUP ? 0 : mover_finish(mv, err));
}

int
mover_finish(struct mover *mv, struct verr *err)
{
	int rc = 0;

	if (mv->move != NULL)
		rc = move_finish(mv->move, err);
	if (rc == 1)
		worker_broke(mv->w); /* before anything is put away */
	mover_end(mv);
	return (rc == 0 ? 0 : -1);
}
