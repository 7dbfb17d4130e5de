/*
 * libunbound in its threaded asynchronous mode: one resolving thread for the
 * process, its answers come through a pipe that the loop watches. libunbound
 * caches answers (and failures, for seconds) by their TTL, shares equal
 * questions, asks again by TCP, follows CNAMEs and bounds all of that; a server
 * that does not answer is SERVFAIL after some time.
 *
 * Its built-in answers for `test`, `invalid` and `home.arpa` are turned off:
 * who runs a name server of his own may have such zones.
 *
 * If the process dies nothing is left behind.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/unit.h"
#include "dns/unbound.h"

#define NS_CLASS_IN 1
#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

struct unbound {
	struct resolver resolver; /* first: a resolver is its unbound */
	struct ub_ctx *ctx;
	struct loop_io *io;
	struct map asks; /* struct unbound_ask by decimal id */
	uint64_t last_id;
};

/* A question under way. */
struct unbound_ask {
	struct unbound *u;
	uint64_t id;
	int async_id; /* libunbound's */
	resolver_cb *cb;
	void *arg;
};

static const struct {
	const char *name;
	const char *value;
} unbound_options[] = {
	{ "do-not-query-localhost:", "no" },
	/* The library's own figures are made for a few names a minute. */
	{ "outgoing-range:", "256" },
	{ "num-queries-per-thread:", "1024" },
	{ "msg-cache-size:", "4m" },
	{ "rrset-cache-size:", "8m" },
	/* A name server that was away for a moment is asked again soon. */
	{ "infra-host-ttl:", "60" },
	{ "infra-keep-probing:", "yes" },
	/*
	 * NXDOMAIN of a resolver that was out of its mind must be gone before
	 * a queue is tried again: half of the first step of retry-after.
	 */
	{ "cache-max-negative-ttl:", "300" },
	/* `nodefault` has no effect when it is set in this way. */
	{ "local-zone:", "test. transparent" },
	{ "local-zone:", "invalid. transparent" },
	{ "local-zone:", "home.arpa. transparent" },
};

/* An id as the key of u->asks. */
static const char *
unbound_key(uint64_t id, char buf[24])
{
	(void)snprintf(buf, 24, "%llu", (unsigned long long)id);
	return (buf);
}

/* Forget a question; the last one lets the loop rest. */
static void
unbound_forget(struct unbound *u, struct unbound_ask *ask)
{
	char key[24];

	(void)map_del(&u->asks, unbound_key(ask->id, key));
	free(ask);
	if (u->asks.n == 0)
		loop_io_want(u->io, false, false);
}

/* The records of a result; their number. */
static size_t
unbound_records(const struct ub_result *res, struct resolver_rr **ret_rr)
{
	struct resolver_rr *rr;
	size_t i, n = 0;

	while (res->havedata && res->data[n] != NULL)
		n++;
	rr = xcalloc(n + 1, sizeof(*rr));
	for (i = 0; i < n; i++) {
		rr[i].data = (const uint8_t *)res->data[i];
		rr[i].len = res->len[i] > 0 ? (size_t)res->len[i] : 0;
	}
	*ret_rr = rr;
	return (n);
}

/* libunbound's callback, from ub_process. */
static void
unbound_on_answer(void *arg, int err, struct ub_result *res)
{
	struct unbound_ask *ask = arg;
	struct resolver_answer ans = { .rcode = -1 };
	struct resolver_rr *rr = NULL;
	resolver_cb *cb = ask->cb;

	arg = ask->arg;
	unbound_forget(ask->u, ask);
	if (err != 0 || res == NULL) {
		ans.why = ub_strerror(err);
	} else {
		ans.rcode = res->rcode;
		ans.secure = res->secure != 0;
		ans.bogus = res->bogus != 0;
		ans.ttl = res->ttl > 0 ? (uint32_t)res->ttl : 0;
		ans.canon = res->canonname;
		ans.why = res->bogus ? res->why_bogus : NULL;
		ans.n = unbound_records(res, &rr);
		ans.rr = rr;
	}
	cb(arg, &ans);
	free(rr);
	ub_resolve_free(res);
}

static void
unbound_on_io(void *arg, bool readable, bool writable)
{
	struct unbound *u = arg;

	(void)readable;
	(void)writable;
	(void)ub_process(u->ctx);
}

/* Ask libunbound; its thread, which the first call makes, gets no signal. */
static int
unbound_send(struct unbound *u, const char *name, int rrtype,
    struct unbound_ask *ask)
{
	sigset_t all, old;
	int rc;

	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
		return (-1);
	rc = ub_resolve_async(u->ctx, name, rrtype, NS_CLASS_IN, ask,
	    unbound_on_answer, &ask->async_id);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return (rc == 0 ? 0 : -1);
}

static int
unbound_query(struct resolver *r, const char *name, int rrtype, resolver_cb *cb,
    void *arg, uint64_t *ret_id)
{
	struct unbound *u = (struct unbound *)r;
	struct unbound_ask *ask = xcalloc(1, sizeof(*ask));
	char key[24];

	ask->u = u;
	ask->id = ++u->last_id;
	ask->cb = cb;
	ask->arg = arg;
	(void)map_put(&u->asks, unbound_key(ask->id, key), ask);
	if (unbound_send(u, name, rrtype, ask) == -1) {
		unbound_forget(u, ask);
		return (-1);
	}
	loop_io_want(u->io, true, false);
	*ret_id = ask->id;
	return (0);
}

static void
unbound_cancel(struct resolver *r, uint64_t id)
{
	struct unbound *u = (struct unbound *)r;
	struct unbound_ask *ask;
	char key[24];

	ask = map_get(&u->asks, unbound_key(id, key));
	if (ask == NULL)
		return;
	(void)ub_cancel(u->ctx, ask->async_id);
	unbound_forget(u, ask);
}

static void
unbound_free(struct resolver *r)
{
	struct unbound *u = (struct unbound *)r;

	loop_io_free(u->io);
	ub_ctx_delete(u->ctx);
	map_release(&u->asks, free);
	free(u);
}

/* One `ip` or `ip@port`; libunbound takes any number for a port. */
static int
unbound_add_server(struct ub_ctx *ctx, const char *server, struct verr *err)
{
	const char *at = strchr(server, '@');
	int64_t port = 53;
	int rc;

	if (at != NULL &&
	    (unit_int(at + 1, &port) == -1 || port < 1 || port > 65535))
		return (verr_set(err, VEX_CONFIG,
		    "name-server '%.100s': no such port", server));
	rc = ub_ctx_set_fwd(ctx, server);
	if (rc != 0)
		return (verr_set(err, VEX_CONFIG, "name-server '%.100s': %s",
		    server, ub_strerror(rc)));
	return (0);
}

/* All settings, before the first question. */
static int
unbound_configure(struct ub_ctx *ctx, const char *const *server, size_t n,
    struct verr *err)
{
	size_t i;
	int rc = 0;

	(void)ub_ctx_debugout(ctx, NULL);
	for (i = 0; rc == 0 && i < NELEM(unbound_options); i++)
		rc = ub_ctx_set_option(ctx, unbound_options[i].name,
		    unbound_options[i].value);
	if (rc == 0)
		rc = ub_ctx_async(ctx, 1);
	if (rc != 0)
		return (verr_set(err, VEX_SOFTWARE, "libunbound: %s",
		    ub_strerror(rc)));
	for (i = 0; i < n; i++)
		if (unbound_add_server(ctx, server[i], err) == -1)
			return (-1);
	if (n == 0 && (rc = ub_ctx_resolvconf(ctx, NULL)) != 0)
		return (verr_set(err, VEX_TEMP, "/etc/resolv.conf: %s",
		    ub_strerror(rc)));
	return (0);
}

struct resolver *
dns_unbound_new(struct loop *loop, const char *const *server, size_t n,
    struct verr *err)
{
	struct unbound *u;
	struct ub_ctx *ctx = ub_ctx_create();

	if (ctx == NULL) {
		(void)verr_sys(err, "libunbound");
		return (NULL);
	}
	if (unbound_configure(ctx, server, n, err) == -1) {
		ub_ctx_delete(ctx);
		return (NULL);
	}
	u = xcalloc(1, sizeof(*u));
	u->io = loop_io_new(loop, ub_fd(ctx), unbound_on_io, u);
	if (u->io == NULL) {
		(void)verr_sys(err, "libunbound");
		ub_ctx_delete(ctx);
		free(u);
		return (NULL);
	}
	u->ctx = ctx;
	map_init(&u->asks);
	u->resolver.query = unbound_query;
	u->resolver.cancel = unbound_cancel;
	u->resolver.free = unbound_free;
	return (&u->resolver);
}
