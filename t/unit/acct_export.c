/* acct/export: each record once in each file, whatever happens. */
#include "acct_util.h"
#include "acct/export.h"
#include "acct/export_state.h"
#include <time.h>

#define NOW INT64_C(1795470845) /* 2026-11-23 21:54:05 */

static void
append(struct journal *j, const char *type, unsigned int n)
{
	char id[40];
	struct acct_record r = { .type = type,
		.msg_id = id,
		.rcpt_index = n,
		.time_logged = NOW,
		.rcpt = "a@b",
		.queue = "b/v",
		.batch = "1lp6jv7m0d3k8q2r5t1ua",
		.state = 'd',
		.slot = n,
		.attempts = 1,
		.dsn_diag = "250 ok\r\n\\ \"fine\"" };

	(void)snprintf(id, sizeof(id), "1lp6jv7m0d3k8q2r%05u", n % 100000);
	(void)journal_append(j, &r);
}

/* A path in the place's directory; good until the next call. */
static const char *
in(const struct place *p, const char *tail)
{
	static char path[400];

	(void)snprintf(path, sizeof(path), "%s%s", p->dir, tail);
	return (path);
}

/* Records first to last-1 in a segment of their own, retired. */
static void
segment(struct place *p, unsigned int first, unsigned int last)
{
	struct verr err = VERR_INIT;
	struct journal *j = journal_open(&p->sp, p->owner, &err);
	uint64_t durable;

	assert_non_null(j);
	for (; first < last; first++)
		append(j, "d", first);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	assert_int_equal(journal_close(j, &err), 0);
}

/* An acct-file in directory p->dir, and the job for it. */
struct setup {
	struct acct_file file[2];
	char path[2][300], done[300];
	struct export_job job;
};

static void
setup_init(struct setup *s, struct place *p)
{
	int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < 2; i++) {
		(void)snprintf(s->path[i], sizeof(s->path[i]), "%s/log%d/a.csv",
		    p->dir, i);
		s->file[i].path = s->path[i];
	}
	(void)snprintf(s->done, sizeof(s->done), "%s/log0/done", p->dir);
	s->job = (struct export_job) { .sp = &p->sp,
		.file = s->file,
		.n_files = 1,
		.now = NOW,
		.journal_keep = INT64_C(8) * 86400 * 1000 };
}

static int
run(struct setup *s)
{
	struct verr err = VERR_INIT;
	int rc = export_run(&s->job, NULL, &err);

	assert_true(rc == 0 || err.text[0] != '\0');
	return (rc);
}

/* How often each rcptIndex is in the files of a directory. */
static unsigned char count[65536];
static unsigned int n_files, n_rows, n_twice;

static int
count_file(int dfd, const char *name)
{
	struct buf b = BUF_INIT;
	struct record_map m;
	struct acct_record r;
	char *line, *rest;

	assert_int_equal(file_read(sys_real(), dfd, name, 1u << 30, &b, NULL),
	    0);
	rest = b.p;
	line = strsep(&rest, "\n");
	if (rest == NULL) {
		assert_int_equal(b.len, 0);
		buf_release(&b);
		return (0);
	}
	assert_int_equal(record_map_read(&m, line, strlen(line) - 1, NULL), 0);
	assert_int_equal(m.n, COL_PUBLIC_N);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		assert_int_equal(record_parse(&m, line, strlen(line) - 1, &r),
		    0);
		assert_string_equal(r.dsn_diag,
		    "smtp;250 ok\\x0d\\x0a\\\\ \"fine\"");
		n_twice += count[r.rcpt_index]++ > 0;
		n_rows++;
	}
	assert_non_null(line); /* ends with a line end */
	buf_release(&b);
	return (1);
}

/* Count what is in a directory, and in `done` below it. */
static void
count_dir(const char *dir, bool first)
{
	char sub[400];
	struct dirent *e;
	DIR *d;

	if (first) {
		memset(count, 0, sizeof(count));
		n_files = n_rows = n_twice = 0;
	}
	if ((d = opendir(dir)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "a-2026-", 7) == 0)
			n_files += (unsigned int)count_file(dirfd(d),
			    e->d_name);
	(void)closedir(d);
	if (first) {
		(void)snprintf(sub, sizeof(sub), "%s/done", dir);
		count_dir(sub, false);
	}
}

static void
check(struct place *p, int which, unsigned int rows)
{
	char dir[300];
	unsigned int i;

	(void)snprintf(dir, sizeof(dir), "%s/log%d", p->dir, which);
	count_dir(dir, true);
	assert_int_equal(n_twice, 0);
	assert_int_equal(n_rows, rows);
	for (i = 0; i < rows; i++)
		assert_int_equal(count[i], 1);
}

static void
test_simple(void **state)
{
	struct place p;
	struct setup s;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	assert_int_equal(run(&s), 0); /* nothing there, no file made */
	check(&p, 0, 0);
	assert_int_equal(n_files, 0);
	segment(&p, 0, 10);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 10);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 10);
	segment(&p, 10, 20);
	segment(&p, 20, 30);
	assert_int_equal(run(&s), 0);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 30);
	assert_int_equal(n_files, 1);
	/* Newly configured: all that the journal has. */
	s.job.n_files = 2;
	assert_int_equal(run(&s), 0);
	check(&p, 1, 30);
	check(&p, 0, 30);
	place_release(&p);
}

/* Types that are asked for, and the user string. */
static void
test_filter(void **state)
{
	static const char *const types[] = { "d", "b", "t", "tq", "r" };
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct journal *j;
	struct place p;
	struct setup s;
	uint64_t durable;
	int i;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	j = journal_open(&p.sp, p.owner, &err);
	for (i = 0; i < 5; i++)
		append(j, types[i], (unsigned int)i);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	assert_int_equal(journal_close(j, &err), 0);
	s.file[0].records = 0; /* d and b */
	s.file[1].records = RECORD_T | RECORD_TQ | RECORD_R;
	s.file[1].user_string = "me, \"myself\"\n";
	s.file[1].world_readable = true;
	s.job.n_files = 2;
	assert_int_equal(run(&s), 0);
	check(&p, 0, 2);
	count_dir(in(&p, "/log1"), true);
	assert_int_equal(n_rows, 3);
	assert_int_equal(file_read(sys_real(), AT_FDCWD,
			     in(&p, "/log1/a-2026-11-23-0001.csv"), 1u << 20,
			     &b, &err),
	    0);
	assert_non_null(strstr(b.p, ",\"me, \"\"myself\"\"\\x0a\","));
	assert_null(strstr(b.p, "batch,"));
	buf_release(&b);
	place_release(&p);
}

/* Our own live segment, as far as it is durable; not that of others. */
static void
test_live(void **state)
{
	struct verr err = VERR_INIT;
	struct journal *j, *other;
	struct owner *o;
	struct place p;
	struct setup s;
	uint64_t durable;
	unsigned int i;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	assert_int_equal(owner_open(&p.sp, &o, &err), 0);
	other = journal_open(&p.sp, o, &err);
	for (i = 100; i < 105; i++)
		append(other, "d", i);
	assert_int_equal(journal_sync(other, &durable, &err), 0);
	j = journal_open(&p.sp, p.owner, &err);
	for (i = 0; i < 10; i++) {
		append(j, "d", i);
		assert_int_equal(journal_sync(j, &durable, &err), 0);
		s.job.live_id = journal_id(j);
		s.job.live_size = journal_size(j);
		if (i % 3 == 0)
			continue;
		/* Octets beyond the durable ones are not read. */
		append(j, "d", i + 1);
		assert_int_equal(run(&s), 0);
		check(&p, 0, i + 1);
		assert_int_equal(journal_sync(j, &durable, &err), 0);
		i++;
		assert_int_equal(run(&s), 0);
		check(&p, 0, i);
		if (i == 5) {
			assert_int_equal(journal_rotate(j, &err), 0);
			assert_int_equal(journal_retire(j, &err), 0);
		}
	}
	assert_int_equal(journal_close(j, &err), 0);
	s.job.live_id = NULL;
	/* The segment's name changes; its records are taken already. */
	assert_int_equal(run(&s), 0);
	check(&p, 0, 10);
	assert_int_equal(journal_close(other, &err), 0);
	owner_close(o);
	assert_int_equal(run(&s), 0);
	count_dir(in(&p, "/log0"), true);
	assert_int_equal(n_rows, 15);
	assert_int_equal(n_twice, 0);
	place_release(&p);
}

/* Rotation by size and time, moving, removal. */
static void
test_rotate(void **state)
{
	struct place p;
	struct setup s;
	struct stat st;
	char path[400];
	unsigned int i;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	s.file[0].move_to = s.done;
	s.file[0].max_size = 1000;
	for (i = 0; i < 10; i++) {
		segment(&p, i * 5, i * 5 + 5);
		assert_int_equal(run(&s), 0);
		check(&p, 0, i * 5 + 5);
	}
	assert_true(n_files >= 5);
	(void)snprintf(path, sizeof(path), "%s/a-2026-11-23-0001.csv", s.done);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* By time, also when nothing new comes. */
	s.file[0].max_size = 0;
	s.file[0].move_interval = 60000;
	segment(&p, 50, 55);
	assert_int_equal(run(&s), 0);
	i = n_files;
	s.job.now = NOW + 60;
	assert_int_equal(run(&s), 0);
	check(&p, 0, 55);
	/* The next day begins with 0001, and avoids what is there. */
	s.job.now = NOW + 86400;
	(void)snprintf(path, sizeof(path), "%s/a-2026-11-24-0001.csv", s.done);
	(void)close(creat(path, 0600));
	segment(&p, 55, 60);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 60);
	(void)snprintf(path, sizeof(path), "%s/log0/a-2026-11-24-0002.csv",
	    p.dir);
	assert_int_equal(stat(path, &st), 0);
	/* delete-after: closed files only, and only ours. */
	(void)snprintf(path, sizeof(path), "%s/a-2026-11-24-0001.csv.bak",
	    s.done);
	(void)close(creat(path, 0600));
	s.file[0].delete_after = 1000;
	s.file[0].move_interval = 0;
	s.job.now = (int64_t)time(NULL) + 10 * 86400;
	assert_int_equal(run(&s), 0);
	assert_int_equal(stat(path, &st), 0);
	count_dir(in(&p, "/log0"), true);
	assert_int_equal(n_files, 1);
	place_release(&p);
}

/* One that cannot be written delays itself only, and catches up. */
static void
test_stuck(void **state)
{
	struct place p;
	struct setup s;
	char dir[300];

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	s.job.n_files = 2;
	/* A file where its directory should be. */
	(void)snprintf(dir, sizeof(dir), "%s/log0", p.dir);
	(void)close(creat(dir, 0600));
	segment(&p, 0, 10);
	assert_int_equal(run(&s), -1);
	check(&p, 1, 10);
	/* No journal is removed that it still needs. */
	s.job.now = (int64_t)time(NULL) + 20 * 86400;
	assert_int_equal(run(&s), -1);
	assert_int_equal(unlink(dir), 0);
	s.job.now = NOW;
	segment(&p, 10, 15);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 15);
	check(&p, 1, 15);
	/* A place where it cannot be moved: it goes on growing. */
	s.file[0].move_to = "/dev/null/nowhere";
	segment(&p, 15, 20);
	assert_int_equal(run(&s), -1);
	s.file[0].move_to = s.done;
	assert_int_equal(run(&s), 0);
	check(&p, 0, 20);
	/* A pipe, a device, a symlink in its place are not written. */
	s.file[0].path = "/dev/null";
	place_release(&p);
}

static ino_t watched;
static bool watched_synced;

static int
watch_fsync(struct sys *s, int fd)
{
	struct stat st;

	(void)s;
	if (fstat(fd, &st) == 0 && st.st_ino == watched)
		watched_synced = true;
	return (0);
}

static ssize_t
no_pwrite(struct sys *s, int fd, const void *p, size_t n, off_t off)
{
	(void)s, (void)fd, (void)p, (void)n, (void)off;
	errno = EIO;
	return (-1);
}

/*
 * A file that was made by one who died before he synced its name: its name is
 * durable before it is noted that anything is in it.
 */
static void
test_name(void **state)
{
	struct place p;
	struct setup s;
	struct stat st;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	segment(&p, 0, 10);
	faulty.s.pwrite = no_pwrite; /* it is made, and that is all */
	assert_int_equal(run(&s), -1);
	faulty.s.pwrite = faulty_pwrite;
	assert_int_equal(stat(in(&p, "/log0"), &st), 0);
	watched = st.st_ino;
	watched_synced = false;
	faulty.s.fsync = watch_fsync;
	assert_int_equal(run(&s), 0);
	faulty.s.fsync = faulty_fsync;
	assert_true(watched_synced);
	check(&p, 0, 10);
	place_release(&p);
}

/* Full: fails, then has each record once. */
static void
test_full(void **state)
{
	static const enum call kinds[] = { C_WRITE, C_FSYNC, C_RENAME,
		C_TRUNCATE, C_OPEN, C_MKDIR, C_UNLINK };
	struct place p;
	struct setup s;
	unsigned int i, n = 0;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	s.file[0].move_to = s.done;
	s.file[0].max_size = 1500;
	for (i = 0; i < 40; i++, n += 3) {
		segment(&p, n, n + 3);
		faulty.fail_errno = i % 2 == 0 ? ENOSPC : EIO;
		if (i % 4 == 3)
			faulty.fail_at = faulty.n + 1 + i;
		else
			faulty.fail_call = (int)kinds[i % 7];
		(void)run(&s);
		faulty_reset();
		if (i % 3 == 0)
			assert_int_equal(run(&s), 0);
	}
	assert_int_equal(run(&s), 0);
	check(&p, 0, n);
	place_release(&p);
}

/* Journal-keep: only when every file has passed it, and only when old. */
static void
test_clean(void **state)
{
	struct segment_list l;
	struct place p;
	struct setup s;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	segment(&p, 0, 5);
	segment(&p, 5, 10);
	assert_int_equal(run(&s), 0);
	s.job.now = (int64_t)time(NULL) + 7 * 86400;
	assert_int_equal(run(&s), 0);
	assert_int_equal(segment_list(sys_real(), p.sp.acct_fd, &l, NULL), 0);
	assert_int_equal(l.n, 2);
	segment_list_release(&l);
	s.job.now += 2 * 86400;
	s.job.n_files = 2;
	faulty.fail_call = C_MKDIR; /* log1 cannot be made */
	assert_int_equal(run(&s), -1);
	faulty_reset();
	assert_int_equal(segment_list(sys_real(), p.sp.acct_fd, &l, NULL), 0);
	assert_int_equal(l.n, 2);
	segment_list_release(&l);
	assert_int_equal(run(&s), 0);
	assert_int_equal(segment_list(sys_real(), p.sp.acct_fd, &l, NULL), 0);
	assert_int_equal(l.n, 0);
	segment_list_release(&l);
	check(&p, 0, 10);
	check(&p, 1, 10);
	segment(&p, 10, 12);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 12);
	place_release(&p);
}

/* What others do to our files and state. */
static void
test_meddling(void **state)
{
	struct verr err = VERR_INIT;
	struct export_state st;
	char path[400], hash[64];
	struct place p;
	struct setup s;
	int fd;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	segment(&p, 0, 5);
	assert_int_equal(run(&s), 0);
	/* The present file is taken away (logrotate): a new one. */
	(void)snprintf(path, sizeof(path), "%s/log0/a-2026-11-23-0001.csv",
	    p.dir);
	assert_int_equal(rename(path, in(&p, "/log0/a-2026-taken")), 0);
	segment(&p, 5, 8);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 8);
	/* Somebody appends: it is cut off. Somebody cuts: a new file. */
	(void)snprintf(path, sizeof(path), "%s/log0/a-2026-11-23-0002.csv",
	    p.dir);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd != -1);
	assert_int_equal(write(fd, "d,torn", 6), 6);
	(void)close(fd);
	segment(&p, 8, 10);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 10);
	/* Another process is at it: nothing is done, and no error. */
	assert_int_equal(export_state_open(&p.sp, s.path[0], NULL, false, &st,
			     &err),
	    0);
	segment(&p, 10, 12);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 10);
	(void)snprintf(hash, sizeof(hash), "export/%s", st.hash);
	export_state_release(&st);
	assert_int_equal(run(&s), 0);
	check(&p, 0, 12);
	/* A state of a later version, or rubbish: it is not begun anew. */
	fd = openat(p.sp.state_fd, hash, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "vmta-export 2\n", 14), 14);
	(void)close(fd);
	assert_int_equal(run(&s), -1);
	check(&p, 0, 12);
	place_release(&p);
}

/* A call may read a part only. */
static void
test_parts(void **state)
{
	struct export_result res = { .more = true };
	struct verr err = VERR_INIT;
	struct place p;
	struct setup s;
	unsigned int n;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	segment(&p, 0, 100);
	segment(&p, 100, 200);
	s.job.max_bytes = 3000;
	for (n = 0; res.more; n++) {
		assert_true(n < 200);
		assert_int_equal(export_run(&s.job, &res, &err), 0);
	}
	assert_true(n > 5);
	check(&p, 0, 200);
	place_release(&p);
}

/* A lot of segments, some days old: the state stays small, nothing twice. */
static void
test_many(void **state)
{
	struct buf b = BUF_INIT;
	struct place p;
	struct setup s;
	struct export_state st;
	unsigned int i;

	(void)state;
	place_init(&p);
	setup_init(&s, &p);
	for (i = 0; i < 120; i++) {
		faulty.clock = NOW + (int64_t)i * 3600;
		segment(&p, i, i + 1);
		s.job.now = faulty.clock;
		if (i % 5 == 0)
			assert_int_equal(run(&s), 0);
	}
	assert_int_equal(run(&s), 0);
	/* The clock goes back by three days, and mail is sent on. */
	faulty.clock = NOW + 48 * 3600;
	segment(&p, 120, 125);
	s.job.now = faulty.clock;
	assert_int_equal(run(&s), 0);
	check(&p, 0, 125);
	assert_int_equal(export_state_open(&p.sp, s.path[0], NULL, false, &st,
			     NULL),
	    0);
	assert_int_equal(file_read(sys_real(), st.dfd, st.hash, 1u << 20, &b,
			     NULL),
	    0);
	export_state_release(&st);
	assert_true(b.len < 2500);
	buf_release(&b);
	place_release(&p);
}

/*
 * Killed before every system call, the write that it hits done by half, then
 * run again: each record once. With rotation, moving and two files; from the
 * very first pass, and from one that goes on with a file.
 */
static void
kill_at_each(bool fresh)
{
	struct place p;
	struct setup s;
	unsigned int at;
	int status = 1;
	pid_t pid;

	for (at = 1; status != 0; at++) {
		assert_true(at < 1000);
		place_init(&p);
		setup_init(&s, &p);
		s.job.n_files = 2;
		s.file[0].move_to = s.done;
		s.file[0].max_size = 1500;
		segment(&p, 0, 4);
		if (!fresh)
			assert_int_equal(run(&s), 0);
		segment(&p, 4, 8);
		segment(&p, 8, 10);
		if ((pid = fork()) == 0) {
			faulty.n = 0;
			faulty.kill_at = at;
			faulty.torn = true;
			_exit(run(&s) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (at % 2 == 0)
			segment(&p, 10, 12);
		assert_int_equal(run(&s), 0);
		check(&p, 0, at % 2 == 0 ? 12 : 10);
		check(&p, 1, at % 2 == 0 ? 12 : 10);
		place_release(&p);
	}
	assert_true(at > 40);
}

static void
test_kill(void **state)
{
	(void)state;
	kill_at_each(true);
	kill_at_each(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_meddling),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_kill),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
