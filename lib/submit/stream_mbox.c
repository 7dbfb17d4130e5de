/*
 * An mbox into a submission. The recipients of a message are those of its
 * header. Its sender is that of the submission; else Return-Path, where the
 * program that wrote the mbox kept it; else the From_ line, if an address
 * stands there. Fields that are about the mbox are taken out.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "submit/impl.h"
#include "submit/stream_impl.h"

/* Fields of stores of mail: what they say is not true of what is sent. */
static const char *const store_field[] = { "Return-Path", "Content-Length",
	"Lines", "Status", "X-Status", "X-Keywords", "X-UID", "X-IMAP",
	"X-IMAPbase", "X-Mozilla-Status", "X-Mozilla-Status2",
	"X-Mozilla-Keys" };

/* The message is refused. 0; -1 when it is more than that. */
static int
mbox_refuse(struct submit_stream *st, struct verr *err)
{
	if (err->code != VEX_DATA || submit_broken(st->s))
		return (-1);
	st->dead = true;
	st->rejected++;
	stream_reject(st, st->line, err->text);
	return (0);
}

/* The null sender as mailers write it into From_ lines. */
static bool
is_null(const char *sender)
{
	return (strcmp(sender, "<>") == 0 ||
	    strcasecmp(sender, "MAILER-DAEMON") == 0);
}

/* An address as a sender. 0 or -1. */
static int
mbox_sender(struct submit_stream *st, const char *what, const char *text,
    struct verr *err)
{
	if (is_null(text))
		text = "<>";
	if (submit_addr(st->s, text, strlen(text), ADDR_SENDER, &st->sender,
		err) == -1)
		return (verr_prefix(err, "%s", what));
	st->has_sender = true;
	return (0);
}

/* mbox's. */
static int
on_begin(void *arg, uint64_t line, const char *sender, struct verr *err)
{
	struct submit_stream *st = arg;

	st->line = line;
	st->dead = st->has_sender = false;
	if (submit_begin(st->s, err) == -1)
		return (-1);
	if ((strchr(sender, '@') != NULL || is_null(sender)) &&
	    mbox_sender(st, "From_ line", sender, err) == -1) {
		/* Return-Path may have a better one */
		st->has_sender = false;
	}
	return (0);
}

static int
on_data(void *arg, const char *p, size_t n, struct verr *err)
{
	struct submit_stream *st = arg;

	if (st->dead || submit_data(st->s, p, n, err) == 0)
		return (0);
	return (mbox_refuse(st, err));
}

/* Recipients and sender, when all of it was read. 0 or -1. */
static int
mbox_submit(struct submit_stream *st, struct verr *err)
{
	struct submit_env env = st->opts.env;
	struct buf path = BUF_INIT;
	int rc = 0;

	if (submit_header_rcpts(st->s, err) == -1)
		return (-1);
	if (env.from == NULL &&
	    message_header(&st->s->msg, "Return-Path", &path))
		rc = mbox_sender(st, "Return-Path", buf_str(&path), err);
	buf_release(&path);
	if (rc == -1)
		return (-1);
	if (env.from == NULL && st->has_sender)
		env.from = &st->sender;
	return (submit_end(st->s, &env, err));
}

static int
on_end(void *arg, struct verr *err)
{
	struct submit_stream *st = arg;

	if (st->dead)
		return (0);
	if (mbox_submit(st, err) == -1)
		return (mbox_refuse(st, err));
	st->taken++;
	if (st->opts.all_or_nothing && st->rejected > 0)
		submit_discard(st->s);
	return (0);
}

static void
on_refuse(void *arg, uint64_t line, const char *why)
{
	struct submit_stream *st = arg;

	st->rejected++;
	stream_reject(st, line, why);
}

struct mbox *
stream_mbox(struct submit_stream *st)
{
	struct submit *s = st->s;
	const size_t more = sizeof(store_field) / sizeof(store_field[0]);
	const struct mbox_opts o = { .begin = on_begin,
		.data = on_data,
		.end = on_end,
		.refuse = on_refuse,
		.arg = st };
	size_t n = 0;

	while (s->strip[n] != NULL)
		n++;
	s->strip = xreallocarray(s->strip, n + more + 1, sizeof(*s->strip));
	memcpy(s->strip + n, store_field, sizeof(store_field));
	s->strip[n + more] = NULL;
	return (mbox_new(&o));
}
