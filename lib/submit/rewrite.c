/*
 * Rules are looked at when a message comes in, for the VirtualMTA or pool that
 * was chosen for it; sources and patterns have seen the sender as it was given.
 *
 * In From every address outside of quotes and comments is looked at; what
 * stands around its domain stays as it was written.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "mail/field.h"
#include "submit/header.h"
#include "submit/impl.h"
#include "submit/rewrite.h"

#define MAIL_FROM "mail-from"
#define FROM "from"

static const struct conf_list *
rewrite_rules(const struct target *t)
{
	return (t->vmta != NULL ? &t->vmta->rewrite_list :
				  &t->pool->rewrite_list);
}

/* The word at *p; moves *p to the next one. */
static size_t
rule_word(const char **p, const char **ret_word)
{
	size_t n;

	*ret_word = *p;
	n = strcspn(*p, " \t");
	*p += n;
	*p += strspn(*p, " \t");
	return (n);
}

/* What a domain, in A-labels, becomes by the rules of that kind; NULL: it
 * stays. */
static const char *
rewrite_domain(const struct target *t, const char *kind, const char *domain)
{
	char old[ADDR_DOMAIN_MAX + 1];
	struct verr err = VERR_INIT;
	const char *rule = NULL, *p, *word;
	size_t n;

	while ((rule = conf_list_next(rewrite_rules(t), rule)) != NULL) {
		p = rule;
		n = rule_word(&p, &word);
		if (n != strlen(kind) || strncmp(word, kind, n) != 0)
			continue;
		n = rule_word(&p, &word);
		if ((n == 1 && *word == '*') ||
		    (addr_domain_parse(word, n, old, &err) == 0 &&
			strcmp(old, domain) == 0))
			return (p);
	}
	return (NULL);
}

/* The same, in A-labels. */
static bool
rewrite_to(const struct target *t, const char *kind, const char *domain,
    char ret[ADDR_DOMAIN_MAX + 1])
{
	const char *to = rewrite_domain(t, kind, domain);
	struct verr err = VERR_INIT;

	return (to != NULL &&
	    addr_domain_parse(to, strlen(to), ret, &err) == 0);
}

int
rewrite_sender(const struct submit *s, const struct submit_env *env,
    const struct target *t, const char *rcpt, struct buf *room,
    const char **ret_sender, struct verr *err)
{
	const struct addr *from = env->from != NULL ? env->from : &s->self;
	char domain[ADDR_DOMAIN_MAX + 1];
	struct buf given = BUF_INIT;
	int rc = 0;

	*ret_sender = from->smtp;
	if (addr_is_null(from))
		return (0);
	buf_clear(room);
	if (rewrite_to(t, MAIL_FROM, addr_domain(from), domain)) {
		buf_add(room, from->smtp, from->local_len);
		buf_addf(room, "@%s", domain);
		*ret_sender = room->p;
	}
	if (env->verp || s->src.verp_default) {
		buf_adds(&given, *ret_sender);
		buf_clear(room);
		rc = header_verp(given.p, rcpt, room, err);
		*ret_sender = room->p;
		buf_release(&given);
	}
	if (rc == 0 && room->len > ADDR_MAX)
		rc = verr_set(err, VEX_DATA,
		    "rewrite-list: the sender is over %d octets", ADDR_MAX);
	return (rc);
}

/* ---- From ------------------------------------------------------------------
 */

bool
rewrite_has_from(const struct target *t)
{
	const char *rule = NULL, *p, *word;

	while ((rule = conf_list_next(rewrite_rules(t), rule)) != NULL) {
		p = rule;
		if (rule_word(&p, &word) == strlen(FROM))
			return (true);
	}
	return (false);
}

/* Octets of the domain that p begins with. */
static size_t
from_domain(const char *p, const char *end)
{
	const char *q = p;

	while (q < end &&
	    (isalnum((unsigned char)*q) || *q == '-' || *q == '.' ||
		*q == '_' || (unsigned char)*q >= 0x80))
		q++;
	return ((size_t)(q - p));
}

/* Octets of the quoted string or comment that p begins with, or 1. */
static size_t
from_skip(const char *p, const char *end)
{
	const char *q = p;
	int depth = 0;

	if (*p != '"' && *p != '(')
		return (1);
	do {
		if (*q == '\\' && q + 1 < end)
			q++;
		else if (*p == '(')
			depth += (*q == '(') - (*q == ')');
		else if (*q == '"')
			depth = q == p;
		q++;
	} while (q < end && depth > 0);
	return ((size_t)(q - p));
}

/* A value with its domains rewritten. Is it another one? */
static bool
from_value(const struct target *t, const char *p, size_t n, struct buf *out)
{
	char domain[ADDR_DOMAIN_MAX + 1], to[ADDR_DOMAIN_MAX + 1];
	const char *end = p + n;
	struct verr err = VERR_INIT;
	bool changed = false;

	for (; p < end; p += n) {
		n = from_skip(p, end);
		buf_add(out, p, n);
		if (*p != '@')
			continue;
		n = 1 + from_domain(p + 1, end);
		if (addr_domain_parse(p + 1, n - 1, domain, &err) == 0 &&
		    rewrite_to(t, FROM, domain, to)) {
			buf_adds(out, to);
			changed = true;
		} else
			buf_add(out, p + 1, n - 1);
	}
	return (changed);
}

bool
rewrite_from(const struct target *t, struct buf *text, size_t *header)
{
	struct buf out = BUF_INIT;
	struct field f;
	bool changed;
	size_t at;

	if (!rewrite_has_from(t) ||
	    !field_find(buf_str(text), *header, "From", &f))
		return (false);
	at = (size_t)(f.value - text->p);
	buf_add(&out, text->p, at);
	changed = from_value(t, f.value, f.value_len, &out);
	if (!changed) {
		buf_release(&out);
		return (false);
	}
	*header += out.len - (at + f.value_len);
	at += f.value_len;
	buf_add(&out, text->p + at, text->len - at);
	buf_release(text);
	*text = out;
	return (true);
}
