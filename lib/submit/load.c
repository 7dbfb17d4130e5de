/*
 * An accepted message into the open commit: a content for each target whose
 * added header fields differ, and a line for each recipient, with a sender of
 * his own where VERP is wanted.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "spool/batch.h"
#include "submit/header.h"
#include "submit/impl.h"
#include "submit/rewrite.h"
#include "submit/unsub.h"

/* Does the recipient wait for its release? */
static bool
rcpt_held(const struct submit_env *env, const char *smtp)
{
	char fold[ADDR_MAX + 1];

	if (!env->hold || env->seeds == NULL)
		return (env->hold);
	submit_fold(smtp, fold);
	return (map_get(env->seeds, fold) == NULL);
}

/* A content of the message: that of the recipients of one target. */
struct content {
	struct target target;
	struct commit_msg m;
};

/* What delivery must know of the message. */
static unsigned int
msg_flags(const struct message_facts *f)
{
	return ((f->body_8bit ? BATCH_8BIT_BODY : 0u) |
	    (f->header_8bit ? BATCH_8BIT_HEADER : 0u));
}

/*
 * The message as it goes to r and those like him, in the open commit. The last
 * one takes the text over.
 */
static int
content_add(struct submit *s, const struct submit_env *env,
    const struct rcpt *r, bool last, struct content *ret_c, struct verr *err)
{
	const struct target *t = &r->target;
	struct message_facts f = s->msg.facts;
	struct buf text = BUF_INIT;
	size_t added, header;

	if (header_added(s, env, t, &text, err) == -1) {
		buf_release(&text);
		return (-1);
	}
	unsub_added(s, env, r, &text);
	added = text.len;
	header = s->msg.header_len + added;
	if (added > 0 || !last || rewrite_has_from(t))
		buf_add(&text, buf_str(&s->msg.text), s->msg.text.len);
	if (rewrite_from(t, &text, &header) || added > 0)
		message_scan(text.p, text.len, header, &f);
	ret_c->target = *t;
	ret_c->m = (struct commit_msg) {
		.msgid = s->id.s,
		.flags = msg_flags(&f),
		.longest = (uint32_t)f.longest,
		.dots = (uint32_t)f.dots,
		.ret = env->ret,
		.envid = env->envid,
	};
	ret_c->m.content = commit_content_take(s->open.c,
	    text.len > 0 ? &text : &s->msg.text);
	return (0);
}

/*
 * Contents for all targets of the recipients, or for each of these; caller
 * frees. 0 or -1.
 */
static int
contents_add(struct submit *s, const struct submit_env *env,
    struct content **ret_c, size_t *ret_n, struct verr *err)
{
	const struct rcpt **r = xcalloc(s->n_rcpt, sizeof(*r));
	bool each = unsub_each(s);
	size_t i, k, n = 0;
	int rc = 0;

	for (i = 0; i < s->n_rcpt; i++) {
		for (k = each ? n : 0; k < n; k++)
			if (r[k]->target.vmta == s->rcpt[i].target.vmta &&
			    r[k]->target.pool == s->rcpt[i].target.pool)
				break;
		if (k == n)
			r[n++] = &s->rcpt[i];
		s->rcpt[i].content = k;
	}
	*ret_c = xcalloc(n, sizeof(**ret_c));
	*ret_n = n;
	for (k = 0; k < n && rc == 0; k++)
		rc = content_add(s, env, r[k], k + 1 == n, &(*ret_c)[k], err);
	free(r);
	return (rc);
}

/* The sender of a recipient's mail; room for one that is made. */
static int
rcpt_sender(const struct submit *s, const struct submit_env *env,
    const struct rcpt *r, struct buf *room, struct commit_msg *m,
    struct verr *err)
{
	const char *p;

	if (rewrite_sender(s, env, &r->target, s->text.p + r->smtp, room,
		&m->sender, err) == -1)
		return (-1);
	for (p = m->sender; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			m->flags |= BATCH_UTF8_SENDER;
	return (0);
}

/* Put one recipient into the open commit. */
static int
load_rcpt(struct submit *s, const struct submit_env *env, const struct rcpt *r,
    struct commit_msg m, struct commit_key *key, struct buf *sender,
    struct verr *err)
{
	const char *text = s->text.p;
	const struct commit_rcpt to = {
		.index = r->index,
		.rcpt = text + r->smtp,
		.notify = text + r->notify,
		.orcpt = text + r->orcpt,
		.held = rcpt_held(env, text + r->smtp),
		.suppressed = r->suppressed,
	};

	if (rcpt_sender(s, env, r, sender, &m, err) == -1) {
		err->code = VEX_SOFTWARE; /* check_senders has seen it */
		return (-1);
	}
	key->domain = text + r->domain;
	key->pool = r->target.pool != NULL ? r->target.pool->name : NULL;
	key->prio = r->prio;
	key->vmta = route_vmta(s, &r->target, key->domain, err);
	if (key->vmta == NULL)
		return (-1);
	s->open.suppressed += r->suppressed;
	if (commit_rcpt(s->open.c, key, &m, &to, err) == 0)
		return (0);
	/* it was checked: the commit is no longer whole */
	err->code = VEX_SOFTWARE;
	return (-1);
}

int
load_message(struct submit *s, const struct submit_env *env, struct verr *err)
{
	struct commit_key key = {
		.job = env->job,
		.source = s->source,
		.source_type = s->source_type,
		.source_mta = s->source_mta,
		.due = env->due > sys_now(s->sys) ? env->due : 0,
		.schedule = env->schedule,
	};
	struct content *c = NULL;
	struct buf sender = BUF_INIT;
	size_t i, n = 0;
	int rc;

	if (load_commit(s, err) == NULL)
		return (-1);
	rc = contents_add(s, env, &c, &n, err);
	for (i = 0; i < s->n_rcpt && rc == 0; i++)
		rc = load_rcpt(s, env, &s->rcpt[i], c[s->rcpt[i].content].m,
		    &key, &sender, err);
	buf_release(&sender);
	free(c);
	return (rc);
}
