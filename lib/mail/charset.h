/* Character sets of mail, to and from UTF-8 (iconv). */
#ifndef VMTA_MAIL_CHARSET_H
#define VMTA_MAIL_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct charset;

/*
 * The character set of this name, in any case: utf-8, us-ascii and the
 * stateless ones of mail (iso-8859-*, windows-*, koi8-*, and those of eastern
 * Asia), so that pieces can be converted one by one. NULL: another one, or
 * none that this system knows. Free with charset_free.
 */
struct charset *charset_open(const char *name, size_t n);
void charset_free(struct charset *c); /* NULL is fine */

bool charset_is_utf8(const struct charset *c);
bool charset_is_ascii(const struct charset *c);
/* Append n octets as UTF-8. 0, or -1: they are not of this character set. */
int charset_decode(struct charset *c, const char *p, size_t n,
    struct buf *ret_text);
/*
 * Append n octets of UTF-8 in this character set. 0, or -1: it does not have
 * all of them; ret_text is as before then.
 */
int charset_encode(struct charset *c, const char *p, size_t n,
    struct buf *ret_text);
/* Is there an octet over 127? */
bool charset_8bit(const char *p, size_t n);

#endif
