#!/bin/bash
# Manual pages: mandoc has nothing to say, and each tool has one.
. "$(dirname "$0")/files.bash"
need mandoc

status=0
mapfile -t pages < <(files 'share/man/*.[1-8]')
if [ "${#pages[@]}" -gt 0 ]; then
	mandoc -T lint -W warning "${pages[@]}" || status=1
fi
while read -r tool; do
	name=$(basename "$tool" .c)
	case $name in *-*-*) continue ;; esac
	[ -f "share/man/$name.8" ] || [ -f "share/man/$name.1" ] || {
		echo "share/man: no page for $name"
		status=1
	}
done < <(files 'bin/vmta-*.c')
exit $status
