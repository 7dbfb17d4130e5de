/*
 * Pickup directories: one text each, `DIRECTORY [BADDIRECTORY] [source=NAME]`,
 * taken apart when it is checked and again when it is used.
 */
#include <stdio.h>
#include <string.h>

#include "conf/check.h"

/* Copy a word of n octets; false: it is too long. */
static bool
pickup_word(char *ret, size_t cap, const char *p, size_t n)
{
	if (n >= cap)
		return (false);
	memcpy(ret, p, n);
	ret[n] = '\0';
	return (true);
}

int
check_pickup(const char *s, struct conf_pickup *ret_p)
{
	static const char source[] = "source=";
	size_t n = check_word(s), len = sizeof(source) - 1;

	memset(ret_p, 0, sizeof(*ret_p));
	memcpy(ret_p->source, "pickup", sizeof("pickup"));
	if (n == 0 || !pickup_word(ret_p->dir, sizeof(ret_p->dir), s, n))
		return (-1);
	s = check_after(s);
	if (*s != '\0' && strncmp(s, source, len) != 0) {
		if (!pickup_word(ret_p->bad, sizeof(ret_p->bad), s,
			check_word(s)))
			return (-1);
		s = check_after(s);
	}
	if (*s == '\0')
		return (0);
	if (strncmp(s, source, len) != 0 ||
	    !check_name(s + len, strlen(s + len)))
		return (-1);
	(void)snprintf(ret_p->source, sizeof(ret_p->source), "pickup:%s",
	    s + len);
	return (0);
}

int
conf_pickup(const struct conf *c, size_t i, struct conf_pickup *ret_p)
{
	const char *s = conf_list_at(&conf_global(c)->pickup, i);

	return (s != NULL ? check_pickup(s, ret_p) : -1);
}
