/* Which setting wins for a queue, and how that is explained. */
#include "conf_util.h"

/* max-smtp-out of a queue. */
static int64_t
out_of(const struct conf *c, const char *domain, const char *vmta)
{
	struct conf_queue q;

	(void)conf_queue(c, domain, vmta, &q);
	return (q.max_smtp_out);
}

/* The scope decides first: VirtualMTA, pool, global, default. */
static void
test_scopes(void **state)
{
	struct conf_queue q;
	struct conf *c;

	(void)state;
	c = accept_text(HEAD
	    "virtual-mta a { domain '*' { max-smtp-out = 1 } }\n"
	    "virtual-mta b { }\n"
	    "virtual-mta d { }\n"
	    "virtual-mta-pool p { virtual-mta = {a, b}\n"
	    "	domain x.example { max-smtp-out = 2 retry-after = 5m } }\n"
	    "virtual-mta-pool q { virtual-mta = {a, b, d} }\n"
	    "domain x.example { max-smtp-out = 3 retry-after = 6m\n"
	    "	bounce-after = 1d }\n");
	assert_int_equal(out_of(c, "x.example", "a"), 1);
	assert_int_equal(out_of(c, "x.example", "b"), 2);
	assert_int_equal(out_of(c, "x.example", "d"), 3);
	assert_int_equal(out_of(c, "y.example", "a"), 1);
	assert_int_equal(out_of(c, "y.example", "b"), 20);
	assert_int_equal(conf_queue(c, "x.example", "a", &q), 0);
	assert_int_equal(conf_ladder_at(&q.retry_after, 0), 300000);
	assert_int_equal(q.bounce_after, 86400000);
	assert_int_equal(conf_queue(c, "x.example", "none", &q), -1);
	assert_int_equal(q.max_smtp_out, 3);
	conf_unref(c);
}

/* Inside a scope: literal, macro, *.d and [*.]d longest first, net, *. */
static void
test_patterns(void **state)
{
	struct conf *c;

	(void)state;
	c = accept_text(HEAD
	    "virtual-mta a { }\n"
	    "domain '*' { max-smtp-out = 1 }\n"
	    "domain '*.example' { max-smtp-out = 2 }\n"
	    "domain '[*.]example' { max-smtp-out = 3 }\n"
	    "domain '[*.]b.example' { max-smtp-out = 4 }\n"
	    "domain '$m' { max-smtp-out = 5 }\n"
	    "domain-macro m { domains = {'$n', 'd.b.example'} }\n"
	    "domain-macro n { domains = {'c.b.example', '*.un.example'} }\n"
	    "domain d.b.example { max-smtp-out = 6 }\n"
	    "domain '[10.0.0.0/8]' { max-smtp-out = 7 }\n"
	    "domain '[10.1.0.0/16]' { max-smtp-out = 8 }\n"
	    "domain '[10.1.2.3]' { max-smtp-out = 9 }\n"
	    "domain '[ipv6:2001:db8::/32]' { max-smtp-out = 10 }\n");
	assert_int_equal(out_of(c, "other.test", "a"), 1);
	assert_int_equal(out_of(c, "x.example", "a"), 2);
	assert_int_equal(out_of(c, "a.x.example", "a"), 2);
	assert_int_equal(out_of(c, "example", "a"), 3);
	assert_int_equal(out_of(c, "notexample", "a"), 1);
	assert_int_equal(out_of(c, "b.example", "a"), 4);
	assert_int_equal(out_of(c, "x.y.b.example", "a"), 4);
	assert_int_equal(out_of(c, "c.b.example", "a"), 5);
	assert_int_equal(out_of(c, "C.B.Example.", "a"), 5);
	assert_int_equal(out_of(c, "x.un.example", "a"), 5);
	assert_int_equal(out_of(c, "un.example", "a"), 2);
	assert_int_equal(out_of(c, "d.b.example", "a"), 6);
	assert_int_equal(out_of(c, "x.d.b.example", "a"), 4);
	assert_int_equal(out_of(c, "[10.2.0.1]", "a"), 7);
	assert_int_equal(out_of(c, "[10.1.0.1]", "a"), 8);
	assert_int_equal(out_of(c, "[10.1.2.3]", "a"), 9);
	assert_int_equal(out_of(c, "[11.0.0.1]", "a"), 1);
	assert_int_equal(out_of(c, "[IPv6:2001:DB8:0::1]", "a"), 10);
	assert_int_equal(out_of(c, "[ipv6:2001:db9::1]", "a"), 1);
	conf_unref(c);
}

/* Each setting by itself; '' takes away what a wider scope has set. */
static void
test_per_setting(void **state)
{
	struct conf_queue q;
	struct conf *c;

	(void)state;
	c = accept_text(HEAD
	    "virtual-mta a { domain b.example { connect-timeout = ''\n"
	    "	smtp-hosts = '' retry-recipients-after = '' } }\n"
	    "domain '*' { smtp-hosts = 'h.example' connect-timeout = 1m\n"
	    "	retry-recipients-after = '1m,2m' data-send-timeout = 9s }\n"
	    "domain b.example { bounce-upon-no-mx = 4h }\n");
	assert_int_equal(conf_queue(c, "x.example", "a", &q), 0);
	assert_int_equal(q.smtp_hosts.n, 1);
	assert_string_equal(conf_list_at(&q.smtp_hosts, 0), "h.example");
	assert_int_equal(q.connect_timeout, 60000);
	assert_int_equal(q.retry_recipients_after.n, 2);
	assert_int_equal(q.bounce_upon_no_mx, -1);
	assert_int_equal(conf_queue(c, "b.example", "a", &q), 0);
	assert_int_equal(q.smtp_hosts.n, 0);
	assert_null(conf_list_next(&q.smtp_hosts, NULL));
	assert_int_equal(q.connect_timeout, 120000);
	assert_int_equal(q.retry_recipients_after.n, 0);
	assert_int_equal(q.data_send_timeout, 9000);
	assert_int_equal(q.bounce_upon_no_mx, 4 * 3600000);
	conf_unref(c);
}

/* File order does not matter, and neither does the spelling. */
static void
test_order(void **state)
{
	struct conf *c;

	(void)state;
	c = accept_text("domain b\xc3\xbc"
			"cher.de { max-smtp-out = 2 }\n"
			"domain '*' { max-smtp-out = 1 }\n" HEAD
			"domain 'X.Example' { max-smtp-out = 3 }\nvirtual-mta "
			"a { }\n");
	assert_int_equal(out_of(c, "xn--bcher-kva.de", "a"), 2);
	assert_int_equal(out_of(c,
			     "B\xc3\x9c"
			     "CHER.de",
			     "a"),
	    2);
	assert_int_equal(out_of(c, "x.example", "a"), 3);
	assert_int_equal(out_of(c, "not a domain", "a"), 20);
	assert_int_equal(out_of(c, "", "a"), 20);
	conf_unref(c);
}

static void
test_defaults(void **state)
{
	struct conf_queue q;
	struct conf *c;

	(void)state;
	c = accept_text("");
	(void)conf_queue(c, "x.example", "a", &q);
	assert_int_equal(q.max_smtp_out, 20);
	assert_int_equal(q.max_rcpt_per_transaction, 100);
	assert_int_equal(q.connect_timeout, 120000);
	assert_int_equal(q.smtp_data_termination_timeout, 600000);
	assert_int_equal(q.retry_after.n, 1);
	assert_int_equal(conf_ladder_at(&q.retry_after, 7), 600000);
	assert_int_equal(q.retry_recipients_after.n, 0);
	assert_int_equal(conf_ladder_at(&q.retry_recipients_after, 0), 0);
	assert_int_equal(q.bounce_after, (4 * 24 + 12) * 3600000LL);
	assert_int_equal(q.bounce_upon_no_mx, -1);
	assert_false(q.bounce_upon_5xx_greeting);
	assert_int_equal(q.default_smtp_port, 25);
	assert_int_equal(q.max_msg_rate.n, 0);
	assert_string_equal(q.type, "smtp");
	assert_string_equal(q.smtp_pattern_list, "");
	conf_unref(c);
}

/* Equal settings, equal hash, wherever they come from. */
static void
test_hash(void **state)
{
	struct conf_queue a, b, x, y;
	struct conf *c;

	(void)state;
	c = accept_text(HEAD
	    "virtual-mta a { domain x { max-smtp-out = 5 log-data = yes } }\n"
	    "virtual-mta b { }\n"
	    "domain x { log-data = yes }\ndomain '*' { max-smtp-out = 5 }\n"
	    "domain y { max-smtp-out = '' }\n");
	(void)conf_queue(c, "x", "a", &a);
	(void)conf_queue(c, "x", "b", &b);
	assert_true(a.hash == b.hash);
	(void)conf_queue(c, "z", "a", &x);
	assert_true(a.hash != x.hash);
	(void)conf_queue(c, "y", "b", &y);
	assert_true(y.hash != x.hash);
	conf_unref(c);
	c = accept_text("");
	(void)conf_queue(c, "q", "b", &b);
	assert_true(y.hash == b.hash);
	conf_unref(c);
}

static void
test_explain(void **state)
{
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct conf *c;

	(void)state;
	c = accept_text(HEAD
	    "virtual-mta a { host-name = h.example max-smtp-out = 4\n"
	    "	domain x.example { max-smtp-out = 5 } }\n"
	    "virtual-mta-pool p { virtual-mta = a domain '*' { log-data = yes\n"
	    "	} }\n"
	    "domain-macro m { domains = x.example }\n"
	    "domain '$m' { retry-after = '10m,1h' max-smtp-out = 9 }\n"
	    "domain '*' { max-msg-rate = 5/s }\n");
	assert_int_equal(conf_explain(c, "X.example", "a", &b, &err), 0);
	assert_non_null(strstr(b.p,
	    "/etc/vmta.conf:3 (domain 'x.example' in "
	    "virtual-mta a)\n"));
	assert_non_null(strstr(b.p,
	    "\nmax-rcpt-per-transaction = 100   # "
	    "default\n"));
	assert_non_null(strstr(b.p, "\nlog-data = yes   # "));
	assert_non_null(strstr(b.p,
	    "/etc/vmta.conf:4 (domain '*' in "
	    "virtual-mta-pool p)\n"));
	assert_non_null(strstr(b.p, "\nretry-after = '10m,1h'   # "));
	assert_non_null(strstr(b.p, "/etc/vmta.conf:7 (domain '$m')\n"));
	assert_non_null(strstr(b.p,
	    "/etc/vmta.conf:8 (domain '*'), not in "
	    "force\n"));
	assert_non_null(strstr(b.p, "\nvirtual-mta max-smtp-out = 4   # "));
	assert_non_null(strstr(b.p,
	    "\nvirtual-mta smtp-source-host = "
	    "{'192.0.2.1 mta.example.com'}   # "));
	assert_int_equal(strncmp(b.p, "max-smtp-out = 5   # ", 21), 0);
	assert_int_equal(conf_explain(c, "x", "none", &b, &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	assert_int_equal(conf_explain(c, "x y", "a", &b, &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	buf_release(&b);
	conf_unref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_scopes),
		SCRATCH_TEST(test_patterns),
		SCRATCH_TEST(test_per_setting),
		SCRATCH_TEST(test_order),
		SCRATCH_TEST(test_defaults),
		SCRATCH_TEST(test_hash),
		SCRATCH_TEST(test_explain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
