/*
 * What is encoded is decoded to what it was: quoted-printable in pieces cut
 * anywhere, base64, encoded words, and a text part of a merge in each
 * encoding with the input as its value. What cannot be decoded does no harm.
 */
#include "fuzz.h"
#include "mail/charset.h"
#include "mail/decode.h"
#include "mail/encode.h"
#include "mail/merge.h"
#include "mail/message.h"
#include "mail/word.h"

static bool
same(const struct buf *b, const char *p, size_t n)
{
	return (b->len == n && memcmp(buf_str(b), p, n) == 0);
}

/* The text with line ends in CRLF, and no other CR or LF. */
static void
canonical(const char *p, size_t n, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] == '\n')
			buf_add(out, "\r\n", 2);
		else if (p[i] != '\r' && p[i] != '\0')
			buf_addc(out, p[i]);
}

static void
transfer(const struct buf *text, unsigned seed)
{
	const char *p = buf_str(text);
	struct buf enc = BUF_INIT, dec = BUF_INIT;
	struct fuzz_cut c = { seed };
	struct message_facts f;
	size_t at, n, col = 0;

	for (at = 0; at < text->len; at += n) {
		n = fuzz_cut(&c, text->len - at);
		/* no piece ends between CR and LF */
		if (p[at + n - 1] == '\r' && at + n < text->len)
			n++;
		encode_qp_piece(p + at, n, &col, &enc);
	}
	message_scan(buf_str(&enc), enc.len, 0, &f);
	FUZZ_CHECK(f.longest <= 76 && !f.body_8bit);
	decode_qp(buf_str(&enc), enc.len, &dec);
	FUZZ_CHECK(same(&dec, p, text->len));
	buf_clear(&enc);
	buf_clear(&dec);
	encode_base64(p, text->len, &enc);
	FUZZ_CHECK(decode_base64(buf_str(&enc), enc.len, &dec) == 0);
	FUZZ_CHECK(same(&dec, p, text->len));
	buf_release(&enc);
	buf_release(&dec);
}

/* One line of UTF-8 as encoded words. */
static void
words(const char *p, size_t n, unsigned col)
{
	struct buf enc = BUF_INIT, dec = BUF_INIT;
	size_t i;

	word_encode(p, n, col, &enc);
	for (i = 0; i < enc.len; i++)
		FUZZ_CHECK(enc.p[i] >= 0x20 && enc.p[i] < 0x7f);
	FUZZ_CHECK(word_decode(buf_str(&enc), enc.len, &dec) == 0);
	FUZZ_CHECK(same(&dec, p, n));
	buf_clear(&enc);
	buf_clear(&dec);
	word_unstructured(p, n, col, &enc);
	FUZZ_CHECK(!charset_8bit(buf_str(&enc), enc.len));
	FUZZ_CHECK(word_decode(buf_str(&enc), enc.len, &dec) == 0);
	FUZZ_CHECK(same(&dec, p, n));
	buf_release(&enc);
	buf_release(&dec);
}

/* A text part of that encoding whose text is `<` value `>`. */
static void
merge(const char *cte, const char *body, const struct buf *text)
{
	static const char *const column[] = { "a" };
	const struct merge_value v = { buf_str(text), text->len };
	struct buf in = BUF_INIT, out = BUF_INIT, dec = BUF_INIT;
	const struct merge_env env = { .to = "" };
	size_t header = 0;
	struct merge *m;
	const char *p;

	buf_addf(&in,
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n%s\r\n",
	    cte, body);
	FUZZ_CHECK(merge_parse(in.p, in.len, &m, NULL) == 0);
	merge_bind(m, column, 1, false);
	FUZZ_CHECK(merge_render(m, &env, &v, &out, &header, NULL) == 0);
	p = out.p + header;
	if (memmem(out.p, header, "Encoding: base64", 16) != NULL)
		FUZZ_CHECK(decode_base64(p, out.len - header, &dec) == 0);
	else if (memmem(out.p, header, "Encoding: quoted", 16) != NULL)
		decode_qp(p, out.len - header, &dec);
	else
		buf_add(&dec, p, out.len - header);
	if (dec.len >= 2 && memcmp(dec.p + dec.len - 2, "\r\n", 2) == 0)
		dec.len -= 2;
	FUZZ_CHECK(dec.len == text->len + 2 && dec.p[0] == '<' &&
	    memcmp(dec.p + 1, buf_str(text), text->len) == 0);
	merge_free(m);
	buf_release(&in);
	buf_release(&out);
	buf_release(&dec);
}

/* Decoders with anything. */
static void
decoders(const char *p, size_t n)
{
	static const char *const name[] = { "iso-8859-15", "windows-1252",
		"gb18030", "euc-jp", "iso-8859-99", "utf-8", "us-ascii",
		"iso-2022-jp", "iso-8859-1//TRANSLIT" };
	struct buf b = BUF_INIT, back = BUF_INIT;
	struct charset *c;
	size_t i;

	decode_qp(p, n, &b);
	(void)decode_base64(p, n, &b);
	(void)word_decode(p, n, &b);
	for (i = 0; i < LEN(name); i++) {
		c = charset_open(name[i], strlen(name[i]));
		FUZZ_CHECK((c == NULL) == (i == 4 || i > 6));
		buf_clear(&b);
		buf_clear(&back);
		if (c != NULL && charset_decode(c, p, n, &b) == 0) {
			FUZZ_CHECK(esc_is_utf8(buf_str(&b), b.len));
			if (i < 2) { /* one octet, one character */
				FUZZ_CHECK(charset_encode(c, buf_str(&b), b.len,
					       &back) == 0);
				FUZZ_CHECK(same(&back, p, n));
			}
		}
		charset_free(c);
	}
	buf_release(&b);
	buf_release(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned seed = fuzz_byte(&in) + 1, col = fuzz_byte(&in);
	struct buf text = BUF_INIT;
	char *p = fuzz_rest(&in);
	size_t i;

	decoders(p, in.n);
	canonical(p, in.n, &text);
	transfer(&text, seed);
	if (esc_is_utf8(buf_str(&text), text.len)) {
		merge("8bit", "<[a]>", &text);
		merge("7bit", "<[a]>", &text);
		merge("quoted-printable", "<=5Ba]>", &text);
		merge("base64", "PFthXT4=", &text);
		for (i = 0; i < text.len; i++)
			if (text.p[i] == '\r' || text.p[i] == '\n')
				text.p[i] = '.';
		if (text.len > 0)
			words(text.p, text.len, col);
	}
	buf_release(&text);
	free(p);
	return (0);
}
