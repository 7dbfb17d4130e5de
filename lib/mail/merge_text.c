/*
 * A text part of a merge: transfer encoding and character set are taken off
 * once, placeholders found in what a reader would see, and each rendering puts
 * values in and encodes again, as the part's header says.
 *
 * What can be encoded in advance is: literals are kept in the part's character
 * set, and for quoted-printable in lines of their own; behind a value only the
 * rest of a line is encoded anew, up to a line end or a soft break.
 *
 * A rendering changes the header of the part where it must: to UTF-8 when the
 * character set does not have a value; from 7bit to 8bit (quoted-printable
 * where the multipart around says 7bit), and from 7bit or 8bit to
 * quoted-printable for lines over 998 octets; to base64 when a value would be
 * taken for a delimiter of the multipart around.
 */
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/mem.h"
#include "mail/decode.h"
#include "mail/encode.h"
#include "mail/merge_int.h"

/* Octets of a literal without line end that are encoded when rendering. */
#define MTEXT_HEAD 48
/* A line end is looked for in so many. */
#define MTEXT_HEAD_LINE 72

/* Is its character set one that iconv knows, and not UTF-8 or ASCII? */
static bool
is_foreign(const struct mtext *x)
{
	return (!charset_is_utf8(x->charset) && !charset_is_ascii(x->charset));
}

/* Take the transfer encoding off. 0 or -1. */
static int
body_decode(enum mime_cte cte, const char *p, size_t n, struct buf *out)
{
	switch (cte) {
	case MIME_QP:
		decode_qp(p, n, out);
		return (0);
	case MIME_BASE64:
		return (decode_base64(p, n, out));
	case MIME_OTHER:
		return (-1);
	default:
		buf_add(out, p, n);
		return (0);
	}
}

/*
 * To UTF-8. Text in 8 bits that is said to be ASCII, or nothing, is UTF-8 or
 * windows-1252, which is what senders of such text have; it is written as
 * UTF-8.
 */
static int
charset_take(struct mtext *x, const char *p, size_t n, struct buf *out)
{
	if (x->charset != NULL && charset_decode(x->charset, p, n, out) == 0)
		return (0);
	if (x->charset == NULL || !charset_is_ascii(x->charset))
		return (-1);
	charset_free(x->charset);
	x->relabel = true;
	x->charset = charset_open(esc_is_utf8(p, n) ? "utf-8" : "windows-1252",
	    esc_is_utf8(p, n) ? 5 : 12);
	if (x->charset == NULL || charset_decode(x->charset, p, n, out) == -1)
		return (-1);
	charset_free(x->charset);
	x->charset = charset_open("utf-8", 5);
	return (0);
}

/* What is known of the lines of a literal. */
static void
literal_lines(struct mitem *i, const char *p)
{
	const char *end = p + i->n, *nl, *at;

	nl = memchr(p, '\n', i->n);
	i->lines = nl != NULL;
	if (nl == NULL)
		return;
	i->first = (size_t)(nl - p);
	for (at = nl + 1; (nl = memchr(at, '\n', (size_t)(end - at))) != NULL;
	     at = nl + 1)
		if ((size_t)(nl - at) > i->longest)
			i->longest = (size_t)(nl - at);
	i->last = (size_t)(end - at);
}

/* How much of a literal is encoded when it is rendered: whole characters. */
static size_t
literal_head(const char *p, size_t n)
{
	size_t look = n < MTEXT_HEAD_LINE ? n : MTEXT_HEAD_LINE, head;
	const char *nl = memchr(p, '\n', look);

	if (nl != NULL)
		return ((size_t)(nl - p) + 1);
	if (n <= MTEXT_HEAD)
		return (n);
	head = MTEXT_HEAD;
	if (p[head] == '\n')
		head++;
	while (head < n && ((unsigned char)p[head] & 0xc0) == 0x80)
		head++;
	return (head);
}

/* Encode the literals in advance. 0, or -1: they are not of the charset. */
static int
text_encode(struct mtext *x)
{
	struct buf raw = BUF_INIT;
	struct mitem *it;
	const char *p;
	size_t i;
	int rc = 0;

	for (i = 0; i < x->seq.n && rc == 0; i++) {
		it = &x->seq.item[i];
		p = x->seq.text.p + it->off;
		literal_lines(it, p);
		it->enc_off = x->enc.len;
		it->head = x->cte == MIME_QP && it->var == -1 ?
		    literal_head(p, it->n) :
		    0;
		if (x->cte == MIME_QP && it->var == -1) {
			buf_clear(&raw);
			rc = charset_encode(x->charset, p + it->head,
			    it->n - it->head, &raw);
			encode_qp_piece(buf_str(&raw), raw.len, &it->col,
			    &x->enc);
		} else if (is_foreign(x)) {
			rc = charset_encode(x->charset, p, it->n, &x->enc);
		}
		it->enc_n = x->enc.len - it->enc_off;
	}
	buf_release(&raw);
	return (rc);
}

/* Does raw text that could not be decoded look like a template? */
static bool
looks_active(struct merge *m, const char *p, size_t n)
{
	struct mseq s = { .n = 0 };
	bool vars;

	mseq_parse(m, &s, p, n, false);
	vars = s.vars;
	mseq_release(&s);
	return (vars);
}

int
mtext_parse(struct merge *m, struct mtext *x, const char *p, size_t n,
    struct verr *err)
{
	struct buf raw = BUF_INIT, text = BUF_INIT;
	int rc;

	x->eol = n >= 2 && memcmp(p + n - 2, "\r\n", 2) == 0;
	rc = body_decode(x->cte, p, n, &raw);
	if (rc == 0)
		rc = charset_take(x, buf_str(&raw), raw.len, &text);
	if (rc == 0)
		mseq_parse(m, &x->seq, buf_str(&text), text.len, false);
	if (rc == 0 && x->seq.active)
		rc = text_encode(x);
	if (rc == -1)
		rc = raw.len == 0 || !looks_active(m, raw.p, raw.len) ?
		    1 :
		    verr_set(err, VEX_DATA,
			"variables in a text part whose character set or "
			"encoding cannot be read");
	else if (!x->seq.active)
		rc = 1;
	buf_release(&raw);
	buf_release(&text);
	return (rc);
}

void
mtext_free(struct mtext *x)
{
	size_t i;

	if (x == NULL)
		return;
	charset_free(x->charset);
	mseq_release(&x->seq);
	buf_release(&x->enc);
	for (i = 0; i < x->n_boundary; i++)
		buf_release(&x->boundary[i]);
	free(x->boundary);
	free(x);
}

/* The longest line that the decoded text will have, about. */
static size_t
plan_longest(const struct merge *m, const struct mtext *x)
{
	size_t cur = 0, most = 0, i, n;
	const struct mitem *it;
	const char *p, *nl;

	for (i = 0; i < x->seq.n; i++) {
		it = &x->seq.item[i];
		p = mitem_text(m, &x->seq, it, &n);
		if (it->var == -1 && it->lines) {
			cur += it->first;
			most = cur > most ? cur : most;
			most = it->longest > most ? it->longest : most;
			cur = it->last;
			continue;
		}
		for (; it->var >= 0 && m->val[it->var].eol &&
		     (nl = memchr(p, '\n', n)) != NULL;
		     n -= (size_t)(nl - p) + 1, p = nl + 1) {
			cur += (size_t)(nl - p);
			most = cur > most ? cur : most;
			cur = 0;
		}
		cur += n;
	}
	/* CR was counted with all lines but the last */
	return (cur + 1 > most ? cur + 1 : most);
}

/* Has the part's character set all of the values? */
static bool
plan_fits(struct merge *m, const struct mtext *x)
{
	const struct mitem *it;
	const struct mval *v;
	size_t i;
	int rc = 0;

	for (i = 0; i < x->seq.n && rc == 0; i++) {
		it = &x->seq.item[i];
		if (!mitem_high(m, it))
			continue;
		v = &m->val[it->var];
		buf_clear(&m->scratch);
		rc = charset_encode(x->charset, v->p, v->n, &m->scratch);
	}
	return (rc == 0);
}

void
mtext_plan(struct merge *m, const struct mtext *x, struct mplan *ret_p)
{
	bool high = x->seq.high;
	size_t i;

	*ret_p = (struct mplan) { .utf8 = x->relabel, .as = x->cte };
	for (i = 0; i < x->seq.n && !high; i++)
		high = mitem_high(m, &x->seq.item[i]);
	if (high && !charset_is_utf8(x->charset) && !plan_fits(m, x))
		ret_p->utf8 = true;
	if (x->cte == MIME_QP || x->cte == MIME_BASE64)
		return;
	if (plan_longest(m, x) > MERGE_LINE_MAX + 1 ||
	    (high && x->cte == MIME_7BIT && x->strict7)) {
		ret_p->as = MIME_QP;
		ret_p->cte = "quoted-printable";
	} else if (high && x->cte == MIME_7BIT) {
		ret_p->as = MIME_8BIT;
		ret_p->cte = "8bit";
	}
}

/* Append a value for a text: CRLF line ends, in the part's character set. */
static void
value_add(struct merge *m, const struct mtext *x, const struct mval *v,
    bool utf8, struct buf *out)
{
	const char *p = v->p;
	size_t n = v->n, i;

	if (v->eol) {
		buf_clear(&m->value);
		for (i = 0; i < n; i++) {
			if (p[i] == '\r' && i + 1 < n && p[i + 1] == '\n')
				continue;
			if (p[i] == '\r' || p[i] == '\n')
				buf_add(&m->value, "\r\n", 2);
			else
				buf_addc(&m->value, p[i]);
		}
		p = buf_str(&m->value);
		n = m->value.len;
	}
	/* that it fits was found out by mtext_plan */
	if (utf8 || !v->high || charset_encode(x->charset, p, n, out) == -1)
		buf_add(out, p, n);
}

/* Append an item as it is in the part's character set, or in UTF-8. */
static void
item_add(struct merge *m, const struct mtext *x, const struct mitem *it,
    bool utf8, struct buf *out)
{
	bool own = !utf8 && is_foreign(x);

	if (it->var >= 0 && m->val[it->var].p != NULL)
		value_add(m, x, &m->val[it->var], !own, out);
	else if (own && x->cte != MIME_QP)
		buf_add(out, x->enc.p + it->enc_off, it->enc_n);
	else if (!own ||
	    charset_encode(x->charset, x->seq.text.p + it->off, it->n, out) ==
		-1)
		buf_add(out, x->seq.text.p + it->off, it->n);
}

/* Append the text with its values, not encoded. */
static void
text_add(struct merge *m, const struct mtext *x, bool utf8, struct buf *out)
{
	size_t i;

	for (i = 0; i < x->seq.n; i++)
		item_add(m, x, &x->seq.item[i], utf8, out);
}

/* Append a literal as quoted-printable, most of it encoded already. */
static void
qp_literal(struct merge *m, const struct mtext *x, const struct mitem *it,
    size_t *col, struct buf *out)
{
	const char *p = x->seq.text.p + it->off;
	size_t n = it->head;

	if (is_foreign(x) && x->seq.high) {
		buf_clear(&m->scratch);
		if (charset_encode(x->charset, p, n, &m->scratch) == 0) {
			p = buf_str(&m->scratch);
			n = m->scratch.len;
		}
	}
	encode_qp_piece(p, n, col, out);
	if (it->enc_n == 0)
		return;
	if (*col > 0)
		buf_add(out, "=\r\n", 3);
	buf_add(out, x->enc.p + it->enc_off, it->enc_n);
	*col = it->col;
}

/* The text in quoted-printable, in the character set that it has. */
static void
text_qp(struct merge *m, const struct mtext *x, struct buf *out)
{
	const struct mitem *it;
	size_t col = 0, i;

	for (i = 0; i < x->seq.n; i++) {
		it = &x->seq.item[i];
		if (it->var == -1) {
			qp_literal(m, x, it, &col, out);
			continue;
		}
		buf_clear(&m->scratch);
		item_add(m, x, it, false, &m->scratch);
		encode_qp_piece(buf_str(&m->scratch), m->scratch.len, &col,
		    out);
	}
}

/* The body. */
static void
text_body(struct merge *m, const struct mtext *x, const struct mplan *p,
    struct buf *out)
{
	size_t from = out->len;

	if (p->as == MIME_QP && x->cte == MIME_QP &&
	    !(p->utf8 && is_foreign(x))) {
		text_qp(m, x, out);
	} else if (p->as == MIME_QP || p->as == MIME_BASE64) {
		buf_clear(&m->scratch);
		text_add(m, x, p->utf8, &m->scratch);
		if (p->as == MIME_QP)
			encode_qp(buf_str(&m->scratch), m->scratch.len, false,
			    out);
		else
			encode_base64(buf_str(&m->scratch), m->scratch.len,
			    out);
	} else {
		text_add(m, x, p->utf8, out);
	}
	if ((x->top || (x->eol && p->as == MIME_BASE64)) &&
	    (out->len < from + 2 ||
		memcmp(out->p + out->len - 2, "\r\n", 2) != 0))
		buf_add(out, "\r\n", 2);
}

/* Is there a delimiter of what is around in the text from p on? */
static bool
text_clashes(const struct mtext *x, const char *p, const char *end)
{
	struct mime_delim d;
	size_t i;

	for (i = 0; i < x->n_boundary; i++)
		if (mime_delim(p, end, &x->boundary[i], &d))
			return (true);
	return (false);
}

/* Header and body. */
static void
text_write(struct merge *m, const struct mtext *x, const struct mplan *p,
    struct buf *out, size_t *ret_body)
{
	const char *head = m->text.p + x->head_off;

	if (!x->top && (p->utf8 || p->cte != NULL))
		mhead_switch(head, x->head, p->utf8, p->cte, false, out);
	else if (!x->top)
		buf_add(out, head, x->head);
	*ret_body = out->len;
	text_body(m, x, p, out);
}

void
mtext_render(struct merge *m, const struct mtext *x, const struct mplan *p,
    struct buf *out)
{
	size_t from = out->len, body;
	struct mplan other = *p;

	text_write(m, x, p, out, &body);
	if (p->as == MIME_BASE64 ||
	    !text_clashes(x, out->p + body, out->p + out->len))
		return;
	out->len = from;
	other.as = MIME_BASE64;
	other.cte = "base64";
	text_write(m, x, &other, out, &body);
}
