/*
 * Character sets by the C library's iconv. UTF-8 and ASCII, which nearly all
 * mail is in, are only checked. Sets with shift states are left out: a
 * template is converted in pieces, and a piece must mean the same wherever it
 * stands.
 */
#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/esc.h"
#include "base/mem.h"
#include "mail/charset.h"

#define CHARSET_NAME 40
#define CHARSET_NONE ((iconv_t)(intptr_t)-1)

enum kind { KIND_UTF8, KIND_ASCII, KIND_ICONV };

struct charset {
	enum kind kind;
	iconv_t to_utf8, from_utf8;
};

/* Names that are known, or, with a `-` at the end, begin so. */
static const struct {
	const char *name;
	enum kind kind;
} charset_names[] = { { "utf-8", KIND_UTF8 }, { "utf8", KIND_UTF8 },
	{ "us-ascii", KIND_ASCII }, { "ascii", KIND_ASCII },
	{ "ansi_x3.4-1968", KIND_ASCII }, { "iso-8859-", KIND_ICONV },
	{ "iso8859-", KIND_ICONV }, { "latin1", KIND_ICONV },
	{ "windows-", KIND_ICONV }, { "cp125", KIND_ICONV },
	{ "koi8-", KIND_ICONV }, { "macintosh", KIND_ICONV },
	{ "gb2312", KIND_ICONV }, { "gbk", KIND_ICONV },
	{ "gb18030", KIND_ICONV }, { "big5", KIND_ICONV },
	{ "shift_jis", KIND_ICONV }, { "euc-jp", KIND_ICONV },
	{ "euc-kr", KIND_ICONV }, { "tis-620", KIND_ICONV } };

/* Does the name fit a row of the table? */
static bool
name_fits(const char *row, const char *name, size_t n)
{
	size_t len = strlen(row);
	bool open = row[len - 1] == '-' || strcmp(row, "cp125") == 0;

	return ((open ? n > len && n < CHARSET_NAME : n == len) &&
	    strncasecmp(row, name, len) == 0);
}

struct charset *
charset_open(const char *name, size_t n)
{
	struct charset c = { KIND_UTF8, CHARSET_NONE, CHARSET_NONE };
	char text[CHARSET_NAME];
	size_t i;

	for (i = 0; i < sizeof(charset_names) / sizeof(charset_names[0]); i++)
		if (name_fits(charset_names[i].name, name, n))
			break;
	if (i == sizeof(charset_names) / sizeof(charset_names[0]))
		return (NULL);
	c.kind = charset_names[i].kind;
	if (c.kind == KIND_ICONV) {
		memcpy(text, name, n);
		text[n] = '\0';
		if (strchr(text, '/') != NULL)
			return (NULL); /* a suffix of iconv's, TRANSLIT and the
					  like */
		c.to_utf8 = iconv_open("UTF-8", text);
		if (c.to_utf8 == CHARSET_NONE)
			return (NULL);
		c.from_utf8 = iconv_open(text, "UTF-8");
		if (c.from_utf8 == CHARSET_NONE) {
			(void)iconv_close(c.to_utf8);
			return (NULL);
		}
	}
	return (xmemdup(&c, sizeof(c)));
}

void
charset_free(struct charset *c)
{
	if (c == NULL)
		return;
	if (c->kind == KIND_ICONV) {
		(void)iconv_close(c->to_utf8);
		(void)iconv_close(c->from_utf8);
	}
	free(c);
}

bool
charset_is_utf8(const struct charset *c)
{
	return (c->kind == KIND_UTF8);
}

bool
charset_is_ascii(const struct charset *c)
{
	return (c->kind == KIND_ASCII);
}

bool
charset_8bit(const char *p, size_t n)
{
	size_t i;
	unsigned char any = 0;

	for (i = 0; i < n; i++)
		any |= (unsigned char)p[i];
	return (any >= 0x80);
}

/*
 * All of p through cd, then what it has kept back: a letter that an accent
 * might have followed (windows-1255, -1258). 0 or -1.
 */
static int
convert(iconv_t cd, const char *p, size_t n, struct buf *out)
{
	char *in = xmemdup(p, n), *from = in, *to;
	size_t left = n, room, rc, before = out->len;
	bool last;

	(void)iconv(cd, NULL, NULL, NULL, NULL);
	do {
		last = left == 0;
		room = left * 2 + 16;
		to = buf_room(out, room);
		rc = last ? iconv(cd, NULL, NULL, &to, &room) :
			    iconv(cd, &from, &left, &to, &room);
		out->len = (size_t)(to - out->p);
	} while (rc == (size_t)-1 ? errno == E2BIG : !last);
	free(in);
	if (rc == (size_t)-1)
		out->len = before;
	if (out->p != NULL)
		out->p[out->len] = '\0';
	return (rc == (size_t)-1 ? -1 : 0);
}

/* Copy if it is what the kind says. */
static int
copy(enum kind kind, const char *p, size_t n, struct buf *out)
{
	if (charset_8bit(p, n) && (kind == KIND_ASCII || !esc_is_utf8(p, n)))
		return (-1);
	buf_add(out, p, n);
	return (0);
}

int
charset_decode(struct charset *c, const char *p, size_t n, struct buf *ret_text)
{
	if (n == 0)
		return (0);
	if (c->kind == KIND_ICONV)
		return (convert(c->to_utf8, p, n, ret_text));
	return (copy(c->kind, p, n, ret_text));
}

int
charset_encode(struct charset *c, const char *p, size_t n, struct buf *ret_text)
{
	if (n == 0)
		return (0);
	if (c->kind == KIND_ICONV)
		return (convert(c->from_utf8, p, n, ret_text));
	return (copy(c->kind, p, n, ret_text));
}
