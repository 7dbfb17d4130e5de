/*
 * The brake: may an NXDOMAIN be believed just now? It says no while the
 * canary fails, or while too many of the last domains do not exist. Pure
 * bookkeeping: who asks, and when, is dns/doubt.h; the clock is the caller's.
 */
#ifndef VMTA_DNS_BRAKE_H
#define VMTA_DNS_BRAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dns_brake;

#define DNS_BRAKE_RING 100 /* distinct domains that are remembered */
#define DNS_BRAKE_MIN 30   /* of them must be there for a share to count */
#define DNS_BRAKE_ON 30	   /* per cent: above it the brake is on, */
#define DNS_BRAKE_OFF 20   /* and stays so until it is no more than this */
#define DNS_BRAKE_AGE 3600 /* seconds that an answer counts */

/* The brake is on, for this reason; NULL: it is off again. */
typedef void dns_brake_cb(void *arg, const char *why);

/* Never NULL; NULL may be freed. */
struct dns_brake *dns_brake_new(void);
void dns_brake_free(struct dns_brake *b);

/* A name server just said whether domain (clean) exists. now: wall seconds. */
void dns_brake_seen(struct dns_brake *b, const char *domain, bool exists,
    int64_t now);
/* Of this domain it was said that it does not exist: it does. */
void dns_brake_exists(struct dns_brake *b, const char *domain);
/* What became of the canary: NULL: well; else a text that is copied. */
void dns_brake_canary(struct dns_brake *b, const char *fault);
/* Does the canary fail, as far as is known? */
bool dns_brake_canary_failed(const struct dns_brake *b);
/* Why the brake is on, one line, until the next call; NULL: it is off. */
const char *dns_brake_why(struct dns_brake *b, int64_t now);

/* Was anything learnt since the last dns_brake_format? */
bool dns_brake_changed(const struct dns_brake *b);
/*
 * What outlives a run, as text: why (when it is on, for reports) and the
 * domains that were seen.
 */
void dns_brake_format(struct dns_brake *b, int64_t now, struct buf *ret_text);
/*
 * Take what such a text remembers, if it is newer than what is known; the
 * reason in it is not taken over. text is changed. 0, or -1 (VEX_DATA) and
 * nothing is taken.
 */
int dns_brake_parse(struct dns_brake *b, char *text, int64_t now,
    struct verr *err);
/*
 * For reports: the reason in such a text (it is changed), NULL: none, or not
 * written in the last DNS_BRAKE_AGE seconds, or no such text.
 */
const char *dns_brake_reason(char *text, int64_t now);

#endif
