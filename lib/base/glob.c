/*
 * Matching by one pass with one place to come back to: the last star and what
 * it has taken so far.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/mem.h"

static bool
glob_same(char a, char b)
{
	return (tolower((unsigned char)a) == tolower((unsigned char)b));
}

bool
glob_name(const char *pattern, const char *text)
{
	const char *star = NULL, *back = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			back = text;
		} else if (glob_same(*pattern, *text)) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++back;
		} else {
			return (false);
		}
	}
	while (*pattern == '*')
		pattern++;
	return (*pattern == '\0');
}

bool
glob_domain(const char *pattern, const char *domain)
{
	const char *dot;

	if (strncmp(pattern, "[*.]", 4) != 0)
		return (glob_name(pattern, domain));
	pattern += 4;
	for (dot = domain; dot != NULL; dot = strchr(dot, '.')) {
		dot += *dot == '.';
		if (glob_name(pattern, dot))
			return (true);
	}
	return (false);
}

bool
glob_queue(const char *pattern, const char *domain, const char *vmta)
{
	const char *slash = strrchr(pattern, '/');
	size_t n, nd = strlen(domain);
	char *part;
	bool match;

	if (slash == NULL) { /* a star stands for the slash, and more */
		n = nd + strlen(vmta) + 2;
		part = xmalloc(n);
		memcpy(part, domain, nd);
		part[nd] = '/';
		memcpy(part + nd + 1, vmta, n - nd - 1);
		match = glob_name(pattern, part);
	} else {
		part = xstrndup(pattern, (size_t)(slash - pattern));
		match = glob_domain(part, domain) && glob_name(slash + 1, vmta);
	}
	free(part);
	return (match);
}
