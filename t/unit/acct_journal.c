/* acct/journal, acct/replay: what is durable stays, and stays single. */
#include "acct_util.h"
#include "acct/replay.h"

static struct acct_record
record_of(unsigned int n, char *id)
{
	(void)snprintf(id, 40, "1lp6jv7m0d3k8q2r%05u", n % 100000);
	return ((struct acct_record) { .type = "d",
	    .msg_id = id,
	    .rcpt_index = n,
	    .time_logged = 1795470845,
	    .rcpt = "a@b",
	    .queue = "b/v",
	    .batch = "1lp6jv7m0d3k8q2r5t1ua",
	    .state = 'd',
	    .slot = n,
	    .attempts = 1,
	    .dsn_diag = "250 ok, \"fine\"" });
}

static uint64_t
append(struct journal *j, unsigned int n)
{
	char id[40];
	struct acct_record r = record_of(n, id);

	return (journal_append(j, &r));
}

/* What a replay gave. */
struct seen {
	unsigned int n;	   /* records */
	unsigned int bad;  /* lines that are none */
	unsigned int next; /* rcptIndex that is expected, in order */
	bool in_order;
	unsigned char count[4096]; /* of each rcptIndex */
	bool stop;
};

static int
see(void *arg, const struct acct_record *r, const char *bad, struct verr *err)
{
	struct seen *s = arg;

	if (s->stop)
		return (verr_set(err, VEX_IO, "stopped"));
	if (bad != NULL) {
		assert_null(r);
		s->bad++;
		return (0);
	}
	if (r->rcpt_index != s->next++)
		s->in_order = false;
	assert_true(r->rcpt_index < sizeof(s->count));
	s->count[r->rcpt_index]++;
	s->n++;
	return (0);
}

static void
replay(struct place *p, const struct journal *own, struct seen *s)
{
	struct verr err = VERR_INIT;
	struct replay r;

	memset(s, 0, sizeof(*s));
	s->in_order = true;
	assert_int_equal(replay_dead(&p->sp, p->owner, own, see, s, &r, &err),
	    0);
	assert_int_equal(r.records, s->n);
	assert_int_equal(r.bad, s->bad);
	assert_int_equal(replay_retire(&r, &err), 0);
}

/* Segments of a kind. */
static unsigned int
segments(struct place *p, bool live)
{
	struct segment_list l;
	unsigned int n = 0;
	size_t i;

	assert_int_equal(segment_list(sys_real(), p->sp.acct_fd, &l, NULL), 0);
	for (i = 0; i < l.n; i++)
		n += l.live[i] == live;
	segment_list_release(&l);
	return (n);
}

/* Count the records with these rcptIndex in all files of the journal. */
static unsigned int
count_all(struct place *p, unsigned int *ret_twice)
{
	static unsigned char count[65536];
	struct segment_list l;
	struct buf b = BUF_INIT;
	struct record_map m;
	struct acct_record r;
	char name[SEGMENT_NAME_MAX], *line, *rest;
	unsigned int n = 0;
	size_t i;

	memset(count, 0, sizeof(count));
	*ret_twice = 0;
	record_map_default(&m);
	assert_int_equal(segment_list(sys_real(), p->sp.acct_fd, &l, NULL), 0);
	for (i = 0; i < l.n; i++) {
		buf_clear(&b);
		assert_int_equal(file_read(sys_real(), p->sp.acct_fd,
				     segment_name(l.id[i].s, l.live[i], name),
				     1u << 30, &b, NULL),
		    0);
		rest = b.p;
		while ((line = strsep(&rest, "\n")) != NULL) {
			if (*line == '\0' ||
			    record_parse(&m, line, strlen(line) - 1, &r) == -1)
				continue;
			n++;
			*ret_twice += count[r.rcpt_index]++ == 1;
		}
	}
	segment_list_release(&l);
	buf_release(&b);
	return (n);
}

static void
test_write(void **state)
{
	struct journal_chunk *c;
	struct verr err = VERR_INIT;
	struct place p;
	struct journal *j;
	struct seen s;
	uint64_t durable;

	(void)state;
	place_init(&p);
	j = journal_open(&p.sp, p.owner, &err);
	assert_non_null(j);
	assert_null(journal_write_begin(j));
	assert_int_equal(append(j, 0), 1);
	assert_int_equal(append(j, 1), 2);
	c = journal_write_begin(j);
	assert_non_null(c);
	/* While it is written others gather; a second chunk there is not. */
	assert_int_equal(append(j, 2), 3);
	assert_null(journal_write_begin(j));
	assert_int_equal(journal_rotate(j, &err), -1);
	journal_write_run(c);
	assert_int_equal(journal_durable(j), 0);
	assert_int_equal(journal_write_end(j, c, &durable, &err), 0);
	assert_int_equal(durable, 2);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	assert_int_equal(durable, 3);
	assert_int_equal(journal_last(j), 3);

	assert_int_equal(journal_rotate(j, &err), 0);
	assert_true(journal_has_old(j));
	assert_int_equal(append(j, 3), 4);
	assert_int_equal(segments(&p, true), 2);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	assert_int_equal(durable, 4);
	assert_int_equal(journal_retire(j, &err), 0);
	assert_false(journal_has_old(j));
	assert_int_equal(segments(&p, true), 1);
	assert_int_equal(segments(&p, false), 1);
	/* Our own is not dead. */
	replay(&p, j, &s);
	assert_int_equal(s.n, 0);
	assert_int_equal(segments(&p, true), 1);
	assert_int_equal(journal_close(j, &err), 0);
	assert_int_equal(segments(&p, true), 0);
	assert_int_equal(segments(&p, false), 2);
	place_release(&p);
}

/* An empty segment leaves nothing; one that is not durable stays. */
static void
test_close(void **state)
{
	struct verr err = VERR_INIT;
	struct place p;
	struct journal *j;
	uint64_t durable;

	(void)state;
	place_init(&p);
	j = journal_open(&p.sp, p.owner, &err);
	assert_int_equal(journal_close(j, &err), 0);
	assert_int_equal(segments(&p, true) + segments(&p, false), 0);
	j = journal_open(&p.sp, p.owner, &err);
	(void)append(j, 0);
	assert_int_equal(journal_close(j, &err), -1);
	assert_int_equal(segments(&p, true), 1);
	j = journal_open(&p.sp, p.owner, &err);
	(void)append(j, 0);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	faulty.fail_call = C_RENAME;
	assert_int_equal(journal_close(j, &err), -1);
	faulty_reset();
	assert_int_equal(segments(&p, true), 2);
	place_release(&p);
}

/* Another process holds a segment: it is not dead until it is. */
static void
test_locks(void **state)
{
	struct verr err = VERR_INIT;
	struct owner *other;
	struct place p;
	struct journal *j;
	struct seen s;
	uint64_t durable;

	(void)state;
	place_init(&p);
	assert_int_equal(owner_open(&p.sp, &other, &err), 0);
	j = journal_open(&p.sp, other, &err);
	(void)append(j, 0);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	replay(&p, NULL, &s);
	assert_int_equal(s.n, 0);
	journal_free(j);
	replay(&p, NULL, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(segments(&p, false), 1);
	replay(&p, NULL, &s);
	assert_int_equal(s.n, 0);
	owner_close(other);
	place_release(&p);
}

/* A replay that is stopped is done again. */
static void
test_replay_stops(void **state)
{
	struct seen s = { .stop = true };
	struct verr err = VERR_INIT;
	struct place p;
	struct journal *j;
	struct replay r;
	uint64_t durable;

	(void)state;
	place_init(&p);
	j = journal_open(&p.sp, p.owner, &err);
	(void)append(j, 0);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	journal_free(j);
	assert_int_equal(replay_dead(&p.sp, p.owner, NULL, see, &s, &r, &err),
	    -1);
	assert_string_equal(err.text, "stopped");
	replay_release(&r);
	replay(&p, NULL, &s);
	assert_int_equal(s.n, 1);
	place_release(&p);
}

/* Write octets as a dead segment. */
static void
dead(struct place *p, const char *id, const char *data, size_t n)
{
	char name[SEGMENT_NAME_MAX];
	int fd;

	fd = openat(p->sp.acct_fd, segment_name(id, true, name),
	    O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd != -1);
	assert_int_equal(write(fd, data, n), n);
	(void)close(fd);
}

#define ID1 "1lp6jv7m0d3k8q2r5t1u1"
#define ID2 "1lp6jv7m0d3k8q2r5t1u2"

/* Cut at every octet: as many records as there are whole lines. */
static void
test_torn(void **state)
{
	struct buf b = BUF_INIT;
	struct acct_record r;
	struct place p;
	struct seen s;
	size_t end[5], i, k;
	char id[40];

	(void)state;
	place_init(&p);
	record_header(&b, COL_N);
	for (i = 0; i < 4; i++) {
		end[i] = b.len;
		r = record_of((unsigned int)i, id);
		record_format(&r, &b);
	}
	end[4] = b.len;
	for (i = 0; i <= b.len; i++) {
		dead(&p, ID1, b.p, i);
		replay(&p, NULL, &s);
		for (k = 0; k < 4 && end[k + 1] <= i; k++)
			;
		assert_int_equal(s.n, i < end[0] ? 0 : k);
		assert_int_equal(s.bad, 0);
		assert_true(s.in_order);
		assert_int_equal(segments(&p, true), 0);
		assert_int_equal(segments(&p, false), s.n > 0);
		(void)unlinkat(p.sp.acct_fd, ID1 ".csv", 0);
	}
	/* The rest of a block as zeros, as power loss may leave it. */
	for (i = end[0]; i <= b.len; i += 3) {
		struct buf z = BUF_INIT;

		buf_add(&z, b.p, i);
		memset(buf_room(&z, 5000), 0, 5000);
		z.len += 5000;
		dead(&p, ID1, z.p, z.len);
		replay(&p, NULL, &s);
		for (k = 0; k < 4 && end[k + 1] <= i; k++)
			;
		assert_int_equal(s.n, k);
		buf_release(&z);
		(void)unlinkat(p.sp.acct_fd, ID1 ".csv", 0);
	}
	buf_release(&b);
	place_release(&p);
}

/* Damage in the middle is reported; a bad header row stops nobody. */
static void
test_damage(void **state)
{
	struct buf b = BUF_INIT, long_line = BUF_INIT;
	struct acct_record r;
	struct place p;
	struct seen s;
	char id[40];
	int i;

	(void)state;
	place_init(&p);
	record_header(&b, COL_N);
	for (i = 0; i < 3; i++) {
		r = record_of((unsigned int)i, id);
		record_format(&r, &b);
		if (i == 0)
			buf_adds(&b, "rubbish\r\n\"unclosed\r\n");
		if (i == 1) {
			while (long_line.len < 200000)
				buf_adds(&long_line, "long,");
			buf_add(&b, long_line.p, long_line.len);
			buf_adds(&b, "\r\n");
		}
	}
	dead(&p, ID1, b.p, b.len);
	buf_adds(&b, "d,rubbish at the end\r\n");
	b.p[0] = 'x'; /* xype, */
	dead(&p, ID2, b.p, b.len);
	replay(&p, NULL, &s);
	assert_int_equal(s.n, 6);
	assert_int_equal(s.bad, 3 + 3 + 1);
	assert_int_equal(segments(&p, false), 2);
	buf_release(&b);
	buf_release(&long_line);
	place_release(&p);
}

/* A clock that went back: a new segment sorts after the old ones all the same.
 */
static void
test_clock(void **state)
{
	struct verr err = VERR_INIT;
	struct journal *a, *b;
	struct place p;

	(void)state;
	place_init(&p);
	faulty.clock = 1795470845;
	a = journal_open(&p.sp, p.owner, &err);
	faulty.clock -= 100000;
	b = journal_open(&p.sp, p.owner, &err);
	assert_true(strcmp(journal_id(a), journal_id(b)) < 0);
	assert_true(id_valid(journal_id(b)));
	journal_free(a);
	journal_free(b);
	place_release(&p);
}

/* Promise 4: no room, no end of data; what was reserved can be written. */
static void
test_reserve(void **state)
{
	struct verr err = VERR_INIT;
	struct acct_record r;
	struct journal *j;
	struct place p;
	struct stat st;
	uint64_t durable;
	char id[40];
	int i;

	(void)state;
	place_init(&p);
	j = journal_open(&p.sp, p.owner, &err);
	assert_int_equal(journal_reserve(j, 256, &err), 0);
	assert_int_equal(fstatat(p.sp.acct_fd, ".", &st, 0), 0);
	faulty.fail_call = C_ALLOCATE;
	faulty.fail_errno = ENOSPC;
	/* There is a step ahead, but no more than that. */
	for (i = 0; i < 1024 && journal_reserve(j, 1, &err) == 0; i++)
		;
	assert_true(i < 1024);
	assert_int_equal(err.code, VEX_TEMP);
	for (i = 0; i < 256; i++) {
		r = record_of((unsigned int)i, id);
		(void)journal_append_reserved(j, &r);
	}
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	assert_int_equal(durable, 256);
	journal_release(j, 1000000);
	/* Where fallocate is not known the file system is asked. */
	faulty.fail_errno = EOPNOTSUPP;
	assert_int_equal(journal_reserve(j, 100, &err), 0);
	assert_int_equal(journal_reserve(j, (size_t)1 << 40, &err), -1);
	assert_int_equal(err.code, VEX_TEMP);
	faulty.fail_errno = EIO;
	assert_int_equal(journal_reserve(j, 1 << 20, &err), -1);
	assert_int_equal(err.code, VEX_IO);
	faulty_reset();
	assert_int_equal(journal_close(j, &err), 0);
	place_release(&p);
}

/* Room that was not used is given back when the segment is retired. */
static void
test_room_back(void **state)
{
	struct verr err = VERR_INIT;
	struct segment_list l;
	char name[SEGMENT_NAME_MAX];
	struct journal *j;
	struct place p;
	struct stat st;
	uint64_t durable;

	(void)state;
	place_init(&p);
	j = journal_open(&p.sp, p.owner, &err);
	assert_int_equal(journal_reserve(j, 256, &err), 0);
	(void)append(j, 0);
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	assert_int_equal(journal_close(j, &err), 0);
	assert_int_equal(segment_list(sys_real(), p.sp.acct_fd, &l, &err), 0);
	assert_int_equal(fstatat(p.sp.acct_fd,
			     segment_name(l.id[0].s, false, name), &st, 0),
	    0);
	assert_true(st.st_blocks * 512 < 65536);
	segment_list_release(&l);
	place_release(&p);
}

/* A full disk: the records wait, and are written once when there is space. */
static void
test_write_full(void **state)
{
	struct journal_chunk *c;
	struct verr err = VERR_INIT;
	struct journal *j;
	struct place p;
	uint64_t durable;
	unsigned int twice;
	int i;

	(void)state;
	place_init(&p);
	j = journal_open(&p.sp, p.owner, &err);
	(void)append(j, 0);
	faulty.fail_call = C_WRITE;
	faulty.fail_errno = ENOSPC;
	for (i = 1; i < 10; i++) {
		c = journal_write_begin(j);
		journal_write_run(c);
		(void)append(j, (unsigned int)i);
		assert_int_equal(journal_write_end(j, c, &durable, &err), 1);
		assert_int_equal(durable, 0);
		assert_int_equal(journal_rotate(j, NULL), -1);
	}
	assert_int_equal(journal_sync(j, &durable, &err), -1);
	assert_int_equal(err.code, VEX_TEMP);
	assert_false(journal_failed(j));
	faulty_reset();
	assert_int_equal(journal_sync(j, &durable, &err), 0);
	assert_int_equal(durable, 10);
	assert_int_equal(journal_close(j, &err), 0);
	assert_int_equal(count_all(&p, &twice), 10);
	assert_int_equal(twice, 0);
	place_release(&p);
}

/* A failed fdatasync: a fresh segment, and each record once in all. */
static void
test_sync_fails(void **state)
{
	static const enum call kinds[] = { C_FDATASYNC, C_WRITE };
	struct journal_chunk *c;
	struct verr err = VERR_INIT;
	struct journal *j;
	struct place p;
	uint64_t durable;
	char first[40];
	unsigned int twice;
	size_t k;

	(void)state;
	for (k = 0; k < 2; k++) {
		place_init(&p);
		j = journal_open(&p.sp, p.owner, &err);
		(void)append(j, 0);
		assert_int_equal(journal_sync(j, &durable, &err), 0);
		(void)snprintf(first, sizeof(first), "%s", journal_id(j));
		(void)append(j, 1);
		c = journal_write_begin(j);
		faulty.fail_call = (int)kinds[k];
		journal_write_run(c);
		faulty_reset();
		(void)append(j, 2);
		assert_int_equal(journal_write_end(j, c, &durable, &err), 1);
		assert_int_equal(durable, 1);
		assert_string_not_equal(journal_id(j), first);
		assert_true(journal_has_old(j));
		assert_true(journal_holds(j, first));
		assert_int_equal(journal_sync(j, &durable, &err), 0);
		assert_int_equal(durable, 3);
		assert_int_equal(count_all(&p, &twice), 3);
		assert_int_equal(twice, 0);
		assert_int_equal(journal_close(j, &err), 0);
		assert_int_equal(segments(&p, false), 2);
		assert_int_equal(count_all(&p, &twice), 3);
		place_release(&p);
	}
}

/* The disk is gone: it ends, and says so; what was durable still is. */
static void
test_fails_for_good(void **state)
{
	static const enum call kinds[] = { C_TRUNCATE, C_FSYNC, C_OPEN,
		C_FDATASYNC };
	struct journal_chunk *c;
	struct verr err = VERR_INIT;
	struct journal *j;
	struct place p;
	uint64_t durable;
	unsigned int twice;
	size_t k;

	(void)state;
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		place_init(&p);
		j = journal_open(&p.sp, p.owner, &err);
		(void)append(j, 0);
		assert_int_equal(journal_sync(j, &durable, &err), 0);
		(void)append(j, 1);
		c = journal_write_begin(j);
		faulty.fail_call = C_FDATASYNC;
		journal_write_run(c);
		faulty.fail_call = (int)kinds[k];
		if (kinds[k] == C_FDATASYNC) {
			assert_int_equal(journal_write_end(j, c, &durable,
					     &err),
			    1);
			assert_int_equal(journal_sync(j, &durable, &err), -1);
		} else
			assert_int_equal(journal_write_end(j, c, &durable,
					     &err),
			    -1);
		assert_true(journal_failed(j));
		assert_int_equal(durable, 1);
		assert_null(journal_write_begin(j));
		assert_int_equal(journal_reserve(j, 1, &err), -1);
		assert_int_equal(journal_rotate(j, &err), -1);
		faulty_reset();
		assert_int_equal(journal_close(j, &err), -1);
		(void)count_all(&p, &twice);
		assert_int_equal(twice, 0);
		place_release(&p);
	}
}

/* A run that appends, writes, rotates and retires; for the kill test. */
static void
run(struct place *p, int out)
{
	struct verr err;
	struct journal *j;
	uint64_t durable;
	unsigned int n = 0, i;

	if ((j = journal_open(&p->sp, p->owner, &err)) == NULL)
		return;
	for (i = 0; i < 6; i++) {
		(void)append(j, n++);
		(void)append(j, n++);
		if (journal_sync(j, &durable, &err) == -1)
			break;
		(void)!write(out, &durable, sizeof(durable));
		if (i % 2 == 1 && journal_rotate(j, &err) == 0)
			(void)journal_retire(j, &err);
	}
	(void)journal_close(j, &err);
}

/*
 * Killed before every system call, with the write done by half: what was
 * said to be durable is there, once; a second replay finds the rest clean.
 */
static void
test_kill(void **state)
{
	uint64_t durable, said;
	struct place p;
	struct seen s;
	unsigned int at, n, twice;
	int fd[2], status;
	pid_t pid;

	(void)state;
	for (at = 1, status = 1; status != 0; at++) {
		assert_true(at < 500);
		place_init(&p);
		assert_int_equal(pipe(fd), 0);
		if ((pid = fork()) == 0) {
			if (owner_open(&p.sp, &p.owner, NULL) == -1)
				_exit(1);
			faulty.n = 0;
			faulty.kill_at = at;
			faulty.torn = true;
			run(&p, fd[1]);
			_exit(0);
		}
		(void)close(fd[1]);
		said = 0;
		while (read(fd[0], &durable, sizeof(durable)) ==
		    (ssize_t)sizeof(durable))
			said = durable;
		(void)close(fd[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		replay(&p, NULL, &s);
		assert_int_equal(s.bad, 0);
		assert_int_equal(segments(&p, true), 0);
		n = count_all(&p, &twice);
		assert_true(n >= said);
		assert_true(n <= said + 2);
		assert_int_equal(twice, 0);
		place_release(&p);
	}
	assert_true(at > 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_replay_stops),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_room_back),
		cmocka_unit_test(test_write_full),
		cmocka_unit_test(test_sync_fails),
		cmocka_unit_test(test_fails_for_good),
		cmocka_unit_test(test_kill),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
