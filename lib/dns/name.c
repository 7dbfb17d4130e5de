/*
 * Names. A label of DNS may hold any octet; what is used as a host name, and
 * shown in logs and accounting, is only what RFC 1123 allows, and the
 * underscore that some hosts have.
 */
#include <string.h>

#include "dns/name.h"

/* Letters, digits, hyphen, underscore; 0 for anything else. */
static char
name_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return ((char)(c - 'A' + 'a'));
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_')
		return (c);
	return ('\0');
}

/* Copy one label; its length, or 0 when it is none. */
static size_t
name_label(const char *s, size_t n, char *out, bool *ret_digits)
{
	size_t i;

	*ret_digits = true;
	for (i = 0; i < n && s[i] != '.'; i++) {
		out[i] = name_char(s[i]);
		if (out[i] == '\0' || i >= 63)
			return (0);
		if (out[i] < '0' || out[i] > '9')
			*ret_digits = false;
	}
	if (i == 0 || out[0] == '-' || out[i - 1] == '-')
		return (0);
	return (i);
}

int
dns_name_clean(const char *s, size_t n, char ret_name[DNS_NAME_MAX])
{
	size_t at = 0, len;
	bool digits = true;

	if (n > 0 && s[n - 1] == '.')
		n--;
	if (n == 0 || n >= DNS_NAME_MAX)
		return (-1);
	for (;;) {
		len = name_label(s + at, n - at, ret_name + at, &digits);
		if (len == 0)
			return (-1);
		at += len;
		if (at == n)
			break;
		ret_name[at++] = '.';
	}
	ret_name[n] = '\0';
	return (digits ? -1 : 0);
}

/*
 * A name on the wire, exactly n octets, as text without final dot; its
 * length, or -1. The root is "".
 */
static int
name_unwire(const uint8_t *p, size_t n, char out[DNS_NAME_MAX])
{
	size_t i = 0, at = 0;
	uint8_t len;

	for (;;) {
		if (i >= n)
			return (-1);
		len = p[i++];
		if (len == 0)
			break;
		if (len > 63 || len > n - i || at + len + 1 >= DNS_NAME_MAX)
			return (-1);
		/* A dot or NUL inside a label is not a separator. */
		if (memchr(p + i, '.', len) != NULL ||
		    memchr(p + i, '\0', len) != NULL)
			return (-1);
		if (at > 0)
			out[at++] = '.';
		memcpy(out + at, p + i, len);
		at += len;
		i += len;
	}
	return (i == n ? (int)at : -1);
}

enum dns_mx_kind
dns_mx_parse(const uint8_t *p, size_t n, int *ret_pref,
    char ret_name[DNS_NAME_MAX])
{
	char text[DNS_NAME_MAX];
	int len;

	if (n < 3)
		return (DNS_MX_WRONG);
	len = name_unwire(p + 2, n - 2, text);
	if (len == -1)
		return (DNS_MX_WRONG);
	if (len == 0)
		return (DNS_MX_NULL);
	if (dns_name_clean(text, (size_t)len, ret_name) == -1)
		return (DNS_MX_WRONG);
	*ret_pref = p[0] << 8 | p[1];
	return (DNS_MX_HOST);
}
