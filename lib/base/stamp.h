/* Times as text: in file names, in accounting, in headers. All UTC. */
#ifndef VMTA_BASE_STAMP_H
#define VMTA_BASE_STAMP_H

#include <stddef.h>
#include <stdint.h>

#define STAMP_NAME_LEN 16 /* 20261123T215405Z */
#define STAMP_ACCT_LEN 24 /* 2026-11-23 21:54:05+0000 */

/* Seconds to text; buf has room for the length above and a NUL. */
const char *stamp_name(int64_t t, char buf[STAMP_NAME_LEN + 1]);
const char *stamp_acct(int64_t t, char buf[STAMP_ACCT_LEN + 1]);
/* `Mon, 23 Nov 2026 21:54:05 +0000` (RFC 5322); buf >= 40. */
const char *stamp_mail(int64_t t, char *buf, size_t n);

/* Text to seconds; 0, or -1 when the text is no such time. */
int stamp_parse_name(const char *s, int64_t *ret_t);
/*
 * What people type: `2026-11-23 21:54:05+0000` (with or without zone,
 * seconds, `T`), the name form, `now`, `+10m`, `@SECONDS`. now: seconds.
 */
int stamp_parse(const char *s, int64_t now, int64_t *ret_t);

#endif
