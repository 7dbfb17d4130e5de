/*
 * Reading an mbox. A message begins at a line `From SENDER DATE` that is the
 * first one or follows an empty line, where DATE begins as asctime(3) does
 * (`Mon Nov 30`): so that a sentence in a file whose writer quoted nothing does
 * not cut a message in two. The empty line is not of the message before.
 *
 * Quoting: of `>From `, `>>From ` and so on one `>` is taken off (mboxrd). In
 * mboxo only `>From ` is quoted; a line that began with more of them loses
 * one. Lengths (mboxcl) are not looked at: programs leave wrong ones.
 *
 * Memory: the start of one line.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "mail/mbox.h"

#define MBOX_LINE_MAX 1000 /* octets of a From_ line, and of `>`s */

enum mbox_where { BEFORE_FIRST, IN_JUNK, IN_MESSAGE };

struct mbox {
	struct mbox_opts opts;
	uint64_t lineno; /* of the line that is being read */
	enum mbox_where where;
	bool inside;	 /* of a line whose start was looked at */
	struct buf line; /* the start of a line, while it may be special */
	bool after_empty;
	size_t empty; /* octets of an empty line that is held back */
};

/* What the start of a line is. */
enum mbox_start {
	START_UNSURE,
	START_EMPTY,
	START_FROM,
	START_QUOTED,
	START_TEXT
};

struct mbox *
mbox_new(const struct mbox_opts *opts)
{
	struct mbox *m = xcalloc(1, sizeof(*m));

	m->opts = *opts;
	m->lineno = 1;
	m->after_empty = true;
	return (m);
}

void
mbox_free(struct mbox *m)
{
	if (m == NULL)
		return;
	buf_release(&m->line);
	free(m);
}

/* Octets of a message, or of what is none. 0 or -1. */
static int
text(struct mbox *m, const char *p, size_t n, struct verr *err)
{
	static const char empty[] = "\r\n";
	size_t held = m->empty;

	if (m->where == BEFORE_FIRST)
		m->opts.refuse(m->opts.arg, m->lineno,
		    "text before the first From_ line");
	if (m->where != IN_MESSAGE) {
		m->where = IN_JUNK;
		return (0);
	}
	m->empty = 0;
	if (held > 0 &&
	    m->opts.data(m->opts.arg, empty + 2 - held, held, err) == -1)
		return (-1);
	return (n > 0 ? m->opts.data(m->opts.arg, p, n, err) : 0);
}

/* What is known of a line by its first octets? */
static enum mbox_start
start_of(const struct buf *line)
{
	static const char from[] = "From ";
	size_t quotes = strspn(line->p, ">"), n = line->len - quotes;

	if (quotes == 0 && line->p[0] == '\n')
		return (START_EMPTY);
	if (quotes == 0 && line->p[0] == '\r' && n <= 2)
		return (n == 1		   ? START_UNSURE :
			line->p[1] == '\n' ? START_EMPTY :
					     START_TEXT);
	if (line->len > MBOX_LINE_MAX)
		return (START_TEXT);
	if (n > sizeof(from) - 1)
		n = sizeof(from) - 1;
	if (strncmp(line->p + quotes, from, n) != 0)
		return (START_TEXT);
	if (n < sizeof(from) - 1)
		return (START_UNSURE);
	return (quotes > 0 ? START_QUOTED : START_FROM);
}

/* Are three letters at p one of those in the list? */
static bool
one_of(const char *p, const char *list)
{
	for (; *list != '\0'; list += 3)
		if (strncmp(p, list, 3) == 0)
			return (true);
	return (false);
}

/* Where the date begins in a From_ line, or NULL: it is none. */
static const char *
from_date(const char *p)
{
	for (p = strchr(p, ' '); p != NULL; p = strchr(p + 1, ' '))
		if (one_of(p + 1, "MonTueWedThuFriSatSun") && p[4] == ' ' &&
		    one_of(p + 5, "JanFebMarAprMayJunJulAugSepOctNovDec") &&
		    p[8] == ' ')
			return (p);
	return (NULL);
}

/* End the message before, if any. 0 or -1. */
static int
message_done(struct mbox *m, struct verr *err)
{
	bool any = m->where == IN_MESSAGE;

	m->where = BEFORE_FIRST;
	m->empty = 0;
	return (any ? m->opts.end(m->opts.arg, err) : 0);
}

/* A whole line that begins with `From `. 0 or -1. */
static int
from_line(struct mbox *m, struct verr *err)
{
	char *sender = m->line.p + strlen("From ");
	const char *date = from_date(sender - 1);
	size_t n;

	if (!m->after_empty || date == NULL)
		return (text(m, m->line.p, m->line.len, err));
	if (message_done(m, err) == -1)
		return (-1);
	n = date > sender ? (size_t)(date - sender) : 0;
	while (n > 0 && sender[n - 1] == ' ')
		n--;
	sender[n] = '\0';
	m->where = IN_MESSAGE;
	return (m->opts.begin(m->opts.arg, m->lineno, sender, err));
}

/* The line has ended. */
static void
next_line(struct mbox *m, bool empty)
{
	m->lineno++;
	m->inside = false;
	m->after_empty = empty;
	buf_clear(&m->line);
}

/* An empty line: it may stand before a From_ line. 0 or -1. */
static int
empty_line(struct mbox *m, struct verr *err)
{
	int rc = 0;

	if (m->where == IN_MESSAGE) {
		/* the one before was not the last */
		rc = text(m, NULL, 0, err);
		m->empty = m->line.len;
	}
	next_line(m, true);
	return (rc);
}

/*
 * The start of a line: octets one by one, until it is known what it is.
 * Returns where to go on, NULL: stop.
 */
static const char *
feed_start(struct mbox *m, const char *p, const char *end, struct verr *err)
{
	enum mbox_start is = START_UNSURE;
	int rc = 0;

	while (p < end && is == START_UNSURE) {
		buf_addc(&m->line, (unsigned char)*p++);
		is = start_of(&m->line);
		if (is == START_FROM && p[-1] != '\n')
			is = START_UNSURE; /* until all of it is there */
	}
	if (is == START_UNSURE)
		return (p);
	if (is == START_EMPTY)
		return (empty_line(m, err) == 0 ? p : NULL);
	if (is == START_FROM)
		rc = from_line(m, err);
	else
		rc = text(m, m->line.p + (is == START_QUOTED),
		    m->line.len - (is == START_QUOTED), err);
	if (p[-1] == '\n')
		next_line(m, false);
	else
		m->inside = true;
	buf_clear(&m->line);
	return (rc == 0 ? p : NULL);
}

/* The rest of a line. */
static const char *
feed_rest(struct mbox *m, const char *p, const char *end, struct verr *err)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));
	const char *stop = nl != NULL ? nl + 1 : end;

	if (text(m, p, (size_t)(stop - p), err) == -1)
		return (NULL);
	if (nl != NULL)
		next_line(m, false);
	return (stop);
}

int
mbox_feed(struct mbox *m, const char *p, size_t n, struct verr *err)
{
	const char *end = p + n;

	while (p < end) {
		p = m->inside ? feed_rest(m, p, end, err) :
				feed_start(m, p, end, err);
		if (p == NULL)
			return (-1);
	}
	return (0);
}

int
mbox_end(struct mbox *m, struct verr *err)
{
	int rc = 0;

	/* a start that nothing follows, and a From_ line without its end */
	if (m->line.len > 0 && strncmp(m->line.p, "From ", 5) == 0)
		rc = mbox_feed(m, "\n", 1, err);
	else if (m->line.len > 0)
		rc = text(m, m->line.p, m->line.len, err);
	if (rc == 0)
		rc = message_done(m, err);
	m->where = BEFORE_FIRST;
	next_line(m, true);
	m->lineno = 1;
	m->empty = 0;
	return (rc);
}
