/*
 * The trigger. Its first line is a generation:
 *
 *	vmta-trigger ID
 *	DOMAIN/VMTA
 *	*
 *
 * Writers append under a flock; at 256 KiB one begins a new generation in
 * the same file. Readers take no lock (a stopped writer must not stop them):
 * they read the generation before and after, and only whole lines; whatever
 * else they see means `look at everything`, which is always right. A writer
 * that died in the middle of a line leaves a piece that the next one ends,
 * and that makes no sense to readers: the same.
 *
 * It is a hint and no more. So whatever has its name and is not a regular
 * file of our own with one link (a FIFO would stop us, a link would lead us
 * to write elsewhere) is removed and made anew; a reader sees that the file
 * is another one, and looks at everything.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/id.h"
#include "base/mem.h"
#include "spool/spool.h"
#include "spool/trigger.h"

#define TRIGGER_MAX (256 * 1024)
/* Something else may be put in its place between two calls of ours. */
#define TRIGGER_TRIES 3
#define TRIGGER_HEAD "vmta-trigger "
/* Octets of the first line. */
#define TRIGGER_FIRST (sizeof(TRIGGER_HEAD) - 1 + ID_LEN + 1)

struct trigger_reader {
	struct spool *sp;
	int fd;
	off_t off; /* what is before it was read */
	char first[TRIGGER_FIRST];
};

/* Open the file, made when it is missing, and anew when it is not ours. */
static int
trigger_file(struct spool *sp, int flags, struct verr *err)
{
	struct sys *sys = sp->sys;
	int fd, i;

	for (i = 0; i < TRIGGER_TRIES; i++) {
		fd = sys->openat(sys, sp->fd, "trigger",
		    flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd != -1 && file_own(sys, fd, "trigger", err) == 0)
			return (fd);
		if (fd != -1)
			(void)sys->close(sys, fd);
		else if (errno != ELOOP && errno != ENXIO)
			return (verr_sys(err, "open trigger"));
		if (sys->unlinkat(sys, sp->fd, "trigger", 0) == -1 &&
		    errno != ENOENT)
			return (verr_sys(err, "remove trigger"));
	}
	return (-1);
}

/* A new generation; its second line says to look at everything. */
static int
trigger_begin(struct spool *sp, int fd)
{
	struct buf b = BUF_INIT;
	struct id id;
	int rc = -1;

	if (id_new(sp->sys, &id) == 0 &&
	    sp->sys->ftruncate(sp->sys, fd, 0) == 0) {
		buf_addf(&b, TRIGGER_HEAD "%s\n*\n", id.s);
		rc = sys_pwrite_all(sp->sys, fd, b.p, b.len, 0);
	}
	buf_release(&b);
	return (rc);
}

/* Append to the locked file. 0 or -1 with errno. */
static int
trigger_write(struct spool *sp, int fd, const char *lines, size_t n)
{
	struct sys *sys = sp->sys;
	struct stat st;
	off_t end;
	char last;

	if (sys->fstat(sys, fd, &st) == -1)
		return (-1);
	end = st.st_size;
	if (end < (off_t)TRIGGER_FIRST || end + (off_t)n > TRIGGER_MAX)
		return (trigger_begin(sp, fd));
	if (sys->pread(sys, fd, &last, 1, end - 1) != 1)
		return (-1);
	if (last != '\n' && sys_pwrite_all(sys, fd, "\n", 1, end++) == -1)
		return (-1);
	return (sys_pwrite_all(sys, fd, lines, n, end));
}

int
trigger_append(struct spool *sp, const char *lines, size_t n, struct verr *err)
{
	int fd, rc;

	if ((fd = trigger_file(sp, O_RDWR, err)) == -1)
		return (-1);
	do {
		rc = flock(fd, LOCK_EX);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0)
		rc = trigger_write(sp, fd, lines, n);
	if (rc == -1)
		(void)verr_sys(err, "write trigger");
	(void)sp->sys->close(sp->sys, fd);
	return (rc);
}

int
trigger_mark(struct spool *sp, struct verr *err)
{
	return (trigger_append(sp, "*\n", 2, err));
}

/* The first line as it is now; zeros when there is no whole one. */
static int
reader_first(struct trigger_reader *r, char ret_first[TRIGGER_FIRST])
{
	ssize_t n;

	memset(ret_first, 0, TRIGGER_FIRST);
	n = sys_pread_all(r->sp->sys, r->fd, ret_first, TRIGGER_FIRST, 0);
	if (n != (ssize_t)TRIGGER_FIRST)
		memset(ret_first, 0, TRIGGER_FIRST);
	return (n == -1 ? -1 : 0);
}

/* Begin at the present end of the present generation. */
static int
reader_rewind(struct trigger_reader *r, struct verr *err)
{
	struct stat st;

	if (reader_first(r, r->first) == -1 ||
	    r->sp->sys->fstat(r->sp->sys, r->fd, &st) == -1)
		return (verr_sys(err, "read trigger"));
	r->off = st.st_size;
	return (0);
}

int
trigger_reader_open(struct spool *sp, struct trigger_reader **ret_r,
    struct verr *err)
{
	struct trigger_reader *r;
	int fd;

	if ((fd = trigger_file(sp, O_RDONLY, err)) == -1)
		return (-1);
	r = xcalloc(1, sizeof(*r));
	r->sp = sp;
	r->fd = fd;
	if (reader_rewind(r, err) == -1) {
		trigger_reader_close(r);
		return (-1);
	}
	*ret_r = r;
	return (0);
}

void
trigger_reader_close(struct trigger_reader *r)
{
	if (r == NULL)
		return;
	(void)r->sp->sys->close(r->sp->sys, r->fd);
	free(r);
}

/* One line; false when it says, or must be taken, to look at everything. */
static bool
reader_line(const char *line,
    void (*cb)(void *arg, const char *domain, const char *vmta), void *arg)
{
	char domain[SPOOL_DOMAIN_MAX + 1], vmta[SPOOL_VMTA_MAX + 1];

	if (strncmp(line, "*/", 2) == 0 && spool_vmta_valid(line + 2)) {
		cb(arg, "*", line + 2);
		return (true);
	}
	if (spool_queue_split(line, domain, vmta) == -1)
		return (false);
	cb(arg, domain, vmta);
	return (true);
}

/* Whole lines of b; *ret_all as for trigger_poll. Octets used. */
static size_t
reader_lines(struct buf *b,
    void (*cb)(void *arg, const char *domain, const char *vmta), void *arg,
    bool *ret_all)
{
	char *p = b->p, *nl;
	size_t left = b->len;

	while (left > 0 && (nl = memchr(p, '\n', left)) != NULL) {
		*nl = '\0';
		if (!reader_line(p, cb, arg))
			*ret_all = true;
		left -= (size_t)(nl - p) + 1;
		p = nl + 1;
	}
	return (b->len - left);
}

/* Is the open file not the trigger any more? Open what is: 1; 0 or -1. */
static int
reader_moved(struct trigger_reader *r, struct verr *err)
{
	struct sys *sys = r->sp->sys;
	struct stat st, now;
	int fd;

	if (sys->fstat(sys, r->fd, &st) == -1)
		return (verr_sys(err, "stat trigger"));
	if (sys->fstatat(sys, r->sp->fd, "trigger", &now,
		AT_SYMLINK_NOFOLLOW) == 0 &&
	    now.st_ino == st.st_ino && now.st_dev == st.st_dev)
		return (0);
	if ((fd = trigger_file(r->sp, O_RDONLY, err)) == -1)
		return (-1);
	(void)sys->close(sys, r->fd);
	r->fd = fd;
	return (1);
}

int
trigger_poll(struct trigger_reader *r,
    void (*cb)(void *arg, const char *domain, const char *vmta), void *arg,
    bool *ret_all, struct verr *err)
{
	char before[TRIGGER_FIRST], after[TRIGGER_FIRST];
	struct buf b = BUF_INIT;
	struct stat st;
	ssize_t n = 0;
	int moved;

	*ret_all = false;
	if ((moved = reader_moved(r, err)) != 0) {
		*ret_all = moved == 1;
		return (moved == 1 ? reader_rewind(r, err) : -1);
	}
	if (reader_first(r, before) == -1 ||
	    r->sp->sys->fstat(r->sp->sys, r->fd, &st) == -1)
		return (verr_sys(err, "read trigger"));
	if (st.st_size > r->off && st.st_size - r->off <= TRIGGER_MAX) {
		n = sys_pread_all(r->sp->sys, r->fd,
		    buf_room(&b, (size_t)(st.st_size - r->off)),
		    (size_t)(st.st_size - r->off), r->off);
		b.len = n > 0 ? (size_t)n : 0;
	}
	if (n == -1 || reader_first(r, after) == -1) {
		buf_release(&b);
		return (verr_sys(err, "read trigger"));
	}
	if (memcmp(before, r->first, sizeof(before)) != 0 ||
	    memcmp(after, r->first, sizeof(after)) != 0 ||
	    st.st_size < r->off || st.st_size - r->off > TRIGGER_MAX) {
		*ret_all = true;
		buf_release(&b);
		return (reader_rewind(r, err));
	}
	r->off += (off_t)reader_lines(&b, cb, arg, ret_all);
	buf_release(&b);
	return (0);
}
