/*
 * Pauses: state/pauses, a line for each, terms `name=PATTERN` parted by tabs,
 * all of which must match. Changed under a lock on the directory state/ by
 * writing the whole file anew, durably: a pause outlives whatever happens. A
 * line that makes no sense is kept, and pauses nothing.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/glob.h"
#include "base/mem.h"
#include "spool/spool.h"
#include "spool/state.h"
#include "spool/store.h"

#define PAUSE_FILE_MAX (4 * 1024 * 1024)
#define PAUSE_TERM_MAX 512

struct pause_list {
	struct pause *pause;
	size_t n;
	struct buf text; /* what they point into */
	struct timespec mtime;
	ino_t ino; /* 0: there was no file */
};

/* Fill in one `name=PATTERN`. 0 or -1. */
static int
pause_term(struct pause *p, char *term)
{
	char *value = strchr(term, '=');

	if (value == NULL)
		return (-1);
	*value++ = '\0';
	if (strcmp(term, "queue") == 0)
		p->queue = value;
	else if (strcmp(term, "vmta") == 0)
		p->vmta = value;
	else if (strcmp(term, "domain") == 0)
		p->domain = value;
	else if (strcmp(term, "job") == 0)
		p->job = value;
	else
		return (-1);
	return (0);
}

/* A line (changed). 0, or -1 when it makes no sense. */
static int
pause_parse(char *line, struct pause *ret_p)
{
	char *tab;

	*ret_p = (struct pause) { 0 };
	if (*line == '\0')
		return (-1);
	for (; line != NULL; line = tab) {
		if ((tab = strchr(line, '\t')) != NULL)
			*tab++ = '\0';
		if (pause_term(ret_p, line) == -1)
			return (-1);
	}
	return (0);
}

/* Take the text apart. */
static void
pause_lines(struct pause_list *l)
{
	char *p = l->text.p, *end = p + l->text.len, *nl;
	struct pause one;

	for (; p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL;
	     p = nl + 1) {
		*nl = '\0';
		if (pause_parse(p, &one) == -1)
			continue;
		l->pause = xreallocarray(l->pause, l->n + 1, sizeof(*l->pause));
		l->pause[l->n++] = one;
	}
}

int
pause_list_read(struct spool *sp, struct pause_list **ret_l, struct verr *err)
{
	struct pause_list *l = xcalloc(1, sizeof(*l));
	struct stat st;

	/* the state before the bytes: a change between makes it stale */
	if (sp->sys->fstatat(sp->sys, sp->state_fd, "pauses", &st,
		AT_SYMLINK_NOFOLLOW) == 0) {
		l->ino = st.st_ino;
		l->mtime = st.st_mtim;
	}
	if (file_read(sp->sys, sp->state_fd, "pauses", PAUSE_FILE_MAX, &l->text,
		err) == -1 &&
	    errno != ENOENT) {
		pause_list_free(l);
		return (-1);
	}
	if (l->text.len > 0)
		pause_lines(l);
	*ret_l = l;
	return (0);
}

void
pause_list_free(struct pause_list *l)
{
	if (l == NULL)
		return;
	free(l->pause);
	buf_release(&l->text);
	free(l);
}

bool
pause_list_stale(struct spool *sp, const struct pause_list *l)
{
	struct stat st;

	if (sp->sys->fstatat(sp->sys, sp->state_fd, "pauses", &st,
		AT_SYMLINK_NOFOLLOW) == -1)
		return (l->ino != 0);
	return (st.st_ino != l->ino || st.st_mtim.tv_sec != l->mtime.tv_sec ||
	    st.st_mtim.tv_nsec != l->mtime.tv_nsec);
}

size_t
pause_list_count(const struct pause_list *l)
{
	return (l->n);
}

const struct pause *
pause_list_get(const struct pause_list *l, size_t i)
{
	return (&l->pause[i]);
}

/* Do the terms but `job` match this queue? */
static bool
pause_queue(const struct pause *p, const char *domain, const char *vmta)
{
	return ((p->queue == NULL || glob_queue(p->queue, domain, vmta)) &&
	    (p->vmta == NULL || glob_name(p->vmta, vmta)) &&
	    (p->domain == NULL || glob_domain(p->domain, domain)));
}

bool
pause_match(const struct pause_list *l, const char *domain, const char *vmta,
    const char *job)
{
	const struct pause *p;
	size_t i;

	for (i = 0; l != NULL && i < l->n; i++) {
		p = &l->pause[i];
		if (p->job != NULL && (job == NULL || !glob_name(p->job, job)))
			continue;
		if (pause_queue(p, domain, vmta))
			return (true);
	}
	return (false);
}

bool
pause_match_name(const struct pause_list *l, const char *domain,
    const char *vmta, const struct batch_name *n)
{
	const struct pause *p;
	size_t i;

	for (i = 0; l != NULL && i < l->n; i++) {
		p = &l->pause[i];
		if (p->job != NULL &&
		    (strchr(p->job, '*') != NULL ||
			batch_job_hash(p->job) != n->job))
			continue;
		if (pause_queue(p, domain, vmta))
			return (true);
	}
	return (false);
}

/* Append a term to a line. 0, or -1 when it cannot be one. */
static int
pause_put(struct buf *b, const char *name, const char *value, struct verr *err)
{
	const char *s;

	if (value == NULL)
		return (0);
	for (s = value; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || s - value > PAUSE_TERM_MAX)
			return (verr_set(err, VEX_DATA, "bad %s '%s'", name,
			    value));
	buf_addf(b, "%s%s=%s", b->len > 0 ? "\t" : "", name, value);
	return (0);
}

/* The line of a pause, without line feed. */
static int
pause_line(const struct pause *p, struct buf *b, struct verr *err)
{
	if (pause_put(b, "queue", p->queue, err) == -1 ||
	    pause_put(b, "vmta", p->vmta, err) == -1 ||
	    pause_put(b, "domain", p->domain, err) == -1 ||
	    pause_put(b, "job", p->job, err) == -1)
		return (-1);
	if (b->len == 0)
		return (verr_set(err, VEX_DATA, "a pause without terms"));
	return (0);
}

/* Is the term of a pause covered by that of a selection? */
static bool
pause_covers(const char *pattern, const char *term)
{
	return (pattern == NULL ||
	    (term != NULL &&
		(strcmp(pattern, term) == 0 || glob_name(pattern, term))));
}

/* Is this line (changed) a pause that p covers? */
static bool
pause_covered(char *line, const struct pause *p)
{
	struct pause q;

	return (pause_parse(line, &q) == 0 && pause_covers(p->queue, q.queue) &&
	    pause_covers(p->vmta, q.vmta) &&
	    pause_covers(p->domain, q.domain) && pause_covers(p->job, q.job));
}

/* Lock state/; the fd ends it. */
static int
pause_lock(struct spool *sp, struct verr *err)
{
	int fd, rc;

	fd = sp->sys->openat(sp->sys, sp->state_fd, ".", O_RDONLY | O_DIRECTORY,
	    0);
	if (fd == -1)
		return (verr_sys(err, "open state"));
	do {
		rc = flock(fd, LOCK_EX);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0)
		return (fd);
	(void)verr_sys(err, "lock state");
	(void)sp->sys->close(sp->sys, fd);
	return (-1);
}

/*
 * Copy the lines of the old file to b that are to stay: not `line` (NULL: no
 * such), nor what `covered` covers (NULL: nothing). Returns how many did not.
 */
static size_t
pause_keep(const struct buf *old, const char *line, const struct pause *covered,
    struct buf *b)
{
	const char *p = buf_str(old), *end = p + old->len, *nl;
	size_t gone = 0;
	char *copy;
	bool drop;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		copy = xstrndup(p, (size_t)(nl - p));
		drop = line != NULL ? strcmp(copy, line) == 0 :
				      pause_covered(copy, covered);
		if (drop)
			gone++;
		else
			buf_addf(b, "%.*s\n", (int)(nl - p), p);
		free(copy);
	}
	return (gone);
}

/* Change the file: without the lines as above, with `line` at its end. */
static int
pause_change(struct spool *sp, const char *line, const struct pause *covered,
    size_t *ret_n, struct verr *err)
{
	struct buf old = BUF_INIT, b = BUF_INIT;
	size_t gone = 0;
	int fd, rc = -1;

	if ((fd = pause_lock(sp, err)) == -1)
		return (-1);
	if (file_read(sp->sys, sp->state_fd, "pauses", PAUSE_FILE_MAX, &old,
		err) == 0 ||
	    errno == ENOENT) {
		gone = pause_keep(&old, line, covered, &b);
		if (line != NULL)
			buf_addf(&b, "%s\n", line);
		rc = line == NULL && gone == 0 ?
		    0 :
		    store_put(sp, sp->state_fd, "pauses", buf_str(&b), b.len,
			true, err);
	}
	(void)sp->sys->close(sp->sys, fd);
	buf_release(&old);
	buf_release(&b);
	if (ret_n != NULL)
		*ret_n = gone;
	return (rc);
}

int
pause_add(struct spool *sp, const struct pause *p, struct verr *err)
{
	struct buf line = BUF_INIT;
	int rc;

	rc = pause_line(p, &line, err);
	if (rc == 0)
		rc = pause_change(sp, line.p, NULL, NULL, err);
	buf_release(&line);
	return (rc);
}

int
pause_remove(struct spool *sp, const struct pause *p, size_t *ret_n,
    struct verr *err)
{
	return (pause_change(sp, NULL, p, ret_n, err));
}
