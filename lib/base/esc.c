/*
 * Remote text is data: what a peer or a user sent is shown, never obeyed, by
 * a terminal, a log reader or a spreadsheet.
 */
#include <stdint.h>
#include <string.h>

#include "base/esc.h"

#define ESC_NUL "\xc0\x80" /* a NUL inside a C string */

size_t
esc_utf8(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len, i;
	uint32_t c;

	if (n == 0)
		return (0);
	if (p[0] < 0x80)
		return (1);
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
	if (len == 0 || len > n || p[0] > 0xf4)
		return (0);
	c = p[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return (0);
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return (0);
	return (len);
}

bool
esc_is_utf8(const char *p, size_t n)
{
	size_t len;

	for (; n > 0; p += len, n -= len)
		if ((len = esc_utf8(p, n)) == 0)
			return (false);
	return (true);
}

bool
esc_is_hostile(const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;

	if (len == 1)
		return (u[0] < 0x20 || u[0] == 0x7f);
	if (len == 2) /* C1; U+061C */
		return ((u[0] == 0xc2 && u[1] < 0xa0) ||
		    (u[0] == 0xd8 && u[1] == 0x9c));
	if (len != 3 || u[0] != 0xe2)
		return (false);
	return ((u[1] == 0x80 &&
		    (u[2] == 0x8e || u[2] == 0x8f ||
			(u[2] >= 0xa8 && u[2] <= 0xae))) ||
	    (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9));
}

/* Do the n bytes at p begin with a NUL of esc_string? */
static bool
esc_is_nul(const char *p, size_t n)
{
	return (n >= 2 && memcmp(p, ESC_NUL, 2) == 0);
}

void
esc_string(struct buf *b, const char *p, size_t n)
{
	const char *end = p + n, *nul;

	for (; p < end; p = nul + 1) {
		nul = memchr(p, '\0', (size_t)(end - p));
		if (nul == NULL)
			nul = end;
		buf_add(b, p, (size_t)(nul - p));
		if (nul < end)
			buf_adds(b, ESC_NUL);
	}
}

void
esc_line(struct buf *b, const char *p, size_t n)
{
	size_t len, i;
	bool bad;

	for (; n > 0; p += len, n -= len) {
		len = esc_utf8(p, n);
		bad = len == 0 || esc_is_hostile(p, len);
		if (len == 0)
			len = 1;
		if (esc_is_nul(p, n)) {
			buf_adds(b, "\\x00");
			len = 2;
		} else if (*p == '\\')
			buf_adds(b, "\\\\");
		else if (!bad)
			buf_add(b, p, len);
		else
			for (i = 0; i < len; i++)
				buf_addf(b, "\\x%02x", (unsigned char)p[i]);
	}
}

/* The value of a lower-case hex digit, -1: none. */
static int
esc_hex(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

int
esc_unline(struct buf *b, const char *p, size_t n)
{
	const char *end = p + n, *q;
	int high, low;

	while ((q = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		buf_add(b, p, (size_t)(q - p));
		if (end - q >= 2 && q[1] == '\\') {
			buf_addc(b, '\\');
			p = q + 2;
			continue;
		}
		if (end - q < 4 || q[1] != 'x' || (high = esc_hex(q[2])) < 0 ||
		    (low = esc_hex(q[3])) < 0)
			return (-1);
		buf_addc(b, high << 4 | low);
		p = q + 4;
	}
	buf_add(b, p, (size_t)(end - p));
	return (0);
}

/* The code point of a sequence of 1 to 3 octets. */
static unsigned int
esc_code(const char *p, size_t len)
{
	unsigned int c = (unsigned char)*p;
	size_t i;

	if (len > 1)
		c &= 0x7fu >> len;
	for (i = 1; i < len; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3f);
	return (c);
}

void
esc_json(struct buf *b, const char *p, size_t n)
{
	size_t len;

	buf_addc(b, '"');
	for (; n > 0; p += len, n -= len) {
		len = esc_utf8(p, n);
		if (esc_is_nul(p, n)) {
			len = 2;
			buf_adds(b, "\\u0000");
		} else if (len == 0) {
			len = 1;
			buf_adds(b, "\\ufffd");
		} else if (*p == '"' || *p == '\\')
			buf_addf(b, "\\%c", *p);
		else if (esc_is_hostile(p, len))
			buf_addf(b, "\\u%04x", esc_code(p, len));
		else
			buf_add(b, p, len);
	}
	buf_addc(b, '"');
}
