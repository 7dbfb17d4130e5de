/*
 * The text of smtp-hosts into a list. The list of the configuration and its
 * commas mean the same, so elements are joined by commas first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/unit.h"
#include "dns/hosts.h"
#include "dns/name.h"

#define LOOKUP_MX "lookup-mx:"
#define LITERAL_V6 "ipv6:"

/* `[text]`, text being an address that may have a tag `ipv6:`. */
static int
literal_inner(const char *s, size_t n, uint16_t port, union dns_addr *ret_addr)
{
	char text[DNS_ADDR_TEXT];
	bool tagged;

	tagged = n > strlen(LITERAL_V6) &&
	    strncasecmp(s, LITERAL_V6, strlen(LITERAL_V6)) == 0;
	if (tagged) {
		s += strlen(LITERAL_V6);
		n -= strlen(LITERAL_V6);
	}
	if (n >= sizeof(text))
		return (-1);
	memcpy(text, s, n);
	text[n] = '\0';
	if (dns_addr_parse(text, port, ret_addr) == -1)
		return (-1);
	return (tagged && ret_addr->sa.sa_family != AF_INET6 ? -1 : 0);
}

int
dns_literal_parse(const char *domain, uint16_t port, union dns_addr *ret_addr)
{
	size_t n = strlen(domain);

	if (n < 2 || domain[0] != '[' || domain[n - 1] != ']')
		return (-1);
	return (literal_inner(domain + 1, n - 2, port, ret_addr));
}

/* `:PORT` or nothing. */
static int
host_port(const char *s, uint16_t *ret_port)
{
	int64_t n;

	*ret_port = 0;
	if (*s == '\0')
		return (0);
	if (*s != ':' || unit_int(s + 1, &n) == -1 || n < 1 || n > 65535)
		return (-1);
	*ret_port = (uint16_t)n;
	return (0);
}

/* The name of an address entry: `[text]`. */
static char *
host_addr_name(const union dns_addr *a)
{
	char text[DNS_ADDR_TEXT];
	struct buf b = BUF_INIT;

	buf_addf(&b, "[%s]", dns_addr_text(a, text));
	return (buf_take(&b));
}

/* `[address]` and perhaps a port. */
static int
host_parse_literal(const char *s, struct dns_host *h)
{
	const char *end = strchr(s, ']');

	if (end == NULL || host_port(end + 1, &h->port) == -1 ||
	    literal_inner(s + 1, (size_t)(end - s) - 1, 0, &h->addr) == -1)
		return (-1);
	h->kind = DNS_HOST_ADDR;
	h->name = host_addr_name(&h->addr);
	return (0);
}

/* A name or a bare IPv4 address, and perhaps a port. */
static int
host_parse_name(const char *s, struct dns_host *h)
{
	char name[DNS_NAME_MAX];
	size_t n = strcspn(s, ":");

	if (host_port(s + n, &h->port) == -1 || n >= sizeof(name))
		return (-1);
	memcpy(name, s, n);
	name[n] = '\0';
	if (h->kind == DNS_HOST_NAME &&
	    dns_addr_parse(name, 0, &h->addr) == 0) {
		h->kind = DNS_HOST_ADDR;
		h->name = host_addr_name(&h->addr);
		return (0);
	}
	if (dns_name_clean(s, n, name) == -1)
		return (-1);
	h->name = xstrdup(name);
	return (0);
}

/* One entry; text is trimmed. */
static int
host_parse(const char *text, int pref, struct dns_hosts *hosts)
{
	struct dns_host h = { .kind = DNS_HOST_NAME, .pref = pref };
	int rc;

	if (strncasecmp(text, LOOKUP_MX, strlen(LOOKUP_MX)) == 0) {
		h.kind = DNS_HOST_MX;
		rc = host_parse_name(text + strlen(LOOKUP_MX), &h);
	} else if (text[0] == '[')
		rc = host_parse_literal(text, &h);
	else
		rc = host_parse_name(text, &h);
	if (rc == -1)
		return (-1);
	hosts->v = xreallocarray(hosts->v, hosts->n + 1, sizeof(*hosts->v));
	hosts->v[hosts->n++] = h;
	return (0);
}

/* Cut white space off both ends, in place. */
static char *
host_trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		s[--n] = '\0';
	return (s);
}

/* All entries of the joined text; changes it. */
static int
hosts_split(char *text, struct dns_hosts *hosts, struct verr *err)
{
	char *s = text, *entry;
	int pref = 0;
	size_t n;
	char sep;

	do {
		n = strcspn(s, ",;");
		sep = s[n];
		s[n] = '\0';
		entry = host_trim(s);
		if (host_parse(entry, pref, hosts) == -1)
			return (verr_set(err, VEX_CONFIG,
			    "smtp-hosts: '%.200s' is none of [ip]:port, "
			    "host:port, lookup-mx:domain",
			    entry));
		if (sep == ';')
			pref++;
		s += n + 1;
	} while (sep != '\0');
	return (0);
}

int
dns_hosts_parse(const char *const *item, size_t n, struct dns_hosts *ret_hosts,
    struct verr *err)
{
	struct buf text = BUF_INIT;
	size_t i;
	int rc = 0;

	ret_hosts->v = NULL;
	ret_hosts->n = 0;
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(&text, ',');
		buf_adds(&text, item[i]);
	}
	if (n > 0) {
		buf_addc(&text, '\0');
		rc = hosts_split(text.p, ret_hosts, err);
	}
	buf_release(&text);
	if (rc == -1)
		dns_hosts_release(ret_hosts);
	return (rc);
}

void
dns_hosts_release(struct dns_hosts *h)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		free(h->v[i].name);
	free(h->v);
	h->v = NULL;
	h->n = 0;
}
