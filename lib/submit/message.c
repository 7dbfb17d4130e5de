/*
 * A message on its way in: content and recipients are collected, then looked
 * at as a whole, and only when nothing is left to object to is the spool (or
 * a pool's counter) touched. So a refusal leaves nothing behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stamp.h"
#include "mail/xtext.h"
#include "submit/alias.h"
#include "submit/header.h"
#include "submit/impl.h"
#include "submit/rewrite.h"
#include "submit/unsub.h"

void
submit_drop(struct submit *s)
{
	if (s->begun)
		message_release(&s->msg);
	s->begun = s->ended = false;
	s->n_rcpt = s->n_seen = 0;
	buf_clear(&s->text);
	map_release(&s->dups, NULL);
}

/* The message is refused: forget it. */
static int
submit_refuse(struct submit *s, const struct verr *err)
{
	if (err->code != VEX_DATA)
		(void)submit_break(s, err);
	else
		s->rejected++;
	submit_drop(s);
	submit_pass(s);
	return (-1);
}

void
submit_pass(struct submit *s)
{
	print_begin(&s->print);
	print_end(&s->print, false, NULL);
}

int
submit_begin(struct submit *s, struct verr *err)
{
	struct message_opts o = { .stray = MESSAGE_REFUSE,
		.dot_ends = s->dot_ends,
		.strip = s->strip };

	submit_drop(s);
	if (submit_alive(s, err) == -1)
		return (-1);
	if (id_make(s->sys, &s->id, err) == -1)
		return (submit_break(s, err));
	buf_clear(&s->msgid);
	buf_addf(&s->msgid, "<%s@%s>", s->id.s,
	    conf_global(s->conf)->host_name);
	(void)stamp_mail(sys_now(s->sys), s->date, sizeof(s->date));
	o.message_id = s->src.add_message_id_header ? s->msgid.p : NULL;
	o.date = s->src.add_date_header ? s->date : NULL;
	o.max_size = submit_max_size(s);
	message_init(&s->msg, &o);
	print_begin(&s->print);
	s->begun = true;
	return (0);
}

int
submit_data(struct submit *s, const char *p, size_t n, struct verr *err)
{
	print_add(&s->print, p, n);
	if (message_feed(&s->msg, p, n, err) == 0)
		return (0);
	return (submit_refuse(s, err));
}

/* Append a text with its NUL; its place. */
static size_t
text_add(struct submit *s, const char *p)
{
	size_t at = s->text.len;

	if (p != NULL)
		buf_adds(&s->text, p);
	buf_addc(&s->text, '\0');
	return (at);
}

void
submit_fold(const char *smtp, char *ret)
{
	size_t i;

	for (i = 0; i < ADDR_MAX && smtp[i] != '\0'; i++)
		ret[i] = smtp[i] >= 'A' && smtp[i] <= 'Z' ?
		    (char)(smtp[i] + ('a' - 'A')) :
		    smtp[i];
	ret[i] = '\0';
}

/* Has this address been here? If not, remember it. */
static bool
rcpt_seen(struct submit *s, const char *smtp)
{
	char fold[ADDR_MAX + 1];

	submit_fold(smtp, fold);
	return (map_put(&s->dups, fold, s) != NULL);
}

/* Add it, or say why not. max: most recipients, 0: no limit. */
static int
rcpt_add(struct submit *s, const struct submit_rcpt *r, size_t max,
    struct verr *err)
{
	struct rcpt *to;

	if (max > 0 && s->n_seen >= max)
		return (verr_set(err, VEX_DATA, "more than %zu recipients",
		    max));
	if (s->n_seen >= UINT32_MAX)
		return (verr_set(err, VEX_DATA, "too many recipients"));
	if (!spool_domain_valid(r->domain))
		return (verr_set(err, VEX_DATA, "bad recipient domain"));
	if (rcpt_seen(s, r->smtp)) {
		s->n_seen++;
		return (0);
	}
	if (s->n_rcpt == s->cap_rcpt) {
		s->cap_rcpt = s->cap_rcpt > 0 ? s->cap_rcpt * 2 : 16;
		s->rcpt = xreallocarray(s->rcpt, s->cap_rcpt, sizeof(*s->rcpt));
	}
	to = &s->rcpt[s->n_rcpt++];
	to->index = (uint32_t)s->n_seen++;
	to->smtp = text_add(s, r->smtp);
	to->domain = text_add(s, r->domain);
	to->notify = text_add(s, r->notify);
	to->orcpt = text_add(s, r->orcpt);
	return (0);
}

int
submit_rcpt(struct submit *s, const struct submit_rcpt *r, struct verr *err)
{
	print_text(&s->print, r->smtp);
	print_text(&s->print, r->notify);
	print_text(&s->print, r->orcpt);
	if (rcpt_add(s, r, submit_max_rcpt(s), err) == 0)
		return (0);
	return (submit_refuse(s, err));
}

/* A mailbox of the header. */
static int
header_rcpt(void *arg, const struct addr *a, struct verr *err)
{
	struct submit *s = arg;
	struct submit_rcpt r = { .smtp = a->smtp,
		.domain = addr_domain(a),
		.notify = s->notify };

	return (rcpt_add(arg, &r, submit_max_rcpt(arg), err));
}

/* The end of the content, once. */
static int
content_end(struct submit *s, struct verr *err)
{
	if (s->ended)
		return (0);
	if (message_end(&s->msg, err) == -1)
		return (-1);
	s->ended = true;
	if (s->msg.text.len >= UINT32_MAX)
		return (verr_set(err, VEX_DATA, "message over 4 GiB"));
	return (0);
}

int
submit_header_rcpts(struct submit *s, struct verr *err)
{
	if (content_end(s, err) == 0 &&
	    message_recipients(&s->msg, &s->local, header_rcpt, s, err) == 0)
		return (0);
	return (submit_refuse(s, err));
}

/* May the source use this sender? */
static int
check_sender(const struct submit *s, const struct addr *from, struct verr *err)
{
	if (from == NULL) {
		if (s->has_self)
			return (0);
		*err = s->self_err;
		return (-1);
	}
	if (conf_source_sender_ok(&s->src, from->smtp) ||
	    (s->has_self && strcmp(from->smtp, s->self.smtp) == 0))
		return (0);
	return (verr_set(err, VEX_DATA, "source %s may not use this sender",
	    s->source));
}

/* A job: octets that are no controls. */
static int
check_job(const char *job, struct verr *err)
{
	const char *p;

	if (job == NULL)
		return (0);
	for (p = job; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return (verr_set(err, VEX_DATA,
			    "control octet in the job"));
	if (p - job > SUBMIT_JOB_MAX)
		return (verr_set(err, VEX_DATA, "job over %d octets",
		    SUBMIT_JOB_MAX));
	return (0);
}

/* Who sends it, as far as that is known before the message is. */
static int
check_vmta(const struct submit *s, const char *name, struct verr *err)
{
	struct target t;
	bool fallback;

	if (name != NULL && *name != '\0')
		return (select_named(s->conf, s->source, &s->src, name, &t,
		    &fallback, err));
	if (*s->src.default_virtual_mta != '\0' ||
	    *s->src.pattern_list != '\0' || s->src.process_x_virtual_mta)
		return (0);
	return (verr_set(err, VEX_DATA,
	    "no VirtualMTA named, and no default-virtual-mta for source %s",
	    s->source));
}

/* All that can be said against env. */
static int
check_env(const struct submit *s, const struct submit_env *env,
    struct verr *err)
{
	if (check_vmta(s, env->vmta, err) == -1 ||
	    check_sender(s, env->from, err) == -1 ||
	    check_job(env->job, err) == -1)
		return (-1);
	if (env->prio != -1 && !s->src.allow_priority)
		return (verr_set(err, VEX_DATA,
		    "source %s may not choose a priority", s->source));
	if (env->prio < -1 || env->prio > 100)
		return (verr_set(err, VEX_DATA, "priority not 0 to 100"));
	if (env->envid != NULL && *env->envid != '\0')
		return (xtext_check_envid(env->envid, strlen(env->envid), err));
	return (0);
}

int
submit_env_ok(struct submit *s, const struct submit_env *env, struct verr *err)
{
	return (check_env(s, env, err));
}

/* Those who get a copy of everything, once. */
static int
copy_rcpts(struct submit *s, struct verr *err)
{
	struct submit_rcpt r = { .notify = "N" };
	const char *text = NULL;
	struct addr a;

	while ((text = conf_list_next(&s->src.bcc, text)) != NULL) {
		if (addr_parse(text, strlen(text), ADDR_RCPT, &a, err) == -1)
			return (verr_prefix(err, "bcc '%s'", text));
		r.smtp = a.smtp;
		r.domain = addr_domain(&a);
		if (rcpt_add(s, &r, 0, err) == -1)
			return (-1);
	}
	return (0);
}

/* Can each recipient's sender be made? Better now than in mid-commit. */
static int
check_senders(struct submit *s, const struct submit_env *env, struct verr *err)
{
	struct buf room = BUF_INIT;
	const char *sender;
	size_t i;
	int rc = 0;

	for (i = 0; i < s->n_rcpt && rc == 0; i++)
		rc = rewrite_sender(s, env, &s->rcpt[i].target,
		    s->text.p + s->rcpt[i].smtp, &room, &sender, err);
	buf_release(&room);
	return (rc);
}

/* The VirtualMTA (or pool) and priority of each recipient. */
static int
select_rcpts(struct submit *s, const struct submit_env *env, struct verr *err)
{
	const struct addr *from = env->from != NULL ? env->from : &s->self;
	const struct select_facts facts = {
		.from = from->smtp,
		.named = env->vmta,
		.header = { { buf_str(&s->msg.text), s->msg.header_len },
		    { buf_str(&s->msg.aside), s->msg.aside.len } },
	};
	struct select_choice c;
	size_t i;

	if (selector_begin(s->sel, &facts, err) == -1)
		return (-1);
	for (i = 0; i < s->n_rcpt; i++) {
		if (selector_rcpt(s->sel, s->text.p + s->rcpt[i].smtp, NULL, &c,
			err) == -1)
			return (-1);
		s->rcpt[i].target = c.target;
		s->rcpt[i].prio = env->prio != -1 ? env->prio :
		    c.prio != -1		  ? c.prio :
						    SUBMIT_PRIO_DEFAULT;
	}
	return (0);
}

/* An earlier call took this message. */
static void
skip_message(struct submit *s)
{
	const struct spool_submission *b = &s->before;

	s->accepted++;
	(void)snprintf(s->end_id, sizeof(s->end_id), "%s",
	    s->seq == b->count ? b->msgid : "-");
	if (s->durable != NULL)
		s->durable(s->durable_arg, s->end_id, s->n_rcpt);
}

const char *
submit_id(const struct submit *s)
{
	return (s->end_id);
}

/* What is left to do for a message that is accepted. 0 or -1. */
static int
end_accepted(struct submit *s, const struct submit_env *env, size_t n,
    struct verr *err)
{
	int rc;

	print_text(&s->print, env->from != NULL ? env->from->smtp : NULL);
	submit_accept(s);
	rc = submit_taken(s, err);
	if (rc == 1)
		skip_message(s);
	else if (rc == 0) {
		rc = load_message(s, env, err);
		if (rc == -1)
			(void)submit_break(s, err);
		else
			rc = load_note(s, s->id.s, n, err);
		(void)snprintf(s->end_id, sizeof(s->end_id), "%s", s->id.s);
	}
	submit_drop(s);
	return (rc == -1 ? -1 : 0);
}

/*
 * Recipients that stand for others become these, with the VirtualMTA that was
 * chosen for them; one that is a recipient already is left out.
 */
static int
alias_rcpts(struct submit *s, struct verr *err)
{
	struct addr a;
	size_t i, n = 0;
	int rc;

	for (i = 0; i < s->n_rcpt; i++) {
		rc = alias_find(s->conf, s->text.p + s->rcpt[i].smtp, &a, err);
		if (rc == -1)
			return (-1);
		if (rc == 1 && rcpt_seen(s, a.smtp))
			continue;
		s->rcpt[n] = s->rcpt[i];
		if (rc == 1) {
			s->rcpt[n].smtp = text_add(s, a.smtp);
			s->rcpt[n].domain = text_add(s, addr_domain(&a));
		}
		n++;
	}
	s->n_rcpt = n;
	return (0);
}

/* Fields of their own make a copy for each recipient: not too many. */
static int
check_copies(const struct submit *s, struct verr *err)
{
	if (!unsub_each(s) ||
	    s->n_rcpt <= SUBMIT_COPIES_BYTES / (s->msg.text.len + 1))
		return (0);
	return (verr_set(err, VEX_DATA,
	    "add-list-unsubscribe: %zu copies of %zu octets are too much for "
	    "one message: use a mail merge",
	    s->n_rcpt, s->msg.text.len));
}

/* Who is on a suppression list? */
static int
suppress_rcpts(struct submit *s, struct verr *err)
{
	size_t i;
	int rc;

	for (i = 0; i < s->n_rcpt; i++) {
		rc = submit_is_suppressed(s, s->text.p + s->rcpt[i].smtp, err);
		if (rc == -1)
			return (-1);
		s->rcpt[i].suppressed = rc == 1;
	}
	return (0);
}

int
submit_end(struct submit *s, const struct submit_env *given, struct verr *err)
{
	struct submit_env use, *env = &use;
	size_t n = s->n_rcpt;

	if (content_end(s, err) == -1 ||
	    header_control(s, given, &use, err) == -1 ||
	    check_env(s, env, err) == -1 ||
	    (n == 0 && verr_set(err, VEX_DATA, "no recipients") == -1) ||
	    copy_rcpts(s, err) == -1 || select_rcpts(s, env, err) == -1 ||
	    alias_rcpts(s, err) == -1 || check_senders(s, env, err) == -1 ||
	    check_copies(s, err) == -1 || suppress_rcpts(s, err) == -1)
		return (submit_refuse(s, err));
	return (end_accepted(s, env, n, err));
}
