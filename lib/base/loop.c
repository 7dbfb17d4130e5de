/*
 * libuv behind loop.h. libuv frees handles in a later turn, so each of ours
 * is a heap object of its own that goes in the close callback.
 */
#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "base/loop.h"
#include "base/mem.h"

struct loop {
	uv_loop_t uv;
	char scratch[LOOP_SCRATCH];
};

struct loop_io {
	uv_poll_t uv; /* first: a handle is its loop_io */
	loop_io_cb *cb;
	void *arg;
	int events;
};

struct loop_timer {
	uv_timer_t uv;
	loop_timer_cb *cb;
	void *arg;
};

struct loop_signal {
	uv_signal_t uv;
	loop_timer_cb *cb;
	void *arg;
};

struct loop_job {
	uv_work_t uv;
	loop_work_fn *work;
	loop_work_fn *done;
	void *arg;
};

struct loop *
loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	if (uv_loop_init(&l->uv) != 0)
		abort();
	return (l);
}

void
loop_free(struct loop *l)
{
	bool alive;

	if (l == NULL)
		return;
	do /* close callbacks; a turn that only takes back a stop has none */
		alive = uv_run(&l->uv, UV_RUN_NOWAIT) != 0;
	while (uv_loop_close(&l->uv) == UV_EBUSY && alive);
	free(l);
}

void
loop_run(struct loop *l)
{
	(void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void
loop_turn(struct loop *l, bool wait)
{
	(void)uv_run(&l->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void
loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

int64_t
loop_now(struct loop *l)
{
	return ((int64_t)uv_now(&l->uv));
}

char *
loop_scratch(struct loop *l)
{
	return (l->scratch);
}

/* A closed handle's object. */
static void
loop_gone(uv_handle_t *h)
{
	free(h);
}

/*
 * After an error libuv watches no more, but there may be more to read before
 * it (a reply, and a reset behind it): so it is told to go on.
 */
static void
loop_on_io(uv_poll_t *h, int status, int events)
{
	struct loop_io *io = (struct loop_io *)h;

	if (status < 0) {
		(void)uv_poll_start(h, io->events, loop_on_io);
		events = UV_READABLE | UV_WRITABLE;
	}
	io->cb(io->arg, (events & UV_READABLE) != 0,
	    (events & UV_WRITABLE) != 0);
}

struct loop_io *
loop_io_new(struct loop *l, int fd, loop_io_cb *cb, void *arg)
{
	struct loop_io *io = xcalloc(1, sizeof(*io));
	int rc;

	rc = uv_poll_init(&l->uv, &io->uv, fd);
	if (rc != 0) {
		free(io);
		errno = -rc;
		return (NULL);
	}
	io->cb = cb;
	io->arg = arg;
	return (io);
}

void
loop_io_want(struct loop_io *io, bool readable, bool writable)
{
	int events = (readable ? UV_READABLE : 0) |
	    (writable ? UV_WRITABLE : 0);

	if (events == io->events)
		return;
	io->events = events;
	if (events == 0)
		(void)uv_poll_stop(&io->uv);
	else
		(void)uv_poll_start(&io->uv, events, loop_on_io);
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	(void)uv_poll_stop(&io->uv);
	uv_close((uv_handle_t *)&io->uv, loop_gone);
}

struct loop_timer *
loop_timer_new(struct loop *l, loop_timer_cb *cb, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));

	if (uv_timer_init(&l->uv, &t->uv) != 0)
		abort();
	t->cb = cb;
	t->arg = arg;
	return (t);
}

static void
loop_on_timer(uv_timer_t *h)
{
	struct loop_timer *t = (struct loop_timer *)h;

	t->cb(t->arg);
}

void
loop_timer_set(struct loop_timer *t, int64_t ms)
{
	(void)uv_timer_start(&t->uv, loop_on_timer, ms > 0 ? (uint64_t)ms : 0,
	    0);
}

void
loop_timer_stop(struct loop_timer *t)
{
	(void)uv_timer_stop(&t->uv);
}

bool
loop_timer_active(const struct loop_timer *t)
{
	return (uv_is_active((const uv_handle_t *)&t->uv) != 0);
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	(void)uv_timer_stop(&t->uv);
	uv_close((uv_handle_t *)&t->uv, loop_gone);
}

static void
loop_on_signal(uv_signal_t *h, int signum)
{
	struct loop_signal *s = (struct loop_signal *)h;

	(void)signum;
	s->cb(s->arg);
}

struct loop_signal *
loop_signal_new(struct loop *l, int signum, loop_timer_cb *cb, void *arg)
{
	struct loop_signal *s = xcalloc(1, sizeof(*s));

	if (uv_signal_init(&l->uv, &s->uv) != 0 ||
	    uv_signal_start(&s->uv, loop_on_signal, signum) != 0)
		abort();
	s->cb = cb;
	s->arg = arg;
	return (s);
}

void
loop_signal_free(struct loop_signal *s)
{
	if (s != NULL)
		uv_close((uv_handle_t *)&s->uv, loop_gone);
}

static void
loop_on_work(uv_work_t *w)
{
	struct loop_job *job = (struct loop_job *)w;

	job->work(job->arg);
}

static void
loop_on_done(uv_work_t *w, int status)
{
	struct loop_job *job = (struct loop_job *)w;
	loop_work_fn *done = job->done;
	void *arg = job->arg;

	(void)status;
	free(job);
	done(arg);
}

int
loop_work(struct loop *l, loop_work_fn *work, loop_work_fn *done, void *arg)
{
	struct loop_job *job = xcalloc(1, sizeof(*job));

	job->work = work;
	job->done = done;
	job->arg = arg;
	if (uv_queue_work(&l->uv, &job->uv, loop_on_work, loop_on_done) != 0) {
		free(job);
		return (-1);
	}
	return (0);
}
