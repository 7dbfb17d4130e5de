/* Who is to blame when a session breaks. */
#ifndef VMTA_RUN_FAULT_H
#define VMTA_RUN_FAULT_H

#define FAULT_LOCAL_MS 10000 /* a queue rests so long after a local fault */

struct sess;
struct smtp_failure;

/*
 * s broke: the log says so, and its queue has the next target, a step of its
 * clock, or a rest. s is still in its lists.
 */
void fault_session(struct sess *s, const struct smtp_failure *why);

#endif
