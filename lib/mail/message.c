/*
 * Messages from outside into the stored form.
 *
 * Line ends: CRLF and LF alone end a line, in any mixture; whatever came is
 * stored as CRLF (RFC 5321 2.3.8 forbids to send anything else). A CR that no
 * LF follows and NUL are refused, or become spaces. So none of the byte
 * sequences that some servers take for the end of data (`LF . LF`, `CR . CR`,
 * `NUL . CR LF` ...) is ever in the spool: what looks like a lone dot is a
 * line with a lone dot there, and is doubled on the wire (SMTP smuggling).
 *
 * Header: up to the first empty line. A line that is neither a field nor its
 * continuation begins the body, after an empty line that is put in, as
 * Postfix does; `From ` lines at the very start are dropped, as its sendmail
 * does. Bcc and Resent-Bcc never stay. Message-ID and Date are added at the
 * end of the header where they are absent. A header line over 998 octets is
 * folded at white space, which does not change its meaning; where it has none
 * the message is refused: a longer line cannot be sent to anybody. Body lines
 * may be longer (many programs write them): their length is a fact, and it is
 * for delivery to re-encode such a message.
 *
 * While the header is being read, text holds it as it came (CRLF apart); at
 * its end it is rewritten once. From then on input is only copied: a few
 * memchr a line, no look at single octets.
 */
#include <string.h>

#include "mail/field.h"
#include "mail/message.h"

void
message_init(struct message *m, const struct message_opts *opts)
{
	memset(m, 0, sizeof(*m));
	m->opts = *opts;
	m->lineno = 1;
}

void
message_release(struct message *m)
{
	buf_release(&m->text);
	buf_release(&m->aside);
}

/* Is c white space of a header line? */
static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

/* Is this field to be taken out? */
static bool
is_stripped(const struct message *m, const struct field *f)
{
	const char *const *name;

	if (field_is(f, "Bcc") || field_is(f, "Resent-Bcc"))
		return (true);
	for (name = m->opts.strip; name != NULL && *name != NULL; name++)
		if (field_is(f, *name))
			return (true);
	return (false);
}

/* Lines of a field. */
static unsigned long
count_lines(const struct field *f)
{
	const char *p = f->line, *end = f->line + f->line_len;
	unsigned long n = 0;

	for (; p < end; n++)
		p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
	return (n);
}

/* The fields of the header that came, size octets of text, to out. */
static int
rewrite_fields(struct message *m, size_t size, struct buf *out,
    struct verr *err)
{
	const char *p = buf_str(&m->text), *end = p + size;
	unsigned long lineno = 1 + m->dropped;
	bool has_id = false, has_date = false;
	struct field f;

	while (field_next(&p, end, &f)) {
		has_id = has_id || field_is(&f, "Message-ID");
		has_date = has_date || field_is(&f, "Date");
		if (is_stripped(m, &f))
			buf_add(&m->aside, f.line, f.line_len);
		else if (field_fold(&f, MESSAGE_LINE_MAX, out, err) == -1)
			return (verr_prefix(err, "line %lu", lineno));
		lineno += count_lines(&f);
	}
	if (!has_id && m->opts.message_id != NULL &&
	    field_add(out, "Message-ID", m->opts.message_id,
		strlen(m->opts.message_id), err) == -1)
		return (-1);
	if (!has_date && m->opts.date != NULL &&
	    field_add(out, "Date", m->opts.date, strlen(m->opts.date), err) ==
		-1)
		return (-1);
	return (0);
}

/*
 * The header is the first size octets of text, all of them fields: put the
 * rewritten one in their place, then, if sep, an empty line, then what
 * followed.
 */
static int
finish_header(struct message *m, size_t size, bool sep, struct verr *err)
{
	struct buf out = BUF_INIT;

	(void)buf_room(&out, m->text.len + 512);
	if (m->opts.prefix != NULL)
		buf_adds(&out, m->opts.prefix);
	if (rewrite_fields(m, size, &out, err) == -1) {
		buf_release(&out);
		return (-1);
	}
	if (sep)
		buf_adds(&out, "\r\n");
	m->header_len = m->line = out.len;
	buf_add(&out, buf_str(&m->text) + size, m->text.len - size);
	buf_release(&m->text);
	m->text = out;
	m->in_body = true;
	return (0);
}

/* Is it a `From ` line of an mbox, perhaps quoted? */
static bool
is_from_line(const char *p, size_t n)
{
	while (n > 0 && *p == '>')
		p++, n--;
	return (n >= 5 && memcmp(p, "From ", 5) == 0);
}

/* A line of the header is complete; its CRLF is not stored yet. */
static int
header_line(struct message *m, struct verr *err)
{
	const char *p = m->text.p + m->line;
	size_t n = m->text.len - m->line;

	if (n > 0 && m->line == 0 && is_from_line(p, n)) {
		buf_clear(&m->text);
		m->dropped++;
		return (0);
	}
	if (n == 0)
		return (finish_header(m, m->line, false, err));
	if (field_name_len(p, n) == 0 && (m->line == 0 || !is_blank(*p)))
		return (finish_header(m, m->line, true, err));
	buf_adds(&m->text, "\r\n");
	m->line = m->text.len;
	return (0);
}

/* The line at m->line is complete, apart from its CRLF. */
static int
end_line(struct message *m, struct verr *err)
{
	bool was_body = m->in_body;

	if (m->opts.dot_ends && m->text.len == m->line + 1 &&
	    m->text.p[m->line] == '.') {
		m->text.p[--m->text.len] = '\0';
		m->ended = true;
		return (0);
	}
	m->lineno++;
	if (!was_body && header_line(m, err) == -1)
		return (-1);
	if (!m->in_body)
		return (0);
	buf_add(&m->text, "\r\n", 2);
	m->line = m->text.len;
	if (!was_body && m->header_len + 2 == m->line)
		m->header_len = m->line;
	return (0);
}

/* Append n octets with no line end in them, except for strays. */
static int
add_piece(struct message *m, const char *p, size_t n, bool check,
    struct verr *err)
{
	bool cr = check && n > 0 && memchr(p, '\r', n) != NULL;
	bool nul = check && n > 0 && memchr(p, '\0', n) != NULL;
	char *q;
	size_t i;

	if ((cr || nul) && m->opts.stray == MESSAGE_REFUSE)
		return (verr_set(err, VEX_DATA, "line %lu: %s", m->lineno,
		    cr ? "CR without LF" : "NUL octet"));
	if (m->opts.max_size > 0 &&
	    (n > m->opts.max_size || m->text.len > m->opts.max_size - n))
		return (verr_set(err, VEX_DATA, "message over %zu octets",
		    m->opts.max_size));
	buf_add(&m->text, p, n);
	if (!cr && !nul)
		return (0);
	for (q = m->text.p + m->text.len - n, i = 0; i < n; i++)
		if (q[i] == '\r' || q[i] == '\0')
			q[i] = ' ';
	return (0);
}

/*
 * Take n octets up to a line end or the end of the input; eol: a LF came
 * after them. check: there may be CR or NUL in them.
 */
static int
take_piece(struct message *m, const char *p, size_t n, bool eol, bool check,
    struct verr *err)
{
	if (m->cr && (n > 0 || !eol)) {
		m->cr = false;
		if (add_piece(m, "\r", 1, true, err) == -1)
			return (-1);
	}
	if (n > 0 && p[n - 1] == '\r') {
		m->cr = true;
		n--;
	}
	if (add_piece(m, p, n, check, err) == -1)
		return (-1);
	if (!eol)
		return (0);
	m->cr = false;
	return (end_line(m, err));
}

int
message_feed(struct message *m, const char *p, size_t n, struct verr *err)
{
	const char *end = p + n, *nl;
	bool check;

	if (m->failed)
		return (verr_set(err, VEX_DATA, "message was refused"));
	check = n > 0 &&
	    (memchr(p, '\r', n) != NULL || memchr(p, '\0', n) != NULL);
	while (p < end && !m->ended) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (take_piece(m, p, (size_t)((nl != NULL ? nl : end) - p),
			nl != NULL, check, err) == -1) {
			m->failed = true;
			return (-1);
		}
		p = nl != NULL ? nl + 1 : end;
	}
	return (0);
}

/* What message_end does before it counts. */
static int
finish(struct message *m, struct verr *err)
{
	if (m->cr && take_piece(m, "", 0, false, true, err) == -1)
		return (-1);
	if (!m->ended && m->text.len > m->line && end_line(m, err) == -1)
		return (-1);
	if (!m->in_body && finish_header(m, m->text.len, false, err) == -1)
		return (-1);
	return (0);
}

int
message_end(struct message *m, struct verr *err)
{
	if (m->failed)
		return (verr_set(err, VEX_DATA, "message was refused"));
	if (finish(m, err) == -1) {
		m->failed = true;
		return (-1);
	}
	message_scan(buf_str(&m->text), m->text.len, m->header_len, &m->facts);
	return (0);
}

bool
message_header(const struct message *m, const char *name, struct buf *ret_value)
{
	struct field f;

	if (!field_find(buf_str(&m->text), m->header_len, name, &f) &&
	    !field_find(buf_str(&m->aside), m->aside.len, name, &f))
		return (false);
	if (ret_value != NULL)
		field_unfold(&f, ret_value);
	return (true);
}

/* The addresses of all fields of that name in p. */
static int
field_recipients(const char *p, size_t n, const char *name,
    const struct addr_local *local, addrlist_fn *fn, void *arg,
    struct verr *err)
{
	const char *end = p + n;
	struct field f;

	while (field_next(&p, end, &f))
		if (field_is(&f, name) &&
		    addrlist_parse(f.value, f.value_len, local, fn, arg, err) ==
			-1)
			return (verr_prefix(err, "%s", name));
	return (0);
}

int
message_recipients(const struct message *m, const struct addr_local *local,
    addrlist_fn *fn, void *arg, struct verr *err)
{
	static const char *const plain[] = { "To", "Cc", "Bcc" };
	static const char *const resent[] = { "Resent-To", "Resent-Cc",
		"Resent-Bcc" };
	const char *const *name = plain;
	int i;

	for (i = 0; i < 3; i++)
		if (message_header(m, resent[i], NULL))
			name = resent;
	for (i = 0; i < 3; i++)
		if (field_recipients(buf_str(&m->text), m->header_len, name[i],
			local, fn, arg, err) == -1 ||
		    field_recipients(buf_str(&m->aside), m->aside.len, name[i],
			local, fn, arg, err) == -1)
			return (-1);
	return (0);
}

size_t
message_header_len(const char *p, size_t n)
{
	const char *q;

	if (n >= 2 && memcmp(p, "\r\n", 2) == 0)
		return (2);
	q = n > 0 ? memmem(p, n, "\r\n\r\n", 4) : NULL;
	return (q != NULL ? (size_t)(q - p) + 4 : n);
}

/* Is there an octet over 127? */
static bool
has_8bit(const char *p, size_t n)
{
	const uint64_t high = UINT64_C(0x8080808080808080);
	uint64_t w[4];

	for (; n >= sizeof(w); p += sizeof(w), n -= sizeof(w)) {
		memcpy(w, p, sizeof(w));
		if (((w[0] | w[1] | w[2] | w[3]) & high) != 0)
			return (true);
	}
	for (; n > 0; p++, n--)
		if ((*p & 0x80) != 0)
			return (true);
	return (false);
}

void
message_scan(const char *p, size_t n, size_t header_len,
    struct message_facts *ret_facts)
{
	const char *end = p + n, *nl;
	size_t len;

	memset(ret_facts, 0, sizeof(*ret_facts));
	ret_facts->size = n;
	ret_facts->header_8bit = has_8bit(p, header_len);
	ret_facts->body_8bit = has_8bit(p + header_len, n - header_len);
	for (; p < end; p = nl + 1) {
		if (*p == '.')
			ret_facts->dots++;
		nl = memchr(p, '\n', (size_t)(end - p));
		len = (size_t)((nl != NULL ? nl : end) - p);
		if (nl != NULL && nl > p && nl[-1] == '\r')
			len--;
		if (len > ret_facts->longest)
			ret_facts->longest = len;
		if (nl == NULL)
			break;
	}
}
