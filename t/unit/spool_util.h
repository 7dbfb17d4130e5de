/* What the tests of lib/spool share: a scratch spool, commits, faults. */
#ifndef VMTA_T_SPOOL_UTIL_H
#define VMTA_T_SPOOL_UTIL_H

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "spool/batch.h"
#include "spool/check.h"
#include "spool/commit.h"
#include "spool/control.h"
#include "spool/counter.h"
#include "spool/list.h"
#include "spool/owner.h"
#include "spool/spool.h"
#include "spool/state.h"
#include "spool/submit.h"
#include "spool/trigger.h"

#define T_NOW INT64_C(1795470845) /* 2026-11-23 21:54:05 */

#define assert_ok(call) t_ok((call), &t_err, #call, __LINE__)

static struct verr t_err;
static char t_dir[256];

static inline void
t_ok(int rc, const struct verr *err, const char *what, int line)
{
	if (rc != 0)
		fail_msg("line %d: %s = %d: %s", line, what, rc, err->text);
}

static inline int
t_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

/* Remove a tree. */
static inline void
t_remove(const char *path)
{
	(void)nftw(path, t_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A scratch directory of this program in t_dir. */
static inline int
t_begin(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)umask(077);
	(void)snprintf(t_dir, sizeof(t_dir), "%s/vmta-spool-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	return (mkdtemp(t_dir) != NULL ? 0 : -1);
}

static inline int
t_end(void **state)
{
	(void)state;
	t_remove(t_dir);
	return (0);
}

/* An empty spool, with this table. */
static inline struct spool *
t_spool(struct sys *sys)
{
	char path[300];
	struct spool *sp;

	(void)snprintf(path, sizeof(path), "%s/spool", t_dir);
	t_remove(path);
	assert_ok(spool_open(sys, path, &sp, &t_err));
	return (sp);
}

/*
 * A table that counts spool calls and does something at one of them. Time
 * stands still, and syncs are not done: a killed process loses nothing.
 */
enum t_fault { T_COUNT, T_KILL, T_KILL_HALF, T_ERROR };

struct t_sys {
	struct sys sys;
	enum t_fault fault;
	long at; /* at this call */
	int error;
	long n;
	long syncs;
	char kind[4096]; /* of the calls: o open, w write, s sync, x other */
};

static struct sys t_real;

static inline int64_t
t_wall(struct sys *s)
{
	(void)s;
	return (T_NOW * 1000000);
}

/* Before a call: shall it fail? */
static inline bool
t_before(struct sys *s, char kind)
{
	struct t_sys *t = (struct t_sys *)(void *)s;

	if (t->n < (long)sizeof(t->kind))
		t->kind[t->n] = kind;
	t->n++;
	if (t->fault != T_ERROR || t->n != t->at)
		return (false);
	errno = t->error;
	return (true);
}

/* After a call: shall we die? */
static inline void
t_after(struct sys *s)
{
	struct t_sys *t = (struct t_sys *)(void *)s;

	if ((t->fault == T_KILL || t->fault == T_KILL_HALF) && t->n == t->at)
		_exit(99);
}

/* What of n octets a writing call gets. */
static inline size_t
t_part(struct sys *s, size_t n)
{
	struct t_sys *t = (struct t_sys *)(void *)s;

	return (t->fault == T_KILL_HALF && t->n == t->at ? n / 2 : n);
}

#define T_CALL(kind, type, name, params, call) \
	static inline type t_##name params     \
	{                                      \
		type rc;                       \
		int saved;                     \
                                               \
		if (t_before(s, kind))         \
			return (-1);           \
		rc = call;                     \
		saved = errno;                 \
		t_after(s);                    \
		errno = saved;                 \
		return (rc);                   \
	}

T_CALL('o', int, openat,
    (struct sys * s, int d, const char *p, int f, mode_t m),
    t_real.openat(&t_real, d, p, f, m))
T_CALL('w', ssize_t, write, (struct sys * s, int fd, const void *p, size_t n),
    t_real.write(&t_real, fd, p, t_part(s, n)))
T_CALL('w', ssize_t, pwrite,
    (struct sys * s, int fd, const void *p, size_t n, off_t o),
    t_real.pwrite(&t_real, fd, p, t_part(s, n), o))
T_CALL('x', ssize_t, pread,
    (struct sys * s, int fd, void *p, size_t n, off_t o),
    t_real.pread(&t_real, fd, p, n, o))
T_CALL('x', int, renameat,
    (struct sys * s, int a, const char *o, int b, const char *n),
    t_real.renameat(&t_real, a, o, b, n))
T_CALL('x', int, rename_new,
    (struct sys * s, int a, const char *o, int b, const char *n),
    t_real.rename_new(&t_real, a, o, b, n))
T_CALL('x', int, linkat,
    (struct sys * s, int a, const char *o, int b, const char *n),
    t_real.linkat(&t_real, a, o, b, n))
T_CALL('x', int, unlinkat, (struct sys * s, int d, const char *p, int f),
    t_real.unlinkat(&t_real, d, p, f))
T_CALL('x', int, mkdirat, (struct sys * s, int d, const char *p, mode_t m),
    t_real.mkdirat(&t_real, d, p, m))
T_CALL('x', int, fchmod, (struct sys * s, int fd, mode_t m),
    t_real.fchmod(&t_real, fd, m))
T_CALL('x', int, ftruncate, (struct sys * s, int fd, off_t n),
    t_real.ftruncate(&t_real, fd, n))
T_CALL('x', int, fallocate, (struct sys * s, int fd, int m, off_t o, off_t n),
    t_real.fallocate(&t_real, fd, m, o, n))

/* A failing close closes all the same. */
static inline int
t_close(struct sys *s, int fd)
{
	int rc = t_real.close(&t_real, fd);

	if (t_before(s, 'x'))
		return (-1);
	t_after(s);
	return (rc);
}

static inline int
t_sync(struct sys *s, int fd)
{
	(void)fd;
	if (t_before(s, 's'))
		return (-1);
	((struct t_sys *)(void *)s)->syncs++;
	t_after(s);
	return (0);
}

static inline void
t_sys_init(struct t_sys *t, enum t_fault fault, long at, int error)
{
	sys_init(&t_real);
	memset(t, 0, sizeof(*t));
	sys_init(&t->sys);
	t->fault = fault;
	t->at = at;
	t->error = error;
	t->sys.wall = t_wall;
	t->sys.openat = t_openat;
	t->sys.close = t_close;
	t->sys.write = t_write;
	t->sys.pwrite = t_pwrite;
	t->sys.pread = t_pread;
	t->sys.fsync = t_sync;
	t->sys.fdatasync = t_sync;
	t->sys.syncfs = t_sync;
	t->sys.renameat = t_renameat;
	t->sys.rename_new = t_rename_new;
	t->sys.linkat = t_linkat;
	t->sys.unlinkat = t_unlinkat;
	t->sys.mkdirat = t_mkdirat;
	t->sys.fchmod = t_fchmod;
	t->sys.ftruncate = t_ftruncate;
	t->sys.fallocate = t_fallocate;
}

static inline struct commit_key
t_key(const char *vmta, const char *domain)
{
	return ((struct commit_key) { .vmta = vmta,
	    .domain = domain,
	    .job = "weekly",
	    .source = "user:me",
	    .source_type = "api",
	    .source_mta = "localhost",
	    .prio = 50 });
}

static inline struct commit_msg
t_msg(const char *msgid, size_t content)
{
	return ((struct commit_msg) { .msgid = msgid,
	    .content = content,
	    .longest = 70,
	    .ret = '-',
	    .sender = "me@example.net" });
}

/* Add one recipient `user@domain` of a new message with these octets. */
static inline void
t_add(struct commit *c, const char *vmta, const char *domain, size_t content,
    const char *msgid, uint32_t index)
{
	struct commit_key key = t_key(vmta, domain);
	struct commit_msg msg = t_msg(msgid, content);
	struct commit_rcpt rcpt = { .index = index };
	char addr[300];

	(void)snprintf(addr, sizeof(addr), "user%u@%s", (unsigned)index,
	    domain);
	rcpt.rcpt = addr;
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
}

/* What a walk over all batches in new and cur finds. */
struct t_seen {
	struct spool *sp;
	const char *vmta;
	enum batch_area area;
	const char *domain;
	unsigned int batches, rcpts, open;
	char last_vmta[80], last_domain[260], last_file[BATCH_NAME_MAX];
	enum batch_area last_area;
};

static inline int
t_see_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct t_seen *s = arg;
	struct batch *b;

	assert_non_null(n);
	assert_ok(batch_open(s->sp, s->vmta, s->area, s->domain, file, false,
	    &b, &t_err));
	s->batches++;
	s->rcpts += batch_slots(b);
	s->open += batch_open_count(b);
	(void)snprintf(s->last_vmta, sizeof(s->last_vmta), "%s", s->vmta);
	(void)snprintf(s->last_domain, sizeof(s->last_domain), "%s", s->domain);
	(void)snprintf(s->last_file, sizeof(s->last_file), "%s", file);
	s->last_area = s->area;
	batch_close(b);
	return (0);
}

static inline int
t_see_domain(void *arg, const char *domain, bool foreign)
{
	struct t_seen *s = arg;

	assert_false(foreign);
	s->domain = domain;
	return (spool_batches(s->sp, s->vmta, s->area, domain, t_see_batch, s,
	    &t_err));
}

static inline int
t_see_vmta(void *arg, const char *vmta, bool foreign)
{
	struct t_seen *s = arg;

	assert_false(foreign);
	s->vmta = vmta;
	s->area = BATCH_NEW;
	if (spool_domains(s->sp, vmta, BATCH_NEW, t_see_domain, s, &t_err) ==
	    -1)
		return (-1);
	s->area = BATCH_CUR;
	return (spool_domains(s->sp, vmta, BATCH_CUR, t_see_domain, s, &t_err));
}

static inline struct t_seen
t_see(struct spool *sp)
{
	struct t_seen s = { .sp = sp };

	assert_ok(spool_vmtas(sp, t_see_vmta, &s, &t_err));
	return (s);
}

/* Open the batch that was seen last. */
static inline struct batch *
t_open(struct spool *sp, const struct t_seen *s)
{
	struct batch *b;

	assert_ok(batch_open(sp, s->last_vmta, s->last_area, s->last_domain,
	    s->last_file, true, &b, &t_err));
	return (b);
}

static inline void
t_finding(void *arg, const struct spool_finding *f)
{
	(void)arg;
	print_message("# finding: %s: %s\n", f->path, f->what);
}

/* A check finds nothing. */
static inline void
t_clean(struct spool *sp)
{
	struct spool_tally tally;

	assert_ok(spool_check(sp, false, t_finding, NULL, &tally, &t_err));
	assert_int_equal(tally.findings, 0);
}

static inline int
t_count_name(void *arg, const char *name)
{
	(void)name;
	++*(unsigned int *)arg;
	return (0);
}

/* Names in a directory of the spool. */
static inline unsigned int
t_count(struct spool *sp, int dfd)
{
	unsigned int n = 0;

	assert_ok(spool_walk(sp, dfd, t_count_name, &n, &t_err));
	return (n);
}

/* Descriptors that are open. */
static inline unsigned int
t_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return (n);
}

#endif
