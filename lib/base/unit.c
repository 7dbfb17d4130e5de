/*
 * Numbers, booleans, intervals, sizes and rates as PowerMTA writes them.
 * Every parser takes the whole text or refuses it; nothing wraps around.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/unit.h"

/* Digits at *s up to a non-digit; moves *s. */
static int
unit_digits(const char **s, int64_t *ret_n)
{
	const char *p = *s;
	int64_t n = 0;

	if (!isdigit((unsigned char)*p))
		return (-1);
	for (; isdigit((unsigned char)*p); p++) {
		if (n > (INT64_MAX - (*p - '0')) / 10)
			return (-1);
		n = n * 10 + (*p - '0');
	}
	*s = p;
	*ret_n = n;
	return (0);
}

int
unit_int(const char *s, int64_t *ret_n)
{
	int64_t n;

	if (s[0] == '0' && s[1] != '\0')
		return (-1);
	if (unit_digits(&s, &n) == -1 || *s != '\0')
		return (-1);
	*ret_n = n;
	return (0);
}

int
unit_bool(const char *s, bool *ret_b)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	size_t i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(s, yes[i]) == 0) {
			*ret_b = true;
			return (0);
		}
		if (strcasecmp(s, no[i]) == 0) {
			*ret_b = false;
			return (0);
		}
	}
	return (-1);
}

/* Milliseconds of a time unit at *s; moves *s. Seconds when none is there. */
static int64_t
unit_time_factor(const char **s)
{
	const char *p = *s;

	if (p[0] == 'm' && p[1] == 's') {
		*s += 2;
		return (1);
	}
	if (*p == '\0')
		return (1000);
	*s += 1;
	switch (tolower((unsigned char)*p)) {
	case 's':
		return (1000);
	case 'm':
		return (60 * 1000);
	case 'h':
		return (3600 * 1000);
	case 'd':
		return (86400 * 1000);
	case 'w':
		return (7 * 86400 * 1000);
	default:
		return (-1);
	}
}

int
unit_interval(const char *s, int64_t *ret_ms)
{
	int64_t n, f, sum = 0;
	bool bare;

	if (*s == '\0')
		return (-1);
	do {
		if (s[0] == '0' && isdigit((unsigned char)s[1]))
			return (-1);
		if (unit_digits(&s, &n) == -1)
			return (-1);
		bare = *s == '\0';
		f = unit_time_factor(&s);
		if (f <= 0 || (bare && sum > 0))
			return (-1);
		if (n > (INT64_MAX - sum) / f)
			return (-1);
		sum += n * f;
	} while (*s != '\0');
	*ret_ms = sum;
	return (0);
}

/* A number with an optional size suffix at *s; moves *s. */
static int
unit_sized(const char **s, int64_t *ret_bytes)
{
	static const char letters[] = "bkmgt";
	const char *at;
	int64_t n;
	int shift = 0;

	if ((*s)[0] == '0' && isdigit((unsigned char)(*s)[1]))
		return (-1);
	if (unit_digits(s, &n) == -1)
		return (-1);
	if (**s != '\0' &&
	    (at = strchr(letters, tolower((unsigned char)**s))) != NULL) {
		shift = 10 * (int)(at - letters);
		*s += 1;
	}
	if (n > (INT64_MAX >> shift))
		return (-1);
	*ret_bytes = n << shift;
	return (0);
}

int
unit_size(const char *s, int64_t *ret_bytes)
{
	int64_t n;

	if (unit_sized(&s, &n) == -1 || *s != '\0')
		return (-1);
	*ret_bytes = n;
	return (0);
}

int
unit_rate(const char *s, bool sizes, struct rate *ret_rate)
{
	struct rate r = { 0, 1 };
	int64_t mult = 1, ms;

	if (strcasecmp(s, "unlimited") == 0 || strcmp(s, "0") == 0) {
		*ret_rate = r;
		return (0);
	}
	if ((sizes ? unit_sized(&s, &r.n) : unit_digits(&s, &r.n)) == -1)
		return (-1);
	if (*s++ != '/')
		return (-1);
	if (isdigit((unsigned char)*s) && unit_digits(&s, &mult) == -1)
		return (-1);
	if (*s == '\0' || (s[0] == 'm' && s[1] == 's'))
		return (-1);
	ms = unit_time_factor(&s);
	if (ms < 0 || *s != '\0' || r.n == 0 || mult == 0 ||
	    mult > INT64_MAX / ms)
		return (-1);
	r.per = mult * ms / 1000;
	*ret_rate = r;
	return (0);
}

const char *
unit_show_interval(int64_t ms, char *buf, size_t n)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
		{ "s", 1000 }, { "ms", 1 } };
	size_t i, at = 0;

	if (ms == 0)
		(void)snprintf(buf, n, "0");
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms < units[i].ms || at >= n)
			continue;
		at += (size_t)snprintf(buf + at, n - at, "%lld%s",
		    (long long)(ms / units[i].ms), units[i].name);
		ms %= units[i].ms;
	}
	return (buf);
}

const char *
unit_show_size(int64_t bytes, char *buf, size_t n)
{
	static const char letters[] = "bkMGT";
	int i = 0;

	while (bytes != 0 && bytes % 1024 == 0 && i < 4) {
		bytes /= 1024;
		i++;
	}
	(void)snprintf(buf, n, "%lld%.*s", (long long)bytes, i > 0 ? 1 : 0,
	    letters + i);
	return (buf);
}

const char *
unit_show_rate(const struct rate *r, char *buf, size_t n)
{
	static const struct {
		const char *name;
		int64_t s;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 } };
	size_t i;

	if (r->n == 0) {
		(void)snprintf(buf, n, "unlimited");
		return (buf);
	}
	for (i = 0; i < 3 && r->per % units[i].s != 0; i++)
		;
	if (r->per == units[i].s)
		(void)snprintf(buf, n, "%lld/%s", (long long)r->n,
		    units[i].name);
	else
		(void)snprintf(buf, n, "%lld/%lld%s", (long long)r->n,
		    (long long)(r->per / units[i].s), units[i].name);
	return (buf);
}
