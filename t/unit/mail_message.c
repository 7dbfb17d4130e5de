/*
 * Messages into the stored form: line ends, header rules, facts; every input
 * cut at every place gives the same; nothing that smuggles survives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/message.h"

static const struct message_opts plain = { .stray = MESSAGE_REFUSE };

/* Feed in chunks of `chunk` octets (0: at once); 0 or -1. */
static int
run(struct message *m, const struct message_opts *opts, const char *p, size_t n,
    size_t chunk, struct verr *err)
{
	size_t k;
	char *copy;
	int rc = 0;

	message_init(m, opts);
	for (; rc == 0 && n > 0; p += k, n -= k) {
		k = chunk > 0 && chunk < n ? chunk : n;
		copy = malloc(k); /* exact, for the address sanitizer */
		assert_non_null(copy);
		memcpy(copy, p, k);
		rc = message_feed(m, copy, k, err);
		free(copy);
	}
	return (rc == 0 ? message_end(m, err) : -1);
}

/* What every stored text is. */
static void
check_stored(const struct message *m)
{
	const char *p = buf_str(&m->text);
	size_t n = m->text.len, i;

	assert_null(memchr(p, '\0', n));
	for (i = 0; i < n; i++) {
		if (p[i] == '\n')
			assert_true(i > 0 && p[i - 1] == '\r');
		if (p[i] == '\r')
			assert_true(i + 1 < n && p[i + 1] == '\n');
	}
	if (n > 0)
		assert_int_equal(p[n - 1], '\n');
	assert_int_equal(m->facts.size, n);
	assert_true(m->header_len <= n);
	assert_int_equal(message_header_len(p, n), m->header_len);
}

struct conv {
	const char *in;
	const char *out; /* NULL: refused */
};

/* Feed in with all chunk sizes; out as expected. */
static void
check_conv(const struct message_opts *opts, const struct conv *c)
{
	size_t n = strlen(c->in), chunk;
	struct verr err = VERR_INIT;
	struct message m;

	for (chunk = 0; chunk <= n; chunk++) {
		if (run(&m, opts, c->in, n, chunk, &err) == -1) {
			if (c->out != NULL)
				fail_msg("%s: %s", c->in, err.text);
			assert_int_equal(err.code, VEX_DATA);
			assert_int_equal(message_end(&m, &err), -1);
		} else {
			if (c->out == NULL)
				fail_msg("accepted: %s", c->in);
			assert_string_equal(buf_str(&m.text), c->out);
			check_stored(&m);
		}
		message_release(&m);
	}
}

static void
test_lines(void **state)
{
	static const struct conv tab[] = { { "", "" }, { "\n", "\r\n" },
		{ "\r\n", "\r\n" }, { "A: b\n\nx\n", "A: b\r\n\r\nx\r\n" },
		{ "A: b\r\n\r\nx\r\n", "A: b\r\n\r\nx\r\n" },
		{ "A: b\n\r\nx\r\ny\n", "A: b\r\n\r\nx\r\ny\r\n" },
		{ "A: b\n\nx", "A: b\r\n\r\nx\r\n" }, { "A: b", "A: b\r\n" },
		{ "A: b\n", "A: b\r\n" }, { "A: b\n\n", "A: b\r\n\r\n" },
		{ "\nx", "\r\nx\r\n" },
		{ "A: b\n\n.\n..\n.x\n\n\n",
		    "A: b\r\n\r\n.\r\n..\r\n.x\r\n"
		    "\r\n\r\n" },
		{ "A: b\n\nx\ry\n", NULL }, { "A: b\n\nx\r", NULL },
		{ "A: b\n\nx\r\r\n", NULL }, { "A: b\r\r\n", NULL },
		{ "\r", NULL }, { "A: b\rB: c\n\n", NULL } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++)
		check_conv(&plain, &tab[i]);
}

static void
test_header(void **state)
{
	static const struct conv tab[] = {
		/* Bcc goes, with its folds, wherever it is */
		{ "Bcc: a\n b\n\tc\nA: b\n\nx\n", "A: b\r\n\r\nx\r\n" },
		{ "A: b\nbCC : a\nResent-Bcc: x\n\nBcc: y\n",
		    "A: b\r\n\r\nBcc: y\r\n" },
		{ "A: b\nBcc: a", "A: b\r\n" }, { "Bcc: a\n", "" },
		/* folds are kept, also blank ones */
		{ "A: b\n c\n \n\td\n\nx",
		    "A: b\r\n c\r\n \r\n\td\r\n\r\nx"
		    "\r\n" },
		/* what is no field begins the body */
		{ "A: b\nhello\nB: c\n", "A: b\r\n\r\nhello\r\nB: c\r\n" },
		{ "hello", "\r\nhello\r\n" },
		{ " hello\nA: b\n", "\r\n hello\r\nA: b\r\n" },
		{ ":x\n", "\r\n:x\r\n" }, { "A b: c\n", "\r\nA b: c\r\n" },
		{ "A: b\n.\n", "A: b\r\n\r\n.\r\n" },
		{ "\xc3\xbc: x\n", "\r\n\xc3\xbc: x\r\n" },
		{ "A: b\nno field\nBcc: c\n",
		    "A: b\r\n\r\nno field\r\nBcc: c\r\n" },
		/* mbox lines at the very start */
		{ "From joe Mon\nA: b\n\nFrom x\n", "A: b\r\n\r\nFrom x\r\n" },
		{ ">From joe\nFrom joe\nA: b\n", "A: b\r\n" },
		{ "From joe", "" }, { "From: joe\n\n", "From: joe\r\n\r\n" },
		{ "A: b\nFrom joe\n", "A: b\r\n\r\nFrom joe\r\n" },
		{ "Subject\n: x\n", "\r\nSubject\r\n: x\r\n" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++)
		check_conv(&plain, &tab[i]);
}

static void
test_added(void **state)
{
	static const char *const strip[] = { "X-Job", "X-Virtual-MTA", NULL };
	static const struct message_opts opts = { .message_id = "<1@h>",
		.date = "D",
		.strip = strip,
		.prefix = "Received: here\r\n" };
	static const struct conv tab[] = {
		{ "A: b\n\nx",
		    "Received: here\r\nA: b\r\nMessage-ID: <1@h>"
		    "\r\nDate: D\r\n\r\nx\r\n" },
		{ "", "Received: here\r\nMessage-ID: <1@h>\r\nDate: D\r\n" },
		{ "\n",
		    "Received: here\r\nMessage-ID: <1@h>\r\nDate: D\r\n"
		    "\r\n" },
		{ "date: x\nMESSAGE-ID: y\nx-job: 7\n\nDate: z\n",
		    "Received: here\r\ndate: x\r\nMESSAGE-ID: y\r\n\r\n"
		    "Date: z\r\n" },
		{ "hello\n",
		    "Received: here\r\nMessage-ID: <1@h>\r\n"
		    "Date: D\r\n\r\nhello\r\n" },
		{ "Date: x",
		    "Received: here\r\nDate: x\r\n"
		    "Message-ID: <1@h>\r\n" }
	};
	static const char headers[] = "X-Job:  7\n \n 8 \nS: t\n\nS: u\n"
				      "X-Virtual-MTA: v\n";
	static const struct message_opts evil = { .date = "x\r\nBcc: y" };
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct message m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++)
		check_conv(&opts, &tab[i]);
	assert_int_equal(run(&m, &evil, "A: b\n\n", 6, 0, &err), -1);
	message_release(&m);

	assert_int_equal(run(&m, &opts, headers, sizeof(headers) - 1, 0, &err),
	    0);
	assert_true(message_header(&m, "x-job", &b));
	assert_string_equal(b.p, "7  8");
	buf_clear(&b);
	assert_true(message_header(&m, "s", &b));
	assert_string_equal(b.p, "t");
	assert_true(message_header(&m, "received", NULL));
	assert_false(message_header(&m, "X-Virtual-MTA", &b));
	assert_string_equal(b.p, "t");
	buf_release(&b);
	message_release(&m);
}

static void
test_stray(void **state)
{
	static const struct message_opts repair = { .stray = MESSAGE_REPAIR };
	static const struct conv tab[] = { { "A: b\n\nx\ry\r\r\nz\r",
					       "A: b\r\n\r\nx y \r\nz \r\n" },
		/* what a CR hides never becomes a field */
		{ "A: b\rBcc: c\r\rx\n\ny", "A: b Bcc: c  x\r\n\r\ny\r\n" },
		{ "\r", "\r\n \r\n" }, { "A: b\r", "A: b \r\n" },
		{ "\r.\r", "\r\n . \r\n" } };
	struct verr err = VERR_INIT;
	struct message m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++)
		check_conv(&repair, &tab[i]);
	assert_int_equal(run(&m, &plain, "A: b\n\nx\ny\0z", 11, 0, &err), -1);
	assert_string_equal(err.text, "line 4: NUL octet");
	message_release(&m);
	assert_int_equal(run(&m, &repair, "A: b\n\n\0.\n\0", 10, 0, &err), 0);
	assert_string_equal(m.text.p, "A: b\r\n\r\n .\r\n \r\n");
	message_release(&m);
}

/* The bytes of DATA: dots doubled, terminator. */
static void
wire(const struct buf *text, struct buf *ret)
{
	const char *p = buf_str(text), *end = p + text->len;

	while (p < end) {
		if (*p == '.')
			buf_addc(ret, '.');
		while (*p != '\n')
			buf_addc(ret, *p++);
		buf_addc(ret, *p++);
	}
	buf_adds(ret, ".\r\n");
}

/* Sequences that some server has taken for the end of data, with their ends. */
static const struct {
	const char *p;
	size_t n;
} smuggle[] = { { "\n.\n", 3 }, { "\n.\r\n", 4 }, { "\r\n.\n", 4 },
	{ "\r.\r", 3 }, { "\r\n.\r", 4 }, { "\r.\r\n", 4 }, { "\0.\r\n", 4 },
	{ "\r\n\0.\r\n", 6 }, { "\n.\r", 3 }, { "\r.\n", 3 },
	{ "\r\n.\0\r\n", 6 }, { "\r\n.\r\n", 5 } };

/* None of them on the wire, but the one end. */
static void
check_wire(const struct message *m)
{
	struct buf w = BUF_INIT;
	const char *hit;
	size_t i;

	wire(&m->text, &w);
	for (i = 0; i < sizeof(smuggle) / sizeof(smuggle[0]); i++) {
		hit = memmem(w.p, w.len, smuggle[i].p, smuggle[i].n);
		if (hit != NULL) /* part of the true end */
			assert_true(hit >= w.p + w.len - 5);
	}
	hit = memmem(w.p, w.len, "\r\n.\r\n", 5);
	assert_true(hit == NULL || hit == w.p + w.len - 5);
	buf_release(&w);
}

/* before + sequence + after, in all chunk sizes, both ways. */
static void
smuggle_one(const char *before, size_t i, const char *after)
{
	static const struct message_opts repair = { .stray = MESSAGE_REPAIR };
	struct buf in = BUF_INIT, first = BUF_INIT;
	struct verr err = VERR_INIT;
	struct message m;
	size_t chunk;

	buf_adds(&in, before);
	buf_add(&in, smuggle[i].p, smuggle[i].n);
	buf_adds(&in, after);
	for (chunk = 1; chunk <= in.len; chunk++) {
		if (run(&m, &plain, in.p, in.len, chunk, &err) == 0) {
			check_stored(&m);
			check_wire(&m);
		}
		message_release(&m);
		assert_int_equal(run(&m, &repair, in.p, in.len, chunk, &err),
		    0);
		check_stored(&m);
		check_wire(&m);
		if (chunk == 1)
			buf_add(&first, buf_str(&m.text), m.text.len);
		assert_string_equal(m.text.p, first.p);
		message_release(&m);
	}
	buf_release(&in);
	buf_release(&first);
}

static void
test_smuggling(void **state)
{
	static const char *const before[] = { "", "A: b", "A: b\r\n\r\n",
		"A: b\n\nfirst", "A: b\n\nfirst\n", "A: b\n\nx\r\n." };
	static const char *const after[] = { "", "MAIL FROM:<x@y>\r\n", "\r\n",
		"\n", ".", "\r" };
	size_t b, i, a;

	(void)state;
	for (b = 0; b < 6; b++)
		for (i = 0; i < sizeof(smuggle) / sizeof(smuggle[0]); i++)
			for (a = 0; a < 6; a++)
				smuggle_one(before[b], i, after[a]);
}

static void
test_dot_ends(void **state)
{
	static const struct message_opts opts = { .dot_ends = true };
	static const struct conv tab[] = { { "A: b\n\nx\n.\ny\n",
					       "A: b\r\n\r\nx\r\n" },
		{ "A: b\n\nx\r\n.\r\ny\r", "A: b\r\n\r\nx\r\n" },
		{ "A: b\n\n..\n.x\n. \n.", "A: b\r\n\r\n..\r\n.x\r\n. \r\n" },
		{ "A: b\n.\nx", "A: b\r\n" }, { ".\n", "" } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++)
		check_conv(&opts, &tab[i]);
}

/* Append n times c. */
static void
repeat(struct buf *b, int c, size_t n)
{
	while (n-- > 0)
		buf_addc(b, c);
}

/* Long header lines are folded where they can be, else refused. */
static void
test_long_header(void **state)
{
	struct buf in = BUF_INIT, v = BUF_INIT, w = BUF_INIT;
	struct verr err = VERR_INIT;
	struct message m;
	int i;

	(void)state;
	buf_adds(&in, "To: ");
	for (i = 0; i < 500; i++)
		buf_addf(&in, "user%d@example.com, ", i);
	buf_adds(&in, "\n\nx\n");
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), 0);
	check_stored(&m);
	assert_true(m.facts.longest <= 998 && m.facts.longest > 900);
	assert_true(message_header(&m, "To", &v));
	buf_add(&w, in.p + 4, in.len - 4 - 5); /* blank end, line ends, x */
	assert_string_equal(v.p, w.p);
	message_release(&m);

	buf_clear(&in);
	buf_adds(&in, "A: b\nX: ");
	repeat(&in, 'x', 995);
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), 0);
	assert_int_equal(m.facts.longest, 998);
	assert_null(strstr(m.text.p, "X:\r\n"));
	message_release(&m);
	buf_addc(&in, 'x'); /* 999: after the colon */
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), 0);
	assert_non_null(strstr(m.text.p, "X:\r\n xxx"));
	message_release(&m);
	buf_addc(&in, 'x');
	buf_addc(&in, 'x'); /* ... or nowhere */
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), -1);
	assert_string_equal(err.text, "line 2: header line over 998 octets");
	message_release(&m);

	/* never between a name and its colon */
	buf_clear(&in);
	repeat(&in, 'n', 500);
	buf_adds(&in, " :");
	repeat(&in, 'x', 700);
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), -1);
	message_release(&m);
	buf_adds(&in, " y");
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), -1);
	message_release(&m);
	buf_clear(&in);
	repeat(&in, 'n', 500);
	buf_adds(&in, " : ");
	repeat(&in, 'x', 700);
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), 0);
	assert_non_null(strstr(m.text.p, "n :\r\n xx"));
	message_release(&m);

	buf_clear(&in);
	buf_adds(&in, "Bcc: ");
	repeat(&in, 'x', 5000);
	buf_adds(&in, "\nX: y");
	repeat(&in, ' ', 2000);
	buf_adds(&in, "\n\nx\n");
	assert_int_equal(run(&m, &plain, in.p, in.len, 0, &err), 0);
	assert_string_equal(m.text.p, "X: y\r\n\r\nx\r\n");
	message_release(&m);
	buf_release(&in);
	buf_release(&v);
	buf_release(&w);
}

static void
test_facts(void **state)
{
	struct verr err = VERR_INIT;
	struct buf in = BUF_INIT;
	struct message m;

	(void)state;
	buf_adds(&in, "A: b\n.X: y\n\n.\n..a\nb.\n");
	repeat(&in, 'x', 5000);
	assert_int_equal(run(&m, &plain, in.p, in.len, 7, &err), 0);
	assert_int_equal(m.facts.dots, 3);
	assert_int_equal(m.facts.longest, 5000);
	assert_false(m.facts.body_8bit || m.facts.header_8bit);
	assert_int_equal(m.header_len, 15);
	message_release(&m);
	buf_adds(&in, "\n\xe9");
	assert_int_equal(run(&m, &plain, in.p, in.len, 7, &err), 0);
	assert_true(m.facts.body_8bit && !m.facts.header_8bit);
	message_release(&m);
	assert_int_equal(run(&m, &plain, "S: \xc3\xbc\n\nabc", 10, 0, &err), 0);
	assert_true(!m.facts.body_8bit && m.facts.header_8bit);
	message_release(&m);
	buf_release(&in);
}

static void
test_max_size(void **state)
{
	static const struct message_opts opts = { .max_size = 12 };
	struct verr err = VERR_INIT;
	struct message m;

	(void)state;
	assert_int_equal(run(&m, &opts, "A: b\n\n1234", 10, 0, &err), 0);
	message_release(&m);
	assert_int_equal(run(&m, &opts, "A: b\n\n12345", 11, 1, &err), -1);
	assert_string_equal(err.text, "message over 12 octets");
	message_release(&m);
}

static int
collect(void *arg, const struct addr *a, struct verr *err)
{
	(void)err;
	buf_addf(arg, "%s ", a->smtp);
	return (0);
}

static void
test_recipients(void **state)
{
	static const char *const strip[] = { "To", NULL };
	static const struct message_opts opts = { .strip = strip };
	static const struct {
		const char *in, *out;
	} tab[] = { { "To: a@b,\n c@d\nX: y\nCc: J <e@f>\nBcc: g@h,\n\ti@j\n"
		      "To: k@l\n\nTo: n@o\n",
			"a@b c@d k@l e@f g@h i@j " },
		{ "To: a@b\nResent-Bcc: c@d\nResent-To: e@f\n\n", "e@f c@d " },
		{ "Subject: x\n\nTo: a@b\n", "" },
		{ "To: undisclosed-recipients:;\nBcc: a@b", "a@b " },
		{ "To: a@b\nCc: joe\n", NULL } };
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct message m;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof(tab) / sizeof(tab[0]); i++) {
		buf_clear(&b);
		assert_int_equal(run(&m, i % 2 == 0 ? &plain : &opts,
				     tab[i / 2].in, strlen(tab[i / 2].in), 0,
				     &err),
		    0);
		if (tab[i / 2].out == NULL) {
			assert_int_equal(message_recipients(&m, NULL, collect,
					     &b, &err),
			    -1);
			assert_string_equal(err.text,
			    "Cc: address 1: no @domain");
		} else {
			assert_int_equal(message_recipients(&m, NULL, collect,
					     &b, &err),
			    0);
			assert_string_equal(buf_str(&b), tab[i / 2].out);
		}
		message_release(&m);
	}
	buf_release(&b);
}

/* Any octets, any cuts: same result, and always a stored form. */
static void
test_random(void **state)
{
	static const char set[] = "ABcb:: \t\r\n\n\n.x\xc3\xbc";
	struct message_opts opts = { .message_id = "<x@y>" };
	unsigned seed = (unsigned)time(NULL);
	struct message one, two;
	struct verr err;
	char in[64];
	size_t n, i;
	int round, rc;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 50000; round++) {
		n = (size_t)random() % sizeof(in);
		for (i = 0; i < n; i++)
			in[i] = random() % 50 == 0 ?
			    (char)random() :
			    set[(size_t)random() % (sizeof(set) - 1)];
		opts.stray = round % 2 == 0 ? MESSAGE_REFUSE : MESSAGE_REPAIR;
		rc = run(&one, &opts, in, n, 0, &err);
		assert_int_equal(run(&two, &opts, in, n,
				     1 + (size_t)random() % 5, &err),
		    rc);
		if (rc == 0) {
			check_stored(&one);
			check_wire(&one);
			assert_string_equal(one.text.p, two.text.p);
			assert_false(message_header(&one, "X-None", NULL));
		} else
			assert_int_equal(opts.stray, MESSAGE_REFUSE);
		message_release(&one);
		message_release(&two);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_stray),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_dot_ends),
		cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_max_size),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
