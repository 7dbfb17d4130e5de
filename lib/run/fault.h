/* Who is to blame when a session breaks. */
#ifndef VMTA_RUN_FAULT_H
#define VMTA_RUN_FAULT_H

#define FAULT_LOCAL_MS 10000 /* a queue rests so long after a local fault */

#include <stdint.h>

struct batch_txn;
struct sess;
struct smtp_failure;
struct work;

/*
 * s broke: the log says so, and its queue has the next target, a step of its
 * clock, or a rest. s is still in its lists.
 */
void fault_session(struct sess *s, const struct smtp_failure *why);
/*
 * Load one recipient of k for a record without a session. 0; -1, logged: k is
 * damaged (bad), or this machine cannot read it now (fault).
 */
int fault_load(struct work *k, uint32_t slot, struct batch_txn *t);

#endif
