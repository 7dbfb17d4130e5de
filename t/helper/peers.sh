#!/bin/bash
# t/helper/peers.sh: fetch the test peers of share/deps/unpack.txt and unpack
# them into build/peers/NAME/; nothing is installed, no service starts. What
# cannot be had is left out with a message, and its tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

peers=build/peers
list=share/deps/unpack.txt

say() {
	echo "peers: $*" >&2
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		head -n 1)" = installed ]
}

# fetch PACKAGE...: the .deb files, into the current directory.
fetch() {
	apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=1 \
		-o Acquire::http::Timeout=20 download "$@" </dev/null >&2
}

# The package lists of a fresh machine may be missing or too old.
refresh() {
	if [ "$(id -u)" = 0 ]; then
		apt-get -q update </dev/null >&2
	elif sudo -n true 2>/dev/null; then
		sudo -n apt-get -q update </dev/null >&2
	else
		return 1
	fi
}

# unpack NAME PACKAGE [LIBRARY...]
unpack() {
	local name=$1 work package deb want=("$2")
	work=$(mktemp -d "$peers/.new.XXXXXX")
	for package in "${@:3}"; do
		installed "$package" || want+=("$package")
	done
	say "fetching ${want[*]} (unpacked into $peers/$name only)"
	if (cd "$work" && { fetch "${want[@]}" || {
		refresh && fetch "${want[@]}"
	}; }); then
		mkdir "$work/root"
		for deb in "$work"/*.deb; do
			dpkg-deb -x "$deb" "$work/root"
		done
		echo "$*" >"$work/root/.peer"
		rm -rf "${peers:?}/$name"
		mv "$work/root" "$peers/$name"
	else
		say "$name cannot be had; tests that need it are skipped"
	fi
	rm -rf "$work"
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
	say "no apt-get here; tests that need a peer are skipped"
	exit 0
}
mkdir -p "$peers"
while IFS=': ' read -r name packages; do
	# shellcheck disable=SC2086
	set -- "$name" $packages
	[ "$(cat "$peers/$name/.peer" 2>/dev/null)" = "$*" ] || unpack "$@"
done < <(sed 's/#.*//; /^[[:space:]]*$/d; /^(/d' "$list")
