/* Domain patterns of vmta.conf: what they match, which is more specific. */
#ifndef VMTA_CONF_DOMAIN_H
#define VMTA_CONF_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

/* Kinds of patterns, from the most general to the most specific. */
enum domain_kind {
	DOMAIN_ALL,    /* *                     key: empty */
	DOMAIN_NET,    /* [192.0.2.0/24]        key: as conf_domain */
	DOMAIN_UNDER,  /* *.d and [*.]d         key: d */
	DOMAIN_LITERAL /* d, [192.0.2.1]        key: as conf_domain */
};

struct domain_pattern {
	enum domain_kind kind;
	bool itself;	      /* [*.]d: d matches too */
	struct conf_addr net; /* DOMAIN_NET */
	char key[256];
};

/* Read a pattern (no $macro). 0, or -1 when it is none. */
int domain_pattern(const char *text, struct domain_pattern *ret_p);
/* The address in `[1.2.3.4]` or `[ipv6:2001:db8::1]`; 0, or -1. */
int domain_literal(const char *domain, struct conf_addr *ret_addr);

#endif
