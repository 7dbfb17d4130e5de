/*
 * The begin of a session: greeting, EHLO, and HELO once for a server that
 * refuses EHLO with 5xx (RFC 5321 3.2). A refused greeting is reported with
 * its code; what follows from it is the owner's to say.
 */
#include "smtp/conn_int.h"

void
smtp_greet_begin(struct smtp_conn *c)
{
	c->state = SMTP_S_GREET;
	c->stage = SMTP_STAGE_GREETING;
	smtp_conn_said(c, SMTP_V_GREETING, 0, c->out.len);
}

/* Say EHLO or HELO. */
static void
greet_say(struct smtp_conn *c, enum smtp_verb verb)
{
	size_t at = c->out.len;

	c->stage = SMTP_STAGE_EHLO;
	buf_addf(&c->out, "%s %s\r\n", verb == SMTP_V_EHLO ? "EHLO" : "HELO",
	    c->source.ehlo);
	smtp_conn_said(c, verb, 0, at);
}

void
smtp_on_greeting(struct smtp_conn *c, const struct smtp_reply *r)
{
	if (r->code / 100 != 2) {
		smtp_conn_fail_reply(c, r);
		return;
	}
	greet_say(c, SMTP_V_EHLO);
}

/* The switches of the configuration as extensions to ignore. */
static unsigned
greet_ignored(const struct smtp_settings *set)
{
	return ((set->ignore_8bitmime ? SMTP_EXT_8BITMIME : 0u) |
	    (set->ignore_chunking ? SMTP_EXT_CHUNKING : 0u) |
	    (set->ignore_pipelining ? SMTP_EXT_PIPELINING : 0u) |
	    (set->ignore_dsn ? SMTP_EXT_DSN : 0u));
}

void
smtp_on_ehlo(struct smtp_conn *c, const struct smtp_reply *r)
{
	if (r->code / 100 == 5) {
		greet_say(c, SMTP_V_HELO);
		return;
	}
	if (r->code / 100 != 2) {
		smtp_conn_fail_reply(c, r);
		return;
	}
	smtp_ehlo_parse(buf_str(&r->text), r->text.len, greet_ignored(&c->set),
	    &c->caps);
	smtp_conn_is_ready(c);
}

void
smtp_on_helo(struct smtp_conn *c, const struct smtp_reply *r)
{
	if (r->code / 100 == 2)
		smtp_conn_is_ready(c);
	else
		smtp_conn_fail_reply(c, r);
}
