/*
 * Recipients that are on a suppression list: a final record, and no attempt.
 */
#ifndef VMTA_RUN_SUPPRESS_H
#define VMTA_RUN_SUPPRESS_H

#include <stdbool.h>

struct worker;
struct work;

/*
 * Give each recipient of k that nobody has, and that is on a list of its
 * source or was on one when it was submitted, its record. To be called before
 * any of k is sent; cheap when no list has changed since the last call. True:
 * the others may be sent. False: a list cannot be read; k is then drained, to
 * be put away and looked at again in a moment.
 */
bool suppress_batch(struct worker *w, struct work *k);
/* The same for those only that were on a list when they were submitted. */
void suppress_marked(struct worker *w, struct work *k);
void suppress_close(struct worker *w);

#endif
