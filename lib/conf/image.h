/*
 * The compiled configuration: one flat piece of memory or file, all places in
 * it offsets from its start, in the byte order of the host that wrote it.
 *
 *	struct img_head | tables, one after the other | blobs
 *
 * Tables are arrays; struct img_head says where each is. A blob is a string,
 * a list or a ladder of struct conf_value; equal ones are there once.
 */
#ifndef VMTA_CONF_IMAGE_H
#define VMTA_CONF_IMAGE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sys.h"
#include "conf/tree.h"

#define IMG_MAGIC "VMTACNF"
#define IMG_VERSION 2
#define IMG_NAME "config.img"
#define IMG_NONE UINT32_MAX

enum img_table {
	IMG_GLOBAL, /* one img_sec */
	IMG_VMTA,   /* img_sec, sorted by name */
	IMG_POOL,   /* img_sec, sorted by name */
	IMG_SOURCE, /* img_sec */
	IMG_ACCT,   /* img_sec */
	IMG_RULES,  /* img_sec: pattern lists, sorted by name */
	IMG_DOM,    /* img_dom, those of a section together */
	IMG_SET,    /* img_set, those of a section together */
	IMG_MEMBER, /* struct conf_member, those of a pool together */
	IMG_REF,    /* uint32_t: pools of VirtualMTAs */
	IMG_KEY,    /* img_key: the files it was made from */
	IMG_FILE,   /* uint32_t: names of the files, as errors show them */
	IMG_BLOB,   /* bytes */
	IMG_TABLES
};

struct img_head {
	char magic[8];
	uint32_t version;
	uint32_t tables;
	uint64_t layout; /* hash of the parameter table and these structs */
	uint64_t size;	 /* of the whole */
	uint64_t sum;	 /* over all of it but these 8 bytes */
	struct {
		uint32_t at; /* offset */
		uint32_t n;  /* elements */
	} table[IMG_TABLES];
	uint32_t main_path, prefix; /* strings */
	uint32_t warn, nwarn;	    /* a list */
};

struct img_sec {
	uint32_t name; /* string */
	uint32_t file, line;
	uint32_t set, nset; /* in IMG_SET */
	uint32_t dom, ndom; /* in IMG_DOM */
	uint32_t aux, naux; /* pool: IMG_MEMBER; VirtualMTA: IMG_REF */
	uint32_t dompool;   /* VirtualMTA: its pool with domain sections */
};

struct img_dom {
	uint32_t key;	/* string */
	uint32_t title; /* string: the pattern as it was written */
	uint32_t file, line;
	uint32_t set, nset;
	uint8_t kind; /* enum domain_kind */
	uint8_t itself, macro, family, bits;
	uint8_t pad[3];
	uint8_t addr[16];
};

struct img_set {
	uint32_t param; /* row of the parameter table */
	uint32_t file, line;
	uint32_t blob; /* of struct conf_value, or 0 */
	int64_t a, b;
	uint64_t hash; /* of the value */
};

struct img_key {
	uint64_t dev, ino, size;
	int64_t mtime;
	uint32_t path; /* string */
	uint32_t pad;
};

/* Write the tree as an image. 0, or -1: a domain pattern is wrong. */
int image_build(const struct tree *t, struct buf *ret_img, struct verr *err);
/*
 * Is this whole, undamaged, and of this very build? (Offsets inside are
 * covered by its checksum.)
 */
bool image_valid(const void *img, size_t size);
/* Are the files as they were when the image was made? */
bool image_fresh(const struct img_head *h);

/* Start of a table; a string. */
const void *image_table(const struct img_head *h, enum img_table table);
const char *image_str(const struct img_head *h, uint32_t at);

/*
 * Map SPOOL/state/config.img: NULL where there is none that is valid and
 * belongs to the spool's owner alone. Caller: munmap(*ret_img, *ret_size).
 */
void *image_load(struct sys *sys, const char *spool, size_t *ret_size);
/*
 * Put it in place if we are the spool's owner and its files are so old that
 * a later change shows in their times. What fails is left out: the image is
 * only a shortcut.
 */
void image_store(struct sys *sys, const char *spool, const struct buf *img,
    const struct tree *t);

#endif
