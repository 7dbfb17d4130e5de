/* The form of rules: of pattern-list, smtp-pattern-list, and categories. */
#ifndef VMTA_CONF_RULE_H
#define VMTA_CONF_RULE_H

#include <stdbool.h>

/* `mail-from /RE/ RESULT,...` and its kin (pattern-list). */
bool rule_is_route(const char *s);
/* `/RE/ ACTION,...` (smtp-pattern-list). */
bool rule_is_reply(const char *s);
/* `/RE/ CATEGORY` (bounce-category-patterns). */
bool rule_is_category(const char *s);
/*
 * Call fn for each VirtualMTA or pool (key `virtual-mta`) and each list (key
 * `pattern-list`) that a rule of a pattern-list names. 0, or what fn
 * returned first that was not 0.
 */
int rule_route_refs(const char *rule,
    int (*fn)(void *arg, const char *key, const char *name), void *arg);

#endif
