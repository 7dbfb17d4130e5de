/*
 * Summaries in one pass and bounded memory: a group a key, a histogram of
 * delivery times in each. After GROUPS_MAX keys of a kind the rest goes
 * together under `(other)`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "report/summary.h"

#define GROUPS_MAX 100000

/* Times up to LINEAR seconds are exact, then STEPS to an octave. */
#define LINEAR 32
#define STEPS 16

struct group {
	char *key;
	uint64_t delivered;
	uint64_t bounced;
	uint64_t suppressed; /* never sent: no bounces */
	uint64_t deferred;
	uint64_t bytes;
	int64_t first; /* timeLogged, 0: none */
	int64_t last;
	struct quantile *times; /* NULL: nothing delivered */
};

struct summary {
	unsigned int by;
	uint64_t rows;
	struct map group[SUMMARY_BY_N];
};

static const struct {
	const char *name;
	const char *title;
} kinds[SUMMARY_BY_N] = {
	[SUMMARY_TOTAL] = { "total", "total" },
	[SUMMARY_VMTA] = { "vmta", "VirtualMTA" },
	[SUMMARY_DOMAIN] = { "domain", "domain" },
	[SUMMARY_SOURCE] = { "source", "source IP" },
	[SUMMARY_JOB] = { "job", "job" },
	[SUMMARY_FROM] = { "from", "sender" },
	[SUMMARY_HOUR] = { "hour", "hour" },
	[SUMMARY_DAY] = { "day", "day" },
};

int
summary_by_parse(const char *s, enum summary_by *ret_by)
{
	int i;

	for (i = SUMMARY_VMTA; i < SUMMARY_BY_N; i++)
		if (strcmp(s, kinds[i].name) == 0) {
			*ret_by = (enum summary_by)i;
			return (0);
		}
	return (-1);
}

/* The highest value of cell i. */
static int64_t
quantile_top(unsigned int i)
{
	unsigned int octave, step;

	if (i < LINEAR)
		return (i);
	octave = (i - LINEAR) / STEPS;
	step = (i - LINEAR) % STEPS;
	return (((int64_t)(STEPS + step + 1) << (octave + 1)) - 1);
}

void
quantile_add(struct quantile *q, int64_t v)
{
	unsigned int octave = 0, i;
	int64_t x;

	if (v < 0)
		v = 0;
	if (v < LINEAR)
		i = (unsigned int)v;
	else {
		for (x = v >> 1; x >= LINEAR; x >>= 1)
			octave++;
		/* x is now STEPS to LINEAR - 1 */
		i = LINEAR + octave * STEPS + (unsigned int)(x - STEPS);
	}
	if (i >= QUANTILE_N)
		i = QUANTILE_N - 1;
	q->count[i]++;
	q->n++;
}

int64_t
quantile_get(const struct quantile *q, unsigned int p)
{
	uint64_t want = (q->n * p + 99) / 100, seen = 0;
	unsigned int i;

	if (q->n == 0)
		return (0);
	for (i = 0; i < QUANTILE_N - 1; i++)
		if ((seen += q->count[i]) >= want && seen > 0)
			break;
	return (quantile_top(i));
}

struct summary *
summary_new(unsigned int by)
{
	struct summary *s = xcalloc(1, sizeof(*s));

	s->by = by;
	return (s);
}

static void
group_free(void *arg)
{
	struct group *g = arg;

	free(g->key);
	free(g->times);
	free(g);
}

void
summary_free(struct summary *s)
{
	int i;

	for (i = 0; i < SUMMARY_BY_N; i++)
		map_release(&s->group[i], group_free);
	free(s);
}

/* The group of a key, made when it is new. */
static struct group *
group_get(struct map *m, const char *key)
{
	struct group *g = map_get(m, key);

	if (g != NULL)
		return (g);
	if (m->n >= GROUPS_MAX) {
		key = "(other)";
		if ((g = map_get(m, key)) != NULL)
			return (g);
	}
	g = xcalloc(1, sizeof(*g));
	g->key = xstrdup(key);
	(void)map_put(m, key, g);
	return (g);
}

static void
group_add(struct group *g, const struct report_row *r)
{
	if (r->logged != 0) {
		if (g->first == 0 || r->logged < g->first)
			g->first = r->logged;
		if (r->logged > g->last)
			g->last = r->logged;
	}
	if (r->type == RECORD_B &&
	    strcmp(r->field[COL_BOUNCE_CAT], "suppressed") == 0)
		g->suppressed++;
	else if (r->type == RECORD_B)
		g->bounced++;
	else if (r->type == RECORD_T)
		g->deferred++;
	if (r->type != RECORD_D)
		return;
	g->delivered++;
	g->bytes += strtoull(r->field[COL_DLV_SIZE], NULL, 10);
	if (r->queued == 0 || r->logged == 0)
		return;
	if (g->times == NULL)
		g->times = xcalloc(1, sizeof(*g->times));
	quantile_add(g->times, r->logged - r->queued);
}

/* The key of a row, for one kind of group; buf holds what is made for it. */
static const char *
row_key(const struct report_row *r, enum summary_by by, char *buf, size_t n)
{
	char time[STAMP_ACCT_LEN + 1];

	switch (by) {
	case SUMMARY_VMTA:
		return (r->field[COL_VMTA]);
	case SUMMARY_DOMAIN:
		return (r->domain);
	case SUMMARY_SOURCE:
		return (r->field[COL_DLV_SOURCE_IP]);
	case SUMMARY_JOB:
		return (r->field[COL_JOB_ID]);
	case SUMMARY_FROM:
		return (r->field[COL_ORIG]);
	case SUMMARY_HOUR:
	case SUMMARY_DAY:
		if (r->logged == 0)
			return ("");
		(void)snprintf(buf, n, "%.*s%s", by == SUMMARY_DAY ? 10 : 13,
		    stamp_acct(r->logged, time),
		    by == SUMMARY_DAY ? "" : ":00");
		return (buf);
	default:
		return ("all");
	}
}

int
summary_add(void *arg, struct report_row *row, struct verr *err)
{
	struct summary *s = arg;
	char buf[32];
	int i;

	(void)err;
	if ((row->type & (RECORD_D | RECORD_B | RECORD_T)) == 0)
		return (0);
	s->rows++;
	for (i = 0; i < SUMMARY_BY_N; i++)
		if ((s->by & (1u << i)) != 0)
			group_add(group_get(&s->group[i],
				      row_key(row, (enum summary_by)i, buf,
					  sizeof(buf))),
			    row);
	return (0);
}

uint64_t
summary_rows(const struct summary *s)
{
	return (s->rows);
}

/* By key. */
static int
group_cmp_key(const void *a, const void *b)
{
	return (strcmp((*(struct group *const *)a)->key,
	    (*(struct group *const *)b)->key));
}

/* Most first, then by key. */
static int
group_cmp(const void *a, const void *b)
{
	const struct group *x = *(struct group *const *)a;
	const struct group *y = *(struct group *const *)b;
	uint64_t m = x->delivered + x->bounced + x->deferred;
	uint64_t n = y->delivered + y->bounced + y->deferred;

	if (m != n)
		return (m > n ? -1 : 1);
	return (strcmp(x->key, y->key));
}

static const struct report_col cols[] = {
	{ "by", NULL, 0, false },
	{ "key", "", 24, false },
	{ "delivered", "delivered", 9, true },
	{ "bounced", "bounced", 7, true },
	{ "deferred", "deferred", 8, true },
	{ "bytes", "bytes", 12, true },
	{ "perMinute", "per min", 9, true },
	{ "perHour", "per hour", 10, true },
	{ "first", NULL, 0, false },
	{ "last", NULL, 0, false },
	{ "p50", "p50 s", 6, true },
	{ "p90", "p90 s", 6, true },
	{ "p99", "p99 s", 6, true },
	{ "suppressed", NULL, 0, true },
};
#define NCOLS (sizeof(cols) / sizeof(cols[0]))

/* A rate of what was delivered, over the time from first to last record. */
static void
put_rate(const struct group *g, unsigned int per, char *buf, size_t n)
{
	int64_t span = g->last - g->first + 1;

	(void)snprintf(buf, n, "%.1f",
	    (double)g->delivered * per / (double)(span > 0 ? span : 1));
}

static void
group_write(struct report_out *o, enum summary_by by, const struct group *g)
{
	static const unsigned int percent[] = { 50, 90, 99 };
	char text[NCOLS][40];
	const char *value[NCOLS];
	unsigned int i;

	for (i = 0; i < NCOLS; i++) {
		text[i][0] = '\0';
		value[i] = text[i];
	}
	value[0] = kinds[by].name;
	value[1] = g->key[0] != '\0' ? g->key : "-";
	(void)snprintf(text[2], 40, "%" PRIu64, g->delivered);
	(void)snprintf(text[3], 40, "%" PRIu64, g->bounced);
	(void)snprintf(text[4], 40, "%" PRIu64, g->deferred);
	(void)snprintf(text[5], 40, "%" PRIu64, g->bytes);
	put_rate(g, 60, text[6], 40);
	put_rate(g, 3600, text[7], 40);
	if (g->first != 0) {
		(void)stamp_acct(g->first, text[8]);
		(void)stamp_acct(g->last, text[9]);
	}
	for (i = 0; i < 3 && g->times != NULL; i++)
		(void)snprintf(text[10 + i], 40, "%" PRId64,
		    quantile_get(g->times, percent[i]));
	(void)snprintf(text[13], 40, "%" PRIu64, g->suppressed);
	report_out_row(o, value);
}

/* The groups of a kind, in the order in which they are shown. */
static struct group **
groups_sorted(const struct summary *s, enum summary_by by, size_t *ret_n)
{
	const struct map *m = &s->group[by];
	struct group **g = xcalloc(m->n + 1, sizeof(struct group *));
	size_t i = 0, n = 0;

	while ((g[n] = map_next(m, &i, NULL)) != NULL)
		n++;
	if (n > 0)
		qsort(g, n, sizeof(struct group *),
		    by == SUMMARY_HOUR || by == SUMMARY_DAY ? group_cmp_key :
							      group_cmp);
	*ret_n = n;
	return (g);
}

/* A text section has its kind as title of the first column. */
static void
section_write(const struct summary *s, FILE *f, enum report_format format,
    enum summary_by by, size_t top, bool headless)
{
	struct report_col col[NCOLS];
	struct report_out o;
	struct group **g;
	size_t i, n;

	memcpy(col, cols, sizeof(col));
	col[1].title = kinds[by].title;
	g = groups_sorted(s, by, &n);
	report_out_begin(&o, f, format, col, NCOLS, headless);
	for (i = 0; i < n && (format != REPORT_TEXT || top == 0 || i < top);
	     i++)
		group_write(&o, by, g[i]);
	if (i < n)
		(void)fprintf(f, "(%zu more: --by %s shows all)\n", n - i,
		    kinds[by].name);
	report_out_end(&o);
	free(g);
}

void
summary_write(const struct summary *s, FILE *f, enum report_format format,
    size_t top)
{
	char first[STAMP_ACCT_LEN + 1], last[STAMP_ACCT_LEN + 1];
	const struct group *g = map_get(&s->group[SUMMARY_TOTAL], "all");
	bool any = false;
	int i;

	if (format == REPORT_TEXT && g != NULL && g->first != 0)
		(void)fprintf(f, "%s to %s\n\n", stamp_acct(g->first, first),
		    stamp_acct(g->last, last));
	for (i = 0; i < SUMMARY_BY_N; i++) {
		if ((s->by & (1u << i)) == 0)
			continue;
		if (any && format == REPORT_TEXT)
			(void)fputc('\n', f);
		section_write(s, f, format, (enum summary_by)i, top,
		    any && format != REPORT_TEXT);
		any = true;
	}
}
