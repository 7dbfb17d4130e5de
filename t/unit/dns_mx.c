/*
 * dns/mx: where mail for a domain goes, one case a line; every case runs with
 * answers at once, later, and in the opposite order.
 */
#include "dns_zone.h"

struct route_case {
	const char *domain, *hosts, *families, *allow;
	enum dns_verdict verdict;
	const char *status;
	const char *want; /* targets, or a part of the text */
};

static const struct route_case cases[] = {
	{ "normal.example", NULL, "46", NULL, DNS_OK, "",
	    "10 a.mx.example 2a00::1:25 | 10 a.mx.example 20.0.0.1:25 | "
	    "20 b.mx.example 20.0.0.2:25" },
	{ "NORMAL.Example.", NULL, "4", NULL, DNS_OK, "",
	    "10 a.mx.example 20.0.0.1:25 | 20 b.mx.example 20.0.0.2:25" },
	{ "normal.example", NULL, "6", NULL, DNS_OK, "",
	    "10 a.mx.example 2a00::1:25" },
	{ "twice.example", NULL, "46", NULL, DNS_OK, "",
	    "10 b.mx.example 20.0.0.2:25 | 20 b2.mx.example 20.0.0.3:25" },
	{ "implicit.example", NULL, "46", NULL, DNS_OK, "",
	    "0 implicit.example 20.0.0.4:25" },
	{ "implicit6.example", NULL, "46", NULL, DNS_OK, "",
	    "0 implicit6.example 2a00::4:25" },
	{ "implicit6.example", NULL, "4", NULL, DNS_NO_MX, "5.4.4",
	    "implicit6.example: no MX record and no IPv4 address" },
	{ "txtonly.example", NULL, "46", NULL, DNS_NO_MX, "5.4.4",
	    "txtonly.example: no MX record and no address" },
	{ "none.example", NULL, "46", NULL, DNS_NO_DOMAIN, "5.1.2",
	    "none.example: no such domain (NXDOMAIN)" },
	{ "not a name", NULL, "46", NULL, DNS_NO_DOMAIN, "5.1.2",
	    "not the name of a domain" },
	{ "", NULL, "46", NULL, DNS_NO_DOMAIN, "5.1.2", "not the name" },
	{ "20.0.0.1", NULL, "46", NULL, DNS_NO_DOMAIN, "5.1.2", "not the" },
	{ "normal.example", NULL, "", NULL, DNS_TEMPORARY, "4.3.5",
	    "no source address" },
	{ "null.example", NULL, "46", NULL, DNS_NULL_MX, "5.1.10",
	    "null.example: does not accept mail (null MX)" },
	{ "null10.example", NULL, "46", NULL, DNS_NULL_MX, "5.1.10", "null" },
	{ "null2.example", NULL, "46", NULL, DNS_NULL_MX, "5.1.10", "null" },
	{ "mixed.example", NULL, "46", NULL, DNS_OK, "",
	    "10 b.mx.example 20.0.0.2:25" },
	{ "nullbad.example", NULL, "46", NULL, DNS_NO_MX, "5.4.4",
	    "its MX records name no host" },
	{ "servfail.example", NULL, "46", NULL, DNS_TEMPORARY, "4.4.3",
	    "MX of servfail.example: server failure (SERVFAIL)" },
	{ "refused.example", NULL, "46", NULL, DNS_TEMPORARY, "4.4.3",
	    "refused (REFUSED)" },
	{ "yx.example", NULL, "46", NULL, DNS_TEMPORARY, "4.4.3",
	    "unknown response code" },
	{ "timeout.example", NULL, "46", NULL, DNS_TEMPORARY, "4.4.3",
	    "no answer" },
	{ "bogus.example", NULL, "46", NULL, DNS_TEMPORARY, "4.4.3",
	    "signature\\x0aexpired" },
	{ "afail.example", NULL, "4", NULL, DNS_TEMPORARY, "4.4.3",
	    "A of fail.mx.example: server failure" },
	{ "half.example", NULL, "46", NULL, DNS_OK, "",
	    "20 b.mx.example 20.0.0.2:25" },
	{ "gone.example", NULL, "46", NULL, DNS_NO_MX, "5.4.4",
	    "gone.example: no host has an address" },
	{ "gone2.example", NULL, "46", NULL, DNS_OK, "",
	    "20 b.mx.example 20.0.0.2:25" },
	{ "gone3.example", NULL, "46", NULL, DNS_TEMPORARY, "4.4.3",
	    "fail.mx.example" },
	{ "imp-fail.example", NULL, "4", NULL, DNS_TEMPORARY, "4.4.3",
	    "A of imp-fail.example: server failure" },
	{ "bad.example", NULL, "46", NULL, DNS_OK, "",
	    "30 b.mx.example 20.0.0.2:25" },
	{ "allbad.example", NULL, "46", NULL, DNS_NO_MX, "5.4.4",
	    "name no host" },
	{ "literal.example", NULL, "46", NULL, DNS_NO_MX, "5.4.4",
	    "name no host" },
	{ "badaddr.example", NULL, "46", NULL, DNS_OK, "",
	    "10 badaddr.mx.example 20.0.0.9:25" },
	{ "lo.example", NULL, "46", NULL, DNS_SPECIAL, "5.4.4",
	    "lo.mx.example has the loopback address ::1" },
	{ "lo.example", NULL, "46", "127.0.0.0/8", DNS_OK, "",
	    "10 lo.mx.example 127.0.0.1:25" },
	{ "lo.example", NULL, "46", "::/0", DNS_OK, "",
	    "10 lo.mx.example ::1:25" },
	{ "mapped.example", NULL, "46", NULL, DNS_SPECIAL, "5.4.4",
	    "IPv4-mapped" },
	{ "priv.example", NULL, "46", NULL, DNS_SPECIAL, "5.4.4",
	    "private address 10.1.2.3" },
	{ "own.example", NULL, "46", NULL, DNS_SPECIAL, "5.4.6",
	    "own.mx.example has our own address 8.8.4.4" },
	{ "own.example", NULL, "46", "8.0.0.0/8", DNS_OK, "",
	    "10 own.mx.example 8.8.4.4:25" },
	{ "some.example", NULL, "46", NULL, DNS_OK, "",
	    "20 b.mx.example 20.0.0.2:25" },
	{ "lofail.example", NULL, "4", NULL, DNS_TEMPORARY, "4.4.3",
	    "fail.mx.example" },
	{ "localpart.example", NULL, "4", NULL, DNS_SPECIAL, "5.4.4",
	    "loopback" },
	{ "zero.example", NULL, "4", NULL, DNS_SPECIAL, "5.4.4",
	    "unspecified" },
	{ "multi.example", NULL, "4", NULL, DNS_SPECIAL, "5.4.4", "multicast" },
	/* Address literals. */
	{ "[20.0.0.1]", NULL, "46", NULL, DNS_OK, "",
	    "0 [20.0.0.1] 20.0.0.1:25" },
	{ "[IPv6:2a00::1]", NULL, "46", NULL, DNS_OK, "",
	    "0 [2a00::1] 2a00::1:25" },
	{ "[ipv6:2a00::1]", NULL, "4", NULL, DNS_TEMPORARY, "4.4.4",
	    "[2a00::1]: no host has an IPv4 address" },
	{ "[127.0.0.1]", NULL, "46", NULL, DNS_SPECIAL, "5.4.4", "loopback" },
	{ "[127.0.0.1]", NULL, "46", "127.0.0.0/8", DNS_OK, "",
	    "0 [127.0.0.1] 127.0.0.1:25" },
	{ "[8.8.8.8]", NULL, "46", NULL, DNS_SPECIAL, "5.4.6", "our own" },
	{ "[nonsense]", NULL, "46", NULL, DNS_NO_DOMAIN, "5.1.2", "not the" },
	/* smtp-hosts. */
	{ "none.example", "[127.0.0.9]:2525", "46", NULL, DNS_OK, "",
	    "0 [127.0.0.9] 127.0.0.9:2525" },
	{ "not a name", "[::1]", "46", NULL, DNS_OK, "", "0 [::1] ::1:25" },
	{ "x.example", "[8.8.8.8]", "46", NULL, DNS_OK, "",
	    "0 [8.8.8.8] 8.8.8.8:25" },
	{ "x.example", "lo.mx.example:26", "46", NULL, DNS_OK, "",
	    "0 lo.mx.example ::1:26 | 0 lo.mx.example 127.0.0.1:26" },
	{ "x.example", "b.mx.example;[127.0.0.1]", "4", NULL, DNS_OK, "",
	    "0 b.mx.example 20.0.0.2:25 | 65536 [127.0.0.1] 127.0.0.1:25" },
	{ "x.example", "[127.0.0.2],[127.0.0.1];[127.0.0.1]:26,[127.0.0.2]",
	    "4", NULL, DNS_OK, "",
	    "0 [127.0.0.1] 127.0.0.1:25 | 0 [127.0.0.2] 127.0.0.2:25 | "
	    "65536 [127.0.0.1] 127.0.0.1:26" },
	{ "x.example", "lookup-mx:normal.example:587", "4", NULL, DNS_OK, "",
	    "10 a.mx.example 20.0.0.1:587 | 20 b.mx.example 20.0.0.2:587" },
	{ "x.example", "[127.0.0.1];lookup-mx:normal.example", "4", NULL,
	    DNS_OK, "",
	    "0 [127.0.0.1] 127.0.0.1:25 | "
	    "65546 a.mx.example 20.0.0.1:25 | "
	    "65556 b.mx.example 20.0.0.2:25" },
	{ "x.example", "lookup-mx:lo.example", "46", NULL, DNS_SPECIAL, "5.4.4",
	    "loopback" },
	{ "x.example", "lookup-mx:implicit.example", "46", NULL, DNS_OK, "",
	    "0 implicit.example 20.0.0.4:25" },
	/* What we named wrongly does not bounce mail. */
	{ "x.example", "gone.mx.example", "46", NULL, DNS_TEMPORARY, "4.4.4",
	    "smtp-hosts: no host has an address" },
	{ "x.example", "fail.mx.example", "4", NULL, DNS_TEMPORARY, "4.4.3",
	    "A of fail.mx.example" },
	{ "x.example", "lookup-mx:none.example", "46", NULL, DNS_TEMPORARY,
	    "4.4.4", "smtp-hosts: none.example: no such domain" },
	{ "x.example", "lookup-mx:null.example", "46", NULL, DNS_TEMPORARY,
	    "4.4.4", "null MX" },
	{ "x.example", "lookup-mx:none.example;[127.0.0.1]", "46", NULL, DNS_OK,
	    "", "65536 [127.0.0.1] 127.0.0.1:25" },
	{ "x.example", "[::1]", "4", NULL, DNS_TEMPORARY, "4.4.4",
	    "smtp-hosts: no host has an IPv4 address" },
};

static void
check_case(const struct route_case *c, enum how how)
{
	struct buf text = BUF_INIT;
	struct bench b;
	struct got g = { NULL, 0 };

	bench_open(&b, zone, how);
	(void)start(b.dns, &g, c->domain, c->hosts, c->families, c->allow);
	assert_int_equal(g.calls, 0); /* never inside the call */
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.calls, 1);
	assert_string_equal(dns_verdict_name(g.route->verdict),
	    dns_verdict_name(c->verdict));
	assert_string_equal(g.route->status, c->status);
	show(g.route, &text);
	if (c->verdict == DNS_OK)
		assert_string_equal(buf_str(&text), c->want);
	else if (strstr(g.route->text, c->want) == NULL)
		assert_string_equal(g.route->text, c->want);
	assert_int_equal(g.route->n > 0, c->verdict == DNS_OK);
	assert_int_equal(g.route->key[0] != '\0', c->verdict == DNS_OK);
	if (strchr(c->families, '6') == NULL)
		assert_int_equal(b.zone.asked_aaaa, 0);
	if (strchr(c->families, '4') == NULL)
		assert_int_equal(b.zone.asked_a, 0);
	dns_route_free(g.route);
	bench_close(&b);
	buf_release(&text);
}

static void
test_cases(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		check_case(&cases[i], AT_ONCE);
		check_case(&cases[i], LATER);
		check_case(&cases[i], BACKWARDS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
