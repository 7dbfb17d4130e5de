# vmta-runq: limits on connections, messages and recipients.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

@test "max-smtp-out: so many connections of a queue, and no more" {
	start_sink --delay 'dot 20' --delay 'bdat 20'
	rconf1 'max-smtp-out = 3'
	send_many 1 90 one.example
	deliver
	equal 3 "$(sink_count max-concurrent)"
	equal 3 "$(sink_count connections)"
	all_final 90
}

@test "max-smtp-out of a VirtualMTA: all its queues together" {
	start_sink --delay 'bdat 20'
	rconf <<-'END'
		virtual-mta v1 {
			smtp-source-host = '127.0.0.1 v1.example'
			max-smtp-out = 2
		}
		virtual-mta v2 {
			smtp-source-host = '127.0.0.2 v2.example'
			max-smtp-out = 3
		}
		domain 'one.example' { command-timeout = 61s }
		domain 'two.example' { command-timeout = 62s }
		domain 'three.example' { command-timeout = 63s }
	END
	for v in v1 v2; do
		send_many 1 60 one.example two.example three.example -- --vmta $v
	done
	deliver
	equal 2 "$(sink_source 127.0.0.1 max-concurrent)"
	equal 3 "$(sink_source 127.0.0.2 max-concurrent)"
	all_final 120
}

@test "total-max-smtp-out: all VirtualMTAs together" {
	start_sink --delay 'bdat 20'
	{
		echo 'total-max-smtp-out = 4'
		for i in $(seq 10); do
			echo "virtual-mta v$i {"
			echo "smtp-source-host = '127.9.$i.7 v$i.example' }"
		done
	} | rconf
	for i in $(seq 10); do
		send_many 1 12 one.example -- --vmta "v$i"
	done
	deliver
	equal 4 "$(sink_count max-concurrent)"
	equal 10 "$(sink_sources | wc -l)"
	all_final 120
}

@test "total-max-smtp-out holds over several workers" {
	start_sink --delay 'bdat 20'
	{
		echo 'total-max-smtp-out = 4'
		for i in $(seq 10); do
			echo "virtual-mta v$i {"
			echo "smtp-source-host = '127.9.$i.7 v$i.example' }"
		done
	} | rconf
	for i in $(seq 10); do
		send_many 1 12 one.example -- --vmta "v$i"
	done
	deliver --workers 3
	[ "$(sink_count max-concurrent)" -le 4 ]
	equal 10 "$(sink_sources | wc -l)"
	all_final 120
}

@test "max-msg-per-connection" {
	start_sink
	rconf1 'max-smtp-out = 1' 'max-msg-per-connection = 10'
	send_many 1 95 one.example
	deliver
	equal 10 "$(sink_count connections)"
	equal 10 "$(sink_log close | field msgs | sort -n | tail -n 1)"
	all_final 95
}

@test "max-rcpt-per-transaction" {
	start_sink
	rconf1 'max-smtp-out = 1' 'max-rcpt-per-transaction = 7'
	# shellcheck disable=SC2046
	send $(seq -f 'r%g@one.example' 20)
	deliver
	equal "6 7 7" "$(sink_log msg | awk '{ print gsub(/rcpt=/, "") }' |
		sort -n | xargs)"
	all_final 20
}

@test "max-rcpt-per-transaction is 100 by default, 1,000 are ten of them" {
	start_sink
	rconf1 'max-smtp-out = 1'
	seq -f 'r%g@one.example' 1000 >"$P/rcpt"
	# shellcheck disable=SC2046
	send $(cat "$P/rcpt")
	deliver
	equal 10 "$(sink_count messages)"
	equal 1 "$(sink_count connections)"
	all_final 1000
	rconf1 'max-smtp-out = 1' 'max-rcpt-per-transaction = 1000'
	# shellcheck disable=SC2046
	send $(cat "$P/rcpt")
	deliver
	equal 11 "$(sink_count messages)"
	all_final 2000
}

@test "max-errors-per-connection" {
	start_sink --reply 'rcpt:no* 550 5.1.1 No'
	rconf1 'max-smtp-out = 1' 'max-errors-per-connection = 5'
	for i in $(seq 20); do
		send "no$i@one.example"
	done
	deliver
	equal 4 "$(sink_count connections)"
	all_final 20
}

@test "one connection serves the queues of a VirtualMTA with the same hosts" {
	start_sink
	rconf 'max-smtp-out = 1' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
		domain 'other.example' { max-msg-per-connection = 1000 }
	END
	for v in v1 v2; do
		send_many 1 50 a.example b.example c.example d.example \
			e.example -- --vmta $v
		send_many 51 52 other.example -- --vmta $v
	done
	deliver
	# Other settings: another connection.
	equal 4 "$(sink_count connections)"
	equal 2 "$(sink_source 127.0.0.1 connections)"
	all_final 104
}

@test "a large queue does not keep a small one waiting" {
	start_sink --delay 'bdat 2'
	rconf1 'max-smtp-out = 1'
	send_many 1 500 big.example
	send_many 501 510 small.example
	deliver
	# The small one is done before the big one is half done.
	at=$(sink_log msg | field rcpt | grep -n small.example |
		tail -n 1 | cut -d : -f 1)
	[ "$at" -lt 260 ] || fail "the small queue was done at $at"
	all_final 510
}

@test "connection-idle-timeout: a daemon uses the connection again" {
	start_sink
	rconf1 'connection-idle-timeout = 5m'
	start_daemon
	for i in 1 2 3; do
		send "r$i@one.example"
		wait_until sink_has $i
	done
	equal 1 "$(sink_count connections)"
	end "$RUNQ_PID"
	equal quit "$(sink_log close | field how)"
	all_final 3
}

@test "--patience: a limit that holds longer ends the run, mail waits" {
	start_sink --delay 'bdat 300'
	{
		echo 'total-max-smtp-out = 1'
		for v in 1 2; do
			echo "virtual-mta v$v {"
			echo "smtp-source-host = '127.0.0.$v v$v.example' }"
		done
	} | rconf
	send --vmta v1 a@one.example
	send --vmta v2 b@two.example
	deliver --patience 1m
	all_final 2
}
