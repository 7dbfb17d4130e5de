/*
 * Rules: texts with a regular expression between slashes and what is to be
 * done when it matches. Only their form is looked at; the expression itself
 * is for the module that compiles it.
 *
 *	mail-from /RE/ RESULT,...	rcpt-to /RE/ RESULT,...
 *	header NAME /RE/ RESULT,...	* RESULT,...
 *	/RE/ ACTION,...			/RE/ CATEGORY
 */
#include <stdio.h>
#include <string.h>

#include "base/unit.h"
#include "conf/check.h"
#include "conf/rule.h"

/*
 * The expression of `/RE/` or `/RE/i` that s starts with, and what follows the
 * white space after it; NULL: it is none.
 */
static const char *
rule_regex(const char *s, struct rule_part *ret_regex, bool *ret_caseless)
{
	const char *end = strrchr(s, '/');

	if (s[0] != '/' || end == NULL || end <= s + 1)
		return (NULL);
	ret_regex->p = s + 1;
	ret_regex->n = (size_t)(end - s) - 1;
	*ret_caseless = *++end == 'i';
	end += *ret_caseless ? 1 : 0;
	return (*end == ' ' || *end == '\t' ? end + strspn(end, " \t") : NULL);
}

/* The same where only its form counts. */
static const char *
rule_skip_regex(const char *s)
{
	struct rule_part regex;
	bool caseless;

	return (rule_regex(s, &regex, &caseless));
}

bool
rule_is_category(const char *s)
{
	const char *name = rule_skip_regex(s);

	return (name != NULL && check_name(name, strlen(name)));
}

/* Is s[0..n] `KEY` and a name? */
static bool
rule_names(const char *s, size_t n, const char *key, struct rule_part *ret_name)
{
	size_t len = strlen(key);

	if (n <= len || strncmp(s, key, len) != 0 ||
	    !check_name(s + len, n - len) || ret_name->p != NULL)
		return (false);
	ret_name->p = s + len;
	ret_name->n = n - len;
	return (true);
}

/* One result of a routing rule: KEY=VALUE or KEY:VALUE, each once. */
static bool
rule_result(const char *s, size_t n, struct rule *r)
{
	char num[8];
	int64_t prio;

	if (rule_names(s, n, "virtual-mta=", &r->vmta) ||
	    rule_names(s, n, "call-to:", &r->call))
		return (true);
	if (n <= 19 || n > 22 || strncmp(s, "recipient-priority=", 19) != 0 ||
	    r->prio != -1)
		return (false);
	(void)snprintf(num, sizeof(num), "%.*s", (int)(n - 19), s + 19);
	if (unit_int(num, &prio) == -1 || prio > 100)
		return (false);
	r->prio = (int)prio;
	return (true);
}

/* What a routing rule looks at; where its results begin, or NULL. */
static const char *
rule_subject(const char *s, struct rule *r)
{
	const char *rest = check_after(s);
	size_t n = check_word(s);

	if (n == 1 && *s == '*') {
		r->kind = RULE_ANY;
		return (rest);
	}
	if (check_among(s, n, "header ")) {
		r->kind = RULE_HEADER;
		r->header.p = rest;
		r->header.n = check_word(rest);
		rest = *rest != '/' ? check_after(rest) : "";
	} else if (check_among(s, n, "mail-from ")) {
		r->kind = RULE_MAIL_FROM;
	} else if (check_among(s, n, "rcpt-to ")) {
		r->kind = RULE_RCPT_TO;
	} else {
		return (NULL);
	}
	return (rule_regex(rest, &r->regex, &r->caseless));
}

int
rule_parse(const char *s, struct rule *ret_rule)
{
	struct rule *r = ret_rule;
	size_t n;

	memset(r, 0, sizeof(*r));
	r->prio = -1;
	s = rule_subject(s, r);
	if (s == NULL || *s == '\0')
		return (-1);
	for (;; s += n + 1) {
		n = strcspn(s, ",");
		if (!rule_result(s, n, r))
			return (-1);
		if (s[n] == '\0')
			break;
	}
	/* a call gives its own results, or none */
	return (r->call.p != NULL && (r->vmta.p != NULL || r->prio != -1) ? -1 :
									    0);
}

bool
rule_is_route(const char *s)
{
	struct rule r;

	return (rule_parse(s, &r) == 0);
}

bool
rule_is_reply(const char *s)
{
	char time[64];
	int64_t ms;
	size_t n;

	s = rule_skip_regex(s);
	for (; s != NULL; s += n + 1) {
		n = strcspn(s, ",");
		if (n > 15 && strncmp(s, "reenable-after=", 15) == 0) {
			(void)snprintf(time, sizeof(time), "%.*s",
			    (int)(n - 15), s + 15);
			if (unit_interval(time, &ms) == -1)
				return (false);
		} else if (!check_among(s, n,
			       "mode=backoff mode=normal skip-mx "
			       "bounce-queue bounce-rcpt disable-source-ip "
			       "defer-queue "))
			return (false);
		if (s[n] == '\0')
			return (true);
	}
	return (false);
}
