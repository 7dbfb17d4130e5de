/*
 * Which addresses does this machine have? A seam: tests and the simulator
 * bring their own.
 */
#ifndef VMTA_SHAPE_NETCHECK_H
#define VMTA_SHAPE_NETCHECK_H

#include <sys/socket.h>
#include <stdbool.h>

#include "base/err.h"

typedef void netcheck_each(void *arg, const struct sockaddr *sa);

struct netcheck {
	/* Can connections leave from sa (port ignored) right now? */
	bool (*local)(struct netcheck *nc, const struct sockaddr *sa);
	/* Call each for every address of every interface. 0, or -1: errno. */
	int (*list)(struct netcheck *nc, netcheck_each *each, void *arg);
	void (*free)(struct netcheck *nc);
};

/*
 * The real one asks the kernel's routing table through one rtnetlink socket,
 * some 10 microseconds a question: exact right after an address is deleted,
 * and whatever ip_nonlocal_bind says. IPv6 addresses that are tentative or
 * failed duplicate detection are not usable. An answer that cannot be had is
 * "no". Make one per process, after the fork. NULL with err (VEX_TEMP or
 * VEX_IO) when the kernel gives no socket; free with nc->free(nc).
 */
struct netcheck *netcheck_new(struct verr *err);

/* As nc->local; for dns_query.is_own, with the struct netcheck as arg. */
bool source_local(void *netcheck, const struct sockaddr *sa);

#endif
