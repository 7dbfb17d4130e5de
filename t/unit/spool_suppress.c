/* Suppression lists: entries, their forms, files that are none. */
#include "spool_util.h"

#include "spool/suplist.h"
#include "spool/supmake.h"

static struct spool *sp;

static int
setup(void **state)
{
	(void)state;
	sp = t_spool(sys_real());
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	spool_close(sp);
	return (0);
}

/* The entry as a key, or "" where it cannot be. */
static const char *
key_of(const char *text, struct buf *b)
{
	struct verr err = VERR_INIT;
	enum suplist_kind kind;

	if (suplist_entry(text, strlen(text), &kind, b, &err) == -1) {
		assert_int_equal(err.code, VEX_DATA);
		assert_true(err.text[0] != '\0');
		return ("");
	}
	assert_int_equal(kind, suplist_kind(b->p));
	return (b->p);
}

static void
test_entries(void **state)
{
	static const struct {
		const char *text, *key, *back;
	} t[] = {
		{ "A@B.example", "aa@b.example", "a@b.example" },
		{ "<a@b.example>", "aa@b.example", "a@b.example" },
		{ "\"a\"@b.example", "aa@b.example", "a@b.example" },
		{ "\"a.b\"@c.example", "aa.b@c.example", "a.b@c.example" },
		{ "\"a..b\"@c.example", "a\"a..b\"@c.example",
		    "\"a..b\"@c.example" },
		{ "\"\\a\\\"\"@c.example", "a\"a\\\"\"@c.example",
		    "\"a\\\"\"@c.example" },
		{ "\"a@B\"@c.example", "a\"a@b\"@c.example",
		    "\"a@b\"@c.example" },
		{ "\"\"@c.example", "a\"\"@c.example", "\"\"@c.example" },
		{ "\xc3\x84@c.example", "a\xc3\x84@c.example",
		    "\xc3\x84@c.example" },
		{ "x@[127.0.0.1]", "ax@[127.0.0.1]", "x@[127.0.0.1]" },
		{ "B\xc3\xbc.example", "dxn--b-eha.example",
		    "xn--b-eha.example" },
		{ "@D.example", "dd.example", "d.example" },
		{ "[127.0.0.1]", "d[127.0.0.1]", "[127.0.0.1]" },
		{ "*.D.example", "sd.example", "*.d.example" },
		{ "[*.]D.example", "wd.example", "[*.]d.example" },
		{ "Joe@", "ljoe", "joe@" },
		{ "\"joe\"@", "ljoe", "joe@" },
		{ "\"a@\"@", "l\"a@\"", "\"a@\"@" },
		{ "/^A\\/b/", "r^A\\/b", "/^A\\/b/" },
		{ "///", "r/", "///" },
		{ "", "", NULL },
		{ "@", "", NULL },
		{ "*.", "", NULL },
		{ "[*.]", "", NULL },
		{ "a b@c.example", "", NULL },
		{ "a@b@c.example", "", NULL },
		{ "/", "", NULL },
		{ "//", "", NULL },
		{ "/a", "", NULL },
		{ "/[/", "", NULL },
		{ "a..b@", "", NULL },
		{ "*", "", NULL },
	};
	struct buf b = BUF_INIT, back = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_string_equal(key_of(t[i].text, &b), t[i].key);
		if (t[i].back == NULL)
			continue;
		buf_clear(&back);
		suplist_text(b.p, b.len, &back);
		assert_string_equal(back.p, t[i].back);
		/* what is printed makes the same entry */
		assert_string_equal(key_of(back.p, &b), t[i].key);
	}
	buf_release(&b);
	buf_release(&back);
}

/* What a recipient is asked for by, whatever stands in a batch. */
static void
test_fold(void **state)
{
	char fold[ADDR_MAX + 1], text[3 * ADDR_MAX];

	(void)state;
	suplist_fold("\"JOE\"@x.example", fold);
	assert_string_equal(fold, "joe@x.example");
	suplist_fold("nobody", fold);
	assert_string_equal(fold, "");
	suplist_fold("", fold);
	assert_string_equal(fold, "");
	suplist_fold("\"\\", fold);
	assert_string_equal(fold, "");
	suplist_fold("\"@x", fold);
	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 3, "@b", 3);
	suplist_fold(text, fold);
	assert_string_equal(fold, "@b");
	memset(text, '"', sizeof(text));
	memcpy(text + ADDR_LOCAL_MAX, "@b", 3);
	suplist_fold(text, fold);
	assert_true(strlen(fold) <= ADDR_MAX);
}

/* A list of these entries. */
static void
make_list(const char *name, const char *const *entry)
{
	struct buf b = BUF_INIT;
	struct supmake *m;

	assert_int_equal(supmake_new(sp, name, &m, &t_err), 0);
	for (; *entry != NULL; entry++) {
		(void)key_of(*entry, &b);
		assert_int_equal(supmake_add(m, b.p, b.len, &t_err), 0);
	}
	assert_int_equal(supmake_finish(m, &t_err), 0);
	supmake_free(m);
	buf_release(&b);
}

static int
count_entry(void *arg, const char *key, size_t n, struct verr *err)
{
	(void)key;
	(void)n;
	(void)err;
	++*(int *)arg;
	return (0);
}

static void
test_counts(void **state)
{
	static const char *const entry[] = { "a@x.example", "A@X.example",
		"x.example", "/a/", "/a/", "u@", NULL };
	struct suplist *l;
	int n = 0;

	(void)state;
	make_list("l", entry);
	assert_int_equal(suplist_open(sp, "l", &l, &t_err), 0);
	assert_int_equal(suplist_count(l, SUPLIST_ADDRESS), 1);
	assert_int_equal(suplist_count(l, SUPLIST_DOMAIN), 1);
	assert_int_equal(suplist_count(l, SUPLIST_BELOW), 0);
	assert_int_equal(suplist_count(l, SUPLIST_LOCAL), 1);
	assert_int_equal(suplist_count(l, SUPLIST_REGEX), 1);
	assert_int_equal(suplist_walk(l, count_entry, &n, &t_err), 0);
	assert_int_equal(n, 4);
	suplist_close(l);
}

/* Every octet that is wrong is an error or an answer, and no crash. */
static void
test_damage(void **state)
{
	static const char *const entry[] = { "a@x.example", "x.example", "/a/",
		NULL };
	struct verr err = VERR_INIT;
	struct buf whole = BUF_INIT, bad = BUF_INIT;
	struct suplist *l;
	size_t i, opened = 0;
	int dfd, n;

	(void)state;
	make_list("l", entry);
	dfd = suplist_dir(sp, true, &t_err);
	assert_int_equal(file_read(sp->sys, dfd, "l.cdb", 1u << 20, &whole,
			     &t_err),
	    0);
	for (i = 0; i < whole.len; i++) {
		buf_clear(&bad);
		buf_add(&bad, whole.p, whole.len);
		bad.p[i] = (char)(bad.p[i] ^ 0xff);
		assert_int_equal(file_write_fast(sp->sys, dfd, "l.cdb", bad.p,
				     bad.len, &t_err),
		    0);
		if (suplist_open(sp, "l", &l, &err) == -1)
			continue;
		opened++;
		(void)suplist_find(l, "a@x.example", &err);
		(void)suplist_walk(l, count_entry, &n, &err);
		suplist_close(l);
	}
	assert_true(opened > 0);
	for (i = 0; i < whole.len; i += 7) {
		assert_int_equal(file_write_fast(sp->sys, dfd, "l.cdb", whole.p,
				     i, &t_err),
		    0);
		assert_int_equal(suplist_open(sp, "l", &l, &err), -1);
		assert_int_equal(err.code, VEX_DATA);
	}
	(void)sp->sys->close(sp->sys, dfd);
	buf_release(&whole);
	buf_release(&bad);
}

static void
test_newer(void **state)
{
	static const char *const entry[] = { "a@x.example", NULL };
	struct buf b = BUF_INIT;
	struct suplist *l;
	char *p;
	int dfd;

	(void)state;
	make_list("l", entry);
	dfd = suplist_dir(sp, true, &t_err);
	assert_int_equal(file_read(sp->sys, dfd, "l.cdb", 1u << 20, &b, &t_err),
	    0);
	p = memmem(b.p, b.len, "vmta-suppress 1", 15);
	assert_non_null(p);
	p[14] = '2';
	assert_int_equal(file_write_fast(sp->sys, dfd, "l.cdb", b.p, b.len,
			     &t_err),
	    0);
	assert_int_equal(suplist_open(sp, "l", &l, &t_err), -1);
	assert_int_equal(t_err.code, VEX_UNAVAILABLE);
	(void)sp->sys->close(sp->sys, dfd);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_fold),
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, t_begin, t_end));
}
