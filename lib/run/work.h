/* An open batch, and the transactions that sessions take out of it. */
#ifndef VMTA_RUN_WORK_H
#define VMTA_RUN_WORK_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "smtp/message.h"
#include "spool/batch.h"

#define WORK_SLOTS 1000	  /* recipients that one transaction can have */
#define WORK_OPEN_MAX 512 /* open batches before queues share less */

struct worker;
struct queue;
struct ref;
struct wal_effect;

/* A recipient while its batch is open. */
enum work_flag {
	WORK_IDLE,    /* nobody has it */
	WORK_TAKEN,   /* in a transaction */
	WORK_PENDING, /* its record is not durable yet */
	WORK_TRIED    /* had its turn; not again before the batch is closed */
};

struct work {
	TAILQ_ENTRY(work) entry; /* of its queue */
	TAILQ_ENTRY(work) all;	 /* of the worker */
	struct queue *queue;
	struct batch *batch;
	struct id id;
	int prio;
	bool forced;		 /* --now: retry times do not count */
	bool drained;		 /* every recipient has been looked at */
	bool bad;		 /* damaged: to be set aside */
	bool fault;		 /* this machine cannot read it just now */
	bool paused;		 /* its job is */
	int64_t until;		 /* end of its window; 0: not looked at */
	unsigned int suppressed; /* supset_gen when it was looked at; 0: not */
	bool passed;	 /* has nothing for the source that is served now */
	bool receiving;	 /* its records of reception are not durable yet */
	bool untouched;	 /* they are still to be written: it stays in new */
	uint8_t *flag;	 /* enum work_flag of each recipient */
	uint32_t n;	 /* recipients */
	uint32_t cursor; /* those before it need no more looks */
	uint32_t busy;	 /* taken or pending */
};

TAILQ_HEAD(work_list, work);

/* A transaction: one message and some of its recipients. */
struct txn {
	struct work *work;
	struct batch_txn b;    /* parsed lines and their text */
	struct smtp_message m; /* as lib/smtp wants it */
	struct smtp_rcpt *rcpt;
	uint32_t cap;	     /* room in rcpt */
	struct buf body;     /* re-encoded body */
	uint32_t window;     /* of WAL_WINDOW, taken */
	uint32_t unanswered; /* of its route's share, taken */
	bool large;	     /* it is the one beside the window */
	bool loaded;	     /* recipients are taken */
};

/* Was a batch of this name's job seen to be paused, since pauses changed? */
bool work_name_paused(const struct queue *q, const struct batch_name *n);
/* The open batch of q with this id, or NULL. */
struct work *work_get(const struct queue *q, const struct id *id);
/*
 * May a session open one more batch? Else q waits until one was put away: the
 * process has only so many descriptors.
 */
bool work_room(struct worker *w, struct queue *q);
/*
 * Open a batch of the plan. NULL: gone, open already, or not readable (that
 * was logged, and a damaged one set aside). Its records of reception are
 * written, if it is new.
 */
struct work *work_open(struct worker *w, struct queue *q, const struct ref *r);
/* The same without them: only to move mail, and to be closed in this turn. */
struct work *work_open_untouched(struct worker *w, struct queue *q,
    const struct ref *r);
/*
 * Take the next transaction of q for a session bound to source (text), with
 * at most max recipients; own: only such as must leave from there. True:
 * ret_txn is filled; false: there is nothing for this source now.
 */
bool work_take(struct worker *w, struct queue *q, const char *source, bool own,
    uint32_t max, struct txn *ret_txn);
/*
 * The address that q's next session should leave from, or NULL: any. First
 * one that mail waits for and that no session of q has; then any, if mail may
 * leave from any; then the one that the fewest sessions have. Opens batches.
 */
const char *work_source(struct worker *w, struct queue *q);
/* Does mail in open batches wait for an address that no session of q has? */
bool work_lonely(struct worker *w, struct queue *q);
/*
 * Has this recipient's time come? Not before the schedule of who was never
 * tried; else a next try that no ladder leads to counts as now.
 */
bool work_slot_due(struct worker *w, const struct work *k,
    const struct batch_slot *s, int64_t now);
/* Recipients of k that nobody has looked at, about. */
size_t work_left(const struct work *k);
/* Mark a recipient as taken, for a final record without an attempt. */
void work_mark(struct work *k, uint32_t slot);
/* A recipient was not tried: it may be taken again. */
void work_untake(struct worker *w, struct work *k, uint32_t slot);
/* Give back what a transaction took, as if it had never been tried. */
void work_return(struct worker *w, struct txn *t);
/* A recipient's record is durable: the state goes into the batch. */
void work_settle(struct worker *w, struct work *k, const struct wal_effect *e);
/* Close k if all of it was looked at and nothing is in flight. */
void work_check(struct worker *w, struct work *k);
/* This machine failed to send from k: it rests for a while. */
void work_fault(struct worker *w, struct work *k);
/* q does not send for a while: its batches that are not in use are closed. */
void work_rest(struct worker *w, struct queue *q);
/* The pauses changed: open batches of paused jobs rest. */
void work_pause_all(struct worker *w);
/* Write states that are not in the files yet; 0, or -1 (logged). */
int work_flush_all(struct worker *w);
/* Write them and close all batches; nothing may be in flight. 0 or -1. */
int work_close_all(struct worker *w);
/* Close what is left after a failure, as it is. */
void work_free_all(struct worker *w);
void txn_release(struct txn *t);

#endif
