/*
 * ESMTP parameters: a table of keywords for each command, each with the one
 * function that judges and stores its value. A parameter may stand once. An
 * unknown one is refused: it may ask for what would then not be done.
 */
#include <string.h>
#include <strings.h>

#include "mail/esmtp.h"

/* Store a value; ret is the struct esmtp_... of the command. 0 or -1. */
typedef int param_fn(void *ret, const char *p, size_t n, struct verr *err);

struct param {
	const char *key;
	param_fn *fn;
};

/* Is the value this word, in any case? */
static bool
is_word(const char *p, size_t n, const char *word)
{
	return (n == strlen(word) && strncasecmp(p, word, n) == 0);
}

/* SIZE=: up to 20 digits; more than an int64_t holds counts as its limit. */
static int
param_size(void *ret, const char *p, size_t n, struct verr *err)
{
	struct esmtp_mail *m = ret;
	int64_t size = 0;
	size_t i;

	for (i = 0; i < n && p[i] >= '0' && p[i] <= '9'; i++)
		if (__builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, p[i] - '0', &size))
			size = INT64_MAX / 10;
	if (n == 0 || i < n || n > 20)
		return (verr_set(err, VEX_DATA, "SIZE is not a number"));
	m->size = size;
	return (0);
}

/* BODY=: BINARYMIME is not offered, so it is refused. */
static int
param_body(void *ret, const char *p, size_t n, struct verr *err)
{
	struct esmtp_mail *m = ret;

	m->body_8bit = is_word(p, n, "8BITMIME");
	if (!m->body_8bit && !is_word(p, n, "7BIT"))
		return (verr_set(err, VEX_DATA,
		    "BODY is neither 7BIT nor 8BITMIME"));
	return (0);
}

static int
param_smtputf8(void *ret, const char *p, size_t n, struct verr *err)
{
	struct esmtp_mail *m = ret;

	(void)p;
	if (n > 0)
		return (verr_set(err, VEX_DATA, "SMTPUTF8 takes no value"));
	m->smtputf8 = true;
	return (0);
}

static int
param_ret(void *ret, const char *p, size_t n, struct verr *err)
{
	struct esmtp_mail *m = ret;

	if (is_word(p, n, "FULL"))
		m->ret = 'F';
	else if (is_word(p, n, "HDRS"))
		m->ret = 'H';
	else
		return (verr_set(err, VEX_DATA,
		    "RET is neither FULL nor HDRS"));
	return (0);
}

static int
param_envid(void *ret, const char *p, size_t n, struct verr *err)
{
	struct esmtp_mail *m = ret;

	if (xtext_check_envid(p, n, err) == -1)
		return (-1);
	memcpy(m->envid, p, n);
	m->envid[n] = '\0';
	return (0);
}

/* VERP: PowerMTA's. */
static int
param_verp(void *ret, const char *p, size_t n, struct verr *err)
{
	struct esmtp_mail *m = ret;

	(void)p;
	if (n > 0)
		return (verr_set(err, VEX_DATA, "VERP takes no value"));
	m->verp = true;
	return (0);
}

/* AUTH= (RFC 4954): legal, and of no use here. */
static int
param_auth(void *ret, const char *p, size_t n, struct verr *err)
{
	(void)ret;
	(void)p;
	if (n == 0)
		return (verr_set(err, VEX_DATA, "AUTH without value"));
	return (0);
}

/* NOTIFY=: NEVER alone, or a list of the others. */
static int
param_notify(void *ret, const char *p, size_t n, struct verr *err)
{
	static const char *const word[] = { "SUCCESS", "FAILURE", "DELAY" };
	struct esmtp_rcpt *r = ret;
	bool on[3] = { false, false, false };
	const char *comma;
	size_t i, len, out = 0;

	if (is_word(p, n, "NEVER")) {
		memcpy(r->notify, "N", 2);
		return (0);
	}
	for (;; p += len + 1, n -= len + 1) {
		comma = memchr(p, ',', n);
		len = comma != NULL ? (size_t)(comma - p) : n;
		for (i = 0; i < 3 && !is_word(p, len, word[i]);)
			i++;
		if (i == 3)
			return (verr_set(err, VEX_DATA,
			    "NOTIFY is not NEVER or SUCCESS,FAILURE,DELAY"));
		on[i] = true;
		if (comma == NULL)
			break;
	}
	for (i = 0; i < 3; i++)
		if (on[i])
			r->notify[out++] = word[i][0];
	r->notify[out] = '\0';
	return (0);
}

static int
param_orcpt(void *ret, const char *p, size_t n, struct verr *err)
{
	struct esmtp_rcpt *r = ret;

	if (xtext_check_orcpt(p, n, err) == -1)
		return (-1);
	memcpy(r->orcpt, p, n);
	r->orcpt[n] = '\0';
	return (0);
}

static const struct param mail_param[] = { { "SIZE", param_size },
	{ "BODY", param_body }, { "SMTPUTF8", param_smtputf8 },
	{ "RET", param_ret }, { "ENVID", param_envid }, { "AUTH", param_auth },
	{ "VERP", param_verp }, { NULL, NULL } };

static const struct param rcpt_param[] = { { "NOTIFY", param_notify },
	{ "ORCPT", param_orcpt }, { NULL, NULL } };

/* One parameter of len octets; seen: bits of those that were there. */
static int
parse_param(const struct param *table, const char *p, size_t len,
    unsigned *seen, void *ret, struct verr *err)
{
	const char *eq = memchr(p, '=', len);
	size_t key = eq != NULL ? (size_t)(eq - p) : len;
	unsigned i;

	for (i = 0; table[i].key != NULL; i++)
		if (is_word(p, key, table[i].key))
			break;
	if (table[i].key == NULL)
		return (verr_set(err, VEX_DATA, "parameter %.*s unknown",
		    key > 40 ? 40 : (int)key, p));
	if ((*seen & 1u << i) != 0)
		return (verr_set(err, VEX_DATA, "%s given twice",
		    table[i].key));
	*seen |= 1u << i;
	return (table[i].fn(ret, p + (eq != NULL ? key + 1 : key),
	    eq != NULL ? len - key - 1 : 0, err));
}

/* All parameters, each after one or more spaces. */
static int
parse_params(const struct param *table, const char *p, size_t n, void *ret,
    struct verr *err)
{
	unsigned seen = 0;
	size_t i = 0, start;

	while (i < n) {
		if (p[i] != ' ')
			return (verr_set(err, VEX_DATA,
			    "no space before a parameter"));
		while (i < n && p[i] == ' ')
			i++;
		for (start = i; i < n && p[i] != ' ';)
			i++;
		if (i > start &&
		    parse_param(table, p + start, i - start, &seen, ret, err) ==
			-1)
			return (-1);
	}
	return (0);
}

int
esmtp_mail_parse(const char *p, size_t n, struct esmtp_mail *ret_mail,
    struct verr *err)
{
	memset(ret_mail, 0, sizeof(*ret_mail));
	ret_mail->size = -1;
	return (parse_params(mail_param, p, n, ret_mail, err));
}

int
esmtp_rcpt_parse(const char *p, size_t n, struct esmtp_rcpt *ret_rcpt,
    struct verr *err)
{
	memset(ret_rcpt, 0, sizeof(*ret_rcpt));
	return (parse_params(rcpt_param, p, n, ret_rcpt, err));
}
