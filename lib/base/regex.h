/*
 * Regular expressions of the configuration (PCRE2), bounded: no expression
 * can hang, whatever it is and whatever it is matched against.
 */
#ifndef VMTA_BASE_REGEX_H
#define VMTA_BASE_REGEX_H

#include <stddef.h>

#include "base/err.h"

#define REGEX_CASELESS 1u

/* Backtracking steps that one match may take: some milliseconds. */
#define REGEX_STEPS 200000
/* Octets of an expression. */
#define REGEX_MAX 4096
/* Octets of a text that are looked at; see regex.c. */
#define REGEX_TEXT_MAX 8192

struct regex;

enum regex_result {
	REGEX_NO,
	REGEX_YES,
	REGEX_GAVE_UP /* over the limit: neither is known */
};

/*
 * Compile the n octets at p; flags: REGEX_CASELESS or 0. 0 and *ret_r
 * (regex_free); -1 with err (VEX_CONFIG): not an expression, or one that is
 * over the limit on a few dozen octets already.
 */
int regex_new(const char *p, size_t n, unsigned int flags, struct regex **ret_r,
    struct verr *err);
/*
 * Does it match somewhere in the (first REGEX_TEXT_MAX) octets at p? They are
 * octets: neither text nor expression need be UTF-8.
 */
enum regex_result regex_match(struct regex *r, const char *p, size_t n);
/* NULL is fine. */
void regex_free(struct regex *r);

#endif
