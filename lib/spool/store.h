/* Small files of state/ and control/: for the modules of lib/spool only. */
#ifndef VMTA_SPOOL_STORE_H
#define VMTA_SPOOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct spool;

/* state/NAME, made when it is missing; fd or -1. */
int store_dir(struct spool *sp, const char *name, struct verr *err);
/*
 * Replace dfd/name (any length that a directory takes) in one step; durable:
 * synced, with the directory. 0 or -1.
 */
int store_put(struct spool *sp, int dfd, const char *name, const void *p,
    size_t n, bool durable, struct verr *err);
/*
 * A file of `key: value` lines whose first line is head: calls cb for each
 * pair; lines without `: ` have an empty value. b is changed. 0, -1 when the
 * head is another or the last line has no end.
 */
int store_lines(struct buf *b, const char *head,
    void (*cb)(void *arg, const char *key, const char *value), void *arg);
/* Remove files of dfd (but `.lock`) last changed before this second. */
int store_sweep(struct spool *sp, int dfd, int64_t before, struct verr *err);

#endif
