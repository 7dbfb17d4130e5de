/*
 * Re-encoding: encoders, MIME headers, whole messages; whatever comes out is
 * 7-bit with lines up to 998 octets, and says the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/encode.h"
#include "mail/message.h"
#include "mail/mime.h"
#include "mail/reenc.h"

#define UE "\xc3\xbc" /* u with diaeresis */

/* Undo quoted-printable. */
static void
unqp(const struct buf *in, struct buf *ret)
{
	const char *p = buf_str(in);
	char hex[3] = "";
	size_t i;

	for (i = 0; i < in->len; i++) {
		if (p[i] != '=') {
			buf_addc(ret, p[i]);
		} else if (p[i + 1] == '\r') {
			i += 2;
		} else {
			memcpy(hex, p + i + 1, 2);
			buf_addc(ret, (int)strtol(hex, NULL, 16));
			i += 2;
		}
	}
}

/* Undo base64. */
static void
unbase64(const struct buf *in, struct buf *ret)
{
	static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = buf_str(in), *at;
	unsigned v = 0, bits = 0;

	for (; *p != '\0'; p++) {
		if ((at = strchr(abc, *p)) == NULL)
			continue;
		v = (v << 6 | (unsigned)(at - abc)) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_addc(ret, (int)(v >> bits & 0xff));
		}
	}
}

/* No line over 76, all octets printable. */
static void
check_lines(const struct buf *b)
{
	size_t i, col = 0;

	for (i = 0; i < b->len; i++) {
		col = b->p[i] == '\n' ? 0 : col + 1;
		assert_true(col <= 77); /* with the CR */
		assert_true((b->p[i] & 0x80) == 0 && b->p[i] != '\0');
	}
}

static void
test_encode(void **state)
{
	static const struct {
		const char *in, *qp;
		bool already;
	} tab[] = { { "", "", false }, { "a=b", "a=3Db", false },
		{ "x \r\ny\t\r\n z\t", "x=20\r\ny=09\r\n z=09", false },
		{ UE, "=C3=BC", false }, { "a\rb\nc", "a=0Db=0Ac", false },
		{ "a=3Db=\r\nc=zz" UE " \r\n", "a=3Db=\r\nc=3Dzz=C3=BC \r\n",
		    true },
		{ "=", "=3D", true }, { "=C", "=3DC", true },
		{ "=\r", "=3D=0D", true } };
	struct buf b = BUF_INIT, back = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		buf_clear(&b);
		encode_qp(tab[i].in, strlen(tab[i].in), tab[i].already, &b);
		assert_string_equal(buf_str(&b), tab[i].qp);
	}
	for (i = 0; i < 4; i++) {
		static const char *const in[] = { "", "f", "fo", "foo" };
		static const char *const out[] = { "", "Zg==", "Zm8=", "Zm9v" };

		buf_clear(&b);
		encode_base64(in[i], i, &b);
		assert_string_equal(buf_str(&b), out[i]);
	}
	buf_clear(&b);
	assert_int_equal(encode_base64_wrap("Zm9v\r\n Zm9v", 11, &b), 0);
	assert_string_equal(b.p, "Zm9vZm9v");
	assert_int_equal(encode_base64_wrap("Zm9v!", 5, &b), -1);
	assert_int_equal(encode_base64_wrap("Zm\0v", 4, &b), -1);
	buf_release(&b);
	buf_release(&back);
}

/* Any octets survive both encodings, and a second pass of each. */
static void
test_encode_random(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct buf in = BUF_INIT, b = BUF_INIT, c = BUF_INIT, d = BUF_INIT;
	int round;
	long n;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 3000; round++) {
		buf_clear(&in);
		for (n = random() % 300; n > 0; n--)
			buf_addc(&in,
			    random() % 3 > 0 ? "ab =\r\n\t"[random() % 7] :
					       (int)(random() & 0xff));
		buf_clear(&b);
		buf_clear(&c);
		buf_clear(&d);
		encode_qp(buf_str(&in), in.len, false, &b);
		check_lines(&b);
		unqp(&b, &c);
		assert_int_equal(c.len, in.len);
		assert_memory_equal(buf_str(&c), buf_str(&in), in.len);
		encode_qp(buf_str(&b), b.len, true, &d);
		assert_string_equal(buf_str(&d), buf_str(&b));
		buf_clear(&b);
		buf_clear(&c);
		buf_clear(&d);
		encode_base64(buf_str(&in), in.len, &b);
		check_lines(&b);
		unbase64(&b, &c);
		assert_int_equal(c.len, in.len);
		assert_memory_equal(buf_str(&c), buf_str(&in), in.len);
		assert_int_equal(encode_base64_wrap(buf_str(&b), b.len, &d), 0);
		assert_string_equal(buf_str(&d), buf_str(&b));
	}
	buf_release(&in);
	buf_release(&b);
	buf_release(&c);
	buf_release(&d);
}

static void
test_mime(void **state)
{
	static const struct {
		const char *head, *type, *subtype, *boundary;
		enum mime_cte cte;
	} tab[] = { { "", "text", "plain", "", MIME_7BIT },
		{ "Content-Type: TEXT/HTML; charset=x\r\n", "text", "html", "",
		    MIME_7BIT },
		{ "Content-Type: multipart/mixed; boundary=abc\r\n"
		  "Content-Transfer-Encoding: 8BIT\r\n",
		    "multipart", "mixed", "abc", MIME_8BIT },
		{ "content-type: (c) multipart (d) / mixed (e);\r\n\tx=\"b;"
		  "oundary=z\"; Boundary = \"a b\\\"c\" ; y=1\r\n",
		    "multipart", "mixed", "a b\"c", MIME_7BIT },
		{ "Content-Type: multipart/mixed; charset=x; ; boundary=a=b/c"
		  " (x)\r\n",
		    "multipart", "mixed", "a=b/c", MIME_7BIT },
		{ "Content-Type: multipart/mixed; =; ? boundary=\"abc\r\n",
		    "multipart", "mixed", "abc", MIME_7BIT },
		{ "Content-Type: text\r\n", "", "", "", MIME_7BIT },
		{ "Content-Type: ;/\r\n", "", "", "", MIME_7BIT },
		{ "Content-Transfer-Encoding: base64 (x)\r\n", "text", "plain",
		    "", MIME_BASE64 },
		{ "Content-Transfer-Encoding: Quoted-Printable\r\n"
		  "Content-Transfer-Encoding: 8bit\r\n",
		    "text", "plain", "", MIME_QP },
		{ "Content-Transfer-Encoding: x-uuencode-and-much-more\r\n",
		    "text", "plain", "", MIME_OTHER },
		{ "Content-Transfer-Encoding:\r\n", "text", "plain", "",
		    MIME_OTHER } };
	struct mime m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		mime_parse(tab[i].head, strlen(tab[i].head), false, &m);
		assert_string_equal(m.type, tab[i].type);
		assert_string_equal(m.subtype, tab[i].subtype);
		assert_string_equal(buf_str(&m.boundary), tab[i].boundary);
		assert_int_equal(m.cte, tab[i].cte);
		mime_release(&m);
	}
	mime_parse("", 0, true, &m);
	assert_true(mime_is(&m, "message", "rfc822"));
	mime_release(&m);
}

static void
test_delim(void **state)
{
	static const struct {
		const char *text;
		int at; /* -1: none */
		bool closing;
	} tab[] = { { "--b\r\nx", 0, false }, { "x\r\n--b--\r\n", 3, true },
		{ "x--b\r\n--b \t\r\n", 6, false }, { "--bc\r\n--b", 6, false },
		{ "--b-\r\n", -1, false }, { "--b--x\r\n", -1, false },
		{ "", -1, false }, { "--b\r", 0, false }, { "--", -1, false } };
	struct buf boundary = BUF_INIT;
	struct mime_delim d;
	size_t i;
	bool hit;

	(void)state;
	buf_adds(&boundary, "--b");
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		hit = mime_delim(tab[i].text, tab[i].text + strlen(tab[i].text),
		    &boundary, &d);
		assert_int_equal(hit, tab[i].at >= 0);
		if (!hit)
			continue;
		assert_int_equal(d.line - tab[i].text, tab[i].at);
		assert_int_equal(d.closing, tab[i].closing);
		assert_true(d.next <= tab[i].text + strlen(tab[i].text));
	}
	buf_release(&boundary);
}

#define CTE "Content-Transfer-Encoding: "
#define MV "MIME-Version: 1.0\r\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n"

static const struct {
	const char *in;
	const char *out; /* NULL: cannot be done */
} cases[] = {
	/* clean: untouched */
	{ "A: b\r\n\r\nx\r\n", "A: b\r\n\r\nx\r\n" }, { "", "" },
	/* no MIME */
	{ "A: b\r\n\r\n" UE "\r\n",
	    "A: b\r\n" MV
	    "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE
	    "quoted-printable\r\n\r\n=C3=BC\r\n" },
	{ "\r\n" UE "\r\n",
	    MV "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE
	       "quoted-printable\r\n\r\n=C3=BC\r\n" },
	/* text, other */
	{ MV CTE "8bit\r\nContent-Type: text/html\r\n\r\n" UE "=\r\n",
	    MV "Content-Type: text/html\r\n" CTE
	       "quoted-printable\r\n\r\n=C3=BC=3D\r\n" },
	{ MV "Content-Type: image/gif\r\n" CTE "binary\r\n\r\n" UE "\r\n",
	    MV "Content-Type: image/gif\r\n" CTE "base64\r\n\r\nw7wNCg==\r\n" },
	{ MV CTE "Quoted-Printable\r\n\r\na=3D" UE "=\r\n\r\n",
	    MV "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE
	       "quoted-printable\r\n\r\na=3D=C3=BC=\r\n\r\n" },
	/* parts */
	{ MV MIXED CTE "8bit\r\n\r\npre\r\n--b\r\n\r\n" UE "\r\n--b\r\n"
		       "Content-Type: a/b\r\n\r\n" UE
		       "\r\n\r\n--b \r\nX: y\r\n\r\nz\r\n"
		       "--b--\r\npost\r\n",
	    MV MIXED CTE
	    "7bit\r\n\r\npre\r\n--b\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE
	    "quoted-printable\r\n\r\n=C3=BC\r\n--b\r\nContent-Type: a/b\r\n" CTE
	    "base64\r\n\r\nw7wNCg==\r\n\r\n--b\r\nX: y\r\n\r\nz\r\n"
	    "--b--\r\npost\r\n" },
	/* foul preamble and epilogue; an empty part; no end */
	{ MV MIXED "\r\n" UE "\r\n--b\r\n--b\r\n\r\n--b\r\n\r\n" UE
		   "\r\n--b--\r\n" UE,
	    MV MIXED "\r\n--b\r\n--b\r\n\r\n--b\r\n"
		     "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE
		     "quoted-printable\r\n\r\n=C3=BC\r\n--b--\r\n" },
	{ MV MIXED "\r\n--b\r\n\r\n" UE "\r\n",
	    MV MIXED "\r\n--b\r\n"
		     "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE
		     "quoted-printable\r\n\r\n=C3=BC\r\n" },
	/* boundaries that begin alike */
	{ MV MIXED "\r\n--b\r\nContent-Type: multipart/x; boundary=bb\r\n\r\n"
		   "--bb\r\nContent-Type: a/b\r\n\r\n" UE
		   "\r\n--bb--\r\n--b--\r\n",
	    MV MIXED "\r\n--b\r\nContent-Type: multipart/x; boundary=bb\r\n"
		     "\r\n--bb\r\nContent-Type: a/b\r\n" CTE
		     "base64\r\n\r\nw7w=\r\n"
		     "--bb--\r\n--b--\r\n" },
	/* messages in messages, digests */
	{ MV "Content-Type: message/rfc822\r\n" CTE "8bit\r\n\r\nA: b\r\n"
	     "Content-Type: a/b\r\n\r\n" UE "\r\n",
	    MV "Content-Type: message/rfc822\r\n" CTE "7bit\r\n\r\nA: b\r\n"
	       "Content-Type: a/b\r\n" MV CTE "base64\r\n\r\nw7wNCg==\r\n" },
	{ MV "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n"
	     "Content-Type: a/b\r\n\r\n" UE "\r\n--b--\r\n",
	    MV "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n"
	       "Content-Type: a/b\r\n" MV CTE
	       "base64\r\n\r\nw7w=\r\n--b--\r\n" },
	/* a clean signed part beside one that is not */
	{ MV MIXED
	    "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n"
	    "\r\n--c\r\n\r\nx\r\n--c--\r\n--b\r\nContent-Type: a/b\r\n\r\n" UE
	    "\r\n--b--\r\n",
	    MV MIXED
	    "\r\n--b\r\n"
	    "Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n"
	    "--c--\r\n--b\r\nContent-Type: a/b\r\n" CTE "base64\r\n\r\nw7w=\r\n"
	    "--b--\r\n" },
	/* what cannot be */
	{ "A: " UE "\r\n\r\nx\r\n", NULL },
	{ "A: " UE "\r\n\r\n" UE "\r\n", NULL }, { UE, NULL },
	{ MV "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n" UE
	     "\r\n--b--\r\n",
	    NULL },
	{ MV "Content-Type: message/partial\r\n\r\nA: b\r\n\r\n" UE, NULL },
	{ MV "Content-Type: message/delivery-status\r\n\r\n" UE, NULL },
	{ MV "Content-Type: message/rfc822\r\n\r\nA: " UE "\r\n\r\nx", NULL },
	{ MV "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n" UE, NULL },
	{ MV MIXED "\r\n" UE "\r\n", NULL },
	{ MV MIXED "\r\n--b--\r\n" UE "\r\n", NULL },
	{ MV MIXED CTE "base64\r\n\r\n--b\r\n\r\n" UE "\r\n--b--", NULL },
	{ MV MIXED "\r\n--b\r\nX: " UE "\r\n\r\nx\r\n--b--", NULL },
	{ MV MIXED "\r\n--b\r\nno field\r\n\r\n" UE "\r\n--b--", NULL },
	{ MV CTE "x-enc\r\n\r\n" UE "\r\n", NULL },
	{ MV CTE "base64\r\n\r\n" UE "\r\n", NULL }
};

static void
test_cases(void **state)
{
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&b);
		rc = reenc_7bit(cases[i].in, strlen(cases[i].in), &b, &err);
		if (rc != (cases[i].out != NULL ? 0 : -1))
			fail_msg("%s: %s", cases[i].in,
			    rc == -1 ? err.text : "accepted");
		if (rc == 0)
			assert_string_equal(buf_str(&b), cases[i].out);
	}
	buf_release(&b);
}

/* Long lines, of text, base64 and quoted-printable. */
static void
test_long(void **state)
{
	static const char *const head[] = { "A: b\r\n\r\n",
		MV CTE "base64\r\n\r\n", MV CTE "quoted-printable\r\n\r\n",
		MV "Content-Type: a/b\r\n\r\n" };
	struct buf in = BUF_INIT, b = BUF_INIT;
	struct message_facts f;
	struct verr err;
	size_t i;
	int k;

	(void)state;
	for (i = 0; i < 4; i++) {
		buf_clear(&in);
		buf_clear(&b);
		buf_adds(&in, head[i]);
		for (k = 0; k < 2000; k++)
			buf_addc(&in, 'x');
		buf_adds(&in, "\r\n");
		assert_int_equal(reenc_7bit(in.p, in.len, &b, &err), 0);
		message_scan(b.p, b.len, message_header_len(b.p, b.len), &f);
		assert_true(f.longest <= 76);
		assert_memory_equal(b.p + b.len - 2, "\r\n", 2);
	}
	buf_release(&in);
	buf_release(&b);
}

/* Bombs end with a refusal, not with the stack or the day. */
static void
test_bombs(void **state)
{
	struct buf in = BUF_INIT, b = BUF_INIT;
	struct verr err = VERR_INIT;
	int i;

	(void)state;
	for (i = 0; i < 10000; i++)
		buf_addf(&in,
		    "Content-Type: multipart/x; boundary=b%d\r\n\r\n"
		    "--b%d\r\n",
		    i, i);
	buf_adds(&in, "\r\n" UE);
	assert_int_equal(reenc_7bit(in.p, in.len, &b, &err), -1);
	buf_clear(&in);
	for (i = 0; i < 10000; i++)
		buf_adds(&in, "Content-Type: message/rfc822\r\n\r\n");
	buf_adds(&in, "\r\n" UE);
	assert_int_equal(reenc_7bit(in.p, in.len, &b, &err), -1);
	buf_clear(&in);
	buf_adds(&in, MIXED "\r\n");
	for (i = 0; i < 100000; i++)
		buf_adds(&in, "--b\r\n\r\n");
	buf_adds(&in, UE);
	assert_int_equal(reenc_7bit(in.p, in.len, &b, &err), -1);
	assert_non_null(strstr(err.text, "1000 parts"));
	buf_release(&in);
	buf_release(&b);
}

static void
test_random(void **state)
{
	static const char *const word[] = { MV, MIXED, CTE, "8bit\r\n",
		"base64\r\n", "quoted-printable\r\n", "\r\n", "--b\r\n",
		"--b--\r\n", "--", "b", UE, "Content-Type: ", "text/plain",
		"message/rfc822\r\n", "image/x\r\n", ";", "boundary=", "\"",
		"multipart/digest", "(", "A: b\r\n", "\r", "\n", " ", "=" };
	unsigned seed = (unsigned)time(NULL);
	struct buf in = BUF_INIT, b = BUF_INIT;
	struct message_facts f;
	struct verr err;
	char *copy;
	int round, i, good = 0;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 100000; round++) {
		buf_clear(&in);
		buf_clear(&b);
		for (i = (int)(random() % 30); i > 0; i--)
			buf_adds(&in,
			    word[(size_t)random() %
				(sizeof(word) / sizeof(word[0]))]);
		copy = malloc(in.len); /* exact, for the address sanitizer */
		assert_true(copy != NULL || in.len == 0);
		if (in.len > 0)
			memcpy(copy, in.p, in.len);
		if (reenc_7bit(copy, in.len, &b, &err) == 0) {
			message_scan(buf_str(&b), b.len, 0, &f);
			assert_false(f.body_8bit);
			good++;
		}
		free(copy);
	}
	assert_true(good > 100);
	buf_release(&in);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_encode_random),
		cmocka_unit_test(test_mime),
		cmocka_unit_test(test_delim),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
