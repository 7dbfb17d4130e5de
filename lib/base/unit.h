/*
 * One checked parser for each unit that the configuration, the command lines
 * and the formats know, and the way back to text.
 */
#ifndef VMTA_BASE_UNIT_H
#define VMTA_BASE_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n events per `per` seconds; n 0: no limit. */
struct rate {
	int64_t n;
	int64_t per;
};

/* All return 0 and set *ret_x, or -1 (text not of the form, or overflow). */

/* Decimal digits only, no sign, no leading zero. */
int unit_int(const char *s, int64_t *ret_n);
/* yes, no, true, false, on, off, 1, 0 (any case). */
int unit_bool(const char *s, bool *ret_b);
/* `4d12h`, `90s`, `250ms`, `0`; a plain number is seconds. Milliseconds. */
int unit_interval(const char *s, int64_t *ret_ms);
/* `250M`, `10k`, `1g`, `2t`, `512b`, `512`; powers of 1024. Bytes. */
int unit_size(const char *s, int64_t *ret_bytes);
/* `500/h`, `83/10m`, `unlimited`, `0`. sizes: N may carry a size suffix. */
int unit_rate(const char *s, bool sizes, struct rate *ret_rate);

/* Text of a value, in the form that the parser reads; buf >= 48 bytes. */
const char *unit_show_interval(int64_t ms, char *buf, size_t n);
const char *unit_show_size(int64_t bytes, char *buf, size_t n);
const char *unit_show_rate(const struct rate *r, char *buf, size_t n);

#endif
