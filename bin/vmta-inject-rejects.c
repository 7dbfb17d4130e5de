/* The list of what was refused: a file of the caller's, or standard error. */
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

int
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
