/*
 * Re-encoding for 7-bit peers: what comes out has no octet over 127, no line
 * over 998, no line end but CRLF, and is left alone by another pass; a text
 * or a binary part alone decodes to what it was.
 */
#include "fuzz.h"
#include "mail/field.h"
#include "mail/message.h"
#include "mail/mime.h"
#include "mail/reenc.h"

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	return (c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1);
}

static void
decode_qp(const char *p, size_t n, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] != '=') {
			buf_addc(out, p[i]);
			continue;
		}
		FUZZ_CHECK(n - i >= 3);
		if (p[i + 1] != '\r') {
			FUZZ_CHECK(hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0);
			buf_addc(out, hex(p[i + 1]) << 4 | hex(p[i + 2]));
		}
		i += 2;
	}
}

static void
decode_base64(const char *p, size_t n, struct buf *out)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, have = 0;
	const char *at;
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '\r' || p[i] == '\n' || p[i] == '=')
			continue;
		at = strchr(set, p[i]);
		FUZZ_CHECK(at != NULL && *at != '\0');
		bits = (bits & 0xffff) << 6 | (unsigned)(at - set);
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_addc(out, (int)(bits >> have & 0xff));
		}
	}
}

/* A part alone, not encoded before: is its body what it was? */
static void
check_body(const char *p, size_t n, const struct buf *out)
{
	size_t hlen = message_header_len(p, n),
	       ohlen = message_header_len(out->p, out->len);
	struct buf body = BUF_INIT;
	struct mime was, is;

	mime_parse(p, hlen, false, &was);
	mime_parse(out->p, ohlen, false, &is);
	if (was.cte <= MIME_BINARY && !mime_is(&was, "multipart", NULL) &&
	    !mime_is(&was, "message", NULL) &&
	    (is.cte == MIME_QP || is.cte == MIME_BASE64)) {
		if (is.cte == MIME_QP)
			decode_qp(out->p + ohlen, out->len - ohlen, &body);
		else
			decode_base64(out->p + ohlen, out->len - ohlen, &body);
		FUZZ_CHECK(body.len == n - hlen);
		FUZZ_CHECK(memcmp(buf_str(&body), p + hlen, body.len) == 0);
	}
	buf_release(&body);
	mime_release(&was);
	mime_release(&is);
}

static void
check_clean(const char *p, size_t n, const struct buf *out)
{
	struct buf again = BUF_INIT;
	struct message_facts f;

	message_scan(buf_str(out), out->len, 0, &f);
	FUZZ_CHECK(!f.body_8bit);
	FUZZ_CHECK(f.longest <= MESSAGE_LINE_MAX);
	FUZZ_CHECK(fuzz_only_crlf(buf_str(out), out->len));
	FUZZ_CHECK(reenc_7bit(buf_str(out), out->len, &again, NULL) == 0);
	FUZZ_CHECK(again.len == out->len &&
	    memcmp(buf_str(&again), buf_str(out), out->len) == 0);
	if (out->len != n || memcmp(out->p, p, n) != 0)
		check_body(p, n, out);
	buf_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_opts o = { .stray = MESSAGE_REPAIR };
	struct buf out = BUF_INIT;
	struct message m;
	char *p;
	size_t n;

	message_init(&m, &o);
	if (message_feed(&m, (const char *)data, size, NULL) == 0 &&
	    message_end(&m, NULL) == 0) {
		n = m.text.len;
		p = xmalloc(n + 1);
		memcpy(p, buf_str(&m.text), n);
		if (reenc_7bit(p, n, &out, NULL) == 0)
			check_clean(p, n, &out);
		buf_release(&out);
		free(p);
	}
	message_release(&m);
	return (0);
}
