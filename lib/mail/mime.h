/* What the header of a MIME entity says about its body (RFC 2045, 2046). */
#ifndef VMTA_MAIL_MIME_H
#define VMTA_MAIL_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "mail/field.h"

enum mime_cte {
	MIME_7BIT, /* also when nothing is said */
	MIME_8BIT,
	MIME_BINARY,
	MIME_QP,
	MIME_BASE64,
	MIME_OTHER
};

struct mime {
	bool has_version; /* which fields are there */
	bool has_type;
	bool has_cte;
	enum mime_cte cte;
	char type[64]; /* lower case; "" when the field cannot be read */
	char subtype[64];
	bool attachment;     /* Content-Disposition: attachment */
	struct buf boundary; /* of a multipart; empty: none given */
	struct buf charset;  /* of a text; empty: none given */
};

/*
 * Read a header of n octets (CRLF). Without Content-Type: text/plain, or,
 * digest, message/rfc822. Free with mime_release.
 */
void mime_parse(const char *p, size_t n, bool digest, struct mime *ret_mime);
void mime_release(struct mime *m);
/* Is it of this type, and of this subtype unless it is NULL? */
bool mime_is(const struct mime *m, const char *type, const char *subtype);

/*
 * Append the value of a parameter of Content-Type to ret_value; *ret_from and
 * *ret_to (may be NULL): where it stands in the field, quotes too. False:
 * there is none.
 */
bool mime_param(const struct field *f, const char *name, struct buf *ret_value,
    const char **ret_from, const char **ret_to);

/* A line of a multipart that parts it. */
struct mime_delim {
	const char *line; /* its start */
	const char *next; /* after its line end, or the end */
	bool closing;	  /* `--boundary--` */
};

/*
 * The first delimiter line in [p, end), p being the start of a line;
 * boundary: with its leading `--`. False: none.
 */
bool mime_delim(const char *p, const char *end, const struct buf *boundary,
    struct mime_delim *ret_delim);

#endif
