/* xtext, ENVID, ORCPT, and the parameters of MAIL and RCPT. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mail/esmtp.h"
#include "mail/xtext.h"

static void
test_code(void **state)
{
	static const char *const bad[] = { "+", "+4", "+4g", "+4a", "a b",
		"a=b", "\x7f", "\xc3", "\n", "++41" };
	struct buf b = BUF_INIT, back = BUF_INIT;
	char all[256];
	size_t i;

	(void)state;
	xtext_encode("a+b=c d\r\n", 9, &b);
	assert_string_equal(b.p, "a+2Bb+3Dc+20d+0D+0A");
	buf_clear(&b);
	for (i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	xtext_encode(all, sizeof(all), &b);
	assert_int_equal(xtext_decode(b.p, b.len, &back), 0);
	assert_int_equal(back.len, sizeof(all));
	assert_memory_equal(back.p, all, sizeof(all));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(xtext_decode(bad[i], strlen(bad[i]), &back),
		    -1);
	assert_int_equal(xtext_decode("a\0", 2, &back), -1);
	buf_release(&b);
	buf_release(&back);
}

static void
test_envid(void **state)
{
	char text[XTEXT_ENVID_MAX + 1];
	struct verr err;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(xtext_check_envid("a+20b", 5, &err), 0);
	assert_int_equal(xtext_check_envid(text, XTEXT_ENVID_MAX, &err), 0);
	assert_int_equal(xtext_check_envid(text, sizeof(text), &err), -1);
	assert_int_equal(xtext_check_envid("", 0, &err), -1);
	assert_int_equal(xtext_check_envid("a+0Ab", 5, &err), -1);
	assert_int_equal(xtext_check_envid("a b", 3, &err), -1);
	assert_int_equal(xtext_check_envid("a\r\n", 3, &err), -1);
}

static void
test_orcpt(void **state)
{
	static const char *const good[] = { "rfc822;a@b", "RFC822;a+2Bc@b",
		"x-y;z", "utf-8;a@b", "UTF-8;\xc3\xbc@b", "utf-8;\\x{FC}@b",
		"rfc822;a;b" };
	static const char *const bad[] = { "", ";", "rfc822", "rfc822;", ";a@b",
		"rfc 822;a@b", "rf\xc3\xbc;a", "rfc822;a b", "rfc822;a=b",
		"rfc822;\xc3\xbc@b", "rfc822;a+0D+0A", "utf-8;\xc3",
		"utf-8;a b", "utf-8;a=b", "utf-8;\xc2\x85", "utf-8;a\n",
		"a<b;c", "rfc822;a>\r\nRCPT TO:<x@y>" };
	char text[XTEXT_ORCPT_MAX + 1];
	struct verr err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(xtext_check_orcpt(good[i], strlen(good[i]),
				     &err),
		    0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(xtext_check_orcpt(bad[i], strlen(bad[i]),
				     &err),
		    -1);
	memset(text, 'a', sizeof(text));
	text[1] = ';';
	assert_int_equal(xtext_check_orcpt(text, XTEXT_ORCPT_MAX, &err), 0);
	assert_int_equal(xtext_check_orcpt(text, sizeof(text), &err), -1);
}

static void
test_mail(void **state)
{
	static const char *const bad[] = { "x", " FOO", " FOO=1", " SIZE",
		" SIZE=", " SIZE=-1", " SIZE=1k", " SIZE=1 SIZE=2",
		" SIZE=111111111111111111111", " BODY=BINARYMIME", " BODY",
		" SMTPUTF8=1", " RET=ALL", " ENVID=", " ENVID=a b",
		" ENVID==", " AUTH", " NOTIFY=NEVER", " =", " =x", "\tSIZE=1",
		" ENVID=x\r\nRSET" };
	static const char line[] = " size=1000  Body=8bitmime SMTPUTF8 "
				   "RET=HDRS ENVID=a+2Bb AUTH=<> ";
	struct esmtp_mail m;
	struct verr err;
	size_t i;

	(void)state;
	assert_int_equal(esmtp_mail_parse(line, sizeof(line) - 1, &m, &err), 0);
	assert_int_equal(m.size, 1000);
	assert_true(m.body_8bit && m.smtputf8 && m.ret == 'H');
	assert_string_equal(m.envid, "a+2Bb");
	assert_int_equal(esmtp_mail_parse("", 0, &m, &err), 0);
	assert_int_equal(m.size, -1);
	assert_true(!m.body_8bit && !m.smtputf8 && m.ret == 0);
	assert_string_equal(m.envid, "");
	assert_int_equal(esmtp_mail_parse(" BODY=7BIT RET=full", 19, &m, &err),
	    0);
	assert_true(!m.body_8bit && m.ret == 'F');
	assert_int_equal(esmtp_mail_parse(" SIZE=99999999999999999999", 26, &m,
			     &err),
	    0);
	assert_true(m.size > INT64_C(1) << 59);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(esmtp_mail_parse(bad[i], strlen(bad[i]), &m,
				     &err),
		    -1);
}

static void
test_rcpt(void **state)
{
	static const struct {
		const char *in, *notify; /* NULL: refused */
	} tab[] = { { "", "" }, { " NOTIFY=NEVER", "N" },
		{ " notify=delay,SUCCESS", "SD" },
		{ " NOTIFY=FAILURE,FAILURE", "F" },
		{ " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@b", "SFD" },
		{ " NOTIFY=", NULL }, { " NOTIFY=NEVER,DELAY", NULL },
		{ " NOTIFY=DELAY,", NULL }, { " NOTIFY=,", NULL },
		{ " NOTIFY=DELAYED", NULL }, { " NOTIFY", NULL },
		{ " ORCPT=a@b", NULL }, { " ORCPT", NULL },
		{ " SIZE=1", NULL } };
	struct esmtp_rcpt r;
	struct verr err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		assert_int_equal(esmtp_rcpt_parse(tab[i].in, strlen(tab[i].in),
				     &r, &err),
		    tab[i].notify != NULL ? 0 : -1);
		if (tab[i].notify != NULL)
			assert_string_equal(r.notify, tab[i].notify);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_envid),
		cmocka_unit_test(test_orcpt),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_rcpt),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
