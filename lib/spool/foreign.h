/* What is in the spool and was not made by vmta, or is not its own. */
#ifndef VMTA_SPOOL_FOREIGN_H
#define VMTA_SPOOL_FOREIGN_H

#include "base/err.h"

struct spool;

/*
 * Look at what kind everything below the spool is, without opening it: links,
 * FIFOs and the like, files with several links, other owners, directories
 * that others may write in, a file where a directory belongs and the other
 * way round. cb is called with the path below the spool and one line. Batch
 * files, and what pickup/ and bad/ hold, are left to others. 0 or -1.
 */
int foreign_walk(struct spool *sp,
    void (*cb)(void *arg, const char *path, const char *what), void *arg,
    struct verr *err);

#endif
