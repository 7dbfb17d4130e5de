/* Recovery: what dead runs and injectors left is brought to its end. */
#ifndef VMTA_RUN_RECOVER_H
#define VMTA_RUN_RECOVER_H

#include "base/err.h"

struct worker;

/*
 * Replay the segments of dead workers into the batches, roll commits forward.
 * To be called after ownership was taken and before a batch is opened.
 * Another worker that does the same is waited for. 0 or -1.
 */
int recover_all(struct worker *w, struct verr *err);

#endif
