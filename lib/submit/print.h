/*
 * Fingerprints of what a submission was given: each message with its
 * recipients as they came, and whether it was accepted. So a repeated call is
 * known to be one, whatever has become of the messages.
 */
#ifndef VMTA_SUBMIT_PRINT_H
#define VMTA_SUBMIT_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

#include "base/err.h"
#include "spool/submit.h"

struct print {
	XXH3_state_t *h; /* of the present message; NULL: not wanted */
	uint64_t chain;	 /* of all before it */
};

/*
 * Begin; without it the other calls do nothing. 0 or -1 (VEX_TEMP). Free with
 * print_close.
 */
int print_open(struct print *p, struct verr *err);
void print_close(struct print *p);

/* A message begins; what was added since the last end is forgotten. */
void print_begin(struct print *p);
/* n octets of it, cut anywhere. */
void print_add(struct print *p, const void *data, size_t n);
/* A text that stands for itself; NULL is another one than "". */
void print_text(struct print *p, const char *s);
/*
 * The message has come to its end. What was refused counts as that, whatever
 * it was: of some, not all was read. ret_print (may be NULL): the fingerprint
 * of everything up to here, "" when it is not wanted.
 */
void print_end(struct print *p, bool accepted,
    char ret_print[SUBMIT_PRINT_LEN + 1]);

#endif
