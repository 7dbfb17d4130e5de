/* The plan: which batches there are, from their names. */
#ifndef VMTA_RUN_PLAN_H
#define VMTA_RUN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/batch.h"

struct worker;
struct queue;
struct rvmta;

/*
 * When a batch of q of this name is due (wall seconds): as the name says, but
 * for what a clock that was wrong must have written.
 */
int64_t plan_when(struct worker *w, const struct queue *q, enum batch_area area,
    const struct batch_name *n);
/* Is q to be listed anew, now? */
bool plan_due(const struct worker *w, const struct queue *q);
/* More names, if q has none left but its directories have. */
void plan_more(struct worker *w, struct queue *q);
/* Find all queues of all owned VirtualMTAs; each is listed when it is due. */
void plan_all(struct worker *w);
/* New mail for domain was announced. */
void plan_new_mail(struct worker *w, struct rvmta *v, const char *domain);

#endif
