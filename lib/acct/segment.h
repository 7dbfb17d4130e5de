/* The files of the journal: acct/ID.live while written, then acct/ID.csv. */
#ifndef VMTA_ACCT_SEGMENT_H
#define VMTA_ACCT_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/sys.h"

struct segment_list {
	struct id *id;
	bool *live; /* beside each id: is it ID.live? */
	size_t n;
};

#define SEGMENT_LIST_INIT     \
	{                     \
		NULL, NULL, 0 \
	}

/* "ID.live" or "ID.csv" into buf. */
#define SEGMENT_NAME_MAX (ID_LEN + 6)
const char *segment_name(const char *id, bool live, char buf[SEGMENT_NAME_MAX]);
/*
 * Open a segment that is there. What is not a regular file of our own with
 * one link is refused (errno EINVAL): it would be cut, or stop us. fd, or -1
 * with errno.
 */
int segment_fd(struct sys *sys, int dfd, const char *name, int flags,
    struct verr *err);
/*
 * The segments in directory dfd, in the order of their ids; other files are
 * left out. 0, or -1 with the list empty.
 */
int segment_list(struct sys *sys, int dfd, struct segment_list *ret_l,
    struct verr *err);
/* Add an id, out of order. */
void segment_list_add(struct segment_list *l, const char *id, bool live);
bool segment_list_has(const struct segment_list *l, const char *id);
void segment_list_release(struct segment_list *l);
/*
 * An id for a new segment, after all that are in dfd: where the clock went
 * back, its time is the last one's and a second. 0 or -1.
 */
int segment_new_id(struct sys *sys, int dfd, struct id *ret_id,
    struct verr *err);

/*
 * Reads lines of a file from an offset in bounded memory; what is longer
 * than SEGMENT_LINE is returned as a line without its end.
 */
#define SEGMENT_LINE 16384
struct segment_reader {
	struct sys *sys;
	int fd;
	uint64_t off;	/* where the next line begins */
	uint64_t limit; /* read no further */
	char *block;
	size_t have; /* octets in block */
	size_t at;   /* first of them not yet returned */
	bool stream; /* a pipe: read on, instead of reading at an offset */
};

void segment_reader_init(struct segment_reader *r, struct sys *sys, int fd,
    uint64_t off, uint64_t limit);
/*
 * The next line, without its line end (CRLF, or LF in files of others); it
 * may be changed and p[n] is writable. 1: there; 0: the end (what follows
 * r->off has no line end); -1 with errno. *ret_whole: false for a line too
 * long, of which the rest was passed over.
 */
int segment_reader_line(struct segment_reader *r, char **ret_p, size_t *ret_n,
    bool *ret_whole);
/*
 * After the end: what is left without a line end (p[n] is writable); true if
 * there is something, and it is not too long.
 */
bool segment_reader_rest(struct segment_reader *r, char **ret_p, size_t *ret_n);
void segment_reader_release(struct segment_reader *r);

#endif
