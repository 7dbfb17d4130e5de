/* Maps and heaps against plain models, ids, whole files, the log, the loop. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/heap.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"

#define KEYS 300

/* Random puts and deletes agree with an array. */
static void
test_map(void **state)
{
	static int value[KEYS];
	bool there[KEYS] = { false };
	unsigned int seed = (unsigned int)time(NULL);
	struct map m = MAP_INIT;
	const char *name;
	char key[16];
	size_t i, n;
	int round, k;

	(void)state;
	print_message("# seed %u\n", seed);
	srand(seed);
	assert_null(map_get(&m, "none"));
	assert_null(map_del(&m, "none"));
	for (round = 0; round < 20000; round++) {
		k = rand() % KEYS;
		(void)snprintf(key, sizeof(key), "k%d", k);
		assert_ptr_equal(map_get(&m, key), there[k] ? &value[k] : NULL);
		if (rand() % 2 == 0) {
			assert_ptr_equal(map_put(&m, key, &value[k]),
			    there[k] ? &value[k] : NULL);
			there[k] = true;
		} else {
			assert_ptr_equal(map_del(&m, key),
			    there[k] ? &value[k] : NULL);
			there[k] = false;
		}
	}
	for (i = 0, n = 0; map_next(&m, &i, &name) != NULL; n++)
		assert_true(there[strtol(name + 1, NULL, 10)]);
	assert_int_equal(n, m.n);
	map_release(&m, NULL);
}

static int
cmp_int(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

static void
test_heap(void **state)
{
	struct heap h;
	int i, v, last;

	(void)state;
	heap_init(&h, sizeof(int), cmp_int);
	assert_null(heap_top(&h));
	for (i = 0; i < 5000; i++) {
		v = rand() % 1000;
		heap_push(&h, &v);
	}
	heap_drop_last(&h);
	assert_int_equal(h.n, 4999);
	for (last = -1; h.n > 0; last = v) {
		memcpy(&v, heap_top(&h), sizeof(v));
		assert_true(v >= last);
		heap_pop(&h, &i);
		assert_int_equal(i, v);
	}
	heap_release(&h);
}

static int64_t
frozen(struct sys *s)
{
	(void)s;
	return (INT64_C(1795470845) * 1000000);
}

static int
no_random(struct sys *s, void *p, size_t n)
{
	(void)s;
	(void)p;
	(void)n;
	errno = ENOSYS;
	return (-1);
}

/* With a frozen clock none is equal; without randomness there are none. */
static void
test_id(void **state)
{
	struct map seen = MAP_INIT;
	struct sys sys;
	struct id id;
	int i;

	(void)state;
	sys_init(&sys);
	sys.wall = frozen;
	for (i = 0; i < 10000; i++) {
		assert_int_equal(id_new(&sys, &id), 0);
		assert_true(id_valid(id.s));
		assert_int_equal(id_time(&id), 1795470845);
		assert_null(map_put(&seen, id.s, &sys));
	}
	map_release(&seen, NULL);
	sys.random = no_random;
	for (i = 0; i < 40 && id_new(&sys, &id) == 0; i++)
		;
	assert_true(i < 40);
	assert_false(id_valid(""));
	assert_false(id_valid("01lg9dcr11se1tj0o5ed"));
	assert_false(id_valid("01lg9dcr11se1tj0o5edz"));
	assert_false(id_valid("01lg9dcr11se1tj0o5eduu"));
}

static void
test_file(void **state)
{
	char dir[] = "/tmp/base_data.XXXXXX";
	struct verr err = VERR_INIT;
	struct sys *sys = sys_real();
	struct buf b = BUF_INIT;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(file_write(sys, fd, "a", "one", 3, &err), 0);
	assert_int_equal(file_write_fast(sys, fd, "a", "two", 3, &err), 0);
	assert_int_equal(file_read(sys, fd, "a", 10, &b, &err), 0);
	assert_string_equal(b.p, "two");
	assert_int_equal(file_read(sys, fd, "a", 2, &b, &err), -1);
	assert_int_equal(file_read(sys, fd, "none", 9, &b, &err), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(symlinkat("a", fd, "link"), 0);
	assert_int_equal(file_read(sys, fd, "link", 9, &b, &err), -1);
	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
	assert_int_equal(file_read(sys, fd, "fifo", 9, &b, &err), -1);
	assert_int_equal(file_make_dir(sys, fd, "d", 0700, &err), 0);
	assert_int_equal(file_make_dir(sys, fd, "d", 0700, &err), 0);
	assert_int_equal(file_make_dir(sys, fd, "x/y", 0700, &err), -1);
	assert_int_equal(file_open_dir(sys, fd, "link"), -1);
	assert_int_equal(file_write(sys, fd, "d", "x", 1, &err), -1);
	(void)unlinkat(fd, "a", 0);
	(void)unlinkat(fd, "link", 0);
	(void)unlinkat(fd, "fifo", 0);
	(void)unlinkat(fd, "d", AT_REMOVEDIR);
	assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
	(void)close(fd);
	buf_release(&b);
}

/* One event is one line, whatever is in it. */
static void
test_log(void **state)
{
	char dir[] = "/tmp/base_data.XXXXXX", path[64];
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	char *line;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(log_open("tool", path, &err), 0);
	log_event(LOG_LV_INFO, "sent", "a", "plain", "b", "with space", "c",
	    NULL, "d", "x\n\033\"=", "e", "", "n", log_num(-7), NULL);
	log_event(LOG_LV_DEBUG, "hidden", NULL);
	log_reopen();
	log_close();
	log_event(LOG_LV_INFO, "nowhere", NULL);
	assert_int_equal(file_read(sys_real(), AT_FDCWD, path, 4096, &b, &err),
	    0);
	line = strstr(b.p, ": sent ");
	assert_non_null(line);
	assert_string_equal(line,
	    ": sent a=plain b=\"with space\" "
	    "d=\"x\\x0a\\x1b\\\"=\" e=\"\" n=-7\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(log_open("tool", "/nonexistent/log", &err), -1);
	log_close();
	buf_release(&b);
}

struct counts {
	struct loop *loop;
	int io, timer, work, done;
	int fd;
};

static void
on_io(void *arg, bool readable, bool writable)
{
	struct counts *c = arg;
	char byte;

	assert_true(readable);
	assert_false(writable);
	assert_int_equal(read(c->fd, &byte, 1), 1);
	c->io++;
}

static void
on_timer(void *arg)
{
	struct counts *c = arg;

	c->timer++;
}

static void
on_work(void *arg)
{
	struct counts *c = arg;

	c->work++;
}

static void
on_done(void *arg)
{
	struct counts *c = arg;

	c->done++;
	loop_stop(c->loop);
}

static void
test_loop(void **state)
{
	struct counts c = { 0 };
	struct loop_timer *once, *never;
	struct loop_io *io;
	int fd[2];

	(void)state;
	c.loop = loop_new();
	assert_int_equal(pipe(fd), 0);
	c.fd = fd[0];
	io = loop_io_new(c.loop, fd[0], on_io, &c);
	loop_io_want(io, true, false);
	once = loop_timer_new(c.loop, on_timer, &c);
	never = loop_timer_new(c.loop, on_timer, &c);
	loop_timer_set(never, 1);
	loop_timer_stop(never);
	assert_false(loop_timer_active(never));
	assert_int_equal(write(fd[1], "x", 1), 1);
	while (c.io == 0)
		loop_turn(c.loop, true);
	loop_io_want(io, false, false);
	loop_timer_set(once, 0);
	assert_true(loop_timer_active(once));
	while (c.timer == 0)
		loop_turn(c.loop, true);
	assert_int_equal(loop_work(c.loop, on_work, on_done, &c), 0);
	loop_run(c.loop);
	assert_int_equal(c.work, 1);
	assert_int_equal(c.done, 1);
	assert_int_equal(c.timer, 1);
	loop_timer_free(once);
	loop_timer_free(never);
	loop_io_free(io);
	assert_null(loop_io_new(c.loop, 9999, on_io, &c));
	loop_free(c.loop);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* A connected pair over TCP. */
static void
tcp_pair(int fd[2])
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&to, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len),
	    0);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd[0], (struct sockaddr *)&to, len), 0);
	fd[1] = accept(listener, NULL, NULL);
	assert_true(fd[1] >= 0);
	(void)close(listener);
}

static void
on_reset(void *arg, bool readable, bool writable)
{
	struct counts *c = arg;
	char byte;

	(void)writable;
	assert_true(readable);
	if (read(c->fd, &byte, 1) == 1)
		c->io++;
	else {
		assert_int_equal(errno, ECONNRESET);
		c->done++;
	}
}

/* P03: octets and a reset behind them: one by one, and then the reset. */
static void
test_loop_reset(void **state)
{
	struct linger now = { 1, 0 };
	struct counts c = { 0 };
	struct loop_io *io;
	int fd[2];

	(void)state;
	c.loop = loop_new();
	tcp_pair(fd);
	c.fd = fd[0];
	assert_int_equal(write(fd[1], "220", 3), 3);
	assert_int_equal(setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &now,
			     sizeof(now)),
	    0);
	(void)close(fd[1]);
	io = loop_io_new(c.loop, fd[0], on_reset, &c);
	loop_io_want(io, true, false);
	while (c.done == 0)
		loop_turn(c.loop, true);
	assert_int_equal(c.io, 3);
	loop_io_free(io);
	loop_free(c.loop);
	(void)close(fd[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_loop_reset),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
