/* The rows of params.def as an array. */
#include <string.h>

#include "base/map.h"
#include "conf/param.h"

#define P(s, field, name, type, lo, hi, def, st, check, form, help) \
	CONF_T_##type field;
struct conf_rules {
#define CONF_SCOPES CONF_RULES
#include "conf/params.def"
#undef CONF_SCOPES
};
struct conf_replies {
#define CONF_SCOPES CONF_REPLIES
#include "conf/params.def"
#undef CONF_SCOPES
};
struct conf_macro {
#define CONF_SCOPES CONF_MACRO
#include "conf/params.def"
#undef CONF_SCOPES
};
#undef P

#define S_GLOBAL struct conf_global
#define S_VMTA struct conf_vmta
#define S_POOL struct conf_pool
#define S_DOMAIN struct conf_queue
#define S_SOURCE struct conf_source
#define S_ACCT struct conf_acct
#define S_RULES struct conf_rules
#define S_REPLIES struct conf_replies
#define S_MACRO struct conf_macro
#define IS_NOW false
#define IS_LATER true
#define P(s, field, name, type, lo, hi, def, st, check, form, help)         \
	{ CONF_##s, name, CONF_##type, lo, hi, def, IS_##st, CHECK_##check, \
		form, help, offsetof(S_##s, field) },
static const struct conf_param params[] = {
#define CONF_SCOPES 0x1ff
#include "conf/params.def"
#undef CONF_SCOPES
};
#undef P
#define NPARAMS (sizeof(params) / sizeof(params[0]))

const struct conf_param *
conf_params(size_t *ret_n)
{
	*ret_n = NPARAMS;
	return (params);
}

const struct conf_param *
conf_param(unsigned scope, const char *name)
{
	size_t i;

	for (i = 0; i < NPARAMS; i++)
		if (params[i].scope == scope &&
		    strcmp(params[i].name, name) == 0)
			return (&params[i]);
	return (NULL);
}

size_t
conf_param_index(const struct conf_param *p)
{
	return ((size_t)(p - params));
}

uint64_t
conf_params_hash(void)
{
	uint64_t h = sizeof(struct conf_value);
	size_t i;

	for (i = 0; i < NPARAMS; i++) {
		h = h * 31 + map_hash(params[i].name, strlen(params[i].name));
		h = h * 31 + map_hash(params[i].def, strlen(params[i].def));
		h = h * 31 + params[i].scope;
		h = h * 31 + (unsigned)params[i].type;
		h = h * 31 + (params[i].later ? 1 : 0);
	}
	return (h);
}
