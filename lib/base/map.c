/* Open addressing with linear probing; deletion moves followers back. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/map.h"
#include "base/mem.h"

uint64_t
map_hash(const void *p, size_t n)
{
	return (XXH3_64bits(p, n));
}

void
map_init(struct map *m)
{
	m->slot = NULL;
	m->n = 0;
	m->cap = 0;
}

void
map_release(struct map *m, void (*free_value)(void *))
{
	size_t i;

	for (i = 0; i < m->cap; i++) {
		if (m->slot[i].key == NULL)
			continue;
		free(m->slot[i].key);
		if (free_value != NULL)
			free_value(m->slot[i].value);
	}
	free(m->slot);
	map_init(m);
}

/* The slot that holds key, or the free one where it would go. */
static size_t
map_find(const struct map *m, const char *key, uint64_t hash)
{
	size_t i = hash & (m->cap - 1);

	while (m->slot[i].key != NULL &&
	    (m->slot[i].hash != hash || strcmp(m->slot[i].key, key) != 0))
		i = (i + 1) & (m->cap - 1);
	return (i);
}

/* Twice the room, so that at most two thirds are ever in use. */
static void
map_grow(struct map *m)
{
	struct map old = *m;
	size_t i, at;

	m->cap = old.cap > 0 ? old.cap * 2 : 16;
	m->slot = xcalloc(m->cap, sizeof(*m->slot));
	for (i = 0; i < old.cap; i++) {
		if (old.slot[i].key == NULL)
			continue;
		at = map_find(m, old.slot[i].key, old.slot[i].hash);
		m->slot[at] = old.slot[i];
	}
	free(old.slot);
}

void *
map_get(const struct map *m, const char *key)
{
	size_t i;

	if (m->n == 0)
		return (NULL);
	i = map_find(m, key, map_hash(key, strlen(key)));
	return (m->slot[i].key != NULL ? m->slot[i].value : NULL);
}

void *
map_put(struct map *m, const char *key, void *value)
{
	uint64_t hash = map_hash(key, strlen(key));
	void *old;
	size_t i;

	if (m->n * 3 >= m->cap * 2)
		map_grow(m);
	i = map_find(m, key, hash);
	old = m->slot[i].value;
	if (m->slot[i].key == NULL) {
		m->slot[i].key = xstrdup(key);
		m->slot[i].hash = hash;
		m->n++;
		old = NULL;
	}
	m->slot[i].value = value;
	return (old);
}

void *
map_del(struct map *m, const char *key)
{
	size_t i, j, home, mask = m->cap - 1;
	void *value;

	if (m->n == 0)
		return (NULL);
	i = map_find(m, key, map_hash(key, strlen(key)));
	if (m->slot[i].key == NULL)
		return (NULL);
	value = m->slot[i].value;
	free(m->slot[i].key);
	m->slot[i].key = NULL;
	m->n--;
	for (j = (i + 1) & mask; m->slot[j].key != NULL; j = (j + 1) & mask) {
		home = m->slot[j].hash & mask;
		if (((j - home) & mask) < ((j - i) & mask))
			continue;
		m->slot[i] = m->slot[j];
		m->slot[j].key = NULL;
		i = j;
	}
	return (value);
}

void *
map_next(const struct map *m, size_t *i, const char **ret_key)
{
	for (; *i < m->cap; (*i)++) {
		if (m->slot[*i].key == NULL)
			continue;
		if (ret_key != NULL)
			*ret_key = m->slot[*i].key;
		return (m->slot[(*i)++].value);
	}
	return (NULL);
}
