/*
 * What a message asks of the peer, and its MAIL and RCPT commands. Addresses
 * and parameters come from the spool and were checked when they were
 * accepted; they are checked again here, for a line break in a command would
 * be a command of its own.
 */
#include <inttypes.h>
#include <string.h>

#include "base/esc.h"
#include "smtp/message.h"

/* Any byte outside ASCII? */
static bool
is_8bit(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return (true);
	return (false);
}

/*
 * Is s safe inside <>: no control bytes, valid UTF-8, and space and angle
 * brackets only in a quoted local part?
 */
static bool
addr_safe(const char *s)
{
	const char *p;
	bool quoted = false;

	for (p = s; *p != '\0'; p++) {
		unsigned char ch = (unsigned char)*p;

		if (ch < 0x20 || ch == 0x7f ||
		    (ch == 0xc2 && (unsigned char)p[1] < 0xa0)) /* C1 */
			return (false);
		if (ch == '"')
			quoted = !quoted;
		else if (quoted && ch == '\\') {
			if ((unsigned char)p[1] < 0x20 || p[1] == 0x7f)
				return (false);
			p++;
		} else if (!quoted && strchr(" <>", ch) != NULL)
			return (false);
	}
	return (!quoted && esc_is_utf8(s, (size_t)(p - s)));
}

/* Is s one printable ASCII word: fit for a parameter? */
static bool
param_safe(const char *s)
{
	if (s == NULL || *s == '\0')
		return (false);
	for (; *s != '\0'; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return (false);
	return (true);
}

/* Do all recipients, or (any) one of them, have UTF-8 addresses? */
static bool
rcpts_utf8(const struct smtp_message *m, bool any)
{
	size_t i;

	for (i = 0; i < m->n_rcpt; i++)
		if (is_8bit(m->rcpt[i].addr) == any)
			return (any);
	return (!any);
}

enum smtp_fit
smtp_caps_check(const struct smtp_caps *caps, const struct smtp_message *m)
{
	bool utf8 = (caps->ext & SMTP_EXT_SMTPUTF8) != 0;

	if (!addr_safe(m->from))
		return (SMTP_FIT_BAD_SENDER);
	if (!utf8 && (is_8bit(m->from) || rcpts_utf8(m, false)))
		return (SMTP_FIT_UTF8_ADDR);
	if (!utf8 && m->header_8bit)
		return (SMTP_FIT_UTF8_HEADER);
	if (caps->size > 0 && m->size > caps->size)
		return (SMTP_FIT_SIZE);
	if (m->body_8bit && (caps->ext & SMTP_EXT_8BITMIME) == 0)
		return (SMTP_FIT_NEED_7BIT);
	return (SMTP_FIT_OK);
}

enum smtp_fit
smtp_caps_check_rcpt(const struct smtp_caps *caps, const struct smtp_rcpt *r)
{
	if (r->addr[0] == '\0' || !addr_safe(r->addr))
		return (SMTP_FIT_BAD_RCPT);
	if ((caps->ext & SMTP_EXT_SMTPUTF8) == 0 && is_8bit(r->addr))
		return (SMTP_FIT_UTF8_ADDR);
	return (SMTP_FIT_OK);
}

struct smtp_status
smtp_fit_status(enum smtp_fit fit, const char **ret_text)
{
	static const struct {
		int subject, detail;
		const char *text;
	} t[] = {
		[SMTP_FIT_OK] = { 0, 0, "" },
		[SMTP_FIT_NEED_7BIT] = { 6, 3,
		    "8-bit content, and the host does not offer 8BITMIME" },
		[SMTP_FIT_SIZE] = { 3, 4,
		    "message is larger than the host's SIZE" },
		[SMTP_FIT_UTF8_ADDR] = { 6, 7,
		    "UTF-8 address, and the host does not offer SMTPUTF8" },
		[SMTP_FIT_UTF8_HEADER] = { 6, 9,
		    "UTF-8 header, and the host does not offer SMTPUTF8" },
		[SMTP_FIT_BAD_SENDER] = { 1, 7,
		    "sender address is not a legal one" },
		[SMTP_FIT_BAD_RCPT] = { 1, 3,
		    "recipient address is not a legal one" },
		[SMTP_FIT_GONE] = { 0, 0, "" },
	};
	struct smtp_status st = { 5, t[fit].subject, t[fit].detail, false };

	*ret_text = t[fit].text;
	if (t[fit].subject == 0)
		st.cls = 0;
	return (st);
}

/* RET and ENVID (RFC 3461 4.3, 4.4). */
static void
mail_dsn(const struct smtp_message *m, struct buf *ret_line)
{
	if (m->ret == 'F')
		buf_adds(ret_line, " RET=FULL");
	else if (m->ret == 'H')
		buf_adds(ret_line, " RET=HDRS");
	if (param_safe(m->envid)) {
		buf_adds(ret_line, " ENVID=");
		buf_adds(ret_line, m->envid);
	}
}

void
smtp_message_mail(const struct smtp_caps *caps, const struct smtp_message *m,
    struct buf *ret_line)
{
	buf_adds(ret_line, "MAIL FROM:<");
	buf_adds(ret_line, m->from);
	buf_addc(ret_line, '>');
	if ((caps->ext & SMTP_EXT_SIZE) != 0)
		buf_addf(ret_line, " SIZE=%" PRId64, m->size);
	if ((m->body_8bit || m->header_8bit) &&
	    (caps->ext & SMTP_EXT_8BITMIME) != 0)
		buf_adds(ret_line, " BODY=8BITMIME");
	if ((caps->ext & SMTP_EXT_SMTPUTF8) != 0 &&
	    (m->header_8bit || is_8bit(m->from) || rcpts_utf8(m, true)))
		buf_adds(ret_line, " SMTPUTF8");
	if ((caps->ext & SMTP_EXT_DSN) != 0)
		mail_dsn(m, ret_line);
	buf_add(ret_line, "\r\n", 2);
}

/* NOTIFY (RFC 3461 4.1): NEVER stands alone. */
static void
rcpt_notify(const char *letters, struct buf *ret_line)
{
	static const struct {
		char letter;
		const char *word;
	} t[] = { { 'S', "SUCCESS" }, { 'F', "FAILURE" }, { 'D', "DELAY" } };
	const char *sep = " NOTIFY=";
	size_t i;

	if (strchr(letters, 'N') != NULL) {
		buf_adds(ret_line, " NOTIFY=NEVER");
		return;
	}
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (strchr(letters, t[i].letter) == NULL)
			continue;
		buf_adds(ret_line, sep);
		buf_adds(ret_line, t[i].word);
		sep = ",";
	}
}

void
smtp_message_rcpt(const struct smtp_caps *caps, const struct smtp_rcpt *r,
    struct buf *ret_line)
{
	buf_adds(ret_line, "RCPT TO:<");
	buf_adds(ret_line, r->addr);
	buf_addc(ret_line, '>');
	if ((caps->ext & SMTP_EXT_DSN) != 0) {
		if (r->notify != NULL)
			rcpt_notify(r->notify, ret_line);
		if (param_safe(r->orcpt)) {
			buf_adds(ret_line, " ORCPT=");
			buf_adds(ret_line, r->orcpt);
		}
	}
	buf_add(ret_line, "\r\n", 2);
}
