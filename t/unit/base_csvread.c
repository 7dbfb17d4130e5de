/* base/csvread: RFC 4180, and what is not; the same however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/csvread.h"

/* What came out: `LINE[cell|cell]`, or `LINE!why`. */
static struct buf seen;

static int
row(void *arg, uint64_t line, const struct csvread_cell *cell, size_t n,
    const char *bad, struct verr *err)
{
	size_t i;

	(void)arg;
	(void)err;
	buf_addf(&seen, "%lu", (unsigned long)line);
	if (bad != NULL) {
		buf_addf(&seen, "!%s;", bad);
		return (0);
	}
	buf_addc(&seen, '[');
	for (i = 0; i < n; i++) {
		assert_int_equal(cell[i].p[cell[i].n], '\0');
		if (i > 0)
			buf_addc(&seen, '|');
		buf_add(&seen, cell[i].p, cell[i].n);
	}
	buf_addc(&seen, ']');
	return (0);
}

/* Read p in pieces of so many octets. */
static int
read_in(const char *p, size_t n, size_t piece, char delimiter, struct verr *err)
{
	struct csvread_opts o = { .delimiter = delimiter, .row = row };
	struct csvread *r = calloc(1, sizeof(*r));
	size_t i, len;
	int rc = 0;

	assert_non_null(r);
	buf_clear(&seen);
	csvread_init(r, &o);
	for (i = 0; i < n && rc == 0; i += len) {
		len = n - i < piece ? n - i : piece;
		rc = csvread_feed(r, p + i, len, err);
	}
	if (rc == 0)
		rc = csvread_end(r, err);
	csvread_release(r);
	free(r);
	return (rc);
}

static void
test_rows(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "", "" },
		{ "a,b\r\nc,d\r\n", "1[a|b]2[c|d]" },
		{ "a,b\nc,d", "1[a|b]2[c|d]" },
		{ "a\rb\rc", "1[a]2[b]3[c]" },
		{ "\n\r\n\na\n\n", "4[a]" },
		{ ",\n", "1[|]" },
		{ "a,", "1[a|]" },
		{ "\"\"\n", "1[]" },
		{ "\"a,\"\"b\"\"\r\nc\",d\ne\n", "1[a,\"b\"\r\nc|d]3[e]" },
		{ "\"a\rb\"\nc\n", "1[a\rb]3[c]" },
		{ "\"a\r\"\nc\n", "1[a\r]3[c]" },
		{ "a\"b,c\"\n", "1[a\"b|c\"]" },
		{ " \"a\" ,b\n", "1[ \"a\" |b]" },
		{ "\"a\"b,c\nd,e\n", "1!text after a closing quote;2[d|e]" },
		{ "\"a\" ,c\nd\n", "1!text after a closing quote;2[d]" },
		{ "\xef\xbb\xbf"
		  "a,b\n",
		    "1[a|b]" },
		{ "\xef\xbb\xbf\"a\"\n", "1[a]" },
		{ "\xef\xbbx,b\n", "1[\xef\xbbx|b]" },
		{ "a\n\xef\xbb\xbf", "1[a]2[\xef\xbb\xbf]" },
		{ "\xef\xbb", "1[\xef\xbb]" },
	};
	struct verr err = VERR_INIT;
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (piece = 1; piece < 20; piece++) {
			assert_int_equal(read_in(t[i].in, strlen(t[i].in),
					     piece, '\0', &err),
			    0);
			assert_string_equal(buf_str(&seen), t[i].out);
		}
}

static void
test_delimiter(void **state)
{
	struct verr err = VERR_INIT;

	(void)state;
	assert_int_equal(read_in("a,b;\"c;d\"\n", 10, 3, ';', &err), 0);
	assert_string_equal(seen.p, "1[a,b|c;d]");
	assert_int_equal(read_in("a\tb\n", 4, 1, '\t', &err), 0);
	assert_string_equal(seen.p, "1[a|b]");
}

static void
test_refused(void **state)
{
	struct verr err = VERR_INIT;

	(void)state;
	assert_int_equal(read_in("a\n\"b\nc\n", 7, 2, '\0', &err), -1);
	assert_int_equal(err.code, VEX_DATA);
	assert_string_equal(err.text, "line 2: a quote is not closed");
	assert_string_equal(seen.p, "1[a]");
	assert_int_equal(read_in("\xff\xfe"
				 "a\0",
			     4, 1, '\0', &err),
	    -1);
	assert_non_null(strstr(err.text, "UTF-16"));
	assert_int_equal(read_in("a\0b,c\n", 6, 1, '\0', &err), 0);
	assert_int_equal(seen.len, 8);
	assert_memory_equal(seen.p, "1[a\0b|c]", 8);
}

/* More fields than there is room for, and a row without end. */
static void
test_limits(void **state)
{
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < CSVREAD_FIELDS; i++)
		buf_addc(&b, ',');
	buf_adds(&b, "\nx\n");
	assert_int_equal(read_in(b.p, b.len, 1000, '\0', &err), 0);
	assert_string_equal(seen.p, "1!too many fields;2[x]");
	buf_clear(&b);
	for (i = 0; i < CSVREAD_ROW / 64 + 2; i++)
		buf_addf(&b, "%064d", 1);
	buf_adds(&b, "\nx\n");
	assert_int_equal(read_in(b.p, b.len, 1 << 16, '\0', &err), 0);
	assert_string_equal(seen.p,
	    "1!row too long; is a quote not closed?;2[x]");
	buf_release(&b);
}

static int
end(void **state)
{
	(void)state;
	buf_release(&seen);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows),
		cmocka_unit_test(test_delimiter),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_limits) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, end));
}
