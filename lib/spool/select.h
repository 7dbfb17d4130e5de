/*
 * A SELECTION of recipients, as vmta-queue takes it: different options AND,
 * a repeated one ORs; a value is a pattern (base/glob.h).
 */
#ifndef VMTA_SPOOL_SELECT_H
#define VMTA_SPOOL_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "spool/batch.h"

enum select_key {
	SELECT_QUEUE,
	SELECT_VMTA,
	SELECT_DOMAIN,
	SELECT_FROM,
	SELECT_RCPT,
	SELECT_JOB,
	SELECT_ENVID,
	SELECT_STATE,
	SELECT_ID,
	SELECT_KEYS
};

struct selection {
	char **value[SELECT_KEYS];
	size_t n[SELECT_KEYS];
	int64_t older_than; /* seconds of age, 0: any */
	bool all;	    /* --all was said */
};

void selection_init(struct selection *s);
void selection_release(struct selection *s);
/*
 * Add `KEY=VALUE`, domains in vmta's spelling (queue, vmta, domain, from, rcpt,
 * job, envid, state, id, older-than, all). 1: not a key of a selection; 0; -1
 * with err (VEX_USAGE).
 */
int selection_add(struct selection *s, const char *key, const char *value,
    struct verr *err);
/* Was nothing said (neither a term nor --all)? */
bool selection_empty(const struct selection *s);
/* Append its terms as `KEY=VALUE` strings, for a request; caller frees. */
char **selection_terms(const struct selection *s, size_t *ret_n);

/* May anything of this VirtualMTA, queue, batch match? */
bool selection_vmta(const struct selection *s, const char *vmta);
bool selection_queue(const struct selection *s, const char *domain,
    const char *vmta);
bool selection_batch(const struct selection *s, const struct batch_header *h,
    int64_t now);
/* Are there terms that only the text of a recipient's lines can answer? */
bool selection_needs_text(const struct selection *s);
/* A recipient's state alone. */
bool selection_state(const struct selection *s, char state);
/* Does the recipient match (its batch does)? */
bool selection_rcpt(const struct selection *s, const struct batch_msg *m,
    const struct batch_rcpt *r);

/* `new`, `deferred`, `held`, `delivered`, `bounced`, `moved`. */
const char *batch_state_word(char state);

#endif
