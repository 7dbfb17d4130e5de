/*
 * Routes. The key joins what must be equal before two queues may share a
 * connection: VirtualMTA, settings, and hosts. smtp-hosts are taken as
 * written; otherwise the set of best MX hosts counts, as DNS gave it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "dns/hosts.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/worker.h"
#include "spool/state.h"

#define ROUTE_TTL_MIN_MS 60000 /* a route serves at least so long */
#define ROUTE_TTL_MAX_MS 3600000

struct route *
route_ref(struct route *r)
{
	r->refs++;
	return (r);
}

void
route_unref(struct worker *w, struct route *r)
{
	if (r == NULL || --r->refs > 0)
		return;
	(void)map_del(&w->routes, r->key);
	dns_route_free(r->dns);
	free(r->key);
	free(r);
}

bool
route_target_is_failed(const struct queue *q, size_t target)
{
	return ((q->failed[target / 64] >> (target % 64) & 1) != 0);
}

void
route_activate(struct queue *q)
{
	if (q->route == NULL || q->active)
		return;
	q->active = true;
	TAILQ_INSERT_TAIL(&q->route->active, q, active_entry);
}

void
route_deactivate(struct queue *q)
{
	if (!q->active)
		return;
	q->active = false;
	TAILQ_REMOVE(&q->route->active, q, active_entry);
}

void
route_target_failed(struct queue *q, size_t target)
{
	if (q->route == NULL || target >= q->route->dns->n)
		return;
	q->failed[target / 64] |= 1ull << (target % 64);
	while (q->target < q->route->dns->n &&
	    route_target_is_failed(q, q->target))
		q->target++;
}

void
route_target_reset(struct queue *q)
{
	memset(q->failed, 0, sizeof(q->failed));
	q->target = 0;
	q->hope = false;
	retry_forget(q);
}

size_t
route_pick(const struct queue *q, int family)
{
	const struct dns_target *t;
	size_t i;

	if (q->route == NULL)
		return (0);
	t = q->route->dns->target;
	for (i = q->target; i < q->route->dns->n; i++) {
		if (t[i].pref != t[q->target].pref)
			break;
		if (!route_target_is_failed(q, i) &&
		    (family == AF_UNSPEC || t[i].addr.sa.sa_family == family))
			return (i);
	}
	return (q->route->dns->n);
}

bool
route_usable(struct worker *w, const struct queue *q)
{
	/* a round over the targets comes to its end, and then to the clock */
	return (q->route != NULL &&
	    (q->route->expires > loop_now(w->loop) || q->n_ready > 0 ||
		q->memo != NULL));
}

void
route_drop(struct worker *w, struct queue *q)
{
	struct route *r = q->route;

	if (q->lookup != 0) {
		dns_route_cancel(w->dns, q->lookup);
		q->lookup = 0;
		w->n_lookup--;
		worker_kick(w); /* another may have its place */
	}
	if (r == NULL)
		return;
	route_deactivate(q);
	if (r->crowded == q)
		r->crowded = NULL;
	if (r->promised == q)
		r->promised = NULL;
	q->route = NULL;
	route_unref(w, r);
}

/* What must be equal for two queues to share connections. */
static char *
route_key(const struct queue *q, const struct dns_route *dns)
{
	struct buf b = BUF_INIT;
	const char *item = NULL;

	buf_addf(&b, "%s\n%016llx\n", q->vmta->name,
	    (unsigned long long)q->set->hash);
	if (q->set->smtp_hosts.n == 0) {
		buf_adds(&b, dns->key);
		return (buf_take(&b));
	}
	while ((item = conf_list_next(&q->set->smtp_hosts, item)) != NULL)
		buf_addf(&b, "%s,", item);
	return (buf_take(&b));
}

/* Is DATA to be used with one of the hosts, since BDAT failed? */
static bool
route_broken_chunking(struct worker *w, const struct dns_route *dns)
{
	size_t i;

	for (i = 0; i < dns->n; i++)
		if (state_nochunk(w->spool, dns->target[i].host,
			sys_now(w->sys)))
			return (true);
	return (false);
}

/* q takes the route that dns describes; an equal one is shared. */
static void
route_attach(struct worker *w, struct queue *q, struct dns_route *dns)
{
	char *key = route_key(q, dns);
	struct route *r = map_get(&w->routes, key);
	int64_t ttl = (int64_t)dns->ttl * 1000, now = loop_now(w->loop);

	if (ttl < ROUTE_TTL_MIN_MS)
		ttl = ROUTE_TTL_MIN_MS;
	if (ttl > ROUTE_TTL_MAX_MS)
		ttl = ROUTE_TTL_MAX_MS;
	if (r == NULL) {
		r = xcalloc(1, sizeof(*r));
		r->key = key;
		TAILQ_INIT(&r->active);
		TAILQ_INIT(&r->sess);
		TAILQ_INIT(&r->idle);
		(void)map_put(&w->routes, key, r);
	} else {
		dns_route_free(r->dns);
		free(key);
	}
	r->dns = dns;
	if (r->chunking_look <= now) { /* not for each queue that shares it */
		r->no_chunking = route_broken_chunking(w, dns);
		r->chunking_look = now + ROUTE_TTL_MIN_MS;
	}
	r->expires = now + ttl;
	(void)route_ref(r);
	route_drop(w, q); /* it has had its answer */
	q->route = r;
	route_target_reset(q);
}

/* What DNS says about mail that can never be sent (or not now). */
static void
route_failed(struct worker *w, struct queue *q, const struct dns_route *dns)
{
	struct retry_cause cause = {
		.status = dns->status,
		.text = dns->text,
		.stage = "dns",
	};

	switch (dns->verdict) {
	case DNS_NULL_MX:
	case DNS_NO_DOMAIN:
		retry_bounce_queue(w, q, &cause, 0);
		break;
	case DNS_NO_MX:
		if (q->set->bounce_upon_no_mx >= 0)
			retry_bounce_queue(w, q, &cause,
			    q->set->bounce_upon_no_mx);
		retry_queue_failed(w, q, &cause);
		break;
	default:
		retry_queue_failed(w, q, &cause);
	}
}

/* The answer. */
static void
route_on_answer(void *arg, struct dns_route *dns)
{
	struct queue *q = arg;
	struct worker *w = q->worker;

	q->lookup = 0;
	w->n_lookup--;
	if (q->set->log_resolution || dns->verdict != DNS_OK)
		log_event(LOG_LV_INFO, "resolved", "queue", q->name, "verdict",
		    dns_verdict_name(dns->verdict), "hosts",
		    dns->key != NULL && dns->key[0] != '\0' ? dns->key : NULL,
		    "status", dns->status[0] != '\0' ? dns->status : NULL,
		    "text", dns->text[0] != '\0' ? dns->text : NULL, NULL);
	if (dns->verdict == DNS_OK) {
		route_attach(w, q, dns);
	} else {
		route_failed(w, q, dns);
		dns_route_free(dns);
	}
	queue_answered(w, q);
}

/* smtp-hosts of q, parsed; 0, or -1 (the configuration was checked). */
static int
route_hosts(const struct queue *q, struct dns_hosts *ret_hosts)
{
	const char *item[256], *p = NULL;
	struct verr err = VERR_INIT;
	size_t n = 0;

	while (n < 256 && (p = conf_list_next(&q->set->smtp_hosts, p)) != NULL)
		item[n++] = p;
	if (dns_hosts_parse(item, n, ret_hosts, &err) == -1) {
		log_err(&err);
		return (-1);
	}
	return (0);
}

void
route_lookup(struct worker *w, struct queue *q)
{
	struct dns_hosts hosts = DNS_HOSTS_INIT;
	/* an address that has gone is no reason to say there is no host */
	unsigned int families = source_families(q->vmta->sources);
	struct dns_query query = {
		.domain = q->domain,
		.hosts = &hosts,
		.port = (uint16_t)q->set->default_smtp_port,
		.want_v4 = (families & SOURCE_V4) != 0,
		.want_v6 = (families & SOURCE_V6) != 0,
		.allow = w->allow,
		.n_allow = w->n_allow,
		.is_own = source_local,
		.own_arg = w->net,
	};

	if (q->lookup != 0 || route_hosts(q, &hosts) == -1)
		return;
	q->lookup = dns_route_start(w->dns, &query, route_on_answer, q);
	w->n_lookup++;
	dns_hosts_release(&hosts);
}

void
route_no_chunking(struct worker *w, struct route *r, const char *host)
{
	struct verr err = VERR_INIT;

	r->no_chunking = true;
	log_event(LOG_LV_WARN, "chunking-broken", "host", host, NULL);
	if (state_nochunk_set(w->spool, host, sys_now(w->sys) + 86400, &err) ==
	    -1)
		log_err(&err);
}
