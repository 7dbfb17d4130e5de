# 300 odd messages go through all of it - vmta-inject one by one and as a
# stream, spool, vmta-runq - and arrive the same octet for octet, at a whole
# Postfix and at the sink, whatever the peer offers.
# bats file_tags=slow

load helper/common
load helper/postfix
load helper/runq

# Once for all tests: a spool into which the corpus was injected one by one,
# and one into which it came as a stream.
setup_file() {
	export CORPUS=$BATS_FILE_TMPDIR/corpus
	python3 "$HELPER/gen.py" corpus "$CORPUS"
	export RCPTS
	RCPTS=$(cat "$CORPUS"/*.rcpt | wc -l)
	make_prefix
	export SINGLE=$P
	SINK_PORT=1 rconf1
	for eml in "$CORPUS"/*.eml; do
		mapfile -t rcpts <"${eml%.eml}.rcpt"
		inject -f "m-$(basename "$eml" .eml)@sender.example" \
			"${rcpts[@]}" <"$eml" || return 1
	done
	waiting "$RCPTS"
	make_prefix
	export STREAM=$P
	SINK_PORT=1 rconf1
	python3 "$HELPER/corpus.py" bsmtp "$CORPUS" |
		inject --bsmtp >"$BATS_FILE_TMPDIR/said"
	equal 'accepted 300 rejected 0 suppressed 0' \
		"$(cat "$BATS_FILE_TMPDIR/said")"
	waiting "$RCPTS"
}

teardown() {
	end_test
}

# loaded SPOOL: a prefix with a copy of that spool.
loaded() {
	make_prefix
	cp -a "$1/spool/." "$P/spool"
}

# to_postfix SPOOL [SETTING...]: deliver to the Postfix, compare.
to_postfix() {
	loaded "$1"
	HOSTS="'[${POSTFIX_ADDR%:*}]:${POSTFIX_ADDR##*:}'" rconf1 "${@:2}"
	deliver
	all_final "$RCPTS"
	equal "d=$RCPTS r=$RCPTS" "$(types)"
	wait_until postfix_has "$RCPTS"
	python3 "$HELPER/compare.py" "$CORPUS" \
		--maildir "$POSTFIX_DIR/mail/maildir"
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

# without_utf8 CORPUS: a copy of the corpus without 8-bit headers.
without_utf8() {
	cp -r "$CORPUS" "$1"
	for eml in "$1"/*.eml; do
		! grep -q '^X-Greeting:' "$eml" || rm "$eml" "${eml%.eml}.rcpt"
	done
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
