/*
 * Pickup files: what is accepted, and what is said against the rest, is the
 * same whatever the cuts; what is accepted can be stored and sent; lines of
 * the envelope are not in the message.
 */
#include "fuzz.h"
#include "mail/pickup.h"

struct seen {
	struct buf rcpts, text;
};

static int
on_rcpt(void *arg, const struct addr *a, struct verr *err)
{
	struct seen *s = arg;

	(void)err;
	FUZZ_CHECK(fuzz_no_controls(a->smtp, a->smtp_len));
	FUZZ_CHECK(spool_domain_valid(addr_domain(a)));
	buf_addf(&s->rcpts, "%s\n", a->smtp);
	return (0);
}

static int
on_data(void *arg, const char *p, size_t n, struct verr *err)
{
	struct seen *s = arg;

	(void)err;
	FUZZ_CHECK(n > 0);
	buf_add(&s->text, p, n);
	return (0);
}

/* Read it; the outcome in words, appended to log. */
static void
feed(const char *p, size_t n, unsigned flags, uint32_t cut, struct buf *log)
{
	static const struct addr_local local = { "host.example", "example" };
	struct seen s = { BUF_INIT, BUF_INIT };
	struct pickup_opts o = { .max_rcpt = (flags & 1) != 0 ? 3 : 0,
		.local = (flags & 2) != 0 ? &local : NULL,
		.rcpt = on_rcpt,
		.data = on_data,
		.arg = &s };
	struct fuzz_cut c = { cut };
	struct pickup *pk = pickup_new(&o);
	struct verr err = VERR_INIT;
	size_t piece, all = n;
	int rc = 0;

	for (; n > 0 && rc == 0; p += piece, n -= piece) {
		piece = fuzz_cut(&c, n);
		rc = pickup_feed(pk, p, piece, &err);
	}
	if (rc == 0)
		rc = pickup_end(pk, &err);
	buf_addf(log, "%d %s\n", err.code, err.text);
	if (rc == 0) {
		FUZZ_CHECK(s.rcpts.len > 0);
		FUZZ_CHECK(s.text.len > 0 && s.text.len < all);
		/* its end is the end of the file */
		FUZZ_CHECK(s.text.p[s.text.len - 1] == p[-1]);
		FUZZ_CHECK(fuzz_no_controls(pickup_envid(pk),
		    strlen(pickup_envid(pk))));
		FUZZ_CHECK(strchr(pickup_job(pk), '\n') == NULL);
		buf_addf(log, "%s %s %s\n%s", pickup_sender(pk)->smtp,
		    pickup_job(pk), pickup_envid(pk), buf_str(&s.rcpts));
		buf_add(log, s.text.p, s.text.len);
	} else {
		FUZZ_CHECK(err.code == VEX_DATA);
		FUZZ_CHECK(fuzz_no_controls(err.text, strlen(err.text)));
	}
	pickup_free(pk);
	buf_release(&s.rcpts);
	buf_release(&s.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned flags = fuzz_byte(&in), seed = fuzz_byte(&in) + 1;
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	char *p = fuzz_rest(&in);

	(void)pickup_kind(p, in.n < PICKUP_LOOK ? in.n : PICKUP_LOOK);
	feed(p, in.n, flags, 0, &whole);
	feed(p, in.n, flags, seed, &cut);
	FUZZ_CHECK(whole.len == cut.len &&
	    memcmp(buf_str(&whole), buf_str(&cut), cut.len) == 0);
	buf_release(&whole);
	buf_release(&cut);
	free(p);
	return (0);
}
