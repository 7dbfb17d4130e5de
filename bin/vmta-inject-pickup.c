/*
 * vmta-inject --pickup: what lies in the pickup directories, once. Run by a
 * timer, by a path unit, by hand, by all of them at a time.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "submit/take.h"
#include "vmta-inject.h"

/* SIGTERM and SIGINT stay in their descriptor: who asks again hears it too. */
static bool
pickup_stop(void *arg, int wait_ms)
{
	const struct inject *j = arg;
	struct pollfd p = { .fd = j->in.sig_fd, .events = POLLIN };

	return (poll(&p, 1, wait_ms) > 0);
}

static void
pickup_say(void *arg, const char *line)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", line);
}

/* `ID RECIPIENTS`, with -v. */
static void
pickup_durable(void *arg, const char *id, size_t rcpts)
{
	(void)arg;
	(void)printf("%s %zu\n", id, rcpts);
}

/*
 * The directories are the operator's, as is what is done with them and when:
 * no business of everybody who may run us.
 */
static int
pickup_allowed(const struct rights *r, const struct conf *c, struct verr *err)
{
	if (r->uid != 0 && r->uid != geteuid())
		return (verr_set(err, VEX_CONFIG,
		    "--pickup is for root and the owner of the spool"));
	if (conf_global(c)->pickup.n == 0)
		return (verr_set(err, VEX_CONFIG,
		    "%s: no pickup directory is configured", conf_file(c)));
	return (0);
}

bool
inject_pickup_alone(const struct inject *j)
{
	const struct submit_env *e = &j->env;

	return (j->nrest == 0 && !j->bsmtp && j->merge == NULL &&
	    j->sender == NULL && j->key == NULL && !j->from_header &&
	    e->vmta == NULL && e->job == NULL && e->envid == NULL &&
	    e->prio == -1 && e->due == 0 && !e->verp && !e->hold);
}

int
inject_pickup(struct inject *j, const struct rights *r, struct conf *c,
    const struct cli *cli)
{
	const struct take_opts o = {
		.stop = pickup_stop,
		.say = pickup_say,
		.durable = j->verbose ? pickup_durable : NULL,
		.arg = j,
	};
	struct take_totals t = { .accepted = 0 };
	struct verr err = VERR_INIT;
	int rc;

	/* sent when somebody wants to write in a file that we read */
	(void)signal(SIGIO, SIG_IGN);
	if (pickup_allowed(r, c, &err) == -1 || input_init(&j->in, &err) == -1)
		return (cli_fail(cli, &err));
	rc = take_run(sys_real(), c, &o, &t, &err);
	(void)printf("accepted %" PRIu64 " rejected %" PRIu64
		     " suppressed %" PRIu64 "\n",
	    t.accepted, t.rejected, t.suppressed);
	if (rc == -1)
		return (cli_fail(cli, &err));
	if ((rc = cli_finish(cli)) != VEX_OK)
		return (rc);
	if (t.rejected == 0 && t.denied == 0)
		return (VEX_OK);
	return (t.accepted > 0 || t.rejected == 0 ? VEX_PART : VEX_DATA);
}
