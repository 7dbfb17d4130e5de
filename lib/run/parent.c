/*
 * The parent of several workers: forks them, passes signals on, clears what
 * a dead one had taken of the shared limits. With one worker there is no
 * fork. Workers end with their parent (PR_SET_PDEATHSIG).
 */
#include <sys/prctl.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/run.h"
#include "run/worker.h"
#include "spool/commit.h"

/* Signals that the parent hands to its workers. */
static volatile sig_atomic_t parent_signal;

static void
parent_on_signal(int signum)
{
	parent_signal = signum;
}

/* Catch them without restarting waitpid. */
static void
parent_catch(void)
{
	static const int list[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction sa = { .sa_handler = parent_on_signal };
	size_t i;

	(void)sigemptyset(&sa.sa_mask);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		(void)sigaction(list[i], &sa, NULL);
}

/* One worker process; does not return. */
static void
parent_child(struct sys *sys, struct conf *c, const struct run_options *opt,
    unsigned int index, struct total *total, pid_t parent)
{
	struct verr err = VERR_INIT;
	int rc = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	if (worker_run(sys, c, opt, index, total, &err) == -1) {
		log_err(&err);
		rc = err.code;
	}
	log_flush();
	_exit(rc);
}

/* Wait for all; the first exit code that is not 0. */
static int
parent_wait(pid_t *pid, unsigned int n, struct total *total)
{
	unsigned int i, left = n;
	int status, code = 0;
	pid_t gone;

	while (left > 0) {
		gone = waitpid(-1, &status, 0);
		if (parent_signal != 0) {
			for (i = 0; i < n; i++)
				if (pid[i] > 0)
					(void)kill(pid[i], parent_signal);
			parent_signal = 0;
		}
		if (gone == -1 && errno == EINTR)
			continue;
		if (gone == -1)
			break;
		for (i = 0; i < n; i++) {
			if (pid[i] != gone)
				continue;
			pid[i] = 0;
			left--;
			total_clear(total, i);
			if (code == 0)
				code = WIFEXITED(status) ? WEXITSTATUS(status) :
							   VEX_SOFTWARE;
		}
	}
	return (code);
}

/* Several workers. */
static int
parent_run(struct sys *sys, struct conf *c, const struct run_options *opt,
    struct total *total, struct verr *err)
{
	pid_t *pid = xcalloc(opt->workers, sizeof(*pid)), self = getpid();
	unsigned int i;
	int code;

	parent_catch();
	for (i = 0; i < opt->workers; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			parent_child(sys, c, opt, i, total, self);
		if (pid[i] == -1) {
			log_event(LOG_LV_ERROR, "fork", "worker", log_num(i),
			    NULL);
			break;
		}
	}
	code = parent_wait(pid, i, total);
	free(pid);
	if (i < opt->workers)
		return (verr_set(err, VEX_TEMP, "cannot start all workers"));
	if (code != 0)
		return (verr_set(err, code, "a worker failed"));
	return (0);
}

/* What dead injectors left: before a worker owns anything, since it needs all
 * of it. */
static int
parent_sweep(struct sys *sys, const struct conf *c, struct verr *err)
{
	struct spool *sp;
	int rc;

	if (spool_open(sys, conf_spool(c), &sp, err) == -1)
		return (-1);
	rc = commit_sweep(sp, err);
	spool_close(sp);
	return (rc);
}

int
run_deliver(struct sys *sys, struct conf *c, const struct run_options *opt,
    struct verr *err)
{
	struct total *total;
	int rc;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setenv("UV_THREADPOOL_SIZE", "16", 1);
	total = total_new(opt->workers, err);
	if (total == NULL)
		return (-1);
	rc = parent_sweep(sys, c, err);
	if (rc == 0 && opt->workers == 1)
		rc = worker_run(sys, c, opt, 0, total, err);
	else if (rc == 0)
		rc = parent_run(sys, c, opt, total, err);
	total_free(total);
	return (rc);
}
