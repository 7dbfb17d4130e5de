/*
 * Batch files. The input is a flag octet and a file; the flags ask to set its
 * lengths and hash right, so that what is behind them is reached too. What
 * opens can be read, changed and written: it opens again with the new states,
 * and nothing but the fields has changed.
 */
#include <inttypes.h>

#include "base/map.h"
#include "fuzz.h"
#include "spool/batch_int.h"
#include "spool/check.h"

#define NAME "20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-2-40-00000000"
#define VMTA "v"
#define DOMAIN "d.example"

enum { FIX_LENGTHS = 1, FIX_HASH = 2, CHECK = 4, AS_OTHER = 8 };

static void
on_finding(void *arg, const struct spool_finding *f)
{
	(void)arg;
	FUZZ_CHECK(f->what != NULL && strchr(f->what, '\n') == NULL);
}

/* Overwrite digits. */
static void
put_number(struct buf *b, size_t at, int width, uint64_t v)
{
	char digits[24];

	if (at + (size_t)width > b->len)
		return;
	(void)snprintf(digits, sizeof(digits), "%0*" PRIu64, width, v);
	memcpy(b->p + at, digits, (size_t)width);
}

/* The hash of an index up to (not with) its INDEX line. */
static uint64_t
index_hash(const char *p, size_t n)
{
	char *copy = xstrndup(p, n), *line = copy, *nl;
	size_t at;
	uint64_t h;
	char *all = xmalloc(n + 1);

	memcpy(all, p, n);
	for (at = 0; at < n; at += (size_t)(nl - line) + 1) {
		line = all + at;
		nl = memchr(line, '\n', n - at);
		if (nl == NULL)
			break;
		if (line[0] == 'R' && nl - line > 2 + BATCH_FIELDS)
			memset(line + 2, ' ', BATCH_FIELDS);
	}
	h = map_hash(all, n);
	free(all);
	free(copy);
	return (h);
}

/* Make lengths, hash and END line fit. */
static void
repair(struct buf *b, unsigned flags)
{
	char hash[17];
	char *index;
	size_t at;

	index = b->len > 0 ? memmem(b->p, b->len, "\nINDEX ", 7) : NULL;
	if (index == NULL)
		return;
	at = (size_t)(index + 1 - b->p);
	if (at + BATCH_INDEX_LEN + BATCH_END_LEN > b->len)
		return;
	if ((flags & FIX_LENGTHS) != 0) {
		put_number(b, 13, 10, at + BATCH_INDEX_LEN);
		put_number(b, 24, 12,
		    b->len - at - BATCH_INDEX_LEN - BATCH_END_LEN);
		put_number(b, b->len - 17, 16, b->len);
	}
	if ((flags & FIX_HASH) != 0) {
		(void)snprintf(hash, sizeof(hash), "%016" PRIx64,
		    index_hash(b->p, at));
		memcpy(b->p + at + 6, hash, 16);
	}
}

/* The parser on memory of just that size. */
static void
parse_alone(const struct buf *file)
{
	struct batch b = { .fd = -1, .content_fd = -1 };
	const char *why = "";
	uint64_t n = 0;
	char *p;

	if (batch_parse_first(buf_str(file), file->len, &n, &b.content_len,
		&b.h.merge) != 0 ||
	    n > file->len)
		return;
	p = xmalloc(n + 1);
	memcpy(p, file->p, n);
	p[n] = '\0';
	if (batch_parse(&b, p, n, &why) == -1)
		FUZZ_CHECK(*why != '\0');
	free(p);
	free(b.text);
	free(b.msg);
	free(b.slot);
	free(b.source);
}

/* One message with its recipients. */
static void
check_msg(struct batch *b, uint32_t msg, struct batch_txn *t)
{
	uint32_t first, n = batch_msg_slots(b, msg, &first), i, *slots;
	int fd;
	off_t off;

	FUZZ_CHECK(n > 0 && first + n <= batch_slots(b));
	slots = xcalloc(n, sizeof(*slots));
	for (i = 0; i < n; i++)
		slots[i] = first + i;
	FUZZ_CHECK(batch_load(b, slots, n, t, NULL) == 0);
	FUZZ_CHECK(t->n == n && t->msg.msg == msg);
	FUZZ_CHECK(id_valid(t->msg.msgid));
	FUZZ_CHECK(strchr(t->msg.sender, '\n') == NULL);
	for (i = 0; i < n; i++)
		FUZZ_CHECK((t->rcpt[i].vars != NULL) == batch_header(b)->merge);
	for (i = 0; i < n; i++)
		FUZZ_CHECK(*t->rcpt[i].rcpt != '\0' &&
		    strchr(t->rcpt[i].rcpt, '\n') == NULL);
	if (batch_content(b, &t->msg, &fd, &off, NULL) == 0)
		FUZZ_CHECK(off >= 0);
	/* some of them only, and one alone */
	FUZZ_CHECK(batch_load(b, slots + n / 2, n - n / 2, t, NULL) == 0);
	free(slots);
}

/* Give every second recipient a new state, from the input. */
static void
change(struct batch *b, struct fuzz_in *in)
{
	static const char state[] = "-thHdb";
	static const char *const source[] = { NULL, "", "127.0.0.2",
		"2001:db8:ffff:ffff:ffff:ffff:255.255.255.255" };
	uint32_t i;
	unsigned r;

	for (i = 0; i < batch_slots(b); i++) {
		r = fuzz_byte(in);
		if ((r & 1) == 0)
			batch_set(b, i, state[(r >> 1) % 6], r * r,
			    (int64_t)r << (r % 40), source[(r >> 4) % 4]);
	}
	FUZZ_CHECK(batch_flush(b, NULL) == 0);
	FUZZ_CHECK(!batch_dirty(b));
}

static bool
same_slot(const struct batch *a, const struct batch *b, uint32_t i)
{
	struct batch_slot x, y;

	batch_slot(a, i, &x);
	batch_slot(b, i, &y);
	if (x.next < 0 || x.next > BATCH_DUE_NEVER)
		x.next = y.next; /* cut to what a name can say */
	return (x.state == y.state && x.attempts == y.attempts &&
	    x.next == y.next && (x.source == NULL) == (y.source == NULL) &&
	    (x.source == NULL || strcmp(x.source, y.source) == 0));
}

/* It is open: read it, change it, open it again. */
static void
use(struct spool *sp, struct batch *b, struct fuzz_in *in)
{
	struct batch_name n, again;
	char name[BATCH_NAME_MAX];
	struct batch_txn t;
	struct batch *b2;
	uint32_t i;

	batch_txn_init(&t);
	FUZZ_CHECK(batch_msgs(b) > 0);
	for (i = 0; i < batch_msgs(b); i++)
		check_msg(b, i, &t);
	batch_txn_release(&t);
	change(b, in);
	FUZZ_CHECK(batch_open(sp, VMTA, BATCH_NEW, DOMAIN, NAME, false, &b2,
		       NULL) == 0);
	FUZZ_CHECK(batch_slots(b) == batch_slots(b2));
	FUZZ_CHECK(batch_open_count(b) == batch_open_count(b2));
	FUZZ_CHECK(batch_open_bytes(b) == batch_open_bytes(b2));
	for (i = 0; i < batch_slots(b); i++)
		FUZZ_CHECK(same_slot(b, b2, i));
	batch_close(b2);
	FUZZ_CHECK(batch_space(b, NULL) == 0);
	batch_name_now(b, &n);
	(void)batch_name_format(&n, name);
	FUZZ_CHECK(batch_name_parse(name, &again) == 0);
}

/* The octets behind the file say what to change. */
static void
run_file(struct spool *sp, struct fuzz_in *in, unsigned flags)
{
	struct spool_tally tally;
	struct verr err = VERR_INIT;
	struct batch *b;

	if ((flags & CHECK) != 0)
		FUZZ_CHECK(spool_check(sp, false, on_finding, NULL, &tally,
			       NULL) == 0);
	if (batch_open(sp, VMTA, BATCH_NEW,
		(flags & AS_OTHER) != 0 ? "other.example" : DOMAIN, NAME, true,
		&b, &err) == 0) {
		use(sp, b, in);
		batch_close(b);
		return;
	}
	FUZZ_CHECK(err.text[0] != '\0' && strchr(err.text, '\n') == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int dfd = -1;
	struct spool *sp = fuzz_spool();
	struct fuzz_in in = { data, size };
	unsigned flags = fuzz_byte(&in);
	struct buf file = BUF_INIT;

	if (dfd == -1) {
		dfd = fuzz_mkdirs(sp->queue_fd, VMTA "/new/" DOMAIN);
		(void)close(fuzz_mkdirs(sp->queue_fd,
		    VMTA "/new/other.example"));
	}
	buf_add(&file, in.p, in.n);
	repair(&file, flags);
	parse_alone(&file);
	fuzz_put(dfd, NAME, buf_str(&file), file.len);
	/* changes are taken from the end of the file: content, mostly */
	in.p = (const uint8_t *)buf_str(&file) + file.len / 2;
	in.n = file.len - file.len / 2;
	run_file(sp, &in, flags);
	buf_release(&file);
	return (0);
}
