/*
 * A configuration file: what is accepted can be asked about everything, says
 * the same when it is read again, and its image is valid; the quick look for
 * the spool finds what the parser found. Reads only: nothing in it is run.
 */
#include <arpa/inet.h>

#include "conf/conf.h"
#include "conf/image.h"
#include "conf/impl.h"
#include "conf/lex.h"
#include "fuzz.h"

/* The prefix, with files that an include may name. */
static int
prefix(char path[400])
{
	static const char
	    one[] = "virtual-mta included {\n"
		    "smtp-source-host = '192.0.2.9 in.example'\n}\n";
	static int etc = -1;

	(void)snprintf(path, 400, "%s/p/etc/vmta.conf", fuzz_scratch());
	if (etc != -1)
		return (etc);
	etc = fuzz_mkdirs(AT_FDCWD, fuzz_scratch());
	etc = fuzz_mkdirs(etc, "p/etc");
	fuzz_put(etc, "one.conf", one, sizeof(one) - 1);
	(void)close(fuzz_mkdirs(etc, "conf.d"));
	return (etc);
}

/* Everything that can be asked, as text. */
static void
ask(const struct conf *c, struct buf *out)
{
	static const char *const domain[] = { "example.com", "a.b.example.com",
		"[127.0.0.1]", "[ipv6:2001:db8::1]", "xn--bcher-kva.example" };
	static const char *const source[] = { "local", "user:www-data",
		"127.0.0.1", "2001:db8::1", "api" };
	struct conf_queue q;
	struct conf_source src;
	size_t i, k;
	const char *s;

	buf_addf(out, "%s %s\n", conf_spool(c), conf_global(c)->host_name);
	for (i = 0; i < conf_vmta_n(c); i++) {
		const struct conf_vmta *v = conf_vmta_at(c, i);

		FUZZ_CHECK(spool_vmta_valid(v->name));
		FUZZ_CHECK(v->naddr > 0 && conf_vmta(c, v->name) == v);
		buf_addf(out, "%s %u %u\n", v->name, v->naddr, v->npool);
		for (k = 0; k < LEN(domain); k++) {
			FUZZ_CHECK(conf_queue(c, domain[k], v->name, &q) == 0);
			buf_addf(out, "%llx %lld\n", (unsigned long long)q.hash,
			    (long long)conf_ladder_at(&q.retry_after, k));
			s = NULL;
			while ((s = conf_list_next(&q.smtp_hosts, s)) != NULL)
				buf_adds(out, s);
		}
		if (i < 2)
			FUZZ_CHECK(conf_explain(c, domain[i], v->name, out,
				       NULL) == 0);
	}
	for (i = 0; i < conf_pool_n(c); i++) {
		const struct conf_pool *p = conf_pool_at(c, i);

		FUZZ_CHECK(spool_vmta_valid(p->name) && p->nmember > 0);
		for (k = 0; k < p->nmember; k++)
			FUZZ_CHECK(p->member[k].vmta < conf_vmta_n(c));
	}
	for (i = 0; i < LEN(source); i++) {
		conf_source(c, source[i], &src);
		buf_addf(out, "%d", conf_source_vmta_ok(&src, "a"));
		buf_addf(out, "%d", conf_source_sender_ok(&src, "a@b.example"));
	}
	for (i = 0; i < conf_acct_n(c); i++)
		buf_adds(out, conf_acct_at(c, i)->file);
}

/* Is the spool found by a look at the text where the parser found it? */
static void
check_spool(const struct conf *c, const char *text, size_t n)
{
	struct buf quick = BUF_INIT, path = BUF_INIT;

	int found = lex_spool(text, n, &quick);

	if (found == 0)
		buf_adds(&quick, "spool");
	if (found != -1) {
		if (*buf_str(&quick) != '/')
			buf_addf(&path, "%s/", conf_prefix(c));
		buf_adds(&path, buf_str(&quick));
		while (path.len > 1 && path.p[path.len - 1] == '/')
			path.p[--path.len] = '\0';
		FUZZ_CHECK(strcmp(path.p, conf_spool(c)) == 0);
	}
	buf_release(&quick);
	buf_release(&path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct buf first = BUF_INIT, again = BUF_INIT;
	struct verr err = VERR_INIT;
	struct conf *c;
	char path[400], *text;

	fuzz_put(prefix(path), "vmta.conf", data, size);
	if (conf_parse(&fuzz_sys, path, &c, &err) == -1) {
		FUZZ_CHECK(err.code == VEX_CONFIG);
		FUZZ_CHECK(strchr(err.text, '\n') == NULL);
		return (0);
	}
	FUZZ_CHECK(image_valid(c->own, c->size));
	ask(c, &first);
	text = fuzz_rest(&in);
	check_spool(c, text, in.n);
	free(text);
	conf_unref(c);
	FUZZ_CHECK(conf_parse(&fuzz_sys, path, &c, NULL) == 0);
	ask(c, &again);
	FUZZ_CHECK(first.len == again.len &&
	    memcmp(first.p, again.p, first.len) == 0);
	conf_unref(c);
	buf_release(&first);
	buf_release(&again);
	return (0);
}
