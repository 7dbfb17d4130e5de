/*
 * A record of accounting: what happened to a recipient or a queue, as one
 * row of CSV. The journal's columns are PowerMTA's in its order, then ours
 * (msgId, rcptIndex), then what recovery needs.
 */
#ifndef VMTA_ACCT_RECORD_H
#define VMTA_ACCT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* The longest record with its CRLF, in octets. */
#define RECORD_MAX 4096

/* Columns in the order of the journal's header row. */
enum record_col {
	COL_TYPE,
	COL_TIME_LOGGED,
	COL_TIME_QUEUED,
	COL_ORIG,
	COL_RCPT,
	COL_ORCPT,
	COL_DSN_ACTION,
	COL_DSN_STATUS,
	COL_DSN_DIAG,
	COL_DSN_MTA,
	COL_BOUNCE_CAT,
	COL_SRC_TYPE,
	COL_SRC_MTA,
	COL_DLV_TYPE,
	COL_DLV_SOURCE_IP,
	COL_DLV_DESTINATION_IP,
	COL_DLV_ESMTP,
	COL_DLV_SIZE,
	COL_VMTA,
	COL_JOB_ID,
	COL_ENV_ID,
	COL_QUEUE,
	COL_POOL,
	COL_USER_STRING,
	COL_RCV_SOURCE_IP,
	COL_RCV_DESTINATION_IP,
	COL_TLS_PROTOCOL,
	COL_TLS_CIPHER,
	COL_RCV_SMTP_USER,
	COL_MSG_ID,
	COL_RCPT_INDEX,
	COL_BATCH,
	COL_SLOT,
	COL_STATE,
	COL_ATTEMPTS,
	COL_NEXT_TRY,
	COL_N
};
/* The columns from here on are for recovery; acct-files do not have them. */
#define COL_PUBLIC_N COL_BATCH

/*
 * Set what is known and leave the rest zero: an absent text is NULL, an
 * absent time or size is 0. The texts belong to the caller.
 */
struct acct_record {
	const char *type;    /* d b t tq r rb rs f */
	int64_t time_logged; /* seconds UTC */
	int64_t time_queued; /* seconds UTC, 0: none */
	const char *orig;    /* envelope sender, "" for <> */
	const char *rcpt;
	const char *orcpt;
	const char *dsn_action; /* NULL: relayed for d, failed b, delayed t */
	const char *dsn_status; /* a bare `2.0.0` is given its text */
	const char *dsn_diag;	/* `smtp;250 ...`; a bare reply gets `smtp;` */
	const char *dsn_mta;	/* `host (ip)` */
	const char *bounce_cat; /* acct_bounce_category() */
	const char *src_type;	/* api or smtp */
	const char *src_mta;
	const char *dlv_type; /* smtp */
	const char *dlv_source_ip;
	const char *dlv_destination_ip;
	const char *dlv_esmtp; /* extensions, comma-separated */
	int64_t dlv_size;      /* octets, 0: none */
	const char *vmta;
	const char *job_id;
	const char *env_id;
	const char *queue; /* domain/vmta */
	const char *pool;
	const char *user_string;
	const char *rcv_source_ip;
	const char *rcv_destination_ip;
	const char *tls_protocol;
	const char *tls_cipher;
	const char *rcv_smtp_user;
	const char *msg_id;  /* NULL: no message, and no rcptIndex */
	uint32_t rcpt_index; /* written where msg_id is */
	const char *batch;   /* batch id */
	char state;	     /* of the R line; 0: no slot, attempts, nextTry */
	uint32_t slot;	     /* written where state is */
	uint32_t attempts;   /* written where state is */
	int64_t next_try;    /* seconds UTC, 0: none */
};

/* The header row of the journal, with CRLF; n columns (COL_N all). */
void record_header(struct buf *b, int n);
/* The name of a column, as the header row has it. */
const char *record_col_name(enum record_col c);

/*
 * Append r as exactly one line of at most RECORD_MAX octets, with CRLF.
 * Texts are escaped by the rules of esc_line, so that nothing a peer says
 * makes a second line; where it is too long dsnDiag is cut first (it ends in
 * `...`), then the other texts from outside. msgId, queue, batch and
 * numbers are never cut.
 */
void record_format(const struct acct_record *r, struct buf *b);

/* Where each column of a file is: its place in a row, -1: not there. */
struct record_map {
	int at[COL_N];
	int n; /* fields of a row */
};

/*
 * Read a header row (without line end; its bytes are changed). Columns are
 * found by name, in any order and any case; unknown ones are left out. 0, or
 * -1 when it is no header row: it has no `type` column.
 */
int record_map_read(struct record_map *m, char *line, size_t n,
    struct verr *err);
/* The columns of our own header row. */
void record_map_default(struct record_map *m);
/*
 * Split a row in place (line[n] must be writable) into one string for each
 * column, "" where it is absent. 0; -1: not CSV, or not the number of
 * fields that the header row had.
 */
int record_split(const struct record_map *m, char *line, size_t n,
    char *ret_field[COL_N]);
/*
 * As record_split, into a struct acct_record. Texts point into line and are as
 * they are in the file (escaped); absent ones are NULL, but an empty orig
 * beside a msgId is "". -1 also when the type, a time or a number is not
 * what it should be.
 */
int record_parse(const struct record_map *m, char *line, size_t n,
    struct acct_record *ret_r);

/*
 * The type as a bit of a set (RECORD_D | ...), 0: no such type.
 */
enum {
	RECORD_D = 1,
	RECORD_B = 2,
	RECORD_T = 4,
	RECORD_TQ = 8,
	RECORD_R = 16,
	RECORD_RB = 32,
	RECORD_RS = 64,
	RECORD_F = 128
};
unsigned int record_type_bit(const char *type);

#endif
