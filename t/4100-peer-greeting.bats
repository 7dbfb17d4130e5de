# Servers that are bad from the start: what they do to a connection before any
# mail is sent (P01 to P07, P12, P13 of the list of bad peers). The mail stays,
# the queue's clock moves, others are served, and later all arrive once.

load helper/common
load helper/runq
load helper/badpeer
load helper/badrun

setup() {
	make_prefix
}

teardown() {
	end_test
}

# The most resident memory that any process of the daemon had, in KiB.
peak() {
	local pid
	for pid in $(runq_pids); do
		awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status"
	done | sort -n | tail -n 1
}

# flood SCRIPT-LINE...: the daemon's memory while the server does that on its
# first two connections; sets GREW, in KiB.
flood() {
	local before
	start_sink
	start_bad <<-END
		conn 1-2
		$(printf '%s\n' "$@")
		conn *
		polite
	END
	bad_conf
	start_daemon
	send c@good.example
	wait_until sink_has 1
	before=$(peak)
	send a@bad1.example
	send b@bad2.example
	wait_until failures 2
	GREW=$(($(peak) - before))
	end "$RUNQ_PID"
	settled
}

# failures N: have so many queues failed?
failures() {
	[ "$(journal type type=tq | wc -l)" -ge "$1" ]
}

@test "P01: silence after accept: the greeting's timeout, and mail waits" {
	trouble 4.4.2 '*timed out (greeting)' 'smtp-greeting-timeout = 1s' \
		<<<$'sleep 6000\npolite'
	queues_failed
	equal 0 "$(bad_count got)" # nothing is said to a silent server
	recovers
}

@test "P01: while one server is silent others are served" {
	start_sink
	start_bad <<-'END'
		conn 1
		hold
		conn *
		polite
	END
	TOTAL=2 bad_conf 'smtp-greeting-timeout = 1h'
	send a@bad1.example
	start_daemon
	wait_until bad_has 1 conn
	send_many 1 50 good.example
	wait_until sink_has 50
	equal 0 "$(bad_count end)"
	# It is told to go: the attempt does not count.
	end "$RUNQ_PID"
	wait_until bad_ended 1
	waiting 1
	equal 0 "$(journal type | grep -c '^t')"
	no_clocks
	deliver
	all_final 51
	equal 1 "$(bad_count complete)"
}

@test "P02: a greeting in drips: one limit for the whole of it" {
	trouble 4.4.2 '*timed out (greeting)' 'smtp-greeting-timeout = 1s' \
		<<-'END'
			slow 200 220 slow.example is still there, more or less, wait\r\n
			polite
		END
	queues_failed
	recovers
}

@test "P02: line after line, and to EHLO: one limit for the whole reply" {
	trouble 4.4.2 '*timed out (ehlo)' 'command-timeout = 2s' <<-'END'
		upto EHLO
		repeat 50
			send 250-still
			sleep 200
		end
		send 250 there
		polite
	END
	queues_failed
	recovers
}

# Ways to end a connection that has hardly begun.
ENDS=('rst' 'close' $'raw 220-mx.exa\nrst' $'raw 220 mx\nclose'
	$'send 220-mx\nshut\nhold')

# bats test_tags=slow
@test "P03: reset or closed at the start: the clock, and it counts" {
	for how in "${ENDS[@]}"; do
		trouble '4.4.' '*' <<<"$how"
		queues_failed
		# The second time is a step further.
		start_bad -n again <<<$'conn *\n'"$how"
		bad_conf
		deliver --now
		equal "2 2" "$(clock bad1.example step) $(clock bad2.example step)"
		waiting 2
		start_bad <<<$'conn *\npolite'
		recovers
		rm -r "$P"
		make_prefix
	done
}

@test "P03: reset or closed at the start: the next host" {
	for how in "${ENDS[@]}"; do
		start_bad -l 127.0.0.1:0 -l 127.0.0.2:= <<-END
			conn to=127.0.0.1
			$how
			conn *
			polite
		END
		HOSTS="'[127.0.0.1]:$BAD_PORT;[127.0.0.2]:$BAD_PORT'" rconf1
		send "r$((++sent))@one.example"
		deliver
		all_final $sent
		equal $sent "$(journal type type=d | wc -l)"
		equal 2 "$(bad_conns)"
		equal 1 "$(bad_count complete)"
		no_clocks
	done
}

@test "P03: octets and a reset behind them, seen together: no wait" {
	start_sink
	start_bad <<-'END'
		conn 1
		await go
		raw 220-mx
		rst
		conn *
		polite
	END
	bad_conf # the greeting may take five minutes
	send a@bad1.example
	start_runq
	wait_until bad_has 1 conn
	runq_signal STOP
	bad_go go
	wait_until bad_ended 1
	runq_signal CONT
	ended "$RUNQ_PID"
	equal "r=1 tq=1" "$(types)"
	deliver --now
	all_final 1
	equal 1 "$(bad_count complete)"
}

@test "P04: 4xx, 554 and 521 greetings: the next host, and nothing bounces" {
	for code in 421 450 554 521; do
		start_bad -n both -l 127.0.0.1:0 -l 127.0.0.2:= <<-END
			conn to=127.0.0.1
			send $code-go\n$code away
			hold
			conn *
			polite
		END
		HOSTS="'[127.0.0.1]:$BAD_PORT;[127.0.0.2]:$BAD_PORT'" rconf1 \
			'retry-after = 5h' 'bounce-upon-5xx-greeting = yes'
		send "r$((++sent))@one.example"
		deliver
		all_final $sent
		equal $sent "$(journal type type=d | wc -l)"
		equal 1 "$(bad_log conn both | grep -c '	127\.0\.0\.1:[0-9]*$')"
		equal 1 "$(bad_count complete both)"
		no_clocks
	done
}

# bats test_tags=slow
@test "P04: 4xx, 554 and 521 of all hosts: the mail waits" {
	for code in 421 450 554 521; do
		status=${code:0:1}.7.1
		trouble "$status" "smtp;$code $status go away" <<-END
			send $code-$status go\n$code $status away
			hold
		END
		queues_failed
		# Nothing was said to it but good-bye.
		equal 0 "$(bad_log got | grep -vc QUIT)"
		recovers
		rm -r "$P"
		make_prefix
	done
}

@test "P04: bounce-upon-5xx-greeting: only when every host gave one" {
	start_bad -l 127.0.0.1:0 -l 127.0.0.2:= -l 127.0.0.3:= <<-'END'
		conn to=127.0.0.1
		send 554 5.7.1 no
		conn to=127.0.0.2
		send 521 5.3.2 never
		conn to=127.0.0.3
		send 421 4.3.2 later
	END
	three=("[127.0.0.1]:$BAD_PORT" "[127.0.0.2]:$BAD_PORT"
		"[127.0.0.3]:$BAD_PORT")
	HOSTS="'${three[0]};${three[1]}'"
	rconf <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		domain 'all.example' {
			bounce-upon-5xx-greeting = yes
			smtp-hosts = {'${three[0]};${three[1]}'}
		}
		domain 'first.example' {
			bounce-upon-5xx-greeting = yes
			smtp-hosts = {'${three[0]};${three[2]}'}
		}
		domain 'last.example' {
			bounce-upon-5xx-greeting = yes
			smtp-hosts = {'${three[2]};${three[1]}'}
		}
		domain 'refused.example' {
			bounce-upon-5xx-greeting = yes
			smtp-hosts = {'[127.0.0.4]:$BAD_PORT;${three[0]}'}
		}
	END
	for domain in all first last refused; do
		send "a@$domain.example"
	done
	deliver
	equal "a@all.example	smtp;521 5.3.2 never" \
		"$(journal rcpt dsnDiag type=b)"
	equal "first.example/v1 last.example/v1 refused.example/v1" \
		"$(journal queue type=tq | sort | xargs)"
	waiting 3
	# And another time: what one host said then is not remembered.
	rconf1 'bounce-upon-5xx-greeting = yes'
	deliver --now
	equal 4 "$(journal type type=b | wc -l)"
	all_final 4
}

@test "P04: no ESMTP in it, nothing at all in it, many lines: it is a 220" {
	for greeting in '220 mx SMTP' '220' '220-mx\n220-welcome\n220' \
		'220-\n220 '; do
		start_bad <<-END
			conn *
			send $greeting
			polite
		END
		HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1
		send "r$((++sent))@one.example"
		deliver
		all_final $sent
		equal "EHLO v1.example" "$(bad_log got | cut -f 3 | head -n 1)"
		equal 1 "$(bad_count complete)"
		equal $sent "$(journal type type=d | wc -l)"
	done
}

@test "P04, P07: 220- for ever: lines are counted, whatever they hold" {
	trouble 4.5.0 '*too many lines*' <<-'END'
		raw 220-and\r\n * 100000
		send 220 end
		polite
	END
	queues_failed
	recovers
}

@test "P05: HTTP, SSH, TLS, garbage: no SMTP, so nothing is said" {
	answers GREETING <<-'END'
		HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n
		SSH-2.0-OpenSSH_9.2\r\n
		\x16\x03\x03\x00\x02\x02\x28
		\x00\x01\x02\xff\xfe
		220\x00mx\r\n
		\r\n220 mx\r\n
		* OK IMAP4rev1\r\n
		+OK POP3\r\n
		RFB 003.008\n
		\x0022
	END
	answered tq {1..10}
	alike '4.5.0*' "$(journal dsnStatus type=tq)"
	alike '*not an SMTP reply' "$(journal dsnDiag type=tq)"
	wait_until bad_ended 10
	equal 0 "$(bad_count got)"
	equal 1 "$(for n in {1..10}; do clock "f$n.example" step; done | sort -u)"
	recover_answers 10
}

@test "P06: a line without end: 1 GiB is not read, memory is flat" {
	flood 'raw 220 ' 'raw 0123456789abcdef * 67108864' 'raw \r\n' polite
	alike '*line is too long*' "$(journal dsnDiag type=tq)"
	refute grep -q '\* 67108864' "$BAD_LOG"
	[ "$GREW" -lt 16384 ] || fail "grew by $GREW KiB"
	waiting 2
	wait_until bad_ended 2
	equal 0 "$(bad_count got)"
	recovers
}

@test "P06: 1 GiB of long lines: memory is flat" {
	line=$(printf 'x%.0s' {1..1018})
	flood "raw 220-$line\\r\\n * 1048576" 'send 220 end' polite
	alike '*reply is too long*' "$(journal dsnDiag type=tq)"
	refute grep -q '\* 1048576' "$BAD_LOG"
	[ "$GREW" -lt 16384 ] || fail "grew by $GREW KiB"
	waiting 2
	wait_until bad_ended 2
	recovers
}

@test "P06: after the final dot: 10 MiB of answer are no success" {
	trouble 4.5.0 'ambiguous: reply line is too long' <<-'END'
		upto DATA
		send 354 go
		data
		raw 250 2.0.0 ok
		raw x * 10485760
		raw \r\n
		polite
	END
	rcpts_deferred "d=1 r=3 t=2 tq=2"
	recovers 2
}

@test "P07: 100,000 lines: to EHLO, MAIL, RCPT and the final dot" {
	for verb in EHLO MAIL RCPT DATA; do
		start_bad <<-END
			conn 1
			upto $verb
			$([ $verb != DATA ] || printf '%s\n' 'send 354 go' data)
			raw 250-and\r\n * 100000
			send 250 end
			polite
			conn *
			polite
		END
		HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'retry-after = 5h'
		send "r@$verb.example"
		deliver
		[[ $(journal dsnDiag | tail -n 1) == *"too many lines"* ]]
		waiting 1
		wait_until bad_ended 1
		deliver --now
		equal $((++sent)) "$(journal type type=d | wc -l)"
		all_final $sent
	done
}

@test "P12: EHLO refused: HELO once, and no extension is used" {
	trouble x x <<-'END'
		send 220 mx
		expect EHLO v1.example
		send 502-PIPELINING\n502-CHUNKING\n502-SIZE 1\n502 DSN
		expect HELO v1.example
		send 250-mx\n250-PIPELINING\n250-SIZE 1\n250 CHUNKING
		expect MAIL FROM:<s@sender.example>
		sleep 100
		send 250 ok
		expect RCPT TO:<
		sleep 100
		send 250 ok
		expect DATA
		send 354 go
		data
		send 250 ok
		polite
	END
	all_final 3
	equal 0 "$(bad_count unexpected)"
	# One connection was enough: they have the same hosts.
	equal "MAIL FROM:<s@sender.example> MAIL FROM:<s@sender.example>" \
		"$(bad_log got | cut -f 3 | grep MAIL | xargs)"
	equal 1 "$(bad_log got | grep -c EHLO)"
	equal 1 "$(bad_log got | grep -c HELO)"
	equal 2 "$(bad_count complete)"
}

@test "P12: HELO refused too: the next host, else the clock" {
	trouble 5.5.1 'smtp;550 5.5.1 Not you' <<-'END'
		upto EHLO
		send 500 5.5.1 What?
		expect HELO
		send 550 5.5.1 Not you
		hold
	END
	queues_failed
	equal "EHLO HELO EHLO HELO" \
		"$(bad_log got | cut -f 3 | cut -d ' ' -f 1 | xargs)"
	recovers
	start_bad -n both -l 127.0.0.1:0 -l 127.0.0.2:= <<-'END'
		conn to=127.0.0.1
		upto EHLO
		send 502 no
		expect HELO
		send 421 no
		conn *
		polite
	END
	HOSTS="'[127.0.0.1]:$BAD_PORT;[127.0.0.2]:$BAD_PORT'" rconf1
	send d@other.example
	deliver
	all_final 4
	equal 1 "$(bad_count complete both)"
}

@test "P12: a 4xx to EHLO is no reason for HELO; nor is a closed connection" {
	trouble 4.3.2 'smtp;450 4.3.2 Later' <<-'END'
		upto EHLO
		send 450 4.3.2 Later
		polite
	END
	queues_failed
	equal 0 "$(bad_log got | grep -c HELO)"
	recovers
	rm -r "$P"
	make_prefix
	trouble 4.4.2 '*closed by peer' <<-'END'
		upto EHLO
		close
	END
	queues_failed
	equal 0 "$(bad_log got | grep -c HELO)"
	recovers
}

@test "P13: EHLO with 10,000 keywords" {
	trouble 4.5.0 '*too many lines*' <<-'END'
		upto EHLO
		raw 250-XWORD\r\n * 10000
		send 250 END
		polite
	END
	queues_failed
	recovers
}

@test "P13: absurd values of SIZE, a keyword twice: they do not matter" {
	values=('SIZE=-1' 'SIZE=99999999999999999999999999999'
		'SIZE=18446744073709551617' 'SIZE=4294967297' 'SIZE=1e1'
		'SIZE=0x10' 'SIZE=0' 'SIZE' 'SIZE=' 'SIZE==1'
		'SIZE=1000000 SIZE=1' 'SIZE SIZE=1'
		'SIZE=-1 SIZE=-1' 'LIMITS=RCPTMAX=-1 LIMITS=RCPTMAX=0'
		'LIMITS=MAILMAX=0' 'LIMITS=RCPTMAX=99999999999999999999')
	for i in "${!values[@]}"; do
		echo "conn $((i + 1))"
		echo "ehlo ${values[$i]} PIPELINING PIPELINING"
		echo polite
	done >"$P/script"
	start_bad <"$P/script"
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
		'max-msg-per-connection = 1'
	for i in "${!values[@]}"; do
		message | inject -f s@sender.example a@one.example b@one.example
	done
	deliver
	all_final $((${#values[@]} * 2))
	equal $((${#values[@]} * 2)) "$(journal type type=d | wc -l)"
	equal ${#values[@]} "$(bad_count complete)"
	equal ${#values[@]} "$(bad_conns)"
}

@test "P13: keywords after a line of 5 KiB, in any letters, are heard" {
	junk=$(printf 'x%.0s' {1..5120})
	start_bad <<-END
		conn *
		upto EHLO
		send 250-mx\n250-XJUNK $junk\n250-size  1000000 \n250 PiPeLiNiNg\t
		expect MAIL FROM:<s@sender.example> SIZE=
		expect RCPT
		expect DATA
		send 250 ok\n250 ok\n354 go
		data
		send 250 ok
		polite
	END
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1
	send a@one.example
	deliver
	all_final 1
	equal 1 "$(bad_count complete)"
	equal 0 "$(bad_count unexpected)"
}
