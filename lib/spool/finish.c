/*
 * How a commit gets on disk (DESIGN, "A commit"):
 *
 *	shared contents	content/CONTENTID-BATCHID, a link for each batch
 *	batches		queue/VMTA/tmp/NAME
 *	sync		each file, or syncfs for more than a few
 *	one batch	rename to new/DOMAIN, sync: the commit point
 *	else		commit/.ID, sync, rename to commit/ID, sync of commit/:
 *			the commit point; then what the record says
 *	trigger		what is new, and where
 *
 * A crash before the commit point leaves files in tmp, commit/.ID and
 * content/ that nobody looks at: commit_sweep removes them when no injector
 * is alive, which it knows by the lock that each commit holds on commit/. A
 * crash after it leaves the record, which anybody rolls forward: the writer
 * holds a flock on it, so that this happens only when he is gone.
 *
 * An error before the commit point removes everything again. After it there
 * are no errors: what cannot be done now is done by who finds the record.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "spool/commit_int.h"
#include "spool/publish.h"
#include "spool/record.h"
#include "spool/trigger.h"

/* Up to so many files are synced one by one, more by one syncfs. */
#define FINISH_FSYNC_MAX 3
/* Content is shared when that saves more than this, and is larger than. */
#define FINISH_SHARE_SAVES (256 * 1024)
#define FINISH_SHARE_SIZE (4 * 1024)
/* Links of one file in content/. */
#define FINISH_LINKS 20000
/* Contents below this are gathered for one write. */
#define FINISH_GATHER (64 * 1024)
/* Room for CONTENTID-BATCHID. */
#define LINK_NAME_MAX (2 * ID_LEN + 2)
/* Queues that are named in the trigger. */
#define FINISH_TRIGGER_MAX 64

/* A batch file of this commit. */
struct out {
	const struct part *part; /* NULL: written, and forgotten */
	const char *vmta, *domain;
	char *own; /* what these two point into, when it is ours */
	size_t number;
	bool shared;
	char name[BATCH_NAME_MAX];
	char link[LINK_NAME_MAX]; /* in content/; "": none */
};

/* The content file that links are made to just now. */
struct pool {
	struct id id;
	char first[LINK_NAME_MAX]; /* its first name */
	size_t links;
};

struct finish {
	struct commit *c;
	struct spool *sp;
	struct sys *sys;
	struct out *out; /* by VirtualMTA and domain */
	size_t n_out, cap_out;
	size_t written; /* of them, files that may be in tmp */
	struct pool pool;
	bool one_sync; /* syncfs instead of fsync each */
	struct publish dirs;
	struct render render;
	struct buf gather;
	struct record_file record;
	int lock_fd; /* says that an injector is alive */
};

/* Which contents go to content/, and where in the file. */
static void
finish_share(struct commit *c)
{
	struct content *k;
	uint64_t off = 0;
	size_t i, j;

	for (i = 0; i < c->n_part; i++) {
		for (j = 0; j < c->part[i]->n_msg; j++) {
			k = &c->content[c->part[i]->msg[j].content];
			if (k->seen != i + 1)
				k->uses++;
			k->seen = i + 1;
		}
	}
	for (i = 0; i < c->n_content; i++) {
		k = &c->content[i];
		k->shared = c->merge ||
		    (k->uses > 1 && k->n > FINISH_SHARE_SIZE &&
			(k->uses - 1) * (uint64_t)k->n > FINISH_SHARE_SAVES);
		k->off = off;
		off += k->shared ? k->n : 0;
	}
}

/* By VirtualMTA, then domain, then as they came. */
static int
out_cmp(const void *va, const void *vb)
{
	const struct out *a = va, *b = vb;
	int rc = strcmp(a->vmta, b->vmta);

	if (rc == 0)
		rc = strcmp(a->domain, b->domain);
	if (rc == 0)
		rc = a->number < b->number ? -1 : a->number > b->number;
	return (rc != 0 ? rc : (int)a->shared - (int)b->shared);
}

/* Has this part messages whose content is shared, or not? */
static bool
finish_has(const struct commit *c, const struct part *p, bool shared)
{
	size_t i;

	for (i = 0; i < p->n_msg; i++)
		if (c->content[p->msg[i].content].shared == shared)
			return (true);
	return (false);
}

/* One more file. */
static void
finish_add(struct finish *f, const struct part *p, bool shared)
{
	if (f->n_out == f->cap_out) {
		f->cap_out = f->cap_out > 0 ? f->cap_out * 2 : 4;
		f->out = xreallocarray(f->out, f->cap_out, sizeof(*f->out));
	}
	f->out[f->n_out] = (struct out) { .part = p,
		.vmta = p->key->vmta,
		.domain = p->key->domain,
		.number = f->n_out,
		.shared = shared };
	f->n_out++;
}

/* The list of files to write. */
static void
finish_plan(struct finish *f)
{
	struct commit *c = f->c;
	size_t i;
	int shared;

	finish_share(c);
	for (i = 0; i < c->n_part; i++)
		for (shared = 0; shared < 2; shared++)
			if (finish_has(c, c->part[i], shared != 0))
				finish_add(f, c->part[i], shared != 0);
	qsort(f->out, f->n_out, sizeof(*f->out), out_cmp);
	f->one_sync = f->n_out > FINISH_FSYNC_MAX;
}

/* Append contents to a file through the gathering buffer. */
static int
finish_gather(struct finish *f, int fd, const char *p, size_t n)
{
	if (f->gather.len > 0 && f->gather.len + n > 4 * FINISH_GATHER) {
		if (sys_write_all(f->sys, fd, f->gather.p, f->gather.len) == -1)
			return (-1);
		buf_clear(&f->gather);
	}
	if (n < FINISH_GATHER) {
		buf_add(&f->gather, p, n);
		return (0);
	}
	if (f->gather.len > 0 &&
	    sys_write_all(f->sys, fd, f->gather.p, f->gather.len) == -1)
		return (-1);
	buf_clear(&f->gather);
	return (sys_write_all(f->sys, fd, p, n));
}

/* What is gathered, the sync, the close. */
static int
finish_file(struct finish *f, int fd, bool ok)
{
	int saved;

	if (ok && f->gather.len > 0)
		ok = sys_write_all(f->sys, fd, f->gather.p, f->gather.len) == 0;
	if (ok && !f->one_sync)
		ok = f->sys->fsync(f->sys, fd) == 0;
	saved = errno;
	if (f->sys->close(f->sys, fd) == -1 && ok)
		return (-1);
	errno = saved;
	return (ok ? 0 : -1);
}

/* All shared contents into a new file of content/. */
static int
pool_write(struct finish *f, const char *name, struct verr *err)
{
	const struct commit *c = f->c;
	bool ok = true;
	size_t i;
	int fd;

	fd = f->sys->openat(f->sys, f->sp->content_fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd == -1)
		return (verr_sys(err, "create content/%s", name));
	buf_clear(&f->gather);
	for (i = 0; i < c->n_content && ok; i++)
		if (c->content[i].shared)
			ok = finish_gather(f, fd, c->content[i].p,
				 c->content[i].n) == 0;
	if (finish_file(f, fd, ok) == -1)
		return (verr_sys(err, "write content/%s", name));
	return (0);
}

/* The content id for the next batch: a new one when links are used up. */
static int
pool_begin(struct finish *f, struct verr *err)
{
	if (f->pool.links > 0 && f->pool.links < FINISH_LINKS)
		return (0);
	f->pool.links = 0;
	if (id_make(f->sys, &f->pool.id, err) == -1)
		return (-1);
	return (0);
}

/* The link for the batch o that was just rendered; the first is the file. */
static int
pool_link(struct finish *f, struct out *o, struct verr *err)
{
	(void)snprintf(o->link, sizeof(o->link), "%s-%s", f->pool.id.s,
	    f->render.name.id.s);
	if (f->pool.links++ == 0) {
		memcpy(f->pool.first, o->link, sizeof(o->link));
		return (pool_write(f, o->link, err));
	}
	if (f->sys->linkat(f->sys, f->sp->content_fd, f->pool.first,
		f->sp->content_fd, o->link) == -1)
		return (verr_sys(err, "link content/%s", o->link));
	return (0);
}

/* tmp/NAME: index, contents, END line. */
static int
finish_batch(struct finish *f, const char *name, struct verr *err)
{
	const struct render *r = &f->render;
	char end[32];
	bool ok;
	size_t i;
	int fd, n;

	fd = f->sys->openat(f->sys, f->dirs.tmp_fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd == -1)
		return (verr_sys(err, "create tmp/%s", name));
	buf_clear(&f->gather);
	ok = finish_gather(f, fd, r->index.p, r->index.len) == 0;
	for (i = 0; i < r->n_content && ok; i++)
		ok = finish_gather(f, fd, r->content[i]->p, r->content[i]->n) ==
		    0;
	n = snprintf(end, sizeof(end), "END %016" PRIu64 "\n",
	    r->index.len + r->content_len + 21);
	ok = ok && finish_gather(f, fd, end, (size_t)n) == 0;
	if (finish_file(f, fd, ok) == -1)
		return (verr_sys(err, "write tmp/%s", name));
	return (0);
}

/* Write one batch, and its link to shared contents before. */
static int
finish_out(struct finish *f, size_t i, struct verr *err)
{
	struct out *o = &f->out[i];

	if (publish_vmta(&f->dirs, o->vmta, !f->one_sync, err) == -1 ||
	    (o->shared && pool_begin(f, err) == -1) ||
	    render_part(f->c, o->part, o->shared ? f->pool.id.s : NULL, i,
		&f->render, err) == -1)
		return (-1);
	(void)batch_name_format(&f->render.name, o->name);
	f->written = i + 1;
	if (o->shared && pool_link(f, o, err) == -1)
		return (-1);
	return (finish_batch(f, o->name, err));
}

/* Directories whose new names must be durable before the record is. */
static int
finish_sync(struct finish *f, struct verr *err)
{
	size_t i;

	if (f->one_sync) {
		if (f->sys->syncfs(f->sys, f->sp->fd) == -1)
			return (verr_sys(err, "sync spool"));
		return (0);
	}
	if (f->pool.links > 0 && f->sys->fsync(f->sys, f->sp->content_fd) == -1)
		return (verr_sys(err, "sync content"));
	for (i = 0; i < f->n_out && f->record.fd != -1; i++) {
		if (publish_vmta(&f->dirs, f->out[i].vmta, true, err) == -1)
			return (-1);
		if (i + 1 < f->n_out &&
		    strcmp(f->out[i + 1].vmta, f->out[i].vmta) == 0)
			continue;
		if (f->sys->fsync(f->sys, f->dirs.tmp_fd) == -1)
			return (verr_sys(err, "sync tmp"));
	}
	return (0);
}

/* The text of the record. */
static void
finish_record_text(struct finish *f, struct buf *b)
{
	size_t i;

	record_begin(b);
	for (i = 0; i < f->n_out; i++)
		record_rename(b, BATCH_NEW, f->out[i].vmta, f->out[i].domain,
		    f->out[i].name);
	if (f->c->hash[0] != '\0')
		record_submit(b, f->c->hash, &f->c->submit);
	record_end(b);
}

/* Remove what was written: nothing of it is visible. */
static void
finish_undo(struct finish *f)
{
	struct sys *sys = f->sys;
	int saved = errno;
	size_t i;

	/*
	 * A record that cannot be removed will be done: without its batches
	 * it would only note a submission that is not there.
	 */
	if (record_file_remove(&f->record) == -1) {
		errno = saved;
		return;
	}
	for (i = 0; i < f->written; i++) {
		if (publish_vmta(&f->dirs, f->out[i].vmta, false, NULL) == 0)
			(void)sys->unlinkat(sys, f->dirs.tmp_fd, f->out[i].name,
			    0);
		if (f->out[i].link[0] != '\0')
			(void)sys->unlinkat(sys, f->sp->content_fd,
			    f->out[i].link, 0);
	}
	errno = saved;
}

/*
 * After the commit point: what cannot be done is left to recovery. 0, or 1
 * with what that is.
 */
static int
finish_forward(struct finish *f, struct verr *err)
{
	struct record_item *item = xcalloc(f->n_out + 1, sizeof(*item));
	struct commit *c = f->c;
	struct record r = { .item = item, .n = f->n_out, .submit = c->submit };
	size_t i;
	int rc;

	for (i = 0; i < f->n_out; i++) {
		item[i].vmta = f->out[i].vmta;
		item[i].domain = f->out[i].domain;
		memcpy(item[i].name, f->out[i].name, sizeof(item[i].name));
	}
	if (c->hash[0] != '\0')
		r.hash = c->hash;
	publish_end(&f->dirs);
	rc = record_forward(f->sp, &r, f->record.name, err);
	free(item);
	return (rc == 0 ? 0 : 1);
}

/* All batches are written: make them visible. 0, 1 or -1. */
static int
finish_publish(struct finish *f, struct verr *err)
{
	struct buf text = BUF_INIT;
	struct out *o = &f->out[0];
	int rc;

	if (f->n_out == 1 && f->c->hash[0] == '\0') {
		if (finish_sync(f, err) == -1)
			return (-1);
		rc = publish_batch(&f->dirs, BATCH_NEW, o->domain, o->name,
		    true, err);
		if (rc == 1)
			rc = -1; /* somebody took it out of tmp */
		return (rc);
	}
	finish_record_text(f, &text);
	rc = record_file_write(&f->record, &text, !f->one_sync, err);
	buf_release(&text);
	if (rc == -1 || finish_sync(f, err) == -1 ||
	    record_file_commit(&f->record, err) == -1)
		return (-1);
	return (finish_forward(f, err));
}

/* Say what is new. That it could not be said is no error. */
static void
finish_trigger(struct finish *f)
{
	struct buf b = BUF_INIT;
	const struct out *k, *last = NULL;
	size_t i, n = 0;

	for (i = 0; i < f->n_out && n <= FINISH_TRIGGER_MAX; i++) {
		k = &f->out[i];
		if (last != NULL && strcmp(k->domain, last->domain) == 0 &&
		    strcmp(k->vmta, last->vmta) == 0)
			continue;
		buf_addf(&b, "%s/%s\n", k->domain, k->vmta);
		last = k;
		n++;
	}
	if (n > FINISH_TRIGGER_MAX) {
		buf_clear(&b);
		last = NULL;
		for (i = 0; i < f->n_out; i++) {
			k = &f->out[i];
			if (last == NULL || strcmp(k->vmta, last->vmta) != 0)
				buf_addf(&b, "*/%s\n", k->vmta);
			last = k;
		}
	}
	(void)trigger_append(f->sp, b.p, b.len, NULL);
	buf_release(&b);
}

/* Begin to write. 0 or -1; f can be released in any case. */
static int
finish_begin(struct finish *f, struct commit *c, struct verr *err)
{
	*f = (struct finish) { .c = c,
		.sp = c->sp,
		.sys = c->sp->sys,
		.lock_fd = -1 };
	record_file_init(&f->record, c->sp);
	publish_init(&f->dirs, c->sp);
	return (record_enter(c->sp, &f->lock_fd, err));
}

/* What a struct finish holds; it ends the lock on the record. */
static void
finish_release(struct finish *f)
{
	int saved = errno;
	size_t i;

	record_file_close(&f->record);
	publish_end(&f->dirs);
	render_release(&f->render);
	buf_release(&f->gather);
	for (i = 0; i < f->n_out; i++)
		free(f->out[i].own);
	free(f->out);
	if (f->lock_fd != -1)
		(void)f->sys->close(f->sys, f->lock_fd);
	errno = saved;
}

void
finish_drop(struct finish *f)
{
	if (f == NULL)
		return;
	finish_undo(f);
	finish_release(f);
	free(f);
}

/* A part is written: only its place is kept. */
static void
finish_forget(struct out *o)
{
	size_t n = strlen(o->vmta) + 1, d = strlen(o->domain) + 1;
	char *own = xmalloc(n + d);

	memcpy(own, o->vmta, n);
	memcpy(own + n, o->domain, d);
	o->vmta = o->own = own;
	o->domain = own + n;
	o->part = NULL;
}

/* Write the parts of c, then forget them. 0 or -1. */
static int
write_parts(struct finish *f, struct commit *c, struct verr *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < c->n_part && rc == 0; i++) {
		finish_add(f, c->part[i], true);
		rc = finish_out(f, f->n_out - 1, err);
		finish_forget(&f->out[f->n_out - 1]);
	}
	for (i = 0; i < c->n_part; i++)
		part_free(c->part[i]);
	c->n_done += c->n_part;
	c->n_part = 0;
	c->text = 0;
	c->last = NULL;
	map_release(&c->keys, entry_free);
	return (rc);
}

int
commit_write(struct commit *c, struct verr *err)
{
	size_t i;
	uint64_t off = 0;

	if (c->finish == NULL) {
		c->finish = xcalloc(1, sizeof(*c->finish));
		if (finish_begin(c->finish, c, err) == -1)
			return (-1);
		c->finish->one_sync = true;
		for (i = 0; i < c->n_content; i++) {
			c->content[i].shared = true;
			c->content[i].off = off;
			off += c->content[i].n;
		}
	}
	return (write_parts(c->finish, c, err));
}

/* All batches that are not written yet. */
static int
finish_write(struct finish *f, struct commit *c, struct verr *err)
{
	size_t i;
	int rc = 0;

	if (c->finish != NULL) {
		rc = write_parts(f, c, err);
		if (rc == 0)
			qsort(f->out, f->n_out, sizeof(*f->out), out_cmp);
		return (rc);
	}
	finish_plan(f);
	for (i = 0; i < f->n_out && rc == 0; i++)
		rc = finish_out(f, i, err);
	return (rc);
}

int
commit_finish(struct commit *c, struct verr *err)
{
	struct finish own = { .lock_fd = -1 };
	struct finish *f = c->finish != NULL ? c->finish : &own;
	int rc;

	if (c->hash[0] != '\0' &&
	    (!spool_submit_hash_valid(c->hash) || !id_valid(c->submit.msgid)))
		return (verr_set(err, VEX_DATA, "bad submit id"));
	if (c->n_rcpt == 0)
		return (c->hash[0] == '\0' ?
			0 :
			spool_submit_put(c->sp, c->hash, &c->submit, err));
	if (c->finish == NULL && finish_begin(f, c, err) == -1)
		return (-1);
	rc = finish_write(f, c, err);
	if (rc == 0)
		rc = finish_publish(f, err);
	if (rc == -1)
		finish_undo(f);
	else
		finish_trigger(f);
	finish_release(f);
	if (f != &own)
		free(f);
	c->finish = NULL;
	return (rc);
}
