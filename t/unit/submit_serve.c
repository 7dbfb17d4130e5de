/* Frames of libvmta-submit: cutting, order, refusals. */
#include "submit_util.h"

#include "submit/serve.h"

/* A frame into b. */
static void
add(struct buf *b, const char *key, const char *text)
{
	buf_addf(b, "%s %zu\n%s", key, strlen(text), text);
}

/* Frames `KEY TEXT`, one a line, into b. */
static void
script(struct buf *b, const char *text)
{
	char line[400], *sp;
	size_t n;

	for (; *text != '\0'; text += n + (text[n] != '\0')) {
		n = strcspn(text, "\n");
		(void)snprintf(line, sizeof(line), "%.*s", (int)n, text);
		sp = strchr(line, ' ');
		if (sp != NULL)
			*sp++ = '\0';
		add(b, line, sp != NULL ? sp : "");
	}
}

/* What the frames are answered, in pieces of so many octets. */
static const char *
served(const char *source, const struct buf *in, size_t piece)
{
	static struct buf out;
	struct submit *s = handle(source);
	struct serve *v = serve_new(s);
	struct verr err = VERR_INIT;
	size_t i, n;

	for (i = 0; i < in->len; i += n) {
		n = in->len - i < piece ? in->len - i : piece;
		if (serve_feed(v, in->p + i, n, &err) == -1) {
			buf_addf(serve_replies(v), "[%d]", err.code);
			break;
		}
	}
	buf_clear(&out);
	buf_add(&out, serve_replies(v)->p, serve_replies(v)->len);
	serve_free(v);
	submit_close(s);
	return (buf_str(&out));
}

#define MSG "begin\nrcpt a@x.example\ndata x: y\n"

/* What is wrong, and in which words it is told. */
static void
test_refusals(void **state)
{
	static const struct {
		const char *script, *says;
	} row[] = {
		{ "end", "64 end: not now" },
		{ "data x", "" },
		{ "begin\ndata x: y\nend", "65 no recipients" },
		{ "begin\nrcpt a@\nrcpt b@x.example\nend",
		    "65 recipient 'a@'" },
		{ MSG "set job=x\nend", "64 a setting after" },
		{ "begin\nset nonsense=1\nend", "64 no setting" },
		{ "begin\nset job\nend", "64 no setting" },
		{ "begin\nset priority=101\nend", "64 priority: not" },
		{ "begin\nset at=never\nend", "64 at: not" },
		{ "begin\nset ret=half\nend", "64 ret: expected" },
		{ "begin\nset verp=maybe\nend", "64 verp: expected" },
		{ "begin\nset from=a@\nend", "65 from: " },
		{ "begin\nset from=a\rRCPT TO:<b>@x.example\nend",
		    "65 from: " },
		{ "begin\nset job=a\tb\nrcpt a@x.example\nend",
		    "65 control octet in the job" },
		{ "begin\nset vmta=nobody\nrcpt a@x.example\nend",
		    "65 unknown VirtualMTA" },
		{ "begin\nrset notify=never\nend", "64 a recipient's" },
		{ "begin\nrcpt a@x.example\nrset notify=never ORCPT=x\nend",
		    "64 notify: a blank" },
		{ "begin\nrcpt a@x.example\nrset notify=sometimes\nend",
		    "65 notify: " },
		{ "begin\nrcpt a@x.example\nvar a=b\nend", "64 a variable" },
		{ "begin\ncolumn a\nend", "64 column" },
		{ MSG "commit\nend", "64 commit inside" },
		{ "merge\nset header-recipients=yes\nend",
		    "64 header-recipients: " },
		{ "merge\ndata Subject: [a]\nrcpt a@x.example\nend",
		    "65 undefined variables" },
		{ "merge\ndata x: y\nrcpt a@x.example\ndata z\nend",
		    "64 data after" },
		{ "merge\ndata x: y\ncolumn a\ncolumn A\nrcpt a@x.example\nend",
		    "65 two columns" },
		{ "merge\ndata x: y\ncolumn a\nrcpt a@x.example\nvar b=c\nend",
		    "64 no column 'b'" },
		{ "merge\ndata x: y\nend", "65 no recipients" },
		{ "merge\ndata x: y\nrcpt a@\nend",
		    "65 no recipient was accepted" },
	};
	struct buf b = BUF_INIT;
	const char *got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		buf_clear(&b);
		script(&b, row[i].script);
		got = served("user:x", &b, 1000);
		if (strstr(got, row[i].says) == NULL)
			fail_msg("row %zu: no '%s' in '%s'", i, row[i].says,
			    got);
		assert_int_equal(files("/new/"), 0);
		/* and the next message is taken */
		script(&b, MSG "end");
		got = served("user:x", &b, 1000);
		if (strstr(got, "1 0 ") == NULL)
			fail_msg("row %zu: then '%s'", i, got);
		assert_int_equal(files("/new/"), 0);
	}
	buf_release(&b);
}

/* However the frames are cut. */
static void
test_pieces(void **state)
{
	static const size_t piece[] = { 1, 2, 3, 7, 11, 10000 };
	struct buf b = BUF_INIT;
	const char *got;
	size_t i;

	(void)state;
	script(&b,
	    "begin\nset job=j\nset from=s@y.example\nset envid=a b\n"
	    "rcpt a@x.example\nrset notify=success,failure\n"
	    "rset orcpt=A <a@x>\nrcpt b@y.example\ndata Subject: plain\n"
	    "end\ncommit\n"
	    "merge\nset from=s@y.example\nset priority=7\ndata Subject: [v]\n"
	    "column v\ncolumn w\nrcpt c@x.example\nvar v=one\nvar w\n"
	    "rcpt d@\nvar v=two\nrcpt e@x.example\nvar v=a\\b\nend");
	for (i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
		got = served("user:x", &b, piece[i]);
		assert_non_null(strstr(got, "ok 12\nvmta-serve 1ok 25\n2 0 0"));
		assert_non_null(strstr(got, "ok 0\n"));
		assert_non_null(strstr(got, "\n1 recipient 'd@'"));
		assert_non_null(strstr(got, "\n2 1 "));
	}
	got = content("/new/");
	assert_int_equal(count(got, "job: j"), 12);
	assert_int_equal(count(got, " a+20b "), 12);
	assert_int_equal(count(got, " 0 SF rfc822;A+20<a@x> a@x.example"), 6);
	assert_int_equal(count(got, "priority: 7\n"), 6);
	assert_int_equal(count(got, "V a\\\\b"), 6);
	buf_release(&b);
}

/* What is no frame ends it. */
static void
test_garbage(void **state)
{
	static const char *const row[] = { "nonsense\n", "nonsense 0\n",
		"data -1\n", "data 01\nx", "data 1048577\n", "data \n", " 0\n",
		"data 99999999999999999999\n", "\n\n", "data x\n",
		"0123456789012345678901234567890123456789" };
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		buf_clear(&b);
		script(&b, MSG);
		buf_adds(&b, row[i]);
		script(&b, "end\ncommit");
		if (strstr(served("user:x", &b, 5), "[65]") == NULL)
			fail_msg("row %zu", i);
		assert_int_equal(files("/new/"), 0);
	}
	/* a NUL where a text belongs, and where octets do */
	buf_clear(&b);
	buf_adds(&b, "begin 0\nrcpt 11\na@x.example");
	b.p[b.len - 1] = '\0';
	script(&b, "end");
	assert_non_null(strstr(served("user:x", &b, 5), "65 rcpt: NUL"));
	buf_release(&b);
}

/* Without a commit, or before it, nothing; a repeated key, once. */
static void
test_commit(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	script(&b, MSG "end\n" MSG "drop\n" MSG);
	(void)served("user:x", &b, 100);
	assert_int_equal(files("/new/"), 0);
	buf_clear(&b);
	script(&b, "whole\n" MSG "end\n" MSG "end\n" MSG "drop\ncommit");
	(void)served("user:x", &b, 100);
	assert_int_equal(files("/new/"), 1);
	buf_clear(&b);
	script(&b, "key k\n" MSG "end\ncommit");
	(void)served("user:x", &b, 100);
	assert_null(strstr(served("user:x", &b, 100), "error"));
	assert_int_equal(files("/new/"), 2);
	/* shorter than what was taken, it must begin in the same way */
	buf_clear(&b);
	script(&b, "key two\n" MSG "end\n" MSG "end\ncommit");
	(void)served("user:x", &b, 100);
	assert_int_equal(files("/new/"), 3);
	buf_clear(&b);
	script(&b, "key two\n" MSG "end\ncommit");
	assert_null(strstr(served("user:x", &b, 100), "error"));
	buf_clear(&b);
	script(&b, "key two\nbegin\nrcpt b@x.example\ndata x\nend\ncommit");
	assert_non_null(strstr(served("user:x", &b, 100),
	    "65 this submit id was used for other messages"));
	assert_int_equal(files("/new/"), 3);
	/* an empty key, and a message that is too large */
	buf_clear(&b);
	script(&b, "key");
	assert_non_null(strstr(served("user:x", &b, 100), "65 a submit id"));
	set_conf(CONF "max-message-size = 10\n");
	buf_clear(&b);
	script(&b, "begin\nrcpt a@x.example\ndata x: 0123456789012\nend");
	assert_non_null(strstr(served("user:x", &b, 100), "error"));
	assert_int_equal(files("/new/"), 3);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_refusals),
		SCRATCH_TEST(test_pieces),
		SCRATCH_TEST(test_garbage),
		SCRATCH_TEST(test_commit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
