/* From tmp to new or cur: for lib/spool's commits and their recovery only. */
#ifndef VMTA_SPOOL_PUBLISH_H
#define VMTA_SPOOL_PUBLISH_H

#include <stdbool.h>

#include "base/err.h"
#include "spool/batch.h"
#include "spool/spool.h"

/* The directories of one VirtualMTA at a time, kept open. */
struct publish {
	struct spool *sp;
	char vmta[SPOOL_VMTA_MAX + 1]; /* "": none */
	int tmp_fd;
	int area_fd[2]; /* by enum batch_area */
};

void publish_init(struct publish *p, struct spool *sp);
/* Close the directories. */
void publish_end(struct publish *p);
/*
 * Turn to a VirtualMTA; its directories are made when they are missing. sync:
 * make that durable at once. 0 or -1.
 */
int publish_vmta(struct publish *p, const char *vmta, bool sync,
    struct verr *err);
/*
 * Rename tmp/NAME to AREA/DOMAIN/NAME; sync: durably. 0; 1 when tmp/NAME is
 * not there; -1: it is still in tmp.
 */
int publish_batch(struct publish *p, enum batch_area area, const char *domain,
    const char *name, bool sync, struct verr *err);

#endif
