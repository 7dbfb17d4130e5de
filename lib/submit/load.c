/*
 * An accepted message into the open commit: a content for all targets that the
 * same header fields are added for, and a line for each recipient, with a
 * sender of his own where VERP is wanted.
 */
#include <stdlib.h>
#include <string.h>

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

/* What delivery must know of a content that was put into the open commit. */
static void
content_set(struct submit *s, const struct submit_env *env,
    const struct message_facts *f, size_t number, struct content *ret_c)
{
	ret_c->m = (struct commit_msg) {
		.msgid = s->id.s,
		.flags = msg_flags(f),
		.longest = (uint32_t)f->longest,
		.dots = (uint32_t)f->dots,
		.ret = env->ret,
		.envid = env->envid,
		.content = number,
	};
}

/* The message with these fields before it, as its target has it. */
static void
content_own(struct submit *s, const struct submit_env *env,
    const struct buf *fields, struct content *ret_c)
{
	size_t header = s->msg.header_len + fields->len;
	struct message_facts f;
	struct buf text = BUF_INIT;

	buf_add(&text, buf_str(fields), fields->len);
	buf_add(&text, buf_str(&s->msg.text), s->msg.text.len);
	(void)rewrite_from(&ret_c->target, &text, &header);
	message_scan(text.p, text.len, header, &f);
	content_set(s, env, &f, commit_content_take(s->open.c, &text), ret_c);
}

/*
 * Targets of the recipients, each once, or each recipient's, and of each the
 * first recipient; how many.
 */
static size_t
contents_targets(struct submit *s, struct content *c, const struct rcpt **first)
{
	bool each = unsub_each(s);
	size_t i, k, n = 0;

	for (i = 0; i < s->n_rcpt; i++) {
		for (k = each ? n : 0; k < n; k++)
			if (c[k].target.vmta == s->rcpt[i].target.vmta &&
			    c[k].target.pool == s->rcpt[i].target.pool)
				break;
		if (k == n) {
			first[n] = &s->rcpt[i];
			c[n++].target = s->rcpt[i].target;
		}
		s->rcpt[i].content = k;
	}
	return (n);
}

/*
 * The first of the targets that has these fields, and the message as it is; k,
 * where each recipient has fields of his own.
 */
static size_t
contents_same(struct submit *s, const struct content *c,
    const struct buf *fields, size_t k)
{
	size_t i = unsub_each(s) || rewrite_has_from(&c[k].target) ? k : 0;

	for (; i < k; i++)
		if (fields[i].len == fields[k].len &&
		    !rewrite_has_from(&c[i].target) &&
		    memcmp(buf_str(&fields[i]), buf_str(&fields[k]),
			fields[k].len) == 0)
			break;
	return (i);
}

/* Contents for n targets with these fields. */
static void
contents_put(struct submit *s, const struct submit_env *env, struct content *c,
    const struct buf *fields, size_t n)
{
	size_t k, same, plain = n;

	for (k = 0; k < n; k++) {
		same = contents_same(s, c, fields, k);
		if (same < k)
			c[k].m = c[same].m;
		else if (fields[k].len > 0 || rewrite_has_from(&c[k].target))
			content_own(s, env, &fields[k], &c[k]);
		else
			plain = k;
	}
	if (plain == n)
		return;
	/* the message itself is taken over, so it comes last */
	content_set(s, env, &s->msg.facts,
	    commit_content_take(s->open.c, &s->msg.text), &c[plain]);
	for (k = plain + 1; k < n; k++)
		if (fields[k].len == 0 && !rewrite_has_from(&c[k].target))
			c[k].m = c[plain].m;
}

/*
 * Contents for all targets of the recipients; caller frees. Those to which the
 * same is added share one, which is written once when it is large. 0 or -1.
 */
static int
contents_add(struct submit *s, const struct submit_env *env,
    struct content **ret_c, struct verr *err)
{
	struct content *c = xcalloc(s->n_rcpt, sizeof(*c));
	const struct rcpt **first = xcalloc(s->n_rcpt, sizeof(*first));
	size_t k, n = contents_targets(s, c, first);
	struct buf *fields = xcalloc(n, sizeof(*fields));
	int rc = 0;

	*ret_c = c;
	for (k = 0; k < n && rc == 0; k++) {
		rc = header_added(s, env, &c[k].target, &fields[k], err);
		if (rc == 0)
			unsub_added(s, env, first[k], &fields[k]);
	}
	if (rc == 0)
		contents_put(s, env, c, fields, n);
	for (k = 0; k < n; k++)
		buf_release(&fields[k]);
	free(fields);
	free(first);
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
	size_t i;
	int rc;

	if (load_commit(s, err) == NULL)
		return (-1);
	rc = contents_add(s, env, &c, err);
	for (i = 0; i < s->n_rcpt && rc == 0; i++)
		rc = load_rcpt(s, env, &s->rcpt[i], c[s->rcpt[i].content].m,
		    &key, &sender, err);
	buf_release(&sender);
	free(c);
	return (rc);
}
