/* VirtualMTAs, pools, sources, acct-files, global settings; domain names. */
#include <sys/socket.h>
#include <arpa/inet.h>

#include "conf_util.h"

static void
test_vmta(void **state)
{
	static const uint8_t ten[4] = { 10, 0, 0, 1 };
	const struct conf_vmta *v;
	struct conf *c;

	(void)state;
	c = accept_text(
	    "host-name = global.example\n"
	    "smtp-source-host = {'192.0.2.1 g1.example', '192.0.2.2'}\n"
	    "virtual-mta b { max-smtp-out = 7 }\n"
	    "virtual-mta a { host-name = a.example\n"
	    "	smtp-source-host = {'10.0.0.1', '10.1.0.0/16 net.example',\n"
	    "	    '2001:db8::1   v6.example'} }\n"
	    "virtual-mta-pool p { virtual-mta = {b, 'a 3'} }\n"
	    "virtual-mta-pool o { virtual-mta = {a} }\n");
	assert_int_equal(conf_vmta_n(c), 2);
	v = conf_vmta(c, "a");
	assert_ptr_equal(v, conf_vmta_at(c, 0));
	assert_int_equal(v->index, 0);
	assert_int_equal(v->naddr, 3);
	assert_int_equal(v->addr[0].family, AF_INET);
	assert_int_equal(v->addr[0].bits, 32);
	assert_memory_equal(v->addr[0].addr, ten, 4);
	assert_string_equal(v->addr[0].ehlo, "a.example");
	assert_int_equal(v->addr[1].bits, 16);
	assert_string_equal(v->addr[1].ehlo, "net.example");
	assert_int_equal(v->addr[2].family, AF_INET6);
	assert_int_equal(v->addr[2].bits, 128);
	assert_string_equal(v->addr[2].ehlo, "v6.example");
	assert_int_equal(v->max_smtp_out, 0);
	assert_int_equal(v->npool, 2);
	assert_string_equal(conf_pool_at(c, v->pool[0])->name, "o");
	assert_string_equal(conf_pool_at(c, v->pool[1])->name, "p");
	v = conf_vmta(c, "b");
	assert_int_equal(v->naddr, 2);
	assert_int_equal(v->max_smtp_out, 7);
	assert_string_equal(v->addr[0].ehlo, "g1.example");
	assert_string_equal(v->addr[1].ehlo, "global.example");
	assert_int_equal(v->npool, 1);
	assert_null(conf_vmta(c, "A"));
	assert_null(conf_vmta(c, "p"));
	assert_null(conf_vmta(c, ""));
	assert_null(conf_vmta_at(c, 2));
	assert_null(conf_pool(c, "a"));
	assert_null(conf_pool_at(c, 2));
	assert_int_equal(conf_pool(c, "p")->weights, 4);
	conf_unref(c);
}

static void
test_source(void **state)
{
	struct conf_source s;
	struct conf *c;

	(void)state;
	c = accept_text(HEAD
	    "virtual-mta news { }\nvirtual-mta alerts { }\n"
	    "source local { default-virtual-mta = news allow-priority = no\n"
	    "	max-message-size = 10M }\n"
	    "source 'user:www-data' { allow-virtual-mta = {'al*', news}\n"
	    "	max-message-size = 1M allow-sender = {'a@b.example',\n"
	    "	'*@c.example'} }\n"
	    "source pickup { allow-virtual-mta = '' }\n"
	    "source '192.0.2.0/24' { max-message-size = 2M }\n"
	    "source '192.0.0.0/8' { max-message-size = 3M allow-bsmtp = no }\n"
	    "source '2001:db8::/32' { max-message-size = 4M }\n");
	conf_source(c, "user:www-data", &s);
	assert_string_equal(s.default_virtual_mta, "news");
	assert_int_equal(s.max_message_size, 1 << 20);
	assert_false(s.allow_priority);
	assert_true(s.allow_bsmtp);
	assert_true(s.allow_mailmerge);
	assert_true(s.reject_invalid_virtual_mta);
	assert_true(conf_source_vmta_ok(&s, "alerts"));
	assert_true(conf_source_vmta_ok(&s, "news"));
	assert_false(conf_source_vmta_ok(&s, "news2"));
	assert_true(conf_source_sender_ok(&s, ""));
	assert_true(conf_source_sender_ok(&s, "A@B.example"));
	assert_true(conf_source_sender_ok(&s, "x@C.example"));
	assert_false(conf_source_sender_ok(&s, "x@d.c.example"));
	assert_false(conf_source_sender_ok(&s, "x@b.example"));
	assert_false(conf_source_sender_ok(&s, "nobody"));
	conf_source(c, "user:root", &s);
	assert_int_equal(s.max_message_size, 10 << 20);
	assert_true(conf_source_vmta_ok(&s, "anything"));
	assert_true(conf_source_sender_ok(&s, "x@y"));
	conf_source(c, "pickup", &s);
	assert_int_equal(s.max_message_size, 10 << 20);
	assert_false(conf_source_vmta_ok(&s, "news"));
	assert_false(s.allow_mailmerge);
	conf_source(c, "192.0.2.9", &s);
	assert_false(s.allow_mailmerge);
	assert_int_equal(s.max_message_size, 2 << 20);
	assert_false(s.allow_bsmtp);
	assert_string_equal(s.default_virtual_mta, "");
	conf_source(c, "192.1.2.9", &s);
	assert_int_equal(s.max_message_size, 3 << 20);
	conf_source(c, "2001:db8::9", &s);
	assert_int_equal(s.max_message_size, 4 << 20);
	conf_source(c, "198.51.100.1", &s);
	assert_int_equal(s.max_message_size, 0);
	assert_true(s.allow_bsmtp);
	conf_unref(c);
}

static void
test_global(void **state)
{
	const struct conf_global *g;
	const struct conf_acct *a;
	struct conf *c;

	(void)state;
	c = accept_text(
	    "spool = /var/spool/x/\npickup = {'/a/b', 'c/'}\n"
	    "log-file = log/vmta.log\nname-server = {'127.0.0.1@5353'}\n"
	    "user-string = u1\nacct-file a.csv { }\n"
	    "acct-file '/abs/b.csv' { user-string = u2 records = {tq}\n"
	    "	delete-after = no world-readable = yes }\n");
	g = conf_global(c);
	assert_string_equal(conf_spool(c), "/var/spool/x");
	assert_string_equal(conf_list_at(&g->pickup, 0), "/a/b");
	assert_string_equal(conf_list_at(&g->pickup, 1), in_scratch("c"));
	assert_string_equal(g->log_file, in_scratch("etc/log/vmta.log"));
	assert_string_equal(conf_file(c), in_scratch("etc/vmta.conf"));
	assert_string_equal(conf_prefix(c), scratch);
	assert_int_equal(g->total_max_smtp_out, 1200);
	assert_int_equal(g->max_message_size, 100 << 20);
	assert_int_equal(g->journal_keep, 8 * 86400000LL);
	assert_true(*g->host_name != '\0');
	assert_int_equal(conf_acct_n(c), 2);
	a = conf_acct_at(c, 0);
	assert_string_equal(a->file, in_scratch("etc/a.csv"));
	assert_string_equal(a->user_string, "u1");
	assert_int_equal(a->records.n, 2);
	assert_string_equal(conf_list_at(&a->records, 1), "b");
	assert_int_equal(a->max_size, 250 << 20);
	assert_int_equal(a->delete_after, 8 * 86400000LL);
	a = conf_acct_at(c, 1);
	assert_string_equal(a->file, "/abs/b.csv");
	assert_string_equal(a->user_string, "u2");
	assert_int_equal(a->delete_after, -1);
	assert_true(a->world_readable);
	assert_null(conf_acct_at(c, 2));
	conf_unref(c);
	c = accept_text("");
	assert_string_equal(conf_spool(c), in_scratch("spool"));
	conf_unref(c);
}

static void
test_domain(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* NULL: refused */
	} cases[] = {
		{ "Example.COM", "example.com" },
		{ "example.com.", "example.com" },
		{ "b\xc3\xbc"
		  "cher.example",
		    "xn--bcher-kva.example" },
		{ "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
		{ "bu\xcc\x88"
		  "cher.example",
		    "xn--bcher-kva.example" },
		{ "stra\xc3\x9f"
		  "e.example",
		    "xn--strae-oqa.example" },
		{ "a_b.example", "a_b.example" },
		{ "localhost", "localhost" },
		{ "[192.0.2.1]", "[192.0.2.1]" },
		{ "[IPv6:2001:DB8:0:0::1]", "[ipv6:2001:db8::1]" },
		{ "", NULL },
		{ ".", NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "a b", NULL },
		{ "a/b", NULL },
		{ "../a", NULL },
		{ "a\nb", NULL },
		{ "*", NULL },
		{ "\xff\xfe.example", NULL },
		{ "[1.2.3]", NULL },
		{ "[1.2.3.4", NULL },
		{ "[::1]", NULL },
		{ "[]", NULL },
		{ "1234567890123456789012345678901234567890123456789012345678"
		  "901234.example",
		    NULL },
	};
	char got[256], longest[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].want == NULL) {
			assert_int_equal(conf_domain(cases[i].text, got), -1);
			continue;
		}
		assert_int_equal(conf_domain(cases[i].text, got), 0);
		assert_string_equal(got, cases[i].want);
	}
	for (i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = i % 50 == 49 ? '.' : 'a';
	for (i = 250; i < sizeof(longest) - 1; i++) {
		longest[i] = '\0';
		assert_int_equal(conf_domain(longest, got), i <= 253 ? 0 : -1);
		longest[i] = 'a';
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_vmta),
		SCRATCH_TEST(test_source),
		SCRATCH_TEST(test_global),
		SCRATCH_TEST(test_domain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
