/* Parts of vmta-bounce. */
#ifndef VMTA_BOUNCE_H
#define VMTA_BOUNCE_H

#include "base/err.h"

struct spool;

#define BOUNCE_LIST "default" /* the list when none is named */

/* What a command of `vmta-bounce suppress` works on. */
struct suppress {
	const char *list;
	char *const *from; /* files of entries that are open; - is stdin */
	const int *fd;
	int n_from;
	char *const *entry; /* operands */
	int n_entry;
};

/*
 * Run `suppress NAME`; the exit code, or -1 with err. There is such a command
 * if suppress_known says so.
 */
int suppress_command(struct spool *sp, const char *name,
    const struct suppress *s, struct verr *err);
/* Is there such a command, and may it have files? 0, or -1 (VEX_USAGE). */
int suppress_known(const char *name, const struct suppress *s,
    struct verr *err);

#endif
