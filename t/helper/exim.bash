# A real peer: an Exim with a configuration, spool and maildir of its own, from
# the package that t/helper/peers.sh unpacked. It looks for the user
# Debian-exim, whom only its own mount namespace has.
#
#	load helper/common
#	load helper/private
#	load helper/postfix (own_address, peer_libs, smtp_up)
#	load helper/exim
# shellcheck shell=bash disable=SC2034,SC2154 # see common.bash

EXIM=$PEERS/exim/usr/sbin/exim4

need_exim() {
	need_private
	[ -x "$EXIM" ] || skip "needs Exim unpacked: make peers"
}

# The configuration of an Exim that takes mail for all domains, but for local
# parts that begin with `no` or `later`, and puts it in one maildir as it came.
# exim_conf DIR ADDRESS [OPTION = VALUE...]
exim_conf() {
	local dir=$1 address=$2
	shift 2
	{
		cat <<-END
			exim_path = $EXIM
			keep_environment = LD_LIBRARY_PATH
			spool_directory = $dir/spool
			log_file_path = $dir/log/%s
			pid_file_path = $dir/pid
			local_interfaces = <; [${address%:*}]:${address##*:}
			primary_hostname = mx.exim.example
			deliver_drop_privilege
			acl_smtp_rcpt = rcpt
			smtp_accept_max = 0
			smtp_accept_max_per_connection = 0
			smtp_accept_queue_per_connection = 0
			recipients_max = 0
			rfc1413_hosts =
			host_lookup =
			tls_advertise_hosts =
			smtputf8_advertise_hosts = *
			log_selector = +incoming_port +received_recipients
		END
		[ $# = 0 ] || printf '%s\n' "$@"
		cat <<-END
			begin acl
			rcpt:
			  deny local_parts = ^no
			       message = 550 5.1.1 No such user
			  defer local_parts = ^later
			        message = 450 4.2.0 Later
			  accept
			begin routers
			all:
			  driver = accept
			  transport = maildir
			begin transports
			maildir:
			  driver = appendfile
			  directory = $dir/mail/maildir
			  maildir_format
			  return_path_add
			  envelope_to_add
		END
	} >"$dir/etc/exim.conf"
}

# start_exim [-n NAME] [OPTION = VALUE...]: an Exim on an address of its own
# and port 2525. Sets EXIM_ADDR (ADDRESS:PORT), EXIM_DIR (log, mail) and
# EXIM_PID. Needs root (need_exim). Without CHUNKING:
# 'chunking_advertise_hosts ='.
start_exim() {
	local name=exim uid=64901
	if [ "${1:-}" = -n ]; then
		name=$2
		shift 2
	fi
	# not below the test's directory: others may not look into that
	EXIM_DIR=$(mktemp -d /tmp/vmta-exim.XXXXXX)
	echo "$EXIM_DIR" >>"$(scratch)/.dirs"
	chmod 755 "$EXIM_DIR"
	EXIM_ADDR=$(own_address):2525
	mkdir "$EXIM_DIR"/{etc,spool,log,mail}
	chown $uid:$uid "$EXIM_DIR"/{spool,log,mail}
	private_users "$EXIM_DIR" Debian-exim:$uid
	: >"$EXIM_DIR/mounts"
	exim_conf "$EXIM_DIR" "$EXIM_ADDR" "$@"
	start_private "$name" "$EXIM_DIR" env -i \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin TZ=UTC \
		LD_LIBRARY_PATH="$(peer_libs)" \
		"$EXIM" -bdf -q10s -C "$EXIM_DIR/etc/exim.conf"
	EXIM_PID=$STARTED
	wait_until smtp_up "$EXIM_ADDR" "$EXIM_PID" || return 1
	alive "$EXIM_PID" || {
		fail "$(cat "$EXIM_DIR"/log/* "$(scratch)/$name.err")"
		return 1
	}
}

stop_exim() {
	end "$EXIM_PID"
}
