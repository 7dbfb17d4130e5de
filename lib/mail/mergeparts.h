/*
 * Templates in numbered parts (XPRT): a recipient's message is some of them,
 * put together. They are stored one after the other, with a list of their
 * lengths, `120,0,33`.
 */
#ifndef VMTA_MAIL_MERGEPARTS_H
#define VMTA_MAIL_MERGEPARTS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define MERGEPARTS_MAX 100 /* parts */

/*
 * Append a part as it came in the form that is stored: CRLF line ends, no NUL
 * and no CR alone (-1 with err, VEX_DATA).
 */
int mergeparts_store(const char *p, size_t n, struct buf *out,
    struct verr *err);
/*
 * Append the message that the parts of this selection (`1,3`; NULL or "":
 * all, in their order) make, in its stored form; Message-ID and Date are
 * added where they are absent: `<[*msgid]@HOST>`, `[*date]`. 0; -1 with err
 * (VEX_DATA): a selection of what is not there, no message.
 */
int mergeparts_join(const char *p, size_t n, const char *lengths,
    const char *selection, const char *host, struct buf *ret_text,
    struct verr *err);
/*
 * The stored form of a template in one piece, or in pieces that are put
 * together (mergeparts_join uses it): fields as above. ret_text is replaced.
 */
int mergeparts_message(const char *p, size_t n, const char *host,
    size_t max_size, struct buf *ret_text, struct verr *err);

#endif
