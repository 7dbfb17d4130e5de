/*
 * The configuration: vmta.conf and what it includes, checked, merged, and
 * kept as a compiled image in SPOOL/state/config.img that every tool maps.
 *
 * A struct conf never changes after conf_open. All strings and lists that it
 * gives out live as long as it does (conf_ref), point into the image, and
 * must not be freed. It may be used by one thread at a time.
 */
#ifndef VMTA_CONF_CONF_H
#define VMTA_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sys.h"
#include "base/unit.h"

struct conf;

/* The scopes of the parameter table. */
#define CONF_GLOBAL 1
#define CONF_VMTA 2
#define CONF_POOL 4
#define CONF_DOMAIN 8
#define CONF_SOURCE 16
#define CONF_ACCT 32
#define CONF_RULES 64	 /* pattern-list */
#define CONF_REPLIES 128 /* smtp-pattern-list */
#define CONF_MACRO 256	 /* domain-macro */

/*
 * A list of n strings, none of them empty, one after the other, each
 * NUL-ended; an empty one ends it. Walk it with conf_list_next.
 */
struct conf_list {
	uint32_t n;
	const char *first;
};

/* A ladder of intervals in milliseconds. */
struct conf_ladder {
	uint32_t n;
	const int64_t *ms;
};

/* A source address: of one host, or of a network (bits < 32 or 128). */
struct conf_addr {
	int family;	  /* AF_INET, AF_INET6 */
	unsigned bits;	  /* prefix length */
	uint8_t addr[16]; /* network order; 4 bytes for AF_INET */
	const char *ehlo; /* EHLO name, never empty */
};

/* A member of a pool. */
struct conf_member {
	uint32_t vmta; /* index for conf_vmta_at */
	uint32_t weight;
};

/*
 * The typed structs: a member for each row of params.def, named as there.
 * BOOL bool; INT, SIZE (bytes), TIME (ms), WHEN (ms, 0 "yes", -1 "no")
 * int64_t; RATE, SRATE struct rate (n 0: no limit); STRING const char *,
 * never NULL; LIST struct conf_list; LADDER struct conf_ladder.
 */
#define CONF_T_BOOL bool
#define CONF_T_INT int64_t
#define CONF_T_TIME int64_t
#define CONF_T_WHEN int64_t
#define CONF_T_SIZE int64_t
#define CONF_T_RATE struct rate
#define CONF_T_SRATE struct rate
#define CONF_T_STRING const char *
#define CONF_T_LIST struct conf_list
#define CONF_T_LADDER struct conf_ladder
#define P(s, field, name, type, lo, hi, def, st, check, form, help) \
	CONF_T_##type field;

/* Paths are absolute; host_name is the kernel's when none is configured. */
struct conf_global {
#define CONF_SCOPES CONF_GLOBAL
#include "conf/params.def"
#undef CONF_SCOPES
};

struct conf_vmta {
	const char *name;
	uint32_t index;
	/* Own addresses, or the global ones; at least one. */
	uint32_t naddr;
	const struct conf_addr *addr;
	/* Indices (conf_pool_at) of the pools that it is in. */
	uint32_t npool;
	const uint32_t *pool;
#define CONF_SCOPES CONF_VMTA
#include "conf/params.def"
#undef CONF_SCOPES
};

struct conf_pool {
	const char *name;
	uint32_t index;
	uint32_t nmember;
	const struct conf_member *member;
	uint64_t weights; /* sum of the members' weights */
#define CONF_SCOPES CONF_POOL
#include "conf/params.def"
#undef CONF_SCOPES
};

/* What is in force for one queue. */
struct conf_queue {
	uint64_t hash; /* over all values: equal settings, equal hash */
#define CONF_SCOPES CONF_DOMAIN
#include "conf/params.def"
#undef CONF_SCOPES
};

struct conf_source {
#define CONF_SCOPES CONF_SOURCE
#include "conf/params.def"
#undef CONF_SCOPES
};

struct conf_acct {
	const char *file; /* absolute path, as titled */
#define CONF_SCOPES CONF_ACCT
#include "conf/params.def"
#undef CONF_SCOPES
};
#undef P

/* A directory where other programs drop mail. */
struct conf_pickup {
	char dir[4096];	 /* absolute path */
	char bad[4096];	 /* of bad files; "": spool/bad */
	char source[80]; /* `pickup`, `pickup:NAME`: names the section */
};

/*
 * The file that a tool uses when no -C is given: $VMTA_CONFIG (not when
 * secure), else ../etc/vmta.conf beside the directory of the running
 * program. Caller frees; NULL when /proc/self/exe cannot be read.
 */
char *conf_default_path(bool secure);

/*
 * Open the configuration file (NULL: conf_default_path(false)). The image is
 * used when it fits the files, else they are parsed, and the image is put in
 * place when we are the spool's owner. When they do not parse, the last good
 * image stays in force, and conf_stale says why.
 * 0 and *ret_c (caller: conf_unref); or -1: VEX_CONFIG `FILE:LINE: what`.
 */
int conf_open(struct sys *sys, const char *file, struct conf **ret_c,
    struct verr *err);
/* As conf_open, but always parses, reads and writes no image. */
int conf_parse(struct sys *sys, const char *file, struct conf **ret_c,
    struct verr *err);
struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c); /* NULL is fine */

/* Has a file or include directory changed since conf_open looked at it? */
bool conf_changed(const struct conf *c);
/* Do both say the same, from the same states of the same files? */
bool conf_same(const struct conf *a, const struct conf *b);
/* Why newer files are not in force, `FILE:LINE: what`; NULL: they are. */
const char *conf_stale(const struct conf *c);
/* `FILE:LINE: what` of all that is accepted but worth a word. */
struct conf_list conf_warnings(const struct conf *c);
/* Absolute paths of spool, main file, and prefix (the parent of etc/). */
const char *conf_spool(const struct conf *c);
const char *conf_file(const struct conf *c);
const char *conf_prefix(const struct conf *c);

/* Global settings. */
const struct conf_global *conf_global(const struct conf *c);

/* VirtualMTAs, sorted by name; NULL: no such name, index out of range. */
size_t conf_vmta_n(const struct conf *c);
const struct conf_vmta *conf_vmta_at(const struct conf *c, size_t i);
const struct conf_vmta *conf_vmta(const struct conf *c, const char *name);
/* Pools, sorted by name; no pool has the name of a VirtualMTA. */
size_t conf_pool_n(const struct conf *c);
const struct conf_pool *conf_pool_at(const struct conf *c, size_t i);
const struct conf_pool *conf_pool(const struct conf *c, const char *name);

/*
 * What a source may do. name: `local`, `user:NAME`, `pickup`, `pickup:NAME`,
 * `api`, or an IP address. Settings that its own section does not have come
 * from `pickup` (pickup:NAME) and `local` (names), or the next wider network
 * (addresses), then the default.
 */
void conf_source(const struct conf *c, const char *name,
    struct conf_source *ret_src);
/*
 * The rules of the pattern-list of that name, in order (conf/rule.h takes
 * them apart); n 0: it has none, or there is no such list.
 */
struct conf_list conf_rules(const struct conf *c, const char *name);
/* The same name, as long-lived as the configuration; NULL: no such list. */
const char *conf_rules_name(const struct conf *c, const char *name);
/* May a source with these settings name this VirtualMTA or pool? */
bool conf_source_vmta_ok(const struct conf_source *src, const char *name);
/* May it use this sender address ("" is always allowed)? */
bool conf_source_sender_ok(const struct conf_source *src, const char *sender);

/* Pickup directory number i, from 0. 0; -1: there are no more. */
int conf_pickup(const struct conf *c, size_t i, struct conf_pickup *ret_p);

size_t conf_acct_n(const struct conf *c);
const struct conf_acct *conf_acct_at(const struct conf *c, size_t i);

/*
 * Settings of the queue domain/vmta; domain as A-labels or `[address]`, any
 * case. 0; -1 when there is no such VirtualMTA (ret_q: what holds globally).
 */
int conf_queue(const struct conf *c, const char *domain, const char *vmta,
    struct conf_queue *ret_q);
/*
 * Append a line for each setting of a queue: its value, and where it comes
 * from. 0, or -1 (VEX_DATA) when there is no such VirtualMTA or domain.
 */
int conf_explain(const struct conf *c, const char *domain, const char *vmta,
    struct buf *ret_text, struct verr *err);
/*
 * A recipient domain (either spelling) or pattern-free name as lower-case
 * A-labels, `[1.2.3.4]`, `[ipv6:2001:db8::1]`. 0, or -1: no such thing.
 */
int conf_domain(const char *text, char ret_domain[256]);

/* Items of a list: the first for prev NULL; NULL after the last. */
const char *conf_list_next(const struct conf_list *l, const char *prev);
const char *conf_list_at(const struct conf_list *l, size_t i);
/* Step i (from 0) of a ladder, the last one repeats; 0 for an empty one. */
int64_t conf_ladder_at(const struct conf_ladder *l, size_t i);

/* All parameters with their defaults, as a configuration file. */
void conf_print_defaults(struct buf *ret_text);
/* The parameter section of vmta.conf(5), mdoc. */
void conf_print_manual(struct buf *ret_text);

#endif
