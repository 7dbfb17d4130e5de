/* Inside of batches: for batch.c, parse.c, update.c and move.c only. */
#ifndef VMTA_SPOOL_BATCH_INT_H
#define VMTA_SPOOL_BATCH_INT_H

#include "spool/batch.h"
#include "spool/spool.h"

#define BATCH_SOURCE_LEN 39 /* columns of a source address */
#define BATCH_FIELDS 62	    /* octets of an R line that change */
#define BATCH_FIELDS_AT 2   /* where they begin */
#define BATCH_FIRST_LEN 37  /* first line */
#define BATCH_INDEX_LEN 23  /* INDEX line */
#define BATCH_END_LEN 21    /* END line */
#define BATCH_ATTEMPTS_MAX 999

struct bmsg {
	uint64_t off;	/* of its content */
	uint32_t line;	/* of its M line in the file */
	uint32_t first; /* slot */
	uint32_t open;	/* recipients that are not final */
	uint32_t size;	/* of its content */
};

struct bslot {
	int64_t next;
	uint32_t line; /* of its R line in the file */
	uint32_t msg;
	uint16_t attempts;
	uint16_t source; /* number + 1 in sources, 0: none */
	char state;
	bool dirty;
};

struct batch {
	struct spool *sp;
	int fd;
	int content_fd; /* shared content, -1: not open */
	enum batch_area area;
	char file[BATCH_NAME_MAX];
	char *text; /* header lines, cut */
	size_t text_len;
	struct batch_header h;
	uint32_t index_len;
	uint64_t content_len; /* in the file itself */
	size_t n_vars;	      /* values in each V line */
	struct bmsg *msg;
	uint32_t n_msg, cap_msg;
	struct bslot *slot;
	uint32_t n_slot, cap_slot;
	char (*source)[BATCH_SOURCE_LEN + 1];
	uint16_t n_source, cap_source;
	uint32_t open;
	uint32_t dirty_from, dirty_to; /* slots; from >= to: none */
	uint64_t freed;		       /* octets punched out so far */
};

/*
 * Parse an index (all of it, p[n] is 0) into b; p is changed. 0, or -1 and
 * *ret_why.
 */
int batch_parse(struct batch *b, char *p, size_t n, const char **ret_why);
/*
 * The first line: 0, the two lengths, and whether it is a merge (version 2);
 * 1 a newer version; -1 no batch.
 */
int batch_parse_first(const char *p, size_t n, uint64_t *ret_index,
    uint64_t *ret_content, bool *ret_merge);
/* M and R lines, without their line feeds; 0 or -1. Texts point into p. */
int batch_parse_msg(char *p, bool merge, struct batch_msg *ret_m);
int batch_parse_rcpt(char *p, struct batch_rcpt *ret_r);
/* The number (+ 1) of a source address; 0 for "", and when there are more
 * than a number can tell. */
uint16_t batch_source_number(struct batch *b, const char *source);
/* A range of octets of content. */
struct brange {
	uint64_t from, to;
};

/*
 * What the messages with an open recipient need, or those that are wanted
 * (want not NULL), sorted and merged; *ret_n ranges that the caller frees.
 * Returns their octets.
 */
uint64_t batch_ranges(const struct batch *b, const bool *want,
    struct brange **ret_r, size_t *ret_n);
/* Where the R line of a slot ends (behind its line feed). */
uint32_t batch_line_end(const struct batch *b, uint32_t slot);
/* The fields of a slot as they are in the file. */
void batch_fields(const struct batch *b, const struct bslot *s,
    char ret_f[BATCH_FIELDS + 1]);

#endif
