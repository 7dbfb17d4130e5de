/*
 * SMTP as a server (RFC 5321), for a program on this machine that speaks it
 * through a pipe: sendmail -bs. With PIPELINING, SIZE, 8BITMIME, SMTPUTF8 and
 * DSN. A 250 after the end of data means that the message is durable.
 */
#ifndef VMTA_SUBMIT_SESSION_H
#define VMTA_SUBMIT_SESSION_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "submit/submit.h"

struct session;

/*
 * Begin. env: what holds for all messages; sender, envid and RET come with
 * each. host: our name. The greeting is the first reply. s must outlive it.
 */
struct session *session_new(struct submit *s, const struct submit_env *env,
    const char *host);
void session_free(struct session *ss); /* NULL is fine */

/* Take the next n octets, cut anywhere; false: QUIT was said. */
bool session_feed(struct session *ss, const char *p, size_t n);
/* Replies that are to be sent now; the caller clears it. */
struct buf *session_replies(struct session *ss);

#endif
