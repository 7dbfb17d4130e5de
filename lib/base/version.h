/* The version of this build; the Makefile passes it with -DVMTA_VERSION. */
#ifndef VMTA_BASE_VERSION_H
#define VMTA_BASE_VERSION_H

#ifndef VMTA_VERSION
#define VMTA_VERSION "0.1"
#endif

#endif
