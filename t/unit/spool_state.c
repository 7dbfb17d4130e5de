/* spool: ownership, trigger, counters, states, requests, checks. */
#include <sys/file.h>

#include "spool_util.h"

static struct spool *sp;
static struct t_sys table;

static int
setup(void **state)
{
	(void)state;
	t_sys_init(&table, T_COUNT, 0, 0);
	sp = t_spool(&table.sys);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	spool_close(sp);
	return (0);
}

/* Put text into a file of the spool. */
static void
put(const char *name, const char *text)
{
	char path[600];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", sp->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* One message for a queue; its batch is then what t_see sees last. */
static void
one(const char *vmta, const char *domain)
{
	struct commit *c = commit_new(sp);
	struct id id;

	assert_int_equal(id_new(&table.sys, &id), 0);
	t_add(c, vmta, domain, commit_content(c, "x\r\n", 3), id.s, 0);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
}

static void
test_open(void **state)
{
	struct spool *other;
	char path[600];

	(void)state;
	assert_int_equal(chmod(sp->path, 0770), 0);
	assert_int_equal(spool_open(&table.sys, sp->path, &other, &t_err), -1);
	assert_int_equal(t_err.code, VEX_CONFIG);
	assert_int_equal(chmod(sp->path, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/bad", sp->path);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(spool_open(&table.sys, sp->path, &other, &t_err), -1);
	assert_int_equal(unlink(path), 0);
	assert_ok(spool_open(&table.sys, sp->path, &other, &t_err));
	spool_close(other);
	assert_int_equal(spool_open(&table.sys, "/nonexistent/x", &other,
			     &t_err),
	    -1);
	assert_ok(spool_room(sp, 1, 1, &t_err));
	assert_int_equal(spool_room(sp, UINT64_MAX, 1, &t_err), -1);
	assert_int_equal(t_err.code, VEX_TEMP);
}

static void
test_owner(void **state)
{
	struct owner *a, *b;

	(void)state;
	assert_ok(owner_open(sp, &a, &t_err));
	assert_ok(owner_open(sp, &b, &t_err));
	assert_int_equal(owner_try(a, "news", &t_err), 0);
	assert_int_equal(owner_try(a, "news", &t_err), 0);
	assert_int_equal(owner_try(b, "news", &t_err), 1);
	assert_int_equal(owner_try(b, "mail", &t_err), 0);
	assert_int_equal(owner_held(b, "news", &t_err), 1);
	assert_int_equal(owner_held(a, "news", &t_err), 0);
	owner_release(a, "news");
	assert_int_equal(owner_held(b, "news", &t_err), 0);
	assert_int_equal(owner_try(b, "news", &t_err), 0);
	assert_int_equal(owner_segment_lock(a, "x", &t_err), 0);
	assert_int_equal(owner_segment_lock(b, "x", &t_err), 1);
	assert_int_equal(owner_segment_alive(b, "x", &t_err), 1);
	owner_segment_unlock(a, "x");
	assert_int_equal(owner_segment_alive(b, "x", &t_err), 0);
	owner_close(b);
	assert_int_equal(owner_try(a, "mail", &t_err), 0);
	owner_close(a);
}

static struct buf heard;

static void
hear(void *arg, const char *domain, const char *vmta)
{
	(void)arg;
	buf_addf(&heard, "%s/%s ", domain, vmta);
}

/* Poll: what was heard, and whether all is to be looked at. */
static void
poll_is(struct trigger_reader *r, const char *want, bool want_all)
{
	bool all;

	buf_clear(&heard);
	assert_ok(trigger_poll(r, hear, NULL, &all, &t_err));
	assert_string_equal(buf_str(&heard), want);
	assert_int_equal(all, want_all);
}

static void
test_trigger(void **state)
{
	struct trigger_reader *r;
	char path[600], line[128];
	int i, fd;

	(void)state;
	assert_ok(trigger_reader_open(sp, &r, &t_err));
	poll_is(r, "", false);
	assert_ok(trigger_append(sp, "a.b/v\n", 6, &t_err));
	poll_is(r, "", true); /* a generation has begun */
	poll_is(r, "", false);
	assert_ok(trigger_append(sp, "a.b/v\n*/w\n", 10, &t_err));
	poll_is(r, "a.b/v */w ", false);
	assert_ok(trigger_mark(sp, &t_err));
	poll_is(r, "", true);
	poll_is(r, "", false);
	/* a writer that died in a line */
	(void)snprintf(path, sizeof(path), "%s/trigger", sp->path);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "c.d", 3), 3);
	poll_is(r, "", false);
	assert_ok(trigger_append(sp, "e.f/v\n", 6, &t_err));
	poll_is(r, "e.f/v ", true);
	assert_int_equal(write(fd, "../../x/v\n", 10), 10);
	poll_is(r, "", true);
	assert_int_equal(ftruncate(fd, 0), 0);
	poll_is(r, "", true);
	(void)close(fd);
	/* growth ends in a new generation */
	for (i = 0; i < 6000; i++) {
		(void)snprintf(line, sizeof(line),
		    "d%d.a-name-that-takes-some-room.example.com/v\n", i);
		assert_ok(trigger_append(sp, line, strlen(line), &t_err));
	}
	buf_clear(&heard);
	poll_is(r, "", true);
	poll_is(r, "", false);
	trigger_reader_close(r);
	assert_ok(trigger_reader_open(sp, &r, &t_err));
	poll_is(r, "", false);
	one("news", "example.com");
	poll_is(r, "example.com/news ", false);
	trigger_reader_close(r);
	buf_release(&heard);
}

static void
test_counter(void **state)
{
	uint64_t old;
	pid_t pid[4];
	int i, j, status;

	(void)state;
	assert_int_equal(counter_add(sp, "../x", 1, &old, &t_err), -1);
	assert_int_equal(counter_add(sp, "", 1, &old, &t_err), -1);
	assert_ok(counter_add(sp, "pool.bulk", 64, &old, &t_err));
	assert_int_equal(old, 0);
	for (i = 0; i < 4; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0) {
			for (j = 0; j < 50; j++)
				if (counter_add(sp, "pool.bulk", 1, &old,
					NULL) == -1)
					_exit(1);
			_exit(0);
		}
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_ok(counter_add(sp, "pool.bulk", 0, &old, &t_err));
	assert_int_equal(old, 264);
	put("state/counter/pool.bulk", "99999999999999999999999999\n");
	assert_ok(counter_add(sp, "pool.bulk", 5, &old, &t_err));
	assert_int_equal(old, 0);
	put("state/counter/pool.bulk", "");
	assert_ok(counter_add(sp, "pool.bulk", 5, &old, &t_err));
	assert_int_equal(old, 0);
	assert_ok(counter_add(sp, "pool.bulk", 5, &old, &t_err));
	assert_int_equal(old, 5);
}

static void
test_retry(void **state)
{
	char error[] = "bad\nline \x1b[31m", host[] = "mx (192.0.2.1)";
	struct retry_state st = { .step = 3,
		.next = T_NOW + 60,
		.since = T_NOW,
		.status = "4.4.1",
		.host = host,
		.error = error },
			   got;
	char domain[SPOOL_DOMAIN_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < SPOOL_DOMAIN_MAX; i++)
		domain[i] = i % 4 == 3 ? '.' : 'a';
	domain[SPOOL_DOMAIN_MAX] = '\0';
	assert_int_equal(retry_state_read(sp, "news", domain, &got, &t_err), 1);
	assert_ok(retry_state_remove(sp, "news", domain, &t_err));
	assert_ok(retry_state_write(sp, "news", domain, &st, &t_err));
	assert_ok(retry_state_read(sp, "news", domain, &got, &t_err));
	assert_int_equal(got.step, 3);
	assert_int_equal(got.next, T_NOW + 60);
	assert_int_equal(got.since, T_NOW);
	assert_string_equal(got.status, "4.4.1");
	assert_string_equal(got.host, host);
	assert_string_equal(got.error, "bad\\x0aline \\x1b[31m");
	/* and as often as it is read and written */
	assert_ok(retry_state_write(sp, "news", domain, &got, &t_err));
	retry_state_release(&got);
	assert_ok(retry_state_read(sp, "news", domain, &got, &t_err));
	assert_string_equal(got.host, host);
	assert_string_equal(got.error, "bad\\x0aline \\x1b[31m");
	retry_state_release(&got);
	put("state/retry/news/broken.example", "vmta-retry 1\nstep: 4");
	assert_int_equal(retry_state_read(sp, "news", "broken.example", &got,
			     &t_err),
	    1);
	assert_ok(retry_state_remove(sp, "news", domain, &t_err));
	assert_int_equal(retry_state_read(sp, "news", domain, &got, &t_err), 1);
	assert_int_equal(retry_state_write(sp, "../x", domain, &st, &t_err),
	    -1);
	assert_false(state_nochunk(sp, "mx.example.com", T_NOW));
	assert_ok(state_nochunk_set(sp, "mx.example.com", T_NOW + 10, &t_err));
	assert_true(state_nochunk(sp, "mx.example.com", T_NOW));
	assert_false(state_nochunk(sp, "mx.example.com", T_NOW + 10));
	assert_false(state_nochunk(sp, "mx.example.com", T_NOW));
	assert_int_equal(state_nochunk_set(sp, "../x", T_NOW, &t_err), -1);
}

static void
test_pauses(void **state)
{
	const struct pause queue = { .queue = "*.example/news" },
			   vmta = { .vmta = "mail" },
			   both = { .vmta = "news", .job = "week*" },
			   job = { .job = "daily" }, none = { .job = NULL },
			   bad = { .job = "a\tb" };
	struct batch_name n = { .job = batch_job_hash("daily") };
	struct pause_list *l;
	size_t gone;

	(void)state;
	assert_ok(pause_list_read(sp, &l, &t_err));
	assert_int_equal(pause_list_count(l), 0);
	assert_ok(pause_add(sp, &queue, &t_err));
	assert_true(pause_list_stale(sp, l));
	pause_list_free(l);
	assert_ok(pause_add(sp, &queue, &t_err));
	assert_ok(pause_add(sp, &vmta, &t_err));
	assert_ok(pause_add(sp, &both, &t_err));
	assert_ok(pause_add(sp, &job, &t_err));
	assert_int_equal(pause_add(sp, &none, &t_err), -1);
	assert_int_equal(pause_add(sp, &bad, &t_err), -1);
	assert_ok(pause_list_read(sp, &l, &t_err));
	assert_false(pause_list_stale(sp, l));
	assert_int_equal(pause_list_count(l), 4);
	assert_string_equal(pause_list_get(l, 2)->job, "week*");
	assert_true(pause_match(l, "a.example", "news", NULL));
	assert_false(pause_match(l, "example", "news", NULL));
	assert_true(pause_match(l, "x", "mail", NULL));
	assert_false(pause_match(l, "x", "news", NULL));
	assert_true(pause_match(l, "x", "news", "weekly"));
	assert_false(pause_match(l, "x", "other", "weekly"));
	assert_true(pause_match(l, "x", "other", "daily"));
	assert_true(pause_match_name(l, "x", "other", &n));
	n.job = batch_job_hash("weekly");
	assert_false(pause_match_name(l, "x", "news", &n));
	assert_false(pause_match(NULL, "x", "mail", NULL));
	pause_list_free(l);
	assert_ok(pause_remove(sp, &vmta, &gone, &t_err));
	assert_int_equal(gone, 1);
	assert_ok(pause_remove(sp, &vmta, &gone, &t_err));
	assert_int_equal(gone, 0);
	put("state/pauses", "nonsense\n\tqueue\nvmta=a\tjob=b\nlast=");
	assert_ok(pause_list_read(sp, &l, &t_err));
	assert_int_equal(pause_list_count(l), 1);
	pause_list_free(l);
	assert_ok(pause_remove(sp, &none, &gone, &t_err));
	assert_int_equal(gone, 1);
}

static int
request(void *arg, const struct control_request *rq)
{
	unsigned int *n = arg;
	struct control_reply rep = { 0 };
	struct control_vmta *v;

	++*n;
	assert_string_equal(rq->command, "delete");
	assert_int_equal(rq->n, 2);
	assert_string_equal(rq->option[1], "job=a: b");
	v = control_reply_vmta(&rep, "news");
	v->matched = 3;
	v->changed = 2;
	control_reply_flight(&rep, "a.b/news", rq->id.s, 7);
	assert_ok(control_answer(sp, &rq->id, "w1", &rep, &t_err));
	assert_ok(control_answer(sp, &rq->id, "w2", &rep, &t_err));
	control_reply_release(&rep);
	return (0);
}

static void
test_control(void **state)
{
	const char *const option[] = { "vmta=news", "job=a: b" };
	const char *const evil[] = { "job=a\ncommand: x" };
	struct control_reply sum, none = { 0 };
	unsigned int n = 0;
	struct id id;
	int fd;

	(void)state;
	assert_int_equal(control_ask(sp, "delete", evil, 1, &id, &fd, &t_err),
	    -1);
	assert_ok(control_ask(sp, "delete", option, 2, &id, &fd, &t_err));
	assert_ok(control_collect(sp, &id, &sum, &t_err));
	assert_int_equal(sum.n_vmta, 0);
	assert_int_equal(control_requests(sp, "a/b", request, &n, &t_err), -1);
	put("control/nonsense", "x");
	put("control/1lp6jv7m0d3k8q2r5t1ua.req", "vmta-request 2\n");
	assert_ok(control_requests(sp, "w1", request, &n, &t_err));
	assert_ok(control_requests(sp, "w1", request, &n, &t_err));
	assert_int_equal(n, 1);
	assert_ok(control_collect(sp, &id, &sum, &t_err));
	assert_int_equal(sum.n_vmta, 2);
	assert_int_equal(sum.vmta[1].matched, 3);
	assert_int_equal(sum.vmta[1].changed, 2);
	assert_null(sum.error);
	assert_int_equal(sum.n_flight, 2);
	assert_string_equal(sum.flight[1].queue, "a.b/news");
	assert_string_equal(sum.flight[1].msgid, id.s);
	assert_int_equal(sum.flight[1].index, 7);
	control_reply_release(&sum);
	assert_ok(control_done(sp, &id, fd, &t_err));
	assert_int_equal(t_count(sp, sp->control_fd), 2);
	assert_ok(control_answer(sp, &id, "w1", &none, &t_err));
	assert_int_equal(t_count(sp, sp->control_fd), 2);
	assert_ok(control_sweep(sp, 0, &t_err));
	assert_int_equal(t_count(sp, sp->control_fd), 2);
	assert_ok(control_sweep(sp, INT64_MAX, &t_err));
	assert_int_equal(t_count(sp, sp->control_fd), 0);
}

/* What a dead asker wanted is not done; what went wrong is told. */
static void
test_REQUEST(void **state)
{
	const char *const option[] = { "vmta=news", "job=a: b" };
	struct control_reply rep = { 0 };
	unsigned int n = 0;
	struct id id;
	int fd;

	(void)state;
	assert_ok(control_ask(sp, "delete", option, 2, &id, &fd, &t_err));
	assert_int_equal(close(fd), 0);
	assert_ok(control_requests(sp, "w1", request, &n, &t_err));
	assert_int_equal(n, 0);
	assert_ok(control_ask(sp, "delete", option, 2, &id, &fd, &t_err));
	control_reply_error(&rep, VEX_IO, "one\ntwo");
	assert_ok(control_answer(sp, &id, "w1", &rep, &t_err));
	control_reply_release(&rep);
	assert_ok(control_collect(sp, &id, &rep, &t_err));
	assert_int_equal(rep.code, VEX_IO);
	assert_string_equal(rep.error, "one\\x0atwo");
	control_reply_release(&rep);
	assert_ok(control_done(sp, &id, fd, &t_err));
	assert_ok(control_sweep(sp, INT64_MAX, &t_err));
}

static void
test_submit(void **state)
{
	char hash[SUBMIT_HASH_LEN + 1], other[SUBMIT_HASH_LEN + 1];
	const struct spool_submission five = { .count = 5,
		.msgid = "1lp6jv7m0d3k8q2r5t1ua",
		.print = "0123456789abcdef",
		.first = "fedcba9876543210" };
	struct spool_submission now;
	char path[600];
	int a, b;

	(void)state;
	spool_submit_hash(1000, "key", hash);
	spool_submit_hash(1001, "key", other);
	assert_true(spool_submit_hash_valid(hash));
	assert_string_not_equal(hash, other);
	assert_int_equal(spool_submit_lock(sp, hash, &a, &t_err), 0);
	assert_int_equal(spool_submit_lock(sp, hash, &b, &t_err), 1);
	assert_int_equal(b, -1);
	assert_int_equal(spool_submit_lock(sp, other, &b, &t_err), 0);
	(void)close(a);
	(void)close(b);
	assert_ok(spool_submit_lookup(sp, hash, &now, &t_err));
	assert_int_equal(now.count, 0);
	assert_string_equal(now.msgid, "");
	assert_ok(spool_submit_put(sp, hash, &five, &t_err));
	assert_ok(spool_submit_lookup(sp, hash, &now, &t_err));
	assert_int_equal(now.count, 5);
	assert_string_equal(now.print, five.print);
	assert_string_equal(now.first, five.first);
	assert_string_equal(now.msgid, "1lp6jv7m0d3k8q2r5t1ua");
	assert_ok(spool_submit_sweep(sp, INT64_MAX, &t_err));
	assert_ok(spool_submit_lookup(sp, hash, &now, &t_err));
	assert_int_equal(now.count, 0);
	(void)snprintf(path, sizeof(path), "state/submit/%s", hash);
	/* older ones have no fingerprint */
	put(path, "vmta-submit 1\ncount: 2\nid: 1lp6jv7m0d3k8q2r5t1ua\n");
	assert_ok(spool_submit_lookup(sp, hash, &now, &t_err));
	assert_int_equal(now.count, 2);
	assert_string_equal(now.print, "");
	put(path,
	    "vmta-submit 1\ncount: 2\nid: 1lp6jv7m0d3k8q2r5t1ua\nprint: X\n");
	assert_int_equal(spool_submit_lookup(sp, hash, &now, &t_err), -1);
	put(path, "vmta-submit 1\ncount: x\n");
	assert_int_equal(spool_submit_lookup(sp, hash, &now, &t_err), -1);
	assert_int_equal(spool_submit_lookup(sp, "x", &now, &t_err), -1);
}

/* Findings of a check, repaired and not. */
static void
count_finding(void *arg, const struct spool_finding *f)
{
	unsigned int *n = arg;

	n[0]++;
	if (f->repaired)
		n[1]++;
}

/* A check finds so many, repairs so many, and a second one finds the rest. */
static void
check_is(unsigned int found, unsigned int repaired)
{
	struct spool_tally tally;
	unsigned int n[2] = { 0, 0 };

	assert_ok(spool_check(sp, false, count_finding, n, &tally, &t_err));
	assert_int_equal(n[0], found);
	assert_int_equal(n[1], 0);
	n[0] = 0;
	assert_ok(spool_check(sp, true, count_finding, n, &tally, &t_err));
	assert_int_equal(n[0], found);
	assert_int_equal(n[1], repaired);
	assert_int_equal(tally.findings, found - repaired);
	n[0] = 0;
	assert_ok(spool_check(sp, false, count_finding, n, &tally, &t_err));
	assert_int_equal(n[0], found - repaired);
}

#define SUBMIT_A "00112233445566778899aabbccddeeff"
#define SUBMIT_B "ffeeddccbbaa99887766554433221100"

/* SUBSTUCK: a record that is stuck holds up nobody but its own submission. */
static void
test_submit_stuck(void **state)
{
	struct spool_submission now;
	char text[600];
	int i;

	(void)state;
	one("news", "example.com");
	put("queue/news/new/stuck.example", "in the way");
	(void)snprintf(text, sizeof(text),
	    "vmta-commit 1\n"
	    "rename news stuck.example "
	    "20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-1-3-00000000\n"
	    "submit %s 3 1lp6jv7m0d3k8q2r5t1ua\nend 3\n",
	    SUBMIT_A);
	put("queue/news/tmp/"
	    "20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-1-3-00000000",
	    "x");
	put("commit/1lp6jv7m0d3k8q2r5t1ub", text);
	assert_int_equal(spool_submit_lookup(sp, SUBMIT_A, &now, &t_err), -1);
	assert_ok(spool_submit_lookup(sp, SUBMIT_B, &now, &t_err));
	assert_int_equal(now.count, 0);
	/* the same of records that are damaged, or are none */
	for (i = 0; i < 2; i++) {
		(void)snprintf(text, sizeof(text),
		    "vmta-commit 1\nsubmit %s 3 1lp6jv7m0d3k8q2r5t1ua\nend 9\n",
		    i == 0 ? SUBMIT_A : SUBMIT_B);
		put("commit/1lp6jv7m0d3k8q2r5t1ub", text);
		assert_int_equal(spool_submit_lookup(sp, SUBMIT_A, &now,
				     &t_err),
		    i == 0 ? -1 : 0);
	}
	(void)snprintf(text, sizeof(text), "%s/commit/1lp6jv7m0d3k8q2r5t1ub",
	    sp->path);
	assert_int_equal(unlink(text), 0);
	assert_int_equal(mkdir(text, 0700), 0);
	assert_ok(spool_submit_lookup(sp, SUBMIT_A, &now, &t_err));
	assert_int_equal(rmdir(text), 0);
	assert_int_equal(symlink("nowhere", text), 0);
	assert_ok(spool_submit_lookup(sp, SUBMIT_A, &now, &t_err));
}

/*
 * A record that was left, and is done after a later one of its submission,
 * takes nothing back of what that has counted.
 */
static void
test_submit_late(void **state)
{
	const struct spool_submission five = { .count = 5,
		.msgid = "1lp6jv7m0d3k8q2r5t1ua",
		.print = "0123456789abcdef" };
	struct spool_submission now;

	(void)state;
	assert_ok(spool_submit_put(sp, SUBMIT_A, &five, &t_err));
	put("commit/1lp6jv7m0d3k8q2r5t1ub",
	    "vmta-commit 1\nsubmit " SUBMIT_A
	    " 3 1lp6jv7m0d3k8q2r5t1uc\nend 2\n");
	assert_ok(spool_submit_lookup(sp, SUBMIT_A, &now, &t_err));
	assert_int_equal(now.count, 5);
	assert_string_equal(now.msgid, five.msgid);
	/* one that is ahead counts, and so does one over what is damaged */
	put("commit/1lp6jv7m0d3k8q2r5t1ub",
	    "vmta-commit 1\nsubmit " SUBMIT_A
	    " 7 1lp6jv7m0d3k8q2r5t1uc 0123456789abcdef 0123456789abcdee\n"
	    "end 2\n");
	put("commit/1lp6jv7m0d3k8q2r5t1ud",
	    "vmta-commit 1\nsubmit " SUBMIT_A
	    " 6 1lp6jv7m0d3k8q2r5t1ue\nend 2\n");
	assert_ok(spool_submit_lookup(sp, SUBMIT_A, &now, &t_err));
	assert_int_equal(now.count, 7);
	assert_string_equal(now.print, "0123456789abcdef");
	assert_string_equal(now.first, "0123456789abcdee");
	put("state/submit/" SUBMIT_A, "vmta-submit 1\ncount: x\n");
	assert_ok(spool_submit_put(sp, SUBMIT_A, &five, &t_err));
	assert_ok(spool_submit_lookup(sp, SUBMIT_A, &now, &t_err));
	assert_int_equal(now.count, 5);
}

static int dying = -1; /* closed, it ends the writer */

/* The record is looked at: now its writer goes. */
static ssize_t
dying_pread(struct sys *s, int fd, void *p, size_t n, off_t off)
{
	if (dying != -1)
		(void)close(dying);
	dying = -1;
	return (t_pread(s, fd, p, n, off));
}

/*
 * SUBLOCK: a writer that was killed has lost the lock of its key, and not yet
 * that of its record: what it has committed is waited for.
 */
static void
test_submit_dying(void **state)
{
	struct spool_submission now;
	char path[600], c = 0;
	int fd, ready[2], go[2], status;
	pid_t pid;

	(void)state;
	put("commit/1lp6jv7m0d3k8q2r5t1ub",
	    "vmta-commit 1\nsubmit " SUBMIT_A
	    " 3 1lp6jv7m0d3k8q2r5t1ua\nend 2\n");
	(void)snprintf(path, sizeof(path), "%s/commit/1lp6jv7m0d3k8q2r5t1ub",
	    sp->path);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fd = open(path, O_RDONLY);
		if (fd == -1 || flock(fd, LOCK_EX) == -1 ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		(void)close(go[1]);
		while (read(go[0], &c, 1) == -1 && errno == EINTR)
			;
		_exit(0);
	}
	(void)close(go[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	/* another key's look-up does not wait */
	assert_ok(spool_submit_lookup(sp, SUBMIT_B, &now, &t_err));
	assert_int_equal(now.count, 0);
	dying = go[1];
	table.sys.pread = dying_pread;
	assert_ok(spool_submit_lookup(sp, SUBMIT_A, &now, &t_err));
	assert_int_equal(now.count, 3);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void
test_check(void **state)
{
	char from[900], to[900];
	struct t_seen s;
	struct batch *b;

	(void)state;
	one("news", "example.com");
	check_is(0, 0);
	/* left by dead injectors */
	put("queue/news/tmp/"
	    "20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-1-3-00000000",
	    "half");
	put("commit/.1lp6jv7m0d3k8q2r5t1ua", "vmta-commit 1\n");
	put("content/1lp6jv7m0d3k8q2r5t1ua-1lp6jv7m0d3k8q2r5t1ua", "x");
	check_is(3, 3);
	/* all final */
	s = t_see(sp);
	b = t_open(sp, &s);
	batch_set(b, 0, BATCH_DELIVERED, 1, T_NOW, NULL);
	assert_ok(batch_flush(b, &t_err));
	batch_close(b);
	check_is(1, 1);
	assert_int_equal(t_see(sp).batches, 0);
	/* a name that is too late */
	one("news", "example.com");
	s = t_see(sp);
	(void)snprintf(from, sizeof(from), "%s/queue/news/new/example.com/%s",
	    sp->path, s.last_file);
	s.last_file[3] = '7'; /* a year on */
	(void)snprintf(to, sizeof(to), "%s/queue/news/new/example.com/%s",
	    sp->path, s.last_file);
	assert_int_equal(rename(from, to), 0);
	check_is(1, 1);
	/* damaged, a foreign file, a damaged record */
	s = t_see(sp);
	(void)snprintf(from, sizeof(from), "queue/news/cur/example.com/%s",
	    s.last_file);
	put(from, "vmta-batch 1 gone");
	put("queue/news/new/README", "x");
	put("commit/1lp6jv7m0d3k8q2r5t1ub", "vmta-commit 1\nend 7\n");
	put("queue/.hidden", "");
	assert_int_equal(commit_recover(sp, NULL, NULL, &t_err), -1);
	(void)snprintf(from, sizeof(from), "%s/commit/1lp6jv7m0d3k8q2r5t1ub",
	    sp->path);
	assert_int_equal(unlink(from), 0);
	put("queue/news/new/some.example", "x");
	put("queue/README", "x");
	check_is(4, 1);
	assert_int_equal(t_count(sp, sp->bad_fd), 2);
}

/* A changed content is found, and left alone. */
static void
test_check_content(void **state)
{
	char path[900];
	struct t_seen s;
	struct stat st;
	int fd;

	(void)state;
	one("news", "example.com");
	s = t_see(sp);
	(void)snprintf(path, sizeof(path), "%s/queue/news/new/example.com/%s",
	    sp->path, s.last_file);
	fd = open(path, O_WRONLY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pwrite(fd, "Z", 1, st.st_size - 24), 1);
	(void)close(fd);
	check_is(1, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(test_open), TEST(test_owner),
		TEST(test_trigger), TEST(test_counter), TEST(test_retry),
		TEST(test_pauses), TEST(test_control), TEST(test_REQUEST),
		TEST(test_submit), TEST(test_submit_stuck),
		TEST(test_submit_late), TEST(test_submit_dying),
		TEST(test_check), TEST(test_check_content) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, t_begin, t_end));
}
