/*
 * --seed-first: a file of addresses, one a line; empty lines and what follows
 * a `#` do not count. It is read with the caller's rights.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmta-inject.h"

/* One line; 0, or -1 (VEX_DATA). */
static int
seed_line(struct map *seeds, char *line, struct verr *err)
{
	char fold[ADDR_MAX + 1];
	struct addr a;
	size_t n;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	for (n = strlen(line); n > 0 && strchr(" \t", line[n - 1]) != NULL;)
		n--;
	if (n == 0)
		return (0);
	if (addr_parse(line, n, ADDR_RCPT, &a, err) == -1)
		return (-1);
	submit_fold(a.smtp, fold);
	(void)map_put(seeds, fold, seeds);
	return (0);
}

/* All lines of fp. */
static int
seed_lines(struct map *seeds, const char *file, FILE *fp, struct verr *err)
{
	unsigned long lineno = 0;
	char line[1024];

	while (fgets(line, sizeof(line), fp) != NULL) {
		lineno++;
		if (strchr(line, '\n') == NULL && !feof(fp))
			return (verr_set(err, VEX_DATA, "%s:%lu: line too long",
			    file, lineno));
		if (seed_line(seeds, line, err) == -1)
			return (verr_prefix(err, "%s:%lu", file, lineno));
	}
	if (ferror(fp))
		return (verr_sys(err, "%s", file));
	if (seeds->n == 0)
		return (verr_set(err, VEX_DATA, "%s: no address", file));
	return (0);
}

int
inject_seeds(const char *file, struct map *ret_seeds, struct verr *err)
{
	int fd, rc;
	FILE *fp;

	map_init(ret_seeds);
	fd = rights_open(file, O_RDONLY, 0, err);
	if (fd == -1)
		return (-1);
	fp = fdopen(fd, "r");
	if (fp == NULL) {
		(void)close(fd);
		return (verr_sys(err, "%s", file));
	}
	rc = seed_lines(ret_seeds, file, fp, err);
	(void)fclose(fp);
	return (rc);
}
