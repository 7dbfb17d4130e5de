/*
 * What libconfuse does with a file is not quite what INTERFACE.md promises:
 * it expands ${NAME} from the environment, takes comments only between
 * statements and counts lines wrongly behind them, forgets the lines of
 * values, accepts a file that ends inside a section, drops characters that
 * it does not know, and carries a string that is never closed over into the
 * next file. So every file passes here first:
 *
 *	name = value          name = { value, value }     name += { value }
 *	name title { ... }    name { ... }                name(value)
 *
 * Whatever is not of that form is refused with its line. What goes on to
 * libconfuse has no comments, has each value and title tagged with the
 * number of its file and its line ('news' -> '0:12:news'), and has as many
 * line ends as the file, so that libconfuse's own messages have the right
 * line. An empty list becomes the empty string, since libconfuse does not
 * tell of it.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conf/lex.h"

#define LEX_DEPTH 8

enum token {
	T_END,
	T_WORD,
	T_EQUAL,
	T_PLUS,
	T_OPEN,
	T_CLOSE,
	T_COMMA,
	T_PAREN,
	T_THESIS,
	T_ERROR
};

/* Where in a statement we are. */
enum lex_state {
	S_NAME,
	S_AFTER,
	S_VALUE,
	S_LIST,
	S_LISTSEP,
	S_BODY,
	S_ARG,
	S_ARGSEP
};

struct lex {
	const char *p, *end;
	int line;
	unsigned file;
	struct buf *out; /* NULL: only look */
	struct buf *why;
	/* the token */
	const char *word; /* T_WORD: its first byte, quote included */
	size_t len;
	/* the statement */
	enum lex_state state;
	bool list_open; /* the brace of the list is written */
	int depth;
	int open_line[LEX_DEPTH];
};

static enum token
lex_error(struct lex *l, const char *why, const char *what, size_t n)
{
	if (l->why != NULL) {
		buf_adds(l->why, why);
		if (what != NULL)
			buf_addf(l->why, " '%.*s'", (int)(n < 80 ? n : 80),
			    what);
	}
	return (T_ERROR);
}

/* A line end: one in, one out. */
static void
lex_newline(struct lex *l)
{
	l->line++;
	if (l->out != NULL)
		buf_addc(l->out, '\n');
}

/* Pass a comment that starts at p; false: it never ends. */
static bool
lex_comment(struct lex *l)
{
	if (l->p[0] == '#' || l->p[1] == '/') {
		while (l->p < l->end && *l->p != '\n')
			l->p++;
		return (true);
	}
	for (l->p += 2; l->p < l->end; l->p++) {
		if (*l->p == '\n')
			lex_newline(l);
		if (l->p[0] == '*' && l->p + 1 < l->end && l->p[1] == '/') {
			l->p += 2;
			return (true);
		}
	}
	return (false);
}

/* Does a comment start at p? */
static bool
lex_at_comment(const struct lex *l)
{
	return (*l->p == '#' ||
	    (*l->p == '/' && l->p + 1 < l->end &&
		(l->p[1] == '/' || l->p[1] == '*')));
}

/* Pass white space and comments; false: a comment never ends. */
static bool
lex_space(struct lex *l)
{
	while (l->p < l->end) {
		if (*l->p == '\n') {
			lex_newline(l);
			l->p++;
		} else if (*l->p == ' ' || *l->p == '\t' || *l->p == '\r') {
			l->p++;
		} else if (!lex_at_comment(l)) {
			return (true);
		} else if (!lex_comment(l)) {
			return (false);
		}
	}
	return (true);
}

/* A quoted string; it must end in its line. */
static enum token
lex_quoted(struct lex *l)
{
	char quote = *l->p;

	l->word = l->p++;
	for (; l->p < l->end && *l->p != quote; l->p++) {
		if (*l->p == '\\' && l->p + 1 < l->end && l->p[1] != '\n')
			l->p++;
		else if (*l->p == '\n')
			break;
		else if (*l->p == '\0')
			return (lex_error(l, "a NUL byte", NULL, 0));
		else if (quote == '"' && *l->p == '$' && l->p + 1 < l->end &&
		    l->p[1] == '{')
			return (lex_error(l,
			    "${...} is not supported; write "
			    "it in single quotes",
			    NULL, 0));
	}
	if (l->p == l->end || *l->p != quote)
		return (lex_error(l, "a quoted string does not end in its line",
		    NULL, 0));
	l->p++;
	l->len = (size_t)(l->p - l->word);
	return (T_WORD);
}

/* A word without quotes. */
static enum token
lex_bare(struct lex *l)
{
	static const char stop[] = " \t\r\n\"'={}()+,#";

	l->word = l->p;
	for (; l->p < l->end && *l->p != '\0' && strchr(stop, *l->p) == NULL &&
	     !lex_at_comment(l);
	     l->p++)
		;
	l->len = (size_t)(l->p - l->word);
	if (l->len == 0 || iscntrl((unsigned char)*l->word))
		return (lex_error(l, "unexpected character", l->p,
		    l->p < l->end && isprint((unsigned char)*l->p) ? 1 : 0));
	if (l->word[l->len - 1] == '$' && l->p < l->end && *l->p == '{')
		return (lex_error(l,
		    "${...} is not supported; write it in "
		    "single quotes",
		    NULL, 0));
	if (memchr(l->word, '*', l->len) != NULL)
		return (lex_error(l, "a * must be in single quotes:", l->word,
		    l->len));
	return (T_WORD);
}

static enum token
lex_token(struct lex *l)
{
	static const char marks[] = "={},()";
	static const enum token tokens[] = { T_EQUAL, T_OPEN, T_CLOSE, T_COMMA,
		T_PAREN, T_THESIS };
	const char *at;

	if (!lex_space(l))
		return (lex_error(l, "a comment that does not end", NULL, 0));
	if (l->p == l->end)
		return (T_END);
	if (*l->p == '\'' || *l->p == '"')
		return (lex_quoted(l));
	l->word = l->p;
	l->len = 1;
	if (*l->p != '\0' && (at = strchr(marks, *l->p)) != NULL) {
		l->p++;
		return (tokens[at - marks]);
	}
	if (*l->p == '+' && l->p + 1 < l->end && l->p[1] == '=') {
		l->p += 2;
		l->len = 2;
		return (T_PLUS);
	}
	return (lex_bare(l));
}

/* Write the token as it is. */
static void
lex_copy(struct lex *l)
{
	buf_add(l->out, l->word, l->len);
	buf_addc(l->out, ' ');
}

/* Write a word with its tag. */
static void
lex_copy_tagged(struct lex *l)
{
	size_t quoted = *l->word == '\'' || *l->word == '"' ? 1 : 0;

	buf_add(l->out, l->word, quoted);
	buf_addf(l->out, "%u:%d:", l->file, l->line);
	buf_add(l->out, l->word + quoted, l->len - quoted);
	buf_addc(l->out, ' ');
}

/* A name: only what can be one, so that libconfuse finds it or not. */
static bool
lex_is_name(const struct lex *l)
{
	size_t i;

	for (i = 0; i < l->len; i++)
		if (!isalnum((unsigned char)l->word[i]) && l->word[i] != '-' &&
		    l->word[i] != '_')
			return (false);
	return (true);
}

/* Between statements. */
static enum token
lex_at_name(struct lex *l, enum token t)
{
	if (t == T_CLOSE) {
		if (l->depth == 0)
			return (lex_error(l, "a } too much", NULL, 0));
		l->depth--;
	} else if (t != T_WORD) {
		return (lex_error(l, "expected a directive instead of", l->word,
		    l->len));
	} else if (!lex_is_name(l)) {
		return (lex_error(l, "unknown directive", l->word, l->len));
	} else {
		l->state = S_AFTER;
	}
	lex_copy(l);
	return (t);
}

/* Behind a name or a title: a section begins. */
static enum token
lex_open(struct lex *l)
{
	if (l->depth == LEX_DEPTH)
		return (lex_error(l, "too many sections inside each other",
		    NULL, 0));
	l->open_line[l->depth++] = l->line;
	l->state = S_NAME;
	lex_copy(l);
	return (T_OPEN);
}

/* Behind a name. */
static enum token
lex_after(struct lex *l, enum token t)
{
	switch (t) {
	case T_EQUAL:
	case T_PLUS:
		l->state = S_VALUE;
		break;
	case T_OPEN:
		return (lex_open(l));
	case T_PAREN:
		l->state = S_ARG;
		break;
	case T_WORD:
		l->state = S_BODY;
		lex_copy_tagged(l);
		return (t);
	default:
		return (lex_error(l, "expected = or { before", l->word,
		    l->len));
	}
	lex_copy(l);
	return (t);
}

/* Behind an equal sign. */
static enum token
lex_value(struct lex *l, enum token t)
{
	if (t == T_OPEN) {
		l->state = S_LIST;
		l->list_open = false;
		return (t);
	}
	if (t != T_WORD)
		return (lex_error(l, "expected a value before", l->word,
		    l->len));
	l->state = S_NAME;
	lex_copy_tagged(l);
	return (t);
}

/* In a list. */
static enum token
lex_list(struct lex *l, enum token t)
{
	if (t == T_CLOSE) {
		if (l->list_open)
			lex_copy(l);
		else
			buf_addf(l->out, "'%u:%d:' ", l->file, l->line);
		l->state = S_NAME;
	} else if (l->state == S_LIST && t == T_WORD) {
		if (!l->list_open)
			buf_adds(l->out, "{ ");
		l->list_open = true;
		lex_copy_tagged(l);
		l->state = S_LISTSEP;
	} else if (l->state == S_LISTSEP && t == T_COMMA) {
		lex_copy(l);
		l->state = S_LIST;
	} else {
		return (lex_error(l,
		    l->state == S_LIST ? "expected a value before" :
					 "expected , or } before",
		    l->word, l->len));
	}
	return (t);
}

/* Between the parentheses of include(). */
static enum token
lex_args(struct lex *l, enum token t)
{
	if (t == T_THESIS) {
		lex_copy(l);
		l->state = S_NAME;
	} else if (l->state == S_ARG && t == T_WORD) {
		lex_copy_tagged(l);
		l->state = S_ARGSEP;
	} else if (l->state == S_ARGSEP && t == T_COMMA) {
		lex_copy(l);
		l->state = S_ARG;
	} else {
		return (lex_error(l, "expected ) before", l->word, l->len));
	}
	return (t);
}

/* One token of the file; T_ERROR when it must not stand here. */
static enum token
lex_step(struct lex *l, enum token t)
{
	switch (l->state) {
	case S_NAME:
		return (lex_at_name(l, t));
	case S_AFTER:
		return (lex_after(l, t));
	case S_VALUE:
		return (lex_value(l, t));
	case S_LIST:
	case S_LISTSEP:
		return (lex_list(l, t));
	case S_BODY:
		if (t != T_OPEN)
			return (lex_error(l, "expected { before", l->word,
			    l->len));
		return (lex_open(l));
	default:
		return (lex_args(l, t));
	}
}

int
lex_clean(const char *p, size_t n, unsigned file, struct buf *ret_clean,
    int *ret_line, struct buf *ret_why)
{
	struct lex l = { .p = p,
		.end = p + n,
		.line = 1,
		.file = file,
		.out = ret_clean,
		.why = ret_why,
		.state = S_NAME };
	enum token t;

	do {
		t = lex_token(&l);
		if (t != T_END && t != T_ERROR)
			t = lex_step(&l, t);
	} while (t != T_END && t != T_ERROR);
	*ret_line = l.line;
	if (t == T_ERROR)
		return (-1);
	if (l.state != S_NAME) {
		(void)lex_error(&l, "the file ends inside a statement", NULL,
		    0);
		return (-1);
	}
	if (l.depth > 0) {
		*ret_line = l.open_line[l.depth - 1];
		(void)lex_error(&l, "this section is never closed", NULL, 0);
		return (-1);
	}
	return (0);
}

/* The text of a word without quotes and escapes. */
static void
lex_unquote(const struct lex *l, struct buf *ret_text)
{
	const char *p = l->word, *end = l->word + l->len;
	char quote = *p;

	if (quote != '\'' && quote != '"') {
		buf_add(ret_text, p, l->len);
		return;
	}
	for (p++, end--; p < end; p++) {
		if (*p == '\\' && (p[1] == '\'' || p[1] == '\\'))
			p++;
		buf_addc(ret_text, *p);
	}
}

/* Would libconfuse make another text of it than lex_unquote? */
static bool
lex_is_escaped(const struct lex *l)
{
	return (*l->word == '"' && memchr(l->word, '\\', l->len) != NULL);
}

int
lex_spool(const char *p, size_t n, struct buf *ret_spool)
{
	struct lex l = { .p = p, .end = p + n, .line = 1 };
	enum token t;
	int depth = 0, stage = 0;

	while ((t = lex_token(&l)) != T_END && t != T_ERROR) {
		if (t == T_WORD && stage == 2) {
			if (lex_is_escaped(&l))
				return (-1);
			lex_unquote(&l, ret_spool);
			return (1);
		}
		depth += t == T_OPEN ? 1 : t == T_CLOSE ? -1 : 0;
		if (stage == 1 && t == T_EQUAL)
			stage = 2;
		else
			stage = depth == 0 && t == T_WORD && l.len == 5 &&
				memcmp(l.word, "spool", 5) == 0 ?
			    1 :
			    0;
	}
	return (0);
}

const char *
lex_untag(const char *text, unsigned *ret_file, int *ret_line)
{
	char *end;

	*ret_file = (unsigned)strtoul(text, &end, 10);
	*ret_line = (int)strtol(end + 1, &end, 10);
	return (end + 1);
}
