/* xtext and the values made of it: ENVID and ORCPT (RFC 3461, RFC 6533). */
#ifndef VMTA_MAIL_XTEXT_H
#define VMTA_MAIL_XTEXT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define XTEXT_ENVID_MAX 100 /* octets of an encoded ENVID */
#define XTEXT_ORCPT_MAX 500 /* octets of `type;xtext` */

/* Append n octets as xtext. */
void xtext_encode(const char *p, size_t n, struct buf *ret_text);
/* Append what n octets of xtext stand for; 0, or -1 when they are none. */
int xtext_decode(const char *p, size_t n, struct buf *ret_bytes);

/*
 * May this, already xtext, be sent as ENVID=? 1 to 100 octets that stand for
 * printable ASCII. 0, or -1 with err (VEX_DATA).
 */
int xtext_check_envid(const char *p, size_t n, struct verr *err);
/*
 * May this be sent as ORCPT=? `type;xtext`, up to 500 octets; the type is an
 * atom; printable ASCII inside, for type utf-8 also UTF-8. 0, or -1 with err.
 */
int xtext_check_orcpt(const char *p, size_t n, struct verr *err);

#endif
