/* Memory that never fails in the tools: without it the process exits 75. */
#ifndef VMTA_BASE_MEM_H
#define VMTA_BASE_MEM_H

#include <stddef.h>

/* Another code than 75, of the whole process; before there are threads. */
void mem_exit_code(int code);

/* As malloc, calloc, realloc, strdup, strndup; never NULL. Caller frees. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
/* Like xrealloc(p, n * size); ends likewise when the product overflows. */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n);

#endif
