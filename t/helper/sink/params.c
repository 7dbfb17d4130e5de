/*
 * Paths and ESMTP parameters of MAIL and RCPT, read strictly: what a client
 * may not send to a server with these features is a fault (RFC 1870, 3461,
 * 6152, 6531).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/unit.h"
#include "sink.h"

/* The parameters there are, and what must have been offered for them. */
static const struct param {
	const char *name;
	unsigned feature;
	bool mail;
	bool value;
} params[] = {
	{ "SIZE", F_SIZE, true, true },
	{ "BODY", F_8BITMIME, true, true },
	{ "SMTPUTF8", F_SMTPUTF8, true, false },
	{ "RET", F_DSN, true, true },
	{ "ENVID", F_DSN, true, true },
	{ "NOTIFY", F_DSN, false, true },
	{ "ORCPT", F_DSN, false, true },
};
#define NPARAMS (sizeof(params) / sizeof(params[0]))

size_t
params_path(const char *s, const char **ret_path, size_t *ret_len)
{
	bool quoted = false;
	size_t i;

	if (s[0] != '<')
		return (0);
	for (i = 1; s[i] != '\0'; i++) {
		if (s[i] == '"') {
			quoted = !quoted;
		} else if (quoted && s[i] == '\\' && s[i + 1] != '\0') {
			i++;
		} else if (!quoted && s[i] == '>') {
			*ret_path = s + 1;
			*ret_len = i - 1;
			return (i + 1);
		} else if (!quoted && (s[i] == ' ' || s[i] == '<')) {
			return (0);
		}
	}
	return (0);
}

/* Is it xtext (RFC 3461, 4)? */
static bool
is_xtext(const char *s)
{
	const char *hex = "0123456789ABCDEF";

	for (; *s != '\0'; s++) {
		if (*s < 33 || *s > 126 || *s == '=')
			return (false);
		if (*s != '+')
			continue;
		if (s[1] == '\0' || strchr(hex, s[1]) == NULL || s[2] == '\0' ||
		    strchr(hex, s[2]) == NULL)
			return (false);
		s += 2;
	}
	return (true);
}

/* NEVER, or a list of SUCCESS, FAILURE, DELAY. */
static bool
is_notify(const char *v)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
	size_t i, n;

	if (strcasecmp(v, "NEVER") == 0)
		return (true);
	for (;; v += n + 1) {
		n = strcspn(v, ",");
		for (i = 0; i < 3; i++)
			if (strlen(words[i]) == n &&
			    strncasecmp(words[i], v, n) == 0)
				break;
		if (i == 3)
			return (false);
		if (v[n] == '\0')
			return (true);
	}
}

/* Is v a value for the parameter? Keeps what the content is checked by. */
static bool
value_ok(struct conn *c, const struct param *p, const char *v)
{
	if (strcmp(p->name, "SIZE") == 0)
		return (unit_int(v, &c->t.declared) == 0);
	if (strcmp(p->name, "BODY") == 0) {
		c->t.eight = strcasecmp(v, "8BITMIME") == 0;
		return (c->t.eight || strcasecmp(v, "7BIT") == 0);
	}
	if (strcmp(p->name, "RET") == 0)
		return (strcasecmp(v, "FULL") == 0 ||
		    strcasecmp(v, "HDRS") == 0);
	if (strcmp(p->name, "NOTIFY") == 0)
		return (is_notify(v));
	if (strcmp(p->name, "ENVID") == 0)
		return (*v != '\0' && strlen(v) <= 100 && is_xtext(v));
	/* ORCPT; with SMTPUTF8 its utf-8 type may be anything printable */
	v = strchr(v, ';');
	return (v != NULL && v[1] != '\0' && (c->t.utf8 || is_xtext(v + 1)));
}

/* Check one parameter `NAME` or `NAME=VALUE`; *seen: bits of those before. */
static int
param_one(struct sink *s, struct conn *c, bool mail, char *word, unsigned *seen)
{
	char *v = strchr(word, '=');
	const struct param *p;
	size_t i, n = v != NULL ? (size_t)(v - word) : strlen(word);

	for (i = 0; i < NPARAMS; i++)
		if (params[i].mail == mail && strlen(params[i].name) == n &&
		    strncasecmp(params[i].name, word, n) == 0)
			break;
	if (i == NPARAMS) {
		record_fault(s, c, "unknown-parameter", word);
		return (555);
	}
	p = &params[i];
	if ((c->offered & p->feature) == 0) {
		record_fault(s, c, "parameter-not-offered", word);
		return (555);
	}
	if (strcmp(p->name, "SMTPUTF8") == 0)
		c->t.utf8 = true;
	if ((*seen & 1U << i) != 0 || p->value != (v != NULL) ||
	    (v != NULL && !value_ok(c, p, v + 1))) {
		record_fault(s, c, "bad-parameter", word);
		return (501);
	}
	*seen |= 1U << i;
	return (0);
}

int
params_check(struct sink *s, struct conn *c, bool mail, const char *text)
{
	char copy[4096], *p = copy, *word;
	unsigned seen = 0;
	int code;

	if (mail) {
		c->t.declared = -1;
		c->t.eight = c->t.utf8 = false;
	}
	if (*text == '\0')
		return (0);
	(void)snprintf(copy, sizeof(copy), "%s", text);
	if (*p++ != ' ') {
		record_fault(s, c, "syntax", text);
		return (501);
	}
	while ((word = strsep(&p, " ")) != NULL) {
		if (*word == '\0') {
			record_fault(s, c, "spaces", text);
			continue;
		}
		code = param_one(s, c, mail, word, &seen);
		if (code != 0)
			return (code);
	}
	return (0);
}
