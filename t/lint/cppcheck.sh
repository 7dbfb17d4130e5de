#!/bin/bash
# cppcheck: what it calls an error, a warning, or a matter of performance or
# portability. Not: that readdir_r should be used (it should not), that NULL
# may lack a type as an argument, and macros that it cannot know.
. "$(dirname "$0")/files.bash"
need cppcheck

# System headers are not read; lists without a name stop its parser.
QUEUE=('-DLIST_HEAD(n,t)=struct{struct t*lh_first;}'
	'-DSLIST_HEAD(n,t)=struct{struct t*slh_first;}'
	'-DSTAILQ_HEAD(n,t)=struct{struct t*stqh_first;struct t**stqh_last;}'
	'-DTAILQ_HEAD(n,t)=struct{struct t*tqh_first;struct t**tqh_last;}')

cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability \
	--inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
	--suppress=unknownMacro --suppress=readdirCalled \
	--suppress=varFuncNullUB \
	--library=posix,gnu -D_GNU_SOURCE -Ilib "${QUEUE[@]}" \
	--file-list=<(files 'lib/*.c' 'bin/*.c' 't/helper/*.c') 2>&1
