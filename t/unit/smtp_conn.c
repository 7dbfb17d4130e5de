/*
 * Sessions: connect, source address, greeting, EHLO, rest, QUIT. The numbers
 * P.. are those of the project's list of bad peers.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "smtp_peer.h"

static const struct smtp_rcpt rcpt = { "r@example.com", NULL, NULL };
static const struct smtp_message hello = { .from = "s@example.net",
	.rcpt = &rcpt,
	.n_rcpt = 1,
	.mem = "x\r\n",
	.size = 3,
	.fd = -1,
	.body_ahead = true };

/* P03 to P05, P09, P10, P12: what a session begins with. */
static const struct greeting {
	const char *greeting, *ehlo, *helo;
	bool ready;
	enum smtp_stage stage;
	int code;
	const char *status;
	bool protocol;
} greetings[] = {
	{ "S:220 mx ESMTP\r\n", "S:250 mx\r\n", NULL, true, 0, 0, "", false },
	{ "S:220\r\n", "S:250\r\n", NULL, true, 0, 0, "", false },
	{ "S:220 mx\n", "S:250 mx\n", NULL, true, 0, 0, "", false },
	{ "S:220-mx\r\n220-\r\n220 now\r\n", "S:250 mx\r\n", NULL, true, 0, 0,
	    "", false },
	{ "S:220 mx\r\n", "S:502 what\r\n", "S:250 mx\r\n", true, 0, 0, "",
	    false },
	{ "S:220 mx\r\n", "S:550 5.7.1 what\r\n", "S:250 mx\r\n", true, 0, 0,
	    "", false },
	{ "S:220 mx\r\n", "S:502 what\r\n", "S:501 5.5.4 name\r\n", false,
	    SMTP_STAGE_EHLO, 501, "5.5.4", false },
	{ "S:220 mx\r\n", "S:502 what\r\n", "S:421 bye\r\n", false,
	    SMTP_STAGE_EHLO, 421, "4.0.0", false },
	{ "S:220 mx\r\n", "S:421 4.3.2 bye\r\n", NULL, false, SMTP_STAGE_EHLO,
	    421, "4.3.2", false },
	{ "S:220 mx\r\n", "S:451 no\r\n", NULL, false, SMTP_STAGE_EHLO, 451,
	    "4.0.0", false },
	{ "S:220 mx\r\n", "S:354 go\r\n", NULL, false, SMTP_STAGE_EHLO, 354,
	    "3.0.0", false },
	{ "S:220 mx\r\n", "S:250-mx\r\n550 y\r\n", NULL, false, SMTP_STAGE_EHLO,
	    0, "4.5.0", true },
	{ "S:220 mx\r\n", "C:", NULL, false, SMTP_STAGE_EHLO, 0, "4.4.2",
	    false },
	{ "S:421 4.7.0 busy\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 421,
	    "4.7.0", false },
	{ "S:450 4.7.1 grey\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 450,
	    "4.7.1", false },
	{ "S:554-5.7.1 no\r\n554 5.7.1 service\r\n", NULL, NULL, false,
	    SMTP_STAGE_GREETING, 554, "5.7.1", false },
	{ "S:521 no mail\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 521,
	    "5.0.0", false },
	{ "S:354 go\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 354, "3.0.0",
	    false },
	{ "S:HTTP/1.1 400 Bad\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 0,
	    "4.5.0", true },
	{ "S:SSH-2.0-OpenSSH\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 0,
	    "4.5.0", true },
	{ "S:\026\003\001\002", NULL, NULL, false, SMTP_STAGE_GREETING, 0,
	    "4.5.0", true },
	{ "S:\r\n220 mx\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 0,
	    "4.5.0", true },
	{ "S:220x\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 0, "4.5.0",
	    true },
	{ "S:220-a\r\n221 b\r\n", NULL, NULL, false, SMTP_STAGE_GREETING, 0,
	    "4.5.0", true },
	{ "C:", NULL, NULL, false, SMTP_STAGE_GREETING, 0, "4.4.2", false },
	{ "S:220-mx\r\n", "C:", NULL, false, SMTP_STAGE_GREETING, 0, "4.4.2",
	    false },
};

/* Play one of them. */
static void
play_greeting(const struct greeting *g, bool bytewise)
{
	const char *script[8] = { g->greeting };
	bool partial = strcmp(g->greeting, "S:220-mx\r\n") == 0;
	struct peer *p = peer_new(script);
	int n = 1;

	p->bytewise = bytewise;
	if (g->ehlo != NULL && !partial)
		script[n++] = "E:EHLO client.example.net\r\n";
	script[n++] = g->ehlo;
	if (g->helo != NULL) {
		script[n++] = "X:HELO client.example.net\r\n";
		script[n++] = g->helo;
	}
	peer_play(p);
	assert_int_equal(p->n_ready, g->ready);
	assert_int_equal(p->n_failed, !g->ready);
	assert_int_equal(p->n_closed, 0);
	if (!g->ready) {
		assert_int_equal(p->why.stage, g->stage);
		assert_int_equal(p->why.code, g->code);
		assert_string_equal(p->why.status, g->status);
		assert_int_equal(p->why.protocol, g->protocol);
		assert_int_equal(p->why.blame, SMTP_BLAME_PEER);
		assert_false(p->why.timeout);
	}
	peer_free(p);
}

static void
test_greeting(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LEN(greetings); i++) {
		play_greeting(&greetings[i], false);
		play_greeting(&greetings[i], true);
	}
}

/* V04 in the clear: who talks ahead of our commands is not listened to. */
static void
test_talks_ahead(void **state)
{
	static const char *const greeting[] = {
		"S:220 mx\r\n250 PIPELINING\r\n", NULL
	};
	static const char *const ehlo[] = { "S:220 mx\r\n", "E:EHLO",
		"S:250 mx\r\n250 mx\r\n", NULL };
	static const char *const *script[] = { greeting, ehlo };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(script); i++) {
		struct peer *p = peer_play(peer_new(script[i]));

		assert_int_equal(p->n_ready, 0);
		assert_int_equal(p->n_failed, 1);
		assert_int_equal(p->why.stage,
		    i == 0 ? SMTP_STAGE_GREETING : SMTP_STAGE_EHLO);
		assert_true(p->why.protocol);
		peer_free(p);
	}
}

/* P39: whose fault a failure is. */
static void
test_faults(void **state)
{
	static const char *const script[] = { NULL };
	static const struct {
		int sock, bind, connect;
		enum smtp_blame blame;
	} t[] = {
		{ EMFILE, 0, 0, SMTP_BLAME_LOCAL },
		{ ENFILE, 0, 0, SMTP_BLAME_LOCAL },
		{ ENOBUFS, 0, 0, SMTP_BLAME_LOCAL },
		{ EAFNOSUPPORT, 0, 0, SMTP_BLAME_LOCAL },
		{ 0, EADDRNOTAVAIL, 0, SMTP_BLAME_SOURCE },
		{ 0, EADDRINUSE, 0, SMTP_BLAME_LOCAL },
		{ 0, EACCES, 0, SMTP_BLAME_LOCAL },
		{ 0, 0, EADDRNOTAVAIL, SMTP_BLAME_LOCAL },
		{ 0, 0, EADDRINUSE, SMTP_BLAME_LOCAL },
		{ 0, 0, ENETUNREACH, SMTP_BLAME_LOCAL },
		{ 0, 0, EHOSTUNREACH, SMTP_BLAME_LOCAL },
		{ 0, 0, EPERM, SMTP_BLAME_LOCAL },
		{ 0, 0, ENOBUFS, SMTP_BLAME_LOCAL },
		{ 0, 0, ECONNREFUSED, SMTP_BLAME_PEER },
		{ 0, 0, ETIMEDOUT, SMTP_BLAME_PEER },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct peer *p = peer_new(script);

		p->err_socket = t[i].sock;
		p->err_bind = t[i].bind;
		p->err_connect = t[i].connect;
		peer_connect(p);
		assert_int_equal(p->n_failed, 0); /* not from inside new */
		peer_run(p);
		assert_int_equal(p->n_failed, 1);
		assert_int_equal(p->why.blame, t[i].blame);
		assert_int_equal(p->why.stage, SMTP_STAGE_CONNECT);
		assert_int_equal(p->why.errnum,
		    t[i].sock + t[i].bind + t[i].connect);
		assert_non_null(strstr(p->why.text, strerror(p->why.errnum)));
		peer_free(p);
	}
}

/* P01, P02: silence, and a greeting that comes octet by octet for ever. */
static void
test_greeting_late(void **state)
{
	static const char *const silent[] = { NULL };
	static const char *const part[] = { "S:220-mx\r\n22", NULL };
	static const char *const ehlo[] = { "S:220 mx\r\n", "E:EHLO", NULL };
	static const char *const *script[] = { silent, part, ehlo };
	struct peer *p;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(script); i++) {
		p = peer_new(script[i]);
		p->set.greeting = i < 2 ? 20 : 100000;
		p->set.command = i < 2 ? 100000 : 20;
		peer_connect(p);
		peer_wait_end(p);
		assert_int_equal(p->n_failed, 1);
		assert_true(p->why.timeout);
		assert_int_equal(p->why.stage,
		    i < 2 ? SMTP_STAGE_GREETING : SMTP_STAGE_EHLO);
		assert_string_equal(p->why.status, "4.4.2");
		peer_free(p);
	}
	p = peer_new(silent);
	p->set.greeting = 20;
	peer_connect(p);
	(void)send(p->fd, "220 ", 4, MSG_NOSIGNAL);
	while (p->c != NULL) { /* 60,000 turns take longer than 20 ms */
		(void)send(p->fd, "x", 1, MSG_NOSIGNAL);
		loop_turn(p->loop, false);
	}
	assert_true(p->why.timeout);
	peer_free(p);
}

/* P06, P07: replies without end. */
static void
test_endless(void **state)
{
	static const char *const script[] = { NULL };
	static const struct {
		const char *head, *more, *why;
	} t[] = {
		{ "220 ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		    "reply line is too long" },
		{ "", "220-a\r\n", "reply has too many lines (220)" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct peer *p = peer_new(script);

		peer_connect(p);
		(void)send(p->fd, t[i].head, strlen(t[i].head), 0);
		while (p->c != NULL) {
			(void)send(p->fd, t[i].more, strlen(t[i].more),
			    MSG_NOSIGNAL | MSG_DONTWAIT);
			loop_turn(p->loop, false);
		}
		assert_int_equal(p->n_failed, 1);
		assert_true(p->why.protocol);
		assert_string_equal(p->why.text, t[i].why);
		peer_free(p);
	}
}

/* P43: what comes while the session rests. */
static void
test_rest(void **state)
{
	static const struct {
		const char *step;
		int code;
		bool protocol;
	} t[] = {
		{ "S:421 4.4.2 idle\r\n", 421, false },
		{ "S:250 hm\r\n", 0, true },
		{ "S:4", 0, true },
		{ "S:\r\n", 0, true },
		{ "C:", 0, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t) * 2; i++) {
		const char *const script[] = { CHUNK, "W:", t[i / 2].step,
			NULL };
		struct peer *p = peer_new(script);

		peer_connect(p);
		peer_run(p);
		assert_true(smtp_conn_idle(p->c));
		if (i % 2 == 1) { /* it spoke, and the loop has not turned */
			p->go = true;
			p->step++;
			(void)peer_step(p, script[p->step++]);
			assert_int_equal(smtp_conn_send(p->c, &hello),
			    SMTP_FIT_GONE);
			assert_int_equal(p->n_closed, 0);
		}
		peer_go(p);
		assert_int_equal(p->n_closed, 1);
		assert_int_equal(p->n_done, 0);
		assert_int_equal(p->why.stage, SMTP_STAGE_IDLE);
		assert_int_equal(p->why.code, t[i / 2].code);
		assert_int_equal(p->why.protocol, t[i / 2].protocol);
		assert_false(p->why.timeout);
		peer_free(p);
	}
}

/* A session that rested is used again, by another owner too. */
static void
test_rest_and_send(void **state)
{
	static const char *const script[] = { CHUNK, "W:", "E:MAIL", "E:RCPT",
		"E:BDAT", "X:x\r\n", "S:250 ok\r\n250 ok\r\n", "S:250 ok\r\n",
		NULL };
	struct peer *p = peer_new(script), *other = peer_new(script);
	struct smtp_conn *c;

	(void)state;
	peer_connect(p);
	peer_run(p);
	c = p->c;
	smtp_conn_set_owner(c, &peer_events, other);
	other->c = c;
	assert_int_equal(smtp_conn_count(c), 0);
	assert_int_equal(smtp_conn_send(c, &hello), SMTP_FIT_OK);
	assert_int_equal(smtp_conn_send(c, &hello), SMTP_FIT_GONE);
	peer_go(p);
	peer_assert_end(p);
	assert_int_equal(p->n_done, 0);
	assert_int_equal(other->n_done, 1);
	assert_int_equal(other->n_may_end, 1);
	assert_int_equal(other->res[0].cls, SMTP_DELIVERED);
	assert_int_equal(smtp_conn_count(c), 1);
	assert_string_equal(smtp_conn_target(c)->host, "mx.example.com");
	assert_string_equal(smtp_conn_source(c)->ehlo, "client.example.net");
	other->c = NULL;
	peer_free(other);
	peer_free(p);
}

/* QUIT: answered, refused, not answered, cut; and in a transaction. */
static void
test_quit(void **state)
{
	static const char *const steps[] = { "S:221 bye\r\n", "S:500 what\r\n",
		"C:", "S:garbage\r\n", "N:" };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(steps); i++) {
		const char *const script[] = { CHUNK, "X:QUIT\r\n", steps[i],
			NULL };
		struct peer *p = peer_new(script);

		p->set.quit = 20;
		p->quit_at_end = true;
		peer_play(p);
		loop_run(p->loop); /* ends: nothing is left to wait for */
		assert_int_equal(recv(p->fd, &(char) { 0 }, 1, MSG_DONTWAIT),
		    p->fd >= 0 ? 0 : -1);
		assert_int_equal(p->n_failed + p->n_closed, 0);
		peer_free(p);
	}
	smtp_conn_quit(NULL);
	smtp_conn_abort(NULL);
}

static void
test_quit_early(void **state)
{
	static const char *const greet[] = { "W:", NULL };
	static const char *const running[] = { CHUNK, "E:MAIL", "W:", NULL };
	static const char *const *script[] = { greet, running };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(script); i++) {
		struct peer *p = peer_new(script[i]);

		p->queue[p->n_queue++] = &hello;
		peer_connect(p);
		peer_run(p);
		smtp_conn_quit(p->c);
		p->c = NULL;
		loop_run(p->loop);
		assert_int_equal(p->n_done + p->n_closed + p->n_failed, 0);
		peer_free(p);
	}
}

/* Real TCP below: a listener on loopback. */

struct lis {
	int fd;
	struct sockaddr_storage sa;
	socklen_t len;
};

/* Listen on a free port of addr; false: no such family here. */
static bool
lis_open(struct lis *l, int family, const char *addr)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in sin = { .sin_family = AF_INET };

	memset(l, 0, sizeof(*l));
	if (family == AF_INET) {
		assert_int_equal(inet_pton(family, addr, &sin.sin_addr), 1);
		memcpy(&l->sa, &sin, l->len = sizeof(sin));
	} else {
		assert_int_equal(inet_pton(family, addr, &sin6.sin6_addr), 1);
		memcpy(&l->sa, &sin6, l->len = sizeof(sin6));
	}
	l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return (false);
	if (bind(l->fd, (struct sockaddr *)&l->sa, l->len) != 0) {
		(void)close(l->fd);
		return (false);
	}
	assert_int_equal(getsockname(l->fd, (struct sockaddr *)&l->sa, &l->len),
	    0);
	return (true);
}

/* A session from the source address to l. */
static void
lis_connect(struct peer *p, const struct lis *l, const char *from)
{
	struct smtp_target target = { .peer = l->sa,
		.peer_len = l->len,
		.host = "mx" };
	struct smtp_source source = { .addr_len = l->len, .ehlo = "me" };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in sin = { .sin_family = AF_INET };

	if (l->sa.ss_family == AF_INET) {
		assert_int_equal(inet_pton(AF_INET, from, &sin.sin_addr), 1);
		memcpy(&source.addr, &sin, sizeof(sin));
	} else {
		assert_int_equal(inet_pton(AF_INET6, from, &sin6.sin6_addr), 1);
		memcpy(&source.addr, &sin6, sizeof(sin6));
	}
	p->c = smtp_conn_new(p->loop, sys_real(), &target, &source, &p->set,
	    &peer_events, p);
}

/* The peer sees the source address; the socket has the right options. */
static void
test_source_address(void **state)
{
	static const struct {
		int family;
		const char *listen, *from;
	} t[] = { { AF_INET, "127.0.0.1", "127.0.0.7" },
		{ AF_INET, "127.0.0.1", "127.1.2.3" },
		{ AF_INET6, "::1", "::1" } };
	static const char *const script[] = { CHUNK, NULL };
	char text[INET6_ADDRSTRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		struct peer *p;
		struct lis l;

		if (!lis_open(&l, t[i].family, t[i].listen))
			continue;
		assert_int_equal(listen(l.fd, 5), 0);
		p = peer_new(script);
		lis_connect(p, &l, t[i].from);
		p->fd = accept(l.fd, (struct sockaddr *)&sa, &len);
		assert_true(p->fd >= 0);
		if (sa.ss_family == AF_INET)
			(void)inet_ntop(AF_INET,
			    &((struct sockaddr_in *)&sa)->sin_addr, text,
			    sizeof(text));
		else
			(void)inet_ntop(AF_INET6,
			    &((struct sockaddr_in6 *)&sa)->sin6_addr, text,
			    sizeof(text));
		assert_string_equal(text, t[i].from);
		while (p->n_ready == 0 && p->n_failed == 0) {
			(void)send(p->fd, "220 mx\r\n250 mx\r\n",
			    p->step == 0 ? 8 : 0, 0);
			p->step = 1;
			peer_read(p);
			if (p->in.len > 0 && p->step == 1) {
				p->step = 2;
				(void)send(p->fd, "250 mx\r\n", 8, 0);
				p->in.len = 0;
			}
			loop_turn(p->loop, false);
		}
		assert_int_equal(p->n_ready, 1);
		peer_free(p);
		(void)close(l.fd);
	}
}

/* Refused by the peer; a source that is not here; the wrong family. */
static void
test_connect_fails(void **state)
{
	static const char *const script[] = { NULL };
	static const struct {
		const char *from;
		int errnum;
		enum smtp_blame blame;
	} t[] = { { "127.0.0.1", ECONNREFUSED, SMTP_BLAME_PEER },
		{ "192.0.2.1", EADDRNOTAVAIL, SMTP_BLAME_SOURCE } };
	struct lis l;
	size_t i;

	(void)state;
	assert_true(lis_open(&l, AF_INET, "127.0.0.1")); /* no listen() */
	for (i = 0; i < LEN(t); i++) {
		struct peer *p = peer_new(script);

		lis_connect(p, &l, t[i].from);
		while (p->c != NULL)
			loop_turn(p->loop, true);
		assert_int_equal(p->n_failed, 1);
		assert_int_equal(p->why.errnum, t[i].errnum);
		assert_int_equal(p->why.blame, t[i].blame);
		assert_int_equal(p->why.stage, SMTP_STAGE_CONNECT);
		peer_free(p);
	}
	(void)close(l.fd);
}

/* connect that never ends: a full backlog drops the SYN. */
static void
test_connect_timeout(void **state)
{
	static const char *const script[] = { NULL };
	struct peer *p;
	struct lis l;
	int fill[4], i;

	(void)state;
	assert_true(lis_open(&l, AF_INET, "127.0.0.1"));
	assert_int_equal(listen(l.fd, 0), 0);
	for (i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&l.sa, l.len);
	}
	p = peer_new(script);
	p->set.connect = 20;
	lis_connect(p, &l, "127.0.0.1");
	while (p->c != NULL)
		loop_turn(p->loop, true);
	assert_int_equal(p->n_failed, 1);
	assert_true(p->why.timeout);
	assert_int_equal(p->why.stage, SMTP_STAGE_CONNECT);
	assert_string_equal(p->why.status, "4.4.1");
	assert_int_equal(p->why.blame, SMTP_BLAME_PEER);
	peer_free(p);
	for (i = 0; i < 4; i++)
		(void)close(fill[i]);
	(void)close(l.fd);
}

/* P03: a reset while we wait. */
static void
test_reset(void **state)
{
	static const char *const script[] = { NULL };
	struct linger lg = { .l_onoff = 1, .l_linger = 0 };
	struct peer *p;
	struct lis l;

	(void)state;
	assert_true(lis_open(&l, AF_INET, "127.0.0.1"));
	assert_int_equal(listen(l.fd, 5), 0);
	p = peer_new(script);
	lis_connect(p, &l, "127.0.0.1");
	p->fd = accept(l.fd, NULL, NULL);
	assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &lg,
			     sizeof(lg)),
	    0);
	(void)close(p->fd);
	p->fd = -1;
	while (p->c != NULL)
		loop_turn(p->loop, true);
	assert_int_equal(p->n_failed, 1);
	assert_int_equal(p->why.errnum, ECONNRESET);
	assert_int_equal(p->why.blame, SMTP_BLAME_PEER);
	peer_free(p);
	(void)close(l.fd);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(smtp_stage_name(SMTP_STAGE_CONNECT), "connect");
	assert_string_equal(smtp_stage_name(SMTP_STAGE_END), "end");
	assert_string_equal(smtp_class_name(SMTP_DELIVERED), "delivered");
	assert_string_equal(smtp_class_name(SMTP_UNTRIED), "untried");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_talks_ahead),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_greeting_late),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_rest_and_send),
		cmocka_unit_test(test_quit),
		cmocka_unit_test(test_quit_early),
		cmocka_unit_test(test_source_address),
		cmocka_unit_test(test_connect_fails),
		cmocka_unit_test(test_connect_timeout),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
