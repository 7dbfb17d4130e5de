/*
 * Ids: 40 bits of seconds and 64 random bits as 21 characters of lower-case
 * base32 (alphabet 0-9 a-v: sorts as text in the order of time).
 */
#ifndef VMTA_BASE_ID_H
#define VMTA_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sys.h"

#define ID_LEN 21

struct id {
	char s[ID_LEN + 1];
};

/* A new id; 0, or -1 with errno when the kernel gives no randomness. */
int id_new(struct sys *sys, struct id *ret_id);
/*
 * The same for what must have one: nothing else is taken in the place of the
 * kernel's randomness. 0, or -1 with err (VEX_TEMP).
 */
int id_make(struct sys *sys, struct id *ret_id, struct verr *err);
/* The same with the seconds of another one. */
int id_new_at(struct sys *sys, const struct id *at, struct id *ret_id);
/* Is this text an id? */
bool id_valid(const char *s);
/* The seconds (UTC) inside an id. */
int64_t id_time(const struct id *id);

#endif
