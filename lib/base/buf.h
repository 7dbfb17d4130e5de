/* A growing byte string that carries its length; p is always NUL-ended. */
#ifndef VMTA_BASE_BUF_H
#define VMTA_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *p;    /* bytes; NULL only before the first use */
	size_t len; /* without the closing NUL */
	size_t cap;
};

#define BUF_INIT           \
	{                  \
		NULL, 0, 0 \
	}

void buf_init(struct buf *b);
/* Free the bytes; b is as after buf_init. */
void buf_release(struct buf *b);
/* Forget the bytes, keep the room. */
void buf_clear(struct buf *b);
/* Room for n more bytes; returns where they go (set b->len yourself). */
char *buf_room(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, int c);
void buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_addvf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* Drop the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* The bytes as a string, never NULL; valid until b changes. */
const char *buf_str(const struct buf *b);
/* Hand the string to the caller, who frees it; b is empty afterwards. */
char *buf_take(struct buf *b);

#endif
