/* The file of a suppression list: for suplist.c and supmake.c only. */
#ifndef VMTA_SPOOL_SUPLIST_INT_H
#define VMTA_SPOOL_SUPLIST_INT_H

#include <inttypes.h>

#include "spool/suplist.h"

#define SUPLIST_VERSION 1
/* The version follows, and how many entries there are of each kind. */
#define SUPLIST_HEAD "vmta-suppress "

/* The line at the end: octets of the file, this line too. */
#define SUPLIST_END "END %016" PRIu64 "\n"
#define SUPLIST_END_LEN 21
/* The least that a database has, and the most that it can have. */
#define SUPLIST_LEAST (2048 + SUPLIST_END_LEN)
#define SUPLIST_MOST (UINT32_MAX + (uint64_t)SUPLIST_END_LEN)

#endif
