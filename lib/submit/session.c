/*
 * The server's side of SMTP on a pipe. Commands are a table, a function each;
 * each command gets its reply at once, in order, so pipelining needs nothing
 * more. Lines end in CRLF or LF, and a message at a line with a lone dot, as
 * in batch SMTP (mail/bsmtp.c); a CR that no LF follows refuses the message.
 *
 * Each message is made durable before its 250: nobody who speaks to us loses
 * mail that we have taken. What ends inside a message is not taken.
 *
 * Mail merges (XMRG, mail/xmrg.h) are taken as a whole or not at all, since a
 * recipient that cannot be is found only when the template is there. After
 * XACK OFF nothing is answered to XDFN and RCPT; what was wrong with one of
 * them then refuses the first XPRT.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/esc.h"
#include "base/mem.h"
#include "mail/esmtp.h"
#include "submit/impl.h"
#include "submit/session.h"
#include "submit/xmrg.h"

#define SESSION_LINE_MAX 4096 /* octets of a command line, XDFN apart */

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
	bool mail;  /* MAIL or XMRG was accepted */
	bool merge; /* XMRG was */
	struct addr from;
	struct esmtp_mail params;
	struct session_rcpt *rcpt;
	size_t n_rcpt, cap_rcpt;
	struct buf text;
	bool in_data;
	struct verr refused; /* code != 0: the message is, for this */
	struct xmrg *x;	     /* the merge; NULL: there was none yet */
	bool silent;	     /* XACK OFF */
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
	if (ss->merge)
		xmrg_reset(ss->x);
	ss->merge = false;
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
	xmrg_free(ss->x);
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
	ss->silent = false;
	if (*args == '\0') {
		reply(ss, 501, "5.5.4", "a name is missing");
		return;
	}
	buf_addf(&ss->out,
	    "250-%s\r\n250-PIPELINING\r\n250-SIZE %zu\r\n250-8BITMIME\r\n"
	    "250-SMTPUTF8\r\n250-DSN\r\n250-VERP\r\n",
	    ss->host, submit_max_size(ss->s));
	if (submit_source(ss->s)->allow_mailmerge)
		buf_adds(&ss->out,
		    "250-XMRG\r\n250-XDFN\r\n250-XPRT\r\n"
		    "250-XACK\r\n");
	buf_adds(&ss->out, "250 ENHANCEDSTATUSCODES\r\n");
}

static void
cmd_helo(struct session *ss, const char *args)
{
	session_reset(ss);
	ss->silent = false;
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

/* What the present transaction says of its mail. */
static struct submit_env
session_env(const struct session *ss)
{
	struct submit_env env = ss->env;

	env.from = &ss->from;
	env.envid = ss->params.envid;
	env.ret = ss->params.ret;
	env.verp = env.verp || ss->params.verp;
	return (env);
}

/* MAIL, or XMRG. */
static void
begin(struct session *ss, const char *args, bool merge)
{
	const char *p = after_word(args, "FROM:");
	struct submit_env env;
	struct verr err = VERR_INIT;
	size_t used, max = submit_max_size(ss->s);

	if (ss->mail) {
		reply(ss, 503, "5.5.1", "a transaction is open");
		return;
	}
	if (p == NULL) {
		reply(ss, 501, "5.5.4", "FROM:<address>");
		return;
	}
	if (addr_path_local(p, strlen(p), ADDR_SENDER, &ss->s->local, &used,
		&ss->from, &err) == -1 ||
	    esmtp_mail_parse(p + used, strlen(p + used), &ss->params, &err) ==
		-1) {
		reply(ss, 501, "5.1.7", err.text);
		return;
	}
	env = session_env(ss);
	if (max > 0 && ss->params.size > (int64_t)max)
		reply(ss, 552, "5.3.4", "message too large");
	else if ((merge ? submit_xmrg_ok(ss->s, &env, &err) :
			  submit_env_ok(ss->s, &env, &err)) == -1)
		reply_err(ss, "5.7.1", &err);
	else {
		ss->mail = true;
		ss->merge = merge;
		reply(ss, 250, "2.1.0", "Ok");
	}
}

static void
cmd_mail(struct session *ss, const char *args)
{
	begin(ss, args, false);
}

static void
cmd_xmrg(struct session *ss, const char *args)
{
	if (ss->x == NULL)
		ss->x = xmrg_new();
	begin(ss, args, true);
}

/* Append a string with its NUL; its place. */
static size_t
keep(struct session *ss, const char *p)
{
	size_t at = ss->text.len;

	buf_add(&ss->text, p, strlen(p) + 1);
	return (at);
}

/* A recipient that is all right. */
static void
add_rcpt(struct session *ss, const struct addr *a, const struct esmtp_rcpt *r)
{
	if (ss->n_rcpt == ss->cap_rcpt) {
		ss->cap_rcpt = ss->cap_rcpt > 0 ? ss->cap_rcpt * 2 : 16;
		ss->rcpt = xreallocarray(ss->rcpt, ss->cap_rcpt,
		    sizeof(*ss->rcpt));
	}
	ss->rcpt[ss->n_rcpt++] = (struct session_rcpt) { keep(ss, a->smtp),
		keep(ss, addr_domain(a)), keep(ss, r->notify),
		keep(ss, r->orcpt) };
	if (ss->merge)
		xmrg_rcpt(ss->x);
}

/* The answer to XDFN or RCPT in a merge that need not be answered. */
static bool
keep_silent(struct session *ss, int code, const char *text)
{
	if (!ss->merge || !ss->silent)
		return (false);
	if (code >= 400 && ss->refused.code == 0)
		(void)verr_set(&ss->refused, VEX_DATA, "%s", text);
	return (true);
}

/* Reply, unless it is not wanted. */
static void
reply_ack(struct session *ss, int code, const char *status, const char *text)
{
	if (!keep_silent(ss, code, text))
		reply(ss, code, status, text);
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
		reply_ack(ss, p == NULL ? 501 : 503,
		    p == NULL ? "5.5.4" : "5.5.1",
		    p == NULL ? "RCPT TO:<address>" : "MAIL first");
	} else if (ss->merge && xmrg_begun(ss->x)) {
		reply_ack(ss, 503, "5.5.1", "RCPT after XPRT");
	} else if (max > 0 && ss->n_rcpt == max) {
		if (ss->merge)
			xmrg_pass(ss->x);
		reply_ack(ss, 452, "4.5.3", "too many recipients");
	} else if (addr_path_local(p, strlen(p), ADDR_RCPT, &ss->s->local,
		       &used, &a, &err) == -1 ||
	    esmtp_rcpt_parse(p + used, strlen(p + used), &r, &err) == -1) {
		if (ss->merge)
			xmrg_pass(ss->x);
		reply_ack(ss, 501, "5.1.3", err.text);
	} else {
		add_rcpt(ss, &a, &r);
		reply_ack(ss, 250, "2.1.5", "Ok");
	}
}

static void
cmd_data(struct session *ss, const char *args)
{
	if (*args != '\0')
		reply(ss, 501, "5.5.4", "DATA takes no argument");
	else if (!ss->mail || ss->merge)
		reply(ss, 503, "5.5.1", ss->merge ? "XPRT" : "MAIL first");
	else if (ss->n_rcpt == 0)
		reply(ss, 554, "5.5.1", "no valid recipients");
	else {
		ss->in_data = true;
		(void)submit_begin(ss->s, &ss->refused);
		reply(ss, 354, "", "End data with <CR><LF>.<CR><LF>");
	}
}

static void
cmd_xdfn(struct session *ss, const char *args)
{
	struct verr err = VERR_INIT;

	if (!ss->merge) {
		reply(ss, 503, "5.5.1", "XMRG first");
	} else if (xmrg_define(ss->x, args, strlen(args), &err) == 0) {
		reply_ack(ss, 250, "2.0.0", "Ok");
	} else {
		/* half of it may be there: nothing is sent with that */
		reply_ack(ss, 501, "5.5.4", err.text);
		if (ss->refused.code == 0)
			ss->refused = err;
	}
}

static void
cmd_xprt(struct session *ss, const char *args)
{
	struct verr err = VERR_INIT;

	if (!ss->merge) {
		reply(ss, 503, "5.5.1", "XMRG first");
	} else if (ss->refused.code != 0) {
		reply(ss, 554, "5.6.0", ss->refused.text);
		session_reset(ss);
	} else if (ss->n_rcpt == 0) {
		reply(ss, 554, "5.5.1", "no valid recipients");
	} else if (xmrg_part(ss->x, args, strlen(args), &err) == -1) {
		reply(ss, 501, "5.5.4", err.text);
		session_reset(ss);
	} else {
		ss->in_data = true;
		reply(ss, 354, "", "End data with <CR><LF>.<CR><LF>");
	}
}

static void
cmd_xack(struct session *ss, const char *args)
{
	bool on;

	if (xmrg_ack(args, strlen(args), &on) == -1) {
		reply(ss, 501, "5.5.4", "XACK ON, or OFF");
		return;
	}
	ss->silent = !on;
	reply(ss, 250, "2.0.0", "Ok");
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
	{ "XMRG", cmd_xmrg },
	{ "XDFN", cmd_xdfn },
	{ "XPRT", cmd_xprt },
	{ "XACK", cmd_xack },
};

/* A command line is complete, without its line end. */
static void
run_command(struct session *ss)
{
	const char *p = buf_str(&ss->line);
	size_t n, i;

	if (ss->overlong || strlen(p) != ss->line.len ||
	    (ss->line.len > SESSION_LINE_MAX &&
		strncasecmp(p, "XDFN ", 5) != 0)) {
		/* it may have been a variable: no merge goes on without it */
		if (ss->merge && ss->refused.code == 0)
			(void)verr_set(&ss->refused, VEX_DATA,
			    "a line that is too long, or with NUL");
		reply_ack(ss, 500, "5.5.2", "no such line");
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

/* A recipient as it was kept. */
static struct submit_rcpt
session_rcpt(const struct session *ss, size_t i)
{
	const char *text = buf_str(&ss->text);

	return ((struct submit_rcpt) { text + ss->rcpt[i].smtp,
	    text + ss->rcpt[i].domain, text + ss->rcpt[i].notify,
	    text + ss->rcpt[i].orcpt });
}

/* The message into the spool. 0 or -1. */
static int
put_message(struct session *ss, const struct submit_env *env, struct verr *err)
{
	struct submit_rcpt r;
	size_t i;

	for (i = 0; i < ss->n_rcpt; i++) {
		r = session_rcpt(ss, i);
		if (submit_rcpt(ss->s, &r, err) == -1)
			return (-1);
	}
	if (submit_end(ss->s, env, err) == -1)
		return (-1);
	return (submit_finish(ss->s, err));
}

/* The merge into the spool. 0 or -1. */
static int
put_merge(struct session *ss, const struct submit_env *env, struct verr *err)
{
	struct submit_xmrg *m = submit_xmrg_new(ss->s, env, ss->x);
	int rc = submit_xmrg_begin(m, err);
	struct submit_rcpt r;
	size_t i;

	for (i = 0; i < ss->n_rcpt && rc == 0; i++) {
		r = session_rcpt(ss, i);
		rc = submit_xmrg_rcpt(m, &r, err);
		if (rc == -1)
			(void)verr_prefix(err, "%s", r.smtp);
	}
	if (rc == 0)
		rc = submit_xmrg_finish(m, err);
	submit_xmrg_free(m);
	return (rc);
}

/* Put the transaction into the spool. 0 or -1. */
static int
session_submit(struct session *ss, struct verr *err)
{
	struct submit_env env = session_env(ss);

	if (ss->refused.code != 0) {
		*err = ss->refused;
		return (-1);
	}
	return (ss->merge ? put_merge(ss, &env, err) :
			    put_message(ss, &env, err));
}

/* The lone dot. */
static void
end_data(struct session *ss)
{
	struct verr err = VERR_INIT;
	struct buf text = BUF_INIT;

	if (ss->merge && ss->refused.code == 0 && !xmrg_last(ss->x)) {
		ss->in_data = false;
		reply(ss, 250, "2.0.0", "Ok: more parts");
		return;
	}
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
	size_t max = submit_max_size(ss->s);

	if (ss->refused.code != 0 || n == 0)
		return;
	if (!ss->merge)
		(void)submit_data(ss->s, p, n, &ss->refused);
	else if (max > 0 && n > max - xmrg_size(ss->x))
		(void)verr_set(&ss->refused, VEX_DATA, "message too large");
	else
		xmrg_data(ss->x, p, n);
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

	/* variables of a merge may be long; any other command is not */
	if (n > XMRG_LINE_MAX - ss->line.len) {
		n = XMRG_LINE_MAX - ss->line.len;
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
