/*
 * A worker: one process that owns VirtualMTAs and delivers for them. This is
 * the context that the modules of lib/run share; nothing outside of lib/run
 * looks inside.
 */
#ifndef VMTA_RUN_WORKER_H
#define VMTA_RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/id.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/sys.h"
#include "conf/conf.h"
#include "dns/mx.h"
#include "run/exports.h"
#include "run/queue.h"
#include "run/run.h"
#include "run/rvmta.h"
#include "run/sess.h"
#include "run/wal.h"
#include "shape/limit.h"
#include "shape/source.h"
#include "shape/total.h"
#include "spool/owner.h"
#include "spool/spool.h"
#include "spool/trigger.h"

/* Totals of a run, for its last log line. */
struct resolve;
struct selection;
struct suppress;

struct run_count {
	uint64_t delivered;
	uint64_t bounced;
	uint64_t deferred;
	uint64_t ambiguous; /* of those: end of data sent, no answer */
	uint64_t sessions;
	uint64_t failures;
};

struct worker {
	struct sys *sys;
	struct loop *loop;
	struct conf *conf;
	unsigned int conf_gen; /* grows with every reload */
	const struct run_options *opt;
	const struct selection *only; /* VirtualMTAs to own, NULL: all */
	const struct map *done;	      /* but not these; NULL: none */
	struct map *others; /* gets the names that others own; or NULL */
	unsigned int index; /* of opt->workers */
	struct id id;	    /* names it in control/ and state/ */

	struct spool *spool;
	struct owner *owner;
	struct wal *wal;
	struct exports exports;
	struct dns *dns;
	struct resolve *resolve;
	struct netcheck *net;
	struct total_slots total_slots; /* total-max-smtp-out */
	struct slots file_slots;	/* connections that descriptors allow */
	struct trigger_reader *trigger;

	struct map vmtas;    /* name -> struct rvmta, owned or orphaned */
	struct map queues;   /* domain/vmta -> struct queue */
	struct map routes;   /* key -> struct route */
	struct map settings; /* generation and hash -> struct conf_queue */
	struct sess_list sessions;
	struct sess_list leavers; /* said QUIT, count until they are closed */
	struct work_list works;	  /* open batches */
	struct dns_net *allow;	  /* allow-special-destination */
	size_t n_allow;
	struct heap wakes;	    /* struct sched_wake */
	struct queue_list hungry;   /* want a new session */
	struct queue_list lookers;  /* want a look-up, and there are too many */
	unsigned int round;	    /* of looks at the hungry ones, each once */
	bool round_open;	    /* it has not come to its end */
	bool news;		    /* somebody was kicked since it began */
	struct queue_list answered; /* have theirs: before the hungry ones */
	struct pause_list *pauses;
	struct tpl *tpl;	   /* templates of merges; NULL: none met yet */
	struct suppress *suppress; /* NULL: no batch opened yet */

	unsigned int n_sess; /* sessions that live */
	unsigned int n_leaving;
	unsigned int n_open;   /* batches that are open */
	unsigned int open_max; /* of them, for sessions to begin another */
	unsigned int n_lookup; /* DNS look-ups under way */
	unsigned int n_bouncers;
	unsigned int n_waiting; /* queues that wait in line (run/share.h) */
	unsigned int n_foreign; /* VirtualMTAs that others own */
	unsigned int n_asked;	/* requests carried out */
	unsigned int n_faults;	/* batches that could not be read just now */
	int64_t last_work;	/* monotonic ms: when something last went on */
	int64_t next_live;	/* monotonic ms */
	int64_t next_chores;	/* monotonic ms */
	int64_t next_own;	/* monotonic ms: ask for what others own */
	int64_t clock_off;	/* wall clock less monotonic, us */
	int64_t leap; /* s that the wall clock was set forward in this run */
	bool complained_live;
	bool want_r;	  /* an acct-file takes records of reception */
	bool full_look;	  /* look at everything again */
	bool look_failed; /* the last time, and that was said */
	bool total_waits; /* a limit of all queues holds one back */
	bool own_again;	  /* another worker was recovering */
	bool owned;	  /* something, in this round */
	bool announced;	  /* the trigger said something */
	bool hurried;	  /* so soon that no end of data is sent any more */
	bool stopping;	  /* finish what is in flight, start nothing */
	bool broken;	  /* a batch could not be written: replay is due */
	bool closing;	  /* letting go: nothing is begun by events */
	bool traced;	  /* --trace has had its session */
	struct run_count count;
	struct verr trouble; /* code != 0: delivered, but not all is well */

	struct loop_timer *sched_timer; /* 0 ms: run the scheduler */
	struct loop_timer *wake_timer;	/* the next queue's time */
	struct loop_timer *tick_timer;	/* housekeeping */
	struct loop_timer *stop_timer;	/* end of the 30 s grace */
	struct loop_signal *sig[3];
	struct loop_io *watch_io; /* inotify: trigger and control/ */
	int watch_fd;
};

/*
 * Begin to stop: nothing new is started, what is in flight may end. at_once:
 * it may not; also when the journal has failed.
 */
void worker_stop(struct worker *w, bool at_once);
/*
 * A batch could not be written, renamed or removed: no more mail is taken,
 * and the run stops in the next turn (a session may be in our caller's hands).
 */
void worker_broke(struct worker *w);
/*
 * Something is wrong that does not stop deliveries: logged, and the run's
 * exit code, when nothing worse comes.
 */
void worker_trouble(struct worker *w, const struct verr *err);
/*
 * Work as worker number index of opt->workers until there is nothing left to
 * do for the mode. 0, or -1 with err.
 */
int worker_run(struct sys *sys, struct conf *c, const struct run_options *opt,
    unsigned int index, struct total *total, struct verr *err);
/*
 * Make ready to own: spool, locks, addresses. w: zero but for sys, conf, opt,
 * index, conf_gen, only. 0 or -1; worker_end in any case.
 */
int worker_begin(struct worker *w, struct verr *err);
void worker_end(struct worker *w);
/* Own, recover, open the journal; w->owned: there is something. 0 or -1. */
int worker_take(struct worker *w, struct verr *err);
/* Everything durable and written, then let go. 0 or -1. */
int worker_let_go(struct worker *w, struct verr *err);
/* Run the scheduler in the next turn. */
void worker_kick(struct worker *w);

#endif
