/* Delivery windows (mail/schedule.h) of batches. */
#ifndef VMTA_RUN_WINDOW_H
#define VMTA_RUN_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct work;

/*
 * May k be sent just now? Else it is drained, to be put away until its next
 * window; or, when none is left, its recipients have their final records. To
 * be called before any of k is sent; cheap.
 */
bool window_open(struct worker *w, struct work *k);
/*
 * The second from t on at which a recipient of k may be tried: t, where it has
 * no windows; -1: never.
 */
int64_t window_next(const struct work *k, int64_t t);

#endif
