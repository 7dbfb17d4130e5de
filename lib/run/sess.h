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
struct dns_target;

/* Limits that a connection takes a slot of: queue, VirtualMTA, total. */
#define SESS_LIMITS 3

struct sess {
	TAILQ_ENTRY(sess) entry;   /* of all sessions */
	TAILQ_ENTRY(sess) waiting; /* window (waiting_n > 0), idle list */
	uint32_t waiting_n;
	struct worker *w;
	struct queue *queue; /* whose slot it has */
	struct route *route;
	struct smtp_conn *conn;
	char id[ID_LEN + 1];
	char host[256];
	char peer[DNS_ADDR_TEXT];
	char source[SOURCE_TEXT];
	unsigned int conf_gen; /* of the configuration it was opened under */
	size_t target;	       /* index into the route */
	bool best;	       /* target is of the best preference */
	bool ready;
	bool in_txn;
	bool worked;	   /* a transaction came to its end */
	bool resting;	   /* in the route's idle list, by `waiting` */
	uint32_t rcpt_cap; /* recipients a transaction, 0: no cap */
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
 * Connect for q to a target of its route, from this source; the
 * caller has taken one of each of its limits.
 */
void sess_open(struct worker *w, struct queue *q,
    const struct dns_target *target, size_t index, const struct source *src);
/* Is the address that s was bound to not on this machine any more? */
bool sess_source_gone(const struct sess *s);
/* Let an idle session of q's route take its work; true when one did. */
bool sess_reuse(struct worker *w, struct queue *q);
/* End all sessions: at once (abort), or when their message is done. */
void sess_stop_all(struct worker *w, bool abort);

#endif
