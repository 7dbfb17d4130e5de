/* The reply reader and enhanced status codes: V06, P06 to P11, P26, P27. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "smtp/reply.h"
#include "smtp/status.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

struct reply_case {
	const char *in;
	enum smtp_feed rc;
	int code;
	const char *text; /* with LF between lines */
	size_t used;	  /* 0: all */
};

static const struct reply_case cases[] = {
	{ "250 ok\r\n", SMTP_FEED_DONE, 250, "ok", 0 },
	{ "250\r\n", SMTP_FEED_DONE, 250, "", 0 },
	{ "250\n", SMTP_FEED_DONE, 250, "", 0 },
	{ "250 \r\n", SMTP_FEED_DONE, 250, "", 0 },
	{ "250 ok\n", SMTP_FEED_DONE, 250, "ok", 0 },
	{ "250 ok\r\r\n", SMTP_FEED_DONE, 250, "ok", 0 },
	{ "250 a\rb\r\n", SMTP_FEED_DONE, 250, "a\rb", 0 },
	{ "250 \033[1m\r\n", SMTP_FEED_DONE, 250, "\033[1m", 0 },
	{ "250 \377\376\r\n", SMTP_FEED_DONE, 250, "\377\376", 0 },
	{ "250-a\r\n250 b\r\n", SMTP_FEED_DONE, 250, "a\nb", 0 },
	{ "250-a\n250-\n250 b\n", SMTP_FEED_DONE, 250, "a\n\nb", 0 },
	{ "250-a\r\n250\r\n", SMTP_FEED_DONE, 250, "a\n", 0 },
	{ "550-\r\n550-\r\n550\r\n", SMTP_FEED_DONE, 550, "\n\n", 0 },
	{ "250 a\r\n250 b\r\n", SMTP_FEED_DONE, 250, "a", 7 },
	{ "599 x\r\n", SMTP_FEED_DONE, 599, "x", 0 },
	{ "354 go\r\n", SMTP_FEED_DONE, 354, "go", 0 },
	{ "250 250-x\r\n", SMTP_FEED_DONE, 250, "250-x", 0 },
	{ "250 \t5.1.1\r\n", SMTP_FEED_DONE, 250, "\t5.1.1", 0 },
	{ "", SMTP_FEED_MORE, 0, "", 0 },
	{ "2", SMTP_FEED_MORE, 0, "", 0 },
	{ "25", SMTP_FEED_MORE, 0, "", 0 },
	{ "250", SMTP_FEED_MORE, 0, "", 0 },
	{ "250\r", SMTP_FEED_MORE, 0, "", 0 },
	{ "250-\r\n", SMTP_FEED_MORE, 250, "", 0 },
	{ "250-a\r\n", SMTP_FEED_MORE, 250, "a", 0 },
	{ "250-a\r\n250", SMTP_FEED_MORE, 250, "a", 0 },
	{ "250x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "250x", SMTP_FEED_BAD, 0, "", 0 },
	{ "2500 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "250\tx\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "250\rx\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "25 0\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "2 50 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "25\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "2\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "\n250 ok\r\n", SMTP_FEED_BAD, 0, "", 1 },
	{ " 250 ok\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "ok\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "o", SMTP_FEED_BAD, 0, "", 0 },
	{ "-50 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "+250 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "099 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "199 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "600 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "999 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "\xd9\xa2\xd9\xa5\xd9\xa0 x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "HTTP/1.1 400 Bad\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "SSH-2.0-x\r\n", SMTP_FEED_BAD, 0, "", 0 },
	{ "\026\003\001", SMTP_FEED_BAD, 0, "", 0 },
	{ "250-a\r\n550 b\r\n", SMTP_FEED_BAD, 550, "a", 0 },
	{ "550-a\r\n250 b\r\n", SMTP_FEED_BAD, 250, "a", 0 },
	{ "250-a\r\nb\r\n", SMTP_FEED_BAD, 250, "a", 0 },
	{ "250-a\r\n\r\n", SMTP_FEED_BAD, 250, "a", 0 },
};

static void
check_reply(const struct reply_case *rc, const struct smtp_reply *r,
    enum smtp_feed got)
{
	if (got != rc->rc)
		fail_msg("%s: got %d", rc->in, (int)got);
	assert_int_equal(r->code, rc->code);
	assert_int_equal(r->text.len, strlen(rc->text));
	assert_string_equal(buf_str(&r->text), rc->text);
	assert_int_equal(r->bad != NULL, got == SMTP_FEED_BAD);
}

static void
test_whole(void **state)
{
	struct smtp_reply r;
	size_t i, used;

	(void)state;
	smtp_reply_init(&r);
	for (i = 0; i < LEN(cases); i++) {
		size_t n = strlen(cases[i].in);
		enum smtp_feed rc;

		assert_false(smtp_reply_begun(&r));
		rc = smtp_reply_feed(&r, cases[i].in, n, &used);
		check_reply(&cases[i], &r, rc);
		if (rc == SMTP_FEED_DONE)
			assert_int_equal(used,
			    cases[i].used ? cases[i].used : n);
		assert_int_equal(smtp_reply_begun(&r), n > 0);
		smtp_reply_clear(&r);
	}
	smtp_reply_release(&r);
}

/* Cut at each place, and byte by byte: the same result. */
static void
test_cut(void **state)
{
	struct smtp_reply r;
	size_t i, cut, used, at;

	(void)state;
	smtp_reply_init(&r);
	for (i = 0; i < LEN(cases); i++) {
		size_t n = strlen(cases[i].in);

		for (cut = 0; cut <= n; cut++) {
			enum smtp_feed rc = SMTP_FEED_MORE;
			size_t len;

			for (at = 0; at < n && rc == SMTP_FEED_MORE;
			     at += len) {
				char *copy;

				len = cut == 0 ? 1 : at == 0 ? cut : n - at;
				copy = xmemdup(cases[i].in + at, len);
				rc = smtp_reply_feed(&r, copy, len, &used);
				free(copy);
			}
			check_reply(&cases[i], &r, rc);
			smtp_reply_clear(&r);
		}
	}
	smtp_reply_release(&r);
}

static void
test_nul(void **state)
{
	static const char in[] = "550 a\0b\r\n";
	struct smtp_reply r;
	struct buf text = BUF_INIT;
	size_t used;

	(void)state;
	smtp_reply_init(&r);
	assert_int_equal(smtp_reply_feed(&r, in, sizeof(in) - 1, &used),
	    SMTP_FEED_DONE);
	smtp_reply_join(&r, 100, &text);
	assert_int_equal(text.len, 3);
	assert_memory_equal(text.p, "a\0b", 3);
	buf_release(&text);
	smtp_reply_release(&r);
}

/* Feed fill n times after head, in pieces of 1000; the last answer. */
static enum smtp_feed
feed_many(struct smtp_reply *r, const char *head, const char *fill,
    size_t times)
{
	enum smtp_feed rc = SMTP_FEED_MORE;
	size_t used;

	rc = smtp_reply_feed(r, head, strlen(head), &used);
	while (times-- > 0 && rc == SMTP_FEED_MORE) {
		rc = smtp_reply_feed(r, fill, strlen(fill), &used);
		assert_true(r->text.cap + r->part.cap <= 4 * SMTP_REPLY_KEEP);
	}
	return (rc);
}

static void
test_limits(void **state)
{
	char line[1001], *text;
	struct smtp_reply r;
	size_t used;

	(void)state;
	memset(line, 'x', 1000);
	line[1000] = '\0';
	smtp_reply_init(&r);
	/* P06: a line without end */
	assert_int_equal(feed_many(&r, "250 ", line, 65), SMTP_FEED_MORE);
	assert_true(r.part.len <= SMTP_LINE_KEEP);
	assert_int_equal(feed_many(&r, "", line, 10000), SMTP_FEED_BAD);
	assert_string_equal(r.bad, "reply line is too long");
	smtp_reply_clear(&r);
	/* a long line that ends: 4 KiB of it are kept */
	assert_int_equal(feed_many(&r, "250 ", line, 60), SMTP_FEED_MORE);
	assert_int_equal(smtp_reply_feed(&r, "\r\n", 2, &used), SMTP_FEED_DONE);
	assert_int_equal(r.text.len, SMTP_LINE_KEEP - 4);
	smtp_reply_clear(&r);
	text = xmalloc(60004);
	memset(text, 'y', 60004);
	memcpy(text, "250 ", 4);
	text[60003] = '\n';
	assert_int_equal(smtp_reply_feed(&r, text, 60004, &used),
	    SMTP_FEED_DONE);
	assert_int_equal(r.text.len, SMTP_LINE_KEEP - 4);
	free(text);
	smtp_reply_clear(&r);
	assert_true(r.text.cap + r.part.cap <= 1024);
	/* P07: continuation lines for ever */
	assert_int_equal(feed_many(&r, "", "250-a\r\n", 500), SMTP_FEED_MORE);
	assert_int_equal(feed_many(&r, "", "250-a\r\n", 100000), SMTP_FEED_BAD);
	assert_string_equal(r.bad, "reply has too many lines");
	smtp_reply_clear(&r);
	/* octets */
	memcpy(line, "250-", 4);
	line[999] = '\n';
	assert_int_equal(feed_many(&r, "", line, 300), SMTP_FEED_BAD);
	assert_string_equal(r.bad, "reply is too long");
	smtp_reply_release(&r);
}

static void
test_join(void **state)
{
	static const struct {
		const char *in, *out;
		size_t max;
	} t[] = {
		{ "250 ok\r\n", "ok", 100 },
		{ "250\r\n", "", 100 },
		{ "550-5.1.1 no\r\n550 5.1.1 such user\r\n",
		    "5.1.1 no such user", 100 },
		{ "550-5.1.1 no\r\n550 5.1.2 such user\r\n",
		    "5.1.1 no 5.1.2 such user", 100 },
		{ "550-5.1.1 no\r\n550-5.1.1\r\n550 5.1.11 x\r\n",
		    "5.1.1 no 5.1.1 5.1.11 x", 100 },
		{ "550-a\r\n550-b\r\n550 c\r\n", "a b c", 100 },
		{ "550-a\r\n550-b\r\n550 c\r\n", "a b", 3 },
		{ "550-a\r\n550-b\r\n550 c\r\n", "", 0 },
	};
	struct smtp_reply r;
	size_t i, used;

	(void)state;
	smtp_reply_init(&r);
	for (i = 0; i < LEN(t); i++) {
		struct buf b = BUF_INIT;

		assert_int_equal(smtp_reply_feed(&r, t[i].in, strlen(t[i].in),
				     &used),
		    SMTP_FEED_DONE);
		buf_adds(&b, "> ");
		smtp_reply_join(&r, t[i].max, &b);
		assert_string_equal(buf_str(&b) + 2, t[i].out);
		buf_release(&b);
		smtp_reply_clear(&r);
	}
	smtp_reply_release(&r);
}

static void
test_status(void **state)
{
	static const struct {
		int code;
		const char *text, *status;
		bool given;
	} t[] = {
		{ 250, "2.1.5 ok", "2.1.5", true },
		{ 550, "5.1.1 no", "5.1.1", true },
		{ 550, "5.1.1", "5.1.1", true },
		{ 550, "5.999.999 x", "5.999.999", true },
		{ 550, "5.0.0 x", "5.0.0", true },
		{ 451, "4.7.1\tx", "4.7.1", true },
		/* P26: another class */
		{ 250, "5.7.1 hm", "2.0.0", false },
		{ 550, "2.0.0 hm", "5.0.0", false },
		{ 450, "5.1.1 hm", "4.0.0", false },
		{ 354, "2.0.0 go", "3.0.0", false },
		/* P27: missing, malformed */
		{ 550, "no", "5.0.0", false },
		{ 550, "", "5.0.0", false },
		{ 550, "5.1 no", "5.0.0", false },
		{ 550, "5.1. no", "5.0.0", false },
		{ 550, "5.1.1.1 no", "5.0.0", false },
		{ 550, "05.1.1 no", "5.0.0", false },
		{ 550, "5.01.1 no", "5.0.0", false },
		{ 550, "5.1.01 no", "5.0.0", false },
		{ 550, "5.1.1000 no", "5.0.0", false },
		{ 550, "5.1.1x no", "5.0.0", false },
		{ 550, "5..1 no", "5.0.0", false },
		{ 550, "-5.1.1 no", "5.0.0", false },
		{ 550, "6.1.1 no", "5.0.0", false },
		{ 550, " 5.1.1 no", "5.0.0", false },
		{ 550, "5.1.", "5.0.0", false },
		/* hints */
		{ 550, "#5.1.1 no", "5.1.1", true },
		{ 553, "sorry, no mailbox (#5.7.1)", "5.7.1", true },
		{ 553, "sorry #4.7.1", "5.0.0", false },
		{ 553, "sorry #5.7", "5.0.0", false },
		{ 553, "sorry #5.7.1.1", "5.0.0", false },
		{ 553, "sorry #5.7.1.", "5.7.1", true },
		{ 553, "# ## #5.7.1", "5.7.1", true },
		{ 553, "#", "5.0.0", false },
	};
	char text[SMTP_STATUS_LEN + 1];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		size_t n = strlen(t[i].text);
		char *copy = xmalloc(n + 1); /* no byte behind it is read */
		struct smtp_status st;

		memcpy(copy, t[i].text, n);
		copy = xrealloc(copy, n > 0 ? n : 1);
		st = smtp_status_of(t[i].code, copy, n);
		free(copy);
		assert_string_equal(smtp_status_text(&st, text), t[i].status);
		assert_int_equal(st.given, t[i].given);
	}
}

/* Random bytes and mutated replies: no crash, limits hold. */
static void
test_random(void **state)
{
	static const char alphabet[] = "2455503- \r\n.#x\0\377";
	uint32_t seed = 12345;
	struct smtp_reply r;
	char in[64];
	int i;

	(void)state;
	smtp_reply_init(&r);
	for (i = 0; i < 200000; i++) {
		size_t n, k, used, at = 0;

		seed = seed * 1103515245 + 12345;
		n = (seed >> 16) % sizeof(in);
		for (k = 0; k < n; k++) {
			seed = seed * 1103515245 + 12345;
			in[k] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		while (at < n) {
			enum smtp_feed rc = smtp_reply_feed(&r, in + at, n - at,
			    &used);

			assert_true(used > 0 && used <= n - at);
			if (rc == SMTP_FEED_DONE)
				assert_in_range(r.code, 200, 599);
			if (rc == SMTP_FEED_MORE)
				assert_int_equal(used, n - at);
			else
				smtp_reply_clear(&r);
			at += used;
		}
	}
	smtp_reply_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
