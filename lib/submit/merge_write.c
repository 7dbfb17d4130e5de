/*
 * From rows to batches. Bucket by bucket (all rows of a domain are in one):
 *
 *	duplicates	by address, the first one counts
 *	routing		rows of one key in the order of the list; a pool gives
 *			its members their turns in shares, as for single mail
 *	order		by VirtualMTA, key, message, and place in the list
 *	batches		into the commit, which writes them out now and then when
 *			there are many (commit_write)
 *
 * So there is one batch for each queue and key, and for each 10,000
 * recipients of it, and what is in memory is an index of one bucket and some
 * megabytes of text. All of it is one commit: a crash before its end leaves
 * nothing that anybody sees.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "mail/charset.h"
#include "spool/batch.h"
#include "submit/merge_impl.h"

/* Rows in the commit before they are written, at the next batch's start; */
#define WRITE_ROWS 10000
/* and octets of them, wherever that is. */
#define WRITE_TEXT (4ULL * COMMIT_BATCH_TEXT)

/* A row in the index. */
struct ref {
	uint64_t key, msg, addr;
	uint64_t at;
	const char *vmta; /* the configuration's */
	const char *pool; /* NULL: none */
	uint32_t index;
};

struct writer {
	struct submit_merge *m;
	struct commit *c;
	struct ref *ref;
	size_t n;
	const char *vmta; /* of the last row put into c; NULL: none */
	char domain[ADDR_DOMAIN_MAX + 1];
	uint32_t *seen; /* hash table of refs + 1 */
	size_t waiting; /* rows in c that are not written */
	size_t in_batch;
};

/* By key, then as in the list. */
static int
ref_cmp_key(const void *va, const void *vb)
{
	const struct ref *a = va, *b = vb;

	if (a->key != b->key)
		return (a->key < b->key ? -1 : 1);
	return (a->index < b->index ? -1 : a->index > b->index);
}

/* In the order of batches and messages. */
static int
ref_cmp_batch(const void *va, const void *vb)
{
	const struct ref *a = va, *b = vb;

	if (a->vmta != b->vmta)
		return (strcmp(a->vmta, b->vmta));
	if (a->key != b->key)
		return (a->key < b->key ? -1 : 1);
	if (a->msg != b->msg)
		return (a->msg < b->msg ? -1 : 1);
	return (a->index < b->index ? -1 : a->index > b->index);
}

/* Read the bucket's rows into the index. */
static int
write_index(struct writer *w, unsigned int bucket, struct verr *err)
{
	uint64_t at = 0, from;
	struct row row;
	size_t i;

	w->n = rows_count(w->m->rows, bucket);
	w->ref = xreallocarray(w->ref, w->n, sizeof(*w->ref));
	for (i = 0; i < w->n; i++) {
		from = at;
		if (rows_at(w->m->rows, &at, &row, err) == -1)
			return (-1);
		w->ref[i] = (struct ref) { .key = row.key,
			.msg = row.msg,
			.addr = row.addr,
			.at = from,
			.index = row.index };
	}
	return (0);
}

/* Do two rows have the same address? 1, 0 or -1. */
static int
same_address(struct writer *w, const struct ref *a, const struct ref *b,
    struct verr *err)
{
	uint64_t at = a->at;
	struct row row;
	char *rcpt;
	int rc;

	if (rows_at(w->m->rows, &at, &row, err) == -1)
		return (-1);
	rcpt = xstrdup(row.rcpt);
	at = b->at;
	rc = rows_at(w->m->rows, &at, &row, err);
	if (rc == 0)
		rc = strcasecmp(rcpt, row.rcpt) == 0;
	free(rcpt);
	return (rc);
}

/* Has the address of ref i been there? 1, 0 or -1; it is remembered. */
static int
write_seen(struct writer *w, size_t i, size_t mask, struct verr *err)
{
	const struct ref *r = &w->ref[i];
	size_t k = (size_t)r->addr & mask;
	int rc;

	for (; w->seen[k] != 0; k = (k + 1) & mask) {
		if (w->ref[w->seen[k] - 1].addr != r->addr)
			continue;
		rc = same_address(w, &w->ref[w->seen[k] - 1], r, err);
		if (rc != 0)
			return (rc);
	}
	w->seen[k] = (uint32_t)i + 1;
	return (0);
}

/* Count duplicates, and take them out if so told. */
static int
write_dups(struct writer *w, struct verr *err)
{
	size_t cap = 16, i, kept = 0;
	int rc = 0;

	while (cap < 2 * w->n)
		cap *= 2;
	w->seen = xcalloc(cap, sizeof(*w->seen));
	for (i = 0; i < w->n && rc != -1; i++) {
		rc = write_seen(w, i, cap - 1, err);
		if (rc == 1)
			w->m->duplicates++;
		if (rc == 1 && w->m->opts.dedupe)
			w->ref[i].vmta = ""; /* a mark */
	}
	free(w->seen);
	if (rc == -1)
		return (-1);
	for (i = 0; i < w->n; i++)
		if (w->ref[i].vmta == NULL)
			w->ref[kept++] = w->ref[i];
	w->n = kept;
	return (0);
}

/* Where the rows of one key go: refs [from, to). */
static int
route_group(struct writer *w, size_t from, size_t to, struct verr *err)
{
	struct submit *s = w->m->s;
	struct target t = w->m->target;
	uint64_t at = w->ref[from].at, k = 0;
	struct row row;
	size_t i;

	if (rows_at(w->m->rows, &at, &row, err) == -1)
		return (-1);
	if (row.own) {
		t.vmta = conf_vmta(s->conf, row.target);
		t.pool = t.vmta == NULL ? conf_pool(s->conf, row.target) : NULL;
	}
	if (t.vmta == NULL &&
	    route_draw(s, t.pool,
		(to - from + SUBMIT_POOL_SHARE - 1) / SUBMIT_POOL_SHARE, &k,
		err) == -1)
		return (-1);
	for (i = from; i < to; i++) {
		w->ref[i].pool = t.vmta == NULL ? t.pool->name : NULL;
		w->ref[i].vmta = t.vmta != NULL ?
		    t.vmta->name :
		    route_member(s, t.pool, k + (i - from) / SUBMIT_POOL_SHARE);
	}
	return (0);
}

/* Choose a VirtualMTA for each row. */
static int
write_route(struct writer *w, struct verr *err)
{
	size_t from, to;

	qsort(w->ref, w->n, sizeof(*w->ref), ref_cmp_key);
	for (from = 0; from < w->n; from = to) {
		for (to = from + 1;
		     to < w->n && w->ref[to].key == w->ref[from].key;)
			to++;
		if (route_group(w, from, to, err) == -1)
			return (-1);
	}
	return (0);
}

/* What is in the commit goes to the disk, between two batches. */
static int
write_some(struct writer *w, const struct ref *r, const struct ref *last,
    struct verr *err)
{
	const struct conf_global *g = conf_global(w->m->s->conf);
	bool full = commit_text(w->c) >= WRITE_TEXT;
	bool next = last == NULL || last->key != r->key ||
	    last->vmta != r->vmta || w->in_batch == COMMIT_BATCH_RCPTS || full;

	if (next)
		w->in_batch = 0;
	w->in_batch++;
	if (!next || (w->waiting < WRITE_ROWS && !full) ||
	    !rows_spilled(w->m->rows)) {
		w->waiting++;
		return (0);
	}
	w->waiting = 1;
	w->vmta = NULL;
	if (spool_room(w->m->s->sp, (uint64_t)g->min_free_space,
		(uint64_t)g->min_free_inodes, err) == -1)
		return (-1);
	return (commit_write(w->c, err));
}

/* One row into the commit. */
static int
write_row(struct writer *w, const struct ref *r, struct verr *err)
{
	const struct submit_merge *m = w->m;
	const struct submit_env *env = &m->opts.env;
	const struct addr *from = env->from != NULL ? env->from : &m->s->self;
	struct commit_key key = { .vmta = r->vmta,
		.pool = r->pool,
		.job = env->job,
		.source = m->s->source,
		.source_type = m->s->source_type,
		.source_mta = m->s->source_mta,
		.schedule = env->schedule,
		.queued = m->now };
	struct commit_msg msg = { .msgid = m->id.s,
		.ret = env->ret,
		.envid = env->envid,
		.sender = from->smtp };
	struct commit_rcpt to = { .index = r->index };
	uint64_t at = r->at;
	struct row row;
	bool same;

	if (rows_at(m->rows, &at, &row, err) == -1)
		return (-1);
	same = !row.own && w->vmta == r->vmta &&
	    strcmp(row.rcpt + row.domain, w->domain) == 0;
	w->vmta = row.own ? NULL : r->vmta;
	if (!same)
		(void)snprintf(w->domain, sizeof(w->domain), "%s",
		    row.rcpt + row.domain);
	if (row.own) {
		key.job = row.job;
		key.schedule = row.schedule;
		msg.envid = row.envid;
		msg.parts = row.parts;
		msg.sender = row.sender;
	}
	msg.flags = charset_8bit(msg.sender, strlen(msg.sender)) ?
	    BATCH_UTF8_SENDER :
	    0;
	msg.content = row.content;
	key.prio = row.prio;
	key.due = row.due;
	key.domain = row.rcpt + row.domain;
	to.held = row.held;
	to.suppressed = row.suppressed;
	w->m->suppressed += row.suppressed;
	to.rcpt = row.rcpt;
	to.vars = row.vars;
	to.notify = row.notify;
	to.orcpt = row.orcpt;
	if (commit_rcpt(w->c, same ? NULL : &key, &msg, &to, err) == 0)
		return (0);
	err->code = VEX_SOFTWARE; /* it was checked */
	return (-1);
}

/* All rows of the bucket, which are routed. */
static int
write_rows(struct writer *w, struct verr *err)
{
	const struct ref *last = NULL, *r;
	size_t i;

	qsort(w->ref, w->n, sizeof(*w->ref), ref_cmp_batch);
	w->in_batch = 0;
	for (i = 0; i < w->n; i++) {
		r = &w->ref[i];
		if (write_some(w, r, last, err) == -1 ||
		    write_row(w, r, err) == -1)
			return (-1);
		last = r;
	}
	return (0);
}

static int
write_bucket(struct writer *w, unsigned int bucket, struct verr *err)
{
	if (rows_count(w->m->rows, bucket) == 0)
		return (0);
	if (rows_turn(w->m->rows, bucket, err) == -1 ||
	    write_index(w, bucket, err) == -1 || write_dups(w, err) == -1)
		return (-1);
	if (!w->m->skip &&
	    (write_route(w, err) == -1 || write_rows(w, err) == -1))
		return (-1);
	rows_drop(w->m->rows, bucket);
	return (0);
}

/* All of it becomes durable. 0 or -1. */
static int
write_commit(struct writer *w, struct verr *err)
{
	struct submit *s = w->m->s;
	int rc;

	submit_note(s, w->m->id.s, w->c);
	rc = commit_finish(w->c, err);
	if (rc == 1)
		s->warning = *err;
	return (rc == -1 ? -1 : 0);
}

int
merge_write(struct submit_merge *m, struct verr *err)
{
	struct submit *s = m->s;
	struct writer w = { .m = m, .c = commit_new(s->sp) };
	struct commit_merge how = { .vars = m->names.p,
		.parts = m->how.lengths,
		.strip = m->how.strip,
		.host = m->how.host,
		.date = m->how.date,
		.empty = m->opts.undefined == SUBMIT_UNDEFINED_EMPTY };
	unsigned int i;
	size_t k;
	int rc = 0;

	for (k = 0; k < m->n_content; k++)
		(void)commit_content(w.c, m->content[k].p, m->content[k].len);
	if (how.parts == NULL && m->fields) {
		/* what is not the message stands before it */
		buf_addf(&m->lengths, "%zu", m->base.len);
		how.parts = m->lengths.p;
	}
	commit_merge(w.c, &how);
	for (i = 0; i < ROWS_BUCKETS && rc == 0; i++)
		rc = write_bucket(&w, i, err);
	/* its pages need not go to the disk with the others */
	rows_free(m->rows);
	m->rows = NULL;
	if (rc == 0 && !m->skip)
		rc = write_commit(&w, err);
	commit_free(w.c);
	free(w.ref);
	return (rc);
}
