#!/bin/bash
# cppcheck: what it calls an error, a warning, or a matter of performance or
# portability. Not: that the _r functions should be used (one thread), that NULL
# may lack a type as an argument, and macros that it cannot know.
. "$(dirname "$0")/files.bash"
need cppcheck

files 'lib/*.c' 'bin/*.c' 't/helper/*.c' |
	cppcheck -q -j "$(nproc)" --std=c11 --inline-suppr --error-exitcode=1 \
		--enable=warning,performance,portability \
		--suppress=missingIncludeSystem --suppress=unknownMacro \
		--suppress=readdirCalled --suppress=getpwuidCalled \
		--suppress=varFuncNullUB \
		--library=posix,gnu -D_GNU_SOURCE -Ilib \
		--include=t/lint/cppcheck.h --file-list=- 2>&1
