# A real peer: an OpenSMTPD with a configuration, queue and maildir of its own,
# from the package that t/helper/peers.sh unpacked. Its users, its helpers in
# /usr/libexec, its queue in /var/spool and its empty directory in /var/lib are
# where it looks for them in its own mount namespace only.
#
#	load helper/common
#	load helper/private
#	load helper/postfix (own_address, peer_libs, smtp_up)
#	load helper/opensmtpd
# shellcheck shell=bash disable=SC2034,SC2154 # see common.bash

OPENSMTPD_ROOT=$PEERS/opensmtpd

need_opensmtpd() {
	need_private
	[ -x "$OPENSMTPD_ROOT/usr/sbin/smtpd" ] ||
		skip "needs OpenSMTPD unpacked: make peers"
}

# opensmtpd_conf DIR ADDRESS [LINE...]: it takes mail for all domains and puts
# it in one maildir as it came.
opensmtpd_conf() {
	local dir=$1 address=$2
	shift 2
	{
		[ $# = 0 ] || printf '%s\n' "$@"
		cat <<-END
			table all { "@" = "catcher" }
			table users { "catcher" = "64904:64904:$dir/mail" }
			listen on ${address%:*} port ${address##*:} \\
			    hostname mx.opensmtpd.example
			action take maildir "$dir/mail/maildir" \\
			    virtual <all> userbase <users>
			match from any for any action take
		END
	} >"$dir/etc/smtpd.conf"
}

# start_opensmtpd [-n NAME] [LINE...]: an OpenSMTPD on an address of its own
# and port 2525. Sets OPENSMTPD_ADDR (ADDRESS:PORT), OPENSMTPD_DIR (log, mail)
# and OPENSMTPD_PID. Needs root (need_opensmtpd).
start_opensmtpd() {
	local name=opensmtpd dir
	if [ "${1:-}" = -n ]; then
		name=$2
		shift 2
	fi
	# not below the test's directory: others may not look into that
	dir=$(mktemp -d /tmp/vmta-opensmtpd.XXXXXX)
	echo "$dir" >>"$(scratch)/.dirs"
	OPENSMTPD_DIR=$dir
	chmod 755 "$dir"
	OPENSMTPD_ADDR=$(own_address):2525
	mkdir -p "$dir"/{etc,spool,lib/empty,run,mail}
	chmod 711 "$dir/spool"
	chown 64904:64904 "$dir/mail"
	private_users "$dir" opensmtpd:64902 opensmtpq:64903 catcher:64904
	# it asks for the client's name; that must not leave the machine
	echo 'lookup file' >"$dir/etc/resolv.conf"
	cat >"$dir/mounts" <<-END
		$dir/etc/resolv.conf /etc/resolv.conf
		$dir/run /run
		$dir/lib /var/lib/opensmtpd
		$dir/spool /var/spool/smtpd
		$OPENSMTPD_ROOT/usr/libexec/opensmtpd /usr/libexec/opensmtpd
	END
	opensmtpd_conf "$dir" "$OPENSMTPD_ADDR" "$@"
	start_private "$name" "$dir" env -i \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin TZ=UTC \
		LD_LIBRARY_PATH="$(peer_libs)" \
		"$OPENSMTPD_ROOT/usr/sbin/smtpd" -d -v -f "$dir/etc/smtpd.conf"
	OPENSMTPD_PID=$STARTED
	OPENSMTPD_LOG=$(scratch)/$name.err
	wait_until smtp_up "$OPENSMTPD_ADDR" "$OPENSMTPD_PID" || return 1
	alive "$OPENSMTPD_PID" || {
		fail "$(cat "$(scratch)/$name.err")"
		return 1
	}
}

stop_opensmtpd() {
	end "$OPENSMTPD_PID"
}
