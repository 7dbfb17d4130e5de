/*
 * Mail addresses as they stand in envelopes (RFC 5321 4.1.2, RFC 6531): text
 * to the form that goes on the wire and the domain that names the queue.
 */
#ifndef VMTA_MAIL_ADDR_H
#define VMTA_MAIL_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ADDR_MAX 254	    /* octets of a mailbox (a path has 256) */
#define ADDR_LOCAL_MAX 64   /* octets of a local part */
#define ADDR_DOMAIN_MAX 253 /* octets of a domain in A-labels */

enum addr_kind {
	ADDR_RCPT,  /* must be a mailbox */
	ADDR_SENDER /* the null path, `` or `<>`, is legal too */
};

/* By value: it holds no pointers and needs no release. */
struct addr {
	char orig[ADDR_MAX + 1]; /* mailbox as given, without <> and route */
	/*
	 * As it goes on the wire, `local@domain`, "" for the null path. The
	 * local part is as given; the domain is in lower-case A-labels, or
	 * an address literal, `[127.0.0.1]`, `[ipv6:2001:db8::1]`.
	 */
	char smtp[ADDR_MAX + 1];
	uint16_t orig_len;
	uint16_t smtp_len;
	uint16_t local_len; /* the domain begins after it and the @ */
	bool utf8;	    /* local part not ASCII: SMTPUTF8 needed */
	bool literal;	    /* domain is an address literal */
};

/*
 * What unqualified addresses of people and programs on this machine are
 * completed with; NULL or "": they are refused.
 */
struct addr_local {
	const char *host;   /* domain of `local` alone */
	const char *suffix; /* appended, with a dot, to a domain without one */
};

/*
 * Parse all n octets: `local@domain`, `<local@domain>` or a path with a
 * source route, which is dropped (RFC 5321 C). 0; -1 with err (VEX_DATA and
 * the reason, without the address itself) for controls, bad UTF-8, missing
 * or unqualified parts, unquoted specials, and what is too long.
 */
int addr_parse(const char *p, size_t n, enum addr_kind kind,
    struct addr *ret_addr, struct verr *err);
/* The same, with local names completed. local may be NULL. */
int addr_parse_local(const char *p, size_t n, enum addr_kind kind,
    const struct addr_local *local, struct addr *ret_addr, struct verr *err);
/*
 * Parse the path that p begins with, up to its `>`, or, without brackets, up
 * to the first space; *ret_used: octets read. Returns as addr_parse.
 */
int addr_path(const char *p, size_t n, enum addr_kind kind, size_t *ret_used,
    struct addr *ret_addr, struct verr *err);

/* The same, with local names completed. local may be NULL. */
int addr_path_local(const char *p, size_t n, enum addr_kind kind,
    const struct addr_local *local, size_t *ret_used, struct addr *ret_addr,
    struct verr *err);

/*
 * The domain of a: a directory-safe name (letters, digits, `-`, `_`, `.`; no
 * label empty or over 63 octets) or a literal; "" for the null path.
 */
const char *addr_domain(const struct addr *a);
/* Is it the null path? */
bool addr_is_null(const struct addr *a);

/*
 * A domain name or address literal to its canonical form, as it stands in
 * struct addr; U-labels through IDNA2008, non-transitional. ret has room for
 * ADDR_DOMAIN_MAX + 1. 0, or -1 with err (VEX_DATA).
 */
int addr_domain_parse(const char *p, size_t n, char *ret, struct verr *err);

#endif
