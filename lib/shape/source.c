/*
 * A VirtualMTA's addresses. A network of up to SOURCE_SCAN addresses is tried
 * address by address, which finds what is local without being on an interface
 * (127.0.1.0/30); of a wider one only what the interfaces list is found.
 *
 * Whether an address is local is never remembered: it is asked each time one
 * is handed out.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "shape/source.h"

#define SOURCE_SCAN_BITS 10 /* networks of up to 1,024 addresses */

struct source_set {
	struct netcheck *nc;
	struct conf_addr *conf; /* ehlo points into ehlo[] */
	char **ehlo;
	size_t n_conf;
	struct source *v;
	size_t n;
};

/* The two entries that an expansion works on. */
struct expansion {
	struct source_set *set;
	const struct conf_addr *conf;
};

static size_t
source_octets(int family)
{
	return (family == AF_INET ? 4 : 16);
}

static unsigned
family_bit(int family)
{
	return (family == AF_INET ? SOURCE_V4 : SOURCE_V6);
}

/* Fill in a source from octets. */
static void
source_fill(struct source *s, int family, const uint8_t *p)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memset(s, 0, sizeof(*s));
	if (family == AF_INET) {
		memcpy(&in.sin_addr, p, 4);
		memcpy(&s->addr, &in, sizeof(in));
		s->len = sizeof(in);
	} else {
		memcpy(&in6.sin6_addr, p, 16);
		memcpy(&s->addr, &in6, sizeof(in6));
		s->len = sizeof(in6);
	}
	if (inet_ntop(family, p, s->text, sizeof(s->text)) == NULL)
		s->text[0] = '\0';
}

static bool
source_is_local(const struct source_set *set, const struct source *s)
{
	return (set->nc->local(set->nc, (const struct sockaddr *)&s->addr));
}

/* Add s unless it is there; the first one that names it gives the EHLO. */
static void
source_add(struct source_set *set, const struct source *s, const char *ehlo)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (strcmp(set->v[i].text, s->text) == 0)
			return;
	set->v = xreallocarray(set->v, set->n + 1, sizeof(*set->v));
	set->v[set->n] = *s;
	set->v[set->n++].ehlo = xstrdup(ehlo);
}

/* Try every address of a small network. */
static void
source_scan(struct source_set *set, const struct conf_addr *c)
{
	size_t n = source_octets(c->family);
	unsigned i, count = 1u << (n * 8 - c->bits);
	struct source s;
	uint8_t p[16];

	memcpy(p, c->addr, sizeof(p));
	for (i = 0; i < count; i++) {
		/* The network's own last octets are zero. */
		p[n - 1] = (uint8_t)(c->addr[n - 1] | (i & 0xff));
		p[n - 2] = (uint8_t)(c->addr[n - 2] | (i >> 8));
		source_fill(&s, c->family, p);
		if (source_is_local(set, &s))
			source_add(set, &s, c->ehlo);
	}
}

static bool
source_in_net(const uint8_t *p, const struct conf_addr *c)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (memcmp(p, c->addr, whole) != 0)
		return (false);
	return (rest == 0 || ((p[whole] ^ c->addr[whole]) >> (8 - rest)) == 0);
}

/* An address of an interface: is it in the network? */
static void
source_on_iface(void *arg, const struct sockaddr *sa)
{
	const struct expansion *x = arg;
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	const uint8_t *p;
	struct source s;

	if (sa->sa_family != x->conf->family)
		return;
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		p = (const uint8_t *)&in.sin_addr;
	} else {
		memcpy(&in6, sa, sizeof(in6));
		p = in6.sin6_addr.s6_addr;
	}
	if (!source_in_net(p, x->conf))
		return;
	source_fill(&s, x->conf->family, p);
	source_add(x->set, &s, x->conf->ehlo);
}

/* One configured entry. */
static void
source_expand(struct source_set *set, const struct conf_addr *c)
{
	unsigned width = (unsigned)source_octets(c->family) * 8;
	struct expansion x = { set, c };
	struct source s;

	if (c->bits >= width) {
		source_fill(&s, c->family, c->addr);
		source_add(set, &s, c->ehlo);
	} else if (width - c->bits <= SOURCE_SCAN_BITS) {
		source_scan(set, c);
	} else {
		/* On failure it has no addresses until the next refresh. */
		(void)set->nc->list(set->nc, source_on_iface, &x);
	}
}

static void
source_free(struct source *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(v[i].ehlo);
	free(v);
}

bool
source_refresh(struct source_set *s)
{
	struct source *old = s->v;
	size_t i, n_old = s->n;
	bool changed;

	s->v = NULL;
	s->n = 0;
	for (i = 0; i < s->n_conf; i++)
		source_expand(s, &s->conf[i]);
	changed = s->n != n_old;
	for (i = 0; i < s->n && !changed; i++)
		changed = strcmp(s->v[i].text, old[i].text) != 0;
	source_free(old, n_old);
	return (changed);
}

/* Zero the bits after the prefix. */
static void
source_mask(struct conf_addr *c)
{
	unsigned i, width = (unsigned)source_octets(c->family) * 8;

	for (i = c->bits; i < width; i++)
		c->addr[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
}

struct source_set *
source_set_new(struct netcheck *nc, const struct conf_addr *conf, size_t n)
{
	struct source_set *s = xcalloc(1, sizeof(*s));
	size_t i;

	s->nc = nc;
	s->n_conf = n;
	s->conf = xcalloc(n + 1, sizeof(*s->conf));
	s->ehlo = xcalloc(n + 1, sizeof(*s->ehlo));
	for (i = 0; i < n; i++) {
		s->conf[i] = conf[i];
		s->conf[i].ehlo = s->ehlo[i] = xstrdup(conf[i].ehlo);
		source_mask(&s->conf[i]);
	}
	(void)source_refresh(s);
	return (s);
}

void
source_set_free(struct source_set *s)
{
	size_t i;

	if (s == NULL)
		return;
	source_free(s->v, s->n);
	for (i = 0; i < s->n_conf; i++)
		free(s->ehlo[i]);
	free(s->ehlo);
	free(s->conf);
	free(s);
}

size_t
source_count(const struct source_set *s)
{
	return (s->n);
}

const struct source *
source_at(const struct source_set *s, size_t i)
{
	return (&s->v[i]);
}

unsigned
source_families(const struct source_set *s)
{
	unsigned bits = 0;
	size_t i;

	for (i = 0; i < s->n_conf; i++)
		bits |= family_bit(s->conf[i].family);
	return (bits);
}

unsigned
source_usable(const struct source_set *s)
{
	unsigned bits = 0, bit;
	size_t i;

	for (i = 0; i < s->n; i++) {
		bit = family_bit(s->v[i].addr.ss_family);
		if ((bits & bit) == 0 && source_is_local(s, &s->v[i]))
			bits |= bit;
	}
	return (bits);
}

/* The source with this text and family, if it is local. */
static const struct source *
source_by_text(const struct source_set *s, int family, const char *text)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i].addr.ss_family == family &&
		    strcmp(s->v[i].text, text) == 0)
			return (source_is_local(s, &s->v[i]) ? &s->v[i] : NULL);
	return (NULL);
}

/* Number i of the sources of a family, or NULL. */
static const struct source *
source_of_family(const struct source_set *s, int family, size_t i)
{
	size_t k;

	for (k = 0; k < s->n; k++)
		if (s->v[k].addr.ss_family == family && i-- == 0)
			return (&s->v[k]);
	return (NULL);
}

const struct source *
source_next(const struct source_set *s, int family, uint64_t counter,
    const char *prefer, const struct source **ret_missing)
{
	const struct source *found = NULL, *missing = NULL;
	size_t i, n = 0;

	if (ret_missing != NULL)
		*ret_missing = NULL;
	if (prefer != NULL && prefer[0] != '\0') {
		found = source_by_text(s, family, prefer);
		if (found != NULL)
			return (found);
	}
	for (i = 0; i < s->n; i++)
		if (s->v[i].addr.ss_family == family)
			n++;
	for (i = 0; i < n; i++) {
		found = source_of_family(s, family, (counter + i) % n);
		if (source_is_local(s, found))
			break;
		if (missing == NULL)
			missing = found;
	}
	if (ret_missing != NULL)
		*ret_missing = missing;
	return (i < n ? found : NULL);
}
