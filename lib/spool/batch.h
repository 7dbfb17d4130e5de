/*
 * An open batch file. It is read by pread; in memory are its header and a
 * few numbers for each message (24 octets) and recipient (24 octets), never
 * the text. Only the owner of the VirtualMTA opens one for writing.
 */
#ifndef VMTA_SPOOL_BATCH_H
#define VMTA_SPOOL_BATCH_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "spool/name.h"

struct spool;
struct batch;

/* An index larger than this is not believed; commits stay far below it. */
#define BATCH_INDEX_MAX (256U * 1024 * 1024)
/* Octets of the values of a recipient of a merge, as they are stored. */
#define BATCH_VARS_MAX (1024U * 1024)

enum batch_area { BATCH_NEW, BATCH_CUR };

/* Flags of a message. */
enum {
	BATCH_8BIT_BODY = 1,   /* `8` */
	BATCH_8BIT_HEADER = 2, /* `h` */
	BATCH_UTF8_SENDER = 4  /* `u` */
};

/* States of a recipient. */
enum batch_state {
	BATCH_FRESH = '-', /* never tried */
	BATCH_DEFERRED = 't',
	BATCH_HELD = 'h',	/* held, never tried */
	BATCH_HELD_TRIED = 'H', /* held after attempts */
	BATCH_SUPPRESSED = 's', /* at submission: to be bounced unsent */
	BATCH_DELIVERED = 'd',	/* final */
	BATCH_BOUNCED = 'b',	/* final: bounced or deleted */
	BATCH_MOVED = 'm'	/* final here: it is in another batch */
};

/* What holds for all of it; missing texts are NULL. Lives as the batch. */
struct batch_header {
	const char *id;
	const char *domain;
	const char *vmta;
	const char *pool;
	const char *job;
	const char *source;	 /* `user:www-data` */
	const char *source_type; /* srcType of accounting */
	const char *source_mta;	 /* srcMta of accounting */
	const char *schedule;	 /* mail/schedule.h; NULL: none */
	const char *content;	 /* id of shared content, NULL: its own */
	bool merge;		 /* a mail merge: contents are templates */
	const char *vars;	 /* names of its variables (spool/vars.h) */
	const char *parts;	 /* octets of each part of the content */
	const char *strip;	 /* fields that are taken out of parts */
	const char *host;	 /* what Message-IDs end with; NULL: none */
	const char *date;	 /* `add`, or NULL */
	const char *undefined;	 /* `empty`, or NULL: they stay as written */
	int prio;
	int64_t queued; /* seconds, UTC */
	int64_t due;
};

/* A message; texts live as long as the struct batch_txn they are in. */
struct batch_msg {
	uint32_t msg; /* its number in the batch, from 0 */
	const char *msgid;
	uint64_t off;  /* of its content, from the first octet of content */
	uint64_t size; /* octets */
	uint64_t hash; /* XXH3-64 of the content */
	unsigned int flags;
	uint32_t longest;   /* octets of the longest line without CRLF */
	uint32_t dots;	    /* lines that begin with a dot */
	char ret;	    /* 'F', 'H' or '-' */
	const char *envid;  /* xtext, or NULL */
	const char *parts;  /* of a merge: those that it has, NULL: all */
	const char *sender; /* "": null path */
};

struct batch_rcpt {
	uint32_t slot;	/* place of its line in the batch, from 0 */
	uint32_t index; /* rcptIndex: place in its submission */
	char state;	/* enum batch_state */
	uint16_t attempts;
	int64_t next;	    /* seconds, UTC */
	const char *source; /* last source address, NULL: none; lives as b */
	const char *notify; /* letters of NSFD, or NULL */
	const char *orcpt;  /* `type;xtext`, or NULL */
	const char *rcpt;   /* as on the wire */
	const char *vars;   /* of a merge: its values, else NULL */
};

/* A message and some of its recipients, as batch_load fills it. */
struct batch_txn {
	struct batch_msg msg;
	struct batch_rcpt *rcpt;
	uint32_t n;
	struct buf text; /* what the pointers above point into */
	uint32_t cap;	 /* room in rcpt */
};

/* The numbers of a recipient that are in memory. */
struct batch_slot {
	uint32_t msg;
	char state;
	uint16_t attempts;
	int64_t next;
	const char *source; /* NULL: none */
};

/*
 * Open queue/VMTA/AREA/DOMAIN/NAME read-write (write false: read only, for
 * reports and checks). 0; or -1 and
 *	err->err == ENOENT		it is gone
 *	err->code == VEX_UNAVAILABLE	a newer version: leave it as it is
 *	err->code == VEX_DATA		corrupt or foreign: batch_set_aside
 *	else				an I/O error or a shortage
 * Free with batch_close.
 */
int batch_open(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, const char *name, bool write, struct batch **ret_b,
    struct verr *err);
/* Close the file; states that were not flushed are lost. NULL is legal. */
void batch_close(struct batch *b);
/*
 * Move a batch to bad/NAME, and why (one line) to bad/NAME.why. 0 or -1;
 * that it is gone already is no error.
 */
int batch_set_aside(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, const char *name, const char *why, struct verr *err);

const struct batch_header *batch_header(const struct batch *b);
/* Where it is: area, and its present file name (changes by requeue). */
enum batch_area batch_area(const struct batch *b);
const char *batch_file(const struct batch *b);
/* Octets of memory that it takes. */
size_t batch_memory(const struct batch *b);

uint32_t batch_msgs(const struct batch *b);
uint32_t batch_slots(const struct batch *b);
/* Recipients that are not final; content octets that they need. */
uint32_t batch_open_count(const struct batch *b);
uint64_t batch_open_bytes(const struct batch *b);
/* First slot and number of slots of a message. */
uint32_t batch_msg_slots(const struct batch *b, uint32_t msg,
    uint32_t *ret_first);
/* The numbers of a slot (slot < batch_slots). */
void batch_slot(const struct batch *b, uint32_t slot, struct batch_slot *ret_s);
/* One of enum batch_state? Final: delivered, bounced, moved away. Held: h or H.
 */
bool batch_state_valid(char state);
bool batch_state_final(char state);
bool batch_state_held(char state);
/* The name that fits the present states. */
void batch_name_now(const struct batch *b, struct batch_name *ret_n);

/*
 * Read the M line and these n slots, ascending and of one message, with one
 * pread where they lie within 64 KiB. t is from batch_txn_init or an earlier
 * load (its texts are replaced). 0, or -1 (VEX_DATA: a line is damaged).
 */
int batch_load(struct batch *b, const uint32_t *slots, uint32_t n,
    struct batch_txn *ret_t, struct verr *err);
void batch_txn_init(struct batch_txn *t);
void batch_txn_release(struct batch_txn *t);

/*
 * Where the content of a message is: a descriptor for pread and sendfile (it
 * stays the batch's) and the offset in it. 0 or -1.
 */
int batch_content(struct batch *b, const struct batch_msg *m, int *ret_fd,
    off_t *ret_off, struct verr *err);

/*
 * Set a recipient's state in memory; the file follows by batch_flush.
 * attempts above 999 are kept as 999. source: NULL unchanged, "" none.
 */
void batch_set(struct batch *b, uint32_t slot, char state,
    unsigned int attempts, int64_t next, const char *source);
/* Write the changed fields in place, no sync. 0 or -1. */
int batch_flush(struct batch *b, struct verr *err);
/* Is there something to flush? */
bool batch_dirty(const struct batch *b);
/* fdatasync. 0 or -1. */
int batch_sync(struct batch *b, struct verr *err);

/*
 * All recipients are final and that is durable in the journal: remove the
 * file, its link to shared content, and the domain directory when it is
 * empty. The batch stays open until batch_close. 0 or -1 (nothing durable:
 * the journal replays what a crash undoes).
 */
int batch_finish(struct batch *b, struct verr *err);
/*
 * Rename to cur/DOMAIN/ with the name that fits the states (flush first). No
 * sync: the checkpoint does it. 0 or -1.
 */
int batch_requeue(struct batch *b, struct verr *err);
/* The same, but it stays in its area. */
int batch_rename(struct batch *b, struct verr *err);
/*
 * The space rule: when less than half of the content's octets are needed by
 * open recipients, free the blocks of the rest. A filesystem that cannot do
 * it is no error. Never touches content of a message with an open recipient,
 * nor shared content. 0 or -1.
 */
int batch_space(struct batch *b, struct verr *err);

#endif
