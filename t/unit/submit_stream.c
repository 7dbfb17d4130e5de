/* Streams: cutting, refusals, all or nothing, submit ids. */
#include <inttypes.h>

#include "submit_util.h"

#include "submit/stream.h"

static struct buf rejects = { NULL, 0, 0 };

static void
on_reject(void *arg, uint64_t line, const char *why)
{
	(void)arg;
	buf_addf(&rejects, "%" PRIu64 ": %s\n", line, why);
}

static struct submit_stream *
stream(struct submit *s, bool all)
{
	struct submit_stream_opts o = { .env = { .prio = -1 },
		.all_or_nothing = all,
		.reject = on_reject };

	buf_clear(&rejects);
	return (submit_stream_new(s, &o));
}

/* A transaction number i into b. */
static void
txn(struct buf *b, int i)
{
	buf_addf(b,
	    "MAIL FROM:<s@y.example>\nRCPT TO:<u%d@d%d.example>\nDATA\n"
	    "Subject: number %d\n\n..dot\nbody\n.\n",
	    i, i % 3, i);
}

#define BAD_RCPT "MAIL FROM:<>\nRCPT TO:<nobody>\nDATA\nx: y\n\n.\n"
#define BAD_CR "MAIL FROM:<>\nRCPT TO:<a@b.example>\nDATA\nx: y\n\na\rb\n.\n"
#define BAD_SENDER "MAIL FROM:<a@>\nRCPT TO:<a@b.example>\nDATA\nx: y\n\n.\n"
#define BAD_HALF                                                  \
	"MAIL FROM:<>\nRCPT TO:<nobody>\nRCPT TO:<a@b.example>\n" \
	"DATA\nx: half\n\n.\n"

/* Feed it in pieces; all of it must be taken in. */
static void
feed(struct submit_stream *st, const struct buf *b, size_t piece)
{
	struct verr err = VERR_INIT;
	size_t i, n;

	for (i = 0; i < b->len; i += n) {
		n = b->len - i < piece ? b->len - i : piece;
		assert_int_equal(submit_stream_feed(st, b->p + i, n, &err), 0);
	}
	assert_int_equal(submit_stream_end_file(st, &err), 0);
	assert_int_equal(submit_stream_finish(st, &err), 0);
}

/* Whatever the pieces, it is the same. */
static void
test_pieces(void **state)
{
	static const size_t piece[] = { 1, 2, 3, 7, 64, 100000 };
	struct buf b = BUF_INIT;
	struct submit_stream *st;
	struct submit *s;
	size_t i;

	(void)state;
	txn(&b, 0);
	buf_adds(&b, BAD_RCPT BAD_CR);
	txn(&b, 1);
	buf_adds(&b, BAD_SENDER BAD_HALF);
	txn(&b, 2);
	for (i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
		s = handle("user:x");
		st = stream(s, false);
		feed(st, &b, piece[i]);
		assert_int_equal(submit_accepted(s), 4);
		assert_int_equal(submit_stream_rejected(st), 4);
		assert_int_equal(count(buf_str(&rejects), "\n"), 5);
		assert_int_equal(count(buf_str(&rejects), "15: "), 1);
		submit_stream_free(st);
		submit_close(s);
		assert_int_equal(count(content("/queue/"), "\r\n.dot\r\n"),
		    3 * (i + 1));
	}
	buf_release(&b);
}

/* 1,000 messages: four commits; each queue has a batch in each. */
static void
test_cut(void **state)
{
	struct buf b = BUF_INIT;
	struct submit_stream *st;
	struct submit *s = handle("user:x");
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		txn(&b, i);
	st = stream(s, false);
	feed(st, &b, 65536);
	assert_int_equal(submit_accepted(s), 1000);
	assert_int_equal(count(buf_str(&durable), "\n"), 1000);
	submit_stream_free(st);
	submit_close(s);
	assert_int_equal(files("/queue/"), 4 * 3);
	assert_int_equal(files("/commit/"), 0);
	assert_int_equal(count(content("/queue/"), "Subject: number "), 1000);
	buf_release(&b);
}

/* What waits goes to the disk when told so. */
static void
test_idle(void **state)
{
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	struct submit_stream *st;
	struct submit *s = handle("user:x");

	(void)state;
	txn(&b, 1);
	st = stream(s, false);
	assert_false(submit_stream_waiting(st));
	assert_int_equal(submit_stream_feed(st, b.p, b.len, &err), 0);
	assert_true(submit_stream_waiting(st));
	assert_int_equal(submit_stream_idle(st, &err), 0);
	assert_false(submit_stream_waiting(st));
	assert_int_equal(submit_settle(s, &err), 0);
	assert_int_equal(submit_accepted(s), 1);
	submit_stream_free(st);
	submit_close(s);
	assert_int_equal(files("/queue/"), 1);
	buf_release(&b);
}

static void
test_all_or_nothing(void **state)
{
	static const char *const bad[] = { "", BAD_RCPT, BAD_CR, BAD_HALF,
		"XMRG FROM:<a@b.example>\n",
		"XMRG FROM:<>\nRCPT TO:<a@b.example>\nXPRT 1 LAST\n\n.\n",
		"MAIL FROM:<a@b.example>\n" };
	struct buf b = BUF_INIT;
	struct submit_stream *st;
	struct submit *s;
	size_t i;
	int j;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_clear(&b);
		for (j = 0; j < 300; j++)
			txn(&b, j);
		buf_adds(&b, bad[i]);
		for (; j < 600; j++)
			txn(&b, j);
		s = handle("user:x");
		st = stream(s, true);
		feed(st, &b, 4096);
		assert_int_equal(submit_accepted(s), i == 0 ? 600 : 0);
		assert_int_equal(submit_stream_rejected(st), i == 0 ? 0 : 1);
		submit_stream_free(st);
		submit_close(s);
		assert_int_equal(files("/queue/"), i == 0 ? 3 : 0);
		(void)scratch_teardown(NULL);
		(void)scratch_setup(NULL);
	}
	buf_release(&b);
}

/* A repeated stream: each message once, the refused ones refused again. */
static void
test_repeat(void **state)
{
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	struct submit_stream *st;
	struct submit *s;
	int i, call;

	(void)state;
	for (i = 0; i < 700; i++) {
		txn(&b, i);
		if (i % 100 == 50)
			buf_adds(&b, BAD_CR);
	}
	for (call = 0; call < 3; call++) {
		s = handle("user:x");
		assert_int_equal(submit_key(s, "key", &err), 0);
		st = stream(s, false);
		if (call == 0) {
			/* it breaks off in the middle */
			assert_int_equal(submit_stream_feed(st, b.p, b.len / 2,
					     &err),
			    0);
			assert_int_equal(submit_stream_finish(st, &err), 0);
			assert_true(submit_accepted(s) > 300);
			assert_true(submit_accepted(s) < 400);
		} else {
			feed(st, &b, 1000);
			assert_int_equal(submit_accepted(s), 700);
			assert_int_equal(submit_stream_rejected(st), 7);
		}
		submit_stream_free(st);
		submit_close(s);
	}
	assert_int_equal(count(content("/queue/"), "Subject: number "), 700);
	assert_int_equal(count(content("/queue/"), "Subject: number 333\r"), 1);
	buf_release(&b);
}

/* A single message with a key prints the same, and is there once. */
static void
test_key(void **state)
{
	static const struct submit_env plain = { .prio = -1 };
	struct verr err = VERR_INIT;
	struct submit *s, *other;
	char first[64];
	int call;

	(void)state;
	for (call = 0; call < 3; call++) {
		s = handle("user:x");
		assert_int_equal(submit_key(s, "k", &err), 0);
		other = handle("user:x");
		assert_int_equal(submit_key(other, "k", &err), -1);
		assert_int_equal(err.code, VEX_TEMP);
		submit_close(other);
		other = handle("user:x");
		assert_int_equal(submit_key(other, "k2", &err), 0);
		submit_close(other);
		assert_int_equal(put(s, &plain, "b@c.example", "x: y\n", &err),
		    0);
		assert_int_equal(submit_finish(s, &err), 0);
		assert_int_equal(submit_accepted(s), 1);
		if (call == 0)
			(void)snprintf(first, sizeof(first), "%s", durable.p);
		assert_string_equal(durable.p, first);
		submit_close(s);
		assert_int_equal(files("/queue/"), 1);
	}
	s = handle("user:x");
	assert_int_equal(submit_key(s, "", &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	submit_close(s);
}

/* The disk fills up in the middle: what was told as durable is there. */
static int left;

static int
full_syncfs(struct sys *s, int fd)
{
	(void)s;
	if (left-- > 0)
		return (syncfs(fd));
	errno = ENOSPC;
	return (-1);
}

static void
test_full(void **state)
{
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	struct submit_stream *st;
	struct submit *s;
	int i, rc = 0;

	(void)state;
	for (i = 0; i < 2000; i++)
		buf_addf(&b,
		    "MAIL FROM:<>\nRCPT TO:<u@d%d.example>\nDATA\n"
		    "Subject: number %d\n\n.\n",
		    i % 20, i);
	s = handle("user:x");
	sys.syncfs = full_syncfs;
	left = 5;
	st = stream(s, false);
	for (i = 0; rc == 0 && (size_t)i < b.len; i += 1000)
		rc = submit_stream_feed(st, b.p + i,
		    b.len - (size_t)i < 1000 ? b.len - (size_t)i : 1000, &err);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, VEX_TEMP);
	assert_int_equal(submit_stream_finish(st, &err), -1);
	assert_int_equal(err.code, VEX_TEMP);
	assert_true(submit_accepted(s) > 0);
	assert_int_equal(submit_accepted(s) % 256, 0);
	assert_int_equal(count(buf_str(&durable), "\n"), submit_accepted(s));
	assert_int_equal(count(content("/queue/"), "Subject: number "),
	    submit_accepted(s));
	submit_stream_free(st);
	submit_close(s);
	buf_release(&b);
}

static void
test_bsmtp_ok(void **state)
{
	struct verr err = VERR_INIT;
	struct submit *s;

	(void)state;
	set_conf(CONF "source 'user:x' { allow-bsmtp = no }\n");
	s = handle("user:x");
	assert_int_equal(submit_bsmtp_ok(s, &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	submit_close(s);
	s = handle("user:y");
	assert_int_equal(submit_bsmtp_ok(s, &err), 0);
	submit_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_pieces),
		SCRATCH_TEST(test_cut),
		SCRATCH_TEST(test_idle),
		SCRATCH_TEST(test_all_or_nothing),
		SCRATCH_TEST(test_repeat),
		SCRATCH_TEST(test_key),
		SCRATCH_TEST(test_full),
		SCRATCH_TEST(test_bsmtp_ok),
	};
	int rc;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	buf_release(&rejects);
	return (rc);
}
