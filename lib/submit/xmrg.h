/*
 * A merge that came by XMRG, XDFN and XPRT (mail/xmrg.h) into the spool: one
 * commit, as any merge.
 *
 *	m = submit_xmrg_new(s, &env, x);
 *	submit_xmrg_begin(m, &err);
 *	submit_xmrg_rcpt(m, &rcpt, &err);	once a recipient, in order
 *	submit_xmrg_finish(m, &err);		all of it is durable
 *	submit_xmrg_free(m);
 *
 * Errors are those of submit.h.
 */
#ifndef VMTA_SUBMIT_XMRG_H
#define VMTA_SUBMIT_XMRG_H

#include <stdint.h>

#include "base/err.h"
#include "mail/xmrg.h"
#include "submit/submit.h"

struct submit_xmrg;

/*
 * Never NULL. s must outlive it, and begin no message meanwhile; x is needed
 * until the last recipient. env is copied, its seeds are not.
 */
struct submit_xmrg *submit_xmrg_new(struct submit *s,
    const struct submit_env *env, const struct xmrg *x);
void submit_xmrg_free(struct submit_xmrg *m); /* NULL is fine */

/*
 * May the source merge, with this env? 0 or -1 (VEX_DATA); for what is known
 * before the recipients are.
 */
int submit_xmrg_ok(struct submit *s, const struct submit_env *env,
    struct verr *err);

/* Look at the template and the variables. 0 or -1. */
int submit_xmrg_begin(struct submit_xmrg *m, struct verr *err);
/* The next recipient of x. 0; -1: VEX_DATA refuses this one. */
int submit_xmrg_rcpt(struct submit_xmrg *m, const struct submit_rcpt *r,
    struct verr *err);
/*
 * Make it durable, after all messages of s that are waiting. 0 or -1; without
 * a recipient that was accepted it does nothing.
 */
int submit_xmrg_finish(struct submit_xmrg *m, struct verr *err);
/* Recipients that were refused. */
uint64_t submit_xmrg_rejected(const struct submit_xmrg *m);

#endif
