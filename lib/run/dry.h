/* vmta-runq --dry-run: what would be tried, and when. */
#ifndef VMTA_RUN_DRY_H
#define VMTA_RUN_DRY_H

#include <stdio.h>

#include "base/err.h"
#include "base/sys.h"
#include "run/run.h"

struct conf;

/*
 * Print a line a queue, tab-separated: queue, recipients, kbytes, first due
 * time, what holds it back (or `-`). Changes nothing. 0 or -1.
 */
int dry_print(struct sys *sys, struct conf *c, const struct run_options *opt,
    FILE *out, struct verr *err);

#endif
