/*
 * Mail merge into the spool: one template and any number of recipients with
 * values of their own, as one commit.
 *
 *	m = submit_merge_new(s, &opts);
 *	submit_merge_data(m, bytes, n, &err);		the template
 *	submit_merge_columns(m, names, n, &err);	what values there will
 *be submit_merge_rcpt(m, &rcpt, values, &err);	once a recipient
 *	submit_merge_finish(m, &err);			all of it is durable
 *	submit_merge_free(m);
 *
 * Errors are those of submit.h: VEX_DATA refuses the template, or this one
 * recipient, and the next may follow; after any other the submission is
 * broken off and nothing of it is in the spool. Memory is bounded: what does
 * not fit waits in a file of the spool that has no name.
 */
#ifndef VMTA_SUBMIT_MERGE_H
#define VMTA_SUBMIT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "mail/merge.h"
#include "submit/submit.h"

struct submit_merge;

enum submit_undefined {
	SUBMIT_UNDEFINED_ERROR,
	SUBMIT_UNDEFINED_KEEP, /* it stays as it is written */
	SUBMIT_UNDEFINED_EMPTY
};

struct submit_merge_opts {
	struct submit_env env; /* what holds where a row says nothing */
	enum submit_undefined undefined;
	bool dedupe; /* of recipients with one address only the first */
};

/* s must outlive it, and take no messages meanwhile. opts is copied. */
struct submit_merge *submit_merge_new(struct submit *s,
    const struct submit_merge_opts *opts);
void submit_merge_free(struct submit_merge *m); /* NULL is fine */

/* May this source merge, with these opts? 0 or -1. */
int submit_merge_ok(struct submit_merge *m, struct verr *err);
/* The next octets of a template in one piece. 0 or -1. */
int submit_merge_data(struct submit_merge *m, const char *p, size_t n,
    struct verr *err);
/* The next octets of part `number` (from 1) of a template in parts. */
int submit_merge_part(struct submit_merge *m, unsigned int number,
    const char *p, size_t n, struct verr *err);
/*
 * The template is complete, and each row will have these values: names of
 * variables, or *vmta, *jobid, *envid, *from, *priority, *parts, *schedule.
 * 0; -1 (VEX_DATA): a template that cannot be, names twice or not allowed,
 * or variables that no column defines.
 */
int submit_merge_columns(struct submit_merge *m, const char *const *name,
    size_t n, struct verr *err);
/*
 * A recipient with its values, one for each column (p NULL: undefined; of a
 * reserved one also "": nothing said). rcptIndex counts the calls. 0 or -1.
 */
int submit_merge_rcpt(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct verr *err);
/* A recipient was refused elsewhere: rcptIndex counts it. */
void submit_merge_pass(struct submit_merge *m);
/* Append the message that this recipient would get. 0 or -1. */
int submit_merge_preview(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct buf *ret_text, struct verr *err);
/* Make everything durable. 0 or -1. */
int submit_merge_finish(struct submit_merge *m, struct verr *err);

/* Recipients: durable; refused; with an address that was there before. */
uint64_t submit_merge_accepted(const struct submit_merge *m);
uint64_t submit_merge_rejected(const struct submit_merge *m);
uint64_t submit_merge_duplicates(const struct submit_merge *m);
/* Of the durable ones: on a suppression list. */
uint64_t submit_merge_suppressed(const struct submit_merge *m);

#endif
