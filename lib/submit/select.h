/*
 * Which VirtualMTA (or pool) a recipient's mail goes to, and with which
 * priority. In this order:
 *
 *	1. the mail merge's `*vmta`
 *	2. what the submission names (--vmta, or through the library)
 *	3. the header field X-Virtual-MTA, where the source may use it
 *	4. the source's pattern-list: the first rule that matches
 *	5. the source's default-virtual-mta
 *
 * 1 to 3 are the submitter's words: allow-virtual-mta says whether he may,
 * and an unknown name is refused, or goes to invalid-virtual-mta-fallback.
 * 4 and 5 are the operator's. The pattern-list is asked for a priority also
 * when the VirtualMTA is chosen already.
 */
#ifndef VMTA_SUBMIT_SELECT_H
#define VMTA_SUBMIT_SELECT_H

#include <stddef.h>

#include "base/err.h"
#include "conf/conf.h"

/* Where mail goes: a VirtualMTA, or a pool. */
struct target {
	const struct conf_vmta *vmta; /* NULL: the pool */
	const struct conf_pool *pool;
};
const char *target_name(const struct target *t);

enum select_by {
	SELECT_MERGE,
	SELECT_NAMED,
	SELECT_HEADER,
	SELECT_RULE,
	SELECT_DEFAULT
};

struct select_choice {
	struct target target;
	int prio; /* recipient-priority of the rule, -1: none */
	enum select_by by;
	bool fallback;	  /* the name was unknown */
	const char *list; /* of the rule that matched, NULL: none did */
	const char *rule; /* its text */
	size_t number;	  /* its place in the list, from 1 */
};

/* What is known of a message; must live until the next selector_begin. */
struct select_facts {
	const char *from;  /* "": the null path */
	const char *named; /* NULL or "": nothing */
	/* Its header, and fields that were taken out of it. */
	struct select_header {
		const char *p;
		size_t n;
	} header[2];
};

struct selector;

/*
 * For one source. Never NULL; c must outlive it. Rules are compiled at the
 * first message that needs them.
 */
struct selector *selector_new(const struct conf *c, const char *source);
void selector_free(struct selector *sel); /* NULL is fine */

/*
 * Another message; facts are copied, their texts not. 0; -1 (VEX_DATA): the
 * submitter names an unknown or forbidden VirtualMTA.
 */
int selector_begin(struct selector *sel, const struct select_facts *facts,
    struct verr *err);
/*
 * The choice for a recipient (as on the wire) of that message; merge: its
 * `*vmta`, or NULL. 0; -1: VEX_DATA, nothing is chosen, or a rule of the
 * pattern-list gave up; ret_choice is not set then.
 */
int selector_rcpt(struct selector *sel, const char *rcpt, const char *merge,
    struct select_choice *ret_choice, struct verr *err);

/*
 * The VirtualMTA or pool that a submitter of the source names. 0 or -1
 * (VEX_DATA). *ret_fallback: it was unknown, and there is a fallback.
 */
int select_named(const struct conf *c, const char *source,
    const struct conf_source *src, const char *name, struct target *ret_t,
    bool *ret_fallback, struct verr *err);

#endif
