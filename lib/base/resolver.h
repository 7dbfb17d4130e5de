/*
 * The seam to DNS: raw questions, raw answers, asynchronously. lib/dns
 * implements it with libunbound and builds MX routing on it; tests and the
 * simulator bring a scripted one.
 */
#ifndef VMTA_BASE_RESOLVER_H
#define VMTA_BASE_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One resource record's RDATA, uncompressed wire form. */
struct resolver_rr {
	const uint8_t *data;
	size_t len;
};

struct resolver_answer {
	int rcode;	   /* DNS RCODE; -1: no answer (time-out, fault) */
	bool secure;	   /* validated by DNSSEC */
	bool bogus;	   /* validation failed */
	bool kept;	   /* an earlier answer, from a cache of ours */
	uint32_t ttl;	   /* seconds */
	const char *canon; /* canonical name after CNAMEs, or NULL */
	const char *why;   /* text of a fault, or NULL */
	size_t n;	   /* records; rcode 0 and n 0: NODATA */
	const struct resolver_rr *rr;
};

/* ans lives only during the call. */
typedef void resolver_cb(void *arg, const struct resolver_answer *ans);

struct resolver {
	/*
	 * Ask for name (A-labels, no final dot needed) and rrtype. cb may be
	 * called before query returns. Returns 0 and sets *ret_id (for
	 * cancel; 0 when already answered), or -1.
	 */
	int (*query)(struct resolver *r, const char *name, int rrtype,
	    resolver_cb *cb, void *arg, uint64_t *ret_id);
	/* After it cb is not called for id. */
	void (*cancel)(struct resolver *r, uint64_t id);
	void (*free)(struct resolver *r);
};

#endif
