/*
 * Mail merge: a message with `[name]` in its header and text parts, parsed
 * once, and rendered for each recipient.
 *
 * Names are a letter, then letters, digits and `_`, in any case; `[[` is a
 * bracket; what is not of this form stays as it is, and so does any bracket
 * after `<!` (conditional comments). Reserved names begin with `*`: *to,
 * *from, *date, *envid, *jobid, *vmta, *parts, *schedule, *priority, *msgid;
 * with `_url` behind it, each is percent-encoded (RFC 3986).
 */
#ifndef VMTA_MAIL_MERGE_H
#define VMTA_MAIL_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define MERGE_NAME_MAX 64 /* octets of a name */

struct merge;

/* A value: UTF-8, not NUL-ended; p NULL: undefined. */
struct merge_value {
	const char *p;
	size_t n;
};

/* What the reserved names stand for; NULL: empty. */
struct merge_env {
	const char *to; /* as on the wire, as *from */
	const char *from;
	const char *date; /* RFC 5322 */
	const char *envid;
	const char *jobid;
	const char *vmta;
	const char *parts;
	const char *schedule;
	const char *priority;
	const char *msgid; /* left part of a Message-ID */
};

/* The reserved names, in the order of their numbers. */
enum merge_name {
	MERGE_TO,
	MERGE_FROM,
	MERGE_DATE,
	MERGE_ENVID,
	MERGE_JOBID,
	MERGE_VMTA,
	MERGE_PARTS,
	MERGE_SCHEDULE,
	MERGE_PRIORITY,
	MERGE_MSGID,
	MERGE_NAMES /* how many; *to_url and so on follow, from here on */
};

/* Are n octets a name (without `*`)? */
bool merge_name_valid(const char *p, size_t n);
/* The number of a reserved name (with its `*`, any case), -1: it is none. */
int merge_reserved(const char *p, size_t n);

/* Append text with all but letters, digits and `-._~` as %XX. */
void merge_url(const char *text, struct buf *out);

/*
 * Parse a message in its stored form (mail/message.h); it is copied. 0; -1
 * with err (VEX_DATA): variables where none can be (a text whose character
 * set or encoding is unknown, a header in 8 bits that is not UTF-8), too many
 * parts. Free with merge_free.
 */
int merge_parse(const char *p, size_t n, struct merge **ret_m,
    struct verr *err);
void merge_free(struct merge *m); /* NULL is fine */
/* Octets of memory that it takes, about. */
size_t merge_memory(const struct merge *m);

/* The variables that it uses, reserved ones apart, in lower case. */
size_t merge_vars(const struct merge *m);
const char *merge_var(const struct merge *m, size_t i);
/*
 * Say which value a variable has: that of the column with its name (in any
 * case). A variable without a column is undefined. empty: an undefined one is
 * rendered as nothing, else it stays as it is written.
 */
void merge_bind(struct merge *m, const char *const *column, size_t n,
    bool empty);
/* The first variable that is undefined for these values; NULL: none. */
const char *merge_undefined(const struct merge *m,
    const struct merge_value *value);

/*
 * Append the message for these values, one for each column; *ret_header:
 * octets of its header. 0; -1 with err (VEX_DATA): a value cannot be where it
 * lands (a line end in a header, no address in an address field, NUL); out is
 * as before then.
 */
int merge_render(struct merge *m, const struct merge_env *env,
    const struct merge_value *value, struct buf *out, size_t *ret_header,
    struct verr *err);
/* Would merge_render succeed? 0 or -1. */
int merge_check(struct merge *m, const struct merge_env *env,
    const struct merge_value *value, struct verr *err);

#endif
