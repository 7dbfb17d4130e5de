/*
 * One lookup: what is asked for a query, what is known so far. Internal to
 * lib/dns: mx.c says when, route.c makes the result.
 */
#ifndef VMTA_DNS_LOOKUP_H
#define VMTA_DNS_LOOKUP_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/doubt.h"
#include "dns/mx.h"

struct dns_hostsfile;
struct dns_lookup;
struct resolver_answer;

/* A host that may take the mail, and its addresses. */
struct dns_cand {
	char *name;
	int64_t rank; /* preference of smtp-hosts, then of MX */
	uint32_t lot; /* random: order inside one rank */
	uint16_t port;
	bool exempt; /* named in smtp-hosts: special addresses are fine */
	bool secure;
	union dns_addr *addr;
	size_t n;
};

/* A question under way. */
struct dns_ask {
	LIST_ENTRY(dns_ask) link;
	struct dns_lookup *lookup;
	uint64_t id; /* the resolver's */
	int type;
	char *name;   /* of an MX question */
	int64_t rank; /* of an MX question */
	uint16_t port;
	size_t cand; /* of an address question */
};

/* All answers are in; may be called inside dns_lookup_begin. */
typedef void dns_lookup_done(struct dns_lookup *l);
/* A name server, not a cache, says whether l->domain exists. */
typedef void dns_lookup_seen(struct dns_lookup *l, bool exists);

struct dns_lookup {
	TAILQ_ENTRY(dns_lookup) link; /* mx.c: waiting, active or done */
	int state;		      /* mx.c */
	uint64_t id;		      /* mx.c */
	int64_t deadline;	      /* mx.c */
	struct dns *dns;	      /* mx.c */
	dns_route_cb *cb;	      /* mx.c */
	void *arg;		      /* mx.c */
	struct dns_doubt doubt;	      /* mx.c */
	struct dns_route *route;      /* mx.c: made, and in doubt */

	struct sys *sys;
	struct dns_hostsfile *file; /* may be NULL */
	dns_lookup_done *done;
	dns_lookup_seen *seen;
	char *domain; /* cleaned; "" when it was no name; `smtp-hosts` */
	struct dns_hosts hosts; /* copied; what to begin with */
	bool configured;	/* smtp-hosts, not MX */
	uint16_t port;
	bool want_v4;
	bool want_v6;
	const struct dns_net *allow;
	size_t n_allow;
	dns_own_fn *is_own;
	void *own_arg;

	LIST_HEAD(, dns_ask) asks;
	size_t pending; /* questions, and one while more may come */
	struct dns_cand *cand;
	size_t n_cand;
	uint32_t ttl;		 /* least so far */
	bool implicit;		 /* no MX record: the domain itself */
	const char *fail_status; /* literal text */
	char *fail_text;	 /* some answer was none; NULL: all were */
	char *missing; /* the first name that does not exist (NXDOMAIN) */
	enum dns_verdict verdict; /* of a definite answer: */
	char *why;		  /* why there is no host, or NULL */
};

/* Copies what it needs of q. Never NULL. */
struct dns_lookup *dns_lookup_new(struct sys *sys, struct dns_hostsfile *file,
    const struct dns_query *q, dns_lookup_done *done, dns_lookup_seen *seen);
/* Ask the first questions. */
void dns_lookup_begin(struct dns_lookup *l);
/* Give up what is still asked; what is known is used. */
void dns_lookup_expire(struct dns_lookup *l);
/* Cancels its questions. */
void dns_lookup_free(struct dns_lookup *l);

/* The result of a lookup that has no question left (route.c). */
struct dns_route *dns_route_make(struct dns_lookup *l);
/* Its verdict rests on an NXDOMAIN that is not believed: it is temporary. */
void dns_route_doubt(struct dns_route *r, const char *why);

/* What an answer without records says, for people. */
const char *dns_rcode_text(const struct resolver_answer *ans);

#endif
