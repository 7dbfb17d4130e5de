/* Delivery windows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mail/schedule.h"

#define T0 INT64_C(1795470845) /* 2026-11-23 21:54:05 */

static void
test_parse(void **state)
{
	static const struct {
		const char *text, *stored; /* NULL: refused */
	} t[] = {
		{ "2026-11-23 10:00:00/2026-11-23 12:00:00",
		    "20261123T100000Z/20261123T120000Z" },
		{ " 2026-11-23 10:00 / 2026-11-23 12:00 ",
		    "20261123T100000Z/20261123T120000Z" },
		{ "2026-11-23 10:00:00+0200/2026-11-23 12:00:00-0100",
		    "20261123T080000Z/20261123T130000Z" },
		{ "2026-11-24 10:00/2026-11-24 12:00,\r\n"
		  "\t2026-11-23 10:00/2026-11-23 12:00",
		    "20261123T100000Z/20261123T120000Z,"
		    "20261124T100000Z/20261124T120000Z" },
		{ "2026-11-23 10:00/2026-11-23 12:00,"
		  "2026-11-23 12:00/2026-11-23 13:00,"
		  "2026-11-23 10:30/2026-11-23 11:00",
		    "20261123T100000Z/20261123T130000Z" },
		{ "now/+1h", "20261123T215405Z/20261123T225405Z" },
		{ "", NULL },
		{ ",", NULL },
		{ "2026-11-23 10:00", NULL },
		{ "2026-11-23 10:00/", NULL },
		{ "/2026-11-23 10:00", NULL },
		{ "2026-11-23 10:00/2026-11-23 12:00,", NULL },
		{ "2026-11-23 12:00/2026-11-23 12:00", NULL },
		{ "2026-11-23 12:00/2026-11-23 10:00", NULL },
		{ "2026-13-23 10:00/2026-13-23 12:00", NULL },
		{ "@1/@999999999999999", NULL },
		{ "monday/tuesday", NULL },
	};
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct schedule s;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		rc = schedule_parse(t[i].text, strlen(t[i].text), T0, &s, &err);
		assert_int_equal(rc, t[i].stored != NULL ? 0 : -1);
		if (rc == -1) {
			assert_int_equal(err.code, VEX_DATA);
			continue;
		}
		buf_clear(&b);
		schedule_format(&s, &b);
		assert_string_equal(b.p, t[i].stored);
	}
	buf_release(&b);
}

static void
test_many(void **state)
{
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct schedule s;
	int i;

	(void)state;
	for (i = 0; i < SCHEDULE_MAX; i++)
		buf_addf(&b, "%s@%d/@%d", i > 0 ? "," : "", 10 * i + 1,
		    10 * i + 5);
	assert_int_equal(schedule_parse(b.p, b.len, T0, &s, &err), 0);
	assert_int_equal(s.n, SCHEDULE_MAX);
	buf_adds(&b, ",@9000/@9001");
	assert_int_equal(schedule_parse(b.p, b.len, T0, &s, &err), -1);
	buf_release(&b);
}

static void
test_next(void **state)
{
	static const char text[] = "@100/@200,@300/@400";
	static const struct {
		int64_t t, next, end;
	} t[] = {
		{ 0, 100, 200 },
		{ 99, 100, 200 },
		{ 100, 100, 200 },
		{ 199, 199, 200 },
		{ 200, 300, 400 },
		{ 399, 399, 400 },
		{ 400, -1, 400 },
	};
	struct verr err = VERR_INIT;
	struct schedule s;
	size_t i;

	(void)state;
	assert_int_equal(schedule_parse(text, strlen(text), T0, &s, &err), 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(schedule_next(&s, t[i].t), t[i].next);
		assert_int_equal(schedule_end(&s, t[i].t), t[i].end);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_next),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
