/*
 * The reply reader (RFC 5321 4.2). A reply is one or more lines
 *
 *	250-text CRLF
 *	250 text CRLF
 *
 * and is read however the bytes are cut. It is strict where mail could get
 * lost or retried for ever: three digits of which the first is 2 to 5, then a
 * space, a hyphen or the end of the line; the same code in every line. It is
 * lenient where nothing depends on it: LF alone ends a line, a bare code is
 * complete. Codes are looked at as soon as they are there, so that a peer
 * that speaks another protocol is known before it ends its first line.
 *
 * Limits: of a line 4 KiB are kept and 64 KiB read; 500 lines, 256 KiB a
 * reply, 64 KiB of text. A whole line inside one read is not copied twice.
 */
#include <string.h>

#include "smtp/reply.h"
#include "smtp/status.h"

#define REPLY_IDLE_CAP 512 /* a bigger buffer is given back */

void
smtp_reply_init(struct smtp_reply *r)
{
	memset(r, 0, sizeof(*r));
}

void
smtp_reply_release(struct smtp_reply *r)
{
	buf_release(&r->text);
	buf_release(&r->part);
	smtp_reply_init(r);
}

/* Empty b, keep a small one. */
static void
reply_shrink(struct buf *b)
{
	if (b->cap > REPLY_IDLE_CAP)
		buf_release(b);
	else
		buf_clear(b);
}

void
smtp_reply_clear(struct smtp_reply *r)
{
	reply_shrink(&r->text);
	reply_shrink(&r->part);
	r->code = 0;
	r->bad = NULL;
	r->line_len = 0;
	r->bytes = 0;
	r->lines = 0;
}

bool
smtp_reply_begun(const struct smtp_reply *r)
{
	return (r->bytes > 0);
}

/* The reply is not SMTP: say why. */
static enum smtp_feed
reply_bad(struct smtp_reply *r, const char *why)
{
	r->bad = why;
	return (SMTP_FEED_BAD);
}

/* Can a reply line begin with these n bytes? */
static bool
reply_head_ok(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < 3; i++)
		if (p[i] < '0' || p[i] > '9')
			return (false);
	if (n > 0 && (p[0] < '2' || p[0] > '5'))
		return (false);
	return (n < 4 || p[3] == ' ' || p[3] == '-');
}

/* One whole line of which n bytes were kept, without its LF. */
static enum smtp_feed
reply_line(struct smtp_reply *r, const char *p, size_t n)
{
	int code;

	while (n > 0 && p[n - 1] == '\r')
		n--;
	if (n < 3 || !reply_head_ok(p, n))
		return (reply_bad(r, "not an SMTP reply"));
	code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
	if (r->lines > 0 && code != r->code) {
		r->code = code;
		return (reply_bad(r, "different codes in one reply"));
	}
	r->code = code;
	if (r->lines > 0 && r->text.len < SMTP_REPLY_KEEP)
		buf_addc(&r->text, '\n');
	if (n > 4 && r->text.len < SMTP_REPLY_KEEP)
		buf_add(&r->text, p + 4, n - 4);
	if (++r->lines > SMTP_REPLY_LINES)
		return (reply_bad(r, "reply has too many lines"));
	return (n > 3 && p[3] == '-' ? SMTP_FEED_MORE : SMTP_FEED_DONE);
}

/* Keep n bytes of a line whose end has not come, within the limit. */
static void
reply_keep(struct smtp_reply *r, const char *p, size_t n)
{
	size_t room = SMTP_LINE_KEEP - r->part.len;

	buf_add(&r->part, p, n < room ? n : room);
}

/* Count n bytes; are they over a limit? */
static bool
reply_over(struct smtp_reply *r, size_t n)
{
	r->line_len += n;
	r->bytes += n;
	if (r->line_len > SMTP_LINE_MAX)
		r->bad = "reply line is too long";
	else if (r->bytes > SMTP_REPLY_MAX)
		r->bad = "reply is too long";
	return (r->bad != NULL);
}

/* The line that ends with the n bytes at p (without LF). */
static enum smtp_feed
reply_end_line(struct smtp_reply *r, const char *p, size_t n)
{
	enum smtp_feed rc;

	if (r->part.len > 0) {
		reply_keep(r, p, n);
		rc = reply_line(r, r->part.p, r->part.len);
		buf_clear(&r->part);
	} else
		rc = reply_line(r, p, n < SMTP_LINE_KEEP ? n : SMTP_LINE_KEEP);
	r->line_len = 0;
	return (rc);
}

/* Does what has come of an unfinished line look like a reply? */
static bool
reply_part_ok(const struct smtp_reply *r)
{
	size_t n = r->part.len;

	while (n > 0 && r->part.p[n - 1] == '\r')
		n--; /* perhaps the line end of a bare code */
	return (reply_head_ok(r->part.p, n));
}

enum smtp_feed
smtp_reply_feed(struct smtp_reply *r, const char *p, size_t n, size_t *ret_used)
{
	enum smtp_feed rc = SMTP_FEED_MORE;
	const char *lf;
	size_t used = 0, len;

	while (rc == SMTP_FEED_MORE && used < n) {
		lf = memchr(p + used, '\n', n - used);
		len = lf != NULL ? (size_t)(lf - (p + used)) : n - used;
		if (reply_over(r, len + (lf != NULL ? 1 : 0)))
			rc = SMTP_FEED_BAD;
		else if (lf != NULL)
			rc = reply_end_line(r, p + used, len);
		else {
			reply_keep(r, p + used, len);
			if (!reply_part_ok(r))
				rc = reply_bad(r, "not an SMTP reply");
		}
		used += len + (lf != NULL ? 1 : 0);
	}
	*ret_used = used;
	return (rc);
}

/* Append up to n bytes, as far as ret_text stays within max. */
static void
join_add(struct buf *ret_text, size_t max, const char *p, size_t n)
{
	size_t room = ret_text->len < max ? max - ret_text->len : 0;

	buf_add(ret_text, p, n < room ? n : room);
}

void
smtp_reply_join(const struct smtp_reply *r, size_t max, struct buf *ret_text)
{
	const char *p = buf_str(&r->text), *end = p + r->text.len, *lf;
	const char *first = p;
	struct smtp_status st;
	size_t same, len;

	max += ret_text->len;
	same = smtp_status_parse(p, r->text.len, &st);
	for (;;) {
		lf = memchr(p, '\n', (size_t)(end - p));
		len = (size_t)((lf != NULL ? lf : end) - p);
		if (p > first && same > 0 && len > same &&
		    memcmp(p, first, same) == 0 && p[same] == ' ')
			join_add(ret_text, max, p + same, len - same);
		else {
			if (p > first)
				join_add(ret_text, max, " ", 1);
			join_add(ret_text, max, p, len);
		}
		if (lf == NULL)
			return;
		p = lf + 1;
	}
}
