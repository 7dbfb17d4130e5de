/*
 * The worker's side of the journal: group commit off the event loop, the
 * bound on recipients between end of data and a durable result, and what is
 * done once a result is durable (DESIGN, promises 2 to 4).
 */
#ifndef VMTA_RUN_WAL_H
#define VMTA_RUN_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "acct/record.h"
#include "base/err.h"

struct journal;
struct worker;
struct sess;
struct txn;
struct wal;
struct work;

/*
 * Recipients that may be between end of data and a durable result; beside
 * them one transaction that has more than WAL_LARGE.
 */
#define WAL_WINDOW 256
#define WAL_LARGE 128

/* What a durable record does to its batch. */
/* Slot of the effect of an `r` record: the batch goes to cur/. */
#define WAL_RECEIVED UINT32_MAX

struct wal_effect {
	struct work *work; /* NULL: nothing */
	uint32_t slot;
	char state; /* of the R line */
	uint16_t attempts;
	int64_t next_try; /* wall seconds */
	char source[40];  /* last source address, "" none */
	uint32_t unsafe;  /* share of the window to give back: 0 or 1, */
	bool large;	  /* or of the large transaction */
};

/* Open a journal segment for w; 0 or -1. */
int wal_open(struct worker *w, struct verr *err);
/* Append a record; its effect happens when the record is durable. */
void wal_append(struct worker *w, const struct acct_record *r,
    const struct wal_effect *e);
/*
 * May end of data for n recipients be sent now? Yes: n of the window are
 * taken and room for their records is reserved. No: s is resumed later. What
 * one route may have without an answer is no more than what is left for the
 * others, so that hosts that do not answer cannot take all of it.
 */
bool wal_may_end(struct worker *w, struct sess *s, uint32_t n);
/* s no longer waits (it ended). */
void wal_forget(struct worker *w, struct sess *s);
/*
 * May a transaction of n recipients, more than WAL_LARGE, end now? Not while
 * another one is under way, or the journal has no room for so many results: it
 * would wait, on a full disk for ever.
 */
bool wal_may_large(struct worker *w, uint32_t n);
/* The peer has answered to what s sent, or never will: its route's share is
 * free. */
void wal_answered(struct sess *s);
/* Give back n of t's window without a record (end of data never left). */
void wal_release(struct worker *w, const struct txn *t, uint32_t n);
/* Its journal, NULL before wal_open. */
const struct journal *wal_journal(const struct worker *w);
/* Records whose effect is not done. */
size_t wal_pending(const struct worker *w);
/* Records not durable yet, or effects not done. */
bool wal_busy(const struct worker *w);
/* Has writing failed for good? The run must end with VEX_IO. */
bool wal_failed(const struct worker *w);
/* Housekeeping: dirty batches, rotation, exports. now: monotonic ms. */
void wal_tick(struct worker *w);
/* Last sync, checkpoint, retirement; 0 or -1. Blocks. */
int wal_close(struct worker *w, struct verr *err);

#endif
