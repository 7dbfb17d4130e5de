/*
 * Batch SMTP (after RFC 2442): the commands of many transactions in a stream
 * without replies. HELO, EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT; of mail
 * merges XMRG, XDFN, XPRT, XACK.
 */
#ifndef VMTA_MAIL_BSMTP_H
#define VMTA_MAIL_BSMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "mail/addr.h"
#include "mail/esmtp.h"
#include "mail/xmrg.h"

struct bsmtp_rcpt {
	const char *orig;   /* mailbox as given */
	const char *smtp;   /* as on the wire */
	const char *domain; /* names the queue */
	const char *notify; /* as in struct esmtp_rcpt */
	const char *orcpt;
	bool utf8;     /* address needs SMTPUTF8 */
	uint64_t line; /* of its RCPT */
};

/* One complete transaction; all of it is the parser's. */
struct bsmtp_txn {
	uint64_t line; /* of its MAIL or XMRG */
	struct addr from;
	struct esmtp_mail mail;
	const struct bsmtp_rcpt *rcpt; /* the accepted ones, one or more */
	size_t n_rcpt;
	size_t n_bad;	 /* recipients that were refused */
	struct buf data; /* un-stuffed, line ends as they were */
	/*
	 * A mail merge: variables of each of rcpt, and parts instead of data;
	 * NULL: it is none.
	 */
	const struct xmrg *merge;
};

struct bsmtp_opts {
	size_t max_line; /* octets of a command line; 0: 4096 */
	size_t max_size; /* octets of a message; 0: no limit */
	size_t max_rcpt; /* recipients of a transaction; 0: no limit */
	/*
	 * A transaction is complete. The caller may take over txn->data
	 * (buf_take, or swap). 0; -1 with err: stop reading, bsmtp_feed
	 * returns -1.
	 */
	int (*done)(void *arg, struct bsmtp_txn *txn, struct verr *err);
	/*
	 * Something was refused: a recipient (the transaction goes on with
	 * the others), or with txn the whole transaction or stray commands:
	 * done is not called for it, and the next one is looked for. line:
	 * where, from 1; why: one line of text. Called once a transaction,
	 * and once for each bad recipient before that.
	 */
	void (*refuse)(void *arg, bool txn, uint64_t line, const char *why);
	void *arg;
};

struct bsmtp;

/* Start; opts is copied. Caller frees with bsmtp_free. */
struct bsmtp *bsmtp_new(const struct bsmtp_opts *opts);
/* NULL is fine. */
void bsmtp_free(struct bsmtp *b);
/*
 * Take the next n octets, cut anywhere; lines end in LF or CRLF. 0, or -1
 * when done said so. Bad input is never an error here: refuse hears of it.
 */
int bsmtp_feed(struct bsmtp *b, const char *p, size_t n, struct verr *err);
/*
 * The end of the stream: an open transaction is refused. A new stream may
 * follow (line numbers start again). Returns as bsmtp_feed.
 */
int bsmtp_end(struct bsmtp *b, struct verr *err);

#endif
