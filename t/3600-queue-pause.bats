# vmta-queue: pause and resume.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

# reasons: `RCPT REASON` of what waits.
reasons() {
	vqueue list --format csv | csv rcpt reason | sed 's/@[^\t]*//' | sort |
		xargs
}

@test "a pause lasts over runs until it is undone; mail does not expire" {
	start_sink
	rconf1 'bounce-after = 0s'
	send a@one.example b@two.example
	equal "1 of 1 recipients" "$(vqueue pause --domain one.example)"
	deliver
	deliver --now
	equal b@two.example "$(sink_log msg | field rcpt | tr -d '<>')"
	equal "a paused" "$(reasons)"
	equal "1 of 1 recipients" "$(vqueue resume --domain one.example)"
	deliver
	all_final 2
}

@test "pauses by queue, VirtualMTA, job and all; wildcards" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
	send --job j1 a@one.example
	send --job j2 b@one.example
	send --vmta v2 --job j2 c@one.example
	send d@two.example
	pause() {
		vqueue pause "$@" >/dev/null
		runq --dry-run | grep -c 'paused$' || true
		reasons
		vqueue resume "$@" >/dev/null
		equal "a b c d" "$(reasons)"
	}
	equal "a paused b paused c d" "$(pause --queue one.example/v1 | tail -n 1)"
	equal "a b c paused d" "$(pause --vmta v2 | tail -n 1)"
	equal "a b paused c paused d" "$(pause --job j2 | tail -n 1)"
	equal "a b paused c d" "$(pause --job j2 --vmta v1 | tail -n 1)"
	equal "a paused b paused c paused d" \
		"$(pause --domain 'one.*' | tail -n 1)"
	equal "a paused b paused c paused d paused" "$(pause --all | tail -n 1)"
	deliver
	all_final 4
}

@test "two pauses over the same queue: both must end" {
	start_sink
	rconf1
	send --job j a@one.example
	vqueue pause --job j
	vqueue pause --domain one.example
	vqueue pause --domain one.example
	vqueue resume --job j
	deliver
	equal 0 "$(sink_count messages)"
	vqueue resume --domain one.example
	deliver
	all_final 1
	[ ! -s "$P/spool/state/pauses" ]
}

@test "GLOB: one meaning of a pattern in pauses and selections" {
	start_sink
	rconf1
	send --job 'week[1]' a@one.example
	send --job week1 b@sub.one.example
	send c@xone.example
	# As it stands, not as a set of characters.
	equal "1 of 1 recipients" "$(vqueue hold --job 'week[1]')"
	equal "1 of 1 recipients" "$(vqueue release --state held)"
	for what in '--domain ONE.example' '--domain one.example.' \
		'--queue One.Example/V1'; do
		# shellcheck disable=SC2086
		vqueue pause $what
		equal "a paused b c" "$(reasons)" "$what"
		# shellcheck disable=SC2086
		vqueue resume $what
		equal "a b c" "$(reasons)" "$what"
	done
	vqueue pause --domain '[*.]one.example'
	equal "a paused b paused c" "$(reasons)"
	equal 2 "$(vqueue count --domain '[*.]one.example')"
	vqueue resume --domain '[*.]one.example'
	equal 1 "$(vqueue count --domain '*.one.example')"
	for what in 'one example' '[192.0.2.0/24]' '[1-3]'; do
		run vqueue pause --domain "$what"
		equal 64 "$status" "$what"
	done
	deliver
	all_final 3
}

@test "URGENT: priority counts among queues that wait for a connection" {
	start_sink --delay 'dot 300' --delay 'bdat 300'
	# Other settings are another route, whose mail needs a connection.
	{
		echo "virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example'"
		echo "max-smtp-out = 1 }"
		for i in $(seq 12); do
			echo "domain 'd$i.example' { connect-timeout = ${i}m }"
		done
	} | rconf
	# shellcheck disable=SC2046
	send $(seq -f 'r@d%g.example' 12)
	start_daemon
	wait_until sink_has 2
	send --priority 90 urgent@d12.example
	wait_until sink_has 13
	at=$(sink_log msg | field rcpt | grep -n urgent | cut -d : -f 1)
	echo "# message $at" >&2
	[ "$at" -le 8 ] || fail "message $at of 13"
	end "$RUNQ_PID"
	all_final 13
}

@test "resume of what is not paused changes nothing" {
	start_sink
	rconf1
	send a@one.example
	vqueue pause --all
	equal "0 of 1 recipients" "$(vqueue resume --domain one.example)"
	deliver
	equal 0 "$(sink_count messages)"
	equal "1 of 1 recipients" "$(vqueue resume --all)"
	deliver
	all_final 1
}

@test "a paused job lets the other jobs of the queue pass" {
	start_sink
	rconf1 'max-smtp-out = 1'
	send_many 1 50 one.example -- --job slow
	send_many 51 100 one.example -- --job fast
	vqueue pause --job slow
	deliver
	equal 50 "$(sink_count messages)"
	equal 50 "$(vqueue count --job slow)"
	vqueue resume --job slow
	deliver
	all_final 100
}

@test "mail that comes during a pause waits, too" {
	start_sink
	rconf1
	vqueue pause --domain one.example
	start_daemon
	send a@one.example
	send b@two.example
	wait_until sink_has 1
	equal "a paused" "$(reasons)"
	vqueue resume --domain one.example
	wait_until sink_has 2
	end "$RUNQ_PID"
	all_final 2
}

# bats test_tags=slow
@test "pausing in mid-run: nothing more begins, resume goes on" {
	start_sink --delay 'bdat 20'
	rconf1 'max-smtp-out = 2'
	send_many 1 600 one.example
	start_daemon
	wait_until sink_has 20
	vqueue pause --domain one.example
	wait_until no_connection
	n=$(sink_count messages)
	[ "$n" -lt 600 ] || fail "all had left"
	# Whatever wakes the daemon now, it stays so.
	send b@two.example
	wait_until sink_has $((n + 1))
	equal $((n + 1)) "$(sink_count messages)"
	wait_until waiting $((600 - n)) 2>/dev/null
	vqueue resume --domain one.example
	wait_until sink_has 601
	end "$RUNQ_PID"
	all_final 601
}

no_connection() {
	[ "$(sink_count open)" = 0 ]
}

@test "pausing a job in mid-run" {
	start_sink --delay 'bdat 20' --log-header X-Seq
	rconf1 'max-smtp-out = 2'
	send_many 1 400 one.example -- --job a
	send_many 401 500 one.example -- --job b
	start_runq
	wait_until sink_has 20
	vqueue pause --job a
	ended "$RUNQ_PID"
	settled
	equal 100 "$(sink_log msg | field X-Seq | awk '$1 > 400' | wc -l)"
	left=$(vqueue count --job a)
	[ "$left" -gt 0 ]
	equal $((500 - left)) "$(sink_count messages)"
	vqueue resume --job a
	deliver
	all_final 500
}
