/*
 * mboxes: where messages begin and end, quoting, senders; cut at every place
 * the result is the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "mail/mbox.h"

/* What the callbacks saw, as text. */
struct seen {
	struct buf log;
	const char *stop; /* the callback that fails; NULL: none */
};

static int
stops(const struct seen *s, const char *which, struct verr *err)
{
	return (s->stop != NULL && strcmp(s->stop, which) == 0 ?
		verr_set(err, VEX_TEMP, "stop") :
		0);
}

static int
on_begin(void *arg, uint64_t line, const char *sender, struct verr *err)
{
	struct seen *s = arg;

	buf_addf(&s->log, "%d<%s>[", (int)line, sender);
	return (stops(s, "begin", err));
}

static int
on_data(void *arg, const char *p, size_t n, struct verr *err)
{
	struct seen *s = arg;

	assert_true(n > 0);
	buf_add(&s->log, p, n);
	return (stops(s, "data", err));
}

static int
on_end(void *arg, struct verr *err)
{
	struct seen *s = arg;

	buf_adds(&s->log, "]");
	return (stops(s, "end", err));
}

static void
on_refuse(void *arg, uint64_t line, const char *why)
{
	struct seen *s = arg;

	assert_string_equal(why, "text before the first From_ line");
	buf_addf(&s->log, "!%d;", (int)line);
}

static struct mbox *
reader(struct seen *s)
{
	const struct mbox_opts o = { on_begin, on_data, on_end, on_refuse, s };

	return (mbox_new(&o));
}

/* Read a file in chunks; the log, which the caller releases. */
static struct buf
run(const char *p, size_t n, size_t chunk)
{
	struct seen s = { BUF_INIT, NULL };
	struct mbox *m = reader(&s);
	struct verr err = VERR_INIT;
	size_t k;
	char *copy;

	for (; n > 0; p += k, n -= k) {
		k = chunk > 0 && chunk < n ? chunk : n;
		copy = malloc(k); /* exact, for the address sanitizer */
		assert_non_null(copy);
		memcpy(copy, p, k);
		assert_int_equal(mbox_feed(m, copy, k, &err), 0);
		free(copy);
	}
	assert_int_equal(mbox_end(m, &err), 0);
	mbox_free(m);
	return (s.log);
}

#define D " Mon Nov 30 21:54:05 2026\n"
#define F "From a@b" D

static const struct {
	const char *in;
	const char *out;
} cases[] = { { "", "" }, { "\n\n\r\n", "" }, { F, "1<a@b>[]" },
	{ F "x: y\n\nhi\n", "1<a@b>[x: y\n\nhi\n]" },
	/* the empty line before is not of the message, those before it are */
	{ F "x: y\n\nhi\n\n" F "z: y\n", "1<a@b>[x: y\n\nhi\n]6<a@b>[z: y\n]" },
	{ F "x: y\n\nhi\n\n\n\n" F, "1<a@b>[x: y\n\nhi\n\n\n]8<a@b>[]" },
	{ F "x: y\r\n\r\nhi\r\n\r\n" F, "1<a@b>[x: y\r\n\r\nhi\r\n]6<a@b>[]" },
	{ F "x: y\n\nhi\n\n", "1<a@b>[x: y\n\nhi\n]" },
	{ F "x: y\n\n" F "z: y\n\n", "1<a@b>[x: y\n]4<a@b>[z: y\n]" },
	{ "\n\n" F "x\n", "3<a@b>[x\n]" },
	/* the first line of a message may be empty, or one of it */
	{ F "\n" F, "1<a@b>[]3<a@b>[]" }, { F F, "1<a@b>[From a@b" D "]" },
	/* what is no From_ line */
	{ F "x\n" F "y\n", "1<a@b>[x\nFrom a@b" D "y\n]" },
	{ F "x\n\nFrom here on it is text\n",
	    "1<a@b>[x\n\nFrom here on it is text\n]" },
	{ F "x\n\nFrom\n\nFrom \n\nfrom a@b" D,
	    "1<a@b>[x\n\nFrom\n\nFrom \n\nfrom a@b" D "]" },
	{ F "x\n\nFrom a Mon Foo 30\n\nFrom a Mon Nov\n",
	    "1<a@b>[x\n\nFrom a Mon Foo 30\n\nFrom a Mon Nov\n]" },
	/* forms of one */
	{ "From \"a b\"@c  Sun Jan  1 00:00:00 2023\n", "1<\"a b\"@c>[]" },
	{ "From -" D, "1<->[]" },
	{ "From 12@xxx Sat Feb 01 00:00:00 +0000 2018\n", "1<12@xxx>[]" },
	{ "From MAILER-DAEMON" D, "1<MAILER-DAEMON>[]" },
	{ "From Mon Nov 30 21:54:05 2026\n", "1<>[]" },
	{ "From a@b Mon Nov 30 21:54:05 2026\r\nx", "1<a@b>[x]" },
	{ "From a@b Mon Nov 30 21:54:05 2026", "1<a@b>[]" },
	/* quoting */
	{ F ">From x\n>>From y\n>>>From z\n>From\n >From x\n>x\n>",
	    "1<a@b>[From x\n>From y\n>>From z\n>From\n >From x\n>x\n>]" },
	{ F "x\n\n>From a@b" D "y\n", "1<a@b>[x\n\nFrom a@b" D "y\n]" },
	/* not an mbox; and one that begins with something else */
	{ "x: y\n\nhi\n", "!1;" }, { "\nFrom x\nhi\n\n\nhi\n", "!2;" },
	{ "junk\n\n" F "x\n", "!1;3<a@b>[x\n]" },
	/* ends */
	{ F "x", "1<a@b>[x]" }, { F "Fro", "1<a@b>[Fro]" },
	{ F "x\n\r", "1<a@b>[x\n\r]" }, { F "x\n\rFrom", "1<a@b>[x\n\rFrom]" },
	{ F "x\n\r\r\n", "1<a@b>[x\n\r\r\n]" } };

static void
test_cases(void **state)
{
	size_t i, n, chunk;
	struct buf log;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		n = strlen(cases[i].in);
		for (chunk = 0; chunk <= n; chunk++) {
			log = run(cases[i].in, n, chunk);
			assert_string_equal(buf_str(&log), cases[i].out);
			buf_release(&log);
		}
	}
}

/* Long lines: of `>`, and one that begins as a From_ line does. */
static void
test_long(void **state)
{
	static const char *const start[] = { "", "From ", ">From ", "x" };
	struct buf in = BUF_INIT, log;
	size_t i, k;

	(void)state;
	for (i = 0; i < 4; i++) {
		buf_clear(&in);
		buf_adds(&in, F "\n");
		buf_adds(&in, start[i]);
		for (k = 0; k < 100000; k++)
			buf_addc(&in, '>');
		buf_adds(&in, D);
		for (k = 0; k < 3; k++) {
			log = run(in.p, in.len, k == 0 ? 0 : k == 1 ? 1 : 777);
			assert_int_equal(log.len,
			    in.len - strlen(F) + strlen("1<a@b>[]") -
				(start[i][0] == '>'));
			buf_release(&log);
		}
	}
	buf_release(&in);
}

/* Two files, and an error of each callback. */
static void
test_stop(void **state)
{
	static const char *const which[] = { "begin", "data", "end" };
	static const char two[] = F "x\n\n" F "y\n";
	struct verr err = VERR_INIT;
	struct seen s = { BUF_INIT, NULL };
	struct mbox *m = reader(&s);
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(mbox_feed(m, two, strlen(two), &err), 0);
		assert_int_equal(mbox_end(m, &err), 0);
	}
	assert_string_equal(s.log.p,
	    "1<a@b>[x\n]4<a@b>[y\n]1<a@b>[x\n]4<a@b>[y\n]");
	mbox_free(m);
	for (i = 0; i < 3; i++) {
		s.stop = which[i];
		m = reader(&s);
		assert_int_equal(mbox_feed(m, two, strlen(two), &err), -1);
		assert_int_equal(err.code, VEX_TEMP);
		mbox_free(m);
	}
	mbox_free(NULL);
	buf_release(&s.log);
}

/* Pieces of mboxes, cut anywhere: always the same. */
static void
test_random(void **state)
{
	static const char *const word[] = { F, "From ", "a@b", D, "\n", "\r\n",
		"\r", ">", ">From ", "x", "F", "Mon Nov ", " ", "\n\n" };
	unsigned seed = (unsigned)time(NULL);
	struct buf in = BUF_INIT, one, two;
	int round, i;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 20000; round++) {
		buf_clear(&in);
		for (i = (int)(random() % 20); i > 0; i--)
			buf_adds(&in,
			    word[(size_t)random() %
				(sizeof(word) / sizeof(word[0]))]);
		one = run(buf_str(&in), in.len, 0);
		two = run(buf_str(&in), in.len, 1 + (size_t)random() % 4);
		assert_string_equal(buf_str(&one), buf_str(&two));
		buf_release(&one);
		buf_release(&two);
	}
	buf_release(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
