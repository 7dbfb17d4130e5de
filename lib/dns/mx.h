/*
 * Where mail for a domain goes: an ordered list of addresses, or the reason
 * why there is none (RFC 5321 section 5.1, RFC 7505).
 *
 * Works on the raw questions of struct resolver (base/resolver.h), which is
 * taken from sys->resolver at each lookup. Answers are not kept here: the
 * resolver caches (dns/cache.h), the caller keeps a route for its ttl.
 *
 * That a domain does not exist is certain only after a second look, and only
 * while the brake is off; else it is temporary (dns/doubt.h, dns/brake.h).
 */
#ifndef VMTA_DNS_MX_H
#define VMTA_DNS_MX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"
#include "dns/addr.h"
#include "dns/brake.h"
#include "dns/hosts.h"

struct dns;
struct loop;

enum dns_verdict {
	DNS_OK,	       /* n >= 1 targets */
	DNS_TEMPORARY, /* SERVFAIL, time-out, bogus, not believed: later */
	DNS_NULL_MX,   /* RFC 7505: takes no mail, 5.1.10 */
	DNS_NO_DOMAIN, /* NXDOMAIN, 5.1.2 */
	DNS_NO_MX,     /* exists, but no host of it has an address, 5.4.4 */
	DNS_SPECIAL    /* only addresses that are refused: 5.4.4; ours: 5.4.6 */
};

#define DNS_MAX_MX 50	     /* hosts used of one answer, the best ones */
#define DNS_MAX_TARGETS 100  /* addresses used of one route */
#define DNS_MAX_ACTIVE 500   /* lookups under way; later ones wait */
#define DNS_TIMEOUT_MS 30000 /* for one lookup, unless dns_set_timeout */
#define DNS_MAX_TTL 86400    /* seconds */

/* One place to connect to, in the order of trying. */
struct dns_target {
	const char *host;    /* name (lower case) or `[address]`; the route's */
	union dns_addr addr; /* with port */
	int pref;	     /* lower first; comparable in this route only */
	bool secure;	     /* all answers that led here were validated */
};

struct dns_route {
	enum dns_verdict verdict;
	char status[8]; /* enhanced status code, "" for DNS_OK */
	char *text;	/* why, one printable line; "" for DNS_OK */
	struct dns_target *target;
	size_t n;
	uint32_t ttl; /* seconds; 0 for DNS_TEMPORARY */
	/*
	 * All hosts, sorted inside each preference, `host:port,host:port;...`
	 * with a `;` between preferences: domains with equal keys may share
	 * connections to any target. "" unless DNS_OK.
	 */
	char *key;
	char **name; /* the texts behind target[].host */
	size_t n_names;
};

/* One of our own addresses? (shape/source.h has the real one.) */
typedef bool dns_own_fn(void *arg, const struct sockaddr *sa);

struct dns_query {
	const char *domain; /* A-labels, any case, or an address literal */
	/* smtp-hosts; NULL or n 0: MX. Borrowed during dns_route_start only. */
	const struct dns_hosts *hosts;
	uint16_t port; /* where smtp-hosts names none; MX always: this */
	bool want_v4;  /* families that the VirtualMTA can send from */
	bool want_v6;
	/*
	 * What is learnt from DNS (and an address literal) must not be special
	 * nor our own, unless in one of these networks. Both must live until
	 * the answer. What smtp-hosts names is exempt, except the answers
	 * of lookup-mx.
	 */
	const struct dns_net *allow;
	size_t n_allow;
	dns_own_fn *is_own; /* NULL: nothing is ours */
	void *own_arg;
};

/* The route is the callee's, who frees it with dns_route_free. */
typedef void dns_route_cb(void *arg, struct dns_route *route);

/*
 * A context; loop and sys must outlive it. hosts_file: where names in
 * smtp-hosts are looked up first, normally "/etc/hosts"; NULL: nowhere.
 * (MX hosts and domains never are.) Never NULL.
 */
struct dns *dns_new(struct loop *loop, struct sys *sys, const char *hosts_file);
/* Time for each lookup that becomes active from now on; before any. */
void dns_set_timeout(struct dns *d, int64_t ms);
/*
 * Names that surely exist (A-labels, copied); n 0: none are asked for. What is
 * known of those before is forgotten.
 */
void dns_set_canary(struct dns *d, const char *const *name, size_t n);
/* cb hears when the brake goes on (why) and off (NULL); it starts nothing. */
void dns_set_watch(struct dns *d, dns_brake_cb *cb, void *arg);
/* Why an NXDOMAIN is not believed just now, until the next call, or NULL. */
const char *dns_braked(struct dns *d);
/* What is known of the last domains, to outlive a run. */
struct dns_brake *dns_brake(struct dns *d);
/* Ends all lookups without calling back. NULL is fine. */
void dns_free(struct dns *d);

/*
 * Look up a route. cb is called from the loop, never before this returns,
 * exactly once unless cancelled, at the latest DNS_TIMEOUT_MS after the
 * lookup became active (with what was found until then), or a few times that
 * where a domain does not exist, which is looked at again. Any number may be
 * started; DNS_MAX_ACTIVE are active. Returns an id (never 0) for
 * dns_route_cancel.
 */
uint64_t dns_route_start(struct dns *d, const struct dns_query *q,
    dns_route_cb *cb, void *arg);
/* After it cb is not called; an id that was answered is ignored. */
void dns_route_cancel(struct dns *d, uint64_t id);
/* NULL is fine. */
void dns_route_free(struct dns_route *r);
/* Lookups that are not answered yet, waiting ones included. */
size_t dns_pending(const struct dns *d);

/* `ok`, `temporary`, `null-mx` ...: for logs. */
const char *dns_verdict_name(enum dns_verdict v);

#endif
