/*
 * vmta-bounce suppress: lists of those who get no mail. A list is never
 * changed: build, add and remove write a new one, which takes the place of
 * the old one when all of it is on the disk. So an entry that cannot be, or a
 * crash, changes nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/esc.h"
#include "base/map.h"
#include "mail/addr.h"
#include "spool/supmake.h"
#include "vmta-bounce.h"

#define TELL_MAX 200 /* octets of an entry in a message */

struct job {
	struct spool *sp;
	const struct suppress *s;
	struct suplist *old; /* NULL: there is none */
	struct supmake *make;
	struct map out; /* keys to be removed */
	uint64_t removed;
	struct buf key, text;
};

typedef int entry_fn(struct job *j, const char *p, size_t n, struct verr *err);

/* ---- reading entries ------------------------------------------------------
 */

/* Lines of a file that is read octet by octet: a line has its limit. */
struct lines {
	int fd;
	size_t at, n;
	char buf[64 * 1024];
};

/* The next octet, -1 at the end, -2 with errno. */
static int
lines_octet(struct lines *l)
{
	ssize_t n;

	if (l->at == l->n) {
		do
			n = read(l->fd, l->buf, sizeof(l->buf));
		while (n == -1 && errno == EINTR);
		if (n <= 0)
			return (n == 0 ? -1 : -2);
		l->at = 0;
		l->n = (size_t)n;
	}
	return ((unsigned char)l->buf[l->at++]);
}

/* The next line: 1; 0 at the end; -1: it is too long, or not to be read. */
static int
lines_next(struct lines *l, struct buf *ret_line, struct verr *err)
{
	int c;

	buf_clear(ret_line);
	while ((c = lines_octet(l)) >= 0 && c != '\n') {
		if (ret_line->len > SUPLIST_ENTRY_MAX)
			return (verr_set(err, VEX_DATA, "over %d octets",
			    SUPLIST_ENTRY_MAX));
		buf_addc(ret_line, c);
	}
	if (c == -2)
		return (verr_sys(err, "read"));
	return (c == '\n' || ret_line->len > 0);
}

/* The entry in a line, without white space; n 0: it has none. */
static const char *
line_entry(const struct buf *line, size_t *ret_n)
{
	const char *p = buf_str(line), *end = p + line->len;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p &&
	    (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*ret_n = p < end && *p != '#' ? (size_t)(end - p) : 0;
	return (p);
}

/* All entries of a file. */
static int
entries_file(struct job *j, const char *name, int fd, entry_fn *fn,
    struct verr *err)
{
	struct lines l = { .fd = fd };
	struct buf line = BUF_INIT;
	uint64_t at = 0;
	const char *p;
	size_t n;
	int rc;

	for (;;) {
		at++;
		if ((rc = lines_next(&l, &line, err)) != 1)
			break;
		p = line_entry(&line, &n);
		if (n > 0 && fn(j, p, n, err) == -1) {
			rc = -1;
			break;
		}
	}
	if (rc == -1)
		(void)verr_prefix(err, "%s:%" PRIu64,
		    strcmp(name, "-") == 0 ? "standard input" : name, at);
	buf_release(&line);
	return (rc);
}

/* All entries: of the command line, of the files. */
static int
entries(struct job *j, entry_fn *fn, struct verr *err)
{
	const struct suppress *s = j->s;
	struct buf text = BUF_INIT;
	int i;

	for (i = 0; i < s->n_entry; i++)
		if (fn(j, s->entry[i], strlen(s->entry[i]), err) == -1) {
			esc_string(&text, s->entry[i],
			    strnlen(s->entry[i], TELL_MAX));
			(void)verr_prefix(err, "'%s'", buf_str(&text));
			buf_release(&text);
			return (-1);
		}
	for (i = 0; i < s->n_from; i++)
		if (entries_file(j, s->from[i], s->fd[i], fn, err) == -1)
			return (-1);
	return (0);
}

/* ---- commands -------------------------------------------------------------
 */

/* Open the list as it is. 0; 0 without it where there is none; -1. */
static int
job_open(struct job *j, struct verr *err)
{
	if (suplist_open(j->sp, j->s->list, &j->old, err) == 0)
		return (0);
	if (err->err != ENOENT)
		return (-1);
	*err = (struct verr)VERR_INIT;
	return (0);
}

/* Put an entry into the new list, unless the old one gives it. */
static int
put_entry(struct job *j, const char *p, size_t n, struct verr *err)
{
	enum suplist_kind kind;
	int rc = 0;

	if (suplist_entry(p, n, &kind, &j->key, err) == -1)
		return (-1);
	if (j->old != NULL)
		rc = suplist_has(j->old, j->key.p, j->key.len, err);
	return (rc != 0 ? rc : supmake_add(j->make, j->key.p, j->key.len, err));
}

/* An entry of the old list into the new one, unless it is to go. */
static int
keep_entry(void *arg, const char *key, size_t n, struct verr *err)
{
	struct job *j = arg;

	if (j->out.n > 0) {
		buf_clear(&j->key);
		buf_add(&j->key, key, n);
		if (map_get(&j->out, j->key.p) != NULL) {
			j->removed++;
			return (0);
		}
	}
	return (supmake_add(j->make, key, n, err));
}

/* An entry that is to go. */
static int
drop_entry(struct job *j, const char *p, size_t n, struct verr *err)
{
	enum suplist_kind kind;

	if (suplist_entry(p, n, &kind, &j->key, err) == -1)
		return (-1);
	(void)map_put(&j->out, j->key.p, j);
	return (0);
}

/* build: the entries that are given, and no others. */
static int
suppress_build(struct job *j, struct verr *err)
{
	if (supmake_new(j->sp, j->s->list, &j->make, err) == -1 ||
	    entries(j, put_entry, err) == -1 ||
	    supmake_finish(j->make, err) == -1)
		return (-1);
	(void)printf("%" PRIu64 " entries\n", supmake_count(j->make));
	return (VEX_OK);
}

/* add: the old ones, and those that are given. */
static int
suppress_add(struct job *j, struct verr *err)
{
	uint64_t added;

	if (supmake_new(j->sp, j->s->list, &j->make, err) == -1 ||
	    job_open(j, err) == -1 || entries(j, put_entry, err) == -1)
		return (-1);
	added = supmake_count(j->make);
	if (added > 0 || j->old == NULL) {
		if ((j->old != NULL &&
			suplist_walk(j->old, keep_entry, j, err) == -1) ||
		    supmake_finish(j->make, err) == -1)
			return (-1);
	}
	(void)printf("%" PRIu64 " added\n", added);
	return (VEX_OK);
}

/* remove: the old ones, but those that are given. */
static int
suppress_remove(struct job *j, struct verr *err)
{
	if (supmake_new(j->sp, j->s->list, &j->make, err) == -1 ||
	    job_open(j, err) == -1 || entries(j, drop_entry, err) == -1)
		return (-1);
	if (j->old != NULL && suplist_walk(j->old, keep_entry, j, err) == -1)
		return (-1);
	if (j->removed > 0 && supmake_finish(j->make, err) == -1)
		return (-1);
	(void)printf("%" PRIu64 " of %zu removed\n", j->removed, j->out.n);
	return (j->removed > 0 ? VEX_OK : VEX_PART);
}

/* Is an address, or another entry, on the list? Counts those that are not. */
static int
check_entry(struct job *j, const char *p, size_t n, struct verr *err)
{
	char fold[ADDR_MAX + 1];
	enum suplist_kind kind;
	struct addr a;
	int rc;

	if (suplist_entry(p, n, &kind, &j->key, err) == -1)
		return (-1);
	if (kind == SUPLIST_ADDRESS) {
		if (addr_parse(p, n, ADDR_RCPT, &a, err) == -1)
			return (-1);
		suplist_fold(a.smtp, fold);
		rc = suplist_find(j->old, fold, err);
	} else
		rc = suplist_has(j->old, j->key.p, j->key.len, err);
	if (rc == -1)
		return (-1);
	buf_clear(&j->text);
	esc_string(&j->text, p, n);
	(void)printf("%s\t%s\n", rc == 1 ? "listed" : "not-listed",
	    buf_str(&j->text));
	j->removed += rc == 0;
	return (0);
}

static int
suppress_check(struct job *j, struct verr *err)
{
	if (suplist_open(j->sp, j->s->list, &j->old, err) == -1 ||
	    entries(j, check_entry, err) == -1)
		return (-1);
	return (j->removed == 0 ? VEX_OK : VEX_PART);
}

static int
print_entry(void *arg, const char *key, size_t n, struct verr *err)
{
	struct job *j = arg;

	(void)err;
	buf_clear(&j->key);
	buf_clear(&j->text);
	suplist_text(key, n, &j->key);
	esc_string(&j->text, j->key.p, j->key.len);
	j->removed++;
	return (puts(j->text.p) == EOF ? verr_sys(err, "write") : 0);
}

static int
suppress_list(struct job *j, struct verr *err)
{
	if (suplist_open(j->sp, j->s->list, &j->old, err) == -1 ||
	    suplist_walk(j->old, print_entry, j, err) == -1)
		return (-1);
	return (j->removed > 0 ? VEX_OK : VEX_PART);
}

static const struct {
	const char *name;
	int (*fn)(struct job *j, struct verr *err);
	bool wants; /* entries; build may have none */
	bool takes;
} commands[] = {
	{ "build", suppress_build, false, true },
	{ "add", suppress_add, true, true },
	{ "remove", suppress_remove, true, true },
	{ "check", suppress_check, true, true },
	{ "list", suppress_list, false, false },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

int
suppress_known(const char *name, const struct suppress *s, struct verr *err)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			break;
	if (i == COMMANDS)
		return (verr_set(err, VEX_USAGE, "suppress: no command '%s'",
		    name));
	if (commands[i].wants && s->n_entry + s->n_from == 0)
		return (verr_set(err, VEX_USAGE, "suppress %s: which entries?",
		    name));
	if (!commands[i].takes && s->n_entry + s->n_from > 0)
		return (verr_set(err, VEX_USAGE, "suppress %s takes no entries",
		    name));
	return (0);
}

int
suppress_command(struct spool *sp, const char *name, const struct suppress *s,
    struct verr *err)
{
	struct job j = { .sp = sp, .s = s };
	size_t i;
	int rc = -1;

	for (i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			rc = commands[i].fn(&j, err);
	supmake_free(j.make);
	suplist_close(j.old);
	map_release(&j.out, NULL);
	buf_release(&j.key);
	buf_release(&j.text);
	return (rc);
}
