/*
 * The index of a batch file (version 1; DESIGN, "The batch file").
 *
 * What does not change is checked strictly, and by the hash on the INDEX
 * line. The fields that are overwritten in place are not covered by it; a
 * power failure may leave any mixture of their old and new octets. The state
 * is a single octet, so it is the old or the new one; attempts, time and
 * address that make no sense are taken as 0, now and none: the worst of it is
 * one attempt too early.
 */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "spool/batch_int.h"
#include "spool/vars.h"

/* n decimal digits, leading zeros allowed. 0 or -1. */
static int
parse_digits(const char *p, size_t n, uint64_t *ret_v)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return (-1);
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	*ret_v = v;
	return (0);
}

int
batch_parse_first(const char *p, size_t n, uint64_t *ret_index,
    uint64_t *ret_content, bool *ret_merge)
{
	static const char head[] = "vmta-batch ";
	const size_t len = sizeof(head) - 1;
	size_t i;

	if (n < len + 2 || memcmp(p, head, len) != 0)
		return (-1);
	for (i = len; i < n && p[i] >= '0' && p[i] <= '9'; i++)
		;
	if (i == len || i == n || p[i] != ' ' || p[len] == '0')
		return (-1);
	if (i != len + 1 || (p[len] != '1' && p[len] != '2'))
		return (1);
	*ret_merge = p[len] == '2';
	if (n < BATCH_FIRST_LEN || p[23] != ' ' || p[36] != '\n' ||
	    parse_digits(p + 13, 10, ret_index) == -1 ||
	    parse_digits(p + 24, 12, ret_content) == -1)
		return (-1);
	return (0);
}

/* Cut the next word of a line off; NULL when there is none. */
static char *
parse_word(char **line)
{
	char *word = *line, *end;

	if (word == NULL || (end = strchr(word, ' ')) == word || !*word)
		return (NULL);
	if (end != NULL)
		*end++ = '\0';
	*line = end;
	return (word);
}

/* The next word as a number up to max. */
static int
parse_number(char **line, uint64_t max, uint64_t *ret_v)
{
	char *word = parse_word(line);
	int64_t v;

	if (word == NULL || unit_int(word, &v) == -1 || (uint64_t)v > max)
		return (-1);
	*ret_v = (uint64_t)v;
	return (0);
}

/* `-` means that there is nothing. */
static const char *
parse_optional(const char *word)
{
	return (word != NULL && strcmp(word, "-") == 0 ? NULL : word);
}

/* `8`, `h`, `u` or `-`. */
static int
parse_flags(const char *s, unsigned int *ret_flags)
{
	*ret_flags = 0;
	if (s == NULL)
		return (-1);
	if (strcmp(s, "-") == 0)
		return (0);
	for (; *s != '\0'; s++) {
		if (*s == '8')
			*ret_flags |= BATCH_8BIT_BODY;
		else if (*s == 'h')
			*ret_flags |= BATCH_8BIT_HEADER;
		else if (*s == 'u')
			*ret_flags |= BATCH_UTF8_SENDER;
		else
			return (-1);
	}
	return (0);
}

/* Exactly 16 lower-case hex digits. */
static int
parse_hash(const char *s, uint64_t *ret_h)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t h = 0;
	const char *at;
	int i;

	for (i = 0; i < 16; i++) {
		if (s == NULL || s[i] == '\0' ||
		    (at = strchr(hex, s[i])) == NULL)
			return (-1);
		h = h << 4 | (uint64_t)(at - hex);
	}
	*ret_h = h;
	return (s[16] == '\0' ? 0 : -1);
}

int
batch_parse_msg(char *p, bool merge, struct batch_msg *ret_m)
{
	struct batch_msg *m = ret_m;
	uint64_t longest, dots;
	char *hash, *ret;

	if (p[0] != 'M' || p[1] != ' ')
		return (-1);
	p += 2;
	m->msgid = parse_word(&p);
	if (m->msgid == NULL || !id_valid(m->msgid) ||
	    parse_number(&p, INT64_MAX / 2, &m->off) == -1 ||
	    parse_number(&p, UINT32_MAX, &m->size) == -1)
		return (-1);
	hash = parse_word(&p);
	if (parse_hash(hash, &m->hash) == -1 ||
	    parse_flags(parse_word(&p), &m->flags) == -1 ||
	    parse_number(&p, UINT32_MAX, &longest) == -1 ||
	    parse_number(&p, UINT32_MAX, &dots) == -1 ||
	    (ret = parse_word(&p)) == NULL || strchr("FH-", *ret) == NULL ||
	    ret[1] != '\0' || (m->envid = parse_word(&p)) == NULL ||
	    (merge && (m->parts = parse_word(&p)) == NULL) || p == NULL ||
	    *p == '\0')
		return (-1);
	m->parts = merge ? parse_optional(m->parts) : NULL;
	m->longest = (uint32_t)longest;
	m->dots = (uint32_t)dots;
	m->ret = *ret;
	m->envid = parse_optional(m->envid);
	m->sender = strcmp(p, "<>") == 0 ? "" : p;
	return (0);
}

int
batch_parse_rcpt(char *p, struct batch_rcpt *ret_r)
{
	struct batch_rcpt *r = ret_r;
	uint64_t index;

	if (strnlen(p, BATCH_FIELDS_AT + BATCH_FIELDS + 1) <=
		BATCH_FIELDS_AT + BATCH_FIELDS ||
	    p[0] != 'R' || p[1] != ' ' ||
	    p[BATCH_FIELDS_AT + BATCH_FIELDS] != ' ')
		return (-1);
	p += BATCH_FIELDS_AT + BATCH_FIELDS + 1;
	if (parse_number(&p, UINT32_MAX, &index) == -1 ||
	    (r->notify = parse_word(&p)) == NULL ||
	    (r->orcpt = parse_word(&p)) == NULL || p == NULL || *p == '\0')
		return (-1);
	r->index = (uint32_t)index;
	r->notify = parse_optional(r->notify);
	r->orcpt = parse_optional(r->orcpt);
	r->rcpt = p;
	return (0);
}

uint16_t
batch_source_number(struct batch *b, const char *source)
{
	size_t n = strnlen(source, BATCH_SOURCE_LEN);
	uint16_t i;

	if (n == 0)
		return (0);
	for (i = 0; i < b->n_source; i++)
		if (strncmp(b->source[i], source, n) == 0 &&
		    b->source[i][n] == '\0')
			return ((uint16_t)(i + 1));
	if (b->n_source == UINT16_MAX - 1)
		return (0);
	if (b->n_source == b->cap_source) {
		b->cap_source = (uint16_t)(b->cap_source < 4 ? 4 :
			b->cap_source > UINT16_MAX / 2	     ? UINT16_MAX :
							       b->cap_source * 2);
		b->source = xreallocarray(b->source, b->cap_source,
		    sizeof(*b->source));
	}
	memcpy(b->source[b->n_source], source, n);
	b->source[b->n_source][n] = '\0';
	return (++b->n_source);
}

/* The fields of an R line that change; blanked afterwards, for the hash. */
static int
parse_fields(struct batch *b, char *f, struct bslot *s)
{
	char at[STAMP_NAME_LEN + 1], source[BATCH_SOURCE_LEN + 1];
	uint64_t attempts;
	size_t n;

	if (!batch_state_valid(f[0]))
		return (-1);
	s->state = f[0];
	s->attempts = parse_digits(f + 2, 3, &attempts) == 0 ?
	    (uint16_t)attempts :
	    0;
	memcpy(at, f + 6, STAMP_NAME_LEN);
	at[STAMP_NAME_LEN] = '\0';
	if (stamp_parse_name(at, &s->next) == -1)
		s->next = 0;
	memcpy(source, f + 23, BATCH_SOURCE_LEN);
	for (n = BATCH_SOURCE_LEN; n > 0 && source[n - 1] == ' '; n--)
		;
	source[n] = '\0';
	s->source = 0;
	if (strcmp(source, "-") != 0 &&
	    strspn(source, "0123456789abcdef.:") == n)
		s->source = batch_source_number(b, source);
	memset(f, ' ', BATCH_FIELDS);
	return (0);
}

/* One more message. */
static int
parse_add_msg(struct batch *b, char *line, size_t at)
{
	struct batch_msg m;
	struct bmsg *bm;

	if ((b->n_msg > 0 && b->msg[b->n_msg - 1].first == b->n_slot) ||
	    batch_parse_msg(line, b->h.merge, &m) == -1 ||
	    (b->h.content == NULL &&
		(m.size > b->content_len || m.off > b->content_len - m.size)))
		return (-1);
	if (b->n_msg == b->cap_msg) {
		b->cap_msg = b->cap_msg > 0 ? b->cap_msg * 2 : 1;
		b->msg = xreallocarray(b->msg, b->cap_msg, sizeof(*b->msg));
	}
	bm = &b->msg[b->n_msg++];
	*bm = (struct bmsg) { .off = m.off,
		.line = (uint32_t)at,
		.first = b->n_slot,
		.size = (uint32_t)m.size };
	return (0);
}

/* One more recipient. */
static int
parse_add_rcpt(struct batch *b, char *line, char *fields, size_t at)
{
	struct batch_rcpt r;
	struct bslot *s;

	if (b->n_msg == 0 || batch_parse_rcpt(line, &r) == -1)
		return (-1);
	if (b->n_slot == b->cap_slot) {
		b->cap_slot = b->cap_slot > 0 ? b->cap_slot * 2 : 1;
		b->slot = xreallocarray(b->slot, b->cap_slot, sizeof(*b->slot));
	}
	s = &b->slot[b->n_slot];
	*s = (struct bslot) { .line = (uint32_t)at, .msg = b->n_msg - 1 };
	if (parse_fields(b, fields, s) == -1)
		return (-1);
	b->n_slot++;
	if (!batch_state_final(s->state)) {
		b->open++;
		b->msg[b->n_msg - 1].open++;
	}
	return (0);
}

/* `key: value`; what is not known is left alone. */
static int
parse_header_line(struct batch *b, char *line)
{
	struct batch_header *h = &b->h;
	const struct {
		const char *key;
		const char **value;
	} text[] = { { "id", &h->id }, { "domain", &h->domain },
		{ "vmta", &h->vmta }, { "pool", &h->pool }, { "job", &h->job },
		{ "source", &h->source }, { "source-type", &h->source_type },
		{ "source-mta", &h->source_mta }, { "content", &h->content },
		{ "vars", &h->vars }, { "parts", &h->parts },
		{ "host", &h->host }, { "undefined", &h->undefined },
		{ "strip", &h->strip }, { "date", &h->date },
		{ "schedule", &h->schedule } };
	char *value = strstr(line, ": ");
	int64_t n;
	size_t i;

	if (value == NULL)
		return (-1);
	*value = '\0';
	value += 2;
	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (strcmp(line, text[i].key) == 0)
			*text[i].value = value;
	if (strcmp(line, "queued") == 0)
		return (stamp_parse_name(value, &h->queued));
	if (strcmp(line, "due") == 0)
		return (stamp_parse_name(value, &h->due));
	if (strcmp(line, "priority") == 0) {
		if (unit_int(value, &n) == -1 || n > 100)
			return (-1);
		h->prio = (int)n;
	}
	return (0);
}

/*
 * No control octets: injection never let one in, and no command may have it.
 * TABs part the names and values of a merge.
 */
static bool
parse_plain(const char *line)
{
	bool tabs = strncmp(line, "V ", 2) == 0 ||
	    strncmp(line, "vars: ", 6) == 0;

	for (; *line != '\0'; line++)
		if (((unsigned char)*line < 0x20 && !(tabs && *line == '\t')) ||
		    *line == 0x7f)
			return (false);
	return (true);
}

/* The header from p on (copied); *ret_end is behind the empty line. */
static int
parse_header(struct batch *b, const char *p, const char *end, size_t *ret_len)
{
	const char *stop;
	char *line, *nl;

	stop = memmem(p, (size_t)(end - p), "\n\n", 2);
	if (stop == NULL)
		return (-1);
	b->text_len = (size_t)(stop - p) + 1;
	b->text = xstrndup(p, b->text_len);
	for (line = b->text; (nl = strchr(line, '\n')) != NULL; line = nl + 1) {
		*nl = '\0';
		if (!parse_plain(line) || parse_header_line(b, line) == -1)
			return (-1);
	}
	*ret_len = b->text_len + 1;
	if (b->h.id == NULL || !id_valid(b->h.id) || b->h.domain == NULL ||
	    b->h.vmta == NULL ||
	    (b->h.content != NULL && !id_valid(b->h.content)) ||
	    (b->h.merge && b->h.content == NULL))
		return (-1);
	b->n_vars = b->h.merge ? vars_count(b->h.vars) : 0;
	return (0);
}

/*
 * A V line belongs to the R line before it, and has as many values as there
 * are variables.
 */
static int
parse_values(const struct batch *b, const char *line)
{
	if (line[1] != ' ')
		return (-1);
	if (b->n_vars == 0)
		return (line[2] == '\0' ? 0 : -1);
	return (vars_count(line + 2) == b->n_vars ? 0 : -1);
}

/* M, R and V lines; line is a copy to cut. */
static int
parse_lines(struct batch *b, char *p, size_t at, size_t end)
{
	struct buf line = BUF_INIT;
	bool values = false; /* a V line must be next */
	size_t len;
	int rc = 0;

	for (; at < end && rc == 0; at += len + 1) {
		/* there is a line feed: the INDEX line comes after a line */
		len = (size_t)((char *)memchr(p + at, '\n', end - at) - p) - at;
		buf_clear(&line);
		buf_add(&line, p + at, len);
		if (strlen(line.p) != len || !parse_plain(line.p) ||
		    values != (line.p[0] == 'V'))
			rc = -1;
		else if (line.p[0] == 'M')
			rc = parse_add_msg(b, line.p, at);
		else if (line.p[0] == 'V')
			rc = parse_values(b, line.p);
		else
			rc = parse_add_rcpt(b, line.p, p + at + BATCH_FIELDS_AT,
			    at);
		values = b->h.merge && line.p[0] == 'R';
	}
	buf_release(&line);
	return (values ? -1 : rc);
}

/* Give back what the doubling took too much. */
static void
parse_trim(struct batch *b)
{
	b->msg = xreallocarray(b->msg, b->n_msg, sizeof(*b->msg));
	b->slot = xreallocarray(b->slot, b->n_slot, sizeof(*b->slot));
	b->cap_msg = b->n_msg;
	b->cap_slot = b->n_slot;
}

int
batch_parse(struct batch *b, char *p, size_t n, const char **ret_why)
{
	size_t end = n > BATCH_INDEX_LEN ? n - BATCH_INDEX_LEN : 0, len;
	uint64_t want;

	if (end < BATCH_FIRST_LEN + 1 || p[end - 1] != '\n' ||
	    memcmp(p + end, "INDEX ", 6) != 0 || p[n - 1] != '\n') {
		*ret_why = "no INDEX line where it should be";
		return (-1);
	}
	p[n - 1] = '\0';
	if (parse_hash(p + end + 6, &want) == -1) {
		*ret_why = "no hash on the INDEX line";
		return (-1);
	}
	if (parse_header(b, p + BATCH_FIRST_LEN, p + end, &len) == -1) {
		*ret_why = "bad header";
		return (-1);
	}
	if (parse_lines(b, p, BATCH_FIRST_LEN + len, end) == -1 ||
	    b->n_slot == 0 || b->msg[b->n_msg - 1].first == b->n_slot) {
		*ret_why = "bad M or R line";
		return (-1);
	}
	if (map_hash(p, end) != want) {
		*ret_why = "the index does not fit its hash";
		return (-1);
	}
	parse_trim(b);
	return (0);
}
