/* Parts of templates. A part may end anywhere, inside of the header, too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/unit.h"
#include "mail/mergeparts.h"
#include "mail/message.h"

int
mergeparts_store(const char *p, size_t n, struct buf *out, struct verr *err)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '\0' ||
		    (p[i] == '\r' && (i + 1 == n || p[i + 1] != '\n')))
			return (verr_set(err, VEX_DATA,
			    "NUL or CR without LF in a part"));
		if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			buf_addc(out, '\r');
		buf_addc(out, p[i]);
	}
	return (0);
}

/* The number that a list begins with; *p is moved behind its comma. */
static int
next_number(const char **p, uint64_t *ret_n)
{
	char text[24];
	size_t n = strcspn(*p, ",");
	int64_t v;

	if (n == 0 || n >= sizeof(text))
		return (-1);
	memcpy(text, *p, n);
	text[n] = '\0';
	if (unit_int(text, &v) == -1)
		return (-1);
	*ret_n = (uint64_t)v;
	*p += n;
	if (**p == ',')
		(*p)++;
	return (0);
}

/* Octets of all parts together; they must be in n. 0 or -1. */
static int
parts_total(const char *lengths, size_t n, size_t *ret_total)
{
	uint64_t total = 0, len;

	while (*lengths != '\0') {
		if (next_number(&lengths, &len) == -1 || len > n - total)
			return (-1);
		total += len;
	}
	*ret_total = (size_t)total;
	return (0);
}

/* Part number k (from 1) of p to out. 0 or -1. */
static int
part_add(const char *lengths, uint64_t k, const char *p, struct buf *out)
{
	uint64_t off = 0, n = 0, i;

	for (i = 0; i < k; i++) {
		off += n;
		if (*lengths == '\0' || next_number(&lengths, &n) == -1)
			return (-1);
	}
	if (k == 0 || n == 0)
		return (-1);
	buf_add(out, p + off, (size_t)n);
	return (0);
}

/* The parts of a selection, one behind the other. 0 or -1. */
static int
parts_select(const char *p, size_t n, const char *lengths,
    const char *selection, struct buf *out)
{
	size_t used;
	uint64_t k;

	if (selection == NULL || *selection == '\0') {
		buf_add(out, p, n);
		return (0);
	}
	for (used = 0; *selection != '\0'; used++)
		if (used == MERGEPARTS_MAX ||
		    next_number(&selection, &k) == -1 ||
		    part_add(lengths, k, p, out) == -1)
			return (-1);
	return (0);
}

/* Cut a list of names at its spaces; caller frees both. */
static const char **
strip_names(char *text)
{
	const char **name = xcalloc(strlen(text) / 2 + 2, sizeof(*name));
	size_t n = 0;
	char *p;

	while (*text != '\0') {
		p = text + strcspn(text, " ");
		if (p > text)
			name[n++] = text;
		text = p;
		while (*text == ' ')
			*text++ = '\0';
	}
	return (name);
}

/* A message of parts in its stored form. */
static int
parts_message(const char *p, size_t n, const struct mergeparts *how,
    struct buf *ret_text, struct verr *err)
{
	char *strip = xstrdup(how->strip != NULL ? how->strip : "");
	const char **name = strip_names(strip);
	struct message_opts o = { .stray = MESSAGE_REFUSE,
		.strip = name,
		.date = how->date ? "[*date]" : NULL };
	struct buf id = BUF_INIT;
	struct message msg;
	int rc;

	if (how->host != NULL) {
		buf_addf(&id, "<[*msgid]@%s>", how->host);
		o.message_id = id.p;
	}
	message_init(&msg, &o);
	rc = message_feed(&msg, p, n, err);
	if (rc == 0)
		rc = message_end(&msg, err);
	if (rc == 0)
		buf_add(ret_text, buf_str(&msg.text), msg.text.len);
	message_release(&msg);
	buf_release(&id);
	free(name);
	free(strip);
	return (rc);
}

int
mergeparts_join(const char *p, size_t n, const struct mergeparts *how,
    const char *selection, struct buf *ret_text, size_t *ret_fields,
    struct verr *err)
{
	struct buf raw = BUF_INIT;
	size_t total = 0;
	int rc = 0;

	buf_clear(ret_text);
	*ret_fields = 0;
	if (how->lengths == NULL) {
		buf_add(ret_text, p, n);
		return (0);
	}
	if (parts_total(how->lengths, n, &total) == -1)
		return (verr_set(err, VEX_DATA, "parts that are not there"));
	*ret_fields = n - total;
	if (parts_select(p + n - total, total, how->lengths, selection, &raw) ==
	    -1)
		rc = verr_set(err, VEX_DATA,
		    "*parts names a part that is not there");
	if (rc == 0)
		rc = parts_message(buf_str(&raw), raw.len, how, ret_text, err);
	buf_release(&raw);
	return (rc);
}
