/* Header fields (RFC 5322 2.2) in stored text, whose line ends are CRLF. */
#ifndef VMTA_MAIL_FIELD_H
#define VMTA_MAIL_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Pointers into the text that was read. */
struct field {
	const char *name; /* without white space before the colon */
	size_t name_len;
	const char *value; /* after the colon; folds kept; no final CRLF */
	size_t value_len;
	const char *line; /* all of it, continuation lines and CRLF too */
	size_t line_len;
};

/*
 * Octets of the field name that a line (without its line end) begins with: 1
 * or more of the printable characters without colon, then white space, then
 * a colon. 0: the line is no start of a field.
 */
size_t field_name_len(const char *line, size_t n);
/*
 * The field at *p; moves *p behind it. False at the end, at an empty line
 * and at what is no field; *p stays there.
 */
bool field_next(const char **p, const char *end, struct field *ret_field);
/* Is this its name, in any case? */
bool field_is(const struct field *f, const char *name);
/* The first field of that name in a header; false: none. */
bool field_find(const char *p, size_t n, const char *name,
    struct field *ret_field);
/* Append the value without line ends and white space at its ends. */
void field_unfold(const struct field *f, struct buf *ret_value);
/*
 * Append the whole field with CRLF line ends; lines over max octets (without
 * CRLF) are folded at white space. 0; -1 with err (VEX_DATA) where there is
 * none.
 */
int field_fold(const struct field *f, size_t max, struct buf *out,
    struct verr *err);
/*
 * Append `name: value` and CRLF. Refuses (-1, VEX_DATA) a name that is none,
 * and a value with NUL, CR or LF, except CRLF or LF before white space: a
 * value can never become a second field, nor end the header.
 */
int field_add(struct buf *b, const char *name, const char *value, size_t n,
    struct verr *err);

#endif
