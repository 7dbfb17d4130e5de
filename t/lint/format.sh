#!/bin/bash
# All C is as clang-format (.clang-format) writes it: make format.
. "$(dirname "$0")/files.bash"
need clang-format

bad=0
while read -r f; do
	clang-format "$f" | cmp -s - "$f" || {
		echo "$f: make format"
		bad=1
	}
done < <(c_files)
exit $bad
