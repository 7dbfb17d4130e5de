/*
 * A reader of CSV (RFC 4180) as it comes in: octets cut anywhere, line ends
 * inside of quotes, rows of any length.
 */
#ifndef VMTA_BASE_CSVREAD_H
#define VMTA_BASE_CSVREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CSVREAD_FIELDS 4096	       /* of a row */
#define CSVREAD_ROW (16 * 1024 * 1024) /* octets of a row */

struct csvread_cell {
	const char *p; /* n octets, and a NUL behind them */
	size_t n;
};

struct csvread_opts {
	char delimiter; /* 0: a comma */
	/*
	 * A row that began at this physical line (from 1). bad: NULL, or what
	 * is wrong with it; cells are then as far as they were read. They live
	 * until row returns. 0, or -1 with err: stop reading.
	 */
	int (*row)(void *arg, uint64_t line, const struct csvread_cell *cell,
	    size_t n, const char *bad, struct verr *err);
	void *arg;
};

struct csvread {
	struct csvread_opts opts;
	struct buf text;	   /* the cells so far, each with a NUL */
	size_t at[CSVREAD_FIELDS]; /* where they begin */
	size_t n;
	struct csvread_cell *cell;
	uint64_t line;	/* that is being read */
	uint64_t first; /* where the row began */
	const char *bad;
	int state;
	int mark; /* octets of a byte order mark that were seen; -1: past it */
	bool cr;  /* the last octet was a CR that ended a row or a line */
};

/* Start; opts is copied. */
void csvread_init(struct csvread *r, const struct csvread_opts *opts);
void csvread_release(struct csvread *r);
/*
 * Take the next n octets. Rows end in CRLF, LF or CR; lines without any octet
 * are no rows; a byte order mark of UTF-8 at the start is skipped. 0; -1 when
 * row said so, or (VEX_DATA) the octets are UTF-16.
 */
int csvread_feed(struct csvread *r, const char *p, size_t n, struct verr *err);
/*
 * The end of the file: a last row needs no line end. 0 or -1; VEX_DATA: a
 * quote that was not closed, so that nobody knows what the rows are.
 */
int csvread_end(struct csvread *r, struct verr *err);

#endif
