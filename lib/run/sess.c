/*
 * Sessions: what the events of an SMTP connection mean for the queues.
 *
 * A session is opened for one queue and may go on to another of its route:
 * after every message the queue that has waited longest is next, so a domain
 * with a million messages does not keep others of the same hosts waiting.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/reenc.h"
#include "run/fault.h"
#include "run/result.h"
#include "run/retry.h"
#include "run/route.h"
#include "run/sess.h"
#include "run/share.h"
#include "run/wal.h"
#include "run/worker.h"

#define SESS_LINE_MAX 998  /* octets of a line (RFC 5321 4.5.3.1.6) */
#define SESS_LOOKS 64	   /* queues looked at for one message */
#define SESS_REFUSALS 64   /* messages refused here before others run */
#define SESS_QUIT_MS 2000  /* for the answer to QUIT */
#define SESS_GREET_MS 5000 /* for a greeting that nobody needs any more */

static bool sess_next(struct sess *s);

void
sess_limits(struct worker *w, struct queue *q,
    struct limiter *ret_list[SESS_LIMITS])
{
	ret_list[0] = &q->slots.lim;
	ret_list[1] = &q->vmta->slots.lim;
	ret_list[2] = &w->total_slots.lim;
	ret_list[3] = &w->file_slots.lim;
}

/* May s make the room that a queue of its route waits for? */
static bool
sess_crowded(const struct sess *s)
{
	const struct queue *q = s->route->crowded;

	/* one of its own slots, or, since it has none, one of its route's */
	return (q != NULL &&
	    (s->queue == q || q->n_starting + q->n_ready == 0));
}

size_t
sess_from(const struct queue *q, const char *source)
{
	bool full = q->slots.max > 0 && q->slots.used >= q->slots.max;
	const struct sess *s;
	size_t n = 0;

	if (q->route == NULL)
		return (0);
	TAILQ_FOREACH (s, &q->route->sess, mate)
		if ((s->queue == q || (s->best && !full)) &&
		    strcmp(s->source, source) == 0)
			n++;
	return (n);
}

/* Out of its route's lists; who waited for its place has it when it is free. */
static void
sess_leave_route(struct sess *s)
{
	struct route *r = s->route;

	if (s->resting)
		TAILQ_REMOVE(&r->idle, s, waiting);
	TAILQ_REMOVE(&r->sess, s, mate);
	r->n_sess--;
	if (!sess_crowded(s))
		return;
	r->promised = r->crowded;
	r->crowded = NULL;
	s->promised = true;
}

/* Out of all lists and counters but its limits: it takes no more mail. */
static void
sess_detach(struct sess *s)
{
	struct worker *w = s->w;
	struct queue *q = s->queue;

	wal_forget(w, s);
	if (s->in_txn) {
		wal_answered(s);
		work_return(w, &s->txn);
	}
	if (s->ready)
		q->n_ready--;
	else
		q->n_starting--;
	q->n_proven -= s->proven;
	sess_leave_route(s);
	TAILQ_REMOVE(&w->sessions, s, entry);
	w->n_sess--;
	if (q->set->log_connections)
		log_event(LOG_LV_INFO, "session-end", "queue", q->name,
		    "session", s->id, "messages", log_num((int64_t)s->messages),
		    "delivered", log_num((int64_t)s->delivered), NULL);
	loop_timer_free(s->idle);
	txn_release(&s->txn);
	buf_release(&s->esmtp);
}

/* The connection is closed: its slots are free, for those who wait. */
static void
sess_free(struct sess *s)
{
	struct limiter *list[SESS_LIMITS];
	struct route *r = s->route;
	struct queue *q = s->queue;
	struct worker *w = s->w;

	sess_limits(w, q, list);
	limit_give(list, SESS_LIMITS, 1, false);
	share_wake(w, q->vmta); /* before those that have one */
	if (s->promised && r->promised != NULL) {
		queue_kick(w, r->promised);
		r->promised = NULL;
	}
	if (!TAILQ_EMPTY(&r->active))
		queue_kick(w, TAILQ_FIRST(&r->active));
	route_unref(w, r);
	queue_kick(w, q);
	worker_kick(w);
	free(s);
}

/* The connection is gone already. */
static void
sess_end(struct sess *s)
{
	sess_detach(s);
	sess_free(s);
}

/*
 * It says QUIT. Until the peer has answered, or SESS_QUIT_MS have passed, the
 * connection counts: the peer counts it, too.
 */
static void
sess_quit(struct sess *s)
{
	struct worker *w = s->w;

	if (!smtp_conn_quit(s->conn)) {
		sess_end(s);
		return;
	}
	sess_detach(s);
	TAILQ_INSERT_TAIL(&w->leavers, s, entry);
	w->n_leaving++;
	s->queue->vmta->share.leaving++;
	queue_kick(w, s->queue);
}

/* A leaver's connection is closed. */
static void
sess_on_gone(void *arg)
{
	struct sess *s = arg;

	TAILQ_REMOVE(&s->w->leavers, s, entry);
	s->w->n_leaving--;
	s->queue->vmta->share.leaving--;
	sess_free(s);
}

bool
sess_source_gone(const struct sess *s)
{
	const struct smtp_source *src = smtp_conn_source(s->conn);

	return (!source_local(s->w->net, (const struct sockaddr *)&src->addr));
}

static void
sess_on_failed(void *arg, struct smtp_conn *c, const struct smtp_failure *why)
{
	struct sess *s = arg;

	(void)c;
	fault_session(s, why);
	sess_end(s);
}

static void
sess_on_closed(void *arg, struct smtp_conn *c, const struct smtp_failure *why)
{
	struct sess *s = arg;

	(void)c;
	if (!s->worked && !s->waited && why->stage != SMTP_STAGE_IDLE)
		fault_session(s, why);
	sess_end(s);
}

/* From this address connections come about, unlike from the one before. */
static void
sess_gets_through(const struct sess *s)
{
	struct queue *q = s->queue;

	if (s->conf_gen != s->w->conf_gen || s->numbers != q->vmta->numbers)
		return;
	if (q->step > 1 && q->failed_from > 0 && q->failed_from <= 64)
		q->shunned |= 1ull << (q->failed_from - 1);
	if (s->source_i < 64)
		q->shunned &= ~(1ull << s->source_i);
	q->failed_from = 0;
}

static void
sess_on_ready(void *arg, struct smtp_conn *c)
{
	struct sess *s = arg;

	s->ready = true;
	s->queue->n_starting--;
	s->queue->n_ready++;
	retry_forget(s->queue);
	sess_gets_through(s);
	s->w->count.sessions++;
	smtp_ehlo_names(smtp_conn_caps(c), &s->esmtp);
	if (s->queue->set->log_connections)
		log_event(LOG_LV_INFO, "session-ready", "queue", s->queue->name,
		    "session", s->id, "host", s->host, "peer", s->peer,
		    "source", s->source, "esmtp", buf_str(&s->esmtp), NULL);
	queue_kick(s->w, s->queue); /* the target works: more connections */
	(void)sess_next(s);
}

static bool
sess_on_may_end(void *arg, struct smtp_conn *c, size_t n_rcpt)
{
	struct sess *s = arg;

	(void)c;
	return (wal_may_end(s->w, s, (uint32_t)n_rcpt));
}

static void
sess_on_done(void *arg, struct smtp_conn *c, const struct smtp_outcome *out)
{
	struct sess *s = arg;

	(void)c;
	s->in_txn = false;
	s->waited = s->waiting_n > 0 && out->failure != NULL;
	wal_forget(s->w, s); /* all may be refused while it waits */
	s->messages++;
	if (!s->proven && out->answered) {
		s->proven = true;
		s->queue->n_proven++;
		queue_kick(s->w, s->queue); /* more connections */
	}
	s->w->last_work = loop_now(s->w->loop);
	if (out->chunking_broken)
		route_no_chunking(s->w, s->route, s->host);
	result_apply(s->w, s, out);
	s->worked = s->worked || out->usable || s->delivered > 0;
	if (!out->usable)
		return; /* closed() comes */
	if (out->chunking_broken)
		sess_quit(s); /* the next one does without */
	else
		(void)sess_next(s);
}

static void
sess_on_trace(void *arg, struct smtp_conn *c, char dir, const char *p, size_t n)
{
	struct sess *s = arg;
	char mark[2] = { dir, '\0' };
	struct buf text = BUF_INIT;

	(void)c;
	esc_string(&text, p, n);
	log_event(LOG_LV_INFO, "smtp", "queue", s->queue->name, "session",
	    s->id, "dir", mark, "line", buf_str(&text), NULL);
	buf_release(&text);
}

static const struct smtp_events sess_events = {
	.ready = sess_on_ready,
	.failed = sess_on_failed,
	.may_end = sess_on_may_end,
	.done = sess_on_done,
	.closed = sess_on_closed,
	.gone = sess_on_gone,
	.trace = sess_on_trace,
};

/* s works for q from now on: its slot is q's. */
static void
sess_adopt(struct sess *s, struct queue *q)
{
	struct limiter *give = &s->queue->slots.lim, *take = &q->slots.lim;

	if (s->queue == q)
		return;
	limit_give(&give, 1, 1, false);
	(void)limit_take(&take, 1, loop_now(s->w->loop), 1);
	s->queue->n_ready--;
	s->queue->n_proven -= s->proven;
	q->n_ready++;
	q->n_proven += s->proven;
	queue_kick(s->w, s->queue);
	s->queue = q;
	q->ticket = 0;
	if (share_waits(q)) { /* it has one now */
		share_forget(s->w, q);
		queue_kick(s->w, q);
	}
}

/* May s take a message of q (its own, or another of its route)? */
static bool
sess_may_serve(const struct sess *s, const struct queue *q)
{
	if (q == s->queue)
		return (true);
	if (!s->best || (q->slots.max > 0 && q->slots.used >= q->slots.max))
		return (false);
	/* many open batches: stay with the own queue, as long as it has mail */
	return (s->w->n_open < WORK_OPEN_MAX || !TAILQ_EMPTY(&q->works) ||
	    !queue_has_work(s->w, s->queue));
}

/* Recipients that one transaction of s may have. */
static uint32_t
sess_rcpt_max(const struct sess *s)
{
	size_t max = (size_t)s->queue->set->max_rcpt_per_transaction;

	if (smtp_conn_rcpt_max(s->conn) < max)
		max = smtp_conn_rcpt_max(s->conn);
	if (s->rcpt_cap > 0 && s->rcpt_cap < max)
		max = s->rcpt_cap;
	if (max > WORK_SLOTS)
		max = WORK_SLOTS;
	if (max > WAL_LARGE && !wal_may_large(s->w, (uint32_t)max))
		max = WAL_LARGE;
	return ((uint32_t)max);
}

/* Take a message of q, which goes to the end of its route's line. */
static bool
sess_take(struct sess *s, struct queue *q)
{
	route_deactivate(q);
	if (!queue_has_work(s->w, q))
		return (false);
	if (q->route == s->route)
		route_activate(q);
	if (!sess_may_serve(s, q) ||
	    !work_take(s->w, q, s->source, sess_crowded(s), sess_rcpt_max(s),
		&s->txn))
		return (false);
	sess_adopt(s, q);
	return (true);
}

/*
 * Take the next message for s; false: there is none. A session of a lesser
 * host serves its own queue only; that one is also asked when it stands too
 * far behind.
 */
static bool
sess_pick(struct sess *s)
{
	struct route *r = s->route;
	int looks = s->best ? SESS_LOOKS : 0;

	for (; looks > 0 && !TAILQ_EMPTY(&r->active); looks--)
		if (sess_take(s, TAILQ_FIRST(&r->active)))
			return (true);
	return (s->queue->active && s->queue->route == r &&
	    sess_take(s, s->queue));
}

/*
 * The content of s->txn in 7 bits, in memory; 0, or -1: cannot be, or
 * *ret_fault: not be read just now.
 */
static int
sess_reencode(struct sess *s, bool *ret_fault)
{
	struct smtp_message *m = &s->txn.m;
	struct verr err = VERR_INIT;
	struct buf raw = BUF_INIT, out = BUF_INIT;
	const char *p = m->mem;
	size_t n = (size_t)m->size;
	int rc = -1;

	*ret_fault = false;
	if (p == NULL) {
		p = buf_room(&raw, n);
		*ret_fault = sys_pread_all(s->w->sys, m->fd, raw.p, n,
				 m->off) != m->size;
	}
	if (!*ret_fault)
		rc = reenc_7bit(p, n, &out, &err);
	buf_release(&raw);
	if (rc == -1) {
		buf_release(&out);
		return (-1);
	}
	buf_release(&s->txn.body); /* p may be in it */
	s->txn.body = out;
	m->mem = s->txn.body.p;
	m->size = (int64_t)s->txn.body.len;
	m->body_8bit = false;
	m->dots = 1; /* not counted again: look at every line */
	return (0);
}

/* Send s->txn: 1 under way, 0 refused here (recorded), -1 session ends. */
static int
sess_send(struct sess *s)
{
	struct smtp_message *m = &s->txn.m;
	enum smtp_fit fit;
	struct work *k;
	bool fault = false;

	m->body_ahead = s->queue->refused * 8 <= s->queue->seen;
	if (s->txn.b.msg.longest > SESS_LINE_MAX)
		(void)sess_reencode(s, &fault); /* else as it is: the peer
						   decides */
	fit = smtp_conn_send(s->conn, m);
	if (fit == SMTP_FIT_NEED_7BIT && sess_reencode(s, &fault) == 0)
		fit = smtp_conn_send(s->conn, m);
	if (fit == SMTP_FIT_OK) {
		s->in_txn = true;
		return (1);
	}
	if (fit == SMTP_FIT_GONE) {
		work_return(s->w, &s->txn);
		return (-1);
	}
	if (fit == SMTP_FIT_NEED_7BIT && fault) { /* nobody's fault but ours */
		k = s->txn.work;
		work_return(s->w, &s->txn);
		work_fault(s->w, k);
		return (0);
	}
	result_refuse(s->w, s, fit);
	return (0);
}

/* Has s done what one connection may do? */
static bool
sess_spent(const struct sess *s)
{
	const struct conf_queue *set = s->queue->set;

	return (s->w->stopping || s->w->broken || s->w->traced ||
	    s->conf_gen != s->w->conf_gen ||
	    (set->max_msg_per_connection > 0 &&
		s->messages >= (uint64_t)set->max_msg_per_connection) ||
	    (set->max_errors_per_connection > 0 &&
		s->errors >= (uint64_t)set->max_errors_per_connection) ||
	    smtp_conn_mail_left(s->conn) == 0);
}

static void
sess_on_idle(void *arg)
{
	sess_quit(arg);
}

/* Nothing to send: rest for a while, or go. */
static void
sess_rest(struct sess *s)
{
	if (s->queue->set->connection_idle_timeout == 0 || sess_crowded(s) ||
	    !TAILQ_EMPTY(&s->queue->vmta->share.waiters)) {
		sess_quit(s);
		return;
	}
	s->resting = true;
	TAILQ_INSERT_TAIL(&s->route->idle, s, waiting);
	if (s->idle == NULL)
		s->idle = loop_timer_new(s->w->loop, sess_on_idle, s);
	if (!loop_timer_active(s->idle)) /* else it only looked for work */
		loop_timer_set(s->idle, s->queue->set->connection_idle_timeout);
}

/*
 * The next message, of whichever queue of the route, or the end. False: there
 * is none, s may rest (or is gone).
 */
static bool
sess_next(struct sess *s)
{
	int i, rc = 0;

	for (i = 0; i < SESS_REFUSALS; i++) {
		if (sess_spent(s) || share_yields(s)) {
			s->w->total_waits = false; /* one makes room for it */
			sess_quit(s);
			return (false);
		}
		if (!sess_pick(s))
			break;
		if (s->idle != NULL)
			loop_timer_stop(s->idle);
		s->w->traced = s->w->opt->trace != NULL;
		rc = sess_send(s);
		if (rc != 0)
			return (true);
	}
	if (i == SESS_REFUSALS)
		queue_kick(s->w, s->queue);
	sess_rest(s);
	return (false);
}

bool
sess_reuse(struct worker *w, struct queue *q)
{
	struct sess *s, *last;
	bool took = false, end;

	(void)w;
	if (q->route == NULL)
		return (false);
	last = TAILQ_LAST(&q->route->idle, sess_list);
	for (end = last == NULL; !end && !took;) {
		s = TAILQ_FIRST(&q->route->idle);
		end = s == last; /* those that rest again stand behind it */
		TAILQ_REMOVE(&q->route->idle, s, waiting);
		s->resting = false;
		took = sess_next(s);
	}
	return (took);
}

void
sess_make_room(struct queue *q)
{
	bool own = q->n_starting + q->n_ready > 0;
	struct sess *s;

	if (q->route->promised == q)
		return; /* one leaves for it */
	TAILQ_FOREACH (s, &q->route->idle, waiting)
		if (!own || s->queue == q)
			break;
	if (s != NULL) {
		q->route->crowded = q;
		sess_quit(s);
	} else if (q->route->crowded == NULL)
		q->route->crowded = q;
}

void
sess_sweep(struct worker *w)
{
	int64_t before = loop_now(w->loop) - SESS_GREET_MS;
	struct sess *s, *next;

	for (s = TAILQ_FIRST(&w->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->ready || s->opened > before ||
		    queue_has_work(w, s->queue))
			continue;
		smtp_conn_abort(s->conn);
		sess_end(s);
	}
}

/* The settings of q in the words of lib/smtp. */
static void
sess_settings(const struct queue *q, bool trace, struct smtp_settings *ret_set)
{
	const struct conf_queue *c = q->set;

	smtp_settings_init(ret_set);
	ret_set->connect = c->connect_timeout;
	ret_set->greeting = c->smtp_greeting_timeout;
	ret_set->command = c->command_timeout;
	ret_set->data_send = c->data_send_timeout;
	ret_set->message = c->data_transfer_timeout;
	ret_set->data_end = c->smtp_data_termination_timeout;
	ret_set->quit = SESS_QUIT_MS;
	ret_set->ignore_8bitmime = c->ignore_8bitmime;
	ret_set->ignore_chunking = c->ignore_chunking || q->route->no_chunking;
	ret_set->ignore_pipelining = c->ignore_pipelining;
	ret_set->ignore_dsn = c->ignore_dsn;
	ret_set->log_connections = c->log_connections || trace;
	ret_set->log_commands = c->log_commands || trace;
	ret_set->log_data = c->log_data || trace;
}

void
sess_open(struct worker *w, struct queue *q, size_t index,
    const struct source *src)
{
	const struct dns_target *target = &q->route->dns->target[index];
	struct smtp_target to = { .host = target->host };
	struct smtp_source from = { .addr = src->addr,
		.addr_len = src->len,
		.ehlo = src->ehlo };
	struct smtp_settings set;
	struct sess *s = xcalloc(1, sizeof(*s));
	struct id id;

	to.peer_len = dns_addr_len(&target->addr);
	memcpy(&to.peer, &target->addr, to.peer_len);
	s->w = w;
	s->queue = q;
	s->route = route_ref(q->route);
	TAILQ_INSERT_TAIL(&s->route->sess, s, mate);
	s->route->n_sess++;
	(void)rvmta_has(w, q->vmta, src->text, &s->source_i);
	s->numbers = q->vmta->numbers;
	s->opened = loop_now(w->loop);
	s->conf_gen = w->conf_gen;
	s->since = loop_now(w->loop);
	s->target = index;
	s->best = target->pref == q->route->dns->target[0].pref;
	if (id_new(w->sys, &id) == 0)
		memcpy(s->id, id.s, sizeof(s->id));
	memcpy(s->host, target->host, strnlen(target->host, 255));
	(void)dns_addr_text(&target->addr, s->peer);
	memcpy(s->source, src->text, sizeof(s->source));
	q->ticket = 0;
	q->n_starting++;
	w->n_sess++;
	batch_txn_init(&s->txn.b);
	TAILQ_INSERT_TAIL(&w->sessions, s, entry);
	sess_settings(q, w->opt->trace != NULL, &set);
	s->conn = smtp_conn_new(w->loop, w->sys, &to, &from, &set, &sess_events,
	    s);
}

void
sess_evict(struct worker *w, const struct rvmta *v)
{
	struct sess *s;

	if (v == NULL && w->n_leaving > 0)
		return; /* there will be room */
	TAILQ_FOREACH (s, &w->sessions, entry)
		if (s->resting && (v == NULL || s->queue->vmta == v)) {
			sess_quit(s);
			return;
		}
}

void
sess_stop_all(struct worker *w, enum sess_stop how)
{
	struct sess *s, *next;

	for (s = TAILQ_FIRST(&w->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (!s->ready || (how != SESS_STOP_SOON && !s->in_txn)) {
			smtp_conn_abort(s->conn);
			sess_end(s);
		} else if (!s->in_txn)
			sess_quit(s);
		else if (how == SESS_STOP_NOW ||
		    (how == SESS_STOP_ENDED && !smtp_conn_awaits(s->conn)))
			smtp_conn_give_up(s->conn); /* ends it */
	}
	if (how != SESS_STOP_NOW)
		return;
	for (s = TAILQ_FIRST(&w->leavers); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		smtp_conn_abort(s->conn);
		sess_on_gone(s);
	}
}
