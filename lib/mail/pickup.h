/*
 * Files of a pickup directory, as PowerMTA reads them:
 *
 *	x-sender: bounces@example.com
 *	x-receiver: one@example.net
 *	x-receiver: two@example.org
 *	Subject: the message begins here
 *
 * Lines of the envelope stand first, x-sender before all others: x-receiver,
 * x-sender-override, x-envid, x-job. x-virtual-mta, x-schedule and
 * x-dkim-options may stand among them; they are fields of the message, whose
 * meaning is its source's to allow. The first line that is none of these
 * begins the message, which goes to the end of the file.
 */
#ifndef VMTA_MAIL_PICKUP_H
#define VMTA_MAIL_PICKUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mail/addr.h"

#define PICKUP_LINE_MAX 4096 /* octets of a line of the envelope */
#define PICKUP_LOOK 64	     /* octets that pickup_kind wants to see */

/* What a file is, by how it begins. */
enum pickup_kind { PICKUP_NONE, PICKUP_MESSAGE, PICKUP_BSMTP };

/*
 * p: the first PICKUP_LOOK octets of a file (all, where it is shorter).
 * PICKUP_BSMTP: it begins with HELO, EHLO, MAIL, XMRG or XACK.
 */
enum pickup_kind pickup_kind(const char *p, size_t n);

struct pickup_opts {
	size_t max_rcpt; /* 0: no limit */
	/* Completes local names; NULL: nothing does. Not copied. */
	const struct addr_local *local;
	/* A recipient, and octets of the message. 0; -1 with err ends it. */
	int (*rcpt)(void *arg, const struct addr *a, struct verr *err);
	int (*data)(void *arg, const char *p, size_t n, struct verr *err);
	void *arg;
};

struct pickup;

/* Start a file; opts is copied. Never NULL; free with pickup_free. */
struct pickup *pickup_new(const struct pickup_opts *opts);
void pickup_free(struct pickup *p); /* NULL is fine */

/*
 * Take the next n octets, cut anywhere; lines end in LF or CRLF. 0; -1 with
 * err: VEX_DATA (`line N: why`), or what rcpt or data said. After that the
 * file is only to be freed.
 */
int pickup_feed(struct pickup *p, const char *data, size_t n, struct verr *err);
/* The end of the file: refused without recipient or message. As above. */
int pickup_end(struct pickup *p, struct verr *err);

/* After pickup_end. The sender, x-sender-override's where that stands. */
const struct addr *pickup_sender(const struct pickup *p);
/* Job, and envelope id as xtext; "": none was given. */
const char *pickup_job(const struct pickup *p);
const char *pickup_envid(const struct pickup *p);

#endif
