# vmta-runq: replies and failures, and the two clocks that follow them.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

# clock KEY: its value in the state of queue one.example/v1.
clock() {
	sed -n "s/^$1: //p" "$P/spool/state/retry/v1/one.example"
}

no_clock() {
	[ ! -e "$P/spool/state/retry/v1/one.example" ]
}

# run_has N: a run, and has the sink N messages then?
run_has() {
	deliver && sink_has "$1"
}

@test "mixed answers to RCPT: each recipient gets its own result" {
	start_sink --reply 'rcpt:no@* 550 5.1.1 No such user' \
		--reply 'rcpt:grey@* per-rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send ok@one.example no@one.example grey@one.example
	deliver
	equal 1 "$(sink_count messages)"
	equal ok@one.example "$(journal rcpt type=d)"
	equal "no@one.example	5.1.1 (bad destination mailbox address)	smtp;550 5.1.1 No such user" \
		"$(journal rcpt dsnStatus dsnDiag type=b)"
	equal "grey@one.example	smtp;451 4.7.1 Later" \
		"$(journal rcpt dsnDiag type=t)"
	equal "grey@one.example	deferred	1" \
		"$(vqueue list --format csv | csv rcpt state attempts)"
	no_clock
	deliver
	equal 1 "$(sink_count messages)" # not due
	deliver --now
	all_final 3
	equal 2 "$(journal attempts rcpt=grey@one.example type=d)"
}

@test "a 5xx bounces with its category, wherever it comes" {
	start_sink --reply 'mail:a@* 550 5.7.1 Sender refused' \
		--reply 'dot:b@* 554 5.7.1 Spam' \
		--reply 'rcpt:full@* 550 5.2.2 Mailbox full' \
		--reply 'rcpt:multi@* 550 5.1.1 One\n5.1.1 Two'
	rconf1
	message | inject -f a@sender.example r1@one.example r2@one.example
	message | inject -f b@sender.example r3@one.example
	message | inject -f c@sender.example full@one.example r4@one.example \
		multi@one.example
	deliver
	equal "b=5 d=1 r=6" "$(types)"
	equal 2 "$(journal rcpt type=b 'dsnDiag=smtp;550 5.7.1 Sender refused' |
		wc -l)"
	equal r3@one.example "$(journal rcpt type=b \
		'dsnDiag=smtp;554 5.7.1 Spam')"
	equal quota-issues "$(journal bounceCat rcpt=full@one.example type=b)"
	[[ $(journal dsnDiag rcpt=multi@one.example type=b) == *One*Two ]]
	all_final 6
}

@test "552 5.2.2 to RCPT is a full mailbox, not too many recipients" {
	start_sink --reply 'rcpt 552 5.2.2 Mailbox full'
	rconf1
	send full@one.example
	deliver
	equal "b=1 r=1" "$(types)"
	all_final 1
}

@test "a 4xx to MAIL, RCPT, DATA and the end of data is a t record each" {
	start_sink --no CHUNKING --reply 'mail:a@* first=1 451 4.3.0 m' \
		--reply 'rcpt first=1 452 4.2.2 r' \
		--reply 'data first=1 451 4.3.0 d' \
		--reply 'dot first=1 451 4.3.0 e'
	rconf1 'retry-after = 5h' 'max-smtp-out = 1'
	message | inject -f a@sender.example r1@one.example
	for i in 2 3 4 5; do
		message | inject -f c@sender.example "r$i@one.example"
	done
	deliver
	equal "d=1 r=5 t=4" "$(types)"
	equal "d e m r" "$(journal dsnDiag type=t | sed 's/.* //' | sort | xargs)"
	# No failure of the queue: its clock stands still.
	no_clock
	deliver --now
	all_final 5
	sink_strict
}

@test "retry-recipients-after: when it is due, a run tries again" {
	start_sink --reply 'rcpt per-rcpt first=2 451 4.7.1 Later'
	rconf1 'retry-after = 5h' "retry-recipients-after = '1s,1s,5h'"
	send a@one.example
	deliver
	equal 0 "$(sink_count messages)"
	wait_until run_has 1
	all_final 1
	equal 2 "$(journal type type=t | wc -l)"
}

@test "retry-recipients-after: the ladder, by attempts, jitter up to 10 %" {
	start_sink --reply 'rcpt 451 4.7.1 Later'
	rconf1 'retry-after = 1s' "retry-recipients-after = '1h,3h'"
	send a@one.example
	for hours in 1 3 3; do
		now=$(date +%s)
		deliver --now
		next=$(date -d "$(vqueue list --format csv | csv nextTry)" +%s)
		wait=$((next - now))
		[ $wait -ge $((hours * 3600)) ] &&
			[ $wait -le $((hours * 3960 + 60)) ] ||
			fail "waits $wait s, not $hours h"
	done
}

@test "bounce-after: old mail bounces after an attempt that failed, not before" {
	start_sink --reply 'rcpt:bad@* 451 4.7.1 Later'
	rconf1 'retry-after = 5h' 'bounce-after = 1h'
	send bad@one.example
	send good@two.example
	deliver --domain one.example
	equal "r=1 t=1" "$(types)"
	# Now everything is too old: what works is delivered nevertheless.
	rconf1 'retry-after = 5h' 'bounce-after = 0s'
	deliver
	equal good@two.example "$(journal rcpt type=d)"
	waiting 1 # not due: no attempt, no expiry
	deliver --now
	equal "bad@one.example	message-expired	smtp;451 4.7.1 Later" \
		"$(journal rcpt bounceCat dsnDiag type=b)"
	[[ $(journal dsnStatus type=b) == 4.4.7* ]]
	all_final 2
}

@test "bounce-after: a queue that cannot connect, too" {
	start_sink -l 127.0.0.1:0 --refuse 127.0.0.2:=
	HOSTS="'[127.0.0.2]:$SINK_PORT'" rconf1 'bounce-after = 1h'
	send_many 1 5 one.example
	deliver
	equal "queue tq" "$(journal type | grep -v '^r$' | sed 's/^/queue /')"
	waiting 5
	HOSTS="'[127.0.0.2]:$SINK_PORT'" rconf1 'bounce-after = 0s'
	deliver
	waiting 5 # its clock says no
	deliver --now
	equal 5 "$(journal type type=b bounceCat=message-expired | wc -l)"
	all_final 5
}

@test "421 greeting: the next host" {
	start_sink -l 127.0.0.1:0 -l 127.0.0.2:= \
		--reply 'greeting to=127.0.0.1:* 421 4.3.2 Busy'
	HOSTS="'[127.0.0.1]:$SINK_PORT;[127.0.0.2]:$SINK_PORT'" rconf1
	send_many 1 10 one.example
	deliver
	equal 10 "$(sink_log msg | field local | grep -c ^127.0.0.2:)"
	# One try told that the first host is no good.
	equal 1 "$(sink_log connect | field local | grep -c ^127.0.0.1:)"
	no_clock
	all_final 10
	sink_strict
}

@test "421 greeting of all hosts: the queue's clock, on disk, over runs" {
	start_sink --reply 'greeting 421 4.3.2 Busy'
	rconf1 "retry-after = '1h,5h'"
	send_many 1 10 one.example
	now=$(date +%s)
	deliver
	equal 1 "$(sink_count connections)"
	equal 1 "$(clock step)"
	equal 4.3.2 "$(clock status)"
	[[ $(clock error) == *"421 4.3.2 Busy"* ]]
	waiting 10
	equal 0 "$(vqueue list --format csv | csv attempts | sort -u)"
	equal "retry" "$(vqueue list --format csv | csv reason | sort -u)"
	next=$(date -d "$(vqueue list --format csv | csv nextTry | head -n 1)" +%s)
	[ $((next - now)) -ge 3600 ] && [ $((next - now)) -le 4020 ]
	# Another run knows that it is not due.
	deliver
	equal 1 "$(sink_count connections)"
	equal 1 "$(clock step)"
	now=$(date +%s)
	deliver --now
	equal 2 "$(sink_count connections)"
	equal 2 "$(clock step)"
	next=$(date -d "$(vqueue list --format csv | csv nextTry | head -n 1)" +%s)
	[ $((next - now)) -ge 18000 ] && [ $((next - now)) -le 19860 ]
	equal "tq" "$(journal type queue=one.example/v1 | grep -v '^r$' | sort -u)"
	equal 2 "$(journal type type=tq | wc -l)"
}

@test "a delivery resets the clock" {
	start_sink --reply 'greeting first=2 421 4.3.2 Busy'
	rconf1 "retry-after = 5h"
	send_many 1 3 one.example
	deliver
	deliver --now
	equal 2 "$(clock step)"
	deliver --now
	no_clock
	all_final 3
	# And mail that comes later leaves at once.
	send_many 4 4 one.example
	deliver
	all_final 4
}

@test "a 5xx greeting: next host, then the clock; it bounces nothing" {
	start_sink -l 127.0.0.1:0 -l 127.0.0.2:= \
		--reply 'greeting 554 5.7.1 Go away'
	HOSTS="'[127.0.0.1]:$SINK_PORT;[127.0.0.2]:$SINK_PORT'" rconf1
	send_many 1 3 one.example
	deliver
	equal 2 "$(sink_count connections)"
	equal 0 "$(journal type type=b | wc -l)"
	waiting 3
	equal 1 "$(clock step)"
}

@test "bounce-upon-5xx-greeting: it bounces the queue's mail" {
	start_sink --reply 'greeting 554 5.7.1 Go away'
	rconf1 'bounce-upon-5xx-greeting = yes'
	send_many 1 300 one.example
	deliver
	equal 300 "$(journal type type=b | wc -l)"
	[[ $(journal dsnDiag type=b | sort -u) == *"554 5.7.1 Go away" ]]
	all_final 300
	[ "$(sink_count connections)" -le 2 ]
}

@test "retry-upon-new-mail: no: it waits with the rest; yes: all leave" {
	start_sink --reply 'greeting first=1 421 4.3.2 Busy'
	rconf1 'retry-after = 5h'
	send_many 1 3 one.example
	deliver
	send_many 4 4 one.example
	deliver
	equal 1 "$(sink_count connections)"
	waiting 4
	rconf1 'retry-after = 5h' 'retry-upon-new-mail = yes'
	start_daemon
	send_many 5 5 one.example
	wait_until sink_has 5
	end "$RUNQ_PID"
	all_final 5
}

@test "connection refused: the next host; EHLO 4xx: the next host" {
	start_sink -l 127.0.0.1:0 -l 127.0.0.2:= --refuse 127.0.0.3:= \
		--reply 'ehlo to=127.0.0.1:* 451 4.3.0 Not you'
	HOSTS="'[127.0.0.3]:$SINK_PORT;[127.0.0.1]:$SINK_PORT;[127.0.0.2]:$SINK_PORT'" \
		rconf1
	send_many 1 5 one.example
	deliver
	equal 5 "$(sink_log msg | field local | grep -c ^127.0.0.2:)"
	all_final 5
}

@test "smtp-hosts: equal preference shares, the next one only in need" {
	start_sink -l 127.0.0.1:0 -l 127.0.0.2:= -l 127.0.0.3:=
	HOSTS="'[127.0.0.1]:$SINK_PORT,[127.0.0.2]:$SINK_PORT;[127.0.0.3]:$SINK_PORT'" \
		rconf1
	for i in $(seq 40); do
		send "r$i@d$i.example"
	done
	for i in $(seq 40); do
		deliver --domain "d$i.example"
	done
	# Each of 40 runs chose one of two at random: 2^-39 that all were equal.
	equal "127.0.0.1 127.0.0.2" "$(sink_log connect | field local |
		sed 's/:.*//' | sort -u | xargs)"
	all_final 40
}

@test "the settings of a domain win over those of all" {
	start_sink -l 127.0.0.1:0 -l 127.0.0.2:=
	rconf <<-END
		virtual-mta v1 {
			smtp-source-host = '127.0.0.1 v1.example'
			domain 'two.example' {
				smtp-hosts = {'[127.0.0.2]:$SINK_PORT'}
			}
		}
	END
	send a@one.example b@two.example
	deliver
	equal "a@one.example 127.0.0.1 b@two.example 127.0.0.2" \
		"$(sink_log msg | field rcpt local | tr -d '<>' |
			sed 's/:[0-9]*$//' | sort | xargs)"
}

@test "452 too many recipients: the rest goes in the next transaction" {
	start_sink --reply 'rcpt min-rcpts=10 452 4.5.3 Too many recipients'
	rconf1 'retry-after = 5h' 'max-smtp-out = 1'
	# shellcheck disable=SC2046
	send $(seq -f 'r%g@one.example' 35)
	deliver
	all_final 35
	equal 35 "$(sink_log msg | tr '\t' '\n' | grep -c ^rcpt=)"
	equal 4 "$(sink_count messages)"
}

@test "421 in the middle of a session: the message is tried again" {
	start_sink --reply 'mail skip=3 first=1 421 4.3.2 Going down'
	rconf1 'retry-after = 5h' 'max-smtp-out = 1'
	send_many 1 10 one.example
	deliver
	deliver --now
	all_final 10
	equal 10 "$(sink_log msg | field rcpt | sort -u | wc -l)"
}

@test "a queue that fails does not keep another one waiting" {
	start_sink -l 127.0.0.1:0 -l 127.0.0.2:= \
		--delay 'greeting to=127.0.0.2:* 300000'
	rconf <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		domain 'slow.example' {
			smtp-hosts = {'[127.0.0.2]:$SINK_PORT'}
			smtp-greeting-timeout = 2s
		}
	END
	send_many 1 100 slow.example
	send_many 101 200 one.example
	deliver
	equal 100 "$(sink_count messages)"
	waiting 100
	equal 1 "$(journal type type=tq | wc -l)"
}
