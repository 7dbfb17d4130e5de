/* What became of recipients: records, states, retry times, log lines. */
#ifndef VMTA_RUN_RESULT_H
#define VMTA_RUN_RESULT_H

#include <stdint.h>

#include "smtp/conn.h"

struct worker;
struct sess;
struct queue;
struct work;
struct batch_msg;
struct batch_rcpt;
struct retry_cause;

/* The outcome of s->txn; gives back what was not tried. */
void result_apply(struct worker *w, struct sess *s,
    const struct smtp_outcome *out);
/* s->txn cannot go to this peer at all: every recipient bounces. */
void result_refuse(struct worker *w, struct sess *s, enum smtp_fit fit);
/*
 * An `r` record for each recipient of a batch that is opened for the first
 * time; when they are durable it goes to cur/.
 */
void result_received(struct worker *w, struct work *k);
/*
 * A final record without an attempt: category NULL: by status. action: of
 * accounting (`failed`). The recipient must not be in flight.
 */
void result_bounce(struct worker *w, struct work *k, const struct batch_msg *m,
    const struct batch_rcpt *r, const struct retry_cause *cause,
    const char *category);

#endif
