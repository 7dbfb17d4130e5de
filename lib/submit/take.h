/*
 * Pickup directories: what lies in them is submitted, durably, then removed;
 * what is bad is set aside with the reason. Several processes may do so at a
 * time, and each of them may die at any moment: no file is taken twice.
 */
#ifndef VMTA_SUBMIT_TAKE_H
#define VMTA_SUBMIT_TAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sys.h"
#include "conf/conf.h"

struct take_opts {
	/*
	 * Wait up to so many milliseconds (0: not at all); true: end, as soon
	 * as what is under way is durable.
	 */
	bool (*stop)(void *arg, int wait_ms);
	/* One line for people: a bad file, one that cannot be taken. */
	void (*say)(void *arg, const char *line);
	/* As submit_on_durable's; NULL: nobody wants to know. */
	void (*durable)(void *arg, const char *id, size_t rcpts);
	void *arg;
};

struct take_totals {
	uint64_t accepted;   /* messages that are durable */
	uint64_t rejected;   /* files, transactions, and recipients of those */
	uint64_t suppressed; /* recipients of the accepted ones */
	uint64_t denied;     /* files that our rights do not let us take */
};

/*
 * Take what is ready in all pickup directories of c, and what changed in the
 * last two seconds when they are over. SIGIO must be ignored. 0; -1 with the
 * first error: that of a directory lets the others be taken nevertheless.
 * ret_t is set in any case.
 */
int take_run(struct sys *sys, struct conf *c, const struct take_opts *opts,
    struct take_totals *ret_t, struct verr *err);

/*
 * Can the directories of c be used, by this process? say is called with a
 * line for each thing that is wrong. Makes nothing.
 */
void take_check(struct sys *sys, const struct conf *c,
    void (*say)(void *arg, const char *line), void *arg);

#endif
