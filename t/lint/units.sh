#!/bin/bash
# systemd units: `systemd-analyze verify` is silent about copies in which the
# prefix is this checkout's, and `security` gives the service at most 2.0.
. "$(dirname "$0")/files.bash"

command -v systemd-analyze >/dev/null || {
	echo "     no systemd-analyze here: units are not looked at"
	exit 0
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mkdir -p "$dir/prefix/bin" "$dir/units"
# verify wants the program to exist.
install -m 0755 /dev/null "$dir/prefix/bin/vmta-runq"
install -m 0755 /dev/null "$dir/prefix/bin/vmta-inject"
for unit in share/systemd/vmta-*; do
	sed "s,/opt/vmta,$dir/prefix,g" "$unit" \
		>"$dir/units/$(basename "$unit")"
done

status=0
said=$(systemd-analyze --man=no --recursive-errors=no verify \
	"$dir"/units/* 2>&1) || status=1
[ -z "$said" ] || {
	echo "$said"
	status=1
}
for unit in "$dir"/units/*.service; do
	systemd-analyze security --offline=true --threshold=20 --no-pager \
		"$unit" >"$dir/said" 2>&1 || {
		grep -vE '^✓' "$dir/said"
		status=1
	}
done
exit $status
