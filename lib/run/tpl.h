/* Templates of mail merges while they are delivered: parsed ones are kept. */
#ifndef VMTA_RUN_TPL_H
#define VMTA_RUN_TPL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sys.h"
#include "mail/message.h"
#include "spool/batch.h"

struct tpl;

/* Never NULL. Free with tpl_free (NULL is fine). */
struct tpl *tpl_new(struct sys *sys);
void tpl_free(struct tpl *t);

/*
 * The message of recipient x->rcpt[0] of b, a merge; ret_text is replaced. 0;
 * -1: VEX_DATA or ENOENT when the batch or its template is damaged, else it
 * cannot be read just now.
 */
int tpl_render(struct tpl *t, struct batch *b, const struct batch_txn *x,
    struct buf *ret_text, struct message_facts *ret_facts, struct verr *err);

#endif
