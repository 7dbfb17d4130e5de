/*
 * Errors as values: code, errno and one line of text. Control characters in
 * the text (a hostile file name, say) and what is not UTF-8 are shown as '?',
 * so that one error stays one line wherever it is printed, and no terminal
 * obeys it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/esc.h"

/* Replace what is not printable: the text is one line, and only shown. */
static void
err_tidy(char *s)
{
	char *to = s;
	size_t n, left = strlen(s);

	for (; left > 0; s += n, left -= n) {
		n = esc_utf8(s, left);
		if (n == 0 || esc_is_hostile(s, n)) {
			*to++ = '?';
			n = n > 0 ? n : 1;
		} else {
			memmove(to, s, n);
			to += n;
		}
	}
	*to = '\0';
}

int
verr_set(struct verr *err, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (err != NULL) {
		err->code = code;
		err->err = 0;
		va_start(ap, fmt);
		(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		err_tidy(err->text);
	}
	errno = saved;
	return (-1);
}

int
verr_code(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EROFS:
	case EAGAIN:
	case EINTR:
	case EBUSY:
	case ENOLCK:
	case EDEADLK:
		return (VEX_TEMP);
	default:
		return (VEX_IO);
	}
}

int
verr_sys(struct verr *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t n;

	if (err != NULL) {
		err->code = verr_code(saved);
		err->err = saved;
		va_start(ap, fmt);
		(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		n = strlen(err->text);
		(void)snprintf(err->text + n, sizeof(err->text) - n, ": %s",
		    strerror(saved));
		err_tidy(err->text);
	}
	errno = saved;
	return (-1);
}

int
verr_prefix(struct verr *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	int saved = errno;
	va_list ap;
	size_t n;

	if (err != NULL) {
		memcpy(old, err->text, sizeof(old));
		va_start(ap, fmt);
		(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		n = strlen(err->text);
		(void)snprintf(err->text + n, sizeof(err->text) - n, ": %s",
		    old);
		err_tidy(err->text);
	}
	errno = saved;
	return (-1);
}
