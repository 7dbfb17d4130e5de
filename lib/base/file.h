/* Small whole files: read one, write one durably, list a directory. */
#ifndef VMTA_BASE_FILE_H
#define VMTA_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sys.h"

/*
 * Append all of dfd/path to ret_data; refuses symlinks, what is not a regular
 * file, and more than max bytes. 0; -1 with errno ENOENT where it is missing.
 */
int file_read(struct sys *sys, int dfd, const char *path, size_t max,
    struct buf *ret_data, struct verr *err);
/*
 * Is the open fd a regular file of this process's user with one link? What is
 * not was planted, and writing to it would write elsewhere. `what` names it
 * in err. 0, or -1 (VEX_IO, errno EINVAL).
 */
int file_own(struct sys *sys, int fd, const char *what, struct verr *err);
/*
 * Replace dfd/path by these bytes: temporary file `.path.PID` beside it,
 * fsync, rename, fsync of the directory dfd (path must have no slash). The
 * old content stays whole on every error.
 */
int file_write(struct sys *sys, int dfd, const char *path, const void *p,
    size_t n, struct verr *err);
/* As file_write without syncs, for what may be lost in a power failure. */
int file_write_fast(struct sys *sys, int dfd, const char *path, const void *p,
    size_t n, struct verr *err);
/* Open a directory below dfd, no symlink followed; fd, or -1 with errno. */
int file_open_dir(struct sys *sys, int dfd, const char *path);
/* mkdir unless it is there, then fsync dfd when it was made. 0 or -1. */
int file_make_dir(struct sys *sys, int dfd, const char *path, mode_t mode,
    struct verr *err);

#endif
