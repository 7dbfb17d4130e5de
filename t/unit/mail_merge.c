/* mail/merge: what a template and values become, rule by rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mail/charset.h"
#include "mail/decode.h"
#include "mail/merge.h"
#include "mail/mergeparts.h"
#include "mail/message.h"
#include "mail/word.h"

/* The columns of all tables: a, b, c, gone (never defined). */
static const char *const column[] = { "A", "b", "C" };

struct t_case {
	const char *what;
	const char *in; /* the template, LF line ends */
	const char *v[3];
	const char *out; /* LF line ends; NULL: refused, */
	const char *why; /* with this in the text */
};

static const struct merge_env env = { .to = "to@x.example",
	.from = "from@x.example",
	.date = "Mon, 23 Nov 2026 21:54:05 +0000",
	.envid = "env 1",
	.jobid = "job1",
	.vmta = "news",
	.parts = "1,3",
	.schedule = "then",
	.priority = "50",
	.msgid = "id.7" };

/* Lines in LF to CRLF. */
static void
crlf(const char *p, struct buf *out)
{
	buf_clear(out);
	for (; *p != '\0'; p++) {
		if (*p == '\n')
			buf_addc(out, '\r');
		buf_addc(out, *p);
	}
}

/* Render; 0 or -1. */
static int
render(const char *in, const char *const *v, bool empty, struct buf *out,
    struct verr *err)
{
	struct merge_value value[3];
	struct buf text = BUF_INIT;
	struct merge *m;
	size_t header = 0, i;
	int rc, check;

	crlf(in, &text);
	rc = merge_parse(buf_str(&text), text.len, &m, err);
	buf_release(&text);
	if (rc == -1)
		return (-1);
	for (i = 0; i < 3; i++)
		value[i] = (struct merge_value) { v[i],
			v[i] != NULL ? strlen(v[i]) : 0 };
	merge_bind(m, column, 3, empty);
	buf_clear(out);
	check = merge_check(m, &env, value, err);
	rc = merge_render(m, &env, value, out, &header, err);
	assert_int_equal(check, rc);
	if (rc == 0)
		assert_int_equal(header, message_header_len(out->p, out->len));
	merge_free(m);
	return (rc);
}

static void
run(const struct t_case *t, size_t n)
{
	struct buf out = BUF_INIT, want = BUF_INIT;
	struct verr err = VERR_INIT;
	int rc;

	for (; n > 0; t++, n--) {
		rc = render(t->in, t->v, false, &out, &err);
		if (rc == -1 && t->out != NULL)
			fail_msg("%s: refused: %s", t->what, err.text);
		if (rc == 0 && t->out == NULL)
			fail_msg("%s: not refused", t->what);
		if (rc == -1 && strstr(err.text, t->why) == NULL)
			fail_msg("%s: no '%s' in: %s", t->what, t->why,
			    err.text);
		if (rc == -1)
			continue;
		crlf(t->out, &want);
		if (strcmp(buf_str(&want), buf_str(&out)) != 0)
			fail_msg("%s:\n--- want\n%s\n--- got\n%s", t->what,
			    want.p, out.p);
	}
	buf_release(&out);
	buf_release(&want);
}
#define RUN(t) run(t, sizeof(t) / sizeof((t)[0]))

static void
test_syntax(void **state)
{
	static const struct t_case t[] = {
		{ "plain", "\n[a] [B] [c]!\n", { "1", "2", "3" }, "\n1 2 3!\n",
		    NULL },
		{ "brackets", "\n[[a] [[[a] [] [ [[ ] a] [a\n", { "1" },
		    "\n[a] [1 [] [ [ ] a] [a\n", NULL },
		{ "no names", "\n[1] [_a] [a b] [a-b] [ a] [a ] [*] [**to]\n",
		    { "1" }, "\n[1] [_a] [a b] [a-b] [ a] [a ] [*] [**to]\n",
		    NULL },
		{ "conditional comments",
		    "\n<!--[if mso]><![endif]--><![a]> <!-- [a]\n", { "1" },
		    "\n<!--[if mso]><![endif]--><![a]> <!-- 1\n", NULL },
		{ "over a line", "\n[\na]\n", { "1" }, "\n[\na]\n", NULL },
		{ "reserved",
		    "\n[*to] [*FROM] [*date] [*envid] [*jobid] [*vmta]\n"
		    "[*parts] [*schedule] [*priority] [*msgid]\n",
		    { NULL },
		    "\nto@x.example from@x.example "
		    "Mon, 23 Nov 2026 21:54:05 +0000 env 1 job1 news\n"
		    "1,3 then 50 id.7\n",
		    NULL },
		{ "not again", "\n[a]\n[b]\n", { "[b] [[ [*to]", "[a]" },
		    "\n[b] [[ [*to]\n[a]\n", NULL },
		{ "undefined stays", "\n[Gone] [a] [*other]\n", { NULL },
		    "\n[Gone] [a] [*other]\n", NULL },
		{ "empty value", "\n<[a]>\n", { "" }, "\n<>\n", NULL },
		{ "long name",
		    "\n[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaaaaaaa]\n",
		    { "1" },
		    "\n[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaaaaaaa]\n",
		    NULL },
	};

	(void)state;
	RUN(t);
}

static void
test_unstructured(void **state)
{
	static const struct t_case t[] = {
		{ "ASCII", "Subject: Hi [a],\n  you\n\n", { "Bob, Jr." },
		    "Subject: Hi Bob, Jr.,\n  you\n\n", NULL },
		{ "8 bit", "Subject: Hi [a], you\n\n", { "Zo\xc3\xab" },
		    "Subject: Hi =?utf-8?B?Wm/Dqyw=?= you\n\n", NULL },
		{ "two words", "Subject: [a] [b] x\n\n",
		    { "\xc3\xa4", "\xc3\xb6" },
		    "Subject: =?utf-8?B?w6Qgw7Y=?= x\n\n", NULL },
		{ "Q where it is shorter", "Subject: [a]\n\n",
		    { "abcdefghijkl\xc3\xa4" },
		    "Subject: =?utf-8?Q?abcdefghijkl=C3=A4?=\n\n", NULL },
		{ "encoded template",
		    "Subject: =?iso-8859-1?Q?Gr=FC=DFe=2C_=5Ba=5D?= x\n\n",
		    { "Bob" }, "Subject: =?utf-8?B?R3LDvMOfZSw=?= Bob x\n\n",
		    NULL },
		{ "an encoded word as value", "Subject: [a]\n\n",
		    { "=?utf-8?Q?x?=" },
		    "Subject: =?utf-8?B?PT91dGYtOD9RP3g/PQ==?=\n\n", NULL },
		{ "without variables it stays", "Subject: =?x?Q?y?= [z z]\n\n",
		    { NULL }, "Subject: =?x?Q?y?= [z z]\n\n", NULL },
		{ "unknown charset", "Subject: =?x-y?Q?y?= [a]\n\n", { "x" },
		    NULL, "cannot be decoded" },
		{ "a line end in an encoded word",
		    "Subject: =?utf-8?Q?x=0D=0AY:?= [a]\n\n", { "x" }, NULL,
		    "cannot be decoded" },
		{ "CR", "X: [a]\n\n", { "x\ry" }, NULL, "line end" },
		{ "LF", "X: [a]\n\n", { "x\ny" }, NULL, "line end" },
		{ "CRLF Bcc", "X: [a]\n\n", { "x\r\nBcc: y@z" }, NULL,
		    "line end" },
		{ "LF in a value that is elsewhere", "X: [b]\n\n[a]\n",
		    { "x\ny", "z" }, "X: z\n\nx\ny\n", NULL },
		{ "never touched",
		    "Received: from [a]\nContent-Language: [a]\n\n", { "x" },
		    "Received: from [a]\nContent-Language: [a]\n\n", NULL },
		{ "a line of blanks", "Subject: [b]\n [a]\n x\n\n",
		    { "   ", "\xc3\xa4" }, "Subject: =?utf-8?B?w6Q=?=\n x\n\n",
		    NULL },
		{ "the same in ASCII", "Subject: [b]\n [a]\n\n", { " ", "y" },
		    "Subject: y\n\n", NULL },
		{ "escape alone", "Subject: [[a] b\n\n", { "x" },
		    "Subject: [a] b\n\n", NULL },
	};

	(void)state;
	RUN(t);
}

static void
test_address(void **state)
{
	static const struct t_case t[] = {
		{ "alone", "To: [a]\n\n", { "Bob@X.example" },
		    "To: Bob@X.example\n\n", NULL },
		{ "quoted", "To: \"[b]\" <[a]>\n\n", { "b@x.example", "Bob" },
		    "To: \"Bob\" <b@x.example>\n\n", NULL },
		{ "atoms", "To: [b] [c] <[a]>\n\n",
		    { "b@x.example", "Bob", "Doe" },
		    "To: Bob Doe <b@x.example>\n\n", NULL },
		{ "specials are quoted", "To: [b] <[a]>\n\n",
		    { "b@x.example", "Doe, \"B\" <x@y>" },
		    "To: \"Doe, \\\"B\\\" <x@y>\" <b@x.example>\n\n", NULL },
		{ "8 bit", "To: \"[b]\" <[a]>\n\n",
		    { "b@x.example", "Zo\xc3\xab, X" },
		    "To: =?utf-8?B?Wm/DqywgWA==?= <b@x.example>\n\n", NULL },
		{ "no name", "To: [b] <[a]>\n\n", { "b@x.example", "" },
		    "To: <b@x.example>\n\n", NULL },
		{ "IDN", "To: <[a]>\n\n", { "b@\xc3\xa4x.example" },
		    "To: <b@xn--x-zfa.example>\n\n", NULL },
		{ "no second mailbox", "To: <[a]>\n\n",
		    { "b@x.example>, <c@y.example" }, NULL, "no address" },
		{ "no address", "Reply-To: [a]\n\n", { "Bob" }, NULL,
		    "field Reply-To: no address" },
		{ "part of one", "Reply-To: news+[a]@x.example\n\n", { "17" },
		    "Reply-To: news+17@x.example\n\n", NULL },
		{ "a list", "Cc: A <a@x.example>,\n \"[b]\" <[a]>, c@x\n\n",
		    { "b@x.example", "B" },
		    "Cc: A <a@x.example>,\n \"B\" <b@x.example>, c@x\n\n",
		    NULL },
		{ "encoded name",
		    "From: =?utf-8?Q?=5Bb=5D_x?= <n@x.example>\n\n",
		    { NULL, "B\xc3\xb6" },
		    "From: =?utf-8?B?QsO2IHg=?= <n@x.example>\n\n", NULL },
		{ "a comment: as other fields", "To: [a] (x)\n\n",
		    { "\xc3\xa4" }, NULL, "printable ASCII" },
	};

	(void)state;
	RUN(t);
}

static void
test_structured(void **state)
{
	static const struct t_case t[] = {
		{ "list", "List-Unsubscribe: <https://x/?[a]>\n\n", { "t=1" },
		    "List-Unsubscribe: <https://x/?t=1>\n\n", NULL },
		{ "8 bit", "List-Unsubscribe: <https://x/?[a]>\n\n",
		    { "\xc3\xa4" }, NULL, "[a] must be printable ASCII" },
		{ "ids", "Message-ID: <[*msgid]@h>\nDate: [*date]\n\n",
		    { NULL },
		    "Message-ID: <id.7@h>\n"
		    "Date: Mon, 23 Nov 2026 21:54:05 +0000\n\n",
		    NULL },
	};

	(void)state;
	RUN(t);
}

#define TXT(cs, cte)                                                    \
	"MIME-Version: 1.0\nContent-Type: text/plain; charset=" cs "\n" \
	"Content-Transfer-Encoding: " cte "\n\n"

static void
test_text(void **state)
{
	static const struct t_case t[] = {
		{ "nothing said, ASCII", "X: y\n\n[a]\n", { "z" },
		    "X: y\n\nz\n", NULL },
		{ "nothing said, 8 bit", "X: y\n\n[a]\n", { "\xc3\xa4" },
		    "X: y\nMIME-Version: 1.0\n"
		    "Content-Type: text/plain; charset=utf-8\n"
		    "Content-Transfer-Encoding: 8bit\n\n\xc3\xa4\n",
		    NULL },
		{ "7bit becomes 8bit", TXT("utf-8", "7bit") "[a]\n",
		    { "\xc3\xa4" },
		    "MIME-Version: 1.0\n"
		    "Content-Type: text/plain; charset=utf-8\n"
		    "Content-Transfer-Encoding: 8bit\n\n\xc3\xa4\n",
		    NULL },
		{ "latin 1", TXT("iso-8859-1", "8bit") "\xe4[a]\xfc\n",
		    { "\xc3\xb6" }, TXT("iso-8859-1", "8bit") "\xe4\xf6\xfc\n",
		    NULL },
		{ "what latin 1 has not",
		    TXT("\"iso-8859-1\"; format=flowed", "8bit") "\xe4[a]\n",
		    { "\xe2\x82\xac" },
		    TXT("utf-8; format=flowed",
			"8bit") "\xc3\xa4\xe2\x82\xac\n",
		    NULL },
		{ "windows-1252 in quoted-printable",
		    TXT("windows-1252",
			"quoted-printable") "=80 =5Ba=5D =\nx\n",
		    { "\xe2\x82\xac=" },
		    TXT("windows-1252", "quoted-printable") "=80=20=80=3D x\n",
		    NULL },
		{ "over a soft break",
		    TXT("utf-8", "quoted-printable") "[=\na] [b=\n] =5bc=5d\n",
		    { "1", "2", "3" },
		    TXT("utf-8", "quoted-printable") "1=202=203\n", NULL },
		{ "blank before a line end",
		    TXT("utf-8", "quoted-printable") "x [a]\ny\n", { " " },
		    TXT("utf-8", "quoted-printable") "x=20=20\ny\n", NULL },
		{ "line ends in quoted-printable",
		    TXT("utf-8", "quoted-printable") "[a]\n", { "x\ny\r\nz\r" },
		    TXT("utf-8", "quoted-printable") "x\ny\nz\n\n", NULL },
		{ "base64", TXT("utf-8", "base64") "W2FdIMOkCg==\n",
		    { "\xc3\xb6" }, TXT("utf-8", "base64") "w7Ygw6QK\n", NULL },
		{ "base64 without variables", TXT("utf-8", "base64") "w7YK\n",
		    { "x" }, TXT("utf-8", "base64") "w7YK\n", NULL },
		{ "unknown charset", TXT("x-none", "8bit") "[a]\n", { "x" },
		    NULL, "cannot be read" },
		{ "unknown charset, no variables",
		    TXT("x-none", "8bit") "[a b]\n", { "x" },
		    TXT("x-none", "8bit") "[a b]\n", NULL },
		{ "html too",
		    "Content-Type: text/html; charset=utf-8\n\n<b>[a]</b>\n",
		    { "<i>" },
		    "Content-Type: text/html; charset=utf-8\n\n<b><i></b>\n",
		    NULL },
		{ "no text", "Content-Type: image/png\n\n[a]\n", { "x" },
		    "Content-Type: image/png\n\n[a]\n", NULL },
		{ "an attachment",
		    "Content-Disposition: attachment; filename=x\n\n[a]\n",
		    { "x" },
		    "Content-Disposition: attachment; filename=x\n\n[a]\n",
		    NULL },
		{ "ASCII that is none is UTF-8",
		    "Content-Type: text/plain\n\n\xc3\xa4 [a]\n", { "x" },
		    "Content-Type: text/plain;\n\tcharset=utf-8\n"
		    "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n"
		    "\xc3\xa4 x\n",
		    NULL },
		{ "or windows-1252", "X: y\n\n\x80 [a]\n", { "x" },
		    "X: y\nMIME-Version: 1.0\n"
		    "Content-Type: text/plain; charset=utf-8\n"
		    "Content-Transfer-Encoding: 8bit\n\n\xe2\x82\xac x\n",
		    NULL },
	};

	(void)state;
	RUN(t);
}

#define MULTI(more)                                                   \
	"Content-Type: multipart/mixed; boundary=\"b b\"\n" more "\n" \
	"[a] is preamble\n--b b\n"

static void
test_multipart(void **state)
{
	static const struct t_case t[] = {
		{ "parts",
		    MULTI("") "\n[a]\n--b b\nContent-Type: image/x\n\n[a]\n"
			      "--b b\nContent-Type: message/rfc822\n\n"
			      "Subject: [a]\n\n[a]\n--b b--\n[a]\n",
		    { "x" },
		    MULTI("") "\nx\n--b b\nContent-Type: image/x\n\n[a]\n"
			      "--b b\nContent-Type: message/rfc822\n\n"
			      "Subject: [a]\n\n[a]\n--b b--\n[a]\n",
		    NULL },
		{ "signed",
		    "Content-Type: multipart/signed; boundary=b\n\n--b\n\n[a]\n"
		    "--b--\n",
		    { "x" },
		    "Content-Type: multipart/signed; boundary=b\n\n--b\n\n[a]\n"
		    "--b--\n",
		    NULL },
		{ "nested, 7bit around",
		    MULTI("Content-Transfer-Encoding: 7bit\n") "Content-Type: "
							       "multipart/"
							       "alternative; "
							       "boundary=c\n\n"
							       "--c\nContent-"
							       "Type: "
							       "text/plain; "
							       "charset=utf-"
							       "8\n\n"
							       "\xc3\xa4[a]\n--"
							       "c--\n--b b--\n",
		    { "x" },
		    MULTI("Content-Transfer-Encoding: 7bit\n") "Content-Type: "
							       "multipart/"
							       "alternative; "
							       "boundary=c\n\n"
							       "--c\nContent-"
							       "Type: "
							       "text/plain; "
							       "charset=utf-8\n"
							       "Content-"
							       "Transfer-"
							       "Encoding: "
							       "quoted-"
							       "printable\n\n"
							       "=C3=A4x\n--c--"
							       "\n--b b--\n",
		    NULL },
		{ "a delimiter as value",
		    MULTI("") "Content-Type: text/x\n\n[a]\n--b b--\n",
		    { "x\n--b b\n\nevil" },
		    MULTI("") "Content-Type: text/x\n"
			      "Content-Transfer-Encoding: base64\n\n"
			      "eA0KLS1iIGINCg0KZXZpbA==\n--b b--\n",
		    NULL },
		{ "made of value and literal",
		    MULTI("") "Content-Type: text/x\n\n--[a]\n--b b--\n",
		    { "b b" },
		    MULTI("") "Content-Type: text/x\n"
			      "Content-Transfer-Encoding: base64\n\n"
			      "LS1iIGI=\n--b b--\n",
		    NULL },
		{ "cut off", MULTI("") "\n[a]", { "x" }, MULTI("") "\nx",
		    NULL },
	};

	(void)state;
	RUN(t);
}

/* Long lines: never over 998, encoded words never over 76. */
static void
test_lines(void **state)
{
	static const char *const in[] = { "Subject: x [a] y [b]\n\n",
		"To: [a] <t@x.example>\n\n",
		"Content-Type: text/plain; charset=utf-8\n\n[a][a]\n[a][b]\n",
		TXT("utf-8", "quoted-printable") "x[a] [b]y\n",
		TXT("utf-8", "base64") "W2FdW2JdCg==\n" };
	struct buf out = BUF_INIT, a = BUF_INIT, b = BUF_INIT;
	struct verr err = VERR_INIT;
	struct message_facts f;
	const char *v[3], *p, *nl;
	size_t i, n, step;

	(void)state;
	for (step = 1; step < 3; step++) {
		buf_clear(&a);
		buf_clear(&b);
		for (n = 0; n < 120; n++) {
			buf_adds(&a, step == 1 ? "w\xc3\xb6rd" : "word");
			buf_adds(&a, n % 9 == 0 ? " " : "");
			buf_adds(&b, "\xe4\xba\xba");
			for (i = 0; i < 5; i++) {
				v[0] = a.p;
				v[1] = b.p;
				v[2] = NULL;
				if (render(in[i], v, false, &out, &err) == -1)
					fail_msg("%zu %zu: %s", i, n, err.text);
				message_scan(out.p, out.len,
				    message_header_len(out.p, out.len), &f);
				assert_false(f.header_8bit);
				assert_in_range(f.longest, 0, 998);
				p = strstr(out.p, "=?utf-8?");
				for (; p != NULL; p = strstr(nl, "=?utf-8?")) {
					nl = strchr(p, '\n');
					while (p > out.p && p[-1] != '\n')
						p--;
					assert_in_range(nl - p, 1, 77);
				}
			}
		}
	}
	/* a word that cannot be folded */
	buf_clear(&a);
	for (n = 0; n < 1100; n++)
		buf_addc(&a, 'x');
	v[0] = a.p;
	assert_int_equal(render(in[0], v, false, &out, &err), -1);
	assert_non_null(strstr(err.text, "field Subject: header line over"));
	buf_release(&out);
	buf_release(&a);
	buf_release(&b);
}

/* Encoded words and quoted-printable say what went in, at every length. */
static void
test_roundtrip(void **state)
{
	struct buf out = BUF_INIT, v = BUF_INIT, text = BUF_INIT, want;
	static const char *const piece[] = { "a", " ", "\xc3\xa4", "=", "_",
		"\xf0\x9f\x98\x80", "?", "x y" };
	const char *value[3] = { NULL, "B", NULL };
	struct verr err = VERR_INIT;
	unsigned int n, k, seed;
	char *body;

	(void)state;
	buf_init(&want);
	for (n = 0; n < 300; n++) {
		buf_clear(&v);
		for (seed = n * 7919 + 1, k = 0; k < n % 97; k++) {
			seed = seed * 1103515245u + 12345u;
			buf_adds(&v, piece[seed >> 16 & 7]);
		}
		value[0] = buf_str(&v);
		assert_int_equal(render("Subject: <[a]> \xc3\xb6 [b]\n\n",
				     value, false, &out, &err),
		    0);
		buf_clear(&text);
		body = strstr(out.p, "\r\n\r\n");
		assert_non_null(body);
		assert_int_equal(word_decode(out.p + 9,
				     (size_t)(body - out.p) - 9, &text),
		    0);
		/* folds are blanks */
		buf_clear(&want);
		buf_addf(&want, "<%s> \xc3\xb6 B", value[0]);
		for (k = 0; k < text.len; k++)
			if (text.p[k] == '\r' || text.p[k] == '\n')
				memmove(text.p + k, text.p + k + 1,
				    text.len-- - k),
				    k--;
		assert_string_equal(text.p, want.p);
		assert_int_equal(render(TXT("utf-8",
					    "quoted-printable") "x y [a] "
								"z\n[a]\n[b]",
				     value, false, &out, &err),
		    0);
		body = strstr(out.p, "\r\n\r\n") + 4;
		buf_clear(&text);
		decode_qp(body, strlen(body), &text);
		buf_clear(&want);
		buf_addf(&want, "x y %s z\r\n%s\r\nB\r\n", value[0], value[0]);
		assert_string_equal(text.p, want.p);
	}
	buf_release(&out);
	buf_release(&v);
	buf_release(&text);
	buf_release(&want);
}

/*
 * CUTCHAR: what is encoded in advance begins with a whole character, wherever
 * that lies: text of all lengths before it, in sets of one to four octets.
 */
static void
test_cut(void **state)
{
	static const struct {
		const char *charset;
		const char *wide; /* as UTF-8, */
		const char *raw;  /* and quoted-printable in the set */
	} t[] = { { "utf-8", "\xc3\xa4", "=C3=A4" },
		{ "utf-8", "\xe2\x82\xac", "=E2=82=AC" },
		{ "utf-8", "\xf0\x9f\x98\x80", "=F0=9F=98=80" },
		{ "iso-8859-1", "\xc3\xa4", "=E4" },
		{ "euc-jp", "\xe3\x81\x82", "=A4=A2" },
		{ "gb18030", "\xf0\x9f\x98\x80", "=949=FC6" } };
	const char *value[3] = { "\xc3\xa4", "[b]", NULL };
	struct buf in = BUF_INIT, out = BUF_INIT, text = BUF_INIT, raw, want;
	struct verr err = VERR_INIT;
	struct charset *c;
	size_t i, pad, k;
	char *body;

	(void)state;
	buf_init(&raw);
	buf_init(&want);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (pad = 0; pad < 100; pad++) {
			buf_clear(&in);
			buf_clear(&want);
			buf_addf(&in,
			    "Content-Type: text/plain; charset=%s\n"
			    "Content-Transfer-Encoding: quoted-printable\n\n"
			    "[b]%.*s=\n",
			    t[i].charset, (int)(pad % 7), "xxxxxxx");
			buf_addf(&want, "[b]%.*s", (int)(pad % 7), "xxxxxxx");
			for (k = 0; k < pad / 7 + 10; k++) {
				buf_addf(&in, "%s%s", t[i].raw,
				    k % 4 == 3 ? "=\n" : "");
				buf_adds(&want, t[i].wide);
			}
			buf_adds(&in, "[b]\n");
			buf_adds(&want, "[b]\r\n");
			if (render(buf_str(&in), value, false, &out, &err) ==
			    -1)
				fail_msg("%s, %zu: %s", t[i].charset, pad,
				    err.text);
			body = strstr(out.p, "\r\n\r\n") + 4;
			buf_clear(&raw);
			buf_clear(&text);
			decode_qp(body, strlen(body), &raw);
			c = charset_open(t[i].charset, strlen(t[i].charset));
			assert_non_null(c);
			assert_int_equal(charset_decode(c, raw.p, raw.len,
					     &text),
			    0);
			charset_free(c);
			assert_string_equal(text.p, want.p);
		}
	}
	buf_release(&in);
	buf_release(&out);
	buf_release(&text);
	buf_release(&raw);
	buf_release(&want);
}

/* LASTCHAR: a set that waits for an accent gives the last letter, too. */
static void
test_last(void **state)
{
	struct charset *c = charset_open("windows-1255", 12);
	struct buf b = BUF_INIT;

	(void)state;
	assert_non_null(c);
	assert_int_equal(charset_decode(c, "\xf9\xec\xe5\xed\xe9", 5, &b), 0);
	assert_string_equal(buf_str(&b),
	    "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d\xd7\x99");
	buf_clear(&b);
	assert_int_equal(charset_encode(c, "\xd7\xa9", 2, &b), 0);
	assert_string_equal(buf_str(&b), "\xf9");
	buf_release(&b);
	charset_free(c);
}

static void
test_undefined(void **state)
{
	const char *v[3] = { "1", NULL, "3" };
	struct merge_value value[3] = { { "1", 1 }, { NULL, 0 }, { "3", 1 } };
	struct buf out = BUF_INIT, in = BUF_INIT;
	struct verr err = VERR_INIT;
	struct merge *m;

	(void)state;
	assert_int_equal(render("\n[a]-[b]-[gone]-[c]\n", v, true, &out, &err),
	    0);
	assert_string_equal(out.p, "\r\n1---3\r\n");
	crlf("Subject: [Gone] [C]\n\n[a] [*to] [*x]\n", &in);
	assert_int_equal(merge_parse(in.p, in.len, &m, &err), 0);
	merge_bind(m, column, 3, false);
	assert_int_equal(merge_vars(m), 4);
	assert_string_equal(merge_var(m, 0), "gone");
	assert_string_equal(merge_undefined(m, value), "gone");
	merge_free(m);
	crlf("\n[a] [b]\n", &in);
	assert_int_equal(merge_parse(in.p, in.len, &m, &err), 0);
	merge_bind(m, column, 3, false);
	assert_string_equal(merge_undefined(m, value), "b");
	value[1] = (struct merge_value) { "", 0 };
	assert_null(merge_undefined(m, value));
	value[0] = (struct merge_value) { "x\0y", 3 };
	assert_int_equal(merge_check(m, &env, value, &err), -1);
	assert_non_null(strstr(err.text, "NUL in the value of [a]"));
	merge_free(m);
	buf_release(&out);
	buf_release(&in);
}

static void
test_parts(void **state)
{
	static const char *const bad[] = { "5", "0", ",", "2", "1,x", "-1",
		"1;3", "1,,3" };
	struct mergeparts how = { .lengths = "12,0,10,9",
		.strip = "X-Job X-Envid",
		.host = "h.example",
		.date = true };
	struct buf store = BUF_INIT, out = BUF_INIT;
	struct verr err = VERR_INIT;
	size_t i, fields = 9;

	(void)state;
	/* two fields before four parts, the second one empty */
	buf_adds(&store, "X-A: [a]\r\n");
	assert_int_equal(mergeparts_store("Subject: x\n", 11, &store, &err), 0);
	assert_int_equal(mergeparts_store("\nbody 3\n", 8, &store, &err), 0);
	assert_int_equal(mergeparts_store("X-JOB: y\n", 9, &store, &err), 0);
	assert_int_equal(mergeparts_store("a\rb", 3, &store, &err), -1);
	assert_int_equal(mergeparts_store("a\0b", 3, &store, &err), -1);
	store.len = 10 + 12 + 10 + 10;
	how.lengths = "12,0,10,10";
	assert_int_equal(mergeparts_join(store.p, store.len, &how, "1,4,3",
			     &out, &fields, &err),
	    0);
	assert_int_equal(fields, 10);
	assert_string_equal(out.p,
	    "Subject: x\r\nMessage-ID: <[*msgid]@h.example>\r\n"
	    "Date: [*date]\r\n\r\nbody 3\r\n");
	assert_int_equal(mergeparts_join(store.p, store.len, &how, NULL, &out,
			     &fields, &err),
	    0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mergeparts_join(store.p, store.len, &how,
				     bad[i], &out, &fields, &err),
		    -1);
	/* nothing said: as it is */
	how = (struct mergeparts) { .lengths = NULL };
	assert_int_equal(mergeparts_join("x", 1, &how, NULL, &out, &fields,
			     &err),
	    0);
	assert_string_equal(out.p, "x");
	assert_int_equal(fields, 0);
	how.lengths = "12,0,10,10";
	assert_int_equal(mergeparts_join(store.p, store.len, &how, "1,3", &out,
			     &fields, &err),
	    0);
	assert_string_equal(out.p, "Subject: x\r\n\r\nbody 3\r\n");
	/* lengths that are not those of the content */
	how.lengths = "12,0,10,21";
	assert_int_equal(mergeparts_join(store.p, store.len, &how, "3", &out,
			     &fields, &err),
	    -1);
	how.lengths = "12,0,18446744073709551615,10";
	assert_int_equal(mergeparts_join(store.p, store.len, &how, "3", &out,
			     &fields, &err),
	    -1);
	buf_release(&store);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_unstructured),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_structured), cmocka_unit_test(test_text),
		cmocka_unit_test(test_multipart), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_roundtrip), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_last), cmocka_unit_test(test_undefined),
		cmocka_unit_test(test_parts) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
