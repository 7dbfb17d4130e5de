/*
 * A message for one transaction, whether the peer can take it, and its MAIL
 * and RCPT commands (RFC 5321, 1870, 3461, 6152, 6531).
 */
#ifndef VMTA_SMTP_MESSAGE_H
#define VMTA_SMTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "smtp/ehlo.h"
#include "smtp/status.h"

struct smtp_rcpt {
	const char *addr;   /* as on the wire, without <> */
	const char *notify; /* letters of NSFD as in the batch; NULL: none */
	const char *orcpt;  /* `type;xtext`; NULL: none */
};

/*
 * Everything in it must live, unchanged, until the transaction is done. The
 * content has CRLF line ends, is not dot-stuffed and ends in CRLF (or is
 * empty).
 */
struct smtp_message {
	const char *from;  /* as on the wire, without <>; "": null path */
	const char *envid; /* xtext; NULL: none */
	char ret;	   /* 'F', 'H', or '-' (or 0) for none */
	const struct smtp_rcpt *rcpt;
	size_t n_rcpt;	 /* >= 1 */
	const char *mem; /* content in memory; NULL: in fd */
	int fd;		 /* content at off of this descriptor */
	int64_t off;
	int64_t size;	  /* octets of content */
	int64_t dots;	  /* lines that begin with a dot; 0: none */
	bool body_8bit;	  /* 8-bit body */
	bool header_8bit; /* 8-bit header: needs SMTPUTF8 */
	/*
	 * The body may go before the answers to RCPT are known (needs
	 * CHUNKING and PIPELINING): one round trip for the message.
	 */
	bool body_ahead;
};

/* May a message go to this peer, and if not, what is the matter? */
enum smtp_fit {
	SMTP_FIT_OK,
	SMTP_FIT_NEED_7BIT,   /* re-encode it (else bounce 5.6.3) */
	SMTP_FIT_SIZE,	      /* larger than SIZE allows: 5.3.4 */
	SMTP_FIT_UTF8_ADDR,   /* sender or all recipients UTF-8: 5.6.7 */
	SMTP_FIT_UTF8_HEADER, /* header is UTF-8: 5.6.9 */
	SMTP_FIT_BAD_SENDER,  /* never a legal command: 5.1.7 */
	SMTP_FIT_BAD_RCPT,    /* the same of a recipient: 5.1.3 */
	SMTP_FIT_GONE	      /* only smtp_conn_send: session is ending */
};

enum smtp_fit smtp_caps_check(const struct smtp_caps *caps,
    const struct smtp_message *m);
/* The same for one recipient: OK, UTF8_ADDR or BAD_RCPT. */
enum smtp_fit smtp_caps_check_rcpt(const struct smtp_caps *caps,
    const struct smtp_rcpt *r);
/* Status and one line of text to bounce with; cls is 0 for OK and GONE. */
struct smtp_status smtp_fit_status(enum smtp_fit fit, const char **ret_text);

/* Append the MAIL command with CRLF; the message has passed the check. */
void smtp_message_mail(const struct smtp_caps *caps,
    const struct smtp_message *m, struct buf *ret_line);
/* Append the RCPT command with CRLF. */
void smtp_message_rcpt(const struct smtp_caps *caps, const struct smtp_rcpt *r,
    struct buf *ret_line);

#endif
