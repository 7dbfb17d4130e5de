/*
 * An mbox (RFC 4155, and what programs write) as a stream: messages, each
 * after a line `From SENDER DATE`.
 */
#ifndef VMTA_MAIL_MBOX_H
#define VMTA_MAIL_MBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mbox_opts {
	/*
	 * A message begins; line (from 1) is that of its From_ line, sender
	 * what stands in it before the date. 0; -1 with err: stop reading.
	 */
	int (*begin)(void *arg, uint64_t line, const char *sender,
	    struct verr *err);
	/* The next octets of it, line ends as they are. Returns as begin. */
	int (*data)(void *arg, const char *p, size_t n, struct verr *err);
	/* It is complete. Returns as begin. */
	int (*end)(void *arg, struct verr *err);
	/* Text that is in no message begins at this line. */
	void (*refuse)(void *arg, uint64_t line, const char *why);
	void *arg;
};

struct mbox;

/* Start; opts is copied. Caller frees with mbox_free. */
struct mbox *mbox_new(const struct mbox_opts *opts);
void mbox_free(struct mbox *m); /* NULL is fine */
/*
 * Take the next n octets, cut anywhere; lines end in LF or CRLF. 0, or -1
 * when a function of opts said so.
 */
int mbox_feed(struct mbox *m, const char *p, size_t n, struct verr *err);
/* The end of the file; another may follow. Returns as mbox_feed. */
int mbox_end(struct mbox *m, struct verr *err);

#endif
