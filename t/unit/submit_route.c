/* Turns of pools. */
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

/* A domain stays with its member for 64 recipients of a commit. */
static void
test_share(void **state)
{
	static const char *const domain[] = { "x.example", "y.example" };
	struct verr err = VERR_INIT;
	struct target to = { .pool = conf_pool(conf, "even") };
	struct submit *s = handle("user:x");
	const char *got, *last[2] = { NULL, NULL };
	unsigned int i, changes = 0;

	(void)state;
	assert_int_equal(submit_spool(s, &err), 0);
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
		SCRATCH_TEST(test_share),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
