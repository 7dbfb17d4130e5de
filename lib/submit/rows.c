/*
 * Rows. A bucket's octets are extents of the spill file in the order they
 * were written, then what is in memory. A bucket up to ROWS_WINDOW is read as
 * a whole when its turn comes; of a larger one (a list of one domain) a window
 * of that size is kept, and rows in an order of their own cost a read each
 * time they leave it.
 *
 * The spill file is unlinked as soon as it is open: a crash leaves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/map.h"
#include "base/mem.h"
#include "spool/spool.h"
#include "submit/rows.h"

#define ROWS_MEMORY (24u * 1024 * 1024) /* before it spills */
#define ROWS_WINDOW (32u * 1024 * 1024)

/* A row as it is stored: this, then texts with a NUL each. */
struct head {
	uint32_t size; /* all of it */
	uint32_t index;
	uint64_t key, msg, addr;
	int64_t due;
	uint16_t domain, content;
	uint8_t prio;
	uint8_t own, held, suppressed;
};

struct extent {
	uint64_t at;  /* in the bucket */
	uint64_t off; /* in the file */
	uint64_t n;
};

struct bucket {
	struct buf mem;
	struct extent *extent;
	size_t n_extent;
	uint64_t size; /* in extents */
	size_t rows;
};

struct rows {
	struct spool *sp;
	int fd;
	uint64_t file; /* octets of it */
	struct bucket bucket[ROWS_BUCKETS];
	size_t memory;
	bool spilled;
	struct bucket *cur;
	struct buf win; /* octets of cur from win_at on */
	uint64_t win_at;
};

struct rows *
rows_new(struct spool *sp)
{
	struct rows *r = xcalloc(1, sizeof(*r));

	r->sp = sp;
	r->fd = -1;
	return (r);
}

void
rows_free(struct rows *r)
{
	unsigned int i;

	if (r == NULL)
		return;
	for (i = 0; i < ROWS_BUCKETS; i++)
		rows_drop(r, i);
	buf_release(&r->win);
	if (r->fd != -1)
		(void)r->sp->sys->close(r->sp->sys, r->fd);
	free(r);
}

void
rows_drop(struct rows *r, unsigned int bucket)
{
	struct bucket *b = &r->bucket[bucket];

	buf_release(&b->mem);
	free(b->extent);
	b->extent = NULL;
	b->n_extent = b->rows = 0;
	b->size = 0;
}

/* A file that has no name: `.ID` of commit/, which a sweep may remove, too. */
static int
spill_open(struct rows *r, struct verr *err)
{
	struct sys *sys = r->sp->sys;
	char name[ID_LEN + 2];
	struct id id;

	if (r->fd != -1)
		return (0);
	if (id_new(sys, &id) == -1)
		return (verr_sys(err, "no random numbers"));
	(void)snprintf(name, sizeof(name), ".%s", id.s);
	r->fd = sys->openat(sys, r->sp->commit_fd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (r->fd == -1)
		return (verr_sys(err, "create commit/%s", name));
	if (sys->unlinkat(sys, r->sp->commit_fd, name, 0) == -1 &&
	    errno != ENOENT)
		return (verr_sys(err, "remove commit/%s", name));
	return (0);
}

/* What a bucket has in memory goes to the file. */
static int
spill_bucket(struct rows *r, struct bucket *b, struct verr *err)
{
	struct extent *e;

	if (b->mem.len == 0)
		return (0);
	if (sys_pwrite_all(r->sp->sys, r->fd, b->mem.p, b->mem.len,
		(off_t)r->file) == -1)
		return (verr_sys(err, "write what does not fit into memory"));
	b->extent = xreallocarray(b->extent, b->n_extent + 1,
	    sizeof(*b->extent));
	e = &b->extent[b->n_extent++];
	*e = (struct extent) { b->size, r->file, b->mem.len };
	b->size += b->mem.len;
	r->file += b->mem.len;
	buf_clear(&b->mem);
	return (0);
}

/* All of them. */
static int
spill_all(struct rows *r, struct verr *err)
{
	unsigned int i;

	if (spill_open(r, err) == -1)
		return (-1);
	for (i = 0; i < ROWS_BUCKETS; i++)
		if (spill_bucket(r, &r->bucket[i], err) == -1)
			return (-1);
	r->memory = 0;
	r->spilled = true;
	return (0);
}

/* A text with its NUL. */
static void
text_add(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s) + 1);
}

int
rows_add(struct rows *r, const struct row *row, struct verr *err)
{
	const char *domain = row->rcpt + row->domain;
	struct bucket
	    *b = &r->bucket[map_hash(domain, strlen(domain)) % ROWS_BUCKETS];
	struct head h = { .index = row->index,
		.key = row->key,
		.msg = row->msg,
		.addr = row->addr,
		.due = row->due,
		.domain = row->domain,
		.content = row->content,
		.prio = row->prio,
		.own = row->own,
		.held = row->held,
		.suppressed = row->suppressed };
	size_t from = b->mem.len;

	buf_add(&b->mem, &h, sizeof(h));
	text_add(&b->mem, row->rcpt);
	text_add(&b->mem, row->vars);
	text_add(&b->mem, row->notify);
	text_add(&b->mem, row->orcpt);
	if (row->own) {
		text_add(&b->mem, row->target);
		text_add(&b->mem, row->job);
		text_add(&b->mem, row->sender);
		text_add(&b->mem, row->envid);
		text_add(&b->mem, row->parts);
		text_add(&b->mem, row->schedule);
	}
	h.size = (uint32_t)(b->mem.len - from);
	memcpy(b->mem.p + from, &h.size, sizeof(h.size));
	b->rows++;
	r->memory += h.size;
	return (r->memory < ROWS_MEMORY ? 0 : spill_all(r, err));
}

bool
rows_spilled(const struct rows *r)
{
	return (r->spilled);
}

size_t
rows_count(const struct rows *r, unsigned int bucket)
{
	return (r->bucket[bucket].rows);
}

int
rows_turn(struct rows *r, unsigned int bucket, struct verr *err)
{
	r->cur = &r->bucket[bucket];
	buf_clear(&r->win);
	r->win_at = 0;
	return (r->spilled ? spill_bucket(r, r->cur, err) : 0);
}

/* Append [at, at + n) of the bucket to the window. */
static int
window_read(struct rows *r, uint64_t at, uint64_t n, struct verr *err)
{
	const struct extent *e = r->cur->extent;
	uint64_t skip, len;
	ssize_t got;

	for (; n > 0; e++) {
		if (at >= e->at + e->n)
			continue;
		skip = at - e->at;
		len = e->n - skip < n ? e->n - skip : n;
		got = sys_pread_all(r->sp->sys, r->fd,
		    buf_room(&r->win, (size_t)len), (size_t)len,
		    (off_t)(e->off + skip));
		if (got == -1)
			return (verr_sys(err, "read what was spilled"));
		if ((uint64_t)got != len)
			return (verr_set(err, VEX_IO,
			    "what was spilled is not there"));
		r->win.len += (size_t)len;
		at += len;
		n -= len;
	}
	return (0);
}

/* n octets at `at`, wherever they are; NULL: err. */
static const char *
window(struct rows *r, uint64_t at, size_t n, struct verr *err)
{
	uint64_t len;

	if (!r->spilled)
		return (r->cur->mem.p + at);
	if (at >= r->win_at && at + n <= r->win_at + r->win.len)
		return (r->win.p + (at - r->win_at));
	len = r->cur->size - at;
	if (r->cur->size <= ROWS_WINDOW) {
		len = r->cur->size;
		r->win_at = 0;
	} else {
		/* rows are read in runs, forwards */
		r->win_at = at;
		if (len > 64 * 1024)
			len = n > 64 * 1024 ? n : 64 * 1024;
	}
	buf_clear(&r->win);
	if (window_read(r, r->win_at, len, err) == -1)
		return (NULL);
	return (r->win.p + (at - r->win_at));
}

/* The text at *p, which is moved behind it. */
static const char *
text_next(const char **p)
{
	const char *s = *p;

	*p += strlen(s) + 1;
	return (s);
}

int
rows_at(struct rows *r, uint64_t *at, struct row *ret_row, struct verr *err)
{
	struct head h;
	const char *p = window(r, *at, sizeof(h), err);

	if (p == NULL)
		return (-1);
	memcpy(&h, p, sizeof(h));
	if ((p = window(r, *at, h.size, err)) == NULL)
		return (-1);
	p += sizeof(h);
	*ret_row = (struct row) { .index = h.index,
		.own = h.own != 0,
		.held = h.held != 0,
		.suppressed = h.suppressed != 0,
		.content = h.content,
		.prio = h.prio,
		.domain = h.domain,
		.key = h.key,
		.msg = h.msg,
		.addr = h.addr,
		.due = h.due };
	ret_row->rcpt = text_next(&p);
	ret_row->vars = text_next(&p);
	ret_row->notify = text_next(&p);
	ret_row->orcpt = text_next(&p);
	if (h.own != 0) {
		ret_row->target = text_next(&p);
		ret_row->job = text_next(&p);
		ret_row->sender = text_next(&p);
		ret_row->envid = text_next(&p);
		ret_row->parts = text_next(&p);
		ret_row->schedule = text_next(&p);
	}
	*at += h.size;
	return (0);
}
