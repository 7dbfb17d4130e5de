/*
 * xtext: RFC 3461 4, `+` and two upper-case hexadecimal digits for whatever
 * is not printable ASCII, and for `+` and `=`. ENVID: 4.4. ORCPT: 4.2 and,
 * for the type utf-8, RFC 6533 3 (whose `\x{...}` form needs no decoding to
 * be judged: it is printable). Values pass through the spool and out again in
 * RCPT commands, so nothing that could end a line or a parameter passes.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/esc.h"
#include "mail/xtext.h"

void
xtext_encode(const char *p, size_t n, struct buf *ret_text)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] > 0x20 && p[i] < 0x7f && p[i] != '+' && p[i] != '=')
			buf_addc(ret_text, p[i]);
		else
			buf_addf(ret_text, "+%02X", (unsigned char)p[i]);
}

/* Value of an upper-case hexadecimal digit, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	return (c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1);
}

int
xtext_decode(const char *p, size_t n, struct buf *ret_bytes)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < n; i++) {
		if (p[i] <= 0x20 || p[i] >= 0x7f || p[i] == '=')
			return (-1);
		if (p[i] != '+') {
			buf_addc(ret_bytes, p[i]);
			continue;
		}
		if (n - i < 3 || (hi = hex_value(p[i + 1])) == -1 ||
		    (lo = hex_value(p[i + 2])) == -1)
			return (-1);
		buf_addc(ret_bytes, hi << 4 | lo);
		i += 2;
	}
	return (0);
}

/* Is this xtext for one or more printable characters of ASCII? */
static bool
is_printable_xtext(const char *p, size_t n)
{
	struct buf b = BUF_INIT;
	bool ok = n > 0 && xtext_decode(p, n, &b) == 0;
	size_t i;

	for (i = 0; ok && i < b.len; i++)
		ok = b.p[i] >= 0x20 && b.p[i] < 0x7f;
	buf_release(&b);
	return (ok);
}

int
xtext_check_envid(const char *p, size_t n, struct verr *err)
{
	if (n > XTEXT_ENVID_MAX)
		return (verr_set(err, VEX_DATA, "envelope id over %d octets",
		    XTEXT_ENVID_MAX));
	if (!is_printable_xtext(p, n))
		return (verr_set(err, VEX_DATA,
		    "envelope id is not xtext for printable ASCII"));
	return (0);
}

/* The value of an ORCPT of type utf-8: printable, UTF-8, no = and blanks. */
static bool
is_utf8_orcpt(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || !esc_is_utf8(p, n))
		return (false);
	for (i = 0; i < n; i++)
		if ((unsigned char)p[i] <= 0x20 || p[i] == 0x7f ||
		    p[i] == '=' ||
		    ((unsigned char)p[i] == 0xc2 &&
			(unsigned char)p[i + 1] < 0xa0))
			return (false);
	return (true);
}

int
xtext_check_orcpt(const char *p, size_t n, struct verr *err)
{
	const char *semi = memchr(p, ';', n), *value;
	size_t len;

	if (n > XTEXT_ORCPT_MAX)
		return (verr_set(err, VEX_DATA, "ORCPT over %d octets",
		    XTEXT_ORCPT_MAX));
	if (semi == NULL || semi == p)
		return (verr_set(err, VEX_DATA, "ORCPT without address type"));
	for (value = p; value < semi; value++)
		if (*value <= 0x20 || *value >= 0x7f ||
		    strchr("()<>[]:@\\,.\"=", *value) != NULL)
			return (verr_set(err, VEX_DATA,
			    "ORCPT address type is not an atom"));
	value = semi + 1;
	len = n - (size_t)(value - p);
	if (semi - p == 5 && strncasecmp(p, "utf-8", 5) == 0) {
		if (!is_utf8_orcpt(value, len))
			return (verr_set(err, VEX_DATA,
			    "ORCPT address is not UTF-8 or has blanks"));
	} else if (!is_printable_xtext(value, len))
		return (verr_set(err, VEX_DATA,
		    "ORCPT address is not xtext for printable ASCII"));
	return (0);
}
