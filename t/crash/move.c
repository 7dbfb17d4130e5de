/*
 * Moves, walked: whatever is killed or fails, each recipient is open in one
 * batch, with all that was known of it; none is lost and none is there twice.
 */
#include "rows.h"

#include "spool/move.h"

#define BIG (140 * 1024)
#define NEXT (T_NOW + 3600)
#define RCPTS 6 /* of a batch, two a message */

static char big[BIG];

/* What is known of the recipients of a batch before it moves. */
static const struct {
	char state;
	unsigned int attempts;
	const char *source;
} before[RCPTS] = {
	{ BATCH_DELIVERED, 1, "127.0.0.1" },
	{ BATCH_DEFERRED, 2, "127.0.0.7" },
	{ BATCH_HELD, 0, "" },
	{ BATCH_FRESH, 0, "" },
	{ BATCH_HELD_TRIED, 3, "127.0.0.1" },
	{ BATCH_DEFERRED, 1, "" },
};

/* A recipient as it was found; the number is its rcptIndex. */
struct found {
	unsigned int n;
	char vmta[80];
	char domain[80];
	enum batch_area area;
	struct batch_slot s;
	char source[40];
};

static struct found found[64];

/* All open recipients of all batches. */
struct look {
	struct spool *sp;
	const char *vmta;
	const char *domain;
	enum batch_area area;
};

static void
look_slot(const struct look *l, struct batch *b, uint32_t slot)
{
	struct batch_txn t;
	struct batch_slot s;
	struct found *f;

	batch_slot(b, slot, &s);
	if (batch_state_final(s.state))
		return;
	batch_txn_init(&t);
	assert_ok(batch_load(b, &slot, 1, &t, &t_err));
	assert_in_range(t.rcpt[0].index, 0, 63);
	f = &found[t.rcpt[0].index];
	f->n++;
	batch_slot(b, slot, &f->s);
	(void)snprintf(f->vmta, sizeof(f->vmta), "%s", l->vmta);
	(void)snprintf(f->domain, sizeof(f->domain), "%s", l->domain);
	(void)snprintf(f->source, sizeof(f->source), "%s",
	    f->s.source != NULL ? f->s.source : "");
	f->area = l->area;
	assert_string_equal(t.msg.sender, "me@example.net");
	assert_int_equal(t.msg.longest, 70);
	batch_txn_release(&t);
}

static int
look_batch(void *arg, const char *file, const struct batch_name *n)
{
	const struct look *l = arg;
	const struct batch_header *h;
	struct batch *b;
	uint32_t i;

	assert_int_equal(id_time(&n->id), T_NOW);
	assert_ok(batch_open(l->sp, l->vmta, l->area, l->domain, file, false,
	    &b, &t_err));
	h = batch_header(b);
	assert_string_equal(h->job, "weekly");
	assert_string_equal(h->source, "user:me");
	assert_int_equal(h->queued, T_NOW);
	assert_int_equal(h->prio, 50);
	for (i = 0; i < batch_slots(b); i++)
		look_slot(l, b, i);
	batch_close(b);
	return (0);
}

static int
look_domain(void *arg, const char *domain, bool foreign)
{
	struct look *l = arg;

	(void)foreign;
	l->domain = domain;
	return (spool_batches(l->sp, l->vmta, l->area, domain, look_batch, l,
	    &t_err));
}

static int
look_vmta(void *arg, const char *vmta, bool foreign)
{
	struct look *l = arg;
	int rc = 0;

	(void)foreign;
	l->vmta = vmta;
	for (l->area = BATCH_NEW; l->area <= BATCH_CUR && rc == 0; l->area++)
		rc = spool_domains(l->sp, vmta, l->area, look_domain, l,
		    &t_err);
	return (rc);
}

static void
look(struct spool *sp)
{
	struct look l = { .sp = sp };

	memset(found, 0, sizeof(found));
	assert_ok(spool_vmtas(sp, look_vmta, &l, &t_err));
}

/* n batches of RCPTS recipients; a content of each message, or one for all. */
static void
prepare(struct spool *sp, unsigned int n, bool shared)
{
	struct commit *c = commit_new(sp);
	char domain[32];
	unsigned int i, j;
	size_t k = 0;
	struct id id;

	if (shared)
		k = commit_content(c, big, BIG);
	for (i = 0; i < n; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		for (j = 0; j < RCPTS; j++) {
			if (j % 2 == 0) {
				assert_int_equal(id_new(sp->sys, &id), 0);
				k = shared ? k :
					     commit_content(c, big, 1000 + j);
			}
			t_add(c, "news", domain, k, id.s, i * RCPTS + j);
		}
	}
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
}

/* The batches of news, with their files. */
struct files {
	size_t n;
	enum batch_area area[4];
	char domain[4][32];
	char file[4][BATCH_NAME_MAX];
	struct look l;
};

static int
files_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct files *f = arg;

	(void)n;
	f->area[f->n] = f->l.area;
	(void)snprintf(f->domain[f->n], sizeof(f->domain[0]), "%s",
	    f->l.domain);
	(void)snprintf(f->file[f->n++], sizeof(f->file[0]), "%s", file);
	return (0);
}

static int
files_domain(void *arg, const char *domain, bool foreign)
{
	struct files *f = arg;

	(void)foreign;
	f->l.domain = domain;
	return (spool_batches(f->l.sp, f->l.vmta, f->l.area, domain,
	    files_batch, f, &t_err));
}

static int
files(struct spool *sp, const char *vmta, struct files *ret_f)
{
	struct files *f = ret_f;
	int rc = 0;

	*f = (struct files) { .n = 0, .l = { .sp = sp, .vmta = vmta } };
	for (f->l.area = BATCH_NEW; f->l.area <= BATCH_CUR && rc == 0;
	     f->l.area++)
		rc = spool_domains(sp, vmta, f->l.area, files_domain, f,
		    &t_err);
	return (rc);
}

static struct batch *
files_open(struct spool *sp, const struct files *f, const char *vmta, size_t i)
{
	struct batch *b;

	assert_ok(batch_open(sp, vmta, f->area[i], f->domain[i], f->file[i],
	    true, &b, &t_err));
	return (b);
}

/* Give them their states. */
static void
prepare_states(struct spool *sp)
{
	struct files f;
	struct batch *b;
	uint32_t j;
	size_t i;

	assert_ok(files(sp, "news", &f));
	for (i = 0; i < f.n; i++) {
		b = files_open(sp, &f, "news", i);
		for (j = 0; j < RCPTS; j++)
			batch_set(b, j, before[j].state, before[j].attempts,
			    before[j].attempts > 0 ? NEXT : T_NOW,
			    before[j].source);
		assert_ok(batch_flush(b, &t_err));
		assert_ok(batch_requeue(b, &t_err));
		batch_close(b);
	}
}

static void
prepare_new(struct spool *sp)
{
	prepare(sp, 1, false);
}

static void
prepare_one(struct spool *sp)
{
	prepare(sp, 1, false);
	prepare_states(sp);
}

static void
prepare_shared(struct spool *sp)
{
	prepare(sp, 3, true);
	prepare_states(sp);
}

/* Put a batch away as its owner does. */
static int
put_away(struct batch *b)
{
	int rc;

	if (batch_open_count(b) == 0)
		return (batch_finish(b, &t_err));
	rc = batch_flush(b, &t_err);
	if (rc == 0)
		rc = batch_area(b) == BATCH_NEW ? batch_rename(b, &t_err) :
						  batch_requeue(b, &t_err);
	return (rc);
}

/* Does this recipient move? */
static bool
moves(bool all, uint32_t slot, char state)
{
	return (!batch_state_final(state) && (all || slot == 1 || slot > 3));
}

/* A move is done when its mail is no longer new. */
static int64_t
later(struct sys *s)
{
	(void)s;
	return ((T_NOW + 100000) * 1000000);
}

/* From one VirtualMTA to another: all that is open, or some of it. */
static int
act_move(struct spool *sp, const char *from, const char *to, bool all)
{
	struct move *m = move_new(sp, to);
	struct files f;
	struct batch *b[4];
	struct batch_slot s;
	uint32_t slot[RCPTS], n, j;
	size_t i, open = 0;
	int rc;

	sp->sys->wall = later;
	rc = files(sp, from, &f);
	for (i = 0; i < f.n && rc == 0; i++, open++) {
		if (batch_open(sp, from, f.area[i], f.domain[i], f.file[i],
			true, &b[i], &t_err) == -1)
			break;
		for (n = j = 0; j < batch_slots(b[i]); j++) {
			batch_slot(b[i], j, &s);
			if (moves(all, j, s.state))
				slot[n++] = j;
		}
		rc = move_add(m, b[i], slot, n, &t_err);
	}
	if (rc == 0 && open < f.n)
		rc = -1;
	if (rc == 0)
		rc = move_finish(m, &t_err);
	move_free(m);
	for (i = 0; i < open; i++) {
		if (rc == 0 && !rows_order)
			rc = put_away(b[i]) == 0 ? 0 : 1;
		batch_close(b[i]);
	}
	return (rc);
}

static int
act_part(struct spool *sp)
{
	return (act_move(sp, "news", "mail", false));
}

static int
act_all(struct spool *sp)
{
	return (act_move(sp, "news", "mail", true));
}

/* Each open recipient is there once, as it was, and they moved together. */
static void
judge(struct spool *sp, bool acked, bool all)
{
	unsigned int i, j, moved = 0, may = 0;

	look(sp);
	for (i = 0; i < row->rcpts; i++) {
		j = i % RCPTS;
		if (batch_state_final(before[j].state)) {
			assert_int_equal(found[i].n, 0);
			continue;
		}
		assert_int_equal(found[i].n, 1);
		assert_int_equal(found[i].s.state, before[j].state);
		assert_int_equal(found[i].s.attempts, before[j].attempts);
		assert_int_equal(found[i].s.next,
		    before[j].attempts > 0 ? NEXT : T_NOW);
		assert_string_equal(found[i].source, before[j].source);
		assert_int_equal(found[i].area, BATCH_CUR);
		assert_int_equal(found[i].domain[1], '0' + (int)(i / RCPTS));
		if (!moves(all, j, before[j].state)) {
			assert_string_equal(found[i].vmta, "news");
			continue;
		}
		may++;
		moved += strcmp(found[i].vmta, "mail") == 0;
	}
	assert_true(moved == may || (!acked && moved == 0));
	assert_int_equal(t_count(sp, sp->commit_fd), 0);
}

static void
judge_part(struct spool *sp, bool acked)
{
	judge(sp, acked, false);
}

static void
judge_all(struct spool *sp, bool acked)
{
	judge(sp, acked, true);
}

/* Batches that nobody has tried stay in new, on both sides. */
static void
judge_new(struct spool *sp, bool acked)
{
	unsigned int i, moved = 0;

	look(sp);
	for (i = 0; i < row->rcpts; i++) {
		assert_int_equal(found[i].n, 1);
		assert_int_equal(found[i].area, BATCH_NEW);
		assert_int_equal(found[i].s.state, BATCH_FRESH);
		moved += strcmp(found[i].vmta, "mail") == 0;
	}
	assert_true(moved == 3 || (!acked && moved == 0));
}

/* Back, while another move's record is still there (see below). */
static void
prepare_there(struct spool *sp)
{
	prepare_one(sp);
	assert_int_equal(act_all(sp), 0);
}

static int
act_back(struct spool *sp)
{
	return (act_move(sp, "mail", "news", true));
}

static void
judge_back(struct spool *sp, bool acked)
{
	unsigned int i, back = 0;

	look(sp);
	for (i = 0; i < RCPTS; i++) {
		if (batch_state_final(before[i].state))
			continue;
		assert_int_equal(found[i].n, 1);
		assert_int_equal(found[i].s.state, before[i].state);
		back += strcmp(found[i].vmta, "news") == 0;
	}
	assert_true(back == RCPTS - 1 || (!acked && back == 0));
}

/*
 * A record comes back (the power failed before its removal was durable) when
 * what it moved has long been moved back: it must change nothing.
 */
static char record[ID_LEN + 1];

static int
record_on_name(void *arg, const char *name)
{
	(void)arg;
	(void)snprintf(record, sizeof(record), "%s", name);
	return (0);
}

/* A child that dies when the record is in place, and nothing of it is done. */
static int
exit_fsync(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	_exit(0);
}

static void
leave_record(struct spool *sp)
{
	struct t_sys t;
	pid_t pid = fork();

	if (pid == 0) {
		t_sys_init(&t, T_COUNT, 0, 0);
		t.sys.fsync = exit_fsync;
		sp->sys = &t.sys;
		_exit(act_all(sp) + 1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(t_count(sp, sp->commit_fd), 1);
}

static void
test_record_again(void **state)
{
	struct t_sys t;
	struct spool *sp;
	struct buf text = BUF_INIT;

	(void)state;
	row = &(const struct row) { .rcpts = RCPTS };
	t_sys_init(&t, T_COUNT, 0, 0);
	sp = t_spool(&t.sys);
	prepare_one(sp);
	leave_record(sp);
	assert_ok(spool_walk(sp, sp->commit_fd, record_on_name, NULL, &t_err));
	assert_true(id_valid(record));
	assert_int_equal(file_read(sp->sys, sp->commit_fd, record, 1 << 20,
			     &text, &t_err),
	    0);
	assert_ok(commit_sweep(sp, &t_err));
	assert_int_equal(act_back(sp), 0);
	assert_int_equal(file_write_fast(sp->sys, sp->commit_fd, record, text.p,
			     text.len, &t_err),
	    0);
	assert_ok(commit_sweep(sp, &t_err));
	judge_back(sp, true);
	t_clean(sp);
	buf_release(&text);
	spool_close(sp);
}

/* A record that takes from somebody's batches is left to him. */
static void
test_owner(void **state)
{
	struct owner *a, *b;
	struct t_sys t;
	struct spool *sp;

	(void)state;
	row = &(const struct row) { .rcpts = RCPTS };
	t_sys_init(&t, T_COUNT, 0, 0);
	sp = t_spool(&t.sys);
	prepare_one(sp);
	leave_record(sp);
	assert_ok(owner_open(sp, &a, &t_err));
	assert_ok(owner_open(sp, &b, &t_err));
	assert_int_equal(owner_try(a, "news", &t_err), 0);
	assert_int_equal(owner_try(b, "mail", &t_err), 0);
	/* an injector, the owner of the target, a sweep */
	assert_ok(commit_recover(sp, NULL, NULL, &t_err));
	assert_ok(commit_recover(sp, b, NULL, &t_err));
	assert_ok(commit_sweep(sp, &t_err));
	assert_int_equal(t_count(sp, sp->commit_fd), 1);
	look(sp);
	assert_string_equal(found[1].vmta, "news");
	/* the owner of the source */
	assert_ok(commit_recover(sp, a, NULL, &t_err));
	judge_all(sp, true);
	owner_close(a);
	owner_close(b);
	t_clean(sp);
	spool_close(sp);
}

/* The file that is in the way of a queue of mail. */
static const char *
plant(struct spool *sp, bool make)
{
	static char path[400];
	FILE *fp;

	(void)snprintf(path, sizeof(path), "%s/queue/mail/cur", sp->path);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/queue/mail/cur/d0.example",
	    sp->path);
	if (make) {
		fp = fopen(path, "w");
		assert_non_null(fp);
		assert_int_equal(fclose(fp), 0);
	} else {
		assert_int_equal(unlink(path), 0);
	}
	return (path);
}

/* Those that moved, but not to where they shall be: open nowhere. */
static void
judge_waiting(struct spool *sp)
{
	unsigned int i;

	look(sp);
	for (i = 0; i < RCPTS; i++)
		assert_int_equal(found[i].n, 0);
	assert_int_equal(t_count(sp, sp->commit_fd), 1);
}

/* STUCK: a record whose batches cannot come to their place takes all the same.
 */
static void
test_blocked(void **state)
{
	struct owner *a;
	struct t_sys t;
	struct spool *sp;

	(void)state;
	row = &(const struct row) { .rcpts = RCPTS };
	t_sys_init(&t, T_COUNT, 0, 0);
	sp = t_spool(&t.sys);
	prepare_one(sp);
	leave_record(sp);
	(void)plant(sp, true);
	assert_ok(owner_open(sp, &a, &t_err));
	assert_int_equal(owner_try(a, "news", &t_err), 0);
	assert_int_equal(commit_recover(sp, a, NULL, &t_err), -1);
	judge_waiting(sp);
	assert_int_equal(commit_recover(sp, a, NULL, &t_err), -1);
	assert_int_equal(commit_sweep(sp, &t_err), 0); /* not its to do */
	judge_waiting(sp);
	(void)plant(sp, false);
	assert_ok(commit_recover(sp, a, NULL, &t_err));
	owner_close(a);
	judge_all(sp, true);
	t_clean(sp);
	spool_close(sp);
}

static ssize_t
full_pwrite(struct sys *s, int fd, const void *p, size_t n, off_t off)
{
	(void)s;
	(void)fd;
	(void)p;
	(void)n;
	(void)off;
	errno = ENOSPC;
	return (-1);
}

/* STUCK: and where it cannot take, nothing may be sent. */
static void
test_take_fails(void **state)
{
	struct owner *a;
	struct t_sys t;
	struct spool *sp;
	struct files f;
	struct batch_name n;

	(void)state;
	row = &(const struct row) { .rcpts = RCPTS };
	t_sys_init(&t, T_COUNT, 0, 0);
	sp = t_spool(&t.sys);
	prepare_one(sp);
	leave_record(sp);
	assert_ok(files(sp, "news", &f));
	assert_int_equal(batch_name_parse(f.file[0], &n), 0);
	assert_ok(owner_open(sp, &a, &t_err));
	assert_int_equal(owner_try(a, "news", &t_err), 0);
	assert_false(commit_stuck(sp, n.id.s));
	t.sys.pwrite = full_pwrite;
	assert_int_equal(commit_recover(sp, a, NULL, &t_err), -1);
	assert_int_equal(t_err.code, VEX_TEMP);
	assert_true(commit_stuck(sp, n.id.s));
	/* a sweep that may not take changes nothing of that */
	assert_ok(commit_sweep(sp, &t_err));
	assert_true(commit_stuck(sp, n.id.s));
	t.sys.pwrite = t_pwrite;
	assert_ok(commit_recover(sp, a, NULL, &t_err));
	assert_false(commit_stuck(sp, n.id.s));
	owner_close(a);
	judge_all(sp, true);
	t_clean(sp);
	spool_close(sp);
}

static const struct row rows[] = {
	{ "MOVE part of a batch", prepare_one, act_part, judge_part, RCPTS,
	    true, 3 },
	{ "MOVE all of a batch", prepare_one, act_all, judge_all, RCPTS, true,
	    3 },
	{ "MOVE a new batch", prepare_new, act_part, judge_new, RCPTS, true,
	    3 },
	{ "MOVE part of shared content", prepare_shared, act_part, judge_part,
	    3 * RCPTS, true, 3 },
	{ "MOVE all of shared content", prepare_shared, act_all, judge_all,
	    3 * RCPTS, true, 3 },
	{ "MOVE back", prepare_there, act_back, judge_back, RCPTS, true, 3 },
};

int
main(void)
{
	const struct CMUnitTest more[] = {
		cmocka_unit_test(test_record_again),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_take_fails),
	};

	memset(big, 'x', sizeof(big));
	return (rows_run("move crash", rows, sizeof(rows) / sizeof(rows[0]),
	    more, sizeof(more) / sizeof(more[0])));
}
