/* Recipients in the spool, one by one: vmta-queue list, count, show. */
#ifndef VMTA_REPORT_LISTING_H
#define VMTA_REPORT_LISTING_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "report/out.h"

struct conf;
struct selection;
struct spool;

/* What was found. */
struct listing_count {
	uint64_t rcpts;
	uint64_t messages;
	uint64_t bytes; /* of content, each message of a batch once */
};

/*
 * A row for each recipient that is not final and that sel selects:
 * id,rcptIndex,queue,orig,rcpt,jobId,envId,state,attempts,queued,nextTry,
 * priority,bytes,lastStatus,lastDiag,reason. out NULL: only count. Batches
 * are read one at a time, without locks. 0 or -1.
 */
int listing_print(struct spool *sp, const struct conf *conf,
    const struct selection *sel, int64_t now, FILE *out,
    enum report_format format, struct listing_count *ret_n, struct verr *err);
/*
 * Messages with their recipients, their header, and what the journal has
 * about them lately, as text for people. 0 or -1.
 */
int listing_show(struct spool *sp, const struct conf *conf,
    const struct selection *sel, int64_t now, FILE *out,
    struct listing_count *ret_n, struct verr *err);

#endif
