/* A session: one connection, and the queue that it works for just now. */
#ifndef VMTA_RUN_SESS_H
#define VMTA_RUN_SESS_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "dns/addr.h"
#include "run/work.h"
#include "shape/limit.h"
#include "shape/source.h"
#include "smtp/conn.h"

struct worker;
struct queue;
struct route;
struct rvmta;

/* A connection takes a slot of each: queue, VirtualMTA, total, descriptors. */
#define SESS_LIMITS 4

struct sess {
	TAILQ_ENTRY(sess) entry;   /* of all sessions */
	TAILQ_ENTRY(sess) waiting; /* window (waiting_n > 0), idle list */
	TAILQ_ENTRY(sess) mate;	   /* of its route's sessions */
	uint32_t waiting_n;
	struct worker *w;
	struct queue *queue; /* whose slot it has */
	struct route *route;
	struct smtp_conn *conn;
	char id[ID_LEN + 1];
	char host[256];
	char peer[DNS_ADDR_TEXT];
	char source[SOURCE_TEXT];
	size_t source_i;       /* which of the VirtualMTA's, then */
	unsigned int numbers;  /* as of rvmta.numbers, then */
	unsigned int conf_gen; /* of the configuration it was opened under */
	int64_t opened;	       /* monotonic ms */
	size_t target;	       /* index into the route */
	bool best;	       /* target is of the best preference */
	bool ready;
	bool in_txn;
	bool worked;	   /* a transaction came to its end */
	bool proven;	   /* a transaction was answered */
	bool promised;	   /* its place is its route's `promised` queue's */
	bool waited;	   /* it broke while we let it wait */
	bool resting;	   /* in the route's idle list, by `waiting` */
	uint32_t rcpt_cap; /* recipients a transaction, 0: no cap */
	int64_t since;	   /* monotonic ms: when it was opened */
	uint64_t messages;
	uint64_t delivered; /* recipients */
	uint64_t errors;    /* 4xx and 5xx replies */
	struct txn txn;
	struct buf esmtp;	 /* dlvEsmtpAvailable */
	struct loop_timer *idle; /* connection-idle-timeout; NULL: none */
};

TAILQ_HEAD(sess_list, sess);

/* The limits that a connection of q must pass. */
void sess_limits(struct worker *w, struct queue *q,
    struct limiter *ret_list[SESS_LIMITS]);
/*
 * Connect for q to a target of its route (its number), from this source; the
 * caller has taken one of each of its limits.
 */
void sess_open(struct worker *w, struct queue *q, size_t index,
    const struct source *src);
/* Is the address that s was bound to not on this machine any more? */
bool sess_source_gone(const struct sess *s);
/* How many sessions serve q and leave from this address? */
size_t sess_from(const struct queue *q, const char *source);
/*
 * Mail of q waits for an address that has no session, and no slot is free:
 * one that rests ends, or the next one that has no mail of its own address.
 */
void sess_make_room(struct queue *q);
/* End sessions that nobody greets when there is nothing left for them. */
void sess_sweep(struct worker *w);
/* Let an idle session of q's route take its work; true when one did. */
bool sess_reuse(struct worker *w, struct queue *q);
/* One that rests, of this VirtualMTA (NULL: any), makes room. */
void sess_evict(struct worker *w, const struct rvmta *v);
/* How much may still happen. */
enum sess_stop {
	SESS_STOP_SOON,	 /* messages under way are sent to their end */
	SESS_STOP_ENDED, /* those whose end of data was sent have an answer */
	SESS_STOP_NOW	 /* nothing: what is known is recorded */
};
/* End all sessions. */
void sess_stop_all(struct worker *w, enum sess_stop how);

#endif
