/* Selections: a table of keys, matched from the outside in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/unit.h"
#include "conf/conf.h"
#include "spool/select.h"

static const char *const select_name[SELECT_KEYS] = {
	[SELECT_QUEUE] = "queue",
	[SELECT_VMTA] = "vmta",
	[SELECT_DOMAIN] = "domain",
	[SELECT_FROM] = "from",
	[SELECT_RCPT] = "rcpt",
	[SELECT_JOB] = "job",
	[SELECT_ENVID] = "envid",
	[SELECT_STATE] = "state",
	[SELECT_ID] = "id",
};

static const char *const select_states[] = { "new", "deferred", "held" };

const char *
batch_state_word(char state)
{
	switch (state) {
	case BATCH_FRESH:
	case BATCH_SUPPRESSED: /* until its owner sees it */
		return ("new");
	case BATCH_DEFERRED:
		return ("deferred");
	case BATCH_HELD:
	case BATCH_HELD_TRIED:
		return ("held");
	case BATCH_DELIVERED:
		return ("delivered");
	case BATCH_MOVED:
		return ("moved");
	default:
		return ("bounced");
	}
}

void
selection_init(struct selection *s)
{
	memset(s, 0, sizeof(*s));
}

void
selection_release(struct selection *s)
{
	size_t k, i;

	for (k = 0; k < SELECT_KEYS; k++) {
		for (i = 0; i < s->n[k]; i++)
			free(s->value[k][i]);
		free(s->value[k]);
	}
	selection_init(s);
}

/* One of the states that are not final? */
static bool
select_state_known(const char *value)
{
	size_t i;

	for (i = 0; i < sizeof(select_states) / sizeof(select_states[0]); i++)
		if (strcmp(select_states[i], value) == 0)
			return (true);
	return (false);
}

/*
 * A domain in vmta's spelling, or a pattern of domains. NULL: none. Networks,
 * which vmta.conf knows, are none: nothing is in a queue by its network.
 */
static char *
select_domain(const char *value)
{
	const char *name = strncmp(value, "[*.]", 4) == 0 ? value + 4 : value;
	char domain[256];
	struct buf b = BUF_INIT;

	if (strchr(name, '*') != NULL)
		return (strchr(name, '/') == NULL ? xstrdup(value) : NULL);
	if (conf_domain(name, domain) == -1)
		return (NULL);
	buf_add(&b, value, (size_t)(name - value));
	buf_adds(&b, domain);
	return (buf_take(&b));
}

/* DOMAIN/VMTA, or a pattern of both. NULL: none. */
static char *
select_queue(const char *value)
{
	const char *slash = strrchr(value, '/');
	struct buf b = BUF_INIT;
	char *part, *domain;

	if (slash == NULL) /* a star stands for it, or nothing can match */
		return (strchr(value, '*') != NULL ? xstrdup(value) : NULL);
	part = xstrndup(value, (size_t)(slash - value));
	domain = select_domain(part);
	free(part);
	if (domain == NULL)
		return (NULL);
	buf_addf(&b, "%s%s", domain, slash);
	free(domain);
	return (buf_take(&b));
}

/* The value of a key as it is kept; NULL: it cannot be one. */
static char *
select_value(enum select_key k, const char *value)
{
	if (*value == '\0' || (k == SELECT_STATE && !select_state_known(value)))
		return (NULL);
	if (k == SELECT_DOMAIN)
		return (select_domain(value));
	if (k == SELECT_QUEUE)
		return (select_queue(value));
	return (xstrdup(value));
}

int
selection_add(struct selection *s, const char *key, const char *value,
    struct verr *err)
{
	int64_t ms;
	char *kept;
	size_t k;

	if (strcmp(key, "all") == 0) {
		s->all = true;
		return (0);
	}
	if (strcmp(key, "older-than") == 0) {
		if (unit_interval(value, &ms) == -1)
			return (verr_set(err, VEX_USAGE,
			    "--older-than: not an interval: %s", value));
		s->older_than = ms / 1000;
		return (0);
	}
	for (k = 0; k < SELECT_KEYS; k++)
		if (strcmp(key, select_name[k]) == 0)
			break;
	if (k == SELECT_KEYS)
		return (1);
	kept = select_value((enum select_key)k, value);
	if (kept == NULL)
		return (verr_set(err, VEX_USAGE, "--%s: unusable value: %s",
		    key, value));
	s->value[k] = xreallocarray(s->value[k], s->n[k] + 1, sizeof(char *));
	s->value[k][s->n[k]++] = kept;
	return (0);
}

bool
selection_empty(const struct selection *s)
{
	size_t k;

	for (k = 0; k < SELECT_KEYS; k++)
		if (s->n[k] > 0)
			return (false);
	return (!s->all && s->older_than == 0);
}

/* A term of a request. */
static char *
select_term(const char *key, const char *value)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s=%s", key, value);
	return (buf_take(&b));
}

char **
selection_terms(const struct selection *s, size_t *ret_n)
{
	char **list = NULL, number[32];
	size_t k, i, n = 0;

	for (k = 0; k < SELECT_KEYS; k++) {
		list = xreallocarray(list, n + s->n[k] + 2, sizeof(*list));
		for (i = 0; i < s->n[k]; i++)
			list[n++] = select_term(select_name[k], s->value[k][i]);
	}
	if (s->older_than > 0) {
		(void)snprintf(number, sizeof(number), "%llds",
		    (long long)s->older_than);
		list[n++] = select_term("older-than", number);
	}
	if (s->all)
		list[n++] = select_term("all", "yes");
	*ret_n = n;
	return (list);
}

/* Does one of the values of key match text? No values: yes. */
static bool
select_match(const struct selection *s, enum select_key key, const char *text)
{
	const char *pattern;
	size_t i;

	if (s->n[key] == 0)
		return (true);
	for (i = 0; i < s->n[key] && text != NULL; i++) {
		pattern = s->value[key][i];
		if (key == SELECT_DOMAIN ? glob_domain(pattern, text) :
					   glob_name(pattern, text))
			return (true);
	}
	return (false);
}

bool
selection_vmta(const struct selection *s, const char *vmta)
{
	const char *slash;
	size_t i;

	if (!select_match(s, SELECT_VMTA, vmta))
		return (false);
	for (i = 0; i < s->n[SELECT_QUEUE]; i++) {
		slash = strrchr(s->value[SELECT_QUEUE][i], '/');
		if (slash == NULL || glob_name(slash + 1, vmta))
			return (true);
	}
	return (s->n[SELECT_QUEUE] == 0);
}

bool
selection_queue(const struct selection *s, const char *domain, const char *vmta)
{
	bool match = s->n[SELECT_QUEUE] == 0;
	size_t i;

	for (i = 0; i < s->n[SELECT_QUEUE] && !match; i++)
		match = glob_queue(s->value[SELECT_QUEUE][i], domain, vmta);
	return (match && select_match(s, SELECT_VMTA, vmta) &&
	    select_match(s, SELECT_DOMAIN, domain));
}

bool
selection_batch(const struct selection *s, const struct batch_header *h,
    int64_t now)
{
	if (s->older_than > 0 && now - h->queued < s->older_than)
		return (false);
	return (select_match(s, SELECT_JOB, h->job));
}

bool
selection_needs_text(const struct selection *s)
{
	return (s->n[SELECT_FROM] > 0 || s->n[SELECT_RCPT] > 0 ||
	    s->n[SELECT_ENVID] > 0 || s->n[SELECT_ID] > 0);
}

bool
selection_state(const struct selection *s, char state)
{
	return (select_match(s, SELECT_STATE, batch_state_word(state)));
}

bool
selection_rcpt(const struct selection *s, const struct batch_msg *m,
    const struct batch_rcpt *r)
{
	return (selection_state(s, r->state) &&
	    select_match(s, SELECT_FROM, m->sender) &&
	    select_match(s, SELECT_RCPT, r->rcpt) &&
	    select_match(s, SELECT_ENVID, m->envid) &&
	    select_match(s, SELECT_ID, m->msgid));
}
