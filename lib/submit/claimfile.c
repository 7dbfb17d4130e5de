/*
 * A claimed file into a submission: a message in PowerMTA's pickup format, or
 * batch SMTP. It is read up to the size that it had when it was opened; one
 * that is another then is not accepted.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/pickup.h"
#include "submit/claim.h"
#include "submit/impl.h"
#include "submit/stream.h"

#define FILE_CHUNK (256 * 1024)
/* Recipients of a message from a file, where no setting says less. */
#define FILE_RCPT_MAX 100000
/* Octets of reasons; what comes after is counted. */
#define FILE_WHY_MAX 65536

/* Reading a file. */
struct file {
	struct take_dir *d;
	struct submit *s;
	const char *name;
	const struct drop *f;
	struct buf *why;
	uint64_t untold; /* reasons that were not written down */
};

/* Call fn with all octets. 0, FILE_STOPPED, or what fn said. */
static int
file_read_all(struct file *t,
    int (*fn)(void *arg, const char *p, size_t n, struct verr *err), void *arg,
    struct verr *err)
{
	struct sys *sys = t->d->sys;
	char *p = xmalloc(FILE_CHUNK);
	off_t at = 0;
	ssize_t n = 0;
	int rc = 0;

	while (rc == 0 && at < t->f->st.st_size) {
		n = t->f->st.st_size - at < FILE_CHUNK ?
		    (ssize_t)(t->f->st.st_size - at) :
		    FILE_CHUNK;
		n = sys_pread_all(sys, t->f->fd, p, (size_t)n, at);
		if (n == -1)
			rc = verr_sys(err, "read %s", t->name);
		if (n <= 0)
			break;
		at += n;
		rc = fn(arg, p, (size_t)n, err);
		if (rc == 0 && at < t->f->st.st_size &&
		    t->d->opts->stop(t->d->opts->arg, 0))
			rc = FILE_STOPPED;
	}
	free(p);
	return (rc);
}

/* Is it still what it was when it was opened? */
static bool
file_same(const struct file *t)
{
	const struct stat *a = &t->f->st;
	struct stat b;

	return (t->d->sys->fstat(t->d->sys, t->f->fd, &b) == 0 &&
	    a->st_size == b.st_size && a->st_mtim.tv_sec == b.st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b.st_mtim.tv_nsec);
}

/* ---- a message --------------------------------------------------------- */

static int
message_rcpt(void *arg, const struct addr *a, struct verr *err)
{
	struct submit_rcpt r = { .smtp = a->smtp, .domain = addr_domain(a) };

	return (submit_rcpt(arg, &r, err));
}

static int
message_data(void *arg, const char *p, size_t n, struct verr *err)
{
	return (submit_data(arg, p, n, err));
}

static int
message_feed_pickup(void *arg, const char *p, size_t n, struct verr *err)
{
	return (pickup_feed(arg, p, n, err));
}

/* Read it and end the message. 0, FILE_CHANGED, FILE_STOPPED, or -1. */
static int
message_run(struct file *t, struct pickup *p, struct verr *err)
{
	struct submit_env env = { .prio = -1 };
	int rc;

	if (submit_begin(t->s, err) == -1)
		return (-1);
	rc = file_read_all(t, message_feed_pickup, p, err);
	if (rc != 0)
		return (rc);
	if (!file_same(t))
		return (FILE_CHANGED);
	if (pickup_end(p, err) == -1)
		return (-1);
	env.from = pickup_sender(p);
	env.job = pickup_job(p);
	env.envid = pickup_envid(p);
	return (submit_end(t->s, &env, err));
}

int
claim_message(struct take_dir *d, struct submit *s, const char *name,
    const struct drop *f, struct buf *ret_why, struct verr *err)
{
	struct file t = { d, s, name, f, ret_why, 0 };
	size_t max = submit_max_rcpt(s);
	struct pickup_opts o = {
		.max_rcpt = max > 0 && max < FILE_RCPT_MAX ? max :
							     FILE_RCPT_MAX,
		.local = &s->local,
		.rcpt = message_rcpt,
		.data = message_data,
		.arg = s,
	};
	struct pickup *p = pickup_new(&o);
	int rc;

	rc = message_run(&t, p, err);
	if (rc != 0)
		submit_drop(s);
	if (rc == -1 && err->code == VEX_DATA) {
		claim_why(d, name, 0, err->text, ret_why);
		d->totals->rejected++;
		rc = FILE_REFUSED;
	}
	pickup_free(p);
	return (rc);
}

/* ---- batch SMTP -------------------------------------------------------- */

/* submit_stream's: so many reasons, not a line for each of millions. */
static void
stream_reject(void *arg, uint64_t line, const char *why)
{
	struct file *t = arg;

	if (t->why->len < FILE_WHY_MAX)
		claim_why(t->d, t->name, line, why, t->why);
	else
		t->untold++;
}

static int
stream_feed(void *arg, const char *p, size_t n, struct verr *err)
{
	return (submit_stream_feed(arg, p, n, err));
}

/* All of the stream; what was accepted is durable then, whatever came. */
static int
stream_run(struct file *t, struct submit_stream *st, struct verr *err)
{
	struct verr other = VERR_INIT;
	int rc;

	rc = file_read_all(t, stream_feed, st, err);
	if (rc == 0)
		rc = submit_stream_end_file(st, err);
	if (rc == 0)
		return (submit_stream_finish(st, err));
	/* not to its end: what a killed run took may be still to come */
	if (rc == -1) {
		(void)submit_stream_stop(st, &other);
		return (-1);
	}
	return (submit_stream_stop(st, err) == -1 ? -1 : rc);
}

int
claim_bsmtp(struct take_dir *d, struct submit *s, const char *name,
    const struct drop *f, struct buf *ret_why, struct verr *err)
{
	struct file t = { d, s, name, f, ret_why, 0 };
	struct submit_stream_opts o = {
		.env = { .prio = -1 },
		.max_rcpt = FILE_RCPT_MAX,
		.reject = stream_reject,
		.arg = &t,
	};
	struct submit_stream *st;
	uint64_t bad, taken;
	int rc;

	if (submit_bsmtp_ok(s, err) == -1) {
		claim_why(d, name, 0, err->text, ret_why);
		d->totals->rejected++;
		return (FILE_REFUSED);
	}
	st = submit_stream_new(s, &o);
	rc = stream_run(&t, st, err);
	bad = submit_stream_rejected(st);
	submit_stream_free(st);
	taken = submit_accepted(s);
	d->totals->accepted += taken;
	if (rc == -1 && err->code == VEX_DATA) {
		/* not what the killed run had read: never to be gone on with */
		claim_why(d, name, 0, err->text, ret_why);
		taken = s->before.count;
		bad++;
		rc = 0;
	} else if (rc == 0 && !file_same(&t)) {
		claim_why(d, name, 0, "it changed while it was read", ret_why);
		bad++;
	}
	d->totals->rejected += bad;
	if (rc != 0 || bad == 0)
		return (rc);
	if (t.untold > 0)
		buf_addf(ret_why, "... and %llu more\n",
		    (unsigned long long)t.untold);
	buf_addf(ret_why, "%llu messages of it were accepted\n",
	    (unsigned long long)taken);
	return (FILE_REFUSED);
}
