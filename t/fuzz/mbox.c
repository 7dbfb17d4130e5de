/*
 * mboxes: messages and what is refused are the same whatever the cuts; begin
 * and end stand in pairs with data between, lines count up, and of the input
 * nothing is in a message that was not there, but for a quote.
 */
#include "fuzz.h"
#include "mail/mbox.h"

struct seen {
	struct buf log;
	bool open;
	uint64_t line;
	size_t octets;
};

static int
on_begin(void *arg, uint64_t line, const char *sender, struct verr *err)
{
	struct seen *s = arg;

	(void)err;
	FUZZ_CHECK(!s->open && line > s->line);
	FUZZ_CHECK(strchr(sender, '\n') == NULL);
	s->open = true;
	s->line = line;
	buf_addf(&s->log, "%llu from %s\n", (unsigned long long)line, sender);
	return (0);
}

static int
on_data(void *arg, const char *p, size_t n, struct verr *err)
{
	struct seen *s = arg;

	(void)err;
	FUZZ_CHECK(s->open && n > 0);
	s->octets += n;
	buf_add(&s->log, p, n);
	return (0);
}

static int
on_end(void *arg, struct verr *err)
{
	struct seen *s = arg;

	(void)err;
	FUZZ_CHECK(s->open);
	s->open = false;
	buf_adds(&s->log, "end\n");
	return (0);
}

static void
on_refuse(void *arg, uint64_t line, const char *why)
{
	struct seen *s = arg;

	FUZZ_CHECK(!s->open && line > s->line);
	s->line = line;
	buf_addf(&s->log, "%llu refused %s\n", (unsigned long long)line, why);
}

static void
feed(const char *p, size_t n, uint32_t cut, struct seen *s)
{
	const struct mbox_opts o = { on_begin, on_data, on_end, on_refuse, s };
	struct fuzz_cut c = { cut };
	struct mbox *m = mbox_new(&o);
	size_t piece, left;

	for (left = n; left > 0; p += piece, left -= piece) {
		piece = fuzz_cut(&c, left);
		FUZZ_CHECK(mbox_feed(m, p, piece, NULL) == 0);
	}
	FUZZ_CHECK(mbox_end(m, NULL) == 0);
	FUZZ_CHECK(!s->open && s->octets <= n);
	mbox_free(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned seed = fuzz_byte(&in) + 1;
	struct seen whole = { .line = 0 }, cut = { .line = 0 };
	char *p = fuzz_rest(&in);

	feed(p, in.n, 0, &whole);
	feed(p, in.n, seed, &cut);
	FUZZ_CHECK(whole.log.len == cut.log.len &&
	    memcmp(buf_str(&whole.log), buf_str(&cut.log), cut.log.len) == 0);
	buf_release(&whole.log);
	buf_release(&cut.log);
	free(p);
	return (0);
}
