/*
 * Enhanced status codes: RFC 3463 and the registry that RFC 5248 made
 * (RFCs 4468, 4954, 5248, 5336, 6710, 7293, 7372, 7504, 7505, 8616). Texts
 * are one line, lower case, as accounting files show them in brackets after
 * the code. Categories are PowerMTA's names, chosen by the code alone.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "acct/status.h"

/* `subject.detail`, its text, its category. */
struct status_row {
	const char *code;
	const char *text;
	const char *category;
};

/* A subject's x.S.0 row also speaks for details that are not listed. */
static const struct status_row rows[] = {
	{ "0.0", "undefined status", "other" },
	{ "1.0", "other address status", "bad-mailbox" },
	{ "1.1", "bad destination mailbox address", "bad-mailbox" },
	{ "1.2", "bad destination system address", "bad-domain" },
	{ "1.3", "bad destination mailbox address syntax", "bad-mailbox" },
	{ "1.4", "destination mailbox address ambiguous", "bad-mailbox" },
	{ "1.5", "destination address valid", "other" },
	{ "1.6", "destination mailbox has moved", "inactive-mailbox" },
	{ "1.7", "bad sender's mailbox address syntax", "invalid-sender" },
	{ "1.8", "bad sender's system address", "invalid-sender" },
	{ "1.9", "message relayed to non-compliant mailer", "other" },
	{ "1.10", "recipient address has null MX", "bad-domain" },
	{ "2.0", "other or undefined mailbox status", "inactive-mailbox" },
	{ "2.1", "mailbox disabled, not accepting messages",
	    "inactive-mailbox" },
	{ "2.2", "mailbox full", "quota-issues" },
	{ "2.3", "message length exceeds administrative limit",
	    "content-related" },
	{ "2.4", "mailing list expansion problem", "bad-mailbox" },
	{ "3.0", "other or undefined mail system status", "bad-configuration" },
	{ "3.1", "mail system full", "quota-issues" },
	{ "3.2", "system not accepting network messages", "bad-configuration" },
	{ "3.3", "system not capable of selected features",
	    "bad-configuration" },
	{ "3.4", "message too big for system", "content-related" },
	{ "3.5", "system incorrectly configured", "bad-configuration" },
	{ "3.6", "requested priority was changed", "other" },
	{ "4.0", "other or undefined network or routing status",
	    "routing-errors" },
	{ "4.1", "no answer from host", "no-answer-from-host" },
	{ "4.2", "bad connection", "bad-connection" },
	{ "4.3", "directory server failure", "routing-errors" },
	{ "4.4", "unable to route", "routing-errors" },
	{ "4.5", "mail system congestion", "routing-errors" },
	{ "4.6", "routing loop detected", "routing-errors" },
	{ "4.7", "delivery time expired", "message-expired" },
	{ "5.0", "other or undefined protocol status", "protocol-errors" },
	{ "5.1", "invalid command", "protocol-errors" },
	{ "5.2", "syntax error", "protocol-errors" },
	{ "5.3", "too many recipients", "protocol-errors" },
	{ "5.4", "invalid command arguments", "protocol-errors" },
	{ "5.5", "wrong protocol version", "protocol-errors" },
	{ "5.6", "authentication exchange line is too long",
	    "protocol-errors" },
	{ "6.0", "other or undefined media error", "content-related" },
	{ "6.1", "media not supported", "content-related" },
	{ "6.2", "conversion required and prohibited", "content-related" },
	{ "6.3", "conversion required but not supported", "content-related" },
	{ "6.4", "conversion with loss performed", "content-related" },
	{ "6.5", "conversion failed", "content-related" },
	{ "6.6", "message content not available", "content-related" },
	{ "6.7", "non-ASCII addresses not permitted", "content-related" },
	{ "6.8", "UTF-8 string reply is required", "content-related" },
	{ "6.9", "UTF-8 header message cannot be transferred",
	    "content-related" },
	{ "7.0", "other or undefined security status", "policy-related" },
	{ "7.1", "delivery not authorized, message refused", "policy-related" },
	{ "7.2", "mailing list expansion prohibited", "policy-related" },
	{ "7.3", "security conversion required but not possible",
	    "policy-related" },
	{ "7.4", "security features not supported", "policy-related" },
	{ "7.5", "cryptographic failure", "policy-related" },
	{ "7.6", "cryptographic algorithm not supported", "policy-related" },
	{ "7.7", "message integrity failure", "policy-related" },
	{ "7.8", "authentication credentials invalid", "policy-related" },
	{ "7.9", "authentication mechanism is too weak", "policy-related" },
	{ "7.10", "encryption needed", "policy-related" },
	{ "7.11", "encryption required for requested authentication",
	    "policy-related" },
	{ "7.12", "a password transition is needed", "policy-related" },
	{ "7.13", "user account disabled", "inactive-mailbox" },
	{ "7.14", "trust relationship required", "policy-related" },
	{ "7.15", "priority level is too low", "policy-related" },
	{ "7.16", "message is too big for the specified priority",
	    "policy-related" },
	{ "7.17", "mailbox owner has changed", "inactive-mailbox" },
	{ "7.18", "domain owner has changed", "bad-domain" },
	{ "7.19", "RRVS test cannot be completed", "policy-related" },
	{ "7.20", "no passing DKIM signature found", "policy-related" },
	{ "7.21", "no acceptable DKIM signature found", "policy-related" },
	{ "7.22", "no valid author-matched DKIM signature found",
	    "policy-related" },
	{ "7.23", "SPF validation failed", "policy-related" },
	{ "7.24", "SPF validation error", "policy-related" },
	{ "7.25", "reverse DNS validation failed", "policy-related" },
	{ "7.26", "multiple authentication checks failed", "policy-related" },
	{ "7.27", "sender address has null MX", "invalid-sender" },
	{ "7.28", "mail flood detected", "policy-related" },
	{ "7.29", "ARC validation failure", "policy-related" },
	{ "7.30", "REQUIRETLS support required", "policy-related" },
};

/* The row of `subject.detail`, the subject's x.S.0, or NULL. */
static const struct status_row *
status_find(const char *code)
{
	char subject[8];
	size_t i, n = strcspn(code, ".");

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].code, code) == 0)
			return (&rows[i]);
	if (n == 0 || n > 3)
		return (NULL);
	(void)snprintf(subject, sizeof(subject), "%.*s.0", (int)n, code);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].code, subject) == 0)
			return (&rows[i]);
	return (NULL);
}

/* The row of a whole code, text after it ignored; NULL: none. */
static const struct status_row *
status_row(const char *status)
{
	char code[12];
	size_t n = strspn(status, "0123456789.");

	if (n < 5 || n >= sizeof(code) + 2 || status[1] != '.' ||
	    strchr("245", status[0]) == NULL)
		return (NULL);
	memcpy(code, status + 2, n - 2);
	code[n - 2] = '\0';
	return (status_find(code));
}

const char *
acct_status_text(const char *status)
{
	const struct status_row *row = status_row(status);

	if (row == NULL)
		return ("undefined status");
	if (row == &rows[0])
		return (status[0] == '2' ? "success" : row->text);
	return (row->text);
}

const char *
acct_bounce_category(const char *status, int reply_code)
{
	const struct status_row *row;

	row = status == NULL ? NULL : status_row(status);
	if (row != NULL && row != &rows[0])
		return (row->category);
	switch (reply_code) {
	case 421:
	case 451:
		return ("bad-configuration");
	case 422:
	case 452:
	case 552:
		return ("quota-issues");
	case 450:
	case 550:
	case 551:
	case 553:
		return ("bad-mailbox");
	case 521:
	case 556:
		return ("bad-domain");
	case 500:
	case 501:
	case 502:
	case 503:
	case 504:
	case 555:
		return ("protocol-errors");
	case 530:
	case 535:
	case 554:
		return ("policy-related");
	default:
		return ("other");
	}
}
