/*
 * The last DNS_BRAKE_RING distinct domains that a name server answered for,
 * newest first: a domain that is asked for again moves to the front, one that
 * is older than DNS_BRAKE_AGE does not count any more.
 *
 * Both faults that it looks for are of resolvers, not of lists: one that says
 * NXDOMAIN to everything (the canary does), and one that says so to much (a
 * broken forwarder, a top-level domain that is gone), which only the share
 * shows. Few domains make no share: one wrong name of three is what people
 * type, so below DNS_BRAKE_MIN domains the canary alone decides.
 *
 * As text, in state/brake:
 *
 *	vmta-brake 1
 *	at TIME [REASON]		REASON only while it is on
 *	TIME exists|none DOMAIN		oldest first
 *	end
 */
#include <sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "dns/brake.h"
#include "dns/name.h"

#define BRAKE_HEAD "vmta-brake 1"

/* A domain that was answered for. */
struct seen {
	TAILQ_ENTRY(seen) link;
	int64_t at;
	bool exists;
	char name[DNS_NAME_MAX];
};

TAILQ_HEAD(seen_list, seen);

struct dns_brake {
	struct seen_list list; /* newest first */
	struct map names;      /* domain -> struct seen */
	size_t none;	       /* of them, that do not exist */
	bool many;	       /* too many, until they are few */
	bool changed;
	char *fault; /* of the canary, NULL: none known */
	char *why;
};

struct dns_brake *
dns_brake_new(void)
{
	struct dns_brake *b = xcalloc(1, sizeof(*b));

	TAILQ_INIT(&b->list);
	map_init(&b->names);
	return (b);
}

/* Forget one. */
static void
brake_drop(struct dns_brake *b, struct seen *s)
{
	TAILQ_REMOVE(&b->list, s, link);
	(void)map_del(&b->names, s->name);
	b->none -= !s->exists;
	free(s);
}

void
dns_brake_free(struct dns_brake *b)
{
	struct seen *s;

	if (b == NULL)
		return;
	while ((s = TAILQ_FIRST(&b->list)) != NULL)
		brake_drop(b, s);
	map_release(&b->names, NULL);
	free(b->fault);
	free(b->why);
	free(b);
}

/* Drop what is too old, or of a time to come, and what is too much. */
static void
brake_trim(struct dns_brake *b, int64_t now)
{
	struct seen *s, *next;

	for (s = TAILQ_FIRST(&b->list); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->at <= now - DNS_BRAKE_AGE || s->at > now)
			brake_drop(b, s);
	}
	while (b->names.n > DNS_BRAKE_RING)
		brake_drop(b, TAILQ_LAST(&b->list, seen_list));
}

/* Put it where its time is; of equal times the later call is the newer. */
static void
brake_insert(struct dns_brake *b, const char *name, bool exists, int64_t at)
{
	struct seen *s = map_get(&b->names, name), *older;

	if (s != NULL)
		brake_drop(b, s);
	s = xcalloc(1, sizeof(*s));
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	s->at = at;
	s->exists = exists;
	b->none += !exists;
	TAILQ_FOREACH (older, &b->list, link)
		if (older->at <= at)
			break;
	if (older != NULL)
		TAILQ_INSERT_BEFORE(older, s, link);
	else
		TAILQ_INSERT_TAIL(&b->list, s, link);
	(void)map_put(&b->names, s->name, s);
}

void
dns_brake_seen(struct dns_brake *b, const char *domain, bool exists,
    int64_t now)
{
	b->changed = true;
	brake_insert(b, domain, exists, now);
	brake_trim(b, now);
}

void
dns_brake_exists(struct dns_brake *b, const char *domain)
{
	struct seen *s = map_get(&b->names, domain);

	if (s == NULL || s->exists)
		return;
	s->exists = true;
	b->none--;
	b->changed = true;
}

void
dns_brake_canary(struct dns_brake *b, const char *fault)
{
	b->changed = true;
	free(b->fault);
	b->fault = fault != NULL ? xstrdup(fault) : NULL;
}

bool
dns_brake_changed(const struct dns_brake *b)
{
	return (b->changed);
}

bool
dns_brake_canary_failed(const struct dns_brake *b)
{
	return (b->fault != NULL);
}

/* Are too many of them said not to exist? */
static bool
brake_many(struct dns_brake *b)
{
	size_t n = b->names.n, limit = b->many ? DNS_BRAKE_OFF : DNS_BRAKE_ON;

	b->many = n >= DNS_BRAKE_MIN && b->none * 100 > n * limit;
	return (b->many);
}

const char *
dns_brake_why(struct dns_brake *b, int64_t now)
{
	struct buf why = BUF_INIT;

	brake_trim(b, now);
	if (brake_many(b))
		buf_addf(&why, "%zu of the last %zu domains do not exist",
		    b->none, b->names.n);
	if (b->fault != NULL) {
		buf_adds(&why, why.len > 0 ? "; " : "");
		esc_line(&why, b->fault, strlen(b->fault));
	}
	free(b->why);
	b->why = why.len > 0 ? buf_take(&why) : NULL;
	return (b->why);
}

void
dns_brake_format(struct dns_brake *b, int64_t now, struct buf *ret_text)
{
	char at[STAMP_NAME_LEN + 1];
	const char *why = dns_brake_why(b, now);
	const struct seen *s;

	buf_addf(ret_text, BRAKE_HEAD "\nat %s%s%s\n", stamp_name(now, at),
	    why != NULL ? " " : "", why != NULL ? why : "");
	TAILQ_FOREACH_REVERSE (s, &b->list, seen_list, link)
		buf_addf(ret_text, "%s %s %s\n", stamp_name(s->at, at),
		    s->exists ? "exists" : "none", s->name);
	buf_adds(ret_text, "end\n");
	b->changed = false;
}

/* One line of a text into s; 0 or -1. */
static int
brake_parse_seen(char *line, struct seen *s)
{
	char *at = strsep(&line, " "), *word = strsep(&line, " ");

	if (line == NULL || stamp_parse_name(at, &s->at) == -1 ||
	    dns_name_clean(line, strlen(line), s->name) == -1 ||
	    strcmp(line, s->name) != 0)
		return (-1);
	s->exists = strcmp(word, "exists") == 0;
	return (s->exists || strcmp(word, "none") == 0 ? 0 : -1);
}

/* The two lines that come first; 0, or -1 when they are others. */
static int
brake_parse_head(char **text, int64_t *ret_at, const char **ret_why)
{
	char *line = strsep(text, "\n"), *word, *at;

	if (line == NULL || strcmp(line, BRAKE_HEAD) != 0 ||
	    (line = strsep(text, "\n")) == NULL)
		return (-1);
	word = strsep(&line, " ");
	at = strsep(&line, " ");
	*ret_why = line;
	return (strcmp(word, "at") == 0 && at != NULL &&
		    stamp_parse_name(at, ret_at) == 0 ?
		0 :
		-1);
}

int
dns_brake_parse(struct dns_brake *b, char *text, int64_t now, struct verr *err)
{
	struct seen *s = xcalloc(DNS_BRAKE_RING + 1, sizeof(*s));
	const struct seen *old;
	const char *why;
	char *line = NULL;
	int64_t at;
	size_t i, n = 0;
	bool end = false;

	if (brake_parse_head(&text, &at, &why) == 0)
		while (n <= DNS_BRAKE_RING && !end &&
		    (line = strsep(&text, "\n")) != NULL) {
			end = strcmp(line, "end") == 0;
			if (!end && brake_parse_seen(line, &s[n++]) == -1)
				break;
		}
	for (i = 0; i < n && end; i++) {
		old = map_get(&b->names, s[i].name);
		if (old == NULL || old->at < s[i].at)
			brake_insert(b, s[i].name, s[i].exists, s[i].at);
	}
	brake_trim(b, now);
	free(s);
	return (end ?
		0 :
		verr_set(err, VEX_DATA, "damaged, or of another version"));
}

const char *
dns_brake_reason(char *text, int64_t now)
{
	const char *why;
	int64_t at;

	if (brake_parse_head(&text, &at, &why) == -1 ||
	    at <= now - DNS_BRAKE_AGE || at > now)
		return (NULL);
	return (why);
}
