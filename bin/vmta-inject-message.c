/* The single message: operands, standard input. */
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "vmta-inject.h"

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

/* What operands become recipients of. */
struct operands {
	struct submit *s;
	const char *notify;
	size_t n; /* recipients */
};

static int
inject_rcpt(void *arg, const struct addr *a, struct verr *err)
{
	struct operands *o = arg;
	const struct submit_rcpt r = { .smtp = a->smtp,
		.domain = addr_domain(a),
		.notify = o->notify };

	o->n++;
	return (submit_rcpt(o->s, &r, err));
}

/*
 * A recipient; of sendmail also a list of them, as cron's MAILTO makes
 * (`root,joe`). What is neither is told as the former.
 */
static int
inject_operand(const struct inject *j, struct operands *o, const char *text,
    struct verr *err)
{
	struct verr other = VERR_INIT;
	struct addr a;

	if (inject_addr(o->s, "recipient", text, ADDR_RCPT, &a, err) == 0)
		return (inject_rcpt(o, &a, err));
	if (j->users && strchr(text, ',') != NULL &&
	    strpbrk(text, "\r\n") == NULL &&
	    submit_addr_list(o->s, text, strlen(text), inject_rcpt, o,
		&other) == 0 &&
	    o->n > 0)
		return (0);
	return (-1);
}

int
inject_rcpts(const struct inject *j, struct submit *s, struct verr *err)
{
	struct operands o = { .s = s, .notify = j->notify };
	int i;

	for (i = 0; i < j->nrest; i++) {
		o.n = 0;
		if (inject_operand(j, &o, j->rest[i], err) == -1)
			return (-1);
	}
	return (0);
}

int
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
	return (submit_complete(s, err));
}
