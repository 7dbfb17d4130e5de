/*
 * Envelopes: addresses, address lists, ESMTP parameters, xtext. What is
 * accepted can end no line and leave no directory, and reads the same again.
 */
#include "fuzz.h"
#include "mail/addr.h"
#include "mail/addrlist.h"
#include "mail/esmtp.h"
#include "mail/xtext.h"

/* An address that was accepted. */
static void
check_addr(const struct addr *a)
{
	struct addr again;
	char path[ADDR_MAX + 3];
	size_t used;

	FUZZ_CHECK(strlen(a->smtp) == a->smtp_len && a->smtp_len <= ADDR_MAX);
	FUZZ_CHECK(strlen(a->orig) == a->orig_len && a->orig_len <= ADDR_MAX);
	FUZZ_CHECK(fuzz_no_controls(a->smtp, a->smtp_len));
	FUZZ_CHECK(fuzz_no_controls(a->orig, a->orig_len));
	FUZZ_CHECK(esc_is_utf8(a->smtp, a->smtp_len));
	if (addr_is_null(a)) {
		FUZZ_CHECK(*addr_domain(a) == '\0');
		return;
	}
	FUZZ_CHECK(a->local_len > 0 && a->local_len <= ADDR_LOCAL_MAX);
	FUZZ_CHECK(spool_domain_valid(addr_domain(a)));
	FUZZ_CHECK(addr_parse(a->smtp, a->smtp_len, ADDR_RCPT, &again, NULL) ==
	    0);
	FUZZ_CHECK(strcmp(again.smtp, a->smtp) == 0);
	FUZZ_CHECK(again.utf8 == a->utf8 && again.literal == a->literal);
	(void)snprintf(path, sizeof(path), "<%s>", a->smtp);
	FUZZ_CHECK(addr_path(path, strlen(path), ADDR_SENDER, &used, &again,
		       NULL) == 0);
	FUZZ_CHECK(used == strlen(path) && strcmp(again.smtp, a->smtp) == 0);
}

static void
try_addr(const char *p, size_t n, enum addr_kind kind)
{
	struct addr a;

	if (addr_parse(p, n, kind, &a, NULL) == 0)
		check_addr(&a);
}

static void
try_path(const char *p, size_t n, enum addr_kind kind)
{
	struct addr a;
	size_t used;

	if (addr_path(p, n, kind, &used, &a, NULL) == -1)
		return;
	FUZZ_CHECK(used <= n);
	check_addr(&a);
}

static void
try_domain(const char *p, size_t n)
{
	char a[ADDR_DOMAIN_MAX + 1], b[ADDR_DOMAIN_MAX + 1];

	if (addr_domain_parse(p, n, a, NULL) == -1)
		return;
	FUZZ_CHECK(spool_domain_valid(a));
	FUZZ_CHECK(addr_domain_parse(a, strlen(a), b, NULL) == 0);
	FUZZ_CHECK(strcmp(a, b) == 0);
}

/* Both of these list addresses, one after the other. */
static int
on_mailbox(void *arg, const struct addr *a, struct verr *err)
{
	struct buf *list = arg;

	(void)err;
	check_addr(a);
	FUZZ_CHECK(!addr_is_null(a));
	if (list->len > 0)
		buf_adds(list, ", ");
	buf_adds(list, a->smtp);
	return (0);
}

/* A list, written down and read again; local: with names completed. */
static void
try_list(const char *p, size_t n, const struct addr_local *local)
{
	struct buf list = BUF_INIT, again = BUF_INIT;

	if (addrlist_parse(p, n, local, on_mailbox, &list, NULL) == 0) {
		FUZZ_CHECK(addrlist_parse(buf_str(&list), list.len, NULL,
			       on_mailbox, &again, NULL) == 0);
		FUZZ_CHECK(strcmp(buf_str(&list), buf_str(&again)) == 0);
	}
	buf_release(&list);
	buf_release(&again);
}

/* The parameters of MAIL, written down and read again. */
static void
try_mail(const char *p, size_t n)
{
	struct esmtp_mail m, again;
	struct buf b = BUF_INIT;

	if (esmtp_mail_parse(p, n, &m, NULL) == -1)
		return;
	FUZZ_CHECK(m.size >= -1);
	FUZZ_CHECK(fuzz_no_controls(m.envid, strlen(m.envid)));
	FUZZ_CHECK(strchr(m.envid, ' ') == NULL);
	if (m.size >= 0)
		buf_addf(&b, " SIZE=%lld", (long long)m.size);
	if (m.ret != 0)
		buf_addf(&b, " RET=%s", m.ret == 'F' ? "FULL" : "HDRS");
	if (m.body_8bit)
		buf_adds(&b, " BODY=8BITMIME");
	if (m.smtputf8)
		buf_adds(&b, " SMTPUTF8");
	if (*m.envid != '\0')
		buf_addf(&b, " ENVID=%s", m.envid);
	FUZZ_CHECK(esmtp_mail_parse(buf_str(&b), b.len, &again, NULL) == 0);
	FUZZ_CHECK(again.size == m.size && again.ret == m.ret &&
	    again.body_8bit == m.body_8bit && again.smtputf8 == m.smtputf8 &&
	    strcmp(again.envid, m.envid) == 0);
	buf_release(&b);
}

/* The parameters of RCPT. */
static void
try_rcpt(const char *p, size_t n)
{
	struct esmtp_rcpt r, again;
	struct buf b = BUF_INIT;
	const char *s;

	if (esmtp_rcpt_parse(p, n, &r, NULL) == -1)
		return;
	FUZZ_CHECK(fuzz_no_controls(r.orcpt, strlen(r.orcpt)));
	FUZZ_CHECK(strchr(r.orcpt, ' ') == NULL);
	if (*r.notify != '\0')
		buf_adds(&b, " NOTIFY=");
	for (s = r.notify; *s != '\0'; s++)
		buf_addf(&b, "%s%s", s > r.notify ? "," : "",
		    *s == 'N'	  ? "NEVER" :
			*s == 'S' ? "SUCCESS" :
			*s == 'F' ? "FAILURE" :
				    "DELAY");
	if (*r.orcpt != '\0')
		buf_addf(&b, " ORCPT=%s", r.orcpt);
	FUZZ_CHECK(esmtp_rcpt_parse(buf_str(&b), b.len, &again, NULL) == 0);
	FUZZ_CHECK(strcmp(again.notify, r.notify) == 0 &&
	    strcmp(again.orcpt, r.orcpt) == 0);
	buf_release(&b);
}

/* Octets to xtext and back; and xtext that came, which may be in any form. */
static void
try_xtext(const char *p, size_t n)
{
	struct buf text = BUF_INIT, back = BUF_INIT;

	xtext_encode(p, n, &text);
	FUZZ_CHECK(fuzz_no_controls(buf_str(&text), text.len));
	FUZZ_CHECK(xtext_decode(buf_str(&text), text.len, &back) == 0);
	FUZZ_CHECK(back.len == n && memcmp(buf_str(&back), p, n) == 0);
	buf_clear(&back);
	if (xtext_decode(p, n, &back) == 0) {
		buf_clear(&text);
		xtext_encode(buf_str(&back), back.len, &text);
		FUZZ_CHECK(text.len <= n);
	}
	buf_release(&text);
	buf_release(&back);
	(void)xtext_check_envid(p, n, NULL);
	(void)xtext_check_orcpt(p, n, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct addr_local local = { "h.example", "s.example" };
	struct fuzz_in in = { data, size };
	unsigned what = fuzz_byte(&in);
	char *p = fuzz_rest(&in);

	switch (what % 8) {
	case 0:
	case 1:
		try_addr(p, in.n, what % 2 == 0 ? ADDR_RCPT : ADDR_SENDER);
		break;
	case 2:
		try_path(p, in.n, ADDR_SENDER);
		break;
	case 3:
		try_domain(p, in.n);
		break;
	case 4:
		try_list(p, in.n, NULL);
		try_list(p, in.n, &local);
		break;
	case 5:
		try_mail(p, in.n);
		break;
	case 6:
		try_rcpt(p, in.n);
		break;
	case 7:
		try_xtext(p, in.n);
		break;
	}
	free(p);
	return (0);
}
