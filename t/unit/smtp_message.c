/* EHLO answers, what a message asks of the peer, MAIL and RCPT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "smtp/ehlo.h"
#include "smtp/message.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void
test_ehlo(void **state)
{
	static const struct {
		const char *in, *names;
		int64_t size;
		int rcpt, mail, domain;
	} t[] = {
		{ "mx", "", 0, 0, 0, 0 },
		{ "", "", 0, 0, 0, 0 },
		{ "PIPELINING", "", 0, 0, 0, 0 },
		{ "mx\nPIPELINING", "PIPELINING", 0, 0, 0, 0 },
		{ "mx\npipelining\nChunking\r\n8bitMIME",
		    "8BITMIME,CHUNKING,PIPELINING", 0, 0, 0, 0 },
		{ "mx\nSIZE 1000\nDSN\nSMTPUTF8\nSTARTTLS",
		    "DSN,SIZE,SMTPUTF8,STARTTLS", 1000, 0, 0, 0 },
		{ "mx\nSIZE", "SIZE", 0, 0, 0, 0 },
		{ "mx\nSIZE 0", "SIZE", 0, 0, 0, 0 },
		{ "mx\nSIZE  35882577 ", "SIZE", 35882577, 0, 0, 0 },
		{ "mx\nSIZE\t77", "SIZE", 77, 0, 0, 0 },
		{ "mx\nSIZE -1", "SIZE", 0, 0, 0, 0 },
		{ "mx\nSIZE x", "SIZE", 0, 0, 0, 0 },
		{ "mx\nSIZE 1k", "SIZE", 0, 0, 0, 0 },
		{ "mx\nSIZE 99999999999999999999", "SIZE", 0, 0, 0, 0 },
		{ "mx\nSIZE 18446744073709551616", "SIZE", 0, 0, 0, 0 },
		{ "mx\nSIZE 4294967296", "SIZE", 4294967296, 0, 0, 0 },
		{ "mx\nSIZE 100\nSIZE 200", "SIZE", 100, 0, 0, 0 },
		{ "mx\nLIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1", "LIMITS",
		    0, 20, 5, 1 },
		{ "mx\nLIMITS rcptmax=20 FOO=1 BAR", "LIMITS", 0, 20, 0, 0 },
		{ "mx\nLIMITS RCPTMAX=0 MAILMAX=-3", "LIMITS", 0, 0, 0, 0 },
		{ "mx\nLIMITS RCPTMAX= MAILMAX", "LIMITS", 0, 0, 0, 0 },
		{ "mx\nLIMITS RCPTMAX=1000000", "LIMITS", 0, 0, 0, 0 },
		{ "mx\nLIMITS RCPTMAX=999999", "LIMITS", 0, 999999, 0, 0 },
		{ "mx\nLIMITS", "LIMITS", 0, 0, 0, 0 },
		{ "mx\nAUTH LOGIN\nAUTH=LOGIN", "AUTH", 0, 0, 0, 0 },
		{ "mx\nAUTH=LOGIN PLAIN", "AUTH", 0, 0, 0, 0 },
		{ "mx\nXCLIENT NAME\nETRN\nVRFY\nHELP", "", 0, 0, 0, 0 },
		{ "mx\nPIPELININGS\nPIPELIN\n PIPELINING", "PIPELINING", 0, 0,
		    0, 0 },
		{ "mx\nXXXXXXXA\n\n\nENHANCEDSTATUSCODES",
		    "ENHANCEDSTATUSCODES", 0, 0, 0, 0 },
	};
	struct smtp_caps caps;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct buf names = BUF_INIT;

		smtp_ehlo_parse(t[i].in, strlen(t[i].in), 0, &caps);
		smtp_ehlo_names(&caps, &names);
		assert_string_equal(buf_str(&names), t[i].names);
		assert_int_equal(caps.size, t[i].size);
		assert_int_equal(caps.rcpt_max, t[i].rcpt);
		assert_int_equal(caps.mail_max, t[i].mail);
		assert_int_equal(caps.rcpt_domain_max, t[i].domain);
		assert_int_equal(caps.ext, caps.offered);
		buf_release(&names);
	}
}

static void
test_ehlo_ignore(void **state)
{
	static const char in[] = "mx\nPIPELINING\nCHUNKING\nDSN";
	struct smtp_caps caps;

	(void)state;
	smtp_ehlo_parse(in, strlen(in), SMTP_EXT_CHUNKING | SMTP_EXT_DSN,
	    &caps);
	assert_int_equal(caps.ext, SMTP_EXT_PIPELINING);
	assert_int_equal(caps.offered,
	    SMTP_EXT_PIPELINING | SMTP_EXT_CHUNKING | SMTP_EXT_DSN);
}

/* P13: ten thousand keywords; a line of 5 KiB before one. */
static void
test_ehlo_many(void **state)
{
	struct smtp_caps caps;
	struct buf b = BUF_INIT;
	int i;

	(void)state;
	buf_adds(&b, "mx\nPIPELINING\nX");
	for (i = 0; i < 5000; i++)
		buf_addc(&b, 'y');
	buf_adds(&b, "\nDSN");
	for (i = 0; i < 10000; i++)
		buf_addf(&b, "\nWORD%d", i);
	buf_adds(&b, "\nCHUNKING");
	smtp_ehlo_parse(b.p, b.len, 0, &caps);
	assert_int_equal(caps.offered, SMTP_EXT_PIPELINING | SMTP_EXT_DSN);
	buf_release(&b);
}

#define U8 "\xc3\xbc" /* u with diaeresis */

static void
test_fit(void **state)
{
	static const struct {
		unsigned ext;
		int64_t limit;
		const char *from, *to1, *to2;
		int64_t size;
		bool body, header;
		enum smtp_fit fit;
	} t[] = {
		{ 0, 0, "a@b", "c@d", "e@f", 10, false, false, SMTP_FIT_OK },
		{ 0, 0, "", "c@d", "e@f", 0, false, false, SMTP_FIT_OK },
		/* P31 */
		{ 0, 0, "a@b", "c@d", "e@f", 10, true, false,
		    SMTP_FIT_NEED_7BIT },
		{ SMTP_EXT_8BITMIME, 0, "a@b", "c@d", "e@f", 10, true, false,
		    SMTP_FIT_OK },
		{ SMTP_EXT_8BITMIME, 0, U8 "@b", "c@d", "e@f", 10, true, false,
		    SMTP_FIT_UTF8_ADDR },
		{ SMTP_EXT_8BITMIME, 0, "a@" U8, "c@d", "e@f", 10, true, true,
		    SMTP_FIT_UTF8_ADDR },
		{ 0, 0, "a@b", U8 "@d", U8 "@f", 10, false, false,
		    SMTP_FIT_UTF8_ADDR },
		{ 0, 0, "a@b", U8 "@d", "e@f", 10, false, false,
		    SMTP_FIT_OK }, /* told by recipient */
		{ SMTP_EXT_SMTPUTF8, 0, U8 "@b", U8 "@d", "e@f", 10, false,
		    false, SMTP_FIT_OK },
		{ SMTP_EXT_8BITMIME, 0, "a@b", "c@d", "e@f", 10, false, true,
		    SMTP_FIT_UTF8_HEADER },
		{ SMTP_EXT_SMTPUTF8 | SMTP_EXT_8BITMIME, 0, "a@b", "c@d", "e@f",
		    10, true, true, SMTP_FIT_OK },
		/* P32 */
		{ SMTP_EXT_SIZE, 10, "a@b", "c@d", "e@f", 10, false, false,
		    SMTP_FIT_OK },
		{ SMTP_EXT_SIZE, 10, "a@b", "c@d", "e@f", 11, false, false,
		    SMTP_FIT_SIZE },
		{ SMTP_EXT_SIZE, 10, "a@b", "c@d", "e@f", 11, true, false,
		    SMTP_FIT_SIZE },
		{ SMTP_EXT_SIZE, 0, "a@b", "c@d", "e@f", INT64_MAX, false,
		    false, SMTP_FIT_OK },
		/* V02 */
		{ 0, 0, "a\r\nRCPT TO:<x@y>", "c@d", "e@f", 1, false, false,
		    SMTP_FIT_BAD_SENDER },
		{ 0, 0, "a@b> SIZE=1", "c@d", "e@f", 1, false, false,
		    SMTP_FIT_BAD_SENDER },
		{ 0, 0, "\"a b\"@b", "c@d", "e@f", 1, false, false,
		    SMTP_FIT_OK },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_caps caps = { .ext = t[i].ext,
			.offered = t[i].ext,
			.size = t[i].limit };
		struct smtp_rcpt rcpt[2] = { { t[i].to1, NULL, NULL },
			{ t[i].to2, NULL, NULL } };
		struct smtp_message m = { .from = t[i].from,
			.rcpt = rcpt,
			.n_rcpt = 2,
			.size = t[i].size,
			.body_8bit = t[i].body,
			.header_8bit = t[i].header };

		assert_int_equal(smtp_caps_check(&caps, &m), t[i].fit);
	}
}

static void
test_rcpt_fit(void **state)
{
	static const struct {
		const char *addr;
		unsigned ext;
		enum smtp_fit fit;
	} t[] = {
		{ "a@b", 0, SMTP_FIT_OK },
		{ "Postmaster", 0, SMTP_FIT_OK },
		{ "a@[127.0.0.1]", 0, SMTP_FIT_OK },
		{ "-x$(id)`id`%n${run}@b", 0, SMTP_FIT_OK }, /* V08 */
		{ "\"a b\"@c", 0, SMTP_FIT_OK },
		{ "\"a>\\\"b\"@c", 0, SMTP_FIT_OK },
		{ "", 0, SMTP_FIT_BAD_RCPT },
		{ "a b@c", 0, SMTP_FIT_BAD_RCPT },
		{ "a@b>", 0, SMTP_FIT_BAD_RCPT },
		{ "<a@b", 0, SMTP_FIT_BAD_RCPT },
		{ "a@b\r", 0, SMTP_FIT_BAD_RCPT },
		{ "a@b\n", 0, SMTP_FIT_BAD_RCPT },
		{ "a\tb@c", 0, SMTP_FIT_BAD_RCPT },
		{ "a@b\x7f", 0, SMTP_FIT_BAD_RCPT },
		{ "\"a@b", 0, SMTP_FIT_BAD_RCPT },
		{ "\"a\\", 0, SMTP_FIT_BAD_RCPT },
		{ "\"a\\\n\"@b", 0, SMTP_FIT_BAD_RCPT },
		{ "\"a\n\"@b", 0, SMTP_FIT_BAD_RCPT },
		{ U8 "@b", 0, SMTP_FIT_UTF8_ADDR },
		{ U8 "@b", SMTP_EXT_SMTPUTF8, SMTP_FIT_OK },
		{ "\xff@b", SMTP_EXT_SMTPUTF8, SMTP_FIT_BAD_RCPT },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_caps caps = { .ext = t[i].ext };
		struct smtp_rcpt r = { t[i].addr, NULL, NULL };

		if (smtp_caps_check_rcpt(&caps, &r) != t[i].fit)
			fail_msg("%s", t[i].addr);
	}
}

static void
test_fit_status(void **state)
{
	static const struct {
		enum smtp_fit fit;
		const char *status;
	} t[] = {
		{ SMTP_FIT_OK, "0.0.0" },
		{ SMTP_FIT_NEED_7BIT, "5.6.3" },
		{ SMTP_FIT_SIZE, "5.3.4" },
		{ SMTP_FIT_UTF8_ADDR, "5.6.7" },
		{ SMTP_FIT_UTF8_HEADER, "5.6.9" },
		{ SMTP_FIT_BAD_SENDER, "5.1.7" },
		{ SMTP_FIT_BAD_RCPT, "5.1.3" },
		{ SMTP_FIT_GONE, "0.0.0" },
	};
	char text[SMTP_STATUS_LEN + 1];
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_status st = smtp_fit_status(t[i].fit, &why);

		assert_string_equal(smtp_status_text(&st, text), t[i].status);
		assert_int_equal(why[0] != '\0', st.cls == 5);
	}
}

#define ALL 0x3ff

static void
test_mail(void **state)
{
	static const struct {
		unsigned ext;
		const char *from, *envid, *to;
		char ret;
		bool body, header;
		const char *line;
	} t[] = {
		{ 0, "", NULL, "c@d", 0, false, false, "MAIL FROM:<>\r\n" },
		{ 0, "a@b", "e1", "c@d", 'F', true, false,
		    "MAIL FROM:<a@b>\r\n" },
		{ ALL, "a@b", NULL, "c@d", '-', false, false,
		    "MAIL FROM:<a@b> SIZE=1234\r\n" },
		{ ALL, "a@b", "e+2B1", "c@d", 'F', false, false,
		    "MAIL FROM:<a@b> SIZE=1234 RET=FULL ENVID=e+2B1\r\n" },
		{ ALL, "a@b", NULL, "c@d", 'H', true, false,
		    "MAIL FROM:<a@b> SIZE=1234 BODY=8BITMIME RET=HDRS\r\n" },
		{ ALL, "a@b", NULL, U8 "@d", 0, false, false,
		    "MAIL FROM:<a@b> SIZE=1234 SMTPUTF8\r\n" },
		{ ALL, U8 "@b", NULL, "c@d", 0, false, false,
		    "MAIL FROM:<" U8 "@b> SIZE=1234 SMTPUTF8\r\n" },
		{ ALL, "a@b", NULL, "c@d", 0, false, true,
		    "MAIL FROM:<a@b> SIZE=1234 BODY=8BITMIME SMTPUTF8\r\n" },
		{ SMTP_EXT_SMTPUTF8, "a@b", NULL, "c@d", 0, false, true,
		    "MAIL FROM:<a@b> SMTPUTF8\r\n" },
		{ ALL, "a@b", "e\r\nQUIT", "c@d", 0, false, false,
		    "MAIL FROM:<a@b> SIZE=1234\r\n" },
		{ ALL, "a@b", "e 1", "c@d", 0, false, false,
		    "MAIL FROM:<a@b> SIZE=1234\r\n" },
		{ ALL, "a@b", "", "c@d", 0, false, false,
		    "MAIL FROM:<a@b> SIZE=1234\r\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_caps caps = { .ext = t[i].ext };
		struct smtp_rcpt rcpt = { t[i].to, NULL, NULL };
		struct smtp_message m = { .from = t[i].from,
			.rcpt = &rcpt,
			.n_rcpt = 1,
			.size = 1234,
			.envid = t[i].envid,
			.ret = t[i].ret,
			.body_8bit = t[i].body,
			.header_8bit = t[i].header };
		struct buf line = BUF_INIT;

		smtp_message_mail(&caps, &m, &line);
		assert_string_equal(buf_str(&line), t[i].line);
		buf_release(&line);
	}
}

static void
test_rcpt(void **state)
{
	static const struct {
		unsigned ext;
		struct smtp_rcpt r;
		const char *line;
	} t[] = {
		{ 0, { "c@d", "SF", "rfc822;c@d" }, "RCPT TO:<c@d>\r\n" },
		{ ALL, { "c@d", NULL, NULL }, "RCPT TO:<c@d>\r\n" },
		{ ALL, { "c@d", "N", NULL }, "RCPT TO:<c@d> NOTIFY=NEVER\r\n" },
		{ ALL, { "c@d", "NSFD", NULL },
		    "RCPT TO:<c@d> NOTIFY=NEVER\r\n" },
		{ ALL, { "c@d", "DFS", NULL },
		    "RCPT TO:<c@d> NOTIFY=SUCCESS,FAILURE,DELAY\r\n" },
		{ ALL, { "c@d", "F", "rfc822;c+2Bx@d" },
		    "RCPT TO:<c@d> NOTIFY=FAILURE ORCPT=rfc822;c+2Bx@d\r\n" },
		{ ALL, { "c@d", "", "rfc822;c\r\nDATA" }, "RCPT TO:<c@d>\r\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(t); i++) {
		struct smtp_caps caps = { .ext = t[i].ext };
		struct buf line = BUF_INIT;

		smtp_message_rcpt(&caps, &t[i].r, &line);
		assert_string_equal(buf_str(&line), t[i].line);
		buf_release(&line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ehlo),
		cmocka_unit_test(test_ehlo_ignore),
		cmocka_unit_test(test_ehlo_many),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_rcpt_fit),
		cmocka_unit_test(test_fit_status),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_rcpt),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
