/*
 * One way to report errors: a function returns -1 and fills the caller's
 * struct verr; the tool prints its text and exits with its code.
 */
#ifndef VMTA_BASE_ERR_H
#define VMTA_BASE_ERR_H

#include <stdarg.h>

/* Exit codes: sysexits, and EX_PART for "nothing found" or "part accepted". */
enum {
	VEX_OK = 0,
	VEX_PART = 1,
	VEX_USAGE = 64,
	VEX_DATA = 65,
	VEX_NOUSER = 67,
	VEX_NOHOST = 68,
	VEX_UNAVAILABLE = 69,
	VEX_SOFTWARE = 70,
	VEX_IO = 74,
	VEX_TEMP = 75,
	VEX_CONFIG = 78
};

struct verr {
	int code;	 /* sysexits code, 0: no error */
	int err;	 /* errno behind it, 0: none */
	char text[1024]; /* one line, without newline */
};

#define VERR_INIT        \
	{                \
		0, 0, "" \
	}

/* Fill err (may be NULL) with a code and a text; returns -1. errno is kept. */
int verr_set(struct verr *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * As verr_set, and appends ": strerror(errno)". The code is VEX_TEMP where
 * errno names a shortage that a later call may find cured (disk or inodes
 * full, descriptors, memory, read-only, locks), else VEX_IO.
 */
int verr_sys(struct verr *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The sysexits code for an errno, as verr_sys chooses it. */
int verr_code(int errnum);

/* Put "what: " before the text that is there; returns -1. */
int verr_prefix(struct verr *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
