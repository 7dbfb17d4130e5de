/*
 * dns/unbound: libunbound against a name server that runs in the test's own
 * loop, on a port of 127.0.0.1 that the kernel chooses.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/sys.h"
#include "dns/mx.h"
#include "dns/unbound.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* Records as the server has them; data in wire form. */
struct row {
	const char *name;
	int type;
	const char *data;
	size_t len;
};

#define D(s) s, sizeof(s) - 1

static const struct row zone[] = {
	{ "mail.test", ns_t_mx, D("\0\024\3mx2\4test\0") },
	{ "mail.test", ns_t_mx, D("\0\012\3mx1\4test\0") },
	{ "mx1.test", ns_t_a, D("\024\0\0\1") },
	{ "mx2.test", ns_t_a, D("\024\0\0\2") },
	{ "mx2.test", ns_t_a, D("\024\0\0\3") },
	{ "mx1.test", ns_t_aaaa, D("\052\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1") },
	{ "alias.test", ns_t_cname, D("\4mail\4test\0") },
	{ "loop.test", ns_t_cname, D("\5loop2\4test\0") },
	{ "loop2.test", ns_t_cname, D("\4loop\4test\0") },
	{ "null.test", ns_t_mx, D("\0\0\0") },
	{ "host.invalid", ns_t_a, D("\024\0\0\4") },
	{ "host.home.arpa", ns_t_a, D("\024\0\0\5") },
	{ "example.com", ns_t_a, D("\024\0\0\6") },
};

struct server {
	struct loop *loop;
	struct loop_io *io;
	int fd;
	char name[32]; /* ip@port */
	size_t asked;
	bool silent;
};

/* The question's name as text, the length of the question. */
static size_t
question(const uint8_t *p, size_t n, char *name, int *ret_type)
{
	size_t at = 12;

	name[0] = '\0';
	while (at < n && p[at] != 0) {
		assert_true(p[at] < 64 && at + p[at] < n);
		(void)snprintf(name + strlen(name), 256 - strlen(name),
		    "%s%.*s", name[0] != '\0' ? "." : "", (int)p[at],
		    (const char *)p + at + 1);
		at += p[at] + 1u;
	}
	assert_true(at + 5 <= n);
	*ret_type = p[at + 1] << 8 | p[at + 2];
	return (at + 5 - 12);
}

static void
put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* One record that answers the question; its length. */
static size_t
record(uint8_t *p, const struct row *r)
{
	put16(p, 0xc00c);
	put16(p + 2, (size_t)r->type);
	put16(p + 4, 1);
	put16(p + 6, 0);
	put16(p + 8, 300);
	put16(p + 10, r->len);
	memcpy(p + 12, r->data, r->len);
	return (12 + r->len);
}

/* A made-up SOA, for answers that there is nothing. */
static size_t
soa(uint8_t *p)
{
	static const uint8_t rr[] = { 0, 0, 6, 0, 1, 0, 0, 1, 0x2c, 0, 22, 0, 0,
		0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0,
		60 };

	memcpy(p, rr, sizeof(rr));
	return (sizeof(rr));
}

/* Answer the query in p[0..n]; the length of the answer. */
static size_t
answer(uint8_t *p, size_t n)
{
	size_t i, len, count = 0;
	bool known = false;
	char name[256];
	int type, rcode;

	len = 12 + question(p, n, name, &type);
	for (i = 0; i < NELEM(zone); i++) {
		if (strcasecmp(zone[i].name, name) != 0)
			continue;
		known = true;
		if (zone[i].type != type && zone[i].type != ns_t_cname)
			continue;
		len += record(p + len, &zone[i]);
		count++;
	}
	rcode = strcasecmp(name, "fail.test") == 0 ? 2 : known ? 0 : 3;
	p[2] = 0x85;
	p[3] = (uint8_t)(0x80 | rcode);
	put16(p + 4, 1);
	put16(p + 6, count);
	put16(p + 8, count == 0 && rcode != 2);
	put16(p + 10, 0);
	if (count == 0 && rcode != 2)
		len += soa(p + len);
	return (len);
}

static void
on_query(void *arg, bool readable, bool writable)
{
	struct server *s = arg;
	struct sockaddr_in peer;
	socklen_t plen = sizeof(peer);
	uint8_t p[2048];
	ssize_t n;

	(void)readable;
	(void)writable;
	n = recvfrom(s->fd, p, 1024, 0, (struct sockaddr *)&peer, &plen);
	if (n < 17)
		return;
	s->asked++;
	if (s->silent)
		return;
	n = (ssize_t)answer(p, (size_t)n);
	assert_int_equal(sendto(s->fd, p, (size_t)n, 0,
			     (struct sockaddr *)&peer, plen),
	    n);
}

static void
server_open(struct server *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);

	memset(s, 0, sizeof(*s));
	s->loop = loop_new();
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(s->fd != -1);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&in, &len), 0);
	(void)snprintf(s->name, sizeof(s->name), "127.0.0.1@%u",
	    (unsigned)ntohs(in.sin_port));
	s->io = loop_io_new(s->loop, s->fd, on_query, s);
	assert_non_null(s->io);
	loop_io_want(s->io, true, false);
}

static void
server_close(struct server *s)
{
	loop_io_free(s->io);
	loop_free(s->loop);
	assert_int_equal(close(s->fd), 0);
}

static struct resolver *
resolver_open(struct server *s)
{
	const char *list[1] = { s->name };
	struct verr err = VERR_INIT;
	struct resolver *r = dns_unbound_new(s->loop, list, 1, &err);

	assert_string_equal(err.text, "");
	assert_non_null(r);
	return (r);
}

/* What came: `RCODE TTL hex hex`. */
struct got {
	struct buf text;
	size_t calls;
};

static int
octets_compare(const void *a, const void *b)
{
	return (strcmp(a, b));
}

static void
on_answer(void *arg, const struct resolver_answer *ans)
{
	struct got *g = arg;
	char hex[8][80];
	size_t i, k;

	g->calls++;
	assert_true(ans->n <= NELEM(hex));
	memset(hex, 0, sizeof(hex));
	for (i = 0; i < ans->n; i++)
		for (k = 0; k < ans->rr[i].len && k < 39; k++)
			(void)snprintf(hex[i] + 2 * k, 3, "%02x",
			    ans->rr[i].data[k]);
	qsort(hex, ans->n, sizeof(hex[0]), octets_compare);
	buf_clear(&g->text);
	buf_addf(&g->text, "%d", ans->rcode);
	for (i = 0; i < ans->n; i++)
		buf_addf(&g->text, " %s", hex[i]);
}

/* Ask, and turn the loop until it is answered. */
static const char *
ask(struct server *s, struct resolver *r, const char *name, int type,
    struct got *g)
{
	size_t before = g->calls;
	uint64_t id;

	assert_int_equal(r->query(r, name, type, on_answer, g, &id), 0);
	while (g->calls == before)
		loop_turn(s->loop, true);
	return (buf_str(&g->text));
}

static void
test_answers(void **state)
{
	static const struct {
		const char *name;
		int type;
		const char *want;
	} cases[] = {
		{ "mx1.test", ns_t_a, "0 14000001" },
		{ "MX2.test.", ns_t_a, "0 14000002 14000003" },
		{ "mx1.test", ns_t_aaaa, "0 2a000000000000000000000000000001" },
		{ "mail.test", ns_t_mx,
		    "0 000a036d7831047465737400 0014036d7832047465737400" },
		{ "mx2.test", ns_t_aaaa, "0" },
		{ "none.test", ns_t_mx, "3" },
		{ "null.test", ns_t_mx, "0 000000" },
		{ "fail.test", ns_t_a, "2" },
		{ "loop.test", ns_t_a, "2" },
		{ "host.invalid", ns_t_a, "0 14000004" },
		{ "host.home.arpa", ns_t_a, "0 14000005" },
		{ "example.com", ns_t_a, "0 14000006" },
	};
	struct got g = { BUF_INIT, 0 };
	struct resolver *r;
	struct server s;
	size_t i;

	(void)state;
	server_open(&s);
	r = resolver_open(&s);
	for (i = 0; i < NELEM(cases); i++)
		assert_string_equal(ask(&s, r, cases[i].name, cases[i].type,
					&g),
		    cases[i].want);
	r->free(r);
	server_close(&s);
	buf_release(&g.text);
}

static void
test_cache(void **state)
{
	struct got g = { BUF_INIT, 0 };
	struct resolver *r;
	struct server s;
	size_t asked;

	(void)state;
	server_open(&s);
	r = resolver_open(&s);
	(void)ask(&s, r, "mx1.test", ns_t_a, &g);
	(void)ask(&s, r, "none.test", ns_t_a, &g);
	asked = s.asked;
	assert_string_equal(ask(&s, r, "mx1.test", ns_t_a, &g), "0 14000001");
	assert_string_equal(ask(&s, r, "none.test", ns_t_a, &g), "3");
	assert_int_equal(s.asked, asked);
	/* The loop has nothing to wait for but the server's socket. */
	loop_io_want(s.io, false, false);
	loop_run(s.loop);
	r->free(r);
	server_close(&s);
	buf_release(&g.text);
}

/* Cancelled questions are not answered, others are; free with some open. */
static void
test_cancel(void **state)
{
	struct got g = { BUF_INIT, 0 }, never = { BUF_INIT, 0 };
	struct resolver *r;
	struct server s;
	uint64_t id[3];
	size_t i;

	(void)state;
	server_open(&s);
	r = resolver_open(&s);
	for (i = 0; i < NELEM(id); i++)
		assert_int_equal(r->query(r, "mx2.test", ns_t_a, on_answer,
				     &never, &id[i]),
		    0);
	for (i = 0; i < NELEM(id); i++) {
		assert_true(id[i] != 0);
		r->cancel(r, id[i]);
		r->cancel(r, id[i]);
	}
	assert_string_equal(ask(&s, r, "mx1.test", ns_t_a, &g), "0 14000001");
	assert_string_equal(ask(&s, r, "mx2.test", ns_t_a, &g),
	    "0 14000002 14000003");
	s.silent = true;
	for (i = 0; i < NELEM(id); i++)
		assert_int_equal(r->query(r, "slow.test", ns_t_a, on_answer,
				     &never, &id[i]),
		    0);
	r->free(r);
	assert_int_equal(never.calls, 0);
	server_close(&s);
	buf_release(&g.text);
}

static void
test_servers(void **state)
{
	static const char *const bad[] = { "", "localhost", "127.0.0.1@",
		"127.0.0.1@x", "127.0.0.1@99999", "1.2.3", "nonsense" };
	static const char *const good[] = { "127.0.0.1", "127.0.0.1@5353",
		"::1", "::1@5353" };
	struct loop *l = loop_new();
	struct verr err = VERR_INIT;
	struct resolver *r;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(bad); i++) {
		err.code = 0;
		r = dns_unbound_new(l, &bad[i], 1, &err);
		if (r != NULL)
			fail_msg("'%s' was accepted", bad[i]);
		assert_int_equal(err.code, VEX_CONFIG);
	}
	r = dns_unbound_new(l, good, NELEM(good), &err);
	assert_non_null(r);
	r->free(r);
	loop_free(l);
}

/* A whole route, through CNAME and MX. */
static void
on_route(void *arg, struct dns_route *r)
{
	struct dns_route **to = arg;

	*to = r;
}

static void
test_route(void **state)
{
	struct dns_query q = { .domain = "alias.test",
		.port = 25,
		.want_v4 = true,
		.want_v6 = true };
	struct dns_route *route = NULL;
	struct server s;
	struct dns *d;
	struct sys sys;

	(void)state;
	server_open(&s);
	sys_init(&sys);
	sys.resolver = resolver_open(&s);
	d = dns_new(s.loop, &sys, NULL);
	(void)dns_route_start(d, &q, on_route, &route);
	while (route == NULL)
		loop_turn(s.loop, true);
	assert_int_equal(route->verdict, DNS_OK);
	assert_int_equal(route->n, 4);
	assert_string_equal(route->key, "mx1.test:25;mx2.test:25");
	assert_true(route->ttl > 0 && route->ttl <= 300);
	dns_route_free(route);
	dns_free(d);
	sys.resolver->free(sys.resolver);
	server_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_route),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
