#!/bin/bash
# cppcheck: what it calls an error, a warning, or a matter of performance or
# portability.
. "$(dirname "$0")/files.bash"
need cppcheck

cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability \
	--inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
	--suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
	--library=posix,gnu -D_GNU_SOURCE -Ilib \
	--file-list=<(files 'lib/*.c' 'bin/*.c' 't/helper/*.c') 2>&1
