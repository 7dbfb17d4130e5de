/*
 * The seams: clock, randomness, connect and the spool's system calls behind
 * one table per context. Real code takes sys_real(); unit tests, fault
 * injection and the simulator bring tables of their own. No environment
 * variable changes what the installed tools do.
 */
#ifndef VMTA_BASE_SYS_H
#define VMTA_BASE_SYS_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>

struct resolver;

/*
 * Every member has the meaning and the errors of the system call it is named
 * after; the first argument is the table itself, for tables with state.
 */
struct sys {
	/* Microseconds of CLOCK_MONOTONIC: time-outs and rates. */
	int64_t (*mono)(struct sys *s);
	/* Microseconds since 1970 UTC: what is written to disk. */
	int64_t (*wall)(struct sys *s);
	/* Fill buf with kernel randomness; 0, or -1 with errno. No fallback. */
	int (*random)(struct sys *s, void *buf, size_t len);

	int (*openat)(struct sys *s, int dfd, const char *path, int flags,
	    mode_t mode);
	int (*close)(struct sys *s, int fd);
	ssize_t (*read)(struct sys *s, int fd, void *p, size_t n);
	ssize_t (*write)(struct sys *s, int fd, const void *p, size_t n);
	ssize_t (*pread)(struct sys *s, int fd, void *p, size_t n, off_t off);
	ssize_t (*pwrite)(struct sys *s, int fd, const void *p, size_t n,
	    off_t off);
	int (*fsync)(struct sys *s, int fd);
	int (*fdatasync)(struct sys *s, int fd);
	int (*syncfs)(struct sys *s, int fd);
	int (*renameat)(struct sys *s, int ofd, const char *o, int nfd,
	    const char *n);
	/* renameat2 with RENAME_NOREPLACE: EEXIST where n is there. */
	int (*rename_new)(struct sys *s, int ofd, const char *o, int nfd,
	    const char *n);
	int (*linkat)(struct sys *s, int ofd, const char *o, int nfd,
	    const char *n);
	int (*unlinkat)(struct sys *s, int dfd, const char *path, int flags);
	int (*mkdirat)(struct sys *s, int dfd, const char *path, mode_t mode);
	int (*fchmod)(struct sys *s, int fd, mode_t mode);
	int (*ftruncate)(struct sys *s, int fd, off_t len);
	int (*fallocate)(struct sys *s, int fd, int mode, off_t off, off_t len);
	int (*fstat)(struct sys *s, int fd, struct stat *st);
	int (*fstatat)(struct sys *s, int dfd, const char *path,
	    struct stat *st, int flags);

	int (*socket)(struct sys *s, int family, int type, int proto);
	int (*bind)(struct sys *s, int fd, const struct sockaddr *sa,
	    socklen_t len);
	int (*connect)(struct sys *s, int fd, const struct sockaddr *sa,
	    socklen_t len);

	/* DNS; NULL until lib/dns (or a test) puts one here. */
	struct resolver *resolver;
};

/* A table of the real calls, for the life of the process. */
struct sys *sys_real(void);
/* Fill s with the real calls, for tables that change a few of them. */
void sys_init(struct sys *s);

/* Whole seconds of the wall clock, UTC. */
int64_t sys_now(struct sys *s);

/* Write all n bytes, through short writes and EINTR; 0, or -1 with errno. */
int sys_write_all(struct sys *s, int fd, const void *p, size_t n);
int sys_pwrite_all(struct sys *s, int fd, const void *p, size_t n, off_t off);
/* Read n bytes or up to the end of the file; bytes read, or -1. */
ssize_t sys_pread_all(struct sys *s, int fd, void *p, size_t n, off_t off);

#endif
