/*
 * PCRE2 with limits. The limits of steps, depth and heap hold for the
 * interpreter and (steps) for compiled code; what exceeds them is an answer
 * of its own, never taken for "no". They do not count the plain repeats
 * (`[ab]+` from every place of a text), which cost the square of its length:
 * so no more than REGEX_TEXT_MAX octets of a text are looked at.
 *
 * A tool that handles one message matches each expression once or twice, and
 * making machine code of it takes as long as a thousand matches: it is made
 * for an expression that was used REGEX_JIT_AFTER times. Where the system
 * allows none, the interpreter goes on.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex.h"

#define REGEX_JIT_AFTER 64
#define REGEX_DEPTH 10000
#define REGEX_HEAP 8192 /* KiB */

struct regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *limits;
	unsigned int used;
};

void
regex_free(struct regex *r)
{
	if (r == NULL)
		return;
	pcre2_match_data_free(r->data);
	pcre2_match_context_free(r->limits);
	pcre2_code_free(r->code);
	free(r);
}

/* What a match needs; false: no memory. */
static bool
regex_prepare(struct regex *r)
{
	r->data = pcre2_match_data_create(1, NULL);
	r->limits = pcre2_match_context_create(NULL);
	if (r->data == NULL || r->limits == NULL)
		return (false);
	(void)pcre2_set_match_limit(r->limits, REGEX_STEPS);
	(void)pcre2_set_depth_limit(r->limits, REGEX_DEPTH);
	(void)pcre2_set_heap_limit(r->limits, REGEX_HEAP);
	return (true);
}

/* Texts that expressions with nested repeats explode on. */
static bool
regex_explodes(struct regex *r)
{
	static const char *const probe[] = {
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
		"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a@\x01",
		"1111111111111111111111111111111111111111111111@x.y ",
		"x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x \x01",
	};
	size_t i;

	for (i = 0; i < sizeof(probe) / sizeof(probe[0]); i++)
		if (regex_match(r, probe[i], strlen(probe[i])) == REGEX_GAVE_UP)
			return (true);
	r->used = 0;
	return (false);
}

int
regex_new(const char *p, size_t n, unsigned int flags, struct regex **ret_r,
    struct verr *err)
{
	uint32_t opt = PCRE2_NEVER_BACKSLASH_C |
	    ((flags & REGEX_CASELESS) != 0 ? PCRE2_CASELESS : 0);
	struct regex *r;
	PCRE2_UCHAR text[256];
	PCRE2_SIZE at;
	int code;

	if (n > REGEX_MAX)
		return (verr_set(err, VEX_CONFIG, "expression over %d octets",
		    REGEX_MAX));
	r = xcalloc(1, sizeof(*r));
	r->code = pcre2_compile((PCRE2_SPTR)p, n, opt, &code, &at, NULL);
	if (r->code == NULL) {
		(void)pcre2_get_error_message(code, text, sizeof(text));
		regex_free(r);
		return (verr_set(err, VEX_CONFIG, "%s at octet %zu",
		    (const char *)text, at + 1));
	}
	if (!regex_prepare(r)) {
		regex_free(r);
		return (verr_set(err, VEX_TEMP, "out of memory"));
	}
	if (regex_explodes(r)) {
		regex_free(r);
		return (verr_set(err, VEX_CONFIG,
		    "takes too many steps: it can match one text in too "
		    "many ways"));
	}
	*ret_r = r;
	return (0);
}

enum regex_result
regex_match(struct regex *r, const char *p, size_t n)
{
	int rc;

	if (r->used <= REGEX_JIT_AFTER && r->used++ == REGEX_JIT_AFTER)
		(void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
	if (n > REGEX_TEXT_MAX)
		n = REGEX_TEXT_MAX;
	rc = pcre2_match(r->code, (PCRE2_SPTR)p, n, 0, 0, r->data, r->limits);
	if (rc >= 0)
		return (REGEX_YES);
	return (rc == PCRE2_ERROR_NOMATCH ? REGEX_NO : REGEX_GAVE_UP);
}
