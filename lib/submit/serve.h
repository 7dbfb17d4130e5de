/*
 * The other end of libvmta-submit (api/vmta-submit.h): vmta-inject --serve
 * takes frames from the library, and makes submissions of them.
 *
 * A frame is `KEY LENGTH` LF and LENGTH octets, in both directions.
 *
 *	set NAME=VALUE		of the message, before its content
 *	begin, merge		a message, a template with its recipients
 *	data OCTETS		of content or template
 *	column NAME		a variable that recipients will have
 *	rcpt ADDRESS		a recipient, and what is said of him:
 *	rset NAME=VALUE		notify, orcpt
 *	var NAME[=VALUE]	a variable; without a value it is undefined
 *	drop			forget the message
 *	whole			one commit, or nothing
 *	key KEY			*submit id
 *	end			*the message is complete
 *	commit			*make all of it durable
 *
 * What has a star is answered: `ok TEXT`, or `error CODE TEXT`, after a
 * `refused INDEX TEXT` for each recipient of a merge that was left out. What
 * is wrong in between is told by the next `end`. The first answer, unasked,
 * is `ok vmta-serve 1`, or the error that keeps us from serving.
 */
#ifndef VMTA_SUBMIT_SERVE_H
#define VMTA_SUBMIT_SERVE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "submit/submit.h"

struct serve;

/* Append the answer that nothing can be served, because of err. */
void serve_fail(struct buf *out, const struct verr *err);

/* Begin. s must outlive it, and is nobody else's. */
struct serve *serve_new(struct submit *s);
void serve_free(struct serve *v); /* NULL is fine */

/*
 * Take the next n octets, cut anywhere. 0; -1 (VEX_DATA): these are no
 * frames, and nothing more can be understood.
 */
int serve_feed(struct serve *v, const char *p, size_t n, struct verr *err);
/* Answers that are to be sent now; the caller clears it. */
struct buf *serve_replies(struct serve *v);

#endif
