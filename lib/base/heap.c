/* Binary heap in one array; elements are moved with memcpy. */
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/mem.h"

void
heap_init(struct heap *h, size_t size, int (*cmp)(const void *a, const void *b))
{
	memset(h, 0, sizeof(*h));
	h->size = size;
	h->cmp = cmp;
}

void
heap_release(struct heap *h)
{
	free(h->p);
	h->p = NULL;
	h->n = h->cap = 0;
}

static char *
heap_at(const struct heap *h, size_t i)
{
	return (h->p + i * h->size);
}

/* Room for one more element; index n is spare, for swaps. */
static void
heap_room(struct heap *h)
{
	if (h->n + 2 <= h->cap)
		return;
	h->cap = h->cap > 0 ? h->cap * 2 : 2;
	h->p = xreallocarray(h->p, h->cap, h->size);
}

void
heap_push(struct heap *h, const void *elem)
{
	size_t i, up;

	heap_room(h);
	for (i = h->n++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (h->cmp(elem, heap_at(h, up)) >= 0)
			break;
		memcpy(heap_at(h, i), heap_at(h, up), h->size);
	}
	memcpy(heap_at(h, i), elem, h->size);
}

const void *
heap_top(const struct heap *h)
{
	return (h->n > 0 ? h->p : NULL);
}

void
heap_pop(struct heap *h, void *ret_elem)
{
	size_t i = 0, kid;
	const char *last;

	if (ret_elem != NULL)
		memcpy(ret_elem, h->p, h->size);
	last = heap_at(h, --h->n);
	for (;;) {
		kid = 2 * i + 1;
		if (kid >= h->n)
			break;
		if (kid + 1 < h->n &&
		    h->cmp(heap_at(h, kid + 1), heap_at(h, kid)) < 0)
			kid++;
		if (h->cmp(last, heap_at(h, kid)) <= 0)
			break;
		memcpy(heap_at(h, i), heap_at(h, kid), h->size);
		i = kid;
	}
	if (i != h->n)
		memcpy(heap_at(h, i), last, h->size);
}

void
heap_drop_last(struct heap *h)
{
	if (h->n > 0)
		h->n--;
}
