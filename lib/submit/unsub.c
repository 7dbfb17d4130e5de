/*
 * add-list-unsubscribe: the pair of fields that large providers want of bulk
 * mail (RFC 2369, RFC 8058). What a URI says of a recipient is
 * percent-encoded. A merge gets the fields into its template, with variables
 * of the merge's; a message of several recipients becomes one content each.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "mail/field.h"
#include "mail/merge.h"
#include "submit/impl.h"
#include "submit/unsub.h"

#define UNSUB_FIELD "List-Unsubscribe"
#define UNSUB_POST "List-Unsubscribe-Post"

/* A variable of add-list-unsubscribe. r NULL: as it stands in a template. */
static void
unsub_var(const struct submit *s, const struct submit_env *env,
    const struct rcpt *r, const char *name, size_t n, struct buf *out)
{
	char msgid[ID_LEN + 16];

	if (r == NULL) {
		buf_addf(out, "[%.*s_url]", (int)n, name);
		return;
	}
	switch (merge_reserved(name, n)) {
	case MERGE_TO:
		merge_url(s->text.p + r->smtp, out);
		break;
	case MERGE_MSGID: /* as a merge has it */
		(void)snprintf(msgid, sizeof(msgid), "%s.%lu", s->id.s,
		    (unsigned long)r->index);
		merge_url(msgid, out);
		break;
	case MERGE_JOBID:
		merge_url(env->job != NULL ? env->job : "", out);
		break;
	case MERGE_VMTA:
	default:
		merge_url(target_name(&r->target), out);
	}
}

/* The URIs, between angle brackets, each on its line. */
static void
unsub_value(const struct submit *s, const struct submit_env *env,
    const struct rcpt *r, struct buf *out)
{
	const struct conf_list *l = &s->src.add_list_unsubscribe;
	const char *uri = NULL, *p, *end;
	bool first = true;

	while ((uri = conf_list_next(l, uri)) != NULL) {
		buf_adds(out, first ? "<" : ",\r\n <");
		first = false;
		for (p = uri; *p != '\0'; p++) {
			if (*p != '[') {
				buf_addc(out, *p);
				continue;
			}
			end = strchr(p, ']'); /* its form was checked */
			unsub_var(s, env, r, p + 1, (size_t)(end - p - 1), out);
			p = end;
		}
		buf_addc(out, '>');
	}
}

/* One of the URIs is for one click (RFC 8058: https). */
static bool
unsub_one_click(const struct submit *s)
{
	const struct conf_list *l = &s->src.add_list_unsubscribe;
	const char *uri = NULL;

	while ((uri = conf_list_next(l, uri)) != NULL)
		if (strncasecmp(uri, "https:", 6) == 0)
			return (true);
	return (false);
}

/* Both fields (RFC 2369, RFC 8058), unless one of them is there. */
static void
unsub_add(const struct submit *s, const struct submit_env *env,
    const struct rcpt *r, struct buf *out)
{
	buf_adds(out, UNSUB_FIELD ": ");
	unsub_value(s, env, r, out);
	buf_adds(out, "\r\n");
	if (unsub_one_click(s))
		buf_adds(out, UNSUB_POST ": List-Unsubscribe=One-Click\r\n");
}

/* Are they to be added to a message with this header? */
static bool
unsub_wanted(const struct submit *s, const char *header, size_t n)
{
	struct field f;

	return (s->src.add_list_unsubscribe.n > 0 &&
	    !field_find(header, n, UNSUB_FIELD, &f) &&
	    !field_find(header, n, UNSUB_POST, &f));
}

bool
unsub_each(const struct submit *s)
{
	const struct conf_list *l = &s->src.add_list_unsubscribe;
	const char *uri = NULL;

	if (!unsub_wanted(s, buf_str(&s->msg.text), s->msg.header_len))
		return (false);
	while ((uri = conf_list_next(l, uri)) != NULL)
		if (strstr(uri, "[*to]") != NULL ||
		    strstr(uri, "[*msgid]") != NULL)
			return (true);
	return (false);
}

void
unsub_added(const struct submit *s, const struct submit_env *env,
    const struct rcpt *r, struct buf *out)
{
	if (unsub_wanted(s, buf_str(&s->msg.text), s->msg.header_len))
		unsub_add(s, env, r, out);
}

void
unsub_template(const struct submit *s, const char *header, size_t n,
    struct buf *out)
{
	if (unsub_wanted(s, header, n))
		unsub_add(s, NULL, NULL, out);
}
