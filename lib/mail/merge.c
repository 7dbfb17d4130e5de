/*
 * Mail merge: a template as fields of its header (merge_head.c), text parts
 * (merge_text.c), and everything between them, which is copied byte for byte:
 * attachments, images, whole messages inside, what is signed or encrypted.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "mail/merge_int.h"
#include "mail/message.h"
#include "mail/reenc.h"

static const char *const reserved_names[MERGE_NAMES] = { "*to", "*from",
	"*date", "*envid", "*jobid", "*vmta", "*parts", "*schedule",
	"*priority", "*msgid" };

/* Where an entity stands. */
struct place {
	const struct place *up; /* NULL: the message itself */
	struct buf boundary;	/* of this multipart, with its hyphens */
	bool says7;		/* its header says 7bit */
	bool digest;
	int depth;
};

#define URL_SUFFIX "_url"

int
merge_reserved(const char *p, size_t n)
{
	size_t i, len;

	for (i = 0; i < MERGE_NAMES; i++) {
		len = strlen(reserved_names[i]);
		if (n < len || strncasecmp(reserved_names[i], p, len) != 0)
			continue;
		if (n == len)
			return ((int)i);
		if (n == len + strlen(URL_SUFFIX) &&
		    strncasecmp(URL_SUFFIX, p + len, n - len) == 0)
			return ((int)(i + MERGE_NAMES));
	}
	return (-1);
}

void
merge_url(const char *text, struct buf *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";

	for (; *text != '\0'; text++)
		if (strchr(plain, *text) != NULL)
			buf_addc(out, *text);
		else
			buf_addf(out, "%%%02X", (unsigned char)*text);
}

/* The value of a reserved name. */
static const char *
env_value(const struct merge_env *e, struct mvar *var)
{
	int reserved = var->reserved % MERGE_NAMES;
	const char *const v[MERGE_NAMES] = { e->to, e->from, e->date, e->envid,
		e->jobid, e->vmta, e->parts, e->schedule, e->priority,
		e->msgid };

	if (v[reserved] == NULL)
		return ("");
	if (reserved == var->reserved)
		return (v[reserved]);
	buf_clear(&var->url);
	merge_url(v[reserved], &var->url);
	return (buf_str(&var->url));
}

/* One more chunk; verbatim ones that follow one another become one. */
static void
chunk_add(struct merge *m, size_t off, size_t n, struct mtext *x)
{
	struct mchunk *last = m->n_chunk > 0 ? &m->chunk[m->n_chunk - 1] : NULL;

	if (x == NULL && last != NULL && last->text == NULL) {
		last->n += n;
		return;
	}
	m->chunk = xreallocarray(m->chunk, m->n_chunk + 1, sizeof(*m->chunk));
	m->chunk[m->n_chunk++] = (struct mchunk) { off, n, x };
}

/* Copy [p, p + n) as it is. */
static void
verbatim(struct merge *m, const char *p, size_t n)
{
	if (n > 0)
		chunk_add(m, (size_t)(p - m->text.p), n, NULL);
}

/* The boundaries around x. */
static void
text_boundaries(struct mtext *x, const struct place *at)
{
	for (; at != NULL; at = at->up) {
		x->boundary = xreallocarray(x->boundary, x->n_boundary + 1,
		    sizeof(*x->boundary));
		buf_init(&x->boundary[x->n_boundary]);
		buf_add(&x->boundary[x->n_boundary++], at->boundary.p,
		    at->boundary.len);
		x->strict7 = x->strict7 || at->says7;
	}
}

/* A text: header at p, then its body. 0 or -1. */
static int
text_entity(struct merge *m, const char *p, size_t hlen, size_t n,
    const struct mime *mime, const struct place *at, struct verr *err)
{
	struct mtext *x = xcalloc(1, sizeof(*x));
	int rc;

	x->top = at == NULL;
	x->head_off = (size_t)(p - m->text.p);
	x->head = hlen;
	x->cte = mime->cte == MIME_BINARY ? MIME_8BIT : mime->cte;
	x->charset = mime->charset.len > 0 ?
	    charset_open(mime->charset.p, mime->charset.len) :
	    charset_open("us-ascii", 8);
	text_boundaries(x, at);
	rc = mtext_parse(m, x, p + hlen, n - hlen, err);
	if (rc == 0) {
		chunk_add(m, 0, 0, x);
		return (0);
	}
	mtext_free(x);
	if (rc == 1 && at == NULL)
		verbatim(m, p + hlen, n - hlen);
	else if (rc == 1)
		verbatim(m, p, n);
	return (rc == 1 ? 0 : -1);
}

static int entity(struct merge *m, const char *p, size_t n,
    const struct place *at, struct verr *err);

/* The parts of a multipart body from p to end. */
static int
multipart(struct merge *m, const char *p, const char *end,
    const struct place *here, struct verr *err)
{
	struct mime_delim d, next;
	const char *stop;
	bool more;

	more = mime_delim(p, end, &here->boundary, &d);
	while (more && !d.closing) {
		verbatim(m, p, (size_t)(d.next - p));
		more = mime_delim(d.next, end, &here->boundary, &next);
		stop = more ? next.line : end;
		if (more && stop - d.next >= 2)
			stop -= 2; /* its CRLF is the delimiter's */
		if (entity(m, d.next, (size_t)(stop - d.next), here, err) == -1)
			return (-1);
		p = stop;
		d = next;
	}
	verbatim(m, p, (size_t)(end - p));
	return (0);
}

/* A multipart that may be looked into. */
static int
container(struct merge *m, const char *p, size_t hlen, size_t n,
    const struct mime *mime, const struct place *at, struct verr *err)
{
	struct place here = { .up = at,
		.says7 = mime->has_cte && mime->cte == MIME_7BIT,
		.digest = mime_is(mime, "multipart", "digest"),
		.depth = at != NULL ? at->depth + 1 : 1 };
	int rc;

	if (at != NULL)
		verbatim(m, p, hlen);
	buf_adds(&here.boundary, "--");
	buf_add(&here.boundary, mime->boundary.p, mime->boundary.len);
	rc = multipart(m, p + hlen, p + n, &here, err);
	buf_release(&here.boundary);
	return (rc);
}

/* A message (at NULL: its header is another's business) or a part. */
static int
entity(struct merge *m, const char *p, size_t n, const struct place *at,
    struct verr *err)
{
	size_t hlen = message_header_len(p, n);
	struct mime mime;
	int rc = 0;

	if (++m->n_entity > REENC_PARTS ||
	    (at != NULL && at->depth > REENC_DEPTH))
		return (verr_set(err, VEX_DATA,
		    "over %d levels or %d parts of MIME", REENC_DEPTH,
		    REENC_PARTS));
	mime_parse(p, hlen, at != NULL && at->digest, &mime);
	if (mime_is(&mime, "multipart", NULL) && mime.boundary.len > 0 &&
	    mime.cte <= MIME_BINARY && !mime_is(&mime, "multipart", "signed") &&
	    !mime_is(&mime, "multipart", "encrypted"))
		rc = container(m, p, hlen, n, &mime, at, err);
	else if (mime_is(&mime, "text", NULL) && !mime.attachment)
		rc = text_entity(m, p, hlen, n, &mime, at, err);
	else if (at == NULL)
		verbatim(m, p + hlen, n - hlen);
	else
		verbatim(m, p, n);
	mime_release(&mime);
	return (rc);
}

/* What follows from the variables. */
static void
merge_finish(struct merge *m)
{
	size_t i;

	m->val = xcalloc(m->n_var + 1, sizeof(*m->val));
	m->user = xcalloc(m->n_var + 1, sizeof(*m->user));
	for (i = 0; i < m->n_var; i++)
		if (m->var[i].reserved == -1)
			m->user[m->n_user++] = i;
}

int
merge_parse(const char *p, size_t n, struct merge **ret_m, struct verr *err)
{
	struct merge *m = xcalloc(1, sizeof(*m));
	int rc;

	map_init(&m->names);
	buf_add(&m->text, p, n);
	m->header = message_header_len(m->text.p, n);
	rc = mhead_parse(m, err);
	if (rc == 0)
		rc = entity(m, m->text.p, n, NULL, err);
	if (rc == -1) {
		merge_free(m);
		return (-1);
	}
	merge_finish(m);
	*ret_m = m;
	return (0);
}

void
merge_free(struct merge *m)
{
	size_t i;

	if (m == NULL)
		return;
	mhead_release(m);
	for (i = 0; i < m->n_chunk; i++)
		mtext_free(m->chunk[i].text);
	for (i = 0; i < m->n_var; i++) {
		free(m->var[i].name);
		buf_release(&m->var[i].url);
	}
	map_release(&m->names, NULL);
	free(m->chunk);
	free(m->var);
	free(m->user);
	free(m->val);
	buf_release(&m->text);
	buf_release(&m->scratch);
	buf_release(&m->value);
	buf_release(&m->copy);
	buf_release(&m->check);
	free(m);
}

size_t
merge_memory(const struct merge *m)
{
	size_t n = sizeof(*m) + m->text.cap + m->scratch.cap, i;
	const struct mtext *x;

	for (i = 0; i < m->n_chunk; i++) {
		x = m->chunk[i].text;
		if (x != NULL)
			n += sizeof(*x) + x->seq.text.cap + x->enc.cap +
			    x->seq.cap * sizeof(*x->seq.item);
	}
	return (n + m->n_var * (sizeof(*m->var) + sizeof(*m->val)));
}

size_t
merge_vars(const struct merge *m)
{
	return (m->n_user);
}

const char *
merge_var(const struct merge *m, size_t i)
{
	return (m->var[m->user[i]].name);
}

void
merge_bind(struct merge *m, const char *const *column, size_t n, bool empty)
{
	size_t i, k;

	m->empty = empty;
	for (i = 0; i < m->n_var; i++) {
		m->var[i].column = -1;
		for (k = 0; k < n && m->var[i].reserved == -1; k++)
			if (strcasecmp(column[k], m->var[i].name) == 0) {
				m->var[i].column = (int)k;
				break;
			}
	}
}

const char *
merge_undefined(const struct merge *m, const struct merge_value *value)
{
	const struct mvar *v;
	size_t i;

	for (i = 0; i < m->n_user; i++) {
		v = &m->var[m->user[i]];
		if (v->column == -1 || value[v->column].p == NULL)
			return (v->name);
	}
	return (NULL);
}

/* Look a value over. 0, or -1: NUL. */
static int
val_set(struct mval *v, const char *p, size_t n)
{
	size_t i;

	*v = (struct mval) { .p = p, .n = n };
	for (i = 0; i < n; i++) {
		v->high |= (unsigned char)p[i] >= 0x80;
		v->eol |= p[i] == '\r' || p[i] == '\n';
		if (p[i] == '\0')
			return (-1);
	}
	return (0);
}

/* The values of all variables. 0 or -1. */
static int
merge_values(struct merge *m, const struct merge_env *env,
    const struct merge_value *value, struct verr *err)
{
	const struct merge_value *v;
	const char *s;
	size_t i;

	for (i = 0; i < m->n_var; i++) {
		if (m->var[i].reserved >= 0) {
			s = env_value(env, &m->var[i]);
			(void)val_set(&m->val[i], s, strlen(s));
			continue;
		}
		m->val[i] = (struct mval) { .p = m->empty ? "" : NULL };
		if (m->var[i].column == -1)
			continue;
		v = &value[m->var[i].column];
		if (v->p != NULL && val_set(&m->val[i], v->p, v->n) == -1)
			return (verr_set(err, VEX_DATA,
			    "NUL in the value of [%s]", m->var[i].name));
	}
	return (0);
}

/* The header; the message's own text may want it otherwise. */
static int
render_header(struct merge *m, const struct mplan *top, struct buf *out,
    struct verr *err)
{
	size_t from = out->len;

	if (mhead_render(m, out, err) == -1) {
		out->len = from;
		if (out->p != NULL)
			out->p[from] = '\0';
		return (-1);
	}
	if (!top->utf8 && top->cte == NULL)
		return (0);
	buf_clear(&m->copy);
	buf_add(&m->copy, out->p + from, out->len - from);
	out->len = from;
	mhead_switch(m->copy.p, m->copy.len, top->utf8, top->cte, true, out);
	return (0);
}

int
merge_render(struct merge *m, const struct merge_env *env,
    const struct merge_value *value, struct buf *out, size_t *ret_header,
    struct verr *err)
{
	struct mplan top = { .utf8 = false }, p;
	size_t from = out->len, i;
	const struct mchunk *k;

	if (merge_values(m, env, value, err) == -1)
		return (-1);
	(void)buf_room(out, m->text.len + m->text.len / 8);
	if (m->n_chunk == 1 && m->chunk[0].text != NULL &&
	    m->chunk[0].text->top)
		mtext_plan(m, m->chunk[0].text, &top);
	if (render_header(m, &top, out, err) == -1)
		return (-1);
	*ret_header = out->len - from;
	for (i = 0; i < m->n_chunk; i++) {
		k = &m->chunk[i];
		if (k->text == NULL) {
			buf_add(out, m->text.p + k->off, k->n);
			continue;
		}
		p = top;
		if (!k->text->top)
			mtext_plan(m, k->text, &p);
		mtext_render(m, k->text, &p, out);
	}
	return (0);
}

int
merge_check(struct merge *m, const struct merge_env *env,
    const struct merge_value *value, struct verr *err)
{
	if (merge_values(m, env, value, err) == -1)
		return (-1);
	buf_clear(&m->check);
	return (mhead_render(m, &m->check, err));
}
