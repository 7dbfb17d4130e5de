/*
 * vmta-inject --bsmtp and --mbox: files, or standard input, through a
 * submit_stream.
 *
 * Where it is broken off (a signal, a full disk) what was accepted until then
 * is durable, and the totals say how much; the exit code is not 0 or 1, and a
 * repetition with the same --submit-id goes on where it ended.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "submit/stream.h"
#include "vmta-inject.h"

/* Without input for so long, what is waiting goes to the disk. */
#define STREAM_IDLE_MS 50

struct stream {
	struct inject *j;
	struct submit *s;
	struct submit_stream *st;
	struct rejects rejects;
	const char *file; /* that is being read, `-`: standard input */
};

/* submit_stream's. */
static void
stream_reject(void *arg, uint64_t line, const char *why)
{
	struct stream *t = arg;
	struct buf b = BUF_INIT;

	esc_line(&b, t->file, strlen(t->file));
	rejects_line(&t->rejects, buf_str(&b), line, why);
	buf_release(&b);
}

/* Feed one file; 0, INPUT_STOP, or -1. */
static int
stream_fd(struct stream *t, int fd, struct verr *err)
{
	ssize_t n;
	int rc = 0;

	for (;;) {
		n = input_read(&t->j->in, fd,
		    submit_stream_waiting(t->st) ? STREAM_IDLE_MS : -1, err);
		if (n == INPUT_IDLE)
			rc = submit_stream_idle(t->st, err);
		else if (n > 0)
			rc = submit_stream_feed(t->st, t->j->in.p, (size_t)n,
			    err);
		else if (n == 0)
			return (submit_stream_end_file(t->st, err));
		else
			return ((int)n);
		if (rc == -1)
			return (-1);
	}
}

/* Open and feed one file. */
static int
stream_file(struct stream *t, const char *file, struct verr *err)
{
	int fd, rc;

	t->file = file;
	if (strcmp(file, "-") == 0)
		return (stream_fd(t, STDIN_FILENO, err));
	if (submit_settle(t->s, err) == -1 ||
	    (fd = rights_open(file, O_RDONLY, 0, err)) == -1)
		return (-1);
	rc = stream_fd(t, fd, err);
	(void)close(fd);
	return (rc);
}

/* Can all files be opened? Better now than after the first thousand. */
static int
stream_look(const struct inject *j, struct verr *err)
{
	struct stat st;
	int i, fd, rc = 0;

	for (i = 0; i < j->nrest && rc == 0; i++) {
		if (strcmp(j->rest[i], "-") == 0)
			continue;
		fd = rights_open(j->rest[i], O_RDONLY | O_NONBLOCK, 0, err);
		if (fd == -1)
			return (-1);
		if (fstat(fd, &st) == -1)
			rc = verr_sys(err, "%s", j->rest[i]);
		else if (S_ISDIR(st.st_mode))
			rc = verr_set(err, VEX_DATA, "%s: is a directory",
			    j->rest[i]);
		(void)close(fd);
	}
	return (rc);
}

/* All files, then the end. 0, INPUT_STOP, or -1. */
static int
stream_run(struct stream *t, struct verr *err)
{
	const struct inject *j = t->j;
	int i, rc = 0;

	if (j->nrest == 0)
		rc = stream_file(t, "-", err);
	for (i = 0; i < j->nrest && rc == 0; i++)
		rc = stream_file(t, j->rest[i], err);
	if (rc != 0 && j->all_or_nothing)
		submit_stream_drop(t->st);
	if (rc == 0)
		return (submit_stream_finish(t->st, err));
	if (rc == INPUT_STOP && submit_stream_stop(t->st, err) == -1)
		return (-1);
	/* an error of the input: what was read before it is good */
	if (rc == -1) {
		struct verr ignored = VERR_INIT;

		(void)submit_stream_stop(t->st, &ignored);
	}
	return (rc);
}

/* The totals, and the exit code. */
static int
stream_end(struct stream *t, int rc, struct verr *err, const struct cli *cli)
{
	uint64_t ok = submit_accepted(t->s);
	uint64_t bad = submit_stream_rejected(t->st);

	if (inject_rejects_end(&t->rejects, ok, rc, err) == -1)
		rc = -1;
	(void)printf("accepted %" PRIu64 " rejected %" PRIu64
		     " suppressed %" PRIu64 "\n",
	    ok, bad, submit_suppressed(t->s));
	if (rc == INPUT_STOP)
		(void)verr_set(err, VEX_TEMP,
		    "ended by a signal: %" PRIu64
		    " messages were accepted, the rest was not",
		    ok);
	else if (rc == -1 && ok > 0)
		(void)verr_prefix(err, "after %" PRIu64 " accepted messages",
		    ok);
	if (rc != 0)
		return (cli_fail(cli, err));
	return (inject_end(cli, ok,
	    bad == 0   ? VEX_OK :
		ok > 0 ? VEX_PART :
			 VEX_DATA));
}

int
inject_stream(struct inject *j, struct submit *s, const struct cli *cli)
{
	struct stream t = { .j = j, .s = s };
	struct submit_stream_opts o = {
		.env = j->env,
		.mbox = j->mbox,
		.all_or_nothing = j->all_or_nothing,
		.reject = stream_reject,
		.arg = &t,
	};
	struct verr err = VERR_INIT;
	int rc;

	if (j->sender != NULL) {
		if (inject_addr(s, "sender", j->sender, ADDR_SENDER, &j->from,
			&err) == -1)
			return (cli_fail(cli, &err));
		o.env.from = &j->from;
	}
	if ((j->bsmtp && submit_bsmtp_ok(s, &err) == -1) ||
	    stream_look(j, &err) == -1 ||
	    rejects_open(&t.rejects, j->rejects, &err) == -1)
		return (cli_fail(cli, &err));
	t.st = submit_stream_new(s, &o);
	rc = stream_run(&t, &err);
	rc = stream_end(&t, rc, &err, cli);
	submit_stream_free(t.st);
	return (rc);
}
