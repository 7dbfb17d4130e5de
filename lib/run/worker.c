/*
 * A worker's life: own, recover, look, deliver, and leave everything so that
 * the next run finds it. No batch is opened before every dead segment has
 * been replayed.
 */
#include <sys/inotify.h>
#include <sys/resource.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/bouncer.h"
#include "run/clock.h"
#include "run/exports.h"
#include "run/live.h"
#include "run/plan.h"
#include "run/recover.h"
#include "run/request.h"
#include "run/resolve.h"
#include "run/route.h"
#include "run/sched.h"
#include "run/suppress.h"
#include "run/work.h"
#include "run/tpl.h"
#include "run/worker.h"
#include "spool/commit.h"
#include "spool/control.h"
#include "spool/state.h"
#include "spool/submit.h"

#define WORKER_TICK_MS 500
#define WORKER_GRACE_MS 30000  /* SIGTERM: what is in flight may end */
#define WORKER_HURRY_MS 2000   /* another: what was sent may be answered */
#define WORKER_SLEEP_MS 60000  /* longest sleep: a safety net */
#define WORKER_OWN_MS 2000     /* between tries to own what others have */
#define WORKER_CHORES_MS 60000 /* sweeps, dead injectors, interfaces */
#define WORKER_FILES_KEPT 12   /* descriptors, and an eighth of all */
#define WORKER_FILES_LEAST 64  /* when nobody says how many there are */
#define WORKER_FILES_MOST 1000000

void
worker_kick(struct worker *w)
{
	/* a tool that owns for a moment (run/ask.c) does not schedule */
	if (w->sched_timer != NULL && !loop_timer_active(w->sched_timer))
		loop_timer_set(w->sched_timer, 0);
}

/* --- what wakes it ---------------------------------------------------- */

/* A queue that the trigger names. */
static void
worker_on_trigger(void *arg, const char *domain, const char *vmta)
{
	struct worker *w = arg;
	struct rvmta *v = map_get(&w->vmtas, vmta);

	if (v == NULL)
		return;
	if (strcmp(domain, "*") == 0)
		w->full_look = true;
	else
		plan_new_mail(w, v, domain);
}

/* Read the trigger; plan what it announces. */
static void
worker_poll_trigger(struct worker *w)
{
	struct verr err = VERR_INIT;
	bool all = false;

	if (trigger_poll(w->trigger, worker_on_trigger, w, &all, &err) == -1)
		log_err(&err);
	if (!all && !w->full_look)
		return;
	plan_all(w);
}

/* The pauses, if they changed: look at everything, open batches too. */
static int
worker_load_pauses(struct worker *w, struct verr *err)
{
	struct pause_list *l;

	if (w->pauses != NULL && !pause_list_stale(w->spool, w->pauses))
		return (0);
	if (pause_list_read(w->spool, &l, err) == -1)
		return (verr_prefix(err, "state"));
	pause_list_free(w->pauses);
	w->pauses = l;
	work_pause_all(w);
	plan_all(w);
	return (0);
}

static void
worker_poll_pauses(struct worker *w)
{
	struct verr err = VERR_INIT;

	if (worker_load_pauses(w, &err) == -1)
		log_err(&err); /* those that were in force stay so */
}

/* The trigger or control/ changed. */
static void
worker_on_watch(void *arg, bool readable, bool writable)
{
	struct worker *w = arg;
	char buf[4096];

	(void)readable;
	(void)writable;
	while (read(w->watch_fd, buf, sizeof(buf)) > 0)
		;
	if (w->closing)
		return;
	worker_poll_trigger(w);
	worker_poll_pauses(w);
	request_poll(w);
	worker_kick(w);
}

/* Watch the trigger and control/; the tick polls them anyway. */
static void
worker_watch(struct worker *w)
{
	char path[64];

	w->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->watch_fd == -1)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/trigger",
	    w->spool->fd);
	(void)inotify_add_watch(w->watch_fd, path, IN_MODIFY);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d",
	    w->spool->control_fd);
	(void)inotify_add_watch(w->watch_fd, path, IN_MOVED_TO);
	w->watch_io = loop_io_new(w->loop, w->watch_fd, worker_on_watch, w);
	if (w->watch_io != NULL)
		loop_io_want(w->watch_io, true, false);
}

/* --- when it is over --------------------------------------------------- */

/* Is something going on that must end before the worker may? */
static bool
worker_busy(const struct worker *w)
{
	return (w->n_sess > 0 || wal_busy(w) ||
	    (!w->stopping &&
		(w->n_lookup > 0 || w->n_bouncers > 0 || w->n_leaving > 0)));
}

/* Does something wait that becomes due within the patience of --once? */
static bool
worker_waits(struct worker *w)
{
	int64_t now = loop_now(w->loop);

	if (loop_timer_active(w->sched_timer))
		return (true);
	/* what a limit holds back stands in line; another run's slots free */
	return ((!TAILQ_EMPTY(&w->hungry) || w->n_waiting > 0 ||
		    w->full_look) &&
	    now - w->last_work < w->opt->patience);
}

/* Is the run over? */
static bool
worker_done(struct worker *w)
{
	if (w->stopping)
		return (!worker_busy(w));
	if (w->opt->mode == RUN_DAEMON || worker_busy(w) || worker_waits(w))
		return (false);
	return (w->opt->mode == RUN_ONCE ||
	    loop_now(w->loop) - w->last_work >= w->opt->linger);
}

void
worker_broke(struct worker *w)
{
	w->broken = true;
	worker_kick(w);
}

void
worker_trouble(struct worker *w, const struct verr *err)
{
	log_err(err);
	if (w->trouble.code == 0)
		w->trouble = *err;
}

void
worker_stop(struct worker *w, bool at_once)
{
	if (!w->stopping && w->stop_timer != NULL)
		loop_timer_set(w->stop_timer, WORKER_GRACE_MS);
	w->stopping = true;
	w->hurried = w->hurried || at_once;
	sess_stop_all(w, at_once ? SESS_STOP_NOW : SESS_STOP_SOON);
	worker_kick(w);
	if (at_once)
		loop_stop(w->loop);
}

/* --- timers and signals ------------------------------------------------ */

static void
worker_on_sched(void *arg)
{
	struct worker *w = arg;
	int64_t next, ms;

	if (w->closing)
		return;
	if (w->broken && !w->stopping)
		worker_stop(w, false);
	sched_wake(w);
	sched_run(w);
	log_flush();
	next = sched_next(w);
	if (next != INT64_MAX) {
		ms = (next - sys_now(w->sys)) * 1000;
		ms = ms < 10 ? 10 : ms > WORKER_SLEEP_MS ? WORKER_SLEEP_MS : ms;
		loop_timer_set(w->wake_timer, ms);
	}
	if (worker_done(w))
		loop_stop(w->loop);
}

static void
worker_on_wake(void *arg)
{
	worker_kick(arg);
}

/* What is done once a minute. */
static void
worker_chores(struct worker *w)
{
	struct verr err = VERR_INIT;
	int64_t now = sys_now(w->sys);
	bool any = false;

	if (loop_now(w->loop) < w->next_chores)
		return;
	w->next_chores = loop_now(w->loop) + WORKER_CHORES_MS;
	rvmta_refresh_all(w);
	any = recover_commits(w);
	if (commit_sweep(w->spool, &err) == -1 ||
	    control_sweep(w->spool, now - 3600, &err) == -1 ||
	    spool_submit_sweep(w->spool,
		now - conf_global(w->conf)->submit_id_keep / 1000, &err) == -1)
		log_err(&err);
	if (any)
		plan_all(w);
}

/* Own what is free, unless another worker recovers something just now. */
static void
worker_own(struct worker *w)
{
	struct verr err = VERR_INIT;
	int rc = recover_own(w, &err);

	w->next_own = loop_now(w->loop) + WORKER_OWN_MS;
	w->own_again = rc == 1;
	if (rc != -1)
		return;
	log_err(&err); /* what the dead left must come first */
	worker_stop(w, false);
}

/* What others own may be free: a run that ended, a tool that is done. */
static void
worker_poll_owners(struct worker *w)
{
	size_t before = w->vmtas.n;

	if ((w->n_foreign == 0 && !w->own_again) || w->stopping ||
	    loop_now(w->loop) < w->next_own)
		return;
	worker_own(w);
	if (w->vmtas.n > before)
		plan_all(w);
}

/* Housekeeping, twice a second. */
static void
worker_on_tick(void *arg)
{
	struct worker *w = arg;

	loop_timer_set(w->tick_timer, WORKER_TICK_MS);
	if (w->closing)
		return;
	clock_tick(w);
	worker_poll_trigger(w);
	worker_poll_pauses(w);
	worker_poll_owners(w);
	request_poll(w);
	if (work_flush_all(w) == -1)
		worker_broke(w);
	wal_tick(w);
	sess_sweep(w);
	live_write(w);
	resolve_tick(w);
	worker_chores(w);
	queue_sweep(w);
	worker_kick(w);
}

static void
worker_on_grace(void *arg)
{
	worker_stop(arg, true);
}

/*
 * A signal: what is under way may end. A second one: only what has been sent
 * to its end may be answered yet, for a moment. A third: nothing.
 */
static void
worker_on_term(void *arg)
{
	struct worker *w = arg;

	if (!w->stopping || w->hurried) {
		worker_stop(w, w->stopping);
		return;
	}
	w->hurried = true;
	loop_timer_set(w->stop_timer, WORKER_HURRY_MS);
	sess_stop_all(w, SESS_STOP_ENDED);
	worker_kick(w);
}

/* --- configuration ------------------------------------------------------ */

/* Global settings that are kept in a form of our own. */
static void
worker_load_global(struct worker *w)
{
	const struct conf_global *g = conf_global(w->conf);
	struct verr err = VERR_INIT;
	const char *item = NULL;

	w->total_slots.max = g->total_max_smtp_out;
	w->allow = xreallocarray(w->allow, g->allow_special_destination.n,
	    sizeof(*w->allow));
	w->n_allow = 0;
	while ((item = conf_list_next(&g->allow_special_destination, item)) !=
	    NULL) {
		if (dns_net_parse(item, &w->allow[w->n_allow], &err) == -1)
			log_err(&err);
		else
			w->n_allow++;
	}
}

/* SIGHUP: the configuration again; a bad file leaves the old one in force. */
static void
worker_on_hup(void *arg)
{
	struct worker *w = arg;
	struct verr err = VERR_INIT;
	struct map old_settings;
	struct conf *c, *old;

	log_reopen();
	if (w->closing)
		return;
	if (conf_open(w->sys, conf_file(w->conf), &c, &err) == -1) {
		log_err(&err);
		return;
	}
	if (conf_stale(c) != NULL) {
		log_event(LOG_LV_ERROR, "configuration", "text", conf_stale(c),
		    NULL);
		conf_unref(c);
		return;
	}
	if (conf_same(c, w->conf)) { /* nothing to keep an old one for */
		conf_unref(c);
		log_event(LOG_LV_INFO, "reloaded", "file", conf_file(w->conf),
		    NULL);
		return;
	}
	/* queues and VirtualMTAs point into the old ones, until they have new
	 * ones; sessions, look-ups and exports have copies, or hold it */
	old = w->conf;
	old_settings = w->settings;
	map_init(&w->settings);
	w->conf = c;
	w->conf_gen++;
	/* sources and hosts may be others now: message after message at most */
	sess_stop_all(w, SESS_STOP_SOON);
	rvmta_reload_all(w);
	queue_reload_all(w); /* ends look-ups, which use what comes next */
	worker_load_global(w);
	resolve_reload(w);
	exports_unload(w);
	exports_load(w);
	map_release(&old_settings, free);
	conf_unref(old);
	worker_own(w);
	plan_all(w);
	log_event(LOG_LV_INFO, "reloaded", "file", conf_file(c), NULL);
}

/* --- begin and end ------------------------------------------------------- */

/* As many descriptors as we may have; how many that is. */
static size_t
worker_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (WORKER_FILES_LEAST);
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	(void)getrlimit(RLIMIT_NOFILE, &rl);
	return (rl.rlim_cur < WORKER_FILES_MOST ? (size_t)rl.rlim_cur :
						  WORKER_FILES_MOST);
}

/* Descriptors that are open, about. */
static size_t
worker_files_used(void)
{
	size_t n = 0;
	DIR *d = opendir("/proc/self/fd");

	if (d == NULL)
		return (WORKER_FILES_LEAST);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return (n);
}

/*
 * Share out the descriptors: a connection has one, and the batch that it
 * sends from another. What is kept is for directories, small files and DNS.
 */
static int
worker_files(struct worker *w, struct verr *err)
{
	size_t all = worker_limits(), used = worker_files_used();
	size_t kept = WORKER_FILES_KEPT + all / 8;
	int64_t each = ((int64_t)all - (int64_t)(used + kept)) / 2;

	if (each < 1)
		return (verr_set(err, VEX_TEMP,
		    "%zu descriptors are too few to deliver (ulimit -n)", all));
	slots_init(&w->file_slots, LIMIT_FILES, each);
	w->open_max = (unsigned int)each;
	return (0);
}

static void
worker_timers(struct worker *w)
{
	sigset_t none;

	w->sched_timer = loop_timer_new(w->loop, worker_on_sched, w);
	w->wake_timer = loop_timer_new(w->loop, worker_on_wake, w);
	w->tick_timer = loop_timer_new(w->loop, worker_on_tick, w);
	w->stop_timer = loop_timer_new(w->loop, worker_on_grace, w);
	w->sig[0] = loop_signal_new(w->loop, SIGTERM, worker_on_term, w);
	w->sig[1] = loop_signal_new(w->loop, SIGINT, worker_on_term, w);
	w->sig[2] = loop_signal_new(w->loop, SIGHUP, worker_on_hup, w);
	/* now that they only set the loop in motion; those of before, too */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	loop_timer_set(w->tick_timer, WORKER_TICK_MS);
	w->next_chores = loop_now(w->loop) + WORKER_CHORES_MS;
	w->last_work = loop_now(w->loop);
}

int
worker_begin(struct worker *w, struct verr *err)
{
	TAILQ_INIT(&w->hungry);
	TAILQ_INIT(&w->lookers);
	TAILQ_INIT(&w->answered);
	TAILQ_INIT(&w->sessions);
	TAILQ_INIT(&w->leavers);
	TAILQ_INIT(&w->works);
	heap_init(&w->wakes, sizeof(struct sched_wake), sched_wake_cmp);
	w->watch_fd = -1;
	w->open_max = UINT_MAX;
	slots_init(&w->file_slots, LIMIT_FILES, 0);
	(void)worker_limits();
	w->loop = loop_new();
	if (w->loop == NULL)
		return (verr_sys(err, "event loop"));
	if (loop_threads(w->loop) == -1)
		return (verr_sys(err, "threads"));
	if (id_make(w->sys, &w->id, err) == -1)
		return (-1);
	w->net = netcheck_new(err);
	if (w->net == NULL ||
	    spool_open(w->sys, conf_spool(w->conf), &w->spool, err) == -1 ||
	    owner_open(w->spool, &w->owner, err) == -1 ||
	    trigger_reader_open(w->spool, &w->trigger, err) == -1)
		return (-1);
	worker_load_global(w);
	return (0);
}

int
worker_take(struct worker *w, struct verr *err)
{
	if (rvmta_own_all(w, err) == -1)
		return (-1);
	w->owned = w->vmtas.n > 0;
	if (!w->owned)
		return (0);
	if (recover_all(w, err) == -1)
		return (-1);
	return (wal_open(w, err));
}

int
worker_let_go(struct worker *w, struct verr *err)
{
	int rc;

	w->closing = true;
	w->hurried = true;
	sess_stop_all(w, SESS_STOP_NOW);
	queue_stop_all(w);
	rc = wal_close(w, err);
	work_free_all(w);
	queue_free_all(w);
	w->closing = false;
	w->hurried = false;
	if (rc == 0 && w->broken)
		rc = verr_set(err, VEX_IO, "a batch could not be written");
	rvmta_release_all(w);
	return (rc);
}

/* One round: own, recover, deliver until done, let go. */
static int
worker_round(struct worker *w, struct verr *err)
{
	int rc = worker_take(w, err);

	if (rc == 0 && w->owned)
		rc = worker_files(w, err);
	if (rc == 0 && w->owned) /* no mail leaves that may be paused */
		rc = worker_load_pauses(w, err);
	if (rc == 0 && w->owned) {
		clock_begin(w);
		plan_all(w);
		worker_kick(w);
		loop_run(w->loop);
	}
	return (worker_let_go(w, rc == 0 ? err : NULL) == -1 ? -1 : rc);
}

void
worker_end(struct worker *w)
{
	sigset_t all;
	size_t i;

	/* what comes now finds nothing to stop, and must not look like a crash
	 */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	live_remove(w);
	pause_list_free(w->pauses);
	tpl_free(w->tpl);
	suppress_close(w);
	loop_io_free(w->watch_io);
	if (w->watch_fd != -1)
		(void)close(w->watch_fd);
	for (i = 0; i < 3; i++)
		loop_signal_free(w->sig[i]);
	loop_timer_free(w->sched_timer);
	loop_timer_free(w->wake_timer);
	loop_timer_free(w->tick_timer);
	loop_timer_free(w->stop_timer);
	resolve_close(w);
	trigger_reader_close(w->trigger);
	owner_close(w->owner);
	if (w->spool != NULL)
		spool_close(w->spool);
	if (w->net != NULL)
		w->net->free(w->net);
	map_release(&w->settings, free);
	map_release(&w->routes, NULL);
	heap_release(&w->wakes);
	free(w->allow);
	loop_free(w->loop);
}

/* The last line of a run that did something. */
static void
worker_summary(const struct worker *w)
{
	const struct run_count *c = &w->count;

	if (c->delivered + c->bounced + c->deferred + c->failures == 0)
		return;
	log_event(LOG_LV_INFO, "run-end", "delivered",
	    log_num((int64_t)c->delivered), "bounced",
	    log_num((int64_t)c->bounced), "deferred",
	    log_num((int64_t)c->deferred), "ambiguous",
	    log_num((int64_t)c->ambiguous), "sessions",
	    log_num((int64_t)c->sessions), "failures",
	    log_num((int64_t)c->failures), NULL);
}

/* The trigger named a queue after the last look. */
static void
worker_on_late(void *arg, const char *domain, const char *vmta)
{
	struct worker *w = arg;

	(void)domain;
	(void)vmta;
	w->announced = true;
}

/* Did mail arrive (or a run find everything owned) after the last look? */
static bool
worker_again(struct worker *w)
{
	struct verr err = VERR_INIT;
	bool all = false;

	w->announced = false;
	if (trigger_poll(w->trigger, worker_on_late, w, &all, &err) == -1) {
		log_err(&err);
		return (false);
	}
	return ((all || w->announced) && !w->stopping);
}

int
worker_run(struct sys *sys, struct conf *c, const struct run_options *opt,
    unsigned int index, struct total *total, struct verr *err)
{
	struct worker w = { .sys = sys,
		.conf = conf_ref(c),
		.opt = opt,
		.index = index,
		.conf_gen = 1 };
	int rc;

	total_slots_init(&w.total_slots, total, index, LIMIT_TOTAL_CONNS, 0);
	rc = worker_begin(&w, err);
	if (rc == 0)
		rc = resolve_open(&w, err);
	if (rc == 0) {
		worker_timers(&w);
		worker_watch(&w);
		do
			rc = worker_round(&w, err);
		while (rc == 0 && w.owned && worker_again(&w));
		if (rc == 0 && w.n_foreign > 0)
			rc = trigger_mark(w.spool, err);
		worker_summary(&w);
	}
	if (rc == 0 && w.trouble.code != 0) {
		*err = w.trouble;
		rc = -1;
	}
	worker_end(&w);
	conf_unref(w.conf);
	return (rc);
}
