/*
 * supbench SPOOL LIST ENTRIES LOOKUPS NAME...: how long it takes to open a
 * suppression list, and to look up addresses NAME0@domain0.example and so on,
 * spread over that many entries. One line each: `open MS ms`, then for each
 * NAME `NAME US us FOUND found`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "spool/spool.h"
#include "spool/suplist.h"

/* Look up n addresses, spread over the list; how many were found. */
static unsigned long
look_up(struct suplist *l, const char *kind, unsigned long n,
    unsigned long most)
{
	char text[ADDR_MAX + 1], fold[ADDR_MAX + 1];
	struct verr err = VERR_INIT;
	unsigned long i, k, found = 0;

	for (i = 0; i < n; i++) {
		k = (i * 7919 * 104729) % most;
		(void)snprintf(text, sizeof(text), "%s%lu@domain%lu.example",
		    kind, k, k % 20000);
		suplist_fold(text, fold);
		found += suplist_find(l, fold, &err) == 1;
	}
	return (found);
}

int
main(int argc, char **argv)
{
	struct sys *sys = sys_real();
	struct verr err = VERR_INIT;
	struct suplist *l = NULL;
	struct spool *sp = NULL;
	unsigned long n, found;
	int64_t from;
	int i;

	if (argc < 5) {
		(void)fprintf(stderr,
		    "usage: supbench SPOOL LIST ENTRIES LOOKUPS NAME...\n");
		return (64);
	}
	if (spool_open(sys, argv[1], &sp, &err) == -1) {
		(void)fprintf(stderr, "supbench: %s\n", err.text);
		return (1);
	}
	from = sys->mono(sys);
	if (suplist_open(sp, argv[2], &l, &err) == -1) {
		(void)fprintf(stderr, "supbench: %s\n", err.text);
		return (1);
	}
	(void)printf("open %.3f ms\n", (double)(sys->mono(sys) - from) / 1000);
	n = strtoul(argv[4], NULL, 10);
	for (i = 5; i < argc; i++) {
		from = sys->mono(sys);
		found = look_up(l, argv[i], n, strtoul(argv[3], NULL, 10));
		(void)printf("%s %.3f us %lu found\n", argv[i],
		    (double)(sys->mono(sys) - from) / (double)n, found);
	}
	suplist_close(l);
	spool_close(sp);
	return (0);
}
