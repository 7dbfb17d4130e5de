/*
 * Reading what is submitted. SIGINT and SIGTERM are read from a descriptor
 * between reads, so that whatever is being made durable is finished first.
 */
#include <sys/signalfd.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "vmta-inject.h"

#define INPUT_SIZE (256 * 1024)

/* The two signals, unless the caller had them ignored. */
static void
input_signals(sigset_t *set)
{
	static const int sig[] = { SIGINT, SIGTERM };
	struct sigaction old;
	size_t i;

	(void)sigemptyset(set);
	for (i = 0; i < sizeof(sig) / sizeof(sig[0]); i++)
		if (sigaction(sig[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			(void)sigaddset(set, sig[i]);
}

int
input_init(struct input *in, struct verr *err)
{
	sigset_t set;

	memset(in, 0, sizeof(*in));
	input_signals(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1 ||
	    (in->sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		return (verr_sys(err, "signalfd"));
	in->cap = INPUT_SIZE;
	in->p = xmalloc(in->cap);
	return (0);
}

void
input_release(struct input *in)
{
	free(in->p);
	if (in->p != NULL)
		(void)close(in->sig_fd);
	memset(in, 0, sizeof(*in));
}

/* The first signal came: the next one has its usual effect. */
static int
input_stop(struct input *in)
{
	struct signalfd_siginfo si;
	sigset_t none;

	(void)!read(in->sig_fd, &si, sizeof(si));
	in->stopped = true;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return (INPUT_STOP);
}

ssize_t
input_read(struct input *in, int fd, int wait_ms, struct verr *err)
{
	struct pollfd pfd[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = in->sig_fd, .events = POLLIN } };
	ssize_t n;

	for (;;) {
		n = poll(pfd, 2, wait_ms);
		if (n == -1 && errno != EINTR)
			return (verr_sys(err, "poll"));
		if (n > 0 && pfd[1].revents != 0)
			return (input_stop(in));
		if (n == 0)
			return (INPUT_IDLE);
		if (n == -1)
			continue;
		n = read(fd, in->p, in->cap);
		if (n >= 0)
			return (n);
		if (errno != EINTR && errno != EAGAIN)
			return (verr_sys(err, "read"));
	}
}
