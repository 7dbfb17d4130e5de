/*
 * Submit ids (`vmta-inject --submit-id KEY`): state/submit/HASH says how many
 * messages of a submission were taken, so that a repeated call skips them.
 */
#ifndef VMTA_SPOOL_SUBMIT_H
#define VMTA_SPOOL_SUBMIT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

#define SUBMIT_HASH_LEN 32
#define SUBMIT_PRINT_LEN 16

struct spool;

/* The file name for a user's key: XXH3-128 of uid and key, hex. */
void spool_submit_hash(uid_t uid, const char *key,
    char ret_hash[SUBMIT_HASH_LEN + 1]);
bool spool_submit_hash_valid(const char *s);
/* What is known of a submission. */
struct spool_submission {
	uint64_t count;		/* messages taken; 0: none */
	char msgid[ID_LEN + 1]; /* of the last of them; "": none */
	/* of what was given up to there, hex; "": not known */
	char print[SUBMIT_PRINT_LEN + 1];
	char first[SUBMIT_PRINT_LEN + 1]; /* up to the first message */
};

/*
 * What is taken (nothing, for an unknown hash). Rolls forward commits of dead
 * injectors first. 0 or -1 (a record that counts this submission cannot be
 * rolled forward, too).
 */
int spool_submit_lookup(struct spool *sp, const char *hash,
    struct spool_submission *ret_s, struct verr *err);
bool spool_submit_print_valid(const char *s);
/*
 * Keep other calls with this hash out as long as *ret_fd is open (close it
 * with close(2); -1 unless locked). 0 locked, 1 another one has it, -1.
 * To be called before the lookup.
 */
int spool_submit_lock(struct spool *sp, const char *hash, int *ret_fd,
    struct verr *err);
/*
 * Note it, durably, unless more is noted; commit_submit and commit_finish do
 * so by themselves.
 */
int spool_submit_put(struct spool *sp, const char *hash,
    const struct spool_submission *s, struct verr *err);
/* Remove those that were last changed before this second. 0 or -1. */
int spool_submit_sweep(struct spool *sp, int64_t before, struct verr *err);

#endif
