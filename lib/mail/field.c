/*
 * Header fields: RFC 5322 2.2 and 3.6.8, with the obsolete white space
 * before the colon. Reading never copies: a field is pointers into the text.
 * Writing is the one place that keeps values from becoming fields of their
 * own (header injection).
 */
#include <string.h>
#include <strings.h>

#include "mail/field.h"

/* White space of a header line? */
static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

/* Length of the name at p, without looking further than n or the colon. */
static size_t
ftext_len(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] > 0x20 && p[i] < 0x7f && p[i] != ':')
		i++;
	return (i);
}

size_t
field_name_len(const char *line, size_t n)
{
	size_t len = ftext_len(line, n), i = len;

	while (i < n && is_blank(line[i]))
		i++;
	return (i < n && line[i] == ':' ? len : 0);
}

/* The end of the line at p, after its LF, or end. */
static const char *
line_end(const char *p, const char *end)
{
	const char *q = memchr(p, '\n', (size_t)(end - p));

	return (q != NULL ? q + 1 : end);
}

bool
field_next(const char **p, const char *end, struct field *ret_field)
{
	const char *q;

	if (*p == end)
		return (false);
	q = line_end(*p, end);
	ret_field->name_len = field_name_len(*p, (size_t)(q - *p));
	if (ret_field->name_len == 0)
		return (false);
	while (q < end && is_blank(*q))
		q = line_end(q, end);
	ret_field->name = ret_field->line = *p;
	ret_field->line_len = (size_t)(q - *p);
	ret_field->value = (const char *)memchr(*p, ':', ret_field->line_len) +
	    1;
	*p = q;
	if (q[-1] == '\n')
		q--;
	if (q > ret_field->value && q[-1] == '\r')
		q--;
	ret_field->value_len = (size_t)(q - ret_field->value);
	return (true);
}

bool
field_is(const struct field *f, const char *name)
{
	return (strlen(name) == f->name_len &&
	    strncasecmp(f->name, name, f->name_len) == 0);
}

bool
field_find(const char *p, size_t n, const char *name, struct field *ret_field)
{
	const char *end = p + n;

	while (field_next(&p, end, ret_field))
		if (field_is(ret_field, name))
			return (true);
	return (false);
}

void
field_unfold(const struct field *f, struct buf *ret_value)
{
	const char *p = f->value, *end = f->value + f->value_len, *q;

	while (p < end && strchr(" \t\r\n", *p) != NULL)
		p++;
	while (end > p && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	for (; p < end; p = q + 1) {
		q = memchr(p, '\n', (size_t)(end - p));
		if (q == NULL) {
			buf_add(ret_value, p, (size_t)(end - p));
			break;
		}
		buf_add(ret_value, p,
		    (size_t)(q - p) - (q > p && q[-1] == '\r' ? 1 : 0));
	}
}

int
field_add(struct buf *b, const char *name, const char *value, size_t n,
    struct verr *err)
{
	size_t len = strlen(name), i;

	if (len == 0 || ftext_len(name, len) != len)
		return (verr_set(err, VEX_DATA, "not a header field name"));
	for (i = 0; i < n; i++) {
		if (value[i] == '\0')
			return (verr_set(err, VEX_DATA,
			    "NUL in a header field"));
		if (value[i] == '\n' && i + 1 < n && is_blank(value[i + 1]))
			continue;
		if (value[i] == '\r' && i + 1 < n && value[i + 1] == '\n')
			continue;
		if (value[i] == '\r' || value[i] == '\n')
			return (verr_set(err, VEX_DATA,
			    "line end in a header field"));
	}
	buf_adds(b, name);
	buf_adds(b, ": ");
	for (i = 0; i < n; i++) {
		if (value[i] == '\n' && (i == 0 || value[i - 1] != '\r'))
			buf_addc(b, '\r');
		buf_addc(b, value[i]);
	}
	buf_adds(b, "\r\n");
	return (0);
}

/*
 * Where to fold a line longer than max, which does not end in a blank: before
 * the last blank that follows text, behind the first `keep` octets; 0:
 * nowhere.
 */
static size_t
fold_point(const char *p, size_t keep, size_t max)
{
	size_t i;

	for (i = max; i > 0 && i >= keep; i--)
		if (is_blank(p[i]) && !is_blank(p[i - 1]))
			return (i);
	return (0);
}

/*
 * Append one line of n octets without its CRLF, folded if need be, but not
 * in its first `keep` octets.
 */
static int
fold_line(const char *p, size_t n, size_t keep, size_t max, struct buf *out,
    struct verr *err)
{
	size_t i;

	if (n > max)
		while (n > 0 && is_blank(p[n - 1]))
			n--;
	while (n > max) {
		if ((i = fold_point(p, keep, max)) == 0)
			return (verr_set(err, VEX_DATA,
			    "header line over %zu octets", max));
		buf_add(out, p, i);
		buf_add(out, "\r\n", 2);
		p += i;
		n -= i;
		keep = 0;
	}
	buf_add(out, p, n);
	buf_add(out, "\r\n", 2);
	return (0);
}

int
field_fold(const struct field *f, size_t max, struct buf *out, struct verr *err)
{
	const char *p = f->line, *end = f->line + f->line_len, *q;
	/* a name and its colon stay together, whatever blanks are between */
	size_t keep = (size_t)(f->value - f->line), n;

	for (; p < end; p = q, keep = 0) {
		q = line_end(p, end);
		n = (size_t)(q - p);
		if (p[n - 1] == '\n')
			n--;
		if (n > 0 && p[n - 1] == '\r')
			n--;
		if (fold_line(p, n, keep, max, out, err) == -1)
			return (-1);
	}
	return (0);
}
