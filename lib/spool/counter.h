/* Counters that survive processes: state/counter/NAME. */
#ifndef VMTA_SPOOL_COUNTER_H
#define VMTA_SPOOL_COUNTER_H

#include <stdint.h>

#include "base/err.h"

struct spool;

/*
 * Add n to a counter under a lock; *ret_old is its value before (0 when it
 * is new or its file is damaged). It wraps around. Not synced: after a power
 * failure it may have an earlier value. name: [A-Za-z0-9][A-Za-z0-9._-]*, at
 * most 128 characters. 0 or -1.
 */
int counter_add(struct spool *sp, const char *name, uint64_t n,
    uint64_t *ret_old, struct verr *err);

#endif
