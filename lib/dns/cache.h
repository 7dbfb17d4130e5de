/*
 * A resolver that keeps the answers of another one, and can write them down,
 * so that they outlive a run.
 */
#ifndef VMTA_DNS_CACHE_H
#define VMTA_DNS_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/resolver.h"
#include "base/sys.h"

struct dns_cache;

#define DNS_CACHE_MAX 200000 /* answers, unless told otherwise */

/*
 * max: answers that are kept; 0: DNS_CACHE_MAX. inner is the cache's from now
 * on. sys gives the time. Never NULL; freed by its resolver's free.
 */
struct dns_cache *dns_cache_new(struct sys *sys, struct resolver *inner,
    size_t max);
struct resolver *dns_cache_resolver(struct dns_cache *c);
/* Answers that are kept, some perhaps not valid any more. */
size_t dns_cache_count(const struct dns_cache *c);
/* Was an answer learnt since the last dns_cache_format? */
bool dns_cache_changed(const struct dns_cache *c);

/*
 * Append what is valid now. key: one word that says whose answers they are.
 */
void dns_cache_format(struct dns_cache *c, const char *key,
    struct buf *ret_text);
/*
 * Take over what was written (text is changed); of two answers to one question
 * the one that is valid longer stays. 0; 1: the answers are of another key, or
 * there are none; -1 (VEX_DATA): damaged or of another version. Nothing is
 * taken then.
 */
int dns_cache_parse(struct dns_cache *c, const char *key, struct buf *text,
    struct verr *err);

#endif
