/*
 * The SMTP session (RFC 5321, 2034, 2920): one command or piece of content
 * after the other out of what has come, each answered by its default or by
 * the script, all replies of a wake-up in one write. It is strict: what a
 * client must not do is recorded as a fault, while the session goes on as a
 * lenient server's would.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sink.h"

#define LINE_MAX_OCTETS 2048

void
session_init(struct sink *s)
{
	static const struct {
		unsigned bit;
		const char *line;
	} lines[] = {
		{ F_PIPELINING, "\nPIPELINING" },
		{ F_CHUNKING, "\nCHUNKING" },
		{ F_8BITMIME, "\n8BITMIME" },
		{ F_SMTPUTF8, "\nSMTPUTF8" },
		{ F_DSN, "\nDSN" },
		{ F_ENHANCED, "\nENHANCEDSTATUSCODES" },
	};
	size_t i;

	buf_adds(&s->ehlo_text, s->host);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if ((s->features & lines[i].bit) != 0)
			buf_adds(&s->ehlo_text, lines[i].line);
	if ((s->features & F_SIZE) != 0)
		buf_addf(&s->ehlo_text, "\nSIZE %" PRIu64, s->size_max);
	if ((s->features & F_LIMITS) != 0)
		buf_adds(&s->ehlo_text, "\nLIMITS");
	if (s->rcpt_max > 0)
		buf_addf(&s->ehlo_text, " RCPTMAX=%" PRIu64, s->rcpt_max);
	if (s->mail_max > 0)
		buf_addf(&s->ehlo_text, " MAILMAX=%" PRIu64, s->mail_max);
	buf_adds(&s->ehlo_text, buf_str(&s->ehlo_extra));
}

void
txn_reset(struct txn *t)
{
	t->mail_seen = t->mail_ok = t->eight = t->utf8 = false;
	t->declared = -1;
	t->body = BODY_NO;
	t->nrcpt = 0;
	t->chunks = 0;
	t->refuse = 0;
	t->size = 0;
	t->drop = NULL;
	buf_clear(&t->path);
	buf_clear(&t->from);
	buf_clear(&t->rcpts);
	buf_clear(&t->seen);
}

void
txn_release(struct txn *t)
{
	buf_release(&t->path);
	buf_release(&t->from);
	buf_release(&t->rcpts);
	buf_release(&t->hdr);
	buf_release(&t->seen);
	buf_release(&t->content);
}

/* Append a reply, a line of text for each of its lines. */
static void
reply_add(struct buf *b, int code, const char *text)
{
	const char *lf;

	for (; (lf = strchr(text, '\n')) != NULL; text = lf + 1) {
		buf_addf(b, "%d-", code);
		buf_add(b, text, (size_t)(lf - text));
		buf_add(b, "\r\n", 2);
	}
	buf_addf(b, "%d ", code);
	buf_adds(b, text);
	buf_add(b, "\r\n", 2);
}

/* Record a refusal. */
static void
refused(struct sink *s, struct conn *c, enum stage st, const char *arg,
    const struct verdict *v)
{
	char code[16];

	s->refused++;
	(void)snprintf(code, sizeof(code), "%d", v->code);
	record_begin(s, "refuse", c);
	record_field(s, "stage", stage_name(st));
	record_field(s, "arg", arg);
	record_field(s, "code", code);
	record_field(s, "text", v->text);
	record_end(s);
}

/* Hang up now, without a word. */
static void
hang_up(struct sink *s, struct conn *c, enum stage st, const struct verdict *v)
{
	s->drops++;
	c->end = v->drop;
	c->how = "drop";
	record_begin(s, "drop", c);
	record_field(s, "stage", stage_name(st));
	record_end(s);
}

void
session_say(struct sink *s, struct conn *c, enum stage st, const char *arg,
    const struct verdict *v)
{
	bool silent = v->drop != END_NO && !v->after;

	if (!silent) {
		if (v->raw)
			buf_adds(&c->out, v->text);
		else
			reply_add(&c->out, v->code, v->text);
		if (v->code >= 400)
			refused(s, c, st, arg, v);
		if (v->code == 421) {
			c->end = END_DRAIN;
			c->how = "421";
		}
	}
	if (v->drop != END_NO)
		hang_up(s, c, st, v);
	if (v->delay > 0)
		net_pause(s, c, v->delay);
	else
		c->out_ready = c->out.len;
}

int
session_answer(struct sink *s, struct conn *c, enum stage st, const char *arg,
    int code, const char *text)
{
	struct verdict v = { .code = code, .text = text };

	if ((s->features & F_ENHANCED) == 0 && text[0] >= '2' &&
	    text[0] <= '5' && text[1] == '.')
		v.text = text + 6;
	rule_judge(s, c, st, arg, &v);
	session_say(s, c, st, arg, &v);
	return (v.drop != END_NO && !v.after ? 0 : v.code);
}

void
session_greet(struct sink *s, struct conn *c)
{
	char text[300];

	c->sync = true;
	(void)snprintf(text, sizeof(text), "%s ESMTP sink", s->host);
	(void)session_answer(s, c, ST_GREETING, c->src->name, 220, text);
}

void
session_group(struct sink *s, struct conn *c)
{
	if (c->grouped)
		return;
	c->grouped = true;
	if (c->sync)
		record_fault(s, c, "not-waited", "");
	else if ((c->offered & F_PIPELINING) == 0)
		record_fault(s, c, "pipelining-not-offered", "");
	else
		c->grouped = false;
}

/* Take one command line; 0 when it is not complete. */
static size_t
take_command(struct sink *s, struct conn *c, const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);
	char line[LINE_MAX_OCTETS + 1];
	size_t len = lf != NULL ? (size_t)(lf - p) : n;

	if (lf == NULL && n <= LINE_MAX_OCTETS)
		return (0);
	if (len > LINE_MAX_OCTETS) {
		record_fault(s, c, "long-command", "");
		(void)session_answer(s, c, ST_OTHER, "", 421,
		    "4.5.0 Line too long");
		return (n);
	}
	if (len == 0 || p[len - 1] != '\r')
		record_fault(s, c, "bare-lf", "command");
	n = len + 1;
	if (len > 0 && p[len - 1] == '\r')
		len--;
	if (memchr(p, '\r', len) != NULL || memchr(p, '\0', len) != NULL)
		record_fault(s, c, "bare-cr-or-nul", "command");
	memcpy(line, p, len);
	line[len] = '\0';
	verb_run(s, c, line);
	return (n);
}

size_t
session_input(struct sink *s, struct conn *c, const char *p, size_t n)
{
	size_t used = 0, k;

	while (used < n && !c->paused && c->end == END_NO) {
		if (c->t.body == BODY_NO) {
			k = take_command(s, c, p + used, n - used);
		} else {
			c->sync = c->grouped = false;
			k = body_eat(s, c, p + used, n - used);
			if (c->t.done)
				verb_content(s, c);
		}
		if (k == 0)
			break;
		used += k;
		if (used < n && (c->t.body == BODY_NO || c->sync))
			session_group(s, c);
	}
	return (used);
}
