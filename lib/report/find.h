/* vmta-report find: the records themselves. */
#ifndef VMTA_REPORT_FIND_H
#define VMTA_REPORT_FIND_H

#include <stdio.h>

#include "report/filter.h"
#include "report/out.h"

struct find {
	struct report_out out;
	struct report_col col[COL_PUBLIC_N];
	uint64_t rows;
};

/*
 * Write rows to f: in CSV with the columns of an acct-file, in JSON with
 * those that are not empty, in text with what tells most.
 */
void find_begin(struct find *fi, FILE *f, enum report_format format);
/* Take a row (report_row_cb; arg is the struct find). */
int find_add(void *arg, struct report_row *row, struct verr *err);
void find_end(struct find *fi);

#endif
