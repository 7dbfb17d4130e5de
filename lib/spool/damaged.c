/*
 * Whose mail a commit record takes away that is damaged. Nobody can carry it
 * out, and its recipients may be in both places: nothing may be sent from the
 * old one. What is left of its lines is believed. (A whole record that cannot
 * be carried out names its batches: commit_stuck.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/commit.h"
#include "spool/list.h"
#include "spool/record.h"
#include "spool/spool.h"

#define DAMAGED_MAX (1024U * 1024 * 1024)

struct damaged {
	struct spool *sp;
	void (*cb)(void *arg, const char *vmta);
	void *arg;
	struct verr *err;
};

/* `take VMTA ...` */
static void
damaged_line(struct damaged *t, const char *line, size_t n)
{
	char *vmta;

	if (n < 5 || memcmp(line, "take ", 5) != 0)
		return;
	vmta = xstrndup(line + 5, n - 5);
	vmta[strcspn(vmta, " ")] = '\0';
	t->cb(t->arg, vmta);
	free(vmta);
}

/*
 * Is it this machine that cannot read a record? What is planted there (a link,
 * a FIFO) is none.
 */
static bool
damaged_unknown(int errnum)
{
	return (errnum == EIO || errnum == EMFILE || errnum == ENFILE ||
	    errnum == ENOMEM || errnum == ESTALE);
}

/* A name in commit/. */
static int
damaged_name(void *arg, const char *name)
{
	struct damaged *t = arg;
	struct buf b = BUF_INIT;
	struct record r;
	const char *p, *end, *nl;
	int rc = 0;

	if (!id_valid(name))
		return (0);
	if (file_read(t->sp->sys, t->sp->commit_fd, name, DAMAGED_MAX, &b,
		t->err) == -1)
		rc = damaged_unknown(errno) ? -1 : 0;
	else if (commit_record_parse(b.p, b.len, &r) == 0)
		commit_record_release(&r);
	else
		for (p = buf_str(&b), end = p + b.len; p < end; p = nl + 1) {
			nl = memchr(p, '\n', (size_t)(end - p));
			nl = nl != NULL ? nl : end;
			damaged_line(t, p, (size_t)(nl - p));
		}
	buf_release(&b);
	return (rc);
}

int
commit_damaged(struct spool *sp, void (*cb)(void *arg, const char *vmta),
    void *arg, struct verr *err)
{
	struct damaged t = { sp, cb, arg, err };

	return (spool_walk(sp, sp->commit_fd, damaged_name, &t, err));
}
