/*
 * Quoted-printable (RFC 2045 6.7) and base64 (6.8). Stored text has CRLF line
 * ends only, so that CRLF is a line break for quoted-printable; base64 is of
 * the octets as they are, CRLF too, which is its canonical form for text.
 */
#include <string.h>

#include "mail/encode.h"

#define ENCODE_LINE 76

/* Is there a CRLF at p[i]? */
static bool
at_crlf(const char *p, size_t n, size_t i)
{
	return (i + 1 < n && p[i] == '\r' && p[i + 1] == '\n');
}

static bool
is_hex(char c)
{
	return ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') ||
	    (c >= 'a' && c <= 'f'));
}

/* May the octet p[i] stand for itself? */
static bool
is_literal(const char *p, size_t n, size_t i, bool already)
{
	if (p[i] == ' ' || p[i] == '\t')
		return (already || (i + 1 < n && !at_crlf(p, n, i + 1)));
	return (p[i] > 0x20 && p[i] < 0x7f && p[i] != '=');
}

/* Append a piece that must not be broken, after a soft break if need be. */
static void
qp_put(struct buf *b, const char *p, size_t n, size_t *col)
{
	if (*col + n > ENCODE_LINE - 1) {
		buf_add(b, "=\r\n", 3);
		*col = 0;
	}
	buf_add(b, p, n);
	*col += n;
}

/* encode_qp from column *col on. */
static void
qp_run(const char *p, size_t n, bool already, size_t *col, struct buf *ret_text)
{
	static const char hex[] = "0123456789ABCDEF";
	char code[3] = "=";
	size_t i = 0;

	while (i < n) {
		if (at_crlf(p, n, i) ||
		    (already && p[i] == '=' && at_crlf(p, n, i + 1))) {
			if (p[i] == '=')
				buf_addc(ret_text, p[i++]);
			buf_add(ret_text, "\r\n", 2);
			i += 2;
			*col = 0;
		} else if (already && p[i] == '=' && n - i > 2 &&
		    is_hex(p[i + 1]) && is_hex(p[i + 2])) {
			qp_put(ret_text, p + i, 3, col);
			i += 3;
		} else if (is_literal(p, n, i, already)) {
			qp_put(ret_text, p + i++, 1, col);
		} else {
			code[1] = hex[(unsigned char)p[i] >> 4];
			code[2] = hex[p[i++] & 0xf];
			qp_put(ret_text, code, 3, col);
		}
	}
}

void
encode_qp(const char *p, size_t n, bool already, struct buf *ret_text)
{
	size_t col = 0;

	qp_run(p, n, already, &col, ret_text);
}

void
encode_qp_piece(const char *p, size_t n, size_t *col, struct buf *ret_text)
{
	qp_run(p, n, false, col, ret_text);
}

/* Append a character of base64, after a line break if need be. */
static void
base64_put(struct buf *b, char c, size_t *col)
{
	if (*col == ENCODE_LINE) {
		buf_add(b, "\r\n", 2);
		*col = 0;
	}
	buf_addc(b, c);
	(*col)++;
}

static const char base64_abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* Three octets. */
static void
base64_three(const unsigned char *u, char *to)
{
	to[0] = base64_abc[u[0] >> 2];
	to[1] = base64_abc[(u[0] & 3) << 4 | u[1] >> 4];
	to[2] = base64_abc[(u[1] & 15) << 2 | u[2] >> 6];
	to[3] = base64_abc[u[2] & 63];
}

void
encode_base64(const char *p, size_t n, struct buf *ret_text)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned char tail[3] = { 0, 0, 0 };
	char last[4], *to;
	size_t col = 0, i;

	to = buf_room(ret_text, n / 3 * 4 + n / 57 * 2 + 8);
	for (; n >= 3; u += 3, n -= 3) {
		if (col == ENCODE_LINE) {
			*to++ = '\r';
			*to++ = '\n';
			col = 0;
		}
		base64_three(u, to);
		to += 4;
		col += 4;
	}
	ret_text->len = (size_t)(to - ret_text->p);
	ret_text->p[ret_text->len] = '\0';
	if (n == 0)
		return;
	memcpy(tail, u, n);
	base64_three(tail, last);
	for (i = 0; i < 4; i++)
		base64_put(ret_text, i <= n ? last[i] : '=', &col);
}

/* Is c a character of base64, padding too? */
static bool
is_base64(char c)
{
	return ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=');
}

int
encode_base64_wrap(const char *p, size_t n, struct buf *ret_text)
{
	size_t i, col = 0;

	for (i = 0; i < n; i++)
		if (is_base64(p[i]))
			base64_put(ret_text, p[i], &col);
		else if (p[i] == '\0' || strchr(" \t\r\n", p[i]) == NULL)
			return (-1);
	return (0);
}
