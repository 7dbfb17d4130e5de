#!/bin/bash
# Sizes: of lib/ and bin/, the functions' median is at most 20 lines and the
# 95th percentile at most 70; there and in t/helper/ no function has more than
# 100 lines, and no file more than 800. (Unit tests are tables of any length.)
. "$(dirname "$0")/files.bash"
need ctags

code() {
	files 'lib/*.[ch]' 'bin/*.[ch]' 't/helper/*.[ch]'
}

status=0
code | xargs wc -l | awk '$2 != "total" && $1 > 800 {
	print $2 ": " $1 " lines"
	bad = 1
}
END { exit bad }' || status=1

functions() {
	xargs ctags -x --c-kinds=f --_xformat='%{end} %n %F %N' |
		awk '{ print $1 - $2 + 1, $3 ":" $2, $4 }'
}

code | functions | awk '$1 > 100 {
	print $2 ": " $3 " has " $1 " lines"
	bad = 1
}
END { exit bad }' || status=1

files 'lib/*.c' 'bin/*.c' | functions | sort -n | awk '
{ size[NR] = $1 }
END {
	median = size[int((NR + 1) / 2)]
	p95 = size[int(NR * 0.95 + 0.999)]
	printf "     %d functions, median %d lines, 95th percentile %d\n",
	    NR, median, p95
	exit median > 20 || p95 > 70
}' || status=1
exit $status
