/* acct/record, acct/status: one event is one line, whatever a peer says. */
#include "acct_util.h"
#include "acct/status.h"

static struct acct_record
sample(void)
{
	return ((struct acct_record) { .type = "d",
	    .time_logged = 1795470845,
	    .time_queued = 1795470840,
	    .orig = "a@example.com",
	    .rcpt = "b@example.org",
	    .dsn_status = "2.0.0",
	    .dsn_diag = "250 2.0.0 OK",
	    .dsn_mta = "mx (192.0.2.1)",
	    .src_type = "api",
	    .src_mta = "localhost",
	    .dlv_type = "smtp",
	    .dlv_source_ip = "127.0.0.2",
	    .dlv_size = 1234,
	    .vmta = "news",
	    .queue = "example.org/news",
	    .msg_id = "1lp6jv7m0d3k8q2r5t1ua",
	    .rcpt_index = 0,
	    .batch = "1lp6jv7m0d3k8q2r5t1ub",
	    .state = 'd',
	    .slot = 0,
	    .attempts = 1 });
}

/* Parse the line that r makes, into *ret_r; it must be one line. */
static void
round_trip(const struct acct_record *r, struct buf *b,
    struct acct_record *ret_r)
{
	struct record_map m;

	buf_clear(b);
	record_format(r, b);
	assert_true(b->len <= RECORD_MAX);
	assert_memory_equal(b->p + b->len - 2, "\r\n", 2);
	assert_ptr_equal(memchr(b->p, '\r', b->len), b->p + b->len - 2);
	assert_ptr_equal(memchr(b->p, '\n', b->len), b->p + b->len - 1);
	assert_null(memchr(b->p, '\0', b->len));
	record_map_default(&m);
	assert_int_equal(record_parse(&m, b->p, b->len - 2, ret_r), 0);
}

static void
test_format(void **state)
{
	struct acct_record r = sample();
	struct buf b = BUF_INIT;

	(void)state;
	record_format(&r, &b);
	assert_string_equal(b.p,
	    "d,2026-11-23 21:54:05+0000,2026-11-23 21:54:00+0000,"
	    "a@example.com,b@example.org,,relayed,2.0.0 (success),"
	    "smtp;250 2.0.0 OK,mx (192.0.2.1),,api,localhost,smtp,127.0.0.2,,"
	    ",1234,news,,,example.org/news,,,,,,,,1lp6jv7m0d3k8q2r5t1ua,0,"
	    "1lp6jv7m0d3k8q2r5t1ub,0,d,1,\r\n");
	buf_clear(&b);
	record_header(&b, COL_N);
	assert_string_equal(b.p,
	    "type,timeLogged,timeQueued,orig,rcpt,orcpt,"
	    "dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,"
	    "dlvType,dlvSourceIp,dlvDestinationIp,dlvEsmtpAvailable,dlvSize,"
	    "vmta,jobId,envId,queue,vmtaPool,userString,rcvSourceIp,"
	    "rcvDestinationIp,dlvTlsProtocol,dlvTlsCipher,rcvSmtpUser,msgId,"
	    "rcptIndex,batch,slot,state,attempts,nextTry\r\n");
	buf_clear(&b);
	r = (struct acct_record) { .type = "r",
		.time_logged = 1795470845,
		.orig = "",
		.msg_id = "1lp6jv7m0d3k8q2r5t1ua",
		.batch = "1lp6jv7m0d3k8q2r5t1ub",
		.rcpt_index = 7 };
	record_format(&r, &b);
	assert_string_equal(b.p,
	    "r,2026-11-23 21:54:05+0000,,,,,,,,,,,,,,,,,"
	    ",,,,,,,,,,,1lp6jv7m0d3k8q2r5t1ua,7,1lp6jv7m0d3k8q2r5t1ub,,,,"
	    "\r\n");
	buf_release(&b);
}

static void
test_round_trip(void **state)
{
	struct acct_record r = sample(), q;
	struct buf b = BUF_INIT;

	(void)state;
	r.type = "t";
	r.orig = "";
	r.slot = 4000000000u;
	r.state = 't';
	r.attempts = 999;
	r.rcpt_index = 255;
	r.next_try = 1795471445;
	round_trip(&r, &b, &q);
	assert_string_equal(q.type, "t");
	assert_string_equal(q.orig, "");
	assert_string_equal(q.dsn_action, "delayed");
	assert_string_equal(q.dsn_status, "2.0.0 (success)");
	assert_int_equal(q.slot, 4000000000u);
	assert_int_equal(q.state, 't');
	assert_int_equal(q.attempts, 999);
	assert_int_equal(q.rcpt_index, 255);
	assert_int_equal(q.next_try, 1795471445);
	assert_int_equal(q.time_logged, 1795470845);
	assert_int_equal(q.time_queued, 1795470840);
	assert_int_equal(q.dlv_size, 1234);
	assert_null(q.job_id);
	assert_string_equal(q.batch, r.batch);
	buf_release(&b);
}

/* V10: replies that try to be something else. */
static void
test_hostile(void **state)
{
	static const struct {
		const char *text, *seen;
	} cases[] = {
		{ "250 a\r\nd,forged,row", "smtp;250 a\\x0d\\x0ad,forged,row" },
		{ "250 \x1b[2J\x07", "smtp;250 \\x1b[2J\\x07" },
		{ "550 say \"no\", twice", "smtp;550 say \"no\", twice" },
		{ "=cmd|' /C calc'!A0", "=cmd|' /C calc'!A0" },
		{ "smtp;550 a\\b", "smtp;550 a\\\\b" },
		{ "550 \xff\xfe\x80", "smtp;550 \\xff\\xfe\\x80" },
		{ "550 caf\xc3\xa9", "smtp;550 caf\xc3\xa9" },
		{ "550 \xe2\x80\xae"
		  "evil",
		    "smtp;550 \\xe2\\x80\\xae"
		    "evil" },
		{ "550 %n%s%d", "smtp;550 %n%s%d" },
		{ " leading and trailing ", " leading and trailing " },
		{ "\"", "\"" },
		{ ",", "," },
		{ "\t", "\\x09" },
		{ "", NULL },
	};
	struct acct_record r = sample(), q;
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r.dsn_diag = r.rcpt = r.user_string = cases[i].text;
		round_trip(&r, &b, &q);
		if (cases[i].seen == NULL) {
			assert_null(q.dsn_diag);
			continue;
		}
		assert_string_equal(q.dsn_diag, cases[i].seen);
		assert_string_equal(q.rcpt,
		    strncmp(cases[i].seen, "smtp;", 5) == 0 &&
			    strncmp(cases[i].text, "smtp;", 5) != 0 ?
			cases[i].seen + 5 :
			cases[i].seen);
	}
	buf_release(&b);
}

/* Every text far too long, made of what costs most. */
static void
test_too_long(void **state)
{
	static const char *const unit[] = { "x", "\"", "\xff", "\\",
		"\xf0\x9f\x93\xa7", "\x01\"", "," };
	struct acct_record r, q;
	struct buf b = BUF_INIT, text = BUF_INIT;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		for (n = 3000; n < 5000; n += 7) {
			buf_clear(&text);
			while (text.len < n)
				buf_adds(&text, unit[i]);
			r = sample();
			r.dsn_diag = text.p;
			round_trip(&r, &b, &q);
			assert_string_equal(q.rcpt, "b@example.org");
			assert_string_equal(q.msg_id, r.msg_id);
			assert_true(strlen(q.dsn_diag) > 1500);
		}
		r.orig = r.rcpt = r.orcpt = r.dsn_mta = r.user_string =
		    r.job_id = r.env_id = r.src_mta = r.dlv_esmtp = text.p;
		round_trip(&r, &b, &q);
		assert_string_equal(q.queue, "example.org/news");
		assert_string_equal(q.msg_id, r.msg_id);
		assert_string_equal(q.batch, r.batch);
		assert_int_equal(q.state, 'd');
	}
	/* It is dsnDiag that is cut, and the cut shows. */
	r = sample();
	buf_clear(&text);
	buf_adds(&text, "550 ");
	while (text.len < 5000)
		buf_adds(&text, "long ");
	r.dsn_diag = text.p;
	round_trip(&r, &b, &q);
	assert_true(b.len > RECORD_MAX - 8);
	assert_string_equal(q.dsn_diag + strlen(q.dsn_diag) - 3, "...");
	buf_release(&b);
	buf_release(&text);
}

/* No part of a line is a record, except the whole. */
static void
test_torn(void **state)
{
	struct acct_record r = sample(), q;
	struct record_map m;
	struct buf b = BUF_INIT;
	char *copy;
	size_t i;

	(void)state;
	r.dsn_diag = "250 \"quoted\", and more";
	r.next_try = 1795471445;
	record_format(&r, &b);
	record_map_default(&m);
	for (i = 0; i < b.len - 2; i++) {
		copy = xmemdup(b.p, b.len + 1);
		/* After the last comma a shorter time is no time. */
		assert_int_equal(record_parse(&m, copy, i, &q) == 0 &&
			q.next_try != 0 && q.next_try == r.next_try &&
			i != b.len - 2 - 5,
		    0);
		free(copy);
	}
	for (i = 0; i < b.len - 2; i++) {
		copy = xmemdup(b.p, b.len + 1);
		copy[i] = '\0';
		assert_int_equal(record_parse(&m, copy, b.len - 2, &q), -1);
		free(copy);
	}
	buf_release(&b);
}

static void
test_map(void **state)
{
	char head[] = "jobId,TYPE,header_Subject,rcpt,unknown";
	char row[] = "j1,d,\"hello, world\",x@y,zz";
	char few[] = "j1,d,hello,x@y", many[] = "j1,d,hello,x@y,z,z";
	char none[] = "a,b,c", bom[] = "\xef\xbb\xbftype,rcpt";
	char open[] = "type,\"rcpt";
	struct acct_record r;
	struct record_map m;
	struct verr err = VERR_INIT;

	(void)state;
	assert_int_equal(record_map_read(&m, head, strlen(head), &err), 0);
	assert_int_equal(record_parse(&m, row, strlen(row), &r), 0);
	assert_string_equal(r.job_id, "j1");
	assert_string_equal(r.rcpt, "x@y");
	assert_null(r.orig);
	assert_int_equal(record_parse(&m, few, strlen(few), &r), -1);
	assert_int_equal(record_parse(&m, many, strlen(many), &r), -1);
	assert_int_equal(record_map_read(&m, none, strlen(none), &err), -1);
	assert_int_equal(record_map_read(&m, open, strlen(open), &err), -1);
	assert_int_equal(record_map_read(&m, none, 0, &err), -1);
	assert_int_equal(record_map_read(&m, bom, strlen(bom), &err), 0);
}

/* Values that a damaged line may bring. */
static void
test_bad_values(void **state)
{
	static const char *const rows[] = { "x,,,,", "d,yesterday,,,",
		"d,,-1,,", "d,,4294967296,,", "d,,,dd,", "d,,,Z,", "d,,,\xff,",
		"d,,,d,12x", "d,,,d,99999999999999999999", "d,\"a,,,", "D,,,,",
		"" };
	char head[] = "type,timeLogged,slot,state,attempts";
	struct acct_record r;
	struct record_map m;
	char *row;
	size_t i;

	(void)state;
	assert_int_equal(record_map_read(&m, head, strlen(head), NULL), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		row = xstrdup(rows[i]);
		assert_int_equal(record_parse(&m, row, strlen(row), &r), -1);
		free(row);
	}
}

static void
test_status(void **state)
{
	static const struct {
		const char *status;
		int reply;
		const char *text, *category;
	} cases[] = {
		{ "2.0.0", 250, "success", "other" },
		{ "2.1.5", 250, "destination address valid", "other" },
		{ "5.1.1", 550, "bad destination mailbox address",
		    "bad-mailbox" },
		{ "5.1.10", 556, "recipient address has null MX",
		    "bad-domain" },
		{ "5.2.2", 552, "mailbox full", "quota-issues" },
		{ "4.4.1", 0, "no answer from host", "no-answer-from-host" },
		{ "5.4.7", 0, "delivery time expired", "message-expired" },
		{ "5.6.3", 0, "conversion required but not supported",
		    "content-related" },
		{ "5.7.26", 550, "multiple authentication checks failed",
		    "policy-related" },
		{ "5.7.99", 550, "other or undefined security status",
		    "policy-related" },
		{ "5.7.999", 550, "other or undefined security status",
		    "policy-related" },
		{ "5.9.1", 550, "undefined status", "bad-mailbox" },
		{ "5.0.0", 554, "undefined status", "policy-related" },
		{ "4.0.0", 452, "undefined status", "quota-issues" },
		{ "", 550, "undefined status", "bad-mailbox" },
		{ "5", 0, "undefined status", "other" },
		{ "5.1.1 (text)", 0, "bad destination mailbox address",
		    "bad-mailbox" },
		{ "3.1.1", 0, "undefined status", "other" },
		{ "5.1.99999999999", 0, "undefined status", "other" },
		{ "5.....", 0, "undefined status", "other" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(acct_status_text(cases[i].status),
		    cases[i].text);
		assert_string_equal(acct_bounce_category(cases[i].status,
					cases[i].reply),
		    cases[i].category);
	}
	assert_string_equal(acct_bounce_category(NULL, 552), "quota-issues");
	assert_int_equal(record_type_bit("tq"), RECORD_TQ);
	assert_int_equal(record_type_bit("x"), 0);
	assert_int_equal(record_type_bit(""), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_status),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
