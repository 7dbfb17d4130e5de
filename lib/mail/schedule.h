/*
 * Delivery windows, as X-Schedule has them: `T1/T2, T3/T4`. Mail is tried
 * inside of a window only, and bounces when the last one has passed.
 */
#ifndef VMTA_MAIL_SCHEDULE_H
#define VMTA_MAIL_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SCHEDULE_MAX 50 /* windows */

/* Seconds, UTC; the end is not inside. */
struct schedule_window {
	int64_t from, to;
};

/* In order, none touches another. By value: it needs no release. */
struct schedule {
	struct schedule_window window[SCHEDULE_MAX];
	size_t n;
};

/*
 * Parse n octets: windows with `,` between, each two times (base/stamp.h; UTC
 * unless they have a zone) with `/` between; those that touch become one. now:
 * seconds, for relative times. 0; -1 (VEX_DATA and what is wrong).
 */
int schedule_parse(const char *p, size_t n, int64_t now, struct schedule *ret_s,
    struct verr *err);
/* Append it as it is stored: `20261123T215405Z/20261123T225405Z,...`. */
void schedule_format(const struct schedule *s, struct buf *out);
/*
 * The first second from t on that is inside of a window: t itself, where it
 * is; -1: none is left.
 */
int64_t schedule_next(const struct schedule *s, int64_t t);
/* When the window that t is in ends. */
int64_t schedule_end(const struct schedule *s, int64_t t);

#endif
