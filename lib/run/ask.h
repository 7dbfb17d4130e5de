/* What vmta-queue asks for: by the owners, or by becoming one. */
#ifndef VMTA_RUN_ASK_H
#define VMTA_RUN_ASK_H

#include <stddef.h>

#include "base/err.h"
#include "base/sys.h"
#include "spool/control.h"

struct conf;
struct selection;

/*
 * Carry out a command (`delete`, `hold`, `release`, `retry-now`) on what sel
 * selects: VirtualMTAs that nobody owns are owned here for the moment; for
 * the others their owners are asked and waited for, 5 s at most. extra: n
 * more options (`dry-run=yes`). The caller releases *ret_rep. 0; or -1 with
 * err, VEX_TEMP when an owner did not answer.
 */
int ask_owners(struct sys *sys, struct conf *c, const char *command,
    const struct selection *sel, const char *const *extra, size_t n,
    struct control_reply *ret_rep, struct verr *err);

#endif
