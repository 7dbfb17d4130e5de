/*
 * Making a suppression list: the new one is written beside the old one, and
 * takes its place all at once, durably. Who makes a list holds a lock on
 * state/suppress, so that two additions do not undo each other; who reads
 * lists does not wait for it.
 */
#ifndef VMTA_SPOOL_SUPMAKE_H
#define VMTA_SPOOL_SUPMAKE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "spool/suplist.h"

struct spool;
struct supmake;

/*
 * Begin the list of that name (checked as a VirtualMTA's); waits for the
 * lock. 0, or -1. Free with supmake_free, which leaves the old list unless
 * supmake_finish succeeded.
 */
int supmake_new(struct spool *sp, const char *name, struct supmake **ret_m,
    struct verr *err);
void supmake_free(struct supmake *m); /* NULL is fine */
/* Add an entry, from suplist_entry. 0, or -1 (VEX_DATA: no more room). */
int supmake_add(struct supmake *m, const char *key, size_t n, struct verr *err);
/* Different entries so far. */
uint64_t supmake_count(const struct supmake *m);
/* Put it in the place of the old one. 0; -1: the old one stands. */
int supmake_finish(struct supmake *m, struct verr *err);

#endif
