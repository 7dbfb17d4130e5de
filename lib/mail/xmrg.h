/*
 * A mail merge as PowerMTA's SMTP commands bring it: XDFN defines variables
 * for the recipients that follow, XPRT brings the template in numbered parts.
 *
 *	XMRG FROM:<sender> VERP
 *	XDFN *vmta="news" *parts=1,3
 *	XDFN name="Ann" text="\"quoted\" \\"
 *	RCPT TO:<ann@example.com>
 *	XPRT 1
 *	XPRT 2 LAST
 *
 * This is what a transaction gathers. XDFN lines before a recipient add up;
 * the first one after a recipient begins anew, so that nobody gets a value of
 * somebody else's. Recipients without XDFN between them have the same.
 */
#ifndef VMTA_MAIL_XMRG_H
#define VMTA_MAIL_XMRG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "mail/merge.h"

#define XMRG_LINE_MAX 65536		  /* octets of an XDFN line */
#define XMRG_NAMES_MAX 1000		  /* variables of a transaction */
#define XMRG_TEXT_MAX (64u * 1024 * 1024) /* octets of all values */

struct xmrg;

/* Nothing gathered yet. Free with xmrg_free. */
struct xmrg *xmrg_new(void);
void xmrg_free(struct xmrg *x); /* NULL is fine */
/* Forget all of it: another transaction begins. */
void xmrg_reset(struct xmrg *x);

/*
 * What stands behind XDFN: `NAME=VALUE` and `NAME="VALUE"` (`\"` and `\\` in
 * quotes), blanks between. 0; -1 with err (VEX_DATA).
 */
int xmrg_define(struct xmrg *x, const char *p, size_t n, struct verr *err);
/* A recipient was accepted: it has what is defined now. */
void xmrg_rcpt(struct xmrg *x);
/* A recipient was refused: what was defined was his, and ends with him. */
void xmrg_pass(struct xmrg *x);

/*
 * What stands behind XPRT: `NUMBER` or `NUMBER LAST`. The content of that part
 * follows. 0; -1 with err (VEX_DATA): no such number, twice the same one, the
 * last one and another is missing.
 */
int xmrg_part(struct xmrg *x, const char *p, size_t n, struct verr *err);
/* Is LAST there (whatever else is wrong)? */
bool xmrg_says_last(const char *p, size_t n);
/* What stands behind XACK. 0 or -1. */
int xmrg_ack(const char *p, size_t n, bool *ret_on);
/* The next octets of the part. */
void xmrg_data(struct xmrg *x, const char *p, size_t n);
/* Has a part begun? Is it the last one? Octets of all parts. */
bool xmrg_begun(const struct xmrg *x);
bool xmrg_last(const struct xmrg *x);
size_t xmrg_size(const struct xmrg *x);

/* The parts: how many, and number i (from 1). */
unsigned int xmrg_parts(const struct xmrg *x);
const struct buf *xmrg_text(const struct xmrg *x, unsigned int i);
/* Does a recipient say which parts he gets? */
bool xmrg_chooses(const struct xmrg *x);

/* The names of all that was defined (reserved ones have their star). */
const char *const *xmrg_names(const struct xmrg *x, size_t *ret_n);
/*
 * The values of recipient i (from 0), one for each name; undefined ones have
 * p NULL. They live as long as x is not changed.
 */
void xmrg_values(const struct xmrg *x, size_t i, struct merge_value *ret_value);

#endif
