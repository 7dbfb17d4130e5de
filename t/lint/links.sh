#!/bin/bash
# vmta-inject may be set-uid: it is linked with neither DNS nor TLS.
. "$(dirname "$0")/files.bash"

[ -f bin/vmta-inject.c ] || exit 0
tool=build/release/bin/vmta-inject
[ -x $tool ] || {
	echo "$tool is not built"
	exit 1
}
! readelf -d $tool | grep -E 'NEEDED.*(unbound|ssl|crypto|opendkim)'
