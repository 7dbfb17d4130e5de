/*
 * Patterns on names, as all tools and pauses take them. `*` is any text, also
 * none; `[*.]` at the begin of a domain is the domain itself and all below it,
 * as in vmta.conf; everything else is itself. Case (of ASCII) does not count.
 */
#ifndef VMTA_BASE_GLOB_H
#define VMTA_BASE_GLOB_H

#include <stdbool.h>

/* Does text match? */
bool glob_name(const char *pattern, const char *text);
/* A domain. */
bool glob_domain(const char *pattern, const char *domain);
/* The queue DOMAIN/VMTA: each part of the pattern for its own. */
bool glob_queue(const char *pattern, const char *domain, const char *vmta);

#endif
