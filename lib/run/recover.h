/* Recovery: what dead runs and injectors left is brought to its end. */
#ifndef VMTA_RUN_RECOVER_H
#define VMTA_RUN_RECOVER_H

#include <stdbool.h>

#include "base/err.h"

struct worker;

/*
 * Replay the segments of dead workers into the batches, roll commits forward.
 * To be called after ownership was taken and before a batch is opened.
 * Another worker that does the same is waited for. 0 or -1.
 */
int recover_all(struct worker *w, struct verr *err);
/*
 * In a run: own what is free, and recover it. Nothing is waited for: 1 when
 * another worker recovers something just now. 0; -1: what is owned now could
 * not be recovered, nothing of it may be sent.
 */
int recover_own(struct worker *w, struct verr *err);
/*
 * Roll commits forward, and see which VirtualMTAs a move that cannot be
 * completed keeps waiting (rvmta.stuck). What goes wrong is the worker's
 * trouble. True: there may be more to send than before.
 */
bool recover_commits(struct worker *w);

#endif
