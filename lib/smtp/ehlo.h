/* What a server offers in its answer to EHLO. */
#ifndef VMTA_SMTP_EHLO_H
#define VMTA_SMTP_EHLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum smtp_ext {
	SMTP_EXT_PIPELINING = 1 << 0, /* RFC 2920 */
	SMTP_EXT_CHUNKING = 1 << 1,   /* RFC 3030 */
	SMTP_EXT_SIZE = 1 << 2,	      /* RFC 1870 */
	SMTP_EXT_8BITMIME = 1 << 3,   /* RFC 6152 */
	SMTP_EXT_SMTPUTF8 = 1 << 4,   /* RFC 6531 */
	SMTP_EXT_DSN = 1 << 5,	      /* RFC 3461 */
	SMTP_EXT_STATUS = 1 << 6,     /* ENHANCEDSTATUSCODES, RFC 2034 */
	SMTP_EXT_LIMITS = 1 << 7,     /* RFC 9422 */
	SMTP_EXT_STARTTLS = 1 << 8,   /* RFC 3207 */
	SMTP_EXT_AUTH = 1 << 9	      /* RFC 4954; noted, never used */
};

struct smtp_caps {
	unsigned offered;    /* enum smtp_ext, as the peer said */
	unsigned ext;	     /* those of them that may be used */
	int64_t size;	     /* largest message; 0: no limit stated */
	int rcpt_max;	     /* LIMITS RCPTMAX; 0: not stated */
	int mail_max;	     /* LIMITS MAILMAX; 0: not stated */
	int rcpt_domain_max; /* LIMITS RCPTDOMAINMAX; 0: not stated */
};

#define SMTP_EHLO_WORDS 200 /* keyword lines looked at */

/*
 * Read the text of a 250 answer to EHLO (lines separated by LF, the first is
 * the greeting); ignore: enum smtp_ext that are to be taken as not offered.
 * Unknown keywords and malformed or absurd values are ignored.
 */
void smtp_ehlo_parse(const char *text, size_t len, unsigned ignore,
    struct smtp_caps *ret_caps);
/* Append the known keywords offered, `CHUNKING,DSN,SIZE` (dlvEsmtpAvailable).
 */
void smtp_ehlo_names(const struct smtp_caps *caps, struct buf *ret_names);

#endif
