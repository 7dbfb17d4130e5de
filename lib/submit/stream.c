/*
 * Batch SMTP into a submission. lib/mail/bsmtp reads it and knows what a
 * transaction is; here each becomes a message, under the rules that hold for
 * single ones.
 *
 * All or nothing: the commits are not cut, and once something is refused what
 * is waiting is dropped, and all that follows as soon as it was looked at, so
 * that every refusal is told.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "mail/bsmtp.h"
#include "submit/stream.h"

struct submit_stream {
	struct submit *s;
	struct submit_stream_opts opts;
	struct bsmtp *b;
	uint64_t rejected;
};

/* Say that something was refused. */
static void
stream_reject(struct submit_stream *st, uint64_t line, const char *why)
{
	st->opts.reject(st->opts.arg, line, why);
	if (st->opts.all_or_nothing)
		submit_discard(st->s);
}

/* The parser refused a recipient or a transaction. */
static void
stream_refuse(void *arg, bool txn, uint64_t line, const char *why)
{
	struct submit_stream *st = arg;

	/* recipients are counted when the others are accepted */
	if (txn)
		st->rejected++;
	stream_reject(st, line, why);
}

/* All of a transaction into a message. 0 or -1. */
static int
stream_message(struct submit_stream *st, struct bsmtp_txn *txn,
    struct verr *err)
{
	struct submit_env env = st->opts.env;
	struct submit_rcpt r;
	size_t i;

	env.from = &txn->from;
	env.envid = txn->mail.envid;
	env.ret = txn->mail.ret;
	if (submit_begin(st->s, err) == -1 ||
	    submit_data(st->s, buf_str(&txn->data), txn->data.len, err) == -1)
		return (-1);
	for (i = 0; i < txn->n_rcpt; i++) {
		r.smtp = txn->rcpt[i].smtp;
		r.domain = txn->rcpt[i].domain;
		r.notify = txn->rcpt[i].notify;
		r.orcpt = txn->rcpt[i].orcpt;
		if (submit_rcpt(st->s, &r, err) == -1)
			return (-1);
	}
	return (submit_end(st->s, &env, err));
}

/* A transaction is complete. */
static int
stream_done(void *arg, struct bsmtp_txn *txn, struct verr *err)
{
	struct submit_stream *st = arg;

	if (stream_message(st, txn, err) == 0) {
		st->rejected += txn->n_bad;
		if (st->opts.all_or_nothing && st->rejected > 0)
			submit_discard(st->s);
		return (0);
	}
	if (err->code != VEX_DATA)
		return (-1);
	st->rejected++;
	stream_reject(st, txn->line, err->text);
	return (0);
}

struct submit_stream *
submit_stream_new(struct submit *s, const struct submit_stream_opts *opts)
{
	struct submit_stream *st = xcalloc(1, sizeof(*st));
	struct bsmtp_opts o = {
		.max_size = submit_max_size(s),
		.max_rcpt = submit_max_rcpt(s),
		.done = stream_done,
		.refuse = stream_refuse,
		.arg = st,
	};

	if (opts->max_rcpt > 0 &&
	    (o.max_rcpt == 0 || o.max_rcpt > opts->max_rcpt))
		o.max_rcpt = opts->max_rcpt;
	st->s = s;
	st->opts = *opts;
	st->b = bsmtp_new(&o);
	if (opts->all_or_nothing)
		submit_one_commit(s);
	return (st);
}

void
submit_stream_free(struct submit_stream *st)
{
	if (st == NULL)
		return;
	bsmtp_free(st->b);
	free(st);
}

int
submit_stream_feed(struct submit_stream *st, const char *p, size_t n,
    struct verr *err)
{
	return (bsmtp_feed(st->b, p, n, err));
}

int
submit_stream_end_file(struct submit_stream *st, struct verr *err)
{
	return (bsmtp_end(st->b, err));
}

bool
submit_stream_waiting(const struct submit_stream *st)
{
	return (!st->opts.all_or_nothing && submit_waiting(st->s) > 0);
}

int
submit_stream_idle(struct submit_stream *st, struct verr *err)
{
	return (submit_stream_waiting(st) ? submit_flush(st->s, err) : 0);
}

int
submit_stream_finish(struct submit_stream *st, struct verr *err)
{
	return (submit_finish(st->s, err));
}

uint64_t
submit_stream_rejected(const struct submit_stream *st)
{
	return (st->rejected);
}
