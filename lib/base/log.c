/*
 * The log. Lines for a file are gathered and written in one call per loop
 * turn; a line is never split between two writes, so several workers may
 * append to one file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/esc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/sys.h"

enum log_sink { SINK_NONE, SINK_STDERR, SINK_SYSTEMD, SINK_SYSLOG, SINK_FILE };

static struct {
	enum log_sink sink;
	enum log_level level;
	int fd;
	char *file;
	char *tool;
	struct buf held;
} logs = { .sink = SINK_NONE, .level = LOG_LV_INFO, .fd = -1 };

#define LOG_HELD_MAX 65536

/* The log file open for appending, or -1. */
static int
log_open_file(const char *file)
{
	return (open(file,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
}

int
log_open(const char *tool, const char *file, struct verr *err)
{
	log_close();
	logs.tool = xstrdup(tool);
	if (file != NULL && *file != '\0') {
		logs.fd = log_open_file(file);
		if (logs.fd == -1)
			return (verr_sys(err, "log-file %s", file));
		logs.file = xstrdup(file);
		logs.sink = SINK_FILE;
		return (0);
	}
	if (isatty(STDERR_FILENO))
		logs.sink = SINK_STDERR;
	else if (getenv("JOURNAL_STREAM") != NULL)
		logs.sink = SINK_SYSTEMD;
	else {
		openlog(logs.tool, LOG_PID, LOG_MAIL);
		logs.sink = SINK_SYSLOG;
	}
	return (0);
}

void
log_to_stderr(const char *tool)
{
	log_close();
	logs.tool = xstrdup(tool);
	logs.sink = SINK_STDERR;
}

void
log_set_level(enum log_level level)
{
	logs.level = level;
}

void
log_reopen(void)
{
	int fd;

	if (logs.sink != SINK_FILE)
		return;
	log_flush();
	fd = log_open_file(logs.file);
	if (fd == -1)
		return; /* keep writing to the old one */
	(void)close(logs.fd);
	logs.fd = fd;
}

void
log_flush(void)
{
	if (logs.sink == SINK_FILE && logs.held.len > 0)
		(void)sys_write_all(sys_real(), logs.fd, logs.held.p,
		    logs.held.len); /* a full disk must not stop the mail */
	buf_clear(&logs.held);
}

void
log_close(void)
{
	log_flush();
	if (logs.fd != -1)
		(void)close(logs.fd);
	logs.fd = -1;
	if (logs.sink == SINK_SYSLOG)
		closelog();
	free(logs.file);
	free(logs.tool);
	logs.file = NULL;
	logs.tool = NULL;
	logs.sink = SINK_NONE;
	buf_release(&logs.held);
}

/* ` key=value`, escaped, quoted where a reader could not split it. */
static void
log_pair(struct buf *b, const char *key, const char *value)
{
	const char *p;

	buf_addf(b, " %s=", key);
	if (*value != '\0' && strpbrk(value, " \t\"=") == NULL) {
		esc_line(b, value, strlen(value));
		return;
	}
	buf_addc(b, '"');
	while ((p = strchr(value, '"')) != NULL) {
		esc_line(b, value, (size_t)(p - value));
		buf_adds(b, "\\\"");
		value = p + 1;
	}
	esc_line(b, value, strlen(value));
	buf_addc(b, '"');
}

/* Hand a finished line (with its newline) to where the log goes. */
static void
log_put(enum log_level level, const struct buf *line)
{
	char stamp[STAMP_ACCT_LEN + 1];

	switch (logs.sink) {
	case SINK_FILE:
		(void)stamp_acct(sys_now(sys_real()), stamp);
		buf_addf(&logs.held, "%s %s[%ld]: %s", stamp, logs.tool,
		    (long)getpid(), line->p);
		if (logs.held.len > LOG_HELD_MAX)
			log_flush();
		break;
	case SINK_SYSLOG:
		syslog((int)level, "%s", line->p);
		break;
	case SINK_SYSTEMD:
		(void)fprintf(stderr, "<%d>%s", (int)level, line->p);
		break;
	case SINK_STDERR:
		(void)fprintf(stderr, "%s: %s", logs.tool, line->p);
		break;
	case SINK_NONE:
		break;
	}
}

/* The line of an event; valid until the next one. */
static const struct buf *
log_line(const char *event, va_list ap)
{
	static struct buf line;
	const char *key, *value;

	buf_clear(&line);
	buf_adds(&line, event);
	while ((key = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		if (value != NULL)
			log_pair(&line, key, value);
	}
	buf_addc(&line, '\n');
	return (&line);
}

void
log_event(enum log_level level, const char *event, ...)
{
	va_list ap;

	if (level > logs.level || logs.sink == SINK_NONE)
		return;
	va_start(ap, event);
	log_put(level, log_line(event, ap));
	va_end(ap);
}

void
log_tell(const char *event, ...)
{
	const struct buf *line;
	va_list ap;

	if (logs.sink == SINK_NONE)
		return;
	va_start(ap, event);
	line = log_line(event, ap);
	va_end(ap);
	log_put(LOG_LV_WARN, line);
	if (logs.sink == SINK_FILE || logs.sink == SINK_SYSLOG)
		(void)fprintf(stderr, "%s: %s", logs.tool, line->p);
}

const char *
log_num(int64_t n)
{
	static char text[8][24];
	static unsigned int turn;
	char *p = text[turn++ & 7];

	(void)snprintf(p, sizeof(text[0]), "%lld", (long long)n);
	return (p);
}

void
log_err(const struct verr *err)
{
	log_event(LOG_LV_ERROR, "error", "text", err->text, NULL);
}
