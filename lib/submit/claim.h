/*
 * Files of a pickup directory that one process has made its own: for
 * lib/submit only. How, and what a crash leaves, is told in claim.c.
 */
#ifndef VMTA_SUBMIT_CLAIM_H
#define VMTA_SUBMIT_CLAIM_H

#include "submit/aside.h"
#include "submit/drop.h"
#include "submit/take.h"

struct submit;

#define CLAIM_FILES 256 /* most files of a claim */
#define CLAIM_PREFIX ".vmta-"

/* A pickup directory that is being taken. */
struct take_dir {
	struct sys *sys;
	struct conf *conf;
	const struct take_opts *opts;
	struct take_totals *totals;
	struct conf_pickup p;
	int fd;
	struct aside bad;
	bool rename_only;
	bool told; /* what our rights do not let us take was named already */
};

/* A file that is ready, as it was when it was looked at. */
struct claim_item {
	char *name; /* allocated; NULL: it has left the claim */
	struct stat st;
	bool alone; /* it may not share a claim */
};

/*
 * Take n files that are ready: claim them, submit them, remove them. 0; 1:
 * ended by opts->stop; -1 with err: the files are where they were, or their
 * claim is there for the next one to finish. The caller has claim_forget
 * free what is left of the names.
 */
int claim_take(struct take_dir *d, struct claim_item *item, size_t n,
    struct verr *err);
void claim_forget(struct claim_item *item, size_t n);
/*
 * Finish the claim of that name, unless its process lives. As claim_take.
 */
int claim_adopt(struct take_dir *d, const char *name, struct verr *err);

/* Tell of a file that our rights do not let us take. */
void claim_denied(struct take_dir *d, const char *name, const struct verr *why);
/*
 * Set dfd/name aside for this reason, and tell. 0; -1 with err for want of
 * space: else it is counted as one that cannot be taken, and stays.
 * *ret_gone (may be NULL): it is not there any more.
 */
int claim_bad(struct take_dir *d, int dfd, const char *name,
    const struct buf *why, bool *ret_gone, struct verr *err);
/* Append `PATH: why` (line 0) or `PATH:LINE: why`, escaped, and a newline. */
void claim_why(const struct take_dir *d, const char *name, uint64_t line,
    const char *why, struct buf *ret_text);

/* claimfile.c */

enum { FILE_ACCEPTED, FILE_REFUSED, FILE_CHANGED, FILE_STOPPED };

/*
 * Submit the open file of a claim; reasons are appended to ret_why (whole
 * lines). One of FILE_..., or -1: broken off. FILE_REFUSED of batch SMTP:
 * parts of it may have been accepted.
 */
int claim_message(struct take_dir *d, struct submit *s, const char *name,
    const struct drop *f, struct buf *ret_why, struct verr *err);
int claim_bsmtp(struct take_dir *d, struct submit *s, const char *name,
    const struct drop *f, struct buf *ret_why, struct verr *err);

#endif
