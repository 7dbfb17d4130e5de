/* How far an acct-file has taken the journal: state/export/HASH. */
#ifndef VMTA_ACCT_EXPORT_STATE_H
#define VMTA_ACCT_EXPORT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acct/segment.h"
#include "base/err.h"

struct spool;

/* What is known of a segment. */
struct export_mark {
	bool done;   /* all of it was taken */
	uint64_t at; /* taken up to this octet */
};

struct export_state {
	struct spool *sp;
	int dfd;     /* state/export/ */
	int lock_fd; /* -1: not locked */
	char hash[17];
	const char *path; /* of the acct-file; the caller's */

	char out[256];	     /* file being written, "": none */
	uint64_t length;     /* octets of it that are accounted for */
	int64_t opened;	     /* wall seconds */
	int date;	     /* 20261123: day of the last file, */
	unsigned int serial; /* and its number on that day */
	int64_t swept;	     /* wall seconds: old files were looked for */

	struct id before;	  /* segments up to it are done; "": none */
	struct segment_list seg;  /* what is in acct/, by id */
	struct export_mark *mark; /* beside seg */
};

/*
 * Lock the state of the acct-file at path and read it together with the list
 * of segments; live_id (or NULL) is in the list whatever a listing says.
 * 0; 1: another process has it (only when !wait); -1. Release it after 0.
 */
int export_state_open(struct spool *sp, const char *path, const char *live_id,
    bool wait, struct export_state *ret_s, struct verr *err);
/* Write it, durably. now: wall seconds. 0 or -1. */
int export_state_save(struct export_state *s, int64_t now, struct verr *err);
void export_state_release(struct export_state *s);

#endif
