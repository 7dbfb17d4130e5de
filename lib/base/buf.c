/*
 * Growing byte strings: doubling growth, always NUL-ended. In builds with
 * AddressSanitizer the room that nobody asked for is fenced off, so that a
 * look behind the end is noticed there as in memory of just that size; what an
 * earlier, longer text left behind is the very thing that must not be read.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#ifdef __has_feature /* clang's way to ask */
#if __has_feature(address_sanitizer)
#define BUF_FENCE
#endif
#endif
#ifdef __SANITIZE_ADDRESS__ /* gcc's */
#define BUF_FENCE
#endif

#ifdef BUF_FENCE
#include <sanitizer/asan_interface.h>

/* These bytes may be used from now on; those may not. */
#define BUF_OPEN(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define BUF_CLOSE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#else
#define BUF_OPEN(p, n) ((void)(p), (void)(n))
#define BUF_CLOSE(p, n) ((void)(p), (void)(n))
#endif

void
buf_init(struct buf *b)
{
	b->p = NULL;
	b->len = 0;
	b->cap = 0;
}

void
buf_release(struct buf *b)
{
	free(b->p);
	buf_init(b);
}

void
buf_clear(struct buf *b)
{
	if (b->p != NULL) {
		b->p[0] = '\0';
		BUF_CLOSE(b->p + 1, b->len);
	}
	b->len = 0;
}

char *
buf_room(struct buf *b, size_t n)
{
	size_t need, cap;

	if (n > SIZE_MAX / 2 - b->len)
		abort();
	need = b->len + n + 1;
	if (need > b->cap) {
		cap = b->cap > 0 ? b->cap : 64;
		while (cap < need)
			cap *= 2;
		BUF_OPEN(b->p, b->cap); /* all of it is copied */
		b->p = xrealloc(b->p, cap);
		b->cap = cap;
		b->p[b->len] = '\0';
		BUF_CLOSE(b->p + need, cap - need);
	}
	BUF_OPEN(b->p + b->len, n + 1);
	return (b->p + b->len);
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	char *to = buf_room(b, n);

	if (n > 0)
		memcpy(to, p, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addc(struct buf *b, int c)
{
	char ch = (char)c;

	buf_add(b, &ch, 1);
}

void
buf_addvf(struct buf *b, const char *fmt, va_list ap)
{
	va_list ap2;
	int n;

	va_copy(ap2, ap);
	n = vsnprintf(NULL, 0, fmt, ap2);
	va_end(ap2);
	if (n < 0)
		abort();
	(void)vsnprintf(buf_room(b, (size_t)n), (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_addvf(b, fmt, ap);
	va_end(ap);
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		abort();
	if (b->p == NULL)
		return;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
	b->p[b->len] = '\0';
	BUF_CLOSE(b->p + b->len + 1, n);
}

const char *
buf_str(const struct buf *b)
{
	return (b->p != NULL ? b->p : "");
}

char *
buf_take(struct buf *b)
{
	char *p = b->p != NULL ? b->p : xstrdup("");

	BUF_OPEN(p, b->cap); /* it is plain memory from now on */
	buf_init(b);
	return (p);
}
