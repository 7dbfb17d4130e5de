/*
 * What a merge transaction gathers, in memory: names once, definitions one
 * after the other, and of each recipient which of them are his.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "base/mem.h"
#include "mail/mergeparts.h"
#include "mail/xmrg.h"

/* A variable's value. */
struct xmrg_def {
	size_t name; /* its number */
	size_t at;   /* in the text */
	size_t n;
};

/* The definitions of a recipient: from, up to and without to. */
struct xmrg_range {
	size_t from, to;
};

struct xmrg {
	char **name;
	size_t n_name, cap_name;
	struct map names; /* in lower case -> number + 1 */
	struct buf text;  /* of values */
	struct xmrg_def *def;
	size_t n_def, cap_def;
	struct xmrg_range now; /* for the next recipient */
	bool used;	       /* one has them already */
	struct xmrg_range *rcpt;
	size_t n_rcpt, cap_rcpt;
	bool chooses;
	struct buf part[MERGEPARTS_MAX];
	bool given[MERGEPARTS_MAX];
	unsigned int n_part;
	unsigned int at; /* number of the part that is read; 0: none */
	bool last;
	size_t size;
};

struct xmrg *
xmrg_new(void)
{
	return (xcalloc(1, sizeof(struct xmrg)));
}

void
xmrg_reset(struct xmrg *x)
{
	unsigned int i;
	size_t k;

	for (k = 0; k < x->n_name; k++)
		free(x->name[k]);
	map_release(&x->names, NULL);
	buf_clear(&x->text);
	for (i = 0; i < x->n_part; i++) {
		buf_release(&x->part[i]);
		x->given[i] = false;
	}
	x->n_name = x->n_def = x->n_rcpt = x->size = 0;
	x->n_part = x->at = 0;
	x->now = (struct xmrg_range) { 0, 0 };
	x->used = x->chooses = x->last = false;
}

void
xmrg_free(struct xmrg *x)
{
	if (x == NULL)
		return;
	xmrg_reset(x);
	buf_release(&x->text);
	free(x->name);
	free(x->def);
	free(x->rcpt);
	free(x);
}

/* --- variables ------------------------------------------------------------ */

/* May XDFN define it? */
static bool
name_ok(const char *p, size_t n)
{
	if (n == 0 || *p != '*')
		return (merge_name_valid(p, n));
	switch (merge_reserved(p, n)) {
	case -1:
	case MERGE_TO:
	case MERGE_DATE:
	case MERGE_MSGID:
		return (false);
	default:
		return (true);
	}
}

/* The number of a name that is right, in any case; a new one is added. */
static int
name_number(struct xmrg *x, const char *p, size_t n, size_t *ret_i,
    struct verr *err)
{
	char fold[MERGE_NAME_MAX + 2];
	size_t i;
	void *v;

	for (i = 0; i < n && i < sizeof(fold) - 1; i++)
		fold[i] = p[i] >= 'A' && p[i] <= 'Z' ?
		    (char)(p[i] + ('a' - 'A')) :
		    p[i];
	fold[i] = '\0';
	if ((v = map_get(&x->names, fold)) != NULL) {
		*ret_i = (size_t)v - 1;
		return (0);
	}
	if (x->n_name == XMRG_NAMES_MAX)
		return (verr_set(err, VEX_DATA, "more than %d variables",
		    XMRG_NAMES_MAX));
	if (x->n_name == x->cap_name) {
		x->cap_name = x->cap_name * 2 + 16;
		x->name = xreallocarray(x->name, x->cap_name, sizeof(*x->name));
	}
	*ret_i = x->n_name;
	x->name[x->n_name++] = xstrdup(fold);
	(void)map_put(&x->names, fold, (void *)x->n_name);
	return (0);
}

/* The value at *p, which is moved behind it, to the text. 0 or -1. */
static int
value_add(struct xmrg *x, const char **p, const char *end, struct verr *err)
{
	const char *at = *p;

	if (at == end || *at != '"') {
		for (; at < end && *at != ' ' && *at != '\t'; at++)
			if (*at == '"')
				return (verr_set(err, VEX_DATA,
				    "XDFN: a quote inside of a value"));
		buf_add(&x->text, *p, (size_t)(at - *p));
		*p = at;
		return (0);
	}
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\' && at + 1 < end &&
		    (at[1] == '"' || at[1] == '\\'))
			at++;
		buf_addc(&x->text, (unsigned char)*at);
	}
	if (at == end)
		return (verr_set(err, VEX_DATA, "XDFN: a quote is not closed"));
	*p = at + 1;
	return (0);
}

/* One definition. */
static int
define_one(struct xmrg *x, const char **p, const char *end, struct verr *err)
{
	const char *eq = memchr(*p, '=', (size_t)(end - *p));
	size_t n = (size_t)((eq != NULL ? eq : end) - *p), number = 0;
	size_t at = x->text.len;

	if (eq == NULL)
		return (verr_set(err, VEX_DATA, "XDFN: NAME=\"VALUE\""));
	if (!name_ok(*p, n))
		return (verr_set(err, VEX_DATA,
		    "XDFN: no variable can be named '%.*s'",
		    n > 70 ? 70 : (int)n, *p));
	if (name_number(x, *p, n, &number, err) == -1)
		return (-1);
	*p = eq + 1;
	if (value_add(x, p, end, err) == -1)
		return (-1);
	if (*p < end && **p != ' ' && **p != '\t')
		return (verr_set(err, VEX_DATA,
		    "XDFN: no blank between definitions"));
	if (x->n_def == x->cap_def) {
		x->cap_def = x->cap_def * 2 + 64;
		x->def = xreallocarray(x->def, x->cap_def, sizeof(*x->def));
	}
	x->def[x->n_def++] = (struct xmrg_def) { number, at, x->text.len - at };
	x->now.to = x->n_def;
	if (strcmp(x->name[number], "*parts") == 0 && x->text.len > at)
		x->chooses = true;
	return (0);
}

int
xmrg_define(struct xmrg *x, const char *p, size_t n, struct verr *err)
{
	const char *end = p + n;

	if (x->used)
		x->now = (struct xmrg_range) { x->n_def, x->n_def };
	x->used = false;
	for (;;) {
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (p == end)
			return (0);
		if (x->text.len + n + x->n_def * sizeof(*x->def) >
		    XMRG_TEXT_MAX)
			return (verr_set(err, VEX_DATA,
			    "more than %u octets of values in a transaction",
			    XMRG_TEXT_MAX));
		if (define_one(x, &p, end, err) == -1)
			return (-1);
	}
}

void
xmrg_rcpt(struct xmrg *x)
{
	if (x->n_rcpt == x->cap_rcpt) {
		x->cap_rcpt = x->cap_rcpt * 2 + 16;
		x->rcpt = xreallocarray(x->rcpt, x->cap_rcpt, sizeof(*x->rcpt));
	}
	x->rcpt[x->n_rcpt++] = x->now;
	x->used = true;
}

void
xmrg_pass(struct xmrg *x)
{
	x->used = true;
}

const char *const *
xmrg_names(const struct xmrg *x, size_t *ret_n)
{
	*ret_n = x->n_name;
	return ((const char *const *)x->name);
}

void
xmrg_values(const struct xmrg *x, size_t i, struct merge_value *ret_value)
{
	const struct xmrg_def *d;
	size_t k;

	for (k = 0; k < x->n_name; k++)
		ret_value[k] = (struct merge_value) { NULL, 0 };
	for (k = x->rcpt[i].from; k < x->rcpt[i].to; k++) {
		d = &x->def[k];
		ret_value[d->name] = (struct merge_value) {
			buf_str(&x->text) + d->at, d->n
		};
	}
}

bool
xmrg_chooses(const struct xmrg *x)
{
	return (x->chooses);
}

/* --- parts ---------------------------------------------------------------- */

/* Skip the blanks at *p. */
static void
skip_blanks(const char **p, const char *end)
{
	while (*p < end && (**p == ' ' || **p == '\t'))
		(*p)++;
}

/* Is it this word, and nothing behind it? */
static bool
is_word(const char *p, const char *end, const char *word)
{
	size_t n = strlen(word);

	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return ((size_t)(end - p) == n && strncasecmp(p, word, n) == 0);
}

int
xmrg_ack(const char *p, size_t n, bool *ret_on)
{
	const char *end = p + n;

	skip_blanks(&p, end);
	*ret_on = is_word(p, end, "ON");
	return (*ret_on || is_word(p, end, "OFF") ? 0 : -1);
}

bool
xmrg_says_last(const char *p, size_t n)
{
	const char *end = p + n;

	skip_blanks(&p, end);
	while (p < end && *p != ' ' && *p != '\t')
		p++;
	skip_blanks(&p, end);
	return (is_word(p, end, "LAST"));
}

/* Are all parts before the last one there? */
static int
parts_complete(const struct xmrg *x, struct verr *err)
{
	unsigned int i;

	for (i = 0; i < x->n_part; i++)
		if (!x->given[i])
			return (verr_set(err, VEX_DATA,
			    "XPRT: part %u is missing", i + 1));
	return (0);
}

int
xmrg_part(struct xmrg *x, const char *p, size_t n, struct verr *err)
{
	const char *end = p + n, *start;
	unsigned int k = 0;

	x->last = xmrg_says_last(p, n);
	skip_blanks(&p, end);
	for (start = p; p < end && *p >= '0' && *p <= '9' && p - start < 4; p++)
		k = k * 10 + (unsigned int)(*p - '0');
	if (p == start || k < 1 || k > MERGEPARTS_MAX ||
	    (p < end && *p != ' ' && *p != '\t'))
		return (verr_set(err, VEX_DATA,
		    "XPRT: a number from 1 to %d, then perhaps LAST",
		    MERGEPARTS_MAX));
	skip_blanks(&p, end);
	if (p < end && !x->last)
		return (verr_set(err, VEX_DATA,
		    "XPRT: only LAST can follow the number"));
	if (x->given[k - 1])
		return (verr_set(err, VEX_DATA, "XPRT: part %u again", k));
	x->given[k - 1] = true;
	x->at = k;
	if (k > x->n_part)
		x->n_part = k;
	return (x->last ? parts_complete(x, err) : 0);
}

void
xmrg_data(struct xmrg *x, const char *p, size_t n)
{
	buf_add(&x->part[x->at - 1], p, n);
	x->size += n;
}

bool
xmrg_begun(const struct xmrg *x)
{
	return (x->at != 0);
}

bool
xmrg_last(const struct xmrg *x)
{
	return (x->last);
}

size_t
xmrg_size(const struct xmrg *x)
{
	return (x->size);
}

unsigned int
xmrg_parts(const struct xmrg *x)
{
	return (x->n_part);
}

const struct buf *
xmrg_text(const struct xmrg *x, unsigned int i)
{
	return (&x->part[i - 1]);
}
