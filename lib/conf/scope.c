/*
 * Domain sections of one place (a VirtualMTA, a pool, the top level) as a
 * sorted array of patterns: by kind, then key, then what is less specific
 * first, so that a lookup is a binary search and meets them in the order in
 * which they are to be applied.
 *
 * `$NAME` stands for what `domain-macro NAME` lists; macros may name macros,
 * but not in a circle.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/scope.h"

#define SCOPE_DEPTH 16 /* macros inside macros */

struct scope {
	const struct tree *t;
	struct scope_entry *e;
	size_t n, cap;
	struct verr *err;
};

/* The macro of that name, or NULL. */
static const struct tree_sec *
scope_macro(const struct tree *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->nsec; i++)
		if (t->sec[i].kind == CONF_MACRO &&
		    strcmp(t->sec[i].title, name) == 0)
			return (&t->sec[i]);
	return (NULL);
}

/*
 * Add one pattern, or all of a macro. at: the section that wrote text;
 * depth: macros around it.
 */
static int
scope_add(struct scope *s, const char *text, const struct tree_sec *at,
    const struct tree_sec *sec, int depth)
{
	const struct tree_sec *macro;
	const struct tree_set *set;
	struct scope_entry *e;
	const char *one;
	int64_t i;

	if (text[0] != '$') {
		if (s->n == s->cap) {
			s->cap = s->cap > 0 ? s->cap * 2 : 4;
			s->e = xreallocarray(s->e, s->cap, sizeof(*s->e));
		}
		e = &s->e[s->n++];
		e->macro = depth > 0;
		e->sec = sec;
		if (domain_pattern(text, &e->pattern) == 0)
			return (0);
		return (tree_err(s->t, at->file, at->line, s->err,
		    "'%s' is no domain and no pattern of domains", text));
	}
	macro = scope_macro(s->t, text + 1);
	if (macro == NULL)
		return (tree_err(s->t, at->file, at->line, s->err,
		    "there is no domain-macro '%s'", text + 1));
	if (depth == SCOPE_DEPTH)
		return (tree_err(s->t, at->file, at->line, s->err,
		    "domain-macro '%s' contains itself", text + 1));
	set = tree_get(macro, "domains");
	if (set == NULL)
		return (0);
	for (i = 0, one = set->value.blob; i < set->value.a; i++) {
		if (scope_add(s, one, macro, sec, depth + 1) == -1)
			return (-1);
		one += strlen(one) + 1;
	}
	return (0);
}

/* Order without regard to macros. */
static int
scope_order(const struct domain_pattern *a, const struct domain_pattern *b)
{
	int rc;

	if (a->kind != b->kind)
		return (a->kind < b->kind ? -1 : 1);
	if (a->kind != DOMAIN_NET) {
		rc = strcmp(a->key, b->key);
		return (rc != 0 ? rc :
				  (a->itself ? 0 : 1) - (b->itself ? 0 : 1));
	}
	if (a->net.bits != b->net.bits)
		return (a->net.bits < b->net.bits ? -1 : 1);
	if (a->net.family != b->net.family)
		return (a->net.family < b->net.family ? -1 : 1);
	return (memcmp(a->net.addr, b->net.addr, sizeof(a->net.addr)));
}

static int
scope_compare(const void *pa, const void *pb)
{
	const struct scope_entry *a = pa, *b = pb;
	int rc = scope_order(&a->pattern, &b->pattern);

	if (rc != 0)
		return (rc);
	if (a->macro != b->macro)
		return (a->macro ? -1 : 1);
	if (a->sec->file != b->sec->file)
		return (a->sec->file < b->sec->file ? -1 : 1);
	return (a->sec->line < b->sec->line ? -1 : a->sec->line > b->sec->line);
}

/* Is an entry there twice? */
static int
scope_twice(const struct scope *s)
{
	const struct tree_sec *a, *b;
	size_t i;

	for (i = 1; i < s->n; i++) {
		a = s->e[i - 1].sec;
		b = s->e[i].sec;
		if (s->e[i - 1].macro != s->e[i].macro ||
		    (a == b && s->e[i].macro) ||
		    scope_order(&s->e[i - 1].pattern, &s->e[i].pattern) != 0)
			continue;
		return (tree_err(s->t, b->file, b->line, s->err,
		    "domain '%s' is given twice (first at %s:%d)", b->title,
		    s->t->file[a->file], a->line));
	}
	return (0);
}

int
scope_build(const struct tree *t, const struct tree_sec *secs, size_t n,
    struct scope_entry **ret_e, size_t *ret_n, struct verr *err)
{
	struct scope s = { .t = t, .err = err };
	size_t i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++)
		if (secs[i].kind == CONF_DOMAIN)
			rc = scope_add(&s, secs[i].title, &secs[i], &secs[i],
			    0);
	if (rc == 0) {
		if (s.n > 1)
			qsort(s.e, s.n, sizeof(*s.e), scope_compare);
		rc = scope_twice(&s);
	}
	if (rc == -1) {
		free(s.e);
		return (-1);
	}
	*ret_e = s.e;
	*ret_n = s.n;
	return (0);
}
