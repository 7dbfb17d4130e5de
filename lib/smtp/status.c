/*
 * Enhanced status codes: class.subject.detail (RFC 3463), at the start of
 * the text of a reply (RFC 2034). The basic code rules: a status of another
 * class, or one that is not well formed, is as if it were not there.
 */
#include <stdio.h>
#include <string.h>

#include "smtp/status.h"

/* 1 to 3 digits without a leading zero; octets used, 0: no number. */
static size_t
status_num(const char *p, size_t len, int *ret_n)
{
	size_t i;
	int n = 0;

	for (i = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
		if (i == 3)
			return (0);
		n = n * 10 + (p[i] - '0');
	}
	if (i > 1 && p[0] == '0')
		return (0);
	*ret_n = n;
	return (i);
}

/* May a status end before this byte? */
static bool
status_end(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

/* The status at p, whatever follows it; octets, 0: none. */
static size_t
status_scan(const char *p, size_t len, struct smtp_status *ret_status)
{
	int v[3] = { 0, 0, 0 };
	size_t at = 0, n;
	int i;

	for (i = 0; i < 3; i++) {
		if (i > 0 && (at >= len || p[at++] != '.'))
			return (0);
		n = status_num(p + at, len - at, &v[i]);
		if (n == 0)
			return (0);
		at += n;
	}
	if (v[0] != 2 && v[0] != 4 && v[0] != 5)
		return (0);
	*ret_status = (struct smtp_status) { v[0], v[1], v[2], true };
	return (at);
}

size_t
smtp_status_parse(const char *p, size_t len, struct smtp_status *ret_status)
{
	struct smtp_status st;
	size_t n = status_scan(p, len, &st);

	if (n == 0 || (n < len && !status_end(p[n])))
		return (0);
	*ret_status = st;
	return (n);
}

/* `#x.y.z`, not followed by a digit or a dot with a digit. */
static bool
status_hint(const char *p, size_t len, struct smtp_status *ret_status)
{
	const char *end = p + len;
	size_t n;

	while ((p = memchr(p, '#', (size_t)(end - p))) != NULL) {
		p++;
		n = status_scan(p, (size_t)(end - p), ret_status);
		if (n > 0 &&
		    (p + n == end || p[n] != '.' || p + n + 1 == end ||
			p[n + 1] < '0' || p[n + 1] > '9'))
			return (true);
	}
	return (false);
}

struct smtp_status
smtp_status_of(int code, const char *text, size_t len)
{
	struct smtp_status st;
	int cls = code / 100;

	if (smtp_status_parse(text, len, &st) > 0 && st.cls == cls)
		return (st);
	if (status_hint(text, len, &st) && st.cls == cls)
		return (st);
	return ((struct smtp_status) { cls, 0, 0, false });
}

const char *
smtp_status_text(const struct smtp_status *st, char buf[SMTP_STATUS_LEN + 1])
{
	unsigned cls = (unsigned)st->cls % 10;
	unsigned subject = (unsigned)st->subject % 1000;
	unsigned detail = (unsigned)st->detail % 1000;

	(void)snprintf(buf, SMTP_STATUS_LEN + 1, "%u.%u.%u", cls, subject,
	    detail);
	return (buf);
}
