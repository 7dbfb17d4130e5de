/* The scheduler: which queues get new connections, and when. */
#ifndef VMTA_RUN_SCHED_H
#define VMTA_RUN_SCHED_H

#include <stdint.h>

#include "base/buf.h"

struct worker;
struct queue;

/* When a queue is looked at again: an entry of the worker's wakes. */
struct sched_wake {
	int64_t at; /* wall second */
	struct queue *queue;
};
int sched_wake_cmp(const void *va, const void *vb);

/* Look at every queue that wants something. */
void sched_run(struct worker *w);
/* Wall second of the next thing to do, INT64_MAX: nothing. */
int64_t sched_next(struct worker *w);
/* Queues whose time has come are kicked. */
void sched_wake(struct worker *w);
/* Why q does not send just now, one line ("" when nothing is in its way). */
void sched_why(struct worker *w, struct queue *q, struct buf *ret_text);

#endif
