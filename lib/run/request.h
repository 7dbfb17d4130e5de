/* Requests: what vmta-queue asks of the owner. */
#ifndef VMTA_RUN_REQUEST_H
#define VMTA_RUN_REQUEST_H

#include "base/err.h"
#include "spool/control.h"

struct worker;

/* Answer the requests in control/ that are new to this worker. */
void request_poll(struct worker *w);
/*
 * Carry one out on what w owns. ret_rep: begun with { 0 }; the caller
 * releases it. 0, or -1 (unknown command or option).
 */
int request_apply(struct worker *w, const char *command, char *const *option,
    size_t n, struct control_reply *ret_rep, struct verr *err);

#endif
