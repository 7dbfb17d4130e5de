#!/bin/bash
# No white space at the end of a line, a newline at the end of each file, no
# carriage returns, and no spaces before a tab.
. "$(dirname "$0")/files.bash"

bad=0
mapfile -t texts < <(files . ':!t/data' ':!t/fuzz/corpus' | xargs -d '\n' grep -lI .)
grep -nE '[ 	]+$' "${texts[@]}" && bad=1
grep -n $'\r' "${texts[@]}" && bad=1
for f in "${texts[@]}"; do
	[ -z "$(tail -c 1 "$f")" ] || {
		echo "$f: no newline at the end"
		bad=1
	}
done
exit $bad
