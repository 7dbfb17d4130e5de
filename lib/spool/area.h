/*
 * The directories queue/VMTA/new and cur, open. Those that were used last are
 * kept: where each domain has one message, walking down to them anew for each
 * listing, batch and removal costs more than the delivery itself.
 *
 * Not for committers, who must notice (and do: spool_dir_make) when a
 * directory was replaced.
 */
#ifndef VMTA_SPOOL_AREA_H
#define VMTA_SPOOL_AREA_H

#include "base/err.h"
#include "spool/batch.h"

struct spool;

/*
 * A descriptor of queue/VMTA/new or cur: sp's own, good until the next call
 * with this sp. -1 with err (errno ENOENT: there is none).
 */
int area_dir(struct spool *sp, const char *vmta, enum batch_area area,
    struct verr *err);
/* The same of its DOMAIN; the caller closes it (sp->sys->close). */
int area_domain(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, struct verr *err);
/*
 * openat there, without a change of the access time where that is allowed: to
 * write it costs more than to read a small batch. fd or -1 with errno.
 */
int area_open(struct spool *sp, int dfd, const char *name, int flags);
/* Walk down to this one anew: it may have been replaced. */
void area_forget(struct spool *sp, const char *vmta);
/* For spool_close. */
void area_release(struct spool *sp);

#endif
