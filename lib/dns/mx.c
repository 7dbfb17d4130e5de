/*
 * When lookups run. A lookup waits until one of DNS_MAX_ACTIVE places is free,
 * is active until all its answers are in or its time is over, and is then
 * handed over from the loop, never from inside a caller's own call. One that
 * found that there is no such domain is held until that is certain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "dns/doubt.h"
#include "dns/hostsfile.h"
#include "dns/lookup.h"
#include "dns/mx.h"

enum { DNS_WAITING, DNS_ACTIVE, DNS_DONE, DNS_HELD, DNS_STATES };

TAILQ_HEAD(dns_queue, dns_lookup);

struct dns {
	struct loop *loop;
	struct sys *sys;
	struct dns_hostsfile *file;
	struct dns_doubts *doubts;
	struct dns_queue queue[DNS_STATES]; /* active: by deadline */
	size_t count[DNS_STATES];	    /* their lengths */
	uint64_t last_id;
	int64_t timeout; /* ms */
	struct map ids;	 /* all lookups, by decimal id */
	struct loop_timer *deliver;
	struct loop_timer *expire;
};

/* An id as the key of d->ids. */
static const char *
dns_key(uint64_t id, char buf[24])
{
	(void)snprintf(buf, 24, "%llu", (unsigned long long)id);
	return (buf);
}

/* Put l into another queue. */
static void
dns_move(struct dns_lookup *l, int state)
{
	struct dns *d = l->dns;

	TAILQ_REMOVE(&d->queue[l->state], l, link);
	d->count[l->state]--;
	l->state = state;
	TAILQ_INSERT_TAIL(&d->queue[state], l, link);
	d->count[state]++;
}

/* All answers are in: to be delivered in the loop's next turn. */
static void
dns_on_done(struct dns_lookup *l)
{
	dns_move(l, DNS_DONE);
	loop_timer_set(l->dns->deliver, 0);
}

/* One more domain that exists, or not. */
static void
dns_on_seen(struct dns_lookup *l, bool exists)
{
	dns_doubts_seen(l->dns->doubts, l->domain, exists);
}

/* Wake when the oldest active lookup has no time left. */
static void
dns_arm(struct dns *d)
{
	struct dns_lookup *l = TAILQ_FIRST(&d->queue[DNS_ACTIVE]);

	if (l == NULL)
		loop_timer_stop(d->expire);
	else if (!loop_timer_active(d->expire))
		loop_timer_set(d->expire, l->deadline - loop_now(d->loop));
}

/* Fill the free places. */
static void
dns_pump(struct dns *d)
{
	struct dns_lookup *l;

	while (d->count[DNS_ACTIVE] < DNS_MAX_ACTIVE &&
	    (l = TAILQ_FIRST(&d->queue[DNS_WAITING])) != NULL) {
		dns_move(l, DNS_ACTIVE);
		l->deadline = loop_now(d->loop) + d->timeout;
		dns_lookup_begin(l);
	}
	dns_arm(d);
	dns_doubts_poke(d->doubts,
	    d->count[DNS_WAITING] + d->count[DNS_ACTIVE] + d->count[DNS_DONE] ==
		0);
}

/* Forget l. */
static void
dns_remove(struct dns_lookup *l)
{
	struct dns *d = l->dns;
	char key[24];

	TAILQ_REMOVE(&d->queue[l->state], l, link);
	d->count[l->state]--;
	(void)map_del(&d->ids, dns_key(l->id, key));
	dns_doubt_drop(&l->doubt);
	dns_lookup_free(l);
}

/* What was held is certain now, or not believed. */
static void
dns_on_certain(void *arg, const char *why)
{
	struct dns_lookup *l = arg;

	if (why != NULL)
		dns_route_doubt(l->route, why);
	dns_on_done(l);
}

/* Does the route say for good that there is none, since a name is missing? */
static bool
dns_in_doubt(const struct dns_lookup *l)
{
	return (l->missing != NULL &&
	    (l->route->verdict == DNS_NO_DOMAIN ||
		l->route->verdict == DNS_NO_MX));
}

/* All answers are in: make the route. Is it to be handed over? */
static bool
dns_finish(struct dns_lookup *l)
{
	if (l->route != NULL)
		return (true); /* it was held */
	l->route = dns_route_make(l);
	if (!dns_in_doubt(l))
		return (true);
	dns_move(l, DNS_HELD);
	dns_doubt_add(l->dns->doubts, &l->doubt, l->missing, dns_on_certain, l);
	return (false);
}

/* Hand over what was done when this turn began. */
static void
dns_on_deliver(void *arg)
{
	struct dns *d = arg;
	struct dns_lookup *l;
	struct dns_route *r;
	dns_route_cb *cb;
	void *cb_arg;
	size_t n = d->count[DNS_DONE];

	/* A callback may cancel others, and start some that are done. */
	while (n-- > 0 && (l = TAILQ_FIRST(&d->queue[DNS_DONE])) != NULL) {
		if (!dns_finish(l))
			continue;
		r = l->route;
		l->route = NULL;
		cb = l->cb;
		cb_arg = l->arg;
		dns_remove(l);
		cb(cb_arg, r);
	}
	dns_pump(d);
}

/* The oldest lookups have no time left. */
static void
dns_on_expire(void *arg)
{
	struct dns *d = arg;
	struct dns_lookup *l;

	while ((l = TAILQ_FIRST(&d->queue[DNS_ACTIVE])) != NULL &&
	    l->deadline <= loop_now(d->loop)) {
		dns_lookup_expire(l);
		dns_on_done(l);
	}
	dns_arm(d);
}

struct dns *
dns_new(struct loop *loop, struct sys *sys, const char *hosts_file)
{
	struct dns *d = xcalloc(1, sizeof(*d));
	size_t i;

	d->loop = loop;
	d->sys = sys;
	d->timeout = DNS_TIMEOUT_MS;
	if (hosts_file != NULL)
		d->file = dns_hostsfile_new(hosts_file);
	for (i = 0; i < DNS_STATES; i++)
		TAILQ_INIT(&d->queue[i]);
	map_init(&d->ids);
	d->doubts = dns_doubts_new(loop, sys);
	d->deliver = loop_timer_new(loop, dns_on_deliver, d);
	d->expire = loop_timer_new(loop, dns_on_expire, d);
	return (d);
}

void
dns_set_timeout(struct dns *d, int64_t ms)
{
	d->timeout = ms;
	dns_doubts_timeout(d->doubts, ms);
}

void
dns_set_canary(struct dns *d, const char *const *name, size_t n)
{
	dns_doubts_canary(d->doubts, name, n);
}

void
dns_set_watch(struct dns *d, dns_brake_cb *cb, void *arg)
{
	dns_doubts_watch(d->doubts, cb, arg);
}

struct dns_brake *
dns_brake(struct dns *d)
{
	return (dns_doubts_brake(d->doubts));
}

const char *
dns_braked(struct dns *d)
{
	return (dns_doubts_why(d->doubts));
}

void
dns_free(struct dns *d)
{
	struct dns_lookup *l;
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < DNS_STATES; i++)
		while ((l = TAILQ_FIRST(&d->queue[i])) != NULL)
			dns_remove(l);
	map_release(&d->ids, NULL);
	dns_doubts_free(d->doubts);
	loop_timer_free(d->deliver);
	loop_timer_free(d->expire);
	dns_hostsfile_free(d->file);
	free(d);
}

uint64_t
dns_route_start(struct dns *d, const struct dns_query *q, dns_route_cb *cb,
    void *arg)
{
	struct dns_lookup *l;
	char key[24];
	uint64_t id;

	l = dns_lookup_new(d->sys, d->file, q, dns_on_done, dns_on_seen);
	l->dns = d;
	l->cb = cb;
	l->arg = arg;
	l->state = DNS_WAITING;
	l->id = id = ++d->last_id;
	TAILQ_INSERT_TAIL(&d->queue[DNS_WAITING], l, link);
	d->count[DNS_WAITING]++;
	(void)map_put(&d->ids, dns_key(id, key), l);
	dns_pump(d);
	return (id);
}

void
dns_route_cancel(struct dns *d, uint64_t id)
{
	struct dns_lookup *l;
	char key[24];

	l = map_get(&d->ids, dns_key(id, key));
	if (l == NULL)
		return;
	dns_remove(l);
	loop_timer_set(d->deliver, 0); /* its place may be wanted */
}

size_t
dns_pending(const struct dns *d)
{
	return (d->ids.n);
}
