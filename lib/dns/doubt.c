/*
 * A resolver that has lost its mind says NXDOMAIN to everything, and a bulk
 * mailer that believes it bounces a campaign. So an NXDOMAIN is in doubt until
 *
 *  1. the last hundred domains had their say: a hundred answers have come
 *     after it, or nothing else is being asked, or DOUBT_HOLD_MS have passed.
 *     So it is judged by what came after it, too: when a resolver goes mad all
 *     of the first ones wait for those that show it, and of many questions at a
 *     time those for names that do not exist are answered first;
 *  2. in a round of questions the canaries exist, then the name still does not,
 *     then the canaries still exist: a resolver that changes its mind between
 *     two answers is not taken for a sound one;
 *  3. and the brake is off, which counts how many of the last domains exist.
 *
 * One round serves all that are in doubt when it begins; rounds begin at most
 * every DOUBT_GAP_MS. A canary that fails stops them; it is looked at again
 * every DOUBT_AGAIN_MS, and what comes meanwhile is not believed.
 *
 * No cache may answer these questions, neither ours nor one of a resolver in
 * front of the name servers. So each asks for a type of record that nobody has
 * asked for: numbers that no standard has given a meaning (RFC 6895), one after
 * the other from a random one on. A name that exists has NODATA for it
 * (RFC 3597, RFC 8906), and a resolver must ask its name servers to know.
 *
 * What is not covered: a resolver that is right about the canaries and has
 * lost less than a fifth of the domains; name servers of the canary's that
 * answer NXDOMAIN or nothing for unknown types, which keeps the brake on (the
 * safe side; another canary helps).
 */
#include <arpa/nameser.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/resolver.h"
#include "dns/doubt.h"
#include "dns/lookup.h"

#define DOUBT_HOLD_MS 10000
#define DOUBT_GAP_MS 1000
#define DOUBT_AGAIN_MS 2000

#define DOUBT_TYPE_MIN 32770 /* record types that mean nothing */
#define DOUBT_TYPES 32765

enum { DOUBT_WAITS, DOUBT_ROUND, DOUBT_ASKED, DOUBT_ANSWERED };
enum stage { STAGE_IDLE, STAGE_BEFORE, STAGE_AGAIN, STAGE_AFTER };

TAILQ_HEAD(doubt_list, dns_doubt);

struct canary {
	struct dns_doubts *all;
	char *name;
	uint64_t ask; /* 0: not being asked, or not yet known */
	bool waits;   /* for an answer */
};

struct dns_doubts {
	struct loop *loop;
	struct sys *sys;
	struct dns_brake *brake;
	dns_brake_cb *watch;
	void *watch_arg;
	bool on; /* what the watch heard last */

	struct canary *canary;
	size_t n_canary;
	bool exists; /* one of them does, in this stage */
	char *fault; /* what is wrong with one, in this stage; NULL */
	bool lies;   /* the fault is an NXDOMAIN */

	enum stage stage;
	struct doubt_list waiting;
	struct doubt_list round;
	size_t pending;	  /* questions of this stage, and one while asking */
	uint64_t answers; /* of all domains */
	bool quiet;
	unsigned int type;
	int64_t timeout; /* ms of a stage */
	int64_t next;	 /* monotonic ms: no round before */
	struct loop_timer *limit;
	struct loop_timer *wake;
};

static void doubt_on_limit(void *arg);
static void doubt_on_wake(void *arg);
static void doubt_ask_canaries(struct dns_doubts *ds, enum stage stage);

struct dns_doubts *
dns_doubts_new(struct loop *loop, struct sys *sys)
{
	struct dns_doubts *ds = xcalloc(1, sizeof(*ds));

	ds->loop = loop;
	ds->sys = sys;
	ds->brake = dns_brake_new();
	TAILQ_INIT(&ds->waiting);
	TAILQ_INIT(&ds->round);
	if (sys->random(sys, &ds->type, sizeof(ds->type)) == -1)
		ds->type = (unsigned int)sys_now(sys);
	ds->timeout = DNS_TIMEOUT_MS;
	ds->limit = loop_timer_new(loop, doubt_on_limit, ds);
	ds->wake = loop_timer_new(loop, doubt_on_wake, ds);
	return (ds);
}

/* Ask no more; what was in the round waits for another one. */
static void
doubt_abort(struct dns_doubts *ds)
{
	struct resolver *r = ds->sys->resolver;
	struct dns_doubt *d;
	size_t i;

	for (i = 0; i < ds->n_canary; i++)
		if (ds->canary[i].ask != 0)
			r->cancel(r, ds->canary[i].ask);
	while ((d = TAILQ_LAST(&ds->round, doubt_list)) != NULL) {
		if (d->ask != 0)
			r->cancel(r, d->ask);
		d->ask = 0;
		d->state = DOUBT_WAITS;
		TAILQ_REMOVE(&ds->round, d, link);
		TAILQ_INSERT_HEAD(&ds->waiting, d, link);
	}
	ds->stage = STAGE_IDLE;
	ds->pending = 0;
	loop_timer_stop(ds->limit);
}

/* Forget the canaries. */
static void
doubt_clear_canaries(struct dns_doubts *ds)
{
	size_t i;

	for (i = 0; i < ds->n_canary; i++)
		free(ds->canary[i].name);
	free(ds->canary);
	ds->canary = NULL;
	ds->n_canary = 0;
}

void
dns_doubts_free(struct dns_doubts *ds)
{
	struct dns_doubt *d;

	if (ds == NULL)
		return;
	doubt_abort(ds);
	while ((d = TAILQ_FIRST(&ds->waiting)) != NULL)
		dns_doubt_drop(d);
	doubt_clear_canaries(ds);
	loop_timer_free(ds->limit);
	loop_timer_free(ds->wake);
	dns_brake_free(ds->brake);
	free(ds->fault);
	free(ds);
}

void
dns_doubts_timeout(struct dns_doubts *ds, int64_t ms)
{
	ds->timeout = ms;
}

void
dns_doubts_canary(struct dns_doubts *ds, const char *const *name, size_t n)
{
	size_t i;

	doubt_abort(ds);
	doubt_clear_canaries(ds);
	ds->canary = xcalloc(n + 1, sizeof(*ds->canary));
	for (i = 0; i < n; i++) {
		ds->canary[i].all = ds;
		ds->canary[i].name = xstrdup(name[i]);
	}
	ds->n_canary = n;
	dns_brake_canary(ds->brake, NULL);
	ds->next = 0;
	loop_timer_set(ds->wake, 0);
}

void
dns_doubts_watch(struct dns_doubts *ds, dns_brake_cb *cb, void *arg)
{
	ds->watch = cb;
	ds->watch_arg = arg;
}

struct dns_brake *
dns_doubts_brake(struct dns_doubts *ds)
{
	return (ds->brake);
}

const char *
dns_doubts_why(struct dns_doubts *ds)
{
	const char *why = dns_brake_why(ds->brake, sys_now(ds->sys));

	if ((why != NULL) != ds->on) {
		ds->on = why != NULL;
		if (ds->watch != NULL)
			ds->watch(ds->watch_arg, why);
	}
	return (why);
}

void
dns_doubts_seen(struct dns_doubts *ds, const char *domain, bool exists)
{
	ds->answers++;
	dns_brake_seen(ds->brake, domain, exists, sys_now(ds->sys));
}

/* --- questions ----------------------------------------------------------- */

/* Ask for a type that nobody has asked for. */
static void
doubt_query(struct dns_doubts *ds, const char *name, resolver_cb *cb, void *arg,
    uint64_t *ret_id)
{
	static const struct resolver_answer none = { .rcode = -1,
		.why = "the resolver takes no question" };
	struct resolver *r = ds->sys->resolver;
	int type = (int)(DOUBT_TYPE_MIN + ds->type++ % DOUBT_TYPES);

	*ret_id = 0;
	ds->pending++;
	if (r == NULL || r->query(r, name, type, cb, arg, ret_id) == -1)
		cb(arg, &none);
}

/* All that were in the round have their answer. */
static void
doubt_settle(struct dns_doubts *ds)
{
	const char *why = dns_doubts_why(ds);
	struct dns_doubt *d, done;

	while ((d = TAILQ_FIRST(&ds->round)) != NULL) {
		done = *d;
		dns_doubt_drop(d);
		done.cb(done.arg, why != NULL ? why : done.fault);
	}
}

/* The round is over. */
static void
doubt_end(struct dns_doubts *ds)
{
	loop_timer_stop(ds->limit);
	ds->stage = STAGE_IDLE;
	doubt_settle(ds);
	ds->next = loop_now(ds->loop) +
	    (dns_brake_canary_failed(ds->brake) ? DOUBT_AGAIN_MS :
						  DOUBT_GAP_MS);
	if (dns_brake_canary_failed(ds->brake))
		loop_timer_set(ds->wake, DOUBT_AGAIN_MS);
	else if (!TAILQ_EMPTY(&ds->waiting))
		loop_timer_set(ds->wake, DOUBT_GAP_MS);
}

/* A question less of the second stage. */
static void
doubt_answered(struct dns_doubts *ds)
{
	if (--ds->pending == 0)
		doubt_ask_canaries(ds, STAGE_AFTER);
}

static void
doubt_on_again(void *arg, const struct resolver_answer *ans)
{
	struct dns_doubt *d = arg;

	d->ask = 0;
	d->state = DOUBT_ANSWERED;
	if (!ans->bogus && ans->rcode == ns_r_noerror) {
		/* a cache had the other answer, from a bad time */
		dns_brake_exists(d->all->brake, d->name);
		d->fault = "asked again, DNS says that it exists";
	} else if (ans->bogus || ans->rcode != ns_r_nxdomain) {
		d->fault = "asked again, DNS does not say so";
	}
	doubt_answered(d->all);
}

/* The canaries were there: now the names again. */
static void
doubt_ask_again(struct dns_doubts *ds)
{
	struct dns_doubt *d;
	uint64_t id;

	ds->stage = STAGE_AGAIN;
	ds->pending = 1;
	loop_timer_set(ds->limit, ds->timeout);
	TAILQ_FOREACH (d, &ds->round, link) {
		d->state = DOUBT_ASKED;
		doubt_query(ds, d->name, doubt_on_again, d, &id);
		if (d->state == DOUBT_ASKED)
			d->ask = id;
	}
	doubt_answered(ds);
}

/* A canary less to wait for. */
static void
doubt_canary_answered(struct dns_doubts *ds)
{
	if (--ds->pending > 0)
		return;
	dns_brake_canary(ds->brake, ds->lies || !ds->exists ? ds->fault : NULL);
	(void)dns_doubts_why(ds);
	/* also while too many do not exist: this may be what lets go */
	if (!dns_brake_canary_failed(ds->brake) && ds->stage == STAGE_BEFORE &&
	    !TAILQ_EMPTY(&ds->round))
		doubt_ask_again(ds);
	else
		doubt_end(ds);
}

static void
doubt_on_canary(void *arg, const struct resolver_answer *ans)
{
	struct canary *c = arg;
	struct dns_doubts *ds = c->all;
	bool lies = !ans->bogus && ans->rcode == ns_r_nxdomain;
	struct buf b = BUF_INIT;

	c->ask = 0;
	c->waits = false;
	if (!ans->bogus && ans->rcode == ns_r_noerror) {
		ds->exists = true;
	} else if (ds->fault == NULL || (lies && !ds->lies)) {
		buf_addf(&b, "the canary %s: %s", c->name, dns_rcode_text(ans));
		free(ds->fault);
		ds->fault = buf_take(&b);
		ds->lies = lies;
	}
	doubt_canary_answered(ds);
}

static void
doubt_ask_canaries(struct dns_doubts *ds, enum stage stage)
{
	uint64_t id;
	size_t i;

	ds->stage = stage;
	ds->exists = ds->n_canary == 0;
	ds->lies = false;
	free(ds->fault);
	ds->fault = NULL;
	ds->pending = 1;
	loop_timer_set(ds->limit, ds->timeout);
	for (i = 0; i < ds->n_canary; i++) {
		ds->canary[i].waits = true;
		doubt_query(ds, ds->canary[i].name, doubt_on_canary,
		    &ds->canary[i], &id);
		if (ds->canary[i].waits)
			ds->canary[i].ask = id;
	}
	doubt_canary_answered(ds);
}

/* No answer in time is none; also called when the last question went. */
static void
doubt_on_limit(void *arg)
{
	static const struct resolver_answer late = { .rcode = -1,
		.why = "no answer in time" };
	struct dns_doubts *ds = arg;
	struct resolver *r = ds->sys->resolver;
	struct dns_doubt *d, *next;
	size_t i;

	ds->pending++; /* none of them ends the stage before the last */
	for (i = 0; i < ds->n_canary; i++)
		if (ds->canary[i].waits) {
			if (ds->canary[i].ask != 0)
				r->cancel(r, ds->canary[i].ask);
			doubt_on_canary(&ds->canary[i], &late);
		}
	for (d = TAILQ_FIRST(&ds->round); d != NULL; d = next) {
		next = TAILQ_NEXT(d, link);
		if (d->state != DOUBT_ASKED)
			continue;
		if (d->ask != 0)
			r->cancel(r, d->ask);
		doubt_on_again(d, &late);
	}
	if (ds->stage == STAGE_AGAIN)
		doubt_answered(ds);
	else
		doubt_canary_answered(ds);
}

/* --- rounds ----------------------------------------------------------------
 */

/* Has the answer been held long enough? */
static bool
doubt_ripe(const struct dns_doubts *ds, const struct dns_doubt *d)
{
	return (ds->quiet || ds->answers - d->answers >= DNS_BRAKE_RING ||
	    loop_now(ds->loop) - d->since >= DOUBT_HOLD_MS);
}

/* Those that are ripe make the round; they came in order. */
static void
doubt_gather(struct dns_doubts *ds)
{
	struct dns_doubt *d;

	while ((d = TAILQ_FIRST(&ds->waiting)) != NULL && doubt_ripe(ds, d)) {
		d->state = DOUBT_ROUND;
		TAILQ_REMOVE(&ds->waiting, d, link);
		TAILQ_INSERT_TAIL(&ds->round, d, link);
	}
}

/* Begin a round, or look again when it is time. */
static void
doubt_begin(struct dns_doubts *ds)
{
	int64_t now = loop_now(ds->loop);
	struct dns_doubt *d;

	if (ds->stage != STAGE_IDLE)
		return;
	doubt_gather(ds);
	if (now >= ds->next &&
	    (dns_brake_canary_failed(ds->brake) || !TAILQ_EMPTY(&ds->round))) {
		doubt_ask_canaries(ds, STAGE_BEFORE);
		return;
	}
	if (dns_brake_canary_failed(ds->brake))
		doubt_settle(ds);
	if (dns_brake_canary_failed(ds->brake) || !TAILQ_EMPTY(&ds->round))
		loop_timer_set(ds->wake, ds->next > now ? ds->next - now : 0);
	else if ((d = TAILQ_FIRST(&ds->waiting)) != NULL)
		loop_timer_set(ds->wake, d->since + DOUBT_HOLD_MS - now);
}

static void
doubt_on_wake(void *arg)
{
	doubt_begin(arg);
}

void
dns_doubts_poke(struct dns_doubts *ds, bool quiet)
{
	ds->quiet = quiet;
	if (!TAILQ_EMPTY(&ds->waiting) || !TAILQ_EMPTY(&ds->round))
		doubt_begin(ds);
}

void
dns_doubt_add(struct dns_doubts *ds, struct dns_doubt *d, const char *name,
    dns_doubt_cb *cb, void *arg)
{
	*d = (struct dns_doubt) { .all = ds,
		.state = DOUBT_WAITS,
		.name = xstrdup(name),
		.answers = ds->answers,
		.since = loop_now(ds->loop),
		.cb = cb,
		.arg = arg };
	TAILQ_INSERT_TAIL(&ds->waiting, d, link);
}

void
dns_doubt_drop(struct dns_doubt *d)
{
	struct dns_doubts *ds = d->all;

	if (ds == NULL)
		return;
	if (d->ask != 0)
		ds->sys->resolver->cancel(ds->sys->resolver, d->ask);
	/* an answer less to wait for; was it the last, the stage is over */
	if (d->state == DOUBT_ASKED && --ds->pending == 0)
		loop_timer_set(ds->limit, 0);
	if (d->state == DOUBT_WAITS)
		TAILQ_REMOVE(&ds->waiting, d, link);
	else
		TAILQ_REMOVE(&ds->round, d, link);
	free(d->name);
	*d = (struct dns_doubt) { .all = NULL };
}
