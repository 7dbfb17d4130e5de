/* Which records a report is about, and where they come from. */
#ifndef VMTA_REPORT_FILTER_H
#define VMTA_REPORT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acct/record.h"
#include "base/err.h"
#include "base/sys.h"

struct spool;

/*
 * Texts are patterns (base/glob.h); NULL or 0: any.
 * Times are seconds UTC.
 */
struct report_filter {
	int64_t since; /* timeLogged from here on */
	int64_t until; /* and before this */
	const char *vmta;
	const char *domain; /* of the queue, else of the recipient */
	const char *queue;
	const char *job;
	const char *from;
	const char *rcpt;
	const char *id;	    /* msgId */
	unsigned int types; /* RECORD_D | ...; 0: all */
};

/* A row of accounting, its texts as they are in the file. */
struct report_row {
	char *field[COL_N]; /* never NULL */
	unsigned int type;  /* RECORD_D ... */
	int64_t logged;	    /* timeLogged, seconds; 0: none */
	int64_t queued;	    /* timeQueued, seconds; 0: none */
	const char *domain; /* lower case */
	char domain_buf[256];
};

typedef int report_row_cb(void *arg, struct report_row *row, struct verr *err);

/* What was read. */
struct report_count {
	uint64_t rows;	     /* that match */
	uint64_t bad;	     /* lines that are no records */
	char first_bad[300]; /* where the first of them is */
};

/*
 * Call cb for each row that matches f: of the files named (accounting files
 * of vmta or PowerMTA, columns by their header rows; `-`: standard input), or,
 * when n_files is 0, of the journal of sp, segments in order. Memory is
 * bounded. Return -1 with err from cb to stop. 0 or -1.
 */
int report_rows(struct sys *sys, struct spool *sp, char *const *files,
    size_t n_files, const struct report_filter *f, report_row_cb *cb, void *arg,
    struct report_count *ret_count, struct verr *err);

#endif
