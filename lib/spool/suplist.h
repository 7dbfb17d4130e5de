/*
 * Suppression lists: who gets no mail. An entry is an address, a domain, a
 * local part or a regular expression; a list is a constant database of them,
 * state/suppress/NAME.cdb, that is replaced as a whole and never changed. The
 * lists that a process asks are in spool/supset.h, who makes them in
 * spool/supmake.h.
 */
#ifndef VMTA_SPOOL_SUPLIST_H
#define VMTA_SPOOL_SUPLIST_H

#include <sys/stat.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "mail/addr.h"

struct spool;
struct suplist;

#define SUPLIST_ENTRY_MAX 4096 /* octets of an entry, as written */
#define SUPLIST_REGEX_MAX 1000 /* regular expressions of a list */
#define SUPLIST_SUFFIX ".cdb"

/* Kinds of entries, in the order of the counts that a list keeps. */
enum suplist_kind {
	SUPLIST_ADDRESS, /* user@example.com */
	SUPLIST_DOMAIN,	 /* example.com, @example.com */
	SUPLIST_BELOW,	 /* *.example.com: its subdomains */
	SUPLIST_TREE,	 /* [*.]example.com: both */
	SUPLIST_LOCAL,	 /* user@ */
	SUPLIST_REGEX,	 /* /RE/, case does not matter */
	SUPLIST_KINDS
};

/*
 * The n octets at p as an entry: its kind, and to ret_key its key in the
 * database, with which the same entry written otherwise (upper case, U-labels,
 * needless quotes) is the same. 0, or -1 (VEX_DATA and why not).
 */
int suplist_entry(const char *p, size_t n, enum suplist_kind *ret_kind,
    struct buf *ret_key, struct verr *err);
/* The kind of an entry, from its key. */
enum suplist_kind suplist_kind(const char *key);
/* An entry as a person writes it, from its key. */
void suplist_text(const char *key, size_t n, struct buf *ret_text);
/*
 * A recipient as it is on the wire (struct addr smtp), in the form in which
 * addresses are kept.
 */
void suplist_fold(const char *smtp, char ret[ADDR_MAX + 1]);

/* state/suppress; make: when it is missing. fd or -1. */
int suplist_dir(struct spool *sp, bool make, struct verr *err);

/*
 * Open a list. 0; -1 with
 *	err->err == ENOENT		there is none of this name
 *	err->code == VEX_UNAVAILABLE	of a newer version
 *	err->code == VEX_DATA		damaged, or not a list
 *	else				it cannot be read just now
 * Takes no longer for a longer list. Free with suplist_close.
 */
int suplist_open(struct spool *sp, const char *name, struct suplist **ret_l,
    struct verr *err);
void suplist_close(struct suplist *l); /* NULL is fine */
/* Is the list what the open file was: has it not been replaced? */
bool suplist_same(const struct suplist *l, const struct stat *st);
/* How many entries of that kind it has. */
uint64_t suplist_count(const struct suplist *l, enum suplist_kind kind);
/* Has it this very entry? 1, 0, or -1 (VEX_DATA: it is damaged). */
int suplist_has(struct suplist *l, const char *key, size_t n, struct verr *err);
/*
 * Is a recipient, folded, on it? 1, 0; -1: that cannot be known (it is
 * damaged, or a regular expression took too many steps).
 */
int suplist_find(struct suplist *l, const char *fold, struct verr *err);
/*
 * Call cb with the key of each entry, once, as they come; it returns 0 to go
 * on. 0, -1 with err, or what cb returned.
 */
int suplist_walk(struct suplist *l,
    int (*cb)(void *arg, const char *key, size_t n, struct verr *err),
    void *arg, struct verr *err);

#endif
