/*
 * Doubts: an answer that a name does not exist is not believed before it was
 * given again, between two questions for canaries, names that surely exist;
 * and not while the brake (dns/brake.h) is on. Internal to lib/dns.
 */
#ifndef VMTA_DNS_DOUBT_H
#define VMTA_DNS_DOUBT_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"
#include "dns/brake.h"

struct dns_doubts;
struct loop;

/* why: NULL: it is so; else why it is not believed now. From the loop. */
typedef void dns_doubt_cb(void *arg, const char *why);

/* One answer in doubt: a member of what waits for it, zero at first. */
struct dns_doubt {
	TAILQ_ENTRY(dns_doubt) link;
	struct dns_doubts *all; /* NULL: not in doubt */
	int state;
	char *name;
	uint64_t ask;	  /* the resolver's id of the question, 0: none */
	uint64_t answers; /* all->answers when it came */
	int64_t since;	  /* monotonic ms */
	const char *fault;
	dns_doubt_cb *cb;
	void *arg;
};

/* sys->resolver is asked, when there is something to ask. Never NULL. */
struct dns_doubts *dns_doubts_new(struct loop *loop, struct sys *sys);
/* Calls nothing back. */
void dns_doubts_free(struct dns_doubts *ds);
/* Time for one question; the canaries' names (copied), n 0: none. */
void dns_doubts_timeout(struct dns_doubts *ds, int64_t ms);
void dns_doubts_canary(struct dns_doubts *ds, const char *const *name,
    size_t n);
void dns_doubts_watch(struct dns_doubts *ds, dns_brake_cb *cb, void *arg);
struct dns_brake *dns_doubts_brake(struct dns_doubts *ds);
/* As dns_brake_why, and the watch hears of it when it has changed. */
const char *dns_doubts_why(struct dns_doubts *ds);

/* A name server said whether domain exists. */
void dns_doubts_seen(struct dns_doubts *ds, const char *domain, bool exists);
/* name does not exist, it was said; cb is called once, never from here. */
void dns_doubt_add(struct dns_doubts *ds, struct dns_doubt *d, const char *name,
    dns_doubt_cb *cb, void *arg);
/* It does not matter any more; one that is not in doubt is left alone. */
void dns_doubt_drop(struct dns_doubt *d);
/* Go on, if it is time. quiet: nothing else is being asked just now. */
void dns_doubts_poke(struct dns_doubts *ds, bool quiet);

#endif
