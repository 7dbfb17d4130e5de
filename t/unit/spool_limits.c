/*
 * V17: numbers at their limits in what the spool keeps: a batch, the journal,
 * a queue's clock, counters, states that say more than fits.
 */
#include <sys/mman.h>
#include <limits.h>

#include "acct/record.h"
#include "spool_util.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct spool *sp;
static struct t_sys table;

static int
setup(void **state)
{
	(void)state;
	t_sys_init(&table, T_COUNT, 0, 0);
	sp = t_spool(&table.sys);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	spool_close(sp);
	return (0);
}

/* A file of state/, with its directories. */
static void
put(const char *dir, const char *sub, const char *name, const char *text)
{
	char path[600];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/state/%s", sp->path, dir);
	(void)mkdir(path, 0700);
	if (sub != NULL) {
		(void)snprintf(path, sizeof(path), "%s/state/%s/%s", sp->path,
		    dir, sub);
		(void)mkdir(path, 0700);
	}
	(void)snprintf(path, sizeof(path), "%s/state/%s/%s%s%s", sp->path, dir,
	    sub != NULL ? sub : "", sub != NULL ? "/" : "", name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* rcptIndex, longest line, dots at UINT32_MAX; attempts beyond their field. */
static void
test_V17_batch(void **state)
{
	struct commit *c = commit_new(sp);
	struct commit_key key = t_key("v", "d.example");
	struct commit_rcpt rcpt = { .index = UINT32_MAX,
		.rcpt = "a@d.example" };
	struct commit_msg msg;
	struct batch_txn t;
	struct batch_slot s;
	struct batch *b;
	struct t_seen seen;
	uint32_t slot = 0;
	struct id id;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	msg = t_msg(id.s, commit_content(c, "x\r\n", 3));
	msg.longest = msg.dots = UINT32_MAX;
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	seen = t_see(sp);
	b = t_open(sp, &seen);
	batch_txn_init(&t);
	assert_ok(batch_load(b, &slot, 1, &t, &t_err));
	assert_true(t.rcpt[0].index == UINT32_MAX);
	assert_true(t.msg.longest == UINT32_MAX && t.msg.dots == UINT32_MAX);
	batch_txn_release(&t);
	batch_set(b, 0, BATCH_DEFERRED, UINT_MAX, INT64_MAX,
	    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255");
	assert_ok(batch_flush(b, &t_err));
	batch_close(b);
	b = t_open(sp, &seen);
	batch_slot(b, 0, &s);
	assert_int_equal(s.attempts, 999);
	assert_true(s.next == BATCH_DUE_NEVER);
	batch_set(b, 0, BATCH_DEFERRED, s.attempts + 1u, -1, NULL);
	assert_ok(batch_flush(b, &t_err));
	batch_close(b);
	b = t_open(sp, &seen);
	batch_slot(b, 0, &s);
	assert_int_equal(s.attempts, 999);
	assert_int_equal(s.next, 0);
	assert_ok(batch_requeue(b, &t_err));
	batch_close(b);
	t_clean(sp);
}

/* A content that the size of a message cannot say is refused, not cut. */
static void
test_V17_content(void **state)
{
	static const struct {
		size_t n;
		int rc;
	} t[] = { { (size_t)UINT32_MAX + 1, -1 },
		{ ((size_t)1 << 31) + 1, 0 } };
	struct commit_key key = t_key("v", "d.example");
	struct commit_rcpt rcpt = { .rcpt = "a@d.example" };
	struct commit_msg msg;
	struct commit *c;
	struct id id;
	size_t i;
	void *p;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	for (i = 0; i < LEN(t); i++) {
		/* sparse: no memory is used but for what is read */
		p = mmap(NULL, t[i].n, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			skip();
		(void)madvise(p, t[i].n, MADV_HUGEPAGE);
		c = commit_new(sp);
		msg = t_msg(id.s, commit_content(c, p, t[i].n));
		assert_int_equal(commit_rcpt(c, &key, &msg, &rcpt, NULL),
		    t[i].rc);
		commit_free(c);
		assert_int_equal(munmap(p, t[i].n), 0);
	}
}

static void
test_V17_retry_step(void **state)
{
	static const struct {
		const char *step;
		unsigned int value;
	} t[] = { { "0", 0 }, { "2147483647", INT32_MAX },
		{ "2147483648", INT32_MAX }, { "4294967295", INT32_MAX },
		{ "4294967296", INT32_MAX },
		{ "9223372036854775807", INT32_MAX },
		{ "9223372036854775808", 0 }, { "-1", 0 }, { "007", 0 } };
	struct retry_state st;
	char text[100];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		(void)snprintf(text, sizeof(text), "vmta-retry 1\nstep: %s\n",
		    t[i].step);
		put("retry", "v", "d.example", text);
		assert_int_equal(retry_state_read(sp, "v", "d.example", &st,
				     &t_err),
		    0);
		assert_int_equal(st.step, t[i].value);
		st.step++;
		assert_ok(retry_state_write(sp, "v", "d.example", &st, &t_err));
		retry_state_release(&st);
		assert_int_equal(retry_state_read(sp, "v", "d.example", &st,
				     &t_err),
		    0);
		assert_true(st.step > 0 && st.step <= INT32_MAX);
		retry_state_release(&st);
	}
}

static void
test_V17_counter(void **state)
{
	uint64_t old;

	(void)state;
	put("counter", NULL, "c", "18446744073709551615\n");
	assert_ok(counter_add(sp, "c", 2, &old, &t_err));
	assert_true(old == UINT64_MAX);
	assert_ok(counter_add(sp, "c", 1, &old, &t_err));
	assert_int_equal(old, 1);
	put("counter", NULL, "c", "18446744073709551616\n");
	assert_ok(counter_add(sp, "c", 1, &old, &t_err));
	assert_int_equal(old, 0);
	put("counter", NULL, "c", "99999999999999999999999999999999999\n");
	assert_ok(counter_add(sp, "c", 1, &old, &t_err));
	assert_int_equal(old, 0);
}

/* What a reply says in numbers that are none is not taken. */
static void
test_V17_reply(void **state)
{
	const char *const options[] = { "all" };
	struct control_reply sum;
	char path[600];
	struct id id;
	FILE *f;
	int i, fd;

	(void)state;
	assert_ok(control_ask(sp, "delete", options, 1, &id, &fd, &t_err));
	for (i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/control/%s.w%d.rep",
		    sp->path, id.s, i);
		f = fopen(path, "w");
		assert_non_null(f);
		assert_true(fputs("vmta-reply 2\n"
				  "vmta: v 9223372036854775807 1\n"
				  "vmta: v 18446744073709551615 1\nend\n",
				f) >= 0);
		assert_int_equal(fclose(f), 0);
	}
	assert_ok(control_collect(sp, &id, &sum, &t_err));
	assert_int_equal(sum.n_vmta, 3);
	assert_true(sum.vmta[2].matched == INT64_MAX);
	control_reply_release(&sum);
	assert_ok(control_done(sp, &id, fd, &t_err));
}

/* The journal says UINT32_MAX and takes nothing beyond it for a number. */
static void
test_V17_record(void **state)
{
	struct acct_record r = { .type = "t",
		.time_logged = 1,
		.msg_id = "1lp6jv7m0d3k8q2r5t1ua",
		.rcpt_index = UINT32_MAX,
		.batch = "1lp6jv7m0d3k8q2r5t1ua",
		.state = 't',
		.slot = UINT32_MAX,
		.attempts = UINT32_MAX,
		.dlv_size = INT64_MAX,
		.next_try = INT64_MAX },
			   back;
	struct buf line = BUF_INIT;
	struct record_map map;
	char *at;

	(void)state;
	record_map_default(&map);
	record_format(&r, &line);
	at = strstr(line.p, "4294967295,t,4294967295");
	assert_non_null(at);
	assert_int_equal(record_parse(&map, line.p, line.len - 2, &back), 0);
	assert_true(back.slot == UINT32_MAX && back.attempts == UINT32_MAX);
	assert_true(back.rcpt_index == UINT32_MAX);
	assert_true(back.dlv_size == INT64_MAX);
	assert_true(back.next_try == BATCH_DUE_NEVER);
	buf_clear(&line);
	record_format(&r, &line);
	at = strstr(line.p, "4294967295,t,4294967295");
	memcpy(at, "4294967296", 10);
	assert_int_equal(record_parse(&map, line.p, line.len - 2, &back), -1);
	buf_release(&line);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_V17_batch),
		TEST(test_V17_content),
		TEST(test_V17_retry_step),
		TEST(test_V17_counter),
		TEST(test_V17_reply),
		TEST(test_V17_record),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
