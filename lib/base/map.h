/* A hash table from byte strings to pointers. */
#ifndef VMTA_BASE_MAP_H
#define VMTA_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	char *key; /* owned by the map; NULL: free */
	void *value;
	uint64_t hash;
};

struct map {
	struct map_slot *slot;
	size_t n;   /* entries */
	size_t cap; /* power of two, or 0 */
};

#define MAP_INIT           \
	{                  \
		NULL, 0, 0 \
	}

void map_init(struct map *m);
/* Free table and keys; values are freed by free_value unless it is NULL. */
void map_release(struct map *m, void (*free_value)(void *));
/* The value of key, or NULL. */
void *map_get(const struct map *m, const char *key);
/* Set key (copied) to value (not NULL); returns the value it replaced. */
void *map_put(struct map *m, const char *key, void *value);
/* Take key out; returns its value, or NULL. */
void *map_del(struct map *m, const char *key);
/*
 * Walk: *i starts at 0; returns the next value and sets *ret_key (if not
 * NULL), or NULL at the end. The map must not change meanwhile.
 */
void *map_next(const struct map *m, size_t *i, const char **ret_key);

/* The 64-bit hash that the map and file names use (XXH3). */
uint64_t map_hash(const void *p, size_t n);

#endif
