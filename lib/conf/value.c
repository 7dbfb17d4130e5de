/*
 * Values of the parameter table: from text, to text, into a struct.
 *
 * A value is parsed once, when a file is read; what is stored in the image is
 * the two numbers and the blob of struct conf_value, from which the members
 * of the structs of conf.h are filled.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "base/unit.h"
#include "conf/check.h"
#include "conf/param.h"

/* Why a text is no number of this type. */
static const char *
value_expected(enum conf_type type)
{
	switch (type) {
	case CONF_BOOL:
		return ("yes or no");
	case CONF_TIME:
	case CONF_LADDER:
		return ("a time like 90s, 10m or 4d12h");
	case CONF_WHEN:
		return ("yes, no, or a time like 10m or 4d12h");
	case CONF_SIZE:
		return ("a size like 512, 10k or 250M");
	case CONF_RATE:
		return ("a rate like 500/h, 83/10m or unlimited");
	case CONF_SRATE:
		return ("a rate like 10M/h or unlimited");
	default:
		return ("a whole number");
	}
}

/* yes, no, or a time. */
static int
value_when(const char *text, int64_t *ret_ms)
{
	bool yes;

	if (strcasecmp(text, "never") == 0) {
		*ret_ms = -1;
		return (0);
	}
	if ((text[0] < '0' || text[0] > '9') && unit_bool(text, &yes) == 0) {
		*ret_ms = yes ? 0 : -1;
		return (0);
	}
	return (unit_interval(text, ret_ms));
}

/* The numbers of a value of a type without blob. */
static int
value_number(enum conf_type type, const char *text, struct conf_value *ret_v)
{
	struct rate rate;
	bool yes;

	switch (type) {
	case CONF_BOOL:
		if (unit_bool(text, &yes) == -1)
			return (-1);
		ret_v->a = yes ? 1 : 0;
		return (0);
	case CONF_TIME:
	case CONF_LADDER:
		return (unit_interval(text, &ret_v->a));
	case CONF_WHEN:
		return (value_when(text, &ret_v->a));
	case CONF_SIZE:
		return (unit_size(text, &ret_v->a));
	case CONF_RATE:
	case CONF_SRATE:
		if (unit_rate(text, type == CONF_SRATE, &rate) == -1)
			return (-1);
		ret_v->a = rate.n;
		ret_v->b = rate.per;
		return (0);
	default:
		return (unit_int(text, &ret_v->a));
	}
}

/* A number that starts with a superfluous zero? */
static bool
value_leading_zero(const char *s)
{
	return (s[0] == '0' && s[1] >= '0' && s[1] <= '9');
}

/* Append `NAME = TEXT`, escaped by the error's own tidying. */
static int
value_bad(const struct conf_param *p, const char *text, const char *why,
    struct buf *ret_why)
{
	buf_addf(ret_why, "%s = '%.200s': %s", p->name, text, why);
	return (-1);
}

/* Is the number in the row's range? */
static int
value_range(const struct conf_param *p, enum conf_type type, const char *text,
    int64_t n, struct buf *ret_why)
{
	char lo[64], hi[64];

	if (type == CONF_RATE || type == CONF_SRATE ||
	    (type == CONF_WHEN && n == -1) || (n >= p->min && n <= p->max))
		return (0);
	if (type == CONF_TIME || type == CONF_WHEN) {
		(void)unit_show_interval(p->min, lo, sizeof(lo));
		(void)unit_show_interval(p->max, hi, sizeof(hi));
	} else if (type == CONF_SIZE) {
		(void)unit_show_size(p->min, lo, sizeof(lo));
		(void)unit_show_size(p->max, hi, sizeof(hi));
	} else {
		(void)snprintf(lo, sizeof(lo), "%lld", (long long)p->min);
		(void)snprintf(hi, sizeof(hi), "%lld", (long long)p->max);
	}
	buf_addf(ret_why, "%s = '%.200s': out of range (%s to %s)", p->name,
	    text, lo, hi);
	return (-1);
}

/* A value of a type without blob. */
static int
value_scalar(const struct conf_param *p, const char *text,
    struct conf_value *ret_v, struct buf *ret_why)
{
	if (value_number(p->type, text, ret_v) == -1) {
		if (value_leading_zero(text))
			return (value_bad(p, text, "leading zero", ret_why));
		buf_addf(ret_why, "%s = '%.200s': expected %s", p->name, text,
		    value_expected(p->type));
		return (-1);
	}
	return (value_range(p, p->type, text, ret_v->a, ret_why));
}

/* Steps of a ladder in one text: times between commas. */
static int
value_steps(const struct conf_param *p, const char *text, struct buf *steps,
    struct buf *ret_why)
{
	const char *s = text, *end;
	char one[64];
	int64_t ms;
	size_t n;

	for (;; s = end + 1) {
		end = strchr(s, ',');
		n = end != NULL ? (size_t)(end - s) : strlen(s);
		while (n > 0 && *s == ' ') {
			s++;
			n--;
		}
		while (n > 0 && s[n - 1] == ' ')
			n--;
		(void)snprintf(one, sizeof(one), "%.*s", (int)n, s);
		if (n >= sizeof(one) || unit_interval(one, &ms) == -1)
			return (value_bad(p, text,
			    value_leading_zero(one) ?
				"leading zero" :
				"expected times like '10m,30m,2h'",
			    ret_why));
		if (ms < 1000 || ms > 365 * 86400000LL)
			return (value_bad(p, text,
			    "a step is out of range (1s to 365d)", ret_why));
		buf_add(steps, &ms, sizeof(ms));
		if (end == NULL)
			return (0);
	}
}

/* One text of a list (or the only one of a string). */
static int
value_item(const struct conf_param *p, const struct conf_text *text,
    struct conf_value *v, struct buf *blob, struct buf *ret_why)
{
	const char *why;
	size_t at = blob->len;

	if (p->type == CONF_LADDER) {
		if (value_steps(p, text->s, blob, ret_why) == -1)
			return (-1);
		v->a = (int64_t)(blob->len / sizeof(int64_t));
		return (0);
	}
	if (text->s[0] == '\0')
		return (value_bad(p, text->s, "empty", ret_why));
	if (check_text(p->check, text, blob, &why) == -1) {
		buf_addf(ret_why, "%s = '%.200s': expected %s", p->name,
		    text->s, why);
		return (-1);
	}
	if (p->type == CONF_STRING && (int64_t)(blob->len - at) > p->max)
		return (value_bad(p, text->s, "too long", ret_why));
	buf_addc(blob, '\0');
	v->a++;
	return (0);
}

/* A value of a type with blob; the texts are not empty. */
static int
value_blob(const struct conf_param *p, const struct conf_text *text, size_t n,
    struct conf_value *ret_v, size_t *ret_bad, struct buf *ret_why)
{
	struct buf blob = BUF_INIT;
	size_t i;

	for (i = 0; i < n; i++) {
		*ret_bad = i;
		if (value_item(p, &text[i], ret_v, &blob, ret_why) == -1)
			goto fail;
	}
	if (p->type != CONF_STRING && ret_v->a > p->max) {
		buf_addf(ret_why, "%s: more than %lld values", p->name,
		    (long long)p->max);
		goto fail;
	}
	if (p->type == CONF_LIST)
		buf_addc(&blob, '\0');
	ret_v->len = blob.len;
	ret_v->blob = buf_take(&blob);
	return (0);
fail:
	buf_release(&blob);
	return (-1);
}

/* Is the value one that needs no blob? */
static bool
value_is_number(enum conf_type type)
{
	return (type != CONF_STRING && type != CONF_LIST &&
	    type != CONF_LADDER);
}

int
conf_value_parse(const struct conf_param *p, const struct conf_text *text,
    size_t n, struct conf_value *ret_v, size_t *ret_bad, struct buf *ret_why)
{
	memset(ret_v, 0, sizeof(*ret_v));
	*ret_bad = 0;
	if (n == 1 && text[0].s[0] == '\0') {
		/* '' takes away what a wider scope has set */
		if (value_is_number(p->type) || p->min > 0)
			conf_value_default(p, ret_v);
		return (0);
	}
	if (value_is_number(p->type))
		return (value_scalar(p, text[0].s, ret_v, ret_why));
	return (value_blob(p, text, n, ret_v, ret_bad, ret_why));
}

void
conf_value_default(const struct conf_param *p, struct conf_value *ret_v)
{
	struct buf blob = BUF_INIT;
	const char *s;

	memset(ret_v, 0, sizeof(*ret_v));
	if (p->def[0] == '\0')
		return;
	if (value_is_number(p->type)) {
		(void)value_number(p->type, p->def, ret_v);
		return;
	}
	if (p->type == CONF_LADDER) {
		(void)value_steps(p, p->def, &blob, NULL);
		ret_v->a = (int64_t)(blob.len / sizeof(int64_t));
	} else {
		ret_v->a = 1;
		for (s = p->def; *s != '\0'; s++) {
			if (*s == ',' && p->type == CONF_LIST)
				ret_v->a++;
			buf_addc(&blob, *s == ',' ? '\0' : *s);
		}
		buf_addc(&blob, '\0');
		if (p->type == CONF_LIST)
			buf_addc(&blob, '\0');
	}
	ret_v->len = blob.len;
	ret_v->blob = buf_take(&blob);
}

void
conf_value_free(struct conf_value *v)
{
	free(v->blob);
	memset(v, 0, sizeof(*v));
}

bool
conf_value_equal(const struct conf_value *x, const struct conf_value *y)
{
	return (x->a == y->a && x->b == y->b && x->len == y->len &&
	    (x->len == 0 || memcmp(x->blob, y->blob, x->len) == 0));
}

uint64_t
conf_value_hash(const struct conf_value *v)
{
	int64_t n[3] = { v->a, v->b, 0 };

	if (v->len > 0)
		n[2] = (int64_t)map_hash(v->blob, v->len);
	return (map_hash(n, sizeof(n)));
}

/* A string member's place in the struct at base. */
#define MEMBER(p, base, t) ((t *)(void *)((char *)(base) + (p)->offset))

void
conf_value_store(const struct conf_param *p, void *base, int64_t a, int64_t b,
    const char *blob)
{
	switch (p->type) {
	case CONF_BOOL:
		*MEMBER(p, base, bool) = a != 0;
		break;
	case CONF_INT:
	case CONF_TIME:
	case CONF_WHEN:
	case CONF_SIZE:
		*MEMBER(p, base, int64_t) = a;
		break;
	case CONF_RATE:
	case CONF_SRATE:
		MEMBER(p, base, struct rate)->n = a;
		MEMBER(p, base, struct rate)->per = b > 0 ? b : 1;
		break;
	case CONF_STRING:
		*MEMBER(p, base, const char *) = a > 0 ? blob : "";
		break;
	case CONF_LIST:
		MEMBER(p, base, struct conf_list)->n = (uint32_t)a;
		MEMBER(p, base, struct conf_list)->first = blob;
		break;
	case CONF_LADDER:
		MEMBER(p, base, struct conf_ladder)->n = (uint32_t)a;
		MEMBER(p, base, struct conf_ladder)
		    ->ms = (const int64_t *)(const void *)blob;
		break;
	}
}

/* Append one string, quoted where libconfuse needs it. */
static void
value_quote(const char *s, struct buf *ret_text)
{
	const char *c;

	if (*s != '\0' &&
	    strspn(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789.-_@:") == strlen(s)) {
		buf_adds(ret_text, s);
		return;
	}
	buf_addc(ret_text, '\'');
	for (c = s; *c != '\0'; c++) {
		if (*c == '\'' ||
		    (*c == '\\' &&
			(c[1] == '\\' || c[1] == '\'' || c[1] == '\0')))
			buf_addc(ret_text, '\\');
		buf_addc(ret_text, *c);
	}
	buf_addc(ret_text, '\'');
}

/* Append a value with a blob. */
static void
value_show_blob(const struct conf_param *p, int64_t n, const char *blob,
    struct buf *ret_text)
{
	const int64_t *ms = (const int64_t *)(const void *)blob;
	char one[64];
	int64_t i;

	if (n == 0) {
		buf_adds(ret_text, "''");
		return;
	}
	if (p->type == CONF_STRING) {
		value_quote(blob, ret_text);
		return;
	}
	buf_adds(ret_text, p->type == CONF_LIST ? "{" : "'");
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(ret_text, p->type == CONF_LIST ? ", " : ",");
		if (p->type == CONF_LADDER) {
			buf_adds(ret_text,
			    unit_show_interval(ms[i], one, sizeof(one)));
			continue;
		}
		value_quote(blob, ret_text);
		blob += strlen(blob) + 1;
	}
	buf_adds(ret_text, p->type == CONF_LIST ? "}" : "'");
}

void
conf_value_show(const struct conf_param *p, int64_t a, int64_t b,
    const char *blob, struct buf *ret_text)
{
	struct rate rate = { a, b };
	char one[64];

	switch (p->type) {
	case CONF_BOOL:
		buf_adds(ret_text, a != 0 ? "yes" : "no");
		break;
	case CONF_INT:
		buf_addf(ret_text, "%lld", (long long)a);
		break;
	case CONF_WHEN:
		if (a <= 0) {
			buf_adds(ret_text, a == 0 ? "yes" : "no");
			break;
		}
		buf_adds(ret_text, unit_show_interval(a, one, sizeof(one)));
		break;
	case CONF_TIME:
		buf_adds(ret_text, unit_show_interval(a, one, sizeof(one)));
		break;
	case CONF_SIZE:
		buf_adds(ret_text, unit_show_size(a, one, sizeof(one)));
		break;
	case CONF_RATE:
	case CONF_SRATE:
		buf_adds(ret_text, unit_show_rate(&rate, one, sizeof(one)));
		break;
	default:
		value_show_blob(p, a, blob, ret_text);
		break;
	}
}
