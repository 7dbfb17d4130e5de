# A bad peer and a good one beside it, and what must become of the mail for
# both; to be loaded after common, badpeer and runq.
#
#	meet <<-'END'
#		conn 1
#		upto MAIL
#		send 451 4.3.0 no
#	END
#	send r1@bad.example
#	deliver
#	became t r1@bad.example 4.3.0 '451 4.3.0 no'
#	in_the_end 1

# shellcheck shell=bash disable=SC2034

# meet [-n NAME] [-o OPTION]... [SETTING...] <<END: a fresh prefix; a bad peer
# with this script (which is a good one to all other connections) for every
# domain but good.example, which has a sink and one message. GOOD is the sink's
# address. HOSTS and OUT (max-smtp-out) are other than that when they are set.
meet() {
	local opts=()
	while [ "${1:-}" = -n ] || [ "${1:-}" = -o ]; do
		if [ "$1" = -n ]; then
			BAD_NAME=$2
			opts+=(-n "$2")
		else
			opts+=("$2")
		fi
		shift 2
	done
	make_prefix
	[ -n "${GOOD:-}" ] || {
		start_sink -n good
		GOOD=127.0.0.1:$SINK_PORT
	}
	start_bad "${opts[@]}" < <(
		cat
		printf 'conn *\npolite\n'
	)
	HOSTS=${HOSTS:-"'[127.0.0.1]:$BAD_PORT'"} rconf 'retry-after = 5h' \
		"max-smtp-out = ${OUT:-1}" "$@" <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		domain 'good.example' {
			smtp-hosts = {'[127.0.0.1]:${GOOD##*:}'}
			command-timeout = 5m
			smtp-data-termination-timeout = 10m
			data-send-timeout = 5m
			data-transfer-timeout = 30m
		}
	END
	send g@good.example
}

# became TYPE RCPT STATUS [TEXT]: he has one record of this type, with this
# status and text, and the good domain had its mail in the same run.
became() {
	local got
	got=$(journal dsnStatus dsnDiag "type=$1" "rcpt=$2")
	equal 1 "$(grep -c . <<<"$got")" "$1 records of $2 ($(types))" ||
		return 1
	[[ $got == "$3"[[:space:]]*"${4:-}"* ]] || {
		fail "$2: expected '$1 $3 ${4:-}', found '$got'"
		return 1
	}
	good_went
}

good_went() {
	equal 1 "$(journal rcpt type=d rcpt=g@good.example | wc -l)" \
		'the good domain'
}

# queue_failed STATUS TEXT: bad.example as such has failed, once, with this.
queue_failed() {
	local got
	got=$(journal dsnStatus dsnDiag type=tq queue=bad.example/v1)
	equal 1 "$(grep -c . <<<"$got")" 'tq records' || return 1
	[[ $got == "$1"[[:space:]]*"$2"* ]] || {
		fail "expected 'tq $1 $2', found '$got'"
		return 1
	}
	equal 1 "$(clock step)" step && good_went
}

# clock KEY: its value in the state of queue bad.example/v1.
clock() {
	sed -n "s/^$1: //p" "$P/spool/state/retry/v1/bad.example"
}

no_clock() {
	[ ! -e "$P/spool/state/retry/v1/bad.example" ] ||
		fail "$(cat "$P/spool/state/retry/v1/bad.example")"
}

# in_the_end N [TWICE]: another run, to what is now a good peer and may take its
# time: N recipients (and the good one) have their one final record, nothing
# waits, and no message came whole to the bad peer more than once, but TWICE of
# them.
in_the_end() {
	sed -i '/-timeout = /d' "$VMTA_CONFIG"
	deliver --now && all_final $(($1 + 1)) && no_clock || return 1
	equal "${2:-0}" "$(bad_complete "${BAD_NAME:-bad}" | sort | uniq -d |
		wc -l)" 'messages that came twice'
}

# big N: a message of about N MiB.
big() {
	message
	yes "$(printf '%01022d' 0)" | head -n "$1"000
}

# big_send N RCPT...: inject it.
big_send() {
	big "$1" | inject -f s@sender.example "${@:2}"
}
