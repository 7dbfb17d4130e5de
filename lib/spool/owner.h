/*
 * Ownership: byte-range locks (OFD) on state/owners, a byte for each
 * VirtualMTA and each journal segment. They vanish with their process, and
 * hold between hosts on a shared filesystem. One struct owner a worker, opened
 * after the fork; locks of one struct owner do not exclude one another.
 *
 * A run that finds everything owned calls trigger_mark (spool/trigger.h) and
 * ends. An owner that ends does, until nothing is new:
 *	owner_release; trigger_poll; when it says something: owner_try, again.
 */
#ifndef VMTA_SPOOL_OWNER_H
#define VMTA_SPOOL_OWNER_H

#include <stdbool.h>

#include "base/err.h"

struct spool;
struct owner;

/* 0 or -1. Free with owner_close, which lets go of all its locks. */
int owner_open(struct spool *sp, struct owner **ret_o, struct verr *err);
void owner_close(struct owner *o);

/* Own this VirtualMTA. 0: done, 1: another one owns it, -1. Never waits. */
int owner_try(struct owner *o, const char *vmta, struct verr *err);
void owner_release(struct owner *o, const char *vmta);
/* Does o own it? */
bool owner_has(const struct owner *o, const char *vmta);
/* Does somebody else own it just now? 1 yes, 0 no, -1. */
int owner_held(struct owner *o, const char *vmta, struct verr *err);

/* The same for a journal segment by its id. */
int owner_segment_lock(struct owner *o, const char *id, struct verr *err);
void owner_segment_unlock(struct owner *o, const char *id);
/* Is its writer (another one than o) alive? 1 yes, 0 no, -1. */
int owner_segment_alive(struct owner *o, const char *id, struct verr *err);

#endif
