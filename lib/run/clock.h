/* A wall clock that is set while a run lasts. */
#ifndef VMTA_RUN_CLOCK_H
#define VMTA_RUN_CLOCK_H

struct worker;

/* Remember how the clocks stand to each other. */
void clock_begin(struct worker *w);
/* Look, now and then: if the wall clock was set, plans and waits follow. */
void clock_tick(struct worker *w);

#endif
