/*
 * Commits while they are filled: recipients are sorted into parts, one for
 * each key (queue, priority, schedule, job, source), a new one after
 * COMMIT_BATCH_RCPTS recipients. A part keeps its lines as text, as they will
 * be in the file; only what is not known before the end (the offset of a
 * content, and whether it is shared) is left out. Nothing touches the disk
 * before commit_finish (finish.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stamp.h"
#include "spool/batch.h"
#include "spool/commit_int.h"

_Static_assert(COMMIT_BATCH_TEXT + 8 * BATCH_VARS_MAX < BATCH_INDEX_MAX,
    "what is written can be read");

struct commit *
commit_new(struct spool *sp)
{
	struct commit *c = xcalloc(1, sizeof(*c));

	c->sp = sp;
	c->now = sys_now(sp->sys);
	map_init(&c->keys);
	return (c);
}

void
part_free(struct part *p)
{
	free(p->msg);
	buf_release(&p->text);
	free(p);
}

void
entry_free(void *arg)
{
	struct commit_entry *k = arg;

	free(k->vmta);
	free(k->domain);
	free(k->header);
	free(k);
}

void
commit_free(struct commit *c)
{
	size_t i;

	if (c == NULL)
		return;
	finish_drop(c->finish);
	for (i = 0; i < c->n_content; i++)
		free(c->content[i].owned);
	for (i = 0; i < c->n_part; i++)
		part_free(c->part[i]);
	map_release(&c->keys, entry_free);
	free(c->content);
	free(c->part);
	buf_release(&c->scratch);
	buf_release(&c->line);
	buf_release(&c->merge_header);
	free(c);
}

/* Room for one more of an array that doubles. */
static void *
grow(void *p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return (p);
	*cap = *cap > 0 ? *cap * 2 : 4;
	return (xreallocarray(p, *cap, size));
}

size_t
commit_content(struct commit *c, const void *p, size_t n)
{
	struct content *k;

	c->content = grow(c->content, c->n_content, &c->cap_content,
	    sizeof(*c->content));
	k = &c->content[c->n_content];
	*k = (struct content) { .p = p, .n = n, .hash = map_hash(p, n) };
	c->bytes += n;
	return (c->n_content++);
}

size_t
commit_content_take(struct commit *c, struct buf *b)
{
	size_t n = b->len, i;
	char *p = buf_take(b);

	i = commit_content(c, p, n);
	c->content[i].owned = p;
	return (i);
}

/* Can this be a value of a header line? NULL and "" are. */
static bool
text_ok(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return (false);
	return (true);
}

/* Can this be a word of a line, with others after it? NULL and "" are. */
static bool
word_ok(const char *s)
{
	return (text_ok(s) && (s == NULL || strchr(s, ' ') == NULL));
}

/* Can this be the values of a recipient? */
static bool
text_ok_vars(const char *s)
{
	const char *p;

	if (s == NULL)
		return (true);
	for (p = s; *p != '\0'; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return (false);
	return ((size_t)(p - s) <= BATCH_VARS_MAX);
}

static bool
empty(const char *s)
{
	return (s == NULL || *s == '\0');
}

/* Refuse keys and messages that the format cannot hold. */
static int
key_check(const struct commit *c, const struct commit_key *key,
    const struct commit_msg *m, struct verr *err)
{
	if (!spool_vmta_valid(key->vmta))
		return (verr_set(err, VEX_DATA, "bad VirtualMTA name '%s'",
		    key->vmta));
	if (!spool_domain_valid(key->domain))
		return (verr_set(err, VEX_DATA, "bad queue domain '%s'",
		    key->domain));
	if (!text_ok(key->pool) || !text_ok(key->job) ||
	    !text_ok(key->source) || !text_ok(key->source_type) ||
	    !text_ok(key->source_mta) || key->prio < 0 || key->prio > 100)
		return (verr_set(err, VEX_DATA,
		    "bad pool, job, source or priority"));
	if (!id_valid(m->msgid) || m->content >= c->n_content ||
	    c->content[m->content].n > UINT32_MAX || !word_ok(m->envid) ||
	    !word_ok(m->parts) || !text_ok(m->sender) || m->sender == NULL ||
	    strcmp(m->sender, "<>") == 0)
		return (verr_set(err, VEX_DATA,
		    "bad sender, envelope id, message id or size"));
	return (0);
}

/* The same of recipients. */
static int
rcpt_check(const struct commit *c, const struct commit_rcpt *r,
    struct verr *err)
{
	if (!word_ok(r->notify) || !word_ok(r->orcpt) || !text_ok(r->rcpt) ||
	    empty(r->rcpt) || (c->merge && !text_ok_vars(r->vars)))
		return (verr_set(err, VEX_DATA,
		    "bad recipient, ORCPT or NOTIFY"));
	return (0);
}

/* `name: value` unless there is no value. */
static void
header_add(struct buf *b, const char *name, const char *value)
{
	if (empty(value))
		return;
	buf_adds(b, name);
	buf_adds(b, value);
	buf_addc(b, '\n');
}

/* The header lines of a key but `id` and `content`; they are its name, too. */
static void
key_text(const struct commit *c, const struct commit_key *key, struct buf *b)
{
	char at[STAMP_NAME_LEN + 1];
	int64_t queued = key->queued != 0 ? key->queued : c->now;

	buf_clear(b);
	header_add(b, "domain: ", key->domain);
	header_add(b, "vmta: ", key->vmta);
	header_add(b, "pool: ", key->pool);
	header_add(b, "job: ", key->job);
	buf_addf(b, "priority: %d\n", key->prio);
	header_add(b, "queued: ", stamp_name(queued, at));
	header_add(b,
	    "due: ", stamp_name(key->due != 0 ? key->due : c->now, at));
	header_add(b, "schedule: ", key->schedule);
	header_add(b, "source: ", key->source);
	header_add(b, "source-type: ", key->source_type);
	header_add(b, "source-mta: ", key->source_mta);
}

/* The key's entry; made when it is new. */
static struct commit_entry *
key_entry(struct commit *c, const struct commit_key *key)
{
	struct commit_entry *k;

	key_text(c, key, &c->scratch);
	k = map_get(&c->keys, c->scratch.p);
	if (k != NULL)
		return (k);
	k = xcalloc(1, sizeof(*k));
	k->vmta = xstrdup(key->vmta);
	k->domain = xstrdup(key->domain);
	k->header = xstrdup(c->scratch.p);
	k->prio = key->prio;
	k->due = key->due != 0 ? key->due : c->now;
	k->job = batch_job_hash(key->job);
	(void)map_put(&c->keys, k->header, k);
	return (k);
}

/* The part that takes the key's next recipient. */
static struct part *
key_part(struct commit *c, struct commit_entry *k)
{
	if (k->part != NULL && k->part->n_rcpt < COMMIT_BATCH_RCPTS &&
	    k->part->text.len < COMMIT_BATCH_TEXT)
		return (k->part);
	c->part = grow(c->part, c->n_part, &c->cap_part, sizeof(*c->part));
	k->part = xcalloc(1, sizeof(*k->part));
	k->part->key = k;
	k->part->number = c->n_part;
	c->part[c->n_part++] = k->part;
	return (k->part);
}

/* `M MSGID FLAGS LONGEST DOTS RET ENVID SENDER`; of a merge also PARTS. */
static void
msg_line(const struct commit *c, struct buf *b, const struct commit_msg *m)
{
	char flags[4];
	size_t n = 0;

	if ((m->flags & BATCH_8BIT_BODY) != 0)
		flags[n++] = '8';
	if ((m->flags & BATCH_8BIT_HEADER) != 0)
		flags[n++] = 'h';
	if ((m->flags & BATCH_UTF8_SENDER) != 0)
		flags[n++] = 'u';
	if (n == 0)
		flags[n++] = '-';
	flags[n] = '\0';
	buf_clear(b);
	buf_addf(b, "M %s %s %lu %lu %c %s ", m->msgid, flags,
	    (unsigned long)m->longest, (unsigned long)m->dots,
	    m->ret != '\0' ? m->ret : '-', empty(m->envid) ? "-" : m->envid);
	if (c->merge)
		buf_addf(b, "%s ", empty(m->parts) ? "-" : m->parts);
	buf_addf(b, "%s\n", *m->sender != '\0' ? m->sender : "<>");
}

/* Begin c's message in p unless it is the one that its last line is for. */
static void
part_msg(struct commit *c, struct part *p)
{
	struct part_msg *last;

	if (p->n_msg > 0) {
		last = &p->msg[p->n_msg - 1];
		if (last->content == c->last_content &&
		    last->rcpts - last->text == c->line.len &&
		    memcmp(p->text.p + last->text, c->line.p, c->line.len) == 0)
			return;
	}
	p->msg = grow(p->msg, p->n_msg, &p->cap_msg, sizeof(*p->msg));
	last = &p->msg[p->n_msg++];
	last->content = c->last_content;
	last->text = p->text.len;
	buf_add(&p->text, c->line.p, c->line.len);
	last->rcpts = p->text.len;
}

/* Its R line, and in a merge its V line. */
static void
rcpt_lines(const struct commit *c, struct buf *b, const struct commit_rcpt *r)
{
	static const char fields[] = "                              "
				     "                               ";
	char index[16];

	/* the fixed fields are filled in when the batch is written */
	buf_addf(b, "R %c",
	    r->suppressed ? BATCH_SUPPRESSED :
		r->held	  ? BATCH_HELD :
			    BATCH_FRESH);
	buf_add(b, fields, sizeof(fields) - 1);
	(void)snprintf(index, sizeof(index), " %lu ", (unsigned long)r->index);
	buf_adds(b, index);
	buf_adds(b, empty(r->notify) ? "-" : r->notify);
	buf_addc(b, ' ');
	buf_adds(b, empty(r->orcpt) ? "-" : r->orcpt);
	buf_addc(b, ' ');
	buf_adds(b, r->rcpt);
	buf_addc(b, '\n');
	if (!c->merge)
		return;
	buf_adds(b, "V ");
	buf_adds(b, r->vars != NULL ? r->vars : "");
	buf_addc(b, '\n');
}

int
commit_rcpt(struct commit *c, const struct commit_key *key,
    const struct commit_msg *msg, const struct commit_rcpt *rcpt,
    struct verr *err)
{
	struct part *p;
	size_t before;

	if ((key != NULL && key_check(c, key, msg, err) == -1) ||
	    rcpt_check(c, rcpt, err) == -1)
		return (-1);
	if (key != NULL) {
		c->last = key_entry(c, key);
		msg_line(c, &c->line, msg);
		c->last_content = msg->content;
	}
	p = key_part(c, c->last);
	before = p->text.len;
	if (key != NULL || p->n_msg == 0)
		part_msg(c, p);
	rcpt_lines(c, &p->text, rcpt);
	c->text += p->text.len - before;
	p->n_rcpt++;
	c->n_rcpt++;
	return (0);
}

void
commit_merge(struct commit *c, const struct commit_merge *m)
{
	struct buf *b = &c->merge_header;

	c->merge = true;
	header_add(b, "vars: ", m->vars);
	header_add(b, "undefined: ", m->empty ? "empty" : "");
	header_add(b, "parts: ", m->parts);
	header_add(b, "strip: ", m->strip);
	header_add(b, "host: ", m->host);
	header_add(b, "date: ", m->date ? "add" : "");
}

uint64_t
commit_bytes(const struct commit *c)
{
	return (c->bytes);
}

uint64_t
commit_text(const struct commit *c)
{
	return (c->text);
}

size_t
commit_rcpts(const struct commit *c)
{
	return (c->n_rcpt);
}

size_t
commit_batches(const struct commit *c)
{
	return (c->n_done + c->n_part);
}

void
commit_submit(struct commit *c, const char *hash,
    const struct spool_submission *s)
{
	/* what is not of the form is refused by commit_finish */
	memset(c->hash, 0, sizeof(c->hash));
	memcpy(c->hash, hash, strnlen(hash, SUBMIT_HASH_LEN));
	c->submit = *s;
}
