# vmta-queue: delete, hold, release, retry-now; without a run and beside one.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

@test "delete: gone, a b record of the category deleted" {
	start_sink
	rconf1
	send --job j1 a@one.example b@one.example c@two.example
	equal "1 of 1 recipients" "$(vqueue delete --rcpt 'b@*')"
	waiting 2
	equal "b@one.example	deleted	j1	failed	0" \
		"$(journal rcpt bounceCat jobId dsnAction attempts type=b)"
	settled
	deliver
	equal 2 "$(sink_log msg | tr '\t' '\n' | grep -c ^rcpt)"
	equal 0 "$(sink_log msg | grep -c b@one.example)"
	all_final 3
}

@test "delete --no-accounting: gone without a record" {
	start_sink
	rconf1
	send a@one.example b@one.example
	equal "1 of 1 recipients" "$(vqueue delete --no-accounting \
		--rcpt b@one.example)"
	deliver
	equal 1 "$(sink_count messages)"
	all_final 1
	equal 0 "$(journal type type=b | wc -l)"
}

@test "delete of everything leaves an empty spool" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
	send_many 1 300 one.example two.example three.example
	send_many 301 600 one.example two.example -- --vmta v2
	equal "600 of 600 recipients" "$(vqueue delete --all)"
	nothing_waits
	equal 600 "$(journal type type=b bounceCat=deleted | wc -l)"
	deliver
	all_final 600
	equal 0 "$(sink_count connections)"
}

@test "hold lasts over runs, release ends it; neither is an attempt" {
	start_sink
	rconf1 'bounce-after = 0s'
	send a@one.example b@one.example
	equal "1 of 1 recipients" "$(vqueue hold --rcpt a@one.example)"
	equal "0 of 1 recipients" "$(vqueue hold --rcpt a@one.example)"
	deliver
	deliver --now
	equal b@one.example "$(sink_log msg | field rcpt | tr -d '<>')"
	equal "held 0" "$(vqueue list --format csv | csv state attempts | xargs)"
	equal "1 of 1 recipients" "$(vqueue release --state held)"
	equal "0 of 1 recipients" "$(vqueue release --all)"
	equal new "$(vqueue list --format csv | csv state)"
	deliver
	all_final 2
}

@test "hold of what was deferred keeps its attempts and its next try" {
	start_sink --reply 'rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send a@one.example
	deliver
	vqueue list --format csv | csv attempts nextTry >"$P/before"
	vqueue hold --all
	deliver --now
	equal 0 "$(sink_count messages)"
	vqueue release --all
	vqueue list --format csv | csv attempts nextTry | diff "$P/before" -
	equal deferred "$(vqueue list --format csv | csv state)"
	deliver
	equal 0 "$(sink_count messages)"
	deliver --now
	all_final 1
}

@test "retry-now: recipients are due, without --now" {
	start_sink --reply 'rcpt per-rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send_many 1 10 one.example two.example
	deliver
	equal "5 of 5 recipients" "$(vqueue retry-now --domain two.example)"
	deliver
	equal 5 "$(sink_count messages)"
	waiting 5
	vqueue retry-now --all
	deliver
	all_final 10
}

@test "retry-now: a queue that waits for its clock, too" {
	start_sink --reply 'greeting first=1 421 4.3.2 Busy'
	rconf1 'retry-after = 5h'
	send_many 1 3 one.example
	deliver
	equal "3 of 3 recipients" "$(vqueue retry-now --queue one.example/v1)"
	deliver
	all_final 3
}

@test "--dry-run says how much, and changes nothing" {
	start_sink
	rconf1
	send a@one.example b@one.example
	vqueue hold --rcpt a@one.example
	find "$P/spool/queue" -type f -printf '%p\n' -exec cat {} + >"$P/before"
	for c in delete hold release retry-now pause resume; do
		run vqueue $c --dry-run --all
		equal 0 "$status" "$c --dry-run"
		[[ $output == *" of 2 recipients" ]] || fail "$c: $output"
	done
	find "$P/spool/queue" -type f -printf '%p\n' -exec cat {} + |
		cmp "$P/before" -
	deliver
	equal b@one.example "$(sink_log msg | field rcpt | tr -d '<>')"
}

@test "mail of a VirtualMTA that left the configuration can be deleted" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta old { smtp-source-host = '127.0.0.2 old.example' }
	END
	send --vmta old a@one.example
	rconf1
	equal "1 of 1 recipients" "$(vqueue delete --vmta old)"
	nothing_waits
	equal deleted "$(journal bounceCat type=b)"
}

@test "beside a daemon: within a second, by its owner" {
	start_sink --reply 'greeting 421 4.3.2 Busy'
	rconf1 'retry-after = 5h'
	send_many 1 100 one.example two.example
	start_daemon
	wait_until two_wait
	# 5 s without an answer would be 75.
	equal "1 of 1 recipients" "$(vqueue hold --rcpt r7@two.example)"
	equal "50 of 50 recipients" "$(vqueue delete --domain one.example)"
	equal "49 of 49 recipients" "$(vqueue delete --domain two.example \
		--state new)"
	wait_until waiting 1
	equal r7@two.example "$(vqueue list --format csv | csv rcpt)"
	equal 1 "$(logged request command=hold | wc -l)"
	equal 2 "$(logged request command=delete | wc -l)"
	end "$RUNQ_PID"
	equal 99 "$(journal type type=b bounceCat=deleted | wc -l)"
	settled
}

two_wait() {
	[ "$(find "$P/spool/state/retry" -type f | wc -l)" = 2 ]
}

@test "beside a daemon: retry-now and release send at once" {
	start_sink --reply 'rcpt per-rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	start_daemon
	send a@one.example
	wait_until deferred 1
	send b@one.example
	wait_until deferred 2
	vqueue hold --rcpt b@one.example
	vqueue retry-now --rcpt a@one.example
	wait_until sink_has 1
	vqueue release --rcpt b@one.example
	vqueue retry-now --rcpt b@one.example
	wait_until sink_has 2
	end "$RUNQ_PID"
	all_final 2
}

deferred() {
	[ "$(vqueue count --state deferred)" = "$1" ]
}

@test "beside several workers: all of them answer" {
	start_sink --reply 'greeting 421 4.3.2 Busy'
	for i in $(seq 6); do
		echo "virtual-mta v$i { smtp-source-host = '127.9.$i.7 v$i.example' }"
	done | rconf 'retry-after = 5h'
	for i in $(seq 6); do
		send_many 1 10 one.example -- --vmta "v$i"
	done
	start_runq --daemon --workers 3
	wait_until six_wait
	equal "60 of 60 recipients" "$(vqueue hold --all)"
	equal "10 of 10 recipients" "$(vqueue delete --vmta v3)"
	wait_until waiting 50
	end "$RUNQ_PID"
	settled
}

six_wait() {
	[ "$(find "$P/spool/state/retry" -type f | wc -l)" = 6 ]
}

# bats test_tags=slow
@test "recipients in flight are named and not changed" {
	start_sink --delay 'bdat 8000'
	rconf1 'max-smtp-out = 1'
	id=$(send -v a@one.example | cut -d ' ' -f 1)
	start_daemon
	wait_until in_transaction
	send b@one.example
	vqueue delete --domain one.example >"$P/out"
	equal "in flight: one.example/v1 $id 0" "$(grep flight "$P/out")"
	equal "1 of 2 recipients" "$(tail -n 1 "$P/out")"
	wait_until delivered 1
	end "$RUNQ_PID"
	equal "a@one.example d" "$(journal rcpt type type=d | xargs)"
	equal "b@one.example b" "$(journal rcpt type type=b | xargs)"
	all_final 2
}

in_transaction() {
	[ "$(sink_log msg | wc -l)" -ge 1 ]
}

delivered() {
	[ "$(journal type type=d | wc -l)" -ge "$1" ]
}

@test "deleting while a run delivers: each recipient has one end" {
	start_sink --delay 'bdat 20'
	rconf1 'max-smtp-out = 3'
	send_many 1 1000 one.example two.example
	start_runq
	for n in 20 60 100; do
		wait_until sink_has $n
		vqueue delete --rcpt "r*$((n / 20))@*" >/dev/null || [ $? = 1 ]
	done
	ended "$RUNQ_PID"
	settled
	all_final 1000
	equal "$(sink_count messages)" "$(journal type type=d | wc -l)"
	[ "$(journal type type=b | wc -l)" -ge 1 ]
}

# bats test_tags=slow
@test "an owner that does not answer: 75, and nothing is done" {
	start_sink
	rconf1
	start_daemon
	kill -s STOP "$RUNQ_PID"
	send a@one.example
	run vqueue delete --all
	kill -s CONT "$RUNQ_PID"
	equal 75 "$status"
	wait_until sink_has 1
	end "$RUNQ_PID"
	settled
	all_final 1
}

@test "kill -9 beside a request: the deletion is whole or not there" {
	start_sink --reply 'greeting 421 4.3.2 Busy'
	rconf1 'retry-after = 5h'
	send_many 1 400 one.example
	start_daemon
	wait_until one_waits
	start delete "$P/bin/vmta-queue" delete --all
	asked=$STARTED
	wait_until some_deleted
	kill -s KILL "$RUNQ_PID"
	wait "$RUNQ_PID" || true # with all its threads and locks
	wait_until gone "$asked"
	deliver
	left=$(vqueue count || true)
	equal 400 $((left + $(journal type type=b | wc -l)))
	equal "$((400 - left))" "$(journal msgId type=b | sort -u | wc -l)"
	[ "$left" = 0 ] || vqueue delete --all
	nothing_waits
	equal 400 "$(journal msgId type=b | sort -u | wc -l)"
}

one_waits() {
	[ "$(find "$P/spool/state/retry" -type f | wc -l)" = 1 ]
}

some_deleted() {
	[ "$(journal type type=b | wc -l)" -ge 1 ] || gone "$asked"
}
