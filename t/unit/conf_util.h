/* What the tests of lib/conf share: a scratch prefix with etc/ and spool/. */
#ifndef T_CONF_UTIL_H
#define T_CONF_UTIL_H

#include <sys/stat.h>
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"

/* What every test configuration needs to be valid. */
#define HEAD "smtp-source-host = '192.0.2.1 mta.example.com'\n"

static char scratch[256];

/* A test with a scratch prefix of its own. */
#define SCRATCH_TEST(f) \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

static inline int
scratch_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char dir[300];

	(void)state;
	(void)snprintf(scratch, sizeof(scratch), "%s/vmta-conf.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(scratch));
	(void)snprintf(dir, sizeof(dir), "%s/etc", scratch);
	assert_int_equal(mkdir(dir, 0700), 0);
	(void)snprintf(dir, sizeof(dir), "%s/spool", scratch);
	assert_int_equal(mkdir(dir, 0700), 0);
	(void)snprintf(dir, sizeof(dir), "%s/spool/state", scratch);
	assert_int_equal(mkdir(dir, 0700), 0);
	return (0);
}

static inline int
scratch_remove(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return (remove(path));
}

static inline int
scratch_teardown(void **state)
{
	(void)state;
	return (nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS));
}

/* The path of a file in the scratch prefix; one of four buffers, in turn. */
static inline const char *
in_scratch(const char *name)
{
	static char path[4][512];
	static int turn;
	char *p = path[turn++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", scratch, name);
	return (p);
}

/* Write a file; its time is an hour ago, so that an image may be stored. */
static inline void
put_file(const char *name, const char *text)
{
	struct timespec old[2] = { { time(NULL) - 3600, 0 },
		{ time(NULL) - 3600, 0 } };
	FILE *fp = fopen(in_scratch(name), "w");

	assert_non_null(fp);
	assert_int_equal(fputs(text, fp) >= 0, 1);
	assert_int_equal(fclose(fp), 0);
	assert_int_equal(utimensat(0, in_scratch(name), old, 0), 0);
}

/* Parse a main file with this text; NULL and err where it is wrong. */
static inline struct conf *
parse_text(const char *text, struct verr *err)
{
	struct conf *c = NULL;

	put_file("etc/vmta.conf", text);
	if (conf_parse(sys_real(), in_scratch("etc/vmta.conf"), &c, err) == -1)
		return (NULL);
	return (c);
}

/* The text must be refused with an error that ends in `want`. */
static inline void
refuse_text(const char *text, const char *want)
{
	struct verr err = VERR_INIT;
	struct conf *c = parse_text(text, &err);

	if (c != NULL)
		fail_msg("accepted: %s", text);
	if (err.code != VEX_CONFIG || strstr(err.text, want) == NULL)
		fail_msg("%s\ngave: %d %s\nwant: %s", text, err.code, err.text,
		    want);
}

/* The text must be accepted; caller: conf_unref. */
static inline struct conf *
accept_text(const char *text)
{
	struct verr err = VERR_INIT;
	struct conf *c = parse_text(text, &err);

	if (c == NULL)
		fail_msg("%s\nrefused: %s", text, err.text);
	return (c);
}

#endif
