/* Transfer encodings of MIME: quoted-printable and base64 (RFC 2045 6). */
#ifndef VMTA_MAIL_ENCODE_H
#define VMTA_MAIL_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Append text with CRLF line ends as quoted-printable, lines up to 76
 * octets; no line end is added. already: p is quoted-printable, to be
 * repaired: raw octets are encoded, long lines broken, the rest is kept.
 */
void encode_qp(const char *p, size_t n, bool already, struct buf *ret_text);
/*
 * Append a piece of text as quoted-printable that follows *col octets of its
 * line; *col is set to where it ends. White space at the end of a piece is
 * encoded: nobody knows what follows.
 */
void encode_qp_piece(const char *p, size_t n, size_t *col,
    struct buf *ret_text);
/* Append octets as base64: lines of 76, CRLF between them, none at the end. */
void encode_base64(const char *p, size_t n, struct buf *ret_text);
/*
 * Append base64 that is there already, in lines of 76 as above. 0, or -1 when
 * there is anything else in it.
 */
int encode_base64_wrap(const char *p, size_t n, struct buf *ret_text);

#endif
