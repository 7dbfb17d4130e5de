/*
 * Records as lines of CSV (RFC 4180), written and read by one table of
 * columns.
 *
 * Format: a header row with the columns' names, then a line a record, CRLF
 * at its end, at most RECORD_MAX octets. Times are `2026-11-23
 * 21:54:05+0000`. What comes from outside (addresses, replies, names) is
 * escaped by the rules of esc_line before it is quoted: a line end, NUL or
 * escape sequence that a peer sends is four printable characters here, so
 * one event is one physical line for every reader. Cells are not altered for
 * spreadsheets: a script that reads the CSV gets the very text (`=cmd` stays
 * `=cmd`), and dsnDiag begins with its type (`smtp;`) anyhow.
 *
 * Crash: a line that was written in part has no CRLF, or fewer fields than
 * the header row; record_split refuses both, and so does a line with NULs
 * (a block that the file system never filled).
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "acct/record.h"
#include "acct/status.h"
#include "base/csv.h"
#include "base/esc.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "spool/batch.h"

/* How a member is written. */
enum col_kind {
	KIND_TEXT,   /* const char *, escaped */
	KIND_ACTION, /* dsnAction: by type when NULL */
	KIND_STATUS, /* dsnStatus: a bare code gets its text */
	KIND_DIAG,   /* dsnDiag: a bare reply gets `smtp;` */
	KIND_TIME,   /* int64_t, 0: empty */
	KIND_SIZE,   /* int64_t, 0: empty */
	KIND_INDEX,  /* uint32_t beside a msgId */
	KIND_SLOT,   /* uint32_t beside a state */
	KIND_STATE   /* char */
};

struct col {
	const char *name;
	enum col_kind kind;
	size_t off; /* in struct acct_record */
};

#define COL(name, kind, member)                                  \
	{                                                        \
		name, kind, offsetof(struct acct_record, member) \
	}

static const struct col cols[COL_N] = {
	[COL_TYPE] = COL("type", KIND_TEXT, type),
	[COL_TIME_LOGGED] = COL("timeLogged", KIND_TIME, time_logged),
	[COL_TIME_QUEUED] = COL("timeQueued", KIND_TIME, time_queued),
	[COL_ORIG] = COL("orig", KIND_TEXT, orig),
	[COL_RCPT] = COL("rcpt", KIND_TEXT, rcpt),
	[COL_ORCPT] = COL("orcpt", KIND_TEXT, orcpt),
	[COL_DSN_ACTION] = COL("dsnAction", KIND_ACTION, dsn_action),
	[COL_DSN_STATUS] = COL("dsnStatus", KIND_STATUS, dsn_status),
	[COL_DSN_DIAG] = COL("dsnDiag", KIND_DIAG, dsn_diag),
	[COL_DSN_MTA] = COL("dsnMta", KIND_TEXT, dsn_mta),
	[COL_BOUNCE_CAT] = COL("bounceCat", KIND_TEXT, bounce_cat),
	[COL_SRC_TYPE] = COL("srcType", KIND_TEXT, src_type),
	[COL_SRC_MTA] = COL("srcMta", KIND_TEXT, src_mta),
	[COL_DLV_TYPE] = COL("dlvType", KIND_TEXT, dlv_type),
	[COL_DLV_SOURCE_IP] = COL("dlvSourceIp", KIND_TEXT, dlv_source_ip),
	[COL_DLV_DESTINATION_IP] = COL("dlvDestinationIp", KIND_TEXT,
	    dlv_destination_ip),
	[COL_DLV_ESMTP] = COL("dlvEsmtpAvailable", KIND_TEXT, dlv_esmtp),
	[COL_DLV_SIZE] = COL("dlvSize", KIND_SIZE, dlv_size),
	[COL_VMTA] = COL("vmta", KIND_TEXT, vmta),
	[COL_JOB_ID] = COL("jobId", KIND_TEXT, job_id),
	[COL_ENV_ID] = COL("envId", KIND_TEXT, env_id),
	[COL_QUEUE] = COL("queue", KIND_TEXT, queue),
	[COL_POOL] = COL("vmtaPool", KIND_TEXT, pool),
	[COL_USER_STRING] = COL("userString", KIND_TEXT, user_string),
	[COL_RCV_SOURCE_IP] = COL("rcvSourceIp", KIND_TEXT, rcv_source_ip),
	[COL_RCV_DESTINATION_IP] = COL("rcvDestinationIp", KIND_TEXT,
	    rcv_destination_ip),
	[COL_TLS_PROTOCOL] = COL("dlvTlsProtocol", KIND_TEXT, tls_protocol),
	[COL_TLS_CIPHER] = COL("dlvTlsCipher", KIND_TEXT, tls_cipher),
	[COL_RCV_SMTP_USER] = COL("rcvSmtpUser", KIND_TEXT, rcv_smtp_user),
	[COL_MSG_ID] = COL("msgId", KIND_TEXT, msg_id),
	[COL_RCPT_INDEX] = COL("rcptIndex", KIND_INDEX, rcpt_index),
	[COL_BATCH] = COL("batch", KIND_TEXT, batch),
	[COL_SLOT] = COL("slot", KIND_SLOT, slot),
	[COL_STATE] = COL("state", KIND_STATE, state),
	[COL_ATTEMPTS] = COL("attempts", KIND_SLOT, attempts),
	[COL_NEXT_TRY] = COL("nextTry", KIND_TIME, next_try),
};

/* What is cut from a line that is too long, first to last. */
static const enum record_col cut_order[] = { COL_DSN_DIAG, COL_DLV_ESMTP,
	COL_USER_STRING, COL_DSN_MTA, COL_DSN_STATUS, COL_TLS_CIPHER,
	COL_SRC_MTA, COL_RCV_SMTP_USER, COL_ORCPT, COL_ENV_ID, COL_JOB_ID,
	COL_ORIG, COL_RCPT, COL_BOUNCE_CAT, COL_DSN_ACTION, COL_SRC_TYPE,
	COL_DLV_TYPE, COL_TLS_PROTOCOL, COL_POOL, COL_RCV_SOURCE_IP,
	COL_RCV_DESTINATION_IP, COL_DLV_SOURCE_IP, COL_DLV_DESTINATION_IP,
	COL_VMTA, COL_TYPE };

/* A field before it is quoted: its place in a scratch buffer. */
struct span {
	size_t off;
	size_t len;
};

static const char *const types[] = { "d", "b", "t", "tq", "r", "rb", "rs",
	"f" };

unsigned int
record_type_bit(const char *type)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return (1u << i);
	return (0);
}

const char *
record_col_name(enum record_col c)
{
	return (cols[c].name);
}

void
record_header(struct buf *b, int n)
{
	int i;

	for (i = 0; i < n; i++)
		csv_field(b, i == 0, cols[i].name, strlen(cols[i].name));
	csv_end(b);
}

/* The member of r that column c is about. */
static const void *
col_member(const struct acct_record *r, const struct col *c)
{
	return ((const char *)r + c->off);
}

static const char *
col_text(const struct acct_record *r, const struct col *c)
{
	const char *s;

	memcpy(&s, col_member(r, c), sizeof(s));
	return (s);
}

/* Append s as one line; most text is plain and needs no look twice. */
static void
put_text(struct buf *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	if (s == NULL)
		return;
	while (*p >= 0x20 && *p < 0x7f && *p != '\\')
		p++;
	buf_add(b, s, (size_t)((const char *)p - s));
	if (*p != '\0')
		esc_line(b, (const char *)p, strlen((const char *)p));
}

static void
put_number(struct buf *b, uint64_t v)
{
	char tmp[24], *p = tmp + sizeof(tmp);

	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	buf_add(b, p, (size_t)(tmp + sizeof(tmp) - p));
}

static void
put_action(struct buf *b, const struct acct_record *r)
{
	if (r->dsn_action != NULL)
		put_text(b, r->dsn_action);
	else if (strcmp(r->type, "d") == 0)
		buf_adds(b, "relayed");
	else if (strcmp(r->type, "b") == 0)
		buf_adds(b, "failed");
	else if (strcmp(r->type, "t") == 0)
		buf_adds(b, "delayed");
}

static void
put_status(struct buf *b, const char *s)
{
	put_text(b, s);
	if (s != NULL && s[0] != '\0' && strspn(s, "0123456789.") == strlen(s))
		buf_addf(b, " (%s)", acct_status_text(s));
}

static void
put_diag(struct buf *b, const char *s)
{
	if (s != NULL && isdigit((unsigned char)s[0]) &&
	    isdigit((unsigned char)s[1]) && isdigit((unsigned char)s[2]))
		buf_adds(b, "smtp;");
	put_text(b, s);
}

/* The numbers. */
static void
put_scalar(struct buf *b, const struct acct_record *r, const struct col *c)
{
	char time[STAMP_ACCT_LEN + 1];
	int64_t wide;
	uint32_t narrow;

	if (c->kind == KIND_TIME || c->kind == KIND_SIZE) {
		memcpy(&wide, col_member(r, c), sizeof(wide));
		if (wide <= 0)
			return;
		if (c->kind == KIND_SIZE)
			put_number(b, (uint64_t)wide);
		else
			buf_add(b, stamp_acct(wide, time), STAMP_ACCT_LEN);
		return;
	}
	if (c->kind == KIND_INDEX ? r->msg_id == NULL : r->state == '\0')
		return;
	memcpy(&narrow, col_member(r, c), sizeof(narrow));
	put_number(b, narrow);
}

/* Append column c of r, not yet quoted. */
static void
put_col(struct buf *b, const struct acct_record *r, const struct col *c)
{
	switch (c->kind) {
	case KIND_TEXT:
		put_text(b, col_text(r, c));
		break;
	case KIND_ACTION:
		put_action(b, r);
		break;
	case KIND_STATUS:
		put_status(b, col_text(r, c));
		break;
	case KIND_DIAG:
		put_diag(b, col_text(r, c));
		break;
	case KIND_STATE:
		if (r->state != '\0')
			buf_addc(b, r->state);
		break;
	default:
		put_scalar(b, r, c);
	}
}

/* Octets that a character of escaped text takes: an escape is one. */
static size_t
cut_step(const char *p, size_t n)
{
	size_t len;

	if (*p == '\\')
		return (n >= 4 && p[1] == 'x' ? 4 : n >= 2 ? 2 : 1);
	len = esc_utf8(p, n);
	return (len == 0 ? 1 : len);
}

/*
 * Shorten s, by whole characters, so that its line loses `over` octets or s
 * is only `...`. A quote counts twice, since CSV doubles it.
 */
static void
cut_field(char *text, struct span *s, size_t over)
{
	size_t cost = 0, keep = 0, n, i, budget;

	for (i = 0; i < s->len; i++)
		cost += text[s->off + i] == '"' ? 2 : 1;
	if (cost <= 3)
		return;
	budget = cost > over + 3 ? cost - over - 3 : 0;
	for (cost = 0; keep < s->len; keep += n) {
		n = cut_step(text + s->off + keep, s->len - keep);
		cost += n + (text[s->off + keep] == '"');
		if (cost > budget)
			break;
	}
	if (keep + 3 > s->len)
		keep = s->len - 3;
	memcpy(text + s->off + keep, "...", 3);
	s->len = keep + 3;
}

static void
join(struct buf *b, const char *text, const struct span *s)
{
	int i;

	for (i = 0; i < COL_N; i++)
		csv_field(b, i == 0, text + s[i].off, s[i].len);
	csv_end(b);
}

void
record_format(const struct acct_record *r, struct buf *b)
{
	struct buf text = BUF_INIT;
	struct span s[COL_N];
	size_t start = b->len, i;

	(void)buf_room(&text, 512);
	for (i = 0; i < COL_N; i++) {
		s[i].off = text.len;
		put_col(&text, r, &cols[i]);
		s[i].len = text.len - s[i].off;
	}
	join(b, text.p, s);
	for (i = 0; b->len - start > RECORD_MAX &&
	     i < sizeof(cut_order) / sizeof(cut_order[0]);
	     i++) {
		cut_field(text.p, &s[cut_order[i]],
		    b->len - start - RECORD_MAX);
		b->len = start;
		join(b, text.p, s);
	}
	buf_release(&text);
}

/* More columns than any file of PowerMTA's with its headers has. */
#define FIELDS_MAX 512

int
record_map_read(struct record_map *m, char *line, size_t n, struct verr *err)
{
	char *field[FIELDS_MAX];
	int i, c;

	for (c = 0; c < COL_N; c++)
		m->at[c] = -1;
	if (n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		line += 3;
		n -= 3;
	}
	m->n = csv_split(line, n, field, FIELDS_MAX);
	if (m->n < 1 || m->n > FIELDS_MAX)
		return (verr_set(err, VEX_DATA, "no header row"));
	for (i = 0; i < m->n; i++)
		for (c = 0; c < COL_N; c++)
			if (m->at[c] == -1 &&
			    strcasecmp(field[i], cols[c].name) == 0) {
				m->at[c] = i;
				break;
			}
	if (m->at[COL_TYPE] == -1)
		return (verr_set(err, VEX_DATA,
		    "no header row: there is no column `type'"));
	return (0);
}

void
record_map_default(struct record_map *m)
{
	int c;

	for (c = 0; c < COL_N; c++)
		m->at[c] = c;
	m->n = COL_N;
}

int
record_split(const struct record_map *m, char *line, size_t n,
    char *ret_field[COL_N])
{
	static char none[] = "";
	char *field[FIELDS_MAX];
	int c;

	if (memchr(line, '\0', n) != NULL ||
	    csv_split(line, n, field, FIELDS_MAX) != m->n)
		return (-1);
	for (c = 0; c < COL_N; c++)
		ret_field[c] = m->at[c] == -1 ? none : field[m->at[c]];
	return (0);
}

/* A number or time of a column; "" is 0. */
static int
parse_wide(const char *s, enum col_kind kind, int64_t *ret_v)
{
	*ret_v = 0;
	if (*s == '\0')
		return (0);
	if (kind == KIND_TIME)
		return (stamp_parse(s, 0, ret_v));
	return (unit_int(s, ret_v));
}

/* Put the text of a column into its member. */
static int
parse_col(const struct col *c, const char *s, struct acct_record *r)
{
	char *member = (char *)r + c->off;
	int64_t wide;
	uint32_t narrow;

	switch (c->kind) {
	case KIND_STATE:
		/* it may go into a batch, which another one would spoil */
		if (*s != '\0' && (s[1] != '\0' || !batch_state_valid(*s)))
			return (-1);
		*member = *s;
		return (0);
	case KIND_TIME:
	case KIND_SIZE:
		if (parse_wide(s, c->kind, &wide) == -1)
			return (-1);
		memcpy(member, &wide, sizeof(wide));
		return (0);
	case KIND_INDEX:
	case KIND_SLOT:
		if (parse_wide(s, c->kind, &wide) == -1 || wide > UINT32_MAX)
			return (-1);
		narrow = (uint32_t)wide;
		memcpy(member, &narrow, sizeof(narrow));
		return (0);
	default:
		if (*s == '\0')
			s = NULL;
		memcpy(member, &s, sizeof(s));
		return (0);
	}
}

int
record_parse(const struct record_map *m, char *line, size_t n,
    struct acct_record *ret_r)
{
	char *field[COL_N];
	int c;

	memset(ret_r, 0, sizeof(*ret_r));
	if (record_split(m, line, n, field) == -1 ||
	    record_type_bit(field[COL_TYPE]) == 0)
		return (-1);
	for (c = 0; c < COL_N; c++)
		if (parse_col(&cols[c], field[c], ret_r) == -1)
			return (-1);
	if (ret_r->orig == NULL && ret_r->msg_id != NULL)
		ret_r->orig = "";
	return (0);
}
