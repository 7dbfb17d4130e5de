/* Enhanced status codes (RFC 3463) in replies (RFC 2034). */
#ifndef VMTA_SMTP_STATUS_H
#define VMTA_SMTP_STATUS_H

#include <stdbool.h>
#include <stddef.h>

struct smtp_status {
	int cls;     /* 2, 4, 5; 0: no status */
	int subject; /* 0 to 999 */
	int detail;  /* 0 to 999 */
	bool given;  /* the peer sent it; else it is our X.0.0 */
};

#define SMTP_STATUS_LEN 9 /* 5.999.999 */

/*
 * The status of a reply: a code at the start of its text, else one written
 * `#x.y.z` anywhere in it (qmail); one whose class is not the first digit of
 * code, or that is malformed, does not count: then X.0.0.
 */
struct smtp_status smtp_status_of(int code, const char *text, size_t len);
/*
 * Octets of the well-formed status at p, which must be followed by white
 * space or the end; 0: none. Fills *ret_status.
 */
size_t smtp_status_parse(const char *p, size_t len,
    struct smtp_status *ret_status);
/* As `5.1.1`; buf has room for SMTP_STATUS_LEN + 1. */
const char *smtp_status_text(const struct smtp_status *st,
    char buf[SMTP_STATUS_LEN + 1]);

#endif
