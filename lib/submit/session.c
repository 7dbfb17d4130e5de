/*
 * The server's side of SMTP on a pipe. Commands are a table, a function each;
 * each command gets its reply at once, in order, so pipelining needs nothing
 * more. Lines end in CRLF or LF, and a message at a line with a lone dot, as
 * in batch SMTP (mail/bsmtp.c); a CR that no LF follows refuses the message.
 *
 * Each message is made durable before its 250: nobody who speaks to us loses
 * mail that we have taken. What ends inside a message is not taken.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/esc.h"
#include "base/mem.h"
#include "mail/esmtp.h"
#include "submit/impl.h"
#include "submit/session.h"

#define SESSION_LINE_MAX 4096 /* octets of a command line */

/* A recipient: offsets into the session's text. */
struct session_rcpt {
	size_t smtp, domain, notify, orcpt;
};

struct session {
	struct submit *s;
	struct submit_env env; /* for all */
	const char *host;
	struct buf out;
	struct buf line;
	bool overlong; /* the rest of the line is dropped */
	bool quit;
	/* the transaction */
	bool mail; /* MAIL was accepted */
	struct addr from;
	struct esmtp_mail params;
	struct session_rcpt *rcpt;
	size_t n_rcpt, cap_rcpt;
	struct buf text;
	bool in_data;
	struct verr refused; /* code != 0: the message is, for this */
	char id[ID_LEN + 1]; /* of the message that was made durable last */
};

/* One reply; its text is escaped. */
static void
reply(struct session *ss, int code, const char *status, const char *text)
{
	buf_addf(&ss->out, "%d %s%s", code, status, *status != '\0' ? " " : "");
	esc_line(&ss->out, text, strlen(text));
	buf_adds(&ss->out, "\r\n");
}

/* A refusal, with what err says. */
static void
reply_err(struct session *ss, const char *status, const struct verr *err)
{
	if (err->code == VEX_DATA)
		reply(ss, 550, status, err->text);
	else
		reply(ss, 451, "4.3.0", err->text);
}

/* Forget the transaction. */
static void
session_reset(struct session *ss)
{
	ss->mail = ss->in_data = false;
	ss->n_rcpt = 0;
	buf_clear(&ss->text);
	memset(&ss->refused, 0, sizeof(ss->refused));
	submit_drop(ss->s);
}

/* The id of the message, once it is durable. */
static void
session_durable(void *arg, const char *id, size_t rcpts)
{
	struct session *ss = arg;

	(void)rcpts;
	memcpy(ss->id, id, strnlen(id, ID_LEN) + 1);
}

struct session *
session_new(struct submit *s, const struct submit_env *env, const char *host)
{
	struct session *ss = xcalloc(1, sizeof(*ss));

	ss->s = s;
	ss->env = *env;
	ss->host = host;
	submit_on_durable(s, session_durable, ss);
	buf_addf(&ss->out, "220 %s ESMTP vmta\r\n", host);
	return (ss);
}

void
session_free(struct session *ss)
{
	if (ss == NULL)
		return;
	buf_release(&ss->out);
	buf_release(&ss->line);
	buf_release(&ss->text);
	free(ss->rcpt);
	free(ss);
}

struct buf *
session_replies(struct session *ss)
{
	return (&ss->out);
}

/* ---- commands
 * ---------------------------------------------------------------- */

static void
cmd_ehlo(struct session *ss, const char *args)
{
	session_reset(ss);
	if (*args == '\0') {
		reply(ss, 501, "5.5.4", "a name is missing");
		return;
	}
	buf_addf(&ss->out,
	    "250-%s\r\n250-PIPELINING\r\n250-SIZE %zu\r\n250-8BITMIME\r\n"
	    "250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n",
	    ss->host, submit_max_size(ss->s));
}

static void
cmd_helo(struct session *ss, const char *args)
{
	session_reset(ss);
	if (*args == '\0')
		reply(ss, 501, "5.5.4", "a name is missing");
	else
		reply(ss, 250, "", ss->host);
}

/* What follows `FROM:` or `TO:`, or NULL. */
static const char *
after_word(const char *args, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(args, word, n) != 0)
		return (NULL);
	return (args + n + strspn(args + n, " "));
}

static void
cmd_mail(struct session *ss, const char *args)
{
	const char *p = after_word(args, "FROM:");
	struct submit_env env = ss->env;
	struct verr err = VERR_INIT;
	size_t used, max = submit_max_size(ss->s);

	if (ss->mail) {
		reply(ss, 503, "5.5.1", "a transaction is open");
		return;
	}
	if (p == NULL) {
		reply(ss, 501, "5.5.4", "MAIL FROM:<address>");
		return;
	}
	env.from = &ss->from;
	if (addr_path_local(p, strlen(p), ADDR_SENDER, &ss->s->local, &used,
		&ss->from, &err) == -1 ||
	    esmtp_mail_parse(p + used, strlen(p + used), &ss->params, &err) ==
		-1)
		reply(ss, 501, "5.1.7", err.text);
	else if (max > 0 && ss->params.size > (int64_t)max)
		reply(ss, 552, "5.3.4", "message too large");
	else if (submit_env_ok(ss->s, &env, &err) == -1)
		reply_err(ss, "5.7.1", &err);
	else {
		ss->mail = true;
		reply(ss, 250, "2.1.0", "Ok");
	}
}

/* Append a string with its NUL; its place. */
static size_t
keep(struct session *ss, const char *p)
{
	size_t at = ss->text.len;

	buf_add(&ss->text, p, strlen(p) + 1);
	return (at);
}

static void
cmd_rcpt(struct session *ss, const char *args)
{
	const char *p = after_word(args, "TO:");
	size_t used, max = submit_max_rcpt(ss->s);
	struct verr err = VERR_INIT;
	struct esmtp_rcpt r;
	struct addr a;

	if (!ss->mail || p == NULL) {
		reply(ss, p == NULL ? 501 : 503, p == NULL ? "5.5.4" : "5.5.1",
		    p == NULL ? "RCPT TO:<address>" : "MAIL first");
		return;
	}
	if (max > 0 && ss->n_rcpt == max) {
		reply(ss, 452, "4.5.3", "too many recipients");
		return;
	}
	if (addr_path_local(p, strlen(p), ADDR_RCPT, &ss->s->local, &used, &a,
		&err) == -1 ||
	    esmtp_rcpt_parse(p + used, strlen(p + used), &r, &err) == -1) {
		reply(ss, 501, "5.1.3", err.text);
		return;
	}
	if (ss->n_rcpt == ss->cap_rcpt) {
		ss->cap_rcpt = ss->cap_rcpt > 0 ? ss->cap_rcpt * 2 : 16;
		ss->rcpt = xreallocarray(ss->rcpt, ss->cap_rcpt,
		    sizeof(*ss->rcpt));
	}
	ss->rcpt[ss->n_rcpt++] = (struct session_rcpt) { keep(ss, a.smtp),
		keep(ss, addr_domain(&a)), keep(ss, r.notify),
		keep(ss, r.orcpt) };
	reply(ss, 250, "2.1.5", "Ok");
}

static void
cmd_data(struct session *ss, const char *args)
{
	if (*args != '\0')
		reply(ss, 501, "5.5.4", "DATA takes no argument");
	else if (!ss->mail)
		reply(ss, 503, "5.5.1", "MAIL first");
	else if (ss->n_rcpt == 0)
		reply(ss, 554, "5.5.1", "no valid recipients");
	else {
		ss->in_data = true;
		(void)submit_begin(ss->s, &ss->refused);
		reply(ss, 354, "", "End data with <CR><LF>.<CR><LF>");
	}
}

static void
cmd_rset(struct session *ss, const char *args)
{
	(void)args;
	session_reset(ss);
	reply(ss, 250, "2.0.0", "Ok");
}

static void
cmd_noop(struct session *ss, const char *args)
{
	(void)args;
	reply(ss, 250, "2.0.0", "Ok");
}

static void
cmd_vrfy(struct session *ss, const char *args)
{
	(void)args;
	reply(ss, 252, "2.0.0", "send some mail, I will try my best");
}

static void
cmd_quit(struct session *ss, const char *args)
{
	(void)args;
	session_reset(ss);
	reply(ss, 221, "2.0.0", "Bye");
	ss->quit = true;
}

static const struct {
	const char *verb;
	void (*fn)(struct session *ss, const char *args);
} command[] = {
	{ "EHLO", cmd_ehlo },
	{ "HELO", cmd_helo },
	{ "MAIL", cmd_mail },
	{ "RCPT", cmd_rcpt },
	{ "DATA", cmd_data },
	{ "RSET", cmd_rset },
	{ "NOOP", cmd_noop },
	{ "VRFY", cmd_vrfy },
	{ "QUIT", cmd_quit },
};

/* A command line is complete, without its line end. */
static void
run_command(struct session *ss)
{
	const char *p = buf_str(&ss->line);
	size_t n, i;

	if (ss->overlong || strlen(p) != ss->line.len) {
		reply(ss, 500, "5.5.2", "no such line");
		return;
	}
	while (ss->line.len > 0 && ss->line.p[ss->line.len - 1] == ' ')
		ss->line.p[--ss->line.len] = '\0';
	n = strcspn(p, " ");
	for (i = 0; i < sizeof(command) / sizeof(command[0]); i++)
		if (n == strlen(command[i].verb) &&
		    strncasecmp(p, command[i].verb, n) == 0) {
			command[i].fn(ss, p + n + strspn(p + n, " "));
			return;
		}
	reply(ss, 500, "5.5.1", "command not known");
}

/* ---- the message
 * -------------------------------------------------------------- */

/* Put the transaction into the spool. 0 or -1. */
static int
session_submit(struct session *ss, struct verr *err)
{
	struct submit_env env = ss->env;
	const char *text = buf_str(&ss->text);
	struct submit_rcpt r;
	size_t i;

	if (ss->refused.code != 0) {
		*err = ss->refused;
		return (-1);
	}
	env.from = &ss->from;
	env.envid = ss->params.envid;
	env.ret = ss->params.ret;
	for (i = 0; i < ss->n_rcpt; i++) {
		r.smtp = text + ss->rcpt[i].smtp;
		r.domain = text + ss->rcpt[i].domain;
		r.notify = text + ss->rcpt[i].notify;
		r.orcpt = text + ss->rcpt[i].orcpt;
		if (submit_rcpt(ss->s, &r, err) == -1)
			return (-1);
	}
	if (submit_end(ss->s, &env, err) == -1)
		return (-1);
	return (submit_finish(ss->s, err));
}

/* The lone dot. */
static void
end_data(struct session *ss)
{
	struct verr err = VERR_INIT;
	struct buf text = BUF_INIT;

	if (session_submit(ss, &err) == 0) {
		buf_addf(&text, "Ok: queued as %s", ss->id);
		reply(ss, 250, "2.0.0", buf_str(&text));
		buf_release(&text);
	} else if (err.code == VEX_DATA) {
		reply(ss, 554, "5.6.0", err.text);
	} else {
		reply(ss, 451, "4.3.0", err.text);
	}
	session_reset(ss);
}

/* Octets of the message; once it is refused they are dropped. */
static void
add_data(struct session *ss, const char *p, size_t n)
{
	if (ss->refused.code == 0 && n > 0)
		(void)submit_data(ss->s, p, n, &ss->refused);
}

/*
 * Octets inside a message: the line that begins in ss->line is looked at
 * when it could be a dot; the rest of a line is passed on as it comes.
 * Returns what is left.
 */
static const char *
feed_data(struct session *ss, const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));
	const char *stop = nl != NULL ? nl + 1 : end;
	const struct buf *l = &ss->line;
	bool dot;

	buf_add(&ss->line, p, (size_t)(stop - p));
	if (nl == NULL && (ss->overlong || l->len > 3)) {
		/* the middle of a line: its start has been seen */
		dot = !ss->overlong && l->p[0] == '.';
		add_data(ss, l->p + dot, l->len - dot);
		ss->overlong = true;
		buf_clear(&ss->line);
	}
	if (nl == NULL)
		return (end);
	dot = !ss->overlong && l->p[0] == '.';
	if (dot && (l->len == 2 || (l->len == 3 && l->p[1] == '\r')))
		end_data(ss);
	else
		add_data(ss, l->p + dot, l->len - dot);
	ss->overlong = false;
	buf_clear(&ss->line);
	return (stop);
}

/* Octets of a command line; returns what is left. */
static const char *
feed_command(struct session *ss, const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));
	size_t n = (size_t)((nl != NULL ? nl : end) - p);

	if (n > SESSION_LINE_MAX - ss->line.len) {
		n = SESSION_LINE_MAX - ss->line.len;
		ss->overlong = true;
	}
	buf_add(&ss->line, p, n);
	if (nl == NULL)
		return (end);
	if (ss->line.len > 0 && ss->line.p[ss->line.len - 1] == '\r')
		ss->line.p[--ss->line.len] = '\0';
	run_command(ss);
	ss->overlong = false;
	buf_clear(&ss->line);
	return (nl + 1);
}

bool
session_feed(struct session *ss, const char *p, size_t n)
{
	const char *end = p + n;

	while (p < end && !ss->quit)
		p = ss->in_data ? feed_data(ss, p, end) :
				  feed_command(ss, p, end);
	return (!ss->quit);
}
