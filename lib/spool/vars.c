/* Variables as text: one line whatever is in them, and `less` can read it. */
#include <stdbool.h>
#include <string.h>

#include "base/esc.h"
#include "spool/vars.h"

#define VARS_UNDEFINED "\\-"

void
vars_add(struct buf *b, bool first, const char *p, size_t n)
{
	if (!first)
		buf_addc(b, '\t');
	if (p == NULL)
		buf_adds(b, VARS_UNDEFINED);
	else
		esc_line(b, p, n);
}

size_t
vars_count(const char *line)
{
	size_t n = 1;

	if (line == NULL)
		return (0);
	for (; (line = strchr(line, '\t')) != NULL; line++)
		n++;
	return (n);
}

int
vars_next(const char **line, struct buf *ret_text)
{
	const char *p = *line, *end = strchrnul(p, '\t');
	size_t n = (size_t)(end - p);

	*line = *end == '\t' ? end + 1 : NULL;
	if (n == strlen(VARS_UNDEFINED) && memcmp(p, VARS_UNDEFINED, n) == 0)
		return (1);
	return (esc_unline(ret_text, p, n));
}
