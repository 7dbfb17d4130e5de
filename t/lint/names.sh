#!/bin/bash
# Nothing of the machine where it was written: its paths, its name, hosts that
# only a private network knows.
. "$(dirname "$0")/files.bash"

bad=0
mapfile -t texts < <(files . ':!t/fuzz/corpus' | xargs -d '\n' grep -lI . |
	grep -v '^t/lint/names.sh$')
grep -nE '(^|[^A-Za-z0-9_.])/(home|root|work|Users|builds|workspace)/' \
	"${texts[@]}" && bad=1
grep -niE '[a-z0-9-]+\.(internal|intranet|corp|lan)([^a-z0-9.-]|$)' \
	"${texts[@]}" && bad=1
grep -nF -- "$PWD" "${texts[@]}" && bad=1
host=$(uname -n)
case $host in
localhost | debian | vmta | main | build | test | ????) ;;
*) grep -nwF -- "$host" "${texts[@]}" && bad=1 ;;
esac
exit $bad
