/*
 * Of a pool the member whose turn it is.
 *
 * Turns: one counter a pool (state/counter/pool.NAME) lasts over processes,
 * and each draw takes its next number. Numbers run through a cycle as long as
 * the sum of the weights, in which the turns of a member of weight w stand at
 * the times (2j + 1) / 2w of the cycle: as evenly as they can, so a pool 3:1
 * goes A A B A, not A A A B over hundreds of turns, and equal weights go
 * strictly round. A draw serves the recipients of one domain in one commit,
 * up to SUBMIT_POOL_SHARE of them, so that a batch is not torn.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "spool/counter.h"
#include "submit/impl.h"

/* Turns of a member of weight w of W up to time t of the cycle of W. */
static uint64_t
turns_of(uint64_t w, uint64_t t, uint64_t sum)
{
	return ((2 * t * w + sum) / (2 * sum));
}

/* Turns of all members up to time t. */
static uint64_t
turns(const struct conf_pool *p, uint64_t t)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < p->nmember; i++)
		n += turns_of(p->member[i].weight, t, p->weights);
	return (n);
}

const struct conf_member *
route_turn(const struct conf_pool *p, uint64_t k)
{
	uint64_t lo = 0, hi = p->weights, t, left;
	const struct conf_member *m;
	uint32_t i;

	/* turn k is in (lo, lo + 1]: turns(lo) <= k < turns(lo + 1) */
	k %= p->weights;
	while (hi - lo > 1) {
		t = lo + (hi - lo) / 2;
		if (turns(p, t) <= k)
			lo = t;
		else
			hi = t;
	}
	left = k - turns(p, lo);
	for (i = 0; i < p->nmember; i++) {
		m = &p->member[i];
		if (turns_of(m->weight, lo + 1, p->weights) ==
		    turns_of(m->weight, lo, p->weights))
			continue;
		if (left-- == 0)
			return (m);
	}
	return (&p->member[0]);
}

int
route_draw(struct submit *s, const struct conf_pool *p, uint64_t n,
    uint64_t *ret_k, struct verr *err)
{
	char name[SPOOL_VMTA_MAX + 8];

	(void)snprintf(name, sizeof(name), "pool.%s", p->name);
	return (counter_add(s->sp, name, n, ret_k, err));
}

const char *
route_member(const struct submit *s, const struct conf_pool *p, uint64_t k)
{
	return (conf_vmta_at(s->conf, route_turn(p, k)->vmta)->name);
}

const char *
route_vmta(struct submit *s, const struct target *t, const char *domain,
    struct verr *err)
{
	char key[SPOOL_VMTA_MAX + SPOOL_DOMAIN_MAX + 2];
	struct share *h;
	uint64_t k;

	if (t->vmta != NULL)
		return (t->vmta->name);
	(void)snprintf(key, sizeof(key), "%s %s", t->pool->name, domain);
	h = map_get(&s->open.share, key);
	if (h == NULL) {
		h = xcalloc(1, sizeof(*h));
		(void)map_put(&s->open.share, key, h);
	}
	if (h->left == 0) {
		if (route_draw(s, t->pool, 1, &k, err) == -1)
			return (NULL);
		h->vmta = route_member(s, t->pool, k);
		h->left = SUBMIT_POOL_SHARE;
	}
	h->left--;
	return (h->vmta);
}
