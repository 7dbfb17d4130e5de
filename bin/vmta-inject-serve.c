/*
 * vmta-inject --serve: the other end of libvmta-submit, which runs it and
 * speaks with it through a socket (submit/serve.h). All that it has to say
 * goes there: a library prints nothing.
 *
 * The library's hanging up is the end; what it had not committed by then is
 * dropped.
 */
#include <unistd.h>

#include "submit/serve.h"
#include "vmta-inject.h"

int
inject_serve_fail(const struct verr *err)
{
	struct verr other = VERR_INIT;
	struct buf b = BUF_INIT;

	serve_fail(&b, err);
	(void)inject_say(&b, &other);
	buf_release(&b);
	return (err->code);
}

int
inject_serve(struct inject *j, struct submit *s)
{
	struct serve *v = serve_new(s);
	struct verr err = VERR_INIT;
	ssize_t n = 1;
	int rc = 0;

	while (n > 0 && rc == 0) {
		rc = inject_say(serve_replies(v), &err);
		if (rc == 0)
			n = input_read(&j->in, STDIN_FILENO, -1, &err);
		if (rc == 0 && n > 0)
			rc = serve_feed(v, j->in.p, (size_t)n, &err);
	}
	serve_free(v);
	if (n == INPUT_STOP)
		(void)verr_set(&err, VEX_TEMP, "ended by a signal");
	if (rc == -1 || n < 0)
		return (inject_serve_fail(&err));
	return (VEX_OK);
}
