/* The text of a configuration file before libconfuse sees it. */
#ifndef VMTA_CONF_LEX_H
#define VMTA_CONF_LEX_H

#include <stddef.h>

#include "base/buf.h"

/*
 * Check the text p[0..n] of file number `file` and append it to ret_clean,
 * without comments, with every value and title tagged `FILE:LINE:`. 0; or
 * -1, *ret_line and ret_why say where and why libconfuse must not see it.
 */
int lex_clean(const char *p, size_t n, unsigned file, struct buf *ret_clean,
    int *ret_line, struct buf *ret_why);
/*
 * The value of `spool =` at the top level of p[0..n]: appended to
 * ret_spool. 1 when it is there, 0 when not (or the text is no
 * configuration), -1 when only the parser can tell (escapes).
 */
int lex_spool(const char *p, size_t n, struct buf *ret_spool);
/* Split the tag off: the text behind it, and the numbers. */
const char *lex_untag(const char *text, unsigned *ret_file, int *ret_line);

#endif
