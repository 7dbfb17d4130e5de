/*
 * Transactions: which commands go when, and what becomes of whom. The
 * numbers P.. are those of the project's list of bad peers.
 */
#include "smtp_peer.h"

/* Each way to send is exact on the wire, and is used again for the next. */
static void
test_ways(void **state)
{
	static const char *const flight[] = { CHUNK, FLIGHT, "N:", "S:" ALL_OK,
		FLIGHT, "S:" ALL_OK, "X:QUIT\r\n", "S:221 bye\r\n", NULL };
	static const char *const piped[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"N:", "S:250 ok\r\n250 ok\r\n", "N:", "S:354 go\r\n",
		"X:" BODY ".\r\n", "N:", "S:250 2.0.0 queued\r\n",
		"X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n", "X:" BODY ".\r\n",
		"S:250 2.0.0 queued\r\n", "X:QUIT\r\n", "S:221 bye\r\n", NULL };
	static const char *const chunk[] = { CHUNK, "X:" MAIL RCPT(1),
		"N:", "S:250 ok\r\n", "N:", "S:250 ok\r\n", "X:" BDAT,
		"N:", "S:250 2.0.0 queued\r\n", "X:" MAIL RCPT(1),
		"S:250 ok\r\n250 ok\r\n", "X:" BDAT, "S:250 2.0.0 queued\r\n",
		"X:QUIT\r\n", "S:221 bye\r\n", NULL };
	static const char *const steps[] = { PLAIN, "X:" MAIL,
		"N:", "S:250 ok\r\n", "X:" RCPT(1), "N:", "S:250 ok\r\n",
		"X:DATA\r\n", "N:", "S:354 go\r\n", "X:" BODY ".\r\n",
		"N:", "S:250 2.0.0 queued\r\n", "X:" MAIL, "S:250 ok\r\n",
		"X:" RCPT(1), "S:250 ok\r\n", "X:DATA\r\n", "S:354 go\r\n",
		"X:" BODY ".\r\n", "S:250 2.0.0 queued\r\n", "X:QUIT\r\n",
		"C:", NULL };
	static const char *const bdat_steps[] = { GREET,
		"S:250-mx\r\n250 CHUNKING\r\n", "X:" MAIL, "N:", "S:250 ok\r\n",
		"X:" RCPT(1), "N:", "S:250 ok\r\n", "X:" BDAT,
		"N:", "S:250 2.0.0 queued\r\n", "X:" MAIL, "S:250 ok\r\n",
		"X:" RCPT(1), "S:250 ok\r\n", "X:" BDAT,
		"S:250 2.0.0 queued\r\n", "X:QUIT\r\n", "S:221 bye\r\n", NULL };
	static const struct {
		const char *const *script;
		bool ahead, bdat;
	} t[] = { { flight, true, true }, { piped, true, false },
		{ piped, false, false }, { chunk, false, true },
		{ steps, true, false }, { bdat_steps, true, true } };
	size_t i;
	int bytewise;

	(void)state;
	for (i = 0; i < LEN(t) * 2; i++) {
		struct smtp_message m = peer_message(1, t[i / 2].ahead);
		struct peer *p = peer_new(t[i / 2].script);

		bytewise = i % 2; /* P18 */
		p->bytewise = bytewise;
		p->queue[p->n_queue++] = &m;
		p->queue[p->n_queue++] = &m;
		p->quit_at_end = true;
		peer_play(p);
		assert_int_equal(p->n_ready, 1);
		assert_int_equal(p->n_done, 2);
		assert_int_equal(p->n_may_end, 2);
		assert_int_equal(p->may_end_n, 1);
		peer_is(p, 0, SMTP_DELIVERED, 250, "2.0.0");
		assert_string_equal(p->res[0].text, "2.0.0 queued");
		assert_int_equal(p->res[0].stage, SMTP_STAGE_END);
		assert_true(p->out.usable && p->out.reused);
		assert_true(p->out.end_sent && p->out.answered);
		assert_int_equal(p->out.bdat, t[i / 2].bdat);
		assert_int_equal(p->out.sent, 21);
		assert_int_equal(p->n_closed + p->n_failed, 0);
		peer_free(p);
	}
}

/* P16: each recipient its own state; the accepted are sent. */
static void
test_mixed(void **state)
{
	static const char *const piped[] = { PIPE,
		"X:" MAIL RCPT(1) RCPT(2) RCPT(3) RCPT(4) "DATA\r\n",
		"S:250 ok\r\n251 2.1.5 forwarding\r\n450 4.2.1 later\r\n"
		"550-5.1.1 no\r\n550 5.1.1 such user\r\n250 ok\r\n354 go\r\n",
		"D:", "S:250 2.0.0 queued\r\n", "N:", NULL };
	static const char *const flight[] = { CHUNK,
		"X:" MAIL RCPT(1) RCPT(2) RCPT(3) RCPT(4) BDAT,
		"S:250 ok\r\n251 2.1.5 forwarding\r\n450 4.2.1 later\r\n"
		"550-5.1.1 no\r\n550 5.1.1 such user\r\n250 ok\r\n"
		"250 2.0.0 queued\r\n",
		"N:", NULL };
	static const char *const steps[] = { PLAIN, "E:MAIL", "S:250 ok\r\n",
		"X:" RCPT(1), "S:251 2.1.5 forwarding\r\n", "X:" RCPT(2),
		"S:450 4.2.1 later\r\n", "X:" RCPT(3),
		"S:550-5.1.1 no\r\n550 5.1.1 such user\r\n", "X:" RCPT(4),
		"S:250 ok\r\n", "X:DATA\r\n", "S:354 go\r\n",
		"D:", "S:250 2.0.0 queued\r\n", "N:", NULL };
	static const char *const *t[] = { piped, flight, steps };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(4, true);
		struct peer *p = peer_play1(t[i], &m);

		peer_is(p, 0, SMTP_DELIVERED, 250, "2.0.0");
		peer_is(p, 1, SMTP_TEMPORARY, 450, "4.2.1");
		assert_string_equal(p->res[1].text, "4.2.1 later");
		assert_int_equal(p->res[1].stage, SMTP_STAGE_RCPT);
		peer_is(p, 2, SMTP_PERMANENT, 550, "5.1.1");
		assert_string_equal(p->res[2].text, "5.1.1 no such user");
		peer_is(p, 3, SMTP_DELIVERED, 250, "2.0.0");
		assert_true(p->out.usable);
		assert_int_equal(p->may_end_n, i == 1 ? 4 : 2);
		peer_free(p);
	}
}

/* P18: an answer to a command that has not left yet is an answer to none. */
static void
test_unsent(void **state)
{
	static const char *const script[] = { PIPE, "W:", NULL };
	static struct smtp_rcpt many[PEER_RCPTS];
	struct smtp_message m = peer_message(LEN(many), true);
	struct buf answers = BUF_INIT;
	char addr[250];
	struct peer *p = peer_new(script);
	size_t i;

	(void)state;
	memset(addr, 'a', sizeof(addr));
	(void)snprintf(addr + 200, 20, "@example.com");
	buf_adds(&answers, "250 ok\r\n");
	for (i = 0; i < LEN(many); i++) {
		many[i] = (struct smtp_rcpt) { addr, NULL, NULL };
		buf_adds(&answers, "550 5.1.1 no\r\n");
	}
	m.rcpt = many;
	p->sndbuf = 2048;
	p->read_max = 500;
	p->queue[p->n_queue++] = &m;
	peer_connect(p);
	while (p->script[p->step] == NULL ||
	    strcmp(p->script[p->step], "W:") != 0)
		peer_turn(p);
	p->unread = true;
	peer_run(p);
	assert_int_equal(send(p->fd, answers.p, answers.len, MSG_DONTWAIT),
	    answers.len);
	peer_run(p);
	assert_int_equal(p->n_done, 1);
	assert_string_equal(p->why.text, "answer to no command: out of step");
	for (i = 0; i < LEN(many); i++)
		assert_int_equal(p->res[i].cls, SMTP_BROKEN);
	peer_free(p);
	buf_release(&answers);
}

/* P43: 421 behind an answer, before the next command has left. */
static void
test_bye(void **state)
{
	static const char *const t[][6] = {
		{ PLAIN, "E:MAIL", "S:250 ok\r\n421 4.3.2 bye\r\n", NULL },
		{ PLAIN, "E:MAIL", "S:421 4.3.2 bye\r\n", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(2, true);
		struct peer *p = peer_play1(t[i], &m);

		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->n_closed, 1);
		peer_is(p, 0, SMTP_TEMPORARY, 421, "4.3.2");
		peer_is(p, 1, SMTP_TEMPORARY, 421, "4.3.2");
		assert_false(p->out.usable);
		peer_free(p);
	}
}

/* P16: 452 splits the transaction; 552 to RCPT is as 452. */
static void
test_too_many(void **state)
{
	static const struct {
		const char *first, *second;
		enum smtp_class cls1, cls2;
		int code2;
		const char *status2;
		bool too_many;
	} t[] = {
		{ "250 ok", "452 4.5.3 too many", SMTP_DELIVERED, SMTP_UNTRIED,
		    452, "4.5.3", true },
		{ "250 ok", "452 too many", SMTP_DELIVERED, SMTP_UNTRIED, 452,
		    "4.0.0", true },
		{ "250 ok", "552 too many", SMTP_DELIVERED, SMTP_UNTRIED, 552,
		    "4.0.0", true },
		{ "250 ok", "552 5.5.3 too many", SMTP_DELIVERED, SMTP_UNTRIED,
		    552, "4.5.3", true },
		{ "250 ok", "452 4.2.2 over quota", SMTP_DELIVERED,
		    SMTP_TEMPORARY, 452, "4.2.2", false },
		{ "250 ok", "552 5.2.2 over quota", SMTP_DELIVERED,
		    SMTP_PERMANENT, 552, "5.2.2", false },
		{ "452 4.5.3 x", "452 4.5.3 too many", SMTP_TEMPORARY,
		    SMTP_TEMPORARY, 452, "4.5.3", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(2, true);
		char answer[200];
		const char *const script[] = { CHUNK,
			"X:" MAIL RCPT(1) RCPT(2) BDAT, answer, NULL };
		struct peer *p;

		(void)snprintf(answer, sizeof(answer),
		    "S:250 ok\r\n%s\r\n%s\r\n%s\r\n", t[i].first, t[i].second,
		    t[i].cls1 == SMTP_DELIVERED ? "250 2.0.0 ok" :
						  "554 no valid recipients");
		p = peer_play1(script, &m);
		assert_int_equal(p->res[0].cls, t[i].cls1);
		peer_is(p, 1, t[i].cls2, t[i].code2, t[i].status2);
		assert_int_equal(p->out.too_many_rcpts, t[i].too_many);
		assert_int_equal(smtp_conn_rcpt_max(p->c),
		    t[i].too_many ? 1 : SIZE_MAX);
		peer_free(p);
	}
}

/* P17: nobody accepted, 354: a lone dot, whose 250 delivers nobody. */
static void
test_nobody(void **state)
{
	static const char *const dot[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n550 5.1.1 no\r\n354 go\r\n", "X:.\r\n",
		"N:", "S:250 queued, hm\r\n", "X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n550 5.1.1 no\r\n554 no valid recipients\r\n",
		"X:RSET\r\nQUIT\r\n", NULL };
	static const char *const refused[] = { PIPE,
		"X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n550 5.1.1 no\r\n503 no\r\n",
		"X:RSET\r\n" MAIL RCPT(1) "DATA\r\n",
		"S:250 reset\r\n250 ok\r\n550 5.1.1 no\r\n503 no\r\n",
		"X:RSET\r\nQUIT\r\n", NULL };
	static const char *const steps[] = { PLAIN, "X:" MAIL, "S:250 ok\r\n",
		"X:" RCPT(1), "S:550 5.1.1 no\r\n", "X:RSET\r\n",
		"N:", "S:250 ok\r\n", "X:" MAIL, "S:250 ok\r\n", "X:" RCPT(1),
		"S:550 5.1.1 no\r\n", "X:RSET\r\nQUIT\r\n", NULL };
	static const char *const flight[] = { CHUNK, FLIGHT,
		"S:250 ok\r\n550 5.1.1 no\r\n250 hm\r\n", /* believed: over */
		FLIGHT, "S:250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no\r\n",
		"X:RSET\r\nQUIT\r\n", NULL };
	static const char *const chunk[] = { CHUNK, "X:" MAIL RCPT(1),
		"S:250 ok\r\n550 5.1.1 no\r\n", "X:RSET\r\n" MAIL RCPT(1),
		"S:250 ok\r\n250 ok\r\n550 5.1.1 no\r\n", "X:RSET\r\nQUIT\r\n",
		NULL };
	static const struct {
		const char *const *script;
		bool ahead;
		int may_end;
	} t[] = { { dot, true, 0 }, { refused, true, 0 }, { steps, true, 0 },
		{ flight, true, 2 }, { chunk, false, 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(1, t[i].ahead);
		struct peer *p = peer_play2(t[i].script, &m);

		assert_int_equal(p->n_done, 2);
		peer_is(p, 0, SMTP_PERMANENT, 550, "5.1.1");
		assert_int_equal(p->n_may_end, t[i].may_end);
		assert_false(p->out.chunking_broken);
		peer_free(p);
	}
}

/* P15: MAIL refused: all recipients; the session goes on without RSET. */
static void
test_mail_refused(void **state)
{
	static const struct {
		const char *answer;
		enum smtp_class cls;
		int code;
		const char *status;
	} t[] = {
		{ "451 4.7.1 later", SMTP_TEMPORARY, 451, "4.7.1" },
		{ "552 5.3.4 too big", SMTP_PERMANENT, 552, "5.3.4" },
		{ "553 bad sender", SMTP_PERMANENT, 553, "5.0.0" },
		{ "550 2.0.0 hm", SMTP_PERMANENT, 550, "5.0.0" },
	};
	static const struct {
		const char *ehlo, *commands, *rest;
	} w[] = {
		{ "S:250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
		    "X:" MAIL RCPT(1) RCPT(2) BDAT,
		    "503 no\r\n503 no\r\n503 no\r\n" },
		{ "S:250-mx\r\n250 PIPELINING\r\n",
		    "X:" MAIL RCPT(1) RCPT(2) "DATA\r\n",
		    "503 no\r\n503 no\r\n503 no\r\n" },
		{ "S:250 mx\r\n", "X:" MAIL, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t) * LEN(w); i++) {
		struct smtp_message m = peer_message(2, true);
		char answer[200];
		const char *const script[] = { GREET, w[i % 3].ehlo,
			w[i % 3].commands, answer, w[i % 3].commands, answer,
			"X:QUIT\r\n", NULL };
		struct peer *p;

		(void)snprintf(answer, sizeof(answer), "S:%s\r\n%s",
		    t[i / 3].answer, w[i % 3].rest);
		p = peer_play2(script, &m);
		assert_int_equal(p->n_done, 2);
		peer_is(p, 0, t[i / 3].cls, t[i / 3].code, t[i / 3].status);
		peer_is(p, 1, t[i / 3].cls, t[i / 3].code, t[i / 3].status);
		assert_int_equal(p->res[1].stage, SMTP_STAGE_MAIL);
		assert_false(p->out.chunking_broken);
		peer_free(p);
	}
}

/* 3xx where none can be. */
static void
test_3xx(void **state)
{
	static const char *const mail[] = { PIPE, "E:MAIL", "E:RCPT", "E:DATA",
		"S:354 go\r\n", NULL };
	static const char *const rcpt[] = { PIPE, "E:MAIL", "E:RCPT", "E:DATA",
		"S:250 ok\r\n334 go\r\n", NULL };
	static const char *const *script[] = { mail, rcpt };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(script); i++) {
		struct smtp_message m = peer_message(1, true);
		struct peer *p = peer_play1(script[i], &m);

		assert_int_equal(p->res[0].cls, SMTP_BROKEN);
		assert_true(p->why.protocol);
		assert_int_equal(p->n_closed, 1);
		peer_free(p);
	}
}

/* P20: answers to DATA and to the end of data. */
static void
test_data_answers(void **state)
{
	static const struct {
		const char *data, *end;
		enum smtp_class cls;
		int code;
		enum smtp_stage stage;
		bool usable, protocol;
	} t[] = {
		{ "S:451 4.3.0 no\r\n", NULL, SMTP_TEMPORARY, 451,
		    SMTP_STAGE_DATA, true, false },
		{ "S:550 5.7.1 no\r\n", NULL, SMTP_PERMANENT, 550,
		    SMTP_STAGE_DATA, true, false },
		{ "S:250 hm\r\n", NULL, SMTP_BROKEN, 0, SMTP_STAGE_DATA, false,
		    true },
		{ "S:354\r\n", "S:452 4.3.1 full\r\n", SMTP_TEMPORARY, 452,
		    SMTP_STAGE_END, true, false },
		{ "S:354 go\r\n", "S:552 5.2.2 full\r\n", SMTP_PERMANENT, 552,
		    SMTP_STAGE_END, true, false },
		{ "S:354 go\r\n", "S:554 spam\r\n", SMTP_PERMANENT, 554,
		    SMTP_STAGE_END, true, false },
		{ "S:354 go\r\n", "S:354 go\r\n", SMTP_AMBIGUOUS, 0,
		    SMTP_STAGE_END, false, true },
		{ "S:354 go\r\n", "S:250-a\r\n550 b\r\n", SMTP_AMBIGUOUS, 0,
		    SMTP_STAGE_END, false, true }, /* P08 */
		{ "S:354 go\r\n", "S:25 0 x\r\n", SMTP_AMBIGUOUS, 0,
		    SMTP_STAGE_END, false, true },
		{ "S:354 go\r\n", "S:250\r\n", SMTP_DELIVERED, 250,
		    SMTP_STAGE_END, true, false },
		{ "S:354 go\r\n", "S:299 5.0.0 x\r\n", SMTP_DELIVERED, 299,
		    SMTP_STAGE_END, true, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(1, true);
		const char *const ended[] = { PIPE,
			"X:" MAIL RCPT(1) "DATA\r\n", "S:250 ok\r\n250 ok\r\n",
			t[i].data, "D:", t[i].end, NULL };
		const char *const refused[] = { PIPE,
			"X:" MAIL RCPT(1) "DATA\r\n", "S:250 ok\r\n250 ok\r\n",
			t[i].data, NULL };
		struct peer *p = peer_play1(t[i].end ? ended : refused, &m);

		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->res[0].cls, t[i].cls);
		assert_int_equal(p->res[0].code, t[i].code);
		assert_int_equal(p->res[0].stage, t[i].stage);
		assert_int_equal(p->out.usable, t[i].usable);
		assert_int_equal(p->n_closed, !t[i].usable);
		if (!t[i].usable)
			assert_int_equal(p->why.protocol, t[i].protocol);
		peer_free(p);
	}
}

/* P33: answers to BDAT. */
static void
test_bdat_answers(void **state)
{
	static const struct {
		const char *answer;
		enum smtp_class cls;
		int code;
		bool usable, broken;
	} t[] = {
		{ "250 2.0.0 ok", SMTP_DELIVERED, 250, true, false },
		{ "500 what", SMTP_UNTRIED, 500, false, true },
		{ "501 what", SMTP_UNTRIED, 501, false, true },
		{ "502 no", SMTP_UNTRIED, 502, false, true },
		{ "503 no", SMTP_UNTRIED, 503, false, true },
		{ "504 no", SMTP_UNTRIED, 504, false, true },
		{ "505 no", SMTP_PERMANENT, 505, true, false },
		{ "552 5.2.2 full", SMTP_PERMANENT, 552, true, false },
		{ "554 5.7.1 spam", SMTP_PERMANENT, 554, true, false },
		{ "451 4.3.0 later", SMTP_TEMPORARY, 451, true, false },
		{ "354 go", SMTP_AMBIGUOUS, 0, false, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t) * 2; i++) {
		struct smtp_message m = peer_message(1, i % 2 == 0);
		char answer[100];
		const char *const flight[] = { CHUNK, FLIGHT,
			"S:250 ok\r\n250 ok\r\n", answer, NULL };
		const char *const chunk[] = { CHUNK, "X:" MAIL RCPT(1),
			"S:250 ok\r\n250 ok\r\n", "X:" BDAT, answer, NULL };
		const char *const flight_rset[] = { CHUNK, FLIGHT,
			"S:250 ok\r\n250 ok\r\n", answer, "X:RSET\r\n", NULL };
		const char *const chunk_rset[] = { CHUNK, "X:" MAIL RCPT(1),
			"S:250 ok\r\n250 ok\r\n", "X:" BDAT, answer,
			"X:RSET\r\n", NULL };
		bool rset = t[i / 2].usable && t[i / 2].code != 250;
		struct peer *p;

		(void)snprintf(answer, sizeof(answer), "S:%s\r\n",
		    t[i / 2].answer);
		p = peer_play1(i % 2 == 0 ? rset ? flight_rset : flight :
			rset		  ? chunk_rset :
					    chunk,
		    &m);
		assert_int_equal(p->n_done, 1);
		assert_int_equal(p->res[0].cls, t[i / 2].cls);
		assert_int_equal(p->res[0].code, t[i / 2].code);
		assert_int_equal(p->out.usable, t[i / 2].usable);
		assert_int_equal(p->n_closed, !t[i / 2].usable);
		assert_int_equal(p->out.chunking_broken, t[i / 2].broken);
		peer_free(p);
	}
}

/* P34: LIMITS are obeyed. */
static void
test_limits(void **state)
{
	static const char *const rcptmax[] = { GREET,
		"S:250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n",
		"X:" MAIL RCPT(1) RCPT(2) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
		"D:", "S:250 2.0.0 ok\r\n", "N:", NULL };
	static const char *const mailmax[] = { GREET,
		"S:250-mx\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=1\r\n",
		"X:" MAIL RCPT(1) "DATA\r\n",
		"S:250 ok\r\n250 ok\r\n354 go\r\n", "D:", "S:250 2.0.0 ok\r\n",
		"X:QUIT\r\n", NULL };
	struct smtp_message m = peer_message(4, true),
			    m1 = peer_message(1, true);
	struct peer *p;

	(void)state;
	p = peer_play1(rcptmax, &m);
	assert_int_equal(smtp_conn_rcpt_max(p->c), 2);
	peer_is(p, 1, SMTP_DELIVERED, 250, "2.0.0");
	assert_int_equal(p->res[2].cls, SMTP_UNTRIED);
	assert_int_equal(p->res[3].cls, SMTP_UNTRIED);
	peer_free(p);
	p = peer_play2(mailmax, &m1);
	peer_is(p, 0, SMTP_DELIVERED, 250, "2.0.0");
	assert_int_equal(p->n_done, 1);
	assert_false(p->out.usable);
	assert_int_equal(p->n_closed, 1);
	assert_false(p->why.protocol);
	peer_free(p);
}

/* P31, P32: what the peer cannot take is told before anything is sent. */
static void
test_unfit(void **state)
{
	static const char *const script[] = { GREET,
		"S:250-mx\r\n250-PIPELINING\r\n250 SIZE 20\r\n", "N:", NULL };
	static const struct {
		const char *from;
		int64_t size;
		bool body, header;
		enum smtp_fit fit;
	} t[] = {
		{ "s@example.net", 21, false, false, SMTP_FIT_SIZE },
		{ "s@example.net", 10, true, false, SMTP_FIT_NEED_7BIT },
		{ "s@example.net", 10, false, true, SMTP_FIT_UTF8_HEADER },
		{ "\xc3\xbc@x", 10, false, false, SMTP_FIT_UTF8_ADDR },
		{ "s\r\n@x", 10, false, false, SMTP_FIT_BAD_SENDER },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_message m = peer_message(1, true);
		struct peer *p;

		m.from = t[i].from;
		m.size = t[i].size;
		m.body_8bit = t[i].body;
		m.header_8bit = t[i].header;
		p = peer_play1(script, &m);
		assert_int_equal(p->fit, t[i].fit);
		assert_int_equal(p->n_done + p->n_closed, 0);
		assert_true(smtp_conn_idle(p->c));
		peer_free(p);
	}
}

/* UTF-8 recipients fail alone; with all of them unfit nothing is said. */
static void
test_unfit_rcpts(void **state)
{
	static const char *const some[] = { CHUNK, "X:" MAIL RCPT(1) BDAT,
		"S:" ALL_OK, "N:", NULL };
	static const char *const none[] = { CHUNK, "N:", NULL };
	static const char *const utf8[] = { GREET,
		"S:250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 "
		"SMTPUTF8\r\n",
		"X:MAIL FROM:<s@example.net> SMTPUTF8\r\n"
		"RCPT TO:<\xc3\xbc@example.com>\r\n" RCPT(1) BDAT,
		"S:250 ok\r\n" ALL_OK, "N:", NULL };
	const struct smtp_rcpt mixed[] = { { "\xc3\xbc@example.com", NULL,
					       NULL },
		{ "r1@example.com", NULL, NULL } };
	const struct smtp_rcpt bad[] = { { "\xc3\xbc@example.com", NULL, NULL },
		{ "a\n@b", NULL, NULL } };
	struct smtp_message m = peer_message(2, true);
	struct peer *p;

	(void)state;
	m.rcpt = mixed;
	p = peer_play1(some, &m);
	peer_is(p, 0, SMTP_PERMANENT, 0, "5.6.7");
	peer_is(p, 1, SMTP_DELIVERED, 250, "2.0.0");
	peer_free(p);
	p = peer_play1(utf8, &m);
	peer_is(p, 0, SMTP_DELIVERED, 250, "2.0.0");
	peer_is(p, 1, SMTP_DELIVERED, 250, "2.0.0");
	peer_free(p);
	m.rcpt = bad;
	p = peer_play1(none, &m);
	assert_int_equal(p->n_done, 1);
	peer_is(p, 0, SMTP_PERMANENT, 0, "5.6.7");
	peer_is(p, 1, SMTP_PERMANENT, 0, "5.1.3");
	assert_true(p->out.usable);
	peer_free(p);
}

/* The switches: as if the extension were not offered. */
static void
test_ignored(void **state)
{
	static const char
	    ehlo[] = "S:250-mx\r\n250-PIPELINING\r\n"
		     "250-CHUNKING\r\n250-8BITMIME\r\n250 DSN\r\n";
	static const char *const no_chunk[] = { GREET, ehlo,
		"X:MAIL FROM:<s@example.net> RET=FULL\r\n", "E:RCPT", "E:DATA",
		"N:", NULL };
	static const char *const no_pipe[] = { GREET, ehlo,
		"X:MAIL FROM:<s@example.net> RET=FULL\r\n", "N:", NULL };
	static const char *const no_dsn[] = { GREET, ehlo, FLIGHT, "N:", NULL };
	static const char *const no_8bit[] = { GREET, ehlo, "N:", NULL };
	struct smtp_message m = peer_message(1, true);
	struct peer *p[4] = { peer_new(no_chunk), peer_new(no_pipe),
		peer_new(no_dsn), peer_new(no_8bit) };
	size_t i;

	(void)state;
	m.ret = 'F';
	p[0]->set.ignore_chunking = true;
	p[1]->set.ignore_pipelining = true;
	p[2]->set.ignore_dsn = true;
	p[3]->set.ignore_8bitmime = true;
	for (i = 0; i < 4; i++) {
		m.body_8bit = i == 3;
		p[i]->queue[p[i]->n_queue++] = &m;
		peer_play(p[i]);
		assert_int_equal(smtp_conn_caps(p[i]->c)->offered,
		    SMTP_EXT_PIPELINING | SMTP_EXT_CHUNKING |
			SMTP_EXT_8BITMIME | SMTP_EXT_DSN);
		assert_int_equal(p[i]->fit,
		    i == 3 ? SMTP_FIT_NEED_7BIT : SMTP_FIT_OK);
		peer_free(p[i]);
	}
}

/* The owner may let go inside any event. */
static void
test_abort_in_events(void **state)
{
	static const char *const flight[] = { CHUNK, NULL };
	static const char *const done[] = { CHUNK, FLIGHT, "S:" ALL_OK, NULL };
	static const char *const broken[] = { CHUNK, FLIGHT, "C:", NULL };
	struct smtp_message m = peer_message(1, true);
	const char *const *script[] = { flight, flight, done, broken };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(script); i++) {
		struct peer *p = peer_new(script[i]);

		p->abort_in_ready = i == 0;
		p->abort_in_may_end = i == 1;
		p->abort_in_done = i >= 2;
		p->queue[p->n_queue++] = &m;
		peer_play(p);
		assert_null(p->c);
		assert_int_equal(p->n_closed, 0);
		assert_int_equal(p->n_done, i >= 2);
		peer_free(p);
	}
}

/* P42, P11: the text of a reply is data, whatever it says. */
static void
test_text(void **state)
{
	static const char
	    want[] = "5.7.1 d,2026\033[2J\"\xff%n<script>\r=1 spam spam";
	struct smtp_message m = peer_message(1, true);
	struct buf b = BUF_INIT;
	const char *script[] = { PIPE, "X:" MAIL RCPT(1) "DATA\r\n", NULL,
		NULL };
	struct peer *p;

	(void)state;
	buf_adds(&b, "S:550 5.7.1 d,2026\033[2J\"\xff%n<script>\r=1");
	while (b.len < 5000)
		buf_adds(&b, " spam");
	buf_adds(&b, "\r\n503 no\r\n503 no\r\n");
	script[LEN(script) - 2] = b.p;
	p = peer_play1(script, &m);
	peer_is(p, 0, SMTP_PERMANENT, 550, "5.7.1");
	assert_int_equal(p->res[0].text_len, SMTP_TEXT_MAX);
	assert_memory_equal(p->res[0].text, want, strlen(want));
	buf_release(&b);
	peer_free(p);
}

/* --trace: what is wanted, and only that. */
static void
test_trace(void **state)
{
	static const char *const script[] = { PLAIN, "E:MAIL", "S:250 ok\r\n",
		"E:RCPT", "S:250 ok\r\n", "E:DATA", "S:354-go\r\n354 on\r\n",
		"D:", "S:250 ok\r\n", "X:QUIT\r\n", "S:221 bye\r\n", NULL };
	static const char *const want[] = { "",
		"*connecting to mx.example.com [127.0.0.1]:25 from [127.0.0.1] "
		"as client.example.net\n*connected\n",
		"<220 mx ESMTP\n>EHLO client.example.net\n<250 mx\n"
		">MAIL FROM:<s@example.net>\n<250 ok\n"
		">RCPT TO:<r1@example.com>\n<250 ok\n>DATA\n<354-go\n<354 on\n"
		"<250 ok\n>QUIT\n",
		"+Subject: a\n+\n+hello\n" };
	struct smtp_message m = peer_message(1, true);
	size_t i;

	(void)state;
	for (i = 0; i < LEN(want); i++) {
		struct peer *p = peer_new(script);

		p->set.log_connections = i == 1;
		p->set.log_commands = i == 2;
		p->set.log_data = i == 3;
		p->queue[p->n_queue++] = &m;
		p->quit_at_end = true;
		peer_play(p);
		assert_string_equal(buf_str(&p->trace), want[i]);
		peer_free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_unsent),
		cmocka_unit_test(test_bye),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_mail_refused),
		cmocka_unit_test(test_3xx),
		cmocka_unit_test(test_data_answers),
		cmocka_unit_test(test_bdat_answers),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_unfit),
		cmocka_unit_test(test_unfit_rcpts),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_abort_in_events),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_trace),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
