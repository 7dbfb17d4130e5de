/*
 * The handle: who submits, what he may, and his submit id.
 *
 * Submit ids: a commit notes how many messages of the submission it and all
 * before it have taken, and a fingerprint of the input up to there
 * (spool/submit.h, print.h). A call with the same key holds the key's lock, and
 * drops as many of the messages that it would accept. What was refused is
 * looked at, and refused, again. When the last of them has come its
 * fingerprint must be the one that was noted: else this is another submission,
 * or rules have changed so that what was accepted then is not what is accepted
 * now, and to go on would lose one message and double another. The first one's
 * is noted, too, for a call that commits before it has come so far.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "spool/supset.h"
#include "submit/alias.h"
#include "submit/header.h"
#include "submit/impl.h"

#define SUBMIT_KEY_MAX 1000

/* user@host-name, or why there is none. */
static void
submit_self(struct submit *s, const char *user)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s@%s", user, conf_global(s->conf)->host_name);
	s->has_self = addr_parse(b.p, b.len, ADDR_RCPT, &s->self,
			  &s->self_err) == 0;
	if (!s->has_self)
		(void)verr_prefix(&s->self_err, "default sender '%s'", b.p);
	buf_release(&b);
}

struct submit *
submit_open(struct sys *sys, struct conf *c, const struct submit_who *who)
{
	struct submit *s = xcalloc(1, sizeof(*s));

	s->sys = sys;
	s->conf = conf_ref(c);
	conf_source(c, who->source, &s->src);
	s->source = xstrdup(who->source);
	s->sel = selector_new(s->conf, s->source);
	s->strip = header_strip(s);
	s->source_type = xstrdup(who->source_type);
	s->source_mta = xstrdup(who->source_mta);
	s->uid = who->uid;
	s->dot_ends = who->dot_ends;
	(void)snprintf(s->notify, sizeof(s->notify), "%s",
	    who->notify != NULL ? who->notify : "");
	s->local = alias_local(s->conf, who->users);
	s->lock_fd = -1;
	map_init(&s->dups);
	(void)verr_set(&s->self_err, VEX_DATA, "no sender");
	if (who->user != NULL)
		submit_self(s, who->user);
	return (s);
}

void
submit_close(struct submit *s)
{
	struct verr err = VERR_INIT;

	if (s == NULL)
		return;
	(void)submit_settle(s, &err);
	submit_drop(s);
	load_release(&s->open);
	if (s->lock_fd != -1)
		(void)close(s->lock_fd);
	supset_free(s->supset);
	spool_close(s->sp);
	selector_free(s->sel);
	conf_unref(s->conf);
	map_release(&s->dups, NULL);
	buf_release(&s->text);
	buf_release(&s->msgid);
	buf_release(&s->job);
	buf_release(&s->envid);
	print_close(&s->print);
	buf_release(&s->schedule);
	free(s->strip);
	free(s->rcpt);
	free(s->source);
	free(s->source_type);
	free(s->source_mta);
	free(s);
}

int
submit_addr(const struct submit *s, const char *p, size_t n,
    enum addr_kind kind, struct addr *ret_a, struct verr *err)
{
	return (addr_parse_local(p, n, kind, &s->local, ret_a, err));
}

int
submit_addr_list(const struct submit *s, const char *p, size_t n,
    addrlist_fn *fn, void *arg, struct verr *err)
{
	return (addrlist_parse(p, n, &s->local, fn, arg, err));
}

void
submit_on_durable(struct submit *s,
    void (*fn)(void *arg, const char *id, size_t rcpts), void *arg)
{
	s->durable = fn;
	s->durable_arg = arg;
}

int
submit_key_try(struct submit *s, const char *key, struct verr *err)
{
	size_t n = strlen(key);
	int rc;

	if (s->hash[0] != '\0' || s->seq > 0)
		return (verr_set(err, VEX_USAGE,
		    "a submit id comes once, before the first message"));
	if (n == 0 || n > SUBMIT_KEY_MAX)
		return (verr_set(err, VEX_DATA,
		    "a submit id has 1 to %d octets", SUBMIT_KEY_MAX));
	if (submit_spool(s, err) == -1)
		return (-1);
	spool_submit_hash(s->uid, key, s->hash);
	rc = spool_submit_lock(s->sp, s->hash, &s->lock_fd, err);
	if (rc == 1)
		(void)verr_set(err, VEX_TEMP,
		    "another call is using this submit id");
	if (rc != 0)
		return (rc);
	if (print_open(&s->print, err) == -1)
		return (-1);
	return (spool_submit_lookup(s->sp, s->hash, &s->before, err));
}

int
submit_key(struct submit *s, const char *key, struct verr *err)
{
	return (submit_key_try(s, key, err) == 0 ? 0 : -1);
}

const struct conf_source *
submit_source(const struct submit *s)
{
	return (&s->src);
}

/* The smaller of two limits, where 0 is none. */
static size_t
limit_min(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return ((size_t)(a + b));
	return ((size_t)(a < b ? a : b));
}

size_t
submit_max_size(const struct submit *s)
{
	return (limit_min(conf_global(s->conf)->max_message_size,
	    s->src.max_message_size));
}

size_t
submit_max_rcpt(const struct submit *s)
{
	return (limit_min(conf_global(s->conf)->max_rcpt_per_message,
	    s->src.max_rcpt_per_message));
}

int
submit_bsmtp_ok(const struct submit *s, struct verr *err)
{
	if (s->src.allow_bsmtp)
		return (0);
	return (verr_set(err, VEX_DATA, "source %s may not submit batch SMTP",
	    s->source));
}

uint64_t
submit_accepted(const struct submit *s)
{
	return (s->accepted);
}

uint64_t
submit_rejected(const struct submit *s)
{
	return (s->rejected);
}

int
submit_is_suppressed(struct submit *s, const char *smtp, struct verr *err)
{
	struct verr unknown = VERR_INIT;
	const char *list;

	if (s->src.suppression_lists.n == 0)
		return (0);
	if (submit_spool(s, err) == -1)
		return (-1);
	if (s->supset == NULL)
		s->supset = supset_new(s->sp);
	return (supset_find(s->supset, &s->src.suppression_lists, smtp, &list,
		    &unknown) == 1);
}

uint64_t
submit_suppressed(const struct submit *s)
{
	return (s->suppressed);
}
