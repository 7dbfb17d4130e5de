/*
 * The suppression lists that a process asks. Each is opened when it is first
 * asked for, and opened again when it was replaced, which is looked at once a
 * second at most.
 */
#ifndef VMTA_SPOOL_SUPSET_H
#define VMTA_SPOOL_SUPSET_H

#include "base/err.h"
#include "conf/conf.h"

struct spool;
struct supset;

/* Never NULL; sp must outlive it. Free with supset_free. */
struct supset *supset_new(struct spool *sp);
void supset_free(struct supset *x); /* NULL is fine */
/*
 * A number that changes when one of the lists was replaced, appeared, or
 * went: what was asked before is to be asked again then. Never 0.
 */
unsigned int supset_gen(struct supset *x);
/*
 * Is a recipient (struct addr smtp) on one of the lists? 1 and *ret_list (its
 * name, the configuration's), 0, or -1: that cannot be known, and err says
 * which list is to blame.
 */
int supset_find(struct supset *x, const struct conf_list *lists,
    const char *smtp, const char **ret_list, struct verr *err);

#endif
