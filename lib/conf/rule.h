/* The form of rules: of pattern-list, smtp-pattern-list, and categories. */
#ifndef VMTA_CONF_RULE_H
#define VMTA_CONF_RULE_H

#include <stdbool.h>
#include <stddef.h>

enum rule_kind { RULE_ANY, RULE_MAIL_FROM, RULE_RCPT_TO, RULE_HEADER };

/* A part of a rule's text: not NUL-ended; p NULL: not there. */
struct rule_part {
	const char *p;
	size_t n;
};

/* A rule of a pattern-list, taken apart; points into its text. */
struct rule {
	enum rule_kind kind;
	struct rule_part header; /* name, of RULE_HEADER */
	struct rule_part regex;	 /* none of RULE_ANY */
	bool caseless;		 /* `/RE/i` */
	struct rule_part vmta;	 /* virtual-mta=NAME */
	struct rule_part call;	 /* call-to:LIST */
	int prio;		 /* recipient-priority=N; -1: none */
};

/*
 * `mail-from /RE/ RESULT,...` and its kin (pattern-list): 0, or -1 when it is
 * none. The expression is not compiled.
 */
int rule_parse(const char *s, struct rule *ret_rule);
/* The same question. */
bool rule_is_route(const char *s);
/* `/RE/ ACTION,...` (smtp-pattern-list). */
bool rule_is_reply(const char *s);
/* `/RE/ CATEGORY` (bounce-category-patterns). */
bool rule_is_category(const char *s);
#endif
