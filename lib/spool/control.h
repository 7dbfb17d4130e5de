/*
 * Requests to owners (vmta-queue beside a running vmta-runq), by files in
 * control/: ID.req from the asker, ID.WORKER.rep from each worker that owns
 * something. Nothing here waits; the asker looks again (inotify or a timer).
 */
#ifndef VMTA_SPOOL_CONTROL_H
#define VMTA_SPOOL_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

struct spool;

struct control_request {
	struct id id;
	char *command;
	char **option; /* n of `KEY=VALUE` */
	size_t n;
};

/* What was done for one VirtualMTA. */
struct control_vmta {
	char *name;
	uint64_t matched;
	uint64_t changed;
};

/* A recipient in flight when it was asked for. */
struct control_flight {
	char *queue; /* domain/vmta */
	char msgid[ID_LEN + 1];
	uint32_t index; /* rcptIndex */
};

/* A reply, or several together. Begin with { 0 }. */
struct control_reply {
	struct control_vmta *vmta; /* whom it answers for */
	size_t n_vmta;
	struct control_flight *flight;
	size_t n_flight;
	int code;    /* VEX_OK, or why not all was done */
	char *error; /* NULL: it was */
};

/*
 * The asker: write a request with n options `KEY=VALUE`. It is void as soon as
 * *ret_fd, which holds a lock on it, is closed: by control_done, or with the
 * process. 0 or -1.
 */
int control_ask(struct spool *sp, const char *command,
    const char *const *option, size_t n, struct id *ret_id, int *ret_fd,
    struct verr *err);
/*
 * The asker: the replies that are there. Begin anew with each call; free with
 * control_reply_release. 0 or -1.
 */
int control_collect(struct spool *sp, const struct id *id,
    struct control_reply *ret_sum, struct verr *err);
/* The asker: remove request and replies, close fd. 0 or -1. */
int control_done(struct spool *sp, const struct id *id, int fd,
    struct verr *err);

/*
 * A worker: call cb for each request that has no reply of this worker and
 * whose asker lives. The request lives during the call. cb returns 0 to go on,
 * else the walk ends and returns that. A request that makes no sense is
 * skipped. worker: [A-Za-z0-9_-]{1,64}.
 */
int control_requests(struct spool *sp, const char *worker,
    int (*cb)(void *arg, const struct control_request *rq), void *arg,
    struct verr *err);
/* A worker: write its reply; 0 as well when the request is gone, or -1. */
int control_answer(struct spool *sp, const struct id *id, const char *worker,
    const struct control_reply *rep, struct verr *err);
/* Remove what is older than this second. 0 or -1. */
int control_sweep(struct spool *sp, int64_t before, struct verr *err);

/* Add to a reply; texts are copied. */
struct control_vmta *control_reply_vmta(struct control_reply *rep,
    const char *vmta);
void control_reply_flight(struct control_reply *rep, const char *queue,
    const char *msgid, uint32_t index);
void control_reply_error(struct control_reply *rep, int code, const char *text);
void control_reply_release(struct control_reply *rep);

#endif
