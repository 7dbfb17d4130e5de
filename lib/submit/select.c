/*
 * The choice of a VirtualMTA. Most messages need no rule at all, so the
 * pattern-list is compiled when the first message wants it; what rules say
 * about sender and header is asked once a message, and where no rule looks at
 * the recipient, the answer of the first recipient is everybody's.
 *
 * An expression that gives up (base/regex.h) refuses the message: to take it
 * for "no" might send it from another customer's address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/esc.h"
#include "base/mem.h"
#include "base/regex.h"
#include "conf/rule.h"
#include "mail/field.h"
#include "spool/spool.h"
#include "submit/select.h"

#define SELECT_HEADER_NAME "X-Virtual-MTA"

struct select_list;

/* What a rule says about the present message. */
enum rule_memo { MEMO_NONE, MEMO_NO, MEMO_YES };

struct select_rule {
	const char *text; /* the configuration's */
	struct rule part;
	struct regex *regex; /* NULL: RULE_ANY */
	struct target target;
	struct select_list *call;
	enum rule_memo memo; /* not of RULE_RCPT_TO */
};

struct select_list {
	struct select_list *next;
	const char *name;
	struct select_rule *rule;
	size_t n;
};

struct selector {
	const struct conf *conf;
	const char *source;
	struct conf_source src;
	struct select_list *lists; /* compiled ones */
	struct select_list *list;  /* the source's; NULL: not yet, or none */
	bool by_rcpt;		   /* some rule looks at the recipient */
	/* the present message */
	struct select_facts facts;
	struct target named;
	bool has_named, fallback;
	enum select_by by;
	bool has_answer;
	struct select_choice answer; /* of the list, for all */
	struct buf value;
};

const char *
target_name(const struct target *t)
{
	return (t->vmta != NULL ? t->vmta->name : t->pool->name);
}

/* Look a name up; false: there is no such thing. */
static bool
select_find(const struct conf *c, const char *name, struct target *ret_t)
{
	ret_t->vmta = conf_vmta(c, name);
	ret_t->pool = ret_t->vmta == NULL ? conf_pool(c, name) : NULL;
	return (ret_t->vmta != NULL || ret_t->pool != NULL);
}

/* The name says nothing: refuse it, or take the fallback. */
static int
select_unknown(const struct conf *c, const struct conf_source *src,
    const char *name, struct target *ret_t, bool *ret_fallback,
    struct verr *err)
{
	const char *other = conf_global(c)->invalid_virtual_mta_fallback;

	*ret_fallback = !src->reject_invalid_virtual_mta && *other != '\0' &&
	    select_find(c, other, ret_t);
	if (*ret_fallback)
		return (0);
	return (verr_set(err, VEX_DATA, "unknown VirtualMTA '%.64s'", name));
}

int
select_named(const struct conf *c, const char *source,
    const struct conf_source *src, const char *name, struct target *ret_t,
    bool *ret_fallback, struct verr *err)
{
	*ret_fallback = false;
	if (!spool_vmta_valid(name))
		return (verr_set(err, VEX_DATA, "bad name of a VirtualMTA"));
	if (!select_find(c, name, ret_t))
		return (select_unknown(c, src, name, ret_t, ret_fallback, err));
	if (!conf_source_vmta_ok(src, name))
		return (verr_set(err, VEX_DATA,
		    "source %s may not use VirtualMTA '%s'", source, name));
	return (0);
}

struct selector *
selector_new(const struct conf *c, const char *source)
{
	struct selector *sel = xcalloc(1, sizeof(*sel));

	sel->conf = c;
	sel->source = source;
	conf_source(c, source, &sel->src);
	return (sel);
}

void
selector_free(struct selector *sel)
{
	struct select_list *l;
	size_t i;

	if (sel == NULL)
		return;
	while ((l = sel->lists) != NULL) {
		sel->lists = l->next;
		for (i = 0; i < l->n; i++)
			regex_free(l->rule[i].regex);
		free(l->rule);
		free(l);
	}
	buf_release(&sel->value);
	free(sel);
}

/* ---- compiling ------------------------------------------------------------
 */

static int select_compile(struct selector *sel, const struct rule_part *name,
    struct select_list **ret_l, struct verr *err);

/* One rule. The configuration was verified: what it names is there. */
static int
select_rule(struct selector *sel, struct select_rule *r, struct verr *err)
{
	struct rule *p = &r->part;
	char name[SPOOL_VMTA_MAX + 1];

	if (rule_parse(r->text, p) == -1)
		return (verr_set(err, VEX_CONFIG, "bad rule: %s", r->text));
	sel->by_rcpt = sel->by_rcpt || p->kind == RULE_RCPT_TO;
	if (p->regex.p != NULL &&
	    regex_new(p->regex.p, p->regex.n, p->caseless ? REGEX_CASELESS : 0,
		&r->regex, err) == -1)
		return (-1);
	if (p->vmta.p != NULL) {
		(void)snprintf(name, sizeof(name), "%.*s", (int)p->vmta.n,
		    p->vmta.p);
		if (!select_find(sel->conf, name, &r->target))
			return (verr_set(err, VEX_CONFIG, "no VirtualMTA '%s'",
			    name));
	}
	return (p->call.p == NULL ?
		0 :
		select_compile(sel, &p->call, &r->call, err));
}

/*
 * The list of that name, compiled once. verify_tree has seen that no list
 * calls itself.
 */
static int
select_compile(struct selector *sel, const struct rule_part *name,
    struct select_list **ret_l, struct verr *err)
{
	char text[SPOOL_VMTA_MAX + 1];
	struct conf_list rules;
	struct select_list *l;
	const char *s = NULL;

	(void)snprintf(text, sizeof(text), "%.*s", (int)name->n, name->p);
	for (l = sel->lists; l != NULL; l = l->next)
		if (strcmp(l->name, text) == 0) {
			*ret_l = l;
			return (0);
		}
	rules = conf_rules(sel->conf, text);
	l = xcalloc(1, sizeof(*l));
	l->next = sel->lists;
	l->name = conf_rules_name(sel->conf, text);
	l->rule = xcalloc(rules.n + 1, sizeof(*l->rule));
	sel->lists = l;
	*ret_l = l;
	while ((s = conf_list_next(&rules, s)) != NULL) {
		l->rule[l->n].text = s;
		if (select_rule(sel, &l->rule[l->n++], err) == -1)
			return (-1);
	}
	return (0);
}

/* ---- a message --------------------------------------------------------------
 */

/* A field's value on one line: folds undone, nothing stripped. */
static void
select_value(const struct field *f, struct buf *ret_value)
{
	size_t i;

	buf_clear(ret_value);
	for (i = 0; i < f->value_len; i++)
		if (f->value[i] != '\r' && f->value[i] != '\n')
			buf_addc(ret_value, f->value[i]);
}

/* Does the expression match one of the fields of that name? */
static enum regex_result
select_header(struct selector *sel, const struct select_rule *r)
{
	enum regex_result rc = REGEX_NO;
	const char *p, *end;
	struct field f;
	size_t i;

	for (i = 0; i < 2; i++) {
		p = sel->facts.header[i].p;
		end = p + sel->facts.header[i].n;
		while (p < end && rc == REGEX_NO && field_next(&p, end, &f)) {
			if (f.name_len != r->part.header.n ||
			    strncasecmp(f.name, r->part.header.p, f.name_len) !=
				0)
				continue;
			select_value(&f, &sel->value);
			rc = regex_match(r->regex, buf_str(&sel->value),
			    sel->value.len);
		}
	}
	return (rc);
}

/* Does the rule match? */
static enum regex_result
select_ask(struct selector *sel, const struct select_rule *r, const char *rcpt)
{
	switch (r->part.kind) {
	case RULE_MAIL_FROM:
		return (regex_match(r->regex, sel->facts.from,
		    strlen(sel->facts.from)));
	case RULE_RCPT_TO:
		return (regex_match(r->regex, rcpt, strlen(rcpt)));
	case RULE_HEADER:
		return (select_header(sel, r));
	case RULE_ANY:
	default:
		return (REGEX_YES);
	}
}

/* The same, asked once a message where the recipient does not count. */
static int
select_match(struct selector *sel, const struct select_list *l,
    struct select_rule *r, const char *rcpt, struct verr *err)
{
	enum regex_result rc;

	if (r->memo != MEMO_NONE)
		return (r->memo == MEMO_YES);
	rc = select_ask(sel, r, rcpt);
	if (rc == REGEX_GAVE_UP)
		return (verr_set(err, VEX_DATA,
		    "pattern-list %s: rule %zu takes too many steps", l->name,
		    (size_t)(r - l->rule) + 1));
	if (r->part.kind != RULE_RCPT_TO)
		r->memo = rc == REGEX_YES ? MEMO_YES : MEMO_NO;
	return (rc == REGEX_YES);
}

/* Walk a list: 1 and the choice of the rule that matched; 0: none; -1. */
static int
select_walk(struct selector *sel, struct select_list *l, const char *rcpt,
    struct select_choice *ret_c, struct verr *err)
{
	struct select_rule *r;
	size_t i;
	int rc;

	for (i = 0; i < l->n; i++) {
		r = &l->rule[i];
		rc = select_match(sel, l, r, rcpt, err);
		if (rc == 1 && r->call != NULL)
			rc = select_walk(sel, r->call, rcpt, ret_c, err);
		else if (rc == 1)
			*ret_c = (struct select_choice) { .target = r->target,
				.prio = r->part.prio,
				.by = SELECT_RULE,
				.list = l->name,
				.rule = r->text,
				.number = i + 1 };
		if (rc != 0)
			return (rc);
	}
	return (0);
}

/* What the source's list says for a recipient; as select_walk. */
static int
select_rules(struct selector *sel, const char *rcpt,
    struct select_choice *ret_c, struct verr *err)
{
	struct rule_part name = { sel->src.pattern_list,
		strlen(sel->src.pattern_list) };
	int rc;

	if (name.n == 0)
		return (0);
	if (sel->list == NULL &&
	    select_compile(sel, &name, &sel->list, err) == -1)
		return (-1);
	if (!sel->by_rcpt && sel->has_answer) {
		*ret_c = sel->answer;
		return (ret_c->list != NULL);
	}
	rc = select_walk(sel, sel->list, rcpt, ret_c, err);
	if (rc != -1) {
		sel->answer = *ret_c;
		sel->has_answer = true;
	}
	return (rc);
}

/* The name in X-Virtual-MTA, where the source may use it; "": none. */
static int
select_by_header(struct selector *sel, const char **ret_name, struct verr *err)
{
	struct field f;
	size_t i;

	*ret_name = "";
	if (!sel->src.process_x_virtual_mta)
		return (0);
	for (i = 0; i < 2; i++) {
		if (sel->facts.header[i].n == 0 ||
		    !field_find(sel->facts.header[i].p, sel->facts.header[i].n,
			SELECT_HEADER_NAME, &f))
			continue;
		buf_clear(&sel->value);
		field_unfold(&f, &sel->value);
		*ret_name = buf_str(&sel->value);
		if (**ret_name == '\0' || strlen(*ret_name) != sel->value.len)
			return (verr_set(err, VEX_DATA,
			    SELECT_HEADER_NAME " names nothing"));
		return (0);
	}
	return (0);
}

/* Forget what the rules said about the message before. */
static void
select_forget(struct selector *sel)
{
	struct select_list *l;
	size_t i;

	sel->has_answer = false;
	memset(&sel->answer, 0, sizeof(sel->answer));
	for (l = sel->lists; l != NULL; l = l->next)
		for (i = 0; i < l->n; i++)
			l->rule[i].memo = MEMO_NONE;
}

int
selector_begin(struct selector *sel, const struct select_facts *facts,
    struct verr *err)
{
	const char *name = facts->named;

	sel->facts = *facts;
	sel->by = SELECT_NAMED;
	select_forget(sel);
	if (name == NULL || *name == '\0') {
		sel->by = SELECT_HEADER;
		if (select_by_header(sel, &name, err) == -1)
			return (-1);
	}
	sel->has_named = *name != '\0';
	if (!sel->has_named)
		return (0);
	return (select_named(sel->conf, sel->source, &sel->src, name,
	    &sel->named, &sel->fallback, err));
}

/* Nobody has said anything: the default. */
static int
select_default(struct selector *sel, struct select_choice *c, struct verr *err)
{
	const char *name = sel->src.default_virtual_mta;

	c->by = SELECT_DEFAULT;
	if (*name == '\0')
		return (verr_set(err, VEX_DATA,
		    "no VirtualMTA named, and no default-virtual-mta for "
		    "source %s",
		    sel->source));
	if (!select_find(sel->conf, name, &c->target))
		return (select_unknown(sel->conf, &sel->src, name, &c->target,
		    &c->fallback, err));
	return (0);
}

int
selector_rcpt(struct selector *sel, const char *rcpt, const char *merge,
    struct select_choice *ret_choice, struct verr *err)
{
	struct select_choice c = { .prio = -1 };

	if (select_rules(sel, rcpt, &c, err) == -1)
		return (-1);
	if (merge != NULL && *merge != '\0') {
		c.by = SELECT_MERGE;
		if (select_named(sel->conf, sel->source, &sel->src, merge,
			&c.target, &c.fallback, err) == -1)
			return (-1);
	} else if (sel->has_named) {
		c.by = sel->by;
		c.target = sel->named;
		c.fallback = sel->fallback;
	} else if (c.target.vmta == NULL && c.target.pool == NULL &&
	    select_default(sel, &c, err) == -1) {
		return (-1);
	}
	*ret_choice = c;
	return (0);
}
