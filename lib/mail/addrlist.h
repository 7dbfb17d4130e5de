/*
 * Address lists of header fields (RFC 5322 3.4, RFC 6532): To, Cc, Bcc with
 * display names, groups, comments, quoted strings, folded lines.
 */
#ifndef VMTA_MAIL_ADDRLIST_H
#define VMTA_MAIL_ADDRLIST_H

#include <stddef.h>

#include "base/err.h"
#include "mail/addr.h"

/* Called for each mailbox; 0 to go on, -1 with err to stop. */
typedef int addrlist_fn(void *arg, const struct addr *a, struct verr *err);

/*
 * Call fn for each mailbox of a list, in order, those inside groups too.
 * Line ends may be CRLF or LF and must be followed by white space. An empty
 * list is legal, so are empty elements. 0; -1 with err (VEX_DATA) at the
 * first syntax error or illegal address, or when fn said so; fn has been
 * called for the mailboxes before it. local: what completes unqualified ones
 * (mail/addr.h), or NULL.
 */
int addrlist_parse(const char *p, size_t n, const struct addr_local *local,
    addrlist_fn *fn, void *arg, struct verr *err);

#endif
