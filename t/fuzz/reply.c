/*
 * Replies: the same whatever the cuts, never beyond their limits, and no
 * octet is looked at that is not the reply's (an enhanced status taken from
 * what an earlier, longer reply left behind).
 */
#include "fuzz.h"
#include "smtp/conn.h"
#include "smtp/reply.h"

/* The status of these very octets. */
static struct smtp_status
status_alone(int code, const char *p, size_t n)
{
	char *copy = xmalloc(n > 0 ? n : 1);
	struct smtp_status st;

	memcpy(copy, p, n);
	st = smtp_status_of(code, copy, n);
	free(copy);
	return (st);
}

/* A whole reply: add what it says to the log. */
static void
take(const struct smtp_reply *r, struct buf *log)
{
	char text[SMTP_STATUS_LEN + 1];
	struct buf line = BUF_INIT;
	struct smtp_status st, again;

	FUZZ_CHECK(r->code >= 200 && r->code <= 599);
	FUZZ_CHECK(r->lines > 0 && r->lines <= SMTP_REPLY_LINES);
	FUZZ_CHECK(r->text.len <= SMTP_REPLY_KEEP + SMTP_LINE_KEEP);
	smtp_reply_join(r, SMTP_TEXT_MAX, &line);
	FUZZ_CHECK(line.len <= SMTP_TEXT_MAX);
	FUZZ_CHECK(memchr(buf_str(&line), '\n', line.len) == NULL);
	st = status_alone(r->code, buf_str(&line), line.len);
	FUZZ_CHECK(st.cls == r->code / 100);
	(void)smtp_status_text(&st, text);
	again = smtp_status_of(r->code, buf_str(&line), line.len);
	FUZZ_CHECK(memcmp(&st.cls, &again.cls, 3 * sizeof(int)) == 0);
	if (st.cls != 3) {
		FUZZ_CHECK(smtp_status_parse(text, strlen(text), &again) ==
		    strlen(text));
		FUZZ_CHECK(again.subject == st.subject &&
		    again.detail == st.detail);
	}
	buf_addf(log, "%d %s ", r->code, text);
	buf_add(log, line.p, line.len);
	buf_add(log, r->text.p, r->text.len);
	buf_addc(log, '\n');
	buf_release(&line);
}

/* Read the stream as a session does. */
static void
feed(const char *p, size_t n, uint32_t cut, struct buf *log)
{
	struct fuzz_cut c = { cut };
	struct smtp_reply r;
	enum smtp_feed rc = SMTP_FEED_MORE;
	size_t piece, used;

	smtp_reply_init(&r);
	while (n > 0 && rc != SMTP_FEED_BAD) {
		piece = fuzz_cut(&c, n);
		rc = smtp_reply_feed(&r, p, piece, &used);
		FUZZ_CHECK(used <= piece);
		FUZZ_CHECK(used > 0);
		FUZZ_CHECK(rc != SMTP_FEED_MORE || used == piece);
		FUZZ_CHECK(r.bytes <= SMTP_REPLY_MAX || rc == SMTP_FEED_BAD);
		FUZZ_CHECK((rc == SMTP_FEED_BAD) == (r.bad != NULL));
		p += used;
		n -= used;
		if (rc == SMTP_FEED_DONE)
			take(&r, log);
		if (rc == SMTP_FEED_BAD)
			buf_adds(log, "bad\n");
		if (rc == SMTP_FEED_DONE)
			smtp_reply_clear(&r);
	}
	if (rc != SMTP_FEED_BAD && smtp_reply_begun(&r))
		buf_adds(log, "begun\n");
	smtp_reply_release(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned seed = fuzz_byte(&in) + 1, times = fuzz_byte(&in);
	struct buf stream = BUF_INIT, whole = BUF_INIT, cut = BUF_INIT;
	char *p;
	size_t n;

	/* a few inputs reach the limits by being repeated */
	times = times >= 0xf8 ? SMTP_REPLY_LINES / 7 * (times & 7) + 7 : 1;
	do
		buf_add(&stream, in.p, in.n);
	while (--times > 0 && stream.len < 70000);
	n = stream.len;
	p = xmalloc(n + 1);
	memcpy(p, buf_str(&stream), n);
	buf_release(&stream);
	feed(p, n, 0, &whole);
	feed(p, n, seed, &cut);
	FUZZ_CHECK(whole.len == cut.len &&
	    memcmp(buf_str(&whole), buf_str(&cut), cut.len) == 0);
	buf_release(&whole);
	buf_release(&cut);
	free(p);
	return (0);
}
