/*
 * Reading: bytes to replies, each reply to the command that it answers.
 *
 * An answer that nobody waits for means that peer and client are out of step:
 * the session ends before it can take an answer for another one.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "smtp/conn_int.h"

#define CONN_READ 16384 /* octets a recv */
#define CONN_READS 8	/* recvs a turn */

size_t
smtp_conn_flights(const struct smtp_conn *c)
{
	return (c->f_end - c->f_head);
}

void
smtp_conn_said(struct smtp_conn *c, enum smtp_verb verb, size_t rcpt, size_t at)
{
	if (smtp_conn_flights(c) == 0) {
		c->f_head = c->f_end = 0;
		c->reply_since = loop_now(c->loop);
	}
	if (c->f_end == c->f_cap) {
		c->f_cap = c->f_cap > 0 ? c->f_cap * 2 : 8;
		c->flight = xreallocarray(c->flight, c->f_cap,
		    sizeof(*c->flight));
	}
	c->flight[c->f_end++] = (struct smtp_flight) { verb, rcpt,
		c->out_gone + (at - c->out_off) };
	if (c->set.log_commands && c->out.len >= at + 2)
		smtp_conn_trace(c, '>', c->out.p + at, c->out.len - at - 2);
}

/* The command that the next reply answers. */
static struct smtp_flight
conn_landed(struct smtp_conn *c)
{
	struct smtp_flight f = c->flight[c->f_head++];

	c->reply_since = loop_now(c->loop);
	if (c->f_head == c->f_end && c->f_cap > 128) {
		free(c->flight);
		c->flight = NULL;
		c->f_head = c->f_end = c->f_cap = 0;
	}
	return (f);
}

bool
smtp_conn_surplus(const struct smtp_conn *c)
{
	size_t n = c->rest_len < 3 ? c->rest_len : 3;

	return (n > 0 && memcmp(c->rest, "421", n) != 0);
}

/*
 * Is a reply here before the next command was sent? Then it is one too many.
 * (Content may be refused before the first octet of it has left.)
 */
static bool
conn_ahead_of_us(const struct smtp_conn *c)
{
	const struct smtp_flight *f = &c->flight[c->f_head];

	return (f->verb != SMTP_V_GREETING && f->verb != SMTP_V_END &&
	    f->begin >= c->out_gone);
}

/* 421: the server closes. Whatever it answered is settled already. */
static void
conn_bye(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_txn *t = &c->txn;

	c->closing = true;
	if (t->active && t->unsettled > 0) {
		t->bye = true;
		t->bye_res = smtp_txn_reply(t, SMTP_TEMPORARY, t->stage, r,
		    &t->bye_text);
		if (t->end_sent && smtp_conn_flights(c) > 0)
			return; /* it may yet say what became of it */
	}
	smtp_conn_fail_reply(c, r);
}

/* Give a reply to the one who waits for it. */
static void
conn_dispatch(struct smtp_conn *c, struct smtp_flight f,
    const struct smtp_reply *r)
{
	switch (f.verb) {
	case SMTP_V_GREETING:
		smtp_on_greeting(c, r);
		break;
	case SMTP_V_EHLO:
		smtp_on_ehlo(c, r);
		break;
	case SMTP_V_HELO:
		smtp_on_helo(c, r);
		break;
	case SMTP_V_MAIL:
		smtp_on_mail(c, r);
		break;
	case SMTP_V_RCPT:
		smtp_on_rcpt(c, f.rcpt, r);
		break;
	case SMTP_V_DATA:
		smtp_on_data(c, r);
		break;
	case SMTP_V_END:
		smtp_on_end(c, r);
		break;
	case SMTP_V_BDAT:
		smtp_on_bdat(c, r);
		break;
	case SMTP_V_RSET:
		smtp_on_rset(c, r);
		break;
	case SMTP_V_QUIT:
		break;
	}
}

/*
 * Is there an answer more than there were commands, so that one of them was
 * not for the command that it seems to be for? Only what is said to the end of
 * data stands nevertheless: nothing follows from it.
 */
static bool
conn_ahead(const struct smtp_conn *c, struct smtp_flight f)
{
	return (f.verb != SMTP_V_END && f.verb != SMTP_V_BDAT &&
	    smtp_conn_flights(c) == 0 && smtp_conn_surplus(c));
}

/* One whole reply. */
static void
conn_reply(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_flight f;

	smtp_conn_trace_reply(c, r);
	if (smtp_conn_flights(c) == 0 || conn_ahead_of_us(c)) {
		if (r->code == 421 && c->state == SMTP_S_READY)
			conn_bye(c, r);
		else if (r->code == 421)
			smtp_conn_fail_reply(c, r);
		else
			smtp_conn_fail_protocol(c,
			    "answer to no command: out of step");
		return;
	}
	f = conn_landed(c);
	if (c->state == SMTP_S_QUIT) {
		if (f.verb == SMTP_V_QUIT)
			smtp_conn_is_gone(c);
		return;
	}
	if (conn_ahead(c, f)) {
		smtp_conn_fail_protocol(c, "more answers than commands");
		return;
	}
	conn_dispatch(c, f, r);
	if (r->code == 421 && c->state == SMTP_S_READY)
		conn_bye(c, r);
	if (c->state == SMTP_S_READY) {
		smtp_txn_next(c);
		smtp_txn_check(c);
	}
}

/* Not a reply: the last code is told, and never believed. */
static void
conn_bad_reply(struct smtp_conn *c, const struct smtp_reply *r)
{
	char text[64];

	if (r->code != 0)
		(void)snprintf(text, sizeof(text), "%s (%d)", r->bad, r->code);
	else
		(void)snprintf(text, sizeof(text), "%s", r->bad);
	smtp_conn_fail_protocol(c, text);
}

/* n bytes came. */
static void
conn_parse(struct smtp_conn *c, const char *p, size_t n)
{
	enum smtp_feed rc;
	size_t used;

	while (n > 0 && c->state != SMTP_S_DEAD) {
		rc = smtp_reply_feed(&c->reply, p, n, &used);
		p += used;
		n -= used;
		c->rest = p;
		c->rest_len = n;
		if (rc == SMTP_FEED_BAD)
			conn_bad_reply(c, &c->reply);
		else if (rc == SMTP_FEED_DONE)
			conn_reply(c, &c->reply);
		else if (smtp_conn_flights(c) == 0)
			smtp_conn_fail_protocol(c,
			    "answer to no command: out of step");
		if (rc != SMTP_FEED_MORE)
			smtp_reply_clear(&c->reply);
	}
	c->rest_len = 0;
}

/* Read what has come. */
void
smtp_conn_read(struct smtp_conn *c)
{
	char in[CONN_READ];
	ssize_t n;
	int i;

	for (i = 0; i < CONN_READS && c->state != SMTP_S_DEAD; i++) {
		n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);
		if (n > 0)
			conn_parse(c, in, (size_t)n);
		else if (n == 0)
			smtp_conn_fail_eof(c);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			smtp_conn_fail_errno(c, SMTP_BLAME_PEER, errno,
			    "connection lost");
		if (n > 0 && (size_t)n < sizeof(in))
			return;
	}
}
