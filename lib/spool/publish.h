/* From tmp to new: for lib/spool's commits and their recovery only. */
#ifndef VMTA_SPOOL_PUBLISH_H
#define VMTA_SPOOL_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "spool/name.h"
#include "spool/spool.h"

/* The directories of one VirtualMTA at a time, kept open. */
struct publish {
	struct spool *sp;
	char vmta[SPOOL_VMTA_MAX + 1]; /* "": none */
	int tmp_fd;
	int new_fd;
};

void publish_init(struct publish *p, struct spool *sp);
/* Close the directories. */
void publish_end(struct publish *p);
/*
 * Turn to a VirtualMTA; its directories are made when they are missing. sync:
 * make that durable at once. 0 or -1.
 */
int publish_vmta(struct publish *p, const char *vmta, bool sync,
    struct verr *err);
/*
 * Rename tmp/NAME to new/DOMAIN/NAME; sync: durably. 0; 1 when tmp/NAME is
 * not there; -1: it is still in tmp.
 */
int publish_batch(struct publish *p, const char *domain, const char *name,
    bool sync, struct verr *err);

/* One line of a commit record. */
struct record_item {
	const char *vmta;
	const char *domain;
	char name[BATCH_NAME_MAX];
};

struct record {
	struct record_item *item;
	size_t n;
	char *hash; /* NULL: no submit id */
	uint64_t count;
	char *msgid;
	char *text; /* what the pointers point into */
};

/* The text of a record: its first line, then lines, then its last. */
void record_begin(struct buf *b);
void record_rename(struct buf *b, const char *vmta, const char *domain,
    const char *name);
void record_submit(struct buf *b, const char *hash, uint64_t count,
    const char *msgid);
void record_end(struct buf *b);
/* Take a record apart. 0, or -1: it is none. Free: commit_record_release. */
int commit_record_parse(const char *text, size_t n, struct record *ret_r);
void commit_record_release(struct record *r);
/*
 * Do what a durable record says: renames, submit record, one sync, and
 * remove commit/NAME. 0 or -1 (to be tried again).
 */
int record_forward(struct spool *sp, const struct record *r, const char *name,
    struct verr *err);

#endif
