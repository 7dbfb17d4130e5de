/*
 * A session's life: reading, matching answers to commands, timers, and the
 * functions of conn.h.
 *
 * Events of the loop enter by conn_io and conn_on_timer. While one runs, busy
 * is above 0 and nothing is freed; an event of the owner may call any public
 * function. Those functions only write (and may ask may_end); whatever they
 * find broken is told from the next turn of the loop.
 *
 * One timer serves all waits. A reply has one limit, from the wait for its
 * first octet to its last line, however many octets come meanwhile. In one
 * flight the answers may all come after the content was handled, so then each
 * of them has the time of the last.
 *
 * A timer that fires late (a stopped process, a busy machine) must not break
 * a session whose answer is there: the socket is looked at once more.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "smtp/conn_int.h"

void
smtp_settings_init(struct smtp_settings *set)
{
	*set = (struct smtp_settings) {
		.connect = 120000,
		.greeting = 300000,
		.command = 300000,
		.data_send = 180000,
		.data_end = 600000,
		.message = 0,
		.quit = 5000,
	};
}

/* Free it, when no event runs any more. */
static void
conn_leave(struct smtp_conn *c)
{
	if (c->state != SMTP_S_DEAD || c->busy > 0)
		return;
	if (c->txn.active)
		smtp_txn_release(&c->txn);
	loop_timer_free(c->timer);
	smtp_reply_release(&c->reply);
	buf_release(&c->out);
	free(c->flight);
	free(c->host);
	free(c->ehlo);
	free(c);
}

bool
smtp_conn_drop_unsent(struct smtp_conn *c)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int unsent = 0;

	if (c->fd < 0 || ioctl(c->fd, SIOCOUTQNSD, &unsent) != 0 ||
	    unsent <= 0 ||
	    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) !=
		0)
		return (false);
	if (c->txn.active && c->txn.end_sent) {
		c->txn.end_sent = false;
		c->txn.stage = SMTP_STAGE_DATA;
	}
	return (true);
}

/* Close the socket. */
void
smtp_conn_close(struct smtp_conn *c)
{
	(void)smtp_conn_drop_unsent(c);
	loop_io_free(c->io);
	c->io = NULL;
	if (c->fd >= 0)
		(void)c->sys->close(c->sys, c->fd);
	c->fd = -1;
}

/* No event comes after this. */
void
smtp_conn_die(struct smtp_conn *c)
{
	smtp_conn_close(c);
	loop_timer_stop(c->timer);
	c->state = SMTP_S_DEAD;
}

void
smtp_conn_is_gone(struct smtp_conn *c)
{
	smtp_conn_die(c);
	if (c->ev->gone != NULL)
		c->ev->gone(c->arg);
}

/* Set the timer for ms from now. */
static void
conn_wait(struct smtp_conn *c, enum smtp_wait wait, int64_t ms)
{
	c->wait = wait;
	loop_timer_set(c->timer, ms > 0 ? ms : 0);
}

/* Milliseconds left for the reply that comes next. */
static int64_t
conn_reply_time(const struct smtp_conn *c)
{
	enum smtp_verb verb = c->flight[c->f_head].verb;
	int64_t whole;

	if (verb == SMTP_V_GREETING)
		whole = c->set.greeting;
	else if (verb == SMTP_V_END || c->txn.end_sent)
		whole = c->set.data_end;
	else
		whole = c->set.command;
	return (whole - (loop_now(c->loop) - c->reply_since));
}

/* Milliseconds until the socket must have taken something. */
static int64_t
conn_write_time(const struct smtp_conn *c)
{
	int64_t left;

	if (c->set.message <= 0 || !smtp_body_busy(c))
		return (c->set.data_send);
	left = c->set.message - (loop_now(c->loop) - c->txn.body_started);
	return (left < c->set.data_send ? left : c->set.data_send);
}

/* Set timer and descriptor for what is waited for now. */
static void
conn_arm(struct smtp_conn *c)
{
	size_t awaited = smtp_conn_flights(c);

	if (c->state == SMTP_S_DEAD || c->state == SMTP_S_CONNECT)
		return;
	loop_io_want(c->io, true, c->blocked);
	if (c->state == SMTP_S_QUIT || c->wait == SMTP_W_KICK)
		return;
	if (smtp_body_busy(c) && awaited > 0)
		awaited--; /* its answer is not due yet */
	if (c->blocked) {
		if (c->wrote || c->wait != SMTP_W_WRITE)
			conn_wait(c, SMTP_W_WRITE, conn_write_time(c));
	} else if (awaited > 0) {
		if (c->wait == SMTP_W_WRITE) /* only now the peer has it all */
			c->reply_since = loop_now(c->loop);
		conn_wait(c, SMTP_W_REPLY, conn_reply_time(c));
	} else if (c->wait != SMTP_W_NONE) {
		c->wait = SMTP_W_NONE;
		loop_timer_stop(c->timer);
	}
	c->wrote = false;
}

/* Write, and go on with what that makes possible. */
static void
conn_work(struct smtp_conn *c)
{
	int rc;

	do {
		c->again = false;
		if (c->state == SMTP_S_DEAD)
			return;
		rc = smtp_body_flush(c);
		c->blocked = rc > 0;
		if (rc < 0)
			smtp_conn_faulted(c);
		else if (c->state == SMTP_S_READY)
			smtp_txn_check(c);
	} while (c->again);
	conn_arm(c);
}

/* Write, outside an event: what must be told waits for the next turn. */
static void
conn_push(struct smtp_conn *c)
{
	int rc;

	c->again = true;
	if (c->busy > 0)
		return;
	c->busy++;
	rc = smtp_body_flush(c);
	c->blocked = rc > 0;
	if (c->state != SMTP_S_DEAD &&
	    (rc < 0 || (c->txn.active && c->txn.unsettled == 0)))
		conn_wait(c, SMTP_W_KICK, 0);
	conn_arm(c);
	c->busy--;
	conn_leave(c);
}

/* The connection stands: now the server speaks. */
static void
conn_connected(struct smtp_conn *c)
{
	smtp_conn_trace_note(c, "connected");
	smtp_greet_begin(c);
	conn_arm(c);
}

/* The socket is ready for something. */
static void
conn_io(void *arg, bool readable, bool writable)
{
	struct smtp_conn *c = arg;
	int errnum;

	(void)writable;
	c->busy++;
	if (c->state == SMTP_S_CONNECT) {
		errnum = smtp_connect_result(c);
		if (errnum == 0)
			conn_connected(c);
		else
			smtp_conn_fail_errno(c, SMTP_BLAME_PEER, errnum,
			    "connect");
	} else {
		if (readable)
			smtp_conn_read(c);
		conn_work(c);
	}
	c->busy--;
	conn_leave(c);
}

/* Has the peer said something, or closed, that no event has told of yet? */
static bool
conn_stirred(const struct smtp_conn *c)
{
	char byte;

	return (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	    (errno != EAGAIN && errno != EWOULDBLOCK));
}

/* Too late, unless the answer has come meanwhile. */
static void
conn_late_reply(struct smtp_conn *c)
{
	if (!conn_stirred(c)) {
		smtp_conn_fail_timeout(c);
		return;
	}
	smtp_conn_read(c);
	conn_work(c);
}

/* Too late, unless the socket takes something now. */
static void
conn_late_write(struct smtp_conn *c)
{
	if (conn_write_time(c) > 0)
		conn_work(c);
	if (c->wait == SMTP_W_WRITE && !loop_timer_active(c->timer))
		smtp_conn_fail_timeout(c);
}

/* There is work from outside an event. */
static void
conn_kicked(struct smtp_conn *c)
{
	c->wait = SMTP_W_NONE;
	if (c->fault.set)
		smtp_conn_faulted(c);
	conn_work(c);
}

/* The timer. */
static void
conn_on_timer(void *arg)
{
	struct smtp_conn *c = arg;

	c->busy++;
	if (c->wait == SMTP_W_KICK)
		conn_kicked(c);
	else if (c->wait == SMTP_W_REPLY)
		conn_late_reply(c);
	else if (c->wait == SMTP_W_WRITE)
		conn_late_write(c);
	else
		smtp_conn_fail_timeout(c);
	c->busy--;
	conn_leave(c);
}

/* Watch the socket; a kernel that refuses is a local fault. */
static int
conn_watch(struct smtp_conn *c, bool connected)
{
	c->io = loop_io_new(c->loop, c->fd, conn_io, c);
	if (c->io == NULL) {
		smtp_conn_set_fault(c, SMTP_BLAME_LOCAL, errno, "poll");
		return (-1);
	}
	loop_io_want(c->io, connected, !connected);
	return (0);
}

struct smtp_conn *
smtp_conn_new(struct loop *loop, struct sys *sys,
    const struct smtp_target *target, const struct smtp_source *source,
    const struct smtp_settings *set, const struct smtp_events *ev, void *arg)
{
	struct smtp_conn *c = xcalloc(1, sizeof(*c));
	bool now = false;

	c->loop = loop;
	c->sys = sys;
	c->ev = ev;
	c->arg = arg;
	c->set = *set;
	c->fd = -1;
	c->target = *target;
	c->target.host = c->host = xstrdup(target->host);
	c->source = *source;
	c->source.ehlo = c->ehlo = xstrdup(source->ehlo);
	smtp_reply_init(&c->reply);
	c->timer = loop_timer_new(loop, conn_on_timer, c);
	smtp_conn_trace_connect(c);
	if (smtp_connect_begin(c, &now) != 0 || conn_watch(c, now) != 0)
		conn_wait(c, SMTP_W_KICK, 0);
	else if (now)
		conn_connected(c);
	else
		conn_wait(c, SMTP_W_CONNECT, c->set.connect);
	return (c);
}

void
smtp_conn_is_ready(struct smtp_conn *c)
{
	if (c->rest_len > 0) {
		smtp_conn_fail_protocol(c, "server talks out of turn");
		return;
	}
	c->state = SMTP_S_READY;
	c->stage = SMTP_STAGE_IDLE;
	c->ev->ready(c->arg, c);
}

/* Is it ready, in step, and without a transaction? */
static bool
conn_rests(const struct smtp_conn *c)
{
	return (c->state == SMTP_S_READY && !c->txn.active && !c->closing &&
	    c->rest_len == 0);
}

enum smtp_fit
smtp_conn_send(struct smtp_conn *c, const struct smtp_message *m)
{
	enum smtp_fit fit;

	if (!smtp_conn_idle(c) || (c->busy == 0 && conn_stirred(c)))
		return (SMTP_FIT_GONE);
	fit = smtp_caps_check(&c->caps, m);
	if (fit != SMTP_FIT_OK)
		return (fit);
	smtp_txn_start(c, m);
	conn_push(c);
	return (SMTP_FIT_OK);
}

void
smtp_conn_resume(struct smtp_conn *c)
{
	if (!c->txn.active || !c->txn.asked || c->txn.granted)
		return;
	c->txn.granted = true;
	conn_push(c);
}

bool
smtp_conn_quit(struct smtp_conn *c)
{
	size_t at;

	if (c == NULL)
		return (false);
	if (!conn_rests(c)) {
		smtp_conn_abort(c);
		return (false);
	}
	at = c->out.len;
	buf_adds(&c->out, "QUIT\r\n");
	smtp_conn_said(c, SMTP_V_QUIT, 0, at);
	c->state = SMTP_S_QUIT;
	conn_wait(c, SMTP_W_QUIT, c->set.quit);
	conn_push(c);
	return (true);
}

void
smtp_conn_abort(struct smtp_conn *c)
{
	if (c == NULL)
		return;
	if (c->state != SMTP_S_DEAD)
		smtp_conn_die(c);
	conn_leave(c);
}

bool
smtp_conn_awaits(const struct smtp_conn *c)
{
	return (c->txn.active && c->txn.end_sent && c->txn.unsettled > 0);
}

void
smtp_conn_give_up(struct smtp_conn *c)
{
	c->busy++;
	if (c->state == SMTP_S_READY)
		smtp_conn_read(c);
	smtp_conn_fail_local(c, "given up here");
	c->busy--;
	conn_leave(c);
}

const struct smtp_caps *
smtp_conn_caps(const struct smtp_conn *c)
{
	return (&c->caps);
}

size_t
smtp_conn_rcpt_max(const struct smtp_conn *c)
{
	size_t max = SIZE_MAX;

	if (c->caps.rcpt_max > 0)
		max = (size_t)c->caps.rcpt_max;
	if (c->rcpt_learnt > 0 && c->rcpt_learnt < max)
		max = c->rcpt_learnt;
	return (max);
}

size_t
smtp_conn_mail_left(const struct smtp_conn *c)
{
	size_t max = (size_t)c->caps.mail_max;

	if (c->mail_learnt > 0)
		return (0);
	if (c->caps.mail_max == 0)
		return (SIZE_MAX);
	return (c->count < max ? max - c->count : 0);
}

bool
smtp_conn_idle(const struct smtp_conn *c)
{
	return (conn_rests(c) && smtp_conn_mail_left(c) > 0);
}

size_t
smtp_conn_count(const struct smtp_conn *c)
{
	return (c->count);
}

const struct smtp_target *
smtp_conn_target(const struct smtp_conn *c)
{
	return (&c->target);
}

const struct smtp_source *
smtp_conn_source(const struct smtp_conn *c)
{
	return (&c->source);
}

void
smtp_conn_set_owner(struct smtp_conn *c, const struct smtp_events *ev,
    void *arg)
{
	c->ev = ev;
	c->arg = arg;
}
