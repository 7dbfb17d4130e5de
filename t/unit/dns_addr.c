/* dns/addr: addresses, networks, the table of special ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "dns/addr.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static void
test_text(void **state)
{
	static const char *const good[] = { "0.0.0.0", "192.0.2.1",
		"255.255.255.255", "::", "::1", "2001:db8::1",
		"fe80::1234:5678:9abc:def0" };
	static const char *const bad[] = { "", "1.2.3", "1.2.3.4.5",
		"256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "01.2.3.4", "1.2.3.4/8",
		"[::1]", "::1%lo", ":::", "1::2::3", "example.com" };
	char buf[DNS_ADDR_TEXT];
	union dns_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(good); i++) {
		assert_int_equal(dns_addr_parse(good[i], 2525, &a), 0);
		assert_string_equal(dns_addr_text(&a, buf), good[i]);
		assert_int_equal(dns_addr_port(&a), 2525);
	}
	for (i = 0; i < NELEM(bad); i++)
		assert_int_equal(dns_addr_parse(bad[i], 25, &a), -1);
}

static void
test_octets(void **state)
{
	static const uint8_t p[17] = { 1, 2, 3, 4 };
	char buf[DNS_ADDR_TEXT];
	union dns_addr a;
	size_t n;

	(void)state;
	for (n = 0; n <= sizeof(p); n++)
		assert_int_equal(dns_addr_octets(p, n, 25, &a),
		    n == 4 || n == 16 ? 0 : -1);
	memset(&a, 0, sizeof(a));
	assert_string_equal(dns_addr_text(&a, buf), "?");
}

static void
test_equal(void **state)
{
	union dns_addr a, b, c, d;

	(void)state;
	assert_int_equal(dns_addr_parse("192.0.2.1", 25, &a), 0);
	assert_int_equal(dns_addr_parse("192.0.2.1", 26, &b), 0);
	assert_int_equal(dns_addr_parse("192.0.2.2", 25, &c), 0);
	assert_int_equal(dns_addr_parse("::ffff:192.0.2.1", 25, &d), 0);
	assert_true(dns_addr_equal(&a, &a));
	assert_false(dns_addr_equal(&a, &b));
	assert_false(dns_addr_equal(&a, &c));
	assert_false(dns_addr_equal(&a, &d));
}

static void
test_net_parse(void **state)
{
	static const char *const bad[] = { "", "/", "/8", "10.0.0.0/",
		"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.1/8",
		"2001:db8::/129", "2001:db8::1/64", "10.0.0.0/8/8", "10/8",
		"10.0.0.0/99999999999999999999", "example.com/8",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8" };
	struct verr err = VERR_INIT;
	struct dns_net net;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(bad); i++) {
		err.code = 0;
		assert_int_equal(dns_net_parse(bad[i], &net, &err), -1);
		assert_int_equal(err.code, VEX_CONFIG);
	}
}

static void
test_net_has(void **state)
{
	static const struct {
		const char *net, *addr;
		bool has;
	} cases[] = {
		{ "127.0.0.0/8", "127.255.255.255", true },
		{ "127.0.0.0/8", "128.0.0.0", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.0", false },
		{ "0.0.0.0/0", "8.8.8.8", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "::1", true },
		{ "::/0", "1.2.3.4", false },
		{ "2001:db8::/33", "2001:db8:7fff::", true },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "::1", "::1", true },
		{ "::1/128", "::2", false },
	};
	struct dns_net net;
	union dns_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		assert_int_equal(dns_net_parse(cases[i].net, &net, NULL), 0);
		assert_int_equal(dns_addr_parse(cases[i].addr, 0, &a), 0);
		assert_int_equal(dns_net_has(&net, &a), cases[i].has);
		assert_int_equal(dns_net_any(&net, 1, &a), cases[i].has);
	}
	assert_false(dns_net_any(NULL, 0, &a));
}

static void
test_special(void **state)
{
	static const struct {
		const char *addr, *what;
	} cases[] = {
		{ "0.0.0.0", "unspecified" },
		{ "0.1.2.3", "this network" },
		{ "10.255.255.255", "private" },
		{ "11.0.0.0", NULL },
		{ "100.63.255.255", NULL },
		{ "100.64.0.0", "shared (RFC 6598)" },
		{ "100.128.0.0", NULL },
		{ "127.0.0.1", "loopback" },
		{ "127.255.255.255", "loopback" },
		{ "169.254.1.1", "link-local" },
		{ "172.15.255.255", NULL },
		{ "172.16.0.0", "private" },
		{ "172.31.255.255", "private" },
		{ "172.32.0.0", NULL },
		{ "192.0.0.8", "protocol assignment" },
		{ "192.0.1.0", NULL },
		{ "192.0.2.1", "documentation" },
		{ "192.88.99.1", "6to4 relay" },
		{ "192.168.0.1", "private" },
		{ "192.169.0.0", NULL },
		{ "198.17.255.255", NULL },
		{ "198.18.0.0", "benchmarking" },
		{ "198.19.255.255", "benchmarking" },
		{ "198.51.100.7", "documentation" },
		{ "203.0.113.7", "documentation" },
		{ "223.255.255.255", NULL },
		{ "224.0.0.1", "multicast" },
		{ "239.255.255.255", "multicast" },
		{ "240.0.0.1", "reserved" },
		{ "255.255.255.255", "broadcast" },
		{ "8.8.8.8", NULL },
		{ "::", "unspecified" },
		{ "::1", "loopback" },
		{ "::2", "IPv4-compatible" },
		{ "::127.0.0.1", "IPv4-compatible" },
		{ "::ffff:8.8.8.8", "IPv4-mapped" },
		{ "64:ff9b::8.8.8.8", NULL },
		{ "64:ff9b::127.0.0.1", "loopback" },
		{ "64:ff9b::10.0.0.1", "private" },
		{ "64:ff9b:1::1", "local-use translation" },
		{ "100::1", "discard-only" },
		{ "2001::1", "protocol assignment" },
		{ "2001:1ff::1", "protocol assignment" },
		{ "2001:200::1", NULL },
		{ "2001:db8::1", "documentation" },
		{ "2001:db9::1", NULL },
		{ "2002:7f00:1::", "loopback" },
		{ "2002:808:808::", NULL },
		{ "2002:c0a8:1::", "private" },
		{ "2a00:1450:4001::1b", NULL },
		{ "3fff::1", "documentation" },
		{ "3fff:1000::1", NULL },
		{ "5f00::1", "segment routing" },
		{ "fbff::1", NULL },
		{ "fc00::1", "private" },
		{ "fd00::2", "private" },
		{ "fe80::1", "link-local" },
		{ "febf::1", "link-local" },
		{ "fec0::1", "site-local" },
		{ "ff02::1", "multicast" },
	};
	const char *what;
	union dns_addr a;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		assert_int_equal(dns_addr_parse(cases[i].addr, 0, &a), 0);
		what = dns_addr_special(&a);
		if (cases[i].what == NULL)
			assert_null(what);
		else {
			assert_non_null(what);
			assert_string_equal(what, cases[i].what);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_net_parse),
		cmocka_unit_test(test_net_has),
		cmocka_unit_test(test_special),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
