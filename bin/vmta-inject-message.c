/* The single message, from standard input. */
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "vmta-inject.h"

/* An address from the command line, in what is said about it. */
int
inject_addr(const struct submit *s, const char *what, const char *text,
    enum addr_kind kind, struct addr *ret_a, struct verr *err)
{
	struct buf b = BUF_INIT;

	if (submit_addr(s, text, strlen(text), kind, ret_a, err) == 0)
		return (0);
	esc_line(&b, text, strlen(text) < 300 ? strlen(text) : 300);
	(void)verr_prefix(err, "%s '%s'", what, buf_str(&b));
	buf_release(&b);
	return (-1);
}

/* The recipients that are operands. */
static int
inject_rcpts(const struct inject *j, struct submit *s, struct verr *err)
{
	struct submit_rcpt r = { .notify = j->notify };
	struct addr a;
	int i;

	for (i = 0; i < j->nrest; i++) {
		if (inject_addr(s, "recipient", j->rest[i], ADDR_RCPT, &a,
			err) == -1)
			return (-1);
		r.smtp = a.smtp;
		r.domain = addr_domain(&a);
		if (submit_rcpt(s, &r, err) == -1)
			return (-1);
	}
	return (0);
}

/* Standard input to its end. */
static int
inject_content(struct inject *j, struct submit *s, struct verr *err)
{
	ssize_t n;

	while ((n = input_read(&j->in, STDIN_FILENO, -1, err)) > 0)
		if (submit_data(s, j->in.p, (size_t)n, err) == -1)
			return (-1);
	if (n == INPUT_STOP)
		return (verr_set(err, VEX_TEMP,
		    "ended by a signal: nothing was accepted"));
	return ((int)n);
}

int
inject_message(struct inject *j, struct submit *s, struct verr *err)
{
	if (j->sender != NULL) {
		if (inject_addr(s, "sender", j->sender, ADDR_SENDER, &j->from,
			err) == -1)
			return (-1);
		j->env.from = &j->from;
	}
	if (submit_env_ok(s, &j->env, err) == -1)
		return (-1);
	if (j->nrest == 0 && !j->from_header)
		return (verr_set(err, VEX_DATA, "no recipients"));
	if (submit_begin(s, err) == -1 || inject_rcpts(j, s, err) == -1 ||
	    inject_content(j, s, err) == -1 ||
	    (j->from_header && submit_header_rcpts(s, err) == -1) ||
	    submit_end(s, &j->env, err) == -1)
		return (-1);
	return (submit_finish(s, err));
}
