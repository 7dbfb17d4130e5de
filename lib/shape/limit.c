/*
 * Asking and taking over lists of limiters, and the limiter that counts.
 * Nothing here reads a clock: time is the caller's.
 */
#include <stdio.h>

#include "shape/limit.h"

static const struct {
	const char *directive;
	const char *whose;
} limit_words[LIMIT_WHYS] = {
	[LIMIT_NONE] = { "", "" },
	[LIMIT_QUEUE_CONNS] = { "max-smtp-out", "queue" },
	[LIMIT_VMTA_CONNS] = { "max-smtp-out", "VirtualMTA" },
	[LIMIT_TOTAL_CONNS] = { "total-max-smtp-out", "all" },
	[LIMIT_FILES] = { "descriptors", "this process (ulimit -n)" },
};

static struct limit_answer
slots_ask(const struct limiter *l, int64_t now_ms, int64_t amount)
{
	const struct slots *s = (const struct slots *)l;
	struct limit_answer a = { true, now_ms, LIMIT_NONE, s->max };

	if (s->max <= 0 || s->used + amount <= s->max)
		return (a);
	a.now = false;
	a.when_ms = LIMIT_NEVER;
	a.why = l->why;
	return (a);
}

static bool
slots_take(struct limiter *l, int64_t now_ms, int64_t amount)
{
	struct slots *s = (struct slots *)l;

	(void)now_ms;
	s->used += amount;
	return (true);
}

static void
slots_give(struct limiter *l, int64_t amount, bool unused)
{
	struct slots *s = (struct slots *)l;

	(void)unused;
	s->used -= amount;
}

static const struct limiter_ops slots_ops = { slots_ask, slots_take,
	slots_give };

void
slots_init(struct slots *s, enum limit_why why, int64_t max)
{
	s->lim.ops = &slots_ops;
	s->lim.why = why;
	s->max = max;
	s->used = 0;
}

struct limit_answer
limit_ask(struct limiter *const *l, size_t n, int64_t now_ms, int64_t amount)
{
	struct limit_answer worst = { true, now_ms, LIMIT_NONE, 0 }, a;
	size_t i;

	for (i = 0; i < n; i++) {
		if (l[i] == NULL)
			continue;
		a = l[i]->ops->ask(l[i], now_ms, amount);
		if (!a.now && (worst.now || a.when_ms > worst.when_ms))
			worst = a;
	}
	return (worst);
}

/* Take from all; when one fails, give back and say which. */
static struct limiter *
limit_take_all(struct limiter *const *l, size_t n, int64_t now_ms,
    int64_t amount)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (l[i] == NULL || l[i]->ops->take(l[i], now_ms, amount))
			continue;
		limit_give(l, i, amount, true);
		return (l[i]);
	}
	return (NULL);
}

struct limit_answer
limit_take(struct limiter *const *l, size_t n, int64_t now_ms, int64_t amount)
{
	struct limit_answer a = limit_ask(l, n, now_ms, amount);
	struct limiter *full;

	if (!a.now)
		return (a);
	full = limit_take_all(l, n, now_ms, amount);
	if (full == NULL)
		return (a);
	/* It was free when asked: somebody else's turn, ask again soon. */
	a = full->ops->ask(full, now_ms, amount);
	a.now = false;
	a.why = full->why;
	if (a.when_ms <= now_ms)
		a.when_ms = now_ms + 1;
	return (a);
}

void
limit_give(struct limiter *const *l, size_t n, int64_t amount, bool unused)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (l[i] != NULL)
			l[i]->ops->give(l[i], amount, unused);
}

const char *
limit_text(const struct limit_answer *a, char *buf, size_t n)
{
	if (a->now)
		(void)snprintf(buf, n, "%s", "");
	else
		(void)snprintf(buf, n, "at %s %lld of %s",
		    limit_words[a->why].directive, (long long)a->limit,
		    limit_words[a->why].whose);
	return (buf);
}
