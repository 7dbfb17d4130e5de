/* A VirtualMTA as its owner sees it. */
#ifndef VMTA_RUN_RVMTA_H
#define VMTA_RUN_RVMTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "run/share.h"
#include "shape/limit.h"
#include "shape/source.h"

struct worker;
struct conf_vmta;

struct rvmta {
	char *name;
	const struct conf_vmta *conf; /* NULL: left the configuration */
	struct source_set *sources;
	struct slots slots;   /* its max-smtp-out, */
	struct share share;   /* and who waits for it */
	bool stuck;	      /* a move from here could not be completed */
	bool was_stuck;	      /* before the last look */
	bool untried;	      /* state/retry has no clock of its queues */
	bool complained;      /* about a missing address, since the reload */
	unsigned int numbers; /* grows when addresses have other numbers */
	uint8_t *here;	      /* of each address: enum rvmta_here, as of */
	int64_t here_at;      /* this turn of the loop (monotonic ms) */
};

/* Own all that this worker may own and does not yet; 0 or -1. */
int rvmta_own_all(struct worker *w, struct verr *err);
/* Let go of all of them. */
void rvmta_release_all(struct worker *w);
/* After a reload: addresses and limits anew. */
void rvmta_reload_all(struct worker *w);
/* Networks among the source addresses: look what the machine has now. */
void rvmta_refresh_all(struct worker *w);
/*
 * Is this (as text) one of v's addresses, and on this machine? The kernel is
 * asked once a turn of the loop. *ret_i: which one, for source_at.
 */
bool rvmta_has(struct worker *w, struct rvmta *v, const char *text,
    size_t *ret_i);
/* Is any of v's addresses on this machine? Asked as seldom. */
bool rvmta_any_here(struct worker *w, struct rvmta *v);
/* The next number for round robin over its addresses, across runs. */
uint64_t rvmta_turn(struct worker *w, const struct rvmta *v);

#endif
