/*
 * Re-encoding for 7-bit peers: RFC 6152 3, RFC 2045, RFC 2046.
 *
 * A walk over the tree of entities. What has no octet over 127 and no line
 * over 998 is copied as it is, whole subtrees at a time. A leaf that needs it
 * becomes quoted-printable (text) or base64 (anything else, CRLF included);
 * base64 and quoted-printable that are there already, but broken (one long
 * line, raw octets), are wrapped anew. Containers must be 7bit then.
 *
 * What cannot be done without changing the meaning is refused, so that the
 * message bounces instead: header fields with 8 bits (RFC 2047 needs a
 * charset that nobody stated), anything signed (RFC 1847 2.1), parts of
 * messages, encodings we do not know, bodies that are no MIME although they
 * say so. Preamble and epilogue, which nobody reads, are left out where they
 * are not clean.
 *
 * A DKIM signature made before does not survive; ours is made afterwards.
 */
#include <string.h>

#include "mail/encode.h"
#include "mail/field.h"
#include "mail/message.h"
#include "mail/mime.h"
#include "mail/reenc.h"

struct reenc {
	struct buf *out;
	size_t parts;
};

/* Where an entity stands. */
enum place { AT_TOP, IN_MULTIPART, IN_DIGEST };

static int entity(struct reenc *r, const char *p, size_t n, int depth,
    enum place place, struct verr *err);

/* Is all of it fit for a 7-bit peer? */
static bool
is_clean(const char *p, size_t n)
{
	struct message_facts f;

	message_scan(p, n, 0, &f);
	return (!f.body_8bit && f.longest <= MESSAGE_LINE_MAX);
}

/*
 * Copy a header that has its empty line, with another encoding named in it;
 * cte NULL: none named.
 */
static int
put_header(struct reenc *r, const char *p, size_t n, const struct mime *m,
    const char *cte, enum place place, struct verr *err)
{
	const char *end = p + n;
	struct field f;

	while (field_next(&p, end, &f))
		if (!field_is(&f, "Content-Transfer-Encoding"))
			buf_add(r->out, f.line, f.line_len);
	if (end - p != 2 || memcmp(p, "\r\n", 2) != 0)
		return (verr_set(err, VEX_DATA, "malformed part header"));
	if (place == AT_TOP && !m->has_version)
		buf_adds(r->out, "MIME-Version: 1.0\r\n");
	if (!m->has_type && mime_is(m, "text", NULL))
		buf_adds(r->out,
		    "Content-Type: text/plain; charset=unknown-8bit\r\n");
	if (cte != NULL)
		buf_addf(r->out, "Content-Transfer-Encoding: %s\r\n", cte);
	buf_adds(r->out, "\r\n");
	return (0);
}

/* A body that is neither multipart nor message. */
static int
leaf(struct reenc *r, const char *p, size_t hlen, size_t n,
    const struct mime *m, enum place place, struct verr *err)
{
	bool text = m->type[0] == '\0' || mime_is(m, "text", NULL);
	bool qp = m->cte == MIME_QP || (m->cte != MIME_BASE64 && text);

	if (m->cte == MIME_OTHER)
		return (verr_set(err, VEX_DATA, "unknown transfer encoding"));
	if (put_header(r, p, hlen, m, qp ? "quoted-printable" : "base64", place,
		err) == -1)
		return (-1);
	p += hlen;
	n -= hlen;
	if (qp)
		encode_qp(p, n, m->cte == MIME_QP, r->out);
	else if (m->cte != MIME_BASE64)
		encode_base64(p, n, r->out);
	else if (encode_base64_wrap(p, n, r->out) == -1)
		return (verr_set(err, VEX_DATA, "base64 part is not base64"));
	if (!qp && n >= 2 && memcmp(p + n - 2, "\r\n", 2) == 0)
		buf_adds(r->out, "\r\n");
	return (0);
}

/* A delimiter line; without trailing blanks, which may be anything. */
static void
put_delim(struct reenc *r, const struct mime_delim *d,
    const struct buf *boundary)
{
	buf_add(r->out, boundary->p, boundary->len);
	if (d->closing)
		buf_adds(r->out, "--");
	if (d->next[-1] == '\n')
		buf_adds(r->out, "\r\n");
}

/* The part between a delimiter and the next one, or the end; *ret_next: it. */
static int
put_part(struct reenc *r, const struct mime_delim *d, const char *end,
    const struct buf *boundary, int depth, enum place place,
    struct mime_delim *ret_next, struct verr *err)
{
	bool more = mime_delim(d->next, end, boundary, ret_next);
	const char *stop = more ? ret_next->line : end;
	bool crlf = more && stop - d->next >= 2;

	if (!more)
		ret_next->line = NULL;
	put_delim(r, d, boundary);
	if (entity(r, d->next, (size_t)(stop - d->next) - (crlf ? 2 : 0),
		depth + 1, place, err) == -1)
		return (-1);
	if (crlf)
		buf_adds(r->out, "\r\n");
	return (0);
}

/* The parts of a multipart body; boundary has its leading hyphens. */
static int
put_parts(struct reenc *r, const char *p, size_t n, const struct buf *boundary,
    int depth, enum place place, struct verr *err)
{
	const char *end = p + n;
	struct mime_delim d, next;

	if (boundary->len > MESSAGE_LINE_MAX - 4 ||
	    !mime_delim(p, end, boundary, &d) || d.closing)
		return (verr_set(err, VEX_DATA, "multipart without parts"));
	if (is_clean(p, (size_t)(d.line - p)))
		buf_add(r->out, p, (size_t)(d.line - p));
	while (!d.closing) {
		if (put_part(r, &d, end, boundary, depth, place, &next, err) ==
		    -1)
			return (-1);
		if (next.line == NULL)
			return (0);
		d = next;
	}
	put_delim(r, &d, boundary);
	if (is_clean(d.next, (size_t)(end - d.next)))
		buf_add(r->out, d.next, (size_t)(end - d.next));
	return (0);
}

/* A container: its header, then what is in it. */
static int
container(struct reenc *r, const char *p, size_t hlen, size_t n,
    const struct mime *m, int depth, enum place place, struct verr *err)
{
	struct buf boundary = BUF_INIT;
	int rc;

	if (mime_is(m, "multipart", "signed"))
		return (verr_set(err, VEX_DATA, "signed part"));
	if (mime_is(m, "message", NULL) && !mime_is(m, "message", "rfc822"))
		return (verr_set(err, VEX_DATA, "part of type message/%s",
		    m->subtype));
	if (m->cte > MIME_BINARY)
		return (verr_set(err, VEX_DATA, "encoded %s", m->type));
	if (put_header(r, p, hlen, m, m->has_cte ? "7bit" : NULL, place, err) ==
	    -1)
		return (-1);
	if (mime_is(m, "message", NULL))
		return (entity(r, p + hlen, n - hlen, depth + 1, AT_TOP, err));
	buf_adds(&boundary, "--");
	buf_add(&boundary, buf_str(&m->boundary), m->boundary.len);
	rc = m->boundary.len == 0 ?
	    verr_set(err, VEX_DATA, "multipart without boundary") :
	    put_parts(r, p + hlen, n - hlen, &boundary, depth,
		mime_is(m, "multipart", "digest") ? IN_DIGEST : IN_MULTIPART,
		err);
	buf_release(&boundary);
	return (rc);
}

/* A message or a part of one, header and body. */
static int
entity(struct reenc *r, const char *p, size_t n, int depth, enum place place,
    struct verr *err)
{
	size_t hlen = message_header_len(p, n);
	struct mime m;
	int rc;

	if (depth > REENC_DEPTH || ++r->parts > REENC_PARTS)
		return (verr_set(err, VEX_DATA,
		    "over %d levels or %d parts of MIME", REENC_DEPTH,
		    REENC_PARTS));
	if (is_clean(p, n)) {
		buf_add(r->out, p, n);
		return (0);
	}
	if (!is_clean(p, hlen))
		return (verr_set(err, VEX_DATA,
		    "8-bit or overlong line in a header"));
	mime_parse(p, hlen, place == IN_DIGEST, &m);
	if (mime_is(&m, "multipart", NULL) || mime_is(&m, "message", NULL))
		rc = container(r, p, hlen, n, &m, depth, place, err);
	else
		rc = leaf(r, p, hlen, n, &m, place, err);
	mime_release(&m);
	return (rc);
}

int
reenc_7bit(const char *p, size_t n, struct buf *ret_text, struct verr *err)
{
	struct reenc r = { ret_text, 0 };

	return (entity(&r, p, n, 0, AT_TOP, err));
}
