/*
 * Parameters of MAIL and RCPT as a client sends them (RFC 5321 4.1.1.11,
 * 1870, 3461, 6152, 6531).
 */
#ifndef VMTA_MAIL_ESMTP_H
#define VMTA_MAIL_ESMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mail/xtext.h"

struct esmtp_mail {
	int64_t size;	/* SIZE=, -1: not given */
	char ret;	/* 'F' full, 'H' headers, 0: not given */
	bool body_8bit; /* BODY=8BITMIME */
	bool smtputf8;
	bool verp; /* PowerMTA's: a sender address for each recipient */
	char envid[XTEXT_ENVID_MAX + 1]; /* xtext as given; "": none */
};

struct esmtp_rcpt {
	char notify[4]; /* "N", or letters of "SFD"; "": not given */
	char orcpt[XTEXT_ORCPT_MAX + 1]; /* `type;xtext`; "": none */
};

/*
 * Parse what follows the path: ` KEY=VALUE` and ` KEY`, in any case. 0; -1
 * with err (VEX_DATA): unknown, malformed or repeated parameters.
 */
int esmtp_mail_parse(const char *p, size_t n, struct esmtp_mail *ret_mail,
    struct verr *err);
int esmtp_rcpt_parse(const char *p, size_t n, struct esmtp_rcpt *ret_rcpt,
    struct verr *err);

#endif
