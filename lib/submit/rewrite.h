/*
 * rewrite-list: domains of senders that are others at a VirtualMTA or pool.
 * For lib/submit only.
 */
#ifndef VMTA_SUBMIT_REWRITE_H
#define VMTA_SUBMIT_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct submit;
struct submit_env;
struct target;

/*
 * The envelope sender of mail to rcpt that t sends: rewritten, and with VERP
 * where that is wanted. *ret_sender is the given one, or in room (from
 * buf_init). 0; -1 (VEX_DATA): over 254 octets.
 */
int rewrite_sender(const struct submit *s, const struct submit_env *env,
    const struct target *t, const char *rcpt, struct buf *room,
    const char **ret_sender, struct verr *err);
/* Has t rules for the field From? */
bool rewrite_has_from(const struct target *t);
/*
 * Rewrite the field From of a message whose header is the first *header
 * octets; true: text and *header have changed.
 */
bool rewrite_from(const struct target *t, struct buf *text, size_t *header);

#endif
