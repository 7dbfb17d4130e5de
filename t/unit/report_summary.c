/* report/summary, report/filter, report/out: right sums, printable text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "report/filter.h"
#include "report/find.h"
#include "report/out.h"
#include "report/summary.h"

/* A file with these octets; the caller unlinks and frees its name. */
static char *
file_of(const char *data, size_t n)
{
	const char *tmp = getenv("TMPDIR");
	char *path = malloc(300);
	int fd;

	assert_non_null(path);
	(void)snprintf(path, 300, "%.200s/report-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	fd = mkstemp(path);
	assert_true(fd != -1);
	assert_int_equal(write(fd, data, n), n);
	(void)close(fd);
	return (path);
}

/* What find or summary writes about such a file. Caller frees. */
static char *
report(const char *data, size_t len, const struct report_filter *f,
    unsigned int by, enum report_format format, struct report_count *count)
{
	char *path = file_of(data, len), *text = NULL;
	struct verr err = { 0 };
	struct summary *s;
	struct find fi;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	if (by == 0) {
		find_begin(&fi, out, format);
		assert_int_equal(report_rows(sys_real(), NULL, &path, 1, f,
				     find_add, &fi, count, &err),
		    0);
		assert_int_equal(fi.rows, count->rows);
		find_end(&fi);
	} else {
		s = summary_new(by);
		assert_int_equal(report_rows(sys_real(), NULL, &path, 1, f,
				     summary_add, s, count, &err),
		    0);
		summary_write(s, out, format, 3);
		summary_free(s);
	}
	(void)fclose(out);
	(void)unlink(path);
	free(path);
	return (text);
}

/* PowerMTA's columns in another order, and more of them. */
static const char
    sample[] = "rcpt,type,timeLogged,timeQueued,vmta,queue,dlvSourceIp,dlvSize,"
	       "header_Subject,jobId,orig\r\n"
	       "a@X.com,d,2026-11-23 10:00:00+0000,2026-11-23 09:59:50+0000,v1,"
	       "x.com/v1,127.0.0.1,1000,\"hi, all\",j1,s@y\r\n"
	       "b@x.com,d,2026-11-23 10:00:59+0000,2026-11-23 10:00:29+0000,v1,"
	       "x.com/v1,127.0.0.2,500,,j1,s@y\r\n"
	       "c@z.com,b,2026-11-23 11:00:00+0100,2026-11-23 10:00:00+0000,v2,"
	       "z.com/v2,127.0.0.1,,,j2,s@y\r\n"
	       "d@z.com,t,2026-11-23 11:30:00+0000,2026-11-23 10:00:00+0000,v2,"
	       "z.com/v2,127.0.0.1,,,j2,t@y\r\n"
	       ",tq,2026-11-23 11:31:00+0000,,v2,z.com/v2,,,,,\r\n"
	       "broken,row\r\n"
	       "e@z.com,x,,,,,,,,,\r\n"
	       "f@z.com,d,2026-11-24 00:00:00+0000,torn";

static void
test_summary(void **state)
{
	struct report_filter f = { 0 };
	struct report_count count;
	char *text;

	(void)state;
	text = report(sample, sizeof(sample) - 1, &f,
	    1u << SUMMARY_TOTAL | 1u << SUMMARY_VMTA | 1u << SUMMARY_DOMAIN |
		1u << SUMMARY_SOURCE,
	    REPORT_CSV, &count);
	assert_string_equal(text,
	    "by,key,delivered,bounced,deferred,bytes,perMinute,perHour,first,"
	    "last,p50,p90,p99,suppressed\r\n"
	    "total,all,2,1,1,1500,0.0,1.3,2026-11-23 10:00:00+0000,"
	    "2026-11-23 11:30:00+0000,10,30,30,0\r\n"
	    "vmta,v1,2,0,0,1500,2.0,120.0,2026-11-23 10:00:00+0000,"
	    "2026-11-23 10:00:59+0000,10,30,30,0\r\n"
	    "vmta,v2,0,1,1,0,0.0,0.0,2026-11-23 10:00:00+0000,"
	    "2026-11-23 11:30:00+0000,,,,0\r\n"
	    "domain,x.com,2,0,0,1500,2.0,120.0,2026-11-23 10:00:00+0000,"
	    "2026-11-23 10:00:59+0000,10,30,30,0\r\n"
	    "domain,z.com,0,1,1,0,0.0,0.0,2026-11-23 10:00:00+0000,"
	    "2026-11-23 11:30:00+0000,,,,0\r\n"
	    "source,127.0.0.1,1,1,1,1000,0.0,0.7,2026-11-23 10:00:00+0000,"
	    "2026-11-23 11:30:00+0000,10,10,10,0\r\n"
	    "source,127.0.0.2,1,0,0,500,60.0,3600.0,2026-11-23 10:00:59+0000,"
	    "2026-11-23 10:00:59+0000,30,30,30,0\r\n");
	free(text);
	assert_int_equal(count.bad, 3);
	assert_int_equal(count.rows, 5);
	assert_non_null(strstr(count.first_bad, ":7"));
	text = report(sample, sizeof(sample) - 1, &f, 1u << SUMMARY_HOUR,
	    REPORT_JSON, &count);
	assert_string_equal(text,
	    "{\"by\":\"hour\",\"key\":\"2026-11-23 10:00\",\"delivered\":2,"
	    "\"bounced\":1,\"deferred\":0,\"bytes\":1500,\"perMinute\":2.0,"
	    "\"perHour\":120.0,\"first\":\"2026-11-23 10:00:00+0000\","
	    "\"last\":\"2026-11-23 10:00:59+0000\",\"p50\":10,\"p90\":30,"
	    "\"p99\":30,\"suppressed\":0}\n"
	    "{\"by\":\"hour\",\"key\":\"2026-11-23 11:00\",\"delivered\":0,"
	    "\"bounced\":0,\"deferred\":1,\"bytes\":0,\"perMinute\":0.0,"
	    "\"perHour\":0.0,\"first\":\"2026-11-23 11:30:00+0000\","
	    "\"last\":\"2026-11-23 11:30:00+0000\",\"suppressed\":0}\n");
	free(text);
}

static void
test_filters(void **state)
{
	static const struct {
		struct report_filter f;
		unsigned int rows;
	} cases[] = {
		{ { 0 }, 5 },
		{ { .vmta = "v1" }, 2 },
		{ { .vmta = "V*" }, 5 },
		{ { .domain = "z.com" }, 3 },
		{ { .domain = "*.com" }, 5 },
		{ { .queue = "x.com/*" }, 2 },
		{ { .job = "j2" }, 2 },
		{ { .from = "t@*" }, 1 },
		{ { .rcpt = "A@x.COM" }, 1 },
		{ { .id = "none" }, 0 },
		{ { .types = RECORD_TQ | RECORD_B }, 2 },
		{ { .since = 1795428001 }, 3 },
		{ { .until = 1795428001 }, 2 },
		{ { .since = 1795428000,
		      .until = 1795428001,
		      .types = RECORD_D },
		    1 },
	};
	struct report_count count;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		free(report(sample, sizeof(sample) - 1, &cases[i].f, 0,
		    REPORT_CSV, &count));
		assert_int_equal(count.rows, cases[i].rows);
	}
}

/* Percentiles are never below the truth, nor a sixteenth above it. */
static void
test_quantile(void **state)
{
	static struct quantile q;
	int64_t v, got;
	int i;

	(void)state;
	assert_int_equal(quantile_get(&q, 50), 0);
	for (v = 0; v < 1000000; v += v / 37 + 1) {
		memset(&q, 0, sizeof(q));
		quantile_add(&q, v);
		got = quantile_get(&q, 50);
		assert_true(got >= v && got <= v + v / 16);
		assert_true(v >= 32 || got == v);
	}
	memset(&q, 0, sizeof(q));
	for (i = 1; i <= 30; i++)
		quantile_add(&q, i);
	assert_int_equal(quantile_get(&q, 50), 15);
	assert_int_equal(quantile_get(&q, 90), 27);
	assert_int_equal(quantile_get(&q, 99), 30);
	assert_int_equal(quantile_get(&q, 100), 30);
	quantile_add(&q, -5);
	quantile_add(&q, INT64_MAX);
	assert_int_equal(quantile_get(&q, 1), 0);
	assert_true(quantile_get(&q, 100) > 1000000);
}

/* V10: a file of another program, with what terminals and readers obey. */
static void
test_hostile(void **state)
{
	static const char
	    data[] = "type,rcpt,dsnDiag,dlvSize,timeLogged,envId\r\n"
		     "d,=cmd|'x'!A0,smtp;\x1b]0;pwn\x07 <script>,12a,now\xff,"
		     "\xe2\x80\xaertl\r\n"
		     "d,\"a\"\"b\",\"c\td\\e\\x41\",7,2026-11-23,\r\n";
	struct report_filter f = { 0 };
	struct report_count count;
	char *text, *p;

	(void)state;
	text = report(data, sizeof(data) - 1, &f, 0, REPORT_CSV, &count);
	assert_non_null(strstr(text, "=cmd|'x'!A0,"));
	assert_non_null(strstr(text, "smtp;\\x1b]0;pwn\\x07 <script>"));
	assert_non_null(strstr(text, "\"a\"\"b\",,,,c\\x09d\\e\\x41"));
	assert_non_null(strstr(text, "\\xe2\\x80\\xaertl"));
	for (p = text; *p != '\0'; p++)
		assert_true((unsigned char)*p >= 0x20 || *p == '\r' ||
		    *p == '\n');
	free(text);
	text = report(data, sizeof(data) - 1, &f, 0, REPORT_JSON, &count);
	assert_non_null(strstr(text, "\"dlvSize\":\"12a\""));
	assert_non_null(strstr(text, "\"dlvSize\":7"));
	assert_non_null(strstr(text, "\\u001b"));
	free(text);
	text = report(data, sizeof(data) - 1, &f, 0, REPORT_TEXT, &count);
	assert_null(strchr(text, '\x1b'));
	free(text);
	text = report(data, sizeof(data) - 1, &f, 1u << SUMMARY_TOTAL,
	    REPORT_TEXT, &count);
	assert_non_null(strstr(text, "all"));
	free(text);
}

/* More keys than are kept: the sums are right all the same. */
static void
test_many_keys(void **state)
{
	struct report_row row;
	struct summary *s = summary_new(1u << SUMMARY_JOB);
	char none[] = "", job[32], *text = NULL;
	size_t n;
	FILE *out;
	int i;

	(void)state;
	for (i = 0; i < COL_N; i++)
		row.field[i] = none;
	row.type = RECORD_B;
	row.logged = row.queued = 0;
	row.domain = none;
	row.field[COL_JOB_ID] = job;
	for (i = 0; i < 100010; i++) {
		(void)snprintf(job, sizeof(job), "j%d", i);
		assert_int_equal(summary_add(s, &row, NULL), 0);
	}
	out = open_memstream(&text, &n);
	summary_write(s, out, REPORT_TEXT, 2);
	(void)fclose(out);
	assert_non_null(strstr(text, "(other)"));
	assert_non_null(strstr(text, "99999 more: --by job shows all"));
	free(text);
	summary_free(s);
}

static void
test_errors(void **state)
{
	struct report_filter f = { 0 };
	struct report_count count;
	struct verr err;
	char missing[] = "/nonexistent/file", *file[1] = { missing };
	enum summary_by by;
	enum report_format format;

	(void)state;
	assert_int_equal(report_rows(sys_real(), NULL, file, 1, &f, NULL, NULL,
			     &count, &err),
	    -1);
	file[0] = file_of("no header\r\nrow\r\n", 16);
	assert_int_equal(report_rows(sys_real(), NULL, file, 1, &f, NULL, NULL,
			     &count, &err),
	    -1);
	assert_int_equal(err.code, VEX_DATA);
	(void)unlink(file[0]);
	free(file[0]);
	file[0] = file_of("", 0);
	assert_int_equal(report_rows(sys_real(), NULL, file, 1, &f, NULL, NULL,
			     &count, &err),
	    0);
	assert_int_equal(count.rows, 0);
	(void)unlink(file[0]);
	free(file[0]);
	assert_int_equal(summary_by_parse("total", &by), -1);
	assert_int_equal(summary_by_parse("source", &by), 0);
	assert_int_equal(report_format_parse("html", &format), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_quantile),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_errors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
