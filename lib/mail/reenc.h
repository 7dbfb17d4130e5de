/*
 * 8-bit messages for peers that take 7 bits only, and lines over 998 octets
 * for all of them: MIME parts re-encoded (RFC 2045, 2046, RFC 6152 3).
 */
#ifndef VMTA_MAIL_REENC_H
#define VMTA_MAIL_REENC_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define REENC_DEPTH 50	 /* levels of multipart and message */
#define REENC_PARTS 1000 /* entities in a message */

/*
 * Append the message p (stored form: CRLF, un-stuffed) to ret_text with all
 * 8-bit or overlong parts in quoted-printable (text) or base64 (the rest).
 * Parts that are clean stay as they are, byte for byte.
 *
 * 0; -1 with err (VEX_DATA): it cannot be done, bounce it with 5.6.3: 8-bit
 * header fields, multipart/signed, message/partial and its like, encodings
 * unknown, too many parts or levels. ret_text then holds rubbish.
 */
int reenc_7bit(const char *p, size_t n, struct buf *ret_text, struct verr *err);

#endif
