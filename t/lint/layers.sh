#!/bin/bash
# Includes never go against the arrow of share/doc/DESIGN.md:
#	base <- conf <- mail <- spool, acct <- shape, dns, tls, dkim <- smtp
#	<- run, bounce, report, submit <- bin
# and api, the public library, which includes nothing but its own.
# Layers of one rank may include each other, but not in a circle.
. "$(dirname "$0")/files.bash"

files 'lib/*/*.[ch]' | xargs awk '
BEGIN {
	n = split("base conf mail spool,acct shape,dns,tls,dkim smtp " \
	    "run,bounce,report,submit", rank, " ")
	for (i = 1; i <= n; i++) {
		m = split(rank[i], layer, ",")
		for (j = 1; j <= m; j++)
			at[layer[j]] = i
	}
	at["api"] = 0
}
{
	split(FILENAME, part, "/")
	from = part[2]
}
FNR == 1 && !(from in at) {
	printf "%s: lib/%s is in no layer\n", FILENAME, from
	bad = 1
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, q, "\"")
	name = q[2]
	where = FILENAME ":" FNR ": "
	if (name !~ "/") {
		print where "\"" name "\": write it with its layer"
		bad = 1
		next
	}
	to = name
	sub("/.*", "", to)
	if (!(to in at)) {
		print where name ": not of lib/"
		bad = 1
	} else if (at[to] > at[from]) {
		print where from " must not include " to
		bad = 1
	} else if (at[to] == at[from] && to != from) {
		beside[from, to] = where
		if ((to, from) in beside) {
			print where from " and " to " include each other"
			bad = 1
		}
	}
}
END { exit bad }' || exit 1
