# vmta-queue move: without a run and beside one. What a crash leaves at each
# system call is walked by t/crash/move.c.

load helper/common
load helper/runq
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_test
}

# rconf2 [SETTING...]: two VirtualMTAs, from 127.0.0.1 and 127.0.0.2.
rconf2() {
	rconf "$@" <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
		virtual-mta-pool p { virtual-mta = {'v1', 'v2'} }
	END
}

# rconfn [SETTING...]: six of them, v1 to v6, from 127.9.N.7.
rconfn() {
	for i in $(seq 6); do
		echo "virtual-mta v$i { smtp-source-host = '127.9.$i.7 v$i.example' }"
	done | rconf "$@"
}

# known: all that is known of each recipient, but where it is.
known() {
	vqueue list --format csv --all | csv id rcptIndex orig rcpt jobId envId \
		state attempts queued nextTry priority bytes | sort
}

# sound: vmta-check spool finds nothing.
sound() {
	vmta-check spool >"$P/findings"
	equal '' "$(cat "$P/findings")"
}

# arrived N: so many recipients, and none of them twice.
arrived() {
	equal "$1" "$(sink_log msg | grep -P '\treply=2' | field rcpt |
		tr ' ' '\n' | wc -l)" 'recipients at the sink'
	equal "$1" "$(sink_log msg | grep -P '\treply=2' | field rcpt |
		tr ' ' '\n' | sort -u | wc -l)" 'different ones'
}

delivered() {
	[ "$(journal type type=d | wc -l)" -ge "$1" ]
}

clocks() {
	[ "$(find "$P/spool/state/retry" -type f | wc -l)" = "$1" ]
}

@test "MOVE: it leaves from the other VirtualMTA's address, as it was" {
	start_sink
	rconf2
	send_many 1 100 one.example two.example -- --job j
	send --job j --envid e --priority 70 a@one.example b@one.example
	known >"$P/before"
	equal "102 of 102 recipients" "$(vqueue move --vmta v1 --to v2)"
	known | diff "$P/before" -
	equal 102 "$(vqueue count --vmta v2)"
	equal "$(find "$P/spool/queue/v2/new" -type f | wc -l)" \
		"$(find "$P/spool/queue" -type f | wc -l)"
	sound
	deliver
	equal 127.0.0.2 "$(sink_sources)"
	all_final 102
	equal 102 "$(journal type type=r | wc -l)"
	equal v2 "$(journal vmta type=d | sort -u)"
	arrived 102
}

@test "MOVE: part of a batch; the rest stays" {
	start_sink
	rconf2
	# One message with several recipients, and a stream.
	# shellcheck disable=SC2046
	send $(seq -f 'x%g@one.example' 20)
	send_many 1 100 one.example
	known >"$P/before"
	equal "12 of 12 recipients" "$(vqueue move --rcpt '*7@one.example' \
		--to v2)"
	equal 12 "$(vqueue count --vmta v2)"
	equal 108 "$(vqueue count --vmta v1)"
	known | diff "$P/before" -
	sound
	deliver
	equal 12 "$(journal rcpt vmta=v2 type=d | grep -c '7@one.example$')"
	all_final 120
	equal 120 "$(journal type type=r | wc -l)"
	arrived 120
}

@test "MOVE: deferred and held stay so, with their attempts and next try" {
	start_sink --reply 'rcpt:*5@* per-rcpt first=1 451 4.7.1 Later' \
		--reply 'rcpt:*3@* 550 5.1.1 No'
	rconf2 'retry-after = 5h'
	# shellcheck disable=SC2046
	send $(seq -f 'x%g@one.example' 20)
	send_many 1 40 one.example
	vqueue hold --rcpt 'r10@*' --rcpt 'r11@*' --rcpt 'r12@*' \
		--rcpt 'r13@*' --rcpt 'r14@*'
	deliver
	vqueue hold --rcpt 'x*5@*'
	known >"$P/before"
	grep -q deferred "$P/before"
	grep -q held "$P/before"
	n=$(wc -l <"$P/before")
	equal "$n of $n recipients" "$(vqueue move --all --to v2)"
	known | diff "$P/before" -
	sound
	deliver
	equal 0 "$(journal type vmta=v2 | wc -l)"
	vqueue release --all
	deliver --now
	all_final 60
	equal "$n" "$(journal type vmta=v2 | grep -c '[db]')"
	arrived $((60 - $(journal type type=b | wc -l)))
}

@test "MOVE: there and back, and there again" {
	start_sink
	rconf2
	send_many 1 50 one.example two.example
	known >"$P/before"
	for to in v2 v1 v2 v1; do
		vqueue move --domain one.example --to $to
		vqueue move --rcpt 'r1*' --to $to
	done
	known | diff "$P/before" -
	equal "50 of 50 recipients" "$(vqueue move --vmta v1 --to v2)"
	sound
	deliver
	all_final 50
	arrived 50
}

@test "MOVE: content that batches share" {
	start_sink -s
	rconf2
	# shellcheck disable=SC2046
	head -c 200000 /dev/zero | tr '\0' x | fold -w 70 |
		inject -f s@sender.example \
			$(for i in 1 2 3 4; do
				echo "a@d$i.example" "b@d$i.example"
			done)
	[ "$(find "$P/spool/content" -type f | wc -l)" -ge 2 ]
	equal "4 of 4 recipients" "$(vqueue move --rcpt 'a@*' --to v2)"
	sound
	# The last of that batch; what is there already does not count.
	equal "1 of 1 recipients" "$(vqueue move --domain d2.example --to v2)"
	sound
	deliver
	all_final 8
	arrived 8
	equal 1 "$(cd "$SINK_DIR/store" && sed '1,/^\r$/d' ./*.eml |
		sort -u | grep -c '^x\{70\}')"
}

@test "MOVE: what cannot be" {
	start_sink
	rconf2
	send a@one.example
	code() {
		local want=$1
		shift
		run --separate-stderr vqueue move "$@"
		equal "$want" "$status" "$*"
		equal '' "$([ "$want" = 1 ] || echo "$output")"
		[ -n "$output$stderr" ]
	}
	code 64 --to v2
	code 64 --all
	code 65 --all --to nosuch
	code 65 --all --to ../v2
	code 65 --all --to p
	code 1 --domain two.example --to v2
	code 1 --all --to v1
	run vqueue hold --all --to v2
	equal 64 "$status"
	equal "1 of 1 recipients" "$(vqueue move --dry-run --all --to v2)"
	equal 1 "$(vqueue count --vmta v1)"
	refute test -e "$P/spool/queue/v2"
	deliver
	equal 127.0.0.1 "$(sink_sources)"
}

@test "MOVE: a schedule holds there too, the other queue's clock does not" {
	start_sink --reply 'greeting:127.0.0.1 421 4.3.2 Busy' \
		--reply 'ehlo helo=v1.example 421 4.3.2 Busy'
	rconf2 'retry-after = 5h'
	send --at '+1h' later@one.example 2>/dev/null ||
		send --at "$(date -u -d '+1 hour' '+%Y-%m-%d %H:%M:%S')" \
			later@one.example
	send a@one.example
	deliver
	wait_until clocks 1
	equal "2 of 2 recipients" "$(vqueue move --all --to v2)"
	deliver --now
	equal a@one.example "$(sink_log msg | field rcpt | tr -d '<>')"
	waiting 1
}

@test "MOVE: a pause of the VirtualMTA is left behind, one of the job is not" {
	start_sink
	rconf2
	send --job j a@one.example
	send --job k b@one.example
	vqueue pause --vmta v1
	vqueue pause --job k
	start_daemon
	equal "2 of 2 recipients" "$(vqueue move --vmta v1 --to v2)"
	wait_until sink_has 1
	equal "b@one.example paused" "$(vqueue list --format csv |
		csv rcpt reason | xargs)"
	# And into a pause.
	vqueue pause --vmta v2
	vqueue resume --job k
	send c@one.example
	equal "1 of 1 recipients" "$(vqueue move --rcpt 'c@*' --to v2)"
	equal "paused paused" "$(vqueue list --format csv | csv reason | xargs)"
	vqueue resume --all
	wait_until sink_has 3
	end "$RUNQ_PID"
	all_final 3
}

@test "MOVE: beside a daemon, within a second" {
	start_sink --reply 'ehlo helo=v1.example 421 4.3.2 Busy'
	rconf2 'retry-after = 5h'
	send_many 1 300 one.example two.example three.example
	start_daemon
	wait_until clocks 3
	equal "100 of 100 recipients" "$(vqueue move --domain one.example \
		--to v2)"
	wait_until sink_has 100
	equal "1 of 1 recipients" "$(vqueue move --rcpt 'r7@*' --to v2)"
	wait_until sink_has 101
	equal "199 of 199 recipients" "$(vqueue move --all --to v2)"
	wait_until sink_has 300
	end "$RUNQ_PID"
	equal 127.0.0.2 "$(sink_log msg | field src | cut -d : -f 1 | sort -u)"
	all_final 300
	equal 300 "$(journal type type=r | wc -l)"
	arrived 300
	sound
}

@test "MOVE: beside several workers, from one to another" {
	start_sink --reply 'ehlo helo=v[1-5].example 421 4.3.2 Busy'
	rconfn 'retry-after = 5h'
	for i in $(seq 6); do
		vqueue pause --vmta v6
		send_many $((i * 20)) $((i * 20 + 19)) one.example -- --vmta "v$i"
	done
	start_runq --daemon --workers 3
	wait_until clocks 5
	equal "100 of 100 recipients" "$(vqueue move --all --to v6)"
	equal 120 "$(vqueue count --vmta v6)"
	equal "20 of 20 recipients" "$(vqueue move --rcpt 'r2*@*' --rcpt \
		'r3*@*' --to v2)"
	equal "20 of 20 recipients" "$(vqueue move --vmta v2 --to v6)"
	vqueue resume --all
	wait_until sink_has 120
	end "$RUNQ_PID"
	all_final 120
	arrived 120
	sound
}

# bats test_tags=slow
@test "MOVE: recipients in flight are named and stay" {
	start_sink --delay 'bdat 8000'
	rconf2 'max-smtp-out = 1'
	id=$(send -v a@one.example | cut -d ' ' -f 1)
	start_daemon
	wait_until in_transaction
	send b@one.example
	vqueue move --domain one.example --to v2 >"$P/out"
	equal "in flight: one.example/v1 $id 0" "$(grep flight "$P/out")"
	equal "1 of 2 recipients" "$(tail -n 1 "$P/out")"
	wait_until delivered 2
	end "$RUNQ_PID"
	equal "a@one.example v1 b@one.example v2" \
		"$(journal rcpt vmta type=d | sort | xargs)"
	all_final 2
}

in_transaction() {
	[ "$(sink_log msg | wc -l)" -ge 1 ]
}

@test "MOVE: to and fro while a run delivers: each arrives once" {
	start_sink --delay 'bdat 5'
	rconfn 'max-smtp-out = 2'
	send_many 1 1000 one.example two.example -- --vmta v1
	start_runq --workers 2
	for n in 1 2 3 4; do
		wait_until sink_has $((n * 20))
		vqueue move --rcpt "r*$n@*" --to v$((n + 1)) || [ $? = 1 ]
		vqueue move --rcpt "r*$n*@*" --to v$((n + 2)) || [ $? = 1 ]
		vqueue move --rcpt "r*$n@*" --to v1 || [ $? = 1 ]
	done
	ended "$RUNQ_PID"
	deliver
	all_final 1000
	arrived 1000
	equal 1000 "$(journal type type=r | wc -l)"
	sound
}

# bats test_tags=slow
@test "MOVE: an owner that does not answer: 75, and nothing is done" {
	start_sink
	rconf2
	start_daemon
	kill -s STOP "$RUNQ_PID"
	send a@one.example
	run vqueue move --vmta v1 --to v2
	kill -s CONT "$RUNQ_PID"
	equal 75 "$status"
	wait_until sink_has 1
	end "$RUNQ_PID"
	equal 127.0.0.1 "$(sink_sources)"
	settled
	all_final 1
}

# Killed while moves go to and fro; what was deferred before has its records in
# a segment that is not retired.
# bats test_tags=slow
@test "MOVE: kill -9 of the owner: each recipient in one place" {
	local i at
	start_sink --reply 'rcpt:*5@* per-rcpt first=1 451 4.7.1 Later' \
		--sync-log
	rconf2 'retry-after = 5h'
	# Some 1,200 batches: several groups of them a move.
	# shellcheck disable=SC2046
	bsmtp 1 1500 $(seq -f 'd%g.example' 200) | inject --bsmtp >/dev/null
	for at in 0 1 2 3 4; do
		vqueue hold --rcpt "*$at@*" >/dev/null
	done
	for i in 1 2 3 4 5 6; do
		start_daemon
		[ $i -gt 1 ] || wait_until delivered 500
		start move-$i "$P/bin/vmta-queue" move --vmta v$((i % 2 + 1)) \
			--to v$((2 - i % 2))
		# In the midst of writing, or of what the record says.
		at=$((i % 2 * (RANDOM % 200 + 1)))
		wait_until some_moved $at "$STARTED"
		kill -s KILL "$RUNQ_PID"
		wait "$RUNQ_PID" || true # with all its threads and locks
		kill -s KILL "$STARTED" 2>/dev/null || true
		wait "$STARTED" || true
		vqueue hold --state deferred --rcpt '*5@*' || [ $? = 1 ]
		equal 0 "$(vqueue list --format csv | csv id rcptIndex |
			sort | uniq -d | wc -l)" 'there twice'
	done
	deliver
	sound
	vqueue release --all
	deliver --now
	all_final 1500
	arrived 1500
}

# some_moved N PID: so many files are in tmp, or for 0: there is a record.
some_moved() {
	local n
	gone "$2" && return
	[ "$1" -gt 0 ] || {
		[ -n "$(find "$P/spool/commit" -type f -name '[0-9a-v]*')" ]
		return
	}
	n=$(find "$P"/spool/queue/*/tmp -type f 2>/dev/null | wc -l) || true
	[ "$n" -ge "$1" ]
}
