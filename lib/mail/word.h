/* Encoded words of header fields (RFC 2047), always in UTF-8 when written. */
#ifndef VMTA_MAIL_WORD_H
#define VMTA_MAIL_WORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Append text as UTF-8 with its encoded words decoded; white space between
 * two of them goes, other white space and folds stay. 0, or -1: a character
 * set that is not known, octets that do not fit it, line ends or NUL inside,
 * or 8-bit text that is not UTF-8.
 */
int word_decode(const char *p, size_t n, struct buf *ret_text);
/*
 * Must this be encoded to stand in a header: controls other than TAB, octets
 * over 127, or what a reader would take for an encoded word?
 */
bool word_needed(const char *p, size_t n);
/*
 * Append UTF-8 as encoded words with a space between them, none over 75
 * octets; the first one so that it fits a line that has col octets already.
 * Fit for phrases, too.
 */
void word_encode(const char *p, size_t n, size_t col, struct buf *out);
/*
 * Append unstructured text (UTF-8, folded or not) whose words are encoded
 * where they need it; others stay as they are.
 */
void word_unstructured(const char *p, size_t n, size_t col, struct buf *out);

#endif
