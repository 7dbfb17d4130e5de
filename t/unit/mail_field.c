/* Header fields: reading, unfolding, and writing without injection. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mail/field.h"

static void
test_name(void **state)
{
	static const struct {
		const char *line;
		size_t len;
	} tab[] = { { "A:", 1 }, { "Subject: x", 7 }, { "Bcc : x", 3 },
		{ "Bcc\t :x", 3 }, { "!#$:", 3 }, { ".dot: x", 4 }, { ":", 0 },
		{ "", 0 }, { "abc", 0 }, { " a: b", 0 }, { "a b: c", 0 },
		{ "\x7f:", 0 }, { "\xc3\xbc: x", 0 }, { "From joe 10:11", 0 },
		{ "http://x", 4 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++)
		assert_int_equal(field_name_len(tab[i].line,
				     strlen(tab[i].line)),
		    tab[i].len);
	assert_int_equal(field_name_len("a\0:", 3), 0);
}

static void
test_read(void **state)
{
	static const char head[] = "A: one\r\nb :two\r\n\tmore\r\n \r\nC:\r\n"
				   "\r\nD: body\r\n";
	const char *p = head, *end = head + sizeof(head) - 1;
	struct buf b = BUF_INIT;
	struct field f;

	(void)state;
	assert_true(field_next(&p, end, &f));
	assert_true(field_is(&f, "a") && !field_is(&f, "ab"));
	assert_int_equal(f.value_len, 4);
	assert_true(field_next(&p, end, &f));
	assert_true(field_is(&f, "B"));
	field_unfold(&f, &b);
	assert_string_equal(b.p, "two\tmore");
	assert_true(field_next(&p, end, &f));
	assert_true(field_is(&f, "C"));
	assert_int_equal(f.value_len, 0);
	assert_false(field_next(&p, end, &f));
	assert_memory_equal(p, "\r\nD", 3);
	assert_true(field_find(head, sizeof(head) - 1, "c", &f));
	assert_false(field_find(head, sizeof(head) - 1, "D", &f));
	buf_release(&b);
}

/* Cut anywhere, also where there is no line end. */
static void
test_cut(void **state)
{
	static const char head[] = "A: one\r\n two\r\nB:\r\n";
	struct buf b = BUF_INIT;
	const char *p;
	struct field f;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(head); n++) {
		char copy[sizeof(head)];

		memcpy(copy, head, n);
		p = copy;
		while (field_next(&p, copy + n, &f)) {
			assert_true(f.line + f.line_len <= copy + n);
			assert_true(f.value + f.value_len <= copy + n);
			field_unfold(&f, &b);
		}
	}
	buf_release(&b);
}

static void
test_add(void **state)
{
	static const struct {
		const char *name, *value, *out;
	} tab[] = { { "Subject", "x", "Subject: x\r\n" },
		{ "X", "a\n b\r\n\tc", "X: a\r\n b\r\n\tc\r\n" },
		{ "X", "", "X: \r\n" }, { "", "x", NULL }, { "A B", "x", NULL },
		{ "A:", "x", NULL }, { "A\n", "x", NULL },
		{ "\xc3\xbc", "x", NULL }, { "X", "a\nBcc: b", NULL },
		{ "X", "a\r\nBcc: b", NULL }, { "X", "a\rBcc: b", NULL },
		{ "X", "a\r\n\r\n b", NULL }, { "X", "a\n", NULL },
		{ "X", "a\r", NULL }, { "X", "a\r\n", NULL },
		{ "X", "\r\r\n b", NULL } };
	struct buf b = BUF_INIT;
	struct verr err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		buf_clear(&b);
		assert_int_equal(field_add(&b, tab[i].name, tab[i].value,
				     strlen(tab[i].value), &err),
		    tab[i].out != NULL ? 0 : -1);
		assert_string_equal(buf_str(&b),
		    tab[i].out != NULL ? tab[i].out : "");
	}
	assert_int_equal(field_add(&b, "X", "a\0b", 3, &err), -1);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_add),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
