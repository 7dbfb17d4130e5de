/*
 * Envelope addresses: RFC 5321 4.1.2 and 4.1.3, with UTF-8 (RFC 6531 3.3).
 *
 * Whatever passes here may go into a MAIL or RCPT command, a batch file, a
 * journal record and, its domain, a directory name; so nothing passes that
 * could end a line or a path, or climb out of a directory. An address that
 * begins with `-` or is full of shell characters is legal data.
 *
 * The local part is never changed, quoted or not: its meaning is the other
 * side's. The domain is: both spellings of an internationalised one, and all
 * spellings of an address literal, name the same queue. Names that are ASCII
 * already are only lowered and checked letter by letter (a label `xn--...`
 * is taken as it is; DNS knows whether it exists), which keeps the usual
 * address free of allocation and of libidn2.
 *
 * Stricter than some: dots at the ends of a local part or in a row must be
 * quoted, a domain has no final dot and does not end in a number (that would
 * be an address without its brackets). `_` is let through in domains: hosts
 * with it exist.
 */
#include <arpa/inet.h>
#include <idn2.h>
#include <string.h>
#include <strings.h>

#include "base/esc.h"
#include "mail/addr.h"

/* Characters of an atom (RFC 5321 Atom, RFC 5322 atext), ASCII only. */
static bool
is_atext(unsigned char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9'))
		return (true);
	return (c != '\0' && c < 0x7f &&
	    strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* A character over 127 at p: its octets, or -1 with err. */
static int
utf8_char(const char *p, size_t n, struct verr *err)
{
	size_t len = esc_utf8(p, n);

	if (len == 0)
		return (verr_set(err, VEX_DATA, "not UTF-8"));
	if (len == 2 && (unsigned char)p[0] == 0xc2 &&
	    (unsigned char)p[1] < 0xa0)
		return (verr_set(err, VEX_DATA, "control character"));
	return ((int)len);
}

/* Why the character c may not stand unquoted in a local part. */
static int
bad_char(unsigned char c, struct verr *err)
{
	if (c < 0x20 || c == 0x7f)
		return (verr_set(err, VEX_DATA, "control character"));
	return (verr_set(err, VEX_DATA, "unquoted '%c' in local part", c));
}

/* Length of the dot-string that p begins with, up to @ or the end; or -1. */
static int
dot_string(const char *p, size_t n, bool *ret_utf8, struct verr *err)
{
	size_t i = 0;
	int len;

	while (i < n && p[i] != '@') {
		if ((unsigned char)p[i] >= 0x80) {
			if ((len = utf8_char(p + i, n - i, err)) == -1)
				return (-1);
			*ret_utf8 = true;
			i += (size_t)len;
			continue;
		}
		if (p[i] == '.' &&
		    (i == 0 || i + 1 == n || p[i + 1] == '.' ||
			p[i + 1] == '@'))
			return (verr_set(err, VEX_DATA,
			    "misplaced dot in local part (quote it)"));
		if (p[i] != '.' && !is_atext((unsigned char)p[i]))
			return (bad_char((unsigned char)p[i], err));
		i++;
	}
	return ((int)i);
}

/* Length of the quoted-string that p begins with, quotes included; or -1. */
static int
quoted_string(const char *p, size_t n, bool *ret_utf8, struct verr *err)
{
	size_t i = 1;
	int len;

	while (i < n && p[i] != '"') {
		if ((unsigned char)p[i] >= 0x80) {
			if ((len = utf8_char(p + i, n - i, err)) == -1)
				return (-1);
			*ret_utf8 = true;
			i += (size_t)len;
			continue;
		}
		if (p[i] == '\\' && i + 1 < n && (unsigned char)p[i + 1] < 0x80)
			i++;
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return (verr_set(err, VEX_DATA, "control character"));
		i++;
	}
	if (i == n)
		return (verr_set(err, VEX_DATA, "quote not closed"));
	return ((int)i + 1);
}

/* Lower one label in place and check it. */
static int
label_check(char *d, size_t n, struct verr *err)
{
	size_t i;

	if (n == 0)
		return (verr_set(err, VEX_DATA, "empty label in domain"));
	if (n > 63)
		return (verr_set(err, VEX_DATA, "domain label over 63 octets"));
	for (i = 0; i < n; i++) {
		if (d[i] >= 'A' && d[i] <= 'Z')
			d[i] = (char)(d[i] + ('a' - 'A'));
		else if (!(d[i] >= 'a' && d[i] <= 'z') &&
		    !(d[i] >= '0' && d[i] <= '9') && d[i] != '-' && d[i] != '_')
			return (verr_set(err, VEX_DATA, "not a domain name"));
	}
	if (d[0] == '-' || d[n - 1] == '-')
		return (verr_set(err, VEX_DATA, "hyphen at end of label"));
	return (0);
}

/* Lower d in place and check that it is a name fit for DNS and a folder. */
static int
name_check(char *d, struct verr *err)
{
	size_t n;

	for (;; d += n + 1) {
		n = strcspn(d, ".");
		if (label_check(d, n, err) == -1)
			return (-1);
		if (d[n] == '\0')
			break;
	}
	if (strspn(d, "0123456789") == n)
		return (verr_set(err, VEX_DATA,
		    "domain ends in a number (literals need brackets)"));
	return (0);
}

/* `[192.0.2.1]` or `[IPv6:2001:db8::1]` to its one canonical spelling. */
static int
literal_parse(const char *p, size_t n, char *ret, struct verr *err)
{
	char text[INET6_ADDRSTRLEN + 1] = "";
	unsigned char bin[16];
	size_t skip = 1, len;
	int family = AF_INET;

	if (n >= 6 && strncasecmp(p + 1, "ipv6:", 5) == 0) {
		family = AF_INET6;
		skip = 6;
	}
	if (n > skip + 1 && n - skip - 1 < sizeof(text) && p[n - 1] == ']' &&
	    memchr(p, '\0', n) == NULL) {
		memcpy(text, p + skip, n - skip - 1);
		text[n - skip - 1] = '\0';
	}
	if (inet_pton(family, text, bin) != 1)
		return (verr_set(err, VEX_DATA, "not an address literal"));
	memcpy(ret, "[ipv6:", 6);
	len = family == AF_INET6 ? 6 : 1;
	if (inet_ntop(family, bin, ret + len, INET6_ADDRSTRLEN) == NULL)
		return (verr_sys(err, "inet_ntop"));
	len += strlen(ret + len);
	ret[len] = ']';
	ret[len + 1] = '\0';
	return (0);
}

/* A name with U-labels to A-labels. */
static int
idn_parse(const char *p, size_t n, char *ret, struct verr *err)
{
	uint8_t in[ADDR_DOMAIN_MAX + 1], *out = NULL;
	size_t i, len;
	int rc;

	for (i = 0; i < n; i++)
		if ((unsigned char)p[i] <= 0x20 || p[i] == 0x7f)
			return (verr_set(err, VEX_DATA, "not a domain name"));
	if (!esc_is_utf8(p, n))
		return (verr_set(err, VEX_DATA, "not UTF-8"));
	memcpy(in, p, n);
	in[n] = '\0';
	rc = idn2_lookup_u8(in, &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return (verr_set(err, VEX_DATA, "domain: %s",
		    idn2_strerror(rc)));
	len = strlen((char *)out);
	if (len <= ADDR_DOMAIN_MAX)
		memcpy(ret, out, len + 1);
	idn2_free(out);
	if (len > ADDR_DOMAIN_MAX)
		return (verr_set(err, VEX_DATA, "domain over 253 octets"));
	return (name_check(ret, err));
}

int
addr_domain_parse(const char *p, size_t n, char *ret, struct verr *err)
{
	size_t i;

	if (n == 0)
		return (verr_set(err, VEX_DATA, "no domain"));
	if (n > ADDR_DOMAIN_MAX)
		return (verr_set(err, VEX_DATA, "domain over 253 octets"));
	if (p[0] == '[')
		return (literal_parse(p, n, ret, err));
	for (i = 0; i < n; i++) {
		if (p[i] == '\0')
			return (verr_set(err, VEX_DATA, "control character"));
		if ((unsigned char)p[i] >= 0x80)
			return (idn_parse(p, n, ret, err));
	}
	memcpy(ret, p, n);
	ret[n] = '\0';
	return (name_check(ret, err));
}

/* Is there something to complete an address with? */
static bool
has_local(const char *name)
{
	return (name != NULL && *name != '\0');
}

/*
 * The n octets at p are a local part of that length, and perhaps `@domain`:
 * the domain, completed. 0 or -1.
 */
static int
mailbox_domain(const char *p, size_t n, size_t local,
    const struct addr_local *names, char ret[ADDR_DOMAIN_MAX + 1],
    struct verr *err)
{
	size_t len;

	if (local == n && (names == NULL || !has_local(names->host)))
		return (verr_set(err, VEX_DATA, "no @domain"));
	if (local == n)
		return (addr_domain_parse(names->host, strlen(names->host), ret,
		    err));
	if (p[local] != '@')
		return (verr_set(err, VEX_DATA, "text after a quoted string"));
	if (addr_domain_parse(p + local + 1, n - local - 1, ret, err) == -1)
		return (-1);
	if (names == NULL || !has_local(names->suffix) || *ret == '[' ||
	    strchr(ret, '.') != NULL)
		return (0);
	len = strlen(ret);
	if (len + 1 + strlen(names->suffix) > ADDR_DOMAIN_MAX)
		return (verr_set(err, VEX_DATA, "domain over 253 octets"));
	ret[len] = '.';
	memcpy(ret + len + 1, names->suffix, strlen(names->suffix) + 1);
	return (0);
}

/* All n octets are `local@domain`. */
static int
mailbox_parse(const char *p, size_t n, const struct addr_local *names,
    struct addr *a, struct verr *err)
{
	char domain[ADDR_DOMAIN_MAX + 1];
	size_t local, len;
	int rc;

	if (n == 0)
		return (verr_set(err, VEX_DATA, "no address"));
	if (n > ADDR_MAX)
		return (verr_set(err, VEX_DATA, "address over 254 octets"));
	a->utf8 = false;
	rc = p[0] == '"' ? quoted_string(p, n, &a->utf8, err) :
			   dot_string(p, n, &a->utf8, err);
	if (rc == -1)
		return (-1);
	local = (size_t)rc;
	if (local == 0)
		return (verr_set(err, VEX_DATA, "no local part"));
	if (local > ADDR_LOCAL_MAX)
		return (verr_set(err, VEX_DATA, "local part over 64 octets"));
	if (mailbox_domain(p, n, local, names, domain, err) == -1)
		return (-1);
	len = strlen(domain);
	if (local + 1 + len > ADDR_MAX)
		return (verr_set(err, VEX_DATA, "address over 254 octets"));
	memcpy(a->orig, p, n);
	a->orig[n] = '\0';
	a->orig_len = (uint16_t)n;
	memcpy(a->smtp, p, local);
	a->smtp[local] = '@';
	memcpy(a->smtp + local + 1, domain, len + 1);
	a->smtp_len = (uint16_t)(local + 1 + len);
	a->local_len = (uint16_t)local;
	a->literal = domain[0] == '[';
	return (0);
}

/* The null path, if this kind of address may be it. */
static int
null_path(enum addr_kind kind, struct addr *a, struct verr *err)
{
	if (kind != ADDR_SENDER)
		return (verr_set(err, VEX_DATA, "no address"));
	a->orig[0] = a->smtp[0] = '\0';
	a->orig_len = a->smtp_len = a->local_len = 0;
	a->utf8 = a->literal = false;
	return (0);
}

/* Index of the first octet `stop` outside quotes, or n. */
static size_t
find_outside(const char *p, size_t n, char stop)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == stop && !quoted)
			break;
		if (p[i] == '"')
			quoted = !quoted;
		else if (p[i] == '\\' && quoted && i + 1 < n)
			i++;
	}
	return (i);
}

/* Octets of the source route `@a,@b:` that p begins with, 0: none; or -1. */
static int
route_len(const char *p, size_t n, struct verr *err)
{
	char domain[ADDR_DOMAIN_MAX + 1];
	size_t i, start;

	if (n > 1000)
		return (verr_set(err, VEX_DATA, "address over 254 octets"));
	for (i = 0; i < n && p[i] == '@'; i++) {
		start = ++i;
		while (i < n && p[i] != ',' && (p[i] != ':' || p[start] == '['))
			if (p[i++] == ']')
				break;
		if (addr_domain_parse(p + start, i - start, domain, err) == -1)
			return (verr_prefix(err, "source route"));
		if (i < n && p[i] == ':')
			return ((int)i + 1);
		if (i == n || p[i] != ',')
			break;
	}
	if (i > 0)
		return (verr_set(err, VEX_DATA, "source route: no end"));
	return (0);
}

int
addr_path_local(const char *p, size_t n, enum addr_kind kind,
    const struct addr_local *names, size_t *ret_used, struct addr *ret_addr,
    struct verr *err)
{
	size_t end;
	int route;

	if (n == 0 || p[0] != '<') {
		end = find_outside(p, n, ' ');
		*ret_used = end;
		return (mailbox_parse(p, end, names, ret_addr, err));
	}
	end = find_outside(p, n, '>');
	if (end == n)
		return (verr_set(err, VEX_DATA, "no > after <"));
	*ret_used = end + 1;
	if (end == 1)
		return (null_path(kind, ret_addr, err));
	if ((route = route_len(p + 1, end - 1, err)) == -1)
		return (-1);
	p += 1 + route;
	return (mailbox_parse(p, end - 1 - (size_t)route, names, ret_addr,
	    err));
}

int
addr_path(const char *p, size_t n, enum addr_kind kind, size_t *ret_used,
    struct addr *ret_addr, struct verr *err)
{
	return (addr_path_local(p, n, kind, NULL, ret_used, ret_addr, err));
}

int
addr_parse_local(const char *p, size_t n, enum addr_kind kind,
    const struct addr_local *local, struct addr *ret_addr, struct verr *err)
{
	size_t used = n;
	int rc;

	if (n == 0)
		rc = null_path(kind, ret_addr, err);
	else if (p[0] == '<')
		rc = addr_path_local(p, n, kind, local, &used, ret_addr, err);
	else
		rc = mailbox_parse(p, n, local, ret_addr, err);
	if (rc == 0 && used != n)
		return (verr_set(err, VEX_DATA, "text after the address"));
	return (rc);
}

int
addr_parse(const char *p, size_t n, enum addr_kind kind, struct addr *ret_addr,
    struct verr *err)
{
	return (addr_parse_local(p, n, kind, NULL, ret_addr, err));
}

const char *
addr_domain(const struct addr *a)
{
	return (a->smtp_len > 0 ? a->smtp + a->local_len + 1 : "");
}

bool
addr_is_null(const struct addr *a)
{
	return (a->smtp_len == 0);
}
