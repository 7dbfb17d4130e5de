/*
 * The directive alias: `NAME TARGET`. NAME is an address, or a local part
 * that counts at host-name and domain-suffix only. Where nothing is said,
 * root, postmaster and mailer-daemon of this machine are the postmaster
 * directive's: cron's mail goes to a person, not to an MX.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "submit/alias.h"

#define ALIAS_DEPTH 10 /* aliases of aliases */

struct addr_local
alias_local(const struct conf *c, bool users)
{
	const struct conf_global *g = conf_global(c);
	struct addr_local l = { .suffix = g->domain_suffix };

	if (*g->domain_suffix != '\0')
		l.host = g->domain_suffix;
	else if (users)
		l.host = g->host_name;
	return (l);
}

/* Length of the local part when the domain is this machine's, or 0. */
static size_t
alias_here(const struct conf_global *g, const char *smtp)
{
	const char *at = strrchr(smtp, '@');

	if (at == NULL ||
	    (strcasecmp(at + 1, g->host_name) != 0 &&
		strcasecmp(at + 1, g->domain_suffix) != 0))
		return (0);
	return ((size_t)(at - smtp));
}

/* Is `NAME TARGET` about this recipient? Its target, or NULL. */
static const char *
alias_target(const char *text, const char *smtp, size_t local)
{
	size_t n = strcspn(text, " \t");
	const char *to = text + n + strspn(text + n, " \t");

	if (memchr(text, '@', n) != NULL)
		return (strlen(smtp) == n && strncasecmp(text, smtp, n) == 0 ?
			to :
			NULL);
	return (local == n && strncasecmp(text, smtp, n) == 0 ? to : NULL);
}

/* Names that are the postmaster's unless an alias says otherwise. */
static bool
alias_is_postmaster(const char *smtp, size_t n)
{
	static const char *const names[] = { "root", "postmaster",
		"mailer-daemon" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n &&
		    strncasecmp(names[i], smtp, n) == 0)
			return (true);
	return (false);
}

/* One step: the text that stands for the recipient, or NULL. */
static const char *
alias_step(const struct conf *c, const char *smtp)
{
	const struct conf_global *g = conf_global(c);
	size_t local = alias_here(g, smtp);
	const char *text = NULL, *to;

	while ((text = conf_list_next(&g->alias, text)) != NULL)
		if ((to = alias_target(text, smtp, local)) != NULL)
			return (to);
	if (*g->postmaster != '\0' && alias_is_postmaster(smtp, local) &&
	    strcasecmp(g->postmaster, smtp) != 0)
		return (g->postmaster);
	return (NULL);
}

int
alias_find(const struct conf *c, const char *smtp, struct addr *ret_a,
    struct verr *err)
{
	const struct addr_local local = alias_local(c, true);
	const char *to, *at = smtp;
	int i;

	for (i = 0; (to = alias_step(c, at)) != NULL; i++) {
		if (i == ALIAS_DEPTH)
			return (verr_set(err, VEX_DATA,
			    "alias: %.254s leads in a circle", smtp));
		if (addr_parse_local(to, strlen(to), ADDR_RCPT, &local, ret_a,
			err) == -1)
			return (verr_prefix(err, "alias '%.254s'", to));
		at = ret_a->smtp;
	}
	return (i > 0);
}
