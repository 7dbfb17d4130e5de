/* shape/limit and shape/total: now, or when, and why. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shape/limit.h"
#include "shape/total.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* Another kind of limiter, to see that lists treat all alike. */
struct fake {
	struct limiter lim;
	int64_t when; /* not before */
	bool lost;    /* take fails though ask said yes */
	int64_t taken, unused, done;
};

static struct limit_answer
fake_ask(const struct limiter *l, int64_t now_ms, int64_t amount)
{
	const struct fake *f = (const struct fake *)l;
	struct limit_answer a = { now_ms >= f->when, f->when, l->why, 7 };

	(void)amount;
	return (a);
}

static bool
fake_take(struct limiter *l, int64_t now_ms, int64_t amount)
{
	struct fake *f = (struct fake *)l;

	(void)now_ms;
	if (f->lost)
		return (false);
	f->taken += amount;
	return (true);
}

static void
fake_give(struct limiter *l, int64_t amount, bool unused)
{
	struct fake *f = (struct fake *)l;

	if (unused)
		f->unused += amount;
	else
		f->done += amount;
}

static const struct limiter_ops fake_ops = { fake_ask, fake_take, fake_give };

static struct fake
fake_new(int64_t when)
{
	struct fake f = { .lim = { &fake_ops, LIMIT_VMTA_CONNS },
		.when = when };

	return (f);
}

static void
test_slots(void **state)
{
	struct limiter *l[1];
	struct limit_answer a;
	struct slots s;
	char text[80];

	(void)state;
	slots_init(&s, LIMIT_QUEUE_CONNS, 2);
	l[0] = &s.lim;
	assert_true(limit_take(l, 1, 5, 1).now);
	assert_true(limit_ask(l, 1, 5, 1).now);
	assert_false(limit_ask(l, 1, 5, 2).now);
	assert_true(limit_take(l, 1, 5, 1).now);
	a = limit_take(l, 1, 5, 1);
	assert_false(a.now);
	assert_true(a.when_ms == LIMIT_NEVER);
	assert_int_equal(a.why, LIMIT_QUEUE_CONNS);
	assert_string_equal(limit_text(&a, text, sizeof(text)),
	    "at max-smtp-out 2 of queue");
	assert_int_equal(s.used, 2);
	limit_give(l, 1, 1, false);
	a = limit_take(l, 1, 5, 1);
	assert_true(a.now);
	assert_string_equal(limit_text(&a, text, sizeof(text)), "");
	/* Lowered below what is in use, then lifted. */
	s.max = 1;
	limit_give(l, 1, 1, true);
	assert_false(limit_take(l, 1, 5, 1).now);
	s.max = 0;
	assert_true(limit_take(l, 1, 5, 1000000).now);
}

static void
test_texts(void **state)
{
	static const struct {
		enum limit_why why;
		const char *text;
	} cases[] = {
		{ LIMIT_QUEUE_CONNS, "at max-smtp-out 9 of queue" },
		{ LIMIT_VMTA_CONNS, "at max-smtp-out 9 of VirtualMTA" },
		{ LIMIT_TOTAL_CONNS, "at total-max-smtp-out 9 of all" },
		{ LIMIT_FILES, "at descriptors 9 of this process (ulimit -n)" },
	};
	struct limit_answer a = { .now = false, .limit = 9 };
	char text[80], small[4];
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		a.why = cases[i].why;
		assert_string_equal(limit_text(&a, text, sizeof(text)),
		    cases[i].text);
	}
	assert_string_equal(limit_text(&a, small, sizeof(small)), "at ");
}

/* The latest answer wins, of equals the first; NULL is no limit. */
static void
test_combine(void **state)
{
	struct fake early = fake_new(100), late = fake_new(200);
	struct limiter *l[4] = { NULL, &early.lim, &late.lim, NULL };
	struct limit_answer a;
	struct slots s;

	(void)state;
	late.lim.why = LIMIT_TOTAL_CONNS;
	a = limit_ask(l, 4, 50, 1);
	assert_false(a.now);
	assert_int_equal(a.when_ms, 200);
	assert_int_equal(a.why, LIMIT_TOTAL_CONNS);
	a = limit_ask(l, 4, 150, 1);
	assert_int_equal(a.when_ms, 200);
	a = limit_ask(l, 4, 200, 1);
	assert_true(a.now);
	assert_int_equal(a.when_ms, 200);
	early.when = 200;
	assert_int_equal(limit_ask(l, 4, 0, 1).why, LIMIT_VMTA_CONNS);
	slots_init(&s, LIMIT_QUEUE_CONNS, 1);
	s.used = 1;
	l[3] = &s.lim;
	a = limit_ask(l, 4, 0, 1);
	assert_true(a.when_ms == LIMIT_NEVER);
	assert_int_equal(a.why, LIMIT_QUEUE_CONNS);
	assert_true(limit_ask(l, 0, 7, 1).now);
	assert_true(limit_ask(l, 1, 7, 1).now);
}

/* All or none; what was taken before a loss is given back as unused. */
static void
test_take_all(void **state)
{
	struct fake a = fake_new(0), lost = fake_new(0), c = fake_new(0);
	struct limiter *l[4];
	struct limit_answer ans;
	struct slots s;

	(void)state;
	slots_init(&s, LIMIT_QUEUE_CONNS, 5);
	l[0] = &s.lim;
	l[1] = &a.lim;
	l[2] = &lost.lim;
	l[3] = &c.lim;
	lost.lost = true;
	ans = limit_take(l, 4, 10, 3);
	assert_false(ans.now);
	assert_true(ans.when_ms > 10);
	assert_int_equal(ans.why, LIMIT_VMTA_CONNS);
	assert_int_equal(s.used, 0);
	assert_int_equal(a.taken, 3);
	assert_int_equal(a.unused, 3);
	assert_int_equal(c.taken, 0);
	lost.lost = false;
	assert_true(limit_take(l, 4, 10, 2).now);
	limit_give(l, 4, 2, false);
	assert_int_equal(s.used, 0);
	assert_int_equal(c.taken, 2);
	assert_int_equal(c.done, 2);
	/* Refused when asked: nothing is touched. */
	c.when = 99;
	assert_int_equal(limit_take(l, 4, 10, 1).when_ms, 99);
	assert_int_equal(s.used, 0);
	assert_int_equal(a.taken, 5);
}

static void
test_total(void **state)
{
	struct total_slots s[3];
	struct limiter *l[3];
	struct limit_answer a;
	struct total *t;
	char text[80];
	unsigned i;

	(void)state;
	t = total_new(3, NULL);
	assert_non_null(t);
	for (i = 0; i < 3; i++) {
		total_slots_init(&s[i], t, i, LIMIT_TOTAL_CONNS, 4);
		l[i] = &s[i].lim;
	}
	assert_true(limit_take(&l[0], 1, 0, 3).now);
	assert_true(limit_take(&l[1], 1, 0, 1).now);
	a = limit_take(&l[2], 1, 1000, 1);
	assert_false(a.now);
	assert_int_equal(a.when_ms, 1000 + TOTAL_POLL_MS);
	assert_string_equal(limit_text(&a, text, sizeof(text)),
	    "at total-max-smtp-out 4 of all");
	assert_int_equal(total_used(t), 4);
	/* The race that ask cannot see: take itself refuses. */
	assert_false(l[2]->ops->take(l[2], 0, 1));
	assert_int_equal(total_used(t), 4);
	total_clear(t, 0); /* it died */
	assert_int_equal(total_used(t), 1);
	assert_true(limit_take(&l[2], 1, 0, 3).now);
	limit_give(&l[1], 1, 1, false);
	assert_int_equal(total_used(t), 3);
	s[1].max = 0;
	assert_true(limit_take(&l[1], 1, 0, 100).now);
	total_free(t);
	total_free(NULL);
}

/*
 * One worker of the test below: takes and gives; 1 when more hold a slot than
 * may. It is counted as a holder after taking and until giving, no longer.
 */
static int
hammer(struct total *t, unsigned worker, int64_t max, _Atomic int *holders)
{
	struct total_slots s;
	struct limiter *l = &s.lim;
	int bad = 0, i;

	total_slots_init(&s, t, worker, LIMIT_TOTAL_CONNS, max);
	for (i = 0; i < 20000; i++) {
		if (!limit_take(&l, 1, 0, 1).now)
			continue;
		if (atomic_fetch_add(holders, 1) + 1 > max)
			bad = 1;
		(void)atomic_fetch_sub(holders, 1);
		limit_give(&l, 1, 1, false);
	}
	return (bad);
}

/* Four processes at once: never more than two hold a slot. */
static void
test_processes(void **state)
{
	struct total *t = total_new(4, NULL);
	_Atomic int *holders;
	pid_t pid[4];
	unsigned i;
	int status;

	(void)state;
	assert_non_null(t);
	holders = mmap(NULL, sizeof(*holders), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(holders != MAP_FAILED);
	for (i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(hammer(t, i, 2, holders));
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(total_used(t), 0);
	assert_int_equal(munmap(holders, sizeof(*holders)), 0);
	total_free(t);
}

/* A worker is killed with slots taken. */
static void
test_killed(void **state)
{
	struct total *t = total_new(1, NULL);
	struct total_slots s;
	struct limiter *l = &s.lim;
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(t);
	pid = fork();
	if (pid == 0) {
		total_slots_init(&s, t, 0, LIMIT_TOTAL_CONNS, 2);
		(void)limit_take(&l, 1, 0, 2);
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(total_used(t), 2);
	total_clear(t, 0);
	assert_int_equal(total_used(t), 0);
	total_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_combine),
		cmocka_unit_test(test_take_all),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_killed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
