/*
 * The two retry clocks (DESIGN, "A run"): a queue's, moved by failed
 * connections, greetings, EHLO and DNS; and each recipient's, moved by 4xx
 * replies. Mail expires here, and only here, after a failed attempt.
 */
#ifndef VMTA_RUN_RETRY_H
#define VMTA_RUN_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "run/queue.h"
#include "spool/batch.h"

struct worker;

/* What went wrong, for records, logs and the queue's state. */
struct retry_cause {
	const char *status; /* `4.4.1` */
	const char *text;   /* a reply with its code, or our own words */
	const char *stage;  /* `connect`, `greeting`, `ehlo`, `dns` */
	const char *host;   /* NULL: none */
	const char *peer;   /* its address as text, NULL: none */
	const char *source; /* source address, NULL: none */
	int code;	    /* reply code, 0: none */
};

/* What is on disk about q's clock, when q is made. */
void retry_load(struct worker *w, struct queue *q);
/* All targets failed: one step on the ladder; expire what is too old. */
void retry_queue_failed(struct worker *w, struct queue *q,
    const struct retry_cause *cause);
/* A target failed and another is left: kept for retry_queue_no_way. */
void retry_remember(struct queue *q, const struct retry_cause *cause);
/* A new round over the targets begins, or one of them works. */
void retry_forget(struct queue *q);
/*
 * The targets that are left cannot be reached from this machine (why): that is
 * no fault of the domain's, but if one of the others has failed, it has. As
 * retry_queue_failed or retry_queue_hold.
 */
void retry_queue_no_way(struct worker *w, struct queue *q, enum queue_block why,
    int64_t ms);
/* Something was delivered: the clock is reset. */
void retry_queue_ok(struct worker *w, struct queue *q);
/* q's clock is due now, here and on disk; its step stays. */
void retry_queue_due(struct worker *w, struct queue *q);
/* A look again in ms without a step on the ladder (local fault, no source). */
void retry_queue_hold(struct worker *w, struct queue *q, enum queue_block why,
    int64_t ms);
/* Wall second of a recipient's next try after `attempts` attempts. */
int64_t retry_rcpt_next(struct worker *w, const struct conf_queue *set,
    unsigned int attempts);
/*
 * The age of a batch, in seconds: since it was queued, or its schedule came;
 * not what the clock was set forward in this run.
 */
int64_t retry_age(struct worker *w, const struct batch_header *h);
/* The last second that a wait which begins now can lead to. */
int64_t retry_last(struct worker *w, const struct conf_queue *set);
/* due, or now when it is further ahead than any ladder leads. Wall seconds. */
int64_t retry_sane(struct worker *w, const struct conf_queue *set, int64_t due);
/* Bounce the queue's mail that is due and at least age ms old. */
void retry_bounce_queue(struct worker *w, struct queue *q,
    const struct retry_cause *cause, int64_t age);

#endif
