/*
 * sendmail -bs: SMTP on standard input and output (submit/session.h).
 *
 * Whatever becomes of the pipe: what was answered with 250 is durable. A peer
 * that goes without QUIT is no error; a signal is.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "submit/session.h"
#include "vmta-inject.h"

int
inject_say(struct buf *out, struct verr *err)
{
	size_t at = 0;
	ssize_t n;

	while (at < out->len) {
		n = write(STDOUT_FILENO, out->p + at, out->len - at);
		if (n == -1 && errno == EAGAIN) {
			struct pollfd p = { STDOUT_FILENO, POLLOUT, 0 };

			(void)poll(&p, 1, -1);
		} else if (n == -1 && errno != EINTR) {
			return (verr_sys(err, "standard output"));
		} else if (n > 0) {
			at += (size_t)n;
		}
	}
	buf_clear(out);
	return (0);
}

int
inject_smtp(struct inject *j, struct submit *s, const char *host,
    const struct cli *cli)
{
	struct session *ss = session_new(s, &j->env, host);
	struct verr err = VERR_INIT;
	bool more = true;
	ssize_t n = 1;
	int rc = 0;

	while (more && n > 0 && rc == 0) {
		rc = inject_say(session_replies(ss), &err);
		if (rc == 0)
			n = input_read(&j->in, STDIN_FILENO, -1, &err);
		if (rc == 0 && n > 0)
			more = session_feed(ss, j->in.p, (size_t)n);
	}
	if (rc == 0 && n >= 0)
		rc = inject_say(session_replies(ss), &err);
	session_free(ss);
	if (n == INPUT_STOP)
		(void)verr_set(&err, VEX_TEMP, "ended by a signal");
	if (rc == -1 || n < 0)
		return (cli_fail(cli, &err));
	return (VEX_OK);
}
