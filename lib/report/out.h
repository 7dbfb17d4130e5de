/* Rows of a report as text, CSV or JSON, written as they come. */
#ifndef VMTA_REPORT_OUT_H
#define VMTA_REPORT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

enum report_format { REPORT_TEXT, REPORT_CSV, REPORT_JSON };

/* `text`, `csv`, `json`: 0, or -1. */
int report_format_parse(const char *s, enum report_format *ret_f);

struct report_col {
	const char *name;  /* in CSV and JSON */
	const char *title; /* in text; NULL: not shown there */
	int width;	   /* in text: columns at least */
	bool number;	   /* to the right in text, bare in JSON */
};

struct report_out {
	FILE *f; /* the caller's; errors are found by ferror() there */
	enum report_format format;
	const struct report_col *col;
	size_t n;
	struct buf line;
};

/*
 * Begin a table; in text and CSV its header row is written. headless: it was
 * written before.
 */
void report_out_begin(struct report_out *o, FILE *f, enum report_format format,
    const struct report_col *col, size_t n, bool headless);
/*
 * A row of n texts (NULL: empty). In text and CSV control bytes and what is
 * not UTF-8 are shown as \xHH; JSON leaves empty texts out.
 */
void report_out_row(struct report_out *o, const char *const *value);
void report_out_end(struct report_out *o);

/* Append s as one printable line; a backslash is left as it is. */
void report_safe(struct buf *b, const char *s);

#endif
