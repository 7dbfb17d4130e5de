/*
 * Commits: what is put in the spool all at once, durably, or not at all. A
 * commit may go to many queues; it writes one batch file for each key.
 *
 *	c = commit_new(sp);
 *	content = commit_content(c, bytes, n);
 *	commit_rcpt(c, &key, &msg, &rcpt, &err);	once a recipient
 *	commit_finish(c, &err);
 *	commit_free(c);
 *
 * A struct commit may be filled in one thread and finished in another; two
 * commits have nothing in common but the struct spool, which they only read.
 */
#ifndef VMTA_SPOOL_COMMIT_H
#define VMTA_SPOOL_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"

struct spool;
struct owner;
struct commit;
struct spool_submission;

/*
 * Recipients of a batch, and octets of its lines (one recipient may be over);
 * more of one key are cut into several batches.
 */
#define COMMIT_BATCH_RCPTS 10000
#define COMMIT_BATCH_TEXT (8U * 1024 * 1024)

/* The queue, and what all recipients of a batch have in common. */
struct commit_key {
	const char *vmta;
	const char *domain;
	const char *pool; /* NULL or "": none, as the following */
	const char *job;
	const char *source;
	const char *source_type;
	const char *source_mta;
	int prio;	      /* 0 to 100 */
	int64_t due;	      /* seconds, UTC; 0: at once */
	int64_t queued;	      /* seconds, UTC; 0: the time of commit_new */
	const char *schedule; /* mail/schedule.h, as stored; NULL: none */
};

struct commit_msg {
	const char *msgid;  /* an id */
	size_t content;	    /* from commit_content */
	unsigned int flags; /* BATCH_8BIT_BODY ... (spool/batch.h) */
	uint32_t longest;   /* octets of the longest line without CRLF */
	uint32_t dots;	    /* lines that begin with a dot */
	char ret;	    /* 'F', 'H', or '-' (or 0) for none */
	const char *envid;  /* xtext; NULL or "": none */
	const char *parts;  /* of a merge: `1,3`; NULL or "": all of it */
	const char *sender; /* "": null path */
};

struct commit_rcpt {
	uint32_t index;	    /* rcptIndex */
	const char *notify; /* letters of NSFD; NULL or "": none */
	const char *orcpt;  /* `type;xtext`; NULL or "": none */
	const char *rcpt;   /* as on the wire, without <> */
	const char *vars;   /* of a merge: spool/vars.h; NULL: no values */
	bool held;	    /* wait for vmta-queue release */
	bool suppressed;    /* to be bounced unsent (comes before held) */
};

/* Never NULL. sp must outlive it. */
struct commit *commit_new(struct spool *sp);
/* Frees; what was not finished leaves nothing behind. NULL is legal. */
void commit_free(struct commit *c);

/*
 * Add a content (CRLF line ends, not dot-stuffed; less than 4 GiB); returns
 * its number. The bytes are not copied: they must live, unchanged, until
 * commit_free.
 */
size_t commit_content(struct commit *c, const void *p, size_t n);
/* The same for bytes that the commit takes over; b is empty afterwards. */
size_t commit_content_take(struct commit *c, struct buf *b);

/*
 * Add a recipient; all texts are copied. key NULL: key and message are those
 * of the call before (which succeeded, and no commit_write came between).
 * Recipients of one message that follow one another share its M line in each
 * batch. 0, or -1 with VEX_DATA when something in it cannot be stored (control
 * bytes, bad names, ranges, over BATCH_VARS_MAX of values); the commit is as
 * before then.
 */
int commit_rcpt(struct commit *c, const struct commit_key *key,
    const struct commit_msg *msg, const struct commit_rcpt *rcpt,
    struct verr *err);

/* How the templates of a mail merge are to be read; NULL: not said. */
struct commit_merge {
	const char *vars;  /* names of the variables (spool/vars.h) */
	const char *parts; /* mail/mergeparts.h: lengths, */
	const char *host;  /* host, */
	const char *strip; /* and fields that are taken out */
	bool date;	   /* Date is added where it is absent */
	bool empty;	   /* undefined variables are, else as written */
};

/*
 * What is added is a mail merge: contents are templates, and always shared,
 * the batches are of format version 2. Texts are copied. To be called before
 * the first recipient.
 */
void commit_merge(struct commit *c, const struct commit_merge *m);
/*
 * Write what was added so far to the disk, where nobody sees it, and forget
 * it but for its names: for commits that do not fit into memory. All contents
 * must be there, and a key that is used again begins another batch. 0 or -1;
 * the commit can only be freed then.
 */
int commit_write(struct commit *c, struct verr *err);

/* Octets of content, recipients and batches so far: when to finish. */
uint64_t commit_bytes(const struct commit *c);
/* Octets of lines that are in memory: when to call commit_write. */
uint64_t commit_text(const struct commit *c);
size_t commit_rcpts(const struct commit *c);
size_t commit_batches(const struct commit *c);

/*
 * The commit also says what is taken of the submission with this hash
 * (spool/submit.h). All is copied.
 */
void commit_submit(struct commit *c, const char *hash,
    const struct spool_submission *s);

/*
 * Put it in the spool. 0: all of it is durable. 1: it is, too, but a record
 * has it that could not be carried out for what err says, and will be by
 * whoever finds it next: it is accepted. -1: nothing of it is visible
 * (VEX_TEMP, VEX_IO, VEX_DATA: bad submit data). A commit without recipients
 * only notes its submit id, if any. To be called once.
 */
int commit_finish(struct commit *c, struct verr *err);

/*
 * Roll forward the records in commit/ whose writer is gone; those of a move
 * only when o (may be NULL) owns what they take from. Whoever has come to own
 * a VirtualMTA calls this before it opens a batch. *ret_any (may be NULL):
 * there was one. 0 or -1 (the rest is tried all the same).
 */
int commit_recover(struct spool *sp, struct owner *o, bool *ret_any,
    struct verr *err);
/*
 * Roll forward, for a look-up of this submit id: 0, or -1 when a record that
 * counts it, or one that cannot be read, is left. Whoever calls has its lock
 * (spool_submit_lock); a writer that is dying is waited for.
 */
int commit_recover_submit(struct spool *sp, const char *hash, struct verr *err);
/*
 * Has the last commit_recover (or sweep) left a record that takes recipients
 * out of the batch with this id? Nothing may be sent from it then.
 */
bool commit_stuck(const struct spool *sp, const char *id);
/*
 * Call cb for each VirtualMTA that a damaged record in commit/ says it takes
 * mail from: nothing may be sent from there while it lies there. 0, or -1 with
 * err: there is a record that cannot be read, so that nobody knows.
 */
int commit_damaged(struct spool *sp, void (*cb)(void *arg, const char *vmta),
    void *arg, struct verr *err);
/*
 * When no injector is alive: roll forward, then remove what lies in tmp,
 * records that were not complete, and shared content that no batch uses. Does
 * nothing, successfully, while an injector lives. Owns VirtualMTAs for a
 * moment, those that are free. 0 or -1.
 */
int commit_sweep(struct spool *sp, struct verr *err);

#endif
