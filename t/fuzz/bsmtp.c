/*
 * Batch SMTP, merges too: what is accepted and what is refused, and where, is
 * the same whatever the cuts; what is accepted can be stored and sent.
 */
#include "fuzz.h"
#include "mail/bsmtp.h"

/* A text that goes into a command or a line of the spool. */
static void
check_word(const char *s)
{
	FUZZ_CHECK(fuzz_no_controls(s, strlen(s)));
}

/* A merge: variables of each recipient, parts that are all there. */
static void
check_merge(const struct xmrg *x, size_t rcpts, struct buf *log)
{
	struct merge_value v[XMRG_NAMES_MAX];
	const char *const *name;
	const struct buf *text;
	size_t n, i, k, octets = 0;
	unsigned int part;

	name = xmrg_names(x, &n);
	FUZZ_CHECK(n <= XMRG_NAMES_MAX);
	FUZZ_CHECK(xmrg_begun(x) && xmrg_last(x) && xmrg_parts(x) > 0);
	for (i = 0; i < rcpts; i++) {
		xmrg_values(x, i, v);
		for (k = 0; k < n; k++) {
			FUZZ_CHECK(*name[k] == '*' ?
				merge_reserved(name[k], strlen(name[k])) != -1 :
				merge_name_valid(name[k], strlen(name[k])));
			FUZZ_CHECK(v[k].p == NULL ||
			    memchr(v[k].p, '\n', v[k].n) == NULL);
			buf_addf(log, "%s=", name[k]);
			buf_add(log, v[k].p != NULL ? v[k].p : "-",
			    v[k].p != NULL ? v[k].n : 1);
		}
	}
	for (part = 1; part <= xmrg_parts(x); part++) {
		text = xmrg_text(x, part);
		octets += text->len;
		buf_add(log, buf_str(text), text->len);
	}
	FUZZ_CHECK(octets == xmrg_size(x));
}

static int
on_done(void *arg, struct bsmtp_txn *t, struct verr *err)
{
	struct buf *log = arg;
	size_t i;

	(void)err;
	FUZZ_CHECK(t->n_rcpt > 0);
	check_word(t->from.smtp);
	check_word(t->mail.envid);
	buf_addf(log, "%llu from %s %lld %s\n", (unsigned long long)t->line,
	    t->from.smtp, (long long)t->mail.size, t->mail.envid);
	for (i = 0; i < t->n_rcpt; i++) {
		const struct bsmtp_rcpt *r = &t->rcpt[i];

		check_word(r->orig);
		check_word(r->smtp);
		check_word(r->orcpt);
		FUZZ_CHECK(spool_domain_valid(r->domain));
		buf_addf(log, "%llu to %s %s %s %s\n",
		    (unsigned long long)r->line, r->orig, r->smtp, r->notify,
		    r->orcpt);
	}
	if (t->merge != NULL) {
		FUZZ_CHECK(t->data.len == 0);
		check_merge(t->merge, t->n_rcpt, log);
		return (0);
	}
	buf_add(log, t->data.p, t->data.len);
	if (t->data.len % 2 == 0) {
		/* the caller may take it */
		free(buf_take(&t->data));
	}
	return (0);
}

static void
on_refuse(void *arg, bool txn, uint64_t line, const char *why)
{
	FUZZ_CHECK(line > 0);
	FUZZ_CHECK(strchr(why, '\n') == NULL);
	buf_addf(arg, "%llu %s %s\n", (unsigned long long)line,
	    txn ? "refused" : "bad recipient", why);
}

static void
feed(const char *p, size_t n, unsigned flags, uint32_t cut, struct buf *log)
{
	struct bsmtp_opts o = { .max_line = (flags & 1) != 0 ? 60 : 0,
		.max_size = (flags & 2) != 0 ? 40 : 0,
		.max_rcpt = (flags & 4) != 0 ? 3 : 0,
		.done = on_done,
		.refuse = on_refuse,
		.arg = log };
	struct fuzz_cut c = { cut };
	struct bsmtp *b = bsmtp_new(&o);
	size_t piece;

	for (; n > 0; p += piece, n -= piece) {
		piece = fuzz_cut(&c, n);
		FUZZ_CHECK(bsmtp_feed(b, p, piece, NULL) == 0);
	}
	FUZZ_CHECK(bsmtp_end(b, NULL) == 0);
	bsmtp_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned flags = fuzz_byte(&in), seed = fuzz_byte(&in) + 1;
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	char *p = fuzz_rest(&in);

	feed(p, in.n, flags, 0, &whole);
	feed(p, in.n, flags, seed, &cut);
	FUZZ_CHECK(whole.len == cut.len &&
	    memcmp(buf_str(&whole), buf_str(&cut), cut.len) == 0);
	buf_release(&whole);
	buf_release(&cut);
	free(p);
	return (0);
}
