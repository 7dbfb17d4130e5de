/*
 * Allocation for the tools. The spool survives a crash at any instruction,
 * so running out of memory ends the process instead of being carried through
 * every caller: at once, with the exit code that means "try again later".
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

static int exit_code = VEX_TEMP;

void
mem_exit_code(int code)
{
	exit_code = code;
}

static void *
mem_check(void *p)
{
	if (p == NULL) {
		(void)fputs("vmta: out of memory\n", stderr);
		_exit(exit_code); /* other threads may hold any lock */
	}
	return (p);
}

void *
xmalloc(size_t n)
{
	return (mem_check(malloc(n > 0 ? n : 1)));
}

void *
xcalloc(size_t n, size_t size)
{
	return (mem_check(calloc(n > 0 ? n : 1, size > 0 ? size : 1)));
}

void *
xrealloc(void *p, size_t n)
{
	return (mem_check(realloc(p, n > 0 ? n : 1)));
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return (mem_check(NULL));
	return (xrealloc(p, n * size));
}

char *
xstrdup(const char *s)
{
	return (xmemdup(s, strlen(s) + 1));
}

char *
xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return (p);
}

void *
xmemdup(const void *p, size_t n)
{
	void *q = xmalloc(n);

	if (n > 0)
		memcpy(q, p, n);
	return (q);
}
