/*
 * The table "All legal states, and what a crash leaves" of DESIGN, walked: a
 * child does one thing and is killed after its first system call on the
 * spool, then a new one after its second, and so on to the end (also in the
 * middle of each write). After each the parent recovers, and what was
 * promised must hold. Then the same with calls that fail. No clock is read.
 */
#include "../unit/spool_util.h"

#define HASH "00112233445566778899aabbccddeeff"
#define BIG (140 * 1024)

static char big[BIG];

/* One row: prepare (may be NULL), act as the child, judge in the parent. */
struct row {
	const char *name;
	void (*prepare)(struct spool *sp);
	int (*act)(struct spool *sp);
	/* acked: act returned 0 */
	void (*judge)(struct spool *sp, bool acked);
	unsigned int rcpts; /* that it commits */
};

static const struct row *row;

/* n queues over two VirtualMTAs, one message each (or one for all). */
static int
act_commit(struct spool *sp, unsigned int n, bool shared, bool submit)
{
	struct commit *c = commit_new(sp);
	char domain[32];
	unsigned int i;
	size_t k = 0;
	struct id id;
	int rc;

	if (id_new(sp->sys, &id) == -1)
		return (-1);
	if (shared)
		k = commit_content(c, big, BIG);
	for (i = 0; i < n; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i / 2);
		if (!shared)
			k = commit_content(c, "Subject: x\r\n\r\nhello\r\n",
			    21);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s, i);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s,
		    i + 1000);
	}
	if (submit)
		commit_submit(c, HASH, 7, id.s);
	rc = commit_finish(c, &t_err);
	commit_free(c);
	return (rc);
}

static int
act_single(struct spool *sp)
{
	return (act_commit(sp, 1, false, false));
}

static int
act_multi(struct spool *sp)
{
	return (act_commit(sp, 4, false, false));
}

static int
act_many(struct spool *sp)
{
	return (act_commit(sp, 12, false, false));
}

static int
act_shared(struct spool *sp)
{
	return (act_commit(sp, 4, true, false));
}

static int
act_submit(struct spool *sp)
{
	return (act_commit(sp, 1, false, true));
}

/* A merge: version 2, a template; all of it at the end, or part by part. */
static int
act_merge_of(struct spool *sp, bool parts)
{
	const struct commit_merge merge = { .vars = NULL };
	struct commit *c = commit_new(sp);
	char domain[32];
	unsigned int i;
	struct id id;
	size_t k;
	int rc = 0;

	if (id_new(sp->sys, &id) == -1) {
		commit_free(c);
		return (verr_sys(&t_err, "no random numbers"));
	}
	k = commit_content(c, "Subject: [*to]\r\n\r\nx\r\n", 21);
	commit_merge(c, &merge);
	for (i = 0; i < 4 && rc == 0; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i / 2);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s, i);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s,
		    i + 1000);
		if (parts && i % 2 == 1)
			rc = commit_write(c, &t_err);
	}
	if (rc == 0)
		rc = commit_finish(c, &t_err);
	commit_free(c);
	return (rc);
}

static int
act_merge(struct spool *sp)
{
	return (act_merge_of(sp, false));
}

static int
act_write(struct spool *sp)
{
	return (act_merge_of(sp, true));
}

/* All or nothing; all of it when it was acknowledged. */
static void
judge_commit(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);

	if (acked || s.rcpts > 0)
		assert_int_equal(s.rcpts, row->rcpts);
	assert_int_equal(t_count(sp, sp->commit_fd), 0);
}

/* Submit record and batch say the same. */
static void
judge_submit(struct spool *sp, bool acked)
{
	char msgid[ID_LEN + 1];
	uint64_t count;

	judge_commit(sp, acked);
	assert_ok(spool_submit_lookup(sp, HASH, &count, msgid, &t_err));
	assert_int_equal(count, t_see(sp).rcpts > 0 ? 7 : 0);
}

static void
prepare_one(struct spool *sp)
{
	assert_int_equal(act_single(sp), 0);
}

/* One batch of shared content, to be finished; another stays. */
static void
prepare_shared(struct spool *sp)
{
	assert_int_equal(act_shared(sp), 0);
}

static int
act_defer(struct spool *sp)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	int rc;

	batch_set(b, 0, BATCH_DEFERRED, 1, T_NOW + 600, "127.0.0.1");
	batch_set(b, 1, BATCH_DEFERRED, 1, T_NOW + 900, "127.0.0.1");
	rc = batch_flush(b, &t_err);
	if (rc == 0)
		rc = batch_requeue(b, &t_err);
	batch_close(b);
	return (rc);
}

/* There once, never with a name that is too late (t_clean sees that). */
static void
judge_defer(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	struct batch_slot slot;

	assert_int_equal(s.batches, 1);
	assert_int_equal(s.open, 2);
	batch_slot(b, 0, &slot);
	if (acked) {
		assert_int_equal(s.last_area, BATCH_CUR);
		assert_int_equal(slot.next, T_NOW + 600);
		assert_int_equal(slot.state, BATCH_DEFERRED);
	} else {
		assert_non_null(strchr("-t", slot.state));
	}
	batch_close(b);
}

static int
act_finish(struct spool *sp)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	int rc;

	batch_set(b, 0, BATCH_DELIVERED, 1, T_NOW, "127.0.0.1");
	batch_set(b, 1, BATCH_BOUNCED, 1, T_NOW, "127.0.0.1");
	rc = batch_flush(b, &t_err);
	if (rc == 0)
		rc = batch_finish(b, &t_err);
	batch_close(b);
	return (rc);
}

/*
 * The other batches and their content are as before; the one is gone, or the
 * next run's replay (act_finish again) makes it so.
 */
static void
judge_finish(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);

	if (acked)
		assert_int_equal(s.batches, row->rcpts / 2 - 1);
	if (s.batches == row->rcpts / 2)
		assert_int_equal(act_finish(sp), 0);
	s = t_see(sp);
	assert_int_equal(s.batches, row->rcpts / 2 - 1);
	assert_int_equal(t_count(sp, sp->content_fd), s.batches);
}

/* One batch with 20 messages of 32 KiB. */
static void
prepare_space(struct spool *sp)
{
	struct commit *c = commit_new(sp);
	struct id id;
	uint32_t i;

	for (i = 0; i < 20; i++) {
		assert_int_equal(id_new(sp->sys, &id), 0);
		t_add(c, "news", "example.com",
		    commit_content(c, big, 32 * 1024), id.s, i);
	}
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
}

/* All but two are final: the rest is punched out. */
static int
act_space(struct spool *sp)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	uint32_t i;
	int rc;

	for (i = 0; i < batch_slots(b); i++)
		if (i != 3 && i != 17)
			batch_set(b, i, BATCH_DELIVERED, 1, T_NOW, NULL);
	rc = batch_flush(b, &t_err);
	if (rc == 0)
		rc = batch_space(b, &t_err);
	batch_close(b);
	return (rc);
}

/* t_clean reads the content of those that are open. */
static void
judge_space(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);

	assert_int_equal(s.batches, 1);
	if (acked)
		assert_int_equal(s.open, 2);
	assert_true(s.open >= 2);
}

static const struct row rows[] = {
	{ "one queue", NULL, act_single, judge_commit, 2 },
	{ "several queues", NULL, act_multi, judge_commit, 8 },
	{ "many queues", NULL, act_many, judge_commit, 24 },
	{ "shared content", NULL, act_shared, judge_commit, 8 },
	{ "submit id", NULL, act_submit, judge_submit, 2 },
	{ "merge", NULL, act_merge, judge_commit, 8 },
	{ "merge in parts", NULL, act_write, judge_commit, 8 },
	{ "deferral", prepare_one, act_defer, judge_defer, 2 },
	{ "finish", prepare_shared, act_finish, judge_finish, 8 },
	{ "space", prepare_space, act_space, judge_space, 20 },
};

/* A spool as the row wants it, closed again. */
static void
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
static struct spool *
row_open(struct sys *sys)
{
	char path[300];
	struct spool *sp;

	(void)snprintf(path, sizeof(path), "%s/spool", t_dir);
	assert_ok(spool_open(sys, path, &sp, &t_err));
	return (sp);
}

/* The child: 0 acknowledged, 99 killed; the calls it made without a fault. */
static int
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
static void
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

static void
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
static void
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

static void
test_kill(void **state)
{
	row = *state;
	row_kill(T_KILL);
}

static void
test_kill_half(void **state)
{
	row = *state;
	row_kill(T_KILL_HALF);
}

/* One call fails. */
static void
row_error(int error, long at)
{
	unsigned int fds;
	struct spool *sp;
	struct t_sys t;
	int rc;

	row_prepare();
	t_sys_init(&t, T_COUNT, 0, 0);
	sp = row_open(&t.sys);
	fds = t_fds();
	t.n = 0;
	t.at = at;
	t.error = error;
	t.fault = T_ERROR;
	t_err = (struct verr)VERR_INIT;
	rc = row->act(sp);
	t.fault = T_COUNT;
	assert_int_equal(t_fds(), fds);
	if (rc == -1) {
		assert_int_equal(t_err.code, verr_code(error));
		assert_true(t_err.text[0] != '\0');
	}
	/* without a sweep: nothing that failed is, or becomes, visible */
	assert_ok(commit_recover(sp, NULL, &t_err));
	assert_int_equal(t_see(sp).rcpts, rc == 0 ? row->rcpts : 0);
	spool_close(sp);
	row_judge(rc == 0);
}

static void
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
static size_t n_dirty;
static unsigned int barriers;

static void
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

static void
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
static void
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

static int
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

static int
order_fsync(struct sys *s, int fd)
{
	(void)s;
	dirty_clean(fd);
	return (0);
}

static int
order_syncfs(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	n_dirty = 0;
	return (0);
}

static int
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

static int
order_linkat(struct sys *s, int ofd, const char *o, int nfd, const char *n)
{
	(void)s;
	dirty_add(nfd);
	return (t_real.linkat(&t_real, ofd, o, nfd, n));
}

static int
order_unlinkat(struct sys *s, int dfd, const char *path, int flags)
{
	static const char *const may[] = { "/tmp", NULL };

	(void)s;
	if (id_valid(path))
		dirty_barrier("removal of the record", may);
	dirty_add(dfd);
	return (t_real.unlinkat(&t_real, dfd, path, flags));
}

static int
order_mkdirat(struct sys *s, int dfd, const char *path, mode_t mode)
{
	int rc = t_real.mkdirat(&t_real, dfd, path, mode);

	(void)s;
	if (rc == 0)
		dirty_add(dfd);
	return (rc);
}

static void
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
	assert_int_equal(row->act(sp), 0);
	dirty_barrier("end", may);
	assert_int_equal(barriers, row->act == act_single ? 1 : 3);
	spool_close(sp);
}

int
main(void)
{
	static void (*const test[])(void **) = { test_kill, test_kill_half,
		test_error, test_order };
	static const char *const what[] = { "killed", "killed in a write",
		"failing", "order of syncs" };
	struct CMUnitTest tests[4 * sizeof(rows) / sizeof(rows[0])];
	static char names[4 * sizeof(rows) / sizeof(rows[0])][64];
	size_t i, j, n = 0;
	union {
		const struct row *c;
		void *v;
	} arg;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (j = 0; j < 4; j++) {
			/* commits only: an owner's changes have the journal */
			if (j >= 2 && rows[i].prepare != NULL)
				continue;
			arg.c = &rows[i];
			(void)snprintf(names[n], sizeof(names[n]), "%s, %s",
			    rows[i].name, what[j]);
			tests[n] = (struct CMUnitTest) { .name = names[n],
				.test_func = test[j],
				.initial_state = arg.v };
			n++;
		}
	}
	memset(big, 'x', sizeof(big));
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (_cmocka_run_group_tests("spool crash", tests, n, t_begin,
	    t_end));
}
