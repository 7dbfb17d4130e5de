/* spool/name, commit, batch: what is put in comes out, hostile or not. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>

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

static void
test_names(void **state)
{
	static const char *const bad[] = {
		"", "x",
		"20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-12-34567-1a2b3c4",
		"20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-12-34567-1a2b3c4d5",
		"20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-12-34567-1A2b3c4d",
		"20261123T215405Z-101-1lp6jv7m0d3k8q2r5t1ua-12-34567-1a2b3c4d",
		"20261323T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-12-34567-1a2b3c4d",
		"20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1uz-12-34567-1a2b3c4d",
		"20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-012-34567-1a2b3c4d",
		"20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua--34567-1a2b3c4d",
		"20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-4294967296-1-"
		"1a2b3c4d",
		/* one more than 64 bits */
		("20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-1-"
		 "18446744073709551616-1a2b3c4d"),
		"20261123T215405Z_050-1lp6jv7m0d3k8q2r5t1ua-12-34567-1a2b3c4d"
	};
	struct batch_name n;
	char text[BATCH_NAME_MAX];
	size_t i;

	(void)state;
	assert_int_equal(batch_name_parse("20261123T215405Z-050-"
					  "1lp6jv7m0d3k8q2r5t1ua-12-34567-"
					  "1a2b3c4d",
			     &n),
	    0);
	assert_int_equal(n.due, T_NOW);
	assert_int_equal(n.prio, 50);
	assert_int_equal(n.open, 12);
	assert_int_equal(n.bytes, 34567);
	assert_int_equal(n.job, 0x1a2b3c4d);
	assert_string_equal(batch_name_format(&n, text),
	    "20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-12-34567-1a2b3c4d");
	n = (struct batch_name) { .due = BATCH_DUE_NEVER,
		.prio = 100,
		.open = UINT32_MAX,
		.bytes = UINT64_MAX,
		.job = UINT32_MAX };
	memcpy(n.id.s, "vvvvvvvvvvvvvvvvvvvvv", ID_LEN + 1);
	assert_int_equal(batch_name_parse(batch_name_format(&n, text), &n), 0);
	assert_true(n.bytes == UINT64_MAX && n.open == UINT32_MAX);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(batch_name_parse(bad[i], &n), -1);
	assert_int_equal(batch_job_hash(NULL), 0);
	assert_int_equal(batch_job_hash(""), 0);
	assert_int_equal(batch_job_hash("weekly"),
	    (uint32_t)map_hash("weekly", 6));
}

static void
test_validators(void **state)
{
	static const struct {
		const char *s;
		bool vmta, domain;
	} t[] = { { "news", true, true }, { "News-1._x", true, false },
		{ "", false, false }, { ".x", false, false },
		{ "..", false, false }, { "a/b", false, false },
		{ "-x", false, false }, { "a b", false, false },
		{ "a\n", false, false }, { "x..y", true, false },
		{ "x.y.", true, false }, { "_dmarc.x", false, true },
		{ "xn--bcher-kva.example", true, true },
		{ "[127.0.0.1]", false, true },
		{ "[127.0.0.01]", false, false },
		{ "[ipv6:2001:db8::1]", false, true },
		{ "[ipv6:2001:DB8::1]", false, false },
		{ "[ipv6:2001:db8:0::1]", false, false },
		{ "[IPv6:::1]", false, false }, { "[::1]", false, false },
		{ "[127.0.0.1", false, false }, { "[]", false, false },
		{ "[../x]", false, false },
		{ "\xc3\xbc.example", false, false } };
	char longs[300], domain[SPOOL_DOMAIN_MAX + 1];
	char vmta[SPOOL_VMTA_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (spool_vmta_valid(t[i].s) != t[i].vmta ||
		    spool_domain_valid(t[i].s) != t[i].domain)
			fail_msg("'%s'", t[i].s);
	}
	memset(longs, 'a', sizeof(longs));
	longs[64] = '\0';
	assert_true(spool_vmta_valid(longs));
	assert_false(spool_domain_valid(longs));
	longs[64] = 'a';
	longs[65] = '\0';
	assert_false(spool_vmta_valid(longs));
	for (i = 0; i < 299; i++)
		longs[i] = i % 2 == 0 ? 'a' : '.';
	longs[253] = '\0';
	assert_true(spool_domain_valid(longs));
	longs[253] = '.';
	longs[255] = '\0';
	assert_false(spool_domain_valid(longs));
	assert_int_equal(spool_queue_split("a.b/v", domain, vmta), 0);
	assert_string_equal(domain, "a.b");
	assert_string_equal(vmta, "v");
	assert_int_equal(spool_queue_split("a.b", domain, vmta), -1);
	assert_int_equal(spool_queue_split("/v", domain, vmta), -1);
	assert_int_equal(spool_queue_split("a.b/v/w", domain, vmta), -1);
}

static void
test_roundtrip(void **state)
{
	struct commit *c = commit_new(sp);
	struct commit_key key = t_key("news", "example.com");
	struct commit_msg msg;
	struct commit_rcpt rcpt = { .index = 3,
		.notify = "SF",
		.orcpt = "rfc822;a+20b@x",
		.rcpt = "\"a b\"@example.com" };
	uint32_t slots[2] = { 0, 1 };
	char text[64];
	struct batch_txn t;
	struct batch *b;
	struct t_seen s;
	struct id id;
	off_t off;
	int fd;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	(void)commit_content(c, "unused", 6);
	msg = t_msg(id.s, commit_content(c, "Subject: x\r\n\r\n.dot\r\n", 20));
	msg.flags = BATCH_8BIT_BODY | BATCH_UTF8_SENDER;
	msg.dots = 1;
	msg.ret = 'H';
	msg.envid = "QQ+3D";
	msg.sender = "\"x y\"@example.net";
	key.pool = "bulk";
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	rcpt = (struct commit_rcpt) { .index = 4,
		.rcpt = "b@example.com",
		.held = true };
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	msg.sender = "";
	rcpt.index = 5;
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	assert_int_equal(commit_rcpts(c), 3);
	assert_int_equal(commit_batches(c), 1);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);

	s = t_see(sp);
	assert_int_equal(s.batches, 1);
	b = t_open(sp, &s);
	assert_int_equal(batch_msgs(b), 2);
	assert_int_equal(batch_slots(b), 3);
	/* the two messages share their content in the file */
	assert_int_equal(batch_open_bytes(b), 20);
	assert_string_equal(batch_header(b)->pool, "bulk");
	assert_string_equal(batch_header(b)->job, "weekly");
	assert_string_equal(batch_header(b)->source, "user:me");
	assert_string_equal(batch_header(b)->source_type, "api");
	assert_string_equal(batch_header(b)->source_mta, "localhost");
	assert_null(batch_header(b)->content);
	assert_int_equal(batch_header(b)->queued, T_NOW);
	assert_int_equal(batch_header(b)->prio, 50);
	batch_txn_init(&t);
	assert_ok(batch_load(b, slots, 2, &t, &t_err));
	assert_string_equal(t.msg.msgid, id.s);
	assert_string_equal(t.msg.sender, "\"x y\"@example.net");
	assert_string_equal(t.msg.envid, "QQ+3D");
	assert_int_equal(t.msg.flags, BATCH_8BIT_BODY | BATCH_UTF8_SENDER);
	assert_int_equal(t.msg.longest, 70);
	assert_int_equal(t.msg.dots, 1);
	assert_int_equal(t.msg.ret, 'H');
	assert_string_equal(t.rcpt[0].rcpt, "\"a b\"@example.com");
	assert_string_equal(t.rcpt[0].notify, "SF");
	assert_string_equal(t.rcpt[0].orcpt, "rfc822;a+20b@x");
	assert_int_equal(t.rcpt[0].index, 3);
	assert_int_equal(t.rcpt[0].state, BATCH_FRESH);
	assert_int_equal(t.rcpt[0].next, T_NOW);
	assert_null(t.rcpt[0].source);
	assert_int_equal(t.rcpt[1].state, BATCH_HELD);
	assert_null(t.rcpt[1].notify);
	slots[0] = 2;
	assert_ok(batch_load(b, slots, 1, &t, &t_err));
	assert_string_equal(t.msg.sender, "");
	assert_int_equal(t.msg.msg, 1);
	assert_ok(batch_content(b, &t.msg, &fd, &off, &t_err));
	assert_int_equal(pread(fd, text, t.msg.size, off), 20);
	assert_memory_equal(text, "Subject: x\r\n\r\n.dot\r\n", 20);
	batch_txn_release(&t);
	batch_close(b);
	t_clean(sp);
}

/* What the format cannot hold is refused, and leaves the commit as it was. */
static void
test_refused(void **state)
{
	struct spool_submission now = { .count = 1 };
	struct commit *c = commit_new(sp);
	struct commit_key key = t_key("news", "example.com"), k;
	struct commit_rcpt rcpt = { .rcpt = "a@b" }, r;
	struct commit_msg msg, m;
	struct id id;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	msg = t_msg(id.s, commit_content(c, "x\r\n", 3));
#define REFUSED(field)                                                    \
	do {                                                              \
		k = key;                                                  \
		m = msg;                                                  \
		r = rcpt;                                                 \
		field;                                                    \
		assert_int_equal(commit_rcpt(c, &k, &m, &r, &t_err), -1); \
		assert_int_equal(t_err.code, VEX_DATA);                   \
	} while (0)
	REFUSED(k.vmta = "../x");
	REFUSED(k.domain = "x/y");
	REFUSED(k.domain = "Example.com");
	REFUSED(k.job = "a\nid: x");
	REFUSED(k.pool = "\r");
	REFUSED(k.source = "x\n");
	REFUSED(k.prio = 101);
	REFUSED(k.prio = -1);
	REFUSED(m.msgid = "short");
	REFUSED(m.content = 1);
	REFUSED(m.envid = "a b");
	REFUSED(m.sender = "a@b\nR - x");
	REFUSED(m.sender = NULL);
	REFUSED(m.sender = "<>");
	REFUSED(r.rcpt = "");
	REFUSED(r.rcpt = "a@b\r\nRCPT");
	REFUSED(r.orcpt = "rfc822;a b");
	REFUSED(r.notify = "S F");
	assert_int_equal(commit_rcpts(c), 0);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	assert_int_equal(t_see(sp).batches, 0);
	c = commit_new(sp);
	memcpy(now.msgid, id.s, sizeof(now.msgid));
	commit_submit(c, "../../x", &now);
	assert_int_equal(commit_finish(c, &t_err), -1);
	commit_free(c);
}

/* Keys, priorities and jobs part batches; more than 10,000 are cut. */
static void
test_grouping(void **state)
{
	struct commit *c = commit_new(sp);
	struct commit_key key = t_key("news", "example.com");
	struct commit_rcpt rcpt = { .rcpt = "a@example.com" };
	struct commit_msg msg;
	struct t_seen s;
	struct id id;
	uint32_t i;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	msg = t_msg(id.s, commit_content(c, "x\r\n", 3));
	for (i = 0; i < 2 * COMMIT_BATCH_RCPTS + 1; i++) {
		rcpt.index = i;
		assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	}
	assert_int_equal(commit_batches(c), 3);
	key.prio = 90;
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	key.job = NULL;
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	key.due = T_NOW + 60;
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	assert_int_equal(commit_batches(c), 6);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	s = t_see(sp);
	assert_int_equal(s.batches, 6);
	assert_int_equal(s.rcpts, 2 * COMMIT_BATCH_RCPTS + 4);
	t_clean(sp);
}

/* Shared content: one file, a link a batch, gone with the last. */
static void
test_shared(void **state)
{
	static char body[200 * 1024];
	struct commit *c = commit_new(sp);
	struct buf own = BUF_INIT;
	char domain[32];
	struct t_seen s;
	struct batch *b;
	struct batch_txn t;
	struct id id;
	uint32_t i, slot = 0;
	size_t k, small;
	off_t off;
	int fd;

	(void)state;
	memset(body, 'y', sizeof(body));
	assert_int_equal(id_new(&table.sys, &id), 0);
	k = commit_content(c, body, sizeof(body));
	buf_adds(&own, "small\r\n");
	small = commit_content_take(c, &own);
	assert_int_equal(own.len, 0);
	for (i = 0; i < 20; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		t_add(c, "news", domain, k, id.s, i);
		if (i < 2)
			t_add(c, "news", domain, small, id.s, i);
	}
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	s = t_see(sp);
	assert_int_equal(s.batches, 22);
	assert_int_equal(t_count(sp, sp->content_fd), 20);
	t_clean(sp);
	assert_ok(commit_sweep(sp, &t_err));
	assert_int_equal(t_count(sp, sp->content_fd), 20);
	batch_txn_init(&t);
	for (; s.batches > 0; s = t_see(sp)) {
		b = t_open(sp, &s);
		assert_ok(batch_load(b, &slot, 1, &t, &t_err));
		assert_ok(batch_content(b, &t.msg, &fd, &off, &t_err));
		batch_set(b, 0, BATCH_DELIVERED, 1, T_NOW, NULL);
		assert_int_equal(batch_open_count(b), 0);
		assert_ok(batch_finish(b, &t_err));
		batch_close(b);
	}
	batch_txn_release(&t);
	assert_int_equal(t_count(sp, sp->content_fd), 0);
	t_clean(sp);
}

/* BADCONTENT: a batch that was set aside keeps what it shares. */
static void
test_aside(void **state)
{
	static char body[200 * 1024];
	struct commit *c = commit_new(sp);
	struct spool_tally tally;
	char domain[32];
	struct t_seen s;
	struct id id;
	uint32_t i;
	size_t k;

	(void)state;
	memset(body, 'y', sizeof(body));
	assert_int_equal(id_new(&table.sys, &id), 0);
	k = commit_content(c, body, sizeof(body));
	for (i = 0; i < 4; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		t_add(c, "news", domain, k, id.s, i);
	}
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	assert_int_equal(t_count(sp, sp->content_fd), 4);
	s = t_see(sp);
	assert_ok(batch_set_aside(sp, s.last_vmta, s.last_area, s.last_domain,
	    s.last_file, "a test", &t_err));
	assert_ok(commit_sweep(sp, &t_err));
	assert_int_equal(t_count(sp, sp->content_fd), 4);
	t_clean(sp);
	assert_ok(spool_check(sp, true, t_finding, NULL, &tally, &t_err));
	assert_int_equal(t_count(sp, sp->content_fd), 4);
	/* thrown away, it needs none */
	assert_int_equal(unlinkat(sp->bad_fd, s.last_file, 0), 0);
	assert_ok(commit_sweep(sp, &t_err));
	assert_int_equal(t_count(sp, sp->content_fd), 3);
}

/* States are overwritten in place, whatever lies between them. */
static void
test_states(void **state)
{
	struct commit *c = commit_new(sp);
	struct batch_slot slot;
	struct t_seen s;
	struct batch *b;
	struct id id;
	uint32_t i;
	unsigned int round;

	(void)state;
	for (i = 0; i < 300; i++) {
		if (i % 7 == 0)
			assert_int_equal(id_new(&table.sys, &id), 0);
		t_add(c, "news", "example.com", commit_content(c, "x\r\n", 3),
		    id.s, i);
	}
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	for (round = 1; round < 40; round++) {
		s = t_see(sp);
		b = t_open(sp, &s);
		for (i = round % 5; i < 300; i += 1 + i % round)
			batch_set(b, i, BATCH_DEFERRED, round, T_NOW + i,
			    i % 2 == 0 ? "192.0.2.1" : "2001:db8::1");
		assert_true(batch_dirty(b));
		assert_ok(batch_flush(b, &t_err));
		assert_false(batch_dirty(b));
		batch_close(b);
		b = t_open(sp, &s);
		for (i = round % 5; i < 300; i += 1 + i % round) {
			batch_slot(b, i, &slot);
			assert_int_equal(slot.attempts, round);
			assert_int_equal(slot.next, T_NOW + i);
			assert_string_equal(slot.source,
			    i % 2 == 0 ? "192.0.2.1" : "2001:db8::1");
		}
		batch_close(b);
	}
	s = t_see(sp);
	b = t_open(sp, &s);
	batch_set(b, 0, BATCH_HELD_TRIED, 5000, T_NOW, "");
	for (i = 1; i < 300; i++)
		batch_set(b, i, BATCH_BOUNCED, 1, T_NOW, NULL);
	assert_ok(batch_flush(b, &t_err));
	assert_ok(batch_sync(b, &t_err));
	assert_ok(batch_requeue(b, &t_err));
	assert_int_equal(batch_area(b), BATCH_CUR);
	assert_true(strncmp(batch_file(b), "99991231T235959Z-050-", 21) == 0);
	batch_slot(b, 0, &slot);
	assert_int_equal(slot.attempts, 999);
	assert_null(slot.source);
	assert_ok(batch_requeue(b, &t_err));
	batch_set(b, 0, BATCH_DEFERRED, 999, T_NOW + 5, NULL);
	assert_ok(batch_flush(b, &t_err));
	assert_ok(batch_requeue(b, &t_err));
	assert_true(strncmp(batch_file(b), "20261123T215410Z-050-", 21) == 0);
	batch_close(b);
	t_clean(sp);
}

/* Holes appear only where nobody needs the octets. */
static void
test_space(void **state)
{
	struct commit *c = commit_new(sp);
	const size_t size = 100 * 1024;
	struct buf body = BUF_INIT;
	struct batch_txn t;
	struct stat st, before;
	struct t_seen s;
	struct batch *b;
	struct id id;
	uint32_t i;
	off_t off;
	int fd;

	(void)state;
	for (i = 0; i < 30; i++) {
		memset(buf_room(&body, size), (int)i + 1, size);
		body.len = size;
		assert_int_equal(id_new(&table.sys, &id), 0);
		t_add(c, "news", "example.com", commit_content_take(c, &body),
		    id.s, i);
	}
	assert_ok(commit_finish(c, &t_err));
	s = t_see(sp);
	b = t_open(sp, &s);
	batch_txn_init(&t);
	i = 0;
	assert_ok(batch_load(b, &i, 1, &t, &t_err));
	assert_ok(batch_content(b, &t.msg, &fd, &off, &t_err));
	assert_int_equal(fstat(fd, &before), 0);
	for (i = 0; i < 14; i++)
		batch_set(b, i, BATCH_DELIVERED, 1, T_NOW, NULL);
	assert_ok(batch_space(b, &t_err));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks, before.st_blocks);
	for (i = 0; i < 30; i++)
		if (i != 5 && i != 6 && i != 29)
			batch_set(b, i, BATCH_DELIVERED, 1, T_NOW, NULL);
	assert_ok(batch_flush(b, &t_err));
	table.at = table.n + 1;
	table.error = EOPNOTSUPP;
	table.fault = T_ERROR;
	assert_ok(batch_space(b, &t_err)); /* a filesystem that cannot */
	table.fault = T_COUNT;
	batch_close(b);
	b = t_open(sp, &s);
	assert_ok(batch_space(b, &t_err));
	i = 29;
	assert_ok(batch_load(b, &i, 1, &t, &t_err));
	assert_ok(batch_content(b, &t.msg, &fd, &off, &t_err));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, before.st_size);
	assert_true(st.st_blocks < before.st_blocks / 4);
	batch_txn_release(&t);
	batch_close(b);
	t_clean(sp);
	commit_free(c);
}

/* Change one octet of the only batch; what opening it says then. */
static int
damage(off_t at, char to)
{
	struct t_seen s = { .sp = sp };
	struct verr err = VERR_INIT;
	struct batch *b;
	char path[900], was;
	int fd, rc;

	s = t_see(sp);
	(void)snprintf(path, sizeof(path), "%s/queue/%s/new/%s/%s", sp->path,
	    s.last_vmta, s.last_domain, s.last_file);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &was, 1, at), 1);
	assert_int_equal(pwrite(fd, &to, 1, at), 1);
	rc = batch_open(sp, s.last_vmta, BATCH_NEW, s.last_domain, s.last_file,
	    true, &b, &err);
	if (rc == 0)
		batch_close(b);
	assert_int_equal(pwrite(fd, &was, 1, at), 1);
	(void)close(fd);
	return (rc == 0 ? 0 : err.code);
}

/* A merge: version 2, V lines, parts; what its lines may not be. */
static void
test_merge(void **state)
{
	const struct commit_merge merge = { .vars = "first\tlast",
		.parts = "2,0,3",
		.strip = "X-Job X-Envid",
		.host = "h.example",
		.date = true,
		.empty = true };
	struct commit *c = commit_new(sp);
	struct commit_key key = t_key("news", "example.com");
	struct commit_msg msg = { .parts = "1,3", .sender = "s@y.example" };
	struct commit_rcpt rcpt = { .rcpt = "a@example.com" };
	const struct batch_header *h;
	struct batch_txn t;
	struct t_seen s;
	struct batch *b;
	uint32_t slot;
	struct id id;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	msg.msgid = id.s;
	msg.content = commit_content(c, "12345", 5);
	commit_merge(c, &merge);
	rcpt.vars = "A\\x0ab\t\\-";
	assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
	rcpt.index = 1;
	rcpt.vars = "\t";
	assert_ok(commit_rcpt(c, NULL, NULL, &rcpt, &t_err));
	rcpt.vars = "x\ny\t";
	assert_int_equal(commit_rcpt(c, &key, &msg, &rcpt, &t_err), -1);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	s = t_see(sp);
	assert_int_equal(s.rcpts, 2);
	b = t_open(sp, &s);
	h = batch_header(b);
	assert_true(h->merge && h->content != NULL);
	assert_string_equal(h->vars, "first\tlast");
	assert_string_equal(h->parts, "2,0,3");
	assert_string_equal(h->host, "h.example");
	assert_string_equal(h->undefined, "empty");
	assert_string_equal(h->strip, "X-Job X-Envid");
	assert_string_equal(h->date, "add");
	batch_txn_init(&t);
	for (slot = 0; slot < 2; slot++) {
		assert_ok(batch_load(b, &slot, 1, &t, &t_err));
		assert_string_equal(t.msg.parts, "1,3");
		assert_string_equal(t.msg.sender, "s@y.example");
		assert_string_equal(t.rcpt[0].rcpt, "a@example.com");
		assert_int_equal(t.rcpt[0].index, slot);
		assert_string_equal(t.rcpt[0].vars,
		    slot == 0 ? "A\\x0ab\t\\-" : "\t");
	}
	batch_txn_release(&t);
	batch_set(b, 1, BATCH_DEFERRED, 3, T_NOW + 60, "127.0.0.1");
	assert_ok(batch_flush(b, &t_err));
	assert_ok(batch_requeue(b, &t_err));
	batch_close(b);
	s = t_see(sp);
	b = t_open(sp, &s);
	batch_set(b, 0, BATCH_DELIVERED, 1, T_NOW, "127.0.0.1");
	batch_set(b, 1, BATCH_DELIVERED, 4, T_NOW, "127.0.0.1");
	assert_ok(batch_flush(b, &t_err));
	assert_ok(batch_finish(b, &t_err));
	batch_close(b);
	assert_int_equal(t_count(sp, sp->content_fd), 0);
}

/* Keep the name of a batch. */
static int
keep_name(void *arg, const char *file, const struct batch_name *n)
{
	assert_non_null(n);
	memcpy(arg, file, strlen(file) + 1);
	return (0);
}

/* V lines of another number of values: set aside, not guessed at. */
/* ROWLIMIT: what is written can be read, however large the values are. */
static void
test_merge_large(void **state)
{
	const struct commit_merge merge = { .vars = "first" };
	struct commit_key key = t_key("news", "example.com");
	struct commit_msg msg = { .sender = "" };
	struct commit_rcpt rcpt = { .rcpt = "a@example.com" };
	char *value = xmalloc(BATCH_VARS_MAX + 2);
	struct commit *c = commit_new(sp);
	struct id id;

	(void)state;
	memset(value, 'v', BATCH_VARS_MAX + 1);
	value[BATCH_VARS_MAX + 1] = '\0';
	assert_int_equal(id_new(&table.sys, &id), 0);
	msg.msgid = id.s;
	msg.content = commit_content(c, "12345", 5);
	commit_merge(c, &merge);
	rcpt.vars = value;
	assert_int_equal(commit_rcpt(c, &key, &msg, &rcpt, &t_err), -1);
	assert_int_equal(t_err.code, VEX_DATA);
	value[BATCH_VARS_MAX] = '\0';
	for (; rcpt.index < 20; rcpt.index++)
		assert_ok(commit_rcpt(c, rcpt.index == 0 ? &key : NULL, &msg,
		    &rcpt, &t_err));
	assert_true(commit_text(c) > 20ULL * BATCH_VARS_MAX);
	assert_int_equal(commit_batches(c), 3);
	assert_ok(commit_write(c, &t_err));
	assert_int_equal(commit_text(c), 0);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	free(value);
	assert_int_equal(t_see(sp).rcpts, 20);
	t_clean(sp);
}

static void
test_merge_damage(void **state)
{
	const struct commit_merge merge = { .vars = "first\tlast" };
	static const char *const vars[] = { "a", "a\tb\tc", "", NULL };
	char domain[] = "d0.example", file[BATCH_NAME_MAX] = "";
	struct commit_key key = t_key("news", domain);
	struct commit_msg msg = { .sender = "" };
	struct commit_rcpt rcpt = { .rcpt = "a@example.com" };
	struct verr err = VERR_INIT;
	struct commit *c;
	struct batch *b;
	struct id id;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(vars) / sizeof(vars[0]); i++) {
		domain[1] = (char)('0' + i);
		assert_int_equal(id_new(&table.sys, &id), 0);
		c = commit_new(sp);
		msg.msgid = id.s;
		msg.content = commit_content(c, "12345", 5);
		commit_merge(c, &merge);
		rcpt.vars = vars[i];
		assert_ok(commit_rcpt(c, &key, &msg, &rcpt, &t_err));
		assert_ok(commit_finish(c, &t_err));
		commit_free(c);
		assert_ok(spool_batches(sp, "news", BATCH_NEW, domain,
		    keep_name, file, &t_err));
		assert_int_equal(batch_open(sp, "news", BATCH_NEW, domain, file,
				     false, &b, &err),
		    -1);
		assert_int_equal(err.code, VEX_DATA);
	}
}

/* One message of each of six VirtualMTAs, found by walk and open. */
static void
find_all(void)
{
	char name[] = "v0", file[BATCH_NAME_MAX];
	struct batch *b;

	for (name[1] = '0'; name[1] < '6'; name[1]++) {
		file[0] = '\0';
		assert_ok(spool_batches(sp, name, BATCH_NEW, "d.example",
		    keep_name, file, &t_err));
		assert_ok(spool_batches(sp, name, BATCH_CUR, "d.example",
		    keep_name, file, &t_err));
		assert_ok(batch_open(sp, name, BATCH_NEW, "d.example", file,
		    false, &b, &t_err));
		assert_string_equal(batch_header(b)->vmta, name);
		batch_close(b);
	}
}

static int
count_domain(void *arg, const char *name, bool foreign)
{
	assert_false(foreign);
	assert_string_equal(name, "d.example");
	++*(int *)arg;
	return (0);
}

/* More directories than are kept open; and one that is made anew. */
static void
test_directories(void **state)
{
	struct commit *c = commit_new(sp);
	char name[] = "v0", area[400], path[450], aside[400];
	struct id id;
	int i, n = 0;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	for (; name[1] < '6'; name[1]++)
		t_add(c, name, "d.example", commit_content(c, "x\r\n", 3), id.s,
		    (uint32_t)(name[1] - '0'));
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	for (i = 0; i < 3; i++)
		find_all();
	/* made anew, with what was in it: that one is kept open is in vain */
	(void)snprintf(area, sizeof(area), "%s/queue/v5/new", sp->path);
	(void)snprintf(path, sizeof(path), "%s/d.example", area);
	(void)snprintf(aside, sizeof(aside), "%s/queue/v5/aside", sp->path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(rmdir(area), 0);
	assert_int_equal(mkdir(area, 0700), 0);
	assert_int_equal(rename(aside, path), 0);
	find_all();
	/* the same for a plan, also when the old one is only elsewhere */
	assert_ok(spool_domains(sp, "v5", BATCH_NEW, count_domain, &n, &t_err));
	assert_int_equal(n, 1);
	assert_int_equal(rename(area, aside), 0);
	assert_int_equal(mkdir(area, 0700), 0);
	assert_ok(spool_domains(sp, "v5", BATCH_NEW, count_domain, &n, &t_err));
	assert_int_equal(n, 1);
}

/* Every octet of the index, changed; and the file cut everywhere. */
static void
test_damage(void **state)
{
	struct commit *c = commit_new(sp);
	struct verr err = VERR_INIT;
	char path[900], text[2048], *r;
	struct t_seen s;
	struct batch *b;
	struct id id;
	ssize_t n;
	off_t i, index;
	int fd, code;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	t_add(c, "news", "example.com", commit_content(c, "x\r\n", 3), id.s, 0);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	s = t_see(sp);
	(void)snprintf(path, sizeof(path), "%s/queue/news/new/example.com/%s",
	    sp->path, s.last_file);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 100);
	text[n] = '\0';
	r = strstr(text, "\nR ");
	assert_non_null(r);
	index = strtol(text + 13, NULL, 10);
	assert_int_equal(damage(11, '3'), VEX_UNAVAILABLE);
	assert_int_equal(damage(11, '2'), VEX_DATA); /* its lines are not */
	for (i = 0; i < n; i++) {
		if (i >= index && i < n - 21)
			continue; /* content: vmta-check reads it */
		code = damage(i, text[i] == 'Q' ? 'W' : 'Q');
		if (i > r + 3 - text && i < r + 3 + 62 - text)
			assert_int_equal(code, 0); /* taken as nothing */
		else
			assert_int_equal(code, VEX_DATA);
		assert_true(damage(i, '\0') != 0 ||
		    (i > r + 3 - text && i < r + 3 + 62 - text));
	}
	for (i = n - 1; i >= 0; i--) {
		assert_int_equal(ftruncate(fd, i), 0);
		assert_int_equal(batch_open(sp, "news", BATCH_NEW,
				     "example.com", s.last_file, false, &b,
				     &err),
		    -1);
		assert_int_equal(err.code, VEX_DATA);
	}
	(void)close(fd);
	assert_ok(batch_set_aside(sp, "news", BATCH_NEW, "example.com",
	    s.last_file, "cut off", &t_err));
	assert_ok(batch_set_aside(sp, "news", BATCH_NEW, "example.com",
	    s.last_file, "gone by now", &t_err));
	assert_int_equal(t_count(sp, sp->bad_fd), 1);
	assert_int_equal(batch_open(sp, "news", BATCH_NEW, "example.com",
			     s.last_file, false, &b, &err),
	    -1);
	assert_int_equal(err.err, ENOENT);
}

/* Links, symlinks, directories and other people's places are refused. */
static void
test_foreign(void **state)
{
	struct commit *c = commit_new(sp);
	struct verr err = VERR_INIT;
	char path[900], other[900];
	struct t_seen s;
	struct batch *b;
	struct id id;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	t_add(c, "news", "example.com", commit_content(c, "x\r\n", 3), id.s, 0);
	assert_ok(commit_finish(c, &t_err));
	commit_free(c);
	s = t_see(sp);
	(void)snprintf(path, sizeof(path), "%s/queue/news/new/example.com/%s",
	    sp->path, s.last_file);
	(void)snprintf(other, sizeof(other), "%s/other", t_dir);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(batch_open(sp, "news", BATCH_NEW, "example.com",
			     s.last_file, true, &b, &err),
	    -1);
	assert_int_equal(err.code, VEX_DATA);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(batch_open(sp, "news", BATCH_NEW, "example.com",
			     s.last_file, true, &b, &err),
	    -1);
	assert_int_equal(err.code, VEX_DATA);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(batch_open(sp, "news", BATCH_NEW, "example.com",
			     s.last_file, false, &b, &err),
	    -1);
	assert_int_equal(err.code, VEX_DATA);
	/* a good batch in the wrong queue */
	assert_int_equal(rmdir(path), 0);
	(void)snprintf(path, sizeof(path), "%s/queue/news/new/example.org",
	    sp->path);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/queue/news/new/example.org/%s",
	    sp->path, s.last_file);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(batch_open(sp, "news", BATCH_NEW, "example.org",
			     s.last_file, true, &b, &err),
	    -1);
	assert_int_equal(err.code, VEX_DATA);
}

/* An owner removes the empty directory again and again; no mail is lost. */
static void
test_directory_race(void **state)
{
	char path[600];
	struct commit *c;
	struct id id;
	pid_t pid, parent = getpid();
	unsigned int i;
	int status;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/queue/news/new/example.com",
	    sp->path);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* goes with the parent, whatever becomes of it */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			(void)rmdir(path);
		_exit(0);
	}
	for (i = 0; i < 200; i++) {
		c = commit_new(sp);
		assert_int_equal(id_new(&table.sys, &id), 0);
		t_add(c, "news", "example.com", commit_content(c, "x\r\n", 3),
		    id.s, 0);
		assert_ok(commit_finish(c, &t_err));
		commit_free(c);
		if (i % 2 == 0) {
			struct t_seen s = t_see(sp);
			struct batch *b = t_open(sp, &s);

			batch_set(b, 0, BATCH_DELIVERED, 1, T_NOW, NULL);
			assert_ok(batch_finish(b, &t_err));
			batch_close(b);
		}
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(t_see(sp).batches, 100);
}

/* Thousands of queues in one commit: few descriptors. */
static void
test_many_queues(void **state)
{
	struct commit *c = commit_new(sp);
	struct rlimit old, few;
	char domain[32];
	struct id id;
	uint32_t i;
	size_t k;

	(void)state;
	assert_int_equal(id_new(&table.sys, &id), 0);
	k = commit_content(c, "x\r\n", 3);
	for (i = 0; i < 3000; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		t_add(c, "news", domain, k, id.s, i);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = t_fds() + 10;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_ok(commit_finish(c, &t_err));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	commit_free(c);
	assert_int_equal(t_see(sp).batches, 3000);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_names),
		cmocka_unit_test(test_validators), TEST(test_roundtrip),
		TEST(test_refused), TEST(test_grouping), TEST(test_shared),
		TEST(test_aside), TEST(test_states), TEST(test_space),
		TEST(test_directories), TEST(test_damage), TEST(test_merge),
		TEST(test_merge_large), TEST(test_merge_damage),
		TEST(test_foreign), TEST(test_directory_race),
		TEST(test_many_queues) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, t_begin, t_end));
}
