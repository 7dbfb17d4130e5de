/*
 * The parent of several workers: forks them, passes signals on, clears what
 * a dead one had taken of the shared limits. With one worker there is no
 * fork. Workers end with their parent (PR_SET_PDEATHSIG).
 */
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/run.h"
#include "run/worker.h"
#include "spool/commit.h"

/* The workers. */
struct parent {
	pid_t *pid; /* 0: it has ended */
	unsigned int n;
	unsigned int left;
	struct total *total;
	int code; /* the first exit code that is not 0 */
};

/* What the parent waits for: its signals are for the workers. */
static void
parent_signals(sigset_t *ret_set)
{
	(void)sigemptyset(ret_set);
	(void)sigaddset(ret_set, SIGTERM);
	(void)sigaddset(ret_set, SIGINT);
	(void)sigaddset(ret_set, SIGHUP);
	(void)sigaddset(ret_set, SIGCHLD);
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
	if (worker_run(sys, c, opt, index, total, &err) == -1) {
		log_err(&err);
		rc = err.code;
	}
	log_flush();
	_exit(rc);
}

/* The worker `gone` has ended. */
static void
parent_ended(struct parent *p, pid_t gone, int status)
{
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		if (p->pid[i] != gone)
			continue;
		p->pid[i] = 0;
		p->left--;
		total_clear(p->total, i);
		if (p->code == 0)
			p->code = WIFEXITED(status) ? WEXITSTATUS(status) :
						      VEX_SOFTWARE;
	}
}

/*
 * Wait for all, and hand signals on. They are blocked and taken one by one:
 * none is lost between a look and a wait.
 */
static void
parent_wait(struct parent *p)
{
	sigset_t set;
	int status, signum;
	unsigned int i;
	pid_t gone;

	parent_signals(&set);
	while (p->left > 0) {
		signum = sigwaitinfo(&set, NULL);
		for (i = 0; i < p->n && signum > 0 && signum != SIGCHLD; i++)
			if (p->pid[i] > 0)
				(void)kill(p->pid[i], signum);
		while ((gone = waitpid(-1, &status, WNOHANG)) > 0)
			parent_ended(p, gone, status);
	}
}

/* Several workers. */
static int
parent_run(struct sys *sys, struct conf *c, const struct run_options *opt,
    struct total *total, struct verr *err)
{
	struct parent p = { .total = total };
	pid_t self = getpid(), pid;

	p.pid = xcalloc(opt->workers, sizeof(*p.pid));
	while (p.n < opt->workers) {
		pid = fork();
		if (pid == 0)
			parent_child(sys, c, opt, p.n, total, self);
		if (pid == -1) {
			log_event(LOG_LV_ERROR, "fork", "worker", log_num(p.n),
			    NULL);
			break;
		}
		p.pid[p.n++] = pid;
		p.left++;
	}
	parent_wait(&p);
	free(p.pid);
	if (p.n < opt->workers)
		return (verr_set(err, VEX_TEMP, "cannot start all workers"));
	if (p.code != 0)
		return (verr_set(err, p.code, "a worker failed"));
	return (0);
}

/* What dead injectors left: before a worker owns anything, since it needs all
 * of it. */
static int
parent_sweep(struct sys *sys, const struct conf *c, struct verr *ret_trouble,
    struct verr *err)
{
	struct spool *sp;

	if (spool_open(sys, conf_spool(c), &sp, err) == -1)
		return (-1);
	if (commit_sweep(sp, ret_trouble) == -1)
		log_err(ret_trouble);
	else
		ret_trouble->code = 0; /* what it met was none */
	spool_close(sp);
	return (0);
}

int
run_deliver(struct sys *sys, struct conf *c, const struct run_options *opt,
    struct verr *err)
{
	struct verr swept = VERR_INIT;
	struct total *total;
	sigset_t set;
	int rc;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, it would never come */
	total = total_new(opt->workers, err);
	if (total == NULL)
		return (-1);
	rc = parent_sweep(sys, c, &swept, err);
	/* a worker takes them when its loop can (worker_timers) */
	parent_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	if (rc == 0 && opt->workers == 1)
		rc = worker_run(sys, c, opt, 0, total, err);
	else if (rc == 0)
		rc = parent_run(sys, c, opt, total, err);
	/* they stay blocked: what comes now must not end us half-way */
	total_free(total);
	if (rc == 0 && swept.code != 0) {
		*err = swept;
		rc = -1;
	}
	return (rc);
}
