/*
 * Address lists: RFC 5322 3.4 with the obsolete forms that are still seen
 * (white space and comments anywhere, empty elements, routes), RFC 6532.
 *
 * A small lexer drops white space and comments; one loop reads an element up
 * to its separator. What stands in angle brackets is the address, whatever
 * is before it; mailbox text is put together without comments and folds and
 * then judged by addr_parse alone, so that header and envelope can never
 * differ in what is legal.
 *
 * Lenient where mail programs are sloppy and the meaning is plain: `;` as a
 * separator, an unquoted address as the display name, brackets in a display
 * name, any octets over 127 in it. Comments may nest to any depth; the work
 * is linear in the length of the text.
 */
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "mail/addrlist.h"

enum { TOK_END, TOK_WORD, TOK_CHAR };

struct list {
	const struct addr_local *local;
	const char *p; /* what is left */
	const char *end;
	int type; /* of the token that was read last, TOK_ */
	char c;	  /* TOK_CHAR: which */
	const char *tok;
	size_t tok_len;
	bool in_group;
	struct buf spec; /* the mailbox that is being put together */
	struct addr addr;
};

/* Controls have no place here, except in folds: CRLF or LF, then a blank. */
static int
check_octets(const char *p, size_t n, struct verr *err)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '\n' && i + 1 < n &&
		    (p[i + 1] == ' ' || p[i + 1] == '\t'))
			continue;
		if (p[i] == '\r' && i + 1 < n && p[i + 1] == '\n')
			continue;
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') ||
		    p[i] == 0x7f)
			return (verr_set(err, VEX_DATA, "control character"));
	}
	return (0);
}

/* Skip the comment at l->p, with those inside it. */
static int
skip_comment(struct list *l, struct verr *err)
{
	size_t depth = 0;

	for (; l->p < l->end; l->p++) {
		if (*l->p == '\\' && l->p + 1 < l->end)
			l->p++;
		else if (*l->p == '(')
			depth++;
		else if (*l->p == ')' && --depth == 0) {
			l->p++;
			return (0);
		}
	}
	return (verr_set(err, VEX_DATA, "comment not closed"));
}

/* Read up to the octet `close`, past backslashes: a word. */
static int
next_delimited(struct list *l, char close, struct verr *err)
{
	for (l->p++; l->p < l->end; l->p++) {
		if (*l->p == '\\' && l->p + 1 < l->end)
			l->p++;
		else if (*l->p == close)
			break;
	}
	if (l->p == l->end)
		return (verr_set(err, VEX_DATA, "%s not closed",
		    close == '"' ? "quote" : "bracket"));
	l->p++;
	l->type = TOK_WORD;
	l->tok_len = (size_t)(l->p - l->tok);
	return (0);
}

/* Does c belong to an atom? */
static bool
is_atom(char c)
{
	return ((unsigned char)c > 0x20 && c != 0x7f &&
	    strchr("()<>[]:;@\\,.\"", c) == NULL);
}

/* Read a token: type, c or tok. */
static int
next(struct list *l, struct verr *err)
{
	while (l->p < l->end && strchr(" \t\r\n(", *l->p) != NULL) {
		if (*l->p != '(')
			l->p++;
		else if (skip_comment(l, err) == -1)
			return (-1);
	}
	l->tok = l->p;
	l->type = TOK_END;
	if (l->p == l->end)
		return (0);
	if (*l->p == '"')
		return (next_delimited(l, '"', err));
	if (*l->p == '[')
		return (next_delimited(l, ']', err));
	if (strchr(",;:<>@.", *l->p) != NULL) {
		l->type = TOK_CHAR;
		l->c = *l->p++;
		return (0);
	}
	while (l->p < l->end && is_atom(*l->p))
		l->p++;
	l->type = TOK_WORD;
	l->tok_len = (size_t)(l->p - l->tok);
	if (l->tok_len == 0)
		return (verr_set(err, VEX_DATA, "unexpected '%c'", *l->p));
	return (0);
}

/* Is the last token this character? */
static bool
is_char(const struct list *l, char c)
{
	return (l->type == TOK_CHAR && l->c == c);
}

/* Does the last token end an element? */
static bool
is_separator(const struct list *l)
{
	return (l->type == TOK_END || is_char(l, ',') || is_char(l, ';'));
}

/* Add the last token to spec; folds inside quotes lose their line ends. */
static void
add_token(struct list *l)
{
	const char *p = l->tok, *end = l->tok + l->tok_len;
	size_t n;

	if (l->type == TOK_CHAR) {
		buf_addc(&l->spec, l->c);
		return;
	}
	while (p < end) {
		for (n = 0; p + n < end && p[n] != '\r' && p[n] != '\n';)
			n++;
		buf_add(&l->spec, p, n);
		p += n;
		while (p < end && (*p == '\r' || *p == '\n'))
			p++;
	}
}

/* What is in spec is an address, and a separator follows: 1, or -1. */
static int
finish(struct list *l, struct verr *err)
{
	if (!is_separator(l))
		return (verr_set(err, VEX_DATA, "text after the address"));
	if (addr_parse_local(l->spec.p, l->spec.len, ADDR_RCPT, l->local,
		&l->addr, err) == -1)
		return (-1);
	return (1);
}

/* May what stands there be a name alone, and complete? */
static bool
is_local(const struct list *l)
{
	return (l->local != NULL && l->local->host != NULL &&
	    *l->local->host != '\0');
}

/* After `<`: the address up to `>`. */
static int
read_angle(struct list *l, struct verr *err)
{
	bool word = false;

	buf_clear(&l->spec);
	buf_addc(&l->spec, '<');
	for (;;) {
		if (next(l, err) == -1)
			return (-1);
		if (l->type == TOK_END)
			return (verr_set(err, VEX_DATA, "no > after <"));
		if (word && l->type == TOK_WORD)
			return (verr_set(err, VEX_DATA, "space in address"));
		word = l->type == TOK_WORD;
		add_token(l);
		if (is_char(l, '>'))
			break;
	}
	if (next(l, err) == -1)
		return (-1);
	return (finish(l, err));
}

/* After the `@` of an address without brackets: the domain. */
static int
read_domain(struct list *l, struct verr *err)
{
	bool word = false;

	for (;;) {
		add_token(l);
		if (next(l, err) == -1)
			return (-1);
		if (l->type != TOK_WORD && !is_char(l, '.'))
			break;
		if (word && l->type == TOK_WORD)
			return (verr_set(err, VEX_DATA, "space in address"));
		word = l->type == TOK_WORD;
	}
	if (is_char(l, '<'))
		return (read_angle(l, err));
	return (finish(l, err));
}

/*
 * Read an element and its separator: 1 with l->addr, 0 without (an empty
 * one, or the name of a group), or -1.
 */
static int
read_element(struct list *l, struct verr *err)
{
	bool word = false, phrase = false;

	buf_clear(&l->spec);
	for (;;) {
		if (next(l, err) == -1)
			return (-1);
		if (is_char(l, '<'))
			return (read_angle(l, err));
		if (is_char(l, '@') && !phrase)
			return (read_domain(l, err));
		if (is_char(l, ':') && l->spec.len > 0 && !l->in_group) {
			l->in_group = true;
			return (0);
		}
		if (is_separator(l) && l->spec.len == 0)
			return (0);
		if (is_separator(l) && !phrase && is_local(l))
			return (finish(l, err));
		if (is_separator(l))
			return (verr_set(err, VEX_DATA, "no @domain"));
		if (l->type == TOK_CHAR && l->c != '.')
			return (verr_set(err, VEX_DATA, "unexpected '%c'",
			    l->c));
		phrase = phrase || (word && l->type == TOK_WORD);
		word = l->type == TOK_WORD;
		add_token(l);
	}
}

/* All elements. */
static int
read_list(struct list *l, addrlist_fn *fn, void *arg, struct verr *err)
{
	size_t n = 1;
	int rc;

	do {
		if ((rc = read_element(l, err)) == -1)
			return (verr_prefix(err, "address %zu", n));
		if (is_char(l, ';'))
			l->in_group = false;
		if (rc == 1 && fn(arg, &l->addr, err) == -1)
			return (-1);
		n += (size_t)rc;
	} while (l->type != TOK_END);
	if (l->in_group)
		return (verr_set(err, VEX_DATA, "group not closed"));
	return (0);
}

int
addrlist_parse(const char *p, size_t n, const struct addr_local *local,
    addrlist_fn *fn, void *arg, struct verr *err)
{
	struct list l = { .p = p,
		.end = p + n,
		.local = local,
		.spec = BUF_INIT };
	int rc;

	if (n == 0)
		return (0);
	if (check_octets(p, n, err) == -1)
		return (-1);
	rc = read_list(&l, fn, arg, err);
	buf_release(&l.spec);
	return (rc);
}
