/*
 * The journal. Mode 0: a segment as a crash or a bad disk leaves it is read
 * to its end; what was whole is handed out, twice the same. Mode 1: a record
 * of hostile texts is one line, whose fields are those texts, escaped. Mode
 * 2: an accounting file of another program.
 */
#include "acct/record.h"
#include "acct/replay.h"
#include "acct/segment.h"
#include "base/csv.h"
#include "fuzz.h"
#include "report/filter.h"
#include "spool/batch.h"
#include "spool/owner.h"

#define ID "1lp6jv7m0d3k8q2r5t1ua"

/* A line of ours: printable, one, not too long. */
static void
check_line(const struct buf *b)
{
	FUZZ_CHECK(b->len <= RECORD_MAX);
	FUZZ_CHECK(b->len > 2 && memcmp(b->p + b->len - 2, "\r\n", 2) == 0);
	FUZZ_CHECK(fuzz_no_controls(b->p, b->len - 2));
	FUZZ_CHECK(esc_is_utf8(b->p, b->len));
}

/* A record that was read: written, it is a record again, about the same. */
static void
check_record(const struct acct_record *r, struct buf *log)
{
	struct buf line = BUF_INIT;
	struct acct_record again;
	struct record_map map;

	record_format(r, &line);
	check_line(&line);
	record_map_default(&map);
	FUZZ_CHECK(record_parse(&map, line.p, line.len - 2, &again) == 0);
	FUZZ_CHECK(strcmp(again.type, r->type) == 0);
	FUZZ_CHECK(again.state == r->state);
	if (r->state != 0)
		FUZZ_CHECK(again.slot == r->slot &&
		    again.attempts == r->attempts);
	buf_addf(log, "%s %s %c %u %u\n", r->type,
	    r->msg_id != NULL ? r->msg_id : "-", r->state != 0 ? r->state : '0',
	    r->slot, r->attempts);
	buf_release(&line);
}

static int
on_replay(void *arg, const struct acct_record *r, const char *bad,
    struct verr *err)
{
	(void)err;
	if (r != NULL) {
		FUZZ_CHECK(r->state == 0 || batch_state_valid(r->state));
		check_record(r, arg);
	} else
		FUZZ_CHECK(bad != NULL && strchr(bad, '\n') == NULL);
	return (0);
}

/* Replay of what is in acct/. */
static uint64_t
replay(struct spool *sp, struct buf *log)
{
	static struct owner *o;
	struct replay rp;
	uint64_t n;

	if (o == NULL)
		FUZZ_CHECK(owner_open(sp, &o, NULL) == 0);
	FUZZ_CHECK(replay_dead(sp, o, NULL, on_replay, log, &rp, NULL) == 0);
	n = rp.records;
	replay_release(&rp);
	return (n);
}

static void
try_segment(const struct fuzz_in *in, bool header)
{
	struct spool *sp = fuzz_spool();
	struct buf file = BUF_INIT, first = BUF_INIT, again = BUF_INIT;
	char name[SEGMENT_NAME_MAX];

	if (header)
		record_header(&file, COL_N);
	buf_add(&file, in->p, in->n);
	(void)segment_name(ID, true, name);
	fuzz_put(sp->acct_fd, name, buf_str(&file), file.len);
	(void)replay(sp, &first);
	/* a torn tail is gone now; the rest is as it was */
	(void)replay(sp, &again);
	FUZZ_CHECK(first.len == again.len &&
	    memcmp(buf_str(&first), buf_str(&again), again.len) == 0);
	(void)unlinkat(sp->acct_fd, name, 0);
	buf_release(&file);
	buf_release(&first);
	buf_release(&again);
}

/* Text up to the next 0xff; NULL for none. */
static char *
next_text(struct fuzz_in *in)
{
	const uint8_t *end = in->n > 0 ? memchr(in->p, 0xff, in->n) : NULL;
	size_t n = end != NULL ? (size_t)(end - in->p) : in->n;
	char *s = n > 0 ? xstrndup((const char *)in->p, n) : NULL;

	n += end != NULL ? 1 : 0;
	in->p += n;
	in->n -= n;
	return (s);
}

/* Is the field the escaped text, or, in a long line, its beginning? */
static void
check_text(const char *field, const char *text, bool cut)
{
	struct buf want = BUF_INIT;
	size_t n;

	if (text != NULL)
		esc_line(&want, text, strlen(text));
	n = strlen(field);
	if (strcmp(field, buf_str(&want)) != 0) {
		FUZZ_CHECK(cut && n >= 3 && strcmp(field + n - 3, "...") == 0);
		FUZZ_CHECK(strncmp(field, buf_str(&want), n - 3) == 0);
	}
	buf_release(&want);
}

static void
try_record(struct fuzz_in *in)
{
	static const enum record_col cols[] = { COL_ORIG, COL_RCPT, COL_ORCPT,
		COL_DSN_MTA, COL_JOB_ID, COL_ENV_ID, COL_USER_STRING,
		COL_RCV_SMTP_USER };
	struct acct_record r = { .type = "b",
		.time_logged = FUZZ_NOW,
		.queue = "d.example/v",
		.msg_id = ID,
		.batch = ID,
		.state = 'b',
		.slot = fuzz_byte(in),
		.attempts = fuzz_byte(in) };
	const char **member[] = { &r.orig, &r.rcpt, &r.orcpt, &r.dsn_mta,
		&r.job_id, &r.env_id, &r.user_string, &r.rcv_smtp_user };
	char *text[LEN(member) + 2], *field[COL_N];
	struct record_map map;
	struct buf line = BUF_INIT;
	size_t i, n;

	for (i = 0; i < LEN(text); i++)
		text[i] = next_text(in);
	for (i = 0; i < LEN(member); i++)
		*member[i] = text[i];
	r.dsn_diag = text[i];
	r.dsn_status = text[i + 1];
	record_format(&r, &line);
	check_line(&line);
	n = line.len;
	record_map_default(&map);
	FUZZ_CHECK(record_split(&map, line.p, n - 2, field) == 0);
	for (i = 0; i < LEN(member); i++)
		check_text(field[cols[i]], text[i], n > RECORD_MAX - 400);
	FUZZ_CHECK(strcmp(field[COL_BATCH], ID) == 0);
	FUZZ_CHECK(strcmp(field[COL_QUEUE], "d.example/v") == 0);
	for (i = 0; i < LEN(text); i++)
		free(text[i]);
	buf_release(&line);
}

static int
on_row(void *arg, struct report_row *row, struct verr *err)
{
	int i;

	(void)err;
	++*(unsigned *)arg;
	for (i = 0; i < COL_N; i++)
		FUZZ_CHECK(row->field[i] != NULL);
	FUZZ_CHECK(row->domain != NULL);
	return (0);
}

static void
try_report(const struct fuzz_in *in)
{
	struct report_filter f = { 0 };
	struct report_count count;
	struct verr err = VERR_INIT;
	struct buf path = BUF_INIT;
	char *files[1];
	unsigned n = 0;

	buf_addf(&path, "%s/acct.csv", fuzz_scratch());
	fuzz_put(AT_FDCWD, path.p, in->p, in->n);
	files[0] = path.p;
	if (report_rows(&fuzz_sys, NULL, files, 1, &f, on_row, &n, &count,
		&err) == 0)
		FUZZ_CHECK(count.rows == n);
	buf_release(&path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	switch (fuzz_byte(&in) % 4) {
	case 0:
		try_segment(&in, true);
		break;
	case 1:
		try_segment(&in, false);
		break;
	case 2:
		try_record(&in);
		break;
	case 3:
		try_report(&in);
		break;
	}
	return (0);
}
