/* run: when the route of a queue is looked up anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/loop.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/worker.h"

/*
 * A round over the targets lasts longer than the route lives: it comes to its
 * end, else the queue would never come to its clock.
 */
static void
test_ROUND(void **state)
{
	static const struct retry_cause cause = { .status = "4.4.1",
		.text = "timed out",
		.host = "mx.example",
		.peer = "192.0.2.1",
		.source = "192.0.2.2" };
	struct worker w = { .loop = loop_new() };
	struct dns_route dns = { .n = 2 };
	struct route r = { .dns = &dns };
	struct queue q = { .route = &r };

	(void)state;
	assert_non_null(w.loop);
	r.expires = loop_now(w.loop) + 1000000;
	assert_true(route_usable(&w, &q));
	r.expires = loop_now(w.loop) - 1;
	assert_false(route_usable(&w, &q));
	retry_remember(&q, &cause);
	assert_true(route_usable(&w, &q));
	retry_forget(&q); /* one works */
	assert_false(route_usable(&w, &q));
	q.n_ready = 1;
	assert_true(route_usable(&w, &q));
	q.route = NULL;
	assert_false(route_usable(&w, &q));
	loop_free(w.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ROUND) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
