/*
 * The settings of one queue.
 *
 * Wherever a domain section may stand (top level, the pool, the VirtualMTA)
 * its patterns are sorted (scope.c); those that match are applied from the
 * most general to the most specific, so that for every setting the scope
 * decides first and the pattern second.
 *
 * The hash of a queue is the sum over all rows of a hash of (row, value);
 * when a setting is replaced, its old term is taken out and the new one added.
 */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "conf/check.h"
#include "conf/domain.h"
#include "conf/impl.h"

/* Called for each section that matches, the most general first. */
typedef void queue_fn(void *arg, const struct img_dom *dom,
    const struct img_sec *in);

/* The first of n patterns that is not before (kind, key). */
static size_t
queue_seek(const struct conf *c, const struct img_dom *dom, size_t n,
    unsigned kind, const char *key)
{
	size_t lo = 0, mid;
	int rc;

	while (lo < n) {
		mid = lo + (n - lo) / 2;
		rc = (int)dom[mid].kind - (int)kind;
		if (rc == 0)
			rc = strcmp(image_str(c->img, dom[mid].key), key);
		if (rc < 0)
			lo = mid + 1;
		else
			n = mid;
	}
	return (lo);
}

/* Call fn for the patterns with this kind and key. */
static void
queue_equal(const struct conf *c, const struct img_sec *in, unsigned kind,
    const char *key, bool itself, queue_fn *fn, void *arg)
{
	const struct img_dom *dom = image_table(c->img, IMG_DOM);
	size_t i;

	dom += in->dom;
	i = queue_seek(c, dom, in->ndom, kind, key);
	for (; i < in->ndom && dom[i].kind == kind &&
	     strcmp(image_str(c->img, dom[i].key), key) == 0;
	     i++)
		if (!itself || dom[i].itself != 0)
			fn(arg, &dom[i], in);
}

/* Networks that hold an address literal; the widest come first. */
static void
queue_nets(const struct conf *c, const struct img_sec *in, const char *domain,
    queue_fn *fn, void *arg)
{
	const struct img_dom *dom = image_table(c->img, IMG_DOM);
	struct conf_addr a, net;
	size_t i;

	if (domain_literal(domain, &a) == -1)
		return;
	dom += in->dom;
	i = queue_seek(c, dom, in->ndom, DOMAIN_NET, "");
	for (; i < in->ndom && dom[i].kind == DOMAIN_NET; i++) {
		net.family = dom[i].family;
		net.bits = dom[i].bits;
		memcpy(net.addr, dom[i].addr, sizeof(net.addr));
		if (check_in_net(&net, &a))
			fn(arg, &dom[i], in);
	}
}

/* All patterns of a section that match the domain. */
static void
queue_match(const struct conf *c, const struct img_sec *in, const char *domain,
    queue_fn *fn, void *arg)
{
	const char *s = domain + strlen(domain);

	if (in->ndom == 0)
		return;
	queue_equal(c, in, DOMAIN_ALL, "", false, fn, arg);
	if (domain[0] == '[') {
		queue_nets(c, in, domain, fn, arg);
	} else {
		while (s > domain) {
			s--;
			if (*s == '.')
				queue_equal(c, in, DOMAIN_UNDER, s + 1, false,
				    fn, arg);
		}
		queue_equal(c, in, DOMAIN_UNDER, domain, true, fn, arg);
	}
	queue_equal(c, in, DOMAIN_LITERAL, domain, false, fn, arg);
}

/* All sections that count for a queue; vmta may be NULL. */
static void
queue_walk(const struct conf *c, const char *domain, const struct img_sec *vmta,
    queue_fn *fn, void *arg)
{
	const struct img_sec *pool = image_table(c->img, IMG_POOL);

	queue_match(c, image_table(c->img, IMG_GLOBAL), domain, fn, arg);
	if (vmta == NULL)
		return;
	if (vmta->dompool != IMG_NONE)
		queue_match(c, &pool[vmta->dompool], domain, fn, arg);
	queue_match(c, vmta, domain, fn, arg);
}

/* The term of a row's value in the hash of a queue. */
static uint64_t
queue_term(uint64_t row, uint64_t value)
{
	uint64_t term[2] = { row, value };

	return (map_hash(term, sizeof(term)));
}

void
conf_queue_defaults(struct conf *c)
{
	const struct conf_param *p;
	struct conf_value v;
	size_t i, n;

	p = conf_params(&n);
	c->hash = xcalloc(n, sizeof(*c->hash));
	c->work = xcalloc(n, sizeof(*c->work));
	conf_defaults(CONF_DOMAIN, &c->queue);
	c->queue.hash = 0;
	for (i = 0; i < n; i++) {
		if (p[i].scope != CONF_DOMAIN)
			continue;
		conf_value_default(&p[i], &v);
		c->hash[i] = queue_term(i, conf_value_hash(&v));
		c->queue.hash += c->hash[i];
		conf_value_free(&v);
	}
}

struct queue_fill {
	const struct conf *c;
	struct conf_queue *q;
};

/* Apply the settings of one section. */
static void
queue_apply(void *arg, const struct img_dom *dom, const struct img_sec *in)
{
	struct queue_fill *f = arg;
	const struct img_set *set = image_table(f->c->img, IMG_SET);
	uint64_t *work = f->c->work, term;
	uint32_t i;

	(void)in;
	set += dom->set;
	conf_apply(f->c, set, dom->nset, f->q);
	for (i = 0; i < dom->nset; i++) {
		term = queue_term(set[i].param, set[i].hash);
		f->q->hash += term - work[set[i].param];
		work[set[i].param] = term;
	}
}

int
conf_queue(const struct conf *c, const char *domain, const char *vmta,
    struct conf_queue *ret_q)
{
	const struct img_sec *sec = conf_find(c, IMG_VMTA, vmta);
	struct queue_fill fill = { c, ret_q };
	char name[256];
	size_t n;

	(void)conf_params(&n);
	*ret_q = c->queue;
	memcpy(c->work, c->hash, n * sizeof(*c->work));
	if (conf_domain(domain, name) == 0)
		queue_walk(c, name, sec, queue_apply, &fill);
	return (sec != NULL ? 0 : -1);
}

/* Where each row's value comes from. */
struct queue_origin {
	const struct img_set *set;
	const struct img_dom *dom;
	const struct img_sec *in;
};

struct queue_trace {
	const struct conf *c;
	struct queue_origin *row;
};

/* Note the settings of one section. */
static void
queue_note(void *arg, const struct img_dom *dom, const struct img_sec *in)
{
	struct queue_trace *t = arg;
	const struct img_set *set = image_table(t->c->img, IMG_SET);
	struct queue_origin *o;
	uint32_t i;

	for (i = 0; i < dom->nset; i++) {
		o = &t->row[set[dom->set + i].param];
		o->set = &set[dom->set + i];
		o->dom = dom;
		o->in = in;
	}
}

/* `FILE:LINE` of a setting. */
static void
queue_place(const struct conf *c, const struct img_set *set,
    struct buf *ret_text)
{
	const uint32_t *file = image_table(c->img, IMG_FILE);

	buf_addf(ret_text, "%s:%u", image_str(c->img, file[set->file]),
	    set->line);
}

/* `NAME = VALUE   # `, of a setting or (set NULL) the default. */
static void
queue_show(const struct conf *c, const struct conf_param *p,
    const struct img_set *set, const char *before, struct buf *ret_text)
{
	struct conf_value v;

	buf_addf(ret_text, "%s%s = ", before, p->name);
	if (set != NULL) {
		conf_value_show(p, set->a, set->b, conf_blob(c, set), ret_text);
	} else {
		conf_value_default(p, &v);
		conf_value_show(p, v.a, v.b, v.blob, ret_text);
		conf_value_free(&v);
	}
	buf_adds(ret_text, "   # ");
	if (set != NULL)
		queue_place(c, set, ret_text);
	else
		buf_adds(ret_text, "default");
}

/* `(domain 'gmail.com' in virtual-mta news)` */
static void
queue_show_section(const struct conf *c, const struct queue_origin *o,
    struct buf *ret_text)
{
	const struct img_sec *pool = image_table(c->img, IMG_POOL);

	if (o->set == NULL)
		return;
	buf_addf(ret_text, " (domain '%s'", image_str(c->img, o->dom->title));
	if (o->in != image_table(c->img, IMG_GLOBAL))
		buf_addf(ret_text, " in %s %s",
		    o->in >= pool && o->in < pool + conf_pool_n(c) ?
			"virtual-mta-pool" :
			"virtual-mta",
		    image_str(c->img, o->in->name));
	buf_addc(ret_text, ')');
}

/* A setting of a section by name, or NULL. */
static const struct img_set *
queue_setting(const struct conf *c, const struct img_sec *sec, unsigned scope,
    const char *name)
{
	const struct img_set *set = image_table(c->img, IMG_SET);
	const struct conf_param *p = conf_param(scope, name);
	uint32_t i;

	for (i = 0; p != NULL && i < sec->nset; i++)
		if (set[sec->set + i].param == conf_param_index(p))
			return (&set[sec->set + i]);
	return (NULL);
}

/* The VirtualMTA's own settings; lists and names may be the global ones. */
static void
queue_explain_vmta(const struct conf *c, const struct img_sec *sec,
    struct buf *ret_text)
{
	const struct img_sec *global = image_table(c->img, IMG_GLOBAL);
	const struct conf_param *p;
	const struct img_set *set;
	size_t i, n;

	p = conf_params(&n);
	for (i = 0; i < n; i++) {
		if (p[i].scope != CONF_VMTA)
			continue;
		set = queue_setting(c, sec, CONF_VMTA, p[i].name);
		if (set == NULL)
			set = queue_setting(c, global, CONF_GLOBAL, p[i].name);
		queue_show(c, &p[i], set, "virtual-mta ", ret_text);
		buf_adds(ret_text, p[i].later ? ", not in force\n" : "\n");
	}
}

int
conf_explain(const struct conf *c, const char *domain, const char *vmta,
    struct buf *ret_text, struct verr *err)
{
	const struct img_sec *sec = conf_find(c, IMG_VMTA, vmta);
	struct queue_trace t = { .c = c };
	const struct conf_param *p;
	char name[256];
	size_t i, n;

	if (sec == NULL)
		return (verr_set(err, VEX_DATA, "there is no virtual-mta '%s'",
		    vmta));
	if (conf_domain(domain, name) == -1)
		return (verr_set(err, VEX_DATA, "'%s' is no domain", domain));
	p = conf_params(&n);
	t.row = xcalloc(n, sizeof(*t.row));
	queue_walk(c, name, sec, queue_note, &t);
	for (i = 0; i < n; i++) {
		if (p[i].scope != CONF_DOMAIN)
			continue;
		queue_show(c, &p[i], t.row[i].set, "", ret_text);
		queue_show_section(c, &t.row[i], ret_text);
		buf_adds(ret_text, p[i].later ? ", not in force\n" : "\n");
	}
	free(t.row);
	queue_explain_vmta(c, sec, ret_text);
	return (0);
}
