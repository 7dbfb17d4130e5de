/* vmta-report queues and status, as tables. */
#ifndef VMTA_REPORT_QUEUES_H
#define VMTA_REPORT_QUEUES_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "report/filter.h"
#include "report/out.h"

struct conf;
struct spool;

/*
 * A row a queue: queue,rcpts,kbytes,conns,mode,state,reason,nextTry,oldest,
 * lastError. *ret_n: how many. 0 or -1.
 */
int report_queues(struct spool *sp, const struct conf *conf,
    const struct report_filter *f, int64_t now, FILE *out,
    enum report_format format, uint64_t *ret_n, struct verr *err);
/*
 * Totals of the spool and of the journal's last minute and hour, as rows of
 * name,value. 0 or -1.
 */
int report_status(struct spool *sp, const struct conf *conf,
    const struct report_filter *f, int64_t now, FILE *out,
    enum report_format format, struct verr *err);

#endif
