/* Times as text. Formatting is by hand: it runs once a record. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/stamp.h"
#include "base/unit.h"

/* Break t down; times outside of years 0 to 9999 are cut to the range. */
static void
stamp_split(int64_t t, struct tm *ret_tm)
{
	time_t tt;

	if (t < 0)
		t = 0;
	if (t > 253402300799)
		t = 253402300799; /* 9999-12-31 23:59:59 */
	tt = (time_t)t;
	(void)gmtime_r(&tt, ret_tm);
}

/* n digits of v at p. */
static char *
stamp_put(char *p, int v, int n)
{
	int i;

	for (i = n - 1; i >= 0; i--) {
		p[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return (p + n);
}

const char *
stamp_name(int64_t t, char buf[STAMP_NAME_LEN + 1])
{
	struct tm tm;
	char *p = buf;

	stamp_split(t, &tm);
	p = stamp_put(p, tm.tm_year + 1900, 4);
	p = stamp_put(p, tm.tm_mon + 1, 2);
	p = stamp_put(p, tm.tm_mday, 2);
	*p++ = 'T';
	p = stamp_put(p, tm.tm_hour, 2);
	p = stamp_put(p, tm.tm_min, 2);
	p = stamp_put(p, tm.tm_sec, 2);
	*p++ = 'Z';
	*p = '\0';
	return (buf);
}

const char *
stamp_acct(int64_t t, char buf[STAMP_ACCT_LEN + 1])
{
	struct tm tm;
	char *p = buf;

	stamp_split(t, &tm);
	p = stamp_put(p, tm.tm_year + 1900, 4);
	*p++ = '-';
	p = stamp_put(p, tm.tm_mon + 1, 2);
	*p++ = '-';
	p = stamp_put(p, tm.tm_mday, 2);
	*p++ = ' ';
	p = stamp_put(p, tm.tm_hour, 2);
	*p++ = ':';
	p = stamp_put(p, tm.tm_min, 2);
	*p++ = ':';
	p = stamp_put(p, tm.tm_sec, 2);
	memcpy(p, "+0000", 6);
	return (buf);
}

const char *
stamp_mail(int64_t t, char *buf, size_t n)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm;

	stamp_split(t, &tm);
	(void)snprintf(buf, n, "%.3s, %d %.3s %04d %02d:%02d:%02d +0000",
	    days + tm.tm_wday * 3, tm.tm_mday, months + tm.tm_mon * 3,
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	return (buf);
}

/* Exactly n digits at *s; moves *s. */
static int
stamp_get(const char **s, int n, int *ret_v)
{
	int v = 0;

	for (; n > 0; n--, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return (-1);
		v = v * 10 + (**s - '0');
	}
	*ret_v = v;
	return (0);
}

/* tm to seconds; refuses dates that the calendar does not have. */
static int
stamp_join(const struct tm *tm, int64_t *ret_t)
{
	struct tm copy = *tm;
	time_t t = timegm(&copy);

	if (tm->tm_mon < 0 || tm->tm_mon > 11 || copy.tm_mday != tm->tm_mday ||
	    copy.tm_mon != tm->tm_mon || copy.tm_hour != tm->tm_hour ||
	    copy.tm_min != tm->tm_min || copy.tm_sec != tm->tm_sec)
		return (-1);
	*ret_t = (int64_t)t;
	return (0);
}

int
stamp_parse_name(const char *s, int64_t *ret_t)
{
	struct tm tm = { 0 };

	if (stamp_get(&s, 4, &tm.tm_year) == -1 ||
	    stamp_get(&s, 2, &tm.tm_mon) == -1 ||
	    stamp_get(&s, 2, &tm.tm_mday) == -1 || *s++ != 'T' ||
	    stamp_get(&s, 2, &tm.tm_hour) == -1 ||
	    stamp_get(&s, 2, &tm.tm_min) == -1 ||
	    stamp_get(&s, 2, &tm.tm_sec) == -1 || *s++ != 'Z' || *s != '\0')
		return (-1);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (stamp_join(&tm, ret_t));
}

/* A zone at s: `Z`, `+hhmm`, `+hh:mm` or nothing. */
static int
stamp_zone(const char *s, int *ret_offset)
{
	int sign, h, m;

	*ret_offset = 0;
	if (*s == ' ')
		s++;
	if (*s == '\0' || strcasecmp(s, "z") == 0)
		return (0);
	if (*s != '+' && *s != '-')
		return (-1);
	sign = *s++ == '-' ? -1 : 1;
	if (stamp_get(&s, 2, &h) == -1)
		return (-1);
	if (*s == ':')
		s++;
	if (stamp_get(&s, 2, &m) == -1 || *s != '\0' || h > 23 || m > 59)
		return (-1);
	*ret_offset = sign * (h * 3600 + m * 60);
	return (0);
}

/* `2026-11-23[ T]21:54[:05][zone]`, or the date alone. */
static int
stamp_parse_iso(const char *s, int64_t *ret_t)
{
	struct tm tm = { 0 };
	int offset;

	if (stamp_get(&s, 4, &tm.tm_year) == -1 || *s++ != '-' ||
	    stamp_get(&s, 2, &tm.tm_mon) == -1 || *s++ != '-' ||
	    stamp_get(&s, 2, &tm.tm_mday) == -1)
		return (-1);
	if (*s == ' ' || *s == 'T') {
		s++;
		if (stamp_get(&s, 2, &tm.tm_hour) == -1 || *s++ != ':' ||
		    stamp_get(&s, 2, &tm.tm_min) == -1)
			return (-1);
		if (*s == ':') {
			s++;
			if (stamp_get(&s, 2, &tm.tm_sec) == -1)
				return (-1);
		}
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (stamp_zone(s, &offset) == -1 || stamp_join(&tm, ret_t) == -1)
		return (-1);
	*ret_t -= offset;
	return (0);
}

int
stamp_parse(const char *s, int64_t now, int64_t *ret_t)
{
	int64_t v;

	if (strcasecmp(s, "now") == 0) {
		*ret_t = now;
		return (0);
	}
	if (*s == '@')
		return (unit_int(s + 1, ret_t));
	if (*s == '+') {
		if (unit_interval(s + 1, &v) == -1)
			return (-1);
		*ret_t = now + v / 1000;
		return (0);
	}
	if (stamp_parse_name(s, ret_t) == 0)
		return (0);
	return (stamp_parse_iso(s, ret_t));
}
