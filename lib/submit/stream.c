/*
 * Batch SMTP into a submission. lib/mail/bsmtp reads it and knows what a
 * transaction is; here each becomes a message, under the rules that hold for
 * single ones. Merges and mboxes are in files of their own.
 *
 * All or nothing: the commits are not cut, and once something is refused what
 * is waiting is dropped, and all that follows as soon as it was looked at, so
 * that every refusal is told.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "submit/stream_impl.h"

void
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
	if (txn) {
		st->rejected++;
		submit_pass(st->s);
	}
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
	env.verp = env.verp || txn->mail.verp;
	if (st->merge != NULL)
		return (verr_set(err, VEX_DATA,
		    "all or nothing: mail beside a mail merge"));
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
	int rc;

	rc = txn->merge != NULL ? stream_merge(st, txn, err) :
				  stream_message(st, txn, err);
	if (rc == 0) {
		st->taken++;
		st->rejected += txn->n_bad;
		if (st->opts.all_or_nothing && st->rejected > 0)
			submit_discard(st->s);
		return (0);
	}
	if (err->code != VEX_DATA || submit_broken(st->s))
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
	if (opts->mbox)
		st->mbox = stream_mbox(st);
	else
		st->bsmtp = bsmtp_new(&o);
	if (opts->all_or_nothing)
		submit_one_commit(s);
	return (st);
}

void
submit_stream_free(struct submit_stream *st)
{
	if (st == NULL)
		return;
	bsmtp_free(st->bsmtp);
	mbox_free(st->mbox);
	submit_xmrg_free(st->merge);
	free(st);
}

int
submit_stream_feed(struct submit_stream *st, const char *p, size_t n,
    struct verr *err)
{
	return (st->mbox != NULL ? mbox_feed(st->mbox, p, n, err) :
				   bsmtp_feed(st->bsmtp, p, n, err));
}

int
submit_stream_end_file(struct submit_stream *st, struct verr *err)
{
	return (st->mbox != NULL ? mbox_end(st->mbox, err) :
				   bsmtp_end(st->bsmtp, err));
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

void
submit_stream_drop(struct submit_stream *st)
{
	submit_discard(st->s);
	submit_xmrg_free(st->merge);
	st->merge = NULL;
}

int
submit_stream_finish(struct submit_stream *st, struct verr *err)
{
	if (st->merge != NULL && st->rejected == 0 &&
	    submit_xmrg_finish(st->merge, err) == -1)
		return (-1);
	return (submit_complete(st->s, err));
}

int
submit_stream_stop(struct submit_stream *st, struct verr *err)
{
	return (submit_finish(st->s, err));
}

uint64_t
submit_stream_rejected(const struct submit_stream *st)
{
	return (st->rejected);
}
