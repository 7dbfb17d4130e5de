/*
 * What the fuzz targets share. A target is one .c with LLVMFuzzerTestOneInput;
 * what must hold for every input it says with FUZZ_CHECK. It keeps nothing
 * from one input to the next, so that an input alone shows a finding again.
 */
#ifndef VMTA_T_FUZZ_H
#define VMTA_T_FUZZ_H

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/esc.h"
#include "base/mem.h"
#include "base/sys.h"
#include "spool/spool.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(ok) ((ok) ? (void)0 : fuzz_failed(#ok, __FILE__, __LINE__))

static inline void
fuzz_failed(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* The input, taken from its front. */
struct fuzz_in {
	const uint8_t *p;
	size_t n;
};

/* The next octet; 0 at the end. */
static inline unsigned
fuzz_byte(struct fuzz_in *in)
{
	if (in->n == 0)
		return (0);
	in->n--;
	return (*in->p++);
}

/* What is left, in memory of exactly that size, so that a read behind it is
 * noticed; caller frees. */
static inline char *
fuzz_rest(const struct fuzz_in *in)
{
	char *p = xmalloc(in->n > 0 ? in->n : 1);

	memcpy(p, in->p, in->n);
	return (p);
}

/* The same as a string: up to the first NUL. */
static inline char *
fuzz_string(const struct fuzz_in *in)
{
	return (xstrndup((const char *)in->p, in->n));
}

/* How a stream is cut in pieces: 0 not, 1 every octet, else at random. */
struct fuzz_cut {
	uint32_t seed;
};

/* The size of the next piece of n octets (n > 0). */
static inline size_t
fuzz_cut(struct fuzz_cut *c, size_t n)
{
	size_t r;

	if (c->seed < 2)
		return (c->seed == 0 ? n : 1);
	c->seed = (uint32_t)(((uint64_t)c->seed * 1103515245 + 12345) &
		      0x7fffffff) |
	    2;
	r = 1 + (c->seed >> 8) % ((c->seed & 4) != 0 ? 8 : 200);
	return (r < n ? r : n);
}

/* No octet that could end a line or a string, nor another control. */
static inline bool
fuzz_no_controls(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return (false);
	return (true);
}

/* Lines end in CRLF, and there is no other CR, LF or NUL. */
static inline bool
fuzz_only_crlf(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '\0' || p[i] == '\n')
			return (false);
		if (p[i] == '\r' && (++i == n || p[i] != '\n'))
			return (false);
	}
	return (true);
}

/* ---- a spool of its own ---------------------------------------------------
 */

static struct sys fuzz_sys;
static char fuzz_dir[300];

static inline int
fuzz_no_sync(struct sys *s, int fd)
{
	(void)s;
	(void)fd;
	return (0);
}

/* 2026-11-23 21:54:05, always. */
#define FUZZ_NOW INT64_C(1795470845)

static inline int64_t
fuzz_wall(struct sys *s)
{
	(void)s;
	return (FUZZ_NOW * 1000000);
}

static inline int
fuzz_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return (0);
}

static inline void
fuzz_remove(void)
{
	(void)nftw(fuzz_dir, fuzz_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* A directory below $TMPDIR, made once, removed at the end; its path. */
static inline const char *
fuzz_scratch(void)
{
	const char *tmp = getenv("TMPDIR");

	if (fuzz_dir[0] != '\0')
		return (fuzz_dir);
	(void)snprintf(fuzz_dir, sizeof(fuzz_dir), "%.200s/vmta-fuzz.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	FUZZ_CHECK(mkdtemp(fuzz_dir) != NULL);
	(void)atexit(fuzz_remove);
	sys_init(&fuzz_sys);
	fuzz_sys.fsync = fuzz_no_sync;
	fuzz_sys.fdatasync = fuzz_no_sync;
	fuzz_sys.syncfs = fuzz_no_sync;
	fuzz_sys.wall = fuzz_wall;
	return (fuzz_dir);
}

/* A spool in it, made once. */
static inline struct spool *
fuzz_spool(void)
{
	static struct spool *sp;
	char path[320];

	if (sp == NULL) {
		(void)snprintf(path, sizeof(path), "%s/spool", fuzz_scratch());
		FUZZ_CHECK(spool_open(&fuzz_sys, path, &sp, NULL) == 0);
	}
	return (sp);
}

/* Make dfd/a/b/c (as many as there are) and open it; caller closes. */
static inline int
fuzz_mkdirs(int dfd, const char *path)
{
	char part[320];
	size_t n;
	int fd;

	for (n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)n, path);
		(void)mkdirat(dfd, part, 0700);
		if (path[n] == '\0')
			break;
	}
	fd = openat(dfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(fd != -1);
	return (fd);
}

/* Write dfd/name. */
static inline void
fuzz_put(int dfd, const char *name, const void *p, size_t n)
{
	int fd = openat(dfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0600);

	FUZZ_CHECK(fd != -1);
	FUZZ_CHECK(write(fd, p, n) == (ssize_t)n);
	FUZZ_CHECK(close(fd) == 0);
}

#endif
