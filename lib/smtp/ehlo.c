/*
 * The answer to EHLO (RFC 5321 4.1.1.1): one keyword a line, perhaps with
 * parameters. One table says what we know; everything else is ignored, and
 * so are values that make no sense. A keyword that comes twice counts once,
 * with its first value.
 */
#include <string.h>
#include <strings.h>

#include "smtp/ehlo.h"

struct ehlo_word {
	const char *name;
	enum smtp_ext ext;
	void (*value)(struct smtp_caps *caps, const char *p, size_t n);
};

/* Digits only, at most max_digits; -1: not so. */
static int64_t
ehlo_num(const char *p, size_t n, size_t max_digits)
{
	int64_t v = 0;
	size_t i;

	if (n == 0 || n > max_digits)
		return (-1);
	for (i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return (-1);
		v = v * 10 + (p[i] - '0');
	}
	return (v);
}

/* The next word of [p, end): its length, *pp moved to its start. */
static size_t
ehlo_token(const char **pp, const char *end)
{
	const char *p = *pp, *q;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	for (q = p; q < end && *q != ' ' && *q != '\t' && *q != '\r'; q++)
		;
	*pp = p;
	return ((size_t)(q - p));
}

/* SIZE n (RFC 1870): 20 digits at most there, 18 are enough here. */
static void
ehlo_size(struct smtp_caps *caps, const char *p, size_t n)
{
	const char *at = p;
	size_t len = ehlo_token(&at, p + n);
	int64_t v = ehlo_num(at, len, 18);

	caps->size = v > 0 ? v : 0;
}

/* One NAME=n of LIMITS. */
static void
ehlo_limit(struct smtp_caps *caps, const char *p, size_t n)
{
	const char *eq = memchr(p, '=', n);
	size_t name;
	int64_t v;

	if (eq == NULL)
		return;
	name = (size_t)(eq - p);
	v = ehlo_num(eq + 1, n - name - 1, 6);
	if (v <= 0)
		return;
	if (name == 7 && strncasecmp(p, "RCPTMAX", name) == 0)
		caps->rcpt_max = (int)v;
	else if (name == 7 && strncasecmp(p, "MAILMAX", name) == 0)
		caps->mail_max = (int)v;
	else if (name == 13 && strncasecmp(p, "RCPTDOMAINMAX", name) == 0)
		caps->rcpt_domain_max = (int)v;
}

/* LIMITS NAME=n NAME=n ... (RFC 9422). */
static void
ehlo_limits(struct smtp_caps *caps, const char *p, size_t n)
{
	const char *end = p + n;
	size_t len;

	for (len = ehlo_token(&p, end); len > 0; len = ehlo_token(&p, end)) {
		ehlo_limit(caps, p, len);
		p += len;
	}
}

static const struct ehlo_word ehlo_words[] = {
	{ "8BITMIME", SMTP_EXT_8BITMIME, NULL },
	{ "AUTH", SMTP_EXT_AUTH, NULL },
	{ "CHUNKING", SMTP_EXT_CHUNKING, NULL },
	{ "DSN", SMTP_EXT_DSN, NULL },
	{ "ENHANCEDSTATUSCODES", SMTP_EXT_STATUS, NULL },
	{ "LIMITS", SMTP_EXT_LIMITS, ehlo_limits },
	{ "PIPELINING", SMTP_EXT_PIPELINING, NULL },
	{ "SIZE", SMTP_EXT_SIZE, ehlo_size },
	{ "SMTPUTF8", SMTP_EXT_SMTPUTF8, NULL },
	{ "STARTTLS", SMTP_EXT_STARTTLS, NULL },
};
#define EHLO_N (sizeof(ehlo_words) / sizeof(ehlo_words[0]))

/* One line: a keyword, `AUTH=` for the sake of old servers, parameters. */
static void
ehlo_line(struct smtp_caps *caps, const char *p, size_t n)
{
	const char *end = p + n, *eq;
	size_t len = ehlo_token(&p, end), i;

	eq = memchr(p, '=', len);
	if (eq != NULL)
		len = (size_t)(eq - p);
	for (i = 0; i < EHLO_N; i++) {
		const struct ehlo_word *w = &ehlo_words[i];

		if (strlen(w->name) != len || strncasecmp(w->name, p, len) != 0)
			continue;
		if ((caps->offered & w->ext) == 0 && w->value != NULL)
			w->value(caps, p + len, (size_t)(end - p) - len);
		caps->offered |= w->ext;
	}
}

void
smtp_ehlo_parse(const char *text, size_t len, unsigned ignore,
    struct smtp_caps *ret_caps)
{
	const char *p = text, *end = text + len, *lf;
	int lines = 0;

	memset(ret_caps, 0, sizeof(*ret_caps));
	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL &&
	    lines++ < SMTP_EHLO_WORDS) {
		p = lf + 1; /* the first line greets */
		lf = memchr(p, '\n', (size_t)(end - p));
		ehlo_line(ret_caps, p, (size_t)((lf ? lf : end) - p));
	}
	ret_caps->ext = ret_caps->offered & ~ignore;
}

void
smtp_ehlo_names(const struct smtp_caps *caps, struct buf *ret_names)
{
	bool first = true;
	size_t i;

	for (i = 0; i < EHLO_N; i++) {
		if ((caps->offered & ehlo_words[i].ext) == 0)
			continue;
		if (!first)
			buf_addc(ret_names, ',');
		buf_adds(ret_names, ehlo_words[i].name);
		first = false;
	}
}
