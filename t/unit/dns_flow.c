/*
 * dns/mx: order, caps, times to live, cancelling, many at once, time-outs, and
 * the hosts file.
 */
#include "dns_zone.h"

static int
no_random(struct sys *s, void *buf, size_t len)
{
	(void)s;
	(void)buf;
	(void)len;
	return (-1);
}

static int
zone_refuses(struct resolver *res, const char *name, int rrtype,
    resolver_cb *cb, void *arg, uint64_t *ret_id)
{
	(void)res;
	(void)name;
	(void)rrtype;
	(void)cb;
	(void)arg;
	(void)ret_id;
	return (-1);
}

/* IPv6 first, then by turns. */
static void
test_turns(void **state)
{
	struct got g = { NULL, 0 };
	struct bench b;
	size_t i;

	(void)state;
	bench_open(&b, zone, AT_ONCE);
	(void)start(b.dns, &g, "many.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->n, 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(g.route->target[i].addr.sa.sa_family,
		    i == 0 ? AF_INET6 : AF_INET);
	dns_route_free(g.route);
	bench_close(&b);
}

/* Random inside one preference, never across; addresses of a host too. */
static void
test_shuffle(void **state)
{
	static const struct row rows[] = { { "s.example", ns_t_mx, "10 a.mx." },
		{ "s.example", ns_t_mx, "10 b.mx." },
		{ "s.example", ns_t_mx, "10 c.mx." },
		{ "s.example", ns_t_mx, "20 d.mx." },
		{ "a.mx", ns_t_a, "20.0.0.1" }, { "a.mx", ns_t_a, "20.0.0.11" },
		{ "b.mx", ns_t_a, "20.0.0.2" }, { "c.mx", ns_t_a, "20.0.0.3" },
		{ "d.mx", ns_t_a, "20.0.0.4" }, { NULL, 0, NULL } };
	size_t first[3] = { 0, 0, 0 }, swapped = 0, i, k;
	struct got g = { NULL, 0 };
	struct bench b;

	(void)state;
	bench_open(&b, rows, AT_ONCE);
	lots = 88172645463325252u;
	for (i = 0; i < 300; i++) {
		(void)start(b.dns, &g, "s.example", NULL, "4", NULL);
		settle(b.loop, &b.zone, b.dns);
		assert_int_equal(g.route->n, 5);
		first[g.route->target[0].host[0] - 'a']++;
		assert_string_equal(g.route->target[4].host, "d.mx");
		assert_string_equal(g.route->key,
		    "a.mx:25,b.mx:25,c.mx:25;d.mx:25");
		for (k = 0; k < 4; k++)
			if (g.route->target[k].host[0] == 'a')
				break;
		swapped += ntohl(g.route->target[k].addr.in.sin_addr.s_addr) ==
		    0x1400000bu;
	}
	for (i = 0; i < 3; i++)
		assert_in_range(first[i], 60, 140);
	assert_in_range(swapped, 110, 190);
	dns_route_free(g.route);
	bench_close(&b);
}

/* Without randomness routes still come. */
static void
test_no_random(void **state)
{
	struct got g = { NULL, 0 };
	struct bench b;

	(void)state;
	bench_open(&b, zone, LATER);
	sys.random = no_random;
	(void)start(b.dns, &g, "many.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->n, 4);
	dns_route_free(g.route);
	bench_close(&b);
}

/* 1,000 MX with 3 addresses each: the best are used, within the caps. */
static void
test_caps(void **state)
{
	static char name[1000][32], data[1000][40], addr[3000][20];
	struct row *rows = xcalloc(4001, sizeof(*rows));
	struct got g = { NULL, 0 };
	struct bench b;
	size_t i, k;

	(void)state;
	for (i = 0; i < 1000; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "m%zu.mx", i);
		(void)snprintf(data[i], sizeof(data[i]), "%zu m%zu.mx.",
		    1000 - i, i);
		rows[i] = (struct row) { "big.example", ns_t_mx, data[i] };
		for (k = 0; k < 3; k++) {
			(void)snprintf(addr[i * 3 + k], 20, "20.%zu.%zu.%zu",
			    i / 200, i % 200, k);
			rows[1000 + i * 3 + k] = (struct row) { name[i], ns_t_a,
				addr[i * 3 + k] };
		}
	}
	bench_open(&b, rows, LATER);
	(void)start(b.dns, &g, "big.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(b.zone.asked, 1 + DNS_MAX_MX * 2);
	assert_int_equal(g.route->n, DNS_MAX_TARGETS);
	assert_int_equal(g.route->target[0].pref, 1);
	for (i = 1; i < g.route->n; i++)
		assert_true(g.route->target[i - 1].pref <=
		    g.route->target[i].pref);
	dns_route_free(g.route);
	bench_close(&b);
	free(rows);
}

/* One host with 3,000 addresses. */
static void
test_many_addresses(void **state)
{
	static char addr[3000][20];
	struct row *rows = xcalloc(3001, sizeof(*rows));
	struct got g = { NULL, 0 };
	struct bench b;
	size_t i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		(void)snprintf(addr[i], 20, "20.1.%zu.%zu", i / 200, i % 200);
		rows[i] = (struct row) { "wide.example", ns_t_a, addr[i] };
	}
	bench_open(&b, rows, AT_ONCE);
	(void)start(b.dns, &g, "wide.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->n, DNS_MAX_TARGETS);
	dns_route_free(g.route);
	bench_close(&b);
	free(rows);
}

static void
test_ttl_secure(void **state)
{
	struct got g = { NULL, 0 };
	struct bench b;

	(void)state;
	bench_open(&b, zone, AT_ONCE);
	b.zone.secure = true;
	(void)start(b.dns, &g, "normal.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->ttl, ZONE_TTL);
	assert_true(g.route->target[0].secure);
	b.zone.secure = false;
	b.zone.ttl = UINT32_MAX;
	(void)start(b.dns, &g, "normal.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->ttl, DNS_MAX_TTL);
	assert_false(g.route->target[0].secure);
	(void)start(b.dns, &g, "servfail.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->ttl, 0);
	(void)start(b.dns, &g, "half.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->ttl, 60); /* one host could not be asked */
	dns_route_free(g.route);
	bench_close(&b);
}

/* Cancelled before, between and after the answers. */
static void
test_cancel(void **state)
{
	struct got g = { NULL, 0 };
	struct bench b;
	uint64_t id;

	(void)state;
	bench_open(&b, zone, LATER);
	id = start(b.dns, &g, "normal.example", NULL, "46", NULL);
	dns_route_cancel(b.dns, id);
	assert_int_equal(b.zone.cancelled, 1);
	id = start(b.dns, &g, "normal.example", NULL, "46", NULL);
	assert_true(zone_step(&b.zone)); /* MX; now A and AAAA twice */
	assert_true(zone_step(&b.zone));
	dns_route_cancel(b.dns, id);
	assert_int_equal(b.zone.cancelled, 4);
	id = start(b.dns, &g, "normal.example", NULL, "46", NULL);
	while (zone_step(&b.zone))
		;
	dns_route_cancel(b.dns, id); /* done, not delivered */
	loop_turn(b.loop, false);
	assert_int_equal(g.calls, 0);
	dns_route_cancel(b.dns, id);
	dns_route_cancel(b.dns, 0);
	dns_route_cancel(b.dns, 12345);
	assert_int_equal(dns_pending(b.dns), 0);
	/* The context goes while one is waiting. */
	(void)start(b.dns, &g, "normal.example", NULL, "46", NULL);
	bench_close(&b);
	assert_int_equal(g.calls, 0);
}

/* A callback that cancels another lookup and starts a new one. */
struct chain {
	struct bench *b;
	uint64_t victim;
	struct got *got;
	size_t calls;
};

static void
on_chain(void *arg, struct dns_route *r)
{
	struct chain *c = arg;

	dns_route_free(r);
	c->calls++;
	dns_route_cancel(c->b->dns, c->victim);
	(void)start(c->b->dns, c->got, "x.example", "[127.0.0.1]", "4", NULL);
}

static void
test_callback(void **state)
{
	struct dns_query q = { .domain = "normal.example",
		.want_v4 = true,
		.port = 25 };
	struct got g = { NULL, 0 }, victim = { NULL, 0 };
	struct chain c = { NULL, 0, &g, 0 };
	struct bench b;

	(void)state;
	bench_open(&b, zone, AT_ONCE);
	c.b = &b;
	(void)dns_route_start(b.dns, &q, on_chain, &c);
	c.victim = start(b.dns, &victim, "normal.example", NULL, "4", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(c.calls, 1);
	assert_int_equal(victim.calls, 0);
	assert_int_equal(g.calls, 1);
	dns_route_free(g.route);
	bench_close(&b);
}

/* Only so many are asked at a time; all get their answer. */
static void
test_many(void **state)
{
	struct got g = { NULL, 0 };
	uint64_t id[3 * DNS_MAX_ACTIVE];
	struct bench b;
	size_t i;

	(void)state;
	bench_open(&b, zone, LATER);
	for (i = 0; i < NELEM(id); i++)
		id[i] = start(b.dns, &g, "normal.example", NULL, "4", NULL);
	assert_int_equal(b.zone.n_waiting, DNS_MAX_ACTIVE);
	assert_int_equal(dns_pending(b.dns), NELEM(id));
	dns_route_cancel(b.dns, id[0]);		    /* active */
	dns_route_cancel(b.dns, id[NELEM(id) - 1]); /* waiting */
	loop_turn(b.loop, false);
	assert_int_equal(b.zone.n_waiting, DNS_MAX_ACTIVE);
	while (dns_pending(b.dns) > 0) {
		(void)zone_step(&b.zone);
		assert_true(b.zone.n_waiting <= (size_t)DNS_MAX_ACTIVE * 2);
		loop_turn(b.loop, false);
	}
	assert_int_equal(g.calls, NELEM(id) - 2);
	dns_route_free(g.route);
	bench_close(&b);
}

/* No answer at all, and none for a part. */
static void
test_timeout(void **state)
{
	struct got g = { NULL, 0 };
	struct bench b;

	(void)state;
	bench_open(&b, zone, NEVER);
	dns_set_timeout(b.dns, 1);
	(void)start(b.dns, &g, "normal.example", NULL, "46", NULL);
	while (g.calls == 0)
		loop_turn(b.loop, true);
	assert_int_equal(g.route->verdict, DNS_TEMPORARY);
	assert_string_equal(g.route->status, "4.4.3");
	assert_string_equal(g.route->text,
	    "route to normal.example: no answer from DNS in time");
	assert_int_equal(b.zone.cancelled, 1);
	(void)start(b.dns, &g, "x.example", "[127.0.0.1];b.mx.example", "4",
	    NULL);
	while (g.calls == 1)
		loop_turn(b.loop, true);
	assert_int_equal(g.route->verdict, DNS_OK);
	assert_int_equal(g.route->n, 1);
	assert_int_equal(g.route->ttl, 60);
	dns_route_free(g.route);
	bench_close(&b);
}

/* A resolver that takes no questions, and none at all. */
static void
test_no_resolver(void **state)
{
	struct got g = { NULL, 0 };
	struct bench b;

	(void)state;
	bench_open(&b, zone, AT_ONCE);
	b.zone.resolver.query = zone_refuses;
	(void)start(b.dns, &g, "normal.example", NULL, "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->verdict, DNS_TEMPORARY);
	sys.resolver = NULL;
	(void)start(b.dns, &g, "x.example", "relay.example", "46", NULL);
	settle(b.loop, &b.zone, b.dns);
	assert_int_equal(g.route->verdict, DNS_TEMPORARY);
	assert_string_equal(g.route->status, "4.4.3");
	dns_route_free(g.route);
	bench_close(&b);
}

/* Names of smtp-hosts come from the file first; domains and MX never do. */
static void
test_hosts_file(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char path[256];
	const char *text = "127.0.0.7 b.mx.example normal.example\n"
			   "::7 six.example\n";
	struct loop *l = loop_new();
	struct got g = { NULL, 0 };
	struct buf b = BUF_INIT;
	struct zone z;
	struct dns *d;
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/dns-mx-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	fd = mkstemp(path);
	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	zone_init(&z, zone, AT_ONCE);
	d = dns_new(l, &sys, path);
	(void)start(d, &g, "x.example", "b.mx.example", "46", NULL);
	settle(l, &z, d);
	show(g.route, &b);
	assert_string_equal(buf_str(&b), "0 b.mx.example 127.0.0.7:25");
	assert_int_equal(z.asked, 0);
	(void)start(d, &g, "normal.example", NULL, "4", NULL);
	settle(l, &z, d);
	show(g.route, &b);
	assert_string_equal(buf_str(&b),
	    "10 a.mx.example 20.0.0.1:25 | "
	    "20 b.mx.example 20.0.0.2:25");
	(void)start(d, &g, "x.example", "six.example", "4", NULL);
	settle(l, &z, d);
	assert_int_equal(g.route->verdict, DNS_TEMPORARY);
	dns_route_free(g.route);
	dns_free(d);
	loop_free(l);
	buf_release(&b);
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_no_random),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_ttl_secure),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_no_resolver),
		cmocka_unit_test(test_hosts_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
