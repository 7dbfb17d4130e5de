/*
 * vmta-inject may be set-uid to the spool's owner, so that everybody can
 * submit and nobody can touch the spool. What the caller hands over that is
 * not mail is thrown away here (environment, limits of descriptors and
 * signals), and his files are opened with his own rights.
 *
 * Real uid: the caller. Effective uid: the spool's owner; files are made with
 * it. Where root runs us without the bit, we make it so ourselves, and no file
 * of root's appears in the spool of another.
 */
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmta-inject.h"

/*
 * Descriptors 0 to 2 are something, so that no spool file becomes one. A
 * standard input that was closed cannot be read: it is no empty message.
 */
static void
rights_descriptors(int temp)
{
	int fd, got;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			continue;
		got = open("/dev/null", fd == 0 ? O_WRONLY : O_RDWR);
		if (got != fd)
			_exit(temp);
	}
}

/* Defaults; what is ignored by the caller's will stays so (nohup, `&`). */
static void
rights_signals(void)
{
	struct sigaction old, dfl = { .sa_handler = SIG_DFL };
	struct sigaction ign = { .sa_handler = SIG_IGN };
	sigset_t none;
	int i;

	for (i = 1; i < NSIG; i++) {
		if ((i == SIGINT || i == SIGHUP || i == SIGQUIT) &&
		    sigaction(i, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(i, &dfl, NULL);
	}
	/* these shall be errors of write(2) */
	(void)sigaction(SIGPIPE, &ign, NULL);
	(void)sigaction(SIGXFSZ, &ign, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The caller's name, his number when he has none. */
static void
rights_user(struct rights *r)
{
	const struct passwd *pw = getpwuid(r->uid);

	if (pw != NULL && pw->pw_name[0] != '\0')
		(void)snprintf(r->user, sizeof(r->user), "%s", pw->pw_name);
	else
		(void)snprintf(r->user, sizeof(r->user), "%lu",
		    (unsigned long)r->uid);
	(void)snprintf(r->source, sizeof(r->source), "user:%s", r->user);
}

void
rights_init(struct rights *r, int temp)
{
	const struct rlimit none = { 0, 0 };

	r->secure = getauxval(AT_SECURE) != 0 || getuid() != geteuid();
	r->uid = getuid();
	rights_descriptors(temp);
	rights_signals();
	(void)umask(077);
	if (setrlimit(RLIMIT_CORE, &none) == -1 ||
	    (r->secure && clearenv() != 0))
		_exit(temp);
	rights_user(r);
}

int
rights_conf_ok(const struct rights *r, const char *file, struct verr *err)
{
	struct stat st;

	if (!r->secure)
		return (0);
	/* a link to us elsewhere must not bring rules of its own */
	if (stat(file, &st) == -1)
		return (verr_set(err, VEX_CONFIG, "%s: cannot be read", file));
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & 022) != 0)
		return (verr_set(err, VEX_CONFIG,
		    "%s: writable by others: not used set-uid", file));
	return (0);
}

int
rights_become_owner(const struct conf *c, struct verr *err)
{
	const char *path = conf_spool(c);
	struct stat st;

	if (stat(path, &st) == -1) {
		/* spool_open makes it, or says why it cannot */
		st.st_uid = geteuid();
	}
	if (st.st_uid == geteuid())
		return (0);
	if (geteuid() != 0)
		return (verr_set(err, VEX_CONFIG,
		    "spool %s belongs to "
		    "another user, and vmta-inject is not set-uid to him",
		    path));
	if (setgroups(0, NULL) == -1 || setegid(st.st_gid) == -1 ||
	    seteuid(st.st_uid) == -1)
		return (verr_sys(err, "become the owner of %s", path));
	return (0);
}

int
rights_open(const char *path, int flags, mode_t mode, struct verr *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int fd = -1;

	if (seteuid(getuid()) == 0 && setegid(getgid()) == 0)
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
	if (fd == -1)
		(void)verr_sys(err, "%s", path);
	if (setegid(gid) == -1 || seteuid(uid) == -1)
		_exit(VEX_IO); /* never go on as somebody else */
	return (fd);
}
