/* The directory of bad files, each with the reason beside it. */
#ifndef VMTA_SUBMIT_ASIDE_H
#define VMTA_SUBMIT_ASIDE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sys.h"

struct aside {
	struct sys *sys;
	int fd;	    /* -1: not open */
	char *path; /* for messages */
};

/*
 * Open the directory (made where it is missing, 0700), which must be on the
 * filesystem of the pickup directory dfd. 0 or -1 (VEX_CONFIG, VEX_TEMP,
 * VEX_IO). Release with aside_close whatever came back.
 */
int aside_open(struct sys *sys, const char *path, int dfd, struct aside *ret_a,
    struct verr *err);
void aside_close(struct aside *a);

/*
 * Move dfd/name there, under a name of its own (*ret_name), and the reason
 * (whole lines) beside it, durably but for dfd. 0; 1: it is gone; -1 with
 * err, where it stays.
 */
int aside_put(struct aside *a, int dfd, const char *name, const struct buf *why,
    struct buf *ret_name, struct verr *err);

#endif
