/*
 * What was read from the files, before it becomes an image: sections with
 * their settings, each with file and line.
 */
#ifndef VMTA_CONF_TREE_H
#define VMTA_CONF_TREE_H

#include <sys/stat.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/param.h"

struct tree_set {
	const struct conf_param *param;
	unsigned file;
	int line;
	struct conf_value value;
};

struct tree_sec {
	unsigned kind; /* CONF_GLOBAL, CONF_VMTA ... */
	char *title;   /* owned; NULL for the global one */
	unsigned file;
	int line;
	struct tree_set *set;
	size_t nset;
	struct tree_sec *sub; /* domain sections */
	size_t nsub;
};

/* A file or include directory, by which a change is noticed. */
struct tree_key {
	uint64_t dev, ino, size; /* all 0: was not there */
	int64_t mtime;		 /* ns */
	char *path;		 /* absolute; owned */
};

struct tree {
	char *main_path; /* absolute */
	char *prefix;
	char **file; /* names of the files, as errors show them */
	size_t nfile;
	struct tree_key *key; /* key[0] is the main file */
	size_t nkey;
	struct tree_sec global;
	struct tree_sec *sec; /* all sections at the top level */
	size_t nsec;
	char **warn;
	size_t nwarn;
};

void tree_init(struct tree *t);
void tree_release(struct tree *t);
/* Append sec to an array; its content moves there. */
void tree_add(struct tree_sec **secs, size_t *n, struct tree_sec *sec);
/* Append a setting; the value moves there. */
void tree_set(struct tree_sec *sec, const struct conf_param *p, unsigned file,
    int line, struct conf_value *v);
/* The setting of that name, or NULL. */
const struct tree_set *tree_get(const struct tree_sec *sec, const char *name);
void tree_sec_release(struct tree_sec *sec);
/* Remember a file or directory; st NULL: it is not there. */
void tree_key(struct tree *t, const char *path, const struct stat *st);
/* What a struct tree_key of this file would hold. */
void tree_key_fill(struct tree_key *key, const struct stat *st);

/* err = VEX_CONFIG `FILE:LINE: text`; returns -1. */
int tree_err(const struct tree *t, unsigned file, int line, struct verr *err,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Add a warning `FILE:LINE: text`. */
void tree_warn(struct tree *t, unsigned file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Read the main file and what it includes. 0, or -1: err is set, t holds
 * what was read until then (its keys at least).
 */
int read_files(const char *path, struct tree *t, struct verr *err);
/*
 * Only t->main_path and t->prefix, from the path of the main file. 0, or -1
 * when the current directory is unknown.
 */
int read_paths(const char *path, struct tree *t, struct verr *err);
/* Check what needs the whole: names, references, macros, patterns. */
int verify_tree(struct tree *t, struct verr *err);

#endif
