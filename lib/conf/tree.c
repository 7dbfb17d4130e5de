/* The sections and settings of the files: build, look up, free. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/tree.h"

void
tree_init(struct tree *t)
{
	memset(t, 0, sizeof(*t));
	t->global.kind = CONF_GLOBAL;
}

void
tree_sec_release(struct tree_sec *sec)
{
	size_t i;

	for (i = 0; i < sec->nset; i++)
		conf_value_free(&sec->set[i].value);
	for (i = 0; i < sec->nsub; i++)
		tree_sec_release(&sec->sub[i]);
	free(sec->set);
	free(sec->sub);
	free(sec->title);
	memset(sec, 0, sizeof(*sec));
}

void
tree_release(struct tree *t)
{
	size_t i;

	for (i = 0; i < t->nfile; i++)
		free(t->file[i]);
	for (i = 0; i < t->nkey; i++)
		free(t->key[i].path);
	for (i = 0; i < t->nsec; i++)
		tree_sec_release(&t->sec[i]);
	for (i = 0; i < t->nwarn; i++)
		free(t->warn[i]);
	tree_sec_release(&t->global);
	free(t->file);
	free(t->key);
	free(t->sec);
	free(t->warn);
	free(t->main_path);
	free(t->prefix);
	tree_init(t);
}

/* Room for one more at the end of an array; doubles at powers of two. */
static void *
tree_grow(void *p, size_t n, size_t size)
{
	if (n == 0)
		return (xreallocarray(p, 4, size));
	if (n >= 4 && (n & (n - 1)) == 0)
		return (xreallocarray(p, n * 2, size));
	return (p);
}

void
tree_add(struct tree_sec **secs, size_t *n, struct tree_sec *sec)
{
	*secs = tree_grow(*secs, *n, sizeof(**secs));
	(*secs)[(*n)++] = *sec;
	memset(sec, 0, sizeof(*sec));
}

void
tree_set(struct tree_sec *sec, const struct conf_param *p, unsigned file,
    int line, struct conf_value *v)
{
	struct tree_set *s;

	sec->set = tree_grow(sec->set, sec->nset, sizeof(*sec->set));
	s = &sec->set[sec->nset++];
	s->param = p;
	s->file = file;
	s->line = line;
	s->value = *v;
	memset(v, 0, sizeof(*v));
}

const struct tree_set *
tree_get(const struct tree_sec *sec, const char *name)
{
	size_t i;

	for (i = 0; i < sec->nset; i++)
		if (strcmp(sec->set[i].param->name, name) == 0)
			return (&sec->set[i]);
	return (NULL);
}

void
tree_key_fill(struct tree_key *key, const struct stat *st)
{
	key->dev = (uint64_t)st->st_dev;
	key->ino = (uint64_t)st->st_ino;
	key->size = (uint64_t)st->st_size;
	key->mtime = (int64_t)st->st_mtim.tv_sec * 1000000000 +
	    st->st_mtim.tv_nsec;
}

void
tree_key(struct tree *t, const char *path, const struct stat *st)
{
	struct tree_key *key;

	t->key = tree_grow(t->key, t->nkey, sizeof(*t->key));
	key = &t->key[t->nkey++];
	memset(key, 0, sizeof(*key));
	if (st != NULL)
		tree_key_fill(key, st);
	key->path = xstrdup(path);
}

int
tree_err(const struct tree *t, unsigned file, int line, struct verr *err,
    const char *fmt, ...)
{
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return (verr_set(err, VEX_CONFIG, "%s:%d: %s", t->file[file], line,
	    text));
}

void
tree_warn(struct tree *t, unsigned file, int line, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	buf_addf(&b, "%s:%d: ", t->file[file], line);
	va_start(ap, fmt);
	buf_addvf(&b, fmt, ap);
	va_end(ap);
	t->warn = tree_grow(t->warn, t->nwarn, sizeof(*t->warn));
	t->warn[t->nwarn++] = buf_take(&b);
}
