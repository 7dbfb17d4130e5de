/*
 * The event loop: descriptors, timers, signals, and work for other threads.
 * A thin cover over libuv, so that no other module names it and a simulator
 * can bring a loop of its own.
 */
#ifndef VMTA_BASE_LOOP_H
#define VMTA_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;

/* readable, writable: what the descriptor is ready for (both on a fault). */
typedef void loop_io_cb(void *arg, bool readable, bool writable);
typedef void loop_timer_cb(void *arg);
typedef void loop_work_fn(void *arg);

/* A new loop, or NULL with errno (descriptors). Caller frees with loop_free. */
struct loop *loop_new(void);
/*
 * Start the threads of loop_work, now: at its first call
 * libuv would abort where there is no room for them, and what was done until
 * then would be lost. Nothing else may be on the loop yet. 0; -1 with errno.
 */
int loop_threads(struct loop *l);
/* Free it; everything that was made on it must have been freed before. */
void loop_free(struct loop *l);
/* Run until loop_stop, or until nothing is left to wait for. */
void loop_run(struct loop *l);
/* One turn; wait: block for the first event. */
void loop_turn(struct loop *l, bool wait);
void loop_stop(struct loop *l);
/* Milliseconds of the monotonic clock, as of the start of this turn. */
int64_t loop_now(struct loop *l);
/* A 64 KiB buffer that any callback may use until it returns. */
char *loop_scratch(struct loop *l);
#define LOOP_SCRATCH 65536

/* Watch fd for nothing yet; NULL with errno when the kernel refuses. */
struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_cb *cb, void *arg);
void loop_io_want(struct loop_io *io, bool readable, bool writable);
/* Call before close(fd). NULL is fine. */
void loop_io_free(struct loop_io *io);

struct loop_timer *loop_timer_new(struct loop *l, loop_timer_cb *cb, void *arg);
/* Fire once, ms milliseconds (>= 0) from now; replaces an earlier time. */
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* Call cb, in the loop, when the signal came. */
struct loop_signal *loop_signal_new(struct loop *l, int signum,
    loop_timer_cb *cb, void *arg);
void loop_signal_free(struct loop_signal *s);

/* Run work(arg) in another thread, then done(arg) in the loop. 0 or -1. */
int loop_work(struct loop *l, loop_work_fn *work, loop_work_fn *done,
    void *arg);

#endif
