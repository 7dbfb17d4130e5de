/* Decoding of quoted-printable (RFC 2045 6.7) and base64 (6.8). */
#include <stdbool.h>
#include <string.h>

#include "mail/decode.h"

/* The value of a hex digit (either case, as 6.7 wants of readers), or -1. */
static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* One line without its CRLF; true: it ends in a soft break. */
static bool
qp_line(const char *p, size_t n, struct buf *out)
{
	const char *end, *q;

	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	end = p + n;
	while ((q = memchr(p, '=', (size_t)(end - p))) != NULL) {
		buf_add(out, p, (size_t)(q - p));
		if (q + 1 == end)
			return (true);
		if (end - q > 2 && hex(q[1]) >= 0 && hex(q[2]) >= 0) {
			buf_addc(out, hex(q[1]) << 4 | hex(q[2]));
			p = q + 3;
		} else {
			buf_addc(out, '=');
			p = q + 1;
		}
	}
	buf_add(out, p, (size_t)(end - p));
	return (false);
}

void
decode_qp(const char *p, size_t n, struct buf *ret_text)
{
	const char *end = p + n, *nl, *stop;
	bool soft;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		stop = nl != NULL ? nl : end;
		if (nl != NULL && stop > p && stop[-1] == '\r')
			stop--;
		soft = qp_line(p, (size_t)(stop - p), ret_text);
		if (nl == NULL)
			break;
		if (!soft)
			buf_add(ret_text, "\r\n", 2);
	}
}

/* The six bits of a character; -1: none; -2: white space; -3: padding. */
static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (c - 'A');
	if (c >= 'a' && c <= 'z')
		return (c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (c - '0' + 52);
	if (c == '+' || c == '/')
		return (c == '+' ? 62 : 63);
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return (-2);
	return (c == '=' ? -3 : -1);
}

int
decode_base64(const char *p, size_t n, struct buf *ret_text)
{
	const char *end = p + n;
	unsigned int acc = 0, bits = 0;
	int v;

	for (; p < end; p++) {
		v = base64_value(*p);
		if (v == -1)
			return (-1);
		if (v == -3) /* what follows padding begins anew */
			acc = bits = 0;
		if (v < 0)
			continue;
		acc = (acc << 6 | (unsigned int)v) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_addc(ret_text, (int)(acc >> bits & 0xff));
		}
	}
	return (0);
}
