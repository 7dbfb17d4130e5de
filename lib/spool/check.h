/* What should not be in the spool, and what can be set right. */
#ifndef VMTA_SPOOL_CHECK_H
#define VMTA_SPOOL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct spool;

struct spool_finding {
	const char *path; /* below the spool */
	const char *what; /* one line */
	bool repairable;  /* --repair could set it right */
	bool repaired;	  /* and has */
};

/* What was looked at. */
struct spool_tally {
	uint64_t vmtas;
	uint64_t batches;
	uint64_t messages;
	uint64_t open;	   /* recipients that are not final */
	uint64_t findings; /* that remain */
};

/*
 * Look at everything: names, lengths, hashes of index and content, links,
 * records, left-overs. cb is called for each finding. With repair, what can
 * be set right is, where nobody owns the VirtualMTA just now. 0 (whatever was
 * found) or -1 when it could not be done.
 */
int spool_check(struct spool *sp, bool repair,
    void (*cb)(void *arg, const struct spool_finding *f), void *arg,
    struct spool_tally *ret_tally, struct verr *err);

#endif
