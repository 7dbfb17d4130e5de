/*
 * A message from outside, streamed in, made into the form that the spool
 * stores: CRLF line ends only, no NUL, not dot-stuffed, header completed,
 * Bcc gone; and the facts that its delivery needs.
 */
#ifndef VMTA_MAIL_MESSAGE_H
#define VMTA_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "mail/addrlist.h"

#define MESSAGE_LINE_MAX 998 /* octets of a line without CRLF, RFC 5322 */

/* What to do with a CR that no LF follows, and with NUL. */
enum message_stray {
	MESSAGE_REFUSE,
	MESSAGE_REPAIR /* each becomes a space (as in Postfix) */
};

/*
 * What is not set (0, NULL) does nothing. What pointers point to must live
 * until message_end.
 */
struct message_opts {
	enum message_stray stray;
	bool dot_ends;		/* a line with a lone dot ends the message */
	size_t max_size;	/* octets of the stored form; 0: no limit */
	const char *message_id; /* value to add where absent, `<id@host>` */
	const char *date;	/* value to add where absent */
	const char *prefix;	/* whole fields to put first (Received) */
	/*
	 * Names of fields to take out, besides Bcc and Resent-Bcc; ends with
	 * NULL. message_header still finds them.
	 */
	const char *const *strip;
};

/* Facts of stored text, as the spool keeps them. */
struct message_facts {
	size_t size;	  /* octets */
	size_t longest;	  /* octets of the longest line, without CRLF */
	size_t dots;	  /* lines that begin with a dot, header too */
	bool body_8bit;	  /* an octet over 127 in the body */
	bool header_8bit; /* ... in the header: SMTPUTF8 needed */
};

struct message {
	struct buf text;   /* the stored form */
	size_t header_len; /* octets of the header, empty line included */
	struct message_facts facts;
	bool ended; /* a lone dot was met: more input is ignored */

	/* the module's own */
	struct message_opts opts;
	struct buf aside; /* fields that were taken out */
	size_t line;	  /* offset of the line that is being read */
	unsigned long lineno;
	unsigned long dropped; /* `From ` lines at the start */
	bool in_body;
	bool cr; /* a CR was read, not stored yet */
	bool failed;
};

/* Start a message; opts is copied. */
void message_init(struct message *m, const struct message_opts *opts);
void message_release(struct message *m);

/*
 * Take the next n octets, cut anywhere. 0; -1 with err (VEX_DATA, the line
 * number in it): stray CR or NUL, a header line over 998 octets that cannot
 * be folded, too large. After that it only waits for message_release.
 *
 * The header ends at the first empty line, or before the first line that is
 * no field nor the continuation of one, where an empty line is put in (as
 * Postfix does). mbox `From ` lines at the very start are dropped. Body lines
 * of any length are taken; facts.longest says so.
 */
int message_feed(struct message *m, const char *p, size_t n, struct verr *err);
/*
 * The end: closes the last line, completes the header, sets header_len and
 * facts. Returns as message_feed.
 */
int message_end(struct message *m, struct verr *err);

/*
 * After message_end. Append the unfolded value of the first field of that
 * name to ret_value (NULL: only look); false: no such field. Finds fields
 * that were taken out, too.
 */
bool message_header(const struct message *m, const char *name,
    struct buf *ret_value);
/*
 * Call fn for each recipient in To, Cc and Bcc; where Resent-To, -Cc or -Bcc
 * are, in these alone (as Postfix's sendmail -t). Duplicates are the
 * caller's business. local and returns as addrlist_parse.
 */
int message_recipients(const struct message *m, const struct addr_local *local,
    addrlist_fn *fn, void *arg, struct verr *err);

/* Octets of the header of stored text, its empty line included. */
size_t message_header_len(const char *p, size_t n);
/* The facts of any stored text (a re-encoded or merged one, say). */
void message_scan(const char *p, size_t n, size_t header_len,
    struct message_facts *ret_facts);

#endif
