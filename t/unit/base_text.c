/* Remote text made safe, CSV rows, buffers, errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/csv.h"
#include "base/err.h"
#include "base/esc.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void
test_esc_line(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *out;
	} row[] = { { "plain", 5, "plain" }, { "a\nb", 3, "a\\x0ab" },
		{ "a\r\n", 3, "a\\x0d\\x0a" }, { "\0x", 2, "\\x00x" },
		{ "\033[2J", 4, "\\x1b[2J" }, { "\\", 1, "\\\\" },
		{ "caf\xc3\xa9", 5, "caf\xc3\xa9" },
		{ "\xff\xfe", 2, "\\xff\\xfe" }, { "\xc3", 1, "\\xc3" },
		{ "\xc0\xaf", 2, "\\xc0\\xaf" },
		{ "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" },
		{ "\xc2\x85", 2, "\\xc2\\x85" },
		{ "\xe2\x80\xae", 3, "\\xe2\\x80\\xae" },
		{ "\xe2\x81\xa6", 3, "\\xe2\\x81\\xa6" },
		{ "\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8" },
		{ "\xe2\x82\xac", 3, "\xe2\x82\xac" }, { "\x7f", 1, "\\x7f" },
		{ "%n%s", 4, "%n%s" }, { "", 0, "" },
		{ "a\xc0\x80z\xc0", 5, "a\\x00z\\xc0" } };
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(row); i++) {
		buf_clear(&b);
		esc_line(&b, row[i].in, row[i].n);
		assert_string_equal(buf_str(&b), row[i].out);
	}
	buf_release(&b);
}

/* P11: a NUL does not end a text. */
static void
test_esc_string(void **state)
{
	struct buf b = BUF_INIT, line = BUF_INIT;

	(void)state;
	esc_string(&b, "\0a\0\0\xff\\b\0", 8);
	esc_line(&line, buf_str(&b), strlen(buf_str(&b)));
	assert_string_equal(buf_str(&line), "\\x00a\\x00\\x00\\xff\\\\b\\x00");
	buf_clear(&line);
	esc_json(&line, buf_str(&b), strlen(buf_str(&b)));
	assert_string_equal(buf_str(&line),
	    "\"\\u0000a\\u0000\\u0000\\ufffd\\\\b\\u0000\"");
	buf_release(&b);
	buf_release(&line);
}

static void
test_esc_json(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	esc_json(&b, "a\"b\\c\n\xff\0d", 9);
	assert_string_equal(buf_str(&b),
	    "\"a\\\"b\\\\c\\u000a\\ufffd\\u0000d\"");
	buf_release(&b);
}

static void
test_utf8(void **state)
{
	(void)state;
	assert_true(esc_is_utf8("", 0));
	assert_true(esc_is_utf8("\xf0\x9f\x98\x80", 4));
	assert_false(esc_is_utf8("\xf0\x9f\x98", 3));
	assert_false(esc_is_utf8("\xf4\x90\x80\x80", 4));
	assert_false(esc_is_utf8("\xe0\x80\x80", 3));
	assert_false(esc_is_utf8("\x80", 1));
}

/* What csv_field writes, csv_split reads back. */
static void
test_csv(void **state)
{
	static const char *const in[] = { "", "plain", "a,b", "say \"hi\"",
		" lead", "trail ", "=cmd|' /C calc'!A0", "\"", ",,",
		"\xc3\xa9" };
	struct buf b = BUF_INIT;
	char *field[16];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(in); i++)
		csv_field(&b, i == 0, in[i], strlen(in[i]));
	csv_end(&b);
	assert_memory_equal(b.p + b.len - 2, "\r\n", 2);
	assert_int_equal(csv_split(b.p, b.len - 2, field, 16), LEN(in));
	for (i = 0; i < LEN(in); i++)
		assert_string_equal(field[i], in[i]);
	buf_clear(&b);
	csv_field(&b, true, "a\r\nb\0c", 6);
	assert_string_equal(b.p, "\"a\\r\\nb\\0c\"");
	buf_release(&b);
}

static void
test_csv_bad(void **state)
{
	char open[] = "a,\"b", after[] = "\"a\"b,c", many[] = "a,b,c,d";
	char *field[2] = { NULL, NULL };

	(void)state;
	assert_int_equal(csv_split(open, strlen(open), field, 2), -1);
	assert_int_equal(csv_split(after, strlen(after), field, 2), -1);
	assert_int_equal(csv_split(many, strlen(many), field, 2), 4);
	assert_string_equal(field[1], "b");
}

static void
test_buf(void **state)
{
	struct buf b = BUF_INIT;
	char *p;
	int i;

	(void)state;
	assert_string_equal(buf_str(&b), "");
	for (i = 0; i < 1000; i++)
		buf_addf(&b, "%03d,", i);
	assert_int_equal(b.len, 4000);
	buf_consume(&b, 3996);
	assert_string_equal(b.p, "999,");
	buf_addc(&b, 'x');
	buf_add(&b, "\0y", 2);
	assert_int_equal(b.len, 7);
	p = buf_take(&b);
	assert_memory_equal(p, "999,x\0y", 8);
	free(p);
	assert_null(b.p);
	assert_int_equal(*buf_room(&b, 10), '\0');
	buf_release(&b);
}

static void
test_err(void **state)
{
	struct verr err = VERR_INIT;
	char big[4096];

	(void)state;
	errno = ENOSPC;
	assert_int_equal(verr_sys(&err, "write %s", "a\nb"), -1);
	assert_int_equal(err.code, VEX_TEMP);
	assert_int_equal(err.err, ENOSPC);
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(err.text, "write a?b: No space left on device");
	assert_int_equal(verr_prefix(&err, "spool"), -1);
	assert_string_equal(err.text,
	    "spool: write a?b: No space left on device");
	errno = EIO;
	assert_int_equal(verr_sys(&err, "read"), -1);
	assert_int_equal(err.code, VEX_IO);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(verr_set(&err, VEX_DATA, "%s", big), -1);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(verr_prefix(&err, "%s", big), -1);
	assert_int_equal(verr_set(NULL, VEX_DATA, "nobody listens"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_esc_line),
		cmocka_unit_test(test_esc_string),
		cmocka_unit_test(test_esc_json),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_csv_bad),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_err),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
