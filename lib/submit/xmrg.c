/*
 * XMRG: a merge whose list came before its template. What the transaction
 * gathered becomes a struct submit_merge, so that both ways obey one set of
 * rules: what a value may be, where it may land, who may merge.
 *
 * A commit of its own: what was accepted before it is made durable first, for
 * the spool always holds a beginning of the stream (submit ids count on it).
 */
#include <stdlib.h>

#include "base/mem.h"
#include "submit/impl.h"
#include "submit/merge.h"
#include "submit/xmrg.h"

struct submit_xmrg {
	struct submit *s;
	const struct xmrg *x;
	struct submit_merge *m;
	struct merge_value *value; /* one for each name */
	size_t n_rcpt;		   /* so far */
	uint64_t accepted;
};

/* The merge of a source that says how undefined variables are. */
static struct submit_merge *
merge_of(struct submit *s, const struct submit_env *env)
{
	const struct submit_merge_opts o = {
		.env = *env,
		.undefined = s->src.mailmerge_expands_undefined_variables ?
		    SUBMIT_UNDEFINED_EMPTY :
		    SUBMIT_UNDEFINED_KEEP,
	};

	return (submit_merge_new(s, &o));
}

int
submit_xmrg_ok(struct submit *s, const struct submit_env *env, struct verr *err)
{
	struct submit_merge *m = merge_of(s, env);
	int rc = submit_merge_ok(m, err);

	submit_merge_free(m);
	return (rc);
}

struct submit_xmrg *
submit_xmrg_new(struct submit *s, const struct submit_env *env,
    const struct xmrg *x)
{
	struct submit_xmrg *m = xcalloc(1, sizeof(*m));

	m->s = s;
	m->x = x;
	m->m = merge_of(s, env);
	return (m);
}

void
submit_xmrg_free(struct submit_xmrg *m)
{
	if (m == NULL)
		return;
	submit_merge_free(m->m);
	free(m->value);
	free(m);
}

/* The template: in one piece, unless recipients choose of its parts. */
static int
template_parts(struct submit_xmrg *m, struct verr *err)
{
	unsigned int i, n = xmrg_parts(m->x);
	const struct buf *text;
	int rc = 0;

	for (i = 1; i <= n && rc == 0; i++) {
		text = xmrg_text(m->x, i);
		rc = xmrg_chooses(m->x) ?
		    submit_merge_part(m->m, i, buf_str(text), text->len, err) :
		    submit_merge_data(m->m, buf_str(text), text->len, err);
	}
	return (rc);
}

int
submit_xmrg_begin(struct submit_xmrg *m, struct verr *err)
{
	const char *const *name;
	size_t n;

	if (submit_merge_ok(m->m, err) == -1 || template_parts(m, err) == -1)
		return (-1);
	name = xmrg_names(m->x, &n);
	m->value = xcalloc(n + 1, sizeof(*m->value));
	return (submit_merge_columns(m->m, name, n, err));
}

int
submit_xmrg_rcpt(struct submit_xmrg *m, const struct submit_rcpt *r,
    struct verr *err)
{
	xmrg_values(m->x, m->n_rcpt++, m->value);
	if (submit_merge_rcpt(m->m, r, m->value, err) == -1)
		return (-1);
	m->accepted++;
	return (0);
}

int
submit_xmrg_finish(struct submit_xmrg *m, struct verr *err)
{
	if (m->accepted == 0)
		return (0);
	if (submit_finish(m->s, err) == -1 ||
	    submit_merge_finish(m->m, err) == -1)
		return (-1);
	m->s->accepted++;
	m->s->suppressed += submit_merge_suppressed(m->m);
	return (0);
}

uint64_t
submit_xmrg_rejected(const struct submit_xmrg *m)
{
	return (submit_merge_rejected(m->m));
}
