/*
 * Templates of a merge with values that try to be more than text. The input
 * is three values, each up to a NUL, then a message. Whatever is rendered has
 * the header fields of the template and no other (but what MIME needs), lines
 * that can be sent, as many parts as before, and the same octets each time;
 * merge_check says beforehand what merge_render does.
 */
#include "fuzz.h"
#include "mail/field.h"
#include "mail/merge.h"
#include "mail/mergeparts.h"
#include "mail/message.h"
#include "mail/mime.h"

static const char *const column[] = { "a", "b", "c" };

/* The fields of a header, MIME's own apart; *ret_longest: octets of a line. */
static size_t
count_fields(const char *p, size_t n, size_t *ret_longest)
{
	const char *end = p + n;
	struct message_facts facts;
	struct field f;
	size_t k = 0;

	message_scan(p, n, n, &facts);
	*ret_longest = facts.longest;
	while (field_next(&p, end, &f))
		if (!field_is(&f, "MIME-Version") &&
		    !field_is(&f, "Content-Type") &&
		    !field_is(&f, "Content-Transfer-Encoding"))
			k++;
	FUZZ_CHECK(p == end || (end - p == 2 && memcmp(p, "\r\n", 2) == 0));
	return (k);
}

/* Delimiter lines of the message's multipart. */
static size_t
count_parts(const char *p, size_t n)
{
	size_t header = message_header_len(p, n), k = 0;
	const char *at = p + header, *end = p + n;
	struct buf boundary = BUF_INIT;
	struct mime_delim d;
	struct mime mime;

	mime_parse(p, header, false, &mime);
	if (mime.boundary.len > 0) {
		buf_addf(&boundary, "--");
		buf_add(&boundary, mime.boundary.p, mime.boundary.len);
		for (; mime_delim(at, end, &boundary, &d); at = d.next) {
			k++;
			if (d.closing)
				break;
		}
	}
	mime_release(&mime);
	buf_release(&boundary);
	return (k);
}

/* What was rendered from text. */
static void
check(const struct buf *text, const struct buf *out, size_t header)
{
	size_t longest = 0, was, h;

	h = message_header_len(text->p, text->len);
	FUZZ_CHECK(header == message_header_len(out->p, out->len));
	FUZZ_CHECK(fuzz_only_crlf(out->p, out->len));
	FUZZ_CHECK(count_fields(out->p, header, &longest) ==
	    count_fields(text->p, h, &was));
	FUZZ_CHECK(longest <= MESSAGE_LINE_MAX);
	FUZZ_CHECK(count_parts(out->p, out->len) ==
	    count_parts(text->p, text->len));
}

/* The next value: up to a NUL. */
static struct merge_value
next_value(struct fuzz_in *in, char **ret_p)
{
	size_t n = strnlen((const char *)in->p, in->n);
	struct merge_value v;

	*ret_p = xmemdup(in->p, n);
	v = (struct merge_value) { *ret_p, n };
	in->p += n < in->n ? n + 1 : n;
	in->n -= n < in->n ? n + 1 : n;
	if (!esc_is_utf8(v.p, v.n))
		v.p = NULL; /* submissions do not let it in */
	return (v);
}

static void
render(struct merge *m, const struct merge_value *v, const struct buf *text)
{
	static const struct merge_env env = { .to = "t@x.example",
		.from = "f@x.example",
		.date = "Mon, 23 Nov 2026 21:54:05 +0000",
		.msgid = "id.7" };
	struct buf out = BUF_INIT, again = BUF_INIT;
	size_t header = 0, second = 0;
	int rc;

	rc = merge_check(m, &env, v, NULL);
	FUZZ_CHECK(merge_render(m, &env, v, &out, &header, NULL) == rc);
	if (rc == 0) {
		check(text, &out, header);
		FUZZ_CHECK(merge_render(m, &env, v, &again, &second, NULL) ==
		    0);
		FUZZ_CHECK(second == header && again.len == out.len &&
		    memcmp(again.p, out.p, out.len) == 0);
	}
	buf_release(&out);
	buf_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct buf text = BUF_INIT;
	struct merge_value v[3];
	char *value[3] = { NULL, NULL, NULL }, *p, length[24];
	const struct mergeparts how = { .lengths = length,
		.strip = "X-Job X-Envid",
		.host = "h.example",
		.date = true };
	struct merge *m;
	size_t i, fields;

	for (i = 0; i < 3; i++)
		v[i] = next_value(&in, &value[i]);
	p = fuzz_rest(&in);
	(void)snprintf(length, sizeof(length), "%zu", in.n);
	if (mergeparts_join(p, in.n, &how, NULL, &text, &fields, NULL) == 0 &&
	    merge_parse(text.p, text.len, &m, NULL) == 0) {
		FUZZ_CHECK(fields == 0);
		FUZZ_CHECK(merge_memory(m) > text.len);
		for (i = 0; i < merge_vars(m); i++)
			FUZZ_CHECK(merge_name_valid(merge_var(m, i),
				       strlen(merge_var(m, i))) ||
			    merge_var(m, i)[0] == '*');
		merge_bind(m, column, 3, false);
		render(m, v, &text);
		merge_bind(m, column, 2, true);
		render(m, v, &text);
		merge_free(m);
	}
	for (i = 0; i < 3; i++)
		free(value[i]);
	buf_release(&text);
	free(p);
	return (0);
}
