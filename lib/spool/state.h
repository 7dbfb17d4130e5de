/*
 * Small states that outlive a run: the retry clock of each queue, pauses,
 * and hosts that failed BDAT. (state/retry, state/pauses, state/nochunk.)
 */
#ifndef VMTA_SPOOL_STATE_H
#define VMTA_SPOOL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "spool/name.h"

struct spool;

/* A queue's clock. Times are seconds, UTC. Texts may be NULL. */
struct retry_state {
	unsigned int step; /* on the ladder */
	int64_t next;
	int64_t since;	 /* first failure without a delivery since */
	char status[12]; /* `4.4.1` */
	char *host;	 /* `mx (ip)` */
	char *error;	 /* one line */
	bool escaped;	 /* host and error are, since they were read */
};

/* May there be one of any queue of this VirtualMTA? */
bool retry_state_any(struct spool *sp, const char *vmta);
/* 0: read (free with retry_state_release), 1: there is none, -1. */
int retry_state_read(struct spool *sp, const char *vmta, const char *domain,
    struct retry_state *ret_st, struct verr *err);
void retry_state_release(struct retry_state *st);
/* Replace it at once; not synced. Texts are escaped, once. 0 or -1. */
int retry_state_write(struct spool *sp, const char *vmta, const char *domain,
    const struct retry_state *st, struct verr *err);
/* Remove it; that there is none is no error. 0 or -1. */
int retry_state_remove(struct spool *sp, const char *vmta, const char *domain,
    struct verr *err);

/* A pause: terms that must all match (AND), `*` is any text; NULL: no term. */
struct pause {
	const char *queue; /* `domain/vmta` */
	const char *vmta;
	const char *domain;
	const char *job;
};

/* The pauses as they were when read. */
struct pause_list;

/* Read state/pauses; none is an empty list. 0 or -1. Free: pause_list_free. */
int pause_list_read(struct spool *sp, struct pause_list **ret_l,
    struct verr *err);
void pause_list_free(struct pause_list *l);
/* Has the file changed since l was read? */
bool pause_list_stale(struct spool *sp, const struct pause_list *l);
/* How many; the i-th (texts live as l). */
size_t pause_list_count(const struct pause_list *l);
const struct pause *pause_list_get(const struct pause_list *l, size_t i);
/*
 * Is this paused? job NULL: the whole queue is meant; pauses that name a job
 * do not match then. l may be NULL.
 */
bool pause_match(const struct pause_list *l, const char *domain,
    const char *vmta, const char *job);
/*
 * The same for a batch of which only the name is known: pauses whose job has
 * no wildcard are matched by its hash, others do not match (the file decides).
 */
bool pause_match_name(const struct pause_list *l, const char *domain,
    const char *vmta, const struct batch_name *n);
/* Add a pause, durably; one that is there already is no error. 0 or -1. */
int pause_add(struct spool *sp, const struct pause *p, struct verr *err);
/*
 * Remove the pauses that p covers: each term of p matches the same term of
 * the pause (p without terms: all). *ret_n (may be NULL): how many. 0 or -1.
 */
int pause_remove(struct spool *sp, const struct pause *p, size_t *ret_n,
    struct verr *err);

/* Does this host get no BDAT at `now` (seconds)? */
bool state_nochunk(struct spool *sp, const char *host, int64_t now);
/* It gets none until then. 0 or -1. */
int state_nochunk_set(struct spool *sp, const char *host, int64_t until,
    struct verr *err);

#endif
