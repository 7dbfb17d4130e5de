/*
 * A run of vmta-runq: workers that own VirtualMTAs and deliver what is due.
 */
#ifndef VMTA_RUN_RUN_H
#define VMTA_RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sys.h"

struct conf;

enum run_mode { RUN_ONCE, RUN_LINGER, RUN_DAEMON };

/* What a run was asked to do. */
struct run_options {
	enum run_mode mode;
	int64_t linger;	  /* ms that RUN_LINGER stays after the last mail */
	int64_t patience; /* ms that a limit may hold RUN_ONCE back */
	unsigned int workers;
	const char *vmta;   /* only this VirtualMTA, or NULL */
	const char *domain; /* only this domain, or NULL */
	bool now;	    /* ignore retry times */
	const char *trace;  /* domain/vmta: one message, session on stderr */
};

/*
 * Deliver. c: borrowed; a reload brings others. Forks when workers > 1, so no
 * thread may exist yet. Returns 0 when the run did what it could, else -1
 * with err (VEX_IO, VEX_TEMP, VEX_CONFIG).
 */
int run_deliver(struct sys *sys, struct conf *c, const struct run_options *opt,
    struct verr *err);

/*
 * A tool that is run by root becomes the spool's owner, so that it never
 * leaves files of root's there and needs no rights of root's. Nothing is done
 * for other users, for a spool that is root's own, or one that is not there
 * yet. c: says where the spool is. 0, or -1 with err.
 */
int run_become_owner(const struct conf *c, struct verr *err);

#endif
