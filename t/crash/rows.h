/*
 * Rows of the table "All legal states, and what a crash leaves" of DESIGN,
 * and how they are walked: a child does one thing and is killed after its
 * first system call on the spool, then a new one after its second, and so on
 * to the end (also in the middle of each write). After each the parent
 * recovers, and what was promised must hold. Then the same with calls that
 * fail, and with a list of what is not synced. No clock is read.
 */
#ifndef VMTA_T_CRASH_ROWS_H
#define VMTA_T_CRASH_ROWS_H

#include "../unit/spool_util.h"

/* One row: prepare (may be NULL), act as the child, judge in the parent. */
struct row {
	const char *name;
	void (*prepare)(struct spool *sp);
	int (*act)(struct spool *sp);
	/* acked: act returned 0 */
	void (*judge)(struct spool *sp, bool acked);
	unsigned int rcpts;    /* that it commits */
	bool commit;	       /* what is durable when it returns matters */
	unsigned int barriers; /* commit points, removals of records, the end */
};

static const struct row *row;

/* A spool as the row wants it, closed again. */
static inline void
row_prepare(void)
{
	struct t_sys plain;
	struct spool *sp;

	t_sys_init(&plain, T_COUNT, 0, 0);
	sp = t_spool(&plain.sys);
	if (row->prepare != NULL)
		row->prepare(sp);
	spool_close(sp);
}

/* Open it again. */
static inline struct spool *
row_open(struct sys *sys)
{
	char path[300];
	struct spool *sp;

	(void)snprintf(path, sizeof(path), "%s/spool", t_dir);
	assert_ok(spool_open(sys, path, &sp, &t_err));
	return (sp);
}

/* The child: 0 acknowledged, 99 killed; the calls it made without a fault. */
static inline int
row_child(enum t_fault fault, long at)
{
	struct t_sys t;
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct spool *sp;

		t_sys_init(&t, T_COUNT, 0, 0);
		sp = row_open(&t.sys);
		t.n = 0;
		t.fault = fault;
		t.at = at;
		_exit(row->act(sp) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

/* What the next run does first, and what must hold then. */
static inline void
row_judge(bool acked)
{
	struct t_sys plain;
	struct spool *sp;

	t_sys_init(&plain, T_COUNT, 0, 0);
	sp = row_open(&plain.sys);
	assert_ok(commit_sweep(sp, &t_err));
	row->judge(sp, acked);
	t_clean(sp);
	spool_close(sp);
}

/* The calls of a row that nothing befalls: their kinds, how many. */
static struct t_sys calls;
static long last;

static inline void
row_count(void)
{
	struct spool *sp;

	row_prepare();
	t_sys_init(&calls, T_COUNT, 0, 0);
	sp = row_open(&calls.sys);
	calls.n = 0;
	assert_int_equal(row->act(sp), 0);
	assert_in_range(calls.n, 5, sizeof(calls.kind));
	last = calls.n;
	spool_close(sp);
}

/* Kill it after each call, or in the middle of each write. */
static inline void
row_kill(enum t_fault fault)
{
	long at;

	row_count();
	for (at = 1; at <= last; at++) {
		if (fault == T_KILL_HALF && calls.kind[at - 1] != 'w')
			continue;
		row_prepare();
		assert_int_equal(row_child(fault, at), 99);
		row_judge(false);
	}
	row_prepare();
	assert_int_equal(row_child(T_COUNT, 0), 0);
	row_judge(true);
}

static inline void
test_kill(void **state)
{
	row = *state;
	row_kill(T_KILL);
}

static inline void
test_kill_half(void **state)
{
	row = *state;
	row_kill(T_KILL_HALF);
}

/* One call fails. */
static inline void
row_error(int error, long at)
{
	unsigned int fds;
	struct spool *sp;
	struct t_sys t;
	int rc;

	row_prepare();
	t_sys_init(&t, T_COUNT, 0, 0);
	fds = t_fds();
	sp = row_open(&t.sys);
	t.n = 0;
	t.at = at;
	t.error = error;
	t.fault = T_ERROR;
	t_err = (struct verr)VERR_INIT;
	rc = row->act(sp);
	t.fault = T_COUNT;
	if (rc != 0) {
		assert_int_equal(t_err.code, verr_code(error));
		assert_true(t_err.text[0] != '\0');
	}
	/* without a sweep: nothing that failed is, or becomes, visible */
	if (row->prepare == NULL) {
		assert_ok(commit_recover(sp, NULL, NULL, &t_err));
		assert_int_equal(t_see(sp).rcpts, rc == 0 ? row->rcpts : 0);
	}
	spool_close(sp);
	assert_int_equal(t_fds(), fds); /* but for what a spool keeps open */
	row_judge(rc == 0);
}

static inline void
test_error(void **state)
{
	long at;
	char kind;

	row = *state;
	row_count();
	for (at = 1; at <= last; at++) {
		kind = calls.kind[at - 1];
		row_error(kind == 'o' ? EMFILE :
			kind == 's'   ? EIO :
					ENOSPC,
		    at);
		if (kind == 'w')
			row_error(EIO, at);
	}
}

/*
 * Order, for power failures: what was written or named and not yet synced is
 * in the list; at each commit point, and when a record is removed, nothing
 * may be in it that the spool would miss. (Syncs are not done here.)
 */
struct dirty {
	ino_t ino;
	char path[600];
};

static struct dirty dirty[256];
static bool rows_order; /* it is what is looked at just now */
static size_t n_dirty;
static unsigned int barriers;

static inline void
dirty_add(int fd)
{
	char link[64], path[600] = "";
	struct stat st;
	size_t i;

	assert_int_equal(fstat(fd, &st), 0);
	for (i = 0; i < n_dirty; i++)
		if (dirty[i].ino == st.st_ino)
			return;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(readlink(link, path, sizeof(path) - 1) > 0);
	assert_true(n_dirty < sizeof(dirty) / sizeof(dirty[0]));
	dirty[n_dirty].ino = st.st_ino;
	memcpy(dirty[n_dirty++].path, path, sizeof(path));
}

static inline void
dirty_clean(int fd)
{
	struct stat st;
	size_t i;

	assert_int_equal(fstat(fd, &st), 0);
	for (i = 0; i < n_dirty; i++)
		if (dirty[i].ino == st.st_ino)
			dirty[i--] = dirty[--n_dirty];
}

/* Only what may be lost is dirty: by the ends of its paths. */
static inline void
dirty_barrier(const char *what, const char *const *may)
{
	const char *p;
	size_t i, j, n;

	barriers++;
	for (i = 0; i < n_dirty; i++) {
		p = dirty[i].path;
		for (j = 0; may[j] != NULL; j++) {
			n = strlen(may[j]);
			if (strlen(p) >= n &&
			    strcmp(p + strlen(p) - n, may[j]) == 0)
				break;
		}
		if (may[j] == NULL)
			fail_msg("%s: %s: %s is not synced", row->name, what,
			    p);
	}
}

static inline int
order_openat(struct sys *s, int dfd, const char *path, int flags, mode_t mode)
{
	struct stat st;
	bool there = fstatat(dfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;

	(void)s;
	if ((flags & O_CREAT) != 0 && !there)
		dirty_add(dfd);
	return (t_real.openat(&t_real, dfd, path, flags, mode));
}

static ssize_t
order_write(struct sys *s, int fd, const void *p, size_t n)
{
	(void)s;
	dirty_add(fd);
	return (t_real.write(&t_real, fd, p, n));
}

static ssize_t
order_pwrite(struct sys *s, int fd, const void *p, size_t n, off_t off)
{
	(void)s;
	dirty_add(fd);
	return (t_real.pwrite(&t_real, fd, p, n, off));
}

static inline int
order_fsync(struct sys *s, int fd)
{
	(void)s;
	dirty_clean(fd);
	return (0);
}

static inline int
order_syncfs(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	n_dirty = 0;
	return (0);
}

static inline int
order_renameat(struct sys *s, int ofd, const char *o, int nfd, const char *n)
{
	static const char *const may[] = { "/commit", NULL };
	int fd = openat(ofd, o, O_RDONLY);

	(void)s;
	if (fd != -1) {
		struct stat st;
		size_t i;

		/* a file gets its name only when its octets are safe */
		assert_int_equal(fstat(fd, &st), 0);
		for (i = 0; i < n_dirty; i++)
			assert_true(dirty[i].ino != st.st_ino);
		(void)close(fd);
	}
	if (o[0] == '.' && id_valid(n) && strcmp(o + 1, n) == 0)
		dirty_barrier("commit point", may);
	dirty_add(ofd);
	dirty_add(nfd);
	return (t_real.renameat(&t_real, ofd, o, nfd, n));
}

static inline int
order_linkat(struct sys *s, int ofd, const char *o, int nfd, const char *n)
{
	(void)s;
	dirty_add(nfd);
	return (t_real.linkat(&t_real, ofd, o, nfd, n));
}

static inline int
order_unlinkat(struct sys *s, int dfd, const char *path, int flags)
{
	static const char *const may[] = { "/tmp", NULL };

	(void)s;
	if (id_valid(path))
		dirty_barrier("removal of the record", may);
	dirty_add(dfd);
	return (t_real.unlinkat(&t_real, dfd, path, flags));
}

static inline int
order_mkdirat(struct sys *s, int dfd, const char *path, mode_t mode)
{
	int rc = t_real.mkdirat(&t_real, dfd, path, mode);

	(void)s;
	if (rc == 0)
		dirty_add(dfd);
	return (rc);
}

static inline void
test_order(void **state)
{
	static const char *const may[] = { "/commit", "/tmp", "/trigger",
		"/spool", NULL };
	struct spool *sp;
	struct t_sys t;

	row = *state;
	row_prepare();
	t_sys_init(&t, T_COUNT, 0, 0);
	sp = row_open(&t.sys);
	t.sys.openat = order_openat;
	t.sys.write = order_write;
	t.sys.pwrite = order_pwrite;
	t.sys.fsync = order_fsync;
	t.sys.fdatasync = order_fsync;
	t.sys.syncfs = order_syncfs;
	t.sys.renameat = order_renameat;
	t.sys.linkat = order_linkat;
	t.sys.unlinkat = order_unlinkat;
	t.sys.mkdirat = order_mkdirat;
	n_dirty = 0;
	barriers = 0;
	rows_order = true;
	assert_int_equal(row->act(sp), 0);
	rows_order = false;
	dirty_barrier("end", may);
	assert_int_equal(barriers, row->barriers);
	spool_close(sp);
}

/* All rows, in each way that fits, and n_more other tests. */
static inline int
rows_run(const char *group, const struct row *rows, size_t n,
    const struct CMUnitTest *more, size_t n_more)
{
	static void (*const test[])(void **) = { test_kill, test_kill_half,
		test_error, test_order };
	static const char *const what[] = { "killed", "killed in a write",
		"failing", "order of syncs" };
	static struct CMUnitTest tests[64];
	static char names[64][64];
	size_t i, j, k = 0;
	union {
		const struct row *c;
		void *v;
	} arg;

	for (i = 0; i < n; i++) {
		for (j = 0; j < 4; j++) {
			/* an owner's other changes have the journal */
			if (j >= 2 && !rows[i].commit)
				continue;
			arg.c = &rows[i];
			(void)snprintf(names[k], sizeof(names[k]), "%s, %s",
			    rows[i].name, what[j]);
			tests[k] = (struct CMUnitTest) { .name = names[k],
				.test_func = test[j],
				.initial_state = arg.v };
			k++;
		}
	}
	for (i = 0; i < n_more; i++)
		tests[k++] = more[i];
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (_cmocka_run_group_tests(group, tests, k, t_begin, t_end));
}

#endif
