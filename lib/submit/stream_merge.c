/*
 * Merges in batch SMTP. Recipients that cannot be are refused one by one, as
 * in other transactions; what is wrong with all of it refuses it.
 *
 * A merge is a commit of its own. All or nothing is one commit: so such a
 * stream is one merge, or has none. It waits for the end of the stream.
 */
#include "submit/stream_impl.h"

static const char
    alone[] = "all or nothing: a mail merge can only be alone in a stream";

/* The recipients. 0 or -1. */
static int
merge_rcpts(struct submit_stream *st, struct submit_xmrg *m,
    struct bsmtp_txn *txn, struct verr *err)
{
	const struct bsmtp_rcpt *to;
	struct submit_rcpt r;
	size_t i, bad = 0;

	for (i = 0; i < txn->n_rcpt; i++) {
		to = &txn->rcpt[i];
		r = (struct submit_rcpt) { to->smtp, to->domain, to->notify,
			to->orcpt };
		if (submit_xmrg_rcpt(m, &r, err) == 0)
			continue;
		if (err->code != VEX_DATA)
			return (-1);
		stream_reject(st, to->line, err->text);
		bad++;
	}
	txn->n_bad += bad;
	if (bad == txn->n_rcpt)
		return (verr_set(err, VEX_DATA, "no recipient"));
	return (0);
}

int
stream_merge(struct submit_stream *st, struct bsmtp_txn *txn, struct verr *err)
{
	struct submit_env env = st->opts.env;
	struct submit_xmrg *m;
	int rc;

	if (st->opts.all_or_nothing && (st->taken > 0 || st->merge != NULL))
		return (verr_set(err, VEX_DATA, "%s", alone));
	env.from = &txn->from;
	env.envid = txn->mail.envid;
	env.ret = txn->mail.ret;
	env.verp = env.verp || txn->mail.verp;
	m = submit_xmrg_new(st->s, &env, txn->merge);
	rc = submit_xmrg_begin(m, err);
	if (rc == 0)
		rc = merge_rcpts(st, m, txn, err);
	if (rc == 0 && st->opts.all_or_nothing) {
		st->merge = m;
		return (0);
	}
	if (rc == 0)
		rc = submit_xmrg_finish(m, err);
	submit_xmrg_free(m);
	return (rc);
}
