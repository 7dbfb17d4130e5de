/* shape/source: which address a connection leaves from. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "shape/source.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* A machine with these addresses, NULL-ended. */
struct fake {
	struct netcheck nc;
	const char *const *have;
	size_t asked;
	bool broken; /* the interfaces cannot be listed */
};

static const char *
text_of(const struct sockaddr *sa, char *buf, socklen_t n)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		return (inet_ntop(AF_INET, &in.sin_addr, buf, n));
	}
	memcpy(&in6, sa, sizeof(in6));
	return (inet_ntop(AF_INET6, &in6.sin6_addr, buf, n));
}

static bool
fake_local(struct netcheck *nc, const struct sockaddr *sa)
{
	struct fake *f = (struct fake *)nc;
	char buf[SOURCE_TEXT];
	size_t i;

	f->asked++;
	for (i = 0; f->have[i] != NULL; i++)
		if (strcmp(f->have[i], text_of(sa, buf, sizeof(buf))) == 0)
			return (true);
	return (false);
}

static int
fake_list(struct netcheck *nc, netcheck_each *each, void *arg)
{
	struct fake *f = (struct fake *)nc;
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	size_t i;

	if (f->broken)
		return (-1);
	for (i = 0; f->have[i] != NULL; i++)
		if (inet_pton(AF_INET, f->have[i], &in.sin_addr) == 1)
			each(arg, (struct sockaddr *)&in);
		else if (inet_pton(AF_INET6, f->have[i], &in6.sin6_addr) == 1)
			each(arg, (struct sockaddr *)&in6);
	return (0);
}

static void
fake_init(struct fake *f, const char *const *have)
{
	memset(f, 0, sizeof(*f));
	f->nc.local = fake_local;
	f->nc.list = fake_list;
	f->have = have;
}

static struct conf_addr
entry(const char *text, unsigned bits, const char *ehlo)
{
	struct conf_addr a = { .ehlo = ehlo, .bits = bits };

	a.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(a.family, text, a.addr), 1);
	return (a);
}

/* The text of a pick, `-` for none. */
static const char *
pick(const struct source_set *s, int family, uint64_t counter,
    const char *prefer, const char **ret_missing)
{
	const struct source *missing, *src;

	src = source_next(s, family, counter, prefer, &missing);
	if (ret_missing != NULL)
		*ret_missing = missing != NULL ? missing->text : "-";
	return (src != NULL ? src->text : "-");
}

/* In turn, by family; the counter may be anything. */
static void
test_round_robin(void **state)
{
	static const char *const have[] = { "127.0.0.1", "127.0.0.2",
		"127.0.0.3", "::1", NULL };
	struct conf_addr conf[] = { entry("127.0.0.1", 32, "a"),
		entry("::1", 128, "six"), entry("127.0.0.2", 32, "b"),
		entry("127.0.0.3", 32, "c") };
	static const char *const want[] = { "127.0.0.1", "127.0.0.2",
		"127.0.0.3" };
	struct source_set *s;
	struct fake f;
	uint64_t i;

	(void)state;
	fake_init(&f, have);
	s = source_set_new(&f.nc, conf, NELEM(conf));
	assert_int_equal(source_count(s), 4);
	assert_int_equal(source_families(s), SOURCE_V4 | SOURCE_V6);
	assert_int_equal(source_usable(s), SOURCE_V4 | SOURCE_V6);
	for (i = 0; i < 9; i++) {
		assert_string_equal(pick(s, AF_INET, i, NULL, NULL),
		    want[i % 3]);
		assert_string_equal(pick(s, AF_INET6, i, "", NULL), "::1");
	}
	assert_string_equal(pick(s, AF_INET, UINT64_MAX, NULL, NULL),
	    want[UINT64_MAX % 3]);
	assert_string_equal(source_at(s, 1)->ehlo, "six");
	source_set_free(s);
}

/* What the machine does not have is passed over, told, and never used. */
static void
test_missing(void **state)
{
	static const char *const have[] = { "127.0.0.1", "127.0.0.3", NULL };
	static const char *const none[] = { NULL };
	struct conf_addr conf[] = { entry("127.0.0.1", 32, "a"),
		entry("127.0.0.2", 32, "b"), entry("127.0.0.3", 32, "c"),
		entry("::1", 128, "six") };
	const char *missing;
	struct source_set *s;
	struct fake f;

	(void)state;
	fake_init(&f, have);
	s = source_set_new(&f.nc, conf, NELEM(conf));
	assert_string_equal(pick(s, AF_INET, 0, NULL, &missing), "127.0.0.1");
	assert_string_equal(missing, "-");
	assert_string_equal(pick(s, AF_INET, 1, NULL, &missing), "127.0.0.3");
	assert_string_equal(missing, "127.0.0.2");
	assert_string_equal(pick(s, AF_INET6, 1, NULL, &missing), "-");
	assert_string_equal(missing, "::1");
	assert_int_equal(source_families(s), SOURCE_V4 | SOURCE_V6);
	assert_int_equal(source_usable(s), SOURCE_V4);
	/* All go, in the middle of a run. */
	f.have = none;
	assert_string_equal(pick(s, AF_INET, 2, "127.0.0.1", &missing), "-");
	assert_string_equal(missing, "127.0.0.3");
	assert_int_equal(source_usable(s), 0);
	f.have = have;
	assert_int_equal(source_usable(s), SOURCE_V4);
	assert_null(source_next(s, AF_UNIX, 0, NULL, NULL));
	source_set_free(s);
}

/* The same one as last time, if it is still ours and of the family. */
static void
test_prefer(void **state)
{
	static const char *const have[] = { "127.0.0.1", "127.0.0.2", "::1",
		"127.0.0.9", NULL };
	struct conf_addr conf[] = { entry("127.0.0.1", 32, "a"),
		entry("127.0.0.2", 32, "b"), entry("127.0.0.3", 32, "c"),
		entry("::1", 128, "six") };
	struct source_set *s;
	const char *missing;
	struct fake f;

	(void)state;
	fake_init(&f, have);
	s = source_set_new(&f.nc, conf, NELEM(conf));
	assert_string_equal(pick(s, AF_INET, 0, "127.0.0.2", &missing),
	    "127.0.0.2");
	assert_string_equal(missing, "-");
	/* Not local, not in the set, of the other family, nonsense. */
	assert_string_equal(pick(s, AF_INET, 1, "127.0.0.3", NULL),
	    "127.0.0.2");
	assert_string_equal(pick(s, AF_INET, 0, "127.0.0.9", NULL),
	    "127.0.0.1");
	assert_string_equal(pick(s, AF_INET, 0, "::1", NULL), "127.0.0.1");
	assert_string_equal(pick(s, AF_INET, 0, "-", NULL), "127.0.0.1");
	source_set_free(s);
}

/* A small network: each address is asked for; bits after it are ignored. */
static void
test_small_network(void **state)
{
	static const char *const have[] = { "127.0.1.1", "127.0.1.3",
		"127.0.1.4", "2001:db8::5", "192.0.3.255", NULL };
	static const char *const later[] = { "127.0.1.2", NULL };
	struct conf_addr conf[] = { entry("127.0.1.2", 30, "a"),
		entry("127.0.1.3", 32, "b"), entry("2001:db8::", 125, "c"),
		entry("192.0.0.0", 22, "d") };
	struct source_set *s;
	struct fake f;

	(void)state;
	fake_init(&f, have);
	s = source_set_new(&f.nc, conf, NELEM(conf));
	assert_int_equal(f.asked, 4 + 8 + 1024);
	assert_int_equal(source_count(s), 4);
	assert_string_equal(source_at(s, 0)->text, "127.0.1.1");
	assert_string_equal(source_at(s, 1)->text, "127.0.1.3");
	assert_string_equal(source_at(s, 1)->ehlo, "a");
	assert_string_equal(source_at(s, 2)->text, "2001:db8::5");
	assert_string_equal(source_at(s, 3)->text, "192.0.3.255");
	f.have = later;
	assert_int_equal(source_usable(s), 0);
	(void)source_refresh(s);
	assert_int_equal(source_count(s), 2); /* and the single address */
	assert_string_equal(source_at(s, 0)->text, "127.0.1.2");
	source_set_free(s);
}

/* A wide network: what the interfaces have of it. */
static void
test_wide_network(void **state)
{
	static const char *const have[] = { "10.0.0.1", "10.255.0.1",
		"11.0.0.1", "2001:db8:0:1::1", "2001:db8:0:2::1", NULL };
	struct conf_addr conf[] = { entry("10.0.0.0", 8, "a"),
		entry("2001:db8:0:1::", 64, "b"), entry("::", 0, "c") };
	struct source_set *s;
	struct fake f;

	(void)state;
	fake_init(&f, have);
	s = source_set_new(&f.nc, conf, 2);
	assert_int_equal(f.asked, 0);
	assert_int_equal(source_count(s), 3);
	assert_string_equal(source_at(s, 2)->text, "2001:db8:0:1::1");
	source_set_free(s);
	s = source_set_new(&f.nc, conf + 2, 1);
	assert_int_equal(source_count(s), 2);
	f.broken = true;
	(void)source_refresh(s);
	assert_int_equal(source_count(s), 0);
	assert_int_equal(source_families(s), SOURCE_V6);
	source_set_free(s);
}

/* No entries; and the configuration may go after the set was made. */
static void
test_life(void **state)
{
	static const char *const have[] = { "127.0.0.1", NULL };
	struct conf_addr conf = entry("127.0.0.1", 32, "mx");
	char name[] = "a.example";
	struct source_set *s;
	struct fake f;

	(void)state;
	fake_init(&f, have);
	s = source_set_new(&f.nc, NULL, 0);
	assert_int_equal(source_count(s), 0);
	assert_int_equal(source_families(s), 0);
	assert_string_equal(pick(s, AF_INET, 3, NULL, NULL), "-");
	source_set_free(s);
	source_set_free(NULL);
	conf.ehlo = name;
	s = source_set_new(&f.nc, &conf, 1);
	memset(name, 'x', sizeof(name) - 1);
	(void)source_refresh(s);
	assert_string_equal(source_at(s, 0)->ehlo, "a.example");
	assert_int_equal(source_at(s, 0)->len, sizeof(struct sockaddr_in));
	source_set_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_prefer),
		cmocka_unit_test(test_small_network),
		cmocka_unit_test(test_wide_network),
		cmocka_unit_test(test_life),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
