/*
 * Batch SMTP (after RFC 2442): what a client would say, in a file.
 *
 * Nobody answers, so an error cannot stop the sender: what is wrong is told
 * to the caller once, with its line, and the rest of that transaction is read
 * over, its message too (never taking content for commands), up to the next
 * MAIL, HELO, EHLO, RSET or QUIT. A bad recipient alone does not spoil a
 * transaction. Blank lines between commands are ignored, and QUIT does not
 * end the stream, so that files can be joined.
 *
 * Lines end in LF or CRLF; a message ends at a line with a lone dot, in the
 * sense of RFC 5321 4.5.2. CR alone is no line end anywhere. A stream that
 * ends inside a message refuses it: it may have been cut off.
 *
 * Mail merges (XMRG) are transactions like others, with variables before the
 * recipients and several messages, the parts, instead of one (mail/xmrg.h).
 * XACK asks for what is never done here: nobody is answered.
 *
 * Memory: one command line, and one transaction up to the caller's limits.
 * Commands are a table; a function each.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "mail/bsmtp.h"

#define BSMTP_LINE_MAX 4096

/* Where in a message the next octet stands. */
enum data_pos { POS_LINE_START, POS_INSIDE, POS_DOT, POS_DOT_CR };

struct bsmtp {
	struct bsmtp_opts opts;
	uint64_t lineno; /* of the line that is being read */
	struct buf line; /* command line, as far as it was read */
	bool overlong;	 /* the rest of the command line is dropped */
	bool open;	 /* MAIL or XMRG was accepted */
	bool dead;	 /* refused: read over what belongs to it */
	bool in_data;
	bool more; /* a part is read, and others follow */
	enum data_pos pos;
	struct bsmtp_txn txn;
	struct bsmtp_rcpt *rcpt; /* pointers are set when it is complete */
	size_t rcpt_cap;
	struct buf text;    /* strings of the recipients, NUL-ended, in order */
	struct xmrg *merge; /* of txn.merge; NULL: there was none yet */
};

struct bsmtp *
bsmtp_new(const struct bsmtp_opts *opts)
{
	struct bsmtp *b = xcalloc(1, sizeof(*b));

	b->opts = *opts;
	if (b->opts.max_line == 0)
		b->opts.max_line = BSMTP_LINE_MAX;
	b->lineno = 1;
	return (b);
}

void
bsmtp_free(struct bsmtp *b)
{
	if (b == NULL)
		return;
	buf_release(&b->line);
	buf_release(&b->text);
	buf_release(&b->txn.data);
	xmrg_free(b->merge);
	free(b->rcpt);
	free(b);
}

/* Forget the transaction; its buffers keep their room. */
static void
reset(struct bsmtp *b)
{
	b->open = b->dead = b->in_data = b->more = false;
	if (b->txn.merge != NULL)
		xmrg_reset(b->merge);
	b->txn.merge = NULL;
	b->txn.n_rcpt = b->txn.n_bad = 0;
	buf_clear(&b->text);
	buf_clear(&b->txn.data);
}

/* Refuse the transaction, once. */
static void
refuse(struct bsmtp *b, uint64_t line, const char *why)
{
	if (!b->dead)
		b->opts.refuse(b->opts.arg, true, line, why);
	b->dead = true;
	buf_clear(&b->txn.data);
	if (b->txn.merge != NULL)
		xmrg_reset(b->merge);
}

/* A transaction that was begun is given up by what follows. */
static void
abandon(struct bsmtp *b)
{
	if (b->open)
		refuse(b, b->txn.line,
		    b->txn.merge != NULL ? "merge without XPRT LAST" :
					   "transaction without DATA");
	reset(b);
}

/*
 * Skip a word such as `FROM:` and the blanks after it; NULL: it is not
 * there.
 */
static const char *
skip_word(const char *p, const char *word)
{
	size_t n = strlen(word);

	while (*p == ' ')
		p++;
	if (strncasecmp(p, word, n) != 0)
		return (NULL);
	for (p += n; *p == ' ';)
		p++;
	return (p);
}

/*
 * MAIL and XMRG; args is NUL-ended, end is where it ought to end. without:
 * what is said where FROM: is not there.
 */
static void
begin(struct bsmtp *b, const char *args, const char *end, const char *without)
{
	const char *p = skip_word(args, "FROM:");
	struct verr err = VERR_INIT;
	size_t used;

	abandon(b);
	b->txn.line = b->lineno;
	if (p == NULL)
		refuse(b, b->lineno, without);
	else if (addr_path(p, (size_t)(end - p), ADDR_SENDER, &used,
		     &b->txn.from, &err) == -1 ||
	    esmtp_mail_parse(p + used, (size_t)(end - p) - used, &b->txn.mail,
		&err) == -1) {
		(void)verr_prefix(&err, "sender");
		refuse(b, b->lineno, err.text);
	} else
		b->open = true;
}

static void
cmd_mail(struct bsmtp *b, const char *args, const char *end)
{
	begin(b, args, end, "MAIL without FROM:");
}

static void
cmd_xmrg(struct bsmtp *b, const char *args, const char *end)
{
	begin(b, args, end, "XMRG without FROM:");
	if (!b->open)
		return;
	if (b->merge == NULL)
		b->merge = xmrg_new();
	b->txn.merge = b->merge;
}

/* Keep a recipient that is all right. */
static void
add_rcpt(struct bsmtp *b, const struct addr *a, const struct esmtp_rcpt *r)
{
	struct bsmtp_rcpt *to;

	if (b->txn.n_rcpt == b->rcpt_cap) {
		b->rcpt_cap = b->rcpt_cap > 0 ? b->rcpt_cap * 2 : 16;
		b->rcpt = xreallocarray(b->rcpt, b->rcpt_cap, sizeof(*b->rcpt));
	}
	to = &b->rcpt[b->txn.n_rcpt++];
	memset(to, 0, sizeof(*to));
	to->utf8 = a->utf8;
	to->line = b->lineno;
	buf_add(&b->text, a->orig, a->orig_len + 1u);
	buf_add(&b->text, a->smtp, a->smtp_len + 1u);
	buf_add(&b->text, addr_domain(a), strlen(addr_domain(a)) + 1);
	buf_add(&b->text, r->notify, strlen(r->notify) + 1);
	buf_add(&b->text, r->orcpt, strlen(r->orcpt) + 1);
	if (b->txn.merge != NULL)
		xmrg_rcpt(b->merge);
}

static void
cmd_rcpt(struct bsmtp *b, const char *args, const char *end)
{
	const char *p = skip_word(args, "TO:");
	struct verr err = VERR_INIT;
	struct esmtp_rcpt r;
	struct addr a;
	size_t used;

	if (b->dead)
		return;
	if (!b->open)
		refuse(b, b->lineno, "RCPT without MAIL");
	else if (b->txn.merge != NULL && xmrg_begun(b->merge))
		refuse(b, b->lineno, "RCPT after XPRT");
	else if (b->opts.max_rcpt > 0 && b->txn.n_rcpt == b->opts.max_rcpt)
		refuse(b, b->lineno, "too many recipients");
	else if ((p == NULL &&
		     verr_set(&err, VEX_DATA, "RCPT without TO:") == -1) ||
	    addr_path(p, (size_t)(end - p), ADDR_RCPT, &used, &a, &err) == -1 ||
	    esmtp_rcpt_parse(p + used, (size_t)(end - p) - used, &r, &err) ==
		-1) {
		b->txn.n_bad++;
		if (b->txn.merge != NULL)
			xmrg_pass(b->merge);
		b->opts.refuse(b->opts.arg, false, b->lineno, err.text);
	} else
		add_rcpt(b, &a, &r);
}

static void
cmd_data(struct bsmtp *b, const char *args, const char *end)
{
	if (!b->open)
		refuse(b, b->lineno, "DATA without MAIL");
	else if (b->txn.merge != NULL)
		refuse(b, b->lineno, "DATA in a mail merge: XPRT");
	else if (strspn(args, " ") != (size_t)(end - args))
		refuse(b, b->lineno, "DATA takes no argument");
	else if (b->txn.n_rcpt == 0)
		refuse(b, b->lineno, "no recipient");
	b->in_data = true;
	b->pos = POS_LINE_START;
}

/* RSET: what was begun is taken back. */
static void
cmd_reset(struct bsmtp *b, const char *args, const char *end)
{
	(void)args;
	(void)end;
	reset(b);
}

static void
cmd_noop(struct bsmtp *b, const char *args, const char *end)
{
	(void)b;
	(void)args;
	(void)end;
}

/*
 * QUIT, HELO, EHLO: the end, or the beginning, of what somebody has said.
 * Where files are joined the one before may have been cut off.
 */
static void
cmd_session(struct bsmtp *b, const char *args, const char *end)
{
	(void)args;
	(void)end;
	abandon(b);
}

static void
cmd_xdfn(struct bsmtp *b, const char *args, const char *end)
{
	struct verr err = VERR_INIT;

	if (b->dead)
		return;
	if (b->txn.merge == NULL)
		refuse(b, b->lineno, "XDFN without XMRG");
	else if (xmrg_define(b->merge, args, (size_t)(end - args), &err) == -1)
		refuse(b, b->lineno, err.text);
}

/* What follows is content up to a lone dot, never commands. */
static void
cmd_xprt(struct bsmtp *b, const char *args, const char *end)
{
	size_t n = (size_t)(end - args);
	struct verr err = VERR_INIT;

	b->in_data = true;
	b->pos = POS_LINE_START;
	b->more = !xmrg_says_last(args, n);
	if (b->dead)
		return;
	if (b->txn.merge == NULL)
		refuse(b, b->lineno, "XPRT without XMRG");
	else if (b->txn.n_rcpt == 0)
		refuse(b, b->lineno, "no recipient");
	else if (xmrg_part(b->merge, args, n, &err) == -1)
		refuse(b, b->lineno, err.text);
}

/* ON or OFF: what would be answered, or not. */
static void
cmd_xack(struct bsmtp *b, const char *args, const char *end)
{
	bool on;

	if (xmrg_ack(args, (size_t)(end - args), &on) == -1)
		refuse(b, b->lineno, "XACK: ON or OFF");
}

static const struct {
	const char *verb;
	void (*fn)(struct bsmtp *b, const char *args, const char *end);
} command[] = {
	{ "HELO", cmd_session },
	{ "EHLO", cmd_session },
	{ "MAIL", cmd_mail },
	{ "RCPT", cmd_rcpt },
	{ "DATA", cmd_data },
	{ "RSET", cmd_reset },
	{ "NOOP", cmd_noop },
	{ "QUIT", cmd_session },
	{ "XMRG", cmd_xmrg },
	{ "XDFN", cmd_xdfn },
	{ "XPRT", cmd_xprt },
	{ "XACK", cmd_xack },
};

/* A command line is complete, without its line end. */
static void
run_command(struct bsmtp *b)
{
	const char *p = buf_str(&b->line), *end = p + b->line.len;
	size_t n = strcspn(p, " "), i;

	if (b->overlong) {
		refuse(b, b->lineno, "command line too long");
		return;
	}
	if (b->line.len == 0)
		return;
	for (i = 0; i < sizeof(command) / sizeof(command[0]); i++)
		if (n == strlen(command[i].verb) &&
		    strncasecmp(p, command[i].verb, n) == 0) {
			command[i].fn(b, p + n, end);
			return;
		}
	refuse(b, b->lineno, "unknown command");
}

/* Octets that the command line may have; it has begun. */
static size_t
line_max(const struct bsmtp *b)
{
	static const char verb[] = "XDFN ";

	if (b->line.len >= sizeof(verb) - 1 &&
	    strncasecmp(b->line.p, verb, sizeof(verb) - 1) == 0)
		return (XMRG_LINE_MAX);
	return (b->opts.max_line);
}

/* Add to the command line what it may have. */
static void
add_line(struct bsmtp *b, const char *p, size_t n)
{
	size_t max = b->opts.max_line, k;

	/* its verb decides how long it may be, and may come in pieces */
	k = b->line.len < max ? max - b->line.len : 0;
	if (k > n)
		k = n;
	buf_add(&b->line, p, k);
	p += k;
	n -= k;
	max = line_max(b);
	if (n > max - b->line.len) {
		n = max - b->line.len;
		b->overlong = true;
	}
	buf_add(&b->line, p, n);
}

/* Read up to the end of a command line; returns where to go on. */
static const char *
feed_command(struct bsmtp *b, const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	add_line(b, p, (size_t)((nl != NULL ? nl : end) - p));
	if (nl == NULL)
		return (end);
	if (b->line.len > 0 && b->line.p[b->line.len - 1] == '\r')
		b->line.p[--b->line.len] = '\0';
	run_command(b);
	buf_clear(&b->line);
	b->overlong = false;
	b->lineno++;
	return (nl + 1);
}

/* Add to the message, unless it is refused. */
static void
add_data(struct bsmtp *b, const char *p, size_t n)
{
	size_t max = b->opts.max_size, len = b->txn.data.len;

	if (b->txn.merge != NULL)
		len = xmrg_size(b->merge);
	/* the line of its MAIL: where it is too much depends on the cuts */
	if (!b->dead && max > 0 && (n > max || len > max - n))
		refuse(b, b->txn.line, "message too large");
	if (!b->dead && b->txn.merge != NULL)
		xmrg_data(b->merge, p, n);
	else if (!b->dead)
		buf_add(&b->txn.data, p, n);
}

/* The next of the strings in text. */
static const char *
next_string(const char **p)
{
	const char *s = *p;

	*p += strlen(s) + 1;
	return (s);
}

/* The lone dot: hand the transaction over. */
static int
end_data(struct bsmtp *b, struct verr *err)
{
	const char *p = buf_str(&b->text);
	size_t i;
	int rc = 0;

	b->lineno++;
	if (b->more) {
		b->in_data = b->more = false;
		return (0);
	}
	if (!b->dead) {
		for (i = 0; i < b->txn.n_rcpt; i++) {
			b->rcpt[i].orig = next_string(&p);
			b->rcpt[i].smtp = next_string(&p);
			b->rcpt[i].domain = next_string(&p);
			b->rcpt[i].notify = next_string(&p);
			b->rcpt[i].orcpt = next_string(&p);
		}
		b->txn.rcpt = b->rcpt;
		rc = b->opts.done(b->opts.arg, &b->txn, err);
	}
	reset(b);
	return (rc);
}

/* Copy whole lines, up to one that begins with a dot, or to the end. */
static const char *
feed_lines(struct bsmtp *b, const char *p, const char *end)
{
	const char *start = p, *nl;

	b->pos = POS_INSIDE;
	while ((nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		b->lineno++;
		p = nl + 1;
		if (p == end || *p == '.') {
			b->pos = POS_LINE_START;
			break;
		}
	}
	if (nl == NULL)
		p = end;
	add_data(b, start, (size_t)(p - start));
	return (p);
}

/* Read on in a message; returns where, or NULL when done() failed. */
static const char *
feed_data(struct bsmtp *b, const char *p, const char *end, struct verr *err)
{
	if (b->pos == POS_LINE_START && *p == '.') {
		b->pos = POS_DOT;
		return (p + 1);
	}
	if (b->pos == POS_DOT && *p == '\r') {
		b->pos = POS_DOT_CR;
		return (p + 1);
	}
	if ((b->pos == POS_DOT || b->pos == POS_DOT_CR) && *p == '\n')
		return (end_data(b, err) == 0 ? p + 1 : NULL);
	if (b->pos == POS_DOT_CR)
		add_data(b, "\r", 1);
	return (feed_lines(b, p, end));
}

int
bsmtp_feed(struct bsmtp *b, const char *p, size_t n, struct verr *err)
{
	const char *end = p + n;

	while (p < end) {
		p = b->in_data ? feed_data(b, p, end, err) :
				 feed_command(b, p, end);
		if (p == NULL)
			return (-1);
	}
	return (0);
}

int
bsmtp_end(struct bsmtp *b, struct verr *err)
{
	int rc = 0;

	if (!b->in_data && (b->line.len > 0 || b->overlong))
		rc = bsmtp_feed(b, "\n", 1, err);
	if (b->in_data)
		refuse(b, b->lineno, "stream ends inside a message");
	abandon(b);
	b->lineno = 1;
	return (rc);
}
