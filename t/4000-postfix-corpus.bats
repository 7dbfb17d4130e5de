# 300 odd messages go through all of it - vmta-inject one by one and as a
# stream, spool, vmta-runq - and arrive the same octet for octet, at a whole
# Postfix and at the sink, whatever the peer offers.
# bats file_tags=slow

load helper/common
load helper/postfix
load helper/runq
load helper/corpus

setup_file() {
	corpus_inject
}

teardown() {
	end_test
}

# to_postfix SPOOL [SETTING...]: deliver to the Postfix, compare.
to_postfix() {
	to_peer "$1" "$POSTFIX_ADDR" "${@:2}"
	all_final "$RCPTS"
	equal "d=$RCPTS r=$RCPTS" "$(types)"
	wait_until postfix_has "$RCPTS"
	same_in_maildir "$POSTFIX_DIR/mail/maildir"
	# Postfix compares its own clock with that of its file system; on a busy
	# machine they differ by a second now and then, which is no fault of ours.
	! grep -E 'warning|fatal|error|panic' "$POSTFIX_DIR/log" |
		grep -vE 'file system clock|resetting file time stamps'
}

# to_sink SPOOL SETTING [SINK-OPTION...]: deliver to a strict sink.
to_sink() {
	loaded "$1"
	rm -rf "$(scratch)"/sink-sink
	start_sink -s "${@:3}"
	rconf1 "$2"
	deliver
	sink_strict
	settled
	nothing_waits
}

same_at_sink() {
	all_final "$RCPTS"
	equal "d=$RCPTS r=$RCPTS" "$(types)"
	python3 "$HELPER/compare.py" "$CORPUS" \
		--store "$SINK_DIR/store" --log "$SINK_LOG"
}

@test "Postfix with CHUNKING: one by one and as a stream" {
	need_postfix_mta
	local spool
	for spool in "$SINGLE" "$STREAM"; do
		start_postfix -n "p-${spool##*.}"
		to_postfix "$spool" 'log-commands = yes'
		[ "$(logged smtp 'BDAT ' | wc -l)" -ge 300 ]
		stop_postfix
	done
}

@test "Postfix without CHUNKING: one by one and as a stream" {
	need_postfix_mta
	local spool
	for spool in "$SINGLE" "$STREAM"; do
		start_postfix -n "p-${spool##*.}" \
			smtpd_discard_ehlo_keywords=chunking,silent-discard
		to_postfix "$spool" 'log-commands = yes'
		refute logged smtp 'BDAT '
		stop_postfix
	done
}

@test "Postfix: ignore-pipelining, with CHUNKING and without" {
	need_postfix_mta
	start_postfix -n one
	to_postfix "$STREAM" 'ignore-pipelining = yes'
	stop_postfix
	start_postfix -n two
	to_postfix "$SINGLE" 'ignore-pipelining = yes' 'ignore-chunking = yes'
}

@test "the sink: all it offers, and CHUNKING, PIPELINING off in turn" {
	to_sink "$SINGLE" ''
	same_at_sink
	to_sink "$STREAM" '' --no CHUNKING
	same_at_sink
	to_sink "$STREAM" '' --no PIPELINING
	same_at_sink
	to_sink "$SINGLE" '' --no PIPELINING --no CHUNKING --no SIZE \
		--no ENHANCEDSTATUSCODES
	same_at_sink
	to_sink "$STREAM" 'max-rcpt-per-transaction = 7' --no CHUNKING \
		--limits 'RCPTMAX=5 MAILMAX=9'
	same_at_sink
}

@test "the sink without SMTPUTF8: an 8-bit header bounces 5.6.9" {
	local left=$BATS_TEST_TMPDIR/left n
	without_utf8 "$left"
	n=$(cat "$left"/*.rcpt | wc -l)
	[ "$n" -lt "$RCPTS" ]
	to_sink "$SINGLE" '' --no SMTPUTF8
	all_final "$RCPTS"
	equal "$((RCPTS - n))" "$(journal dsnStatus type=b | grep -c '^5\.6\.9')"
	equal "$n" "$(journal type type=d | wc -l)"
	python3 "$HELPER/compare.py" "$left" \
		--store "$SINK_DIR/store" --log "$SINK_LOG"
}

@test "the sink without 8BITMIME: re-encoded, decodes to the same" {
	local left=$BATS_TEST_TMPDIR/left n how
	without_utf8 "$left"
	n=$(cat "$left"/*.rcpt | wc -l)
	for how in '' CHUNKING; do
		# shellcheck disable=SC2086
		to_sink "$STREAM" '' --no 8BITMIME --no SMTPUTF8 \
			${how:+--no $how}
		all_final "$RCPTS"
		equal "$n" "$(journal type type=d | wc -l)"
		python3 "$HELPER/corpus.py" decoded "$left" \
			--store "$SINK_DIR/store" --log "$SINK_LOG"
	done
}
