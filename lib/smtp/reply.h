/*
 * Replies of an SMTP server (RFC 5321 4.2), read as the bytes arrive, with
 * limits: nothing that a peer sends makes a reply grow without bound.
 */
#ifndef VMTA_SMTP_REPLY_H
#define VMTA_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SMTP_LINE_KEEP 4096   /* octets kept of one line */
#define SMTP_LINE_MAX 65536   /* octets read of one line */
#define SMTP_REPLY_LINES 500  /* lines of one reply */
#define SMTP_REPLY_MAX 262144 /* octets of one reply */
#define SMTP_REPLY_KEEP 65536 /* octets of text kept of one reply */

enum smtp_feed {
	SMTP_FEED_MORE, /* all input used, the reply is not complete */
	SMTP_FEED_DONE, /* one reply is complete */
	SMTP_FEED_BAD	/* not SMTP, or over a limit: see bad */
};

struct smtp_reply {
	int code;	 /* 200 to 599; 0: no line yet */
	struct buf text; /* without codes; lines separated by LF */
	const char *bad; /* after SMTP_FEED_BAD: why, in English */
	/* below: the reader's own */
	struct buf part; /* a line whose end has not come */
	size_t line_len; /* octets of that line, kept or not */
	size_t bytes;	 /* octets of the reply */
	size_t lines;
};

void smtp_reply_init(struct smtp_reply *r);
void smtp_reply_release(struct smtp_reply *r);
/* Ready for the next reply; gives big buffers back. */
void smtp_reply_clear(struct smtp_reply *r);

/*
 * Take up to n bytes: stops behind the end of one reply. *ret_used: bytes
 * taken. Line ends are CRLF or LF; a NUL, a lone CR and 8-bit bytes are kept
 * as they are (escape before showing). After DONE or BAD call clear.
 */
enum smtp_feed smtp_reply_feed(struct smtp_reply *r, const char *p, size_t n,
    size_t *ret_used);
/* Has part of a reply been read? */
bool smtp_reply_begun(const struct smtp_reply *r);
/*
 * Append the text as one line of at most max octets: parts separated by a
 * space, an enhanced status code that each line repeats only once.
 */
void smtp_reply_join(const struct smtp_reply *r, size_t max,
    struct buf *ret_text);

#endif
