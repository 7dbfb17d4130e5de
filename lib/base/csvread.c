/*
 * Reading CSV: RFC 4180, and what spreadsheets write beside it.
 *
 * A field that begins with a quote ends with one; two stand for one; what
 * follows the closing quote must be the delimiter or the end of the row. A
 * quote inside of a field that did not begin with one is an octet like others
 * (Python's reader takes it so, too). A row that is malformed is told as such
 * and reading goes on behind it, except for a quote that is never closed: it
 * may have swallowed any number of rows, so the whole file is refused.
 *
 * A state machine over octets; runs of plain octets are copied at once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/csvread.h"
#include "base/mem.h"

enum {
	AT_ROW,	  /* nothing of the row was read */
	AT_FIELD, /* ... of the field */
	IN_PLAIN,
	IN_QUOTED,
	AFTER_QUOTE, /* a quote inside of quotes: the end, or one half */
	IN_BAD	     /* the rest of a field after an error */
};

void
csvread_init(struct csvread *r, const struct csvread_opts *opts)
{
	memset(r, 0, sizeof(*r));
	r->opts = *opts;
	if (r->opts.delimiter == '\0')
		r->opts.delimiter = ',';
	r->line = r->first = 1;
	r->cell = xcalloc(CSVREAD_FIELDS, sizeof(*r->cell));
}

void
csvread_release(struct csvread *r)
{
	buf_release(&r->text);
	free(r->cell);
}

/* Say what is wrong with the row; the first error counts. */
static void
row_bad(struct csvread *r, const char *why)
{
	if (r->bad == NULL)
		r->bad = why;
}

/* A field begins. */
static void
field_begin(struct csvread *r)
{
	if (r->n == CSVREAD_FIELDS) {
		row_bad(r, "too many fields");
		r->n--;
	}
	r->at[r->n++] = r->text.len;
}

/* Append to the field. */
static void
field_add(struct csvread *r, const char *p, size_t n)
{
	if (r->text.len + n > CSVREAD_ROW)
		row_bad(r, "row too long; is a quote not closed?");
	if (r->bad == NULL)
		buf_add(&r->text, p, n);
}

/* The row is complete. */
static int
row_end(struct csvread *r, struct verr *err)
{
	size_t i, end;
	int rc;

	buf_addc(&r->text, '\0');
	for (i = 0; i < r->n; i++) {
		end = i + 1 < r->n ? r->at[i + 1] : r->text.len;
		r->cell[i].p = r->text.p + r->at[i];
		r->cell[i].n = end - r->at[i] - 1;
	}
	rc = r->opts.row(r->opts.arg, r->first, r->cell, r->n, r->bad, err);
	buf_clear(&r->text);
	r->n = 0;
	r->bad = NULL;
	r->state = AT_ROW;
	return (rc);
}

/* A delimiter: the field is complete. */
static void
field_end(struct csvread *r)
{
	buf_addc(&r->text, '\0');
	field_begin(r);
	r->state = AT_FIELD;
}

/* A line end outside of quotes. LF after CR is the second half of one. */
static int
line_end(struct csvread *r, char c, struct verr *err)
{
	int rc = 0;

	if (c == '\n' && r->cr) {
		r->cr = false;
		return (0);
	}
	r->cr = c == '\r';
	r->line++;
	if (r->state != AT_ROW)
		rc = row_end(r, err);
	return (rc);
}

/* A line end inside of quotes: an octet, and a line that is counted. */
static void
line_inside(struct csvread *r, char c)
{
	if (c == '\r' || (c == '\n' && !r->cr))
		r->line++;
	r->cr = c == '\r';
}

/* Octets from p on that say nothing in this state. */
static size_t
plain_run(const struct csvread *r, const char *p, size_t n)
{
	char d = r->opts.delimiter;
	size_t i = 0;

	if (r->state == IN_QUOTED)
		while (i < n && p[i] != '"' && p[i] != '\n' && p[i] != '\r')
			i++;
	else
		while (i < n && p[i] != d && p[i] != '\n' && p[i] != '\r')
			i++;
	return (i);
}

/* An octet that is not plain in a quoted field, or behind one. */
static void
quoted_octet(struct csvread *r, char c)
{
	if (r->state == AFTER_QUOTE && c == '"') {
		field_add(r, "\"", 1);
		r->state = IN_QUOTED;
	} else if (r->state == AFTER_QUOTE) {
		row_bad(r, "text after a closing quote");
		r->state = IN_BAD;
	} else if (c == '"') {
		r->state = AFTER_QUOTE;
		r->cr = false;
	} else {
		line_inside(r, c);
		field_add(r, &c, 1);
	}
}

/* The first octet of a row or field that is no delimiter or line end. */
static void
first_octet(struct csvread *r, char c)
{
	if (c == '"') {
		r->state = IN_QUOTED;
		return;
	}
	r->state = IN_PLAIN;
	field_add(r, &c, 1);
}

/* One octet. */
static int
octet(struct csvread *r, char c, struct verr *err)
{
	bool eol = c == '\n' || c == '\r';

	if (r->state == IN_QUOTED) {
		quoted_octet(r, c);
		return (0);
	}
	if (eol)
		return (line_end(r, c, err));
	r->cr = false;
	if (r->state == AT_ROW) {
		r->first = r->line;
		field_begin(r);
		r->state = AT_FIELD;
	}
	if (c == r->opts.delimiter)
		field_end(r);
	else if (r->state == AT_FIELD)
		first_octet(r, c);
	else if (r->state == AFTER_QUOTE)
		quoted_octet(r, c);
	else if (r->state == IN_PLAIN)
		field_add(r, &c, 1);
	return (0);
}

static const char mark_utf8[] = "\xef\xbb\xbf";

/* It was no byte order mark: what was taken for one is text. */
static int
no_mark(struct csvread *r, struct verr *err)
{
	int i, n = r->mark;

	r->mark = -1;
	for (i = 0; i < n; i++)
		if (octet(r, mark_utf8[i], err) == -1)
			return (-1);
	return (0);
}

/* Octets from the start of the file that are a byte order mark. */
static int
skip_mark(struct csvread *r, const char **p, const char *end, struct verr *err)
{
	while (r->mark >= 0 && *p < end) {
		if (r->mark == 0 && (**p == '\xff' || **p == '\xfe'))
			return (verr_set(err, VEX_DATA,
			    "the list is UTF-16; save it as UTF-8"));
		if (**p != mark_utf8[r->mark])
			break;
		(*p)++;
		if (++r->mark == 3)
			r->mark = -1;
	}
	if (*p == end || r->mark == -1)
		return (0);
	return (no_mark(r, err));
}

int
csvread_feed(struct csvread *r, const char *p, size_t n, struct verr *err)
{
	const char *end = p + n;
	size_t run;

	if (r->mark >= 0 && skip_mark(r, &p, end, err) == -1)
		return (-1);
	while (p < end) {
		if (r->state == IN_PLAIN || r->state == IN_QUOTED ||
		    r->state == IN_BAD) {
			run = plain_run(r, p, (size_t)(end - p));
			if (run > 0) {
				if (r->state != IN_BAD)
					field_add(r, p, run);
				r->cr = false;
				p += run;
				continue;
			}
		}
		if (octet(r, *p++, err) == -1)
			return (-1);
	}
	return (0);
}

int
csvread_end(struct csvread *r, struct verr *err)
{
	if (r->mark > 0 && no_mark(r, err) == -1)
		return (-1);
	if (r->state == IN_QUOTED)
		return (verr_set(err, VEX_DATA,
		    "line %" PRIu64 ": a quote is not closed", r->first));
	if (r->state != AT_ROW)
		return (row_end(r, err));
	return (0);
}
