/* Inside of merges: for merge.c and merge_write.c only. */
#ifndef VMTA_SUBMIT_MERGE_IMPL_H
#define VMTA_SUBMIT_MERGE_IMPL_H

#include "base/stamp.h"
#include "submit/impl.h"
#include "submit/merge.h"
#include "submit/rows.h"

/* A column of the list. */
struct column {
	int reserved; /* number of a reserved name, -1: a variable */
	int var;      /* place among the variables, -1: not used */
};

struct submit_merge {
	struct submit *s;
	struct submit_merge_opts opts;
	char *vmta, *job, *envid; /* what opts.env points to */
	struct addr from;
	struct target target; /* of opts.env */

	/* the template */
	struct buf raw;	  /* in one piece, as it came */
	struct buf *part; /* or its parts */
	unsigned int n_part;
	struct buf content; /* as it is stored */
	struct buf lengths; /* of parts; empty: in one piece */
	struct merge *whole; /* all of it; NULL: not looked at yet */
	struct map chosen;   /* selection of parts -> struct merge */

	/* the columns */
	struct column *column;
	size_t n_column;
	char **name; /* of the variables that are stored */
	size_t n_name;
	struct buf names; /* spool/vars.h */
	struct merge_value *value; /* of the row at hand */

	/* the rows */
	struct id id; /* msgId */
	int64_t now;
	char date[64], due[STAMP_ACCT_LEN + 1]; /* of rows with nothing own */
	uint32_t index;
	bool skip; /* an earlier call has taken it */
	struct rows *rows;
	uint64_t accepted, rejected, duplicates;
	bool done;
	struct buf text, vars; /* of the row at hand */
};

/*
 * Group the rows, write the batches, commit; or, when m->skip, only count. 0
 * or -1.
 */
int merge_write(struct submit_merge *m, struct verr *err);

#endif
