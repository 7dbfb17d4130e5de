/*
 * Streams: many messages in one flow of octets (batch SMTP, an mbox), put into
 * the spool as they come. What is refused is told with its position, and the
 * stream goes on.
 */
#ifndef VMTA_SUBMIT_STREAM_H
#define VMTA_SUBMIT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "submit/submit.h"

struct submit_stream;

struct submit_stream_opts {
	/* An mbox: recipients are those of the header. Else batch SMTP. */
	bool mbox;
	/*
	 * For all messages. In batch SMTP from, envid and ret come with each
	 * transaction; in an mbox from does, where it is NULL here.
	 */
	struct submit_env env;
	size_t max_rcpt; /* of one transaction; 0: as the source's setting */
	/* One commit, or, when anything is refused, nothing. */
	bool all_or_nothing;
	/*
	 * A transaction, or one recipient of it, was refused: line (from 1,
	 * in this file) and one line of text.
	 */
	void (*reject)(void *arg, uint64_t line, const char *why);
	void *arg;
};

/* opts is copied; s must outlive it. Free with submit_stream_free. */
struct submit_stream *submit_stream_new(struct submit *s,
    const struct submit_stream_opts *opts);
void submit_stream_free(struct submit_stream *st); /* NULL is fine */

/* Take the next n octets, cut anywhere. 0; -1: broken off. */
int submit_stream_feed(struct submit_stream *st, const char *p, size_t n,
    struct verr *err);
/* The end of a file: an open transaction is refused. Another may follow. */
int submit_stream_end_file(struct submit_stream *st, struct verr *err);
/* Nothing came for a while: what is waiting goes to the disk. 0 or -1. */
int submit_stream_idle(struct submit_stream *st, struct verr *err);
/* Is something waiting that submit_stream_idle would take? */
bool submit_stream_waiting(const struct submit_stream *st);
/* Forget what is waiting (all or nothing: all of it). */
void submit_stream_drop(struct submit_stream *st);
/* The end: everything is durable then, or, all or nothing, nothing. 0 or -1. */
int submit_stream_finish(struct submit_stream *st, struct verr *err);
/* The input ends before its end: what is accepted becomes durable. 0 or -1. */
int submit_stream_stop(struct submit_stream *st, struct verr *err);
/*
 * What was refused: transactions, and recipients of transactions that were
 * accepted without them.
 */
uint64_t submit_stream_rejected(const struct submit_stream *st);

#endif
