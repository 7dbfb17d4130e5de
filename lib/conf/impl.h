/* What is inside a struct conf; for the files of lib/conf only. */
#ifndef VMTA_CONF_IMPL_H
#define VMTA_CONF_IMPL_H

#include "conf/conf.h"
#include "conf/image.h"
#include "conf/param.h"

struct conf {
	unsigned refs;
	const struct img_head *img;
	size_t size;
	char *own;   /* img, when it was compiled by us, */
	void *map;   /* or when it is a mapped file */
	char *file;  /* the main file as the user named it */
	char *stale; /* why newer files are not in force, or NULL */
	/* the files as conf_open saw them, when img does not know them */
	struct tree_key *seen;
	size_t nseen;
	struct conf_global global;
	char host[256]; /* the kernel's name of this host */
	char *spool;	/* the default one, made absolute, or NULL */
	/* filled when asked for */
	struct conf_vmta **vmta;
	struct conf_pool **pool;
	struct conf_acct **acct;
	/* defaults of a queue, their hashes by row, room to work on them */
	struct conf_queue queue;
	uint64_t *hash, *work;
};

/* A section by name in a sorted table, or NULL. */
const struct img_sec *conf_find(const struct conf *c, enum img_table table,
    const char *name);
/* Fill the members of a scope's struct with the defaults. */
void conf_defaults(unsigned scope, void *base);
/* Put the settings of a section into the struct at base. */
void conf_apply(const struct conf *c, const struct img_set *set, uint32_t n,
    void *base);
/* The value of a setting's blob, or NULL. */
const char *conf_blob(const struct conf *c, const struct img_set *set);
/* Make c->queue, c->hash and c->work. */
void conf_queue_defaults(struct conf *c);

#endif
