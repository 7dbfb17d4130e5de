/*
 * Placeholders. Text is looked at once: what is found becomes a list of
 * literals and variables, which rendering only copies; so nothing in a value
 * is ever taken for a placeholder.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/merge_int.h"

static bool
is_letter(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

bool
merge_name_valid(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || n > MERGE_NAME_MAX || !is_letter(p[0]))
		return (false);
	for (i = 1; i < n; i++)
		if (!is_letter(p[i]) && !is_digit(p[i]) && p[i] != '_')
			return (false);
	return (true);
}

/* The number of a variable, which is made when it is new. */
static int
var_number(struct merge *m, const char *p, size_t n, bool header)
{
	char key[MERGE_NAME_MAX + 2];
	struct mvar *v;
	size_t i;

	for (i = 0; i < n; i++)
		key[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
	key[n] = '\0';
	i = (size_t)map_get(&m->names, key);
	if (i == 0) {
		if (m->n_var == m->cap_var) {
			m->cap_var = m->cap_var > 0 ? m->cap_var * 2 : 8;
			m->var = xreallocarray(m->var, m->cap_var,
			    sizeof(*m->var));
		}
		v = &m->var[m->n_var++];
		*v = (struct mvar) { .name = xstrdup(key),
			.reserved = merge_reserved(key, n),
			.column = -1 };
		i = m->n_var;
		(void)map_put(&m->names, key, (void *)i);
	}
	m->var[i - 1].header = m->var[i - 1].header || header;
	return ((int)i - 1);
}

/* Append an item; literals that follow one another become one. */
static void
seq_add(struct mseq *s, const char *p, size_t n, int var)
{
	struct mitem *last = s->n > 0 ? &s->item[s->n - 1] : NULL;
	size_t at = s->text.len;

	if (n == 0)
		return;
	buf_add(&s->text, p, n);
	if (var == -1 && charset_8bit(p, n))
		s->high = true;
	if (var == -1 && last != NULL && last->var == -1) {
		last->n += n;
		return;
	}
	if (s->n == s->cap) {
		s->cap = s->cap > 0 ? s->cap * 2 : 4;
		s->item = xreallocarray(s->item, s->cap, sizeof(*s->item));
	}
	s->item[s->n++] = (struct mitem) { .off = at, .n = n, .var = var };
}

/* Octets of the placeholder at p, which is a bracket; 0: it is none. */
static size_t
placeholder(const char *p, const char *end)
{
	const char *name = p + 1, *q;

	if (name < end && *name == '*')
		name++;
	for (q = name;
	     q < end && (size_t)(q - name) <= MERGE_NAME_MAX && *q != ']';)
		q++;
	if (q == end || *q != ']' ||
	    !merge_name_valid(name, (size_t)(q - name)))
		return (0);
	return ((size_t)(q - p) + 1);
}

void
mseq_parse(struct merge *m, struct mseq *s, const char *p, size_t n,
    bool header)
{
	const char *start = p, *end = p + n, *q = p;
	size_t len;

	while ((q = memchr(q, '[', (size_t)(end - q))) != NULL) {
		/* `<![` begins a conditional comment */
		bool comment = q - start >= 2 && q[-1] == '!' && q[-2] == '<';

		if (!comment && q + 1 < end && q[1] == '[') {
			seq_add(s, p, (size_t)(q + 1 - p), -1);
			s->active = true;
			p = q += 2;
		} else if (!comment && (len = placeholder(q, end)) > 0) {
			seq_add(s, p, (size_t)(q - p), -1);
			seq_add(s, q, len,
			    var_number(m, q + 1, len - 2, header));
			s->active = s->vars = true;
			p = q += len;
		} else {
			q++;
		}
		if (q == end)
			break;
	}
	seq_add(s, p, (size_t)(end - p), -1);
}

void
mseq_literal(struct mseq *s, const char *p, size_t n)
{
	seq_add(s, p, n, -1);
}

void
mseq_release(struct mseq *s)
{
	buf_release(&s->text);
	free(s->item);
}

const char *
mitem_text(const struct merge *m, const struct mseq *s, const struct mitem *i,
    size_t *ret_n)
{
	const struct mval *v = i->var >= 0 ? &m->val[i->var] : NULL;

	if (v != NULL && v->p != NULL) {
		*ret_n = v->n;
		return (v->p);
	}
	*ret_n = i->n;
	return (s->text.p + i->off);
}

bool
mitem_high(const struct merge *m, const struct mitem *i)
{
	return (i->var >= 0 && m->val[i->var].p != NULL && m->val[i->var].high);
}

void
mseq_render(const struct merge *m, const struct mseq *s, struct buf *out)
{
	const char *p;
	size_t i, n;

	for (i = 0; i < s->n; i++) {
		p = mitem_text(m, s, &s->item[i], &n);
		buf_add(out, p, n);
	}
}
