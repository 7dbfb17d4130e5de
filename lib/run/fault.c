/*
 * Blame. A session that broke says something about the peer, about the source
 * address, or about this machine; only what is the peer's moves a clock.
 */
#include <errno.h>
#include <string.h>

#include "base/esc.h"
#include "base/log.h"
#include "run/fault.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/work.h"
#include "run/worker.h"

#define FAULT_HOLD_MS 10000 /* no new connection beside working ones */

/* A failure in the words of the retry clock. */
static void
fault_cause(const struct sess *s, const struct smtp_failure *why,
    struct buf *text, char status[SMTP_STATUS_LEN + 1],
    struct retry_cause *ret_cause)
{
	if (why->code > 0)
		buf_addf(text, "%d ", why->code);
	esc_string(text, why->text, why->text_len);
	*ret_cause = (struct retry_cause) {
		.status = smtp_status_text(&why->status, status),
		.text = buf_str(text),
		.stage = smtp_stage_name(why->stage),
		.host = s->host,
		.peer = s->peer,
		.source = s->source,
		.code = why->code,
	};
}

/* Was it a greeting that takes no mail (RFC 5321 3.1, RFC 7504)? */
static bool
fault_unwanted(const struct retry_cause *cause)
{
	return (cause->code >= 500 && strcmp(cause->stage, "greeting") == 0);
}

/*
 * A target of a route is no good just now: the next one, or the queue's
 * clock. That of a route that q has left says nothing (any more). Mail
 * bounces by a 5xx greeting only when all targets said so.
 */
static void
fault_target(struct worker *w, struct queue *q, const struct route *r,
    size_t target, const struct retry_cause *cause)
{
	if (q->route != r)
		return;
	if (q->n_ready > 0) {
		q->hold_until = loop_now(w->loop) + FAULT_HOLD_MS;
		return;
	}
	q->hope = q->hope || !fault_unwanted(cause);
	route_target_failed(q, target);
	if (q->target < r->dns->n) {
		retry_remember(q, cause);
		return;
	}
	if (q->set->bounce_upon_5xx_greeting && !q->hope)
		retry_bounce_queue(w, q, cause, 0);
	else
		retry_queue_failed(w, q, cause);
	route_drop(w, q);
	route_target_reset(q);
}

/*
 * A connection from this address did not come about. When the peer said so,
 * or others of the queue do come about, the address is to blame, and what
 * waits for it may leave from another one.
 */
static void
fault_shun(const struct sess *s, const struct smtp_failure *why)
{
	struct queue *q = s->queue;
	const struct sess *o;

	if (s->conf_gen != s->w->conf_gen || s->numbers != q->vmta->numbers)
		return; /* its number is another address's now */
	q->failed_from = s->source_i + 1;
	if (s->source_i >= 64 || (why->code == 0 && q->n_ready == 0))
		return;
	TAILQ_FOREACH (o, &s->route->sess, mate)
		if (o->ready && strcmp(o->source, s->source) == 0)
			return; /* it is one too many, no more */
	q->shunned |= 1ull << s->source_i;
}

/*
 * Is it this target only that cannot be reached from here? No route to it
 * (IPv6, say), a local filter, or no free port for this pair of addresses.
 */
static bool
fault_no_way(const struct smtp_failure *why)
{
	static const int errs[] = { ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL,
		EADDRINUSE, EACCES, EPERM };
	size_t i;

	if (why->stage != SMTP_STAGE_CONNECT)
		return (false);
	for (i = 0; i < sizeof(errs) / sizeof(errs[0]); i++)
		if (why->errnum == errs[i])
			return (true);
	return (false);
}

/*
 * A fault of this machine. What works goes on without another connection; else
 * the next target may be in reach; else the queue waits.
 */
static void
fault_local(struct sess *s, const struct smtp_failure *why)
{
	struct worker *w = s->w;
	struct queue *q = s->queue;

	if (!s->ready && q->n_ready > 0)
		q->hold_until = loop_now(w->loop) + FAULT_HOLD_MS;
	else if (!fault_no_way(why))
		retry_queue_hold(w, q, QUEUE_LOCAL, FAULT_LOCAL_MS);
	else if (q->route == s->route) {
		route_target_failed(q, s->target);
		q->hope = true;
		if (q->target >= q->route->dns->n)
			retry_queue_no_way(w, q, QUEUE_LOCAL, FAULT_LOCAL_MS);
	}
}

void
fault_session(struct sess *s, const struct smtp_failure *why)
{
	char status[SMTP_STATUS_LEN + 1];
	struct buf text = BUF_INIT;
	struct retry_cause cause;
	struct worker *w = s->w;
	struct queue *q = s->queue;
	size_t target = s->target;

	fault_cause(s, why, &text, status, &cause);
	w->count.failures++;
	log_event(why->blame == SMTP_BLAME_PEER ? LOG_LV_INFO : LOG_LV_WARN,
	    "session-failed", "queue", q->name, "session", s->id, "host",
	    s->host, "peer", s->peer, "source", s->source, "stage", cause.stage,
	    "status", cause.status, "text", cause.text, NULL);
	if (s->ready)
		q->n_ready--;
	else
		q->n_starting--;
	if (why->blame == SMTP_BLAME_LOCAL)
		fault_local(s, why);
	else if (why->blame == SMTP_BLAME_SOURCE || sess_source_gone(s))
		retry_queue_hold(w, q, QUEUE_NO_SOURCE, FAULT_LOCAL_MS);
	else {
		if (!s->ready)
			fault_shun(s, why);
		fault_target(w, q, s->route, target, &cause);
	}
	if (s->ready)
		q->n_ready++;
	else
		q->n_starting++;
	buf_release(&text);
}

int
fault_load(struct work *k, uint32_t slot, struct batch_txn *t)
{
	struct verr err = VERR_INIT;

	if (batch_load(k->batch, &slot, 1, t, &err) == 0)
		return (0);
	log_err(&err);
	k->bad = err.code == VEX_DATA;
	k->fault = !k->bad;
	return (-1);
}
