/*
 * The script of the sink: rules that answer, delay or hang up at a stage.
 *
 *	reply STAGE[:GLOB] [COND ...] CODE TEXT
 *	reply STAGE[:GLOB] [COND ...] raw TEXT
 *	delay STAGE[:GLOB] [COND ...] MILLISECONDS
 *	drop  STAGE[:GLOB] [COND ...] [after] [rst] [bytes=N]
 *
 * GLOB is matched, without regard to case, against the recipient (rcpt), the
 * sender (mail, data, bdat, body, dot), the name (ehlo, helo) or the source
 * address (greeting). COND is one of to=GLOB (local ADDRESS:PORT), from=GLOB
 * (source address), helo=GLOB; first=N, every=N, skip=N, prob=PERCENT; per-rcpt
 * (count for each argument apart); min-msgs=N (messages done on the
 * connection), min-conns=N (others open from this source), min-rcpts=N
 * (accepted in this transaction). The first rule of each kind that applies is
 * taken. In TEXT, `\n` begins another line of the reply, `\r`, `\t` and `\\`
 * are what C makes of them; a raw text is sent as it is.
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/unit.h"
#include "sink.h"

static const char *const stage_names[ST_N] = {
	[ST_GREETING] = "greeting",
	[ST_EHLO] = "ehlo",
	[ST_HELO] = "helo",
	[ST_MAIL] = "mail",
	[ST_RCPT] = "rcpt",
	[ST_DATA] = "data",
	[ST_BDAT] = "bdat",
	[ST_BODY] = "body",
	[ST_DOT] = "dot",
	[ST_RSET] = "rset",
	[ST_NOOP] = "noop",
	[ST_QUIT] = "quit",
	[ST_OTHER] = "other",
};

const char *
stage_name(enum stage st)
{
	return (stage_names[st]);
}

/* The stage of `name` or `name:glob`; -1: none. `connect` is `greeting`. */
static int
stage_find(const char *s, size_t n)
{
	int i;

	if (n == 7 && memcmp(s, "connect", 7) == 0)
		return (ST_GREETING);
	for (i = 0; i < ST_N; i++)
		if (strlen(stage_names[i]) == n &&
		    memcmp(stage_names[i], s, n) == 0)
			return (i);
	return (-1);
}

/* Take the next word off *p, or NULL. It is ended with NUL in place. */
static char *
next_word(char **p)
{
	char *w = *p + strspn(*p, " \t");

	if (*w == '\0')
		return (NULL);
	*p = w + strcspn(w, " \t");
	if (**p != '\0')
		*(*p)++ = '\0';
	return (w);
}

/* Set a glob or a number of r from `key=value`; false: it is no condition. */
static bool
cond_set(struct rule *r, const char *w)
{
	const struct {
		const char *key;
		char **glob;
		uint64_t *num;
	} conds[] = {
		{ "to=", &r->to, NULL },
		{ "from=", &r->from, NULL },
		{ "helo=", &r->helo, NULL },
		{ "first=", NULL, &r->first },
		{ "every=", NULL, &r->every },
		{ "skip=", NULL, &r->skip },
		{ "prob=", NULL, &r->prob },
		{ "min-msgs=", NULL, &r->min_msgs },
		{ "min-conns=", NULL, &r->min_conns },
		{ "min-rcpts=", NULL, &r->min_rcpts },
		{ "bytes=", NULL, &r->bytes },
	};
	size_t i, n;
	int64_t num;

	if (strcmp(w, "per-rcpt") == 0) {
		r->per_rcpt = true;
		return (true);
	}
	for (i = 0; i < sizeof(conds) / sizeof(conds[0]); i++) {
		n = strlen(conds[i].key);
		if (strncmp(w, conds[i].key, n) != 0)
			continue;
		if (conds[i].glob != NULL) {
			free(*conds[i].glob);
			*conds[i].glob = xstrdup(w + n);
			return (true);
		}
		if (unit_int(w + n, &num) == -1)
			return (false);
		*conds[i].num = (uint64_t)num;
		return (true);
	}
	return (false);
}

/* What a backslash and c stand for. */
static int
escape(int c)
{
	switch (c) {
	case 'n':
		return ('\n');
	case 'r':
		return ('\r');
	case 't':
		return ('\t');
	default:
		return (c);
	}
}

/* The text of a reply with its escapes resolved; caller frees. */
static char *
unescape(const char *p)
{
	struct buf b = BUF_INIT;

	for (; *p != '\0'; p++) {
		if (*p != '\\' || p[1] == '\0') {
			buf_addc(&b, *p);
			continue;
		}
		p++;
		buf_addc(&b, escape(*p));
	}
	return (buf_take(&b));
}

/* What follows the conditions; w is its first word (or NULL), p the rest. */
static int
rest_set(struct rule *r, char *w, char *p)
{
	int64_t n;

	switch (r->act) {
	case ACT_DELAY:
		if (w == NULL || unit_int(w, &r->ms) == -1)
			return (-1);
		return (next_word(&p) == NULL ? 0 : -1);
	case ACT_DROP:
		for (r->how = END_CLOSE; w != NULL; w = next_word(&p)) {
			if (strcmp(w, "after") == 0)
				r->after = true;
			else if (strcmp(w, "rst") == 0)
				r->how = END_RST;
			else if (!cond_set(r, w))
				return (-1);
		}
		return (0);
	case ACT_REPLY:
		if (w == NULL)
			return (-1);
		r->raw = strcmp(w, "raw") == 0;
		r->text = unescape(p + strspn(p, " \t"));
		if (r->raw) {
			r->code = 0;
			if (r->text[0] >= '2' && r->text[0] <= '5')
				r->code = (r->text[0] - '0') * 100;
			return (0);
		}
		if (unit_int(w, &n) == -1 || n < 200 || n > 599)
			return (-1);
		r->code = (int)n;
		return (0);
	}
	return (-1);
}

static void
rule_free_one(struct rule *r)
{
	free(r->glob);
	free(r->to);
	free(r->from);
	free(r->helo);
	free(r->text);
	map_release(&r->per, free);
	free(r);
}

int
rule_add(struct sink *s, enum action act, const char *text, struct verr *err)
{
	struct rule *r = xcalloc(1, sizeof(*r));
	char *copy = xstrdup(text), *p = copy, *w;
	int st = -1;

	r->act = act;
	w = next_word(&p);
	if (w != NULL)
		st = stage_find(w, strcspn(w, ":"));
	if (st == -1)
		goto bad;
	r->stage = (enum stage)st;
	if (strchr(w, ':') != NULL)
		r->glob = xstrdup(strchr(w, ':') + 1);
	for (w = next_word(&p); w != NULL && cond_set(r, w);)
		w = next_word(&p);
	if (rest_set(r, w, p) == -1)
		goto bad;
	s->exact = s->exact || r->min_conns > 0;
	*s->rules_end[st] = r;
	s->rules_end[st] = &r->next;
	free(copy);
	return (0);
bad:
	free(copy);
	rule_free_one(r);
	return (verr_set(err, VEX_USAGE, "not a rule: %s", text));
}

int
rule_file(struct sink *s, const char *path, struct verr *err)
{
	static const char *const verbs[] = { "reply ", "delay ", "drop " };
	struct buf b = BUF_INIT;
	char *p, *line;
	size_t i;
	int r;

	r = file_read(sys_real(), AT_FDCWD, path, 1 << 20, &b, err);
	if (r == -1)
		goto out;
	buf_addc(&b, '\n');
	for (p = b.p; r == 0 && (line = strsep(&p, "\n")) != NULL;) {
		line += strspn(line, " \t");
		if (*line == '#' || *line == '\0')
			continue;
		for (i = 0; i < 3; i++)
			if (strncmp(line, verbs[i], strlen(verbs[i])) == 0)
				break;
		if (i == 3)
			r = verr_set(err, VEX_USAGE, "not a rule: %s", line);
		else
			r = rule_add(s, (enum action)i, line + strlen(verbs[i]),
			    err);
	}
out:
	buf_release(&b);
	return (r);
}

/* A random number below 100, the same ones for the same seed. */
static uint64_t
percent(struct sink *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return (s->seed % 100);
}

static bool
glob_ok(const char *glob, const char *s)
{
	return (glob == NULL || fnmatch(glob, s, FNM_CASEFOLD) == 0);
}

/* Which time is this for the rule (and the argument)? 1 is the first. */
static uint64_t
rule_count(struct rule *r, const char *arg)
{
	uint64_t *n;

	if (!r->per_rcpt)
		return (++r->seen);
	n = map_get(&r->per, arg);
	if (n == NULL) {
		n = xcalloc(1, sizeof(*n));
		(void)map_put(&r->per, arg, n);
	}
	return (++*n);
}

/* Does the rule apply now? Counts the time where all else fits. */
static bool
rule_applies(struct sink *s, struct rule *r, struct conn *c, const char *arg)
{
	uint64_t n;

	if (!glob_ok(r->glob, arg) || !glob_ok(r->to, c->local->name) ||
	    !glob_ok(r->from, c->src->name) ||
	    !glob_ok(r->helo, buf_str(&c->helo)))
		return (false);
	if (c->msgs < r->min_msgs || c->src->now <= r->min_conns ||
	    c->t.nrcpt < r->min_rcpts)
		return (false);
	n = rule_count(r, arg);
	if (n <= r->skip)
		return (false);
	n -= r->skip;
	if (r->first > 0 && n > r->first)
		return (false);
	if (r->every > 0 && n % r->every != 0)
		return (false);
	return (r->prob == 0 || percent(s) < r->prob);
}

void
rule_judge(struct sink *s, struct conn *c, enum stage st, const char *arg,
    struct verdict *v)
{
	bool found[3] = { false, false, false };
	struct rule *r;

	found[ACT_REPLY] = v->code >= 400;
	for (r = s->rules[st]; r != NULL; r = r->next) {
		if (found[r->act] || !rule_applies(s, r, c, arg))
			continue;
		found[r->act] = true;
		switch (r->act) {
		case ACT_REPLY:
			v->code = r->code;
			v->text = r->text;
			v->raw = r->raw;
			break;
		case ACT_DELAY:
			v->delay += r->ms;
			break;
		case ACT_DROP:
			v->drop = r->how;
			v->after = r->after;
			break;
		}
	}
}

const struct rule *
rule_body(struct sink *s, struct conn *c)
{
	struct rule *r;

	for (r = s->rules[ST_BODY]; r != NULL; r = r->next)
		if (r->act == ACT_DROP &&
		    rule_applies(s, r, c, buf_str(&c->t.path)))
			return (r);
	return (NULL);
}

void
rule_free(struct sink *s)
{
	struct rule *r;
	int i;

	for (i = 0; i < ST_N; i++)
		while ((r = s->rules[i]) != NULL) {
			s->rules[i] = r->next;
			rule_free_one(r);
		}
}
