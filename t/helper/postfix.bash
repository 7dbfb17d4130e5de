# Real peers: a whole Postfix with a configuration, queue and maildir of its
# own, and Postfix's smtp-sink; both from the package that t/helper/peers.sh
# unpacked. Nothing is installed, no user is made, no service is touched.
#
#	load helper/common
#	load helper/postfix
# shellcheck shell=bash disable=SC2034,SC2154 # see common.bash

POSTFIX_ROOT=$PEERS/postfix

# The libraries of the unpacked packages.
peer_libs() {
	local dir libs=$POSTFIX_ROOT/usr/lib/postfix
	for dir in "$PEERS"/*/usr/lib/*-linux-gnu "$PEERS"/*/lib/*-linux-gnu; do
		[ ! -d "$dir" ] || libs=$libs:$dir
	done
	echo "$libs"
}

# The configuration files of a Postfix that takes mail for all domains and
# puts it in one maildir as it came. postfix_conf DIR ADDRESS [PARAM=VALUE...]
postfix_conf() {
	local dir=$1 address=$2
	shift 2
	cat >"$dir/etc/main.cf" <<-END
		compatibility_level = 3.6
		config_directory = $dir/etc
		meta_directory = $POSTFIX_ROOT/etc/postfix
		queue_directory = $dir/queue
		data_directory = $dir/data
		daemon_directory = $POSTFIX_ROOT/usr/lib/postfix/sbin
		command_directory = $POSTFIX_ROOT/usr/sbin
		shlib_directory = $POSTFIX_ROOT/usr/lib/postfix
		import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ=UTC
		mail_owner = daemon
		setgid_group = mail
		default_privs = nobody
		maillog_file = $dir/log
		maillog_file_prefixes = /
		myhostname = mx.postfix.example
		mydestination =
		mynetworks =
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		virtual_mailbox_domains = static:all
		virtual_mailbox_maps = static:maildir/
		virtual_mailbox_base = $dir/mail
		virtual_mailbox_limit = 0
		virtual_uid_maps = static:$(id -u nobody)
		virtual_gid_maps = static:$(id -g nobody)
		message_size_limit = 104857600
		local_transport = error:none
		relay_transport = error:none
		default_transport = error:none
		smtpd_relay_restrictions =
		smtpd_recipient_restrictions = reject_unauth_destination
		smtpd_recipient_limit = 10000
		smtpd_peername_lookup = no
		smtpd_client_connection_count_limit = 0
		smtp_dns_support_level = disabled
		alias_maps =
		notify_classes =
		local_header_rewrite_clients =
		message_drop_headers =
		disable_mime_input_processing = yes
		enable_long_queue_ids = yes
	END
	[ $# = 0 ] || printf '%s\n' "$@" >>"$dir/etc/main.cf"
	cat >"$dir/etc/master.cf" <<-END
		$address inet n - n - 100 smtpd
		cleanup unix n - n - 0 cleanup
		qmgr unix n - n 300 1 qmgr
		rewrite unix - - n - - trivial-rewrite
		bounce unix - - n - 0 bounce
		defer unix - - n - 0 bounce
		trace unix - - n - 0 bounce
		verify unix - - n - 1 verify
		error unix - - n - - error
		retry unix - - n - - error
		virtual unix - n n - - virtual
		anvil unix - - n - 1 anvil
		flush unix n - n 1000 0 flush
		proxymap unix - - n - - proxymap
		showq unix n - n - - showq
		postlog unix-dgram n - n - 1 postlogd
	END
}

# The directories, with the owners that Postfix insists on.
postfix_dirs() {
	local dir=$1 q
	mkdir "$dir"/{etc,queue,data,mail}
	chmod 755 "$dir"
	for q in active bounce corrupt defer deferred flush hold incoming \
		private saved trace maildrop public; do
		mkdir -m 700 "$dir/queue/$q"
	done
	mkdir "$dir/queue/pid"
	chmod 730 "$dir/queue/maildrop"
	chmod 710 "$dir/queue/public"
	chown daemon "$dir"/queue/* "$dir/data"
	chgrp mail "$dir/queue/maildrop" "$dir/queue/public"
	chown root "$dir/queue/pid"
	chown nobody "$dir/mail"
	touch "$dir/log"
}

# start_postfix [-n NAME] [PARAM=VALUE...]: a Postfix on an address of its own
# and port 2525. Sets POSTFIX_ADDR (ADDRESS:PORT), POSTFIX_DIR (log, mail) and
# POSTFIX_PID. Needs root (need_postfix_mta). Without CHUNKING:
# smtpd_discard_ehlo_keywords=chunking,silent-discard.
start_postfix() {
	local name=postfix libs
	if [ "${1:-}" = -n ]; then
		name=$2
		shift 2
	fi
	# not below the test's directory: others may not look into that
	POSTFIX_DIR=$(mktemp -d /tmp/vmta-postfix.XXXXXX)
	echo "$POSTFIX_DIR" >>"$(scratch)/.dirs"
	POSTFIX_ADDR=$(own_address):2525
	postfix_dirs "$POSTFIX_DIR"
	postfix_conf "$POSTFIX_DIR" "$POSTFIX_ADDR" "$@"
	libs=$(peer_libs)
	start "$name" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		LD_LIBRARY_PATH="$libs" MAIL_CONFIG="$POSTFIX_DIR/etc" \
		setsid "$POSTFIX_ROOT/usr/lib/postfix/sbin/master" \
		-c "$POSTFIX_DIR/etc" -d
	POSTFIX_PID=$STARTED
	wait_until smtp_up "$POSTFIX_ADDR" "$POSTFIX_PID" || return 1
	alive "$POSTFIX_PID" || {
		fail "$(cat "$POSTFIX_DIR/log" "$(scratch)/$name.err")"
		return 1
	}
}

# Does it greet (or has it ended)?
smtp_up() {
	gone "$2" || talk "$1" <<<'< 220' 2>/dev/null
}

# Does it take connections (or has it ended)? smtp-sink may be told not to
# greet.
tcp_up() {
	gone "$2" || (: <>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null
}

stop_postfix() {
	end "$POSTFIX_PID"
}

# postfix_has N [DIR]: are N messages in the maildir (for wait_until)?
postfix_has() {
	local found
	found=$(find "${2:-$POSTFIX_DIR}/mail/maildir/new" -type f 2>/dev/null |
		wc -l)
	[ "$found" -ge "$1" ]
}

# start_smtp_sink [OPTION...]: Postfix's smtp-sink. Sets SMTP_SINK_ADDR and
# SMTP_SINK_PID.
start_smtp_sink() {
	local user=()
	[ "$(id -u)" != 0 ] || user=(-u nobody)
	SMTP_SINK_ADDR=$(own_address):2526
	start smtp-sink env LD_LIBRARY_PATH="$(peer_libs)" \
		"$POSTFIX_ROOT/usr/sbin/smtp-sink" "${user[@]}" "$@" \
		"inet:$SMTP_SINK_ADDR" 1000
	SMTP_SINK_PID=$STARTED
	wait_until tcp_up "$SMTP_SINK_ADDR" "$SMTP_SINK_PID" || return 1
	alive "$SMTP_SINK_PID" || {
		fail "$(cat "$(scratch)/smtp-sink.err")"
		return 1
	}
}
