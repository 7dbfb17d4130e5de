/* What the tests of lib/submit share: a prefix, a handle, a look at files. */
#ifndef T_SUBMIT_UTIL_H
#define T_SUBMIT_UTIL_H

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
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "submit/submit.h"

#define CONF                                                        \
	"host-name = mta.example.com\n"                             \
	"smtp-source-host = {'192.0.2.1 mta.example.com'}\n"        \
	"min-free-space = 0\n"                                      \
	"min-free-inodes = 0\n"                                     \
	"virtual-mta a { }\n"                                       \
	"virtual-mta b { }\n"                                       \
	"virtual-mta c { }\n"                                       \
	"virtual-mta-pool p { virtual-mta = {'a 3', 'b'} }\n"       \
	"virtual-mta-pool even { virtual-mta = {'a', 'b', 'c'} }\n" \
	"source 'local' { default-virtual-mta = a }\n"

static char scratch[256];
static struct conf *conf;
static struct sys sys;

/* Notes of submit_on_durable. */
static struct buf durable = { NULL, 0, 0 };

#define SCRATCH_TEST(f) \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

static inline void
on_durable(void *arg, const char *id, size_t rcpts)
{
	(void)arg;
	buf_addf(&durable, "%s %zu\n", id, rcpts);
}

/* Another configuration for the scratch prefix. */
static inline void
set_conf(const char *text)
{
	struct verr err = VERR_INIT;
	char path[300];
	FILE *fp;

	(void)snprintf(path, sizeof(path), "%s/etc/vmta.conf", scratch);
	fp = fopen(path, "w");
	assert_non_null(fp);
	assert_true(fputs(text, fp) >= 0);
	assert_int_equal(fclose(fp), 0);
	conf_unref(conf);
	conf = NULL;
	if (conf_parse(&sys, path, &conf, &err) == -1)
		fail_msg("%s", err.text);
}

static inline int
scratch_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char dir[300];

	(void)state;
	sys_init(&sys);
	(void)snprintf(scratch, sizeof(scratch), "%s/vmta-submit.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(scratch));
	(void)snprintf(dir, sizeof(dir), "%s/etc", scratch);
	assert_int_equal(mkdir(dir, 0700), 0);
	(void)snprintf(dir, sizeof(dir), "%s/spool", scratch);
	assert_int_equal(mkdir(dir, 0700), 0);
	set_conf(CONF);
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
	conf_unref(conf);
	conf = NULL;
	buf_release(&durable);
	return (nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS));
}

/* A submission by this source. */
static inline struct submit *
handle(const char *source)
{
	struct submit_who who = { .source = source,
		.source_type = "api",
		.source_mta = "localhost",
		.user = "me",
		.uid = 1000 };
	struct submit *s = submit_open(&sys, conf, &who);

	buf_clear(&durable);
	submit_on_durable(s, on_durable, NULL);
	return (s);
}

/* Add a recipient by its address. */
static inline int
add_rcpt(struct submit *s, const char *text, struct verr *err)
{
	struct submit_rcpt r = { .notify = NULL };
	struct addr a;

	if (addr_parse(text, strlen(text), ADDR_RCPT, &a, err) == -1)
		return (-1);
	r.smtp = a.smtp;
	r.domain = addr_domain(&a);
	return (submit_rcpt(s, &r, err));
}

/* A message to one recipient. */
static inline int
put(struct submit *s, const struct submit_env *env, const char *rcpt,
    const char *text, struct verr *err)
{
	if (submit_begin(s, err) == -1 || add_rcpt(s, rcpt, err) == -1 ||
	    submit_data(s, text, strlen(text), err) == -1)
		return (-1);
	return (submit_end(s, env, err));
}

/* What collects files: their paths from the spool on, one a line. */
static struct buf found = { NULL, 0, 0 };
static const char *find_part;

static inline int
find_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_F && strstr(path, find_part) != NULL)
		buf_addf(&found, "%s\n", path);
	return (0);
}

/* How many files of the spool have this in their path. */
static inline size_t
files(const char *part)
{
	char dir[300];
	size_t n = 0, i;

	buf_clear(&found);
	find_part = part;
	(void)snprintf(dir, sizeof(dir), "%s/spool", scratch);
	assert_int_equal(nftw(dir, find_one, 16, FTW_PHYS), 0);
	for (i = 0; i < found.len; i++)
		n += found.p[i] == '\n';
	return (n);
}

/* The content of all files that have this in their path. */
static inline const char *
content(const char *part)
{
	static struct buf text;
	char *line, *save = NULL, chunk[4096];
	size_t n;
	FILE *fp;

	(void)files(part);
	buf_clear(&text);
	for (line = strtok_r(found.len > 0 ? found.p : chunk, "\n", &save);
	     found.len > 0 && line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		fp = fopen(line, "r");
		assert_non_null(fp);
		while ((n = fread(chunk, 1, sizeof(chunk), fp)) > 0)
			buf_add(&text, chunk, n);
		(void)fclose(fp);
	}
	return (buf_str(&text));
}

/* How often a text stands in another. */
static inline size_t
count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return (n);
}

#endif
