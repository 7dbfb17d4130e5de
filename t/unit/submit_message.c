/* Single messages: what is refused, what is kept, what a failure leaves. */
#include <fcntl.h>

#include "submit_util.h"

#include "mail/xtext.h"

#define TEXT "Subject: x\n\nhello\n"

static const struct submit_env plain = { .prio = -1 };

static void
test_accept(void **state)
{
	struct verr err = VERR_INIT;
	struct submit *s = handle("user:me");
	const char *text;

	(void)state;
	assert_int_equal(put(s, &plain, "B@EXAMPLE.com", TEXT, &err), 0);
	assert_int_equal(submit_accepted(s), 0);
	assert_int_equal(submit_waiting(s), 1);
	assert_int_equal(submit_finish(s, &err), 0);
	assert_int_equal(submit_accepted(s), 1);
	assert_int_equal(durable.len, 21 + 3);
	submit_close(s);
	assert_int_equal(files("/queue/"), 1);
	assert_int_equal(files("/queue/a/new/example.com/"), 1);
	text = content("/queue/");
	assert_int_equal(count(text, " - - B@example.com\n"), 1);
	assert_int_equal(count(text, " me@mta.example.com\n"), 1);
	assert_int_equal(count(text, "source: user:me\n"), 1);
	assert_int_equal(count(text, "priority: 50\n"), 1);
	assert_int_equal(count(text, "\r\nMessage-ID: <"), 1);
	assert_int_equal(count(text, "\r\nDate: "), 1);
	assert_int_equal(count(text, "\r\n\r\nhello\r\nEND "), 1);
}

/* What refuses a message, one thing each. */
static void
test_refuse(void **state)
{
	static char long_job[SUBMIT_JOB_MAX + 2];
	static const struct {
		const char *source;
		struct submit_env env;
		const char *from, *rcpt, *text;
	} t[] = {
		{ "user:x", { .prio = -1 }, NULL, "b", TEXT },
		{ "user:x", { .prio = -1 }, NULL, "b@", TEXT },
		{ "user:x", { .prio = -1 }, NULL, "b@c\r\n", TEXT },
		{ "user:x", { .prio = -1 }, NULL, "", TEXT },
		{ "user:x", { .prio = -1 }, NULL, "b@x..y", TEXT },
		{ "user:x", { .prio = -1, .vmta = "zz" }, NULL, "b@c.example",
		    TEXT },
		{ "user:x", { .prio = 101 }, NULL, "b@c.example", TEXT },
		{ "user:x", { .prio = -2 }, NULL, "b@c.example", TEXT },
		{ "user:x", { .prio = -1, .job = "a\nb" }, NULL, "b@c.example",
		    TEXT },
		{ "user:x", { .prio = -1, .job = long_job }, NULL,
		    "b@c.example", TEXT },
		{ "user:x", { .prio = -1, .envid = "a b" }, NULL, "b@c.example",
		    TEXT },
		{ "user:x", { .prio = -1, .envid = "+0A" }, NULL, "b@c.example",
		    TEXT },
		{ "user:x", { .prio = -1 }, NULL, "b@c.example",
		    "Subject: x\n\nbare\rCR\n" },
		{ "user:x", { .prio = -1 }, NULL, "b@c.example",
		    "Subject: x\n\nlast\r" },
		{ "user:low", { .prio = 1 }, NULL, "b@c.example", TEXT },
		{ "user:tied", { .prio = -1 }, "x@y.example", "b@c.example",
		    TEXT },
		{ "user:small", { .prio = -1 }, NULL, "b@c.example",
		    "Subject: x\n\n0123456789012345678901234567890123456789"
		    "0123456789012345678901234567890123456789"
		    "0123456789012345678901234567890123456789\n" },
	};
	struct verr err;
	struct submit_env env;
	struct submit *s;
	struct addr from;
	size_t i;

	(void)state;
	memset(long_job, 'j', sizeof(long_job) - 1);
	set_conf(CONF "source 'user:low' { allow-priority = no }\n"
		      "source 'user:tied' { allow-sender = {'*@z.example'} }\n"
		      "source 'user:small' { max-message-size = 200 }\n");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		memset(&err, 0, sizeof(err));
		s = handle(t[i].source);
		env = t[i].env;
		if (t[i].from != NULL) {
			assert_int_equal(addr_parse(t[i].from,
					     strlen(t[i].from), ADDR_SENDER,
					     &from, &err),
			    0);
			env.from = &from;
		}
		assert_int_equal(put(s, &env, t[i].rcpt, t[i].text, &err), -1);
		assert_int_equal(err.code, VEX_DATA);
		assert_null(strchr(err.text, '\n'));
		/* the next one is taken */
		assert_int_equal(submit_waiting(s), 0);
		assert_int_equal(submit_finish(s, &err), 0);
		assert_int_equal(files(""), 0);
		submit_close(s);
	}
}

/* After a refusal the submission goes on. */
static void
test_go_on(void **state)
{
	struct verr err = VERR_INIT;
	struct submit *s = handle("user:x");

	(void)state;
	assert_int_equal(put(s, &plain, "b@c.example", TEXT, &err), 0);
	assert_int_equal(put(s, &plain, "b@c.example", "a\rb", &err), -1);
	assert_int_equal(submit_begin(s, &err), 0);
	assert_int_equal(add_rcpt(s, "lost@c.example", &err), 0);
	assert_int_equal(submit_begin(s, &err), 0); /* drops it */
	assert_int_equal(submit_end(s, &plain, &err), -1);
	assert_string_equal(err.text, "no recipients");
	assert_int_equal(put(s, &plain, "b@d.example", TEXT, &err), 0);
	assert_int_equal(submit_rejected(s), 2);
	assert_int_equal(submit_finish(s, &err), 0);
	assert_int_equal(submit_accepted(s), 2);
	submit_close(s);
	assert_int_equal(files("/queue/"), 2);
	assert_int_equal(count(content("/queue/"), "lost"), 0);
}

static void
test_senders(void **state)
{
	struct verr err = VERR_INIT;
	struct submit_env env = plain;
	struct submit *s;
	struct addr a;

	(void)state;
	set_conf(CONF "source 'user:me' { allow-sender = {} }\n");
	s = handle("user:me");
	assert_int_equal(submit_env_ok(s, &plain, &err), 0);
	env.from = &a;
	assert_int_equal(addr_parse("", 0, ADDR_SENDER, &a, &err), 0);
	assert_int_equal(submit_env_ok(s, &env, &err), 0);
	assert_int_equal(addr_parse("me@MTA.example.com", 18, ADDR_SENDER, &a,
			     &err),
	    0);
	assert_int_equal(submit_env_ok(s, &env, &err), 0);
	assert_int_equal(addr_parse("you@mta.example.com", 19, ADDR_SENDER, &a,
			     &err),
	    0);
	assert_int_equal(submit_env_ok(s, &env, &err), -1);
	submit_close(s);
}

/* Duplicates: the first place counts, the places go on. */
static void
test_duplicates(void **state)
{
	static const char *const rcpt[] = { "a@x.example", "A@x.Example",
		"b@x.example", "a@x.example", "\"a\"@x.example",
		"a@m\xc3\xbcnchen.example", "a@xn--mnchen-3ya.example" };
	struct verr err = VERR_INIT;
	struct submit *s = handle("user:x");
	const char *text;
	size_t i;

	(void)state;
	assert_int_equal(submit_begin(s, &err), 0);
	for (i = 0; i < sizeof(rcpt) / sizeof(rcpt[0]); i++)
		assert_int_equal(add_rcpt(s, rcpt[i], &err), 0);
	assert_int_equal(submit_data(s, TEXT, strlen(TEXT), &err), 0);
	assert_int_equal(submit_end(s, &plain, &err), 0);
	assert_int_equal(submit_finish(s, &err), 0);
	assert_string_equal(durable.p + 22, "4\n");
	submit_close(s);
	assert_int_equal(files("/queue/"), 2);
	text = content("/queue/a/new/x.example");
	assert_int_equal(count(text, "\nR "), 3);
	assert_int_equal(count(text, " 0 - - a@x.example\n"), 1);
	assert_int_equal(count(text, " 2 - - b@x.example\n"), 1);
	text = content("/new/xn--mnchen-3ya.example");
	assert_int_equal(count(text, " 5 - - a@xn--mnchen-3ya.example\n"), 1);
}

static void
test_header_rcpts(void **state)
{
	static const char
	    text[] = "To: A <a@x.example>, g: b@x.example,"
		     "\n c@x.example;, (c) d@x.example\nCc: e@x.example\n"
		     "Bcc: secret@x.example\n\nhi\n";
	static const char bad[] = "To: a@x.example\nCc: not an address\n\n";
	static const char resent[] = "To: a@x.example\n"
				     "Resent-To: r@x.example\n\n";
	struct verr err = VERR_INIT;
	struct submit *s = handle("user:x");
	const char *got;

	(void)state;
	assert_int_equal(submit_begin(s, &err), 0);
	assert_int_equal(submit_data(s, bad, strlen(bad), &err), 0);
	assert_int_equal(submit_header_rcpts(s, &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	assert_int_equal(submit_begin(s, &err), 0);
	assert_int_equal(add_rcpt(s, "e@x.example", &err), 0);
	assert_int_equal(submit_data(s, text, strlen(text), &err), 0);
	assert_int_equal(submit_header_rcpts(s, &err), 0);
	assert_int_equal(submit_end(s, &plain, &err), 0);
	assert_int_equal(submit_finish(s, &err), 0);
	got = content("/queue/");
	assert_int_equal(count(got, "\nR "), 6);
	assert_int_equal(count(got, " 0 - - e@x.example\n"), 1);
	assert_int_equal(count(got, " 6 - - secret@x.example\n"), 1);
	assert_int_equal(count(got, "Bcc"), 0);
	assert_int_equal(submit_begin(s, &err), 0);
	assert_int_equal(submit_data(s, resent, strlen(resent), &err), 0);
	assert_int_equal(submit_header_rcpts(s, &err), 0);
	assert_int_equal(submit_end(s, &plain, &err), 0);
	assert_int_equal(submit_finish(s, &err), 0);
	assert_int_equal(count(content("/queue/"), " 0 - - r@x.example\n"), 1);
	submit_close(s);
}

/* Flags, DSN, job, priority, time: into the batch. */
static void
test_facts(void **state)
{
	static const char text[] = "Subject: \xc3\xbc\n\n.dot\n\xff\n";
	struct verr err = VERR_INIT;
	struct submit *s = handle("user:x");
	struct submit_rcpt r = { .smtp = "b@x.example",
		.domain = "x.example",
		.notify = "SF",
		.orcpt = "rfc822;b+2Bc@x.example" };
	struct addr from;
	struct submit_env env = { .from = &from,
		.vmta = "b",
		.job = "j 1",
		.envid = "e+20v",
		.ret = 'H',
		.prio = 90,
		.due = INT64_C(4102444800) };
	const char *got;

	(void)state;
	assert_int_equal(addr_parse("\xc3\xbc@y.example", 12, ADDR_SENDER,
			     &from, &err),
	    0);
	assert_int_equal(submit_begin(s, &err), 0);
	assert_int_equal(submit_rcpt(s, &r, &err), 0);
	assert_int_equal(submit_data(s, text, strlen(text), &err), 0);
	assert_int_equal(submit_end(s, &env, &err), 0);
	assert_int_equal(submit_finish(s, &err), 0);
	submit_close(s);
	assert_int_equal(files("/queue/b/new/x.example/21000101T000000Z-090-"),
	    1);
	got = content("/queue/");
	assert_int_equal(count(got, "job: j 1\n"), 1);
	assert_int_equal(count(got, " 8hu "), 1);
	assert_int_equal(count(got, " 1 H e+20v \xc3\xbc@y.example\n"), 1);
	assert_int_equal(count(got, " 0 SF rfc822;b+2Bc@x.example b@x.ex"), 1);
}

static void
test_limits(void **state)
{
	struct verr err = VERR_INIT;
	struct submit *s;

	(void)state;
	set_conf(CONF "max-rcpt-per-message = 3\nmax-message-size = 1M\n"
		      "source 'user:x' { max-rcpt-per-message = 2\n"
		      "max-message-size = 0 }\n"
		      "source 'user:y' { max-rcpt-per-message = 9\n"
		      "max-message-size = 1k }\n");
	s = handle("user:y");
	assert_int_equal(submit_max_rcpt(s), 3);
	assert_int_equal(submit_max_size(s), 1024);
	submit_close(s);
	s = handle("user:x");
	assert_int_equal(submit_max_rcpt(s), 2);
	assert_int_equal(submit_max_size(s), 1024 * 1024);
	assert_int_equal(submit_begin(s, &err), 0);
	assert_int_equal(add_rcpt(s, "a@x.example", &err), 0);
	assert_int_equal(add_rcpt(s, "b@x.example", &err), 0);
	assert_int_equal(add_rcpt(s, "c@x.example", &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	submit_close(s);
}

static void
test_min_free(void **state)
{
	struct verr err = VERR_INIT;
	struct submit *s;

	(void)state;
	set_conf("smtp-source-host = {'192.0.2.1 mta.example.com'}\n"
		 "min-free-space = 900000000M\n"
		 "virtual-mta a { }\n"
		 "source 'local' { default-virtual-mta = a }\n"
		 "host-name = mta.example.com\n");
	s = handle("user:x");
	assert_int_equal(put(s, &plain, "b@c.example", TEXT, &err), -1);
	assert_int_equal(err.code, VEX_TEMP);
	submit_close(s);
	assert_int_equal(files("/queue/"), 0);
}

/* A table whose calls fail with ENOSPC after so many. */
static int left;

static int
full_fsync(struct sys *s, int fd)
{
	(void)s;
	if (left-- > 0)
		return (fsync(fd));
	errno = ENOSPC;
	return (-1);
}

static ssize_t
full_write(struct sys *s, int fd, const void *p, size_t n)
{
	(void)s;
	if (left-- > 0)
		return (write(fd, p, n));
	errno = ENOSPC;
	return (-1);
}

/* Whichever write or sync fails: 75, and no batch but in whole. */
static void
test_full(void **state)
{
	struct verr err;
	struct submit *s;
	int i, what, rc = -1;

	(void)state;
	for (what = 0; what < 2; what++) {
		for (i = 0; i < 30; i++, (void)scratch_teardown(NULL),
		    (void)scratch_setup(NULL)) {
			s = handle("user:x");
			if (what == 0)
				sys.write = full_write;
			else
				sys.fsync = full_fsync;
			left = i;
			memset(&err, 0, sizeof(err));
			rc = put(s, &plain, "b@c.example", TEXT, &err);
			if (rc == 0)
				rc = submit_finish(s, &err);
			if (rc == -1) {
				assert_int_equal(err.code, VEX_TEMP);
				assert_int_equal(submit_accepted(s), 0);
				assert_int_equal(durable.len, 0);
				assert_int_equal(files("/queue/"), 0);
				/* broken off: nothing more is taken */
				assert_int_equal(submit_begin(s, &err) == -1 ||
					submit_finish(s, &err) == -1 ||
					submit_accepted(s) == 0,
				    1);
			} else {
				assert_int_equal(files("/new/"), 1);
			}
			submit_close(s);
			if (rc == 0)
				break;
		}
		assert_int_equal(rc, 0);
		assert_true(i > 0);
		(void)scratch_teardown(NULL);
		(void)scratch_setup(NULL);
	}
}

/* 100,000 recipients over 1,000 domains, and as many duplicates. */
static void
test_many(void **state)
{
	enum { RCPTS = 100000, DOMAINS = 1000 };
	struct verr err = VERR_INIT;
	struct submit *s = handle("user:x");
	char text[64];
	int i;

	(void)state;
	assert_int_equal(submit_begin(s, &err), 0);
	for (i = 0; i < 2 * RCPTS; i++) {
		(void)snprintf(text, sizeof(text), "u%d@d%d.example", i % RCPTS,
		    i % DOMAINS);
		assert_int_equal(add_rcpt(s, text, &err), 0);
	}
	assert_int_equal(submit_data(s, TEXT, strlen(TEXT), &err), 0);
	assert_int_equal(submit_end(s, &plain, &err), 0);
	assert_int_equal(submit_finish(s, &err), 0);
	assert_string_equal(durable.p + 22, "100000\n");
	submit_close(s);
	assert_int_equal(files("/queue/a/new/"), DOMAINS);
	assert_int_equal(files("/tmp/20"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_accept),
		SCRATCH_TEST(test_refuse),
		SCRATCH_TEST(test_go_on),
		SCRATCH_TEST(test_senders),
		SCRATCH_TEST(test_duplicates),
		SCRATCH_TEST(test_header_rcpts),
		SCRATCH_TEST(test_facts),
		SCRATCH_TEST(test_limits),
		SCRATCH_TEST(test_min_free),
		SCRATCH_TEST(test_full),
		SCRATCH_TEST(test_many),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
