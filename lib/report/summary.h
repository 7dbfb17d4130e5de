/* vmta-report summary: what was delivered, bounced and deferred, how fast. */
#ifndef VMTA_REPORT_SUMMARY_H
#define VMTA_REPORT_SUMMARY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "report/filter.h"
#include "report/out.h"

struct summary;

enum summary_by {
	SUMMARY_TOTAL,
	SUMMARY_VMTA,
	SUMMARY_DOMAIN,
	SUMMARY_SOURCE, /* source address */
	SUMMARY_JOB,
	SUMMARY_FROM,
	SUMMARY_HOUR,
	SUMMARY_DAY,
	SUMMARY_BY_N
};

/* `vmta`, `domain`, ...: 0, or -1. */
int summary_by_parse(const char *s, enum summary_by *ret_by);

/* by: a set of 1 << SUMMARY_X. Never NULL; free with summary_free. */
struct summary *summary_new(unsigned int by);
void summary_free(struct summary *s);
/* Take a row (report_row_cb; arg is the struct summary); d, b, t count. */
int summary_add(void *arg, struct report_row *row, struct verr *err);
/* Rows that counted. */
uint64_t summary_rows(const struct summary *s);
/*
 * Write it: for text a section for each `by`, most first, of at most `top`
 * rows (0: all); for CSV and JSON one table `by,key,delivered,bounced,
 * deferred,bytes,perMinute,perHour,first,last,p50,p90,p99`. Percentiles are
 * seconds from timeQueued to timeLogged of what was delivered, exact below
 * 32 s, above rounded up by less than a sixteenth.
 */
void summary_write(const struct summary *s, FILE *f, enum report_format format,
    size_t top);

/* Percentiles of a stream of numbers, in bounded memory. */
#define QUANTILE_N 288
struct quantile {
	uint64_t n;
	uint32_t count[QUANTILE_N];
};
void quantile_add(struct quantile *q, int64_t v);
/* The least value that p per cent are not above; 0 where there is none. */
int64_t quantile_get(const struct quantile *q, unsigned int p);

#endif
