/*
 * RFC 2047. Encoded words stand between white space, and readers drop the
 * white space between two of them: neighbours that need encoding become one
 * text with the space inside. No character is cut in two.
 */
#include <string.h>
#include <strings.h>

#include "base/esc.h"
#include "mail/charset.h"
#include "mail/decode.h"
#include "mail/encode.h"
#include "mail/word.h"

#define WORD_MAX 75   /* octets of an encoded word */
#define WORD_FRAME 12 /* `=?utf-8?Q?` and `?=` */
#define WORD_LEAST 24 /* no shorter ones for the sake of the first line */

/* White space of a header, line ends too? */
static bool
is_space(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

/* The parts of an encoded word. */
struct word {
	const char *charset;
	size_t charset_len;
	char enc; /* 'Q' or 'B' */
	const char *text;
	size_t len;
};

/* Is there an encoded word at p? Its length, or 0. */
static size_t
word_at(const char *p, size_t n, struct word *w)
{
	const char *end = p + n, *q, *t;

	if (n < 8 || p[0] != '=' || p[1] != '?')
		return (0);
	w->charset = p + 2;
	q = memchr(w->charset, '?', (size_t)(end - w->charset));
	if (q == NULL || q == w->charset || end - q < 5 || q[2] != '?')
		return (0);
	w->charset_len = (size_t)(q - w->charset);
	t = memchr(w->charset, '*', w->charset_len); /* RFC 2231: language */
	if (t != NULL)
		w->charset_len = (size_t)(t - w->charset);
	w->enc = (char)(q[1] & ~0x20);
	w->text = q + 3;
	for (t = w->text; t < end && *t != '?' && !is_space(*t);)
		t++;
	w->len = (size_t)(t - w->text);
	if ((w->enc != 'Q' && w->enc != 'B') || end - t < 2 || t[0] != '?' ||
	    t[1] != '=')
		return (0);
	return ((size_t)(t - p) + 2);
}

/* Append what an encoded word stands for; no line end can be in one. */
static int
word_text(const struct word *w, struct buf *out)
{
	struct charset *c = charset_open(w->charset, w->charset_len);
	struct buf raw = BUF_INIT, text = BUF_INIT;
	int rc = c != NULL ? 0 : -1;
	size_t i, from = out->len;

	if (rc == 0 && w->enc == 'B') {
		rc = decode_base64(w->text, w->len, &raw);
	} else if (rc == 0) {
		for (i = 0; i < w->len; i++)
			if (w->text[i] == '_')
				buf_adds(&text, "=20");
			else
				buf_addc(&text, w->text[i]);
		decode_qp(buf_str(&text), text.len, &raw);
	}
	if (rc == 0)
		rc = charset_decode(c, buf_str(&raw), raw.len, out);
	for (i = from; i < out->len; i++)
		if (out->p[i] == '\r' || out->p[i] == '\n' || out->p[i] == '\0')
			rc = -1;
	charset_free(c);
	buf_release(&raw);
	buf_release(&text);
	return (rc);
}

int
word_decode(const char *p, size_t n, struct buf *ret_text)
{
	const char *end = p + n, *q;
	bool after = false; /* an encoded word was the last thing */
	struct word w;
	size_t len;

	if (!esc_is_utf8(p, n))
		return (-1);
	while (p < end) {
		for (q = p; q < end && is_space(*q);)
			q++;
		len = q < end ? word_at(q, (size_t)(end - q), &w) : 0;
		if (!(after && len > 0))
			buf_add(ret_text, p, (size_t)(q - p));
		after = len > 0;
		if (len > 0 && word_text(&w, ret_text) == -1)
			return (-1);
		p = q + len;
		if (len > 0)
			continue;
		while (q < end && !is_space(*q) &&
		    (q == p || word_at(q, (size_t)(end - q), &w) == 0))
			q++;
		buf_add(ret_text, p, (size_t)(q - p));
		p = q;
	}
	return (0);
}

bool
word_needed(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)p[i] >= 0x7f ||
		    ((unsigned char)p[i] < 0x20 && !is_space(p[i])) ||
		    (p[i] == '=' && i + 1 < n && p[i + 1] == '?'))
			return (true);
	return (false);
}

/* Does c stand for itself in Q, in phrases too (RFC 2047 5 (3))? */
static bool
is_q_literal(char c)
{
	return ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') ||
	    (c != '\0' && strchr("!*+-/", c) != NULL));
}

/* Octets of p in Q. */
static size_t
q_size(const char *p, size_t n)
{
	size_t i, size = 0;

	for (i = 0; i < n; i++)
		size += is_q_literal(p[i]) || p[i] == ' ' ? 1 : 3;
	return (size);
}

/* Append p in Q. */
static void
q_add(struct buf *out, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] == ' ')
			buf_addc(out, '_');
		else if (is_q_literal(p[i]))
			buf_addc(out, p[i]);
		else
			buf_addf(out, "=%02X", (unsigned char)p[i]);
}

/* Octets from p on, whole characters, that fit into room encoded octets. */
static size_t
word_take(const char *p, size_t n, bool q, size_t room)
{
	size_t took = 0, len, used = 0;

	while (took < n) {
		len = esc_utf8(p + took, n - took);
		len = len == 0 ? 1 : len;
		used += q_size(p + took, len);
		if (took > 0 && (q ? used : (took + len + 2) / 3 * 4) > room)
			break;
		took += len;
	}
	return (took);
}

void
word_encode(const char *p, size_t n, size_t col, struct buf *out)
{
	bool q = q_size(p, n) <= (n + 2) / 3 * 4;
	size_t room, took;
	bool first = true;

	for (; n > 0; p += took, n -= took) {
		room = WORD_MAX - WORD_FRAME;
		if (first && col + WORD_LEAST <= WORD_MAX)
			room -= col;
		if (!first)
			buf_addc(out, ' ');
		first = false;
		took = word_take(p, n, q, room);
		buf_adds(out, q ? "=?utf-8?Q?" : "=?utf-8?B?");
		if (q)
			q_add(out, p, took);
		else
			encode_base64(p, took, out);
		buf_adds(out, "?=");
	}
}

/* The end of a word at p, and of all that follow it and need encoding. */
static const char *
run_end(const char *p, const char *end)
{
	const char *stop = p, *q, *r;

	for (q = p; q < end; q = r) {
		for (r = q; r < end && !is_space(*r);)
			r++;
		if (!word_needed(q, (size_t)(r - q)))
			break;
		stop = r;
		while (r < end && is_space(*r))
			r++;
	}
	return (stop);
}

void
word_unstructured(const char *p, size_t n, size_t col, struct buf *out)
{
	const char *end = p + n, *q;
	struct buf run = BUF_INIT;
	size_t from = out->len;

	while (p < end) {
		for (q = p; q < end && is_space(*q);)
			q++;
		buf_add(out, p, (size_t)(q - p));
		p = q;
		q = run_end(p, end);
		if (q > p) {
			buf_clear(&run);
			for (; p < q; p++)
				if (*p != '\r' && *p != '\n')
					buf_addc(&run, *p);
			word_encode(buf_str(&run), run.len,
			    col + out->len - from, out);
			continue;
		}
		while (q < end && !is_space(*q))
			q++;
		buf_add(out, p, (size_t)(q - p));
		p = q;
	}
	buf_release(&run);
}
