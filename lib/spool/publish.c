/*
 * The renames of a commit, and the record that lists them.
 *
 *	vmta-commit 1
 *	rename VMTA DOMAIN NAME		for each batch
 *	submit HASH COUNT MSGID		for a submit id
 *	end N				number of lines before it
 *
 * Doing what a record says is idempotent: a batch that is not in tmp any more
 * was renamed before (and may have been delivered since). An owner removes
 * empty domain directories, so a rename that meets ENOENT makes them again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/unit.h"
#include "spool/publish.h"
#include "spool/submit.h"

/* Up to so many files are synced one by one, more by one syncfs. */
#define PUBLISH_FSYNC_MAX 3
/* How often an owner may take a directory away under our hands. */
#define PUBLISH_TRIES 10000

void
publish_init(struct publish *p, struct spool *sp)
{
	*p = (struct publish) { .sp = sp, .tmp_fd = -1, .new_fd = -1 };
}

void
publish_end(struct publish *p)
{
	struct sys *sys = p->sp->sys;
	int saved = errno;

	if (p->tmp_fd != -1)
		(void)sys->close(sys, p->tmp_fd);
	if (p->new_fd != -1)
		(void)sys->close(sys, p->new_fd);
	publish_init(p, p->sp);
	errno = saved;
}

int
publish_vmta(struct publish *p, const char *vmta, bool sync, struct verr *err)
{
	bool made = false, made_vmta = false;
	struct sys *sys = p->sp->sys;
	int fd, rc = -1;

	if (strcmp(p->vmta, vmta) == 0)
		return (0);
	publish_end(p);
	fd = spool_dir_make(p->sp, p->sp->queue_fd, vmta, &made_vmta, err);
	if (fd == -1)
		return (-1);
	p->tmp_fd = spool_dir_make(p->sp, fd, "tmp", &made, err);
	if (p->tmp_fd != -1)
		p->new_fd = spool_dir_make(p->sp, fd, "new", &made, err);
	if (p->new_fd == -1)
		goto out;
	if ((sync && made && sys->fsync(sys, fd) == -1) ||
	    (sync && made_vmta && sys->fsync(sys, p->sp->queue_fd) == -1)) {
		(void)verr_sys(err, "sync queue/%s", vmta);
		goto out;
	}
	(void)snprintf(p->vmta, sizeof(p->vmta), "%s", vmta);
	rc = 0;
out:
	(void)sys->close(sys, fd);
	if (rc == -1)
		publish_end(p);
	return (rc);
}

/* Is name still in tmp? */
static bool
publish_left(struct publish *p, const char *name)
{
	struct stat st;
	int saved = errno;
	bool gone;

	gone = p->sp->sys->fstatat(p->sp->sys, p->tmp_fd, name, &st,
		   AT_SYMLINK_NOFOLLOW) == -1 &&
	    errno == ENOENT;
	errno = saved;
	return (!gone);
}

/* Rename, and leave the domain's directory open in *ret_fd. */
static int
publish_rename(struct publish *p, const char *domain, const char *name,
    bool *ret_made, int *ret_fd, struct verr *err)
{
	struct sys *sys = p->sp->sys;
	bool gone;
	int i;

	for (i = 0; i < PUBLISH_TRIES; i++) {
		*ret_fd = spool_dir_make(p->sp, p->new_fd, domain, ret_made,
		    err);
		if (*ret_fd == -1)
			return (-1);
		if (sys->renameat(sys, p->tmp_fd, name, *ret_fd, name) == 0)
			return (0);
		gone = errno == ENOENT;
		(void)verr_sys(err, "rename %s to new/%s", name, domain);
		(void)sys->close(sys, *ret_fd);
		*ret_fd = -1;
		if (!gone)
			return (-1);
		if (!publish_left(p, name))
			return (1);
	}
	return (-1);
}

/*
 * A rename that could not be made durable is taken back, unless an owner
 * was faster: then it is his, and will be delivered.
 */
static int
publish_undo(struct publish *p, int fd, const char *name)
{
	struct sys *sys = p->sp->sys;

	if (sys->renameat(sys, fd, name, p->tmp_fd, name) == 0)
		return (-1);
	if (errno == ENOENT)
		return (0);
	(void)sys->unlinkat(sys, fd, name, 0);
	return (-1);
}

/* It was renamed before, perhaps not durably: sync what may have it. */
static int
publish_again(struct publish *p, const char *domain, struct verr *err)
{
	struct sys *sys = p->sp->sys;
	int fd, rc = 1;

	fd = file_open_dir(sys, p->new_fd, domain);
	if (fd == -1 && errno == ENOENT)
		return (1); /* and delivered since */
	if (fd == -1 || sys->fsync(sys, fd) == -1 ||
	    sys->fsync(sys, p->new_fd) == -1)
		rc = verr_sys(err, "sync new/%s", domain);
	if (fd != -1)
		(void)sys->close(sys, fd);
	return (rc);
}

int
publish_batch(struct publish *p, const char *domain, const char *name,
    bool sync, struct verr *err)
{
	struct sys *sys = p->sp->sys;
	bool made = false;
	int fd = -1, rc;

	rc = publish_rename(p, domain, name, &made, &fd, err);
	if (rc == 1 && sync)
		return (publish_again(p, domain, err));
	if (rc != 0)
		return (rc);
	if (sync &&
	    ((made && sys->fsync(sys, p->new_fd) == -1) ||
		sys->fsync(sys, fd) == -1)) {
		(void)verr_sys(err, "sync new/%s", domain);
		rc = publish_undo(p, fd, name);
	}
	(void)sys->close(sys, fd);
	return (rc);
}

void
record_begin(struct buf *b)
{
	buf_clear(b);
	buf_adds(b, "vmta-commit 1\n");
}

void
record_rename(struct buf *b, const char *vmta, const char *domain,
    const char *name)
{
	buf_addf(b, "rename %s %s %s\n", vmta, domain, name);
}

void
record_submit(struct buf *b, const char *hash, uint64_t count,
    const char *msgid)
{
	buf_addf(b, "submit %s %" PRIu64 " %s\n", hash, count, msgid);
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
record_item(struct record *r, char *line)
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
	r->n++;
	return (0);
}

/* `HASH COUNT MSGID`. */
static int
record_submission(struct record *r, char *line)
{
	char *count;
	int64_t n;

	r->hash = record_word(&line);
	count = record_word(&line);
	r->msgid = record_word(&line);
	if (r->msgid == NULL || *line != '\0' ||
	    !spool_submit_hash_valid(r->hash) || !id_valid(r->msgid) ||
	    unit_int(count, &n) == -1)
		return (-1);
	r->count = (uint64_t)n;
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
		return (record_item(r, line));
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
	/* a rename line has more octets than a struct has pointers */
	r->item = xcalloc(n / sizeof("rename v d ") + 1, sizeof(*r->item));
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
	free(r->text);
	*r = (struct record) { 0 };
}

/* The renames; then they are durable. One that fails stops no other. */
static int
record_renames(struct spool *sp, const struct record *r, struct verr *err)
{
	bool each = r->n <= PUBLISH_FSYNC_MAX;
	struct verr why = VERR_INIT;
	struct publish p;
	size_t i;
	int rc = 0;

	publish_init(&p, sp);
	for (i = 0; i < r->n; i++) {
		if (publish_vmta(&p, r->item[i].vmta, each, &why) != -1 &&
		    publish_batch(&p, r->item[i].domain, r->item[i].name, each,
			&why) != -1)
			continue;
		if (rc == 0 && err != NULL)
			*err = why;
		rc = -1;
	}
	publish_end(&p);
	if (rc == 0 && !each && sp->sys->syncfs(sp->sys, sp->fd) == -1)
		rc = verr_sys(err, "sync spool");
	return (rc);
}

int
record_forward(struct spool *sp, const struct record *r, const char *name,
    struct verr *err)
{
	if (record_renames(sp, r, err) == -1)
		return (-1);
	if (r->hash != NULL &&
	    spool_submit_put(sp, r->hash, r->count, r->msgid, err) == -1)
		return (-1);
	if (sp->sys->unlinkat(sp->sys, sp->commit_fd, name, 0) == -1 &&
	    errno != ENOENT)
		return (verr_sys(err, "remove commit/%s", name));
	return (0);
}
