/*
 * V20: ids of many processes with one frozen clock: none is equal, whoever
 * was forked from whom, and with which ids left over. VMTA_IDS: how many
 * (1,000,000 unless told). And without randomness there are none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"

#define PROCESSES 64

typedef char id_text[ID_LEN];

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
	memset(p, 0x55, n); /* a caller that looks at it all the same */
	errno = EIO;
	return (-1);
}

/* n ids into at; exit 1 when one cannot be had. */
static void
make(struct sys *sys, id_text *at, size_t n)
{
	struct id id;
	size_t i;

	for (i = 0; i < n; i++) {
		if (id_new(sys, &id) == -1)
			_exit(1);
		memcpy(at[i], id.s, ID_LEN);
	}
}

/* A process that makes half of n; its child, with what is left, the rest. */
static void
process(struct sys *sys, id_text *at, size_t n)
{
	pid_t pid;
	int status;

	make(sys, at, n / 2);
	pid = fork();
	if (pid == 0) {
		make(sys, at + n / 2, n - n / 2);
		_exit(0);
	}
	_exit(pid == -1 || waitpid(pid, &status, 0) != pid || status != 0);
}

static int
compare(const void *a, const void *b)
{
	return (memcmp(a, b, ID_LEN));
}

static void
test_processes(void **state)
{
	const char *want = getenv("VMTA_IDS");
	size_t n = want != NULL ? strtoul(want, NULL, 10) : 1000000, i;
	size_t each = n / PROCESSES, own = 7;
	struct sys sys;
	id_text *ids;
	int status;

	(void)state;
	n = own + each * PROCESSES;
	sys_init(&sys);
	sys.wall = frozen;
	ids = mmap(NULL, n * sizeof(*ids), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(ids != MAP_FAILED);
	make(&sys, ids, own); /* so that all inherit a block that is begun */
	for (i = 0; i < PROCESSES / 2; i++)
		if (fork() == 0)
			process(&sys, ids + own + i * 2 * each, 2 * each);
	for (i = 0; i < PROCESSES / 2; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	qsort(ids, n, sizeof(*ids), compare);
	for (i = 1; i < n; i++)
		if (compare(ids[i - 1], ids[i]) == 0)
			fail_msg("%.21s is there twice", ids[i]);
	assert_memory_equal(ids[0], ids[n - 1], 8); /* the clock stood */
	(void)munmap(ids, n * sizeof(*ids));
}

/* What is left of a block may be used; then it is over, and stays so. */
static void
test_no_random(void **state)
{
	struct verr err = VERR_INIT;
	struct sys sys;
	struct id id;
	int i;

	(void)state;
	sys_init(&sys);
	sys.random = no_random;
	for (i = 0; i < 32 && id_new(&sys, &id) == 0; i++)
		;
	for (i = 0; i < 100; i++)
		assert_int_equal(id_new(&sys, &id), -1);
	assert_int_equal(id_make(&sys, &id, &err), -1);
	assert_int_equal(err.code, VEX_TEMP);
	assert_int_equal(err.err, EIO);
	sys_init(&sys);
	assert_int_equal(id_make(&sys, &id, &err), 0);
	assert_true(id_valid(id.s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_no_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
