/*
 * A worker's DNS: the resolver, its cache and brake, and what of them outlives
 * the run: state/dns and state/brake.
 */
#ifndef VMTA_RUN_RESOLVE_H
#define VMTA_RUN_RESOLVE_H

#include "base/err.h"

struct worker;

/* Make w->dns, by the configured servers, with what was kept. 0 or -1. */
int resolve_open(struct worker *w, struct verr *err);
/* Save, and end it all. Nothing is looked up any more. */
void resolve_close(struct worker *w);
/*
 * After a reload; all look-ups have ended. What was in force stays so when the
 * new servers cannot be used.
 */
void resolve_reload(struct worker *w);
/* Now and then: save. */
void resolve_tick(struct worker *w);

#endif
