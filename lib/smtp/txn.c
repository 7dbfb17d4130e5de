/*
 * A transaction (RFC 5321 3.3, 2920, 3030). Three ways, by what the peer
 * offers:
 *
 *	one flight   MAIL, RCPT..., BDAT n LAST and the content at once: one
 *		     round trip (PIPELINING, CHUNKING, and the owner's wish)
 *	pipelined    MAIL, RCPT..., DATA at once, content after 354; or with
 *		     CHUNKING: MAIL, RCPT..., then BDAT
 *	step by step each command after the answer to the one before
 *
 * Each answer is matched to its command by the queue of flights. When MAIL
 * or all RCPT are refused, what is already in flight is still answered and
 * read; a 354 then gets a lone dot, and its 250 delivers to nobody.
 *
 * Never lost: nobody is delivered but by a 2xx to the end of data while his
 * RCPT was accepted. After the end of data was sent, a recipient without a
 * final answer is ambiguous, never failed.
 */
#include <string.h>

#include "smtp/conn_int.h"

/* May several commands be in flight? */
static bool
txn_pipelined(const struct smtp_conn *c)
{
	return ((c->caps.ext & SMTP_EXT_PIPELINING) != 0);
}

/* Recipients that are refused here: never said to the peer. */
static void
txn_check_rcpts(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;
	size_t i, max = smtp_conn_rcpt_max(c), good = 0;

	for (i = 0; i < t->m->n_rcpt; i++) {
		struct smtp_result res = { .stage = SMTP_STAGE_RCPT };
		enum smtp_fit fit;
		const char *text;

		fit = smtp_caps_check_rcpt(&c->caps, &t->m->rcpt[i]);
		res.status = smtp_fit_status(fit, &text);
		if (fit != SMTP_FIT_OK)
			res.cls = SMTP_PERMANENT;
		else if (++good > max) {
			res.cls = SMTP_UNTRIED;
			text = "the host takes no more recipients at once";
		} else
			continue;
		res.text_len = strlen(text);
		smtp_txn_settle(t, i, &res,
		    smtp_txn_text(t, text, res.text_len));
	}
}

void
smtp_txn_start(struct smtp_conn *c, const struct smtp_message *m)
{
	struct smtp_txn *t = &c->txn;

	smtp_txn_init(t, m);
	t->reused = c->count++ > 0;
	t->started = loop_now(c->loop);
	t->bdat = (c->caps.ext & SMTP_EXT_CHUNKING) != 0;
	t->ahead = m->body_ahead && t->bdat && txn_pipelined(c) &&
	    smtp_conn_flights(c) == 0;
	txn_check_rcpts(c);
	smtp_txn_next(c);
}

static void
txn_say_mail(struct smtp_conn *c)
{
	size_t at = c->out.len;

	smtp_message_mail(&c->caps, c->txn.m, &c->out);
	c->txn.mail_said = true;
	smtp_conn_said(c, SMTP_V_MAIL, 0, at);
}

/* Say the next RCPT; false: there is none left. */
static bool
txn_say_rcpt(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;
	size_t at = c->out.len, i;

	while (t->next < t->m->n_rcpt && t->rc[t->next].settled)
		t->next++;
	if (t->next == t->m->n_rcpt)
		return (false);
	i = t->next++;
	smtp_message_rcpt(&c->caps, &t->m->rcpt[i], &c->out);
	t->rcpt_wait++;
	smtp_conn_said(c, SMTP_V_RCPT, i, at);
	return (true);
}

/* All RCPT were said: begin the data, as soon as it may begin. */
static void
txn_say_data(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;
	bool answered = t->mail_ok && t->rcpt_wait == 0;
	size_t at = c->out.len;

	if (t->data_said || (answered && t->accepted == 0))
		return;
	if (t->bdat && (t->ahead || answered)) {
		t->data_said = true;
		smtp_body_begin(c);
	} else if (!t->bdat && (txn_pipelined(c) || answered)) {
		t->data_said = true;
		buf_adds(&c->out, "DATA\r\n");
		smtp_conn_said(c, SMTP_V_DATA, 0, at);
	}
}

void
smtp_txn_next(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;

	while (t->active && t->unsettled > 0 && !c->closing) {
		if (!txn_pipelined(c) && smtp_conn_flights(c) > 0)
			return;
		if (!t->mail_said)
			txn_say_mail(c);
		else if (!txn_say_rcpt(c)) {
			txn_say_data(c);
			return;
		}
	}
}

/* The server may still hold a transaction: leave it. */
static void
txn_say_rset(struct smtp_conn *c)
{
	size_t at = c->out.len;

	buf_adds(&c->out, "RSET\r\n");
	smtp_conn_said(c, SMTP_V_RSET, 0, at);
	c->again = true;
}

void
smtp_txn_check(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;
	bool usable;

	if (!t->active || t->unsettled > 0 || smtp_conn_flights(c) > 0 ||
	    smtp_body_busy(c))
		return;
	usable = !c->closing && c->rest_len == 0 && smtp_conn_mail_left(c) > 0;
	if (usable && t->mail_ok && !t->ended)
		txn_say_rset(c);
	smtp_txn_done(c, usable, NULL);
	if (!usable && c->state == SMTP_S_READY && c->rest_len == 0)
		smtp_conn_end(c);
}

/* One answer for all that are not finished. */
static void
txn_all(struct smtp_conn *c, enum smtp_class cls, enum smtp_stage stage,
    const struct smtp_reply *r)
{
	struct smtp_result res;
	size_t text;

	res = smtp_txn_reply(&c->txn, cls, stage, r, &text);
	smtp_txn_settle_all(&c->txn, &res, text);
}

void
smtp_on_mail(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;

	t->answered = true;
	if (!t->end_sent)
		t->stage = SMTP_STAGE_RCPT;
	if (r->code / 100 == 2)
		t->mail_ok = true;
	else if (r->code / 100 == 3)
		smtp_conn_fail_protocol(c, "3xx answer to MAIL");
	else if (r->code == 421 && t->reused)
		txn_all(c, SMTP_UNTRIED, SMTP_STAGE_MAIL, r);
	else
		txn_all(c, smtp_class_of(r->code), SMTP_STAGE_MAIL, r);
}

/*
 * RFC 5321 4.5.3.1.10: 552 to RCPT may mean "too many recipients", unless its
 * enhanced status says something else (5.2.2: the mailbox is full).
 */
static bool
rcpt_552_later(const struct smtp_result *res)
{
	return (!res->status.given ||
	    (res->status.subject == 5 && res->status.detail == 3));
}

/* Does a 452 or 552 to RCPT mean "not in this transaction"? */
static bool
rcpt_too_many(const struct smtp_txn *t, const struct smtp_result *res)
{
	if (res->code != 452 && res->code != 552)
		return (false);
	if (t->accepted == 0)
		return (false);
	return (rcpt_552_later(res));
}

/* RCPT i was refused. */
static void
rcpt_refused(struct smtp_conn *c, size_t i, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;
	struct smtp_result res;
	size_t text;

	res = smtp_txn_reply(t, smtp_class_of(r->code), SMTP_STAGE_RCPT, r,
	    &text);
	if (r->code == 552 && rcpt_552_later(&res)) {
		res.cls = SMTP_TEMPORARY;
		res.status.cls = 4;
	}
	if (rcpt_too_many(t, &res)) {
		res.cls = SMTP_UNTRIED;
		t->too_many = true;
		c->rcpt_learnt = t->accepted;
	}
	smtp_txn_settle(t, i, &res, text);
}

void
smtp_on_rcpt(struct smtp_conn *c, size_t i, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;

	if (--t->rcpt_wait == 0 && t->next == t->m->n_rcpt && !t->end_sent)
		t->stage = SMTP_STAGE_DATA;
	if (t->rc[i].settled)
		return;
	if (r->code / 100 == 2) {
		t->rc[i].accepted = true;
		t->accepted++;
	} else if (r->code / 100 == 3)
		smtp_conn_fail_protocol(c, "3xx answer to RCPT");
	else
		rcpt_refused(c, i, r);
}

/* 354 came, and there is nobody to send to (RFC 2920 3.1). */
static void
data_for_nobody(struct smtp_conn *c)
{
	size_t at = c->out.len;

	buf_adds(&c->out, ".\r\n");
	smtp_conn_said(c, SMTP_V_END, 0, at);
}

void
smtp_on_data(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;

	t->in_step = r->code / 100 == 3;
	if (r->code / 100 == 3 && t->unsettled > 0)
		smtp_body_begin(c);
	else if (r->code / 100 == 3)
		data_for_nobody(c);
	else if (r->code / 100 != 2)
		txn_all(c, smtp_class_of(r->code), SMTP_STAGE_DATA, r);
	else
		smtp_conn_fail_protocol(c, "2xx answer to DATA");
}

/* 2xx to the end of data. */
static void
end_accepted(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;

	if (t->unsettled == 0)
		return;
	if (smtp_body_busy(c)) {
		smtp_conn_fail_protocol(c, "2xx answer before end of data");
		return;
	}
	/*
	 * In one flight there is no 354 to keep us in step: with one reply
	 * too many, this one may have been meant for a RCPT.
	 */
	if (t->ahead && c->rest_len > 0 && smtp_conn_surplus(c)) {
		smtp_conn_fail_protocol(c, "more answers than commands");
		return;
	}
	txn_all(c, SMTP_DELIVERED, SMTP_STAGE_END, r);
}

/* 4xx or 5xx to the end of data, or to data that is still being sent. */
static void
end_refused(struct smtp_conn *c, const struct smtp_reply *r)
{
	txn_all(c, smtp_class_of(r->code),
	    c->txn.end_sent ? SMTP_STAGE_END : SMTP_STAGE_DATA, r);
}

void
smtp_on_end(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;

	t->ended = true;
	if (r->code / 100 == 2)
		end_accepted(c, r);
	else if (r->code / 100 == 3)
		smtp_conn_fail_protocol(c, "3xx answer to end of data");
	else
		end_refused(c, r);
	if (t->active && smtp_body_busy(c)) {
		/* refused in mid-content: no use to send the rest */
		t->body = SMTP_BODY_NONE;
		c->closing = true;
	}
}

/* A peer that offers BDAT and does not know it: DATA shall be used. */
static bool
bdat_unknown(const struct smtp_txn *t, int code)
{
	return (code >= 500 && code <= 504 && t->accepted > 0 &&
	    t->unsettled > 0);
}

void
smtp_on_bdat(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;

	if (r->code / 100 == 2) {
		t->ended = true;
		end_accepted(c, r);
	} else if (r->code / 100 == 3)
		smtp_conn_fail_protocol(c, "3xx answer to BDAT");
	else if (bdat_unknown(t, r->code)) {
		t->chunking_broken = true;
		t->body = SMTP_BODY_NONE;
		c->closing = true; /* it may read content as commands */
		txn_all(c, SMTP_UNTRIED, SMTP_STAGE_END, r);
	} else
		end_refused(c, r);
}

void
smtp_on_rset(struct smtp_conn *c, const struct smtp_reply *r)
{
	if (r->code / 100 == 2)
		return;
	/* The old transaction may be alive: nothing may be added to it. */
	c->txn.untried = true;
	smtp_conn_fail_reply(c, r);
}
