/*
 * From accepted to durable. Messages gather in the open commit; when it is
 * full (256 messages, 8 MiB) or its owner says so, a thread takes it to the
 * disk while the next one is being filled: reading and syncing run side by
 * side. At most one is on its way, and none is begun before the last has
 * succeeded, so what is in the spool is always a beginning of the stream:
 * that is what makes a count of messages enough for a submit id.
 *
 * Crash: what commit_finish has not made durable leaves nothing visible.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "submit/impl.h"

int
submit_break(struct submit *s, const struct verr *err)
{
	if (s->broken.code == 0)
		s->broken = *err;
	return (-1);
}

int
submit_alive(const struct submit *s, struct verr *err)
{
	if (s->broken.code == 0)
		return (0);
	*err = s->broken;
	return (-1);
}

bool
submit_broken(const struct submit *s)
{
	return (s->broken.code != 0);
}

int
submit_spool(struct submit *s, struct verr *err)
{
	if (s->sp != NULL)
		return (0);
	return (spool_open(s->sys, conf_spool(s->conf), &s->sp, err));
}

struct commit *
load_commit(struct submit *s, struct verr *err)
{
	const struct conf_global *g = conf_global(s->conf);

	if (s->open.c != NULL)
		return (s->open.c);
	if (submit_spool(s, err) == -1 ||
	    spool_room(s->sp, (uint64_t)g->min_free_space,
		(uint64_t)g->min_free_inodes, err) == -1)
		return (NULL);
	s->open.c = commit_new(s->sp);
	return (s->open.c);
}

int
load_note(struct submit *s, const char *id, size_t rcpts, struct verr *err)
{
	struct load *l = &s->open;

	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 16;
		l->note = xreallocarray(l->note, l->cap, sizeof(*l->note));
	}
	memcpy(l->note[l->n].id, id, sizeof(l->note[l->n].id));
	l->note[l->n++].rcpts = rcpts;
	if (s->one_commit ||
	    (l->n < SUBMIT_COMMIT_MSGS &&
		commit_bytes(l->c) < SUBMIT_COMMIT_BYTES &&
		commit_rcpts(l->c) < SUBMIT_COMMIT_RCPTS))
		return (0);
	return (submit_flush(s, err));
}

void
load_release(struct load *l)
{
	commit_free(l->c);
	free(l->note);
	map_release(&l->share, free);
	memset(l, 0, sizeof(*l));
}

/* Take the commit under way to the disk. */
static void *
flight_run(void *arg)
{
	struct submit *s = arg;

	s->flight_rc = commit_finish(s->flight.c, &s->flight_err);
	return (NULL);
}

/* What became of it. */
static int
flight_land(struct submit *s, struct verr *err)
{
	size_t i;

	if (s->flight_rc == -1) {
		load_release(&s->flight);
		*err = s->flight_err;
		return (submit_break(s, &s->flight_err));
	}
	if (s->flight_rc == 1 && s->warning.code == 0)
		s->warning = s->flight_err;
	s->accepted += s->flight.n;
	s->suppressed += s->flight.suppressed;
	for (i = 0; i < s->flight.n && s->durable != NULL; i++)
		s->durable(s->durable_arg, s->flight.note[i].id,
		    s->flight.note[i].rcpts);
	load_release(&s->flight);
	return (0);
}

void
submit_note(const struct submit *s, const char *msgid, struct commit *c)
{
	struct spool_submission now = { .count = s->seq };

	if (s->hash[0] == '\0')
		return;
	memcpy(now.msgid, msgid, sizeof(now.msgid));
	memcpy(now.print, s->last_print, sizeof(now.print));
	memcpy(now.first, s->first_print, sizeof(now.first));
	commit_submit(c, s->hash, &now);
}

/* Move the open commit to where commits on their way are. */
static void
flight_load(struct submit *s)
{
	s->flight = s->open;
	memset(&s->open, 0, sizeof(s->open));
	memset(&s->flight_err, 0, sizeof(s->flight_err));
	if (s->flight.n > 0)
		submit_note(s, s->flight.note[s->flight.n - 1].id, s->flight.c);
}

/* A thread that gets none of the process's signals. 0 or an errno. */
static int
flight_start(struct submit *s)
{
	sigset_t all, old;
	int rc;

	(void)sigfillset(&all);
	if ((rc = pthread_sigmask(SIG_SETMASK, &all, &old)) != 0)
		return (rc);
	rc = pthread_create(&s->thread, NULL, flight_run, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return (rc);
}

int
submit_settle(struct submit *s, struct verr *err)
{
	if (s->flying) {
		s->flying = false;
		(void)pthread_join(s->thread, NULL);
		if (flight_land(s, err) == -1)
			return (-1);
	}
	return (submit_alive(s, err));
}

int
submit_flush(struct submit *s, struct verr *err)
{
	if (submit_settle(s, err) == -1)
		return (-1);
	if (s->open.n == 0)
		return (0);
	flight_load(s);
	if (flight_start(s) == 0) {
		s->flying = true;
		return (0);
	}
	(void)flight_run(s);
	return (flight_land(s, err));
}

int
submit_finish(struct submit *s, struct verr *err)
{
	if (submit_settle(s, err) == -1)
		return (-1);
	if (s->open.n == 0)
		return (0);
	flight_load(s);
	(void)flight_run(s);
	return (flight_land(s, err));
}

int
submit_complete(struct submit *s, struct verr *err)
{
	if (submit_finish(s, err) == -1)
		return (-1);
	if (s->seq >= s->before.count)
		return (0);
	s->accepted = 0;
	(void)verr_set(err, VEX_DATA,
	    "this submit id was used for %llu accepted messages, now there are"
	    " %llu: nothing was submitted",
	    (unsigned long long)s->before.count, (unsigned long long)s->seq);
	return (submit_break(s, err));
}

void
submit_accept(struct submit *s)
{
	s->seq++;
	print_end(&s->print, true, s->last_print);
	if (s->seq == 1)
		memcpy(s->first_print, s->last_print, sizeof(s->first_print));
}

int
submit_taken(struct submit *s, struct verr *err)
{
	const struct spool_submission *b = &s->before;
	const char *was = "";

	if (s->seq > b->count)
		return (0);
	/* who never comes to the count is another one from the first on */
	if (s->seq == b->count)
		was = b->print;
	else if (s->seq == 1)
		was = b->first;
	if (was[0] == '\0' || strcmp(was, s->last_print) == 0)
		return (1);
	s->accepted = 0;
	(void)verr_set(err, VEX_DATA,
	    "this submit id was used for other messages, or some were refused"
	    " then and are not now, or the reverse: nothing was submitted");
	return (submit_break(s, err));
}

const char *
submit_warning(const struct submit *s)
{
	return (s->warning.code != 0 ? s->warning.text : NULL);
}

void
submit_discard(struct submit *s)
{
	s->seq -= s->open.n;
	load_release(&s->open);
}

size_t
submit_waiting(const struct submit *s)
{
	return (s->open.n);
}

void
submit_one_commit(struct submit *s)
{
	s->one_commit = true;
}
