/* Delivery windows: text to numbers, and what time it is in them. */
#include <stdlib.h>
#include <string.h>

#include "base/stamp.h"
#include "mail/schedule.h"

#define SCHEDULE_TIME_MAX 64		    /* octets of a time */
#define SCHEDULE_LAST INT64_C(253402300799) /* of the year 9999 */

/* The n octets at p, without white space at the ends, as a time. */
static int
window_time(const char *p, size_t n, int64_t now, int64_t *ret_t,
    struct verr *err)
{
	static const char blank[] = " \t\r\n";
	char text[SCHEDULE_TIME_MAX + 1];

	while (n > 0 && *p != '\0' && strchr(blank, *p) != NULL) {
		p++;
		n--;
	}
	while (n > 0 && p[n - 1] != '\0' && strchr(blank, p[n - 1]) != NULL)
		n--;
	if (n > 0 && n <= SCHEDULE_TIME_MAX && memchr(p, '\0', n) == NULL) {
		memcpy(text, p, n);
		text[n] = '\0';
		if (stamp_parse(text, now, ret_t) == 0 && *ret_t >= 0 &&
		    *ret_t <= SCHEDULE_LAST)
			return (0);
	}
	return (verr_set(err, VEX_DATA, "not a time like 2026-11-23 21:54:05"));
}

/* One window. */
static int
window_parse(const char *p, size_t n, int64_t now, struct schedule_window *w,
    struct verr *err)
{
	const char *slash = memchr(p, '/', n);

	if (slash == NULL)
		return (verr_set(err, VEX_DATA,
		    "a window is two times with / between"));
	if (window_time(p, (size_t)(slash - p), now, &w->from, err) == -1 ||
	    window_time(slash + 1, n - (size_t)(slash + 1 - p), now, &w->to,
		err) == -1)
		return (-1);
	if (w->from >= w->to)
		return (verr_set(err, VEX_DATA,
		    "a window ends before it begins"));
	return (0);
}

static int
window_cmp(const void *va, const void *vb)
{
	const struct schedule_window *a = va, *b = vb;

	return (a->from < b->from ? -1 : a->from > b->from);
}

/* In order; those that touch become one. */
static void
schedule_sort(struct schedule *s)
{
	struct schedule_window *w = s->window;
	size_t i, n = 0;

	qsort(w, s->n, sizeof(*w), window_cmp);
	for (i = 1; i < s->n; i++) {
		if (w[i].from > w[n].to)
			w[++n] = w[i];
		else if (w[i].to > w[n].to)
			w[n].to = w[i].to;
	}
	s->n = n + 1;
}

int
schedule_parse(const char *p, size_t n, int64_t now, struct schedule *ret_s,
    struct verr *err)
{
	const char *end = p + n, *comma;

	ret_s->n = 0;
	for (; p <= end; p = comma + 1) {
		comma = memchr(p, ',', (size_t)(end - p));
		if (comma == NULL)
			comma = end;
		if (ret_s->n == SCHEDULE_MAX)
			return (verr_set(err, VEX_DATA, "more than %d windows",
			    SCHEDULE_MAX));
		if (window_parse(p, (size_t)(comma - p), now,
			&ret_s->window[ret_s->n], err) == -1)
			return (-1);
		ret_s->n++;
	}
	schedule_sort(ret_s);
	return (0);
}

void
schedule_format(const struct schedule *s, struct buf *out)
{
	char from[STAMP_NAME_LEN + 1], to[STAMP_NAME_LEN + 1];
	size_t i;

	for (i = 0; i < s->n; i++)
		buf_addf(out, "%s%s/%s", i > 0 ? "," : "",
		    stamp_name(s->window[i].from, from),
		    stamp_name(s->window[i].to, to));
}

/* The window that t is in or before, or NULL. */
static const struct schedule_window *
schedule_window(const struct schedule *s, int64_t t)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (t < s->window[i].to)
			return (&s->window[i]);
	return (NULL);
}

int64_t
schedule_next(const struct schedule *s, int64_t t)
{
	const struct schedule_window *w = schedule_window(s, t);

	if (w == NULL)
		return (-1);
	return (t > w->from ? t : w->from);
}

int64_t
schedule_end(const struct schedule *s, int64_t t)
{
	const struct schedule_window *w = schedule_window(s, t);

	return (w != NULL ? w->to : t);
}
