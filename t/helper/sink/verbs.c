/*
 * The commands (RFC 5321, 1870, 3030, 3461, 6531, 9422), one function each,
 * and what follows the content of a message.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/unit.h"
#include "sink.h"

/* May this be the name after EHLO: a domain or an address literal? */
static bool
helo_ok(const char *p)
{
	if (*p == '\0')
		return (false);
	for (; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr(".-[]:", *p) == NULL)
			return (false);
	return (true);
}

static void
do_helo(struct sink *s, struct conn *c, const char *arg)
{
	bool ehlo = strcasecmp(c->verb, "EHLO") == 0;
	int code;

	txn_reset(&c->t);
	c->chunk_bad = false;
	if (!helo_ok(arg))
		record_fault(s, c, "helo-name", arg);
	buf_clear(&c->helo);
	record_escape(&c->helo, arg, strlen(arg));
	if (ehlo)
		code = session_answer(s, c, ST_EHLO, arg, 250,
		    buf_str(&s->ehlo_text));
	else
		code = session_answer(s, c, ST_HELO, arg, 250, s->host);
	if (code / 100 != 2)
		return;
	c->ehlo_ok = true;
	c->offered = ehlo ? s->features : 0;
	record_begin(s, "ehlo", c);
	record_field(s, "verb", ehlo ? "EHLO" : "HELO");
	record_field(s, "name", arg);
	record_end(s);
}

/* A command at the wrong place; fault unless pipelining explains it. */
static void
out_of_order(struct sink *s, struct conn *c, enum stage st, bool excused,
    int code, const char *text)
{
	if (!excused || (c->offered & F_PIPELINING) == 0)
		record_fault(s, c, "sequence", c->verb);
	(void)session_answer(s, c, st, "", code, text);
}

/* Take the path of MAIL or RCPT into c->t.path or *ret; 0 or a code. */
static int
read_path(struct sink *s, struct conn *c, bool mail, const char *arg,
    const char **ret_path, size_t *ret_len)
{
	size_t skip = mail ? 5 : 3, used;
	int code;

	used = 0;
	if (strncasecmp(arg, mail ? "FROM:" : "TO:", skip) == 0)
		used = params_path(arg + skip, ret_path, ret_len);
	if (used == 0 || (!mail && *ret_len == 0)) {
		record_fault(s, c, "syntax", arg);
		return (501);
	}
	code = params_check(s, c, mail, arg + skip + used);
	for (used = 0; used < *ret_len && !c->t.utf8; used++)
		if (((unsigned char)(*ret_path)[used] & 0x80) != 0) {
			record_fault(s, c, "address-without-smtputf8", arg);
			return (553);
		}
	return (code);
}

static void
do_mail(struct sink *s, struct conn *c, const char *arg)
{
	const char *path = "", *text = "2.1.0 Ok";
	size_t len = 0;
	int code;

	if (!c->ehlo_ok || c->t.mail_ok) {
		out_of_order(s, c, ST_MAIL, false, 503, "5.5.1 Not now");
		return;
	}
	txn_reset(&c->t);
	c->t.mail_seen = true;
	code = read_path(s, c, true, arg, &path, &len);
	if (code != 0) {
		text = "5.5.4 Not like this";
	} else if (c->t.declared > 0 && (c->offered & F_SIZE) != 0 &&
	    s->size_max > 0 && (uint64_t)c->t.declared > s->size_max) {
		code = 552;
		text = "5.3.4 Message too large";
	} else if (s->mail_max > 0 && c->msgs >= s->mail_max) {
		record_fault(s, c, "mailmax", arg);
		code = 421;
		text = "4.7.0 Too many messages on this connection";
	}
	buf_add(&c->t.path, path, len);
	code = session_answer(s, c, ST_MAIL, buf_str(&c->t.path),
	    code != 0 ? code : 250, text);
	c->t.mail_ok = code / 100 == 2;
	if (c->t.mail_ok)
		record_escape(&c->t.from, arg + 5, strlen(arg + 5));
}

static void
do_rcpt(struct sink *s, struct conn *c, const char *arg)
{
	const char *path = "", *text = "2.1.5 Ok";
	char rcpt[1024];
	size_t len = 0;
	int code;

	if (!c->t.mail_ok || c->t.chunks > 0) {
		out_of_order(s, c, ST_RCPT, c->t.mail_seen && c->t.chunks == 0,
		    503, "5.5.1 MAIL first");
		return;
	}
	code = read_path(s, c, false, arg, &path, &len);
	if (code != 0) {
		text = "5.5.4 Not like this";
	} else if (s->rcpt_max > 0 && c->t.nrcpt >= s->rcpt_max) {
		record_fault(s, c, "rcptmax", arg);
		code = 452;
		text = "4.5.3 Too many recipients";
	}
	(void)snprintf(rcpt, sizeof(rcpt), "%.*s",
	    (int)(len < sizeof(rcpt) ? len : sizeof(rcpt) - 1), path);
	code = session_answer(s, c, ST_RCPT, rcpt, code != 0 ? code : 250,
	    text);
	if (code / 100 != 2)
		return;
	c->t.nrcpt++;
	buf_adds(&c->t.rcpts, "\trcpt=");
	record_escape(&c->t.rcpts, arg + 3, strlen(arg + 3));
}

static void
do_data(struct sink *s, struct conn *c, const char *arg)
{
	int code;

	if (*arg != '\0')
		record_fault(s, c, "syntax", arg);
	if (c->t.nrcpt == 0 || c->t.chunks > 0) {
		out_of_order(s, c, ST_DATA, c->t.mail_seen && c->t.chunks == 0,
		    c->t.mail_ok ? 554 : 503, "5.5.1 No valid recipients");
		return;
	}
	code = session_answer(s, c, ST_DATA, buf_str(&c->t.path), 354,
	    "End data with <CR><LF>.<CR><LF>");
	if (code / 100 != 3)
		return;
	c->t.body = BODY_DATA;
	c->t.chunks = 1;
	c->t.done = false;
	body_begin(s, c);
}

/* The message is complete: judge it, record it, answer. */
static void
message_done(struct sink *s, struct conn *c)
{
	struct verdict v = { .code = 250, .text = "2.0.0 Ok: queued" };
	bool bdat = c->t.body == BODY_BDAT;

	body_end(s, c);
	if ((c->offered & F_SIZE) != 0 && s->size_max > 0 &&
	    c->t.size > s->size_max) {
		v.code = 552;
		v.text = "5.3.4 Message too large";
	}
	if ((s->features & F_ENHANCED) == 0)
		v.text += 6;
	if (bdat)
		rule_judge(s, c, ST_BDAT, buf_str(&c->t.path), &v);
	rule_judge(s, c, ST_DOT, buf_str(&c->t.path), &v);
	record_message(s, c, &v);
	session_say(s, c, bdat ? ST_BDAT : ST_DOT, buf_str(&c->t.path), &v);
	txn_reset(&c->t);
}

/* A chunk is complete. */
static void
chunk_done(struct sink *s, struct conn *c)
{
	struct txn *t = &c->t;
	char text[64];
	int code;

	if (t->refuse == 0 && t->last) {
		message_done(s, c);
		return;
	}
	if (t->refuse != 0) {
		code = session_answer(s, c, ST_BDAT, buf_str(&t->path),
		    t->refuse,
		    t->refuse == 554 ? "5.5.1 No valid recipients" :
				       "5.5.1 Not now");
	} else {
		(void)snprintf(text, sizeof(text),
		    "2.0.0 Ok: %" PRIu64 " octets", t->size);
		code = session_answer(s, c, ST_BDAT, buf_str(&t->path), 250,
		    text);
	}
	t->body = BODY_NO;
	c->chunk_bad = code / 100 != 2 && !t->last;
	if (t->last)
		txn_reset(t);
}

void
verb_content(struct sink *s, struct conn *c)
{
	if (c->t.body == BODY_DATA)
		message_done(s, c);
	else
		chunk_done(s, c);
}

static void
do_bdat(struct sink *s, struct conn *c, const char *arg)
{
	struct txn *t = &c->t;
	char num[24];
	size_t n = strcspn(arg, " ");
	int64_t left;

	(void)snprintf(num, sizeof(num), "%.*s", n < 24 ? (int)n : 23, arg);
	if (unit_int(num, &left) == -1 ||
	    (arg[n] != '\0' && strcasecmp(arg + n, " LAST") != 0)) {
		record_fault(s, c, "syntax", arg);
		(void)session_answer(s, c, ST_BDAT, arg, 501,
		    "5.5.4 Syntax: BDAT count [LAST]");
		return;
	}
	if ((c->offered & F_CHUNKING) == 0)
		record_fault(s, c, "bdat-not-offered", arg);
	t->refuse = 0;
	if ((c->offered & F_CHUNKING) == 0 || !t->mail_ok || c->chunk_bad)
		t->refuse = 503;
	else if (t->nrcpt == 0)
		t->refuse = 554;
	if (t->refuse == 503 && !t->mail_seen && !c->chunk_bad)
		record_fault(s, c, "sequence", c->verb);
	if (t->refuse == 0 && t->chunks++ == 0)
		body_begin(s, c);
	t->body = BODY_BDAT;
	t->last = arg[n] != '\0';
	t->left = (uint64_t)left;
	t->done = left == 0;
	if (t->done)
		chunk_done(s, c);
}

static void
do_rset(struct sink *s, struct conn *c, const char *arg)
{
	(void)arg;
	txn_reset(&c->t);
	c->chunk_bad = false;
	(void)session_answer(s, c, ST_RSET, "", 250, "2.0.0 Ok");
}

static void
do_noop(struct sink *s, struct conn *c, const char *arg)
{
	(void)session_answer(s, c, ST_NOOP, arg, 250, "2.0.0 Ok");
}

static void
do_vrfy(struct sink *s, struct conn *c, const char *arg)
{
	(void)session_answer(s, c, ST_OTHER, arg, 252, "2.0.0 Who knows");
}

static void
do_quit(struct sink *s, struct conn *c, const char *arg)
{
	if (session_answer(s, c, ST_QUIT, arg, 221, "2.0.0 Bye") == 0)
		return;
	if (c->end == END_NO)
		c->end = END_DRAIN;
	c->how = "quit";
}

/* The commands; sync: only allowed as the last of a group (RFC 2920, 3.1). */
static const struct command {
	const char *verb;
	void (*run)(struct sink *s, struct conn *c, const char *arg);
	bool sync;
} commands[] = {
	{ "BDAT", do_bdat, false },
	{ "RCPT", do_rcpt, false },
	{ "MAIL", do_mail, false },
	{ "DATA", do_data, true },
	{ "EHLO", do_helo, true },
	{ "HELO", do_helo, true },
	{ "RSET", do_rset, false },
	{ "QUIT", do_quit, true },
	{ "NOOP", do_noop, true },
	{ "VRFY", do_vrfy, true },
	{ "EXPN", do_vrfy, true },
	{ "HELP", do_vrfy, true },
};

void
verb_run(struct sink *s, struct conn *c, char *line)
{
	char *arg = strchr(line, ' ');
	size_t i;

	if (arg != NULL)
		*arg++ = '\0';
	else
		arg = line + strlen(line);
	c->sync = c->grouped = false;
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcasecmp(line, commands[i].verb) == 0) {
			c->sync = commands[i].sync;
			c->verb = commands[i].verb;
			commands[i].run(s, c, arg);
			return;
		}
	if (strcasecmp(line, "STARTTLS") != 0 && strcasecmp(line, "AUTH") != 0)
		record_fault(s, c, "unknown-command", line);
	(void)session_answer(s, c, ST_OTHER, line, 500, "5.5.2 What is this?");
}
