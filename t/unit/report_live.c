/* report/live, report/queues: what names and small states tell. */
#include <sys/stat.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "report/live.h"
#include "report/queues.h"
#include "spool/spool.h"
#include "spool/state.h"

#define NOW INT64_C(1795470845) /* 2026-11-23 21:54:05 */

static char dir[200];
static struct spool *sp;

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct verr err;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%.150s/report-live-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return (-1);
	return (spool_open(sys_real(), dir, &sp, &err));
}

static int
teardown(void **state)
{
	char cmd[300];

	(void)state;
	spool_close(sp);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return (system(cmd));
}

static void
make(const char *path)
{
	(void)mkdirat(sp->fd, path, 0700);
}

/* A batch, which is its name. */
static void
batch(const char *vmta, const char *area, const char *domain, int64_t due,
    unsigned int n, uint32_t open, uint64_t bytes, const char *job)
{
	char path[400], name[BATCH_NAME_MAX];
	struct batch_name b = { .due = due,
		.prio = 50,
		.open = open,
		.bytes = bytes,
		.job = batch_job_hash(job) };
	int fd;

	(void)snprintf(b.id.s, sizeof(b.id.s), "1lp6jv7m0d3k8q2r%05u", n);
	(void)snprintf(path, sizeof(path), "queue/%s", vmta);
	make(path);
	(void)snprintf(path, sizeof(path), "queue/%s/%s", vmta, area);
	make(path);
	(void)snprintf(path, sizeof(path), "queue/%s/%s/%s", vmta, area,
	    domain);
	make(path);
	(void)snprintf(path, sizeof(path), "queue/%s/%s/%s/%s", vmta, area,
	    domain, batch_name_format(&b, name));
	fd = openat(sp->fd, path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd != -1);
	(void)close(fd);
}

/* The report as CSV; caller frees. */
static char *
queues(const struct report_filter *f, uint64_t *ret_n)
{
	struct verr err = VERR_INIT;
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	assert_int_equal(report_queues(sp, NULL, f, NOW, out, REPORT_CSV, ret_n,
			     &err),
	    0);
	(void)fclose(out);
	return (text);
}

static void
test_empty(void **state)
{
	struct report_filter f = { 0 };
	uint64_t n;
	char *text = queues(&f, &n);

	(void)state;
	assert_int_equal(n, 0);
	assert_string_equal(text,
	    "queue,rcpts,kbytes,conns,mode,state,"
	    "reason,nextTry,oldest,lastError\r\n");
	free(text);
}

static void
test_queues(void **state)
{
	struct retry_state rs = { .step = 2,
		.next = NOW + 600,
		.since = NOW - 60,
		.status = "4.4.1" };
	struct pause job = { .job = "weekly" };
	struct pause vmta = { .vmta = "v3" };
	struct report_filter f = { 0 };
	struct timespec at[2] = { { NOW, 0 }, { NOW, 0 } };
	static const char live[] = "vmta-live 1\nb.com/v1 3 -\nc.com/v1 2 "
				   "limit of the source IP\nrubbish\nx 1\n";
	static const char host[] = "mx.a.com (192.0.2.1)";
	static const char error[] = "refused\nforged";
	struct verr err = VERR_INIT;
	uint64_t n;
	char *text;

	(void)state;
	/* a.com: retry; new and cur are one queue */
	batch("v1", "new", "a.com", NOW - 10, 1, 5, 2000, NULL);
	batch("v1", "cur", "a.com", NOW + 100, 2, 2, 49, "other");
	rs.host = strdup(host);
	rs.error = strdup(error);
	assert_int_equal(retry_state_write(sp, "v1", "a.com", &rs, &err), 0);
	free(rs.host);
	free(rs.error);
	/* b.com: connections; c.com: limited; d.com: deferred; e.com: held */
	batch("v1", "new", "b.com", NOW, 3, 1, 1, NULL);
	batch("v1", "new", "c.com", NOW, 4, 1, 1, NULL);
	batch("v1", "cur", "d.com", NOW + 60, 5, 1, 1, NULL);
	batch("v1", "cur", "e.com", BATCH_DUE_NEVER, 6, 1, 1, NULL);
	/* f.com: some jobs paused; g.com: all */
	batch("v2", "new", "f.com", NOW, 7, 1, 1, NULL);
	batch("v2", "new", "f.com", NOW, 8, 9, 1, "weekly");
	batch("v2", "new", "g.com", NOW, 9, 1, 1, "weekly");
	batch("v3", "new", "[127.0.0.1]", NOW, 10, 1, 1, NULL);
	assert_int_equal(pause_add(sp, &job, &err), 0);
	assert_int_equal(pause_add(sp, &vmta, &err), 0);
	assert_int_equal(file_write(sys_real(), sp->state_fd, "live.1", live,
			     sizeof(live) - 1, &err),
	    0);
	assert_int_equal(utimensat(sp->state_fd, "live.1", at, 0), 0);
	/* One of a worker that is dead. */
	assert_int_equal(file_write(sys_real(), sp->state_fd, "live.2", live,
			     sizeof(live) - 1, &err),
	    0);
	at[0].tv_sec = at[1].tv_sec = NOW - 100;
	assert_int_equal(utimensat(sp->state_fd, "live.2", at, 0), 0);

	text = queues(&f, &n);
	assert_int_equal(n, 8);
	assert_non_null(strstr(text,
	    "\r\na.com/v1,7,3,0,normal,retry,"
	    "connection failed,2026-11-23 22:04:05+0000,"));
	assert_non_null(strstr(text,
	    "4.4.1 mx.a.com (192.0.2.1): "
	    "refused\\x0aforged\r\n"));
	assert_non_null(strstr(text, "\r\nb.com/v1,1,1,3,normal,active,,,"));
	assert_non_null(strstr(text,
	    "\r\nc.com/v1,1,1,2,normal,active,"
	    "limit of the source IP,,"));
	assert_non_null(strstr(text,
	    "\r\nd.com/v1,1,1,0,normal,deferred,"
	    "recipients deferred,2026-11-23 21:55:05+0000,"));
	assert_non_null(strstr(text, "\r\ne.com/v1,1,1,0,normal,held,held,,"));
	assert_non_null(strstr(text,
	    "\r\nf.com/v2,10,1,0,normal,ready,"
	    "some jobs paused,,"));
	assert_non_null(strstr(text,
	    "\r\ng.com/v2,1,1,0,normal,paused,paused,,"));
	assert_non_null(strstr(text,
	    "\r\n[127.0.0.1]/v3,1,1,0,normal,paused,paused,,"));
	/* Most recipients first, inside a VirtualMTA. */
	assert_true(strstr(text, "a.com/v1") < strstr(text, "b.com/v1"));
	assert_true(strstr(text, "f.com/v2") < strstr(text, "g.com/v2"));
	free(text);

	f.vmta = "v2";
	free(queues(&f, &n));
	assert_int_equal(n, 2);
	f.vmta = NULL;
	f.domain = "*.com";
	free(queues(&f, &n));
	assert_int_equal(n, 7);
	f.domain = NULL;
	f.queue = "a.com/*";
	free(queues(&f, &n));
	assert_int_equal(n, 1);
}

static void
test_status(void **state)
{
	struct report_filter f = { 0 };
	struct verr err = VERR_INIT;
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	assert_non_null(out);
	assert_int_equal(report_status(sp, NULL, &f, NOW, out, REPORT_CSV,
			     &err),
	    0);
	(void)fclose(out);
	assert_non_null(strstr(text, "workers,1\r\n"));
	assert_non_null(strstr(text,
	    "vmtas,3\r\nqueues,8\r\nbatches,10\r\n"
	    "rcpts,23\r\n"));
	assert_non_null(strstr(text, "held,1\r\n"));
	assert_non_null(strstr(text, "deliveredLastHour,0\r\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_status),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, setup, teardown));
}
