/* Every way in which a configuration file can be wrong, with its line. */
#include "conf/param.h"
#include "conf_util.h"

/* A text, and what the error must say. */
static const struct {
	const char *text;
	const char *want;
} errors[] = {
	/* names */
	{ "\nbogus = 1\n",
	    "vmta.conf:2: unknown directive 'bogus' in "
	    "the top level" },
	{ HEAD "virtual-mta a {\n\n bogus = 1 }\n",
	    ":4: unknown directive 'bogus' in virtual-mta" },
	{ "max-smtp-out = 3\n", ":1: unknown directive" },
	{ "domain x {\n smtp-source-host = 'x' }", ":2: unknown" },
	{ "Host-Name = a\n", ":1: unknown directive 'Host-Name'" },
	{ "virtual-mta|domain = 1\n", ":1: unknown directive" },
	{ "'host-name' = a\n", ":1: unknown directive" },
	{ "bogus {\n}\n", ":1: unknown directive 'bogus'" },
	{ "bogus('x')\n", ":1: unknown directive 'bogus'" },
	/* a thing of another kind than its name */
	{ "host-name 'x' { }\n", ":1: missing equal sign" },
	{ "virtual-mta = 'x'\n", ":1: missing title" },
	{ "virtual-mta { }\n", ":1: missing title" },
	{ "host-name = {a}\n", ":1: unexpected token '{'" },
	{ "host-name += a\n", ":1: attempt to append to non-list" },
	{ "source '' { }\n", ":1: source: bad title" },
	{ "\ninclude('x') { }\n", ":2: " },
	{ "domain x { include('y') }",
	    ":1: unknown directive "
	    "'include' in domain" },
	/* values */
	{ "total-max-smtp-out = x\n",
	    ":1: total-max-smtp-out = 'x': "
	    "expected a whole number" },
	{ "total-max-smtp-out = 0\n",
	    ":1: total-max-smtp-out = '0': "
	    "out of range (1 to 1000000)" },
	{ "total-max-smtp-out = 1000001\n", "out of range" },
	{ "total-max-smtp-out = -1\n", "expected a whole number" },
	{ "total-max-smtp-out = 99999999999999999999\n", ":1: " },
	{ "total-max-smtp-out = 010\n",
	    ":1: total-max-smtp-out = "
	    "'010': leading zero" },
	{ "domain x { connect-timeout = 01m }\n", "leading zero" },
	{ "domain x { retry-after = '10m,030m' }\n", "leading zero" },
	{ "domain x { retry-after = '10m,,5m' }\n", "expected times" },
	{ "domain x { retry-after = '10m,1ms' }\n", "out of range" },
	{ "domain x { retry-after = {1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,"
	  "1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,"
	  "1m} }\n",
	    "more than 30" },
	{ "domain x { retry-upon-new-mail = maybe }\n", "expected yes or no" },
	{ "max-message-size = 10x\n", "expected a size" },
	{ "domain x { max-msg-rate = 5 }\n", "expected a rate" },
	{ "domain x { max-msg-rate = 5/0m }\n", "expected a rate" },
	{ "domain x { connection-idle-timeout = 11m }\n",
	    "out of range (0 to 10m)" },
	{ "domain x { bounce-upon-no-mx = soon }\n", "expected yes" },
	{ "domain x { default-smtp-port = 65536 }\n", "out of range" },
	{ "host-name = 'a b'\n", "expected a host name" },
	{ "host-name = a..b\n", "expected a host name" },
	{ "name-server = '127.0.0.1:53'\n", "expected an address" },
	{ "name-server = '127.0.0.1@0'\n", "expected an address" },
	{ "name-server = {'127.0.0.1',\n'x'}\n",
	    ":2: name-server = "
	    "'x'" },
	{ "smtp-source-host = 'mta.example.com'\n", "expected" },
	{ "smtp-source-host = '192.0.2.1/24 a.example'\n", "host bits zero" },
	{ "smtp-source-host = '192.0.2.256 a.example'\n", "expected" },
	{ "smtp-source-host = '192.0.2.1 a b'\n", "expected" },
	{ "allow-special-destination = '127.0.0.1/8'\n", "host bits zero" },
	{ "postmaster = nobody\n", "expected a mail address" },
	{ "name-server = {'127.0.0.1', ''}\n", "empty" },
	{ "user-string = \"a\\nb\"\n", "control characters" },
	{ "domain x { smtp-hosts = 'a;;b' }\n", "expected hosts" },
	{ "domain x { smtp-hosts = '[1.2.3]' }\n", "expected hosts" },
	{ "domain x { smtp-hosts = '[1.2.3.4]:0' }\n", "expected" },
	{ "domain x { smtp-hosts = '[1.2.3.4' }\n", "expected hosts" },
	{ "domain x { smtp-hosts = 'lookup-mx:' }\n", "expected" },
	{ "acct-file a { records = {d, z} }\n", "one of d, b" },
	{ "acct-file a { max-size = 1k }\n", "out of range (1M to" },
	{ "acct-file '|prog' { }\n", "not supported" },
	{ "pattern-list p { match = 'x /a/ virtual-mta=b' }\n",
	    "expected 'mail-from" },
	{ "pattern-list p { match = '* recipient-priority=101' }\n",
	    "expected 'mail-from" },
	{ "pattern-list p { match = 'mail-from /a virtual-mta=b' }\n",
	    "expected 'mail-from" },
	{ "smtp-pattern-list p { reply = '/a/ explode' }\n",
	    "expected '/RE/ ACTION" },
	{ "bounce-category-patterns = 'full quota'\n", "expected" },
	/* twice */
	{ "host-name = a\n\nhost-name = b\n",
	    ":3: host-name is given "
	    "twice (first at " },
	{ "name-server = '127.0.0.1'\nname-server = '127.0.0.2'\n",
	    ":2: name-server is given twice" },
	{ "name-server = {}\nname-server = '127.0.0.2'\n",
	    ":2: name-server is given twice" },
	{ "name-server += '127.0.0.1'\nname-server = {'127.0.0.2',"
	  "'127.0.0.3'}\n",
	    ":2: name-server is given twice" },
	{ "domain x { max-smtp-out = 1\n max-smtp-out = 1 }\n",
	    ":2: max-smtp-out is given twice" },
	{ HEAD "virtual-mta a { }\nvirtual-mta a { }\n",
	    ":3: virtual-mta 'a' is given twice" },
	{ HEAD "virtual-mta a { }\nvirtual-mta-pool a { virtual-mta = a"
	       " }\n",
	    ":3: virtual-mta-pool 'a' is given twice" },
	{ "domain x.de { }\ndomain X.DE. { }\n",
	    ":2: domain 'X.DE.' is given twice" },
	{ "domain '*' { }\n\ndomain '*' { }\n", ":3: domain '*'" },
	{ "domain '[*.]x' { }\ndomain '[*.]x' { }\n", ":2: domain" },
	{ "domain '[10.0.0.0/8]' { }\ndomain '[10.0.0.0/8]' { }\n",
	    ":2: domain" },
	{ "domain 'b\xc3\xbc"
	  "cher.de' { }\ndomain xn--bcher-kva.de "
	  "{ }\n",
	    ":2: domain 'xn--bcher-kva.de' is given twice" },
	{ HEAD "virtual-mta a { domain x { }\n domain x { } }\n",
	    ":3: domain 'x' is given twice" },
	{ "source local { }\nsource local { }\n", ":2: source 'local'" },
	{ "acct-file a { }\nacct-file ./a { }\nacct-file a { }\n",
	    ":3: acct-file" },
	{ "domain-macro m { domains = x }\ndomain-macro n { domains = "
	  "x }\ndomain '$m' { }\ndomain '$n' { }\n",
	    ":4: domain '$n' is given twice" },
	/* text */
	{ "domain * { }\n", ":1: a * must be in single quotes: '*'" },
	{ "domain *.x { }\n", ":1: a * must be in single quotes" },
	{ "\nhost-name = ${HOME}\n", ":2: ${...} is not supported" },
	{ "host-name = \"${HOME}\"\n", ":1: ${...} is not supported" },
	{ "host-name = a${HOME}\n", ":1: ${...} is not supported" },
	{ "host-name = 'a\nspool = 'b'\n",
	    ":1: a quoted string does "
	    "not end in its line" },
	{ "host-name = \"a", ":1: a quoted string does not end" },
	{ "host-name = a /* x\n\n", "a comment that does not end" },
	{ "\ndomain x {\n\n", ":2: this section is never closed" },
	{ "domain x { } }\n", ":1: a } too much" },
	{ "host-name =\n", "the file ends inside a statement" },
	{ "host-name = }\n", ":1: expected a value before '}'" },
	{ "name-server = {a b}\n", ":1: expected , or } before 'b'" },
	{ "name-server = {,}\n", ":1: expected a value before ','" },
	{ "host-name a\n= b", ":2: expected { before '='" },
	{ "host-name + a", ":1: unexpected character '+'" },
	{ "= a\n", ":1: expected a directive instead of '='" },
	{ "host-name , a", ":1: expected = or { before ','" },
	{ "include('a' 'b')\n", ":1: expected ) before" },
	{ "host-name = a\001b\n", ":1: " },
	{ "\001\n", ":1: unexpected character" },
	{ "+\n", ":1: unexpected character '+'" },
	{ "domain x{domain x{domain x{domain x{domain x{domain x{"
	  "domain x{domain x{domain x{}}}}}}}}}",
	    ":1: too many" },
	/* references */
	{ HEAD "virtual-mta-pool p {\n virtual-mta = {'x 3'} }\n",
	    ":3: virtual-mta: there is no virtual-mta 'x'" },
	{ HEAD "virtual-mta-pool p {\n}\n",
	    ":2: virtual-mta-pool 'p' has no virtual-mta" },
	{ HEAD "virtual-mta a {}\nvirtual-mta-pool p { virtual-mta = "
	       "{a, a} }\n",
	    ":3: virtual-mta 'a' is in the pool twice" },
	{ HEAD "virtual-mta a {}\nvirtual-mta-pool p { virtual-mta = a"
	       " }\nvirtual-mta-pool q { virtual-mta = p }\n",
	    ":4: virtual-mta: there is no virtual-mta 'p'" },
	{ HEAD "virtual-mta a {}\nvirtual-mta-pool p { virtual-mta = "
	       "'a 0' }\n",
	    ":3: virtual-mta = 'a 0': expected" },
	{ "source local {\n default-virtual-mta = x }\n",
	    ":2: default-virtual-mta: there is no virtual-mta or "
	    "virtual-mta-pool 'x'" },
	{ "source local {\n allow-virtual-mta = {'a*', x} }\n",
	    ":2: allow-virtual-mta: there is no" },
	{ "source local {\n pattern-list = x }\n",
	    ":2: pattern-list: there is no pattern-list 'x'" },
	{ "domain x {\n smtp-pattern-list = x }\n",
	    ":2: smtp-pattern-list: there is no smtp-pattern-list" },
	{ "pattern-list p { match = {'* virtual-mta=x'} }\n",
	    ":1: match: there is no virtual-mta or" },
	{ "pattern-list p { match = {'* call-to:x'} }\n",
	    ":1: match: there is no pattern-list 'x'" },
	{ "invalid-virtual-mta-fallback = x\n", ":1: " },
	{ "domain '$m' { }\n", ":1: there is no domain-macro 'm'" },
	{ "domain-macro m { domains = '$m' }\ndomain '$m' { }\n",
	    ":1: domain-macro 'm' contains itself" },
	{ "domain-macro m { domains = 'a b' }\ndomain '$m' { }\n",
	    ":1: 'a b' is no domain" },
	{ "domain 'a b' { }\n", ":1: 'a b' is no domain" },
	{ "domain '[10.0.0.1/8]' { }\n", "is no domain" },
	{ "domain 'x.*' { }\n", "is no domain" },
	/* names of sections */
	{ HEAD "virtual-mta 'a b' { }\n",
	    ":2: virtual-mta 'a b': "
	    "expected letters" },
	{ HEAD "virtual-mta .a { }\n", ":2: virtual-mta '.a'" },
	{ HEAD "virtual-mta '../a' { }\n", ":2: virtual-mta" },
	{ "source 'a b' { }\n", ":1: source 'a b': expected a name" },
	/* addresses */
	{ "virtual-mta a { }\n\nvirtual-mta b { }\n",
	    ":1: virtual-mta "
	    "'a' has no smtp-source-host, and there is no global one" },
	{ "virtual-mta a { smtp-source-host = '' }\n",
	    "has no smtp-source-host" },
	{ HEAD "virtual-mta a { }\nvirtual-mta-pool p { virtual-mta = a"
	       " domain x { } }\nvirtual-mta-pool q { virtual-mta = a "
	       "domain y { } }\n",
	    ":4: virtual-mta 'a' is in the pools "
	    "'p' and 'q', which both have domain sections" },
};

static void
test_errors(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		refuse_text(errors[i].text, errors[i].want);
}

/* Comments, quotes, lists and empty things wherever they may stand. */
static void
test_accepted(void **state)
{
	static const char *const cases[] = {
		"",
		"\n\n",
		"# only a comment",
		"/* one\n * more\n */ host-name = a // end\n",
		"host-name = \"a.example\"\r\nspool = 'x'\r\n",
		"name-server = { # first\n '127.0.0.1', /* second */\n"
		"\t'127.0.0.2@53',\n}\n",
		"name-server = {}\n",
		"name-server = ''\n",
		"name-server = {\n\n}\nname-server += '::1@5353'\n",
		"name-server = 127.0.0.1\n",
		"user-string = '${HOME} * # // \"x\"'\n",
		"user-string = \"it's * # \"\n",
		"total-max-smtp-out = '5'\n",
		"total-max-smtp-out = ''\n",
		"domain 'x' { max-smtp-out = 1 max-msg-rate = 83/10m }",
		"domain x{max-smtp-out=1}domain y{max-smtp-out=1}",
		"domain $m { } domain-macro m { domains = {'a', '*.b'} }",
		"domain-macro m { domains = {'$n', a} }\n"
		"domain-macro n { domains = {'b', 'a'} }\ndomain '$m' { }",
		"domain '[127.0.0.1]' { }\ndomain '[IPv6:::1]' { }\n"
		"domain '[ipv6:2001:db8::/32]' { }\ndomain '[10.0.0.0/8]' { }",
		"domain x { bounce-upon-no-mx = yes }",
		"domain x { bounce-upon-no-mx = 4h backoff-to-normal-after = "
		"never }",
		"domain x { smtp-hosts = {'a,b;[10.0.0.1]:25;lookup-mx:c', "
		"'[::1]:26', '[ipv6:::1]', 'h:2525'} }",
		"domain x { smtp-hosts = '' }",
		HEAD "virtual-mta a { }\nvirtual-mta-pool p { virtual-mta = a "
		     "domain x { } }\nvirtual-mta-pool q { virtual-mta = a }",
		"source '192.0.2.0/24' { }\nsource 'user:www-data' { }\n"
		"source pickup { }\nsource '2001:db8::/32' { }",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		conf_unref(accept_text(cases[i]));
}

/* Lines are counted through comments, strings and lists. */
static void
test_lines(void **state)
{
	(void)state;
	refuse_text("/* a\n b */ # c\n\nname-server = {\n# d\n'127.0.0.1',\n"
		    "/* e */ 'x' }\n",
	    "vmta.conf:7: name-server = 'x'");
	refuse_text("# a\n// b\n/* c */\nbogus = 1\n", ":4: unknown");
	refuse_text("domain x {\n# a\n\n/* b */\n bogus = 1\n}\n",
	    ":5: unknown");
}

static void
test_includes(void **state)
{
	struct verr err = VERR_INIT;
	struct conf *c;
	const char *s;

	(void)state;
	assert_int_equal(mkdir(in_scratch("etc/conf.d"), 0700), 0);
	put_file("etc/conf.d/b.conf",
	    "name-server += '127.0.0.3'\n"
	    "include('../one.inc')\n");
	put_file("etc/conf.d/a.conf", "name-server += {'127.0.0.2'}\n");
	put_file("etc/conf.d/.hidden.conf", "bogus\n");
	put_file("etc/conf.d/c.conf~", "bogus\n");
	put_file("etc/one.inc", "name-server += '127.0.0.4'\n");
	c = accept_text("include('conf.d/*.conf')\nname-server = '127.0.0.1'\n"
			"include('none.d/*.conf')\n");
	s = conf_list_at(&conf_global(c)->name_server, 0);
	assert_string_equal(s, "127.0.0.1");
	s = conf_list_at(&conf_global(c)->name_server, 1);
	assert_string_equal(s, "127.0.0.2");
	s = conf_list_at(&conf_global(c)->name_server, 2);
	assert_string_equal(s, "127.0.0.3");
	s = conf_list_at(&conf_global(c)->name_server, 3);
	assert_string_equal(s, "127.0.0.4");
	assert_null(conf_list_at(&conf_global(c)->name_server, 4));
	conf_unref(c);

	put_file("etc/conf.d/a.conf", "\nname-server = {'127.0.0.2'}\n");
	refuse_text("include('conf.d/*.conf')\nname-server = '127.0.0.1'\n",
	    "etc/conf.d/a.conf:2: name-server is given twice (first at ");
	put_file("etc/conf.d/a.conf", "domain x { }\n");
	refuse_text("domain x { }\ninclude('conf.d/*.conf')\n",
	    "etc/conf.d/a.conf:1: domain 'x' is given twice (first at ");
	put_file("etc/conf.d/a.conf", "spool = x\n");
	refuse_text("include('conf.d/a.conf')\n",
	    "a.conf:1: spool must stand in the main file");
	put_file("etc/conf.d/a.conf", "domain x {\n");
	refuse_text("include('conf.d/a.conf')\n", "a.conf:1: this section");
	refuse_text("\ninclude('missing.conf')\n", "vmta.conf:2: include ");
	refuse_text("\ninclude('*/a.conf')\n",
	    "vmta.conf:2: include "
	    "'*/a.conf': wildcards only behind the last /");
	refuse_text("\ninclude('vmta.conf')\n", "vmta.conf:2: include");
	put_file("etc/conf.d/a.conf", "include('a.conf')\n");
	refuse_text("include('conf.d/a.conf')\n", "a.conf:1: include ");
	refuse_text("include()\n", ":1: include of nothing");
	refuse_text("include('conf.d')\n", "Is a directory");
	assert_int_equal(conf_parse(sys_real(), in_scratch("etc/none"), &c,
			     &err),
	    -1);
	assert_int_equal(err.code, VEX_CONFIG);
}

/* The example of the interface's description. */
static void
test_example(void **state)
{
	static const char text[] =
	    "host-name = mta.example.com\n"
	    "spool = spool                      # relative to the prefix\n"
	    "name-server = {'127.0.0.1@5353'}   # empty: the system's\n"
	    "pickup = {'spool/pickup'}\n"
	    "virtual-mta news {\n"
	    "	smtp-source-host = {'192.0.2.10 news1.example.com', "
	    "'192.0.2.11 news2.example.com'}\n"
	    "	domain-key = {'s1,example.com,keys/example.com.pem'}\n"
	    "	domain 'gmail.com' { max-smtp-out = 5  max-msg-rate = 500/m }\n"
	    "	domain '*'         { dkim-sign = yes }\n"
	    "}\n"
	    "virtual-mta-pool bulk { virtual-mta = {'news 3', 'news2'} }  # n\n"
	    "domain 'example.org' { smtp-hosts = {'[127.0.0.9]:2525'}  "
	    "retry-after = '10m,30m,2h'  bounce-after = 4d12h }\n"
	    "source 'local' { default-virtual-mta = bulk  "
	    "process-x-virtual-mta = yes  pattern-list = routes }\n"
	    "pattern-list routes {\n"
	    "	match = {'mail-from /^abc/ virtual-mta=news', 'header X-Stream "
	    "/urgent/ virtual-mta=fast,recipient-priority=90',\n"
	    "	         'rcpt-to /@x\\.com$/ call-to:xlist', "
	    "'* virtual-mta=bulk'}   # in order\n"
	    "}\n"
	    "smtp-pattern-list blocks { reply = {'/blocked.*spamhaus/ "
	    "mode=backoff'} }\n"
	    "bounce-category-patterns = {'/mailbox full/ quota-issues'}\n"
	    "acct-file 'log/acct.csv' { records = {d, b, t}  move-to = "
	    "'log/done'  move-interval = 1d  max-size = 250M }\n"
	    "include('conf.d/*.conf')\n"
	    "virtual-mta news2 { smtp-source-host = '192.0.2.12 n.example' }\n"
	    "virtual-mta fast { smtp-source-host = '192.0.2.13 f.example' }\n"
	    "pattern-list xlist { match = '* virtual-mta=news' }\n";
	const struct conf_pool *pool;
	const struct conf_acct *acct;
	struct conf_list warn;
	struct conf_queue q;
	struct conf *c;

	(void)state;
	c = accept_text(text);
	assert_int_equal(conf_vmta_n(c), 3);
	pool = conf_pool(c, "bulk");
	assert_non_null(pool);
	assert_int_equal(pool->nmember, 2);
	assert_int_equal(pool->weights, 4);
	assert_string_equal(conf_vmta_at(c, pool->member[0].vmta)->name,
	    "news");
	acct = conf_acct_at(c, 0);
	assert_string_equal(acct->file, in_scratch("etc/log/acct.csv"));
	assert_string_equal(acct->move_to, in_scratch("etc/log/done"));
	assert_int_equal(acct->records.n, 3);
	assert_string_equal(conf_spool(c), in_scratch("spool"));
	assert_string_equal(conf_list_at(&conf_global(c)->pickup, 0),
	    in_scratch("spool/pickup"));
	assert_int_equal(conf_queue(c, "gmail.com", "news", &q), 0);
	assert_int_equal(q.max_smtp_out, 5);
	assert_int_equal(q.max_msg_rate.n, 500);
	assert_int_equal(q.max_msg_rate.per, 60);
	assert_true(q.dkim_sign);
	warn = conf_warnings(c);
	assert_int_equal(warn.n, 5);
	assert_non_null(strstr(warn.first,
	    ": bounce-category-patterns is not "
	    "in force in this version"));
	conf_unref(c);
}

/* A warning only for what is not as it would be anyway. */
static void
test_warnings(void **state)
{
	struct buf b = BUF_INIT;
	struct conf_list l;
	struct conf *c;
	int i;

	(void)state;
	c = accept_text("domain x { use-starttls = yes  max-msg-rate = 0\n"
			"queue-priority = 50 dkim-sign = no "
			"backoff-max-msg-rate = '' }");
	assert_int_equal(conf_warnings(c).n, 0);
	conf_unref(c);
	c = accept_text("domain x { max-smtp-out = 7\nmax-msg-rate = 1/s }");
	l = conf_warnings(c);
	assert_int_equal(l.n, 1);
	assert_non_null(strstr(l.first,
	    "/vmta.conf:2: max-msg-rate is not in "
	    "force in this version"));
	conf_unref(c);
	for (i = 0; i < 150; i++)
		buf_addf(&b, "domain x%d { use-starttls = no }\n", i);
	c = accept_text(buf_str(&b));
	l = conf_warnings(c);
	assert_int_equal(l.n, 101);
	assert_non_null(strstr(conf_list_at(&l, 100), "50 more settings"));
	conf_unref(c);
	buf_release(&b);
}

/* What is shown of a text can be read back, whatever is in it. */
static void
test_show(void **state)
{
	static const char *const texts[] = { "a", "a b", "it's", "\\", "\\\\",
		"a\\'b", "\\a\\", "'", "''", "${x}", "# * \"q\" /* */ //",
		"\xc3\xbc", "{a}", "a=b", "\\'\\" };
	const struct conf_param *p = conf_param(CONF_GLOBAL, "user-string");
	struct buf b = BUF_INIT;
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		buf_clear(&b);
		buf_adds(&b, "user-string = ");
		conf_value_show(p, 1, 0, texts[i], &b);
		c = accept_text(buf_str(&b));
		assert_string_equal(conf_global(c)->user_string, texts[i]);
		conf_unref(c);
	}
	buf_release(&b);
}

/* What --print-defaults prints is a configuration, with these defaults. */
static void
test_print_defaults(void **state)
{
	struct buf b = BUF_INIT;
	struct conf_queue q, q0;
	struct conf *c;

	(void)state;
	c = accept_text("");
	(void)conf_queue(c, "x", "none", &q0);
	conf_unref(c);
	conf_print_defaults(&b);
	c = accept_text(buf_str(&b));
	assert_int_equal(conf_warnings(c).n, 0);
	assert_int_equal(conf_queue(c, "x", "none", &q), -1);
	assert_true(q.hash == q0.hash);
	assert_int_equal(q.max_smtp_out, 20);
	conf_unref(c);
	buf_release(&b);
}

/* Random bytes, and damaged files, never get further than an error. */
static void
test_hostile(void **state)
{
	static const char good[] = HEAD
	    "virtual-mta a { domain 'b.c' { "
	    "retry-after = '1m,2m' } }\nname-server = {'::1', \"127.0.0.1\"}\n"
	    "include('x*.conf') # c\n";
	static const char alphabet[] = "{}='\"\\,+*$#/ \n\tab1-(): .%;[]";
	char text[sizeof(good)];
	struct verr err;
	struct conf *c;
	unsigned seed = 1;
	size_t at;
	int i, k;

	(void)state;
	for (i = 0; i < 3000; i++) {
		memcpy(text, good, sizeof(text));
		for (k = 0; k <= i % 4; k++) {
			seed = seed * 1103515245 + 12345;
			at = (seed >> 8) % (sizeof(text) - 1);
			text[at] = alphabet[(seed >> 20) %
			    (sizeof(alphabet) - 1)];
		}
		if (i % 7 == 0)
			text[(seed >> 10) % (sizeof(text) - 1)] = '\0';
		c = parse_text(text, &err);
		if (c == NULL)
			assert_int_equal(err.code, VEX_CONFIG);
		conf_unref(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_errors),
		SCRATCH_TEST(test_accepted),
		SCRATCH_TEST(test_lines),
		SCRATCH_TEST(test_includes),
		SCRATCH_TEST(test_example),
		SCRATCH_TEST(test_warnings),
		SCRATCH_TEST(test_show),
		SCRATCH_TEST(test_print_defaults),
		SCRATCH_TEST(test_hostile),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
