/*
 * Batch SMTP, merges too: transactions, errors with their lines, un-stuffing;
 * cut at every place the result is the same; content never becomes commands.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/bsmtp.h"

/* What the callbacks saw, as text. */
struct seen {
	struct buf log;
	int stop_after; /* transactions; 0: never */
};

/* `{name=value;...}` of a recipient. */
static void
on_values(struct seen *s, const struct xmrg *x, size_t i)
{
	struct merge_value v[XMRG_NAMES_MAX];
	const char *const *name;
	size_t n, k;

	name = xmrg_names(x, &n);
	xmrg_values(x, i, v);
	buf_addc(&s->log, '{');
	for (k = 0; k < n; k++)
		if (v[k].p != NULL)
			buf_addf(&s->log, "%s=%.*s;", name[k], (int)v[k].n,
			    v[k].p);
	buf_addc(&s->log, '}');
}

/* `[part][part]`. */
static void
on_parts(struct seen *s, const struct xmrg *x)
{
	const struct buf *text;
	unsigned int i;

	assert_true(xmrg_begun(x) && xmrg_last(x));
	if (xmrg_chooses(x))
		buf_adds(&s->log, "choose");
	for (i = 1; i <= xmrg_parts(x); i++) {
		text = xmrg_text(x, i);
		buf_addc(&s->log, '[');
		buf_add(&s->log, buf_str(text), text->len);
		buf_addc(&s->log, ']');
	}
}

static int
on_done(void *arg, struct bsmtp_txn *t, struct verr *err)
{
	struct seen *s = arg;
	size_t i;

	buf_addf(&s->log, "%d<%s>%s", (int)t->line, t->from.smtp,
	    t->mail.verp ? "verp " : "");
	for (i = 0; i < t->n_rcpt; i++) {
		assert_non_null(strstr(t->rcpt[i].smtp, t->rcpt[i].domain));
		buf_addf(&s->log, "%s%s%s%s", i > 0 ? "," : "", t->rcpt[i].smtp,
		    t->rcpt[i].notify[0] ? "/" : "", t->rcpt[i].notify);
		if (t->merge != NULL)
			on_values(s, t->merge, i);
	}
	if (t->merge != NULL) {
		on_parts(s, t->merge);
	} else {
		buf_addf(&s->log, "[");
		buf_add(&s->log, buf_str(&t->data), t->data.len);
		buf_addf(&s->log, "]");
	}
	if (s->stop_after > 0 && --s->stop_after == 0)
		return (verr_set(err, VEX_TEMP, "stop"));
	return (0);
}

static void
on_refuse(void *arg, bool txn, uint64_t line, const char *why)
{
	struct seen *s = arg;

	buf_addf(&s->log, "!%s%d:%s;", txn ? "" : "r", (int)line, why);
}

/* Run a stream in chunks; returns the log, which the caller releases. */
static struct buf
run(const char *p, size_t n, size_t chunk, struct bsmtp_opts opts)
{
	struct seen s = { BUF_INIT, 0 };
	struct verr err = VERR_INIT;
	struct bsmtp *b;
	size_t k;
	char *copy;

	opts.done = on_done;
	opts.refuse = on_refuse;
	opts.arg = &s;
	b = bsmtp_new(&opts);
	for (; n > 0; p += k, n -= k) {
		k = chunk > 0 && chunk < n ? chunk : n;
		copy = malloc(k); /* exact, for the address sanitizer */
		assert_non_null(copy);
		memcpy(copy, p, k);
		assert_int_equal(bsmtp_feed(b, copy, k, &err), 0);
		free(copy);
	}
	assert_int_equal(bsmtp_end(b, &err), 0);
	bsmtp_free(b);
	return (s.log);
}

#define M "MAIL FROM:<s@x>\n"
#define X "XMRG FROM:<s@x>\n"
#define R "RCPT TO:<a@b>\n"

static const struct {
	const char *in;
	const char *out;
} cases[] = { { "", "" }, { "\n\r\n", "" }, { "HELO x\nQUIT\n", "" },
	{ M R "DATA\nhi\n.\n", "1<s@x>a@b[hi\n]" },
	{ "HELO x\r\nmail from:<>\r\nrcpt to:<a@B>\r\ndata\r\nhi\r\n.\r\n"
	  "quit\r\n",
	    "2<>a@b[hi\r\n]" },
	{ "MAIL FROM: s@x SIZE=3\nRCPT TO: a@b NOTIFY=NEVER\nDATA \n.\n",
	    "1<s@x>a@b/N[]" },
	{ M R "RCPT TO:<c@d> NOTIFY=DELAY,FAILURE\nDATA\nx\n.\n" M R
	      "DATA\ny\n.\nQUIT\n" M R "DATA\nz\n.\n",
	    "1<s@x>a@b,c@d/FD[x\n]7<s@x>a@b[y\n]13<s@x>a@b[z\n]" },
	/* dots */
	{ M R "DATA\n..\n...x\n.y\nz.\n. \n.\n",
	    "1<s@x>a@b[.\n..x\ny\nz.\n \n]" },
	{ M R "DATA\r\n.\r.\r\n.\r\n", "1<s@x>a@b[\r.\r\n]" },
	{ M R "DATA\nx\r.\r\n.\r\n", "1<s@x>a@b[x\r.\r\n]" },
	{ M R "DATA\n\n\n.\n", "1<s@x>a@b[\n\n]" },
	/* RSET, EHLO, NOOP */
	{ M R "RSET\n" M "NOOP\n" R "DATA\nx\n.\n", "4<s@x>a@b[x\n]" },
	{ M R "EHLO y\nRCPT TO:<a@b>\n",
	    "!1:transaction without DATA;!4:RCPT without MAIL;" },
	{ M R "HELO y\n" M R "DATA\nx\n.\n",
	    "!1:transaction without DATA;4<s@x>a@b[x\n]" },
	/* bad recipients do not spoil the others */
	{ M "RCPT TO:<joe>\n" R "DATA\nx\n.\n",
	    "!r2:no @domain;1<s@x>a@b[x\n]" },
	{ M "RCPT TO:<joe>\nDATA\n" M R "DATA\n.\n" M R "DATA\ny\n.\n",
	    "!r2:no @domain;!3:no recipient;8<s@x>a@b[y\n]" },
	{ M R "RCPT <c@d>\nRCPT TO:<c@d> FOO\nRCPT TO:<c@d>x\n"
	      "DATA\n.\n",
	    "!r3:RCPT without TO:;!r4:parameter FOO unknown;"
	    "!r5:no space before a parameter;1<s@x>a@b[]" },
	/* bad transactions are read over, content and all */
	{ "MAIL FROM:<s>\n" R "DATA\n" M R "DATA\nevil\n.\n" M R "DATA\ny\n.\n",
	    "!1:sender: no @domain;9<s@x>a@b[y\n]" },
	{ "MAIL TO:<s@x>\n" M R "DATA\n.\n",
	    "!1:MAIL without FROM:;2<s@x>a@b[]" },
	{ "MAIL FROM:<s@x> RET=ALL\nQUIT\n",
	    "!1:sender: RET is neither FULL nor HDRS;" },
	{ "DATA\n" M R "x\n.\n" M R "DATA\ny\n.\n",
	    "!1:DATA without MAIL;6<s@x>a@b[y\n]" },
	{ M R "DATA x\ny\n.\n", "!3:DATA takes no argument;" },
	{ M "DATA\nx\n.\n", "!2:no recipient;" },
	{ "BOGUS\nMORE\nRCPT TO:<a@b>\n" M R "DATA\n.\n",
	    "!1:unknown command;4<s@x>a@b[]" },
	{ "GET / HTTP/1.0\n\nHost: x\n", "!1:unknown command;" },
	{ M R "BOGUS\nDATA\nx\n.\n" M R "DATA\n.\n",
	    "!3:unknown command;7<s@x>a@b[]" },
	{ "MAIL\rFROM:<s@x>\n", "!1:unknown command;" },
	{ "MAIL FROM:<s@x>\r\r\n", "!1:sender: no space before a parameter;" },
	/* what is not complete */
	{ M R, "!1:transaction without DATA;" },
	{ M R M R "DATA\n.\n", "!1:transaction without DATA;3<s@x>a@b[]" },
	{ M R "QUIT", "!1:transaction without DATA;" },
	{ M R "DATA", "!4:stream ends inside a message;" },
	{ M R "DATA\nx\n", "!5:stream ends inside a message;" },
	{ M R "DATA\nx\n.", "!5:stream ends inside a message;" },
	{ M R "DATA\nx\n.\r", "!5:stream ends inside a message;" },
	{ "BOGUS\nDATA\nx", "!1:unknown command;" },
	/* merges */
	{ X R "XPRT 1 LAST\nhi\n.\n", "1<s@x>a@b{}[hi\n]" },
	{ "XACK OFF\nxmrg from: s@x VERP\nxdfn A=1 b=\"x y\"\n" R
	  "XDFN b=\"\\\"\\\\\\n\" B=\"\"\n" R R
	  "XPRT 1\n..a\n...\n.\nxprt 2 last\nb\n.\n",
	    "2<s@x>verp a@b{a=1;b=x y;},a@b{b=;},a@b{b=;}[.a\n..\n][b\n]" },
	{ X "XDFN *parts=1,1 *jobId=\"j\"\nXDFN n=\"a\"\tm=b \n" R "XDFN\n" R
	    "XPRT 1 LAST\n.\n",
	    "1<s@x>a@b{*parts=1,1;*jobid=j;n=a;m=b;},a@b{}choose[]" },
	{ X "XDFN n=1\n" R "XPRT 2\nb\n.\nXPRT 1 LAST\na\n.\n" M R
	    "DATA\nx\n.\n",
	    "1<s@x>a@b{n=1;}[a\n][b\n]10<s@x>a@b[x\n]" },
	{ X "XDFN n=1\nRSET\n" X R "XPRT 1 LAST\n.\n", "4<s@x>a@b{}[]" },
	{ X "XDFN n=1\nRCPT TO:<bad>\n" R "XPRT 1 LAST\n.\n",
	    "!r3:no @domain;1<s@x>a@b{n=1;}[]" },
	{ X R "XPRT 1\nx\n.\n" X R "XPRT 1 LAST\ny\n.\n",
	    "!1:merge without XPRT LAST;6<s@x>a@b{}[y\n]" },
	{ X R "XPRT 1\nx\n.\n" M R "DATA\ny\n.\n",
	    "!1:merge without XPRT LAST;6<s@x>a@b[y\n]" },
	{ X "XDFN n=\"x\n" R "XPRT 1\n" M R "DATA\nevil\n.\nXPRT 2 LAST\n" M
	    ".\n" M R "DATA\ny\n.\n",
	    "!2:XDFN: a quote is not closed;13<s@x>a@b[y\n]" },
	{ "XPRT 1\nx\n.\nXPRT 2 LAST\nx\n.\nXDFN a=1\n" M R "DATA\n.\n",
	    "!1:XPRT without XMRG;!7:XDFN without XMRG;8<s@x>a@b[]" },
	{ X "XPRT 1 LAST\nx\n.\n", "!2:no recipient;" },
	{ X R "XPRT 1 LAST\nx\n", "!5:stream ends inside a message;" },
	{ X R "DATA\nx\n.\n", "!3:DATA in a mail merge: XPRT;" },
	{ "XACK\n" M R "DATA\n.\n", "!1:XACK: ON or OFF;2<s@x>a@b[]" },
	{ "XACK  on \n" M R "DATA\n.\n", "2<s@x>a@b[]" } };

static void
test_cases(void **state)
{
	static const struct bsmtp_opts opts = { .max_line = 0 };
	size_t i, n, chunk;
	struct buf log;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = strlen(cases[i].in);
		for (chunk = 0; chunk <= n; chunk++) {
			log = run(cases[i].in, n, chunk, opts);
			assert_string_equal(buf_str(&log), cases[i].out);
			buf_release(&log);
		}
	}
}

static void
test_limits(void **state)
{
	static const struct bsmtp_opts opts = { .max_line = 24,
		.max_size = 5,
		.max_rcpt = 2 };
	static const struct {
		const char *in, *out;
	} tab[] = { { M R "DATA\n1234\n.\n", "1<s@x>a@b[1234\n]" },
		{ M R "DATA\n12345\n.\n" M R "DATA\n1\n.\n",
		    "!1:message too large;6<s@x>a@b[1\n]" },
		{ M R R R R "DATA\n1\n.\n" M R R "DATA\n.\n",
		    "!4:too many recipients;9<s@x>a@b,a@b[]" },
		{ M R "NOOP 67890123456789012345\nDATA\n1\n.\n" M R "DATA\n.\n",
		    "!3:command line too long;7<s@x>a@b[]" },
		{ M R "DATA\n1\n.\nNOOP 67890123456789012345",
		    "1<s@x>a@b[1\n]!6:command line too long;" },
		/* variables may be longer than commands, parts add up */
		{ X "XDFN n=\"abcdefghijklmnopqrstuvwxyz\"\n" R
		    "XPRT 1\n12\n.\nXPRT 2 LAST\n3\n.\n",
		    "1<s@x>a@b{n=abcdefghijklmnopqrstuvwxyz;}[12\n][3\n]" },
		{ X R "XPRT 1\n12\n.\nXPRT 2 LAST\n34\n.\n",
		    "!1:message too large;" },
		{ X R R R "XPRT 1 LAST\n.\n", "!4:too many recipients;" } };
	struct buf log;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		log = run(tab[i].in, strlen(tab[i].in), 1, opts);
		assert_string_equal(buf_str(&log), tab[i].out);
		buf_release(&log);
		log = run(tab[i].in, strlen(tab[i].in), 0, opts);
		assert_string_equal(buf_str(&log), tab[i].out);
		buf_release(&log);
	}
}

static void
test_stop(void **state)
{
	struct seen s = { BUF_INIT, 2 };
	struct bsmtp_opts opts = { .done = on_done,
		.refuse = on_refuse,
		.arg = &s };
	static const char one[] = M R "DATA\n.\n";
	struct verr err = VERR_INIT;
	struct bsmtp *b = bsmtp_new(&opts);

	(void)state;
	assert_int_equal(bsmtp_feed(b, one, sizeof(one) - 1, &err), 0);
	assert_int_equal(bsmtp_feed(b, one, sizeof(one) - 1, &err), -1);
	assert_int_equal(err.code, VEX_TEMP);
	bsmtp_free(b);
	bsmtp_free(NULL);
	buf_release(&s.log);
}

/* Words of the language and noise, cut anywhere: always the same. */
static void
test_random(void **state)
{
	static const char *const word[] = { M, R, "DATA\n", ".\n", "..\n",
		"x\n", "RSET\n", "QUIT\r\n", "\r\n.\r\n", "\r", "\n", ".",
		"MAIL FROM:", "<a@b>", " SIZE=", "RCPT TO:", "\xff", " ",
		"NOOP\n", "HELO\n", X, "XDFN a=", "\"", "b=\"c\"\n", "XPRT 1\n",
		"XPRT 1 LAST\n", "XPRT 2 LAST\n", "XACK OFF\n" };
	static const struct bsmtp_opts opts = { .max_line = 30, .max_rcpt = 3 };
	unsigned seed = (unsigned)time(NULL);
	struct buf in = BUF_INIT, one, two;
	int round, i;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 50000; round++) {
		buf_clear(&in);
		for (i = (int)(random() % 20); i > 0; i--)
			buf_adds(&in,
			    word[(size_t)random() %
				(sizeof(word) / sizeof(word[0]))]);
		one = run(buf_str(&in), in.len, 0, opts);
		two = run(buf_str(&in), in.len, 1 + (size_t)random() % 4, opts);
		assert_string_equal(buf_str(&one), buf_str(&two));
		buf_release(&one);
		buf_release(&two);
	}
	buf_release(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
