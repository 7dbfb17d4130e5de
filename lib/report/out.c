/*
 * Tables. Text is columns of a least width, so that a row can be written
 * before the next is known; CSV is RFC 4180 with a header row and CRLF; JSON
 * is an object a line. What comes from records was written by strangers: it
 * is made printable here once more, since the files may be of other
 * programs. Backslashes stay single: our own files hold escapes already.
 */
#include <string.h>

#include "base/csv.h"
#include "base/esc.h"
#include "report/out.h"

int
report_format_parse(const char *s, enum report_format *ret_f)
{
	static const char *const names[] = { "text", "csv", "json" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(s, names[i]) == 0) {
			*ret_f = (enum report_format)i;
			return (0);
		}
	return (-1);
}

void
report_safe(struct buf *b, const char *s)
{
	size_t n;

	for (; *s != '\0'; s += n) {
		n = strcspn(s, "\\");
		esc_line(b, s, n);
		for (; s[n] == '\\'; n++)
			buf_addc(b, '\\');
	}
}

/* How many columns of a terminal a text takes, roughly: its characters. */
static int
text_width(const char *p, size_t n)
{
	int w = 0;

	for (; n > 0; n--, p++)
		w += (*p & 0xc0) != 0x80;
	return (w);
}

/* A cell of a text row. */
static void
text_cell(struct buf *b, const struct report_col *c, const char *s, bool last)
{
	size_t start = b->len;
	int pad;

	report_safe(b, s[0] == '\0' ? "-" : s);
	pad = c->width - text_width(b->p + start, b->len - start);
	if (c->number && pad > 0) {
		(void)buf_room(b, (size_t)pad);
		memmove(b->p + start + pad, b->p + start, b->len - start);
		memset(b->p + start, ' ', (size_t)pad);
		b->len += (size_t)pad;
	} else if (!last)
		for (; pad > 0; pad--)
			buf_addc(b, ' ');
	if (!last)
		buf_adds(b, "  ");
}

/* A row, or the titles for value NULL. */
static void
text_row(struct report_out *o, const char *const *value)
{
	size_t i, last = 0;
	const char *s;

	for (i = 0; i < o->n; i++)
		if (o->col[i].title != NULL)
			last = i;
	for (i = 0; i < o->n; i++) {
		if (o->col[i].title == NULL)
			continue;
		s = value == NULL ? o->col[i].title : value[i];
		text_cell(&o->line, &o->col[i], s == NULL ? "" : s, i == last);
	}
	buf_addc(&o->line, '\n');
}

static void
csv_row(struct report_out *o, const char *const *value)
{
	struct buf cell = BUF_INIT;
	size_t i;

	for (i = 0; i < o->n; i++) {
		buf_clear(&cell);
		if (value[i] != NULL)
			report_safe(&cell, value[i]);
		csv_field(&o->line, i == 0, buf_str(&cell), cell.len);
	}
	csv_end(&o->line);
	buf_release(&cell);
}

/* Is s a number of JSON's? What says so in a file may be anything. */
static bool
is_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 18 || (s[0] == '0' && n > 1))
		return (false);
	if (s[n] != '.')
		return (s[n] == '\0');
	s += n + 1;
	n = strspn(s, "0123456789");
	return (n > 0 && s[n] == '\0');
}

static void
json_row(struct report_out *o, const char *const *value)
{
	bool first = true;
	size_t i;

	buf_addc(&o->line, '{');
	for (i = 0; i < o->n; i++) {
		if (value[i] == NULL || value[i][0] == '\0')
			continue;
		buf_adds(&o->line, first ? "" : ",");
		first = false;
		esc_json(&o->line, o->col[i].name, strlen(o->col[i].name));
		buf_addc(&o->line, ':');
		if (o->col[i].number && is_number(value[i]))
			buf_adds(&o->line, value[i]);
		else
			esc_json(&o->line, value[i], strlen(value[i]));
	}
	buf_adds(&o->line, "}\n");
}

void
report_out_row(struct report_out *o, const char *const *value)
{
	buf_clear(&o->line);
	switch (o->format) {
	case REPORT_TEXT:
		text_row(o, value);
		break;
	case REPORT_CSV:
		csv_row(o, value);
		break;
	case REPORT_JSON:
		json_row(o, value);
		break;
	}
	(void)fwrite(o->line.p, 1, o->line.len, o->f);
}

void
report_out_begin(struct report_out *o, FILE *f, enum report_format format,
    const struct report_col *col, size_t n, bool headless)
{
	size_t i;

	*o = (struct report_out) { .f = f,
		.format = format,
		.col = col,
		.n = n };
	if (headless || format == REPORT_JSON)
		return;
	if (format == REPORT_CSV) {
		for (i = 0; i < n; i++)
			csv_field(&o->line, i == 0, col[i].name,
			    strlen(col[i].name));
		csv_end(&o->line);
	} else
		text_row(o, NULL);
	(void)fwrite(o->line.p, 1, o->line.len, f);
}

void
report_out_end(struct report_out *o)
{
	buf_release(&o->line);
}
