/* Parts of templates. A part may end anywhere, inside of the header, too. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

int
mergeparts_message(const char *p, size_t n, const char *host, size_t max_size,
    struct buf *ret_text, struct verr *err)
{
	struct message_opts o = { .stray = MESSAGE_REFUSE,
		.max_size = max_size,
		.date = "[*date]" };
	struct buf id = BUF_INIT;
	struct message msg;
	int rc;

	buf_addf(&id, "<[*msgid]@%s>", host);
	o.message_id = id.p;
	message_init(&msg, &o);
	rc = message_feed(&msg, p, n, err);
	if (rc == 0)
		rc = message_end(&msg, err);
	if (rc == 0) {
		buf_clear(ret_text);
		buf_add(ret_text, msg.text.p, msg.text.len);
	}
	message_release(&msg);
	buf_release(&id);
	return (rc);
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

/* Where part number k (from 1) is. 0 or -1. */
static int
part_find(const char *lengths, uint64_t k, size_t total, size_t *ret_off,
    size_t *ret_n)
{
	uint64_t off = 0, n = 0, i;

	for (i = 0; i < k; i++) {
		off += n;
		if (*lengths == '\0' || next_number(&lengths, &n) == -1 ||
		    off > total || n > total - off)
			return (-1);
	}
	*ret_off = (size_t)off;
	*ret_n = (size_t)n;
	return (k > 0 && n > 0 ? 0 : -1);
}

int
mergeparts_join(const char *p, size_t n, const char *lengths,
    const char *selection, const char *host, struct buf *ret_text,
    struct verr *err)
{
	struct buf raw = BUF_INIT;
	size_t off, len, used = 0;
	uint64_t k;
	int rc = 0;

	if (selection == NULL || *selection == '\0')
		buf_add(&raw, p, n);
	else
		for (; *selection != '\0' && rc == 0; used++) {
			if (used == MERGEPARTS_MAX ||
			    next_number(&selection, &k) == -1 ||
			    part_find(lengths, k, n, &off, &len) == -1)
				rc = verr_set(err, VEX_DATA,
				    "*parts names a part that is not there");
			else
				buf_add(&raw, p + off, len);
		}
	if (rc == 0)
		rc = mergeparts_message(buf_str(&raw), raw.len, host, 0,
		    ret_text, err);
	buf_release(&raw);
	return (rc);
}
