# The corpus of 300 odd messages at a whole Exim, with CHUNKING and without:
# it has what was injected, octet for octet.
# bats file_tags=slow

load helper/common
load helper/postfix
load helper/private
load helper/exim
load helper/runq
load helper/corpus

setup_file() {
	corpus_inject
}

teardown() {
	end_test
}

# to_exim SPOOL [SETTING...]: deliver to the Exim, compare.
to_exim() {
	to_peer "$1" "$EXIM_ADDR" 'log-commands = yes' "${@:2}"
	all_final "$RCPTS"
	equal "d=$RCPTS r=$RCPTS" "$(types)"
	wait_until maildir_has "$RCPTS" "$EXIM_DIR/mail/maildir"
	same_in_maildir "$EXIM_DIR/mail/maildir"
	[ ! -s "$EXIM_DIR/log/panic" ] || fail "$(cat "$EXIM_DIR/log/panic")"
	[ ! -s "$EXIM_DIR/log/reject" ] || fail "$(cat "$EXIM_DIR/log/reject")"
	# What it found wrong with how we speak it calls an error.
	refute grep -iE 'error|unexpected|incomplete|lost' "$EXIM_DIR/log/main"
}

# by_chunks: all messages went as chunks (Exim logs it as K), each whole.
by_chunks() {
	equal "$(logged smtp 'BDAT ' | wc -l)" \
		"$(grep -c ' <= .* K ' "$EXIM_DIR/log/main")"
	refute grep -q ' <= .* P=esmtp S=' "$EXIM_DIR/log/main"
	refute logged smtp 'line=DATA'
	[ "$(logged smtp 'BDAT ' | wc -l)" -ge 300 ]
}

@test "EXIM: with CHUNKING, one by one and as a stream" {
	need_exim
	local spool
	for spool in "$SINGLE" "$STREAM"; do
		start_exim -n "p-${spool##*.}" 'chunking_advertise_hosts = *'
		to_exim "$spool"
		by_chunks
		stop_exim
	done
}

@test "EXIM: without CHUNKING, one by one and as a stream" {
	need_exim
	local spool
	for spool in "$SINGLE" "$STREAM"; do
		start_exim -n "p-${spool##*.}" 'chunking_advertise_hosts ='
		to_exim "$spool"
		refute logged smtp 'BDAT '
		refute grep -q ' <= .* K ' "$EXIM_DIR/log/main"
		stop_exim
	done
}

@test "EXIM: ignore-pipelining, with CHUNKING and without" {
	need_exim
	start_exim -n one
	to_exim "$STREAM" 'ignore-pipelining = yes'
	by_chunks
	stop_exim
	start_exim -n two
	to_exim "$SINGLE" 'ignore-pipelining = yes' 'ignore-chunking = yes'
	refute logged smtp 'BDAT '
}

# Exim answers a BDAT whose recipients were all refused, and the next MAIL on
# that connection counts (a client that loses count hangs or sends twice).
@test "EXIM: refused recipients before a chunk that is on its way" {
	need_exim
	local how
	for how in '*' ''; do
		start_exim -n "refuse${how:+-chunks}" \
			"chunking_advertise_hosts = $how"
		make_prefix
		HOSTS="'[${EXIM_ADDR%:*}]:${EXIM_ADDR##*:}'" rconf1 \
			'max-smtp-out = 1' 'retry-after = 5h'
		for i in $(seq 20); do
			send "no$i@one.example"
			send "ok$i@one.example" "no-$i@one.example"
			send "later$i@one.example"
		done
		deliver
		equal 'b=40 d=20 r=80 t=20' "$(types)"
		equal 20 "$(journal dsnDiag type=t 'dsnDiag=smtp;450 4.2.0 Later' |
			wc -l)"
		equal 40 "$(journal dsnDiag type=b \
			'dsnDiag=smtp;550 5.1.1 No such user' | wc -l)"
		wait_until maildir_has 20 "$EXIM_DIR/mail/maildir"
		equal 20 "$(cat "$EXIM_DIR"/mail/maildir/new/* |
			grep -c '^Envelope-to: ok')"
		refute grep -iE 'error|unexpected|panic' "$EXIM_DIR/log/main"
		stop_exim
	done
}
