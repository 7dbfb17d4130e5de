/*
 * A limit that all worker processes share (total-max-smtp-out): a counter for
 * each worker in memory that they inherit. The counter of a worker that died
 * is cleared by its parent, so nothing stays taken by the dead.
 */
#ifndef VMTA_SHAPE_TOTAL_H
#define VMTA_SHAPE_TOTAL_H

#include <stdint.h>

#include "base/err.h"
#include "shape/limit.h"

#define TOTAL_POLL_MS 100 /* no worker hears when another gives back */

struct total;

/*
 * Shared memory for `workers` processes (>= 1); make it before the fork.
 * NULL with err when the kernel gives no memory. total_free unmaps it in the
 * calling process only.
 */
struct total *total_new(unsigned workers, struct verr *err);
void total_free(struct total *t);
/* Parent: worker (from 0) is dead, what it had taken is free. */
void total_clear(struct total *t, unsigned worker);
/* In use, over all workers. */
int64_t total_used(const struct total *t);

/* One worker's end of it: a limiter like any other. */
struct total_slots {
	struct limiter lim;
	struct total *total;
	unsigned worker;
	int64_t max; /* 0: no limit; the same in every worker */
};

void total_slots_init(struct total_slots *s, struct total *t, unsigned worker,
    enum limit_why why, int64_t max);

#endif
