/* The parameter table, and values: text to value, value to text. */
#ifndef VMTA_CONF_PARAM_H
#define VMTA_CONF_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"

enum conf_type {
	CONF_BOOL,
	CONF_INT,
	CONF_TIME,
	CONF_WHEN,
	CONF_SIZE,
	CONF_RATE,
	CONF_SRATE,
	CONF_STRING,
	CONF_LIST,
	CONF_LADDER
};

/* What is looked at beyond type and range; see check.c and verify.c. */
enum conf_check {
	CHECK_ANY,
	CHECK_HOST,
	CHECK_FIELD,
	CHECK_PREFIX,
	CHECK_FILE,
	CHECK_PICKUP,
	CHECK_SERVER,
	CHECK_SOURCEHOST,
	CHECK_CIDR,
	CHECK_CIDRINT,
	CHECK_CIDRRATE,
	CHECK_CIDRSRATE,
	CHECK_ADDRESS,
	CHECK_ALIAS,
	CHECK_DOMAINKEY,
	CHECK_CATEGORY,
	CHECK_STRATEGY,
	CHECK_ALGORITHM,
	CHECK_DELIVERY,
	CHECK_RECORDS,
	CHECK_SMTPHOSTS,
	CHECK_ROUTE,
	CHECK_REPLY,
	CHECK_LISTNAME,
	CHECK_REWRITE,
	CHECK_UNSUBSCRIBE,
	/* references: verify.c */
	CHECK_VMTA,
	CHECK_VMTAPOOL,
	CHECK_VMTAGLOB,
	CHECK_MEMBER,
	CHECK_SMTPLIST,
	CHECK_PATTERNLIST
};

struct conf_param {
	unsigned scope; /* one of CONF_GLOBAL ... */
	const char *name;
	enum conf_type type;
	int64_t min, max;
	const char *def;
	bool later; /* not in force in this version */
	enum conf_check check;
	const char *form;
	const char *help;
	size_t offset; /* of the member in the struct of the scope */
};

/*
 * A value. Numbers in a (rates: a events per b seconds). STRING: a 1, blob a
 * string (a 0: empty). LIST: a strings and an empty one in blob. LADDER: a
 * int64_t in blob.
 */
struct conf_value {
	int64_t a, b;
	char *blob; /* allocated, or NULL */
	size_t len;
};

/* A text of a file, and what relative paths in it start from. */
struct conf_text {
	const char *s;
	const char *prefix; /* parent of etc/ */
	const char *dir;    /* directory of the file that it is from */
};

/* The table; its rows are numbered 0 to *ret_n - 1, scope by scope. */
const struct conf_param *conf_params(size_t *ret_n);
/* A row by scope and name, or NULL. */
const struct conf_param *conf_param(unsigned scope, const char *name);
/* The number of a row. */
size_t conf_param_index(const struct conf_param *p);
/* A hash of the whole table: an image of another table is not ours. */
uint64_t conf_params_hash(void);

/*
 * Read n texts as a value of p. 0 and *ret_v (caller: conf_value_free); or
 * -1, *ret_bad the text at fault, and why (name of the parameter included).
 */
int conf_value_parse(const struct conf_param *p, const struct conf_text *text,
    size_t n, struct conf_value *ret_v, size_t *ret_bad, struct buf *ret_why);
/* The default of p; caller: conf_value_free. */
void conf_value_default(const struct conf_param *p, struct conf_value *ret_v);
void conf_value_free(struct conf_value *v);
bool conf_value_equal(const struct conf_value *x, const struct conf_value *y);
uint64_t conf_value_hash(const struct conf_value *v);
/* Put a value into the member of p of the struct at base. */
void conf_value_store(const struct conf_param *p, void *base, int64_t a,
    int64_t b, const char *blob);
/* Append the value as it would be written in vmta.conf. */
void conf_value_show(const struct conf_param *p, int64_t a, int64_t b,
    const char *blob, struct buf *ret_text);

#endif
