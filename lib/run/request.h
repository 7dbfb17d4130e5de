/* Requests: what vmta-queue asks of the owner. */
#ifndef VMTA_RUN_REQUEST_H
#define VMTA_RUN_REQUEST_H

#include "base/err.h"
#include "spool/control.h"

struct worker;

/* Answer the requests in control/ that are new to this worker. */
void request_poll(struct worker *w);
/*
 * Carry `what' out on what w owns, but on nothing that was queued after it was
 * made. ret_rep: begun with { 0 }; the caller releases it. 0, or -1: not all
 * of it was done (unknown command or option; a batch that cannot be read).
 */
int request_apply(struct worker *w, const struct control_request *what,
    struct control_reply *ret_rep, struct verr *err);

#endif
