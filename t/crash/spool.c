/* Commits, and what an owner does to a batch: the rows of DESIGN, walked. */
#include "rows.h"

#define HASH "00112233445566778899aabbccddeeff"
#define BIG (140 * 1024)

static char big[BIG];

/* n queues over two VirtualMTAs, one message each (or one for all). */
static int
act_commit(struct spool *sp, unsigned int n, bool shared, bool submit)
{
	struct commit *c = commit_new(sp);
	char domain[32];
	struct spool_submission now = { .count = 7,
		.print = "0123456789abcdef" };
	unsigned int i;
	size_t k = 0;
	struct id id;
	int rc;

	if (id_new(sp->sys, &id) == -1)
		return (-1);
	if (shared)
		k = commit_content(c, big, BIG);
	for (i = 0; i < n; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i / 2);
		if (!shared)
			k = commit_content(c, "Subject: x\r\n\r\nhello\r\n",
			    21);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s, i);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s,
		    i + 1000);
	}
	memcpy(now.msgid, id.s, sizeof(now.msgid));
	if (submit)
		commit_submit(c, HASH, &now);
	rc = commit_finish(c, &t_err);
	commit_free(c);
	return (rc == 1 ? 0 : rc); /* accepted: the record is there */
}

static int
act_single(struct spool *sp)
{
	return (act_commit(sp, 1, false, false));
}

/* DIRSYNC: the directories are there, made by one who has not synced them. */
static int
act_others(struct spool *sp)
{
	static const char *const name[] = { "news", "tmp", "new",
		"d0.example" };
	bool made = false;
	int fd[4] = { -1, -1, -1, -1 }, parent, rc = 0;
	size_t i;

	for (i = 0; i < 4 && rc == 0; i++) {
		parent = i == 0 ? sp->queue_fd : i < 3 ? fd[0] : fd[2];
		fd[i] = spool_dir_make(sp, parent, name[i], &made, &t_err);
		rc = fd[i] == -1 ? -1 : 0;
	}
	for (i = 0; i < 4; i++)
		if (fd[i] != -1)
			(void)sp->sys->close(sp->sys, fd[i]);
	return (rc == 0 ? act_single(sp) : -1);
}

static int
act_multi(struct spool *sp)
{
	return (act_commit(sp, 4, false, false));
}

static int
act_many(struct spool *sp)
{
	return (act_commit(sp, 12, false, false));
}

static int
act_shared(struct spool *sp)
{
	return (act_commit(sp, 4, true, false));
}

static int
act_submit(struct spool *sp)
{
	return (act_commit(sp, 1, false, true));
}

/* A merge: version 2, a template; all of it at the end, or part by part. */
static int
act_merge_of(struct spool *sp, bool parts)
{
	const struct commit_merge merge = { .vars = NULL };
	struct commit *c = commit_new(sp);
	char domain[32];
	unsigned int i;
	struct id id;
	size_t k;
	int rc = 0;

	if (id_new(sp->sys, &id) == -1) {
		commit_free(c);
		return (verr_sys(&t_err, "no random numbers"));
	}
	k = commit_content(c, "Subject: [*to]\r\n\r\nx\r\n", 21);
	commit_merge(c, &merge);
	for (i = 0; i < 4 && rc == 0; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i / 2);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s, i);
		t_add(c, i % 2 == 0 ? "news" : "mail", domain, k, id.s,
		    i + 1000);
		if (parts && i % 2 == 1)
			rc = commit_write(c, &t_err);
	}
	if (rc == 0)
		rc = commit_finish(c, &t_err);
	commit_free(c);
	return (rc == 1 ? 0 : rc);
}

static int
act_merge(struct spool *sp)
{
	return (act_merge_of(sp, false));
}

static int
act_write(struct spool *sp)
{
	return (act_merge_of(sp, true));
}

/* All or nothing; all of it when it was acknowledged. */
static void
judge_commit(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);

	if (acked || s.rcpts > 0)
		assert_int_equal(s.rcpts, row->rcpts);
	assert_int_equal(t_count(sp, sp->commit_fd), 0);
}

/* Submit record and batch say the same. */
static void
judge_submit(struct spool *sp, bool acked)
{
	struct spool_submission s;

	judge_commit(sp, acked);
	assert_ok(spool_submit_lookup(sp, HASH, &s, &t_err));
	assert_int_equal(s.count, t_see(sp).rcpts > 0 ? 7 : 0);
	assert_string_equal(s.print, s.count > 0 ? "0123456789abcdef" : "");
}

static void
prepare_one(struct spool *sp)
{
	assert_int_equal(act_single(sp), 0);
}

/* One batch of shared content, to be finished; another stays. */
static void
prepare_shared(struct spool *sp)
{
	assert_int_equal(act_shared(sp), 0);
}

static int
act_defer(struct spool *sp)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	int rc;

	batch_set(b, 0, BATCH_DEFERRED, 1, T_NOW + 600, "127.0.0.1");
	batch_set(b, 1, BATCH_DEFERRED, 1, T_NOW + 900, "127.0.0.1");
	rc = batch_flush(b, &t_err);
	if (rc == 0)
		rc = batch_requeue(b, &t_err);
	batch_close(b);
	return (rc);
}

/* There once, never with a name that is too late (t_clean sees that). */
static void
judge_defer(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	struct batch_slot slot;

	assert_int_equal(s.batches, 1);
	assert_int_equal(s.open, 2);
	batch_slot(b, 0, &slot);
	if (acked) {
		assert_int_equal(s.last_area, BATCH_CUR);
		assert_int_equal(slot.next, T_NOW + 600);
		assert_int_equal(slot.state, BATCH_DEFERRED);
	} else {
		assert_non_null(strchr("-t", slot.state));
	}
	batch_close(b);
}

static int
act_finish(struct spool *sp)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	int rc;

	batch_set(b, 0, BATCH_DELIVERED, 1, T_NOW, "127.0.0.1");
	batch_set(b, 1, BATCH_BOUNCED, 1, T_NOW, "127.0.0.1");
	rc = batch_flush(b, &t_err);
	if (rc == 0)
		rc = batch_finish(b, &t_err);
	batch_close(b);
	return (rc);
}

/*
 * The other batches and their content are as before; the one is gone, or the
 * next run's replay (act_finish again) makes it so.
 */
static void
judge_finish(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);

	if (acked)
		assert_int_equal(s.batches, row->rcpts / 2 - 1);
	if (s.batches == row->rcpts / 2)
		assert_int_equal(act_finish(sp), 0);
	s = t_see(sp);
	assert_int_equal(s.batches, row->rcpts / 2 - 1);
	assert_int_equal(t_count(sp, sp->content_fd), s.batches);
}

/* One batch with 20 messages of 32 KiB. */
static void
prepare_space(struct spool *sp)
{
	struct commit *c = commit_new(sp);
	struct id id;
	uint32_t i;

	for (i = 0; i < 20; i++) {
		assert_int_equal(id_new(sp->sys, &id), 0);
		t_add(c, "news", "example.com",
		    commit_content(c, big, 32 * 1024), id.s, i);
	}
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
}

/* All but two are final: the rest is punched out. */
static int
act_space(struct spool *sp)
{
	struct t_seen s = t_see(sp);
	struct batch *b = t_open(sp, &s);
	uint32_t i;
	int rc;

	for (i = 0; i < batch_slots(b); i++)
		if (i != 3 && i != 17)
			batch_set(b, i, BATCH_DELIVERED, 1, T_NOW, NULL);
	rc = batch_flush(b, &t_err);
	if (rc == 0)
		rc = batch_space(b, &t_err);
	batch_close(b);
	return (rc);
}

/* t_clean reads the content of those that are open. */
static void
judge_space(struct spool *sp, bool acked)
{
	struct t_seen s = t_see(sp);

	assert_int_equal(s.batches, 1);
	if (acked)
		assert_int_equal(s.open, 2);
	assert_true(s.open >= 2);
}

static const struct row rows[] = {
	{ "one queue", NULL, act_single, judge_commit, 2, true, 1 },
	{ "directories of others", NULL, act_others, judge_commit, 2, true, 1 },
	{ "several queues", NULL, act_multi, judge_commit, 8, true, 3 },
	{ "many queues", NULL, act_many, judge_commit, 24, true, 3 },
	{ "shared content", NULL, act_shared, judge_commit, 8, true, 3 },
	{ "submit id", NULL, act_submit, judge_submit, 2, true, 3 },
	{ "merge", NULL, act_merge, judge_commit, 8, true, 3 },
	{ "merge in parts", NULL, act_write, judge_commit, 8, true, 3 },
	{ "deferral", prepare_one, act_defer, judge_defer, 2, false, 0 },
	{ "finish", prepare_shared, act_finish, judge_finish, 8, false, 0 },
	{ "space", prepare_space, act_space, judge_space, 20, false, 0 },
};

int
main(void)
{
	memset(big, 'x', sizeof(big));
	return (rows_run("spool crash", rows, sizeof(rows) / sizeof(rows[0]),
	    NULL, 0));
}
