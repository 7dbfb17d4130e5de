/*
 * The content of a message, by DATA (RFC 5321, 4.5.2: dots un-stuffed) or in
 * chunks by BDAT (RFC 3030), in whatever pieces it comes. It is checked line
 * by line: bare CR, bare LF, NUL, lines over 998 octets, dots that are not
 * stuffed, 8-bit that was not announced, an end without CRLF.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sink.h"

/* Faults of content; each is reported once a message. */
enum { BAD_CR, BAD_LF, BAD_NUL, BAD_LONG, BAD_DOT, BAD_8BIT, BAD_END };

static const char *const fault_names[] = { "bare-cr", "bare-lf", "nul",
	"long-line", "dot-stuffing", "8bit-undeclared", "no-final-crlf" };

static void
fault(struct sink *s, struct conn *c, int kind)
{
	char at[40];

	if ((c->t.faults & 1U << kind) != 0)
		return;
	c->t.faults |= 1U << kind;
	(void)snprintf(at, sizeof(at), "octet %" PRIu64, c->t.size);
	record_fault(s, c, fault_names[kind], at);
}

void
body_begin(struct sink *s, struct conn *c)
{
	struct txn *t = &c->t;

	t->bol = t->in_header = true;
	t->cr = false;
	t->size = t->line_len = 0;
	t->faults = 0;
	buf_clear(&t->hdr);
	buf_clear(&t->seen);
	buf_clear(&t->content);
	t->drop = rule_body(s, c);
	t->drop_at = t->drop != NULL ? t->drop->bytes : UINT64_MAX;
}

/* The name under which the log wants the field p (of n octets), or NULL. */
static const char *
wanted(struct sink *s, const char *p, size_t n)
{
	const char *name = buf_str(&s->log_header);

	if (n == 10 && strncasecmp(p, "Message-ID", n) == 0)
		return ("msgid");
	for (; *name != '\0'; name += strlen(name) + 1)
		if (strlen(name) == n && strncasecmp(name, p, n) == 0)
			return (name);
	return (NULL);
}

/* A whole header field is in t->hdr: keep it when the log wants it. */
static void
header_done(struct sink *s, struct txn *t)
{
	const char *p = buf_str(&t->hdr), *end = p + t->hdr.len, *name;
	const char *colon = memchr(p, ':', t->hdr.len);

	name = colon != NULL ? wanted(s, p, (size_t)(colon - p)) : NULL;
	if (name != NULL) {
		for (p = colon + 1; p < end && strchr(" \r\n", *p); p++)
			continue;
		while (end > p && strchr(" \r\n", end[-1]) != NULL)
			end--;
		buf_addf(&t->seen, "\t%s=", name);
		record_escape(&t->seen, p, (size_t)(end - p));
	}
	buf_clear(&t->hdr);
}

/* Collect header fields from a piece of a line; first: it begins the line. */
static void
header_part(struct sink *s, struct txn *t, const char *p, size_t n, bool first)
{
	if (first && *p != ' ' && *p != '\t')
		header_done(s, t);
	if (first && (*p == '\r' || *p == '\n')) {
		t->in_header = false;
		return;
	}
	if (t->hdr.len < 2000)
		buf_add(&t->hdr, p, n);
}

/* Is there an octet above 127? */
static bool
has_8bit(const char *p, size_t n)
{
	uint64_t w, all = 0;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		memcpy(&w, p + i, 8);
		all |= w;
	}
	for (; i < n; i++)
		all |= (unsigned char)p[i];
	return ((all & 0x8080808080808080U) != 0);
}

/* Take a piece of a line; whole: its LF is the last octet. n > 0. */
static void
line_part(struct sink *s, struct conn *c, const char *p, size_t n, bool whole)
{
	struct txn *t = &c->t;
	const char *cr;
	size_t text = whole ? n - 1 : n;
	bool ends_cr;

	if (t->in_header)
		header_part(s, t, p, n, t->line_len == 0);
	if (t->cr && text > 0)
		fault(s, c, BAD_CR);
	ends_cr = text > 0 ? p[text - 1] == '\r' : t->cr;
	cr = memchr(p, '\r', text);
	if (cr != NULL && cr < p + text - 1)
		fault(s, c, BAD_CR);
	if (whole && !ends_cr)
		fault(s, c, BAD_LF);
	if (memchr(p, '\0', n) != NULL)
		fault(s, c, BAD_NUL);
	if (!t->eight && !(t->utf8 && t->in_header) && has_8bit(p, n))
		fault(s, c, BAD_8BIT);
	t->line_len += n;
	if (t->line_len > 1000 || (t->line_len > 999 && !whole && !ends_cr))
		fault(s, c, BAD_LONG);
	t->size += n;
	if (s->store_fd != -1)
		buf_add(&t->content, p, n);
	t->cr = ends_cr && !whole;
	t->bol = whole && ends_cr;
	if (whole)
		t->line_len = 0;
}

/* Take a line or what there is of it; returns octets used. */
static size_t
take_line(struct sink *s, struct conn *c, const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);

	if (lf != NULL)
		n = (size_t)(lf - p) + 1;
	line_part(s, c, p, n, lf != NULL);
	return (n);
}

/*
 * At the beginning of a line with a dot: 3 when this is the end of the data,
 * 1 when the dot is to be left out, 0 when more octets are needed.
 */
static size_t
take_dot(struct sink *s, struct conn *c, const char *p, size_t n)
{
	if (n == 1 || (n == 2 && p[1] == '\r'))
		return (0);
	if (p[1] == '\r' && p[2] == '\n')
		return (3);
	if (p[1] != '.')
		fault(s, c, BAD_DOT);
	return (1);
}

/* Content by DATA. */
static size_t
eat_data(struct sink *s, struct conn *c, const char *p, size_t n)
{
	size_t i = 0, k;

	while (i < n) {
		if (c->t.bol && p[i] == '.') {
			k = take_dot(s, c, p + i, n - i);
			i += k;
			if (k == 3)
				c->t.done = true;
			if (k != 1)
				break;
		}
		i += take_line(s, c, p + i, n - i);
		if (c->t.size >= c->t.drop_at)
			break;
	}
	return (i);
}

/* Content by BDAT; refused content is only counted. */
static size_t
eat_chunk(struct sink *s, struct conn *c, const char *p, size_t n)
{
	size_t i = 0;

	if (n > c->t.left)
		n = (size_t)c->t.left;
	if (c->t.refuse != 0) {
		s->wasted += n;
		i = n;
	}
	while (i < n && c->t.size < c->t.drop_at)
		i += take_line(s, c, p + i, n - i);
	c->t.left -= i;
	c->t.done = c->t.left == 0;
	return (i);
}

size_t
body_eat(struct sink *s, struct conn *c, const char *p, size_t n)
{
	size_t i;

	i = c->t.body == BODY_DATA ? eat_data(s, c, p, n) :
				     eat_chunk(s, c, p, n);
	if (c->t.drop != NULL && c->t.size >= c->t.drop_at) {
		s->drops++;
		record_begin(s, "drop", c);
		record_field(s, "stage", "body");
		record_end(s);
		c->end = c->t.drop->how;
		c->how = "drop";
		c->t.done = false;
	}
	return (i);
}

void
body_end(struct sink *s, struct conn *c)
{
	struct txn *t = &c->t;

	if (t->in_header)
		header_done(s, t);
	if (t->cr)
		fault(s, c, BAD_CR);
	if (t->size > 0 && !t->bol)
		fault(s, c, BAD_END);
	if (t->declared >= 0 && t->size > (uint64_t)t->declared)
		record_fault(s, c, "larger-than-declared", "");
}
