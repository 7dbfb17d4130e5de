/*
 * What a source's settings do to the header of a message: fields that are
 * obeyed, that never leave, and that are added. For lib/submit only.
 */
#ifndef VMTA_SUBMIT_HEADER_H
#define VMTA_SUBMIT_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct submit;
struct submit_env;
struct target;

/*
 * The names of the fields that are taken out of the source's messages, ended
 * by NULL; caller frees the array, not the names.
 */
const char **header_strip(const struct submit *s);

/*
 * After message_end: job, envelope id and windows as the header gives them,
 * where env does not and the source may; loops. ret_env is a copy of env that
 * points into s. 0 or -1 (VEX_DATA).
 */
int header_control(struct submit *s, const struct submit_env *env,
    struct submit_env *ret_env, struct verr *err);

/*
 * Windows as a person writes them: to ret_text (replaced) as they are stored,
 * and the first second from *due (or now, if that is later) on that is inside
 * to *due. 0; -1 (VEX_DATA): none, or all of them are over.
 */
int header_windows(const struct submit *s, const char *text, size_t n,
    struct buf *ret_text, int64_t *due, struct verr *err);

/*
 * Append the fields that stand before the message as it goes to t. 0, or -1
 * (VEX_CONFIG: a file of include-headers-from).
 */
int header_added(struct submit *s, const struct submit_env *env,
    const struct target *t, struct buf *ret_fields, struct verr *err);

/*
 * The sender of a message to rcpt with variable envelope return path:
 * `user-rcpt=rcptdomain@domain`; quoted where that is needed. 0; -1
 * (VEX_DATA): over 254 octets.
 */
int header_verp(const char *sender, const char *rcpt, struct buf *ret_sender,
    struct verr *err);

#endif
