# A real peer: Debian's postgrey, and a Postfix that asks it.
#
#	load helper/common
#	load helper/postfix
#	load helper/postgrey
# shellcheck shell=bash disable=SC2034,SC2154 # see common.bash

POSTGREY_ROOT=$PEERS/postgrey

need_postgrey() {
	need_postfix_mta
	need_command perl
	[ -x "$POSTGREY_ROOT/usr/sbin/postgrey" ] ||
		skip "needs postgrey unpacked: make peers"
	# its modules in C are those of Debian's perl
	postgrey_perl -MBerkeleyDB -MNetAddr::IP -MNet::Server::Multiplex -e1 ||
		skip "needs the perl that postgrey's libraries are for"
}

# postgrey_perl ARG...: perl with the libraries that were unpacked with it.
postgrey_perl() {
	local dir libs=()
	for dir in "$POSTGREY_ROOT"/usr/share/perl5 \
		"$POSTGREY_ROOT"/usr/lib/*/perl5/*; do
		libs+=(-I "$dir")
	done
	LD_LIBRARY_PATH=$(peer_libs) perl -T "${libs[@]}" "$@"
}

# start_postgrey SECONDS: a Postfix (as start_postfix) that asks a postgrey
# which forgives nobody: each address counts for itself, no client is ever
# known well enough. A triplet has to wait so many seconds. POSTGREY_LOG.
start_postgrey() {
	local dir addr
	dir=$(mktemp -d /tmp/vmta-postgrey.XXXXXX)
	echo "$dir" >>"$(scratch)/.dirs"
	chown nobody "$dir"
	addr=$(own_address):2530
	: >"$dir/none"
	start postgrey postgrey_perl "$POSTGREY_ROOT/usr/sbin/postgrey" \
		--inet="$addr" --dbdir="$dir" --user=nobody \
		--group="$(id -gn nobody)" --delay="$1" --lookup-by-host \
		--auto-whitelist-clients=0 --whitelist-clients="$dir/none" \
		--whitelist-recipients="$dir/none"
	POSTGREY_LOG=$(scratch)/postgrey.err
	wait_until tcp_up "$addr" "$STARTED" || return 1
	alive "$STARTED" || {
		fail "$(cat "$POSTGREY_LOG")"
		return 1
	}
	start_postfix "smtpd_recipient_restrictions = \
reject_unauth_destination, check_policy_service inet:$addr"
}
