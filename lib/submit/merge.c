/*
 * A merge while it is submitted: the template, the columns, the end. Rows are
 * in merge_row.c.
 *
 * The template is the submission's present message, so that the source's
 * settings do to it what they do to others: control fields are obeyed and
 * taken out, Received are counted, fields are added, the rules look at its
 * header (as it is written: placeholders and all). Fields that are added
 * before it differ by target, perhaps: there is a content for each that is
 * needed.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "spool/batch.h"
#include "spool/vars.h"
#include "submit/header.h"
#include "submit/merge_impl.h"
#include "submit/rewrite.h"
#include "submit/unsub.h"

/* Selections of parts that are kept parsed. */
#define MERGE_CHOSEN_MAX 64

static char *
copy(const char *s)
{
	return (s != NULL ? xstrdup(s) : NULL);
}

/* Set a text that is ours. */
static void
replace(char **old, const char *s)
{
	char *text = copy(s);

	free(*old);
	*old = text;
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
	m->opts.env.schedule = m->schedule = copy(opts->env.schedule);
	if (opts->env.from != NULL) {
		m->from = *opts->env.from;
		m->opts.env.from = &m->from;
	}
	m->now = sys_now(s->sys);
	print_begin(&s->print);
	map_init(&m->chosen);
	map_init(&m->contents);
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
	if (m->begun)
		submit_drop(m->s);
	for (i = 0; i < m->n_part; i++)
		buf_release(&m->part[i]);
	for (i = 0; i < m->n_content; i++)
		buf_release(&m->content[i]);
	for (i = 0; i < m->n_name; i++)
		free(m->name[i]);
	merge_free(m->whole);
	map_release(&m->chosen, chosen_free);
	map_release(&m->contents, NULL);
	rows_free(m->rows);
	buf_release(&m->base);
	buf_release(&m->lengths);
	buf_release(&m->strip);
	buf_release(&m->names);
	buf_release(&m->text);
	buf_release(&m->vars);
	buf_release(&m->sender);
	free(m->part);
	free(m->content);
	free(m->column);
	free(m->name);
	free(m->value);
	free(m->vmta);
	free(m->job);
	free(m->envid);
	free(m->schedule);
	free(m);
}

int
submit_merge_ok(struct submit_merge *m, struct verr *err)
{
	if (!m->s->src.allow_mailmerge)
		return (verr_set(err, VEX_DATA, "source %s may not merge",
		    m->s->source));
	if (m->s->src.bcc.n > 0)
		return (verr_set(err, VEX_DATA,
		    "source %s has bcc, which merges do not serve",
		    m->s->source));
	return (submit_env_ok(m->s, &m->opts.env, err));
}

/* --- the template --------------------------------------------------------- */

/* Begin the message that is the template. 0 or -1. */
static int
template_begin(struct submit_merge *m, struct verr *err)
{
	struct submit *s = m->s;
	const char *host = conf_global(s->conf)->host_name;
	struct message_opts o = { .stray = MESSAGE_REFUSE,
		.dot_ends = s->dot_ends,
		.strip = s->strip,
		.max_size = submit_max_size(s) };

	submit_drop(s);
	if (submit_alive(s, err) == -1)
		return (-1);
	if (id_new(s->sys, &m->id) == -1) {
		(void)verr_sys(err, "no random numbers");
		return (submit_break(s, err));
	}
	s->id = m->id;
	(void)stamp_mail(m->now, s->date, sizeof(s->date));
	buf_clear(&s->msgid);
	buf_addf(&s->msgid, "<[*msgid]@%s>", host);
	m->how.host = s->src.add_message_id_header ? host : NULL;
	m->how.date = s->src.add_date_header;
	o.message_id = m->how.host != NULL ? s->msgid.p : NULL;
	o.date = m->how.date ? "[*date]" : NULL;
	message_init(&s->msg, &o);
	s->begun = m->begun = true;
	return (0);
}

int
submit_merge_data(struct submit_merge *m, const char *p, size_t n,
    struct verr *err)
{
	if (!m->begun && template_begin(m, err) == -1)
		return (-1);
	print_add(&m->s->print, p, n);
	return (message_feed(&m->s->msg, p, n, err));
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
	print_add(&m->s->print, &number, sizeof(number));
	print_add(&m->s->print, p, n);
	return (0);
}

/* The first part, alone in base, has the header: add what is templates'. */
static void
template_first(struct submit_merge *m)
{
	struct buf b = BUF_INIT;

	unsub_template(m->s, buf_str(&m->base),
	    message_header_len(buf_str(&m->base), m->base.len), &b);
	buf_add(&b, m->base.p, m->base.len);
	buf_release(&m->base);
	m->base = b;
}

/* What is stored of parts, and the message that all of them are. */
static int
template_parts(struct submit_merge *m, struct verr *err)
{
	const char *const *name;
	size_t before;
	unsigned int i;

	if (template_begin(m, err) == -1)
		return (-1);
	for (i = 0; i < m->n_part; i++) {
		before = m->base.len;
		if (mergeparts_store(buf_str(&m->part[i]), m->part[i].len,
			&m->base, err) == -1)
			return (-1);
		if (i == 0)
			template_first(m);
		buf_addf(&m->lengths, "%s%zu", i > 0 ? "," : "",
		    m->base.len - before);
	}
	for (name = m->s->strip; *name != NULL; name++)
		buf_addf(&m->strip, "%s%s", m->strip.len > 0 ? " " : "", *name);
	m->how.lengths = m->lengths.p;
	m->how.strip = buf_str(&m->strip);
	return (message_feed(&m->s->msg, buf_str(&m->base), m->base.len, err));
}

/* The template is complete: what its header says, and what is stored. */
static int
template_end(struct submit_merge *m, struct verr *err)
{
	struct submit *s = m->s;
	struct submit_env env;

	if (m->n_part > 0 ? template_parts(m, err) == -1 :
			    !m->begun && template_begin(m, err) == -1)
		return (-1);
	if (message_end(&s->msg, err) == -1 ||
	    header_control(s, &m->opts.env, &env, err) == -1)
		return (-1);
	replace(&m->job, env.job);
	replace(&m->envid, env.envid);
	replace(&m->schedule, env.schedule);
	m->opts.env.job = m->job;
	m->opts.env.envid = m->envid;
	m->opts.env.schedule = m->schedule;
	m->opts.env.due = env.due;
	(void)stamp_acct(env.due > m->now ? env.due : m->now, m->due);
	if (s->msg.text.len >= UINT32_MAX / 2)
		return (verr_set(err, VEX_DATA, "template over 2 GiB"));
	if (m->n_part > 0)
		return (0);
	m->how = (struct mergeparts) { .lengths = NULL };
	unsub_template(s, buf_str(&s->msg.text), s->msg.header_len, &m->base);
	buf_add(&m->base, buf_str(&s->msg.text), s->msg.text.len);
	return (merge_parse(buf_str(&m->base), m->base.len, &m->whole, err));
}

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

/* Give a parsed template its columns. 0 or -1. */
static int
template_bind(struct submit_merge *m, struct merge *t, struct verr *err)
{
	if (check_defined(m, t, err) == -1)
		return (-1);
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
	size_t fields;
	int rc;

	*ret_t = map_get(&m->chosen, parts);
	if (*ret_t != NULL)
		return (0);
	rc = mergeparts_join(buf_str(&m->base), m->base.len, &m->how, parts,
	    &text, &fields, err);
	if (rc == 0)
		rc = merge_parse(buf_str(&text), text.len, &t, err);
	if (rc == 0)
		rc = template_bind(m, t, err);
	if (rc == 0) {
		if (m->chosen.n >= MERGE_CHOSEN_MAX)
			map_release(&m->chosen, chosen_free);
		(void)map_put(&m->chosen, parts, t);
		*ret_t = t;
	} else {
		merge_free(t);
	}
	buf_release(&text);
	return (rc);
}

int
merge_template(struct submit_merge *m, const char *parts, struct merge **ret_t,
    struct verr *err)
{
	*ret_t = m->whole;
	if (m->n_part > 0)
		return (template_chosen(m, parts, ret_t, err));
	if (*parts != '\0')
		return (verr_set(err, VEX_DATA,
		    "*parts names a part that is not there"));
	return (0);
}

int
merge_content(struct submit_merge *m, const struct target *t, const char *job,
    size_t *ret_n, struct verr *err)
{
	/* only Feedback-ID tells jobs apart */
	bool by_job = *m->s->src.feedback_id != '\0' && job != NULL;
	struct submit_env env = m->opts.env;
	struct buf key = BUF_INIT, text = BUF_INIT;
	int rc = 0;

	buf_addf(&key, "%s\n%s", target_name(t), by_job ? job : "");
	*ret_n = (size_t)map_get(&m->contents, key.p);
	env.job = job;
	if (*ret_n == 0 && m->n_content == MERGE_CONTENTS)
		rc = verr_set(err, VEX_DATA,
		    "more than %d VirtualMTAs or jobs in one merge",
		    MERGE_CONTENTS);
	else if (*ret_n == 0 && rewrite_has_from(t))
		rc = verr_set(err, VEX_DATA,
		    "rewrite-list of %s changes From, which merges do not "
		    "serve",
		    target_name(t));
	else if (*ret_n == 0)
		rc = header_added(m->s, &env, t, &text, err);
	if (rc == 0 && *ret_n == 0) {
		m->fields = m->fields || text.len > 0;
		buf_add(&text, m->base.p, m->base.len);
		if (m->n_content == m->cap_content) {
			m->cap_content = m->cap_content * 2 + 4;
			m->content = xreallocarray(m->content, m->cap_content,
			    sizeof(*m->content));
		}
		m->content[m->n_content++] = text;
		buf_init(&text);
		*ret_n = m->n_content;
		(void)map_put(&m->contents, key.p, (void *)m->n_content);
	}
	(*ret_n)--;
	buf_release(&key);
	buf_release(&text);
	return (rc);
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
	if (c->reserved == -1 || c->reserved >= MERGE_NAMES ||
	    c->reserved == MERGE_TO || c->reserved == MERGE_DATE ||
	    c->reserved == MERGE_MSGID)
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
		return (verr_set(err, VEX_DATA,
		    "no variable can be named "
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
	    template_end(m, err) == -1 ||
	    submit_env_ok(m->s, &m->opts.env, err) == -1)
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
	if (rc == 0 && m->names.len > BATCH_VARS_MAX)
		rc = verr_set(err, VEX_DATA, "too many variables");
	if (rc == 0 && m->whole != NULL)
		rc = template_bind(m, m->whole, err);
	m->skip = m->s->seq < m->s->before.count;
	for (i = 0; i < n; i++)
		print_text(&m->s->print, name[i]);
	print_end(&m->s->print, true, NULL);
	return (rc);
}

/* --- the end -------------------------------------------------------------- */

int
submit_merge_finish(struct submit_merge *m, struct verr *err)
{
	if (submit_alive(m->s, err) == -1)
		return (-1);
	if (m->accepted == 0)
		return (0);
	submit_accept(m->s);
	if (submit_taken(m->s, err) == -1 || merge_write(m, err) == -1) {
		m->accepted = 0;
		return (submit_break(m->s, err));
	}
	m->accepted -= m->opts.dedupe ? m->duplicates : 0;
	m->done = true;
	if (m->s->durable != NULL)
		m->s->durable(m->s->durable_arg,
		    !m->skip				? m->id.s :
			m->s->seq == m->s->before.count ? m->s->before.msgid :
							  "-",
		    m->accepted);
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
submit_merge_suppressed(const struct submit_merge *m)
{
	return (m->suppressed);
}

uint64_t
submit_merge_duplicates(const struct submit_merge *m)
{
	return (m->duplicates);
}
