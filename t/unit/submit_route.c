/* Turns of pools, and which VirtualMTA mail goes to. */
#include "submit_util.h"

#include "submit/impl.h"

/* A pool of these weights; 0 ends. */
static struct conf_pool
pool_of(struct conf_member *m, const uint32_t *weight)
{
	struct conf_pool p = { .member = m };

	for (; weight[p.nmember] != 0; p.nmember++) {
		m[p.nmember].vmta = p.nmember;
		m[p.nmember].weight = weight[p.nmember];
		p.weights += weight[p.nmember];
	}
	return (p);
}

static void
test_sequence(void **state)
{
	static const struct {
		uint32_t weight[6];
		const char *turns;
	} t[] = {
		{ { 1 }, "aaaa" },
		{ { 7 }, "aaaa" },
		{ { 1, 1 }, "abababab" },
		{ { 1, 1, 1 }, "abcabc" },
		{ { 3, 1 }, "aabaaaba" },
		{ { 2, 1, 1 }, "abcaabca" },
		{ { 5, 5 }, "ababababab" },
	};
	struct conf_member m[6];
	struct conf_pool p;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		p = pool_of(m, t[i].weight);
		for (k = 0; t[i].turns[k] != '\0'; k++)
			assert_int_equal('a' + (int)route_turn(&p, k)->vmta,
			    t[i].turns[k]);
	}
}

/* Whatever the weights: a cycle is exact, and a part of it nearly so. */
static void
test_fair(void **state)
{
	static const uint32_t weight[][6] = { { 3, 1 }, { 1, 3 }, { 97, 2, 1 },
		{ 10, 20, 30, 40 }, { 1000, 1, 1, 1, 1 },
		{ 7, 11, 13, 17, 19 } };
	struct conf_member m[6];
	struct conf_pool p;
	uint64_t got[6], k, pass;
	double want;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(weight) / sizeof(weight[0]); i++) {
		p = pool_of(m, weight[i]);
		memset(got, 0, sizeof(got));
		for (k = 0; k < 2 * p.weights; k++) {
			got[route_turn(&p, k)->vmta]++;
			for (j = 0; j < p.nmember; j++) {
				want = (double)(k + 1) * m[j].weight /
				    (double)p.weights;
				assert_true((double)got[j] - want < 2.0 &&
				    want - (double)got[j] < 2.0);
			}
		}
		for (j = 0, pass = 0; j < p.nmember; j++)
			pass += got[j] == 2u * m[j].weight;
		assert_int_equal(pass, p.nmember);
	}
}

/* The largest that a configuration can say do not overflow. */
static void
test_huge(void **state)
{
	enum { N = 1000 };
	struct conf_member *m = calloc(N, sizeof(*m));
	struct conf_pool p = { .member = m, .nmember = N };
	uint64_t seen = 0, k;
	uint32_t i;

	(void)state;
	for (i = 0; i < N; i++) {
		m[i].vmta = i;
		m[i].weight = 1000000;
		/* as if there were 100,000 of them */
		p.weights += m[i].weight;
	}
	for (k = 0; k < N; k++)
		seen += route_turn(&p,
			    UINT64_MAX - UINT64_MAX % p.weights + k - p.weights)
			    ->vmta == k;
	assert_int_equal(seen, N);
	assert_true(route_turn(&p, UINT64_MAX)->vmta < N);
	free(m);
}

static void
test_target(void **state)
{
	static const struct {
		const char *source, *name, *want; /* NULL: refused */
	} t[] = {
		{ "user:x", NULL, "a" },
		{ "user:x", "", "a" },
		{ "user:x", "b", "b" },
		{ "user:x", "p", "p" },
		{ "user:x", "nix", NULL },
		{ "user:x", "../b", NULL },
		{ "user:x", "b\n", NULL },
		{ "user:few", "b", "b" },
		{ "user:few", "even", "even" },
		{ "user:few", "a", NULL },
		{ "user:few", "p", NULL },
		{ "user:none", "a", NULL },
		{ "user:none", NULL, "a" },
		{ "user:lax", "nix", "c" },
		{ "user:lax", "b", "b" },
		{ "user:lax", "/", NULL },
	};
	struct verr err = VERR_INIT;
	struct target to;
	struct submit *s;
	size_t i;
	int rc;

	(void)state;
	set_conf(CONF
	    "invalid-virtual-mta-fallback = c\n"
	    "source 'user:few' { allow-virtual-mta = {'b', 'ev*'} }\n"
	    "source 'user:none' { allow-virtual-mta = {} }\n"
	    "source 'user:lax' { reject-invalid-virtual-mta = no }\n");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		s = handle(t[i].source);
		rc = route_target(s, t[i].name, &to, &err);
		assert_int_equal(rc, t[i].want == NULL ? -1 : 0);
		if (rc == -1)
			assert_int_equal(err.code, VEX_DATA);
		else
			assert_string_equal(to.vmta != NULL ? to.vmta->name :
							      to.pool->name,
			    t[i].want);
		submit_close(s);
	}
}

static void
test_no_default(void **state)
{
	struct verr err = VERR_INIT;
	struct target to;
	struct submit *s;

	(void)state;
	set_conf("smtp-source-host = {'192.0.2.1 x.example'}\n"
		 "virtual-mta a { }\n");
	s = handle("user:x");
	assert_int_equal(route_target(s, NULL, &to, &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	assert_int_equal(route_target(s, "a", &to, &err), 0);
	submit_close(s);
}

/* A domain stays with its member for 64 recipients of a commit. */
static void
test_share(void **state)
{
	static const char *const domain[] = { "x.example", "y.example" };
	struct verr err = VERR_INIT;
	struct target to;
	struct submit *s = handle("user:x");
	const char *got, *last[2] = { NULL, NULL };
	unsigned int i, changes = 0;

	(void)state;
	assert_int_equal(submit_spool(s, &err), 0);
	assert_int_equal(route_target(s, "even", &to, &err), 0);
	for (i = 0; i < 2 * 64 * 6; i++) {
		got = route_vmta(s, &to, domain[i % 2], &err);
		assert_non_null(got);
		if (last[i % 2] != NULL && strcmp(last[i % 2], got) != 0) {
			assert_int_equal(i / 2 % 64, 0);
			changes++;
		}
		last[i % 2] = got;
	}
	assert_int_equal(changes, 10);
	/* the next commit goes on with the next turn */
	assert_string_equal(route_vmta(s, &to, "z.example", &err), "a");
	submit_close(s);
	assert_string_equal(content("/counter/pool.even"), "13\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_fair),
		cmocka_unit_test(test_huge),
		SCRATCH_TEST(test_target),
		SCRATCH_TEST(test_no_default),
		SCRATCH_TEST(test_share),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
