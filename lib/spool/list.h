/*
 * Walks over the spool: VirtualMTAs, domains, batches. Names stream by; none
 * are kept, so a directory with a million files costs no memory.
 */
#ifndef VMTA_SPOOL_LIST_H
#define VMTA_SPOOL_LIST_H

#include <stdbool.h>

#include "base/err.h"
#include "spool/batch.h"
#include "spool/name.h"

struct spool;

/*
 * Called with each name, in no order. foreign: it is none of ours (it is
 * then shown only to be reported; hidden names are skipped silently).
 * Return 0 to go on; another value ends the walk and is what it returns.
 */
typedef int spool_name_cb(void *arg, const char *name, bool foreign);
/* The same for batch files; n is NULL for a foreign name. */
typedef int spool_batch_cb(void *arg, const char *file,
    const struct batch_name *n);

/*
 * 0, -1 with err, or what the callback returned. A directory that is not
 * there has nothing in it. vmta and domain must be valid names.
 */
int spool_vmtas(struct spool *sp, spool_name_cb *cb, void *arg,
    struct verr *err);
int spool_domains(struct spool *sp, const char *vmta, enum batch_area area,
    spool_name_cb *cb, void *arg, struct verr *err);
int spool_batches(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, spool_batch_cb *cb, void *arg, struct verr *err);
/* The files in queue/VMTA/tmp. */
int spool_tmp(struct spool *sp, const char *vmta, spool_batch_cb *cb, void *arg,
    struct verr *err);

/*
 * All names (but `.` and `..`) of the directory dfd; dfd stays open and its
 * place in the directory does not matter. Return values as above.
 */
int spool_walk(struct spool *sp, int dfd,
    int (*cb)(void *arg, const char *name), void *arg, struct verr *err);

#endif
