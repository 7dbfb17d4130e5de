/*
 * The record of a commit (DESIGN, "A commit" and "A move").
 *
 *	vmta-commit 1
 *	rename VMTA DOMAIN NAME		from tmp to new, for each batch
 *	rename-cur VMTA DOMAIN NAME	the same to cur
 *	take VMTA DOMAIN AREA NAME SLOTS
 *					recipients of this batch have moved
 *	submit HASH COUNT MSGID [PRINT]	for a submit id
 *	end N				number of lines before it
 *
 * Doing what a record says is idempotent: a batch that is not in tmp any more
 * was renamed before (and may have been delivered since), a slot that was
 * taken stays so, and no batch ever gets the id of another one, so that a
 * batch which is not there needs nothing. A take finds its batch by the name
 * that it had, or else by its id.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/unit.h"
#include "spool/list.h"
#include "spool/publish.h"
#include "spool/record.h"
#include "spool/spool.h"

/* Up to so many files are synced one by one, more by one syncfs. */
#define RECORD_FSYNC_MAX 3

static const char *
record_area(enum batch_area area)
{
	return (area == BATCH_NEW ? "new" : "cur");
}

void
record_begin(struct buf *b)
{
	buf_clear(b);
	buf_adds(b, "vmta-commit 1\n");
}

void
record_rename(struct buf *b, enum batch_area area, const char *vmta,
    const char *domain, const char *name)
{
	buf_addf(b, "rename%s %s %s %s\n", area == BATCH_CUR ? "-cur" : "",
	    vmta, domain, name);
}

void
record_take(struct buf *b, const char *vmta, const char *domain,
    enum batch_area area, const char *name, const uint32_t *slot, size_t n)
{
	size_t i, last;

	buf_addf(b, "take %s %s %s %s ", vmta, domain, record_area(area), name);
	for (i = 0; i < n; i = last + 1) {
		for (last = i; last + 1 < n; last++)
			if (slot[last + 1] != slot[last] + 1)
				break;
		buf_addf(b, "%s%lu", i > 0 ? "," : "", (unsigned long)slot[i]);
		if (last > i)
			buf_addf(b, "-%lu", (unsigned long)slot[last]);
	}
	buf_addc(b, '\n');
}

void
record_submit(struct buf *b, const char *hash, const struct spool_submission *s)
{
	buf_addf(b, "submit %s %" PRIu64 " %s", hash, s->count, s->msgid);
	if (s->print[0] != '\0')
		buf_addf(b, " %s", s->print);
	if (s->print[0] != '\0' && s->first[0] != '\0')
		buf_addf(b, " %s", s->first);
	buf_addc(b, '\n');
}

void
record_end(struct buf *b)
{
	size_t i, n = 0;

	for (i = 0; i < b->len; i++)
		if (b->p[i] == '\n')
			n++;
	buf_addf(b, "end %zu\n", n);
}

/* Cut the next word of a line off; NULL when there is none. */
static char *
record_word(char **line)
{
	char *word = *line, *end;

	if (*word == '\0')
		return (NULL);
	end = strchr(word, ' ');
	if (end != NULL) {
		*end = '\0';
		*line = end + 1;
	} else {
		*line = word + strlen(word);
	}
	return (word);
}

/* `VMTA DOMAIN NAME`, all of them safe to use. */
static int
record_item(struct record *r, enum batch_area area, char *line)
{
	struct record_item *it = &r->item[r->n];
	struct batch_name n;
	char *name;

	it->vmta = record_word(&line);
	it->domain = record_word(&line);
	name = record_word(&line);
	if (name == NULL || *line != '\0' || !spool_vmta_valid(it->vmta) ||
	    !spool_domain_valid(it->domain) || batch_name_parse(name, &n) == -1)
		return (-1);
	memcpy(it->name, name, strlen(name) + 1);
	it->area = area;
	r->n++;
	return (0);
}

/* The next range of `0,3-5`. 1; 0: there is none; -1: it is none. */
static int
take_range(const char **slots, uint32_t *ret_from, uint32_t *ret_to)
{
	const char *p = *slots;
	char *end;

	if (*p == '\0')
		return (0);
	if (*p < '0' || *p > '9')
		return (-1);
	*ret_to = *ret_from = (uint32_t)strtoul(p, &end, 10);
	if (*end == '-') {
		if (end[1] < '0' || end[1] > '9')
			return (-1);
		*ret_to = (uint32_t)strtoul(end + 1, &end, 10);
	}
	if (*end == ',' && end[1] != '\0')
		end++;
	else if (*end != '\0')
		return (-1);
	*slots = end;
	return (*ret_from <= *ret_to ? 1 : -1);
}

/* `VMTA DOMAIN AREA NAME SLOTS`. */
static int
record_taken(struct record *r, char *line)
{
	struct record_take *t = &r->take[r->n_take];
	const char *area, *p;
	struct batch_name n;
	uint32_t from, to;
	int rc;

	t->vmta = record_word(&line);
	t->domain = record_word(&line);
	area = record_word(&line);
	t->name = record_word(&line);
	t->slots = record_word(&line);
	if (t->slots == NULL || *line != '\0' || !spool_vmta_valid(t->vmta) ||
	    !spool_domain_valid(t->domain) ||
	    (strcmp(area, "new") != 0 && strcmp(area, "cur") != 0) ||
	    batch_name_parse(t->name, &n) == -1)
		return (-1);
	t->area = *area == 'n' ? BATCH_NEW : BATCH_CUR;
	p = t->slots;
	while ((rc = take_range(&p, &from, &to)) == 1)
		;
	r->n_take++;
	return (rc);
}

/* `HASH COUNT MSGID [PRINT [FIRST]]`. */
static int
record_submission(struct record *r, char *line)
{
	char *count, *msgid, *print, *first;
	int64_t n;

	r->hash = record_word(&line);
	count = record_word(&line);
	msgid = record_word(&line);
	print = record_word(&line);
	first = record_word(&line);
	if (msgid == NULL || *line != '\0' ||
	    !spool_submit_hash_valid(r->hash) || !id_valid(msgid) ||
	    unit_int(count, &n) == -1 ||
	    (print != NULL && !spool_submit_print_valid(print)) ||
	    (first != NULL && !spool_submit_print_valid(first)))
		return (-1);
	r->submit = (struct spool_submission) { .count = (uint64_t)n };
	memcpy(r->submit.msgid, msgid, ID_LEN + 1);
	if (print != NULL)
		memcpy(r->submit.print, print, SUBMIT_PRINT_LEN + 1);
	if (first != NULL)
		memcpy(r->submit.first, first, SUBMIT_PRINT_LEN + 1);
	return (0);
}

/* One line; *ret_end when it is the last and says so rightly. */
static int
record_line(struct record *r, char *line, size_t number, bool *ret_end)
{
	char *word = record_word(&line);
	int64_t n;

	if (word == NULL)
		return (-1);
	if (number == 0)
		return (strcmp(word, "vmta-commit") == 0 &&
			    strcmp(line, "1") == 0 ?
			0 :
			-1);
	if (strcmp(word, "rename") == 0)
		return (record_item(r, BATCH_NEW, line));
	if (strcmp(word, "rename-cur") == 0)
		return (record_item(r, BATCH_CUR, line));
	if (strcmp(word, "take") == 0)
		return (record_taken(r, line));
	if (strcmp(word, "submit") == 0)
		return (record_submission(r, line));
	if (strcmp(word, "end") != 0 || unit_int(line, &n) == -1 ||
	    (size_t)n != number)
		return (-1);
	*ret_end = true;
	return (0);
}

int
commit_record_parse(const char *text, size_t n, struct record *ret_r)
{
	struct record *r = ret_r;
	char *p, *nl, *stop;
	size_t number;
	bool end = false;

	*r = (struct record) { .text = xstrndup(text, n) };
	p = r->text;
	stop = p + strlen(p);
	/* no line of them has fewer octets than this */
	r->item = xcalloc(n / sizeof("rename v d ") + 1, sizeof(*r->item));
	r->take = xcalloc(n / sizeof("take v d new ") + 1, sizeof(*r->take));
	for (number = 0; p < stop && !end; number++, p = nl + 1) {
		nl = strchr(p, '\n');
		if (nl == NULL)
			break;
		*nl = '\0';
		if (record_line(r, p, number, &end) == -1)
			break;
	}
	if (end && p == stop)
		return (0);
	commit_record_release(r);
	return (-1);
}

void
commit_record_release(struct record *r)
{
	free(r->item);
	free(r->take);
	free(r->text);
	*r = (struct record) { 0 };
}

/* The renames; each: durable one by one. One that fails stops no other. */
static int
record_renames(struct spool *sp, const struct record *r, bool each,
    struct verr *err)
{
	const struct record_item *it = r->item;
	struct verr why = VERR_INIT;
	struct publish p;
	size_t i;
	int rc = 0;

	publish_init(&p, sp);
	for (i = 0; i < r->n; i++, it++) {
		if (publish_vmta(&p, it->vmta, each, &why) != -1 &&
		    publish_batch(&p, it->area, it->domain, it->name, each,
			&why) != -1)
			continue;
		if (rc == 0 && err != NULL)
			*err = why;
		rc = -1;
	}
	publish_end(&p);
	return (rc);
}

/* The file of a batch, by its id. */
struct take_find {
	struct id id;
	char file[BATCH_NAME_MAX]; /* "": not found */
};

static int
take_on_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct take_find *f = arg;

	if (n != NULL && strcmp(n->id.s, f->id.s) == 0)
		(void)snprintf(f->file, sizeof(f->file), "%s", file);
	return (0);
}

/* The batch of a take under another name. 0; 1: it is not there; -1. */
static int
take_find(struct spool *sp, const struct record_take *t, struct batch **ret_b,
    struct verr *err)
{
	struct take_find f = { .file = "" };
	struct batch_name n;
	enum batch_area area;
	int rc = 1;

	(void)batch_name_parse(t->name, &n);
	f.id = n.id;
	for (area = BATCH_NEW; area <= BATCH_CUR && rc == 1; area++) {
		if (spool_batches(sp, t->vmta, area, t->domain, take_on_batch,
			&f, err) == -1)
			return (-1);
		if (f.file[0] != '\0')
			rc = batch_open(sp, t->vmta, area, t->domain, f.file,
			    true, ret_b, err);
	}
	return (rc);
}

/*
 * A take. A batch that is damaged, or of a newer version, is not delivered
 * from either: it is left as it is.
 */
static int
take_do(struct spool *sp, const struct record_take *t, struct verr *err)
{
	struct verr why = VERR_INIT;
	const char *p = t->slots;
	struct batch_slot s;
	struct batch *b;
	uint32_t i, to;
	int rc;

	rc = batch_open(sp, t->vmta, t->area, t->domain, t->name, true, &b,
	    &why);
	if (rc == -1 && why.err == ENOENT)
		rc = take_find(sp, t, &b, &why);
	if (rc == 1 || why.code == VEX_DATA || why.code == VEX_UNAVAILABLE)
		return (0);
	if (rc == -1)
		return (verr_set(err, why.code, "%s", why.text));
	while (take_range(&p, &i, &to) == 1) {
		for (; i <= to && i < batch_slots(b); i++) {
			batch_slot(b, i, &s);
			/* `m`: anew, as a sync that failed may have lost it */
			if (!batch_state_final(s.state) ||
			    s.state == BATCH_MOVED)
				batch_set(b, i, BATCH_MOVED, s.attempts, s.next,
				    NULL);
		}
	}
	rc = batch_flush(b, err);
	if (rc == 0 && batch_open_count(b) == 0)
		rc = batch_finish(b, err);
	batch_close(b);
	return (rc);
}

/*
 * The takes. One that fails stops no other; its batch is noted, since nothing
 * may be sent from it before the record was done.
 */
static int
record_takes(struct spool *sp, const struct record *r, struct verr *err)
{
	struct verr why = VERR_INIT;
	struct batch_name n;
	size_t i;
	int rc = 0;

	for (i = 0; i < r->n_take; i++) {
		(void)batch_name_parse(r->take[i].name, &n);
		if (take_do(sp, &r->take[i], &why) == 0) {
			(void)map_del(&sp->stuck, n.id.s);
			continue;
		}
		(void)map_put(&sp->stuck, n.id.s, sp);
		if (rc == 0 && err != NULL)
			*err = why;
		rc = -1;
	}
	return (rc);
}

int
record_forward(struct spool *sp, const struct record *r, const char *name,
    struct verr *err)
{
	bool each = r->n <= RECORD_FSYNC_MAX && r->n_take == 0;
	struct verr why = VERR_INIT;
	int rc;

	rc = record_renames(sp, r, each, err);
	/*
	 * What has moved is not sent from where it was, even while it cannot
	 * come to where it shall be: it waits in tmp, and the record has it.
	 */
	if (record_takes(sp, r, rc == 0 ? err : &why) == -1 || rc == -1)
		return (-1);
	if (!each && sp->sys->syncfs(sp->sys, sp->fd) == -1)
		return (verr_sys(err, "sync spool"));
	if (r->hash != NULL &&
	    spool_submit_put(sp, r->hash, &r->submit, err) == -1)
		return (-1);
	if (sp->sys->unlinkat(sp->sys, sp->commit_fd, name, 0) == -1 &&
	    errno != ENOENT)
		return (verr_sys(err, "remove commit/%s", name));
	return (0);
}

void
record_file_init(struct record_file *f, struct spool *sp)
{
	*f = (struct record_file) { .sp = sp, .fd = -1 };
}

int
record_file_write(struct record_file *f, const struct buf *text, bool sync,
    struct verr *err)
{
	struct sys *sys = f->sp->sys;
	struct id id;

	if (id_make(sys, &id, err) == -1)
		return (-1);
	(void)snprintf(f->name, sizeof(f->name), ".%s", id.s);
	f->fd = sys->openat(sys, f->sp->commit_fd, f->name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (f->fd == -1)
		return (verr_sys(err, "create commit/%s", f->name));
	if (flock(f->fd, LOCK_EX | LOCK_NB) == -1 ||
	    sys_write_all(sys, f->fd, text->p, text->len) == -1 ||
	    (sync && sys->fsync(sys, f->fd) == -1))
		return (verr_sys(err, "write commit/%s", f->name));
	return (0);
}

int
record_file_commit(struct record_file *f, struct verr *err)
{
	struct sys *sys = f->sp->sys;
	const char *name = f->name + 1;

	if (sys->renameat(sys, f->sp->commit_fd, f->name, f->sp->commit_fd,
		name) == -1)
		return (verr_sys(err, "rename commit/%s", f->name));
	/* from here on the record has its other name, for remove too */
	memmove(f->name, name, strlen(name) + 1);
	if (sys->fsync(sys, f->sp->commit_fd) == -1)
		return (verr_sys(err, "sync commit"));
	return (0);
}

int
record_file_remove(struct record_file *f)
{
	int saved = errno, rc = 0;

	if (f->fd != -1 &&
	    f->sp->sys->unlinkat(f->sp->sys, f->sp->commit_fd, f->name, 0) ==
		-1 &&
	    errno != ENOENT && f->name[0] != '.')
		rc = -1;
	errno = saved;
	return (rc);
}

void
record_file_close(struct record_file *f)
{
	if (f->fd != -1)
		(void)f->sp->sys->close(f->sp->sys, f->fd);
	f->fd = -1;
}

int
record_enter(struct spool *sp, int *ret_fd, struct verr *err)
{
	int fd;

	fd = sp->sys->openat(sp->sys, sp->commit_fd, ".",
	    O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1)
		return (verr_sys(err, "open commit"));
	while (flock(fd, LOCK_SH) == -1) {
		if (errno == EINTR)
			continue;
		(void)verr_sys(err, "lock commit");
		(void)sp->sys->close(sp->sys, fd);
		return (-1);
	}
	*ret_fd = fd;
	return (0);
}
