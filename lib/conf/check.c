/*
 * The form of texts in vmta.conf beyond numbers. Each check is a function
 * from a text to "fits or not"; the table at the end binds it to the `check`
 * column of params.def and to the words of the error message.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/unit.h"
#include "conf/check.h"
#include "conf/rule.h"

/* Are the bits beyond the prefix all zero? */
static bool
check_host_bits(const uint8_t *addr, unsigned size, unsigned bits)
{
	unsigned i;

	for (i = bits; i < size; i++)
		if ((addr[i / 8] & (0x80 >> (i % 8))) != 0)
			return (false);
	return (true);
}

int
check_net(const char *s, size_t n, struct conf_addr *ret_net)
{
	const char *slash = memchr(s, '/', n);
	char text[64];
	unsigned size;
	int64_t bits;

	memset(ret_net, 0, sizeof(*ret_net));
	ret_net->ehlo = "";
	if (n >= sizeof(text))
		return (-1);
	memcpy(text, s, n);
	text[n] = '\0';
	if (slash != NULL)
		text[slash - s] = '\0';
	ret_net->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	size = ret_net->family == AF_INET6 ? 128 : 32;
	if (inet_pton(ret_net->family, text, ret_net->addr) != 1)
		return (-1);
	bits = size;
	if (slash != NULL &&
	    (unit_int(text + (slash - s) + 1, &bits) == -1 ||
		bits > (int64_t)size))
		return (-1);
	ret_net->bits = (unsigned)bits;
	return (check_host_bits(ret_net->addr, size, ret_net->bits) ? 0 : -1);
}

bool
check_in_net(const struct conf_addr *net, const struct conf_addr *a)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (net->family != a->family || memcmp(net->addr, a->addr, whole) != 0)
		return (false);
	return (rest == 0 || ((net->addr[whole] ^ a->addr[whole]) & mask) == 0);
}

size_t
check_word(const char *s)
{
	return (strcspn(s, " \t"));
}

const char *
check_after(const char *s)
{
	s += check_word(s);
	return (s + strspn(s, " \t"));
}

int
check_source_host(const char *s, struct conf_addr *ret_addr)
{
	const char *name = check_after(s);
	char host[256];

	if (check_net(s, check_word(s), ret_addr) == -1)
		return (-1);
	ret_addr->ehlo = name;
	if (*name == '\0')
		return (0);
	return (conf_domain(name, host));
}

bool
check_name(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > 64 || !isalnum((unsigned char)s[0]))
		return (false);
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr("._-", s[i]) == NULL)
			return (false);
	return (true);
}

static bool
is_host(const char *s)
{
	char host[256];

	return (conf_domain(s, host) == 0 && host[0] != '[');
}

static bool
is_cidr(const char *s)
{
	struct conf_addr net;

	return (check_net(s, strlen(s), &net) == 0);
}

static bool
is_source_host(const char *s)
{
	struct conf_addr a;

	return (check_source_host(s, &a) == 0);
}

/* A port after a separator. */
static bool
is_port(const char *s)
{
	int64_t n;

	return (unit_int(s, &n) == 0 && n >= 1 && n <= 65535);
}

static bool
is_server(const char *s)
{
	const char *at = strchr(s, '@');
	struct conf_addr a;
	size_t n = at != NULL ? (size_t)(at - s) : strlen(s);

	if (memchr(s, '/', n) != NULL || check_net(s, n, &a) == -1)
		return (false);
	return (at == NULL || is_port(at + 1));
}

/* An address and, after it, a number or rate. */
static bool
is_cidr_value(const char *s, int kind)
{
	const char *value = check_after(s);
	struct conf_addr net;
	struct rate rate;
	int64_t n;

	if (check_net(s, check_word(s), &net) == -1)
		return (false);
	if (kind == 0)
		return (unit_int(value, &n) == 0);
	return (unit_rate(value, kind == 2, &rate) == 0);
}

static bool
is_cidr_int(const char *s)
{
	return (is_cidr_value(s, 0));
}

static bool
is_cidr_rate(const char *s)
{
	return (is_cidr_value(s, 1));
}

static bool
is_cidr_size_rate(const char *s)
{
	return (is_cidr_value(s, 2));
}

/* A mail address, roughly: something, @, a domain; no white space. */
static bool
is_address(const char *s)
{
	const char *at = strrchr(s, '@');
	char host[256];

	return (strpbrk(s, " \t<>,;") == NULL && at != NULL && at > s &&
	    conf_domain(at + 1, host) == 0);
}

/* Which sender, its domain (or `*`), and the domain that it becomes. */
static bool
is_rewrite(const char *s)
{
	const char *old = check_after(s), *to = check_after(old);
	char name[256], host[256];
	size_t n = check_word(old);

	if (!check_among(s, check_word(s), "mail-from from ") || n == 0 ||
	    n >= sizeof(name) || *to == '\0' || to[check_word(to)] != '\0')
		return (false);
	(void)snprintf(name, sizeof(name), "%.*s", (int)n, old);
	return ((strcmp(name, "*") == 0 || conf_domain(name, host) == 0) &&
	    conf_domain(to, host) == 0 && host[0] != '[');
}

/* A URI that stands between angle brackets, with variables. */
static bool
is_unsubscribe(const char *s)
{
	static const char *const vars[] = { "[*to]", "[*msgid]", "[*jobid]",
		"[*vmta]" };
	size_t i, n;

	if (strncasecmp(s, "https://", 8) != 0 &&
	    strncasecmp(s, "mailto:", 7) != 0)
		return (false);
	for (; *s != '\0'; s += n) {
		n = 1;
		if (*s == '[') {
			for (i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
				if (strncmp(s, vars[i], strlen(vars[i])) == 0)
					n = strlen(vars[i]);
			if (n == 1)
				return (false);
		} else if (*s <= ' ' || *s >= 0x7f ||
		    strchr("<>\"\\^`{|}]", *s) != NULL)
			return (false);
	}
	return (true);
}

static bool
is_pickup(const char *s)
{
	struct conf_pickup p;

	return (check_pickup(s, &p) == 0);
}

/* Two words: what stands for what. */
static bool
is_alias(const char *s)
{
	size_t n = check_word(s);
	const char *to = check_after(s);

	return (n > 0 && *to != '\0' && to[check_word(to)] == '\0' &&
	    strpbrk(s, "<>,;") == NULL);
}

/* SELECTOR,DOMAIN,FILE; the domain may be `*`. */
static bool
is_domain_key(const char *s)
{
	const char *one = strchr(s, ','), *two;
	char domain[256];

	if (one == NULL || one == s || (two = strchr(one + 1, ',')) == NULL ||
	    two[1] == '\0')
		return (false);
	(void)snprintf(domain, sizeof(domain), "%.*s", (int)(two - one - 1),
	    one + 1);
	return (strcmp(domain, "*") == 0 || is_host(domain));
}

bool
check_among(const char *s, size_t n, const char *words)
{
	for (; *words != '\0'; words += strcspn(words, " ") + 1)
		if (strcspn(words, " ") == n && strncmp(words, s, n) == 0)
			return (true);
	return (false);
}

static bool
is_strategy(const char *s)
{
	return (check_among(s, strlen(s), "round-robin least-loaded "));
}

static bool
is_algorithm(const char *s)
{
	return (check_among(s, strlen(s), "rsa-sha256 ed25519-sha256 "));
}

static bool
is_delivery(const char *s)
{
	return (check_among(s, strlen(s), "smtp pipe file discard "));
}

static bool
is_record(const char *s)
{
	return (check_among(s, strlen(s), "d b t tq r rb rs f "));
}

/* `[IP]` or `[ipv6:IP]` of n bytes. */
static bool
is_bracketed(const char *s, size_t n)
{
	struct conf_addr a;

	if (n > 7 && strncasecmp(s, "[ipv6:", 6) == 0) {
		s += 5;
		n -= 5;
	}
	return (n > 2 && memchr(s, '/', n) == NULL &&
	    check_net(s + 1, n - 2, &a) == 0);
}

/* One host of smtp-hosts. */
static bool
is_smtp_host(const char *s)
{
	char host[256];
	size_t n;

	if (strncmp(s, "lookup-mx:", 10) == 0)
		return (is_host(s + 10));
	n = strcspn(s, *s == '[' ? "]" : ":");
	if (*s == '[')
		n += s[n] == ']' ? 1 : 0;
	if (n >= sizeof(host) || (s[n] != '\0' && s[n] != ':') ||
	    (s[n] == ':' && !is_port(s + n + 1)))
		return (false);
	if (*s == '[')
		return (is_bracketed(s, n));
	memcpy(host, s, n);
	host[n] = '\0';
	return (is_host(host));
}

static bool
is_smtp_hosts(const char *s)
{
	char one[512];
	size_t n;

	for (;; s += n + 1) {
		n = strcspn(s, ",;");
		while (*s == ' ' && n > 0) {
			s++;
			n--;
		}
		(void)snprintf(one, sizeof(one), "%.*s", (int)n, s);
		if (n >= sizeof(one) || !is_smtp_host(one))
			return (false);
		if (s[n] == '\0')
			return (true);
	}
}

/* A name, or a name with a `*` at its end, or `*`. */
static bool
is_name_glob(const char *s)
{
	size_t n = strlen(s);

	if (s[n - 1] == '*')
		n--;
	return (n == 0 || check_name(s, n));
}

static bool
is_name(const char *s)
{
	return (check_name(s, strlen(s)));
}

/* NAME, or NAME WEIGHT. */
static bool
is_member(const char *s)
{
	const char *weight = check_after(s);
	int64_t n;

	return (check_name(s, check_word(s)) &&
	    (*weight == '\0' ||
		(unit_int(weight, &n) == 0 && n >= 1 && n <= 1000000)));
}

/* The name of a header field (RFC 5322 ftext). */
static bool
is_field(const char *s)
{
	const char *p = s;

	for (; *p > ' ' && *p < 0x7f && *p != ':'; p++)
		;
	return (p > s && *p == '\0');
}

static const struct {
	enum conf_check check;
	bool (*fits)(const char *s);
	const char *why;
} checks[] = {
	{ CHECK_FIELD, is_field, "the name of a header field" },
	{ CHECK_HOST, is_host, "a host name" },
	{ CHECK_SERVER, is_server, "an address like 192.0.2.53@53" },
	{ CHECK_SOURCEHOST, is_source_host,
	    "an address or network (host bits zero) and a host name, like "
	    "'192.0.2.10 mta.example.com'" },
	{ CHECK_CIDR, is_cidr, "a network like 192.0.2.0/24 (host bits zero)" },
	{ CHECK_CIDRINT, is_cidr_int, "a network and a number" },
	{ CHECK_CIDRRATE, is_cidr_rate, "a network and a rate" },
	{ CHECK_CIDRSRATE, is_cidr_size_rate, "a network and a rate" },
	{ CHECK_ADDRESS, is_address, "a mail address" },
	{ CHECK_PICKUP, is_pickup, "'DIRECTORY [BADDIRECTORY] [source=NAME]'" },
	{ CHECK_ALIAS, is_alias, "a name or address, and what it stands for" },
	{ CHECK_DOMAINKEY, is_domain_key, "'SELECTOR,DOMAIN,FILE'" },
	{ CHECK_CATEGORY, rule_is_category, "'/RE/ CATEGORY'" },
	{ CHECK_STRATEGY, is_strategy, "round-robin or least-loaded" },
	{ CHECK_ALGORITHM, is_algorithm, "rsa-sha256 or ed25519-sha256" },
	{ CHECK_DELIVERY, is_delivery, "smtp, pipe, file or discard" },
	{ CHECK_RECORDS, is_record, "one of d, b, t, tq, r, rb, rs, f" },
	{ CHECK_SMTPHOSTS, is_smtp_hosts,
	    "hosts like 'mx.example.com', '[192.0.2.1]:25' or "
	    "'lookup-mx:example.com'" },
	{ CHECK_ROUTE, rule_is_route,
	    "'mail-from /RE/ RESULT', 'rcpt-to /RE/ RESULT', "
	    "'header NAME /RE/ RESULT' or '* RESULT'" },
	{ CHECK_REPLY, rule_is_reply, "'/RE/ ACTION,...'" },
	{ CHECK_LISTNAME, is_name, "a name" },
	{ CHECK_REWRITE, is_rewrite,
	    "'mail-from DOMAIN DOMAIN' or 'from DOMAIN DOMAIN'; the first may "
	    "be *" },
	{ CHECK_UNSUBSCRIBE, is_unsubscribe,
	    "a URI, 'https:...' or 'mailto:...', with no brackets but "
	    "[*to], [*msgid], [*jobid] and [*vmta]" },
	{ CHECK_VMTA, is_name, "a name" },
	{ CHECK_VMTAPOOL, is_name, "a name" },
	{ CHECK_VMTAGLOB, is_name_glob, "a name, 'PREFIX*' or '*'" },
	{ CHECK_MEMBER, is_member, "'NAME' or 'NAME WEIGHT'" },
	{ CHECK_SMTPLIST, is_name, "a name" },
	{ CHECK_PATTERNLIST, is_name, "a name" },
};

/* Append a path, made absolute from dir. */
static void
check_path(const char *dir, const char *path, struct buf *ret_text)
{
	if (*path != '/')
		buf_addf(ret_text, "%s/", strcmp(dir, "/") == 0 ? "" : dir);
	buf_adds(ret_text, path);
	while (ret_text->len > 1 && ret_text->p[ret_text->len - 1] == '/')
		ret_text->p[--ret_text->len] = '\0';
}

/* The key file of a domain-key, made absolute. */
static void
check_key_file(const char *text, const char *dir, struct buf *ret_text)
{
	const char *file = strchr(strchr(text, ',') + 1, ',') + 1;

	buf_add(ret_text, text, (size_t)(file - text));
	check_path(dir, file, ret_text);
}

/* A pickup directory, its paths made absolute; absent parts stay so. */
static void
check_pickup_paths(const char *text, const char *prefix, struct buf *ret_text)
{
	struct conf_pickup p;
	struct buf path = BUF_INIT;

	(void)check_pickup(text, &p);
	check_path(prefix, p.dir, ret_text);
	if (*p.bad != '\0') {
		check_path(prefix, p.bad, &path);
		buf_addf(ret_text, " %s", buf_str(&path));
	}
	if (strcmp(p.source, "pickup") != 0)
		buf_addf(ret_text, " source=%s", strchr(p.source, ':') + 1);
	buf_release(&path);
}

int
check_text(enum conf_check check, const struct conf_text *text,
    struct buf *ret_text, const char **ret_why)
{
	const char *s = text->s;
	char host[256];
	size_t i;

	*ret_why = NULL;
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].check == check && !checks[i].fits(s)) {
			*ret_why = checks[i].why;
			return (-1);
		}
	for (i = 0; s[i] != '\0'; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
			*ret_why = "text without control characters";
			return (-1);
		}
	switch (check) {
	case CHECK_PREFIX:
		check_path(text->prefix, s, ret_text);
		break;
	case CHECK_FILE:
		check_path(text->dir, s, ret_text);
		break;
	case CHECK_PICKUP:
		check_pickup_paths(s, text->prefix, ret_text);
		break;
	case CHECK_DOMAINKEY:
		check_key_file(s, text->dir, ret_text);
		break;
	case CHECK_HOST:
		(void)conf_domain(s, host);
		buf_adds(ret_text, host);
		break;
	default:
		buf_adds(ret_text, s);
		break;
	}
	return (0);
}
