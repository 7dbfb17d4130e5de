/* The compiled image: when it is used, when it is not, what a fault leaves. */
#include <sys/socket.h>
#include <fcntl.h>

#include "conf/image.h"
#include "conf_util.h"

#define MAIN "etc/vmta.conf"
#define IMAGE "spool/state/config.img"

/* Open the main file; it must work. */
static struct conf *
open_main(void)
{
	struct verr err = VERR_INIT;
	struct conf *c = NULL;

	if (conf_open(sys_real(), in_scratch(MAIN), &c, &err) == -1)
		fail_msg("%s", err.text);
	return (c);
}

/* Does an image lie there? Its inode, or 0. */
static ino_t
image_inode(void)
{
	struct stat st;

	return (stat(in_scratch(IMAGE), &st) == 0 ? st.st_ino : 0);
}

/* Change a byte of the image at off (from its end when negative). */
static void
damage(off_t off)
{
	char byte;
	int fd = open(in_scratch(IMAGE), O_RDWR);

	assert_true(fd != -1);
	if (off < 0)
		off += lseek(fd, 0, SEEK_END);
	assert_int_equal(pread(fd, &byte, 1, off), 1);
	byte = (char)(byte ^ 1);
	assert_int_equal(pwrite(fd, &byte, 1, off), 1);
	assert_int_equal(close(fd), 0);
}

static void
test_used(void **state)
{
	struct conf *c, *again;
	struct stat st;
	ino_t ino;

	(void)state;
	put_file(MAIN,
	    HEAD "virtual-mta a { domain x { max-msg-rate = 1/s } }\n"
		 "include('inc.conf')\n");
	put_file("etc/inc.conf", "total-max-smtp-out = 7\n");
	c = open_main();
	assert_null(conf_stale(c));
	assert_false(conf_changed(c));
	ino = image_inode();
	assert_true(ino != 0);
	assert_int_equal(stat(in_scratch(IMAGE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	again = open_main();
	assert_int_equal(image_inode(), ino);
	assert_int_equal(conf_global(again)->total_max_smtp_out, 7);
	assert_string_equal(conf_vmta(again, "a")->addr[0].ehlo,
	    "mta.example.com");
	assert_int_equal(conf_warnings(again).n, 1);
	assert_ptr_equal(conf_ref(again), again);
	conf_unref(again);
	conf_unref(again);
	conf_unref(c);
}

/* A file that changed, is new, or has gone makes a new image. */
static void
test_changed(void **state)
{
	struct conf *c, *next;
	ino_t ino;

	(void)state;
	assert_int_equal(mkdir(in_scratch("etc/conf.d"), 0700), 0);
	put_file(MAIN,
	    HEAD "include('conf.d/*.conf')\n"
		 "include('later.d/*.conf')\n");
	c = open_main();
	ino = image_inode();
	assert_int_equal(conf_global(c)->total_max_smtp_out, 1200);
	put_file("etc/conf.d/a.conf", "total-max-smtp-out = 8\n");
	assert_true(conf_changed(c));
	next = open_main();
	assert_int_equal(conf_global(next)->total_max_smtp_out, 8);
	assert_int_equal(conf_global(c)->total_max_smtp_out, 1200);
	conf_unref(c);
	/* the directory is too new for an image that may be kept */
	assert_int_equal(image_inode(), ino);
	put_file("etc/conf.d/a.conf", "total-max-smtp-out = 9999\n");
	assert_true(conf_changed(next));
	conf_unref(next);
	next = open_main();
	assert_int_equal(conf_global(next)->total_max_smtp_out, 9999);
	assert_int_equal(unlink(in_scratch("etc/conf.d/a.conf")), 0);
	assert_true(conf_changed(next));
	conf_unref(next);
	next = open_main();
	assert_int_equal(conf_global(next)->total_max_smtp_out, 1200);
	assert_int_equal(mkdir(in_scratch("etc/later.d"), 0700), 0);
	assert_true(conf_changed(next));
	conf_unref(next);
}

/* A broken file: the old image stays in force, and says why. */
static void
test_broken(void **state)
{
	struct verr err = VERR_INIT;
	struct conf *c, *old;
	ino_t ino;

	(void)state;
	put_file(MAIN, "total-max-smtp-out = 5\n");
	conf_unref(open_main());
	ino = image_inode();
	put_file(MAIN, "total-max-smtp-out = 5\nbogus = 1\n");
	old = open_main();
	assert_int_equal(conf_global(old)->total_max_smtp_out, 5);
	assert_non_null(strstr(conf_stale(old), "vmta.conf:2: unknown "));
	assert_int_equal(image_inode(), ino);
	assert_false(conf_changed(old));
	assert_int_equal(conf_parse(sys_real(), in_scratch(MAIN), &c, &err),
	    -1);
	assert_int_equal(err.code, VEX_CONFIG);
	put_file(MAIN, "total-max-smtp-out = 66\n");
	assert_true(conf_changed(old));
	c = open_main();
	assert_null(conf_stale(c));
	assert_int_equal(conf_global(c)->total_max_smtp_out, 66);
	assert_true(image_inode() != ino);
	conf_unref(old);
	conf_unref(c);
}

static void
test_broken_without_image(void **state)
{
	struct verr err = VERR_INIT;
	struct conf *c = NULL;

	(void)state;
	put_file(MAIN, "\nbogus = 1\n");
	assert_int_equal(conf_open(sys_real(), in_scratch(MAIN), &c, &err), -1);
	assert_int_equal(err.code, VEX_CONFIG);
	assert_non_null(strstr(err.text, "vmta.conf:2: unknown directive"));
	assert_int_equal(conf_open(sys_real(), in_scratch("etc/none"), &c,
			     &err),
	    -1);
	assert_int_equal(err.code, VEX_CONFIG);
}

/* Damaged anywhere, cut anywhere, from another build: as good as none. */
static void
test_damaged(void **state)
{
	struct stat st;
	struct conf *c;
	ino_t ino;
	off_t off;

	(void)state;
	put_file(MAIN, HEAD "virtual-mta a { }\n");
	conf_unref(open_main());
	assert_int_equal(stat(in_scratch(IMAGE), &st), 0);
	for (off = 0; off < st.st_size; off += 37) {
		ino = image_inode();
		damage(off);
		c = open_main();
		assert_null(conf_stale(c));
		assert_non_null(conf_vmta(c, "a"));
		assert_true(image_inode() != ino);
		conf_unref(c);
	}
	for (off = st.st_size - 1; off > 0; off -= 101) {
		assert_int_equal(truncate(in_scratch(IMAGE), off), 0);
		c = open_main();
		assert_non_null(conf_vmta(c, "a"));
		conf_unref(c);
	}
	assert_int_equal(truncate(in_scratch(IMAGE), 0), 0);
	conf_unref(open_main());
	/* with a broken file, a damaged image is no rescue */
	put_file(MAIN, "bogus = 1\n");
	damage(-1);
	c = NULL;
	assert_int_equal(conf_open(sys_real(), in_scratch(MAIN), &c, NULL), -1);
}

/* Who else may write the image, or owns it, makes it worthless. */
static void
test_untrusted(void **state)
{
	struct conf *c;

	(void)state;
	put_file(MAIN, "total-max-smtp-out = 5\n");
	conf_unref(open_main());
	assert_int_equal(chmod(in_scratch(IMAGE), 0660), 0);
	put_file(MAIN, "bogus = 1\n");
	c = NULL;
	assert_int_equal(conf_open(sys_real(), in_scratch(MAIN), &c, NULL), -1);
	assert_int_equal(chmod(in_scratch(IMAGE), 0600), 0);
	c = open_main();
	assert_non_null(conf_stale(c));
	conf_unref(c);
	assert_int_equal(rename(in_scratch(IMAGE), in_scratch("img")), 0);
	assert_int_equal(symlink(in_scratch("img"), in_scratch(IMAGE)), 0);
	c = NULL;
	assert_int_equal(conf_open(sys_real(), in_scratch(MAIN), &c, NULL), -1);
	if (geteuid() == 0) {
		assert_int_equal(unlink(in_scratch(IMAGE)), 0);
		assert_int_equal(rename(in_scratch("img"), in_scratch(IMAGE)),
		    0);
		assert_int_equal(chown(in_scratch(IMAGE), 65534, 65534), 0);
		assert_int_equal(conf_open(sys_real(), in_scratch(MAIN), &c,
				     NULL),
		    -1);
	}
}

/* An image of another main file is not ours. */
static void
test_other_main(void **state)
{
	struct verr err = VERR_INIT;
	struct conf *c = NULL;

	(void)state;
	put_file(MAIN, "total-max-smtp-out = 5\n");
	conf_unref(open_main());
	put_file("etc/other.conf", "total-max-smtp-out = 6\n");
	assert_int_equal(conf_open(sys_real(), in_scratch("etc/other.conf"), &c,
			     &err),
	    0);
	assert_int_equal(conf_global(c)->total_max_smtp_out, 6);
	conf_unref(c);
	c = open_main();
	assert_int_equal(conf_global(c)->total_max_smtp_out, 5);
	conf_unref(c);
}

/* The spool is found wherever it stands at the top level. */
static void
test_spool(void **state)
{
	static const char *const cases[] = {
		"spool = 'sp2'\n",
		"# spool = x\n/* spool = y */ spool = \"sp2\" # z\n",
		"user-string = 'spool = x'\ndomain spool { }\nspool=sp2",
		"domain x { log-data = yes } spool = sp2\n",
		"source spool { allow-bsmtp = no }\nspool\n=\nsp2\n",
	};
	struct conf *c;
	size_t i;

	(void)state;
	assert_int_equal(mkdir(in_scratch("sp2"), 0700), 0);
	assert_int_equal(mkdir(in_scratch("sp2/state"), 0700), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_file(MAIN, cases[i]);
		conf_unref(open_main());
		assert_int_equal(access(in_scratch("sp2/state/config.img"),
				     R_OK),
		    0);
		put_file(MAIN, "spool = sp2 bogus = 1\n");
		c = open_main();
		assert_non_null(conf_stale(c));
		assert_string_equal(conf_spool(c), in_scratch("sp2"));
		conf_unref(c);
		assert_int_equal(unlink(in_scratch("sp2/state/config.img")), 0);
	}
	assert_int_equal(image_inode(), 0);
}

/* ... however far down, also where two pieces that are read meet. */
static void
test_spool_far(void **state)
{
	static const char *const heads[] = { "", "# spool = no\n",
		"user-string = 'spool = no'\n" };
	struct buf text = BUF_INIT;
	struct conf *c;
	size_t far, i;

	(void)state;
	assert_int_equal(mkdir(in_scratch("sp2"), 0700), 0);
	assert_int_equal(mkdir(in_scratch("sp2/state"), 0700), 0);
	put_file(MAIN, "spool = sp2\n");
	conf_unref(open_main());
	for (i = 0; i < 3; i++) {
		for (far = 16360; far < 16400; far++) {
			buf_clear(&text);
			buf_adds(&text, heads[i]);
			while (text.len < far)
				buf_addc(&text,
				    text.len % 70 == 69 ? '\n' : '#');
			buf_adds(&text, "\nspool = 'sp2'\nbogus = 1\n");
			put_file(MAIN, buf_str(&text));
			c = open_main();
			assert_non_null(conf_stale(c));
			assert_string_equal(conf_spool(c), in_scratch("sp2"));
			conf_unref(c);
		}
	}
	buf_release(&text);
}

/* Escapes that only libconfuse knows: no image is looked for elsewhere. */
static void
test_spool_escaped(void **state)
{
	struct conf *c;
	int i;

	(void)state;
	assert_int_equal(mkdir(in_scratch("sp2"), 0700), 0);
	assert_int_equal(mkdir(in_scratch("sp2/state"), 0700), 0);
	put_file(MAIN, "spool = 'sx702'\n");
	assert_int_equal(mkdir(in_scratch("sx702"), 0700), 0);
	assert_int_equal(mkdir(in_scratch("sx702/state"), 0700), 0);
	conf_unref(open_main());
	put_file(MAIN, "spool = \"s\\x702\"\n");
	for (i = 0; i < 2; i++) {
		c = open_main();
		assert_null(conf_stale(c));
		assert_string_equal(conf_spool(c), in_scratch("sp2"));
		conf_unref(c);
	}
	put_file(MAIN, "spool = \"s\\x702\" bogus = 1\n");
	assert_int_equal(conf_open(sys_real(), in_scratch(MAIN), &c, NULL), -1);
}

/* '' is the default: its image is found, and stays in force. */
static void
test_spool_empty(void **state)
{
	struct conf *c;

	(void)state;
	put_file(MAIN, "spool = ''\n");
	conf_unref(open_main());
	assert_true(image_inode() != 0);
	put_file(MAIN, "spool = '' bogus = 1\n");
	c = open_main();
	assert_non_null(conf_stale(c));
	assert_string_equal(conf_spool(c), in_scratch("spool"));
	conf_unref(c);
}

/* No state directory, or a file as new as now: it works without an image. */
static void
test_not_stored(void **state)
{
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct conf *c;

	(void)state;
	put_file(MAIN, "total-max-smtp-out = 5\n");
	assert_int_equal(utimensat(0, in_scratch(MAIN), now, 0), 0);
	now[0].tv_sec = now[1].tv_sec = time(NULL) + 3600;
	now[0].tv_nsec = now[1].tv_nsec = 0;
	assert_int_equal(utimensat(0, in_scratch(MAIN), now, 0), 0);
	c = open_main();
	assert_int_equal(conf_global(c)->total_max_smtp_out, 5);
	assert_int_equal(image_inode(), 0);
	conf_unref(c);
	assert_int_equal(rmdir(in_scratch("spool/state")), 0);
	put_file(MAIN, "total-max-smtp-out = 5\n");
	conf_unref(open_main());
}

static void
test_default_path(void **state)
{
	char *path;

	(void)state;
	assert_int_equal(setenv("VMTA_CONFIG", "/x/y.conf", 1), 0);
	path = conf_default_path(false);
	assert_string_equal(path, "/x/y.conf");
	free(path);
	path = conf_default_path(true);
	assert_non_null(strstr(path, "/etc/vmta.conf"));
	free(path);
	assert_int_equal(unsetenv("VMTA_CONFIG"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_used),
		SCRATCH_TEST(test_changed),
		SCRATCH_TEST(test_broken),
		SCRATCH_TEST(test_broken_without_image),
		SCRATCH_TEST(test_damaged),
		SCRATCH_TEST(test_untrusted),
		SCRATCH_TEST(test_other_main),
		SCRATCH_TEST(test_spool),
		SCRATCH_TEST(test_spool_far),
		SCRATCH_TEST(test_spool_escaped),
		SCRATCH_TEST(test_spool_empty),
		SCRATCH_TEST(test_not_stored),
		SCRATCH_TEST(test_default_path),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
