/*
 * A scripted peer for the tests of lib/smtp, on the other end of a
 * socketpair that a sys table gives out in place of a TCP connection. It is
 * pumped in turn with the loop, so that the order of events is the script's.
 *
 * A script is a list of steps:
 *	"S:text"	send text
 *	"E:text"	a line must come that begins with text (CRLF ended)
 *	"X:text"	exactly these octets must come
 *	"B:n"		n octets must come (kept in got)
 *	"D:"		octets must come up to CRLF.CRLF (kept in got)
 *	"N:"		nothing may be there, after the client had its turns
 *	"C:"		close
 *	"W:name"	wait until the test calls peer_go
 */
#ifndef VMTA_T_SMTP_PEER_H
#define VMTA_T_SMTP_PEER_H

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/sys.h"
#include "smtp/conn.h"

#define PEER_RCPTS 200

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Parts of scripts; BODY is the content of peer_message. */
#define GREET "S:220 mx ESMTP\r\n", "E:EHLO client.example.net\r\n"
#define PLAIN GREET, "S:250 mx\r\n"
#define PIPE GREET, "S:250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
#define CHUNK GREET, "S:250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define MAIL "MAIL FROM:<s@example.net>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@example.com>\r\n"
#define BODY "Subject: a\r\n\r\nhello\r\n"
#define BDAT "BDAT 21 LAST\r\n" BODY
#define ALL_OK "250 ok\r\n250 ok\r\n250 2.0.0 queued\r\n"
#define FLIGHT "X:" MAIL RCPT(1) BDAT

struct peer_result {
	enum smtp_class cls;
	enum smtp_stage stage;
	int code;
	char status[16];
	char text[256];
	size_t text_len;
};

struct peer_failure {
	enum smtp_stage stage;
	enum smtp_blame blame;
	bool timeout, protocol;
	int errnum, code;
	char status[16];
	char text[256];
};

struct peer {
	struct sys sys; /* first: the table is its peer */
	struct loop *loop;
	struct smtp_conn *c; /* NULL: ended */
	int fd;		     /* the peer's end, -1: closed */
	int client;	     /* fd given to the client */
	const char *const *script;
	size_t step;
	bool bytewise;	 /* the peer sends one octet a turn */
	bool unread;	 /* the peer reads nothing */
	size_t read_max; /* octets that it reads a turn; 0: all */
	int sndbuf;	 /* SO_SNDBUF of the client; 0: as it is */
	size_t sent;	 /* octets of this step sent */
	int quiet;	 /* turns of an N step */
	bool go;
	struct buf in, got;
	/* what is to be done at events */
	struct smtp_settings set;
	const struct smtp_message *queue[8]; /* sent one after the other */
	size_t n_queue, next;
	bool quit_at_end; /* QUIT when the queue is empty */
	bool deny_end;	  /* may_end says false */
	bool abort_in_done, abort_in_may_end, abort_in_ready;
	enum smtp_fit fit; /* of the last send */
	/* what happened */
	int n_ready, n_failed, n_done, n_closed, n_may_end;
	size_t may_end_n;
	struct peer_failure why;
	struct peer_result res[PEER_RCPTS];
	size_t n_res;
	struct smtp_outcome out; /* pointers not valid */
	bool out_failed;
	struct buf trace;
	int err_socket, err_bind, err_connect; /* errno to fail with */
	size_t pread_max;		       /* content cut here; 0: whole */
};

static inline void
peer_copy_text(char *to, size_t n, const char *p, size_t len)
{
	if (len >= n)
		len = n - 1;
	memcpy(to, p, len);
	to[len] = '\0';
}

static inline void
peer_take_failure(struct peer_failure *to, const struct smtp_failure *why)
{
	char st[SMTP_STATUS_LEN + 1];

	to->stage = why->stage;
	to->blame = why->blame;
	to->timeout = why->timeout;
	to->protocol = why->protocol;
	to->errnum = why->errnum;
	to->code = why->code;
	(void)smtp_status_text(&why->status, st);
	peer_copy_text(to->status, sizeof(to->status), st, strlen(st));
	peer_copy_text(to->text, sizeof(to->text), why->text, why->text_len);
}

/* Send the next message of the queue, or QUIT, or rest. */
static inline void
peer_next(struct peer *p)
{
	if (p->next < p->n_queue) {
		p->fit = smtp_conn_send(p->c, p->queue[p->next++]);
		return;
	}
	if (p->quit_at_end) {
		smtp_conn_quit(p->c);
		p->c = NULL;
	}
}

static inline void
peer_on_ready(void *arg, struct smtp_conn *c)
{
	struct peer *p = arg;

	assert_true(c == p->c);
	p->n_ready++;
	if (p->abort_in_ready) {
		smtp_conn_abort(c);
		p->c = NULL;
		return;
	}
	peer_next(p);
}

static inline void
peer_on_failed(void *arg, struct smtp_conn *c, const struct smtp_failure *why)
{
	struct peer *p = arg;

	assert_true(c == p->c);
	p->n_failed++;
	p->c = NULL;
	peer_take_failure(&p->why, why);
}

static inline bool
peer_on_may_end(void *arg, struct smtp_conn *c, size_t n)
{
	struct peer *p = arg;

	p->n_may_end++;
	p->may_end_n = n;
	if (p->abort_in_may_end) {
		smtp_conn_abort(c);
		p->c = NULL;
	}
	return (!p->deny_end);
}

static inline void
peer_on_done(void *arg, struct smtp_conn *c, const struct smtp_outcome *out)
{
	struct peer *p = arg;
	size_t i;

	assert_true(c == p->c);
	assert_true(out->n_rcpt <= PEER_RCPTS);
	p->n_done++;
	p->out = *out;
	p->out_failed = out->failure != NULL;
	p->n_res = out->n_rcpt;
	for (i = 0; i < out->n_rcpt; i++) {
		const struct smtp_result *r = &out->rcpt[i];
		struct peer_result *to = &p->res[i];
		char st[SMTP_STATUS_LEN + 1];

		to->cls = r->cls;
		to->stage = r->stage;
		to->code = r->code;
		to->text_len = r->text_len;
		(void)smtp_status_text(&r->status, st);
		peer_copy_text(to->status, sizeof(to->status), st, strlen(st));
		peer_copy_text(to->text, sizeof(to->text), r->text,
		    r->text_len);
	}
	if (p->abort_in_done) {
		smtp_conn_abort(c);
		p->c = NULL;
	} else if (out->usable)
		peer_next(p);
	else
		assert_false(smtp_conn_idle(c));
}

static inline void
peer_on_closed(void *arg, struct smtp_conn *c, const struct smtp_failure *why)
{
	struct peer *p = arg;

	assert_true(c == p->c);
	p->n_closed++;
	p->c = NULL;
	peer_take_failure(&p->why, why);
}

static inline void
peer_on_trace(void *arg, struct smtp_conn *c, char dir, const char *s, size_t n)
{
	struct peer *p = arg;

	(void)c;
	buf_addc(&p->trace, dir);
	buf_add(&p->trace, s, n);
	buf_addc(&p->trace, '\n');
}

static const struct smtp_events peer_events = {
	.ready = peer_on_ready,
	.failed = peer_on_failed,
	.may_end = peer_on_may_end,
	.done = peer_on_done,
	.closed = peer_on_closed,
	.trace = peer_on_trace,
};

static inline int
peer_sys_socket(struct sys *s, int family, int type, int proto)
{
	struct peer *p = (struct peer *)s;
	int sv[2];

	(void)family;
	(void)proto;
	if (p->err_socket != 0) {
		errno = p->err_socket;
		return (-1);
	}
	assert_true((type & SOCK_NONBLOCK) != 0);
	assert_int_equal(socketpair(AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv),
	    0);
	if (p->sndbuf > 0)
		assert_int_equal(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF,
				     &p->sndbuf, sizeof(p->sndbuf)),
		    0);
	p->client = sv[0];
	p->fd = sv[1];
	return (sv[0]);
}

static inline int
peer_sys_bind(struct sys *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct peer *p = (struct peer *)s;

	assert_int_equal(fd, p->client);
	assert_int_equal(sa->sa_family, AF_INET);
	assert_int_equal(len, sizeof(struct sockaddr_in));
	errno = p->err_bind;
	return (p->err_bind != 0 ? -1 : 0);
}

static inline int
peer_sys_connect(struct sys *s, int fd, const struct sockaddr *sa,
    socklen_t len)
{
	struct peer *p = (struct peer *)s;

	(void)sa;
	(void)len;
	assert_int_equal(fd, p->client);
	errno = p->err_connect;
	return (p->err_connect != 0 ? -1 : 0);
}

static inline ssize_t
peer_sys_pread(struct sys *s, int fd, void *to, size_t n, off_t off)
{
	struct peer *p = (struct peer *)s;

	if (p->pread_max > 0 && (size_t)off >= p->pread_max)
		return (0);
	if (p->pread_max > 0 && (size_t)off + n > p->pread_max)
		n = p->pread_max - (size_t)off;
	return (pread(fd, to, n, off));
}

static inline struct peer *
peer_new(const char *const *script)
{
	struct peer *p = xcalloc(1, sizeof(*p));

	sys_init(&p->sys);
	p->sys.socket = peer_sys_socket;
	p->sys.bind = peer_sys_bind;
	p->sys.connect = peer_sys_connect;
	p->sys.pread = peer_sys_pread;
	p->loop = loop_new();
	p->fd = p->client = -1;
	p->script = script;
	smtp_settings_init(&p->set);
	return (p);
}

static inline void
peer_connect(struct peer *p)
{
	struct smtp_target target = { .peer_len = sizeof(struct sockaddr_in),
		.host = "mx.example.com" };
	struct smtp_source source = { .addr_len = sizeof(struct sockaddr_in),
		.ehlo = "client.example.net" };
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(25),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };

	memcpy(&target.peer, &sin, sizeof(sin));
	sin.sin_port = 0;
	memcpy(&source.addr, &sin, sizeof(sin));
	p->c = smtp_conn_new(p->loop, &p->sys, &target, &source, &p->set,
	    &peer_events, p);
	assert_non_null(p->c);
}

static inline void
peer_read(struct peer *p)
{
	char b[65536];
	ssize_t n;

	while (p->fd >= 0 && !p->unread &&
	    (n = recv(p->fd, b, p->read_max > 0 ? p->read_max : sizeof(b),
		 MSG_DONTWAIT)) > 0) {
		buf_add(&p->in, b, (size_t)n);
		if (p->read_max > 0)
			return;
	}
}

/* Send what is left of text; true: all of it is sent. */
static inline bool
peer_send(struct peer *p, const char *text)
{
	size_t n = strlen(text) - p->sent;
	ssize_t w;

	if (n == 0)
		return (true);
	w = send(p->fd, text + p->sent, p->bytewise ? 1 : n,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (w < 0)
		return (errno != EAGAIN); /* the client has gone */
	p->sent += (size_t)w;
	return ((size_t)w == n);
}

/* A whole line is there: it must begin with text. */
static inline bool
peer_expect(struct peer *p, const char *text)
{
	char *lf = p->in.len > 0 ? memchr(p->in.p, '\n', p->in.len) : NULL;

	if (lf == NULL)
		return (false);
	if (p->in.len < strlen(text) ||
	    memcmp(p->in.p, text, strlen(text)) != 0)
		fail_msg("expected %s, got %s", text, p->in.p);
	assert_true(lf > p->in.p && lf[-1] == '\r');
	buf_consume(&p->in, (size_t)(lf + 1 - p->in.p));
	return (true);
}

/* n octets to got. */
static inline bool
peer_take(struct peer *p, size_t n)
{
	if (p->in.len < n)
		return (false);
	buf_add(&p->got, p->in.p, n);
	buf_consume(&p->in, n);
	return (true);
}

/* Content up to CRLF.CRLF (or a lone dot) to got. */
static inline bool
peer_data(struct peer *p)
{
	char *end;

	if (p->in.len >= 3 && memcmp(p->in.p, ".\r\n", 3) == 0)
		return (peer_take(p, 3));
	end = p->in.len > 0 ? memmem(p->in.p, p->in.len, "\r\n.\r\n", 5) : NULL;
	return (end != NULL && peer_take(p, (size_t)(end + 5 - p->in.p)));
}

/* Do a step; true: it is done. */
static inline bool
peer_step(struct peer *p, const char *s)
{
	const char *text = s + 2;

	switch (s[0]) {
	case 'S':
		return (peer_send(p, text));
	case 'E':
		return (peer_expect(p, text));
	case 'X':
		if (p->in.len < strlen(text))
			return (false);
		assert_memory_equal(p->in.p, text, strlen(text));
		buf_consume(&p->in, strlen(text));
		return (true);
	case 'B':
		return (peer_take(p, strtoul(text, NULL, 10)));
	case 'D':
		return (peer_data(p));
	case 'N':
		if (p->in.len > 0)
			fail_msg("unexpected: %s", p->in.p);
		return (++p->quiet > 5);
	case 'C':
		(void)close(p->fd);
		p->fd = -1;
		return (true);
	case 'W':
		return (p->go);
	default:
		fail_msg("bad step %s", s);
		return (false);
	}
}

/* One turn of the peer and one of the loop. */
static inline void
peer_turn(struct peer *p)
{
	peer_read(p);
	while (p->fd >= 0 && p->script[p->step] != NULL &&
	    peer_step(p, p->script[p->step])) {
		p->step++;
		p->sent = 0;
		p->quiet = 0;
		p->go = false;
	}
	loop_turn(p->loop, false);
}

/* Turns until the script stands at a W step or is at its end, and calm. */
static inline void
peer_run(struct peer *p)
{
	int i, calm = 0;

	for (i = 0; i < 100000 && calm < 10; i++) {
		size_t step = p->step, sent = p->sent, in = p->in.len;
		int events = p->n_ready + p->n_failed + p->n_done + p->n_closed;

		peer_turn(p);
		calm = p->step == step && p->sent == sent && p->quiet == 0 &&
			p->in.len == in &&
			events ==
			    p->n_ready + p->n_failed + p->n_done + p->n_closed ?
		    calm + 1 :
		    0;
	}
}

/* The whole script was played. */
static inline void
peer_assert_end(struct peer *p)
{
	if (p->script[p->step] != NULL)
		fail_msg("stopped at step %zu: %s (have %s)", p->step,
		    p->script[p->step], buf_str(&p->in));
}

/*
 * Play the script, then wait for the time-out of the client. No race: the
 * peer answers before the loop looks at its timers.
 */
static inline void
peer_wait_end(struct peer *p)
{
	peer_run(p);
	peer_assert_end(p);
	while (p->c != NULL)
		loop_turn(p->loop, true);
}

/* Go on behind a W step. */
static inline void
peer_go(struct peer *p)
{
	p->go = true;
	peer_run(p);
}

static inline void
peer_free(struct peer *p)
{
	smtp_conn_abort(p->c);
	if (p->fd >= 0)
		(void)close(p->fd);
	loop_run(p->loop); /* a session that has said QUIT ends now */
	loop_free(p->loop);
	buf_release(&p->in);
	buf_release(&p->got);
	buf_release(&p->trace);
	free(p);
}

/* Play a script to its end. */
static inline struct peer *
peer_play(struct peer *p)
{
	peer_connect(p);
	peer_run(p);
	peer_assert_end(p);
	return (p);
}

static const struct smtp_rcpt peer_rcpts[] = {
	{ "r1@example.com", NULL, NULL },
	{ "r2@example.com", NULL, NULL },
	{ "r3@example.com", NULL, NULL },
	{ "r4@example.com", NULL, NULL },
};

/* A message for n recipients; ahead: in one flight where possible. */
static inline struct smtp_message
peer_message(size_t n, bool ahead)
{
	return ((struct smtp_message) { .from = "s@example.net",
	    .rcpt = peer_rcpts,
	    .n_rcpt = n,
	    .mem = BODY,
	    .size = sizeof(BODY) - 1,
	    .fd = -1,
	    .body_ahead = ahead });
}

/* Play script with one message; rests afterwards. */
static inline struct peer *
peer_play1(const char *const *script, const struct smtp_message *m)
{
	struct peer *p = peer_new(script);

	p->queue[p->n_queue++] = m;
	return (peer_play(p));
}

/* Play script with the message twice, then QUIT. */
static inline struct peer *
peer_play2(const char *const *script, const struct smtp_message *m)
{
	struct peer *p = peer_new(script);

	p->queue[p->n_queue++] = m;
	p->queue[p->n_queue++] = m;
	p->quit_at_end = true;
	return (peer_play(p));
}

static inline void
peer_is(const struct peer *p, size_t i, enum smtp_class cls, int code,
    const char *status)
{
	assert_true(i < p->n_res);
	assert_int_equal(p->res[i].cls, cls);
	assert_int_equal(p->res[i].code, code);
	assert_string_equal(p->res[i].status, status);
}

#endif
