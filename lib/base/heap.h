/* A binary heap of fixed-size elements, smallest first, kept by value. */
#ifndef VMTA_BASE_HEAP_H
#define VMTA_BASE_HEAP_H

#include <stddef.h>

struct heap {
	char *p;
	size_t n;
	size_t cap;
	size_t size; /* octets of an element */
	/* < 0: a comes before b */
	int (*cmp)(const void *a, const void *b);
};

void heap_init(struct heap *h, size_t size,
    int (*cmp)(const void *a, const void *b));
void heap_release(struct heap *h);
/* Copy the element in. */
void heap_push(struct heap *h, const void *elem);
/* The first element, or NULL; valid until the heap changes. */
const void *heap_top(const struct heap *h);
/* Take the first element out (there must be one); to ret_elem unless NULL. */
void heap_pop(struct heap *h, void *ret_elem);
/* Take out any one of the last elements, for a heap that is full. */
void heap_drop_last(struct heap *h);

#endif
