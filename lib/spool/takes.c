/*
 * Whose mail a commit record still takes away. Until such a record is carried
 * out, the recipients may be in both places, so that nothing may be sent from
 * the old one. A record that is damaged is believed in its lines that say so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/commit.h"
#include "spool/list.h"
#include "spool/spool.h"

#define TAKES_MAX (1024U * 1024 * 1024)

struct takes {
	struct spool *sp;
	void (*cb)(void *arg, const char *vmta);
	void *arg;
	struct verr *err;
};

/* `take VMTA ...` */
static void
takes_line(struct takes *t, const char *line, size_t n)
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
takes_unknown(int errnum)
{
	return (errnum == EIO || errnum == EMFILE || errnum == ENFILE ||
	    errnum == ENOMEM || errnum == ESTALE);
}

/* A name in commit/. */
static int
takes_name(void *arg, const char *name)
{
	struct takes *t = arg;
	struct buf b = BUF_INIT;
	const char *p, *end, *nl;
	int rc = 0;

	if (!id_valid(name))
		return (0);
	if (file_read(t->sp->sys, t->sp->commit_fd, name, TAKES_MAX, &b,
		t->err) == -1)
		rc = takes_unknown(errno) ? -1 : 0;
	else
		for (p = buf_str(&b), end = p + b.len; p < end; p = nl + 1) {
			nl = memchr(p, '\n', (size_t)(end - p));
			nl = nl != NULL ? nl : end;
			takes_line(t, p, (size_t)(nl - p));
		}
	buf_release(&b);
	return (rc);
}

int
commit_takes(struct spool *sp, void (*cb)(void *arg, const char *vmta),
    void *arg, struct verr *err)
{
	struct takes t = { sp, cb, arg, err };

	return (spool_walk(sp, sp->commit_fd, takes_name, &t, err));
}
