/*
 * Messages from outside: the stored form is the same whatever the cuts, has
 * nothing but CRLF line ends, keeps no Bcc, and is its own stored form. Its
 * fields, its recipients and what MIME says of it can be read.
 */
#include "fuzz.h"
#include "mail/field.h"
#include "mail/message.h"
#include "mail/mime.h"

#define SIZE_MAX_TRIED 3000

/* What the first octet of the input asks for. */
static struct message_opts
options(unsigned flags)
{
	static const char *const strip[] = { "X-Job", "X-VirtualMTA", NULL };

	return ((struct message_opts) {
	    .stray = (flags & 1) != 0 ? MESSAGE_REPAIR : MESSAGE_REFUSE,
	    .dot_ends = (flags & 2) != 0,
	    .max_size = (flags & 4) != 0 ? SIZE_MAX_TRIED : 0,
	    .message_id = (flags & 8) != 0 ? "<id@host.example>" : NULL,
	    .date = (flags & 8) != 0 ? "Mon, 23 Nov 2026 21:54:05 +0000" : NULL,
	    .prefix = (flags & 16) != 0 ? "Received: by host.example\r\n" :
					  NULL,
	    .strip = (flags & 32) != 0 ? strip : NULL,
	});
}

/* Read it all; is it accepted? */
static bool
feed(struct message *m, const struct message_opts *o, const char *p, size_t n,
    uint32_t cut)
{
	struct fuzz_cut c = { cut };
	size_t piece;
	int rc = 0;

	message_init(m, o);
	while (n > 0 && rc == 0) {
		piece = fuzz_cut(&c, n);
		rc = message_feed(m, p, piece, NULL);
		p += piece;
		n -= piece;
	}
	return (rc == 0 && message_end(m, NULL) == 0);
}

/* Every field of the header, and as the value of another one. */
static void
check_fields(const struct message *m)
{
	const char *p = m->text.p, *end = p + m->header_len, *at;
	struct buf value = BUF_INIT, copy = BUF_INIT;
	struct field f, again;

	while (field_next(&p, end, &f)) {
		FUZZ_CHECK(!field_is(&f, "Bcc") && !field_is(&f, "Resent-Bcc"));
		buf_clear(&value);
		buf_clear(&copy);
		field_unfold(&f, &value);
		FUZZ_CHECK(memchr(buf_str(&value), '\n', value.len) == NULL);
		if (field_add(&copy, "X-Copy", f.value, f.value_len, NULL) ==
		    -1)
			continue;
		at = copy.p;
		FUZZ_CHECK(field_next(&at, copy.p + copy.len, &again));
		FUZZ_CHECK(at == copy.p + copy.len);
	}
	/* all of the header was fields, and perhaps the empty line */
	FUZZ_CHECK(p == end || (end - p == 2 && memcmp(p, "\r\n", 2) == 0));
	buf_release(&value);
	buf_release(&copy);
}

static int
on_rcpt(void *arg, const struct addr *a, struct verr *err)
{
	(void)err;
	++*(unsigned *)arg;
	FUZZ_CHECK(fuzz_no_controls(a->smtp, a->smtp_len));
	FUZZ_CHECK(spool_domain_valid(addr_domain(a)));
	return (0);
}

/* What is stored. */
static void
check_stored(const struct message *m, const struct message_opts *o)
{
	struct message_opts plain = { .stray = MESSAGE_REFUSE };
	const char *p = buf_str(&m->text);
	struct message_facts f, header;
	struct message again;
	struct mime mime;
	unsigned n = 0;

	FUZZ_CHECK(m->header_len <= m->text.len);
	FUZZ_CHECK(fuzz_only_crlf(p, m->text.len));
	FUZZ_CHECK(m->text.len == 0 || p[m->text.len - 1] == '\n');
	FUZZ_CHECK(m->facts.size == m->text.len);
	message_scan(p, m->text.len, m->header_len, &f);
	FUZZ_CHECK(memcmp(&f.size, &m->facts.size, 3 * sizeof(size_t)) == 0);
	message_scan(p, m->header_len, m->header_len, &header);
	FUZZ_CHECK(header.longest <= MESSAGE_LINE_MAX);
	if (m->text.len > 0)
		check_fields(m);
	(void)message_recipients(m, NULL, on_rcpt, &n, NULL);
	mime_parse(p, m->header_len, false, &mime);
	mime_release(&mime);
	(void)message_header(m, "Subject", NULL);
	if (o->prefix != NULL)
		return;
	FUZZ_CHECK(feed(&again, &plain, p, m->text.len, 0));
	FUZZ_CHECK(again.text.len == m->text.len &&
	    memcmp(buf_str(&again.text), p, m->text.len) == 0);
	FUZZ_CHECK(again.header_len == m->header_len);
	message_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct message_opts o = options(fuzz_byte(&in));
	unsigned seed = fuzz_byte(&in) + 1;
	struct message whole, cut;
	char *p = fuzz_rest(&in);
	bool ok;

	ok = feed(&whole, &o, p, in.n, 0);
	FUZZ_CHECK(feed(&cut, &o, p, in.n, seed) == ok);
	if (ok) {
		FUZZ_CHECK(whole.text.len == cut.text.len &&
		    memcmp(buf_str(&whole.text), buf_str(&cut.text),
			cut.text.len) == 0);
		FUZZ_CHECK(whole.header_len == cut.header_len);
		check_stored(&whole, &o);
	}
	message_release(&whole);
	message_release(&cut);
	free(p);
	return (0);
}
