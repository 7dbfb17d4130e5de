/*
 * Transactions that come to no good end: too many answers, too few, 421, a
 * connection that breaks or times out. Nobody is lost, and nobody is
 * delivered who was not. The numbers P.. are those of the list of bad peers.
 */
#include "smtp_peer.h"

/* P18, P43: more answers than commands. */
static void
test_surplus(void **state)
{
	static const char *const flight[] = { CHUNK, FLIGHT,
		"S:250 ok\r\n250 ok\r\n250 hm\r\n550 5.7.1 spam\r\n", NULL };
	static const char *const mail_twice[] = { PIPE,
		"X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", NULL };
	static const char *const after[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n",
		"D:", "S:250 2.0.0 ok\r\n250 once more\r\n", NULL };
	static const char *const notice[] = { CHUNK, FLIGHT,
		"S:250 ok\r\n250 ok\r\n250 2.0.0 ok\r\n421 4.4.2 bye\r\n",
		NULL };
	static const char *const partly[] = { PIPE,
		"X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n",
		"D:", "S:250 2.0.0 ok\r\n25", NULL };
	static const char *const step_mail[] = { PLAIN, "X:" MAIL,
		"S:250 ok\r\n250 ok\r\n", "N:", NULL };
	static const char *const step_rcpt[] = { PLAIN, "X:" MAIL,
		"S:250 ok\r\n", "X:" RCPT(1), "S:250 ok\r\n2", "N:", NULL };
	static const char *const step_bye[] = { PLAIN, "X:" MAIL,
		"S:250 ok\r\n421 4.4.2 bye\r\n", NULL };
	static const struct {
		const char *const *script;
		enum smtp_class cls;
		int code, why;
		bool protocol;
	} t[] = {
		{ step_mail, SMTP_BROKEN, 0, 0, true },
		{ step_rcpt, SMTP_BROKEN, 0, 0, true },
		{ step_bye, SMTP_TEMPORARY, 421, 421, false },
		{ flight, SMTP_AMBIGUOUS, 0, 0, true },
		{ mail_twice, SMTP_BROKEN, 0, 0, true },
		{ after, SMTP_DELIVERED, 250, 0, true },
		{ notice, SMTP_DELIVERED, 250, 421, false },
		{ partly, SMTP_DELIVERED, 250, 0, true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(1, true);
		struct peer *p = peer_play1(t[i].script, &m);

		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->res[0].cls, t[i].cls);
		assert_int_equal(p->res[0].code, t[i].code);
		assert_false(p->out.usable);
		assert_int_equal(p->n_closed, 1);
		assert_int_equal(p->why.code, t[i].why);
		assert_int_equal(p->why.protocol, t[i].protocol);
		peer_free(p);
	}
}

/* P25: 421 at any command. */
static void
test_421(void **state)
{
	static const char *const mail[] = { CHUNK, FLIGHT,
		"S:421 4.3.2 bye\r\n", NULL };
	static const char *const mail_step[] = { PLAIN, "X:" MAIL,
		"S:421 4.3.2 bye\r\n", NULL };
	static const char *const rcpt[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n421 4.3.2 bye\r\n", NULL };
	static const char *const rcpt_flight[] = { CHUNK, FLIGHT,
		"S:250 ok\r\n421 4.3.2 bye\r\n", "C:", NULL };
	static const char *const data[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n421 4.3.2 bye\r\n", NULL };
	static const char *const dot[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n", "D:", "S:421 4.3.2 bye\r\n",
		NULL };
	static const char *const bdat[] = { CHUNK, FLIGHT,
		"S:250 ok\r\n250 ok\r\n421 4.3.2 bye\r\n", NULL };
	static const char *const *t[] = { mail, mail_step, rcpt, rcpt_flight,
		data, dot, bdat };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(1, true);
		struct peer *p = peer_play1(t[i], &m);

		assert_int_equal(p->n_done, 1);
		peer_is(p, 0, SMTP_TEMPORARY, 421, "4.3.2");
		assert_false(p->out.usable);
		assert_int_equal(p->n_closed, 1);
		peer_free(p);
	}
}

/* 421 for one recipient, and the others are answered all the same. */
static void
test_421_and_on(void **state)
{
	static const char *const on[] = { CHUNK, "X:" MAIL RCPT(1) RCPT(2) BDAT,
		"S:250 ok\r\n421 4.7.0 slow\r\n250 ok\r\n250 2.0.0 ok\r\n",
		NULL };
	static const char *const off[] = { CHUNK,
		"X:" MAIL RCPT(1) RCPT(2) BDAT,
		"S:250 ok\r\n250 ok\r\n421 4.7.0 slow\r\n", "C:", NULL };
	struct smtp_message m = peer_message(2, true);
	struct peer *p;

	(void)state;
	p = peer_play1(on, &m);
	peer_is(p, 0, SMTP_TEMPORARY, 421, "4.7.0");
	peer_is(p, 1, SMTP_DELIVERED, 250, "2.0.0");
	assert_false(p->out.usable);
	assert_int_equal(p->n_closed, 1);
	peer_free(p);
	p = peer_play1(off, &m);
	peer_is(p, 0, SMTP_TEMPORARY, 421, "4.7.0");
	peer_is(p, 1, SMTP_TEMPORARY, 421, "4.7.0");
	assert_int_equal(p->n_closed, 1);
	peer_free(p);
}

/* P35: what the second message of a session meets. */
static void
test_reuse(void **state)
{
	static const char *const mail_421[] = { CHUNK, FLIGHT, "S:" ALL_OK,
		FLIGHT, "S:421 4.7.0 enough\r\n", NULL };
	static const char *const shut[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n", "D:", "S:250 ok\r\n",
		"E:MAIL", "C:", NULL };
	static const char *const rset[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n550 no\r\n503 no\r\n",
		"X:RSET\r\n" MAIL RCPT(1) "DATA\r\n",
		"S:500 what\r\n250 ok\r\n250 ok\r\n354 go\r\n", NULL };
	static const char *const rset_421[] = { PIPE,
		"X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n550 no\r\n503 no\r\n",
		"X:RSET\r\n" MAIL RCPT(1) "DATA\r\n", "S:421 bye\r\n", NULL };
	/* a RSET that is not answered yet: the body does not go ahead */
	static const char *const rset_bdat[] = { CHUNK, FLIGHT,
		"S:250 ok\r\n550 no\r\n554 no\r\n", "X:RSET\r\n" MAIL RCPT(1),
		"N:", "S:502 what\r\n", NULL };
	static const struct {
		const char *const *script;
		int code;
	} t[] = { { mail_421, 421 }, { shut, 0 }, { rset, 500 },
		{ rset_421, 421 }, { rset_bdat, 502 } };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(1, true);
		struct peer *p = peer_play2(t[i].script, &m);

		assert_int_equal(p->n_done, 2);
		assert_int_equal(p->res[0].cls, SMTP_UNTRIED);
		assert_int_equal(p->why.code, t[i].code);
		assert_true(p->out.reused);
		assert_false(p->out.usable);
		assert_int_equal(p->n_closed, 1);
		peer_free(p);
	}
}

/*
 * The connection breaks behind each octet that the server says: delivered
 * only with the whole answer to the end of data, ambiguous once the end of
 * data was sent, else broken. P22, and no recipient is ever lost.
 */
static void
test_break_anywhere(void **state)
{
	static const struct {
		const char *ehlo, *c1, *s1, *c2, *s2;
	} w[] = {
		{ "S:250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
		    "X:" MAIL RCPT(1) RCPT(2) BDAT,
		    "250 ok\r\n250 ok\r\n"
		    "550 5.1.1 no\r\n250 2.0.0 ok\r\n",
		    NULL, "" },
		{ "S:250-mx\r\n250 PIPELINING\r\n",
		    "X:" MAIL RCPT(1) RCPT(2) "DATA\r\n",
		    "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n",
		    "D:", "250 2.0.0 ok\r\n" },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < LEN(w); i++) {
		size_t n1 = strlen(w[i].s1), n = n1 + strlen(w[i].s2);

		for (k = 0; k < n; k++) {
			struct smtp_message m = peer_message(2, true);
			char a1[100], a2[100];
			const char *const early[] = { GREET, w[i].ehlo, w[i].c1,
				a1, "C:", NULL };
			const char *const late[] = { GREET, w[i].ehlo, w[i].c1,
				a1, w[i].c2, a2, "C:", NULL };
			bool end = i == 0 || k >= n1;
			struct peer *p;

			(void)snprintf(a1, sizeof(a1), "S:%.*s",
			    (int)(k < n1 ? k : n1), w[i].s1);
			(void)snprintf(a2, sizeof(a2), "S:%.*s",
			    (int)(k < n1 ? 0 : k - n1), w[i].s2);
			p = peer_play1(k < n1 ? early : late, &m);
			assert_int_equal(p->n_done, 1);
			assert_int_equal(p->n_closed, 1);
			assert_int_equal(p->res[0].cls,
			    k == n - 1 && w[i].s1[n1 - 1] != '\n' ?
				SMTP_DELIVERED :
				end ? SMTP_AMBIGUOUS :
				      SMTP_BROKEN);
			if (k >= 30) /* RCPT 2 was refused before */
				peer_is(p, 1, SMTP_PERMANENT, 550, "5.1.1");
			else
				assert_int_equal(p->res[1].cls,
				    end ? SMTP_AMBIGUOUS : SMTP_BROKEN);
			assert_int_equal(p->out.end_sent, end);
			assert_int_equal(p->out.answered, k >= 8);
			assert_true(p->out_failed);
			assert_int_equal(p->why.blame, SMTP_BLAME_PEER);
			peer_free(p);
		}
	}
}

/* P24: 250, then the end of the connection. */
static void
test_delivered_then_gone(void **state)
{
	static const char *const script[] = { CHUNK, FLIGHT, "S:" ALL_OK,
		"C:", NULL };
	struct smtp_message m = peer_message(1, true);
	struct peer *p = peer_play1(script, &m);

	(void)state;
	peer_is(p, 0, SMTP_DELIVERED, 250, "2.0.0");
	assert_int_equal(p->n_done, 1);
	peer_free(p);
}

/* P23, P01: a peer that never answers; what was in flight decides. */
static void
test_timeouts(void **state)
{
	static const char *const mail[] = { PIPE, NULL };
	static const char *const rcpt[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n25", NULL };
	static const char *const dot[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n", "D:", "S:250-2.0.0 ok\r\n",
		NULL };
	static const char *const flight[] = { CHUNK, FLIGHT, NULL };
	static const struct {
		const char *const *script;
		enum smtp_class cls;
		enum smtp_stage stage;
	} t[] = {
		{ mail, SMTP_BROKEN, SMTP_STAGE_MAIL },
		{ rcpt, SMTP_BROKEN, SMTP_STAGE_RCPT },
		{ dot, SMTP_AMBIGUOUS, SMTP_STAGE_END },
		{ flight, SMTP_AMBIGUOUS, SMTP_STAGE_END },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(1, true);
		struct peer *p = peer_new(t[i].script);

		p->set.command = t[i].cls == SMTP_BROKEN ? 20 : 100000;
		p->set.data_end = t[i].cls == SMTP_BROKEN ? 100000 : 20;
		p->queue[p->n_queue++] = &m;
		peer_connect(p);
		peer_wait_end(p);
		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->res[0].cls, t[i].cls);
		assert_int_equal(p->res[0].stage, t[i].stage);
		assert_string_equal(p->res[0].status, "4.4.2");
		assert_true(p->why.timeout);
		assert_int_equal(p->n_closed, 1);
		peer_free(p);
	}
}

/* may_end says false: no end of data before resume. */
static void
test_wait_for_leave(void **state)
{
	static const char *const flight[] = { CHUNK,
		"X:" MAIL RCPT(1) "BDAT 21 LAST\r\n", "N:", "W:", "X:" BODY,
		"S:" ALL_OK, NULL };
	static const char *const piped[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n",
		"N:", "W:", "X:" BODY ".\r\n", "S:250 2.0.0 ok\r\n", NULL };
	static const char *const chunk[] = { CHUNK, "X:" MAIL RCPT(1),
		"S:250 ok\r\n250 ok\r\n", "X:BDAT 21 LAST\r\n",
		"N:", "W:", "X:" BODY, "S:250 2.0.0 ok\r\n", NULL };
	static const struct {
		const char *const *script;
		bool ahead;
	} t[] = { { flight, true }, { piped, true }, { chunk, false } };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t) * 2; i++) {
		struct smtp_message m = peer_message(1, t[i / 2].ahead);
		struct peer *p = peer_new(t[i / 2].script);

		p->deny_end = true;
		p->queue[p->n_queue++] = &m;
		peer_connect(p);
		peer_run(p);
		assert_string_equal(p->script[p->step], "W:");
		assert_int_equal(p->n_may_end, 1);
		if (i % 2 == 1) { /* the peer goes while it waits */
			(void)close(p->fd);
			p->fd = -1;
			peer_run(p);
			assert_int_equal(p->res[0].cls, SMTP_BROKEN);
			assert_false(p->out.end_sent);
			assert_int_equal(p->n_closed, 1);
		} else {
			smtp_conn_resume(p->c);
			smtp_conn_resume(p->c);
			peer_go(p);
			peer_assert_end(p);
			peer_is(p, 0, SMTP_DELIVERED, 250, "2.0.0");
			assert_int_equal(p->n_may_end, 1);
		}
		peer_free(p);
	}
}

/* One octet after the other of xorshift. */
static unsigned
next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return ((unsigned)(*x >> 32));
}

/* Replies at random, cut at random, whatever the client says. */
static void
babble(struct peer *p, uint64_t *x)
{
	static const char *const word[] = { "250 ok\r\n", "250 ok\r\n",
		"250 ok\r\n", "220 mx\r\n", "354 go\r\n", "354 go\r\n",
		"250-a\r\n", "250-PIPELINING\r\n250 CHUNKING\r\n",
		"250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
		"450 4.2.1 x\r\n", "452 4.5.3 x\r\n", "550 5.1.1 x\r\n",
		"500 what\r\n", "421 bye\r\n", "2", "\r\n", "x" };
	const char *w = word[next_random(x) % LEN(word)];
	size_t n = strlen(w);

	if (next_random(x) % 4 == 0)
		n = next_random(x) % (n + 1);
	if (p->fd >= 0 && next_random(x) % 40 == 0) {
		(void)close(p->fd);
		p->fd = -1;
	}
	if (p->fd >= 0 && next_random(x) % 3 > 0)
		(void)send(p->fd, w, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (next_random(x) % 2 == 0)
		peer_read(p);
}

/* One good answer, without any extension, when the client has said something.
 */
static void
answer(struct peer *p)
{
	const char *w = "250 ok\r\n";

	peer_read(p);
	if (p->fd < 0 || p->in.len == 0)
		return;
	if (p->in.len > 5 &&
	    memcmp(p->in.p + p->in.len - 6, "DATA\r\n", 6) == 0)
		w = "354 go\r\n";
	(void)send(p->fd, w, strlen(w), MSG_DONTWAIT | MSG_NOSIGNAL);
	buf_clear(&p->in);
}

/* Whatever a peer says: one outcome a message, one end, no lost memory. */
static void
test_babble(void **state)
{
	static const char *const script[] = { NULL };
	struct smtp_message m = peer_message(3, true);
	struct smtp_message plain = peer_message(2, false);
	uint64_t x = 88172645463325252u;
	int i, turns, delivered = 0;

	(void)state;
	for (i = 0; i < 3000; i++) {
		struct peer *p = peer_new(script);

		p->queue[p->n_queue++] = &m;
		p->queue[p->n_queue++] = &plain;
		p->queue[p->n_queue++] = &m;
		p->deny_end = i % 5 == 0;
		peer_connect(p);
		(void)send(p->fd, "220 mx\r\n", 8, 0);
		for (turns = 0; turns < 60 && p->c != NULL; turns++) {
			loop_turn(p->loop, false);
			if (i % 2 == 0 || next_random(&x) % 16 == 0)
				babble(p, &x);
			else
				answer(p);
			if (p->c != NULL && p->deny_end && turns % 8 == 0)
				smtp_conn_resume(p->c);
		}
		assert_true(p->n_failed + p->n_closed == (p->c == NULL));
		assert_true(p->n_done <= (int)p->next);
		assert_true(p->c != NULL || p->n_done == (int)p->next);
		assert_true(p->n_may_end <= (int)p->next);
		delivered += p->n_res > 0 && p->res[0].cls == SMTP_DELIVERED;
		if (p->n_res > 0 && p->res[0].cls == SMTP_DELIVERED)
			assert_true(p->out.end_sent && p->n_may_end > 0);
		p->set.quit = 0;
		peer_free(p);
	}
	assert_true(delivered > 100); /* the mix is a useful one */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_surplus),
		cmocka_unit_test(test_421),
		cmocka_unit_test(test_421_and_on),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_break_anywhere),
		cmocka_unit_test(test_delivered_then_gone),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_wait_for_leave),
		cmocka_unit_test(test_babble),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
