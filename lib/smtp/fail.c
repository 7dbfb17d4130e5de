/*
 * How a session ends, and how it says so. Every end comes through
 * smtp_conn_fail: the running transaction first, then the session; after that
 * no event follows.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "smtp/conn_int.h"

const char *
smtp_stage_name(enum smtp_stage stage)
{
	static const char *const names[] = { "connect", "greeting", "ehlo",
		"idle", "mail", "rcpt", "data", "end" };

	return (names[stage]);
}

const char *
smtp_class_name(enum smtp_class cls)
{
	static const char *const names[] = { "delivered", "temporary",
		"permanent", "broken", "ambiguous", "untried" };

	return (names[cls]);
}

/* Where are we? */
static enum smtp_stage
conn_stage(const struct smtp_conn *c)
{
	return (c->txn.active ? c->txn.stage : c->stage);
}

void
smtp_conn_fail(struct smtp_conn *c, const struct smtp_failure *why)
{
	enum smtp_state was = c->state;

	if (was == SMTP_S_DEAD)
		return;
	smtp_conn_trace_note(c, "closed: %s", why->text);
	c->closing = true;
	(void)smtp_conn_drop_unsent(c);
	smtp_conn_close(c);
	if (was == SMTP_S_READY && c->txn.active) {
		smtp_txn_break(&c->txn, why);
		smtp_txn_done(c, false, why);
		if (c->state == SMTP_S_DEAD)
			return; /* the owner has let it go */
	}
	if (was == SMTP_S_QUIT) {
		smtp_conn_is_gone(c);
		return;
	}
	smtp_conn_die(c);
	if (was == SMTP_S_READY)
		c->ev->closed(c->arg, c, why);
	else
		c->ev->failed(c->arg, c, why);
}

/* Fail with a text of our own; subject and detail of a 4.x.y status. */
static void
conn_fail_text(struct smtp_conn *c, struct smtp_failure *why, int subject,
    int detail, const char *text)
{
	why->stage = conn_stage(c);
	why->status = (struct smtp_status) { 4, subject, detail, false };
	why->text = text;
	why->text_len = strlen(text);
	smtp_conn_fail(c, why);
}

void
smtp_conn_fail_protocol(struct smtp_conn *c, const char *what)
{
	struct smtp_failure why = { .protocol = true };

	conn_fail_text(c, &why, 5, 0, what);
}

/* Be polite and go; the answer is not worth a wait. */
static void
conn_say_quit(struct smtp_conn *c)
{
	(void)send(c->fd, "QUIT\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
smtp_conn_fail_reply(struct smtp_conn *c, const struct smtp_reply *r)
{
	struct smtp_failure why = { .stage = conn_stage(c), .code = r->code };
	struct buf text = BUF_INIT;

	if (c->state == SMTP_S_GREET && r->code != 421)
		conn_say_quit(c); /* RFC 5321 3.1: after 554 too */
	smtp_reply_join(r, SMTP_TEXT_MAX, &text);
	why.text = buf_str(&text);
	why.text_len = text.len;
	why.status = smtp_status_of(r->code, why.text, why.text_len);
	smtp_conn_fail(c, &why);
	buf_release(&text);
}

void
smtp_conn_end(struct smtp_conn *c)
{
	struct smtp_failure why = { .blame = SMTP_BLAME_PEER };

	if (!c->closing)
		conn_say_quit(c);
	conn_fail_text(c, &why, 0, 0, "no further message in this session");
}

/* An errno ended it. */
void
smtp_conn_fail_errno(struct smtp_conn *c, enum smtp_blame blame, int errnum,
    const char *what)
{
	struct smtp_failure why = { .blame = blame, .errnum = errnum };
	bool connecting = c->state == SMTP_S_CONNECT;
	char text[256];

	why.timeout = errnum == ETIMEDOUT;
	(void)snprintf(text, sizeof(text), "%s: %s", what, strerror(errnum));
	if (blame != SMTP_BLAME_PEER)
		conn_fail_text(c, &why, 3, 0, text);
	else
		conn_fail_text(c, &why, 4, connecting ? 1 : 2, text);
}

void
smtp_conn_fail_local(struct smtp_conn *c, const char *what)
{
	struct smtp_failure why = { .blame = SMTP_BLAME_LOCAL };

	conn_fail_text(c, &why, 3, 2, what);
}

/* The peer closed. */
void
smtp_conn_fail_eof(struct smtp_conn *c)
{
	struct smtp_failure why = { .blame = SMTP_BLAME_PEER };

	conn_fail_text(c, &why, 4, 2, "connection closed by peer");
}

/* Our patience ended. */
void
smtp_conn_fail_timeout(struct smtp_conn *c)
{
	struct smtp_failure why = { .timeout = true };
	bool unsent = smtp_conn_drop_unsent(c);
	enum smtp_stage stage = conn_stage(c);
	char text[64];

	(void)snprintf(text, sizeof(text), "timed out (%s)",
	    unsent || c->wait == SMTP_W_WRITE ? "sending" :
						smtp_stage_name(stage));
	conn_fail_text(c, &why, 4, stage == SMTP_STAGE_CONNECT ? 1 : 2, text);
}

void
smtp_conn_set_fault(struct smtp_conn *c, enum smtp_blame blame, int errnum,
    const char *what)
{
	c->fault = (struct smtp_fault) { true, blame, errnum, what };
}

/* Tell of the fault; first hear what the peer has said before. */
void
smtp_conn_faulted(struct smtp_conn *c)
{
	struct smtp_fault f = c->fault;

	c->fault.set = false;
	if (f.blame == SMTP_BLAME_PEER && c->state != SMTP_S_CONNECT)
		smtp_conn_read(c);
	smtp_conn_fail_errno(c, f.blame, f.errnum, f.what);
}
