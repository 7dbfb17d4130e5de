/* The domain sections of one place, as patterns in order. */
#ifndef VMTA_CONF_SCOPE_H
#define VMTA_CONF_SCOPE_H

#include "conf/domain.h"
#include "conf/tree.h"

struct scope_entry {
	struct domain_pattern pattern;
	bool macro; /* it came from a macro */
	const struct tree_sec *sec;
};

/*
 * The patterns of these domain sections, macros expanded, sorted by
 * scope_compare. 0 and *ret_e (caller frees), or -1: a pattern is none, or
 * is there twice.
 */
int scope_build(const struct tree *t, const struct tree_sec *secs, size_t n,
    struct scope_entry **ret_e, size_t *ret_n, struct verr *err);

#endif
