/*
 * The parts of a configuration: VirtualMTAs, pools, sources, acct-files, and
 * the lists inside. Structs are made from the image when they are first asked
 * for, and live as long as the configuration.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "conf/check.h"
#include "conf/impl.h"

size_t
conf_vmta_n(const struct conf *c)
{
	return (c->img->table[IMG_VMTA].n);
}

size_t
conf_pool_n(const struct conf *c)
{
	return (c->img->table[IMG_POOL].n);
}

size_t
conf_acct_n(const struct conf *c)
{
	return (c->img->table[IMG_ACCT].n);
}

const struct img_sec *
conf_find(const struct conf *c, enum img_table table, const char *name)
{
	const struct img_sec *sec = image_table(c->img, table);
	size_t lo = 0, hi = c->img->table[table].n, mid;
	int rc;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		rc = strcmp(image_str(c->img, sec[mid].name), name);
		if (rc == 0)
			return (&sec[mid]);
		if (rc < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (NULL);
}

/* Section i of a table. */
static const struct img_sec *
parts_sec(const struct conf *c, enum img_table table, size_t i)
{
	const struct img_sec *sec = image_table(c->img, table);

	return (&sec[i]);
}

/* Defaults and settings of a section into the struct at base. */
static void
parts_fill(const struct conf *c, unsigned scope, const struct img_sec *sec,
    void *base)
{
	const struct img_set *set = image_table(c->img, IMG_SET);

	conf_defaults(scope, base);
	conf_apply(c, set + sec->set, sec->nset, base);
}

/* The addresses of a VirtualMTA, with EHLO names; stored behind it. */
static void
parts_addresses(const struct conf *c, struct conf_vmta *v,
    const struct conf_list *hosts)
{
	struct conf_addr *addr = (struct conf_addr *)(void *)(v + 1);
	const char *s = NULL;

	v->addr = addr;
	while ((s = conf_list_next(hosts, s)) != NULL) {
		(void)check_source_host(s, addr);
		if (*addr->ehlo == '\0')
			addr->ehlo = *v->host_name != '\0' ?
			    v->host_name :
			    c->global.host_name;
		addr++;
		v->naddr++;
	}
}

const struct conf_vmta *
conf_vmta_at(const struct conf *c, size_t i)
{
	const uint32_t *refs = image_table(c->img, IMG_REF);
	const struct conf_list *hosts = &c->global.smtp_source_host;
	const struct img_sec *sec;
	struct conf_vmta one, *v;

	if (i >= conf_vmta_n(c))
		return (NULL);
	if (c->vmta[i] != NULL)
		return (c->vmta[i]);
	sec = parts_sec(c, IMG_VMTA, i);
	memset(&one, 0, sizeof(one));
	parts_fill(c, CONF_VMTA, sec, &one);
	one.name = image_str(c->img, sec->name);
	one.index = (uint32_t)i;
	one.npool = sec->naux;
	one.pool = refs + sec->aux;
	if (one.smtp_source_host.n > 0)
		hosts = &one.smtp_source_host;
	v = xmalloc(sizeof(*v) + hosts->n * sizeof(struct conf_addr));
	*v = one;
	parts_addresses(c, v, hosts);
	c->vmta[i] = v;
	return (v);
}

const struct conf_vmta *
conf_vmta(const struct conf *c, const char *name)
{
	const struct img_sec *sec = conf_find(c, IMG_VMTA, name);

	if (sec == NULL)
		return (NULL);
	return (conf_vmta_at(c, (size_t)(sec - parts_sec(c, IMG_VMTA, 0))));
}

const struct conf_pool *
conf_pool_at(const struct conf *c, size_t i)
{
	const struct conf_member *m = image_table(c->img, IMG_MEMBER);
	const struct img_sec *sec;
	struct conf_pool *p;
	uint32_t k;

	if (i >= conf_pool_n(c))
		return (NULL);
	if (c->pool[i] != NULL)
		return (c->pool[i]);
	sec = parts_sec(c, IMG_POOL, i);
	p = xcalloc(1, sizeof(*p));
	parts_fill(c, CONF_POOL, sec, p);
	p->name = image_str(c->img, sec->name);
	p->index = (uint32_t)i;
	p->member = m + sec->aux;
	p->nmember = sec->naux;
	for (k = 0; k < p->nmember; k++)
		p->weights += p->member[k].weight;
	c->pool[i] = p;
	return (p);
}

const struct conf_pool *
conf_pool(const struct conf *c, const char *name)
{
	const struct img_sec *sec = conf_find(c, IMG_POOL, name);

	if (sec == NULL)
		return (NULL);
	return (conf_pool_at(c, (size_t)(sec - parts_sec(c, IMG_POOL, 0))));
}

const struct conf_acct *
conf_acct_at(const struct conf *c, size_t i)
{
	const struct img_sec *sec;
	struct conf_acct *a;

	if (i >= conf_acct_n(c))
		return (NULL);
	if (c->acct[i] != NULL)
		return (c->acct[i]);
	sec = parts_sec(c, IMG_ACCT, i);
	a = xcalloc(1, sizeof(*a));
	parts_fill(c, CONF_ACCT, sec, a);
	a->file = image_str(c->img, sec->name);
	if (*a->user_string == '\0')
		a->user_string = c->global.user_string;
	c->acct[i] = a;
	return (a);
}

/* Apply the source sections that are networks with `bits` and hold a. */
static void
parts_source_nets(const struct conf *c, const struct conf_addr *a,
    unsigned bits, struct conf_source *ret_src)
{
	const struct img_set *set = image_table(c->img, IMG_SET);
	const struct img_sec *sec;
	struct conf_addr net;
	const char *title;
	size_t i;

	for (i = 0; i < c->img->table[IMG_SOURCE].n; i++) {
		sec = parts_sec(c, IMG_SOURCE, i);
		title = image_str(c->img, sec->name);
		if (check_net(title, strlen(title), &net) == 0 &&
		    net.bits == bits && check_in_net(&net, a))
			conf_apply(c, set + sec->set, sec->nset, ret_src);
	}
}

/* Apply the source section of that name, if there is one. */
static void
parts_source_name(const struct conf *c, const char *name,
    struct conf_source *ret_src)
{
	const struct img_set *set = image_table(c->img, IMG_SET);
	const struct img_sec *sec;
	size_t i;

	for (i = 0; i < c->img->table[IMG_SOURCE].n; i++) {
		sec = parts_sec(c, IMG_SOURCE, i);
		if (strcmp(image_str(c->img, sec->name), name) == 0)
			conf_apply(c, set + sec->set, sec->nset, ret_src);
	}
}

void
conf_source(const struct conf *c, const char *name, struct conf_source *ret_src)
{
	struct conf_addr a;
	unsigned bits;

	conf_defaults(CONF_SOURCE, ret_src);
	if (check_net(name, strlen(name), &a) == 0) {
		for (bits = 0; bits <= a.bits; bits++)
			parts_source_nets(c, &a, bits, ret_src);
		return;
	}
	/* who can run vmta-inject could as well merge by himself */
	if (strcmp(name, "local") == 0 || strcmp(name, "api") == 0 ||
	    strncmp(name, "user:", 5) == 0)
		ret_src->allow_mailmerge = true;
	parts_source_name(c, "local", ret_src);
	if (strncmp(name, "pickup:", 7) == 0)
		parts_source_name(c, "pickup", ret_src);
	if (strcmp(name, "local") != 0)
		parts_source_name(c, name, ret_src);
}

struct conf_list
conf_rules(const struct conf *c, const char *name)
{
	const struct img_set *set = image_table(c->img, IMG_SET);
	const struct img_sec *sec = conf_find(c, IMG_RULES, name);
	struct conf_list l = { 0, "" };

	if (sec != NULL && sec->nset > 0) /* `match` is its only setting */
		l = (struct conf_list) { (uint32_t)set[sec->set].a,
			conf_blob(c, &set[sec->set]) };
	return (l);
}

const char *
conf_rules_name(const struct conf *c, const char *name)
{
	const struct img_sec *sec = conf_find(c, IMG_RULES, name);

	return (sec != NULL ? image_str(c->img, sec->name) : NULL);
}

bool
conf_source_vmta_ok(const struct conf_source *src, const char *name)
{
	const char *s = NULL;
	size_t n;

	while ((s = conf_list_next(&src->allow_virtual_mta, s)) != NULL) {
		n = strlen(s);
		if (s[n - 1] == '*' ? strncmp(s, name, n - 1) == 0 :
				      strcmp(s, name) == 0)
			return (true);
	}
	return (false);
}

bool
conf_source_sender_ok(const struct conf_source *src, const char *sender)
{
	const char *s = NULL, *at = strrchr(sender, '@');

	if (*sender == '\0')
		return (true);
	while ((s = conf_list_next(&src->allow_sender, s)) != NULL)
		if (strcmp(s, "*") == 0 || strcasecmp(s, sender) == 0 ||
		    (s[0] == '*' && at != NULL && strcasecmp(s + 1, at) == 0))
			return (true);
	return (false);
}

const char *
conf_list_next(const struct conf_list *l, const char *prev)
{
	const char *s;

	if (l->n == 0)
		return (NULL);
	/* no item is empty: behind the last is one that is */
	s = prev == NULL ? l->first : prev + strlen(prev) + 1;
	return (*s != '\0' ? s : NULL);
}

const char *
conf_list_at(const struct conf_list *l, size_t i)
{
	const char *s = l->first;

	if (i >= l->n)
		return (NULL);
	for (; i > 0; i--)
		s += strlen(s) + 1;
	return (s);
}

int64_t
conf_ladder_at(const struct conf_ladder *l, size_t i)
{
	if (l->n == 0)
		return (0);
	return (l->ms[i < l->n ? i : l->n - 1]);
}
