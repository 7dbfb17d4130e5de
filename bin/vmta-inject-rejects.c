/*
 * The list of what was refused: a file of the caller's, or standard error.
 *
 * Who is told of a failure submits all of it again. So once something is
 * accepted, that a list or a line could not be written is a warning.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "vmta-inject.h"

int
rejects_open(struct rejects *r, const char *name, struct verr *err)
{
	int fd;

	r->fp = stderr;
	r->name = name;
	if (name == NULL)
		return (0);
	fd = rights_open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600,
	    err);
	if (fd == -1)
		return (-1);
	r->fp = fdopen(fd, "w");
	if (r->fp != NULL)
		return (0);
	(void)close(fd);
	return (verr_sys(err, "%s", name));
}

void
rejects_line(struct rejects *r, const char *file, uint64_t line,
    const char *why)
{
	(void)fprintf(r->fp, "%s:%" PRIu64 ": %s\n", file, line, why);
}

/* What was said goes out. 0 or -1. */
static int
rejects_close(struct rejects *r, struct verr *err)
{
	bool bad;

	if (r->fp == NULL)
		return (0);
	bad = fflush(r->fp) != 0 || ferror(r->fp) != 0;
	if (r->fp != stderr && fclose(r->fp) != 0)
		bad = true;
	r->fp = NULL;
	if (!bad || r->name == NULL)
		return (0);
	return (verr_set(err, VEX_IO, "%s: cannot be written", r->name));
}

int
inject_rejects_end(struct rejects *r, uint64_t accepted, int rc,
    struct verr *err)
{
	struct verr why = VERR_INIT;

	if (rejects_close(r, &why) == 0 || rc != 0)
		return (0);
	if (accepted == 0) {
		*err = why;
		return (-1);
	}
	(void)fprintf(stderr, "vmta-inject: warning: %s\n", why.text);
	return (0);
}
