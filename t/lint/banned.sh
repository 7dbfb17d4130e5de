#!/bin/bash
# Functions and styles that the house does not use.
. "$(dirname "$0")/files.bash"

bad=0

# none WHAT PATTERN FILE...: no line may match (comments are not looked at).
none() {
	local what=$1 pattern=$2
	shift 2
	if grep -nE "$pattern" "$@" | grep -vE '^[^:]*:[0-9]+:[ 	]*/?\*'; then
		echo "     ^ $what"
		bad=1
	fi
}

mapfile -t all < <(c_files)
mapfile -t own < <(files 'lib/*.[ch]' 'bin/*.[ch]')
mapfile -t lib < <(files 'lib/*.[ch]')
mapfile -t quiet < <(files 'lib/*.[ch]' |
	grep -vE '^lib/base/(cli|log|mem)\.')

word='(^|[^A-Za-z0-9_>.])'
none 'overflows or hides errors' \
	"$word(strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|atof|alloca|tmpnam|tempnam|mktemp)[ ]*\(" \
	"${all[@]}"
none 'not thread-safe' \
	"$word(localtime|gmtime|ctime|asctime|strerror_l|gethostbyname|gethostbyaddr|inet_ntoa|readdir64_r)[ ]*\(" \
	"${all[@]}"
none 'runs a shell' "$word(system|popen)[ ]*\(" "${own[@]}"
none 'C++ comment' '(^|[^:"])//[^"]*$' "${all[@]}"
none 'a library neither prints nor exits' \
	"$word(printf|puts|putchar|perror|exit|err|errx|warn|warnx)[ ]*\(" \
	"${quiet[@]}"
none 'IP_FREEBIND: never' 'IP_FREEBIND|IPV6_FREEBIND|IP_TRANSPARENT' "${lib[@]}"
exit $bad
