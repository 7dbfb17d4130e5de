/*
 * The spool's tree and the names that may be in it.
 *
 * Everything below the root is reached from a descriptor, a component at a
 * time, with O_NOFOLLOW: a name that was validated has no slash, and a
 * symlink in the spool is never ours. Whoever may write in the spool could
 * have mail sent in any name, so a spool that others may write is refused.
 *
 * What is missing is made (0700) and its parent synced; a crash between
 * leaves less than the tree, which the next call completes. Until its parent
 * is synced a directory has the sticky bit, which means nothing else where
 * only one user writes: so who comes upon one that another process has made a
 * moment ago, or was killed after it had, knows that his mail in it is not
 * safe before he has synced its parent himself.
 */
#include <sys/statvfs.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/area.h"
#include "spool/spool.h"

/* The mode of a directory whose parent is not synced. */
#define SPOOL_DIR_NEW (S_ISVTX | 0700)

/* Is the open directory ours alone to write? */
static int
spool_secure(struct spool *sp, int fd, const char *name, struct verr *err)
{
	struct stat st;

	if (sp->sys->fstat(sp->sys, fd, &st) == -1)
		return (verr_sys(err, "stat %s/%s", sp->path, name));
	if (st.st_uid != geteuid())
		return (verr_set(err, VEX_CONFIG,
		    "spool %s/%s belongs to uid %ld, this is uid %ld", sp->path,
		    name, (long)st.st_uid, (long)geteuid()));
	if ((st.st_mode & 022) != 0)
		return (verr_set(err, VEX_CONFIG,
		    "spool %s/%s is writable by group or others (mode %04o):"
		    " chmod go-w",
		    sp->path, name, (unsigned int)(st.st_mode & 07777)));
	return (0);
}

/* Open one directory of the tree; made when it is missing. */
static int
spool_part(struct spool *sp, const char *name, int *ret_fd, struct verr *err)
{
	bool made = false;

	*ret_fd = spool_dir_make(sp, sp->fd, name, &made, err);
	/* looked at before its mode is set */
	if (*ret_fd == -1 || spool_secure(sp, *ret_fd, name, err) == -1)
		return (-1);
	if (made && sp->sys->fsync(sp->sys, sp->fd) == -1)
		return (verr_sys(err, "sync %s", sp->path));
	if (made)
		spool_dir_durable(sp, *ret_fd);
	return (0);
}

/* Is its name perhaps not durable? */
static bool
spool_dir_new(struct spool *sp, int fd)
{
	struct stat st;

	return (sp->sys->fstat(sp->sys, fd, &st) == -1 ||
	    (st.st_mode & S_ISVTX) != 0);
}

/*
 * The name of the root becomes durable. Where its parent may not be read, that
 * is left to the filesystem.
 */
static int
spool_root_sync(struct spool *sp, struct verr *err)
{
	struct sys *sys = sp->sys;
	int fd, rc = 0;

	fd = sys->openat(sys, sp->fd, "..", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1 && errno != EACCES)
		return (verr_sys(err, "open what holds %s", sp->path));
	if (fd != -1 && sys->fsync(sys, fd) == -1)
		rc = verr_sys(err, "sync what holds %s", sp->path);
	if (fd != -1)
		(void)sys->close(sys, fd);
	if (rc == 0)
		spool_dir_durable(sp, sp->fd);
	return (rc);
}

/* Open the root, made when it is missing (its parent must be there). */
static int
spool_root(struct spool *sp, struct verr *err)
{
	struct sys *sys = sp->sys;
	int flags = O_RDONLY | O_DIRECTORY;

	sp->fd = sys->openat(sys, AT_FDCWD, sp->path, flags, 0);
	if (sp->fd == -1 && errno == ENOENT) {
		if (sys->mkdirat(sys, AT_FDCWD, sp->path, SPOOL_DIR_NEW) ==
			-1 &&
		    errno != EEXIST)
			return (verr_sys(err, "make spool %s", sp->path));
		sp->fd = sys->openat(sys, AT_FDCWD, sp->path, flags, 0);
	}
	if (sp->fd == -1)
		return (verr_sys(err, "open spool %s", sp->path));
	if (spool_secure(sp, sp->fd, "", err) == -1)
		return (-1);
	return (spool_dir_new(sp, sp->fd) ? spool_root_sync(sp, err) : 0);
}

int
spool_open(struct sys *sys, const char *path, struct spool **ret_sp,
    struct verr *err)
{
	struct spool *sp = xmalloc(sizeof(*sp));
	int pickup = -1;

	*sp = (struct spool) { .sys = sys,
		.path = xstrdup(path),
		.fd = -1,
		.queue_fd = -1,
		.commit_fd = -1,
		.content_fd = -1,
		.acct_fd = -1,
		.control_fd = -1,
		.state_fd = -1,
		.bad_fd = -1 };
	if (spool_root(sp, err) == -1 ||
	    spool_part(sp, "queue", &sp->queue_fd, err) == -1 ||
	    spool_part(sp, "commit", &sp->commit_fd, err) == -1 ||
	    spool_part(sp, "content", &sp->content_fd, err) == -1 ||
	    spool_part(sp, "acct", &sp->acct_fd, err) == -1 ||
	    spool_part(sp, "control", &sp->control_fd, err) == -1 ||
	    spool_part(sp, "state", &sp->state_fd, err) == -1 ||
	    spool_part(sp, "bad", &sp->bad_fd, err) == -1 ||
	    spool_part(sp, "pickup", &pickup, err) == -1) {
		if (pickup != -1)
			(void)sys->close(sys, pickup);
		spool_close(sp);
		return (-1);
	}
	(void)sys->close(sys, pickup);
	*ret_sp = sp;
	return (0);
}

void
spool_close(struct spool *sp)
{
	int *fd[8], saved = errno;
	size_t i;

	if (sp == NULL)
		return;
	fd[0] = &sp->fd;
	fd[1] = &sp->queue_fd;
	fd[2] = &sp->commit_fd;
	fd[3] = &sp->content_fd;
	fd[4] = &sp->acct_fd;
	fd[5] = &sp->control_fd;
	fd[6] = &sp->state_fd;
	fd[7] = &sp->bad_fd;
	for (i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		if (*fd[i] != -1)
			(void)sp->sys->close(sp->sys, *fd[i]);
	area_release(sp);
	map_release(&sp->stuck, NULL);
	free(sp->path);
	free(sp);
	errno = saved;
}

int
spool_room(struct spool *sp, uint64_t min_bytes, uint64_t min_inodes,
    struct verr *err)
{
	struct statvfs st;

	if (fstatvfs(sp->fd, &st) == -1)
		return (verr_sys(err, "statvfs %s", sp->path));
	if ((uint64_t)st.f_bavail * st.f_frsize < min_bytes)
		return (verr_set(err, VEX_TEMP,
		    "spool %s has %llu bytes left, less than %llu", sp->path,
		    (unsigned long long)st.f_bavail * st.f_frsize,
		    (unsigned long long)min_bytes));
	/* filesystems without a fixed number of inodes say 0 of 0 */
	if (st.f_files > 0 && (uint64_t)st.f_favail < min_inodes)
		return (verr_set(err, VEX_TEMP,
		    "spool %s has %llu inodes left, less than %llu", sp->path,
		    (unsigned long long)st.f_favail,
		    (unsigned long long)min_inodes));
	return (0);
}

/* Letters and digits, ASCII, whatever the locale. */
static bool
spool_alnum(char c)
{
	return ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z'));
}

bool
spool_vmta_valid(const char *s)
{
	size_t i;

	if (!spool_alnum(s[0]))
		return (false);
	for (i = 1; s[i] != '\0'; i++)
		if (i >= SPOOL_VMTA_MAX ||
		    (!spool_alnum(s[i]) && strchr("._-", s[i]) == NULL))
			return (false);
	return (true);
}

/* `[127.0.0.1]`, `[ipv6:::1]`, exactly as inet_ntop writes them. */
static bool
spool_literal_valid(const char *s)
{
	char want[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN];
	unsigned char addr[16];
	int family = AF_INET;
	size_t n;

	s++;
	if (strncmp(s, "ipv6:", 5) == 0) {
		family = AF_INET6;
		s += 5;
	}
	n = strlen(s);
	if (n < 2 || n > sizeof(text) || s[n - 1] != ']')
		return (false);
	memcpy(text, s, n - 1);
	text[n - 1] = '\0';
	return (inet_pton(family, text, addr) == 1 &&
	    inet_ntop(family, addr, want, sizeof(want)) != NULL &&
	    strcmp(text, want) == 0);
}

bool
spool_domain_valid(const char *s)
{
	size_t i, label = 0;

	if (s[0] == '[')
		return (spool_literal_valid(s));
	if (s[0] == '-')
		return (false);
	for (i = 0; s[i] != '\0'; i++) {
		if (i >= SPOOL_DOMAIN_MAX)
			return (false);
		if (s[i] == '.') {
			if (label == 0)
				return (false);
			label = 0;
		} else if ((!spool_alnum(s[i]) && s[i] != '-' && s[i] != '_') ||
		    (s[i] >= 'A' && s[i] <= 'Z') || ++label > 63) {
			return (false);
		}
	}
	return (label > 0);
}

int
spool_queue_split(const char *queue, char ret_domain[SPOOL_DOMAIN_MAX + 1],
    char ret_vmta[SPOOL_VMTA_MAX + 1])
{
	const char *slash = strchr(queue, '/');
	size_t n;

	if (slash == NULL || !spool_vmta_valid(slash + 1))
		return (-1);
	n = (size_t)(slash - queue);
	if (n > SPOOL_DOMAIN_MAX)
		return (-1);
	memcpy(ret_domain, queue, n);
	ret_domain[n] = '\0';
	if (!spool_domain_valid(ret_domain))
		return (-1);
	memcpy(ret_vmta, slash + 1, strlen(slash + 1) + 1);
	return (0);
}

int
spool_dir(struct spool *sp, int dfd, const char *name, struct verr *err)
{
	int fd = file_open_dir(sp->sys, dfd, name);

	if (fd == -1)
		return (verr_sys(err, "open directory %s", name));
	return (fd);
}

int
spool_dir_make(struct spool *sp, int dfd, const char *name, bool *ret_made,
    struct verr *err)
{
	struct sys *sys = sp->sys;
	int fd, i;

	/* an owner may remove an empty one between our two calls */
	for (i = 0; i < 1000; i++) {
		fd = file_open_dir(sys, dfd, name);
		if (fd != -1) {
			if (ret_made != NULL && !*ret_made)
				*ret_made = spool_dir_new(sp, fd);
			return (fd);
		}
		if (errno != ENOENT)
			break;
		if (sys->mkdirat(sys, dfd, name,
			ret_made != NULL ? SPOOL_DIR_NEW : 0700) == 0) {
			if (ret_made != NULL)
				*ret_made = true;
		} else if (errno != EEXIST) {
			return (verr_sys(err, "make directory %s", name));
		}
	}
	return (verr_sys(err, "open directory %s", name));
}

void
spool_dir_durable(struct spool *sp, int fd)
{
	int saved = errno;

	/* if that fails, somebody syncs once more than he must */
	(void)sp->sys->fchmod(sp->sys, fd, 0700);
	errno = saved;
}
