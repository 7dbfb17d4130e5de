/*
 * The header of a merge. What a value may do depends on the field it is in:
 *
 *	unstructured	words that need it are encoded (RFC 2047)
 *	addresses	a display name is quoted or encoded, an address must be
 *			one, so no value adds a mailbox
 *	structured	ASCII only
 *
 * and none may hold a line end or NUL. Fields that say how the message is
 * built or signed (Content-*, MIME-Version, Received, DKIM-Signature ...) are
 * never touched. Encoded words of the template are decoded before placeholders
 * are looked for: libraries encode whole subjects.
 *
 * Lines are folded only where they must: those with encoded words at 76
 * octets, others at 998; a field without them is as the template has it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "mail/addr.h"
#include "mail/field.h"
#include "mail/merge_int.h"
#include "mail/message.h"
#include "mail/word.h"

#define MHEAD_WORD_LINE 76 /* RFC 2047 2 */

/* Which kind a field is of, by its name; a `-` at the end: begins so. */
static const struct {
	const char *name;
	enum mfield_kind kind;
} mhead_names[] = {
	{ "content-", MFIELD_VERBATIM },
	{ "mime-version", MFIELD_VERBATIM },
	{ "received", MFIELD_VERBATIM },
	{ "return-path", MFIELD_VERBATIM },
	{ "dkim-signature", MFIELD_VERBATIM },
	{ "domainkey-signature", MFIELD_VERBATIM },
	{ "authentication-results", MFIELD_VERBATIM },
	{ "arc-", MFIELD_VERBATIM },
	{ "from", MFIELD_ADDRESS },
	{ "sender", MFIELD_ADDRESS },
	{ "reply-to", MFIELD_ADDRESS },
	{ "to", MFIELD_ADDRESS },
	{ "cc", MFIELD_ADDRESS },
	{ "resent-from", MFIELD_ADDRESS },
	{ "resent-sender", MFIELD_ADDRESS },
	{ "resent-to", MFIELD_ADDRESS },
	{ "resent-cc", MFIELD_ADDRESS },
	{ "errors-to", MFIELD_ADDRESS },
	{ "disposition-notification-to", MFIELD_ADDRESS },
	{ "return-receipt-to", MFIELD_ADDRESS },
	{ "date", MFIELD_OTHER },
	{ "message-id", MFIELD_OTHER },
	{ "in-reply-to", MFIELD_OTHER },
	{ "references", MFIELD_OTHER },
	{ "resent-date", MFIELD_OTHER },
	{ "resent-message-id", MFIELD_OTHER },
	{ "list-", MFIELD_OTHER },
	{ "archived-at", MFIELD_OTHER },
	{ "auto-submitted", MFIELD_OTHER },
	{ "feedback-id", MFIELD_OTHER },
	{ "cfbl-address", MFIELD_OTHER },
	{ "cfbl-feedback-id", MFIELD_OTHER },
};

static enum mfield_kind
mhead_kind(const struct field *f)
{
	const char *name;
	size_t i, n;

	for (i = 0; i < sizeof(mhead_names) / sizeof(mhead_names[0]); i++) {
		name = mhead_names[i].name;
		n = strlen(name);
		if ((name[n - 1] == '-' ? f->name_len > n : f->name_len == n) &&
		    strncasecmp(f->name, name, n) == 0)
			return (mhead_names[i].kind);
	}
	return (MFIELD_TEXT);
}

static bool
is_space(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

/* --- addresses ------------------------------------------------------------ */

/*
 * The end of the quoted string, comment or address in brackets that p begins
 * with; NULL when it has none.
 */
static const char *
skip_nest(const char *p, const char *end)
{
	char close = *p == '"' ? '"' : *p == '(' ? ')' : '>';

	for (p++; p < end; p++) {
		if (*p == '\\' && close != '>')
			p++;
		else if (*p == close)
			return (p + 1);
	}
	return (NULL);
}

/*
 * The end of the element at p (its comma, or end); *ret_angle: its `<`. NULL:
 * it is more than `phrase <address>` or an address.
 */
static const char *
element_end(const char *p, const char *end, const char **ret_angle)
{
	*ret_angle = NULL;
	while (p < end && *p != ',') {
		if (strchr("(:;)>", *p) != NULL)
			return (NULL);
		if (*ret_angle != NULL && !is_space(*p))
			return (NULL);
		if (*p == '<')
			*ret_angle = p;
		if (*p == '"' || *p == '<') {
			p = skip_nest(p, end);
			if (p == NULL)
				return (NULL);
			continue;
		}
		p++;
	}
	return (p);
}

/* A phrase without its quotes; *ret_quoted: it had some. */
static void
unquote(const char *p, const char *end, struct buf *out, bool *ret_quoted)
{
	bool in = false;

	*ret_quoted = false;
	for (; p < end; p++) {
		if (*p == '"') {
			in = !in;
			*ret_quoted = true;
		} else if (*p == '\r' || *p == '\n') {
			continue; /* a fold: its blank stays */
		} else {
			if (in && *p == '\\' && p + 1 < end)
				p++;
			buf_addc(out, *p);
		}
	}
}

/* Cut white space off both ends. */
static void
trim(const char **p, const char **end)
{
	while (*p < *end && is_space(**p))
		(*p)++;
	while (*end > *p && is_space((*end)[-1]))
		(*end)--;
}

static struct mbox *
box_new(struct mfield *f)
{
	f->box = xreallocarray(f->box, f->n_box + 1, sizeof(*f->box));
	memset(&f->box[f->n_box], 0, sizeof(*f->box));
	return (&f->box[f->n_box++]);
}

/* An element of a list that has placeholders, or a literal. 0 or -1. */
static int
element_parse(struct merge *m, struct mfield *f, const char *p,
    const char *angle, const char *end)
{
	struct mbox *b = box_new(f);
	const char *from = p, *stop = angle != NULL ? angle : p, *to = end;
	struct buf plain = BUF_INIT, text = BUF_INIT;
	int rc;

	b->angle = angle != NULL;
	trim(&from, &stop);
	unquote(from, stop, &plain, &b->quoted);
	rc = word_decode(buf_str(&plain), plain.len, &text);
	if (rc == 0)
		mseq_parse(m, &b->phrase, buf_str(&text), text.len, true);
	if (angle == NULL) {
		from = p;
		trim(&from, &to);
		stop = from;
		mseq_parse(m, &b->addr, from, (size_t)(to - from), true);
	} else {
		to = skip_nest(angle, end);
		mseq_parse(m, &b->addr, angle + 1, (size_t)(to - angle) - 2,
		    true);
	}
	b->mailbox = b->phrase.active || b->addr.active;
	mseq_literal(&b->literal, p, (size_t)((b->mailbox ? from : end) - p));
	if (b->mailbox && to < end)
		mseq_literal(&box_new(f)->literal, to, (size_t)(end - to));
	buf_release(&plain);
	buf_release(&text);
	return (rc);
}

static void
box_release(struct mfield *f)
{
	size_t i;

	for (i = 0; i < f->n_box; i++) {
		mseq_release(&f->box[i].literal);
		mseq_release(&f->box[i].phrase);
		mseq_release(&f->box[i].addr);
	}
	free(f->box);
	f->box = NULL;
	f->n_box = 0;
}

/* All elements of an address field. 0; 1: it is not so simple; -1. */
static int
address_parse(struct merge *m, struct mfield *f, const char *p, size_t n)
{
	const char *end = p + n, *stop, *angle;

	while (p <= end) {
		stop = element_end(p, end, &angle);
		if (stop == NULL)
			return (1);
		if (element_parse(m, f, p, angle, stop) == -1)
			return (-1);
		if (stop == end)
			break;
		mseq_literal(&box_new(f)->literal, ",", 1);
		p = stop + 1;
	}
	return (0);
}

/* May octets be an atom or several, without quotes? */
static bool
is_atoms(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] == '\0' || strchr("()<>@,;:\\\".[]", p[i]) != NULL)
			return (false);
	return (true);
}

/* Append a display name. */
static void
phrase_add(const char *p, size_t n, bool quoted, size_t col, struct buf *out)
{
	size_t i;

	if (word_needed(p, n)) {
		word_encode(p, n, col, out);
	} else if (!quoted && is_atoms(p, n)) {
		buf_add(out, p, n);
	} else {
		buf_addc(out, '"');
		for (i = 0; i < n; i++) {
			if (p[i] == '"' || p[i] == '\\')
				buf_addc(out, '\\');
			buf_addc(out, p[i]);
		}
		buf_addc(out, '"');
	}
}

/* Append an address that is one. */
static int
addr_add(struct merge *m, const struct mseq *s, struct buf *out,
    struct verr *err)
{
	const char *from, *to;
	struct addr a;

	buf_clear(&m->value);
	mseq_render(m, s, &m->value);
	from = buf_str(&m->value);
	to = from + m->value.len;
	trim(&from, &to);
	if (addr_parse(from, (size_t)(to - from), ADDR_RCPT, &a, err) == -1)
		return (verr_prefix(err, "no address"));
	/* as it was given, unless only its A-labels are ASCII */
	if (charset_8bit(a.orig, a.orig_len))
		buf_add(out, a.smtp, a.smtp_len);
	else
		buf_add(out, a.orig, a.orig_len);
	return (0);
}

/* Append a piece of an address field; start: where the field began. */
static int
box_render(struct merge *m, const struct mbox *b, size_t start, struct buf *out,
    struct verr *err)
{
	const char *from, *to;

	mseq_render(m, &b->literal, out);
	if (!b->mailbox)
		return (0);
	buf_clear(&m->value);
	mseq_render(m, &b->phrase, &m->value);
	from = buf_str(&m->value);
	to = from + m->value.len;
	trim(&from, &to);
	if (from < to) {
		phrase_add(from, (size_t)(to - from), b->quoted,
		    out->len - start, out);
		buf_addc(out, ' ');
	}
	if (b->angle)
		buf_addc(out, '<');
	if (addr_add(m, &b->addr, out, err) == -1)
		return (-1);
	if (b->angle)
		buf_addc(out, '>');
	return (0);
}

/* --- the fields ----------------------------------------------------------- */

/* Verbatim text; joins the field before it. */
static void
verbatim(struct merge *m, size_t off, size_t n)
{
	struct mfield *last = m->n_field > 0 ? &m->field[m->n_field - 1] : NULL;

	if (last != NULL && last->kind == MFIELD_VERBATIM &&
	    last->off + last->n == off) {
		last->n += n;
		return;
	}
	m->field = xreallocarray(m->field, m->n_field + 1, sizeof(*m->field));
	m->field[m->n_field++] = (struct mfield) { .kind = MFIELD_VERBATIM,
		.off = off,
		.n = n };
}

static void
field_release(struct mfield *f)
{
	mseq_release(&f->seq);
	box_release(f);
}

/* Has an address field anything to render? */
static bool
box_active(const struct mfield *f)
{
	size_t i;

	for (i = 0; i < f->n_box; i++)
		if (f->box[i].mailbox)
			return (true);
	return (false);
}

/* Parse the value into f, by its kind. 0 or -1; *ret_active. */
static int
field_parse(struct merge *m, struct mfield *f, const struct field *src,
    bool *ret_active)
{
	struct buf text = BUF_INIT;
	int rc = 1;

	if (f->kind == MFIELD_ADDRESS) {
		rc = address_parse(m, f, src->value, src->value_len);
		*ret_active = box_active(f);
	}
	if (rc == 1 && f->kind == MFIELD_ADDRESS) {
		box_release(f);
		f->kind = MFIELD_OTHER;
	}
	if (rc == 1 && f->kind == MFIELD_OTHER) {
		mseq_parse(m, &f->seq, src->value, src->value_len, true);
		rc = 0;
		*ret_active = f->seq.active;
	} else if (rc == 1) {
		rc = word_decode(src->value, src->value_len, &text);
		if (rc == 0)
			mseq_parse(m, &f->seq, buf_str(&text), text.len, true);
		*ret_active = f->seq.active;
	}
	buf_release(&text);
	return (rc);
}

/* May a value that could not be decoded hold a placeholder? */
static bool
may_hold(struct merge *m, const struct field *src)
{
	struct mseq s = { .n = 0 };
	bool vars;

	mseq_parse(m, &s, src->value, src->value_len, true);
	vars = s.vars;
	mseq_release(&s);
	return (vars);
}

/* One field. */
static int
mhead_field(struct merge *m, const struct field *src, struct verr *err)
{
	size_t off = (size_t)(src->line - m->text.p);
	struct mfield f = { .kind = mhead_kind(src),
		.off = off,
		.n = (size_t)(src->value - src->line) };
	bool active = false;

	if (f.kind != MFIELD_VERBATIM &&
	    field_parse(m, &f, src, &active) == -1) {
		field_release(&f);
		if (!may_hold(m, src))
			active = false;
		else
			return (verr_set(err, VEX_DATA,
			    "field %.*s: variables beside text that cannot "
			    "be decoded",
			    (int)(src->name_len > 60 ? 60 : src->name_len),
			    src->name));
		f = (struct mfield) { .kind = MFIELD_VERBATIM };
	}
	if (!active) {
		field_release(&f);
		verbatim(m, off, src->line_len);
		return (0);
	}
	m->field = xreallocarray(m->field, m->n_field + 1, sizeof(*m->field));
	m->field[m->n_field++] = f;
	return (0);
}

int
mhead_parse(struct merge *m, struct verr *err)
{
	const char *p = m->text.p, *end = p + m->header;
	struct field f;

	while (field_next(&p, end, &f))
		if (mhead_field(m, &f, err) == -1)
			return (-1);
	verbatim(m, (size_t)(p - m->text.p), (size_t)(end - p));
	return (0);
}

void
mhead_release(struct merge *m)
{
	size_t i;

	for (i = 0; i < m->n_field; i++)
		field_release(&m->field[i]);
	free(m->field);
}

/*
 * Where to fold a line of n octets for max: at the last blank behind text that
 * fits, else at the first one that follows; 0: nowhere. from: not before.
 */
static size_t
fold_point(const char *p, size_t n, size_t from, size_t max)
{
	size_t i;

	for (i = max; i > from; i--)
		if (is_space(p[i]) && !is_space(p[i - 1]))
			return (i);
	for (i = max + 1; i < n; i++)
		if (is_space(p[i]) && !is_space(p[i - 1]))
			return (i);
	return (0);
}

/*
 * Append a line without its CRLF, folded at max where it can be. One of blanks
 * only (a value may be) is left out: a reader might take it for the end.
 */
static int
fold_line(const char *p, size_t n, size_t from, size_t max, struct buf *out,
    struct verr *err)
{
	size_t i = 0;

	while (n > 0 && is_space(p[n - 1]))
		n--;
	if (n == 0)
		return (0);
	while (n > max && (i = fold_point(p, n, from, max)) > 0) {
		buf_add(out, p, i);
		buf_add(out, "\r\n", 2);
		if (i > MERGE_LINE_MAX)
			break;
		p += i;
		n -= i;
		from = 0;
	}
	buf_add(out, p, n);
	buf_add(out, "\r\n", 2);
	if (i > MERGE_LINE_MAX || n > MERGE_LINE_MAX)
		return (verr_set(err, VEX_DATA, "header line over %d octets",
		    MERGE_LINE_MAX));
	return (0);
}

/* Is there nothing but white space before nl? */
static bool
blank_line(const char *p, const char *nl)
{
	while (p < nl && is_space(*p))
		p++;
	return (p == nl);
}

/*
 * Lines of the field from `from` on as long as they may be: those with encoded
 * words 76 octets, if they can, others 998. name: octets of `Name:`. 0 or -1.
 */
static int
fold(struct merge *m, size_t from, size_t name, struct buf *out,
    struct verr *err)
{
	bool words = memmem(out->p + from, out->len - from, "=?", 2) != NULL;
	size_t max = words ? MHEAD_WORD_LINE : MERGE_LINE_MAX;
	const char *p = out->p + from, *end = out->p + out->len, *nl;
	bool over = false;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		over = over || (size_t)(nl - p) > max + 1 || blank_line(p, nl);
	}
	if (!over)
		return (0);
	buf_clear(&m->copy);
	buf_add(&m->copy, out->p + from, out->len - from);
	out->len = from;
	p = m->copy.p;
	end = p + m->copy.len;
	for (; p < end; p = nl + 1, name = 0) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (fold_line(p, (size_t)(nl - p), name + 1, max, out, err) ==
		    -1)
			return (-1);
	}
	return (0);
}

/* Unstructured text. */
static void
text_render(struct merge *m, const struct mfield *f, size_t start,
    struct buf *out)
{
	buf_clear(&m->value);
	mseq_render(m, &f->seq, &m->value);
	if (word_needed(buf_str(&m->value), m->value.len))
		word_unstructured(buf_str(&m->value), m->value.len,
		    out->len - start, out);
	else
		buf_add(out, m->value.p, m->value.len);
}

/* A structured field: printable ASCII in each value. */
static int
other_render(struct merge *m, const struct mfield *f, struct buf *out,
    struct verr *err)
{
	const char *p;
	size_t i, k, n;

	for (i = 0; i < f->seq.n; i++) {
		p = mitem_text(m, &f->seq, &f->seq.item[i], &n);
		for (k = 0; k < n && f->seq.item[i].var >= 0; k++)
			if ((unsigned char)p[k] >= 0x7f ||
			    ((unsigned char)p[k] < 0x20 && p[k] != '\t'))
				return (verr_set(err, VEX_DATA,
				    "[%s] must be printable ASCII there",
				    m->var[f->seq.item[i].var].name));
		buf_add(out, p, n);
	}
	return (0);
}

/* One field that is not verbatim. */
static int
field_render(struct merge *m, const struct mfield *f, struct buf *out,
    struct verr *err)
{
	size_t start = out->len, i;
	const char *name = m->text.p + f->off;
	int rc = 0;

	buf_add(out, name, f->n);
	if (f->kind == MFIELD_TEXT)
		text_render(m, f, start, out);
	else if (f->kind == MFIELD_OTHER)
		rc = other_render(m, f, out, err);
	for (i = 0; i < f->n_box && rc == 0; i++)
		rc = box_render(m, &f->box[i], start, out, err);
	buf_add(out, "\r\n", 2);
	if (rc == 0)
		rc = fold(m, start, f->n, out, err);
	if (rc == -1)
		(void)verr_prefix(err, "field %.*s",
		    (int)(f->n > 60 ? 60 : f->n - 1), name);
	return (rc);
}

int
mhead_render(struct merge *m, struct buf *out, struct verr *err)
{
	const struct mfield *f;
	const struct mval *v;
	size_t i;

	for (i = 0; i < m->n_var; i++) {
		v = &m->val[i];
		if (m->var[i].header && v->p != NULL && v->eol)
			return (verr_set(err, VEX_DATA,
			    "line end in the value of [%s], which is in the "
			    "header",
			    m->var[i].name));
	}
	for (i = 0; i < m->n_field; i++) {
		f = &m->field[i];
		if (f->kind == MFIELD_VERBATIM)
			buf_add(out, m->text.p + f->off, f->n);
		else if (field_render(m, f, out, err) == -1)
			return (-1);
	}
	return (0);
}

/* --- another character set or encoding ------------------------------------ */

/* Octets of the line that n octets at p end with. */
static size_t
last_line(const char *p, size_t n)
{
	const char *nl = memrchr(p, '\n', n);

	return (nl != NULL ? n - (size_t)(nl + 1 - p) : n);
}

/*
 * Content-Type up to the value of charset, which will be utf-8: on a line of
 * its own where that makes the line too long.
 */
static void
switch_charset(const struct field *f, const char *from, const char *to,
    const char *end, struct buf *out)
{
	size_t n = (size_t)(from - f->line);
	const char *cr = memchr(to, '\r', (size_t)(end - to));
	const char *semi = memrchr(f->line, ';', n);

	if (last_line(f->line, n) + strlen("utf-8") +
		    (size_t)((cr != NULL ? cr : end) - to) <=
		MESSAGE_LINE_MAX ||
	    semi == NULL) {
		buf_add(out, f->line, n);
		return;
	}
	buf_add(out, f->line, (size_t)(semi + 1 - f->line));
	buf_adds(out, "\r\n\t");
	buf_add(out, semi + 1, (size_t)(from - semi - 1));
}

/* Content-Type with charset=utf-8. */
static void
switch_type(const struct field *f, struct buf *out)
{
	struct buf old = BUF_INIT;
	const char *from, *to, *end = f->value + f->value_len;

	if (mime_param(f, "charset", &old, &from, &to)) {
		switch_charset(f, from, to, end, out);
		buf_adds(out, "utf-8");
		buf_add(out, to, (size_t)(end - to));
	} else {
		buf_add(out, f->line, (size_t)(end - f->line));
		buf_adds(out,
		    last_line(f->line, (size_t)(end - f->line)) <
			    MESSAGE_LINE_MAX ?
			";\r\n\tcharset=utf-8" :
			"\r\n\t; charset=utf-8");
	}
	buf_adds(out, "\r\n");
	buf_release(&old);
}

void
mhead_switch(const char *p, size_t n, bool utf8, const char *cte, bool top,
    struct buf *out)
{
	const char *end = p + n;
	bool has_type = false, has_version = false;
	struct field f;

	while (field_next(&p, end, &f)) {
		has_version = has_version || field_is(&f, "MIME-Version");
		if (cte != NULL && field_is(&f, "Content-Transfer-Encoding"))
			continue;
		if (utf8 && !has_type && field_is(&f, "Content-Type"))
			switch_type(&f, out);
		else
			buf_add(out, f.line, f.line_len);
		has_type = has_type || field_is(&f, "Content-Type");
	}
	if (top && !has_version)
		buf_adds(out, "MIME-Version: 1.0\r\n");
	if (utf8 && !has_type)
		buf_adds(out, "Content-Type: text/plain; charset=utf-8\r\n");
	if (cte != NULL)
		buf_addf(out, "Content-Transfer-Encoding: %s\r\n", cte);
	buf_add(out, p, (size_t)(end - p));
}
