/*
 * The wake-up: injectors append the queues that they put something in to the
 * file spool/trigger; runs read what is new in it (inotify tells them when:
 * it is always the same file). Losing it costs only a look.
 */
#ifndef VMTA_SPOOL_TRIGGER_H
#define VMTA_SPOOL_TRIGGER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct spool;
struct trigger_reader;

/*
 * Append n octets of lines: `DOMAIN/VMTA` (`*` as the domain: more than can
 * be named) or `*`, each with its LF. 0 or -1.
 */
int trigger_append(struct spool *sp, const char *lines, size_t n,
    struct verr *err);
/* Append `*`: whoever owns something shall look at everything. 0 or -1. */
int trigger_mark(struct spool *sp, struct verr *err);

/*
 * A reader that begins at the present end: open it, then look at everything
 * once. 0 or -1. Free with trigger_reader_close.
 */
int trigger_reader_open(struct spool *sp, struct trigger_reader **ret_r,
    struct verr *err);
void trigger_reader_close(struct trigger_reader *r);
/*
 * Call cb for each queue announced since the last poll; domain is "*" for
 * all of a VirtualMTA's. *ret_all: look at everything (a mark, a
 * new generation, a line that makes no sense). Never waits. 0 or -1.
 */
int trigger_poll(struct trigger_reader *r,
    void (*cb)(void *arg, const char *domain, const char *vmta), void *arg,
    bool *ret_all, struct verr *err);

#endif
