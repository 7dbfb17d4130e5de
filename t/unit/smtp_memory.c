/*
 * V06: memory of parsers and writers on the SMTP side. Replies that are
 * shorter than what is looked for in them, each in memory of just its size
 * (ASan, valgrind), and in a buffer that still holds an earlier one; every
 * place where a buffer can end while dots are stuffed; every length of a line
 * that is re-encoded. V17: sizes that fit no integer.
 */
#include "../../lib/smtp/body.c" /* body_stuff */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/encode.h"
#include "smtp/status.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Feed n octets, `step` at a time, each piece in memory of its own. */
static enum smtp_feed
feed(struct smtp_reply *r, const char *p, size_t n, size_t step)
{
	enum smtp_feed rc = SMTP_FEED_MORE;
	size_t len, used;
	char *alone;

	for (; n > 0 && rc == SMTP_FEED_MORE; p += len, n -= len) {
		len = step < n ? step : n;
		alone = xmalloc(len);
		memcpy(alone, p, len);
		rc = smtp_reply_feed(r, alone, len, &used);
		free(alone);
	}
	return (rc);
}

static void
test_V06_short_replies(void **state)
{
	static const struct {
		const char *in;
		enum smtp_feed rc;
		int code;
		const char *text;
	} t[] = {
		{ "2", SMTP_FEED_MORE, 0, "" },
		{ "25", SMTP_FEED_MORE, 0, "" },
		{ "250", SMTP_FEED_MORE, 0, "" },
		{ "250-", SMTP_FEED_MORE, 0, "" },
		{ "250 5", SMTP_FEED_MORE, 0, "" },
		{ "250\r", SMTP_FEED_MORE, 0, "" },
		{ "250\n", SMTP_FEED_DONE, 250, "" },
		{ "250\r\n", SMTP_FEED_DONE, 250, "" },
		{ "250 \r\n", SMTP_FEED_DONE, 250, "" },
		{ "250 5\r\n", SMTP_FEED_DONE, 250, "5" },
		{ "250-\r\n", SMTP_FEED_MORE, 250, "" },
		{ "250-\r\n250\r\n", SMTP_FEED_DONE, 250, "\n" },
		{ "\n", SMTP_FEED_BAD, 0, "" },
		{ "2\n", SMTP_FEED_BAD, 0, "" },
		{ "25\r\n", SMTP_FEED_BAD, 0, "" },
		{ "2500\r\n", SMTP_FEED_BAD, 0, "" },
		{ "999", SMTP_FEED_BAD, 0, "" },
		{ "-50", SMTP_FEED_BAD, 0, "" },
		{ "+250 x\r\n", SMTP_FEED_BAD, 0, "" },
		{ " 250 x\r\n", SMTP_FEED_BAD, 0, "" },
		{ "\xd9\xa2\xd9\xa5\xd9\xa0 ok\r\n", SMTP_FEED_BAD, 0, "" },
		{ "250-a\r\n25", SMTP_FEED_MORE, 250, "a" },
		{ "250-a\r\n251 b\r\n", SMTP_FEED_BAD, 251, "a" },
	};
	size_t i, step;

	(void)state;
	for (i = 0; i < LEN(t); i++)
		for (step = 1; step <= strlen(t[i].in); step++) {
			struct smtp_reply r;

			smtp_reply_init(&r);
			assert_int_equal(feed(&r, t[i].in, strlen(t[i].in),
					     step),
			    t[i].rc);
			assert_int_equal(r.code, t[i].code);
			assert_string_equal(buf_str(&r.text), t[i].text);
			smtp_reply_release(&r);
		}
}

/* What lies behind the reply is another one's. */
static void
test_V06_stale_status(void **state)
{
	static const char text[] = "5.7.1 was said before";
	struct smtp_status st;
	struct smtp_reply r;
	size_t n, used;
	char *alone;

	(void)state;
	for (n = 0; n < sizeof(text); n++) {
		st = smtp_status_of(550, text, n);
		assert_int_equal(st.given, n >= 5);
		assert_int_equal(st.subject, n >= 5 ? 7 : 0);
		alone = xmemdup(text, n > 0 ? n : 1);
		st = smtp_status_of(550, alone, n);
		assert_int_equal(st.given, n >= 5);
		free(alone);
	}
	smtp_reply_init(&r);
	assert_int_equal(smtp_reply_feed(&r, "550 5.7.1 long\r\n", 16, &used),
	    SMTP_FEED_DONE);
	smtp_reply_clear(&r);
	for (n = 0; n < 5; n++) {
		struct buf line = BUF_INIT;
		char short_one[16];

		(void)snprintf(short_one, sizeof(short_one), "550%s%.*s\r\n",
		    n > 0 ? " " : "", (int)n, text);
		assert_int_equal(smtp_reply_feed(&r, short_one,
				     strlen(short_one), &used),
		    SMTP_FEED_DONE);
		smtp_reply_join(&r, 100, &line);
		assert_int_equal(line.len, n);
		st = smtp_status_of(r.code, r.text.p, r.text.len);
		assert_false(st.given);
		assert_int_equal(st.cls, 5);
		assert_int_equal(st.subject + st.detail, 0);
		smtp_reply_clear(&r);
		buf_release(&line);
	}
	smtp_reply_release(&r);
}

/* By the simplest way. */
static void
stuff_simply(const char *p, size_t n, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '.' && (i == 0 || p[i - 1] == '\n'))
			buf_addc(out, '.');
		buf_addc(out, p[i]);
	}
}

/* All contents of up to 8 of `.`, CRLF and `a`; buffers of 1, 2 ... octets. */
static void
test_V06_stuff_every_buffer(void **state)
{
	static const char *const part[] = { ".", "\r\n", "a" };
	unsigned i, k, n, all;
	size_t step, at, len;

	(void)state;
	for (n = 1, all = 3; n <= 8; n++, all *= 3)
		for (i = 0; i < all; i++) {
			struct buf text = BUF_INIT, want = BUF_INIT;

			for (k = 0, at = i; k < n; k++, at /= 3)
				buf_adds(&text, part[at % 3]);
			stuff_simply(text.p, text.len, &want);
			for (step = 1; step <= text.len; step++) {
				struct smtp_conn c = { .txn = { .bol = true } };

				for (at = 0; at < text.len; at += len) {
					len = text.len - at;
					len = step < len ? step : len;
					body_stuff(&c, text.p + at, len);
				}
				assert_int_equal(c.out.len, want.len);
				assert_memory_equal(c.out.p, want.p, want.len);
				buf_release(&c.out);
			}
			buf_release(&text);
			buf_release(&want);
		}
}

static int
hex(char c)
{
	return (c <= '9' ? c - '0' : c - 'A' + 10);
}

/* What quoted-printable stands for; fails where it is none. */
static void
decode(const struct buf *qp, struct buf *out)
{
	size_t i, column = 0;

	for (i = 0; i < qp->len; i++, column++) {
		assert_true((unsigned char)qp->p[i] < 0x80);
		assert_true(column <= 76);
		if (qp->p[i] == '=') {
			assert_true(i + 2 < qp->len);
			if (qp->p[i + 1] != '\r')
				buf_addc(out,
				    hex(qp->p[i + 1]) << 4 | hex(qp->p[i + 2]));
			else
				column = (size_t)-3;
			i += 2;
			column += 2;
			continue;
		}
		buf_addc(out, qp->p[i]);
		if (qp->p[i] == '\n')
			column = (size_t)-1;
	}
}

/* Lines of every length, of octets that need one, three or a place. */
static void
test_V06_qp_every_length(void **state)
{
	static const char fill[] = "a\xff .=";
	size_t n, k, i;
	char *alone;

	(void)state;
	for (k = 0; k < sizeof(fill) - 1; k++)
		for (n = 0; n < 400; n++) {
			struct buf text = BUF_INIT, qp = BUF_INIT,
				   back = BUF_INIT;

			for (i = 0; i < n; i++)
				buf_addc(&text, fill[k]);
			buf_adds(&text, n % 2 == 0 ? "\r\n" : "");
			alone = xmemdup(buf_str(&text),
			    text.len > 0 ? text.len : 1);
			encode_qp(alone, text.len, false, &qp);
			free(alone);
			decode(&qp, &back);
			assert_int_equal(back.len, text.len);
			assert_memory_equal(buf_str(&back), buf_str(&text),
			    text.len);
			buf_release(&text);
			buf_release(&qp);
			buf_release(&back);
		}
}

/* base64 likewise: lines of 76, padding, nothing lost. */
static void
test_V06_base64_every_length(void **state)
{
	size_t n, i, lines;
	char *alone;

	(void)state;
	for (n = 0; n < 400; n++) {
		struct buf b64 = BUF_INIT, again = BUF_INIT;

		alone = xmalloc(n + 1);
		for (i = 0; i < n; i++)
			alone[i] = (char)(i * 7 % 251);
		encode_base64(alone, n, &b64);
		free(alone);
		lines = ((n + 2) / 3 * 4 + 75) / 76;
		assert_int_equal(b64.len,
		    (n + 2) / 3 * 4 + (lines > 0 ? (lines - 1) * 2 : 0));
		for (i = 76; i < b64.len; i += 78)
			assert_memory_equal(b64.p + i, "\r\n", 2);
		alone = xmemdup(buf_str(&b64), b64.len > 0 ? b64.len : 1);
		assert_int_equal(encode_base64_wrap(alone, b64.len, &again), 0);
		free(alone);
		assert_string_equal(buf_str(&again), buf_str(&b64));
		buf_release(&b64);
		buf_release(&again);
	}
}

static void
test_V17_size_offered(void **state)
{
	static const struct {
		const char *size;
		int64_t value; /* 0: as if no limit were stated */
	} t[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "2147483647", INT32_MAX },
		{ "2147483648", INT64_C(1) << 31 },
		{ "4294967295", UINT32_MAX },
		{ "4294967296", INT64_C(1) << 32 },
		{ "999999999999999999", INT64_C(999999999999999999) },
		{ "9223372036854775807", 0 },
		{ "9223372036854775808", 0 },
		{ "18446744073709551615", 0 },
		{ "18446744073709551617", 0 },
		{ "99999999999999999999999999", 0 },
		{ "-1", 0 },
		{ "0x10", 0 },
		{ "1e9", 0 },
	};
	const struct smtp_rcpt rcpt = { "r@example.com", NULL, NULL };
	struct smtp_message m = { .from = "s@example.net",
		.rcpt = &rcpt,
		.n_rcpt = 1,
		.mem = "" };
	struct smtp_caps caps;
	char text[80];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		(void)snprintf(text, sizeof(text), "mx\nSIZE %s", t[i].size);
		smtp_ehlo_parse(text, strlen(text), 0, &caps);
		assert_int_equal(caps.size, t[i].value);
		m.size = t[i].value;
		assert_int_equal(smtp_caps_check(&caps, &m), SMTP_FIT_OK);
		m.size++;
		assert_int_equal(smtp_caps_check(&caps, &m),
		    t[i].value == 0 ? SMTP_FIT_OK : SMTP_FIT_SIZE);
		m.size = INT64_MAX;
		assert_int_equal(smtp_caps_check(&caps, &m),
		    t[i].value == 0 ? SMTP_FIT_OK : SMTP_FIT_SIZE);
	}
	smtp_ehlo_parse("mx\nLIMITS RCPTMAX=4294967297 MAILMAX=2147483648", 48,
	    0, &caps);
	assert_int_equal(caps.rcpt_max + caps.mail_max, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_V06_short_replies),
		cmocka_unit_test(test_V06_stale_status),
		cmocka_unit_test(test_V06_stuff_every_buffer),
		cmocka_unit_test(test_V06_qp_every_length),
		cmocka_unit_test(test_V06_base64_every_length),
		cmocka_unit_test(test_V17_size_offered),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
