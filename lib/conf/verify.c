/*
 * What only the whole configuration shows: names that are there twice,
 * references to what does not exist, VirtualMTAs without an address or in two
 * pools that differ, and warnings for what has no effect in this version.
 *
 * VirtualMTAs and pools share one space of names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/regex.h"
#include "conf/check.h"
#include "conf/rule.h"
#include "conf/tree.h"

#define VERIFY_WARNINGS 100 /* more than that are only counted */

struct verify {
	struct tree *t;
	struct verr *err;
	struct map names; /* VirtualMTAs and pools: struct tree_sec */
	struct map other; /* `KIND:TITLE` of the other sections */
	size_t unsaid;	  /* warnings beyond VERIFY_WARNINGS */
};

/* `virtual-mta`, `virtual-mta-pool`: what an error calls the section. */
static const char *
verify_kind(unsigned kind)
{
	static const struct {
		unsigned kind;
		const char *name;
	} names[] = { { CONF_VMTA, "virtual-mta" },
		{ CONF_POOL, "virtual-mta-pool" }, { CONF_SOURCE, "source" },
		{ CONF_ACCT, "acct-file" }, { CONF_RULES, "pattern-list" },
		{ CONF_REPLIES, "smtp-pattern-list" },
		{ CONF_MACRO, "domain-macro" } };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].kind == kind)
			return (names[i].name);
	return ("domain");
}

/* A source: a name like user:www-data, or a network. */
static bool
verify_source_title(const char *s)
{
	struct conf_addr net;

	if (check_net(s, strlen(s), &net) == 0)
		return (true);
	return (strlen(s) <= 255 &&
	    strspn(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._:@-") == strlen(s));
}

/* Is the title one that such a section may have? */
static int
verify_title(struct verify *v, const struct tree_sec *sec)
{
	const char *why = NULL;

	if (sec->kind == CONF_SOURCE && !verify_source_title(sec->title))
		why = "expected a name like local or user:NAME, or a network";
	else if (sec->kind == CONF_ACCT && strchr(sec->title, '|') != NULL)
		why = "a program is not supported";
	else if ((sec->kind & (CONF_SOURCE | CONF_ACCT | CONF_DOMAIN)) == 0 &&
	    !check_name(sec->title, strlen(sec->title)))
		why = "expected letters, digits, '.', '_', '-', at most 64";
	if (why == NULL)
		return (0);
	return (tree_err(v->t, sec->file, sec->line, v->err, "%s '%s': %s",
	    verify_kind(sec->kind), sec->title, why));
}

/* Names: well formed, and there once. */
static int
verify_names(struct verify *v)
{
	const struct tree_sec *first;
	struct tree_sec *sec;
	char key[4200];
	size_t i;

	for (i = 0; i < v->t->nsec; i++) {
		sec = &v->t->sec[i];
		if (sec->kind == CONF_DOMAIN)
			continue;
		if (verify_title(v, sec) == -1)
			return (-1);
		(void)snprintf(key, sizeof(key), "%u:%s", sec->kind,
		    sec->title);
		if ((sec->kind & (CONF_VMTA | CONF_POOL)) != 0)
			first = map_put(&v->names, sec->title, sec);
		else
			first = map_put(&v->other, key, sec);
		if (first != NULL)
			return (tree_err(v->t, sec->file, sec->line, v->err,
			    "%s '%s' is given twice (first at %s:%d)",
			    verify_kind(sec->kind), sec->title,
			    v->t->file[first->file], first->line));
	}
	return (0);
}

/* Does the section exist that name refers to? */
static int
verify_ref(struct verify *v, const struct tree_set *set, unsigned kinds,
    const char *name)
{
	const struct tree_sec *sec;
	char key[128];

	if ((kinds & (CONF_VMTA | CONF_POOL)) != 0) {
		sec = map_get(&v->names, name);
		if (sec != NULL && (sec->kind & kinds) != 0)
			return (0);
	} else {
		(void)snprintf(key, sizeof(key), "%u:%s", kinds, name);
		if (map_get(&v->other, key) != NULL)
			return (0);
	}
	return (tree_err(v->t, set->file, set->line, v->err,
	    "%s: there is no %s '%s'", set->param->name,
	    (kinds & CONF_POOL) != 0 ? "virtual-mta or virtual-mta-pool" :
				       verify_kind(kinds),
	    name));
}

/* The name that a part of a rule is, and whether it exists. */
static int
verify_part(struct verify *v, const struct tree_set *set, unsigned kinds,
    const struct rule_part *part)
{
	char name[80];

	if (part->p == NULL)
		return (0);
	(void)snprintf(name, sizeof(name), "%.*s", (int)part->n, part->p);
	return (verify_ref(v, set, kinds, name));
}

/* A routing rule: its expression compiles, and what it names exists. */
static int
verify_route(struct verify *v, const struct tree_set *set, const char *text)
{
	struct verr err = VERR_INIT;
	struct regex *re = NULL;
	struct rule r;

	(void)rule_parse(text, &r); /* its form was checked */
	if (r.regex.p != NULL &&
	    regex_new(r.regex.p, r.regex.n, r.caseless ? REGEX_CASELESS : 0,
		&re, &err) == -1)
		return (tree_err(v->t, set->file, set->line, v->err,
		    "%s: /%.*s/: %s", set->param->name,
		    r.regex.n < 200 ? (int)r.regex.n : 200, r.regex.p,
		    err.text));
	regex_free(re);
	if (verify_part(v, set, CONF_VMTA | CONF_POOL, &r.vmta) == -1)
		return (-1);
	return (verify_part(v, set, CONF_RULES, &r.call));
}

/* A reference in one text of a setting. */
static int
verify_text(struct verify *v, const struct tree_set *set, const char *text)
{
	char name[80];

	switch (set->param->check) {
	case CHECK_VMTA:
		return (verify_ref(v, set, CONF_VMTA, text));
	case CHECK_VMTAPOOL:
		return (verify_ref(v, set, CONF_VMTA | CONF_POOL, text));
	case CHECK_VMTAGLOB:
		if (text[strlen(text) - 1] == '*')
			return (0);
		return (verify_ref(v, set, CONF_VMTA | CONF_POOL, text));
	case CHECK_MEMBER:
		(void)snprintf(name, sizeof(name), "%.*s",
		    (int)strcspn(text, " \t"), text);
		return (verify_ref(v, set, CONF_VMTA, name));
	case CHECK_SMTPLIST:
		return (verify_ref(v, set, CONF_REPLIES, text));
	case CHECK_PATTERNLIST:
		return (verify_ref(v, set, CONF_RULES, text));
	case CHECK_ROUTE:
		return (verify_route(v, set, text));
	default:
		return (0);
	}
}

/* A setting that is not in force yet and not as it would be anyway. */
static void
verify_later(struct verify *v, const struct tree_set *set)
{
	struct conf_value def;

	if (!set->param->later)
		return;
	conf_value_default(set->param, &def);
	if (!conf_value_equal(&def, &set->value)) {
		if (v->t->nwarn < VERIFY_WARNINGS)
			tree_warn(v->t, set->file, set->line,
			    "%s is not in force in this version",
			    set->param->name);
		else
			v->unsaid++;
	}
	conf_value_free(&def);
}

/* The settings of a section and of its domain sections. */
static int
verify_section(struct verify *v, const struct tree_sec *sec)
{
	const struct tree_set *set;
	const char *text;
	size_t i;
	int64_t k;

	for (i = 0; i < sec->nset; i++) {
		set = &sec->set[i];
		verify_later(v, set);
		if (set->param->type != CONF_STRING &&
		    set->param->type != CONF_LIST)
			continue;
		for (k = 0, text = set->value.blob; k < set->value.a; k++) {
			if (verify_text(v, set, text) == -1)
				return (-1);
			text += strlen(text) + 1;
		}
	}
	for (i = 0; i < sec->nsub; i++)
		if (verify_section(v, &sec->sub[i]) == -1)
			return (-1);
	return (0);
}

/* Has a section a list that is not empty? */
static bool
verify_has(const struct tree_sec *sec, const char *name)
{
	const struct tree_set *set = tree_get(sec, name);

	return (set != NULL && set->value.a > 0);
}

/* Every VirtualMTA has an address. */
static int
verify_addresses(struct verify *v)
{
	const struct tree_sec *sec;
	size_t i;

	if (verify_has(&v->t->global, "smtp-source-host"))
		return (0);
	for (i = 0; i < v->t->nsec; i++) {
		sec = &v->t->sec[i];
		if (sec->kind == CONF_VMTA &&
		    !verify_has(sec, "smtp-source-host"))
			return (tree_err(v->t, sec->file, sec->line, v->err,
			    "virtual-mta '%s' has no smtp-source-host, and "
			    "there is no global one",
			    sec->title));
	}
	return (0);
}

/*
 * The members of a pool: each once, and in no other pool with domain
 * sections if this one has some. seen: members of such pools.
 */
static int
verify_pool(struct verify *v, const struct tree_sec *pool, struct map *seen)
{
	const struct tree_set *set = tree_get(pool, "virtual-mta");
	const struct tree_sec *other;
	struct map own = MAP_INIT;
	const char *text, *name;
	int64_t i;
	int rc = 0;

	if (set == NULL)
		return (tree_err(v->t, pool->file, pool->line, v->err,
		    "virtual-mta-pool '%s' has no virtual-mta", pool->title));
	text = set->value.blob;
	for (i = 0; i < set->value.a && rc == 0; i++) {
		char *copy = xstrndup(text, strcspn(text, " \t"));

		name = copy;
		if (map_put(&own, name, &own) != NULL)
			rc = tree_err(v->t, set->file, set->line, v->err,
			    "virtual-mta '%s' is in the pool twice", name);
		else if (pool->nsub > 0 &&
		    (other = map_put(seen, name,
			 v->t->sec + (pool - v->t->sec))) != NULL)
			rc = tree_err(v->t, set->file, set->line, v->err,
			    "virtual-mta '%s' is in the pools '%s' and '%s', "
			    "which both have domain sections",
			    name, other->title, pool->title);
		free(copy);
		text += strlen(text) + 1;
	}
	map_release(&own, NULL);
	return (rc);
}

static int
verify_pools(struct verify *v)
{
	struct map seen = MAP_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; i < v->t->nsec && rc == 0; i++)
		if (v->t->sec[i].kind == CONF_POOL)
			rc = verify_pool(v, &v->t->sec[i], &seen);
	map_release(&seen, NULL);
	return (rc);
}

/* The pattern-list of that name, or NULL. */
static const struct tree_sec *
verify_list(const struct verify *v, const struct rule_part *name)
{
	char key[128];

	(void)snprintf(key, sizeof(key), "%u:%.*s", (unsigned)CONF_RULES,
	    (int)name->n, name->p);
	return (map_get(&v->other, key));
}

/*
 * Follow the calls of a pattern-list. state: of each section, whether it is
 * being followed, or was.
 */
static int
verify_calls(struct verify *v, const struct tree_sec *sec, char *state)
{
	const struct tree_set *set = tree_get(sec, "match");
	char *mine = &state[sec - v->t->sec];
	const char *text = set != NULL ? set->value.blob : NULL;
	struct rule r;
	int64_t i;

	if (*mine == 'f')
		return (0);
	if (*mine == 'c')
		return (tree_err(v->t, sec->file, sec->line, v->err,
		    "pattern-list '%s' calls itself", sec->title));
	*mine = 'c';
	for (i = 0; set != NULL && i < set->value.a; i++) {
		if (rule_parse(text, &r) == 0 && r.call.p != NULL &&
		    verify_calls(v, verify_list(v, &r.call), state) == -1)
			return (-1);
		text += strlen(text) + 1;
	}
	*mine = 'f';
	return (0);
}

/* No pattern-list calls itself. */
static int
verify_lists(struct verify *v)
{
	char *state = xcalloc(v->t->nsec + 1, 1);
	size_t i;
	int rc = 0;

	for (i = 0; i < v->t->nsec && rc == 0; i++)
		if (v->t->sec[i].kind == CONF_RULES)
			rc = verify_calls(v, &v->t->sec[i], state);
	free(state);
	return (rc);
}

/* The spool must be found without reading everything. */
static int
verify_spool(struct verify *v)
{
	const struct tree_set *set = tree_get(&v->t->global, "spool");

	if (set == NULL || set->file == 0)
		return (0);
	return (tree_err(v->t, set->file, set->line, v->err,
	    "spool must stand in the main file"));
}

int
verify_tree(struct tree *t, struct verr *err)
{
	struct verify v = { .t = t, .err = err };
	size_t i;
	int rc;

	rc = verify_spool(&v);
	if (rc == 0)
		rc = verify_names(&v);
	if (rc == 0)
		rc = verify_section(&v, &t->global);
	for (i = 0; i < t->nsec && rc == 0; i++)
		rc = verify_section(&v, &t->sec[i]);
	if (rc == 0)
		rc = verify_addresses(&v);
	if (rc == 0)
		rc = verify_pools(&v);
	if (rc == 0)
		rc = verify_lists(&v);
	if (v.unsaid > 0)
		tree_warn(t, 0, 1,
		    "%zu more settings are not in force in this "
		    "version",
		    v.unsaid);
	map_release(&v.names, NULL);
	map_release(&v.other, NULL);
	return (rc);
}
