/*
 * A row of a merge: what it says of itself, the rules, aliases, and a look at
 * it as delivery will look at it (its header is rendered, so what cannot be
 * sent is refused here). What is left is a line of values, and, where it
 * differs from what most rows have, who sends it and how.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/unit.h"
#include "mail/xtext.h"
#include "spool/batch.h"
#include "spool/vars.h"
#include "submit/alias.h"
#include "submit/header.h"
#include "submit/merge_impl.h"
#include "submit/rewrite.h"

/* What holds for a row. */
struct rowenv {
	bool own; /* the row says something of itself */
	struct submit_env env;
	struct target target;
	int prio;
	struct addr from, alias;
	const char *rcpt, *domain;
	const char *sender;			  /* with VERP */
	size_t vmta, job, envid, parts, schedule; /* places in m->text */
	size_t content;
};

/* Texts that the reserved names of a row stand for. */
struct rowtext {
	char due[STAMP_ACCT_LEN + 1];
	char prio[16];
	struct buf envid, msgid;
};

static const char *const reserved_text[MERGE_NAMES] = { "*to", "*from", "*date",
	"*envid", "*jobid", "*vmta", "*parts", "*schedule", "*priority",
	"*msgid" };

/* Append a reserved value to m->text; its place. 0 or -1. */
static int
reserved_add(struct submit_merge *m, const struct merge_value *v,
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

/* Windows, of this row alone. */
static int
reserved_windows(struct submit_merge *m, struct rowenv *e, size_t at,
    struct verr *err)
{
	struct buf text = BUF_INIT;
	const char *p = m->text.p + at;
	int rc;

	e->env.due = 0;
	rc = header_windows(m->s, p, strlen(p), &text, &e->env.due, err);
	e->schedule = m->text.len;
	buf_adds(&m->text, buf_str(&text));
	buf_addc(&m->text, '\0');
	buf_release(&text);
	return (rc);
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
		e->env.schedule = NULL; /* that of the others is not his */
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

	if (reserved_add(m, v, &at, err) == -1)
		return (-1);
	e->own = true;
	switch (reserved) {
	case MERGE_FROM:
		e->env.from = &e->from;
		return (submit_addr(m->s, m->text.p + at, v->n, ADDR_SENDER,
		    &e->from, err));
	case MERGE_ENVID:
		e->envid = m->text.len;
		xtext_encode(v->p, v->n, &m->text);
		buf_addc(&m->text, '\0');
		return (0);
	case MERGE_JOBID:
		e->job = m->text.len;
		buf_adds(&m->text, m->s->src.jobid_prefix);
		buf_add(&m->text, v->p, v->n);
		buf_addc(&m->text, '\0');
		return (0);
	case MERGE_VMTA:
		e->vmta = at;
		return (0);
	case MERGE_PARTS:
		e->parts = at;
		return (0);
	case MERGE_SCHEDULE:
		if (memchr(v->p, '/', v->n) != NULL)
			return (reserved_windows(m, e, at, err));
		return (reserved_number(m, e, reserved, m->text.p + at, err));
	default:
		return (reserved_number(m, e, reserved, m->text.p + at, err));
	}
}

/* What a row says of itself. m->text begins with a NUL: place 0 is "". */
static int
row_env(struct submit_merge *m, const struct merge_value *value,
    struct rowenv *e, struct verr *err)
{
	const struct column *c;
	size_t i;

	e->own = false;
	e->vmta = e->job = e->envid = e->parts = e->schedule = 0;
	e->env = m->opts.env;
	buf_clear(&m->text);
	buf_addc(&m->text, '\0');
	for (i = 0; i < m->n_column; i++) {
		c = &m->column[i];
		if (c->reserved == -1 || value[i].p == NULL || value[i].n == 0)
			continue;
		if (reserved_value(m, e, c->reserved, &value[i], err) == -1)
			return (verr_prefix(err, "%s",
			    reserved_text[c->reserved]));
	}
	if (e->job != 0)
		e->env.job = m->text.p + e->job;
	if (e->envid != 0)
		e->env.envid = m->text.p + e->envid;
	if (e->schedule != 0)
		e->env.schedule = m->text.p + e->schedule;
	return (e->own ? submit_env_ok(m->s, &e->env, err) : 0);
}

/* The sender of a row, without VERP. */
static const struct addr *
row_from(const struct submit_merge *m, const struct rowenv *e)
{
	return (e->env.from != NULL ? e->env.from : &m->s->self);
}

/* The VirtualMTA or pool, and the priority. */
static int
row_select(struct submit_merge *m, struct rowenv *e, struct verr *err)
{
	const struct message *t = &m->s->msg;
	bool usual = e->env.from == m->opts.env.from;
	const struct select_facts facts = {
		.from = row_from(m, e)->smtp,
		.named = m->opts.env.vmta,
		.header = { { buf_str(&t->text), t->header_len },
		    { buf_str(&t->aside), t->aside.len } },
	};
	struct select_choice c;

	if (!(usual && m->selecting) &&
	    selector_begin(m->s->sel, &facts, err) == -1)
		return (-1);
	m->selecting = usual;
	if (selector_rcpt(m->s->sel, e->rcpt, m->text.p + e->vmta, &c, err) ==
	    -1)
		return (-1);
	e->target = c.target;
	e->prio = e->env.prio != -1 ? e->env.prio :
	    c.prio != -1	    ? c.prio :
				      SUBMIT_PRIO_DEFAULT;
	return (0);
}

/* Who the recipient is in the end, and with which sender. */
static int
row_address(struct submit_merge *m, struct rowenv *e, struct verr *err)
{
	const struct addr *from = row_from(m, e);
	int rc;

	rc = alias_find(m->s->conf, e->rcpt, &e->alias, err);
	if (rc == -1)
		return (-1);
	if (rc == 1) {
		e->rcpt = e->alias.smtp;
		e->domain = addr_domain(&e->alias);
	}
	if (!spool_domain_valid(e->domain))
		return (verr_set(err, VEX_DATA, "bad recipient domain"));
	if (rewrite_sender(m->s, &e->env, &e->target, e->rcpt, &m->sender,
		&e->sender, err) == -1)
		return (-1);
	e->own = e->own || e->sender != from->smtp;
	return (0);
}

/* Which content it is of, and whether it is like most rows. */
static int
row_content(struct submit_merge *m, struct rowenv *e, struct verr *err)
{
	bool same = m->has_usual && e->target.vmta == m->target.vmta &&
	    e->target.pool == m->target.pool;

	if (same && e->job == 0)
		e->content = m->usual;
	else if (merge_content(m, &e->target, e->env.job, &e->content, err) ==
	    -1)
		return (-1);
	if (!e->own && !m->has_usual) {
		m->has_usual = true;
		m->target = e->target;
		m->prio = e->prio;
		m->usual = e->content;
	} else if (!same || e->prio != m->prio) {
		e->own = true;
	}
	return (0);
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

/* The environment of a row, as delivery will have it (but a pool's member). */
static void
row_merge_env(const struct submit_merge *m, const struct rowenv *e,
    struct rowtext *t, struct merge_env *ret_env)
{
	const char *envid = e->env.envid != NULL ? e->env.envid : "";

	(void)xtext_decode(envid, strlen(envid), &t->envid);
	buf_addf(&t->msgid, "%s.%lu", m->id.s, (unsigned long)m->index);
	(void)snprintf(t->prio, sizeof(t->prio), "%d", e->prio);
	*ret_env = (struct merge_env) {
		.to = e->rcpt,
		.from = e->sender,
		.date = m->s->date,
		.envid = buf_str(&t->envid),
		.jobid = e->env.job,
		.vmta = target_name(&e->target),
		.parts = m->text.p + e->parts,
		.schedule = e->own ?
		    stamp_acct(e->env.due > m->now ? e->env.due : m->now,
			t->due) :
		    m->due,
		.priority = t->prio,
		.msgid = t->msgid.p,
	};
}

/* Fields before the message, then the message. */
static int
row_render(struct submit_merge *m, const struct rowenv *e, struct merge *t,
    const struct merge_env *env, struct buf *text, struct verr *err)
{
	const struct buf *content = &m->content[e->content];
	size_t header;

	buf_add(text, content->p, content->len - m->base.len);
	return (merge_render(t, env, m->value, text, &header, err));
}

/* Check a row, or (text not NULL) render it. */
static int
row_look(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct rowenv *e, struct buf *text,
    struct verr *err)
{
	struct rowtext t = { .prio = "" };
	struct merge_env env;
	const char *name = NULL;
	struct merge *tpl;
	int rc;

	e->rcpt = r->smtp;
	e->domain = r->domain;
	if (row_env(m, value, e, err) == -1 ||
	    row_values(m, value, err) == -1 ||
	    merge_template(m, m->text.p + e->parts, &tpl, err) == -1 ||
	    row_select(m, e, err) == -1 || row_address(m, e, err) == -1 ||
	    row_content(m, e, err) == -1)
		return (-1);
	if (m->opts.undefined == SUBMIT_UNDEFINED_ERROR)
		name = merge_undefined(tpl, m->value);
	if (name != NULL)
		return (verr_set(err, VEX_DATA, "[%s] is undefined", name));
	row_merge_env(m, e, &t, &env);
	rc = text != NULL ? row_render(m, e, tpl, &env, text, err) :
			    merge_check(tpl, &env, m->value, err);
	buf_release(&t.envid);
	buf_release(&t.msgid);
	return (rc);
}

/* The hashes that rows are sorted by. */
static void
row_hash(struct submit_merge *m, struct row *row)
{
	char fold[ADDR_MAX + 1];
	const char *domain = row->rcpt + row->domain;

	submit_fold(row->rcpt, fold);
	row->addr = map_hash(fold, strlen(fold));
	row->key = map_hash(domain, strlen(domain));
	row->msg = 0;
	if (!row->own)
		return;
	buf_clear(&m->vars);
	buf_addf(&m->vars, "%s\n%s\n%d\n%lld\n%s\n%s", row->target, row->job,
	    (int)row->prio, (long long)row->due, row->schedule, domain);
	row->key = map_hash(m->vars.p, m->vars.len);
	buf_clear(&m->vars);
	buf_addf(&m->vars, "%lu\n%s\n%s\n%s", (unsigned long)row->content,
	    row->sender, row->envid, row->parts);
	row->msg = map_hash(m->vars.p, m->vars.len);
}

/* Does it wait for its release? */
static bool
row_held(const struct submit_merge *m, const char *smtp)
{
	char fold[ADDR_MAX + 1];

	if (!m->opts.env.hold || m->opts.env.seeds == NULL)
		return (m->opts.env.hold);
	submit_fold(smtp, fold);
	return (map_get(m->opts.env.seeds, fold) == NULL);
}

/* Keep what delivery needs. */
static int
row_keep(struct submit_merge *m, const struct submit_rcpt *r,
    const struct rowenv *e, struct verr *err)
{
	struct row row = { .index = m->index,
		.own = e->own,
		.held = row_held(m, e->rcpt),
		.prio = (uint8_t)e->prio,
		.content = (uint16_t)e->content,
		.due = e->env.due > m->now ? e->env.due : 0,
		.domain = (uint16_t)(strlen(e->rcpt) - strlen(e->domain)),
		.rcpt = e->rcpt,
		.notify = r->notify != NULL ? r->notify : "",
		.orcpt = r->orcpt != NULL ? r->orcpt : "",
		.target = target_name(&e->target),
		.job = e->env.job != NULL ? e->env.job : "",
		.sender = e->sender,
		.envid = e->env.envid != NULL ? e->env.envid : "",
		.parts = m->text.p + e->parts,
		.schedule = e->env.schedule != NULL ? e->env.schedule : "" };
	size_t i;
	int rc = submit_is_suppressed(m->s, e->rcpt, err);

	if (rc == -1)
		return (-1);
	row.suppressed = rc == 1;
	row_hash(m, &row);
	buf_clear(&m->vars);
	for (i = 0; i < m->n_name; i++)
		vars_add(&m->vars, i == 0, m->value[i].p, m->value[i].n);
	if (m->vars.len > BATCH_VARS_MAX)
		return (verr_set(err, VEX_DATA,
		    "its values take %zu octets, more than %u", m->vars.len,
		    BATCH_VARS_MAX));
	row.vars = buf_str(&m->vars);
	return (rows_add(m->rows, &row, err));
}

/* The first row needs the spool. 0 or -1. */
static int
rows_begin(struct submit_merge *m, struct verr *err)
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

/* A row as it was given. */
static void
row_print(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value)
{
	struct print *p = &m->s->print;
	size_t i;

	print_begin(p);
	print_text(p, r->smtp);
	print_text(p, r->notify);
	print_text(p, r->orcpt);
	for (i = 0; i < m->n_column; i++) {
		print_add(p, &value[i].n, sizeof(value[i].n));
		if (value[i].p != NULL)
			print_add(p, value[i].p, value[i].n);
		print_text(p, value[i].p != NULL ? "" : NULL);
	}
	print_end(p, true, NULL);
}

int
submit_merge_rcpt(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct verr *err)
{
	struct rowenv e;

	if (rows_begin(m, err) == -1)
		return (-1);
	if (m->index == UINT32_MAX)
		(void)verr_set(err, VEX_DATA, "too many recipients");
	else if (row_look(m, r, value, &e, NULL, err) == 0 &&
	    row_keep(m, r, &e, err) == 0) {
		row_print(m, r, value);
		m->index++;
		m->accepted++;
		return (0);
	}
	if (err->code != VEX_DATA)
		return (submit_break(m->s, err));
	submit_merge_pass(m);
	return (-1);
}

void
submit_merge_pass(struct submit_merge *m)
{
	m->index++;
	m->rejected++;
	submit_pass(m->s);
}

int
submit_merge_preview(struct submit_merge *m, const struct submit_rcpt *r,
    const struct merge_value *value, struct buf *ret_text, struct verr *err)
{
	struct rowenv e;

	return (row_look(m, r, value, &e, ret_text, err));
}
