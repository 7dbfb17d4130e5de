/*
 * A whole session against a server that says whatever the input says, in the
 * pieces that it says (0x1e parts them), then hangs up. Each message has one
 * outcome, the session has one end, every command is a line, and a recipient
 * counts as delivered only when all of the content was written, un-stuffed
 * exactly what it is, and a 2xx came.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <signal.h>

#include "base/loop.h"
#include "fuzz.h"
#include "smtp/conn.h"

#define PIECE_END 0x1e
#define RCPTS 4

struct session {
	struct sys sys;	     /* first: the table is its session */
	struct smtp_conn *c; /* NULL: ended */
	int fd;
	struct smtp_message m;
	struct smtp_rcpt rcpt[RCPTS];
	unsigned messages; /* to be sent */
	unsigned begun, done, ended, ready;
	unsigned delivered; /* messages with a recipient that is */
	bool deny_end;
	struct buf wrote; /* by the client */
};

static struct session *session;
static struct loop *loop;

static int
on_socket(struct sys *s, int family, int type, int proto)
{
	struct session *p = (struct session *)(void *)s;
	int sv[2];

	(void)family;
	(void)type;
	(void)proto;
	FUZZ_CHECK(socketpair(AF_UNIX,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0);
	p->fd = sv[1];
	return (sv[0]);
}

static int
on_bind(struct sys *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)s;
	(void)fd;
	(void)sa;
	(void)len;
	return (0);
}

/* The next message, or QUIT. */
static void
go_on(struct session *p)
{
	if (p->begun < p->messages) {
		if (smtp_conn_send(p->c, &p->m) == SMTP_FIT_OK) {
			p->begun++;
			return;
		}
	}
	smtp_conn_quit(p->c);
	p->c = NULL;
	p->ended++;
}

static void
on_ready(void *arg, struct smtp_conn *c)
{
	struct session *p = arg;

	FUZZ_CHECK(c == p->c && p->ready == 0 && p->ended == 0);
	p->ready++;
	go_on(p);
}

static void
check_failure(const struct smtp_failure *why)
{
	FUZZ_CHECK(why->text != NULL);
	FUZZ_CHECK(memchr(why->text, '\n', why->text_len) == NULL);
	FUZZ_CHECK(why->code == 0 || (why->code >= 200 && why->code <= 599));
}

static void
on_failed(void *arg, struct smtp_conn *c, const struct smtp_failure *why)
{
	struct session *p = arg;

	FUZZ_CHECK(c == p->c && p->ready == 0);
	check_failure(why);
	p->c = NULL;
	p->ended++;
}

static void
on_closed(void *arg, struct smtp_conn *c, const struct smtp_failure *why)
{
	struct session *p = arg;

	FUZZ_CHECK(c == p->c && p->ready == 1);
	check_failure(why);
	p->c = NULL;
	p->ended++;
}

static bool
on_may_end(void *arg, struct smtp_conn *c, size_t n)
{
	struct session *p = arg;

	(void)c;
	FUZZ_CHECK(n > 0 && n <= p->m.n_rcpt);
	return (!p->deny_end);
}

static void
on_done(void *arg, struct smtp_conn *c, const struct smtp_outcome *out)
{
	struct session *p = arg;
	bool delivered = false;
	size_t i;

	FUZZ_CHECK(c == p->c);
	FUZZ_CHECK(out->n_rcpt == p->m.n_rcpt);
	FUZZ_CHECK(++p->done == p->begun);
	for (i = 0; i < out->n_rcpt; i++) {
		const struct smtp_result *r = &out->rcpt[i];

		FUZZ_CHECK(r->text != NULL && r->text_len <= SMTP_TEXT_MAX);
		FUZZ_CHECK(memchr(r->text, '\n', r->text_len) == NULL);
		if (r->cls != SMTP_DELIVERED)
			continue;
		delivered = true;
		FUZZ_CHECK(r->code >= 200 && r->code <= 299);
		FUZZ_CHECK(out->end_sent && out->sent == p->m.size);
		FUZZ_CHECK(r->status.cls == 2);
	}
	if (delivered)
		p->delivered++;
	if (out->usable)
		go_on(p);
}

static const struct smtp_events events = { .ready = on_ready,
	.failed = on_failed,
	.may_end = on_may_end,
	.done = on_done,
	.closed = on_closed };

/* Read what the client wrote, until it is calm. */
static void
turns(struct session *p)
{
	char b[8192];
	ssize_t n;
	int calm;

	for (calm = 0; calm < 3; calm++) {
		loop_turn(loop, false);
		if (p->deny_end && p->c != NULL)
			smtp_conn_resume(p->c);
		while ((n = recv(p->fd, b, sizeof(b), MSG_DONTWAIT)) > 0) {
			buf_add(&p->wrote, b, (size_t)n);
			calm = 0;
		}
	}
}

/* How often does the content stand, stuffed or not, where it should? */
static unsigned
contents(const struct session *p, const char *bdat)
{
	static const char data[] = "DATA\r\n";
	const char *at = buf_str(&p->wrote), *end = at + p->wrote.len, *nl;
	const char *stuffed = p->m.dots > 0 ? "Subject: x\r\n\r\n..\r\n.\r\n" :
					      "Subject: x\r\n\r\nx\r\n.\r\n";
	unsigned n = 0;

	/* commands are lines; after DATA or BDAT there may be content */
	while (at < end) {
		nl = memchr(at, '\n', (size_t)(end - at));
		if (nl == NULL)
			break;
		FUZZ_CHECK(nl > at && nl[-1] == '\r');
		FUZZ_CHECK(fuzz_no_controls(at, (size_t)(nl - 1 - at)));
		if (strncmp(at, bdat, strlen(bdat)) == 0) {
			at += strlen(bdat);
			if (end - at < p->m.size)
				break;
			FUZZ_CHECK(memcmp(at, p->m.mem, (size_t)p->m.size) ==
			    0);
			at += p->m.size;
			n++;
		} else if (strncmp(at, data, strlen(data)) == 0 &&
		    strncmp(at + strlen(data), stuffed, strlen(stuffed)) == 0) {
			at += strlen(data) + strlen(stuffed);
			n++;
		} else {
			at = nl + 1;
		}
	}
	return (n);
}

static void
open_session(struct session *p, unsigned flags)
{
	struct smtp_target target = { .peer_len = sizeof(struct sockaddr_in),
		.host = "mx.example.com" };
	struct smtp_source source = { .addr_len = sizeof(struct sockaddr_in),
		.ehlo = "client.example.net" };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct smtp_settings set;

	smtp_settings_init(&set);
	set.ignore_chunking = (flags & 1) != 0;
	set.ignore_pipelining = (flags & 2) != 0;
	memcpy(&target.peer, &sin, sizeof(sin));
	memcpy(&source.addr, &sin, sizeof(sin));
	sys_init(&p->sys);
	p->sys.socket = on_socket;
	p->sys.bind = on_bind;
	p->sys.connect = on_bind;
	p->c = smtp_conn_new(loop, &p->sys, &target, &source, &set, &events, p);
}

/* The message that is sent. */
static void
set_message(struct session *p, unsigned flags)
{
	static const char plain[] = "Subject: x\r\n\r\nx\r\n";
	static const char dots[] = "Subject: x\r\n\r\n.\r\n";
	size_t i;

	for (i = 0; i < RCPTS; i++)
		p->rcpt[i] = (struct smtp_rcpt) { .addr = "r@example.com",
			.notify = i == 1 ? "SF" : NULL,
			.orcpt = i == 1 ? "rfc822;r@example.com" : NULL };
	p->m = (struct smtp_message) { .from = "s@example.net",
		.envid = (flags & 4) != 0 ? "e+2B1" : NULL,
		.ret = (flags & 4) != 0 ? 'H' : '-',
		.rcpt = p->rcpt,
		.n_rcpt = (flags >> 3 & 3) + 1,
		.mem = (flags & 32) != 0 ? dots : plain,
		.fd = -1,
		.size = (flags & 32) != 0 ? sizeof(dots) - 1 :
					    sizeof(plain) - 1,
		.dots = (flags & 32) != 0 ? 1 : 0,
		.body_ahead = (flags & 64) != 0 };
	p->messages = (flags & 128) != 0 ? 3 : 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned flags = fuzz_byte(&in), more = fuzz_byte(&in);
	const uint8_t *stop;
	struct session p = { .fd = -1, .deny_end = (more & 1) != 0 };
	char bdat[40];
	size_t n;

	if (loop == NULL) {
		(void)signal(SIGPIPE, SIG_IGN);
		loop = loop_new();
	}
	session = &p;
	set_message(&p, flags);
	open_session(&p, flags);
	for (turns(&p); in.n > 0 && p.c != NULL; turns(&p)) {
		stop = memchr(in.p, PIECE_END, in.n);
		n = stop != NULL ? (size_t)(stop - in.p) : in.n;
		(void)!send(p.fd, in.p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		n += stop != NULL ? 1 : 0;
		in.p += n;
		in.n -= n;
	}
	(void)shutdown(p.fd, SHUT_WR);
	turns(&p);
	/* it has heard the end: nothing is left but what said QUIT */
	FUZZ_CHECK(p.c == NULL && p.ended == 1);
	FUZZ_CHECK(p.done == p.begun);
	(void)snprintf(bdat, sizeof(bdat), "BDAT %lld LAST\r\n",
	    (long long)p.m.size);
	FUZZ_CHECK(contents(&p, bdat) >= p.delivered);
	(void)close(p.fd);
	for (n = 0; n < 3; n++)
		loop_turn(loop, false);
	buf_release(&p.wrote);
	session = NULL;
	return (0);
}
