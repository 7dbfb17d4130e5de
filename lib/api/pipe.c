/*
 * vmta-inject as a process that its host need not know of: the grandchild of
 * a child that ends at once, and without a signal (clone(2)), so that neither
 * SIGCHLD nor a wait() for any child meets one of them; in a session of its
 * own, so that a Ctrl-C is the host's alone; with none of the host's
 * descriptors. Until it executes it shares our memory, as with vfork(2): so it
 * makes system calls and nothing else, with all signals blocked, so that no
 * handler of the host runs in it.
 *
 * All else is vmta-inject's: the rights to write the spool, memory that runs
 * out, threads. What kills it is an error of the next call.
 */
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/pipe.h"
#include "api/vmta-submit.h"

#define CHILD_STACK (64 * 1024)
#define CHILD_EXIT 75

extern char **environ;

/* What the child needs. */
struct start {
	int fd;
	char *stack; /* of both, one after the other */
	const char *program;
	char *const *argv;
	char *const *envp;
	int err; /* why there is no vmta-inject */
};

/* The grandchild. */
static int
inject_main(void *arg)
{
	struct start *st = arg;
	int fd = fcntl(st->fd, F_DUPFD, 3), null = open("/dev/null", O_RDWR);

	if (fd != -1 && null != -1 && dup2(fd, 0) != -1 && dup2(fd, 1) != -1 &&
	    dup2(null, 2) != -1 && setsid() != -1 &&
	    close_range(3, ~0u, 0) == 0)
		(void)execve(st->program, st->argv, st->envp);
	st->err = errno;
	_exit(CHILD_EXIT);
}

/* The child: makes the grandchild, waits for its execve, and ends. */
static int
child_main(void *arg)
{
	struct start *st = arg;

	if (clone(inject_main, st->stack + CHILD_STACK, CLONE_VM | CLONE_VFORK,
		st) == -1)
		st->err = errno;
	_exit(0);
}

/* With signals blocked: both of them. 0 or an errno. */
static int
start(struct start *st)
{
	sigset_t all, old;
	pid_t pid;
	int err;

	if ((st->stack = malloc(2 * CHILD_STACK)) == NULL)
		return (ENOMEM);
	(void)sigfillset(&all);
	if ((err = pthread_sigmask(SIG_SETMASK, &all, &old)) == 0) {
		pid = clone(child_main, st->stack + 2 * CHILD_STACK,
		    CLONE_VM | CLONE_VFORK, st);
		err = pid == -1 ? errno : st->err;
		while (pid != -1 && waitpid(pid, NULL, __WALL) == -1 &&
		    errno == EINTR)
			continue;
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	free(st->stack);
	return (err);
}

/*
 * bin/vmta-inject beside the directory of this library, where that is a file
 * of its own, else below PREFIX. path: room for n.
 */
static void
program_path(char *path, size_t n)
{
	Dl_info info;
	char *real = NULL;
	int i;

	if (dladdr((const void *)(size_t)vmta_open, &info) != 0 &&
	    info.dli_fname != NULL)
		real = realpath(info.dli_fname, NULL);
	for (i = 0; real != NULL && i < 2; i++)
		if (strrchr(real, '/') != NULL)
			*strrchr(real, '/') = '\0';
	if (real == NULL ||
	    snprintf(path, n, "%s/bin/vmta-inject", real) >= (int)n ||
	    access(path, X_OK) == -1)
		(void)snprintf(path, n, "%s", VMTA_PREFIX "/bin/vmta-inject");
	free(real);
}

int
pipe_open(struct pipe_end *p, const char *program, const char *config)
{
	char path[4096], name[] = "vmta-inject", serve[] = "--serve";
	char option[] = "-C", *copy = config != NULL ? strdup(config) : NULL;
	char *argv[] = { name, serve, copy != NULL ? option : NULL, copy,
		NULL };
	char *none[] = { NULL };
	struct start st = { .argv = argv,
		.envp = getauxval(AT_SECURE) != 0 ? none : environ };
	int fd[2], err = 0;

	*p = (struct pipe_end) { .fd = -1, .owner = getpid() };
	if (config != NULL && copy == NULL)
		return (ENOMEM);
	if (program == NULL)
		program_path(path, sizeof(path));
	st.program = program != NULL ? program : path;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == -1) {
		free(copy);
		return (errno);
	}
	st.fd = fd[1];
	if ((err = start(&st)) != 0)
		(void)close(fd[0]);
	else
		p->fd = fd[0];
	(void)close(fd[1]);
	free(copy);
	return (err);
}

void
pipe_close(struct pipe_end *p)
{
	char rest[512];

	if (p->fd == -1)
		return;
	if (p->owner == getpid()) {
		/* it sees the end, and ends: that is the end of what it says */
		(void)shutdown(p->fd, SHUT_WR);
		while (pipe_read(p, rest, sizeof(rest)) > 0)
			continue;
	}
	(void)close(p->fd);
	p->fd = -1;
}

int
pipe_write(const struct pipe_end *p, const void *buf, size_t n)
{
	const char *at = buf;
	ssize_t k;

	while (n > 0) {
		k = send(p->fd, at, n, MSG_NOSIGNAL);
		if (k == -1 && errno != EINTR)
			return (errno);
		if (k > 0) {
			at += k;
			n -= (size_t)k;
		}
	}
	return (0);
}

ssize_t
pipe_read(const struct pipe_end *p, void *buf, size_t n)
{
	ssize_t k;

	do
		k = read(p->fd, buf, n);
	while (k == -1 && errno == EINTR);
	return (k);
}
