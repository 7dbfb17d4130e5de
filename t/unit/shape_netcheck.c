/*
 * shape/netcheck: asking the real kernel. What needs other addresses happens
 * in a child with a network namespace of its own; without the right to make
 * one, or without ip(8), that is skipped.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shape/netcheck.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define SKIPPED 77

static bool
ask(struct netcheck *nc, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = 25 };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return (source_local(nc, (struct sockaddr *)&in));
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
		abort();
	return (source_local(nc, (struct sockaddr *)&in6));
}

static void
test_here(void **state)
{
	static const struct {
		const char *addr;
		bool local;
	} cases[] = {
		{ "127.0.0.1", true },
		{ "127.1.2.3", true },
		{ "127.255.255.254", true },
		{ "198.51.100.77", false },
		{ "8.8.8.8", false },
		{ "0.0.0.0", false },
		{ "255.255.255.255", false },
		{ "224.0.0.1", false },
		{ "2001:db8:ffff::77", false },
		{ "::", false },
		{ "::ffff:127.0.0.1", false },
		{ "ff02::1", false },
	};
	struct verr err = VERR_INIT;
	struct netcheck *nc;
	size_t i, round;

	(void)state;
	nc = netcheck_new(&err);
	assert_non_null(nc);
	for (round = 0; round < 100; round++)
		for (i = 0; i < NELEM(cases); i++)
			if (ask(nc, cases[i].addr) != cases[i].local)
				fail_msg("%s", cases[i].addr);
	nc->free(nc);
}

static void
test_family(void **state)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct netcheck *nc = netcheck_new(NULL);

	(void)state;
	assert_non_null(nc);
	assert_false(source_local(nc, &sa));
	nc->free(nc);
}

struct listed {
	struct netcheck *nc;
	size_t n, v4_wrong;
};

static void
on_addr(void *arg, const struct sockaddr *sa)
{
	struct listed *l = arg;

	l->n++;
	if (sa->sa_family == AF_INET && !source_local(l->nc, sa))
		l->v4_wrong++;
}

/* What the interfaces list is local. */
static void
test_list(void **state)
{
	struct listed l = { netcheck_new(NULL), 0, 0 };

	(void)state;
	assert_non_null(l.nc);
	assert_int_equal(l.nc->list(l.nc, on_addr, &l), 0);
	assert_true(l.n > 0);
	assert_int_equal(l.v4_wrong, 0);
	l.nc->free(l.nc);
}

static int
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return (-1);
	n = write(fd, text, strlen(text));
	(void)close(fd);
	return (n == (ssize_t)strlen(text) ? 0 : -1);
}

/* Into a network namespace of our own, as its root. */
static int
isolate(void)
{
	uid_t uid = getuid();
	char map[64];

	if (unshare(CLONE_NEWNET) == 0)
		return (0);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
		return (-1);
	(void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	return (put("/proc/self/uid_map", map));
}

/* Run ip(8), quietly. */
static bool
ip(const char *args)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "ip %s >/dev/null 2>&1", args);
	return (system(line) == 0); /* NOLINT(cert-env33-c): fixed text */
}

/* A line on stderr when it is not so. */
static int
expect(struct netcheck *nc, const char *addr, bool local)
{
	if (ask(nc, addr) == local)
		return (0);
	(void)fprintf(stderr, "%s: should be %s\n", addr,
	    local ? "local" : "not local");
	return (1);
}

/* Addresses come and go while non-local binds are allowed. */
static int
in_namespace(void)
{
	struct netcheck *nc;
	int bad = 0, i;

	if (isolate() == -1 || !ip("link set lo up") ||
	    !ip("link add v0 type veth peer name v1") ||
	    !ip("link set v0 up") || !ip("link set v1 up") ||
	    put("/proc/sys/net/ipv4/ip_nonlocal_bind", "1") == -1)
		return (SKIPPED);
	(void)put("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
	nc = netcheck_new(NULL);
	if (nc == NULL)
		return (1);
	bad += expect(nc, "192.0.2.1", false);
	for (i = 0; i < 20; i++) {
		if (!ip("addr add 192.0.2.1/24 dev v0"))
			return (1);
		bad += expect(nc, "192.0.2.1", true);
		bad += expect(nc, "192.0.2.2", false);
		bad += expect(nc, "192.0.2.255", false); /* broadcast */
		if (!ip("addr del 192.0.2.1/24 dev v0"))
			return (1);
		bad += expect(nc, "192.0.2.1", false);
	}
	/* Routes to elsewhere, and one to ourselves. */
	if (!ip("route add default dev v0") ||
	    !ip("route add local 198.51.100.0/24 dev lo"))
		return (1);
	bad += expect(nc, "192.0.2.1", false);
	bad += expect(nc, "198.51.100.9", true);
	nc->free(nc);
	return (bad);
}

/* IPv6: tentative addresses are there, but cannot be used. */
static int
in_namespace6(void)
{
	struct netcheck *nc;
	int bad = 0;

	if (isolate() == -1 || !ip("link set lo up") ||
	    !ip("link add v0 type veth peer name v1") ||
	    !ip("link set v0 up") || /* no carrier: v1 is down */
	    !ip("-6 addr add 2001:db8::1/64 dev v0 nodad") ||
	    !ip("-6 addr add 2001:db8::2/64 dev v0"))
		return (SKIPPED);
	nc = netcheck_new(NULL);
	if (nc == NULL)
		return (1);
	bad += expect(nc, "::1", true);
	bad += expect(nc, "2001:db8::1", true);
	bad += expect(nc, "2001:db8::2", false);
	bad += expect(nc, "2001:db8::3", false);
	if (!ip("-6 route add local 2001:db8:1::/64 dev lo") ||
	    !ip("-6 addr del 2001:db8::1/64 dev v0"))
		return (1);
	bad += expect(nc, "2001:db8:1::77", true);
	bad += expect(nc, "2001:db8::1", false);
	nc->free(nc);
	return (bad);
}

/* Run one of the above in a child. */
static void
in_child(int (*test)(void))
{
	pid_t pid;
	int status;

	pid = fork();
	if (pid == 0)
		_exit(test());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_namespace(void **state)
{
	(void)state;
	in_child(in_namespace);
}

static void
test_namespace6(void **state)
{
	(void)state;
	in_child(in_namespace6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_here),
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_namespace),
		cmocka_unit_test(test_namespace6),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
