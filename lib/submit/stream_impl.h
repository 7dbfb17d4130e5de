/* Inside of streams: for stream.c, stream_merge.c and stream_mbox.c only. */
#ifndef VMTA_SUBMIT_STREAM_IMPL_H
#define VMTA_SUBMIT_STREAM_IMPL_H

#include "mail/bsmtp.h"
#include "mail/mbox.h"
#include "submit/stream.h"
#include "submit/xmrg.h"

struct submit_stream {
	struct submit *s;
	struct submit_stream_opts opts;
	struct bsmtp *bsmtp; /* one of them */
	struct mbox *mbox;
	uint64_t rejected;
	uint64_t taken; /* messages that were accepted */
	/* all or nothing: a merge that waits for the end; NULL: none */
	struct submit_xmrg *merge;
	/* mbox: the message that is being read */
	bool dead;     /* it is refused */
	uint64_t line; /* of its From_ line */
	struct addr sender;
	bool has_sender;
};

/* Say that something was refused. */
void stream_reject(struct submit_stream *st, uint64_t line, const char *why);

/* stream_merge.c: a transaction that is a merge. 0 or -1. */
int stream_merge(struct submit_stream *st, struct bsmtp_txn *txn,
    struct verr *err);

/* stream_mbox.c: the reader of an mbox. */
struct mbox *stream_mbox(struct submit_stream *st);

#endif
