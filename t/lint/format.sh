#!/bin/bash
# All C is as clang-format (.clang-format) writes it: make format.
. "$(dirname "$0")/files.bash"
need clang-format

c_files | xargs -P "$(nproc)" -n 16 clang-format --dry-run -Werror 2>&1 |
	sed -n 's/^\([^: ]*\):[0-9].*error:.*/\1: make format/p' | sort -u |
	{ ! grep .; }
