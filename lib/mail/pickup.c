/*
 * The reader of pickup files. Lines of the envelope are a table, a function
 * each. What is wrong in one refuses the file, with the line: it is one
 * message, and a part of its recipients is not what its writer asked for.
 *
 * Memory: one line. Recipients and message are the caller's.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "mail/pickup.h"
#include "mail/xtext.h"

struct pickup {
	struct pickup_opts opts;
	struct buf line; /* as far as it was read, with its line end */
	uint64_t lineno; /* of that line */
	bool message;	 /* the message has begun */
	bool passed;	 /* the line before is a field of the message */
	bool has_sender, has_override;
	struct addr sender, override;
	struct buf job, envid;
	size_t n_rcpt;
};

/* Does p begin with word (in any case), and then one of the octets in ends? */
static bool
begins(const char *p, size_t n, const char *word, const char *ends)
{
	size_t len = strlen(word);

	return (n > len && strncasecmp(p, word, len) == 0 && p[len] != '\0' &&
	    strchr(ends, p[len]) != NULL);
}

enum pickup_kind
pickup_kind(const char *p, size_t n)
{
	static const char *const verb[] = { "HELO", "EHLO", "MAIL", "XMRG",
		"XACK" };
	size_t i;

	if (begins(p, n, "x-sender", ":"))
		return (PICKUP_MESSAGE);
	for (i = 0; i < sizeof(verb) / sizeof(verb[0]); i++)
		if (begins(p, n, verb[i], " \r\n"))
			return (PICKUP_BSMTP);
	return (PICKUP_NONE);
}

struct pickup *
pickup_new(const struct pickup_opts *opts)
{
	struct pickup *p = xcalloc(1, sizeof(*p));

	p->opts = *opts;
	p->lineno = 1;
	return (p);
}

void
pickup_free(struct pickup *p)
{
	if (p == NULL)
		return;
	buf_release(&p->line);
	buf_release(&p->job);
	buf_release(&p->envid);
	free(p);
}

const struct addr *
pickup_sender(const struct pickup *p)
{
	return (p->has_override ? &p->override : &p->sender);
}

const char *
pickup_job(const struct pickup *p)
{
	return (buf_str(&p->job));
}

const char *
pickup_envid(const struct pickup *p)
{
	return (buf_str(&p->envid));
}

/* ---- lines of the envelope; value has neither NUL nor blanks around it --- */

static int
line_sender(struct pickup *p, const char *value, size_t n, struct verr *err)
{
	if (p->has_sender)
		return (verr_set(err, VEX_DATA, "a second x-sender"));
	p->has_sender = true;
	if (addr_parse_local(value, n, ADDR_SENDER, p->opts.local, &p->sender,
		err) == -1)
		return (verr_prefix(err, "x-sender"));
	return (0);
}

static int
line_override(struct pickup *p, const char *value, size_t n, struct verr *err)
{
	if (p->has_override)
		return (verr_set(err, VEX_DATA, "a second x-sender-override"));
	p->has_override = true;
	if (addr_parse_local(value, n, ADDR_SENDER, p->opts.local, &p->override,
		err) == -1)
		return (verr_prefix(err, "x-sender-override"));
	return (0);
}

static int
line_receiver(struct pickup *p, const char *value, size_t n, struct verr *err)
{
	struct addr a;

	if (addr_parse_local(value, n, ADDR_RCPT, p->opts.local, &a, err) == -1)
		return (verr_prefix(err, "x-receiver"));
	if (p->opts.max_rcpt > 0 && p->n_rcpt == p->opts.max_rcpt)
		return (verr_set(err, VEX_DATA, "more than %zu recipients",
		    p->opts.max_rcpt));
	p->n_rcpt++;
	return (p->opts.rcpt(p->opts.arg, &a, err));
}

static int
line_envid(struct pickup *p, const char *value, size_t n, struct verr *err)
{
	if (p->envid.len > 0)
		return (verr_set(err, VEX_DATA, "a second x-envid"));
	xtext_encode(value, n, &p->envid);
	return (0);
}

static int
line_job(struct pickup *p, const char *value, size_t n, struct verr *err)
{
	if (p->job.len > 0)
		return (verr_set(err, VEX_DATA, "a second x-job"));
	buf_add(&p->job, value, n);
	return (0);
}

/* fn NULL: a field of the message. */
static const struct {
	const char *name;
	int (*fn)(struct pickup *p, const char *value, size_t n,
	    struct verr *err);
} lines[] = {
	{ "x-sender", line_sender },
	{ "x-receiver", line_receiver },
	{ "x-sender-override", line_override },
	{ "x-envid", line_envid },
	{ "x-job", line_job },
	{ "x-virtual-mta", NULL },
	{ "x-schedule", NULL },
	{ "x-dkim-options", NULL },
};
#define NLINES (sizeof(lines) / sizeof(lines[0]))

/* Which of the lines is it, NLINES: none. */
static size_t
line_find(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < NLINES; i++)
		if (begins(p, n, lines[i].name, ":"))
			break;
	return (i);
}

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

/* What stands behind the colon of line number i of the table. */
static int
run_value(struct pickup *p, size_t i, struct verr *err)
{
	const char *value = p->line.p + strlen(lines[i].name) + 1;
	const char *end = p->line.p + p->line.len;

	if (end > value && end[-1] == '\n')
		end--;
	if (end > value && end[-1] == '\r')
		end--;
	while (value < end && is_blank(*value))
		value++;
	while (value < end && is_blank(end[-1]))
		end--;
	if (memchr(value, '\0', (size_t)(end - value)) != NULL)
		return (verr_set(err, VEX_DATA, "NUL octet"));
	return (lines[i].fn(p, value, (size_t)(end - value), err));
}

/* Octets of the message. */
static int
pass(struct pickup *p, const char *data, size_t n, struct verr *err)
{
	if (p->opts.data(p->opts.arg, data, n, err) == 0)
		return (0);
	return (err->code == VEX_DATA ? verr_prefix(err, "message") : -1);
}

/* The line in p->line is none of the envelope: the message begins. */
static int
begin_message(struct pickup *p, struct verr *err)
{
	if (p->n_rcpt == 0)
		return (verr_set(err, VEX_DATA, "no x-receiver before it"));
	p->message = true;
	return (0);
}

/* A line before the message is complete, or too long to be of the envelope. */
static int
run_line(struct pickup *p, bool whole, struct verr *err)
{
	bool more = p->lineno > 1 && p->line.len > 0 && is_blank(p->line.p[0]);
	size_t i = line_find(buf_str(&p->line), p->line.len);

	if (more && !p->passed)
		return (verr_set(err, VEX_DATA, "a line that is folded"));
	if ((i < NLINES || more) && !whole)
		return (verr_set(err, VEX_DATA, "line over %d octets",
		    PICKUP_LINE_MAX));
	if (p->lineno == 1 && (i == NLINES || lines[i].fn != line_sender))
		return (verr_set(err, VEX_DATA, "x-sender is not first"));
	if (i < NLINES && lines[i].fn != NULL) {
		p->passed = false;
		return (run_value(p, i, err));
	}
	if (i == NLINES && !more && begin_message(p, err) == -1)
		return (-1);
	p->passed = true;
	return (0);
}

/* The line in p->line goes where it belongs. 0 or -1. */
static int
end_line(struct pickup *p, bool whole, struct verr *err)
{
	if (run_line(p, whole, err) == -1) {
		if (err->code != VEX_DATA)
			return (-1);
		return (verr_prefix(err, "line %llu",
		    (unsigned long long)p->lineno));
	}
	if (p->passed && pass(p, p->line.p, p->line.len, err) == -1)
		return (-1);
	p->lineno++;
	buf_clear(&p->line);
	return (0);
}

int
pickup_feed(struct pickup *p, const char *data, size_t n, struct verr *err)
{
	const char *end = data + n, *nl, *stop;
	size_t room;

	while (data < end && !p->message) {
		nl = memchr(data, '\n', (size_t)(end - data));
		stop = nl != NULL ? nl + 1 : end;
		room = PICKUP_LINE_MAX - p->line.len;
		if ((size_t)(stop - data) > room) {
			nl = NULL;
			stop = data + room;
		}
		buf_add(&p->line, data, (size_t)(stop - data));
		data = stop;
		if ((nl != NULL || p->line.len == PICKUP_LINE_MAX) &&
		    end_line(p, nl != NULL, err) == -1)
			return (-1);
	}
	return (data < end ? pass(p, data, (size_t)(end - data), err) : 0);
}

int
pickup_end(struct pickup *p, struct verr *err)
{
	if (p->line.len > 0 && end_line(p, true, err) == -1)
		return (-1);
	if (!p->has_sender)
		return (verr_set(err, VEX_DATA, "no x-sender"));
	if (p->n_rcpt == 0)
		return (verr_set(err, VEX_DATA, "no x-receiver"));
	if (!p->message)
		return (verr_set(err, VEX_DATA,
		    "the file ends before the message"));
	return (0);
}
