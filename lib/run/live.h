/* What a worker tells reports about itself: state/live.ID. */
#ifndef VMTA_RUN_LIVE_H
#define VMTA_RUN_LIVE_H

struct worker;

/* Write it, at most once a second. */
void live_write(struct worker *w);
/* Remove it, at the end of the run. */
void live_remove(struct worker *w);

#endif
