/* Text from outside made safe for a line of a log, a terminal, CSV, JSON. */
#ifndef VMTA_BASE_ESC_H
#define VMTA_BASE_ESC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Append n bytes as one printable line: control bytes, bytes that are not
 * UTF-8 and bidirectional controls become \xHH, a backslash becomes \\.
 */
void esc_line(struct buf *b, const char *p, size_t n);
/*
 * Append what esc_line made n bytes of. 0, or -1 when it cannot have made
 * them (a backslash that begins nothing).
 */
int esc_unline(struct buf *b, const char *p, size_t n);
/*
 * Append n bytes to what is to be a C string: a NUL, which would end it,
 * becomes C0 80. That is no UTF-8, and esc_line and esc_json show it as the
 * NUL that it was.
 */
void esc_string(struct buf *b, const char *p, size_t n);
/*
 * Append n bytes as a JSON string with its quotes (RFC 8259); what esc_line
 * would escape is escaped there too, so that a terminal may show it.
 */
void esc_json(struct buf *b, const char *p, size_t n);
/* Length of the UTF-8 sequence at s (1 to 4), 0 if it is none. */
size_t esc_utf8(const char *s, size_t n);
/*
 * Is the sequence of len bytes (as esc_utf8 found it) one that a terminal
 * obeys or that reorders what is read: C0, DEL, C1, bidirectional controls,
 * line separators?
 */
bool esc_is_hostile(const char *p, size_t len);
/* Is all of it UTF-8? */
bool esc_is_utf8(const char *p, size_t n);

#endif
