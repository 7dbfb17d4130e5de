/*
 * MIME headers: RFC 2045 5 (Content-Type), 6 (Content-Transfer-Encoding);
 * delimiter lines: RFC 2046 5.1.1. Of doubled fields the first counts. A
 * delimiter is a whole line, apart from trailing blanks, so that a boundary
 * that begins like another one is told from it.
 */
#include <string.h>
#include <strings.h>

#include "mail/field.h"
#include "mail/mime.h"

/* Skip white space, line ends and comments. */
static const char *
skip_cfws(const char *p, const char *end)
{
	size_t depth = 0;

	for (; p < end; p++) {
		if (depth > 0 && *p == '\\' && p + 1 < end)
			p++;
		else if (*p == '(')
			depth++;
		else if (*p == ')' && depth > 0)
			depth--;
		else if (depth == 0 && *p != ' ' && *p != '\t' && *p != '\r' &&
		    *p != '\n')
			break;
	}
	return (p);
}

/* The end of the token that p begins with (RFC 2045 5.1). */
static const char *
token_end(const char *p, const char *end)
{
	while (p<end && * p> 0x20 && *p < 0x7f &&
	    strchr("()<>@,;:\\\"/[]?=", *p) == NULL)
		p++;
	return (p);
}

/* Copy a token in lower case; "" when it is empty or does not fit. */
static void
copy_token(char *to, size_t size, const char *p, const char *end)
{
	size_t n = (size_t)(end - p), i;

	if (n >= size)
		n = 0;
	for (i = 0; i < n; i++)
		to[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
	to[n] = '\0';
}

/* Append the value of a parameter, token or quoted; returns its end. */
static const char *
param_value(const char *p, const char *end, struct buf *ret)
{
	const char *q;

	if (p == end || *p != '"') {
		for (q = p; q < end && *q != ';' && *q != '(' &&
		     (unsigned char)*q > 0x20;)
			q++;
		buf_add(ret, p, (size_t)(q - p));
		return (q);
	}
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		if (*p != '\r' && *p != '\n')
			buf_addc(ret, *p);
	}
	return (p < end ? p + 1 : end);
}

/* The parameter of that name in [p, end), which follows a type. */
static bool
find_param(const char *p, const char *end, const char *want, struct buf *ret,
    const char **ret_from, const char **ret_to)
{
	const char *name, *q, *from;
	size_t len;

	while ((p = skip_cfws(p, end)) < end) {
		if (*p == ';') {
			p++;
			continue;
		}
		name = p;
		q = token_end(p, end);
		len = (size_t)(q - p);
		p = skip_cfws(q, end);
		if (len == 0 || p == end || *p != '=') {
			p += p < end && q == name ? 1 : 0;
			continue;
		}
		from = skip_cfws(p + 1, end);
		p = param_value(from, end, ret);
		if (len == strlen(want) && strncasecmp(name, want, len) == 0) {
			if (ret_from != NULL)
				*ret_from = from;
			if (ret_to != NULL)
				*ret_to = p;
			return (true);
		}
		buf_clear(ret);
	}
	return (false);
}

/* The end of `type/subtype`, or of what stands there. */
static const char *
type_end(const char *p, const char *end)
{
	p = skip_cfws(token_end(skip_cfws(p, end), end), end);
	if (p < end && *p == '/')
		p = token_end(skip_cfws(p + 1, end), end);
	return (p);
}

bool
mime_param(const struct field *f, const char *name, struct buf *ret_value,
    const char **ret_from, const char **ret_to)
{
	const char *end = f->value + f->value_len;

	return (find_param(type_end(f->value, end), end, name, ret_value,
	    ret_from, ret_to));
}

/* Content-Type. */
static void
parse_type(const struct field *f, struct mime *m)
{
	const char *end = f->value + f->value_len, *q;
	const char *p = skip_cfws(f->value, end);

	q = token_end(p, end);
	copy_token(m->type, sizeof(m->type), p, q);
	p = skip_cfws(q, end);
	m->subtype[0] = '\0';
	if (p == end || *p != '/') {
		m->type[0] = '\0';
		return;
	}
	p = skip_cfws(p + 1, end);
	q = token_end(p, end);
	copy_token(m->subtype, sizeof(m->subtype), p, q);
	if (strcmp(m->type, "multipart") == 0)
		(void)find_param(q, end, "boundary", &m->boundary, NULL, NULL);
	else if (strcmp(m->type, "text") == 0)
		(void)find_param(q, end, "charset", &m->charset, NULL, NULL);
}

/* Content-Disposition. */
static void
parse_disposition(const struct field *f, struct mime *m)
{
	const char *end = f->value + f->value_len;
	const char *p = skip_cfws(f->value, end);
	char text[20];

	copy_token(text, sizeof(text), p, token_end(p, end));
	m->attachment = strcmp(text, "attachment") == 0;
}

/* Content-Transfer-Encoding. */
static void
parse_cte(const struct field *f, struct mime *m)
{
	static const char *const word[] = { "7bit", "8bit", "binary",
		"quoted-printable", "base64" };
	const char *end = f->value + f->value_len;
	const char *p = skip_cfws(f->value, end);
	char text[20];
	unsigned i;

	copy_token(text, sizeof(text), p, token_end(p, end));
	for (i = 0; i < 5 && strcmp(text, word[i]) != 0;)
		i++;
	m->cte = (enum mime_cte)i;
}

void
mime_parse(const char *p, size_t n, bool digest, struct mime *ret_mime)
{
	const char *end = p + n;
	struct field f;

	memset(ret_mime, 0, sizeof(*ret_mime));
	memcpy(ret_mime->type, digest ? "message" : "text", digest ? 8 : 5);
	memcpy(ret_mime->subtype, digest ? "rfc822" : "plain", digest ? 7 : 6);
	while (field_next(&p, end, &f)) {
		if (field_is(&f, "MIME-Version"))
			ret_mime->has_version = true;
		else if (field_is(&f, "Content-Type") && !ret_mime->has_type) {
			ret_mime->has_type = true;
			parse_type(&f, ret_mime);
		} else if (field_is(&f, "Content-Transfer-Encoding") &&
		    !ret_mime->has_cte) {
			ret_mime->has_cte = true;
			parse_cte(&f, ret_mime);
		} else if (field_is(&f, "Content-Disposition"))
			parse_disposition(&f, ret_mime);
	}
}

void
mime_release(struct mime *m)
{
	buf_release(&m->boundary);
	buf_release(&m->charset);
}

bool
mime_is(const struct mime *m, const char *type, const char *subtype)
{
	return (strcmp(m->type, type) == 0 &&
	    (subtype == NULL || strcmp(m->subtype, subtype) == 0));
}

/* Is what follows the boundary at p the rest of a delimiter line? */
static bool
delim_rest(const char *p, const char *end, struct mime_delim *d)
{
	d->closing = end - p >= 2 && memcmp(p, "--", 2) == 0;
	if (d->closing)
		p += 2;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p < end && *p == '\r')
		p++;
	d->next = p < end ? p + 1 : end;
	return (p == end || *p == '\n');
}

bool
mime_delim(const char *p, const char *end, const struct buf *boundary,
    struct mime_delim *ret_delim)
{
	const char *at = p;

	while (at < end) {
		at = memmem(at, (size_t)(end - at), boundary->p, boundary->len);
		if (at == NULL)
			break;
		ret_delim->line = at;
		if ((at == p || at[-1] == '\n') &&
		    delim_rest(at + boundary->len, end, ret_delim))
			return (true);
		at++;
	}
	return (false);
}
