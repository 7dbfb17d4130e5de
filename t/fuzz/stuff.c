/*
 * Dot-stuffing, wherever a read of the content ends: what was stuffed, taken
 * apart as a server does (RFC 5321 4.5.2), is what it was, no line of it is a
 * lone dot, and it is no longer than it must be.
 */
#include "../../lib/smtp/body.c" /* body_stuff */

#include "fuzz.h"

/* Drop the first dot of each line. */
static void
unstuff(const struct buf *wire, struct buf *ret_text)
{
	bool bol = true;
	size_t i;

	for (i = 0; i < wire->len; i++) {
		if (bol && wire->p[i] == '.') {
			/* a lone dot would end the message */
			FUZZ_CHECK(i + 1 < wire->len);
			FUZZ_CHECK(wire->p[i + 1] != '\r' &&
			    wire->p[i + 1] != '\n');
			bol = false;
			continue;
		}
		buf_addc(ret_text, wire->p[i]);
		bol = wire->p[i] == '\n';
	}
}

/* Stuff p in pieces. */
static void
stuff(const char *p, size_t n, uint32_t cut, struct buf *ret_wire)
{
	struct smtp_conn c = { .txn = { .bol = true } };
	struct fuzz_cut k = { cut };
	size_t piece;
	char *alone;

	for (; n > 0; p += piece, n -= piece) {
		piece = fuzz_cut(&k, n);
		alone = xmalloc(piece);
		memcpy(alone, p, piece);
		body_stuff(&c, alone, piece);
		free(alone);
	}
	*ret_wire = c.out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned seed = fuzz_byte(&in) + 1;
	const char *p = (const char *)in.p;
	struct buf whole = BUF_INIT, cut = BUF_INIT, text = BUF_INIT;
	size_t i, dots = 0;

	for (i = 0; i < in.n; i++)
		if (p[i] == '.' && (i == 0 || p[i - 1] == '\n'))
			dots++;
	stuff(p, in.n, 0, &whole);
	stuff(p, in.n, seed, &cut);
	FUZZ_CHECK(whole.len == in.n + dots);
	FUZZ_CHECK(whole.len == cut.len &&
	    memcmp(buf_str(&whole), buf_str(&cut), cut.len) == 0);
	unstuff(&whole, &text);
	FUZZ_CHECK(text.len == in.n && memcmp(buf_str(&text), p, in.n) == 0);
	buf_release(&whole);
	buf_release(&cut);
	buf_release(&text);
	return (0);
}
