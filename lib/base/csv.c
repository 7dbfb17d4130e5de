/* RFC 4180 rows. Our own records never hold a line end inside a field. */
#include <string.h>

#include "base/csv.h"

void
csv_field(struct buf *b, bool first, const char *p, size_t n)
{
	size_t i, plain;

	if (!first)
		buf_addc(b, ',');
	for (plain = 0; plain < n; plain++)
		if (p[plain] == '"' || p[plain] == ',' || p[plain] == '\r' ||
		    p[plain] == '\n' || p[plain] == '\0')
			break;
	if (plain == n && (n == 0 || (p[0] != ' ' && p[n - 1] != ' '))) {
		buf_add(b, p, n);
		return;
	}
	buf_addc(b, '"');
	for (i = 0; i < n; i++) {
		switch (p[i]) {
		case '"':
			buf_adds(b, "\"\"");
			break;
		case '\r':
			buf_adds(b, "\\r");
			break;
		case '\n':
			buf_adds(b, "\\n");
			break;
		case '\0':
			buf_adds(b, "\\0");
			break;
		default:
			buf_addc(b, p[i]);
		}
	}
	buf_addc(b, '"');
}

void
csv_end(struct buf *b)
{
	buf_add(b, "\r\n", 2);
}

/* Unquote the field at *from into *to; both move. -1: quote not closed. */
static int
csv_unquote(char **from, char **to, const char *end)
{
	char *r = *from + 1, *w = *to;

	for (;;) {
		if (r >= end)
			return (-1);
		if (*r == '"') {
			if (r + 1 >= end || r[1] != '"')
				break;
			r++;
		}
		*w++ = *r++;
	}
	*from = r + 1;
	*to = w;
	return (0);
}

int
csv_split(char *line, size_t len, char **ret_field, int max)
{
	char *r = line, *w, *end = line + len, *start;
	int n = 0;

	for (;;) {
		start = w = r;
		if (r < end && *r == '"') {
			if (csv_unquote(&r, &w, end) == -1)
				return (-1);
			if (r < end && *r != ',')
				return (-1);
		} else {
			r = memchr(r, ',', (size_t)(end - r));
			if (r == NULL)
				r = end;
			w = r;
		}
		if (n < max)
			ret_field[n] = start;
		n++;
		*w = '\0';
		if (r >= end)
			return (n);
		r++;
	}
}
