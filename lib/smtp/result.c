/*
 * What becomes of each recipient of a transaction. A result is settled once
 * and then stands: no later answer changes it. Texts of replies are kept in
 * one buffer a transaction, by offset, since one reply often answers for many
 * recipients.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "smtp/conn_int.h"

enum smtp_class
smtp_class_of(int code)
{
	return (code >= 500 ? SMTP_PERMANENT : SMTP_TEMPORARY);
}

void
smtp_txn_init(struct smtp_txn *t, const struct smtp_message *m)
{
	size_t n = m->n_rcpt;

	memset(t, 0, sizeof(*t));
	t->active = true;
	t->m = m;
	t->res = xcalloc(n, sizeof(*t->res));
	t->rc = xcalloc(n, sizeof(*t->rc));
	t->unsettled = n;
	t->stage = SMTP_STAGE_MAIL;
	t->bol = true;
}

void
smtp_txn_release(struct smtp_txn *t)
{
	free(t->res);
	free(t->rc);
	buf_release(&t->text);
	memset(t, 0, sizeof(*t));
}

size_t
smtp_txn_text(struct smtp_txn *t, const char *p, size_t n)
{
	size_t at = t->text.len;

	buf_add(&t->text, p, n);
	return (at);
}

struct smtp_result
smtp_txn_reply(struct smtp_txn *t, enum smtp_class cls, enum smtp_stage stage,
    const struct smtp_reply *r, size_t *ret_text)
{
	struct smtp_result res = { .cls = cls,
		.stage = stage,
		.code = r->code };

	*ret_text = t->text.len;
	smtp_reply_join(r, SMTP_TEXT_MAX, &t->text);
	res.text_len = t->text.len - *ret_text;
	res.status = smtp_status_of(r->code, buf_str(&t->text) + *ret_text,
	    res.text_len);
	return (res);
}

void
smtp_txn_settle(struct smtp_txn *t, size_t i, const struct smtp_result *res,
    size_t text)
{
	if (t->rc[i].settled)
		return;
	t->rc[i].settled = true;
	t->rc[i].text = text;
	t->res[i] = *res;
	t->unsettled--;
}

void
smtp_txn_settle_all(struct smtp_txn *t, const struct smtp_result *res,
    size_t text)
{
	size_t i;

	for (i = 0; i < t->m->n_rcpt && t->unsettled > 0; i++)
		smtp_txn_settle(t, i, res, text);
}

/*
 * The answers are not those to our commands, and no 354 says since when: what
 * the peer said about a recipient may be meant for another one.
 */
static void
txn_doubt(struct smtp_txn *t)
{
	size_t i;

	for (i = 0; i < t->m->n_rcpt; i++) {
		if (!t->rc[i].settled || t->res[i].code == 0 ||
		    t->res[i].stage != SMTP_STAGE_RCPT)
			continue;
		t->rc[i].settled = false;
		t->unsettled++;
	}
}

void
smtp_txn_break(struct smtp_txn *t, const struct smtp_failure *why)
{
	struct smtp_result res = { .stage = t->stage,
		.code = why->code,
		.status = why->status };

	if (why->protocol && !t->in_step)
		txn_doubt(t);
	if (t->unsettled == 0)
		return;
	if (t->bye) {
		smtp_txn_settle_all(t, &t->bye_res, t->bye_text);
		return;
	}
	res.text_len = why->text_len;
	if (t->end_sent)
		res.cls = SMTP_AMBIGUOUS;
	else if (t->untried || (t->reused && !t->answered && !why->timeout))
		res.cls = SMTP_UNTRIED; /* also: closed while it was idle */
	else
		res.cls = SMTP_BROKEN;
	smtp_txn_settle_all(t, &res,
	    smtp_txn_text(t, why->text, why->text_len));
}

void
smtp_txn_done(struct smtp_conn *c, bool usable, const struct smtp_failure *why)
{
	struct smtp_txn t = c->txn;
	struct smtp_outcome out = {
		.rcpt = t.res,
		.n_rcpt = t.m->n_rcpt,
		.usable = usable,
		.answered = t.answered,
		.reused = t.reused,
		.end_sent = t.end_sent,
		.bdat = t.bdat,
		.chunking_broken = t.chunking_broken,
		.too_many_rcpts = t.too_many,
		.sent = t.pos,
		.ms = loop_now(c->loop) - t.started,
		.failure = why,
	};
	size_t i;

	for (i = 0; i < out.n_rcpt; i++)
		t.res[i].text = buf_str(&t.text) + t.rc[i].text;
	memset(&c->txn, 0, sizeof(c->txn));
	c->ev->done(c->arg, c, &out);
	smtp_txn_release(&t);
}
