/* RFC 4180: write rows, read rows. */
#ifndef VMTA_BASE_CSV_H
#define VMTA_BASE_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Append a field; quotes it where RFC 4180 asks. first: no comma before it.
 * CR and LF are shown as \r and \n, so that a record is one physical line.
 */
void csv_field(struct buf *b, bool first, const char *p, size_t n);
/* End a row: CRLF. */
void csv_end(struct buf *b);

/*
 * Split one physical row (without its line end) in place: fields are
 * unquoted and NUL-ended inside line[0..len]. line[len] must be writable.
 * Returns the number of fields, of which up to max are stored, or -1 when a
 * quote is not closed or text follows one.
 */
int csv_split(char *line, size_t len, char **ret_field, int max);

#endif
