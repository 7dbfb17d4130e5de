/*
 * A merge while it is submitted: the template is parsed, each row is looked at
 * as delivery will look at it (its header is rendered, so what cannot be sent
 * is refused here), and what is left of it is a line of values: only of the
 * variables that the template uses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "mail/mergeparts.h"
#include "mail/xtext.h"
#include "spool/vars.h"
#include "submit/merge_impl.h"

/* Selections of parts that are kept parsed. */
#define MERGE_CHOSEN_MAX 64

static char *
copy(const char *s)
{
	return (s != NULL ? xstrdup(s) : NULL);
}

struct submit_merge *
submit_merge_new(struct submit *s, const struct submit_merge_opts *opts)
{
	struct submit_merge *m = xcalloc(1, sizeof(*m));

	m->s = s;
	m->opts = *opts;
	m->opts.env.vmta = m->vmta = copy(opts->env.vmta);
	m->opts.env.job = m->job = copy(opts->env.job);
	m->opts.env.envid = m->envid = copy(opts->env.envid);
	if (opts->env.from != NULL) {
		m->from = *opts->env.from;
		m->opts.env.from = &m->from;
	}
	m->now = sys_now(s->sys);
	(void)stamp_mail(m->now, m->date, sizeof(m->date));
	(void)stamp_acct(opts->env.due > m->now ? opts->env.due : m->now,
	    m->due);
	map_init(&m->chosen);
	return (m);
}

/* map_release's. */
static void
chosen_free(void *arg)
{
	merge_free(arg);
}

void
submit_merge_free(struct submit_merge *m)
{
	size_t i;

	if (m == NULL)
		return;
	for (i = 0; i < m->n_part; i++)
		buf_release(&m->part[i]);
	for (i = 0; i < m->n_name; i++)
		free(m->name[i]);
	merge_free(m->whole);
	map_release(&m->chosen, chosen_free);
	rows_free(m->rows);
	buf_release(&m->raw);
	buf_release(&m->content);
	buf_release(&m->lengths);
	buf_release(&m->names);
	buf_release(&m->text);
	buf_release(&m->vars);
	free(m->part);
	free(m->column);
	free(m->name);
	free(m->value);
	free(m->vmta);
	free(m->job);
	free(m->envid);
	free(m);
}

int
submit_merge_ok(struct submit_merge *m, struct verr *err)
{
	if (!m->s->src.allow_mailmerge)
		return (verr_set(err, VEX_DATA, "source %s may not merge",
		    m->s->source));
	return (submit_env_check(m->s, &m->opts.env, &m->target, err));
}

int
submit_merge_data(struct submit_merge *m, const char *p, size_t n,
    struct verr *err)
{
	size_t max = submit_max_size(m->s);

	if (max > 0 && m->raw.len + n > 2 * max) /* LF will be CRLF */
		return (verr_set(err, VEX_DATA, "template over %zu octets",
		    max));
	buf_add(&m->raw, p, n);
	return (0);
}

int
submit_merge_part(struct submit_merge *m, unsigned int number, const char *p,
    size_t n, struct verr *err)
{
	size_t max = submit_max_size(m->s);

	if (number < 1 || number > MERGEPARTS_MAX)
		return (verr_set(err, VEX_DATA, "parts are numbered 1 to %d",
		    MERGEPARTS_MAX));
	if (number > m->n_part) {
		m->part = xreallocarray(m->part, number, sizeof(*m->part));
		while (m->n_part < number)
			buf_init(&m->part[m->n_part++]);
	}
	if (max > 0 && m->part[number - 1].len + n > max)
		return (verr_set(err, VEX_DATA, "template over %zu octets",
		    max));
	buf_add(&m->part[number - 1], p, n);
	return (0);
}

/* --- the template --------------------------------------------------------- */

/* All variables of t that no column defines, when that is an error. */
static int
check_defined(const struct submit_merge *m, const struct merge *t,
    struct verr *err)
{
	struct buf b = BUF_INIT;
	size_t i, k;
	int rc = 0;

	for (i = 0; i < merge_vars(t); i++) {
		for (k = 0; k < m->n_name; k++)
			if (strcasecmp(m->name[k], merge_var(t, i)) == 0)
				break;
		if (k == m->n_name)
			buf_addf(&b, "%s[%s]", b.len > 0 ? ", " : "",
			    merge_var(t, i));
	}
	if (b.len > 0 && m->opts.undefined == SUBMIT_UNDEFINED_ERROR)
		rc = verr_set(err, VEX_DATA, "undefined variables: %s", b.p);
	buf_release(&b);
	return (rc);
}

/* A parsed template gets its columns. 0, or -1 and it is freed. */
static int
template_bind(struct submit_merge *m, struct merge *t, struct verr *err)
{
	if (check_defined(m, t, err) == -1) {
		merge_free(t);
		return (-1);
	}
	merge_bind(t, (const char *const *)m->name, m->n_name,
	    m->opts.undefined == SUBMIT_UNDEFINED_EMPTY);
	return (0);
}

/* The template of a selection of parts. */
static int
template_chosen(struct submit_merge *m, const char *parts, struct merge **ret_t,
    struct verr *err)
{
	struct buf text = BUF_INIT;
	struct merge *t = NULL;
	int rc;

	*ret_t = map_get(&m->chosen, parts);
	if (*ret_t != NULL)
		return (0);
	rc = mergeparts_join(buf_str(&m->content), m->content.len,
	    buf_str(&m->lengths), parts, conf_global(m->s->conf)->host_name,
	    &text, err);
	if (rc == 0)
		rc = merge_parse(buf_str(&text), text.len, &t, err);
	if (rc == 0)
		rc = template_bind(m, t, err);
	if (rc == 0) {
		if (m->chosen.n >= MERGE_CHOSEN_MAX)
			map_release(&m->chosen, chosen_free);
		(void)map_put(&m->chosen, parts, t);
		*ret_t = t;
	}
	buf_release(&text);
	return (rc);
}

/* The template of a row; parts "": all of it. */
static int
row_template(struct submit_merge *m, const char *parts, struct merge **ret_t,
    struct verr *err)
{
	*ret_t = m->whole;
	if (m->lengths.len > 0)
		return (template_chosen(m, parts, ret_t, err));
	if (*parts != '\0' && strcmp(parts, "1") != 0)
		return (verr_set(err, VEX_DATA,
		    "*parts names a part that is not there"));
	return (0);
}

/* What is stored of a template in parts. */
static int
content_parts(struct submit_merge *m, struct verr *err)
{
	size_t before;
	unsigned int i;

	for (i = 0; i < m->n_part; i++) {
		before = m->content.len;
		if (mergeparts_store(buf_str(&m->part[i]), m->part[i].len,
			&m->content, err) == -1)
			return (-1);
		buf_addf(&m->lengths, "%s%zu", i > 0 ? "," : "",
		    m->content.len - before);
	}
	return (0);
}

/* The template is complete. */
static int
content_end(struct submit_merge *m, struct verr *err)
{
	if (m->n_part > 0)
		return (content_parts(m, err));
	if (mergeparts_message(buf_str(&m->raw), m->raw.len,
		conf_global(m->s->conf)->host_name, submit_max_size(m->s),
		&m->content, err) == -1)
		return (-1);
	return (merge_parse(m->content.p, m->content.len, &m->whole, err));
}

/* --- the columns ---------------------------------------------------------- */

/* Is a variable of this name in the template? Of one in parts: perhaps. */
static bool
column_used(const struct submit_merge *m, const char *name)
{
	size_t i;

	if (m->whole == NULL)
		return (true);
	for (i = 0; i < merge_vars(m->whole); i++)
		if (strcasecmp(merge_var(m->whole, i), name) == 0)
			return (true);
	return (false);
}

/* A column with a reserved name. */
static int
column_reserved(struct submit_merge *m, struct column *c, const char *name,
    struct verr *err)
{
	size_t i;

	c->reserved = merge_reserved(name, strlen(name));
	if (c->reserved == -1 || c->reserved == MERGE_TO ||
	    c->reserved == MERGE_DATE || c->reserved == MERGE_MSGID)
		return (verr_set(err, VEX_DATA, "no column can be named %.70s",
		    name));
	for (i = 0; &m->column[i] != c; i++)
		if (m->column[i].reserved == c->reserved)
			return (verr_set(err, VEX_DATA,
			    "two columns are named %s", name));
	return (0);
}

/* A column with the name of a variable. */
static int
column_variable(struct submit_merge *m, struct column *c, const char *name,
    const char *const *before, size_t n, struct verr *err)
{
	size_t i;

	if (!merge_name_valid(name, strlen(name)))
		return (verr_set(err, VEX_DATA, "no variable can be named "
						"'%.70s'",
		    name));
	for (i = 0; i < n; i++)
		if (strcasecmp(before[i], name) == 0)
			return (verr_set(err, VEX_DATA,
			    "two columns are named %s", name));
	if (!column_used(m, name))
		return (0);
	c->var = (int)m->n_name;
	vars_add(&m->names, m->n_name == 0, name, strlen(name));
	m->name[m->n_name++] = xstrdup(name);
	return (0);
}

int
submit_merge_columns(struct submit_merge *m, const char *const *name, size_t n,
    struct verr *err)
{
	size_t i;
	int rc = 0;

	if (submit_alive(m->s, err) == -1 || submit_merge_ok(m, err) == -1 ||
	    content_end(m, err) == -1)
		return (-1);
	m->column = xcalloc(n + 1, sizeof(*m->column));
	m->name = xcalloc(n + 1, sizeof(*m->name));
	m->value = xcalloc(n + 1, sizeof(*m->value));
	m->n_column = n;
	for (i = 0; i < n && rc == 0; i++) {
		m->column[i] = (struct column) { -1, -1 };
		rc = *name[i] == '*' ?
		    column_reserved(m, &m->column[i], name[i], err) :
		    column_variable(m, &m->column[i], name[i], name, i, err);
	}
	if (rc == -1 ||
	    (m->whole != NULL && check_defined(m, m->whole, err) == -1))
		return (-1);
	if (m->whole != NULL)
		merge_bind(m->whole, (const char *const *)m->name, m->n_name,
		    m->opts.undefined == SUBMIT_UNDEFINED_EMPTY);
	m->skip = m->s->seq < m->s->skip;
	if (id_new(m->s->sys, &m->id) == -1)
		return (verr_sys(err, "no random numbers"));
	return (0);
}

/* --- a row ---------------------------------------------------------------- */

/* What a row says of itself, or all of them do. */
struct rowenv {
	bool own;
	struct submit_env env;
	struct target target;
	struct addr from;
	size_t vmta, job, envid, parts; /* places in m->text */
};

/* A reserved value as text in m->text; its place. 0 or -1. */
static int
reserved_text(struct submit_merge *m, const struct merge_value *v,
    size_t *ret_at, struct verr *err)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		if ((unsigned char)v->p[i] < 0x20 || v->p[i] == 0x7f)
			return (verr_set(err, VEX_DATA, "control octet"));
	*ret_at = m->text.len;
	buf_add(&m->text, v->p, v->n);
	buf_addc(&m->text, '\0');
	return (0);
}

/* A number or a time. */
static int
reserved_number(const struct submit_merge *m, struct rowenv *e, int reserved,
    const char *text, struct verr *err)
{
	int64_t n;

	if (reserved == MERGE_SCHEDULE) {
		if (stamp_parse(text, m->now, &e->env.due) == -1)
			return (verr_set(err, VEX_DATA, "not a time"));
		return (0);
	}
	if (unit_int(text, &n) == -1 || n > 100)
		return (verr_set(err, VEX_DATA, "not 0 to 100"));
	e->env.prio = (int)n;
	return (0);
}

/* One reserved column that says something. */
static int
reserved_value(struct submit_merge *m, struct rowenv *e, int reserved,
    const struct merge_value *v, struct verr *err)
{
	size_t at = 0;

	if (reserved_text(m, v, &at, err) == -1)
		return (-1);
	e->own = true;
	switch (reserved) {
	case MERGE_FROM:
		e->env.from = &e->from;
		return (addr_parse(m->text.p + at, v->n, ADDR_SENDER, &e->from,
		    err));
	case MERGE_ENVID:
		e->envid = m->text.len;
		xtext_encode(v->p, v->n, &m->text);
		buf_addc(&m->text, '\0');
		return (0);
	case MERGE_JOBID:
		e->job = at;
		return (0);
	case MERGE_VMTA:
		e->vmta = at;
		return (0);
	case MERGE_PARTS:
		e->parts = at;
		return (0);
	default:
		return (reserved_number(m, e, reserved, m->text.p + at, err));
	}
}

/* What holds for a row. m->text begins with a NUL: place 0 is "". */
static int
row_env(struct submit_merge *m, const struct merge_value *value,
    struct rowenv *e, struct verr *err)
{
	static const char *const what[MERGE_NAMES] = { "*to", "*from", "*date",
		"*envid", "*jobid", "*vmta", "*parts", "*schedule",
		"*priority", "*msgid" };
	const struct column *c;
	size_t i;

	e->own = false;
	e->vmta = e->job = e->envid = e->parts = 0;
	e->env = m->opts.env;
	e->target = m->target;
	buf_clear(&m->text);
	buf_addc(&m->text, '\0');
	for (i = 0; i < m->n_column; i++) {
		c = &m->column[i];
		if (c->reserved == -1 || value[i].p == NULL || value[i].n == 0)
			continue;
		if (reserved_value(m, e, c->reserved, &value[i], err) == -1)
			return (verr_prefix(err, "%s", what[c->reserved]));
	}
	if (!e->own)
		return (0);
	if (e->vmta != 0)
		e->env.vmta = m->text.p + e->vmta;
	if (e->job != 0)
		e->env.job = m->text.p + e->job;
	if (e->envid != 0)
		e->env.envid = m->text.p + e->envid;
	return (submit_env_check(m->s, &e->env, &e->target, err));
}

/* The values of the variables, checked. 0 or -1. */
static int
row_values(struct submit_merge *m, const struct merge_value *value,
    struct verr *err)
{
	const struct column *c;
	size_t i;

	for (i = 0; i < m->n_column; i++) {
		c = &m->column[i];
		if (c->var == -1)
			continue;
		if (value[i].p != NULL && !esc_is_utf8(value[i].p, value[i].n))
			return (verr_set(err, VEX_DATA,
			    "the value of [%s] is not UTF-8", m->name[c->var]));
		m->value[c->var] = value[i];
	}
	return (0);
}

/* Texts that the reserved names of a row stand for. */
struct rowtext {
	char due[STAMP_ACCT_LEN + 1];
	char prio[16];
	struct buf envid, msgid;
};

/* The environment of a row, as delivery will have it (but the VirtualMTA). */
static void
row_merge_env(const struct submit_merge *m, const struct submit_rcpt *r,
    const struct rowenv *e, struct rowtext *t, struct merge_env *ret_env)
{
	const struct addr *from = e->env.from != NULL ? e->env.from :
							&m->s->self;
	const char *envid = e->env.envid != NULL ? e->env.envid : "";

	buf_clear(&t->envid);
	(void)xtext_decode(envid, strlen(envid), &t->envid);
	buf_clear(&t->msgid);
	buf_addf(&t->msgid, "%s.%lu", m->id.s, (unsigned long)m->index);
	(void)snprintf(t->prio, sizeof(t->prio), "%d",
	    e->env.prio == -1 ? SUBMIT_PRIO_DEFAULT : e->env.prio);
	*ret_env = (struct merge_env) {
		.to = r->smtp,
		.from = from->smtp,
		.date = m->date,
		.envid = buf_str(&t->envid),
		.jobid = e->env.job,
		.vmta = e->target.vmta != NULL ? e->target.vmta->name :
						 e->target.pool->name,
		.parts = m->text.p + e->parts,
		.schedule = e->own ?
		    stamp_acct(e->env.due > m->now ? e->env.due : m->now,
			t->due) :
		    m->due,
		.priority = t->prio,
		.msgid = t->msgid.p,
	};
}

/* Check a row, or (text not NULL) render it. */
static int
row_look(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct rowenv *e, struct buf *text,
    struct verr *err)
{
	struct rowtext t = { .prio = "" };
	struct merge_env env;
	struct merge *tpl;
	const char *name;
	size_t header;
	int rc;

	if (!spool_domain_valid(r->domain))
		return (verr_set(err, VEX_DATA, "bad recipient domain"));
	if (row_env(m, value, e, err) == -1 || row_values(m, value, err) == -1 ||
	    row_template(m, m->text.p + e->parts, &tpl, err) == -1)
		return (-1);
	name = m->opts.undefined == SUBMIT_UNDEFINED_ERROR ?
	    merge_undefined(tpl, m->value) :
	    NULL;
	if (name != NULL)
		return (verr_set(err, VEX_DATA, "[%s] is undefined", name));
	row_merge_env(m, r, e, &t, &env);
	rc = text != NULL ?
	    merge_render(tpl, &env, m->value, text, &header, err) :
	    merge_check(tpl, &env, m->value, err);
	buf_release(&t.envid);
	buf_release(&t.msgid);
	return (rc);
}

/* The hashes that rows are sorted by. */
static void
row_hash(struct submit_merge *m, const struct rowenv *e, struct row *row)
{
	char fold[ADDR_MAX + 1];
	const char *p;
	size_t i;

	for (i = 0; i < ADDR_MAX && row->rcpt[i] != '\0'; i++)
		fold[i] = row->rcpt[i] >= 'A' && row->rcpt[i] <= 'Z' ?
		    (char)(row->rcpt[i] + ('a' - 'A')) :
		    row->rcpt[i];
	row->addr = map_hash(fold, i);
	p = row->rcpt + row->domain;
	row->key = map_hash(p, strlen(p));
	row->msg = 0;
	if (!e->own)
		return;
	buf_clear(&m->vars);
	buf_addf(&m->vars, "%s\n%s\n%d\n%lld\n%s", row->target, row->job,
	    (int)row->prio, (long long)row->due, p);
	row->key = map_hash(m->vars.p, m->vars.len);
	buf_clear(&m->vars);
	buf_addf(&m->vars, "%s\n%s\n%s", row->sender, row->envid, row->parts);
	row->msg = map_hash(m->vars.p, m->vars.len);
}

/* Keep what delivery needs. */
static int
row_keep(struct submit_merge *m, const struct submit_rcpt *r,
    const struct rowenv *e, struct verr *err)
{
	const struct addr *from = e->env.from != NULL ? e->env.from :
							&m->s->self;
	struct row row = { .index = m->index,
		.own = e->own,
		.prio = (int8_t)(e->env.prio == -1 ? SUBMIT_PRIO_DEFAULT :
						     e->env.prio),
		.due = e->env.due > m->now ? e->env.due : 0,
		.domain = (uint16_t)(strlen(r->smtp) - strlen(r->domain)),
		.rcpt = r->smtp,
		.notify = r->notify != NULL ? r->notify : "",
		.orcpt = r->orcpt != NULL ? r->orcpt : "",
		.target = e->target.vmta != NULL ? e->target.vmta->name :
						   e->target.pool->name,
		.job = e->env.job != NULL ? e->env.job : "",
		.sender = from->smtp,
		.envid = e->env.envid != NULL ? e->env.envid : "",
		.parts = m->text.p + e->parts };
	size_t i;

	row_hash(m, e, &row);
	buf_clear(&m->vars);
	for (i = 0; i < m->n_name; i++)
		vars_add(&m->vars, i == 0, m->value[i].p, m->value[i].n);
	row.vars = buf_str(&m->vars);
	return (rows_add(m->rows, &row, err));
}

/* The first row needs the spool. 0 or -1. */
static int
merge_begin(struct submit_merge *m, struct verr *err)
{
	const struct conf_global *g = conf_global(m->s->conf);

	if (submit_alive(m->s, err) == -1)
		return (-1);
	if (m->rows != NULL)
		return (0);
	if (submit_spool(m->s, err) == -1 ||
	    spool_room(m->s->sp, (uint64_t)g->min_free_space,
		(uint64_t)g->min_free_inodes, err) == -1)
		return (submit_break(m->s, err));
	m->rows = rows_new(m->s->sp);
	return (0);
}

int
submit_merge_rcpt(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct verr *err)
{
	struct rowenv e;

	if (merge_begin(m, err) == -1)
		return (-1);
	if (m->index == UINT32_MAX)
		(void)verr_set(err, VEX_DATA, "too many recipients");
	else if (row_look(m, r, value, &e, NULL, err) == 0 &&
	    row_keep(m, r, &e, err) == 0) {
		m->index++;
		m->accepted++;
		return (0);
	}
	if (err->code != VEX_DATA)
		return (submit_break(m->s, err));
	m->index++;
	m->rejected++;
	return (-1);
}

void
submit_merge_pass(struct submit_merge *m)
{
	m->index++;
	m->rejected++;
}

int
submit_merge_preview(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct buf *ret_text, struct verr *err)
{
	struct rowenv e;

	return (row_look(m, r, value, &e, ret_text, err));
}

int
submit_merge_finish(struct submit_merge *m, struct verr *err)
{
	if (submit_alive(m->s, err) == -1)
		return (-1);
	if (m->accepted == 0)
		return (0);
	if (merge_write(m, err) == -1) {
		m->accepted = 0;
		return (submit_break(m->s, err));
	}
	m->accepted -= m->opts.dedupe ? m->duplicates : 0;
	m->done = true;
	m->s->seq++;
	if (m->s->durable != NULL)
		m->s->durable(m->s->durable_arg,
		    m->skip ? m->s->last_id : m->id.s, m->accepted);
	return (0);
}

uint64_t
submit_merge_accepted(const struct submit_merge *m)
{
	return (m->done ? m->accepted : 0);
}

uint64_t
submit_merge_rejected(const struct submit_merge *m)
{
	return (m->rejected);
}

uint64_t
submit_merge_duplicates(const struct submit_merge *m)
{
	return (m->duplicates);
}
