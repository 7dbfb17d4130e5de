/*
 * The variables of a mail merge in a batch: names in its header, values in a
 * line for each recipient. A TAB parts them; values are escaped as
 * base/esc.h does, and one that is undefined is `\-`.
 */
#ifndef VMTA_SPOOL_VARS_H
#define VMTA_SPOOL_VARS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Append a name, or a value (p NULL: undefined). first: no TAB before it. */
void vars_add(struct buf *b, bool first, const char *p, size_t n);
/* How many there are in a line; NULL: none. */
size_t vars_count(const char *line);
/*
 * Append the next one, unescaped, to ret_text and move *line behind it (NULL:
 * it was the last). 0; 1: it is undefined; -1: the line is damaged.
 */
int vars_next(const char **line, struct buf *ret_text);

#endif
