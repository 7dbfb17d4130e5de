/*
 * A part becomes the index of a batch file: header, M lines completed with
 * the place of their content, R lines with their first state. A content that
 * several M lines name (a template with a sender for each recipient) is in
 * the file once.
 *
 * The index of a merge has a V line behind each R line; it is of version 2.
 *
 * The hash on the INDEX line is taken while the fields that change later are
 * still spaces; only then are they filled in.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stamp.h"
#include "spool/batch.h"
#include "spool/commit_int.h"

/* Octets of `INDEX HHHHHHHHHHHHHHHH\n` and of the first line. */
#define RENDER_INDEX 23
#define RENDER_FIRST 37

void
render_release(struct render *r)
{
	buf_release(&r->index);
	free(r->content);
	free(r->line);
}

/* Count a content once; its place in the batch's own file is at the end. */
static void
render_place(struct render *r, struct content *k, size_t serial)
{
	if (k->placed == serial + 1)
		return;
	k->placed = serial + 1;
	r->name.bytes += k->n;
	if (k->shared)
		return;
	k->off = r->content_len;
	r->content_len += k->n;
	if (r->n_content == r->cap_content) {
		r->cap_content = r->cap_content > 0 ? r->cap_content * 2 : 8;
		r->content = xreallocarray(r->content, r->cap_content,
		    sizeof(struct content *));
	}
	r->content[r->n_content++] = k;
}

/* Note where the R lines from `at` on begin. */
static void
render_lines(struct render *r, size_t at)
{
	const char *nl;

	while (at < r->index.len) {
		if (r->n_line == r->cap_line) {
			r->cap_line = r->cap_line > 0 ? r->cap_line * 2 : 8;
			r->line = xreallocarray(r->line, r->cap_line,
			    sizeof(*r->line));
		}
		if (r->index.p[at] == 'R')
			r->line[r->n_line++] = at;
		nl = memchr(r->index.p + at, '\n', r->index.len - at);
		at = (size_t)(nl - r->index.p) + 1;
	}
}

/* One message: its M line completed, its R lines as they are. */
static void
render_msg(struct commit *c, const struct part *p, size_t i, size_t serial,
    struct render *r)
{
	const struct part_msg *m = &p->msg[i];
	struct content *k = &c->content[m->content];
	size_t end = i + 1 < p->n_msg ? p->msg[i + 1].text : p->text.len;
	size_t at;

	render_place(r, k, serial);
	buf_add(&r->index, p->text.p + m->text, COMMIT_M_HEAD);
	buf_addf(&r->index, "%" PRIu64 " %zu %016" PRIx64 " ", k->off, k->n,
	    k->hash);
	buf_add(&r->index, p->text.p + m->text + COMMIT_M_HEAD,
	    m->rcpts - m->text - COMMIT_M_HEAD);
	at = r->index.len;
	buf_add(&r->index, p->text.p + m->rcpts, end - m->rcpts);
	render_lines(r, at);
}

/* Hash and close the index, then fill in the fields of the R lines. */
static void
render_seal(struct render *r, int64_t due, int version)
{
	char fields[COMMIT_FIELDS + 1], at[STAMP_NAME_LEN + 1];
	char first[RENDER_FIRST + 1], *f;
	bool all_held = true;
	size_t i;

	(void)snprintf(first, sizeof(first),
	    "vmta-batch %d %010zu %012" PRIu64 "\n", version,
	    r->index.len + RENDER_INDEX, r->content_len);
	memcpy(r->index.p, first, RENDER_FIRST);
	for (i = 0; i < r->n_line; i++) {
		f = r->index.p + r->line[i] + COMMIT_FIELDS_AT;
		/* the state waits where nothing is hashed: in the offset */
		r->line[i] = r->line[i] << 8 | (unsigned char)*f;
		*f = ' ';
	}
	buf_addf(&r->index, "INDEX %016" PRIx64 "\n",
	    map_hash(r->index.p, r->index.len));
	(void)snprintf(fields, sizeof(fields), "- 000 %s %-39s",
	    stamp_name(due, at), "-");
	for (i = 0; i < r->n_line; i++) {
		f = r->index.p + (r->line[i] >> 8) + COMMIT_FIELDS_AT;
		memcpy(f, fields, COMMIT_FIELDS);
		*f = (char)(r->line[i] & 0xff);
		all_held = all_held && *f == BATCH_HELD;
	}
	r->name.open = (uint32_t)r->n_line;
	r->name.due = all_held ? BATCH_DUE_NEVER : due;
}

int
render_part(struct commit *c, const struct part *p, const char *shared,
    size_t serial, struct render *ret_r, struct verr *err)
{
	const struct commit_entry *k = p->key;
	struct render *r = ret_r;
	size_t i;

	buf_clear(&r->index);
	r->n_content = r->n_line = 0;
	r->content_len = 0;
	r->name = (struct batch_name) { .prio = k->prio, .job = k->job };
	if (id_make(c->sp->sys, &r->name.id, err) == -1)
		return (-1);
	buf_addf(&r->index, "%*s", RENDER_FIRST, "");
	buf_addf(&r->index, "id: %s\n%s", r->name.id.s, k->header);
	if (shared != NULL)
		buf_addf(&r->index, "content: %s\n", shared);
	buf_add(&r->index, c->merge_header.p, c->merge_header.len);
	buf_addc(&r->index, '\n');
	for (i = 0; i < p->n_msg; i++)
		if (c->content[p->msg[i].content].shared == (shared != NULL))
			render_msg(c, p, i, serial, r);
	render_seal(r, k->due, c->merge ? 2 : 1);
	return (0);
}
