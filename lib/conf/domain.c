/*
 * Domains as vmta writes them everywhere: lower-case A-labels without a final
 * dot, or an address literal as inet_ntop writes the address. Both spellings
 * of an internationalised domain are one queue, so both are one pattern.
 *
 * A domain that is ASCII is only lower-cased and checked; libidn2 (TR46,
 * non-transitional) is asked for the others.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <idn2.h>

#include "conf/check.h"
#include "conf/domain.h"

/*
 * Labels of letters, digits, '_' and, not at their ends, '-', of at most 63;
 * 253 in all, and the last is no number: what addresses may have (mail/addr).
 */
static bool
domain_is_labels(const char *s)
{
	size_t n, i;

	if (strlen(s) > 253)
		return (false);
	for (;; s += n + 1) {
		n = strcspn(s, ".");
		if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
			return (false);
		for (i = 0; i < n; i++)
			if (!isalnum((unsigned char)s[i]) && s[i] != '-' &&
			    s[i] != '_')
				return (false);
		if (s[n] == '\0')
			return (strspn(s, "0123456789") != n);
	}
}

/* Lower-case text into ret_domain; 0, or -1 when it is too long. */
static int
domain_lower(const char *text, char ret_domain[256])
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++) {
		if (i == 255)
			return (-1);
		ret_domain[i] = (char)tolower((unsigned char)text[i]);
	}
	if (i > 1 && ret_domain[i - 1] == '.')
		i--;
	ret_domain[i] = '\0';
	return (0);
}

int
domain_literal(const char *domain, struct conf_addr *ret_addr)
{
	char ip[64];
	size_t n = strlen(domain);

	if (n < 4 || n >= sizeof(ip) || domain[0] != '[' ||
	    domain[n - 1] != ']')
		return (-1);
	memset(ret_addr, 0, sizeof(*ret_addr));
	memcpy(ip, domain + 1, n - 2);
	ip[n - 2] = '\0';
	ret_addr->ehlo = "";
	ret_addr->family = AF_INET;
	ret_addr->bits = 32;
	if (strncasecmp(ip, "ipv6:", 5) != 0)
		return (inet_pton(AF_INET, ip, ret_addr->addr) == 1 ? 0 : -1);
	ret_addr->family = AF_INET6;
	ret_addr->bits = 128;
	return (inet_pton(AF_INET6, ip + 5, ret_addr->addr) == 1 ? 0 : -1);
}

/* Write an address literal. */
static int
domain_show_literal(const struct conf_addr *a, char ret_domain[256])
{
	size_t n;

	(void)strncpy(ret_domain, a->family == AF_INET6 ? "[ipv6:" : "[", 8);
	n = strlen(ret_domain);
	if (inet_ntop(a->family, a->addr, ret_domain + n,
		(socklen_t)(255 - n)) == NULL)
		return (-1);
	n = strlen(ret_domain);
	ret_domain[n] = ']';
	ret_domain[n + 1] = '\0';
	return (0);
}

int
conf_domain(const char *text, char ret_domain[256])
{
	struct conf_addr a;
	const char *s;
	char *ascii = NULL;
	int rc;

	if (text[0] == '[')
		return (domain_literal(text, &a) == 0 ?
			domain_show_literal(&a, ret_domain) :
			-1);
	for (s = text; *s != '\0' && (unsigned char)*s < 0x80; s++)
		;
	if (*s == '\0') {
		if (domain_lower(text, ret_domain) == -1)
			return (-1);
		return (domain_is_labels(ret_domain) ? 0 : -1);
	}
	if (strlen(text) > 1000 ||
	    idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&ascii,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return (-1);
	rc = domain_lower(ascii, ret_domain);
	idn2_free(ascii);
	return (rc == 0 && domain_is_labels(ret_domain) ? 0 : -1);
}

int
domain_pattern(const char *text, struct domain_pattern *ret_p)
{
	size_t n = strlen(text);

	memset(ret_p, 0, sizeof(*ret_p));
	ret_p->net.ehlo = "";
	ret_p->kind = DOMAIN_UNDER;
	if (strcmp(text, "*") == 0) {
		ret_p->kind = DOMAIN_ALL;
		return (0);
	}
	if (strncmp(text, "*.", 2) == 0)
		return (conf_domain(text + 2, ret_p->key));
	if (strncmp(text, "[*.]", 4) == 0) {
		ret_p->itself = true;
		return (conf_domain(text + 4, ret_p->key));
	}
	if (text[0] == '[' && text[n - 1] == ']' && n < sizeof(ret_p->key) &&
	    strchr(text, '/') != NULL) {
		ret_p->kind = DOMAIN_NET;
		memcpy(ret_p->key, text, n + 1);
		if (strncasecmp(text, "[ipv6:", 6) == 0)
			return (check_net(text + 6, n - 7, &ret_p->net));
		return (check_net(text + 1, n - 2, &ret_p->net));
	}
	ret_p->kind = DOMAIN_LITERAL;
	return (conf_domain(text, ret_p->key));
}
