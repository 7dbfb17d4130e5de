/* dns/hosts and dns/hostsfile: smtp-hosts, address literals, /etc/hosts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "dns/hosts.h"
#include "dns/hostsfile.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* `PREF KIND NAME PORT` for each entry. */
static void
show(const struct dns_hosts *h, struct buf *b)
{
	static const char *const kind[] = { "addr", "name", "mx" };
	size_t i;

	buf_clear(b);
	for (i = 0; i < h->n; i++)
		buf_addf(b, "%s%d %s %s %u", i > 0 ? " | " : "", h->v[i].pref,
		    kind[h->v[i].kind], h->v[i].name, (unsigned)h->v[i].port);
}

static void
test_parse(void **state)
{
	static const struct {
		const char *in, *in2, *out; /* out NULL: refused */
	} cases[] = {
		{ "[127.0.0.9]:2525", NULL, "0 addr [127.0.0.9] 2525" },
		{ "[127.0.0.9]", NULL, "0 addr [127.0.0.9] 0" },
		{ "127.0.0.9:26", NULL, "0 addr [127.0.0.9] 26" },
		{ "[2001:DB8::1]:25", NULL, "0 addr [2001:db8::1] 25" },
		{ "[IPv6:::1]", NULL, "0 addr [::1] 0" },
		{ "Relay.Example.", NULL, "0 name relay.example 0" },
		{ "relay.example:65535", NULL, "0 name relay.example 65535" },
		{ "localhost", NULL, "0 name localhost 0" },
		{ "lookup-mx:Example.COM", NULL, "0 mx example.com 0" },
		{ "Lookup-MX:example.com:587", NULL, "0 mx example.com 587" },
		{ "a.example,b.example;c.example", NULL,
		    "0 name a.example 0 | 0 name b.example 0 | "
		    "1 name c.example 0" },
		{ " a.example ;\tb.example:26 ", NULL,
		    "0 name a.example 0 | 1 name b.example 26" },
		{ "a.example", "b.example;c.example",
		    "0 name a.example 0 | 0 name b.example 0 | "
		    "1 name c.example 0" },
		{ "a.example;b.example", "c.example",
		    "0 name a.example 0 | 1 name b.example 0 | "
		    "1 name c.example 0" },
		{ "", NULL, NULL },
		{ " ", NULL, NULL },
		{ ",", NULL, NULL },
		{ "a.example,", NULL, NULL },
		{ "a.example;", NULL, NULL },
		{ ";a.example", NULL, NULL },
		{ "a.example", "", NULL },
		{ "[]", NULL, NULL },
		{ "[", NULL, NULL },
		{ "[127.0.0.1", NULL, NULL },
		{ "[127.0.0.1]x", NULL, NULL },
		{ "[127.0.0.1]:", NULL, NULL },
		{ "[a.example]", NULL, NULL },
		{ "[127.0.0.1]:0", NULL, NULL },
		{ "[127.0.0.1]:65536", NULL, NULL },
		{ "[127.0.0.1]:025", NULL, NULL },
		{ "[127.0.0.1]:-1", NULL, NULL },
		{ "[127.0.0.1]:25x", NULL, NULL },
		{ "[127.0.0.1]:99999999999999999999", NULL, NULL },
		{ "[ipv6:127.0.0.1]", NULL, NULL },
		{ "::1", NULL, NULL },
		{ "2001:db8::1:25", NULL, NULL },
		{ "a.example:", NULL, NULL },
		{ "a.example:smtp", NULL, NULL },
		{ "a b", NULL, NULL },
		{ "-a.example", NULL, NULL },
		{ "lookup-mx:", NULL, NULL },
		{ "lookup-mx:127.0.0.1", NULL, NULL },
		{ "lookup-mx:[127.0.0.1]", NULL, NULL },
		{ "1.2.3", NULL, NULL },
		{ "a.example\n", NULL, NULL },
	};
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	struct dns_hosts h;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		const char *item[2] = { cases[i].in, cases[i].in2 };

		rc = dns_hosts_parse(item, item[1] != NULL ? 2 : 1, &h, &err);
		assert_int_equal(rc, cases[i].out != NULL ? 0 : -1);
		if (rc == 0) {
			show(&h, &b);
			assert_string_equal(buf_str(&b), cases[i].out);
		} else {
			assert_int_equal(err.code, VEX_CONFIG);
			assert_null(h.v);
			assert_int_equal(h.n, 0);
		}
		dns_hosts_release(&h);
	}
	assert_int_equal(dns_hosts_parse(NULL, 0, &h, &err), 0);
	assert_int_equal(h.n, 0);
	buf_release(&b);
}

static void
test_long(void **state)
{
	char *text = malloc(100001);
	const char *item[1] = { text };
	struct dns_hosts h;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', 100000);
	text[100000] = '\0';
	assert_int_equal(dns_hosts_parse(item, 1, &h, NULL), -1);
	text[0] = '[';
	text[99999] = ']';
	assert_int_equal(dns_hosts_parse(item, 1, &h, NULL), -1);
	free(text);
}

static void
test_literal(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "[127.0.0.1]", "127.0.0.1" },
		{ "[ipv6:2001:db8::1]", "2001:db8::1" },
		{ "[IPv6:::1]", "::1" },
		{ "[2001:db8::1]", "2001:db8::1" },
		{ "", NULL },
		{ "[", NULL },
		{ "]", NULL },
		{ "[]", NULL },
		{ "127.0.0.1", NULL },
		{ "[127.0.0.1]:25", NULL },
		{ "[127.0.0.1", NULL },
		{ "[ipv6:]", NULL },
		{ "[ipv6:127.0.0.1]", NULL },
		{ "[example.com]", NULL },
		{ "[x400:foo]", NULL },
		{ "[[::1]]", NULL },
	};
	char buf[DNS_ADDR_TEXT];
	union dns_addr a;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		rc = dns_literal_parse(cases[i].in, 25, &a);
		assert_int_equal(rc, cases[i].out != NULL ? 0 : -1);
		if (rc == 0)
			assert_string_equal(dns_addr_text(&a, buf),
			    cases[i].out);
	}
}

/* Replace the file, by rename, so that it is another one for sure. */
static void
write_hosts(const char *path, const char *text)
{
	char tmp[310];
	FILE *fp;

	(void)snprintf(tmp, sizeof(tmp), "%s.new", path);
	fp = fopen(tmp, "w");
	assert_non_null(fp);
	assert_true(fputs(text, fp) >= 0);
	assert_int_equal(fclose(fp), 0);
	assert_int_equal(rename(tmp, path), 0);
}

static void
check_hosts(struct dns_hostsfile *f, const char *name, const char *want)
{
	char buf[DNS_ADDR_TEXT];
	struct buf b = BUF_INIT;
	const union dns_addr *a;
	size_t i, n;

	a = dns_hostsfile_find(f, name, &n);
	for (i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i > 0 ? " " : "",
		    dns_addr_text(&a[i], buf));
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static void
test_file(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char dir[256], path[300];
	struct dns_hostsfile *f;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/dns-hosts-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/hosts", dir);
	f = dns_hostsfile_new(path);
	check_hosts(f, "relay", "");
	write_hosts(path,
	    "# nothing\n127.0.0.1\tlocalhost\n"
	    "::1 localhost ip6-localhost\n"
	    "  192.0.2.1   Relay.Example relay # relay2\r\n"
	    "192.0.2.2 relay\nnonsense relay\n192.0.2.3\n\n192.0.2.4 -x a/b\n"
	    "192.0.2.5 last");
	check_hosts(f, "localhost", "127.0.0.1 ::1");
	check_hosts(f, "relay", "192.0.2.1 192.0.2.2");
	check_hosts(f, "relay.example", "192.0.2.1");
	check_hosts(f, "relay2", "");
	check_hosts(f, "-x", "");
	check_hosts(f, "last", "192.0.2.5");
	write_hosts(path, "192.0.2.77 relay\n");
	check_hosts(f, "relay", "192.0.2.77");
	check_hosts(f, "last", "");
	assert_int_equal(unlink(path), 0);
	check_hosts(f, "relay", "");
	dns_hostsfile_free(f);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_literal),
		cmocka_unit_test(test_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
