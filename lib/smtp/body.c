/*
 * Everything that is written to the socket: first the commands in out, then
 * content. The last SMTP_TAIL octets of a content are its tail; it goes with
 * the end of data in one call, and only after may_end has agreed, so that the
 * end of data never leaves before its result has a place in the journal. What
 * is before the tail goes by sendfile. A short message is one sendmsg,
 * commands included.
 *
 * Dot-stuffing (RFC 5321 4.5.2) is only done for content that has lines with
 * a leading dot, and only for DATA: then the content goes through out.
 *
 * Never blocks, and never waits for the peer to read before reading what it
 * says. A content that is shorter than its size is a local fault: the
 * session is dropped, for it cannot be completed.
 */
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "smtp/conn_int.h"

#define BODY_TURN INT64_C(1048576) /* octets, then others have a turn */
#define BODY_CHUNK 32768	   /* content read at a time for stuffing */

static char body_dot[] = ".\r\n";

void
smtp_body_begin(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;
	size_t at = c->out.len;

	if (t->bdat)
		buf_addf(&c->out, "BDAT %" PRId64 " LAST\r\n", t->m->size);
	smtp_conn_said(c, t->bdat ? SMTP_V_BDAT : SMTP_V_END, 0, at);
	t->body = SMTP_BODY_SENDING;
	t->body_started = loop_now(c->loop);
}

bool
smtp_body_busy(const struct smtp_conn *c)
{
	return (c->txn.body == SMTP_BODY_SENDING ||
	    c->txn.body == SMTP_BODY_QUEUED);
}

/* The errors that the network makes; others (ENOMEM, EIO) are our own. */
static bool
body_errno_is_peer(int errnum)
{
	static const int peer[] = { EPIPE, ECONNRESET, ECONNABORTED,
		ECONNREFUSED, ENOTCONN, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH,
		EHOSTDOWN, ENETRESET, EPROTO };
	size_t i;

	for (i = 0; i < sizeof(peer) / sizeof(peer[0]); i++)
		if (errnum == peer[i])
			return (true);
	return (false);
}

/* A write failed: 1 when the socket is just full, 0 to repeat, -1. */
static int
body_write_failed(struct smtp_conn *c)
{
	if (errno == EINTR)
		return (0);
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return (1);
	if (body_errno_is_peer(errno))
		smtp_conn_set_fault(c, SMTP_BLAME_PEER, errno,
		    "connection lost");
	else
		smtp_conn_set_fault(c, SMTP_BLAME_LOCAL, errno, "send");
	return (-1);
}

/* n octets left out: forget them; gives a big buffer back. */
static void
out_sent(struct smtp_conn *c, size_t n)
{
	c->out_off += n;
	c->out_gone += n;
	c->wrote = true;
	if (c->out_off < c->out.len)
		return;
	c->out_off = 0;
	if (c->out.cap > 2048)
		buf_release(&c->out);
	else
		buf_clear(&c->out);
}

/* Write what waits in out; more: content follows at once. As flush. */
static int
out_flush(struct smtp_conn *c, bool more)
{
	ssize_t n;
	int rc;

	while (c->out_off < c->out.len) {
		n = send(c->fd, c->out.p + c->out_off, c->out.len - c->out_off,
		    MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
		if (n >= 0)
			out_sent(c, (size_t)n);
		else if ((rc = body_write_failed(c)) != 0)
			return (rc);
	}
	return (0);
}

/* The content could not be read. */
static int
body_unreadable(struct smtp_conn *c, int errnum)
{
	smtp_conn_set_fault(c, SMTP_BLAME_LOCAL, errnum,
	    "content cannot be read");
	return (-1);
}

/* n octets of content at pos, in memory or read into the scratch; or NULL. */
static const char *
body_peek(struct smtp_conn *c, size_t n)
{
	const struct smtp_message *m = c->txn.m;
	char *scratch = loop_scratch(c->loop);
	ssize_t got;

	if (m->mem != NULL)
		return (m->mem + c->txn.pos);
	got = sys_pread_all(c->sys, m->fd, scratch, n, m->off + c->txn.pos);
	if (got != (ssize_t)n) {
		(void)body_unreadable(c, got < 0 ? errno : EIO);
		return (NULL);
	}
	return (scratch);
}

/* n octets of content, at p, were taken. */
static void
body_took(struct smtp_conn *c, const char *p, size_t n)
{
	const char *end = p + n, *lf;

	c->txn.pos += (int64_t)n;
	c->wrote = c->wrote || n > 0;
	if (!c->set.log_data)
		return;
	for (; p < end; p = lf + 1) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL)
			lf = end;
		n = (size_t)(lf - p);
		smtp_conn_trace(c, '+', p,
		    n > 0 && p[n - 1] == '\r' ? n - 1 : n);
	}
}

/* Append n octets to out, a dot before each that begins a line with one. */
static void
body_stuff(struct smtp_conn *c, const char *p, size_t n)
{
	struct smtp_txn *t = &c->txn;
	const char *end = p + n, *lf;

	while (p < end) {
		if (t->bol && *p == '.')
			buf_addc(&c->out, '.');
		lf = memchr(p, '\n', (size_t)(end - p));
		t->bol = lf != NULL;
		lf = lf != NULL ? lf + 1 : end;
		buf_add(&c->out, p, (size_t)(lf - p));
		p = lf;
	}
}

/* Take n octets of content through out, stuffed. */
static int
body_stuffed(struct smtp_conn *c, size_t n)
{
	const char *p = body_peek(c, n);

	if (p == NULL)
		return (-1);
	body_stuff(c, p, n);
	body_took(c, p, n);
	return (0);
}

/* Send up to n octets by sendfile; octets, or -1 with errno. */
static ssize_t
body_sendfile(struct smtp_conn *c, size_t n)
{
	const struct smtp_message *m = c->txn.m;
	off_t off = m->off + c->txn.pos;

	return (sendfile(c->fd, m->fd, &off, n));
}

/* Send up to n octets that are not the tail. As flush. */
static int
body_bulk(struct smtp_conn *c, size_t n)
{
	const struct smtp_message *m = c->txn.m;
	const char *p = NULL;
	ssize_t got;
	int rc;

	rc = out_flush(c, true);
	if (rc != 0)
		return (rc);
	if (m->dots > 0 && !c->txn.bdat)
		return (body_stuffed(c, n < BODY_CHUNK ? n : BODY_CHUNK));
	if (m->mem == NULL && !c->set.log_data)
		got = body_sendfile(c, n);
	else {
		n = n < LOOP_SCRATCH ? n : LOOP_SCRATCH;
		p = body_peek(c, n);
		if (p == NULL)
			return (-1);
		got = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (got == 0)
		return (body_unreadable(c, EIO)); /* the file was cut */
	if (got < 0)
		return (body_write_failed(c));
	body_took(c, p, (size_t)got);
	return (0);
}

/* Send commands, tail and final dot (n_dot 0: none) in one call. */
static int
body_send_tail(struct smtp_conn *c, const char *p, size_t n, size_t n_dot)
{
	union {
		const char *in;
		void *out;
	} data = { .in = p }; /* an iovec has no const */
	size_t n_out = c->out.len - c->out_off, left;
	struct iovec iov[3] = {
		{ n_out > 0 ? c->out.p + c->out_off : NULL, n_out },
		{ data.out, n },
		{ body_dot, n_dot },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	ssize_t got;

	got = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (got < 0)
		return (body_write_failed(c));
	left = (size_t)got;
	if (left < n_out) {
		out_sent(c, left);
		return (1);
	}
	out_sent(c, n_out);
	left -= n_out;
	body_took(c, p, left < n ? left : n);
	if (left < n)
		return (1);
	buf_add(&c->out, body_dot + (left - n), n_dot - (left - n));
	c->txn.body = SMTP_BODY_QUEUED;
	return (0);
}

/* The last n octets of content, and the end of data. As flush. */
static int
body_tail(struct smtp_conn *c, size_t n)
{
	struct smtp_txn *t = &c->txn;
	const char *p;

	if (t->m->dots > 0 && !t->bdat) {
		if (body_stuffed(c, n) != 0)
			return (-1);
		buf_adds(&c->out, body_dot);
		t->body = SMTP_BODY_QUEUED;
		return (0);
	}
	p = body_peek(c, n);
	if (p == NULL)
		return (-1);
	return (body_send_tail(c, p, n, t->bdat ? 0 : strlen(body_dot)));
}

/* May the tail go? Asks the owner once; none is asked for nobody. */
static bool
body_may_end(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;

	if (!t->asked && t->unsettled > 0) {
		t->asked = true;
		if (c->ev->may_end(c->arg, c, t->unsettled))
			t->granted = true; /* or resumed in it */
	}
	return (t->granted || t->unsettled == 0);
}

/* The end of data is with the kernel. */
static void
body_ended(struct smtp_conn *c)
{
	c->txn.body = SMTP_BODY_SENT;
	c->txn.end_sent = true;
	c->txn.stage = SMTP_STAGE_END;
	c->reply_since = loop_now(c->loop);
}

/* How much of n octets is sent at a time. */
static size_t
body_portion(int64_t n)
{
	return ((size_t)(n < BODY_TURN ? n : BODY_TURN));
}

int
smtp_body_flush(struct smtp_conn *c)
{
	struct smtp_txn *t = &c->txn;
	int64_t until = t->pos + BODY_TURN;
	int rc = 0;

	while (t->body == SMTP_BODY_SENDING && rc == 0) {
		int64_t left = t->m->size - t->pos;

		if (left > SMTP_TAIL && t->pos >= until)
			return (1);
		if (left > SMTP_TAIL)
			rc = body_bulk(c, body_portion(left - SMTP_TAIL));
		else if (body_may_end(c) && c->state != SMTP_S_DEAD)
			rc = body_tail(c, (size_t)left);
		else
			break;
	}
	if (rc == 0 && c->state != SMTP_S_DEAD)
		rc = out_flush(c, false);
	if (rc == 0 && t->body == SMTP_BODY_QUEUED)
		body_ended(c);
	return (rc);
}
