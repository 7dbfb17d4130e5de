/*
 * Moves (DESIGN, "A move"): a commit whose batches come out of other batches.
 *
 *	content/CID-NEWID	a link, where the content is shared
 *	queue/TO/tmp/NAME	header, lines and content of what moves
 *	commit/.ID		the record: a rename of each new batch, a take
 *				of each old one
 *	syncfs; rename to commit/ID, sync of commit/: the commit point
 *	what the record says	(record.c); then the trigger
 *
 * A new batch has a new id, with the time of the old one: a batch that comes
 * back is never taken for the one that was there, by a record or by the
 * journal. All that is known of a recipient goes with it: state, attempts,
 * next try, source address, msgId and rcptIndex, the time it was queued. The
 * pool does not: it was not a pool that chose where it is now.
 *
 * A crash before the commit point leaves what commit_sweep removes; after it
 * the record, which the old batches' next owner rolls forward before he opens
 * one of them. A record whose directory could not be synced may be there or
 * not when the power comes back: it stays, and the caller stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "spool/batch_int.h"
#include "spool/move.h"
#include "spool/publish.h"
#include "spool/record.h"
#include "spool/trigger.h"

#define MOVE_COPY ((size_t)256 * 1024)
/* Queues that are named in the trigger. */
#define MOVE_TRIGGER_MAX 64

/* A batch and what becomes of it. */
struct move_item {
	struct batch *b;
	uint32_t *slot;
	uint32_t n;
	char name[BATCH_NAME_MAX]; /* of the new batch, in tmp; "": none yet */
	char link[2 * ID_LEN + 2]; /* in content/, "": none */
};

struct move {
	struct spool *sp;
	char to[SPOOL_VMTA_MAX + 1];
	int lock_fd; /* on commit/: somebody writes to tmp */
	struct publish dirs;
	struct move_item *item;
	size_t n, cap;
	bool done; /* nothing to be removed any more */
	char *block;
};

struct move *
move_new(struct spool *sp, const char *to)
{
	struct move *m = xcalloc(1, sizeof(*m));

	m->sp = sp;
	(void)snprintf(m->to, sizeof(m->to), "%s", to);
	m->lock_fd = -1;
	publish_init(&m->dirs, sp);
	m->block = xmalloc(MOVE_COPY);
	return (m);
}

/* Remove what was written: nothing of it was visible. */
static void
move_undo(struct move *m)
{
	struct sys *sys = m->sp->sys;
	struct move_item *it;

	for (it = m->item; it < m->item + m->n; it++) {
		if (it->name[0] != '\0' && m->dirs.tmp_fd != -1)
			(void)sys->unlinkat(sys, m->dirs.tmp_fd, it->name, 0);
		if (it->link[0] != '\0')
			(void)sys->unlinkat(sys, m->sp->content_fd, it->link,
			    0);
	}
}

void
move_free(struct move *m)
{
	int saved = errno;
	size_t i;

	if (m == NULL)
		return;
	if (!m->done)
		move_undo(m);
	for (i = 0; i < m->n; i++)
		free(m->item[i].slot);
	publish_end(&m->dirs);
	if (m->lock_fd != -1)
		(void)m->sp->sys->close(m->sp->sys, m->lock_fd);
	free(m->item);
	free(m->block);
	free(m);
	errno = saved;
}

size_t
move_batches(const struct move *m)
{
	return (m->n);
}

/* A new batch while it is made. */
struct making {
	const struct move_item *it;
	struct id id;
	const char *old; /* index of the old batch */
	struct buf index;
	size_t *field; /* where the fields of each slot are */
	struct brange *range;
	size_t n_range;
	uint64_t content_len; /* in the file itself */
	struct batch_name name;
};

static void
making_release(struct making *k)
{
	buf_release(&k->index);
	free(k->field);
	free(k->range);
}

/* What the messages need that move. */
static void
making_ranges(struct making *k)
{
	const struct batch *b = k->it->b;
	bool *want = xcalloc(b->n_msg, sizeof(*want));
	uint32_t i;

	for (i = 0; i < k->it->n; i++)
		want[b->slot[k->it->slot[i]].msg] = true;
	k->name.bytes = batch_ranges(b, want, &k->range, &k->n_range);
	k->content_len = b->h.content == NULL ? k->name.bytes : 0;
	free(want);
}

/* Where an octet of the old content is in the new one. */
static uint64_t
making_place(const struct making *k, uint64_t off)
{
	uint64_t at = 0;
	size_t i;

	if (k->it->b->h.content != NULL)
		return (off);
	for (i = 0; i < k->n_range && off >= k->range[i].to; i++)
		at += k->range[i].to - k->range[i].from;
	/* an empty content is in no range */
	return (i < k->n_range && off > k->range[i].from ?
		at + off - k->range[i].from :
		at);
}

/* The header, with another id, another VirtualMTA, and no pool. */
static void
making_header(struct making *k, const char *to)
{
	const struct batch *b = k->it->b;
	const char *p = b->text, *value;

	buf_addf(&k->index, "%*s", BATCH_FIRST_LEN, "");
	while (p < b->text + b->text_len) {
		value = p + strlen(p) + 2; /* `key`, NUL, space */
		if (strcmp(p, "id") == 0)
			buf_addf(&k->index, "id: %s\n", k->id.s);
		else if (strcmp(p, "vmta") == 0)
			buf_addf(&k->index, "vmta: %s\n", to);
		else if (strcmp(p, "pool") != 0)
			buf_addf(&k->index, "%s: %s\n", p, value);
		p = value + strlen(value) + 1;
	}
	buf_addc(&k->index, '\n');
}

/* The M line of a message, with the new place of its content. */
static void
making_msg(struct making *k, uint32_t msg)
{
	const struct bmsg *m = &k->it->b->msg[msg];
	const char *line = k->old + m->line, *rest;
	size_t head = 2 + ID_LEN + 1; /* `M MSGID ` */
	size_t end = k->it->b->slot[m->first].line - m->line;

	rest = line + head;
	while (*rest != ' ')
		rest++;
	buf_add(&k->index, line, head);
	buf_addf(&k->index, "%" PRIu64, making_place(k, m->off));
	buf_add(&k->index, rest, end - (size_t)(rest - line));
}

/* Messages and recipients; the fields that change are blank. */
static void
making_lines(struct making *k)
{
	const struct batch *b = k->it->b;
	uint32_t i, slot, last = UINT32_MAX, at;

	k->field = xcalloc(k->it->n, sizeof(*k->field));
	for (i = 0; i < k->it->n; i++) {
		slot = k->it->slot[i];
		if (b->slot[slot].msg != last)
			making_msg(k, b->slot[slot].msg);
		last = b->slot[slot].msg;
		at = b->slot[slot].line;
		k->field[i] = k->index.len + BATCH_FIELDS_AT;
		buf_add(&k->index, k->old + at, batch_line_end(b, slot) - at);
		memset(k->index.p + k->field[i], ' ', BATCH_FIELDS);
	}
}

/* First line and hash; then the fields, as they are in memory. */
static void
making_seal(struct making *k)
{
	const struct batch *b = k->it->b;
	char first[BATCH_FIRST_LEN + 1], fields[BATCH_FIELDS + 1];
	const struct bslot *s;
	uint32_t i;

	/* `vmta-batch N ` as it was: its lines are */
	(void)snprintf(first, sizeof(first), "%.13s%010zu %012" PRIu64 "\n",
	    k->old, k->index.len + BATCH_INDEX_LEN, k->content_len);
	memcpy(k->index.p, first, BATCH_FIRST_LEN);
	buf_addf(&k->index, "INDEX %016" PRIx64 "\n",
	    map_hash(k->index.p, k->index.len));
	k->name.id = k->id;
	k->name.prio = b->h.prio;
	k->name.job = batch_job_hash(b->h.job);
	k->name.open = k->it->n;
	k->name.due = BATCH_DUE_NEVER;
	for (i = 0; i < k->it->n; i++) {
		s = &b->slot[k->it->slot[i]];
		batch_fields(b, s, fields);
		memcpy(k->index.p + k->field[i], fields, BATCH_FIELDS);
		if (!batch_state_held(s->state) && s->next < k->name.due)
			k->name.due = s->next;
	}
}

/* Render the new batch but for its content. */
static int
making_index(struct making *k, const char *to, struct verr *err)
{
	struct batch *b = k->it->b;
	struct sys *sys = b->sp->sys;
	struct buf old = BUF_INIT;
	struct id id;

	memcpy(id.s, b->h.id, sizeof(id.s));
	if (id_new_at(sys, &id, &k->id) == -1)
		return (verr_sys(err, "no random numbers"));
	if (sys_pread_all(sys, b->fd, buf_room(&old, b->index_len),
		b->index_len, 0) != (ssize_t)b->index_len) {
		buf_release(&old);
		return (verr_sys(err, "read batch %s", b->file));
	}
	k->old = old.p;
	making_ranges(k);
	making_header(k, to);
	making_lines(k);
	making_seal(k);
	buf_release(&old);
	return (0);
}

/* The shared content, under the new batch's name. */
static int
move_link(struct move *m, struct move_item *it, const struct id *id,
    struct verr *err)
{
	const struct batch_header *h = &it->b->h;
	struct sys *sys = m->sp->sys;
	char from[sizeof(it->link)];

	if (h->content == NULL)
		return (0);
	(void)snprintf(from, sizeof(from), "%s-%s", h->content, h->id);
	(void)snprintf(it->link, sizeof(it->link), "%s-%s", h->content, id->s);
	if (sys->linkat(sys, m->sp->content_fd, from, m->sp->content_fd,
		it->link) == -1)
		return (verr_sys(err, "link content/%s", it->link));
	return (0);
}

/* Copy the octets of one range. 0, or -1 with errno. */
static int
move_range(struct move *m, const struct batch *b, const struct brange *r,
    int fd)
{
	struct sys *sys = m->sp->sys;
	uint64_t at;
	size_t n;

	for (at = r->from; at < r->to; at += n) {
		n = r->to - at < MOVE_COPY ? (size_t)(r->to - at) : MOVE_COPY;
		errno = EIO; /* shorter than it was */
		if (sys_pread_all(sys, b->fd, m->block, n,
			(off_t)(b->index_len + at)) != (ssize_t)n ||
		    sys_write_all(sys, fd, m->block, n) == -1)
			return (-1);
	}
	return (0);
}

/* tmp/NAME. */
static int
move_write(struct move *m, const struct making *k, struct verr *err)
{
	const struct batch *b = k->it->b;
	struct sys *sys = m->sp->sys;
	char end[BATCH_END_LEN + 1];
	size_t i;
	int fd, rc;

	fd = sys->openat(sys, m->dirs.tmp_fd, k->it->name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd == -1)
		return (verr_sys(err, "create tmp/%s", k->it->name));
	(void)snprintf(end, sizeof(end), "END %016" PRIu64 "\n",
	    k->index.len + k->content_len + BATCH_END_LEN);
	rc = sys_write_all(sys, fd, k->index.p, k->index.len);
	for (i = 0; b->h.content == NULL && i < k->n_range && rc == 0; i++)
		rc = move_range(m, b, &k->range[i], fd);
	if (rc == 0)
		rc = sys_write_all(sys, fd, end, BATCH_END_LEN);
	if (rc == -1)
		(void)verr_sys(err, "write tmp/%s", k->it->name);
	if (sys->close(sys, fd) == -1 && rc == 0)
		rc = verr_sys(err, "close tmp/%s", k->it->name);
	return (rc);
}

/* One more item. */
static struct move_item *
move_item(struct move *m, struct batch *b, const uint32_t *slot, uint32_t n)
{
	struct move_item *it;

	if (m->n == m->cap) {
		m->cap = m->cap > 0 ? m->cap * 2 : 8;
		m->item = xreallocarray(m->item, m->cap, sizeof(*m->item));
	}
	it = &m->item[m->n++];
	*it = (struct move_item) { .b = b,
		.slot = xmemdup(slot, n * sizeof(*slot)),
		.n = n };
	return (it);
}

int
move_add(struct move *m, struct batch *b, const uint32_t *slot, uint32_t n,
    struct verr *err)
{
	struct making k = { .index = BUF_INIT };
	struct move_item *it;
	int rc;

	if (m->lock_fd == -1 && record_enter(m->sp, &m->lock_fd, err) == -1)
		return (-1);
	if (publish_vmta(&m->dirs, m->to, false, err) == -1)
		return (-1);
	k.it = it = move_item(m, b, slot, n);
	rc = making_index(&k, m->to, err);
	if (rc == 0)
		rc = move_link(m, it, &k.id, err);
	if (rc == 0) {
		(void)batch_name_format(&k.name, it->name);
		rc = move_write(m, &k, err);
	}
	making_release(&k);
	return (rc);
}

/* The text of the record. */
static void
move_record(const struct move *m, struct buf *text)
{
	const struct move_item *it;

	record_begin(text);
	for (it = m->item; it < m->item + m->n; it++)
		record_rename(text, it->b->area, m->to, it->b->h.domain,
		    it->name);
	for (it = m->item; it < m->item + m->n; it++)
		record_take(text, it->b->h.vmta, it->b->h.domain, it->b->area,
		    it->b->file, it->slot, it->n);
	record_end(text);
}

/* Say what is new. That it could not be said is no error. */
static void
move_trigger(const struct move *m)
{
	struct buf b = BUF_INIT;
	const char *last = "";
	size_t i, n = 0;

	for (i = 0; i < m->n && n <= MOVE_TRIGGER_MAX; i++) {
		if (strcmp(m->item[i].b->h.domain, last) == 0)
			continue;
		last = m->item[i].b->h.domain;
		buf_addf(&b, "%s/%s\n", last, m->to);
		n++;
	}
	if (n > MOVE_TRIGGER_MAX) {
		buf_clear(&b);
		buf_addf(&b, "*/%s\n", m->to);
	}
	(void)trigger_append(m->sp, b.p, b.len, NULL);
	buf_release(&b);
}

/* In memory, as it is on disk now. */
static void
move_mark(const struct move_item *it)
{
	const struct bslot *s;
	uint32_t i;

	for (i = 0; i < it->n; i++) {
		s = &it->b->slot[it->slot[i]];
		batch_set(it->b, it->slot[i], BATCH_MOVED, s->attempts, s->next,
		    NULL);
	}
}

/* All is durable: the commit point, and what the record says. 0, 1 or -1. */
static int
move_commit(struct move *m, struct record_file *f, const struct buf *text,
    struct verr *err)
{
	struct record r;
	int rc;

	if (record_file_commit(f, err) == -1) {
		if (f->name[0] == '.') /* not renamed: it never was */
			return (-1);
		m->done = true;
		return (1);
	}
	m->done = true;
	publish_end(&m->dirs);
	rc = commit_record_parse(text->p, text->len, &r);
	if (rc == 0) {
		rc = record_forward(m->sp, &r, f->name, err);
		commit_record_release(&r);
	} else {
		(void)verr_set(err, VEX_SOFTWARE, "bad record of a move");
	}
	return (rc == 0 ? 0 : 1);
}

int
move_finish(struct move *m, struct verr *err)
{
	struct buf text = BUF_INIT;
	struct record_file f;
	int rc = -1;
	size_t i;

	if (m->n == 0)
		return (0);
	record_file_init(&f, m->sp);
	move_record(m, &text);
	if (record_file_write(&f, &text, false, err) == 0) {
		if (m->sp->sys->syncfs(m->sp->sys, m->sp->fd) == -1)
			(void)verr_sys(err, "sync spool");
		else
			rc = move_commit(m, &f, &text, err);
	}
	if (rc == -1)
		(void)record_file_remove(&f); /* it has no name yet */
	for (i = 0; i < m->n && rc == 0; i++)
		move_mark(&m->item[i]);
	if (rc == 0)
		move_trigger(m);
	record_file_close(&f);
	buf_release(&text);
	return (rc);
}
