/*
 * Content on the wire: exact to the octet for DATA and BDAT, from memory and
 * from a file, whatever its size and wherever its dots are; and a peer that
 * does not read, reads slowly, or answers while content is being sent.
 */
#include "smtp_peer.h"

#define PIPE_OK \
	PIPE, "E:MAIL", "E:RCPT", "E:DATA", "S:250 ok\r\n250 ok\r\n354 go\r\n"
#define OFFER "S:250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define TAIL 65536

static const struct smtp_rcpt rcpt = { "r@example.com", NULL, NULL };

static struct smtp_message
message(const struct buf *body)
{
	struct smtp_message m = { .from = "s@example.net",
		.rcpt = &rcpt,
		.n_rcpt = 1,
		.mem = buf_str(body),
		.size = (int64_t)body->len,
		.fd = -1,
		.body_ahead = true };
	size_t i;

	for (i = 0; i < body->len; i++)
		if (body->p[i] == '.' && (i == 0 || body->p[i - 1] == '\n'))
			m.dots++;
	return (m);
}

/* As message, with the content at an odd place of a file. */
static struct smtp_message
message_in_file(const struct buf *body)
{
	struct smtp_message m = message(body);
	FILE *f = tmpfile();

	assert_non_null(f);
	m.mem = NULL;
	m.fd = dup(fileno(f));
	m.off = 12345;
	assert_true(m.fd >= 0);
	(void)fclose(f);
	assert_int_equal(pwrite(m.fd, body->p, body->len, m.off),
	    (ssize_t)body->len);
	assert_int_equal(pwrite(m.fd, "behind\r\n", 8,
			     m.off + (off_t)body->len),
	    8);
	return (m);
}

/* What DATA must look like, by the simplest way. */
static void
reference(const struct buf *body, struct buf *ret_wire)
{
	size_t i;

	for (i = 0; i < body->len; i++) {
		if (body->p[i] == '.' && (i == 0 || body->p[i - 1] == '\n'))
			buf_addc(ret_wire, '.');
		buf_addc(ret_wire, body->p[i]);
	}
	buf_adds(ret_wire, ".\r\n");
}

/* Send body by DATA and by BDAT, from m; compare. */
static void
check_wire(const struct buf *body, const struct smtp_message *m)
{
	static const char *const data[] = { PIPE_OK, "D:", "S:250 ok\r\n",
		NULL };
	char bdat[40], n[40];
	const char *const chunk[] = { CHUNK, "E:MAIL", "E:RCPT", bdat, n,
		"S:250 ok\r\n250 ok\r\n250 ok\r\n", NULL };
	struct buf wire = BUF_INIT;
	struct peer *p;

	(void)snprintf(bdat, sizeof(bdat), "E:BDAT %zu LAST\r\n", body->len);
	(void)snprintf(n, sizeof(n), "B:%zu", body->len);
	p = peer_new(data);
	p->queue[p->n_queue++] = m;
	peer_play(p);
	reference(body, &wire);
	assert_int_equal(p->got.len, wire.len);
	assert_memory_equal(p->got.p, wire.p, wire.len);
	assert_int_equal(p->in.len, 0);
	assert_int_equal(p->res[0].cls, SMTP_DELIVERED);
	assert_int_equal(p->out.sent, body->len);
	peer_free(p);
	p = peer_new(chunk);
	p->queue[p->n_queue++] = m;
	peer_play(p);
	assert_int_equal(p->got.len, body->len);
	assert_memory_equal(buf_str(&p->got), buf_str(body), body->len);
	assert_int_equal(p->in.len, 0);
	assert_int_equal(p->res[0].cls, SMTP_DELIVERED);
	peer_free(p);
	buf_release(&wire);
}

static void
check_body(struct buf *body)
{
	struct smtp_message m = message(body);

	check_wire(body, &m);
	m = message_in_file(body);
	check_wire(body, &m);
	(void)close(m.fd);
}

static void
test_small(void **state)
{
	static const char *const t[] = { "", "\r\n", "a\r\n", ".\r\n", "..\r\n",
		".\r\n.\r\n", "a\r\n.\r\nb\r\n", "a\r\n.b\r\n", "a.\r\n",
		"a\r\n\r\n.\r\n\r\n", "QUIT\r\n.\r\nMAIL FROM:<>\r\n" };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct buf body = BUF_INIT;

		buf_adds(&body, t[i]);
		check_body(&body);
		buf_release(&body);
	}
}

/* Sizes around the limits of the code, with and without dots. V01, V06 */
static void
test_boundaries(void **state)
{
	static const size_t sizes[] = { 32767, 32768, 32769, 65533, 65534,
		65535, 65536, 65537, 65538, 98304, 98305, 131071, 131072,
		131073, 300001 };
	static const char *const line[] = { "0123456789\r\n", ".\r\n",
		"..x\r\n", "abc\r\n.\r\n" };
	size_t i, k;

	(void)state;
	for (i = 0; i < LEN(sizes) * LEN(line); i++) {
		struct buf body = BUF_INIT;

		for (k = i % 3; body.len + 2 < sizes[i / 4]; k = 0) {
			buf_add(&body, "xyz", k); /* shift the lines */
			buf_adds(&body, line[i % 4]);
		}
		body.len = sizes[i / 4] - 2;
		buf_adds(&body, "\r\n");
		check_body(&body);
		buf_release(&body);
	}
}

/* Random lines, a tiny socket buffer, a peer that reads in odd portions. */
static void
test_blocked(void **state)
{
	static const char *const data[] = { PIPE_OK, "D:", "S:250 ok\r\n",
		NULL };
	uint32_t seed = 4711;
	int i, n;

	(void)state;
	for (i = 0; i < 8; i++) {
		struct buf body = BUF_INIT, wire = BUF_INIT;
		struct smtp_message m;
		struct peer *p;

		while (body.len < 200000) {
			seed = seed * 1103515245 + 12345;
			n = (int)(seed >> 16) % 90;
			if (i % 2 == 0 && n % 3 == 0)
				buf_addc(&body, '.');
			while (n-- > 0)
				buf_addc(&body, 'a' + n % 26);
			buf_adds(&body, "\r\n");
		}
		reference(&body, &wire);
		m = i % 4 < 2 ? message(&body) : message_in_file(&body);
		p = peer_new(data);
		p->sndbuf = 2048;
		p->read_max = 777;
		p->set.log_data = i >= 4;
		p->queue[p->n_queue++] = &m;
		peer_play(p);
		assert_int_equal(p->got.len, wire.len);
		assert_memory_equal(p->got.p, wire.p, wire.len);
		assert_int_equal(p->res[0].cls, SMTP_DELIVERED);
		assert_int_equal(p->trace.len > 190000, i >= 4);
		peer_free(p);
		if (m.fd >= 0)
			(void)close(m.fd);
		buf_release(&body);
		buf_release(&wire);
	}
}

/* n octets of lines. */
static void
fill(struct buf *body, size_t n)
{
	while (body->len + 80 < n)
		buf_adds(body,
		    "0123456789012345678901234567890123456789"
		    "01234567890123456789012345678\r\n");
	while (body->len + 2 < n)
		buf_addc(body, 'x');
	buf_adds(body, "\r\n");
}

/* P19: the peer reads nothing while it answers: no dead-lock. */
static void
test_unread(void **state)
{
	static const char *const script[] = { GREET, "W:", OFFER,
		"N:", "S:250 ok\r\n550 5.1.1 no\r\n", "W:", "E:MAIL", "E:RCPT",
		"E:BDAT 1000000 LAST", "B:1000000", "S:554 nobody\r\n",
		"E:RSET", "S:250 ok\r\n", NULL };
	struct buf body = BUF_INIT;
	struct smtp_message m;
	struct peer *p;

	(void)state;
	fill(&body, 1000000);
	m = message(&body);
	p = peer_new(script);
	p->queue[p->n_queue++] = &m;
	peer_connect(p);
	peer_run(p);
	p->unread = true;
	peer_go(p);
	assert_string_equal(p->script[p->step], "W:");
	assert_int_equal(p->n_done, 0);
	p->unread = false;
	peer_go(p);
	peer_assert_end(p);
	assert_int_equal(p->n_done, 1);
	assert_int_equal(p->res[0].cls, SMTP_PERMANENT);
	assert_string_equal(p->res[0].status, "5.1.1");
	assert_int_equal(p->n_may_end, 0); /* nobody was left to send to */
	assert_true(p->out.usable);
	peer_free(p);
	buf_release(&body);
}

/* P19 for commands: many recipients, a small buffer, a slow reader. */
static void
test_many_rcpts(void **state)
{
	static const char *const data[] = { PIPE, "E:MAIL", "W:", NULL };
	char addr[220];
	struct smtp_rcpt many[150];
	struct smtp_message m;
	struct buf body = BUF_INIT;
	struct peer *p = peer_new(data);
	size_t i;

	(void)state;
	memset(addr, 'a', sizeof(addr));
	(void)snprintf(addr + 200, 20, "@example.com");
	for (i = 0; i < LEN(many); i++)
		many[i] = (struct smtp_rcpt) { addr, NULL, NULL };
	fill(&body, 100);
	m = message(&body);
	m.rcpt = many;
	m.n_rcpt = LEN(many);
	p->sndbuf = 2048;
	p->read_max = 500;
	p->queue[p->n_queue++] = &m;
	peer_connect(p);
	peer_run(p);
	assert_true(p->in.len < 100000);
	(void)send(p->fd, "250 ok\r\n", 8, 0);
	for (i = 0; i < LEN(many); i++) {
		assert_true(peer_expect(p, "RCPT TO:<aaa"));
		(void)send(p->fd, "250 ok\r\n", 8, 0);
	}
	assert_true(peer_expect(p, "DATA"));
	(void)send(p->fd, "354 go\r\n", 8, 0);
	peer_run(p);
	assert_true(peer_data(p));
	(void)send(p->fd, "250 2.0.0 ok\r\n", 14, 0);
	peer_run(p);
	assert_int_equal(p->n_done, 1);
	for (i = 0; i < LEN(many); i++)
		assert_int_equal(p->res[i].cls, SMTP_DELIVERED);
	peer_free(p);
	buf_release(&body);
}

/* P21: the window stays zero in mid-content. P37: it opens by drops. */
static void
test_slow(void **state)
{
	static const char *const script[] = { PIPE_OK, "W:", NULL };
	struct buf body = BUF_INIT;
	struct smtp_message m;
	struct peer *p;
	int i;

	(void)state;
	fill(&body, 8000000);
	m = message(&body);
	for (i = 0; i < 2; i++) {
		p = peer_new(script);
		p->read_max = 64;
		p->set.data_send = i == 0 ? 20 : 100000;
		p->set.message = i == 0 ? 0 : 20;
		p->queue[p->n_queue++] = &m;
		peer_connect(p);
		while (p->c != NULL) {
			p->unread = i == 0 && p->script[p->step] != NULL &&
			    strcmp(p->script[p->step], "W:") == 0;
			peer_turn(p);
		}
		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->res[0].cls, SMTP_BROKEN);
		assert_int_equal(p->res[0].stage, SMTP_STAGE_DATA);
		assert_string_equal(p->why.text, "timed out (sending)");
		assert_true(p->why.timeout);
		assert_false(p->out.end_sent);
		peer_free(p);
	}
	buf_release(&body);
}

/* P20: an answer in mid-content. */
static void
test_early_answer(void **state)
{
	static const struct {
		bool bdat, close;
		const char *answer;
		enum smtp_class cls;
		int code;
		bool protocol;
	} t[] = {
		{ false, false, "S:550 5.7.1 spam\r\n", SMTP_PERMANENT, 550,
		    false },
		{ false, true, "S:550 5.7.1 spam\r\n", SMTP_PERMANENT, 550,
		    false },
		{ false, true, "S:451 4.3.0 later\r\n", SMTP_TEMPORARY, 451,
		    false },
		{ false, false, "S:421 4.3.0 bye\r\n", SMTP_TEMPORARY, 421,
		    false },
		{ false, false, "S:250 hm\r\n", SMTP_BROKEN, 0, true },
		{ false, true, "S:", SMTP_BROKEN, 0, false },
		{ false, false, "S:354 go\r\n", SMTP_BROKEN, 0, true },
		{ true, true, "S:552 5.2.3 big\r\n", SMTP_PERMANENT, 552,
		    false },
		{ true, false, "S:500 what\r\n", SMTP_UNTRIED, 500, false },
		{ true, false, "S:250 hm\r\n", SMTP_BROKEN, 0, true },
		{ true, true, "S:", SMTP_BROKEN, 0, false },
	};
	struct buf body = BUF_INIT;
	size_t i;

	(void)state;
	fill(&body, 2000000);
	for (i = 0; i < LEN(t) * 2; i++) {
		const char *const data[] = { PIPE_OK, "W:", t[i / 2].answer,
			t[i / 2].close ? "C:" : NULL, NULL };
		const char *const chunk[] = { CHUNK, "E:MAIL", "E:RCPT",
			"E:BDAT", "S:250 ok\r\n250 ok\r\n",
			"W:", t[i / 2].answer, t[i / 2].close ? "C:" : NULL,
			NULL };
		struct smtp_message m = i % 2 == 0 ? message(&body) :
						     message_in_file(&body);
		struct peer *p = peer_new(t[i / 2].bdat ? chunk : data);

		p->queue[p->n_queue++] = &m;
		peer_connect(p);
		/* read not all of the content */
		p->read_max = 1000;
		while (p->script[p->step] == NULL ||
		    strcmp(p->script[p->step], "W:") != 0)
			peer_turn(p);
		p->unread = true;
		peer_go(p);
		peer_assert_end(p);
		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->res[0].cls, t[i / 2].cls);
		assert_int_equal(p->res[0].code, t[i / 2].code);
		assert_int_equal(p->n_closed, 1);
		assert_int_equal(p->why.protocol, t[i / 2].protocol);
		assert_false(p->out.usable || p->out.end_sent);
		assert_int_equal(p->n_may_end, 0);
		peer_free(p);
		if (m.fd >= 0)
			(void)close(m.fd);
	}
	buf_release(&body);
}

/* P33: BDAT refused while its octets are under way: they all go. */
static void
test_early_bdat(void **state)
{
	static const char *const script[] = { CHUNK, "E:MAIL", "E:RCPT",
		"E:BDAT 2000000 LAST", "S:250 ok\r\n250 ok\r\n",
		"W:", "S:552 5.2.3 big\r\n", "B:2000000", "X:RSET\r\n",
		"S:250 ok\r\n", "N:", NULL };
	struct buf body = BUF_INIT;
	struct smtp_message m;
	struct peer *p;

	(void)state;
	fill(&body, 2000000);
	m = message(&body);
	p = peer_new(script);
	p->queue[p->n_queue++] = &m;
	p->read_max = 1000;
	peer_connect(p);
	while (p->script[p->step] == NULL ||
	    strcmp(p->script[p->step], "W:") != 0)
		peer_turn(p);
	p->read_max = 0;
	peer_go(p);
	peer_assert_end(p);
	assert_int_equal(p->n_done, 1);
	assert_int_equal(p->res[0].cls, SMTP_PERMANENT);
	assert_int_equal(p->res[0].code, 552);
	assert_true(p->out.usable);
	assert_int_equal(p->n_may_end, 0);
	peer_free(p);
	buf_release(&body);
}

/* may_end says false: all but the tail goes, then it waits. */
static void
test_tail_waits(void **state)
{
	char size[20];
	const char *const data[] = { PIPE_OK, size,
		"N:", "W:", "D:", "S:250 ok\r\n", NULL };
	const char *const chunk[] = { CHUNK, "E:MAIL", "E:RCPT",
		"E:BDAT 300000 LAST", size, "N:", "W:", "B:65536",
		"S:250 ok\r\n250 ok\r\n250 ok\r\n", NULL };
	struct buf body = BUF_INIT;
	size_t i;

	(void)state;
	fill(&body, 300000);
	(void)snprintf(size, sizeof(size), "B:%d", 300000 - TAIL);
	for (i = 0; i < 4; i++) {
		struct smtp_message m = i % 2 == 0 ? message(&body) :
						     message_in_file(&body);
		struct peer *p = peer_new(i < 2 ? data : chunk);

		p->deny_end = true;
		p->queue[p->n_queue++] = &m;
		peer_connect(p);
		peer_run(p);
		assert_string_equal(p->script[p->step], "W:");
		assert_int_equal(p->n_may_end, 1);
		smtp_conn_resume(p->c);
		peer_go(p);
		peer_assert_end(p);
		assert_int_equal(p->got.len, i < 2 ? 300003 : 300000);
		assert_memory_equal(p->got.p, body.p, body.len);
		assert_int_equal(p->res[0].cls, SMTP_DELIVERED);
		peer_free(p);
		if (m.fd >= 0)
			(void)close(m.fd);
	}
	buf_release(&body);
}

/* The content is shorter than it should be: our fault, nothing complete. */
static void
test_short_content(void **state)
{
	static const char *const data[] = { PIPE_OK, NULL };
	static const char *const chunk[] = { CHUNK, NULL };
	static const struct {
		int64_t more, dots;
		size_t pread_max;
		bool bdat;
	} t[] = {
		{ 100, 0, 0, false },
		{ 100, 0, 0, true },
		{ 1000000, 0, 0, false },
		{ 1000000, 0, 0, true },
		{ 1000000, 5, 0, false },
		{ 0, 0, 12345 + 1000, false },
		{ 0, 0, 12345, true },
		{ 100, 5, 0, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct buf body = BUF_INIT;
		struct smtp_message m;
		struct peer *p = peer_new(t[i].bdat ? chunk : data);

		fill(&body, 10000);
		m = message_in_file(&body);
		m.size += t[i].more;
		m.dots = t[i].dots;
		p->pread_max = t[i].pread_max;
		p->queue[p->n_queue++] = &m;
		peer_play(p);
		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->res[0].cls, SMTP_BROKEN);
		assert_int_equal(p->why.blame, SMTP_BLAME_LOCAL);
		assert_false(p->out.end_sent);
		assert_int_equal(p->n_closed, 1);
		assert_false(p->in.len >= 5 &&
		    memcmp(p->in.p + p->in.len - 5, "\r\n.\r\n", 5) == 0);
		peer_free(p);
		(void)close(m.fd);
		buf_release(&body);
	}
}

/* A fault met inside smtp_conn_send is told by the loop, not by send. */
static void
test_fault_in_send(void **state)
{
	static const char *const script[] = { CHUNK, NULL };
	struct buf body = BUF_INIT;
	struct smtp_message m;
	struct peer *p;

	(void)state;
	fill(&body, 1000);
	m = message_in_file(&body);
	m.size += 100;
	p = peer_play(peer_new(script));
	assert_int_equal(smtp_conn_send(p->c, &m), SMTP_FIT_OK);
	assert_int_equal(p->n_done + p->n_closed, 0);
	assert_int_equal(smtp_conn_send(p->c, &m), SMTP_FIT_GONE);
	peer_run(p);
	assert_int_equal(p->n_done, 1);
	assert_int_equal(p->why.blame, SMTP_BLAME_LOCAL);
	assert_int_equal(p->n_closed, 1);
	peer_free(p);
	(void)close(m.fd);
	buf_release(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_unread),
		cmocka_unit_test(test_many_rcpts),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_early_answer),
		cmocka_unit_test(test_early_bdat),
		cmocka_unit_test(test_tail_waits),
		cmocka_unit_test(test_short_content),
		cmocka_unit_test(test_fault_in_send),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
