/* What is in the spool just now: vmta-report queues, status. */
#ifndef VMTA_REPORT_LIVE_H
#define VMTA_REPORT_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "report/filter.h"
#include "spool/state.h"

struct conf;
struct spool;

/* A queue, as names of files and small states tell. Times: seconds UTC. */
struct live_queue {
	char *domain;
	const char *vmta;
	uint64_t batches;
	uint64_t rcpts;	 /* open */
	uint64_t due;	 /* of them, due now */
	uint64_t held;	 /* in batches that are held */
	uint64_t paused; /* in batches that are paused */
	uint64_t bytes;
	int64_t next;	/* earliest due time; INT64_MAX: all is held */
	int64_t oldest; /* 0: none */
	unsigned int conns;
	const char *why; /* the runner's reason, or NULL */
	struct retry_state retry;
	bool has_retry;	   /* the queue's clock has something to say */
	const char *state; /* paused held retry deferred active ready orphan */
};

typedef int live_cb(void *arg, const struct live_queue *q, struct verr *err);

#define LIVE_TEXT 1024

/* What all of them come to. */
struct live_total {
	char brake[LIVE_TEXT]; /* why NXDOMAIN is not believed; "": it is */
	unsigned int workers;  /* that wrote their state lately */
	uint64_t vmtas;
	uint64_t queues;
	uint64_t batches;
	uint64_t rcpts;
	uint64_t due;
	uint64_t held;
	uint64_t paused;
	uint64_t bytes;
	int64_t next;
	int64_t oldest;
};

/*
 * Call cb for each queue that has open recipients and matches f (vmta,
 * domain, queue), by VirtualMTA and then most recipients first. conf may be
 * NULL: no queue is an orphan then. Memory: the queues of one VirtualMTA.
 * ret_total may be NULL. 0 or -1.
 */
int live_walk(struct spool *sp, const struct conf *conf,
    const struct report_filter *f, int64_t now, live_cb *cb, void *arg,
    struct live_total *ret_total, struct verr *err);

#endif
