/*
 * Counters in shared anonymous memory, a cache line for each worker. Only its
 * worker adds to a counter; the limit holds for the sum.
 *
 * A worker adds first and looks at the sum then: of two that are too many at
 * least one sees it (the operations are sequentially consistent), so the
 * limit is never exceeded. Both may see it and both step back, which is why a
 * refused worker asks again after TOTAL_POLL_MS.
 *
 * Crash: a worker killed at any instruction leaves its own counter too high
 * at most, until the parent clears it.
 */
#include <sys/mman.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "shape/total.h"

struct total_line {
	_Alignas(64) _Atomic int64_t used;
};

struct total {
	struct total_line *line; /* shared */
	unsigned n;
};

struct total *
total_new(unsigned workers, struct verr *err)
{
	struct total *t;
	void *p;

	p = mmap(NULL, workers * sizeof(struct total_line),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		(void)verr_sys(err, "shared memory");
		return (NULL);
	}
	t = xcalloc(1, sizeof(*t));
	t->line = p;
	t->n = workers;
	return (t);
}

void
total_free(struct total *t)
{
	if (t == NULL)
		return;
	(void)munmap(t->line, t->n * sizeof(*t->line));
	free(t);
}

void
total_clear(struct total *t, unsigned worker)
{
	atomic_store(&t->line[worker].used, 0);
}

int64_t
total_used(const struct total *t)
{
	int64_t sum = 0;
	unsigned i;

	for (i = 0; i < t->n; i++)
		sum += atomic_load(&t->line[i].used);
	return (sum);
}

static struct limit_answer
total_ask(const struct limiter *l, int64_t now_ms, int64_t amount)
{
	const struct total_slots *s = (const struct total_slots *)l;
	struct limit_answer a = { true, now_ms, LIMIT_NONE, s->max };

	if (s->max <= 0 || total_used(s->total) + amount <= s->max)
		return (a);
	a.now = false;
	a.when_ms = now_ms + TOTAL_POLL_MS;
	a.why = l->why;
	return (a);
}

static void
total_give(struct limiter *l, int64_t amount, bool unused)
{
	struct total_slots *s = (struct total_slots *)l;

	(void)unused;
	(void)atomic_fetch_sub(&s->total->line[s->worker].used, amount);
}

static bool
total_take(struct limiter *l, int64_t now_ms, int64_t amount)
{
	struct total_slots *s = (struct total_slots *)l;

	(void)now_ms;
	(void)atomic_fetch_add(&s->total->line[s->worker].used, amount);
	if (s->max <= 0 || total_used(s->total) <= s->max)
		return (true);
	total_give(l, amount, true);
	return (false);
}

static const struct limiter_ops total_ops = { total_ask, total_take,
	total_give };

void
total_slots_init(struct total_slots *s, struct total *t, unsigned worker,
    enum limit_why why, int64_t max)
{
	s->lim.ops = &total_ops;
	s->lim.why = why;
	s->total = t;
	s->worker = worker;
	s->max = max;
}
