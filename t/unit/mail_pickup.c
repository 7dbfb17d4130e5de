/*
 * Pickup files: lines of the envelope, what refuses a file and where, where
 * the message begins; cut at every place the result is the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mail/pickup.h"

static int
on_rcpt(void *arg, const struct addr *a, struct verr *err)
{
	(void)err;
	buf_addf(arg, "<%s>", a->smtp);
	return (0);
}

static int
on_data(void *arg, const char *p, size_t n, struct verr *err)
{
	struct buf *seen = arg;

	buf_add(seen + 1, p, n);
	if (memmem(p, n, "full", 4) != NULL)
		return (verr_set(err, VEX_TEMP, "disk full"));
	if (memmem(p, n, "worse", 5) != NULL)
		return (verr_set(err, VEX_DATA, "line 1: worse"));
	return (0);
}

/*
 * Read a file in chunks: `SENDER <RCPT>... job envid|message`, or `!CODE
 * error`; the caller releases it.
 */
static struct buf
run(const char *p, size_t n, size_t chunk, size_t max_rcpt)
{
	static const struct addr_local local = { NULL, "local.example" };
	struct buf seen[2] = { BUF_INIT, BUF_INIT }, out = BUF_INIT;
	struct pickup_opts o = { .max_rcpt = max_rcpt,
		.local = &local,
		.rcpt = on_rcpt,
		.data = on_data,
		.arg = seen };
	struct pickup *pk = pickup_new(&o);
	struct verr err = VERR_INIT;
	int rc = 0;
	size_t k;
	char *copy;

	for (; n > 0 && rc == 0; p += k, n -= k) {
		k = chunk > 0 && chunk < n ? chunk : n;
		copy = malloc(k); /* exact, for the address sanitizer */
		assert_non_null(copy);
		memcpy(copy, p, k);
		rc = pickup_feed(pk, copy, k, &err);
		free(copy);
	}
	if (rc == 0)
		rc = pickup_end(pk, &err);
	if (rc == 0)
		buf_addf(&out, "%s %s %s %s|%s", pickup_sender(pk)->smtp,
		    buf_str(&seen[0]), pickup_job(pk), pickup_envid(pk),
		    buf_str(&seen[1]));
	else
		buf_addf(&out, "!%d %s", err.code, err.text);
	pickup_free(pk);
	buf_release(&seen[0]);
	buf_release(&seen[1]);
	return (out);
}

#define S "x-sender: s@x.example\n"
#define R "x-receiver: r@x.example\n"

static const struct {
	const char *text, *want;
} files[] = {
	{ S R "Subject: x\n\nhi\n",
	    "s@x.example <r@x.example>  |Subject: x\n\nhi\n" },
	{ S R "x-receiver: b@x.example\nbody",
	    "s@x.example <r@x.example><b@x.example>  |body" },
	/* names in any case, blanks, CRLF, brackets */
	{ "X-SENDER:<s@x.example>  \r\nX-Receiver:\t <r@X.Example> \r\n\r\nz",
	    "s@x.example <r@x.example>  |\r\nz" },
	{ "x-sender:\n" R "\nz", " <r@x.example>  |\nz" },
	{ "x-sender: <>\n" R "\nz", " <r@x.example>  |\nz" },
	{ S "x-sender-override: o@x.example\n" R "z",
	    "o@x.example <r@x.example>  |z" },
	{ S "x-sender-override: <>\n" R "z", " <r@x.example>  |z" },
	{ S R "x-job: j 1\nx-envid: a b\nz",
	    "s@x.example <r@x.example> j 1 a+20b|z" },
	{ S "x-job:\n" R "z", "s@x.example <r@x.example>  |z" },
	/* fields of the message among the lines */
	{ S "x-virtual-mta: v\n" R "X-Schedule: 1/2,\r\n\t3/4\n"
	    "x-dkim-options: d=x\nx-job: j\nz",
	    "s@x.example <r@x.example> j |x-virtual-mta: v\n"
	    "X-Schedule: 1/2,\r\n\t3/4\nx-dkim-options: d=x\nz" },
	/* the message has begun: nothing is of the envelope any more */
	{ S R "x-mailer: m\nx-receiver: late@x.example\n\nz",
	    "s@x.example <r@x.example>  |x-mailer: m\n"
	    "x-receiver: late@x.example\n\nz" },
	{ S R "x-receiver-name: y\n\nz",
	    "s@x.example <r@x.example>  |x-receiver-name: y\n\nz" },
	{ S R "x-receiver : y\n\nz",
	    "s@x.example <r@x.example>  |x-receiver : y\n\nz" },
	{ S R "\nx-receiver: y\n",
	    "s@x.example <r@x.example>  |\n"
	    "x-receiver: y\n" },
	/* local names */
	{ S "x-receiver: r@host\nz", "s@x.example <r@host.local.example>  |z" },
	/* refused */
	{ "", "!65 no x-sender" },
	{ "\n", "!65 line 1: x-sender is not first" },
	{ R S "z", "!65 line 1: x-sender is not first" },
	{ "x-sender-override: a@x.example\n" S R "z",
	    "!65 line 1: x-sender is not first" },
	{ "x-virtual-mta: v\n" S R "z", "!65 line 1: x-sender is not first" },
	{ " x-sender: a@x.example\n" R "z",
	    "!65 line 1: x-sender is not first" },
	{ S, "!65 no x-receiver" },
	{ S "Subject: x\n", "!65 line 2: no x-receiver before it" },
	{ S "\n", "!65 line 2: no x-receiver before it" },
	{ S R, "!65 the file ends before the message" },
	{ S R "x-job: 1\nx-virtual-mta: v\n",
	    "!65 the file ends before the message" },
	{ S S R "z", "!65 line 2: a second x-sender" },
	{ S R "x-job: 1\nx-job: 2\nz", "!65 line 4: a second x-job" },
	{ S R "x-envid: 1\nx-envid: 2\nz", "!65 line 4: a second x-envid" },
	{ S "x-sender-override: <>\nx-sender-override: <>\n" R "z",
	    "!65 line 3: a second x-sender-override" },
	{ S " more\n" R "z", "!65 line 2: a line that is folded" },
	{ S R "\tmore\nz", "!65 line 3: a line that is folded" },
	{ S R "x-receiver: a@x.example SIZE=1\nz", "!65 line 3: x-receiver: " },
	{ S R "x-receiver: a@x.example, b@x.example\nz",
	    "!65 line 3: x-receiver: " },
	{ S R "x-receiver:\nz", "!65 line 3: x-receiver: " },
	{ S R "x-receiver: <>\nz", "!65 line 3: x-receiver: " },
	{ S R "x-receiver: a@x.example\rx\nz", "!65 line 3: x-receiver: " },
	{ "x-sender: a b\n" R "z", "!65 line 1: x-sender: " },
	{ S "x-sender-override: a b\n" R "z",
	    "!65 line 2: x-sender-override: " },
	{ S R R R "z", "!65 line 4: more than 2 recipients" },
	/* what the message says */
	{ S R "worse", "!65 message: line 1: worse" },
	{ S R "full", "!75 disk full" },
	{ S "x-virtual-mta: full\n" R "z", "!75 disk full" },
};

static void
test_files(void **state)
{
	size_t i, n, chunk;
	struct buf b;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		n = strlen(files[i].text);
		for (chunk = 0; chunk <= n && chunk < 80; chunk++) {
			b = run(files[i].text, n, chunk, 2);
			if (strstr(files[i].want, "worse") != NULL ||
			    strstr(files[i].want, "full") != NULL) {
				/* the callback sees words only whole */
				if (chunk == 0)
					assert_string_equal(b.p, files[i].want);
			} else if (files[i].want[0] == '!') {
				assert_memory_equal(b.p, files[i].want,
				    strlen(files[i].want));
			} else {
				assert_string_equal(b.p, files[i].want);
			}
			buf_release(&b);
		}
	}
}

static void
test_nul(void **state)
{
	static const char a[] = S "x-receiver: a\0b@x.example\nz";
	static const char m[] = S R "z\0z";
	struct buf b;

	(void)state;
	b = run(a, sizeof(a) - 1, 0, 0);
	assert_string_equal(b.p, "!65 line 2: NUL octet");
	buf_release(&b);
	/* that is for who reads messages to say */
	b = run(m, sizeof(m) - 1, 0, 0);
	assert_string_equal(b.p, "s@x.example <r@x.example>  |z");
	buf_release(&b);
}

/* A line of the envelope has a limit, one of the message has none here. */
static void
test_long(void **state)
{
	static const size_t len[] = { PICKUP_LINE_MAX - 1, PICKUP_LINE_MAX,
		PICKUP_LINE_MAX + 1, 3 * PICKUP_LINE_MAX };
	struct buf in = BUF_INIT, b;
	size_t i, k, at, chunk;

	(void)state;
	for (i = 0; i < 4; i++)
		for (chunk = 0; chunk < 4000; chunk += 1333) {
			buf_clear(&in);
			buf_adds(&in, S R);
			at = in.len;
			buf_adds(&in, "x-job: ");
			while (in.len - at < len[i] - 1)
				buf_addc(&in, 'j');
			buf_adds(&in, "\nz");
			b = run(in.p, in.len, chunk, 0);
			if (len[i] <= PICKUP_LINE_MAX)
				assert_int_equal(b.p[0], 's');
			else
				assert_string_equal(b.p,
				    "!65 line 3: line over 4096 octets");
			buf_release(&b);
			/* the same of the message */
			memcpy(in.p + at, "Y-job: ", 7);
			b = run(in.p, in.len, chunk, 0);
			assert_string_equal(strchr(b.p, '|') + 1, in.p + at);
			buf_release(&b);
			/* and of one field of the message among the lines */
			buf_clear(&in);
			buf_adds(&in, S R "x-schedule: a\n");
			for (k = 0; k < len[i] - 1; k++)
				buf_addc(&in, ' ');
			buf_adds(&in, "\nz");
			b = run(in.p, in.len, chunk, 0);
			assert_int_equal(b.p[0],
			    len[i] <= PICKUP_LINE_MAX ? 's' : '!');
			buf_release(&b);
		}
	buf_release(&in);
}

static void
test_kind(void **state)
{
	static const struct {
		const char *p;
		enum pickup_kind kind;
	} kinds[] = { { "x-sender: a", PICKUP_MESSAGE },
		{ "X-Sender:", PICKUP_MESSAGE }, { "x-sender", PICKUP_NONE },
		{ "x-sender-override: a", PICKUP_NONE },
		{ "HELO x", PICKUP_BSMTP }, { "ehlo\r\n", PICKUP_BSMTP },
		{ "EHLO\n", PICKUP_BSMTP }, { "MAIL FROM:<>", PICKUP_BSMTP },
		{ "XMRG FROM:<>", PICKUP_BSMTP }, { "XACK OFF", PICKUP_BSMTP },
		{ "MAIL", PICKUP_NONE }, { "MAILTO: x", PICKUP_NONE },
		{ "RCPT TO:<a>", PICKUP_NONE }, { "\nMAIL F", PICKUP_NONE },
		{ "From: a", PICKUP_NONE }, { "", PICKUP_NONE } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		assert_int_equal(pickup_kind(kinds[i].p, strlen(kinds[i].p)),
		    kinds[i].kind);
	assert_int_equal(pickup_kind("MAIL\0x", 6), PICKUP_NONE);
	assert_int_equal(pickup_kind("x-sender\0:", 10), PICKUP_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_kind),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
