/*
 * Answers in memory and as text. Kept are MX, A and AAAA, with records or
 * without (NODATA), for their time to live and at most DNS_MAX_TTL; nothing
 * that is a fault, and no NXDOMAIN: that there is a domain now is worth a
 * question. Who asks for another type asks the resolver behind.
 *
 *	vmta-dns 1 KEY
 *	NAME TYPE UNTIL s|- [RECORD ...]	s: validated by DNSSEC
 *	end COUNT HASH				XXH3-64 of all before this line
 *
 * A record of MX is `PREFERENCE/HOST`, with `.` for the root. UNTIL is as in
 * all of vmta's files. What a line may say is what a name server may say, and
 * is checked as strictly: lib/dns/lookup.c trusts neither.
 *
 * The text is written to a file of its own at once, or not at all; a file that
 * is lost costs the questions.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "dns/cache.h"
#include "dns/mx.h"
#include "dns/name.h"

#define CACHE_RECORDS 64  /* more are not kept, */
#define CACHE_OCTETS 4096 /* nor longer ones */
#define CACHE_SWEEP_S 60  /* between looks for what has expired */
#define CACHE_KEY (DNS_NAME_MAX + 6)

struct kept {
	int64_t until; /* wall seconds */
	bool secure;
	uint16_t n;
	uint16_t len;
	uint8_t data[]; /* n times: length (2 octets), octets */
};

/* A question that the resolver behind has. */
struct cache_ask {
	struct dns_cache *cache;
	uint64_t id;
	bool asking;   /* inside query */
	bool answered; /* the same */
	char key[CACHE_KEY];
	int type;
	resolver_cb *cb;
	void *arg;
};

struct dns_cache {
	struct resolver resolver; /* first: a resolver is its cache */
	struct resolver *inner;
	struct sys *sys;
	struct map kept; /* `TYPE NAME` -> struct kept */
	struct map asks; /* struct cache_ask by decimal id */
	size_t max;
	int64_t swept; /* wall seconds */
	bool changed;
};

static const struct {
	int type;
	const char *name;
} cache_types[] = { { ns_t_mx, "MX" }, { ns_t_a, "A" }, { ns_t_aaaa, "AAAA" } };

#define CACHE_TYPES (sizeof(cache_types) / sizeof(cache_types[0]))

/* `TYPE NAME`; 0, or -1 when it is none that is kept. */
static int
cache_key(const char *name, int type, char ret_key[CACHE_KEY])
{
	char clean[DNS_NAME_MAX];
	size_t i;

	for (i = 0; i < CACHE_TYPES; i++)
		if (cache_types[i].type == type)
			break;
	if (i == CACHE_TYPES || dns_name_clean(name, strlen(name), clean) == -1)
		return (-1);
	(void)snprintf(ret_key, CACHE_KEY, "%s %s", cache_types[i].name, clean);
	return (0);
}

static bool
kept_valid(const struct kept *k, int64_t now)
{
	/* a clock that was set back makes none last longer */
	return (k->until > now && k->until - now <= DNS_MAX_TTL);
}

/* --- the resolver ----------------------------------------------------------
 */

/* Is this a record that can be written down? */
static bool
cache_takes(int type, const struct resolver_rr *rr)
{
	char name[DNS_NAME_MAX];
	int pref;

	if (type == ns_t_mx)
		return (dns_mx_parse(rr->data, rr->len, &pref, name) !=
		    DNS_MX_WRONG);
	return (rr->len == (type == ns_t_a ? 4 : 16));
}

/* The answer as it is kept, or NULL when it is not. */
static struct kept *
cache_pack(int type, const struct resolver_answer *ans, int64_t now)
{
	uint32_t ttl = ans->ttl < DNS_MAX_TTL ? ans->ttl : DNS_MAX_TTL;
	struct kept *k;
	size_t i, len = 0;
	uint8_t *p;

	if (ans->rcode != ns_r_noerror || ans->bogus || ans->kept || ttl == 0 ||
	    ans->n > CACHE_RECORDS)
		return (NULL);
	for (i = 0; i < ans->n; i++) {
		if (!cache_takes(type, &ans->rr[i]))
			return (NULL);
		len += ans->rr[i].len + 2;
	}
	if (len > CACHE_OCTETS)
		return (NULL);
	k = xmalloc(sizeof(*k) + len);
	*k = (struct kept) { .until = now + ttl,
		.secure = ans->secure,
		.n = (uint16_t)ans->n,
		.len = (uint16_t)len };
	for (i = 0, p = k->data; i < ans->n; i++) {
		*p++ = (uint8_t)(ans->rr[i].len >> 8);
		*p++ = (uint8_t)ans->rr[i].len;
		memcpy(p, ans->rr[i].data, ans->rr[i].len);
		p += ans->rr[i].len;
	}
	return (k);
}

/* Take out what is not valid any more. */
static void
cache_sweep(struct dns_cache *c, int64_t now)
{
	struct map fresh = MAP_INIT;
	const char *key;
	struct kept *k;
	size_t i = 0;

	if (c->swept != 0 && now - c->swept < CACHE_SWEEP_S && now >= c->swept)
		return;
	c->swept = now;
	while ((k = map_next(&c->kept, &i, &key)) != NULL)
		if (kept_valid(k, now))
			(void)map_put(&fresh, key, k);
		else
			free(k);
	map_release(&c->kept, NULL);
	c->kept = fresh;
}

/* Keep k, unless there is no room. */
static void
cache_put(struct dns_cache *c, const char *key, struct kept *k)
{
	if (c->kept.n >= c->max)
		cache_sweep(c, sys_now(c->sys));
	if (c->kept.n >= c->max && map_get(&c->kept, key) == NULL)
		free(k);
	else
		free(map_put(&c->kept, key, k));
}

/* Answer from what is kept. */
static void
cache_answer(const struct kept *k, int64_t now, resolver_cb *cb, void *arg)
{
	struct resolver_rr rr[CACHE_RECORDS];
	struct resolver_answer ans = { .rcode = ns_r_noerror,
		.secure = k->secure,
		.kept = true,
		.ttl = (uint32_t)(k->until - now),
		.n = k->n,
		.rr = rr };
	/* cb may ask, and what is kept may move */
	struct kept *copy = xmemdup(k, sizeof(*k) + k->len);
	const uint8_t *p = copy->data;
	size_t i;

	for (i = 0; i < copy->n; i++) {
		rr[i].len = (size_t)p[0] << 8 | p[1];
		rr[i].data = p + 2;
		p += rr[i].len + 2;
	}
	cb(arg, &ans);
	free(copy);
}

/* An id as the key of c->asks. */
static const char *
cache_id(uint64_t id, char buf[24])
{
	(void)snprintf(buf, 24, "%" PRIu64, id);
	return (buf);
}

static void
cache_on_answer(void *arg, const struct resolver_answer *ans)
{
	struct cache_ask *ask = arg;
	struct dns_cache *c = ask->cache;
	struct kept *k = cache_pack(ask->type, ans, sys_now(c->sys));
	resolver_cb *cb = ask->cb;
	char id[24];

	if (k != NULL) {
		cache_put(c, ask->key, k);
		c->changed = true;
	}
	arg = ask->arg;
	ask->answered = true;
	if (!ask->asking) {
		(void)map_del(&c->asks, cache_id(ask->id, id));
		free(ask);
	}
	cb(arg, ans);
}

/* Ask the resolver behind. */
static int
cache_ask(struct dns_cache *c, const char *name, struct cache_ask *ask,
    uint64_t *ret_id)
{
	uint64_t inner = 0;
	char id[24];
	int rc;

	ask->asking = true;
	rc = c->inner->query(c->inner, name, ask->type, cache_on_answer, ask,
	    &inner);
	ask->asking = false;
	if (rc == -1 || ask->answered) {
		free(ask);
		*ret_id = 0;
		return (rc);
	}
	ask->id = inner;
	(void)map_put(&c->asks, cache_id(inner, id), ask);
	*ret_id = inner;
	return (0);
}

static int
cache_query(struct resolver *r, const char *name, int rrtype, resolver_cb *cb,
    void *arg, uint64_t *ret_id)
{
	struct dns_cache *c = (struct dns_cache *)r;
	int64_t now = sys_now(c->sys);
	struct cache_ask *ask;
	const struct kept *k;
	char key[CACHE_KEY];

	if (cache_key(name, rrtype, key) == -1)
		return (c->inner->query(c->inner, name, rrtype, cb, arg,
		    ret_id));
	k = map_get(&c->kept, key);
	if (k != NULL && kept_valid(k, now)) {
		*ret_id = 0;
		cache_answer(k, now, cb, arg);
		return (0);
	}
	ask = xcalloc(1, sizeof(*ask));
	ask->cache = c;
	ask->type = rrtype;
	ask->cb = cb;
	ask->arg = arg;
	memcpy(ask->key, key, sizeof(key));
	return (cache_ask(c, name, ask, ret_id));
}

static void
cache_cancel(struct resolver *r, uint64_t id)
{
	struct dns_cache *c = (struct dns_cache *)r;
	char key[24];

	free(map_del(&c->asks, cache_id(id, key)));
	c->inner->cancel(c->inner, id);
}

static void
cache_free(struct resolver *r)
{
	struct dns_cache *c = (struct dns_cache *)r;

	c->inner->free(c->inner);
	map_release(&c->asks, free);
	map_release(&c->kept, free);
	free(c);
}

struct dns_cache *
dns_cache_new(struct sys *sys, struct resolver *inner, size_t max)
{
	struct dns_cache *c = xcalloc(1, sizeof(*c));

	c->sys = sys;
	c->inner = inner;
	c->max = max > 0 ? max : DNS_CACHE_MAX;
	map_init(&c->kept);
	map_init(&c->asks);
	c->resolver.query = cache_query;
	c->resolver.cancel = cache_cancel;
	c->resolver.free = cache_free;
	return (c);
}

struct resolver *
dns_cache_resolver(struct dns_cache *c)
{
	return (&c->resolver);
}

size_t
dns_cache_count(const struct dns_cache *c)
{
	return (c->kept.n);
}

bool
dns_cache_changed(const struct dns_cache *c)
{
	return (c->changed);
}

/* --- text ------------------------------------------------------------------
 */

/* One record; it was checked when it came. */
static void
cache_show(struct buf *b, char type, const uint8_t *p, size_t n)
{
	char text[INET6_ADDRSTRLEN] = "", name[DNS_NAME_MAX] = ".";
	int pref = n >= 2 ? p[0] << 8 | p[1] : 0;

	if (type == 'M') {
		(void)dns_mx_parse(p, n, &pref, name);
		buf_addf(b, " %d/%s", pref, name);
		return;
	}
	(void)inet_ntop(n == 4 ? AF_INET : AF_INET6, p, text, sizeof(text));
	buf_addc(b, ' ');
	buf_adds(b, text);
}

static void
cache_line(struct buf *b, const char *key, const struct kept *k)
{
	const char *name = strchr(key, ' ') + 1;
	char until[STAMP_NAME_LEN + 1];
	const uint8_t *p = k->data;
	size_t i, n;

	buf_adds(b, name);
	buf_addc(b, ' ');
	buf_add(b, key, (size_t)(name - key));
	buf_adds(b, stamp_name(k->until, until));
	buf_adds(b, k->secure ? " s" : " -");
	for (i = 0; i < k->n; i++, p += n + 2) {
		n = (size_t)p[0] << 8 | p[1];
		cache_show(b, key[0], p + 2, n);
	}
	buf_addc(b, '\n');
}

void
dns_cache_format(struct dns_cache *c, const char *key, struct buf *ret_text)
{
	int64_t now = sys_now(c->sys);
	size_t i = 0, n = 0, from = ret_text->len;
	const struct kept *k;
	const char *name;

	buf_addf(ret_text, "vmta-dns 1 %s\n", key);
	while ((k = map_next(&c->kept, &i, &name)) != NULL) {
		if (!kept_valid(k, now))
			continue;
		cache_line(ret_text, name, k);
		n++;
	}
	buf_addf(ret_text, "end %zu %016" PRIx64 "\n", n,
	    map_hash(ret_text->p + from, ret_text->len - from));
	c->changed = false;
}

/* `PREFERENCE/HOST` in wire form, at most 300 octets; the length, 0: none. */
static size_t
cache_parse_mx(char *text, uint8_t *p)
{
	char *host = strchr(text, '/'), name[DNS_NAME_MAX];
	int64_t pref;
	size_t n = 2, len;

	if (host == NULL)
		return (0);
	*host++ = '\0';
	if (unit_int(text, &pref) == -1 || pref > 65535)
		return (0);
	p[0] = (uint8_t)(pref >> 8);
	p[1] = (uint8_t)pref;
	if (strcmp(host, ".") != 0) {
		if (dns_name_clean(host, strlen(host), name) == -1)
			return (0);
		for (host = name; *host != '\0'; host += len) {
			host += *host == '.';
			len = strcspn(host, ".");
			p[n++] = (uint8_t)len;
			memcpy(p + n, host, len);
			n += len;
		}
	}
	p[n++] = 0;
	return (n);
}

/* One record in wire form; its length, 0: it is none. */
static size_t
cache_parse_record(char type, char *text, size_t max, uint8_t *p)
{
	if (type == 'M')
		return (cache_parse_mx(text, p));
	if (inet_pton(max == 4 ? AF_INET : AF_INET6, text, p) != 1)
		return (0);
	return (max);
}

/* The records of a line into an answer that is kept; NULL: damaged. */
static struct kept *
cache_parse_records(char type, size_t max, char *rest)
{
	uint8_t data[CACHE_OCTETS + 320];
	struct kept *k;
	size_t n, len = 0, count = 0;
	char *word;

	while ((word = strsep(&rest, " ")) != NULL) {
		if (len > CACHE_OCTETS || count == CACHE_RECORDS ||
		    (n = cache_parse_record(type, word, max, data + len + 2)) ==
			0)
			return (NULL);
		data[len++] = (uint8_t)(n >> 8);
		data[len++] = (uint8_t)n;
		len += n;
		count++;
	}
	k = xmalloc(sizeof(*k) + len);
	*k = (struct kept) { .n = (uint16_t)count, .len = (uint16_t)len };
	memcpy(k->data, data, len);
	return (k);
}

/* A line into m; 0, or -1. What is not valid now is passed over. */
static int
cache_parse_line(struct map *m, char *line, int64_t now)
{
	char *name = strsep(&line, " "), *type = strsep(&line, " ");
	char *until = strsep(&line, " "), *flag = strsep(&line, " ");
	char key[CACHE_KEY];
	struct kept *k;
	int64_t t;
	size_t i;

	if (flag == NULL || stamp_parse_name(until, &t) == -1)
		return (-1);
	for (i = 0; i < CACHE_TYPES; i++)
		if (strcmp(type, cache_types[i].name) == 0)
			break;
	if (i == CACHE_TYPES ||
	    cache_key(name, cache_types[i].type, key) == -1 ||
	    (strcmp(flag, "s") != 0 && strcmp(flag, "-") != 0))
		return (-1);
	k = cache_parse_records(key[0], cache_types[i].type == ns_t_a ? 4 : 16,
	    line);
	if (k == NULL)
		return (-1);
	k->until = t;
	k->secure = *flag == 's';
	if (kept_valid(k, now))
		free(map_put(m, key, k));
	else
		free(k);
	return (0);
}

/* Is the last line what format wrote? *ret_end: where it begins. */
static bool
cache_whole(const struct buf *text, size_t *ret_end, size_t *ret_n)
{
	char want[64], *end;
	size_t at = text->len;

	if (at == 0 || text->p[at - 1] != '\n' ||
	    memchr(text->p, '\0', at) != NULL)
		return (false);
	for (at--; at > 0 && text->p[at - 1] != '\n'; at--)
		;
	if (strncmp(text->p + at, "end ", 4) != 0)
		return (false);
	*ret_n = strtoul(text->p + at + 4, &end, 10);
	(void)snprintf(want, sizeof(want), "end %zu %016" PRIx64 "\n", *ret_n,
	    map_hash(text->p, at));
	*ret_end = at;
	return (strcmp(text->p + at, want) == 0);
}

/* What was read, into the cache. */
static void
cache_merge(struct dns_cache *c, struct map *m)
{
	const struct kept *old;
	const char *key;
	struct kept *k;
	size_t i = 0;

	while ((k = map_next(m, &i, &key)) != NULL) {
		old = map_get(&c->kept, key);
		if (old == NULL || old->until < k->until)
			cache_put(c, key, k);
		else
			free(k);
	}
	map_release(m, NULL);
}

int
dns_cache_parse(struct dns_cache *c, const char *key, struct buf *text,
    struct verr *err)
{
	int64_t now = sys_now(c->sys);
	struct map m = MAP_INIT;
	size_t end, n, left;
	char *line, *rest = text->p;

	if (!cache_whole(text, &end, &n) || n > DNS_CACHE_MAX ||
	    strncmp(rest, "vmta-dns 1 ", 11) != 0)
		goto damaged;
	text->p[end - 1] = '\0';
	line = strsep(&rest, "\n");
	if (strcmp(line + 11, key) != 0)
		return (1);
	for (left = n; (line = strsep(&rest, "\n")) != NULL; left--)
		if (left == 0 || cache_parse_line(&m, line, now) == -1)
			break;
	if (line != NULL || left > 0) {
		map_release(&m, free);
		goto damaged;
	}
	if (c->kept.n == 0 && m.n <= c->max) {
		map_release(&c->kept, NULL);
		c->kept = m;
	} else {
		cache_merge(c, &m);
	}
	return (0);
damaged:
	return (verr_set(err, VEX_DATA, "damaged, or of another version"));
}
