/*
 * How the queues of a VirtualMTA share its max-smtp-out: who waits for a
 * connection, and who makes room.
 */
#ifndef VMTA_RUN_SHARE_H
#define VMTA_RUN_SHARE_H

#include <stdbool.h>

#include "run/queue.h"

struct rvmta;
struct sess;
struct worker;

/* The queues of a VirtualMTA that its max-smtp-out holds back, in line. */
struct share {
	struct queue_list waiters; /* that have no connection */
	struct queue_list growers; /* that have some, and want more */
	uint64_t tickets;	   /* given out */
	unsigned int waiting;	   /* in both */
	unsigned int leaving;	   /* connections that will be closed soon */
};

void share_init(struct share *sh);
/* q may have no (more) connection now: it waits in line. */
void share_wait(struct worker *w, struct queue *q);
/* Does q wait in one of the lines? */
bool share_waits(const struct queue *q);
/* q does not wait any more. */
void share_forget(struct worker *w, struct queue *q);
/* A connection of v ended: the first in line is looked at. */
void share_wake(struct worker *w, struct rvmta *v);
/* q, which was woken, has been looked at: it opened a connection, or not. */
void share_used(struct worker *w, struct queue *q, bool opened);
/* Shall s end after its message, since others have less? */
bool share_yields(const struct sess *s);

#endif
