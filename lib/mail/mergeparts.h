/*
 * Templates as they are stored: fields that stand before the message, then the
 * message, or numbered parts (XPRT) of which each recipient's message has
 * some. A list of lengths, `120,0,33`, says what is where; what is before
 * the first part are the fields. The fields are sent as they are.
 */
#ifndef VMTA_MAIL_MERGEPARTS_H
#define VMTA_MAIL_MERGEPARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define MERGEPARTS_MAX 100 /* parts */

struct mergeparts {
	const char *lengths; /* NULL: one part, no fields before it */
	/* What becomes of a message that parts make; NULL: nothing. */
	const char *strip; /* names of fields to take out, a space between */
	const char *host;  /* Message-ID is added: `<[*msgid]@HOST>` */
	bool date;	   /* Date is added: `[*date]` */
};

/*
 * Append a part as it came in the form that is stored: CRLF line ends, no NUL
 * and no CR alone (-1 with err, VEX_DATA).
 */
int mergeparts_store(const char *p, size_t n, struct buf *out,
    struct verr *err);
/*
 * The template of a selection of parts (`1,3`; NULL or "": all, in their
 * order) in its stored form; *ret_fields: octets of p that stand before it. 0;
 * -1 with err (VEX_DATA): a selection of what is not there, no message.
 * ret_text is replaced.
 */
int mergeparts_join(const char *p, size_t n, const struct mergeparts *how,
    const char *selection, struct buf *ret_text, size_t *ret_fields,
    struct verr *err);

#endif
