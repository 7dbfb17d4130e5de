/*
 * Writing suppression lists (the format is in suplist.c). The lock is a flock
 * on the directory; the file is `.NAME.cdb`, synced, then renamed.
 *
 * A crash leaves the old list and `.NAME.cdb`, which the next one to make a
 * list of that name removes.
 */
#include <sys/file.h>
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "spool/spool.h"
#include "spool/suplist_int.h"
#include "spool/supmake.h"

struct supmake {
	struct sys *sys;
	int dfd;
	int fd; /* -1: nothing to remove */
	bool begun;
	struct cdb_make cdb;
	char file[SPOOL_VMTA_MAX + sizeof(SUPLIST_SUFFIX) + 1];
	uint64_t count[SUPLIST_KINDS];
	struct buf regex;
	uint64_t *seen; /* hashes of keys: a table, for the counts */
	size_t n_seen, cap_seen;
};

/* The directory, locked, and a new file in it. */
static int
make_open(struct supmake *m, struct spool *sp, struct verr *err)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

	if ((m->dfd = suplist_dir(sp, true, err)) == -1)
		return (-1);
	while (flock(m->dfd, LOCK_EX) == -1)
		if (errno != EINTR)
			return (verr_sys(err, "lock state/suppress"));
	if (m->sys->unlinkat(m->sys, m->dfd, m->file, 0) == -1 &&
	    errno != ENOENT)
		return (verr_sys(err, "remove state/suppress/%s", m->file));
	m->fd = m->sys->openat(m->sys, m->dfd, m->file, flags, 0600);
	if (m->fd == -1)
		return (verr_sys(err, "make state/suppress/%s", m->file));
	if (cdb_make_start(&m->cdb, m->fd) == -1)
		return (verr_sys(err, "write state/suppress/%s", m->file));
	m->begun = true;
	return (0);
}

int
supmake_new(struct spool *sp, const char *name, struct supmake **ret_m,
    struct verr *err)
{
	struct supmake *m;

	if (!spool_vmta_valid(name))
		return (verr_set(err, VEX_DATA,
		    "bad name of a suppression list"));
	m = xcalloc(1, sizeof(*m));
	m->sys = sp->sys;
	m->dfd = m->fd = -1;
	(void)snprintf(m->file, sizeof(m->file), ".%s" SUPLIST_SUFFIX, name);
	if (make_open(m, sp, err) == -1) {
		supmake_free(m);
		return (-1);
	}
	*ret_m = m;
	return (0);
}

/* Free what tinycdb keeps, which only its end does. */
static void
make_end(struct supmake *m)
{
	if (!m->begun)
		return;
	m->begun = false;
	(void)cdb_make_finish(&m->cdb);
}

void
supmake_free(struct supmake *m)
{
	if (m == NULL)
		return;
	make_end(m);
	if (m->fd != -1) {
		(void)m->sys->close(m->sys, m->fd);
		(void)m->sys->unlinkat(m->sys, m->dfd, m->file, 0);
	}
	if (m->dfd != -1)
		(void)m->sys->close(m->sys, m->dfd);
	buf_release(&m->regex);
	free(m->seen);
	free(m);
}

/* One record. */
static int
make_put(struct supmake *m, const char *key, size_t n, const char *p,
    size_t len, struct verr *err)
{
	/* beyond its 32 bits tinycdb says so by ENOMEM */
	if (cdb_make_add(&m->cdb, key, (unsigned int)n, p, (unsigned int)len) ==
	    0)
		return (0);
	if (errno == ENOMEM)
		return (verr_set(err, VEX_DATA,
		    "more than a list of 4 GiB can hold"));
	return (verr_sys(err, "write state/suppress/%s", m->file));
}

/* Put a hash (not 0) into the table. Was it there? */
static bool
seen_put(uint64_t *table, size_t cap, uint64_t hash)
{
	size_t i = (size_t)hash & (cap - 1);

	for (; table[i] != 0; i = (i + 1) & (cap - 1))
		if (table[i] == hash)
			return (true);
	table[i] = hash;
	return (false);
}

/* Was an entry with this key's hash added before? */
static bool
make_seen(struct supmake *m, const char *key, size_t n)
{
	uint64_t *old = m->seen, hash = map_hash(key, n);
	size_t i, cap = m->cap_seen;

	if (m->n_seen * 2 >= cap) {
		m->cap_seen = cap > 0 ? cap * 2 : 1024;
		m->seen = xcalloc(m->cap_seen, sizeof(*m->seen));
		for (i = 0; i < cap; i++)
			if (old[i] != 0)
				(void)seen_put(m->seen, m->cap_seen, old[i]);
		free(old);
	}
	if (seen_put(m->seen, m->cap_seen, hash != 0 ? hash : 1))
		return (true);
	m->n_seen++;
	return (false);
}

int
supmake_add(struct supmake *m, const char *key, size_t n, struct verr *err)
{
	enum suplist_kind kind = suplist_kind(key);

	bool again = make_seen(m, key, n);

	if (kind == SUPLIST_REGEX && !again) {
		if (m->count[kind] == SUPLIST_REGEX_MAX)
			return (verr_set(err, VEX_DATA,
			    "more than %d expressions", SUPLIST_REGEX_MAX));
		buf_add(&m->regex, key + 1, n - 1);
		buf_addc(&m->regex, '\0');
	}
	/* two may have one hash: it is put there twice rather than never */
	if (make_put(m, key, n, "", 0, err) == -1)
		return (-1);
	m->count[kind] += !again;
	return (0);
}

uint64_t
supmake_count(const struct supmake *m)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < SUPLIST_KINDS; i++)
		n += m->count[i];
	return (n);
}

/* The last records, the index, the last line: all of it on the disk. */
static int
make_seal(struct supmake *m, struct verr *err)
{
	struct buf head = BUF_INIT;
	char end[SUPLIST_END_LEN + 1];
	off_t size;
	size_t i;
	int rc;

	buf_addf(&head, SUPLIST_HEAD "%d", SUPLIST_VERSION);
	for (i = 0; i < SUPLIST_KINDS; i++)
		buf_addf(&head, " %" PRIu64, m->count[i]);
	rc = make_put(m, "M", 1, head.p, head.len, err);
	if (rc == 0 && m->regex.len > 0)
		rc = make_put(m, "R", 1, m->regex.p, m->regex.len, err);
	buf_release(&head);
	if (rc == -1)
		return (-1);
	m->begun = false;
	if (cdb_make_finish(&m->cdb) == -1) {
		if (errno == ENOMEM)
			return (verr_set(err, VEX_DATA,
			    "more than a list of 4 GiB can hold"));
		return (verr_sys(err, "write state/suppress/%s", m->file));
	}
	size = lseek(m->fd, 0, SEEK_END);
	if (size == -1)
		return (verr_sys(err, "seek in state/suppress/%s", m->file));
	(void)snprintf(end, sizeof(end), SUPLIST_END,
	    (uint64_t)size + SUPLIST_END_LEN);
	if (sys_write_all(m->sys, m->fd, end, SUPLIST_END_LEN) == -1)
		return (verr_sys(err, "write state/suppress/%s", m->file));
	if (m->sys->fsync(m->sys, m->fd) == -1)
		return (verr_sys(err, "sync state/suppress/%s", m->file));
	return (0);
}

int
supmake_finish(struct supmake *m, struct verr *err)
{
	if (make_seal(m, err) == -1)
		return (-1);
	if (m->sys->renameat(m->sys, m->dfd, m->file, m->dfd, m->file + 1) ==
	    -1)
		return (verr_sys(err, "rename state/suppress/%s", m->file));
	(void)m->sys->close(m->sys, m->fd);
	m->fd = -1;
	if (m->sys->fsync(m->sys, m->dfd) == -1)
		return (verr_sys(err, "sync state/suppress"));
	return (0);
}
