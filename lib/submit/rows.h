/*
 * The recipients of a merge while it is submitted: rows in buckets by domain,
 * in memory, and beyond some megabytes in a file without a name.
 */
#ifndef VMTA_SUBMIT_ROWS_H
#define VMTA_SUBMIT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct spool;

#define ROWS_BUCKETS 64

/* A recipient; texts are never NULL. */
struct row {
	uint32_t index;	 /* rcptIndex */
	bool own;	 /* target to parts are its own, else those of all */
	bool held;	 /* it waits for vmta-queue release */
	bool suppressed; /* it is on a suppression list */
	uint8_t prio;
	uint16_t domain;  /* where it begins in rcpt */
	uint16_t content; /* number of its content */
	uint64_t key;	  /* hash of what a batch has in common */
	uint64_t msg;	  /* ... and a message */
	uint64_t addr;	  /* hash of the address, in lower case */
	int64_t due;	  /* 0: at once */
	const char *rcpt;
	const char *vars;
	const char *notify;
	const char *orcpt;
	const char *target; /* VirtualMTA or pool */
	const char *job;
	const char *sender;
	const char *envid; /* xtext */
	const char *parts;
	const char *schedule; /* windows, as stored */
};

struct rows;

/* sp must outlive it. Free with rows_free; a crash leaves nothing. */
struct rows *rows_new(struct spool *sp);
void rows_free(struct rows *r); /* NULL is fine */
/* Add a row (copied) to its domain's bucket. 0 or -1. */
int rows_add(struct rows *r, const struct row *row, struct verr *err);
/* Was memory not enough for all of them? */
bool rows_spilled(const struct rows *r);

/* Rows and octets of a bucket. */
size_t rows_count(const struct rows *r, unsigned int bucket);
/*
 * Turn to a bucket: rows_at reads from it. 0 or -1. To be called after the
 * last rows_add.
 */
int rows_turn(struct rows *r, unsigned int bucket, struct verr *err);
/* The bucket is not needed any more. */
void rows_drop(struct rows *r, unsigned int bucket);
/*
 * The row at *at (from 0), which is moved behind it; its texts live until the
 * next call. 0 or -1.
 */
int rows_at(struct rows *r, uint64_t *at, struct row *ret_row,
    struct verr *err);

#endif
