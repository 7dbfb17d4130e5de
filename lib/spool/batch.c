/*
 * Opening a batch: the index is read once, checked, and turned into numbers;
 * its text is read again a message at a time when it is delivered. The format
 * is in parse.c, changes in update.c.
 *
 * A file that is not exactly as its lengths say was not written by a commit
 * that ended: it cannot be in new or cur unless the disk or a person did it.
 * The caller sets it aside, where nothing is lost. A newer version is not
 * touched at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "spool/area.h"
#include "spool/batch_int.h"
#include "spool/store.h"

/* What is read at first: the whole index of most batches. */
#define BATCH_READ (64 * 1024)
/* Lines within so many octets are read at once. */
#define BATCH_SPAN (64 * 1024)

/* The error of a batch that is no good; returns -1. */
static int
batch_bad(const char *name, const char *why, struct verr *err)
{
	return (verr_set(err, VEX_DATA, "batch %s: %s", name, why));
}

/* Is it a regular file of our own with one link? Its size. */
static int
batch_own(struct batch *b, uint64_t *ret_size, struct verr *err)
{
	struct stat st;

	if (b->sp->sys->fstat(b->sp->sys, b->fd, &st) == -1)
		return (verr_sys(err, "stat batch %s", b->file));
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid())
		return (batch_bad(b->file,
		    "not a regular file of our own with one link", err));
	*ret_size = (uint64_t)st.st_size;
	return (0);
}

/* Read n octets at off, exactly. */
static int
batch_read(struct batch *b, char *p, size_t n, off_t off, struct verr *err)
{
	ssize_t got = sys_pread_all(b->sp->sys, b->fd, p, n, off);

	if (got == -1)
		return (verr_sys(err, "read batch %s", b->file));
	if ((size_t)got != n)
		return (batch_bad(b->file, "shorter than it says", err));
	return (0);
}

/* The END line: the file is whole. all: its octets, if they were read. */
static int
batch_check_end(struct batch *b, const char *all, uint64_t size,
    struct verr *err)
{
	char end[BATCH_END_LEN + 1], want[BATCH_END_LEN + 1];

	if (all == NULL) {
		if (batch_read(b, end, BATCH_END_LEN,
			(off_t)(size - BATCH_END_LEN), err) == -1)
			return (-1);
		all = end;
	} else
		all += size - BATCH_END_LEN;
	(void)snprintf(want, sizeof(want), "END %016" PRIu64 "\n", size);
	if (memcmp(all, want, BATCH_END_LEN) != 0)
		return (batch_bad(b->file, "no END line", err));
	return (0);
}

/* Read the whole index into buf; the file is whole. */
static int
batch_read_index(struct batch *b, uint64_t size, struct buf *buf,
    struct verr *err)
{
	size_t n = size < BATCH_READ ? (size_t)size : BATCH_READ;
	uint64_t index;
	int rc;

	if (batch_read(b, buf_room(buf, n), n, 0, err) == -1)
		return (-1);
	rc = batch_parse_first(buf->p, n, &index, &b->content_len, &b->h.merge);
	if (rc == 1)
		return (verr_set(err, VEX_UNAVAILABLE,
		    "batch %s is of a newer version: left as it is", b->file));
	if (rc == -1 || index > BATCH_INDEX_MAX ||
	    index + b->content_len + BATCH_END_LEN != size)
		return (batch_bad(b->file, "its lengths do not fit", err));
	b->index_len = (uint32_t)index;
	if (batch_check_end(b, n == size ? buf->p : NULL, size, err) == -1)
		return (-1);
	if (index > n) {
		buf->len = n;
		if (batch_read(b, buf_room(buf, index - n), index - n, (off_t)n,
			err) == -1)
			return (-1);
	}
	buf->len = index;
	buf->p[index] = '\0';
	return (0);
}

/* Does it belong where it lies? */
static int
batch_check_place(struct batch *b, const char *vmta, const char *domain,
    struct verr *err)
{
	struct batch_name n;

	if (strcmp(b->h.vmta, vmta) != 0 || strcmp(b->h.domain, domain) != 0 ||
	    batch_name_parse(b->file, &n) == -1 || strcmp(n.id.s, b->h.id) != 0)
		return (batch_bad(b->file, "its header names another place",
		    err));
	return (0);
}

/* All that batch_open does with an open descriptor. */
static int
batch_begin(struct batch *b, const char *vmta, const char *domain,
    struct verr *err)
{
	struct buf buf = BUF_INIT;
	const char *why = "";
	uint64_t size = 0;
	int rc;

	rc = batch_own(b, &size, err);
	if (rc == 0)
		rc = batch_read_index(b, size, &buf, err);
	if (rc == 0 && batch_parse(b, buf.p, buf.len, &why) == -1)
		rc = batch_bad(b->file, why, err);
	if (rc == 0)
		rc = batch_check_place(b, vmta, domain, err);
	buf_release(&buf);
	return (rc);
}

/* Does open(2) say that there is a link, a directory or a socket? */
static bool
batch_no_file(int errnum)
{
	return (errnum == ELOOP || errnum == EISDIR || errnum == ENXIO);
}

int
batch_open(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, const char *name, bool write, struct batch **ret_b,
    struct verr *err)
{
	struct batch *b;
	int dfd, fd;

	if (strlen(name) >= BATCH_NAME_MAX)
		return (batch_bad(name, "no batch name", err));
	if ((dfd = area_domain(sp, vmta, area, domain, err)) == -1)
		return (-1);
	fd = area_open(sp, dfd, name,
	    (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 && batch_no_file(errno))
		(void)batch_bad(name, "not a regular file", err);
	else if (fd == -1)
		(void)verr_sys(err, "open batch %s", name);
	(void)sp->sys->close(sp->sys, dfd);
	if (fd == -1)
		return (-1);
	b = xcalloc(1, sizeof(*b));
	b->sp = sp;
	b->fd = fd;
	b->content_fd = -1;
	b->area = area;
	memcpy(b->file, name, strlen(name) + 1);
	if (batch_begin(b, vmta, domain, err) == -1) {
		batch_close(b);
		return (-1);
	}
	b->dirty_from = b->n_slot;
	*ret_b = b;
	return (0);
}

void
batch_close(struct batch *b)
{
	int saved = errno;

	if (b == NULL)
		return;
	(void)b->sp->sys->close(b->sp->sys, b->fd);
	if (b->content_fd != -1)
		(void)b->sp->sys->close(b->sp->sys, b->content_fd);
	free(b->text);
	free(b->msg);
	free(b->slot);
	free(b->source);
	free(b);
	errno = saved;
}

int
batch_set_aside(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, const char *name, const char *why, struct verr *err)
{
	char file[300];
	struct buf b = BUF_INIT;
	int dfd, rc;

	if ((dfd = area_domain(sp, vmta, area, domain, err)) == -1)
		return (errno == ENOENT ? 0 : -1);
	(void)snprintf(file, sizeof(file), "%.250s.why", name);
	buf_addf(&b, "queue/%s/%s/%s/%s: %s\n", vmta,
	    area == BATCH_NEW ? "new" : "cur", domain, name, why);
	/* the reason first: there is none without its file for long */
	rc = store_put(sp, sp->bad_fd, file, b.p, b.len, false, err);
	if (rc == 0 &&
	    sp->sys->renameat(sp->sys, dfd, name, sp->bad_fd, name) == -1) {
		rc = errno == ENOENT ? 0 : verr_sys(err, "set %s aside", name);
		(void)sp->sys->unlinkat(sp->sys, sp->bad_fd, file, 0);
	}
	(void)sp->sys->close(sp->sys, dfd);
	buf_release(&b);
	return (rc);
}

const struct batch_header *
batch_header(const struct batch *b)
{
	return (&b->h);
}

enum batch_area
batch_area(const struct batch *b)
{
	return (b->area);
}

const char *
batch_file(const struct batch *b)
{
	return (b->file);
}

size_t
batch_memory(const struct batch *b)
{
	return (sizeof(*b) + b->text_len + 1 + b->cap_msg * sizeof(*b->msg) +
	    b->cap_slot * sizeof(*b->slot) +
	    b->cap_source * sizeof(*b->source));
}

uint32_t
batch_msgs(const struct batch *b)
{
	return (b->n_msg);
}

uint32_t
batch_slots(const struct batch *b)
{
	return (b->n_slot);
}

uint32_t
batch_open_count(const struct batch *b)
{
	return (b->open);
}

/* By place. */
static int
range_cmp(const void *va, const void *vb)
{
	const struct brange *a = va, *b = vb;

	return (a->from < b->from ? -1 : a->from > b->from);
}

uint64_t
batch_ranges(const struct batch *b, const bool *want, struct brange **ret_r,
    size_t *ret_n)
{
	struct brange *r = xcalloc((size_t)b->n_msg + 1, sizeof(*r));
	size_t n = 0, i, last = 0;
	uint64_t sum = 0;

	for (i = 0; i < b->n_msg; i++) {
		if (b->msg[i].size == 0 ||
		    !(want != NULL ? want[i] : b->msg[i].open > 0))
			continue;
		r[n].from = b->msg[i].off;
		r[n++].to = b->msg[i].off + b->msg[i].size;
	}
	qsort(r, n, sizeof(*r), range_cmp);
	for (i = 1; i < n; i++) {
		if (r[i].from > r[last].to)
			r[++last] = r[i];
		else if (r[i].to > r[last].to)
			r[last].to = r[i].to;
	}
	n = n > 0 ? last + 1 : 0;
	for (i = 0; i < n; i++)
		sum += r[i].to - r[i].from;
	*ret_r = r;
	*ret_n = n;
	return (sum);
}

uint64_t
batch_open_bytes(const struct batch *b)
{
	struct brange *r;
	uint64_t sum;
	size_t n;

	sum = batch_ranges(b, NULL, &r, &n);
	free(r);
	return (sum);
}

uint32_t
batch_msg_slots(const struct batch *b, uint32_t msg, uint32_t *ret_first)
{
	uint32_t end;

	end = msg + 1 < b->n_msg ? b->msg[msg + 1].first : b->n_slot;
	*ret_first = b->msg[msg].first;
	return (end - b->msg[msg].first);
}

void
batch_slot(const struct batch *b, uint32_t slot, struct batch_slot *ret_s)
{
	const struct bslot *s = &b->slot[slot];

	ret_s->msg = s->msg;
	ret_s->state = s->state;
	ret_s->attempts = s->attempts;
	ret_s->next = s->next;
	ret_s->source = s->source > 0 ? b->source[s->source - 1] : NULL;
}

bool
batch_state_valid(char state)
{
	return (state != '\0' && strchr("-thHsdbm", state) != NULL);
}

bool
batch_state_final(char state)
{
	return (state == BATCH_DELIVERED || state == BATCH_BOUNCED ||
	    state == BATCH_MOVED);
}

bool
batch_state_held(char state)
{
	return (state == BATCH_HELD || state == BATCH_HELD_TRIED);
}

void
batch_name_now(const struct batch *b, struct batch_name *ret_n)
{
	const struct bslot *s;
	uint32_t i;

	*ret_n = (struct batch_name) { .due = BATCH_DUE_NEVER,
		.prio = b->h.prio,
		.open = b->open,
		.bytes = batch_open_bytes(b),
		.job = batch_job_hash(b->h.job) };
	memcpy(ret_n->id.s, b->h.id, sizeof(ret_n->id.s));
	for (i = 0; i < b->n_slot; i++) {
		s = &b->slot[i];
		if (!batch_state_final(s->state) &&
		    !batch_state_held(s->state) && s->next < ret_n->due)
			ret_n->due = s->next;
	}
}

void
batch_txn_init(struct batch_txn *t)
{
	*t = (struct batch_txn) { .text = BUF_INIT };
}

void
batch_txn_release(struct batch_txn *t)
{
	free(t->rcpt);
	buf_release(&t->text);
	batch_txn_init(t);
}

uint32_t
batch_line_end(const struct batch *b, uint32_t slot)
{
	uint32_t msg = b->slot[slot].msg;

	if (slot + 1 < b->n_slot && b->slot[slot + 1].msg == msg)
		return (b->slot[slot + 1].line);
	if (msg + 1 < b->n_msg)
		return (b->msg[msg + 1].line);
	return (b->index_len - BATCH_INDEX_LEN);
}

/* Append the octets from..to of the index to the text; where they are. */
static int
load_text(struct batch *b, struct batch_txn *t, uint32_t from, uint32_t to,
    size_t *ret_at, struct verr *err)
{
	*ret_at = t->text.len;
	if (batch_read(b, buf_room(&t->text, to - from), to - from, (off_t)from,
		err) == -1)
		return (-1);
	t->text.len += to - from;
	t->text.p[t->text.len] = '\0';
	return (0);
}

/*
 * Read the lines; where[0] is where the M line is in the text, the others the
 * R lines. Lines that are far apart are read one by one.
 */
static int
load_read(struct batch *b, const uint32_t *slots, uint32_t n, size_t *where,
    struct batch_txn *t, struct verr *err)
{
	const struct bmsg *m = &b->msg[b->slot[slots[0]].msg];
	uint32_t last = batch_line_end(b, slots[n - 1]), i;
	size_t at;

	if (last - m->line <= BATCH_SPAN) {
		if (load_text(b, t, m->line, last, &at, err) == -1)
			return (-1);
		where[0] = at;
		for (i = 0; i < n; i++)
			where[i + 1] = at + b->slot[slots[i]].line - m->line;
		return (0);
	}
	if (load_text(b, t, m->line, b->slot[m->first].line, &where[0], err) ==
	    -1)
		return (-1);
	for (i = 0; i < n; i++)
		if (load_text(b, t, b->slot[slots[i]].line,
			batch_line_end(b, slots[i]), &where[i + 1], err) == -1)
			return (-1);
	return (0);
}

/* A line of the text, cut at its end. */
static char *
load_line(struct batch_txn *t, size_t at)
{
	char *p = t->text.p + at, *nl = strchr(p, '\n');

	if (nl != NULL)
		*nl = '\0';
	return (p);
}

/* An R line, and in a merge the V line behind it. */
static int
load_rcpt(const struct batch *b, struct batch_txn *t, size_t at,
    struct batch_rcpt *r)
{
	char *p = load_line(t, at), *v = p + strlen(p) + 1;

	if (batch_parse_rcpt(p, r) == -1)
		return (-1);
	r->vars = NULL;
	if (!b->h.merge)
		return (0);
	v = load_line(t, (size_t)(v - t->text.p));
	r->vars = v + 2;
	return (v[0] == 'V' && v[1] == ' ' ? 0 : -1);
}

/* The parsed lines, with the numbers that are in memory. */
static int
load_parse(struct batch *b, const uint32_t *slots, uint32_t n,
    const size_t *where, struct batch_txn *t, struct verr *err)
{
	const struct bslot *s;
	struct batch_rcpt *r;
	uint32_t i;

	if (batch_parse_msg(load_line(t, where[0]), b->h.merge, &t->msg) == -1)
		return (batch_bad(b->file, "bad M line", err));
	t->msg.msg = b->slot[slots[0]].msg;
	for (i = 0; i < n; i++) {
		r = &t->rcpt[i];
		s = &b->slot[slots[i]];
		if (load_rcpt(b, t, where[i + 1], r) == -1)
			return (batch_bad(b->file, "bad R line", err));
		r->slot = slots[i];
		r->state = s->state;
		r->attempts = s->attempts;
		r->next = s->next;
		r->source = s->source > 0 ? b->source[s->source - 1] : NULL;
	}
	t->n = n;
	return (0);
}

int
batch_load(struct batch *b, const uint32_t *slots, uint32_t n,
    struct batch_txn *ret_t, struct verr *err)
{
	size_t few[17], *where = few;
	int rc;

	ret_t->n = 0;
	buf_clear(&ret_t->text);
	if (n > ret_t->cap) {
		ret_t->rcpt = xreallocarray(ret_t->rcpt, n,
		    sizeof(*ret_t->rcpt));
		ret_t->cap = n;
	}
	if ((size_t)n + 1 > sizeof(few) / sizeof(few[0]))
		where = xcalloc((size_t)n + 1, sizeof(*where));
	rc = load_read(b, slots, n, where, ret_t, err);
	if (rc == 0)
		rc = load_parse(b, slots, n, where, ret_t, err);
	if (where != few)
		free(where);
	return (rc);
}

int
batch_content(struct batch *b, const struct batch_msg *m, int *ret_fd,
    off_t *ret_off, struct verr *err)
{
	char name[2 * ID_LEN + 2];
	struct sys *sys = b->sp->sys;
	struct stat st;

	if (b->h.content == NULL) {
		*ret_fd = b->fd;
		*ret_off = (off_t)(b->index_len + m->off);
		return (0);
	}
	if (b->content_fd == -1) {
		(void)snprintf(name, sizeof(name), "%s-%s", b->h.content,
		    b->h.id);
		b->content_fd = sys->openat(sys, b->sp->content_fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
		if (b->content_fd == -1 && batch_no_file(errno))
			return (batch_bad(b->file,
			    "its content is not a regular file", err));
		if (b->content_fd == -1)
			return (verr_sys(err, "open content/%s", name));
	}
	if (sys->fstat(sys, b->content_fd, &st) == -1)
		return (verr_sys(err, "stat content of %s", b->file));
	/* links: one for each batch that shares it */
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return (batch_bad(b->file,
		    "its content is not a regular file of our own", err));
	if (m->off + m->size > (uint64_t)st.st_size)
		return (batch_bad(b->file, "shared content is too short", err));
	*ret_fd = b->content_fd;
	*ret_off = (off_t)m->off;
	return (0);
}
