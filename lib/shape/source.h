/*
 * The addresses that a VirtualMTA sends from. smtp-source-host names single
 * addresses and networks; a network stands for those of its addresses that
 * this machine has. No address is handed out unless the kernel says, at that
 * moment, that it is local: with ip_nonlocal_bind set a bind alone would not
 * tell.
 */
#ifndef VMTA_SHAPE_SOURCE_H
#define VMTA_SHAPE_SOURCE_H

#include <sys/socket.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shape/netcheck.h"

#define SOURCE_TEXT INET6_ADDRSTRLEN

/* One address to bind to. */
struct source {
	struct sockaddr_storage addr; /* port 0 */
	socklen_t len;
	char *ehlo;		/* name for EHLO; the set's */
	char text[SOURCE_TEXT]; /* as inet_ntop writes it */
};

struct conf_addr; /* conf/conf.h */
struct source_set;

/* Families of a set, as bits. */
#define SOURCE_V4 1u
#define SOURCE_V6 2u

/*
 * The set of n configured entries, copied; nc must outlive it. Networks are
 * expanded here, and again when the machine's addresses may have changed
 * (source_refresh; a source_next that found nothing is a good moment). Never
 * NULL; free it with source_set_free.
 */
struct source_set *source_set_new(struct netcheck *nc,
    const struct conf_addr *conf, size_t n);
void source_set_free(struct source_set *s);
/*
 * Expand networks again; sources handed out before are gone. True: it is
 * another list, their numbers for source_at are others.
 */
bool source_refresh(struct source_set *s);

/* Single addresses, and what the networks gave. */
size_t source_count(const struct source_set *s);
/* i < source_count. Valid until source_refresh or source_set_free. */
const struct source *source_at(const struct source_set *s, size_t i);

/* Families that are configured at all, usable or not. */
unsigned source_families(const struct source_set *s);
/* Families with at least one address that is local right now. */
unsigned source_usable(const struct source_set *s);

/*
 * The source of the next connection to a peer of this family: `prefer` (text
 * of an address, NULL or "": none) if it is in the set and local; else, of
 * the addresses of the family, number counter modulo their count, or the next
 * one after it that is local. NULL when none is.
 * *ret_missing (may be NULL) is the first address that was passed over since
 * it is not on this machine, or NULL.
 */
const struct source *source_next(const struct source_set *s, int family,
    uint64_t counter, const char *prefer, const struct source **ret_missing);

#endif
