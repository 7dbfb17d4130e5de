/*
 * Batch names, by hand: a run parses each name of the queues it owns, and a
 * parser that takes only what the formatter writes needs no second opinion.
 *
 *	20261123T215405Z-050-1lp6jv7m0d3k8q2r5t1ua-12-34567-1a2b3c4d
 */
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/stamp.h"
#include "spool/name.h"

const char *
batch_name_format(const struct batch_name *n, char buf[BATCH_NAME_MAX])
{
	char due[STAMP_NAME_LEN + 1];

	(void)snprintf(buf, BATCH_NAME_MAX, "%s-%03d-%s-%lu-%llu-%08lx",
	    stamp_name(n->due, due), n->prio, n->id.s, (unsigned long)n->open,
	    (unsigned long long)n->bytes, (unsigned long)n->job);
	return (buf);
}

/* Decimal digits up to `end`, no leading zero; moves *s behind end. */
static int
name_number(const char **s, char end, uint64_t max, uint64_t *ret_n)
{
	const char *p = *s;
	uint64_t n = 0, digit;

	if (*p == '0' && p[1] != end)
		return (-1);
	for (; *p >= '0' && *p <= '9'; p++) {
		digit = (uint64_t)(*p - '0');
		if (n > (max - digit) / 10)
			return (-1);
		n = n * 10 + digit;
	}
	if (p == *s || *p != end)
		return (-1);
	*s = p + 1;
	*ret_n = n;
	return (0);
}

/* Exactly eight lower-case hex digits and the end. */
static int
name_hex(const char *s, uint32_t *ret_n)
{
	static const char hex[] = "0123456789abcdef";
	const char *at;
	uint32_t n = 0;
	int i;

	for (i = 0; i < 8; i++) {
		if (s[i] == '\0' || (at = strchr(hex, s[i])) == NULL)
			return (-1);
		n = n << 4 | (uint32_t)(at - hex);
	}
	if (s[8] != '\0')
		return (-1);
	*ret_n = n;
	return (0);
}

/* `-PPP-` at s. */
static int
name_prio(const char *s, int *ret_prio)
{
	int i, n = 0;

	if (s[0] != '-' || s[4] != '-')
		return (-1);
	for (i = 1; i < 4; i++) {
		if (s[i] < '0' || s[i] > '9')
			return (-1);
		n = n * 10 + (s[i] - '0');
	}
	*ret_prio = n;
	return (n <= 100 ? 0 : -1);
}

int
batch_name_parse(const char *s, struct batch_name *ret_n)
{
	char due[STAMP_NAME_LEN + 1];
	uint64_t open;

	if (strnlen(s, BATCH_NAME_MAX) < STAMP_NAME_LEN + 5 + ID_LEN + 1)
		return (-1);
	memcpy(due, s, STAMP_NAME_LEN);
	due[STAMP_NAME_LEN] = '\0';
	s += STAMP_NAME_LEN;
	if (stamp_parse_name(due, &ret_n->due) == -1 ||
	    name_prio(s, &ret_n->prio) == -1)
		return (-1);
	s += 5;
	memcpy(ret_n->id.s, s, ID_LEN);
	ret_n->id.s[ID_LEN] = '\0';
	s += ID_LEN;
	if (!id_valid(ret_n->id.s) || *s++ != '-' ||
	    name_number(&s, '-', UINT32_MAX, &open) == -1 ||
	    name_number(&s, '-', UINT64_MAX, &ret_n->bytes) == -1)
		return (-1);
	ret_n->open = (uint32_t)open;
	return (name_hex(s, &ret_n->job));
}

uint32_t
batch_job_hash(const char *job)
{
	if (job == NULL || *job == '\0')
		return (0);
	return ((uint32_t)map_hash(job, strlen(job)));
}
