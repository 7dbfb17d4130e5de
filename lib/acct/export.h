/*
 * acct-file sections: exports of the journal. Each record is once in each
 * file, whatever is killed, rotated or full, and also in a file that is
 * newly configured: it begins with the oldest record that the journal still
 * has.
 */
#ifndef VMTA_ACCT_EXPORT_H
#define VMTA_ACCT_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct spool;

/* An acct-file section, as the caller's configuration has it. */
struct acct_file {
	const char *path;      /* `log/acct.csv`: the name gains -DATE-NNNN */
	const char *move_to;   /* directory on the same volume; NULL: stays */
	int64_t move_interval; /* ms that a file is written, 0: no limit */
	int64_t max_size;      /* octets at which it is closed, 0: no limit */
	int64_t delete_after;  /* ms that closed files are kept, 0: for ever */
	unsigned int records;  /* RECORD_D | RECORD_B ..., 0: d and b */
	bool world_readable;   /* 0644, else 0640 */
	const char *user_string; /* column userString; NULL: the record's */
};

/* What one look at the journal needs; no member is changed. */
struct export_job {
	struct spool *sp;
	const struct acct_file *file;
	size_t n_files;
	int64_t now;	      /* wall seconds */
	int64_t journal_keep; /* ms that retired segments are kept */
	const char *live_id;  /* journal_id() of the caller's own, or NULL */
	uint64_t live_size;   /* journal_size() of it: durable octets */
	uint64_t max_bytes; /* of journal read for a file in one call; 0: all */
	bool wait;	    /* for another process that is at the same file */
};

struct export_result {
	uint64_t records; /* written */
	uint64_t bad;	  /* lines of the journal that are no records */
	bool more;	  /* max_bytes ended it: call again */
};

/*
 * Bring one acct-file up to date, rotate it when due, remove old ones.
 * Returns 0, also when another process is at it just now (and !job->wait);
 * -1 with err: a fault of this file only, nothing is lost, call again later.
 * Blocks on the disk: for loop_work (it shares nothing with other calls, so
 * each file may have a thread of its own, and a stuck one delays itself
 * only). job must not change meanwhile. ret may be NULL.
 */
int export_file(const struct export_job *job, const struct acct_file *f,
    struct export_result *ret, struct verr *err);
/*
 * Remove retired segments that are older than journal_keep and that every
 * acct-file of job has taken. 0 or -1.
 */
int export_clean(const struct export_job *job, struct verr *err);
/*
 * export_file for all of them, then export_clean; goes on after a fault. -1
 * with the first fault in err.
 */
int export_run(const struct export_job *job, struct export_result *ret,
    struct verr *err);

#endif
