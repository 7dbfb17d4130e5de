/* List-Unsubscribe for messages without one. For lib/submit only. */
#ifndef VMTA_SUBMIT_UNSUB_H
#define VMTA_SUBMIT_UNSUB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct rcpt;
struct submit;
struct submit_env;

/*
 * After message_end: do the fields tell the recipients of the message apart,
 * so that each needs a content of his own?
 */
bool unsub_each(const struct submit *s);
/* Append the fields for r, and those who share his content, if any. */
void unsub_added(const struct submit *s, const struct submit_env *env,
    const struct rcpt *r, struct buf *out);
/*
 * Append the fields for a template whose header is these n octets, if any:
 * with variables as they stand in templates.
 */
void unsub_template(const struct submit *s, const char *header, size_t n,
    struct buf *out);

#endif
