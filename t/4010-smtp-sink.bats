# Postfix's smtp-sink as the receiver: whatever it refuses, breaks off, delays
# or does not know gives the right records, and no mail is lost or sent twice.

load helper/common
load helper/postfix
load helper/runq

setup() {
	need_postfix
	make_prefix
}

teardown() {
	end_test
}

# to_smtp_sink [OPTION...] [-- SETTING...]: four recipients of three messages
# to two domains, one run to an smtp-sink with these options. What it takes
# is below $DUMP (another user must get there).
to_smtp_sink() {
	local opts=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		opts+=("$1")
		shift
	done
	shift || true
	rm -rf "$P"/spool/* "$P"/log/*
	DUMP=$(mktemp -d /tmp/vmta-dump.XXXXXX)
	echo "$DUMP" >>"$(scratch)/.dirs"
	chmod 777 "$DUMP"
	start_smtp_sink -v -d "$DUMP/m." "${opts[@]}"
	HOSTS="'[${SMTP_SINK_ADDR%:*}]:${SMTP_SINK_ADDR##*:}'" \
		rconf1 'retry-after = 1h' 'retry-recipients-after = 1h' \
		'log-commands = yes' "$@"
	send a1@one.example a2@one.example
	send b@one.example
	send c@two.example
	deliver
	end "$SMTP_SINK_PID"
}

# Messages that smtp-sink has seen to their end.
dumped() {
	grep -rl '^hello' "$DUMP" | wc -l
}

# all_are TYPE STATUS TEXT WHAT: each recipient has one record of this type,
# with this status and text, and there is none other but tq and r.
all_are() {
	equal "4 $1=4" "$(journal rcpt "type=$1" | sort -u | wc -l) $(types |
		tr ' ' '\n' | grep -v '^t\?[qr]=' | xargs)" "$4: records"
	equal "$2" "$(journal dsnStatus "type=$1" | cut -d ' ' -f 1 |
		sort -u | xargs)" "$4: status"
	equal 4 "$(journal dsnDiag "type=$1" | grep -c -e "$3")" "$4: text"
}

# The queues have failed, not the recipients.
queues_wait() {
	waiting 4
	equal 2 "$(journal rcpt type=tq | wc -l)" "$1: tq records"
	equal 0 "$(journal rcpt type=d type=b | wc -l)"
	equal 2 "$(journal dsnDiag type=tq | grep -c -e "$2")" "$1: text"
}

# On or without an answer, in the middle of a session: nothing is final.
nothing_final() {
	waiting 4
	equal '' "$(types | tr ' ' '\n' | grep -v '^\(r\|t\|tq\)=')" "$1"
	journal dsnDiag type=t >"$P/texts"
	journal dsnDiag type=tq >>"$P/texts"
	[ -s "$P/texts" ] || fail "$1: no records"
	refute grep -v -e "$2" "$P/texts"
}

@test "-f, -r: refused at MAIL, RCPT, DATA and the end of data" {
	local at
	for at in MAIL RCPT DATA .; do
		to_smtp_sink -f "$at"
		all_are b 5.3.0 'smtp;500 5.3.0 Error: command failed' "-f $at"
		all_final 4
		to_smtp_sink -r "$at"
		all_are t 4.3.0 'smtp;450 4.3.0 Error: command failed' "-r $at"
		waiting 4
	done
	to_smtp_sink -f RCPT -B '550 No such user'
	all_are b 5.0.0 'smtp;550 No such user' 'its own words'
}

@test "-f, -r, -q, -Q at the greeting and EHLO: the queue's clock" {
	local what
	for what in '-f CONNECT' '-f EHLO,HELO' '-r CONNECT' '-r EHLO' \
		'-q CONNECT' '-q EHLO' '-Q CONNECT' '-Q EHLO'; do
		# shellcheck disable=SC2086
		to_smtp_sink $what
		case $what in
		-f*) queues_wait "$what" '^smtp;500 5.3.0' ;;
		-r*) queues_wait "$what" '^smtp;450 4.3.0' ;;
		-q*) queues_wait "$what" 'connection closed by peer' ;;
		-Q*) queues_wait "$what" '^smtp;421 4.0.0' ;;
		esac
		equal 0 "$(dumped)"
	done
	to_smtp_sink -f CONNECT -- 'bounce-upon-5xx-greeting = yes'
	all_final 4
	equal b=4 "$(types | tr ' ' '\n' | grep '^b')"
}

@test "-q, -Q in the middle: nothing is final, and a later run delivers" {
	local at
	for at in MAIL RCPT DATA .; do
		to_smtp_sink -q "$at"
		nothing_final "-q $at" 'connection closed by peer'
		[ "$at" = . ] || equal 0 "$(dumped)"
		to_smtp_sink -Q "$at"
		nothing_final "-Q $at" '^smtp;421 4.0.0'
	done
	start_sink
	rconf1
	deliver --now
	equal 4 "$(sink_count recipients)"
	all_final 4
}

@test "whatever happens to QUIT and RSET: delivered" {
	local what
	for what in '-f QUIT' '-r QUIT' '-q QUIT' '-Q QUIT' '-f RSET' \
		'-q RSET'; do
		# shellcheck disable=SC2086
		to_smtp_sink $what
		all_final 4
		all_are d 2.0.0 'smtp;250 2.0.0 Ok' "$what"
		equal 3 "$(dumped)"
	done
}

@test "what it does not offer: -8 -p -E -N -e -P, EHLO refused" {
	local what
	for what in -8 -p -E -N -e -P '-f EHLO' '-8 -p -E -N' '-m 1' '-T 500'
	do
		# shellcheck disable=SC2086
		to_smtp_sink $what
		all_final 4
		all_are d 2.0.0 'smtp;250 2.0.0 Ok' "$what"
		equal 3 "$(dumped)"
		case $what in
		-P | '-f EHLO') logged smtp 'HELO v1.example' >"$P/helo" ;;
		esac
	done
}

@test "-8: eight-bit text is re-encoded; with 8BITMIME it is not" {
	local opt want
	for opt in -8 -C; do
		to_smtp_sink "$opt"
		rm -rf "${DUMP:?}"/*
		start_smtp_sink "$opt" -d "$DUMP/m."
		HOSTS="'[${SMTP_SINK_ADDR%:*}]:${SMTP_SINK_ADDR##*:}'" rconf1
		{
			printf 'MIME-Version: 1.0\nContent-Type: text/plain;'
			printf ' charset=utf-8\nContent-Transfer-Encoding: 8bit'
			printf '\n\nGr\303\274\303\237e\n'
		} | inject -f s@sender.example b@one.example
		deliver
		all_final 5
		want=$(printf 'Gr\303\274\303\237e')
		[ "$opt" = -C ] || want='Gr=C3=BC=C3=9Fe'
		grep -rqFx "$want" "$DUMP" || fail "$opt: $(cat "$DUMP"/*)"
		end "$SMTP_SINK_PID"
	done
}

@test "-w, -W: slow answers are waited for, up to the timeout" {
	to_smtp_sink -p -w 1 -W .:1 -W RCPT:1
	all_final 4
	all_are d 2.0.0 'smtp;250 2.0.0 Ok' slow
	to_smtp_sink -p -w 20 -- 'command-timeout = 1s'
	nothing_final '-w 20' 'time'
	equal 0 "$(dumped)"
}
