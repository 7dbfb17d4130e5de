/*
 * Frames of libvmta-submit, each to its function of lib/submit.
 *
 * A message's errors wait for its `end`: so the library need not wait for an
 * answer to every recipient. What comes after the first error, up to the
 * `end`, is thrown away. A merge is begun when its settings are known, which
 * is when its first octets come.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "mail/esmtp.h"
#include "mail/xtext.h"
#include "submit/impl.h"
#include "submit/merge.h"
#include "submit/serve.h"

#define SERVE_FRAME_MAX (1u << 20) /* octets of a frame */
#define SERVE_LINE_MAX 40	   /* of its first line */
#define SERVE_COLUMN_MAX 1000
#define SERVE_TOLD_MAX 10000 /* refused recipients that are named */

/* A variable of the recipients of a merge. */
struct column {
	char *name;
	struct buf value;
	bool defined;
};

struct serve {
	struct submit *s;
	struct buf in, out;
	char id[ID_LEN + 1]; /* of what was accepted last */
	/* the message */
	enum { SERVE_IDLE, SERVE_PLAIN, SERVE_MERGE } kind;
	bool begun; /* its content has begun: nothing can be set */
	struct submit_env env;
	struct addr from;
	struct buf vmta, job, envid;
	bool header_rcpts;
	struct verr bad; /* code != 0: why it is refused */
	/* a merge */
	struct submit_merge_opts opts;
	struct submit_merge *m;
	struct column *column;
	size_t n_column;
	bool bound; /* the columns are known */
	struct buf refused;
	uint64_t told;
	uint64_t n_rcpt; /* rcptIndex of the next one */
	/* the recipient that is being told */
	bool rcpt;
	bool rcpt_bad;
	struct addr to;
	char notify[8];
	struct buf orcpt;
};

/* --- frames out ----------------------------------------------------------- */

static void
frame(struct buf *out, const char *key, const char *text, size_t n)
{
	buf_addf(out, "%s %zu\n", key, n);
	buf_add(out, text, n);
}

void
serve_fail(struct buf *out, const struct verr *err)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%d %s", err->code, err->text);
	frame(out, "error", buf_str(&b), b.len);
	buf_release(&b);
}

static void
serve_ok(struct serve *v, const char *text)
{
	frame(&v->out, "ok", text, strlen(text));
}

/* --- the message ---------------------------------------------------------- */

/* What was said of a recipient is forgotten. */
static void
rcpt_clear(struct serve *v)
{
	size_t i;

	v->rcpt = v->rcpt_bad = false;
	v->notify[0] = '\0';
	buf_clear(&v->orcpt);
	for (i = 0; i < v->n_column; i++)
		v->column[i].defined = false;
}

static void
columns_free(struct serve *v)
{
	size_t i;

	for (i = 0; i < v->n_column; i++) {
		free(v->column[i].name);
		buf_release(&v->column[i].value);
	}
	free(v->column);
	v->column = NULL;
	v->n_column = 0;
}

/* Forget the message. */
static void
serve_reset(struct serve *v)
{
	submit_drop(v->s);
	submit_merge_free(v->m);
	v->m = NULL;
	rcpt_clear(v);
	columns_free(v);
	buf_clear(&v->refused);
	buf_clear(&v->vmta);
	buf_clear(&v->job);
	buf_clear(&v->envid);
	v->kind = SERVE_IDLE;
	v->begun = v->header_rcpts = v->bound = false;
	v->told = v->n_rcpt = 0;
	v->env = (struct submit_env) { .prio = -1 };
	memset(&v->opts, 0, sizeof(v->opts));
	memset(&v->bad, 0, sizeof(v->bad));
}

/* A call that cannot be here: a bug of the program. */
static int
out_of_order(const char *what, struct verr *err)
{
	return (verr_set(err, VEX_USAGE, "%s: not now", what));
}

static int
serve_begin(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)text, (void)n;
	serve_reset(v);
	v->kind = SERVE_PLAIN;
	return (submit_begin(v->s, err));
}

static int
serve_merge(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)text, (void)n;
	serve_reset(v);
	v->kind = SERVE_MERGE;
	/* a merge takes no other messages into its commit */
	return (submit_finish(v->s, err));
}

/* The first octets of a merge: its settings are known. */
static int
merge_open(struct serve *v, struct verr *err)
{
	if (v->m != NULL)
		return (0);
	v->opts.env = v->env;
	v->m = submit_merge_new(v->s, &v->opts);
	return (submit_merge_ok(v->m, err));
}

static int
serve_data(struct serve *v, const char *text, size_t n, struct verr *err)
{
	v->begun = true;
	if (v->kind == SERVE_PLAIN)
		return (submit_data(v->s, text, n, err));
	if (v->bound)
		return (out_of_order("data after a recipient", err));
	if (merge_open(v, err) == -1)
		return (-1);
	return (submit_merge_data(v->m, text, n, err));
}

/* --- settings ------------------------------------------------------------- */

static int
set_from(struct serve *v, const char *value, struct verr *err)
{
	if (submit_addr(v->s, value, strlen(value), ADDR_SENDER, &v->from,
		err) == -1)
		return (-1);
	v->env.from = &v->from;
	return (0);
}

static int
set_vmta(struct serve *v, const char *value, struct verr *err)
{
	(void)err;
	buf_clear(&v->vmta);
	buf_adds(&v->vmta, value);
	v->env.vmta = buf_str(&v->vmta);
	return (0);
}

static int
set_job(struct serve *v, const char *value, struct verr *err)
{
	(void)err;
	buf_clear(&v->job);
	buf_adds(&v->job, value);
	v->env.job = buf_str(&v->job);
	return (0);
}

static int
set_envid(struct serve *v, const char *value, struct verr *err)
{
	(void)err;
	buf_clear(&v->envid);
	xtext_encode(value, strlen(value), &v->envid);
	v->env.envid = buf_str(&v->envid);
	return (0);
}

static int
set_ret(struct serve *v, const char *value, struct verr *err)
{
	if (strcmp(value, "full") != 0 && strcmp(value, "headers") != 0)
		return (verr_set(err, VEX_USAGE, "expected full or headers"));
	v->env.ret = *value == 'f' ? 'F' : 'H';
	return (0);
}

static int
set_priority(struct serve *v, const char *value, struct verr *err)
{
	int64_t n;

	if (unit_int(value, &n) == -1 || n > 100)
		return (verr_set(err, VEX_USAGE, "not a number from 0 to 100"));
	v->env.prio = (int)n;
	return (0);
}

static int
set_at(struct serve *v, const char *value, struct verr *err)
{
	if (stamp_parse(value, sys_now(v->s->sys), &v->env.due) == -1)
		return (verr_set(err, VEX_USAGE, "not a time"));
	return (0);
}

static int
set_bool(const char *value, bool *ret_b, struct verr *err)
{
	if (unit_bool(value, ret_b) == -1)
		return (verr_set(err, VEX_USAGE, "expected yes or no"));
	return (0);
}

static int
set_verp(struct serve *v, const char *value, struct verr *err)
{
	return (set_bool(value, &v->env.verp, err));
}

static int
set_hold(struct serve *v, const char *value, struct verr *err)
{
	return (set_bool(value, &v->env.hold, err));
}

static int
set_header_rcpts(struct serve *v, const char *value, struct verr *err)
{
	if (v->kind == SERVE_MERGE)
		return (out_of_order("a merge has recipients of its own", err));
	return (set_bool(value, &v->header_rcpts, err));
}

static int
set_undefined(struct serve *v, const char *value, struct verr *err)
{
	if (strcmp(value, "keep") != 0 && strcmp(value, "empty") != 0)
		return (verr_set(err, VEX_USAGE, "expected keep or empty"));
	v->opts.undefined = *value == 'k' ? SUBMIT_UNDEFINED_KEEP :
					    SUBMIT_UNDEFINED_EMPTY;
	return (0);
}

static int
set_dedupe(struct serve *v, const char *value, struct verr *err)
{
	return (set_bool(value, &v->opts.dedupe, err));
}

struct setting {
	const char *name;
	int (*fn)(struct serve *v, const char *value, struct verr *err);
};

static const struct setting message_settings[] = { { "from", set_from },
	{ "vmta", set_vmta }, { "job", set_job }, { "envid", set_envid },
	{ "ret", set_ret }, { "priority", set_priority }, { "at", set_at },
	{ "verp", set_verp }, { "hold", set_hold },
	{ "header-recipients", set_header_rcpts },
	{ "undefined", set_undefined }, { "dedupe", set_dedupe },
	{ NULL, NULL } };

/* NAME=VALUE by a table. */
static int
setting(struct serve *v, const struct setting *table, const char *text,
    struct verr *err)
{
	const char *eq = strchr(text, '=');
	size_t n = eq != NULL ? (size_t)(eq - text) : 0;

	for (; eq != NULL && table->name != NULL; table++)
		if (strlen(table->name) == n &&
		    memcmp(table->name, text, n) == 0) {
			if (table->fn(v, eq + 1, err) == 0)
				return (0);
			return (verr_prefix(err, "%s", table->name));
		}
	return (verr_set(err, VEX_USAGE, "no setting '%.40s'", text));
}

static int
serve_set(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)n;
	if (v->begun || v->rcpt)
		return (out_of_order("a setting after the content began", err));
	return (setting(v, message_settings, text, err));
}

/* --- recipients ----------------------------------------------------------- */

static int
rset_notify(struct serve *v, const char *value, struct verr *err)
{
	struct esmtp_rcpt param;
	struct buf b = BUF_INIT;
	int rc;

	if (strchr(value, ' ') != NULL)
		return (verr_set(err, VEX_USAGE, "a blank"));
	buf_addf(&b, " NOTIFY=%s", value);
	rc = esmtp_rcpt_parse(b.p, b.len, &param, err);
	buf_release(&b);
	if (rc == 0)
		(void)snprintf(v->notify, sizeof(v->notify), "%s",
		    param.notify);
	return (rc);
}

static int
rset_orcpt(struct serve *v, const char *value, struct verr *err)
{
	buf_clear(&v->orcpt);
	buf_adds(&v->orcpt, "rfc822;");
	xtext_encode(value, strlen(value), &v->orcpt);
	if (v->orcpt.len > XTEXT_ORCPT_MAX)
		return (verr_set(err, VEX_DATA, "over %d octets as xtext",
		    XTEXT_ORCPT_MAX));
	return (0);
}

static const struct setting rcpt_settings[] = { { "notify", rset_notify },
	{ "orcpt", rset_orcpt }, { NULL, NULL } };

static int
serve_rset(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)n;
	if (!v->rcpt)
		return (out_of_order("a recipient's setting", err));
	return (setting(v, rcpt_settings, text, err));
}

static int
serve_column(struct serve *v, const char *text, size_t n, struct verr *err)
{
	if (v->kind != SERVE_MERGE || v->bound)
		return (out_of_order("column", err));
	if (v->n_column == SERVE_COLUMN_MAX)
		return (verr_set(err, VEX_DATA, "more than %d variables",
		    SERVE_COLUMN_MAX));
	v->column = xreallocarray(v->column, v->n_column + 1,
	    sizeof(*v->column));
	v->column[v->n_column++] = (struct column) { .name = xstrndup(text, n),
		.value = BUF_INIT };
	return (0);
}

/* The template is complete; its variables get their names. */
static int
merge_ready(struct serve *v, struct verr *err)
{
	const char **name;
	size_t i;
	int rc;

	if (v->bound)
		return (0);
	if (merge_open(v, err) == -1)
		return (-1);
	v->bound = true;
	name = xcalloc(v->n_column + 1, sizeof(*name));
	for (i = 0; i < v->n_column; i++)
		name[i] = v->column[i].name;
	rc = submit_merge_columns(v->m, name, v->n_column, err);
	free(name);
	return (rc);
}

/* A recipient of a merge is left out, for that reason. */
static void
rcpt_refused(struct serve *v, const struct verr *why)
{
	struct buf b = BUF_INIT;

	v->rcpt_bad = true;
	if (v->told++ >= SERVE_TOLD_MAX)
		return;
	buf_addf(&b, "%" PRIu64 " %s", v->n_rcpt, why->text);
	frame(&v->refused, "refused", buf_str(&b), b.len);
	buf_release(&b);
}

static int
rcpt_merge(struct serve *v, const struct submit_rcpt *r, struct verr *err)
{
	struct merge_value *value;
	size_t i;
	int rc;

	value = xcalloc(v->n_column + 1, sizeof(*value));
	for (i = 0; i < v->n_column; i++)
		if (v->column[i].defined)
			value[i] = (struct merge_value) {
				buf_str(&v->column[i].value),
				v->column[i].value.len
			};
	rc = submit_merge_rcpt(v->m, r, value, err);
	free(value);
	if (rc == 0 || err->code != VEX_DATA)
		return (rc);
	rcpt_refused(v, err);
	return (0);
}

/* All has been said of the recipient: submit him. */
static int
rcpt_done(struct serve *v, struct verr *err)
{
	const struct submit_rcpt r = { .smtp = v->to.smtp,
		.domain = addr_domain(&v->to),
		.notify = v->notify,
		.orcpt = buf_str(&v->orcpt) };
	int rc = 0;

	if (!v->rcpt)
		return (0);
	if (v->kind == SERVE_PLAIN)
		rc = submit_rcpt(v->s, &r, err);
	else if (v->rcpt_bad)
		submit_merge_pass(v->m);
	else
		rc = rcpt_merge(v, &r, err);
	v->n_rcpt++;
	rcpt_clear(v);
	return (rc);
}

static int
serve_rcpt(struct serve *v, const char *text, size_t n, struct verr *err)
{
	struct verr why = VERR_INIT;
	struct buf b = BUF_INIT;

	if (rcpt_done(v, err) == -1 ||
	    (v->kind == SERVE_MERGE && merge_ready(v, err) == -1))
		return (-1);
	v->rcpt = true;
	if (submit_addr(v->s, text, n, ADDR_RCPT, &v->to, &why) == 0)
		return (0);
	esc_line(&b, text, n < 300 ? n : 300);
	(void)verr_prefix(&why, "recipient '%s'", buf_str(&b));
	buf_release(&b);
	if (v->kind == SERVE_MERGE) {
		rcpt_refused(v, &why);
		return (0);
	}
	*err = why;
	return (-1);
}

static int
serve_var(struct serve *v, const char *text, size_t n, struct verr *err)
{
	const char *eq = memchr(text, '=', n);
	size_t i, len = eq != NULL ? (size_t)(eq - text) : n;

	if (v->kind != SERVE_MERGE || !v->rcpt)
		return (out_of_order("a variable", err));
	for (i = 0; i < v->n_column; i++)
		if (strlen(v->column[i].name) == len &&
		    memcmp(v->column[i].name, text, len) == 0)
			break;
	if (i == v->n_column)
		return (verr_set(err, VEX_USAGE, "no column '%.*s'",
		    (int)(len < 80 ? len : 80), text));
	v->column[i].defined = eq != NULL;
	buf_clear(&v->column[i].value);
	if (eq != NULL)
		buf_add(&v->column[i].value, eq + 1, n - len - 1);
	return (0);
}

/* --- what is answered ----------------------------------------------------- */

/* The recipients that were left out, then the totals. */
static int
end_merge(struct serve *v, struct verr *err)
{
	char text[100];

	if (merge_ready(v, err) == -1 || submit_merge_finish(v->m, err) == -1)
		return (-1);
	buf_add(&v->out, buf_str(&v->refused), v->refused.len);
	if (submit_merge_accepted(v->m) == 0)
		return (verr_set(err, VEX_DATA,
		    v->n_rcpt == 0 ? "no recipients" :
				     "no recipient was accepted"));
	(void)snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %s",
	    submit_merge_accepted(v->m), submit_merge_rejected(v->m), v->id);
	serve_ok(v, text);
	return (0);
}

static int
end_plain(struct serve *v, struct verr *err)
{
	uint64_t n = v->n_rcpt;
	char text[100];

	if ((v->header_rcpts && submit_header_rcpts(v->s, err) == -1))
		return (-1);
	if (submit_end(v->s, &v->env, err) == -1)
		return (-1);
	(void)snprintf(text, sizeof(text), "%" PRIu64 " 0 %s", n,
	    submit_id(v->s));
	serve_ok(v, text);
	return (0);
}

static int
serve_end(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)text, (void)n;
	if (v->kind == SERVE_IDLE)
		return (out_of_order("end", err));
	if (v->bad.code != 0) {
		*err = v->bad;
		return (-1);
	}
	if (rcpt_done(v, err) == -1)
		return (-1);
	return (v->kind == SERVE_MERGE ? end_merge(v, err) : end_plain(v, err));
}

static int
serve_drop(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)text, (void)n, (void)err;
	serve_reset(v);
	return (0);
}

static int
serve_whole(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)text, (void)n, (void)err;
	submit_one_commit(v->s);
	return (0);
}

static int
serve_key(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)n;
	if (submit_key(v->s, text, err) == -1)
		return (-1);
	serve_ok(v, "");
	return (0);
}

static int
serve_commit(struct serve *v, const char *text, size_t n, struct verr *err)
{
	(void)text, (void)n;
	if (v->kind != SERVE_IDLE)
		return (out_of_order("commit inside a message", err));
	if (submit_finish(v->s, err) == -1)
		return (-1);
	serve_ok(v, "");
	return (0);
}

/* --- frames in ------------------------------------------------------------ */

/* Which frames there are. */
static const struct command {
	const char *key;
	int (*fn)(struct serve *v, const char *text, size_t n,
	    struct verr *err);
	bool part;   /* of a message: nothing more after an error */
	bool reply;  /* has one */
	bool octets; /* may hold NUL */
} commands[] = {
	{ "rcpt", serve_rcpt, true, false, false },
	{ "var", serve_var, true, false, true },
	{ "data", serve_data, true, false, true },
	{ "rset", serve_rset, true, false, false },
	{ "set", serve_set, true, false, false },
	{ "column", serve_column, true, false, false },
	{ "begin", serve_begin, false, false, false },
	{ "merge", serve_merge, false, false, false },
	{ "end", serve_end, false, true, false },
	{ "drop", serve_drop, false, false, false },
	{ "whole", serve_whole, false, false, false },
	{ "key", serve_key, false, true, false },
	{ "commit", serve_commit, false, true, false },
};

/* A whole frame. */
static void
serve_frame(struct serve *v, const struct command *c, const char *text,
    size_t n)
{
	struct verr err = VERR_INIT;
	int rc;

	if (c->part && v->bad.code != 0)
		return;
	if (c->part && v->kind == SERVE_IDLE)
		rc = out_of_order(c->key, &err);
	else if (!c->octets && memchr(text, '\0', n) != NULL)
		rc = verr_set(&err, VEX_DATA, "%s: NUL", c->key);
	else
		rc = c->fn(v, text, n, &err);
	if (rc == -1 && c->reply)
		serve_fail(&v->out, &err);
	else if (rc == -1)
		v->bad = err;
	if (c->fn == serve_end)
		serve_reset(v);
}

/* The command of a first line; *ret_n: octets that follow. NULL: none. */
static const struct command *
frame_head(const char *line, size_t n, size_t *ret_n)
{
	const char *sp = memchr(line, ' ', n);
	char digits[SERVE_LINE_MAX];
	size_t i, len;
	int64_t size;

	if (sp == NULL || n >= SERVE_LINE_MAX)
		return (NULL);
	len = (size_t)(sp - line);
	memcpy(digits, sp + 1, n - len - 1);
	digits[n - len - 1] = '\0';
	if (unit_int(digits, &size) == -1 || size > SERVE_FRAME_MAX)
		return (NULL);
	*ret_n = (size_t)size;
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strlen(commands[i].key) == len &&
		    memcmp(commands[i].key, line, len) == 0)
			return (&commands[i]);
	return (NULL);
}

/*
 * The frame that begins at *at, if all of it is here: 1, and *at is behind
 * it; 0: more has to come; -1: it is none.
 */
static int
frame_next(struct serve *v, size_t *at, struct buf *text, struct verr *err)
{
	const char *p = v->in.p + *at, *nl;
	size_t n = v->in.len - *at, size, head;
	const struct command *c;

	nl = memchr(p, '\n', n < SERVE_LINE_MAX ? n : SERVE_LINE_MAX);
	if (nl == NULL && n < SERVE_LINE_MAX)
		return (0);
	head = nl != NULL ? (size_t)(nl - p) : n;
	c = frame_head(p, head, &size);
	if (c == NULL)
		return (verr_set(err, VEX_DATA, "not a frame"));
	if (n - head - 1 < size)
		return (0);
	buf_clear(text);
	buf_add(text, nl + 1, size);
	serve_frame(v, c, buf_str(text), size);
	*at += head + 1 + size;
	return (1);
}

int
serve_feed(struct serve *v, const char *p, size_t n, struct verr *err)
{
	struct buf text = BUF_INIT;
	size_t at = 0;
	int rc = 1;

	buf_add(&v->in, p, n);
	while (rc == 1 && at < v->in.len)
		rc = frame_next(v, &at, &text, err);
	buf_consume(&v->in, at);
	buf_release(&text);
	return (rc == -1 ? -1 : 0);
}

/* --- the handle ----------------------------------------------------------- */

/* The id of what is durable now: of a merge, that is what was sent. */
static void
serve_durable(void *arg, const char *id, size_t rcpts)
{
	struct serve *v = arg;

	(void)rcpts;
	(void)snprintf(v->id, sizeof(v->id), "%s", id);
}

struct serve *
serve_new(struct submit *s)
{
	struct serve *v = xcalloc(1, sizeof(*v));

	v->s = s;
	submit_on_durable(s, serve_durable, v);
	serve_reset(v);
	serve_ok(v, "vmta-serve 1");
	return (v);
}

void
serve_free(struct serve *v)
{
	if (v == NULL)
		return;
	serve_reset(v);
	submit_on_durable(v->s, NULL, NULL);
	buf_release(&v->in);
	buf_release(&v->out);
	buf_release(&v->vmta);
	buf_release(&v->job);
	buf_release(&v->envid);
	buf_release(&v->refused);
	buf_release(&v->orcpt);
	free(v);
}

struct buf *
serve_replies(struct serve *v)
{
	return (&v->out);
}
