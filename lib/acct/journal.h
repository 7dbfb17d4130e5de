/*
 * The journal: vmta's write-ahead log. One segment a worker, spool/acct/
 * ID.live, owned (owner_segment_lock) while it is written; group commit off
 * the event loop.
 *
 *	journal_reserve		before end of data: room for the results
 *	journal_append		in memory; gives the record its number (LSN)
 *	journal_write_begin	in the loop: takes what has gathered
 *	journal_write_run	in another thread: write, fdatasync
 *	journal_write_end	in the loop: says up to which LSN all is durable
 *
 * At most one chunk is under way; what is appended meanwhile gathers for the
 * next one. Only when a record's LSN is durable may its result be put in the
 * batch.
 */
#ifndef VMTA_ACCT_JOURNAL_H
#define VMTA_ACCT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acct/record.h"
#include "base/err.h"

struct owner;
struct spool;
struct journal;
struct journal_chunk;

/* A segment is due for rotation from this size on, in octets. */
#define JOURNAL_SEGMENT_MAX (64 * 1024 * 1024)

/*
 * A new segment with its header row, durable. sp and o must outlive it.
 * NULL with err on failure. Free with journal_close or journal_free.
 */
struct journal *journal_open(struct spool *sp, struct owner *o,
    struct verr *err);

/*
 * Append a record, in memory only. Returns its LSN: 1 for the first record
 * of this struct journal, growing by 1, over rotations too.
 */
uint64_t journal_append(struct journal *j, const struct acct_record *r);
/* LSN of the last record appended, and of the last one that is durable. */
uint64_t journal_last(const struct journal *j);
uint64_t journal_durable(const struct journal *j);

/*
 * Make sure that the disk has room for n more records of RECORD_MAX octets
 * (over those reserved before). 0; -1 when it has not: no end of data may be
 * sent. Each record takes one reservation with it when it is appended by
 * journal_append_reserved; journal_release gives n back unused.
 */
int journal_reserve(struct journal *j, size_t n, struct verr *err);
void journal_release(struct journal *j, size_t n);
/* journal_append for a record that has a reservation. */
uint64_t journal_append_reserved(struct journal *j,
    const struct acct_record *r);

/*
 * Take what has gathered. NULL: nothing to write, a chunk is under way, or
 * the journal has failed. The chunk stays the journal's.
 */
struct journal_chunk *journal_write_begin(struct journal *j);
/* Write and sync it; touches nothing but the chunk. For loop_work. */
void journal_write_run(struct journal_chunk *c);
/*
 * Take the result. 0: all up to *ret_durable (an LSN) is durable. 1: not
 * written, err says why; nothing is lost, the records are kept and go with
 * the next chunk (wait a moment: the disk may be full). -1: the journal has
 * failed for good: nothing more is written; the run must end (VEX_IO) and
 * the results above *ret_durable are not known to anybody.
 */
int journal_write_end(struct journal *j, struct journal_chunk *c,
    uint64_t *ret_durable, struct verr *err);
/* begin, run and end in one, until all is durable; for the end of a run. */
int journal_sync(struct journal *j, uint64_t *ret_durable, struct verr *err);
/* Has it failed for good? */
bool journal_failed(const struct journal *j);

/* Octets of the present segment that are durable; its id. */
uint64_t journal_size(const struct journal *j);
const char *journal_id(const struct journal *j);
/* Is id the present segment, or an old one that is not retired yet? */
bool journal_holds(const struct journal *j, const char *id);

/* Is the present segment large enough to be rotated? */
bool journal_full(const struct journal *j);
/*
 * Begin a new segment. Only while no chunk is under way and the last write
 * did not fail (else -1, EBUSY).
 * What was appended but not written goes to the new one. The old one stays
 * ID.live and locked until journal_retire. 0, or -1 with the old one still
 * in use.
 */
int journal_rotate(struct journal *j, struct verr *err);
/* Are there old segments that wait for journal_retire? */
bool journal_has_old(const struct journal *j);
/*
 * After a checkpoint that began after the rotation (every batch that an old
 * segment's records changed is synced, every directory too): old segments
 * become ID.csv, empty ones vanish, their locks are released. One that a
 * fault ended since the last call is kept for the next, since the checkpoint
 * may have begun before the fault. 0 or -1 (call again later).
 */
int journal_retire(struct journal *j, struct verr *err);

/*
 * After journal_sync and a checkpoint: retire all segments and free j. On
 * failure what is left stays for the next run's replay. j is freed always.
 */
int journal_close(struct journal *j, struct verr *err);
/* Let go without retiring (the next run replays). NULL is fine. */
void journal_free(struct journal *j);

#endif
