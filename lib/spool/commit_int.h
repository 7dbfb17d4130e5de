/* Inside of commits: shared by commit.c, render.c, finish.c only. */
#ifndef VMTA_SPOOL_COMMIT_INT_H
#define VMTA_SPOOL_COMMIT_INT_H

#include "base/buf.h"
#include "base/map.h"
#include "spool/commit.h"
#include "spool/name.h"
#include "spool/spool.h"
#include "spool/submit.h"

/* `S AAA TTTTTTTTTTTTTTTT IIII...` of an R line, and where it begins. */
#define COMMIT_FIELDS 62
#define COMMIT_FIELDS_AT 2
/* Where the part of an M line without OFFSET, SIZE and HASH is cut. */
#define COMMIT_M_HEAD (2 + ID_LEN + 1)

struct content {
	const char *p;
	size_t n;
	uint64_t hash;
	char *owned;   /* p, when the commit frees it */
	uint32_t uses; /* batches that use it */
	size_t seen;   /* number + 1 of the last part that was counted */
	bool shared;   /* goes to content/ */
	uint64_t off;  /* in the file where it is written */
	size_t placed; /* serial + 1 of the batch that it was counted in */
};

struct part_msg {
	size_t content;
	size_t text;  /* where its M line begins in the part's text, */
	size_t rcpts; /* and its R lines; they go up to the next M line */
};

/* A batch to be: of one key, not more than COMMIT_BATCH_RCPTS. */
struct part {
	struct commit_entry *key;
	size_t number;
	struct part_msg *msg;
	size_t n_msg, cap_msg;
	uint32_t n_rcpt;
	struct buf text; /* M lines without numbers, and R lines */
};

/* A key and the part that takes its next recipient. */
struct commit_entry {
	char *vmta;
	char *domain;
	char *header; /* header lines from `domain:` to the last */
	int prio;
	int64_t due;
	uint32_t job; /* hash */
	struct part *part;
};

struct commit {
	struct spool *sp;
	int64_t now;
	struct content *content;
	size_t n_content, cap_content;
	uint64_t bytes;
	struct map keys; /* text -> struct commit_entry */
	struct part **part;
	size_t n_part, cap_part;
	size_t n_rcpt;
	uint64_t text; /* octets in parts */
	size_t last_content;
	struct commit_entry *last; /* of the last recipient; NULL: none */
	size_t n_done;		   /* parts that commit_write has written */
	struct finish *finish;	   /* what they were written with; NULL: none */
	bool merge;
	struct buf merge_header; /* lines of a merge */
	struct buf scratch, line;
	char hash[SUBMIT_HASH_LEN + 1]; /* "": no submit id */
	struct spool_submission submit;
};

/* commit.c */
void part_free(struct part *p);
void entry_free(void *arg);

/* Undo what commit_write did; NULL is legal. */
void finish_drop(struct finish *f);

/* A batch as it is written. */
struct render {
	struct buf index;
	const struct content **content; /* in the order of the file */
	size_t n_content, cap_content;
	uint64_t content_len;
	struct batch_name name;
	size_t *line; /* R lines, while the index is made */
	size_t n_line, cap_line;
};

/*
 * Make the index of the messages of p whose content is shared or not, as
 * asked; shared: the content id. ret_r is zeroed or was used before (its
 * room is used again); serial: another number for each call.
 */
int render_part(struct commit *c, const struct part *p, const char *shared,
    size_t serial, struct render *ret_r, struct verr *err);
void render_release(struct render *r);

#endif
