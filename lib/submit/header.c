/*
 * The header of what is submitted. Control fields (X-Virtual-MTA, X-Job,
 * X-Envid ...) are for us and are taken out, whether the source may use them
 * or not: a recipient must not see them. What is added stands first, so that
 * the message itself is stored as it came.
 *
 * Fields that name the VirtualMTA differ between the recipients of one
 * message; message.c keeps one content for each target.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "mail/encode.h"
#include "mail/field.h"
#include "mail/schedule.h"
#include "mail/xtext.h"
#include "submit/header.h"
#include "submit/impl.h"

#define HEADER_FILE_MAX 65536 /* octets of include-headers-from */

/* Fields of ours; retain: the source may let them through. */
static const struct {
	const char *name;
	size_t retain; /* offset of a bool in struct conf_source, or 0 */
} control[] = {
	{ "X-Virtual-MTA", offsetof(struct conf_source, retain_x_virtual_mta) },
	{ "X-Job", offsetof(struct conf_source, retain_x_job) },
	{ "X-Envid", 0 },
	{ "X-Schedule", 0 },
	{ "X-DKIM-Options", 0 },
	{ "X-DKIM-Key", 0 },
};
#define NCONTROL (sizeof(control) / sizeof(control[0]))

const char **
header_strip(const struct submit *s)
{
	const char *src = (const char *)&s->src, *name = NULL;
	const char **strip;
	size_t i, n = 0;

	strip = xcalloc(NCONTROL + s->src.remove_header.n + 1, sizeof(*strip));
	for (i = 0; i < NCONTROL; i++)
		if (control[i].retain == 0 ||
		    !*(const bool *)(src + control[i].retain))
			strip[n++] = control[i].name;
	while ((name = conf_list_next(&s->src.remove_header, name)) != NULL)
		strip[n++] = name;
	return (strip);
}

/* ---- what is obeyed
 * ---------------------------------------------------------- */

/* The job: that of the submission, of X-Job, of jobid-header; and a prefix. */
static void
header_job(struct submit *s, struct submit_env *env)
{
	const struct conf_source *src = &s->src;
	bool given = env->job != NULL && *env->job != '\0';

	buf_clear(&s->job);
	buf_adds(&s->job, src->jobid_prefix);
	if (given)
		buf_adds(&s->job, env->job);
	else if (src->process_x_job)
		given = message_header(&s->msg, "X-Job", &s->job);
	if (!given && *src->jobid_header != '\0')
		given = message_header(&s->msg, src->jobid_header, &s->job);
	env->job = given ? buf_str(&s->job) : NULL;
}

/* The envelope id of X-Envid. */
static void
header_envid(struct submit *s, struct submit_env *env)
{
	struct buf value = BUF_INIT;

	if ((env->envid == NULL || *env->envid == '\0') &&
	    s->src.process_x_envid &&
	    message_header(&s->msg, "X-Envid", &value)) {
		buf_clear(&s->envid);
		xtext_encode(buf_str(&value), value.len, &s->envid);
		env->envid = buf_str(&s->envid);
	}
	buf_release(&value);
}

int
header_windows(const struct submit *s, const char *text, size_t n,
    struct buf *ret_text, int64_t *due, struct verr *err)
{
	int64_t now = sys_now(s->sys);
	struct schedule w;

	if (schedule_parse(text, n, now, &w, err) == -1)
		return (-1);
	*due = schedule_next(&w, *due > now ? *due : now);
	if (*due == -1)
		return (verr_set(err, VEX_DATA, "the last window is over"));
	buf_clear(ret_text);
	schedule_format(&w, ret_text);
	return (0);
}

/* The windows of the submission, or of X-Schedule. */
static int
header_schedule(struct submit *s, struct submit_env *env, struct verr *err)
{
	struct buf value = BUF_INIT;
	int rc = 0;

	if (env->schedule != NULL && *env->schedule != '\0')
		buf_adds(&value, env->schedule);
	else if (!s->src.process_x_schedule ||
	    !message_header(&s->msg, "X-Schedule", &value))
		return (0);
	rc = header_windows(s, buf_str(&value), value.len, &s->schedule,
	    &env->due, err);
	buf_release(&value);
	if (rc == -1)
		return (verr_prefix(err, "X-Schedule"));
	env->schedule = buf_str(&s->schedule);
	return (0);
}

/* Received fields: how often has the message been forwarded? */
static int
header_hops(const struct submit *s, struct verr *err)
{
	const char *p = buf_str(&s->msg.text), *end = p + s->msg.header_len;
	int64_t n = 0, max = s->src.max_message_hops;
	struct field f;

	while (max > 0 && field_next(&p, end, &f))
		if (field_is(&f, "Received") && ++n > max)
			return (verr_set(err, VEX_DATA,
			    "mail loop: more than %lld Received fields",
			    (long long)max));
	return (0);
}

int
header_control(struct submit *s, const struct submit_env *env,
    struct submit_env *ret_env, struct verr *err)
{
	*ret_env = *env;
	header_job(s, ret_env);
	header_envid(s, ret_env);
	if (header_schedule(s, ret_env, err) == -1)
		return (-1);
	return (header_hops(s, err));
}

/* ---- what is added
 * ------------------------------------------------------------ */

/* Received, which hide-message-source makes silent about the source. */
static void
added_received(const struct submit *s, struct buf *out)
{
	buf_adds(out, "Received: ");
	if (!s->src.hide_message_source)
		buf_addf(out, "from %s (%s)\r\n\t", s->source_mta, s->source);
	buf_addf(out, "by %s (vmta) id %s;\r\n\t%s\r\n",
	    conf_global(s->conf)->host_name, s->id.s, s->date);
}

/* A part of Feedback-ID: what is no letter, digit, `.`, `_`, `-` is `_`. */
static void
added_part(struct buf *out, const char *text)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	for (; *text != '\0'; text++)
		buf_addc(out, strchr(legal, *text) != NULL ? *text : '_');
	buf_addc(out, ':');
}

/* Feedback-ID: JOB:TARGET:SENDERID, as Google reads it. */
static int
added_feedback_id(const struct submit *s, const struct submit_env *env,
    const struct target *t, struct buf *out, struct verr *err)
{
	struct buf value = BUF_INIT;
	int rc;

	if (env->job != NULL && *env->job != '\0')
		added_part(&value, env->job);
	added_part(&value, target_name(t));
	buf_adds(&value, s->src.feedback_id);
	rc = field_add(out, "Feedback-ID", value.p, value.len, err);
	buf_release(&value);
	return (rc);
}

/* CFBL-Address (RFC 9477). */
static int
added_cfbl(const struct submit *s, struct buf *out, struct verr *err)
{
	struct buf value = BUF_INIT;
	int rc;

	buf_addf(&value, "%s; report=arf", s->src.cfbl_address);
	rc = field_add(out, "CFBL-Address", value.p, value.len, err);
	buf_release(&value);
	return (rc);
}

/* The name of a person: quoted, or as encoded words (RFC 2047). */
static void
added_name(const char *name, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)name;
	struct buf word = BUF_INIT;
	bool plain = true;
	size_t i, n, len = strlen(name);

	for (i = 0; i < len; i++)
		plain = plain && p[i] >= 0x20 && p[i] < 0x7f;
	if (plain) {
		buf_addc(out, '"');
		for (i = 0; i < len; i++) {
			if (name[i] == '"' || name[i] == '\\')
				buf_addc(out, '\\');
			buf_addc(out, name[i]);
		}
		buf_adds(out, "\" ");
		return;
	}
	for (i = 0; i < len; i += n) {
		/* 45 octets are 60 of base64; characters stay whole */
		n = len - i < 45 ? len - i : 45;
		while (i + n < len && n > 1 && (p[i + n] & 0xc0) == 0x80)
			n--;
		buf_clear(&word);
		encode_base64(name + i, n, &word);
		buf_addf(out, "=?utf-8?b?%s?=\r\n ", buf_str(&word));
	}
	buf_release(&word);
}

/* From, of a message without one. */
static int
added_from(const struct submit *s, const struct submit_env *env,
    struct buf *out, struct verr *err)
{
	const struct addr *from = env->from != NULL ? env->from : &s->self;
	const char *name = env->full_name;
	struct buf value = BUF_INIT;
	int rc;

	if (addr_is_null(from) && !s->has_self)
		return (0);
	if (addr_is_null(from))
		from = &s->self;
	if (name != NULL && *name != '\0' && strlen(name) < 512 &&
	    esc_is_utf8(name, strlen(name)))
		added_name(name, &value);
	buf_addf(&value, "<%s>", from->smtp);
	rc = field_add(out, "From", value.p, value.len, err);
	buf_release(&value);
	return (rc);
}

/* Are these octets whole header fields, with LF or CRLF? */
static int
file_fields(const char *p, size_t n, struct buf *out, struct verr *err)
{
	struct message_opts o = { .stray = MESSAGE_REFUSE };
	struct message m;
	int rc;

	message_init(&m, &o);
	rc = message_feed(&m, p, n, err);
	if (rc == 0)
		rc = message_end(&m, err);
	if (rc == 0 && m.header_len != m.text.len)
		rc = verr_set(err, VEX_CONFIG, "not only header fields");
	if (rc == 0)
		buf_add(out, m.text.p, m.text.len);
	message_release(&m);
	if (rc == -1 && err->code == VEX_DATA)
		err->code = VEX_CONFIG;
	return (rc);
}

/* The fields in a file of include-headers-from. */
static int
added_file(const char *file, struct buf *out, struct verr *err)
{
	char *p = xmalloc(HEADER_FILE_MAX + 1);
	ssize_t n = -1;
	int fd, rc;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd != -1) {
		n = sys_pread_all(sys_real(), fd, p, HEADER_FILE_MAX + 1, 0);
		(void)close(fd);
	}
	if (n == -1) {
		rc = verr_sys(err, "include-headers-from %s", file);
		if (err->code != VEX_TEMP)
			err->code = VEX_CONFIG;
	} else if (n > HEADER_FILE_MAX) {
		rc = verr_set(err, VEX_CONFIG, "over %d octets",
		    HEADER_FILE_MAX);
	} else {
		rc = file_fields(p, (size_t)n, out, err);
		if (rc == -1)
			(void)verr_prefix(err, "include-headers-from %s", file);
	}
	free(p);
	return (rc);
}

/* Is a field to be added, and not there yet? */
static bool
wanted(const struct submit *s, bool add, const char *name)
{
	struct field f;

	return (add &&
	    !field_find(buf_str(&s->msg.text), s->msg.header_len, name, &f));
}

int
header_added(struct submit *s, const struct submit_env *env,
    const struct target *t, struct buf *ret_fields, struct verr *err)
{
	const struct conf_source *src = &s->src;
	const char *file = t->vmta != NULL ? t->vmta->include_headers_from :
					     t->pool->include_headers_from;

	if (src->add_received_header)
		added_received(s, ret_fields);
	if (wanted(s, env->add_from, "From") &&
	    added_from(s, env, ret_fields, err) == -1)
		return (-1);
	if (wanted(s, src->add_x_virtual_mta_header, "X-Virtual-MTA"))
		buf_addf(ret_fields, "X-Virtual-MTA: %s\r\n", target_name(t));
	if (wanted(s, *src->feedback_id != '\0', "Feedback-ID") &&
	    added_feedback_id(s, env, t, ret_fields, err) == -1)
		return (-1);
	if (wanted(s, *src->cfbl_address != '\0', "CFBL-Address") &&
	    added_cfbl(s, ret_fields, err) == -1)
		return (-1);
	if (*file != '\0')
		return (added_file(file, ret_fields, err));
	return (0);
}

/* ---- VERP
 * --------------------------------------------------------------------- */

/* Append an address's local part, unquoted; returns its domain. */
static const char *
verp_local(const char *addr, struct buf *out)
{
	const char *at = strrchr(addr, '@'), *p;

	if (*addr != '"') {
		buf_add(out, addr, (size_t)(at - addr));
		return (at + 1);
	}
	for (p = addr + 1; p < at - 1; p++) {
		if (*p == '\\' && p + 1 < at - 1)
			p++;
		buf_addc(out, *p);
	}
	return (at + 1);
}

/* May it stand unquoted (RFC 5321 dot-string, RFC 6531)? */
static bool
verp_dot_string(const char *p)
{
	static const char atext[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-/=?^_`{|}~";
	bool dot = true; /* as if one stood before it */

	for (; *p != '\0'; p++) {
		if (*p == '.' ?
			dot :
			(unsigned char)*p < 0x80 && strchr(atext, *p) == NULL)
			return (false);
		dot = *p == '.';
	}
	return (!dot);
}

int
header_verp(const char *sender, const char *rcpt, struct buf *ret_sender,
    struct verr *err)
{
	struct buf local = BUF_INIT;
	const char *domain, *p;

	domain = verp_local(sender, &local);
	buf_addc(&local, '-');
	p = verp_local(rcpt, &local);
	buf_addf(&local, "=%s", p);
	if (verp_dot_string(buf_str(&local))) {
		buf_adds(ret_sender, buf_str(&local));
	} else {
		buf_addc(ret_sender, '"');
		for (p = buf_str(&local); *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				buf_addc(ret_sender, '\\');
			buf_addc(ret_sender, *p);
		}
		buf_addc(ret_sender, '"');
	}
	buf_addf(ret_sender, "@%s", domain);
	buf_release(&local);
	if (ret_sender->len <= ADDR_MAX)
		return (0);
	return (verr_set(err, VEX_DATA,
	    "VERP: the sender for a recipient is over %d octets", ADDR_MAX));
}
