/* What status codes mean: texts for dsnStatus, categories for bounceCat. */
#ifndef VMTA_ACCT_STATUS_H
#define VMTA_ACCT_STATUS_H

/*
 * The text of an enhanced status code (`5.1.1`: RFC 3463 and the IANA
 * registry), as `bad destination mailbox address`; an unknown detail has the
 * text of its subject, anything else "undefined status". Never NULL.
 */
const char *acct_status_text(const char *status);

/*
 * PowerMTA's bounce category for an enhanced status code (may be NULL or "")
 * and an SMTP reply code (0: none), by class only; the words of the reply
 * are not looked at. A static string, never NULL.
 */
const char *acct_bounce_category(const char *status, int reply_code);

#endif
