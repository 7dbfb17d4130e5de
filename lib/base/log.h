/*
 * Events for people and scripts: one line an event, `event key=value ...`,
 * to standard error, syslog or a file. Only tools open the log; library code
 * below `run` returns errors instead.
 */
#ifndef VMTA_BASE_LOG_H
#define VMTA_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum log_level {
	LOG_LV_ERROR = 3,
	LOG_LV_WARN = 4,
	LOG_LV_INFO = 6,
	LOG_LV_DEBUG = 7
};

/*
 * Open the log. tool: name for syslog. file: append there; NULL: standard
 * error on a terminal or under systemd (with `<n>` prefix), else syslog.
 * 0, or -1 with err when the file cannot be opened.
 */
int log_open(const char *tool, const char *file, struct verr *err);
/* Send to standard error whatever log_open would choose (--trace). */
void log_to_stderr(const char *tool);
/* Events above this level are dropped; default LOG_LV_INFO. */
void log_set_level(enum log_level level);
/* Open a log file anew (after rotation). */
void log_reopen(void);
/* Write what is held back (log files are written in blocks). */
void log_flush(void);
void log_close(void);

/*
 * One line: event, then pairs of key and value up to a NULL key; pairs whose
 * value is NULL are left out. Values are escaped, and quoted when they hold
 * white space, a quote or '='.
 */
void log_event(enum log_level level, const char *event, ...)
    __attribute__((sentinel));
/*
 * As log_event, at the level of a warning, and a line on standard error too
 * when the log goes elsewhere: what the caller of a run must hear.
 */
void log_tell(const char *event, ...) __attribute__((sentinel));
/* A number as text for log_event; the buffer is one of eight, in turn. */
const char *log_num(int64_t n);
/* An error, as `error text=...`. */
void log_err(const struct verr *err);

#endif
