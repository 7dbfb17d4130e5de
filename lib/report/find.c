/*
 * Records as they are in the files, row by row. The text form has the few
 * columns that answer "what became of this mail": when, which type, whom,
 * from which queue, and what the other side said.
 */
#include <string.h>

#include "acct/record.h"
#include "report/find.h"

/* Columns of the text form. */
static const struct {
	enum record_col col;
	int width;
} shown[] = {
	{ COL_TYPE, 2 },
	{ COL_TIME_LOGGED, 24 },
	{ COL_RCPT, 30 },
	{ COL_DLV_SOURCE_IP, 15 },
	{ COL_QUEUE, 24 },
	{ COL_DSN_STATUS, 24 },
	{ COL_DSN_DIAG, 0 },
};

/* The table of columns, in the order of the files. */
static const struct report_col *
find_cols(struct report_col col[COL_PUBLIC_N])
{
	size_t i;
	int c;

	for (c = 0; c < COL_PUBLIC_N; c++)
		col[c] = (struct report_col) {
			.name = record_col_name((enum record_col)c),
			.number = c == COL_DLV_SIZE || c == COL_RCPT_INDEX,
		};
	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		col[shown[i].col].title = record_col_name(shown[i].col);
		col[shown[i].col].width = shown[i].width;
	}
	return (col);
}

void
find_begin(struct find *fi, FILE *f, enum report_format format)
{
	fi->rows = 0;
	report_out_begin(&fi->out, f, format, find_cols(fi->col), COL_PUBLIC_N,
	    false);
}

int
find_add(void *arg, struct report_row *row, struct verr *err)
{
	const char *value[COL_PUBLIC_N];
	struct find *fi = arg;
	int c;

	(void)err;
	for (c = 0; c < COL_PUBLIC_N; c++)
		value[c] = row->field[c];
	report_out_row(&fi->out, value);
	fi->rows++;
	return (0);
}

void
find_end(struct find *fi)
{
	report_out_end(&fi->out);
}
