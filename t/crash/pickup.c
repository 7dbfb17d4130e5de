/*
 * The table "Pickup directories" of DESIGN: a run is killed after its first
 * system call, then a new one after its second, and so on to the end, and in
 * the middle of each write; then the same with calls that fail. The next run
 * finishes it, and each message is in the spool once.
 */
#include "../unit/spool_util.h"

#include "conf/conf.h"
#include "spool/submit.h"
#include "submit/take.h"

#define MESSAGE(rcpt)                                   \
	"x-sender: s@y.example\nx-receiver: " rcpt "\n" \
	"Subject: x\n\nbody\n"
#define BATCH(rcpt) \
	"MAIL FROM:<s@y.example>\nRCPT TO:<" rcpt ">\nDATA\nx: y\n\n.\n"

/* What is dropped: 5 recipients, 2 files that are bad. */
static const struct {
	const char *name, *text;
} files[] = {
	{ "one", MESSAGE("a@one.example") },
	{ "two", MESSAGE("a@two.example") },
	{ "three", MESSAGE("a@three.example") },
	{ "junk", MESSAGE("a b@four.example") },
	{ "batch",
	    BATCH("a@five.example") BATCH("a b@six.example")
		BATCH("a@seven.example") },
};
#define NFILES (sizeof(files) / sizeof(files[0]))
#define NRCPTS 5
#define NBAD 2

static struct conf *conf;
static char in[300];

static void
put(const char *dir, const char *name, const char *text)
{
	char path[400];
	FILE *fp;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fp = fopen(path, "w");
	assert_non_null(fp);
	assert_true(fputs(text, fp) >= 0);
	assert_int_equal(fclose(fp), 0);
}

static int
begin(void **state)
{
	char path[300];

	if (t_begin(state) != 0)
		return (-1);
	(void)snprintf(in, sizeof(in), "%s/in", t_dir);
	(void)snprintf(path, sizeof(path), "%s/etc", t_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(path, "vmta.conf",
	    "host-name = mta.example.com\npickup = {'in'}\n"
	    "pickup-rename-only = yes\nmin-free-space = 0\n"
	    "smtp-source-host = {'127.0.0.1 mta.example.com'}\n"
	    "virtual-mta a { }\n"
	    "source 'local' { default-virtual-mta = a }\n");
	(void)snprintf(path, sizeof(path), "%s/etc/vmta.conf", t_dir);
	assert_ok(conf_parse(sys_real(), path, &conf, &t_err));
	return (0);
}

static int
end(void **state)
{
	conf_unref(conf);
	return (t_end(state));
}

/* A spool, and the files. */
static void
prepare(void)
{
	struct t_sys plain;
	size_t i;

	t_sys_init(&plain, T_COUNT, 0, 0);
	spool_close(t_spool(&plain.sys));
	t_remove(in);
	assert_int_equal(mkdir(in, 0700), 0);
	for (i = 0; i < NFILES; i++)
		put(in, files[i].name, files[i].text);
}

static bool
never(void *arg, int wait_ms)
{
	(void)arg;
	(void)wait_ms;
	return (false);
}

static void
silent(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static int
take(struct sys *sys, struct take_totals *ret_t)
{
	const struct take_opts o = { .stop = never, .say = silent };

	t_err = (struct verr)VERR_INIT;
	return (take_run(sys, conf, &o, ret_t, &t_err));
}

/* Files in a directory: those with .why, the others, and all else. */
static void
count(const char *path, unsigned int *ret_files, unsigned int *ret_why)
{
	struct dirent *e;
	DIR *dir = opendir(path);

	assert_non_null(dir);
	*ret_files = *ret_why = 0;
	while ((e = readdir(dir)) != NULL)
		if (strlen(e->d_name) > 4 &&
		    strcmp(e->d_name + strlen(e->d_name) - 4, ".why") == 0)
			++*ret_why;
		else if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0)
			++*ret_files;
	(void)closedir(dir);
}

/* The next run finishes it: everything once, nothing left. */
static void
judge(void)
{
	struct t_sys plain;
	struct take_totals t;
	struct t_seen seen;
	struct spool *sp;
	unsigned int n, why;
	char path[300];

	assert_ok(take(sys_real(), &t));
	assert_int_equal(t.denied, 0);
	count(in, &n, &why);
	assert_int_equal(n + why, 0);
	(void)snprintf(path, sizeof(path), "%s/spool", t_dir);
	t_sys_init(&plain, T_COUNT, 0, 0);
	assert_ok(spool_open(&plain.sys, path, &sp, &t_err));
	assert_ok(commit_recover(sp, NULL, NULL, &t_err));
	seen = t_see(sp);
	assert_int_equal(seen.rcpts, NRCPTS);
	spool_close(sp);
	(void)snprintf(path, sizeof(path), "%s/spool/bad", t_dir);
	count(path, &n, &why);
	assert_int_equal(n, NBAD);
	assert_in_range(why, NBAD, NBAD + 1);
}

/* The calls of a run that nothing befalls. */
static struct t_sys calls;

static void
count_calls(void)
{
	struct take_totals t;

	prepare();
	t_sys_init(&calls, T_COUNT, 0, 0);
	assert_ok(take(&calls.sys, &t));
	assert_int_equal(t.accepted, NRCPTS);
	assert_int_equal(t.rejected, NBAD);
	assert_in_range(calls.n, 50, sizeof(calls.kind));
	judge();
}

static void
kill_at(enum t_fault fault, long at)
{
	struct take_totals totals;
	struct t_sys t;
	int status;
	pid_t pid;

	prepare();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		t_sys_init(&t, fault, at, 0);
		_exit(take(&t.sys, &totals) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 99);
	judge();
}

static void
test_kill(void **state)
{
	long at;

	(void)state;
	count_calls();
	for (at = 1; at <= calls.n; at++)
		kill_at(T_KILL, at);
}

static void
test_kill_half(void **state)
{
	long at;

	(void)state;
	count_calls();
	for (at = 1; at <= calls.n; at++)
		if (calls.kind[at - 1] == 'w')
			kill_at(T_KILL_HALF, at);
}

/* A call fails: what is not taken is there for the next run. */
static void
test_error(void **state)
{
	static const int error[] = { ENOSPC, EIO };
	struct take_totals totals;
	unsigned int fds;
	struct t_sys t;
	size_t i;
	long at;

	(void)state;
	count_calls();
	for (i = 0; i < 2; i++)
		for (at = 1; at <= calls.n; at++) {
			prepare();
			fds = t_fds();
			t_sys_init(&t, T_ERROR, at, error[i]);
			(void)take(&t.sys, &totals);
			assert_int_equal(t_fds(), fds);
			judge();
		}
}

/* A claim of a process that lives is its own: another one leaves it alone. */
static void
test_other(void **state)
{
	static const char id[] = "1lp6jv7m0d3k8q2r5t1ua";
	char hash[SUBMIT_HASH_LEN + 1], claim[400], path[300];
	struct take_totals t;
	unsigned int n, why;
	struct t_sys plain;
	struct spool *sp;
	int fd;

	(void)state;
	prepare();
	(void)snprintf(claim, sizeof(claim), "%s/.vmta-%s", in, id);
	assert_int_equal(mkdir(claim, 0700), 0);
	put(claim, "its", MESSAGE("a@its.example"));
	(void)snprintf(path, sizeof(path), "%s/spool", t_dir);
	t_sys_init(&plain, T_COUNT, 0, 0);
	assert_ok(spool_open(&plain.sys, path, &sp, &t_err));
	(void)snprintf(path, sizeof(path), "pickup %s", id);
	spool_submit_hash(geteuid(), path, hash);
	assert_ok(spool_submit_lock(sp, hash, &fd, &t_err));
	assert_ok(take(sys_real(), &t));
	assert_int_equal(t.accepted, NRCPTS);
	count(claim, &n, &why);
	assert_int_equal(n, 1);
	/* it dies */
	assert_int_equal(close(fd), 0);
	spool_close(sp);
	assert_ok(take(sys_real(), &t));
	assert_int_equal(t.accepted, 1);
	count(in, &n, &why);
	assert_int_equal(n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_kill_half),
		cmocka_unit_test(test_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, begin, end));
}
