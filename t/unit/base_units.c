/* Numbers, intervals, sizes, rates and times: whole text or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/stamp.h"
#include "base/unit.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define BAD INT64_MIN

static void
test_int(void **state)
{
	static const struct {
		const char *text;
		int64_t n;
	} row[] = { { "0", 0 }, { "7", 7 }, { "1200", 1200 },
		{ "9223372036854775807", INT64_MAX },
		{ "9223372036854775808", BAD }, { "99999999999999999999", BAD },
		{ "", BAD }, { "-1", BAD }, { "+1", BAD }, { "01", BAD },
		{ "00", BAD }, { "1 ", BAD }, { " 1", BAD }, { "1x", BAD },
		{ "0x10", BAD }, { "1.5", BAD } };
	int64_t n;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(row); i++) {
		n = BAD;
		assert_int_equal(unit_int(row[i].text, &n),
		    row[i].n == BAD ? -1 : 0);
		assert_int_equal(n, row[i].n);
	}
}

static void
test_bool(void **state)
{
	static const char *const yes[] = { "yes", "YES", "true", "on", "1" };
	static const char *const no[] = { "no", "No", "false", "off", "0" };
	static const char *const bad[] = { "", "y", "yess", "2", " yes" };
	bool b;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		b = false;
		assert_int_equal(unit_bool(yes[i], &b), 0);
		assert_true(b);
		assert_int_equal(unit_bool(no[i], &b), 0);
		assert_false(b);
		assert_int_equal(unit_bool(bad[i], &b), -1);
	}
}

static void
test_interval(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
		const char *shown; /* NULL: as text */
	} row[] = { { "0", 0, NULL }, { "90s", 90000, "1m30s" },
		{ "90", 90000, "1m30s" }, { "4d12h", 388800000, NULL },
		{ "250ms", 250, NULL }, { "1h30m", 5400000, NULL },
		{ "2w", 1209600000, "14d" }, { "1s500ms", 1500, NULL },
		{ "1D", 86400000, "1d" }, { "", BAD, NULL }, { "s", BAD, NULL },
		{ "1h30", BAD, NULL }, { "1x", BAD, NULL },
		{ "-1s", BAD, NULL }, { "01s", BAD, NULL },
		{ "1 h", BAD, NULL }, { "1h ", BAD, NULL },
		{ "9223372036854775807d", BAD, NULL },
		{ "106751991168d", BAD, NULL }, { "1.5h", BAD, NULL } };
	char buf[48];
	int64_t n;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(row); i++) {
		n = BAD;
		assert_int_equal(unit_interval(row[i].text, &n),
		    row[i].ms == BAD ? -1 : 0);
		assert_int_equal(n, row[i].ms);
		if (n == BAD)
			continue;
		assert_string_equal(unit_show_interval(n, buf, sizeof(buf)),
		    row[i].shown != NULL ? row[i].shown : row[i].text);
		assert_int_equal(unit_interval(buf, &n), 0);
		assert_int_equal(n, row[i].ms);
	}
}

static void
test_size(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
		const char *shown;
	} row[] = { { "0", 0, "0" }, { "512", 512, "512" },
		{ "512b", 512, "512" }, { "1k", 1024, "1k" },
		{ "1536", 1536, "1536" }, { "250M", 262144000, "250M" },
		{ "1g", 1073741824, "1G" }, { "2T", 2199023255552, "2T" },
		{ "8388608t", BAD, NULL }, { "k", BAD, NULL },
		{ "1kk", BAD, NULL }, { "1p", BAD, NULL }, { "-1", BAD, NULL },
		{ "01k", BAD, NULL }, { "", BAD, NULL } };
	char buf[48];
	int64_t n;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(row); i++) {
		n = BAD;
		assert_int_equal(unit_size(row[i].text, &n),
		    row[i].bytes == BAD ? -1 : 0);
		assert_int_equal(n, row[i].bytes);
		if (n != BAD)
			assert_string_equal(unit_show_size(n, buf, sizeof(buf)),
			    row[i].shown);
	}
}

static void
test_rate(void **state)
{
	static const struct {
		const char *text;
		bool sizes;
		int64_t n, per;
		const char *shown;
	} row[] = { { "500/h", false, 500, 3600, "500/h" },
		{ "83/10m", false, 83, 600, "83/10m" },
		{ "1/s", false, 1, 1, "1/s" },
		{ "7/90s", false, 7, 90, "7/90s" },
		{ "100/d", false, 100, 86400, "100/d" },
		{ "unlimited", false, 0, 1, "unlimited" },
		{ "0", false, 0, 1, "unlimited" },
		{ "10M/m", true, 10485760, 60, "10485760/m" },
		{ "10M/m", false, BAD, 0, NULL },
		{ "0/h", false, BAD, 0, NULL }, { "5/", false, BAD, 0, NULL },
		{ "5/0h", false, BAD, 0, NULL }, { "5", false, BAD, 0, NULL },
		{ "5/10", false, BAD, 0, NULL },
		{ "5/5ms", false, BAD, 0, NULL }, { "/h", false, BAD, 0, NULL },
		{ "5/hh", false, BAD, 0, NULL },
		{ "1/9223372036854775807d", false, BAD, 0, NULL } };
	struct rate r;
	char buf[48];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(row); i++) {
		r = (struct rate) { BAD, 0 };
		assert_int_equal(unit_rate(row[i].text, row[i].sizes, &r),
		    row[i].n == BAD ? -1 : 0);
		assert_int_equal(r.n, row[i].n);
		if (row[i].n == BAD)
			continue;
		assert_int_equal(r.per, row[i].per);
		assert_string_equal(unit_show_rate(&r, buf, sizeof(buf)),
		    row[i].shown);
	}
}

static void
test_stamps(void **state)
{
	char name[STAMP_NAME_LEN + 1], acct[STAMP_ACCT_LEN + 1], mail[48];
	int64_t t = 1795470845, back;

	(void)state;
	assert_string_equal(stamp_name(t, name), "20261123T215405Z");
	assert_string_equal(stamp_acct(t, acct), "2026-11-23 21:54:05+0000");
	assert_string_equal(stamp_mail(t, mail, sizeof(mail)),
	    "Mon, 23 Nov 2026 21:54:05 +0000");
	assert_int_equal(stamp_parse_name(name, &back), 0);
	assert_int_equal(back, t);
	assert_string_equal(stamp_name(-5, name), "19700101T000000Z");
	assert_string_equal(stamp_name(INT64_MAX, name), "99991231T235959Z");
	assert_string_equal(stamp_name(2147483648, name), "20380119T031408Z");
}

static void
test_stamp_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t t;
	} row[] = { { "now", 1000 }, { "+10m", 1600 }, { "@123", 123 },
		{ "2026-11-23 21:54:05+0000", 1795470845 },
		{ "2026-11-23 21:54:05", 1795470845 },
		{ "2026-11-23T21:54:05Z", 1795470845 },
		{ "2026-11-23 22:54:05+01:00", 1795470845 },
		{ "2026-11-23 16:24:05 -0530", 1795470845 },
		{ "2026-11-23 21:54", 1795470840 },
		{ "2026-11-23", 1795392000 },
		{ "20261123T215405Z", 1795470845 },
		{ "2024-02-29", 1709164800 }, { "2026-02-29", BAD },
		{ "2026-13-01", BAD }, { "2026-00-01", BAD },
		{ "2026-11-31", BAD }, { "2026-11-23 24:00", BAD },
		{ "2026-11-23 21:60", BAD }, { "2026-11-23 21:54:05+9", BAD },
		{ "2026-11-23x", BAD }, { "", BAD }, { "tomorrow", BAD },
		{ "+", BAD }, { "@", BAD }, { "@-1", BAD },
		{ "20261123T215405", BAD }, { "20261323T215405Z", BAD } };
	int64_t t;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(row); i++) {
		t = BAD;
		if (stamp_parse(row[i].text, 1000, &t) == -1)
			t = BAD;
		assert_int_equal(t, row[i].t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_stamp_parse),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
