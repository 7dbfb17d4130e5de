/* Inside of merges: for merge.c, merge_row.c and merge_write.c only. */
#ifndef VMTA_SUBMIT_MERGE_IMPL_H
#define VMTA_SUBMIT_MERGE_IMPL_H

#include "base/stamp.h"
#include "mail/mergeparts.h"
#include "submit/impl.h"
#include "submit/merge.h"
#include "submit/rows.h"

/* Contents: templates whose added fields differ. */
#define MERGE_CONTENTS 1000

/* A column of the list. */
struct column {
	int reserved; /* number of a reserved name, -1: a variable */
	int var;      /* place among the variables, -1: not used */
};

struct submit_merge {
	struct submit *s;
	struct submit_merge_opts opts;
	char *vmta, *job, *envid; /* what opts.env points to */
	char *schedule;
	struct addr from;

	/* the template; s->msg is it, or all of its parts */
	bool begun;
	struct buf *part; /* its parts; NULL: it is in one piece */
	unsigned int n_part;
	struct buf base;       /* what is stored, without fields before it */
	struct buf lengths;    /* of parts */
	struct buf strip;      /* names of fields that parts lose */
	struct mergeparts how; /* points to those */
	struct merge *whole;   /* in one piece: parsed */
	struct map chosen;     /* of parts: selection -> struct merge */

	/* contents: fields before it for a target, then the base */
	struct buf *content;
	size_t n_content, cap_content;
	struct map contents; /* `TARGET\nJOB` -> number + 1 */
	bool fields;	     /* one has some */

	/* the columns */
	struct column *column;
	size_t n_column;
	char **name; /* of the variables that are stored */
	size_t n_name;
	struct buf names;	   /* spool/vars.h */
	struct merge_value *value; /* of the row at hand */

	/* what most rows have: that of the first without words of its own */
	bool has_usual;
	struct target target;
	int prio;
	size_t usual;	/* number of its content */
	bool selecting; /* s->sel is at the usual sender */

	/* the rows */
	struct id id; /* msgId */
	int64_t now;
	char due[STAMP_ACCT_LEN + 1]; /* of rows with nothing own */
	uint32_t index;
	bool skip; /* an earlier call has taken it */
	struct rows *rows;
	uint64_t accepted, rejected, duplicates, suppressed;
	bool done;
	struct buf text, vars, sender; /* of the row at hand */
};

/* merge.c */

/*
 * The template of a row; parts "": all of it. Its values are bound. 0 or -1
 * (VEX_DATA).
 */
int merge_template(struct submit_merge *m, const char *parts,
    struct merge **ret_t, struct verr *err);
/* The number of the content for a target and a job. 0 or -1. */
int merge_content(struct submit_merge *m, const struct target *t,
    const char *job, size_t *ret_n, struct verr *err);

/* merge_write.c */

/*
 * Group the rows, write the batches, commit; or, when m->skip, only count. 0
 * or -1.
 */
int merge_write(struct submit_merge *m, struct verr *err);

#endif
