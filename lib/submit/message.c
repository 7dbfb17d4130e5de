/*
 * A message on its way in: content and recipients are collected, then looked
 * at as a whole, and only when nothing is left to object to is the spool (or
 * a pool's counter) touched. So a refusal leaves nothing behind.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stamp.h"
#include "mail/xtext.h"
#include "spool/batch.h"
#include "submit/impl.h"

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
	return (-1);
}

int
submit_begin(struct submit *s, struct verr *err)
{
	struct message_opts o = { .stray = MESSAGE_REFUSE };

	submit_drop(s);
	if (submit_alive(s, err) == -1)
		return (-1);
	if (id_new(s->sys, &s->id) == -1) {
		(void)verr_sys(err, "no random numbers");
		return (submit_break(s, err));
	}
	buf_clear(&s->msgid);
	buf_addf(&s->msgid, "<%s@%s>", s->id.s,
	    conf_global(s->conf)->host_name);
	o.message_id = s->msgid.p;
	o.date = stamp_mail(sys_now(s->sys), s->date, sizeof(s->date));
	o.max_size = submit_max_size(s);
	message_init(&s->msg, &o);
	s->begun = true;
	return (0);
}

int
submit_data(struct submit *s, const char *p, size_t n, struct verr *err)
{
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

/* Has this address been here? If not, remember it. */
static bool
rcpt_seen(struct submit *s, const char *smtp)
{
	char fold[ADDR_MAX + 1];
	size_t i;

	for (i = 0; i < ADDR_MAX && smtp[i] != '\0'; i++)
		fold[i] = smtp[i] >= 'A' && smtp[i] <= 'Z' ?
		    (char)(smtp[i] + ('a' - 'A')) :
		    smtp[i];
	fold[i] = '\0';
	return (map_put(&s->dups, fold, s) != NULL);
}

/* Add it, or say why not. */
static int
rcpt_add(struct submit *s, const struct submit_rcpt *r, struct verr *err)
{
	size_t max = submit_max_rcpt(s);
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
	if (rcpt_add(s, r, err) == 0)
		return (0);
	return (submit_refuse(s, err));
}

/* A mailbox of the header. */
static int
header_rcpt(void *arg, const struct addr *a, struct verr *err)
{
	struct submit_rcpt r = { .smtp = a->smtp, .domain = addr_domain(a) };

	return (rcpt_add(arg, &r, err));
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
	    message_recipients(&s->msg, header_rcpt, s, err) == 0)
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

int
submit_env_check(const struct submit *s, const struct submit_env *env,
    struct target *ret_t, struct verr *err)
{
	if (route_target(s, env->vmta, ret_t, err) == -1 ||
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
	struct target t;

	return (submit_env_check(s, env, &t, err));
}

/* Put the recipients into the open commit. */
static int
load_rcpts(struct submit *s, const struct target *t, struct commit_key *key,
    const struct commit_msg *m, struct verr *err)
{
	struct commit_rcpt to = { .held = false };
	const char *text = s->text.p;
	const struct rcpt *r;
	size_t i;

	for (i = 0; i < s->n_rcpt; i++) {
		r = &s->rcpt[i];
		key->domain = text + r->domain;
		key->vmta = route_vmta(s, t, key->domain, err);
		if (key->vmta == NULL)
			return (-1);
		to.index = r->index;
		to.rcpt = text + r->smtp;
		to.notify = text + r->notify;
		to.orcpt = text + r->orcpt;
		if (commit_rcpt(s->open.c, key, m, &to, err) == -1) {
			/* it was checked: the commit is no longer whole */
			err->code = VEX_SOFTWARE;
			return (-1);
		}
	}
	return (0);
}

/* What delivery must know of the message. */
static unsigned int
msg_flags(const struct message_facts *f, const struct addr *from)
{
	return ((f->body_8bit ? BATCH_8BIT_BODY : 0u) |
	    (f->header_8bit ? BATCH_8BIT_HEADER : 0u) |
	    (from->utf8 ? BATCH_UTF8_SENDER : 0u));
}

/* Put the message into the open commit. */
static int
load_message(struct submit *s, const struct submit_env *env,
    const struct target *t, struct verr *err)
{
	const struct addr *from = env->from != NULL ? env->from : &s->self;
	const struct message_facts *f = &s->msg.facts;
	struct commit *c = load_commit(s, err);
	struct commit_msg m = {
		.msgid = s->id.s,
		.flags = msg_flags(f, from),
		.longest = (uint32_t)f->longest,
		.dots = (uint32_t)f->dots,
		.ret = env->ret,
		.envid = env->envid,
		.sender = from->smtp,
	};
	struct commit_key key = {
		.pool = t->pool != NULL ? t->pool->name : NULL,
		.job = env->job,
		.source = s->source,
		.source_type = s->source_type,
		.source_mta = s->source_mta,
		.prio = env->prio == -1 ? SUBMIT_PRIO_DEFAULT : env->prio,
		.due = env->due > sys_now(s->sys) ? env->due : 0,
	};

	if (c == NULL)
		return (-1);
	m.content = commit_content_take(c, &s->msg.text);
	return (load_rcpts(s, t, &key, &m, err));
}

/* An earlier call took this message. */
static void
skip_message(struct submit *s)
{
	s->accepted++;
	if (s->durable != NULL)
		s->durable(s->durable_arg, s->seq == s->skip ? s->last_id : "-",
		    s->n_rcpt);
}

int
submit_end(struct submit *s, const struct submit_env *env, struct verr *err)
{
	struct target t;
	size_t n = s->n_rcpt;

	if (content_end(s, err) == -1 || submit_env_check(s, env, &t, err) == -1 ||
	    (n == 0 && verr_set(err, VEX_DATA, "no recipients") == -1))
		return (submit_refuse(s, err));
	if (s->seq < s->skip) {
		s->seq++;
		skip_message(s);
	} else if (load_message(s, env, &t, err) == -1) {
		return (submit_refuse(s, err));
	} else {
		s->seq++;
		if (load_note(s, s->id.s, n, err) == -1) {
			submit_drop(s);
			return (-1);
		}
	}
	submit_drop(s);
	return (0);
}
