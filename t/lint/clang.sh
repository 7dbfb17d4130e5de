#!/bin/bash
# clang compiles everything without a warning, as gcc does in the build.
. "$(dirname "$0")/files.bash"
need clang

warn=$(sed -n '/^WARN :=/,/[^\\]$/p' Makefile | sed 's/^WARN :=//; s/\\$//')
# shellcheck disable=SC2086
files 'lib/*.c' 'bin/*.c' 't/*.c' |
	xargs -P "$(nproc)" -n 8 clang "${C_FLAGS[@]}" $warn -O1 -fsyntax-only
