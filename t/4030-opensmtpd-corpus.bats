# The corpus of 300 odd messages at a whole OpenSMTPD, which has neither
# CHUNKING nor PIPELINING nor SMTPUTF8, and which takes 100 messages a
# connection: it has what was injected, octet for octet.
#
# Not delivered, and why: the nine messages of the shape utf8_header, whose
# header is not ASCII. They may not go to a host that does not offer SMTPUTF8
# (RFC 6531 3.5), so vmta bounces them (5.6.9) without an attempt.
# bats file_tags=slow

load helper/common
load helper/postfix
load helper/private
load helper/opensmtpd
load helper/runq
load helper/corpus

setup_file() {
	corpus_inject
}

teardown() {
	end_test
}

# to_opensmtpd SPOOL [SETTING...]: deliver to the OpenSMTPD, compare.
to_opensmtpd() {
	local left=$BATS_TEST_TMPDIR/left n
	[ -d "$left" ] || without_utf8 "$left"
	equal 291 "$(find "$left" -name '*.eml' | wc -l)"
	n=$(cat "$left"/*.rcpt | wc -l)
	to_peer "$1" "$OPENSMTPD_ADDR" 'log-commands = yes' "${@:2}"
	all_final "$RCPTS"
	equal "b=$((RCPTS - n)) d=$n r=$RCPTS" "$(types)"
	equal $((RCPTS - n)) "$(journal dsnStatus type=b | grep -c '^5\.6\.9')"
	wait_until maildir_has "$n" "$OPENSMTPD_DIR/mail/maildir"
	CORPUS=$left same_in_maildir "$OPENSMTPD_DIR/mail/maildir"
	# It says how each connection ended, and what it refused: nothing but
	# message 101. (Of its purge directory it warns when that is not there
	# yet, which has to do with its own start.)
	! grep -E 'smtp failed-command|reason=(io-error|timeout)|warn:' \
		"$OPENSMTPD_LOG" |
		grep -vE '"452 4.5.3 .*Too many messages sent"|purge_task'
}

@test "OSMTPD: as it comes, one by one and as a stream" {
	need_opensmtpd
	local spool
	for spool in "$SINGLE" "$STREAM"; do
		start_opensmtpd -n "p-${spool##*.}"
		to_opensmtpd "$spool"
		refute logged smtp 'BDAT '
		refute logged smtp 'BODY=SMTPUTF8'
		logged smtp 'BODY=8BITMIME'
		stop_opensmtpd
	done
}

@test "OSMTPD: one connection a queue, few recipients a transaction" {
	need_opensmtpd
	start_opensmtpd
	to_opensmtpd "$STREAM" 'max-smtp-out = 1' \
		'max-rcpt-per-transaction = 7'
	# It wanted no more on a connection, and none was the worse for it.
	grep -q 'Too many messages sent' "$OPENSMTPD_LOG"
	refute logged deferred
}

# Its queue of connections to be accepted has five places; the kernel drops
# what comes then, and the client waits for a greeting.
@test "OSMTPD: a connection that is not greeted, and all mail is gone" {
	start_sink --delay 'greeting skip=2 300000'
	make_prefix
	rconf1 'smtp-greeting-timeout = 5m' 'max-smtp-out = 10'
	send_many 1 50 one.example
	timeout 150 "$P/bin/vmta-runq"
	all_final 50
	[ "$(sink_count connections)" -gt 2 ]
	# It failed nothing, and nobody.
	refute logged session-failed
	refute logged queue-deferred
}
