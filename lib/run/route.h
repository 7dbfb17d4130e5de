/*
 * A route: where the mail of one or more queues goes. Queues of one
 * VirtualMTA with equal settings and the same hosts share it, and with it
 * their connections.
 */
#ifndef VMTA_RUN_ROUTE_H
#define VMTA_RUN_ROUTE_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/mx.h"
#include "run/queue.h"
#include "run/sess.h"

struct route {
	char *key;
	struct dns_route *dns;
	int64_t expires;       /* monotonic ms */
	int64_t chunking_look; /* the same: when no_chunking is read anew */
	struct sess_list sess; /* sessions that are open, by `mate` */
	unsigned int n_sess;   /* their number */
	unsigned int refs;     /* queues and sessions that point here */
	TAILQ_HEAD(, queue) active; /* queues with work, in turn */
	struct sess_list idle;	    /* sessions that rest */
	struct queue *crowded;	    /* its mail waits for an address that has no
				       connection, and there is no slot for one */
	struct queue *promised;	    /* it has the place of one that leaves */
	uint32_t unanswered;	    /* of the window (run/wal.h) */
	bool no_chunking;	    /* BDAT failed here: DATA for a day */
};

/* Start a look-up for q, unless one runs; worker_kick follows the answer. */
void route_lookup(struct worker *w, struct queue *q);
/*
 * Is q's route there and fresh enough for a new connection? As long as a round
 * over its targets lasts, it is.
 */
bool route_usable(struct worker *w, const struct queue *q);
/* q forgets its route (and its look-up). */
void route_drop(struct worker *w, struct queue *q);
struct route *route_ref(struct route *r);
void route_unref(struct worker *w, struct route *r);
/* A target of q's route is no good just now: the next one has its turn. */
void route_target_failed(struct queue *q, size_t target);
/* Has it failed since the last route_target_reset? */
bool route_target_is_failed(const struct queue *q, size_t target);
/* All targets of q's route have their turn again. */
void route_target_reset(struct queue *q);
/*
 * The target that q tries next with an address of this family (AF_UNSPEC:
 * any): of those of the best preference that is left. The number of targets
 * when there is none, or no route.
 */
size_t route_pick(const struct queue *q, int family);
/* q has work: sessions of its route may take it. */
void route_activate(struct queue *q);
void route_deactivate(struct queue *q);
/* The peer offers CHUNKING and fails it: remember for a day, over runs. */
void route_no_chunking(struct worker *w, struct route *r, const char *host);

#endif
