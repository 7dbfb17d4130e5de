/*
 * A fingerprint is a chain of XXH3-64: that of a message, and of whether it was
 * accepted, seeded with that of all before it. No secret, and no defence
 * against somebody who wants to deceive himself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "submit/print.h"

int
print_open(struct print *p, struct verr *err)
{
	p->h = XXH3_createState();
	if (p->h == NULL)
		return (verr_set(err, VEX_TEMP, "out of memory"));
	p->chain = 0;
	print_begin(p);
	return (0);
}

void
print_close(struct print *p)
{
	(void)XXH3_freeState(p->h);
	p->h = NULL;
}

void
print_begin(struct print *p)
{
	if (p->h != NULL)
		(void)XXH3_64bits_reset(p->h);
}

void
print_add(struct print *p, const void *data, size_t n)
{
	if (p->h != NULL && n > 0)
		(void)XXH3_64bits_update(p->h, data, n);
}

void
print_text(struct print *p, const char *s)
{
	/* no text has these octets at its end */
	print_add(p, s, s != NULL ? strlen(s) : 0);
	print_add(p, s != NULL ? "\0t" : "\0n", 2);
}

void
print_end(struct print *p, bool accepted, char ret_print[SUBMIT_PRINT_LEN + 1])
{
	uint64_t link[2] = { 0, accepted };

	if (ret_print != NULL)
		ret_print[0] = '\0';
	if (p->h == NULL)
		return;
	if (accepted)
		link[0] = XXH3_64bits_digest(p->h);
	p->chain = XXH3_64bits_withSeed(link, sizeof(link), p->chain);
	if (ret_print != NULL)
		(void)snprintf(ret_print, SUBMIT_PRINT_LEN + 1, "%016" PRIx64,
		    p->chain);
}
