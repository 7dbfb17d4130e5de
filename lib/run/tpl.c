/*
 * A template is read and parsed once and kept, least recently used first to
 * go: many batches share it, and a connection takes their recipients in turn.
 * It is looked up by content id, selection of parts and variables; its hash is
 * checked when it is read, since a broken template breaks each message.
 */
#include <sys/queue.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "mail/merge.h"
#include "mail/mergeparts.h"
#include "mail/xtext.h"
#include "run/tpl.h"
#include "spool/vars.h"

#define TPL_MEMORY (64u * 1024 * 1024) /* but one is always kept */
#define TPL_MAX 1000

struct entry {
	TAILQ_ENTRY(entry) entry;
	char *key;
	struct buf fields; /* what stands before the message */
	struct merge *merge;
	size_t memory;
};

TAILQ_HEAD(entry_list, entry);

struct tpl {
	struct sys *sys;
	struct map map;
	struct entry_list used; /* the last one first */
	size_t memory;
	/* of the recipient at hand */
	struct buf key, text, envid, msgid;
	struct merge_value *value;
	size_t cap;
};

struct tpl *
tpl_new(struct sys *sys)
{
	struct tpl *t = xcalloc(1, sizeof(*t));

	t->sys = sys;
	map_init(&t->map);
	TAILQ_INIT(&t->used);
	return (t);
}

static void
entry_free(struct tpl *t, struct entry *e)
{
	TAILQ_REMOVE(&t->used, e, entry);
	(void)map_del(&t->map, e->key);
	t->memory -= e->memory;
	merge_free(e->merge);
	buf_release(&e->fields);
	free(e->key);
	free(e);
}

void
tpl_free(struct tpl *t)
{
	struct entry *e;

	if (t == NULL)
		return;
	while ((e = TAILQ_FIRST(&t->used)) != NULL)
		entry_free(t, e);
	map_release(&t->map, NULL);
	buf_release(&t->key);
	buf_release(&t->text);
	buf_release(&t->envid);
	buf_release(&t->msgid);
	free(t->value);
	free(t);
}

/* The content of a message, checked. 0 or -1. */
static int
tpl_read(struct tpl *t, struct batch *b, const struct batch_msg *m,
    struct buf *ret_text, struct verr *err)
{
	ssize_t got;
	off_t off;
	int fd;

	if (batch_content(b, m, &fd, &off, err) == -1)
		return (-1);
	got = sys_pread_all(t->sys, fd, buf_room(ret_text, (size_t)m->size),
	    (size_t)m->size, off);
	if (got == -1)
		return (verr_sys(err, "read content of %s", batch_file(b)));
	ret_text->len = (size_t)got;
	ret_text->p[ret_text->len] = '\0';
	if ((uint64_t)got != m->size ||
	    map_hash(ret_text->p, ret_text->len) != m->hash)
		return (verr_set(err, VEX_DATA,
		    "template of %s does not fit its hash", batch_file(b)));
	return (0);
}

/* The names of the variables of a batch, for merge_bind. */
static void
tpl_bind(struct merge *m, const struct batch_header *h)
{
	size_t n = vars_count(h->vars), i;
	char **name = xcalloc(n + 1, sizeof(*name));
	const char *at = h->vars;
	struct buf b = BUF_INIT;

	for (i = 0; i < n; i++) {
		buf_clear(&b);
		(void)vars_next(&at, &b);
		name[i] = xstrdup(buf_str(&b));
	}
	merge_bind(m, (const char *const *)name, n,
	    h->undefined != NULL && strcmp(h->undefined, "empty") == 0);
	for (i = 0; i < n; i++)
		free(name[i]);
	free(name);
	buf_release(&b);
}

/* Read and parse the template of a message. 0 or -1. */
static int
tpl_parse(struct tpl *t, struct batch *b, const struct batch_msg *m,
    struct entry *e, struct verr *err)
{
	const struct batch_header *h = batch_header(b);
	const struct mergeparts how = { .lengths = h->parts,
		.strip = h->strip,
		.host = h->host,
		.date = h->date != NULL };
	struct buf raw = BUF_INIT, text = BUF_INIT;
	size_t fields = 0;
	int rc;

	rc = tpl_read(t, b, m, &raw, err);
	if (rc == 0)
		rc = mergeparts_join(buf_str(&raw), raw.len, &how, m->parts,
		    &text, &fields, err);
	if (rc == 0)
		rc = merge_parse(buf_str(&text), text.len, &e->merge, err);
	if (rc == 0) {
		tpl_bind(e->merge, h);
		buf_add(&e->fields, raw.p, fields);
	}
	buf_release(&raw);
	buf_release(&text);
	return (rc);
}

/* The template of a message, kept or read. NULL: err. */
static struct entry *
tpl_get(struct tpl *t, struct batch *b, const struct batch_msg *m,
    struct verr *err)
{
	const struct batch_header *h = batch_header(b);
	struct entry *e;

	buf_clear(&t->key);
	buf_addf(&t->key, "%s %s %016" PRIx64 " %s", h->content,
	    m->parts != NULL ? m->parts : "-", m->hash,
	    h->vars != NULL ? h->vars : "");
	e = map_get(&t->map, t->key.p);
	if (e != NULL) {
		TAILQ_REMOVE(&t->used, e, entry);
		TAILQ_INSERT_HEAD(&t->used, e, entry);
		return (e);
	}
	e = xcalloc(1, sizeof(*e));
	if (tpl_parse(t, b, m, e, err) == -1) {
		free(e);
		return (NULL);
	}
	e->memory = merge_memory(e->merge) + e->fields.cap;
	while (!TAILQ_EMPTY(&t->used) &&
	    (t->memory + e->memory > TPL_MEMORY || t->map.n >= TPL_MAX))
		entry_free(t, TAILQ_LAST(&t->used, entry_list));
	e->key = xstrdup(t->key.p);
	t->memory += e->memory;
	(void)map_put(&t->map, e->key, e);
	TAILQ_INSERT_HEAD(&t->used, e, entry);
	return (e);
}

/* The values of a recipient. 0 or -1. */
static int
tpl_values(struct tpl *t, const struct batch_header *h, const char *line,
    struct verr *err)
{
	size_t n = vars_count(h->vars), i, from;
	int rc;

	if (n > t->cap) {
		t->cap = n;
		t->value = xreallocarray(t->value, n, sizeof(*t->value));
	}
	buf_clear(&t->text);
	(void)buf_room(&t->text, strlen(line) + 1); /* it stays where it is */
	for (i = 0; i < n; i++) {
		from = t->text.len;
		if (line == NULL || (rc = vars_next(&line, &t->text)) == -1)
			return (verr_set(err, VEX_DATA, "bad V line"));
		t->value[i] = (struct merge_value) { rc == 1 ? NULL :
							       t->text.p + from,
			t->text.len - from };
	}
	return (0);
}

int
tpl_render(struct tpl *t, struct batch *b, const struct batch_txn *x,
    struct buf *ret_text, struct message_facts *ret_facts, struct verr *err)
{
	const struct batch_header *h = batch_header(b);
	const struct batch_msg *m = &x->msg;
	char date[64], prio[16], due[STAMP_ACCT_LEN + 1];
	struct merge_env env = { .to = x->rcpt[0].rcpt,
		.from = m->sender,
		.jobid = h->job,
		.vmta = h->vmta,
		.parts = m->parts,
		.priority = prio };
	struct entry *e = tpl_get(t, b, m, err);
	size_t header;

	if (e == NULL || tpl_values(t, h, x->rcpt[0].vars, err) == -1)
		return (-1);
	buf_clear(&t->envid);
	if (m->envid != NULL)
		(void)xtext_decode(m->envid, strlen(m->envid), &t->envid);
	buf_clear(&t->msgid);
	buf_addf(&t->msgid, "%s.%lu", m->msgid,
	    (unsigned long)x->rcpt[0].index);
	(void)snprintf(prio, sizeof(prio), "%d", h->prio);
	env.date = stamp_mail(h->queued, date, sizeof(date));
	env.schedule = stamp_acct(h->due, due);
	env.envid = buf_str(&t->envid);
	env.msgid = t->msgid.p;
	buf_clear(ret_text);
	buf_add(ret_text, e->fields.p, e->fields.len);
	if (merge_render(e->merge, &env, t->value, ret_text, &header, err) ==
	    -1)
		return (-1);
	message_scan(ret_text->p, ret_text->len, header + e->fields.len,
	    ret_facts);
	return (0);
}
