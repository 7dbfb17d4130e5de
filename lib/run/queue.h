/*
 * A queue: what one VirtualMTA has for one domain, as the worker that owns
 * the VirtualMTA sees it. The plan is made of batch names; files are opened
 * only when a connection needs them.
 */
#ifndef VMTA_RUN_QUEUE_H
#define VMTA_RUN_QUEUE_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/map.h"
#include "conf/conf.h"
#include "run/work.h"
#include "shape/limit.h"
#include "spool/batch.h"
#include "spool/name.h"

struct worker;
struct queue_list;
struct rvmta;
struct route;
struct bouncer;
struct retry_memo;

/* A batch file, known by its name only. */
struct ref {
	struct batch_name name;
	int64_t due; /* wall seconds; as in the name, unless that is absurd */
	enum batch_area area;
	bool forced; /* --now: due, whatever its name says */
};

/* Why a queue does not send just now; texts in queue_why. */
enum queue_block {
	QUEUE_OPEN,
	QUEUE_RETRY,	 /* its clock: a failed connection, greeting, DNS */
	QUEUE_PAUSED,	 /* by vmta-queue pause */
	QUEUE_NO_SOURCE, /* no source address is on this machine */
	QUEUE_LOCAL,	 /* a fault of this machine: descriptors, ports */
	QUEUE_MOVING,	 /* a move from its VirtualMTA is not complete */
	QUEUE_ORPHAN	 /* its VirtualMTA left the configuration */
};

struct queue {
	char *name; /* domain/vmta */
	char *domain;
	struct worker *worker;
	struct rvmta *vmta;
	const struct conf_queue *set; /* settings, as of generation set_gen */
	unsigned int set_gen;

	struct heap ready; /* struct ref, due: priority, due time, id */
	struct heap wait;  /* struct ref, by due time */
	bool more;	   /* the directories hold more than was kept, */
	int64_t more_at;   /* and more that is due then; INT64_MAX: no more */
	bool stale;	   /* new mail was announced: list them again */
	int64_t listed;	   /* monotonic ms: when, */
	int64_t list_cost; /* and how long it took */
	struct work_list works; /* open batches */
	struct map paused;	/* jobs that a file showed to be paused */

	struct slots slots;	 /* max-smtp-out */
	unsigned int n_starting; /* sessions that are not ready yet */
	unsigned int n_ready;	 /* sessions that are */
	unsigned int n_proven;	 /* sessions that have sent a message */

	enum queue_block block;
	int64_t next_try;  /* wall seconds, while block is not QUEUE_OPEN */
	unsigned int step; /* on the retry-after ladder; 0: no failure */
	int64_t failing_since;
	char *last_error;
	char last_status[12];

	struct route *route; /* NULL: to be looked up */
	uint64_t lookup;     /* a look-up under way, 0: none */
	uint64_t failed[2];  /* bits: targets of the route that failed, */
	size_t target;	     /* and the first that did not */
	uint64_t shunned;    /* bits: source addresses that get no connection */
	size_t failed_from;  /* the one that failed last, + 1 */
	bool hope;	     /* one that failed did not say 5xx */
	struct retry_memo *memo; /* why the last of them failed; NULL: none */

	unsigned int looked; /* the scheduler's round that it had its look in */
	int64_t hold_until;  /* monotonic ms: no new connection before */
	uint32_t seen;	     /* recipients of late, */
	uint32_t refused;    /* and those of them that the peer refused */

	struct queue_list *line; /* that it stands in, by entry, or NULL: the
				    worker's, or one of its VirtualMTA */
	uint64_t ticket;	 /* its place in the VirtualMTA's, 0: none, */
	int urgency;		 /* and the priority that it came with */
	bool woken;		 /* was the first in the VirtualMTA's */
	TAILQ_ENTRY(queue) entry;
	bool active; /* has work: in its route's list */
	TAILQ_ENTRY(queue) active_entry;
	enum limit_why limited; /* what kept it from one more connection */
	struct bouncer *bouncer;
	char *unlisted;	    /* what is wrong with a suppression list, or NULL */
	unsigned int asked; /* number of the last request that saw it */
	bool tried;	    /* a connection failed in this run */
	int64_t wake;	   /* when it is looked at again (wall s), 0: not set */
	int64_t wake_then; /* the time after that, 0: not set */
	unsigned int n_wakes; /* entries of the worker's wakes for it */
};

TAILQ_HEAD(queue_list, queue);

/* The queue of domain and vmta; made when it is new. */
struct queue *queue_get(struct worker *w, struct rvmta *v, const char *domain);
/* Its settings, resolved anew after a reload. */
const struct conf_queue *queue_set(struct worker *w, struct queue *q);
/* Free those that have nothing planned, open or running. */
void queue_sweep(struct worker *w);
/* After a reload: settings and routes anew. */
void queue_reload_all(struct worker *w);
/* Look-ups, routes and bouncers end; sessions have ended before. */
void queue_stop_all(struct worker *w);
/* Free all; all batches are closed. */
void queue_free_all(struct worker *w);

/* Put a batch into the plan. now: wall seconds. */
void queue_add_ref(struct worker *w, struct queue *q, const struct ref *r);
/* Batches whose time has come move from wait to ready. */
void queue_promote(struct worker *w, struct queue *q);
/* Is there something to send that no session has taken, not blocked? */
bool queue_has_work(struct worker *w, struct queue *q);
/* The highest priority of the mail that is ready; -1: none is. */
int queue_urgency(const struct queue *q);
/* The earliest wall second at which it needs a look, INT64_MAX: none. */
int64_t queue_next(const struct queue *q);
/* Wait in the scheduler's line until a connection or look-up has ended. */
void queue_wait_slot(struct worker *w, struct queue *q);
/*
 * Its look-up has ended: look at it before those that were not looked at yet.
 * A run over many domains would else list all of them before it sends.
 */
void queue_answered(struct worker *w, struct queue *q);
/* Ask the scheduler to look at q (again), unless it waits in line. */
void queue_kick(struct worker *w, struct queue *q);
/* A word for enum queue_block, as reports show it. */
const char *queue_why(enum queue_block b);

#endif
