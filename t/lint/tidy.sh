#!/bin/bash
# clang-tidy with .clang-tidy over lib/, bin/ and t/helper/.
. "$(dirname "$0")/files.bash"
need clang-tidy

files 'lib/*.c' 'bin/*.c' 't/helper/*.c' |
	xargs -P "$(nproc)" -I '{}' sh -c '
		out=$(clang-tidy --quiet "$@" 2>/dev/null) || {
			printf "%s\n" "$out"
			exit 1
		}' sh '{}' -- "${C_FLAGS[@]}"
