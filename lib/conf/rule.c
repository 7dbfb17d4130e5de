/*
 * Rules: texts with a regular expression between slashes and what is to be
 * done when it matches. Only their form is looked at; the expression itself
 * is for the module that compiles it.
 *
 *	mail-from /RE/ RESULT,...	rcpt-to /RE/ RESULT,...
 *	header NAME /RE/ RESULT,...	* RESULT,...
 *	/RE/ ACTION,...			/RE/ CATEGORY
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/unit.h"
#include "conf/check.h"
#include "conf/rule.h"

/* The end of `/RE/` that s starts with (behind flags), or NULL. */
static const char *
rule_regex(const char *s)
{
	const char *end = strrchr(s, '/');

	if (s[0] != '/' || end == NULL || end <= s + 1)
		return (NULL);
	for (end++; islower((unsigned char)*end); end++)
		;
	return (*end == ' ' || *end == '\t' ? end + strspn(end, " \t") : NULL);
}

bool
rule_is_category(const char *s)
{
	const char *name = rule_regex(s);

	return (name != NULL && check_name(name, strlen(name)));
}

/* One result of a routing rule: KEY=VALUE or KEY:VALUE. */
static bool
rule_is_result(const char *s, size_t n)
{
	char num[8];
	int64_t prio;

	if (n > 12 && strncmp(s, "virtual-mta=", 12) == 0)
		return (check_name(s + 12, n - 12));
	if (n > 8 && strncmp(s, "call-to:", 8) == 0)
		return (check_name(s + 8, n - 8));
	if (n <= 19 || n > 22 || strncmp(s, "recipient-priority=", 19) != 0)
		return (false);
	(void)snprintf(num, sizeof(num), "%.*s", (int)(n - 19), s + 19);
	return (unit_int(num, &prio) == 0 && prio <= 100);
}

/* Where the results of a routing rule begin, or NULL. */
static const char *
rule_results(const char *s)
{
	const char *rest = check_after(s);
	size_t n = check_word(s);

	if (n == 1 && *s == '*')
		return (rest);
	if (check_among(s, n, "mail-from rcpt-to "))
		return (rule_regex(rest));
	if (!check_among(s, n, "header ") || *rest == '/')
		return (NULL);
	return (rule_regex(check_after(rest)));
}

bool
rule_is_route(const char *s)
{
	size_t n;

	s = rule_results(s);
	if (s == NULL || *s == '\0')
		return (false);
	for (;; s += n + 1) {
		n = strcspn(s, ",");
		if (!rule_is_result(s, n))
			return (false);
		if (s[n] == '\0')
			return (true);
	}
}

int
rule_route_refs(const char *rule,
    int (*fn)(void *arg, const char *key, const char *name), void *arg)
{
	const char *s = rule_results(rule);
	char name[80];
	size_t n;
	int rc;

	for (; s != NULL && *s != '\0'; s += n + (s[n] == ',' ? 1 : 0)) {
		n = strcspn(s, ",");
		if (*s != 'v' && *s != 'c')
			continue;
		(void)snprintf(name, sizeof(name), "%.*s",
		    (int)(n - (*s == 'v' ? 12 : 8)), s + (*s == 'v' ? 12 : 8));
		rc = fn(arg, *s == 'v' ? "virtual-mta" : "pattern-list", name);
		if (rc != 0)
			return (rc);
	}
	return (0);
}

bool
rule_is_reply(const char *s)
{
	char time[64];
	int64_t ms;
	size_t n;

	s = rule_regex(s);
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
