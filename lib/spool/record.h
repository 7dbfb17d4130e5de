/*
 * Commit records: what a commit that touches several files does once it is
 * durable. For lib/spool's commits, moves and their recovery only.
 */
#ifndef VMTA_SPOOL_RECORD_H
#define VMTA_SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "spool/batch.h"
#include "spool/name.h"
#include "spool/submit.h"

struct spool;

/* A batch that goes from tmp to its place. */
struct record_item {
	const char *vmta;
	const char *domain;
	enum batch_area area;
	char name[BATCH_NAME_MAX];
};

/* Recipients that leave a batch, since they are in another one now. */
struct record_take {
	const char *vmta;
	const char *domain;
	enum batch_area area; /* where the batch was, */
	const char *name;     /* and what it was called */
	const char *slots;    /* `0,3-5` */
};

struct record {
	struct record_item *item;
	size_t n;
	struct record_take *take;
	size_t n_take;
	char *hash; /* NULL: no submit id */
	struct spool_submission submit;
	char *text; /* what the pointers point into */
};

/* The text of a record: its first line, then lines, then its last. */
void record_begin(struct buf *b);
void record_rename(struct buf *b, enum batch_area area, const char *vmta,
    const char *domain, const char *name);
/* n slots, ascending. */
void record_take(struct buf *b, const char *vmta, const char *domain,
    enum batch_area area, const char *name, const uint32_t *slot, size_t n);
void record_submit(struct buf *b, const char *hash,
    const struct spool_submission *s);
void record_end(struct buf *b);
/* Take a record apart. 0, or -1: it is none. Free: commit_record_release. */
int commit_record_parse(const char *text, size_t n, struct record *ret_r);
void commit_record_release(struct record *r);
/*
 * Do what a durable record says: renames, takes, submit record, one sync, and
 * remove commit/NAME. Takes are their owner's to do: the caller owns their
 * VirtualMTAs. 0 or -1 (to be tried again): then all that could be done is,
 * and batches that should have been taken from are in sp->stuck.
 */
int record_forward(struct spool *sp, const struct record *r, const char *name,
    struct verr *err);

/* A record that is being written; fd -1: none. */
struct record_file {
	struct spool *sp;
	char name[ID_LEN + 2]; /* `.ID`, and `ID` from the commit point on */
	int fd;		       /* it holds a flock while it is open */
};

void record_file_init(struct record_file *f, struct spool *sp);
/* commit/.ID with this text, locked; sync: durably. 0 or -1. */
int record_file_write(struct record_file *f, const struct buf *text, bool sync,
    struct verr *err);
/* The commit point: commit/ID, durably. 0 or -1 (record_file_remove). */
int record_file_commit(struct record_file *f, struct verr *err);
/*
 * Nothing of it shall happen. 0; -1: it has its name, and keeps it, so that
 * what it names must stay, too.
 */
int record_file_remove(struct record_file *f);
/* Close it: that ends the lock. */
void record_file_close(struct record_file *f);
/*
 * The lock on commit/ that says: somebody writes to tmp. *ret_fd holds it
 * until it is closed. 0 or -1.
 */
int record_enter(struct spool *sp, int *ret_fd, struct verr *err);

#endif
