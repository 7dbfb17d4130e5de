/* dns/name: host names, MX records from strangers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_clean(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: none */
	} cases[] = {
		{ "example.com", "example.com" },
		{ "Example.COM.", "example.com" },
		{ "localhost", "localhost" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "_mx.example.com", "_mx.example.com" },
		{ "3com.com", "3com.com" },
		{ "1.2.example", "1.2.example" },
		{ L63 ".com", L63 ".com" },
		{ L63 "." L63 "." L63 "." L61, L63 "." L63 "." L63 "." L61 },
		{ L63 "." L63 "." L63 "." L61 "a", NULL },
		{ L63 "a.com", NULL },
		{ "", NULL },
		{ ".", NULL },
		{ "..", NULL },
		{ ".com", NULL },
		{ "a..b", NULL },
		{ "a.b..", NULL },
		{ "-a.com", NULL },
		{ "a-.com", NULL },
		{ "a.-", NULL },
		{ "127.0.0.1", NULL },
		{ "127.0.0.1.", NULL },
		{ "1", NULL },
		{ "example.123", NULL },
		{ "::1", NULL },
		{ "a b", NULL },
		{ "a\tb", NULL },
		{ "a/b", NULL },
		{ "a\nb.com", NULL },
		{ "b\xc3\xbc"
		  "cher.example",
		    NULL },
		{ "a\x01.com", NULL },
		{ "[127.0.0.1]", NULL },
		{ "a%b", NULL },
		{ "*.com", NULL },
	};
	char name[DNS_NAME_MAX];
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		rc = dns_name_clean(cases[i].in, strlen(cases[i].in), name);
		assert_int_equal(rc, cases[i].out != NULL ? 0 : -1);
		if (rc == 0)
			assert_string_equal(name, cases[i].out);
	}
	assert_int_equal(dns_name_clean("a\0b.com", 7, name), -1);
}

struct mx_case {
	const char *data;
	size_t len;
	enum dns_mx_kind kind;
	int pref;
	const char *name;
};

#define D(s) s, sizeof(s) - 1

static const struct mx_case mx_cases[] = {
	{ D("\0\012\2mx\3com\0"), DNS_MX_HOST, 10, "mx.com" },
	{ D("\377\377\2MX\3CoM\0"), DNS_MX_HOST, 65535, "mx.com" },
	{ D("\0\0\0"), DNS_MX_NULL, 0, NULL },
	{ D("\0\012\0"), DNS_MX_NULL, 0, NULL },
	/* Short ones. */
	{ D(""), DNS_MX_WRONG, 0, NULL },
	{ D("\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\2"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\2mx"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\2mx\3com"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\077mx\3com\0"), DNS_MX_WRONG, 0, NULL },
	/* Too much, compressed, extended labels. */
	{ D("\0\012\2mx\3com\0x"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\0\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\300\014"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\2mx\300\014"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\101mx"), DNS_MX_WRONG, 0, NULL },
	/* Not names of hosts. */
	{ D("\0\012\003127\0010\0010\0011\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\0111.2.3.4xx\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\6mx.com\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\3m\0x\3com\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\3m\nx\3com\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\3-mx\3com\0"), DNS_MX_WRONG, 0, NULL },
	{ D("\0\012\1 \3com\0"), DNS_MX_WRONG, 0, NULL },
};

/* Parse a copy that ends where the record ends, so that ASan sees overruns. */
static enum dns_mx_kind
parse_exact(const void *p, size_t n, int *ret_pref, char *name)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);
	enum dns_mx_kind kind;

	assert_non_null(copy);
	memcpy(copy, p, n);
	kind = dns_mx_parse(copy, n, ret_pref, name);
	free(copy);
	return (kind);
}

static void
test_mx(void **state)
{
	char name[DNS_NAME_MAX];
	size_t i;
	int pref;

	(void)state;
	for (i = 0; i < NELEM(mx_cases); i++) {
		const struct mx_case *c = &mx_cases[i];

		assert_int_equal(parse_exact(c->data, c->len, &pref, name),
		    c->kind);
		if (c->kind != DNS_MX_HOST)
			continue;
		assert_int_equal(pref, c->pref);
		assert_string_equal(name, c->name);
	}
}

/* The longest name, and one octet more. */
static void
test_mx_long(void **state)
{
	static const uint8_t last[2] = { 61, 62 };
	uint8_t p[2 + 256];
	char name[DNS_NAME_MAX];
	size_t i, n, k;
	int pref;

	(void)state;
	for (k = 0; k < 2; k++) {
		memset(p, 'a', sizeof(p));
		p[0] = p[1] = 0;
		n = 2;
		for (i = 0; i < 3; i++) {
			p[n] = 63;
			n += 64;
		}
		p[n] = last[k];
		n += last[k] + 1u;
		p[n++] = 0;
		assert_int_equal(parse_exact(p, n, &pref, name),
		    k == 0 ? DNS_MX_HOST : DNS_MX_WRONG);
	}
	assert_int_equal(strlen(name), 253);
}

/* Noise, and good records with one octet changed or cut. */
static void
test_mx_noise(void **state)
{
	static const uint8_t good[] = "\0\012\2mx\7example\3com";
	uint64_t x = 88172645463325252u;
	char name[DNS_NAME_MAX];
	uint8_t p[300];
	size_t i, k, n;
	int pref;

	(void)state;
	for (i = 0; i < 20000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		n = x % sizeof(p);
		for (k = 0; k < n; k++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			p[k] = (uint8_t)(x % 3 == 0 ? x >> 32 & 7 : x >> 40);
		}
		if (i % 2 == 0) {
			memcpy(p, good, sizeof(good));
			n = sizeof(good) - (x >> 8) % 3;
			p[(x >> 16) % sizeof(good)] = (uint8_t)(x >> 24);
		}
		if (parse_exact(p, n, &pref, name) == DNS_MX_HOST) {
			assert_in_range(strlen(name), 1, 253);
			assert_in_range(pref, 0, 65535);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_mx_long),
		cmocka_unit_test(test_mx_noise),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
