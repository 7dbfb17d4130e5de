/*
 * A bouncer: gives a queue's mail its final record without an attempt, a
 * bounded piece at a time: mail that is too old, a domain that takes none.
 */
#ifndef VMTA_RUN_BOUNCER_H
#define VMTA_RUN_BOUNCER_H

#include <stdint.h>

struct worker;
struct queue;
struct retry_cause;

/*
 * Bounce what of q is at least age ms old (0: all) and not in flight. status,
 * category: instead of the cause's own; NULL: those. One at a time a queue;
 * while it runs another call does nothing.
 */
void bouncer_start(struct worker *w, struct queue *q,
    const struct retry_cause *cause, int64_t age, const char *status,
    const char *category);
/* Stop those that began because of what DNS said: it is not believed now. */
void bouncer_brake(struct worker *w);
/* Give up what q's bouncer has not done yet. */
void bouncer_stop(struct worker *w, struct queue *q);

#endif
