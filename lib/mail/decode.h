/* Transfer encodings of MIME taken off (RFC 2045 6); encode.h puts them on. */
#ifndef VMTA_MAIL_DECODE_H
#define VMTA_MAIL_DECODE_H

#include <stddef.h>

#include "base/buf.h"

/*
 * Append what quoted-printable text (CRLF line ends) stands for. Always
 * succeeds: what is no legal code stays as it is, white space at the end of a
 * line goes.
 */
void decode_qp(const char *p, size_t n, struct buf *ret_text);
/* Append what base64 stands for. 0, or -1: there is something else in it. */
int decode_base64(const char *p, size_t n, struct buf *ret_text);

#endif
