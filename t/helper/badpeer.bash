# The SMTP server that behaves badly (see badpeer.py), for bats files; to be
# loaded after common.
#
#	start_bad <<-'END'
#		conn 1
#		send 421 not now
#		conn *
#		polite
#	END

# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# start_bad [-n NAME] [OPTION...] <<END: start it with the script. Without -l it
# listens on 127.0.0.1 and a port of the kernel's choice. Sets BAD_PID, BAD_DIR,
# BAD_LOG, BAD_ADDRS (array), BAD_ADDR and BAD_PORT (of the first). With
# NS=name it runs in that namespace. Returns when it listens.
start_bad() {
	local name=bad ns=()
	if [ "${1:-}" = -n ]; then
		name=$2
		shift 2
	fi
	BAD_DIR=$(scratch)/bad-$name
	BAD_LOG=$BAD_DIR/log
	mkdir -p "$BAD_DIR"
	rm -f "$BAD_DIR/ready" "$BAD_LOG"
	cat >"$BAD_DIR/script"
	[ -z "${NS:-}" ] || ns=(ip netns exec "$(ns_name "$NS")")
	start "bad-$name/process" "${ns[@]}" /usr/bin/python3 -I \
		"$HELPER/badpeer.py" --ready "$BAD_DIR/ready" \
		--log "$BAD_LOG" "$@" "$BAD_DIR/script"
	BAD_PID=$STARTED
	echo "$BAD_PID" >"$BAD_DIR/pid"
	wait_until sink_ready "$BAD_DIR" "$BAD_PID" || return 1
	[ -s "$BAD_DIR/ready" ] || {
		fail "bad peer $name: $(cat "$BAD_DIR/process.err")"
		return 1
	}
	mapfile -t BAD_ADDRS <"$BAD_DIR/ready"
	BAD_ADDR=${BAD_ADDRS[0]}
	BAD_PORT=${BAD_ADDR##*:}
}

# stop_bad [NAME]
stop_bad() {
	end "$(cat "$(scratch)/bad-${1:-bad}/pid")"
}

# bad_go NAME [PEER]: what a script waits for by `await NAME`.
bad_go() {
	: >"$(scratch)/bad-${2:-bad}/$1"
}

# bad_log EVENT [NAME]: the log's lines of an event.
bad_log() {
	sed -n "/^$1\t/p" "$(scratch)/bad-${2:-bad}/log"
}

# bad_count EVENT [NAME]: how many there are.
bad_count() {
	bad_log "$1" "${2:-bad}" | wc -l
}

# bad_has N EVENT [NAME]: are there so many? For wait_until.
bad_has() {
	[ "$(bad_count "$2" "${3:-bad}")" -ge "$1" ]
}

# bad_conns [NAME]: how many connections were made.
bad_conns() {
	bad_count conn "${1:-bad}"
}

# bad_complete [NAME]: the Message-ID of each complete message, each time.
bad_complete() {
	bad_log complete "${1:-bad}" | cut -f 3
}

# bad_ended N [WHO [NAME]]: have so many connections ended (WHO: us, peer, rst;
# default any)? For wait_until.
bad_ended() {
	[ "$(bad_log end "${3:-bad}" | grep -c "	${2:-}[a-z]*\$")" -ge "$1" ]
}
