# Servers whose replies are bad: their form, their time, their number (P08 to
# P11, P14, P41 to P44 of the list of bad peers). No success is made of what is
# none, nobody is lost, and what the text of a reply says stays text.

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

# mails N: how often MAIL was said on connection N.
mails() {
	bad_log got | awk -F '\t' -v n="$1" '
		$2 == n && toupper($3) ~ /^MAIL/ { m++ } END { print m + 0 }'
}

@test "P08: different codes in one reply, before any mail: the queue waits" {
	for stage in GREETING EHLO; do
		answers $stage <<-'END'
			220-mx\r\n554 5.7.1 no\r\n
			554-mx\r\n220 yes\r\n
			250-mx\r\n251 mx\r\n
			250-mx\r\n250-PIPELINING\r\n550 SIZE\r\n
			421-mx\r\n250 yes\r\n
		END
		answered tq 1 2 3 4 5
		alike '*different codes in one reply (*)' "$(journal dsnDiag type=tq)"
		[[ $(journal dsnDiag queue=f1.example/v1 type=tq) == *"(554)" ]]
		[[ $(journal dsnDiag queue=f5.example/v1 type=tq) == *"(250)" ]]
		recover_answers 5
		rm -r "$P"
		make_prefix
	done
}

@test "P08: different codes to MAIL, RCPT, DATA: no success, no bounce" {
	for stage in MAIL RCPT DATA; do
		answers $stage <<-'END'
			250-ok\r\n550 5.1.1 no\r\n
			550-5.1.1 no\r\n250 ok\r\n
			250-ok\r\n251 ok\r\n
			354-go\r\n250 ok\r\n
			450-4.2.1 wait\r\n550 5.1.1 no\r\n
		END
		answered t 1 2 3 4 5
		alike 'different codes in one reply (*)' "$(journal dsnDiag type=t)"
		equal "different codes in one reply (550)" \
			"$(journal dsnDiag type=t rcpt=r@f1.example)"
		alike '4.5.0*' "$(journal dsnStatus type=t)"
		equal 0 "$(bad_count complete)"
		recover_answers 5
		rm -r "$P"
		make_prefix
	done
}

@test "P08: different codes to the final dot: ambiguous, and once more" {
	answers END <<-'END'
		250-2.0.0 ok\r\n550 5.7.1 spam\r\n
		550-5.7.1 spam\r\n250 2.0.0 ok\r\n
		250-2.0.0 ok\r\n251 ok\r\n
	END
	answered t 1 2 3
	alike 'ambiguous: different codes in one reply (*)' \
		"$(journal dsnDiag type=t)"
	recover_answers 3
}

# bats test_tags=slow
@test "P09: a reply without text is one; nothing else that is not one" {
	good=(1 2 3 4 5 6)
	bad=({7..23})
	for stage in RCPT END; do
		answers $stage <<-'END'
			250\r\n
			250 \r\n
			250\n
			250-\r\n250\r\n
			250-one\r\n250-\r\n250 \r\n
			250-250\r\n250 -\r\n
			250x\r\n
			25 0 ok\r\n
			2500 ok\r\n
			250_ok\r\n
			250:ok\r\n
			25\r\n
			2\r\n
			ok\r\n
			two-fifty ok\r\n
			\x20250 ok\r\n
			\t250 ok\r\n
			\n250 ok\r\n
			\r\n250 ok\r\n
			-250 ok\r\n
			600 ok\r\n
			199 ok\r\n
			\xd9\xa2\xd9\xa5\xd9\xa0 ok\r\n
		END
		answered d "${good[@]}"
		answered t "${bad[@]}"
		alike '*not an SMTP reply*' "$(journal dsnDiag type=t)"
		recover_answers 23
		rm -r "$P"
		make_prefix
	done
}

@test "P09: 250- as the last line: it is waited for, and no success" {
	answers RCPT 'command-timeout = 4s' <<<'250-\r\n'
	answered t 1
	equal "timed out (rcpt)" "$(journal dsnDiag type=t)"
	recover_answers 1
}

@test "P09: a LF before a 5xx: it is not retried for ever" {
	answers RCPT 'bounce-after = 0s' <<-'END'
		\n550 5.1.1 no\r\n
		\r\n550 5.1.1 no\r\n
	END
	answered b 1 2
	alike '4.4.7*' "$(journal dsnStatus type=b)"
	equal message-expired "$(journal bounceCat type=b | sort -u)"
	all_final 2
}

@test "P10: LF ends a line, CR inside is shown, and is no end" {
	answers RCPT <<-'END'
		250 ok\n
		250-a\n250 b\r\n
		250-a\r\n250 b\n
		250 ok\r\r\n
		250 ok\r250 ok\r\n
		550 5.1.1 a\rb\r\n
		550-5.1.1 a\r\r\n550-5.1.1 b\n550 5.1.1 c\r\r\r\n
		550 5.1.1 no\r450 4.1.1 yes\r\n
	END
	answered d 1 2 3 4 5
	answered b 6 7 8
	equal 'smtp;550 5.1.1 a\x0db' "$(journal dsnDiag type=b rcpt=r@f6.example)"
	equal 'smtp;550 5.1.1 a b c' "$(journal dsnDiag type=b rcpt=r@f7.example)"
	equal 'smtp;550 5.1.1 no\x0d450 4.1.1 yes' \
		"$(journal dsnDiag type=b rcpt=r@f8.example)"
	clean "$P"/spool/acct/*.csv "$P"/log/*
	all_final 8
}

@test "P10: CR alone: the reply is not over" {
	answers RCPT 'command-timeout = 4s' <<<'250 ok\r'
	answered t 1
	recover_answers 1
}

@test "P11: NUL, ESC, 8-bit in refusals: escaped, whole, classified" {
	answers RCPT <<-'END'
		550 5.1.1 a\x00b\r\n
		550 5.1.1 \x1b[31mred\x1b]0;title\x07\r\n
		550 5.1.1 \xff\xfe\xc3(\xe2\x82\xf0\x90\r\n
		550 5.1.1 \xc3\xa4\xe2\x82\xac\r\n
		550 5.1.1 \xe2\x80\xaegnp.exe\xe2\x80\xa8line\xc2\x85next\r\n
		550 5.1.1 tab\there \\n %s%n "quoted", =cmd|'x'!A1\r\n
		450 4.2.1 a\x00b\x7f\r\n
		550 5.1.1\x00x\r\n
		550 5.2.2\x00\r\n
	END
	answered b 1 2 3 4 5 6 8 9
	answered t 7
	while IFS=$'\t' read -r n text; do
		equal "smtp;$text" \
			"$(journal dsnDiag "rcpt=r@f$n.example" |
				grep -v '^$')" "$n"
	done <<-'END'
		1	550 5.1.1 a\x00b
		2	550 5.1.1 \x1b[31mred\x1b]0;title\x07
		3	550 5.1.1 \xff\xfe\xc3(\xe2\x82\xf0\x90
		4	550 5.1.1 ä€
		5	550 5.1.1 \xe2\x80\xaegnp.exe\xe2\x80\xa8line\xc2\x85next
		6	550 5.1.1 tab\x09here \\n %s%n "quoted", =cmd|'x'!A1
		7	450 4.2.1 a\x00b\x7f
		8	550 5.1.1\x00x
		9	550 5.2.2\x00
	END
	# A NUL is no end of a status: it is not one then.
	alike '5.1.1*' "$(for n in 1 2 3 4 5 6; do
		journal dsnStatus "rcpt=r@f$n.example" type=b
	done)"
	alike '5.0.0*' "$(for n in 8 9; do
		journal dsnStatus "rcpt=r@f$n.example" type=b
	done)"
	vqueue list --format csv >"$P/list"
	report summary >"$P/report"
	clean "$P"/spool/acct/*.csv "$P"/log/* "$P/list" "$P/report"
	equal 9 "$(journal type | grep -vc '^r$')"
	recover_answers 9
}

@test "P11: NUL, ESC and 8-bit in the greeting: the clock's file is clean" {
	trouble 4.3.2 'smtp;421 4.3.2 a\\x00b\\x1b\[1m\\xff step: 9' <<-'END'
		send 421-4.3.2 a\x00b\x1b[1m\xff\n421 4.3.2 step: 9
		hold
	END
	queues_failed
	equal 421 "$(clock bad1.example error | cut -d ' ' -f 1)"
	clean "$P"/spool/state/retry/v1/* "$P"/spool/acct/*.csv "$P"/log/*
	recovers
}

# The replies of a server that is slow, step by step, to TO with EHLO answer.
slow_script() {
	cat <<-END
		conn to=$1
		sleep 3500
		send 220 mx
		expect EHLO
		sleep 3500
		send $2
		expect MAIL
		sleep 3500
		send 250 ok
		expect RCPT
		sleep 3500
		send 250 ok
		expect DATA
		sleep 3500
		send 354 go
		data
		sleep 3500
		send 250 ok
		polite
	END
}

# bats test_tags=slow
@test "P14: every reply just before its timeout: none is spurious" {
	{
		slow_script 127.0.0.1 '250-mx\n250 PIPELINING'
		slow_script 127.0.0.2 '250 mx'
		echo 'conn to=127.0.0.3
		repeat 30
			sleep 100
			upto MAIL
			sleep 400
			send 250 ok
		end'
	} >"$P/script"
	start_bad -l 127.0.0.1:0 -l 127.0.0.2:= -l 127.0.0.3:= <"$P/script"
	for i in 1 2 3; do
		echo "domain 's$i.example' {"
		echo "smtp-hosts = {'[127.0.0.$i]:$BAD_PORT'}"
		echo "max-smtp-out = 2 }"
	done >"$P/domains"
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf 'smtp-greeting-timeout = 6s' \
		'command-timeout = 6s' 'smtp-data-termination-timeout = 6s' <<-END
			virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
			$(cat "$P/domains")
		END
	send a@s1.example
	send b@s2.example
	send_many 1 10 s3.example
	deliver
	all_final 12
	equal "d=12 r=12" "$(types)"
	equal 12 "$(bad_count complete)"
	# Slow as it is, the third had as many connections as it may have.
	equal 2 "$(bad_log conn | grep -c '	127\.0\.0\.3:[0-9]*$')"
	no_clocks
}

# bats test_tags=slow
@test "P14: the reply is there, but we were stopped: no timeout of it" {
	start_bad <<-'END'
		conn 1
		upto MAIL
		await stopped
		send 250 ok
		sleep 5500
		mark late
		expect RCPT
		send 250 ok
		polite
		conn *
		polite
	END
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'command-timeout = 5s' \
		'ignore-pipelining = yes'
	send a@one.example
	start_runq
	wait_until bad_has 2 got
	runq_signal STOP
	bad_go stopped
	wait_until bad_has 1 mark
	runq_signal CONT
	ended "$RUNQ_PID"
	settled
	equal "d=1 r=1" "$(types)"
	equal 1 "$(bad_conns)"
	all_final 1
}

@test "P41: greeting and keywords masked: it works in plain SMTP" {
	start_bad <<-'END'
		conn 1
		send 220 ****************************************
		expect EHLO
		send 250-mx\n250-XXXXXXXA\n250-********\n250-****\n250 XXXXXXXXXXXXXXXXXXXB
		expect MAIL FROM:<s@sender.example>
		send 250 ok
		expect RCPT TO:<a@one.example>
		send 250 ok
		expect DATA
		send 354 go
		data
		send 250 ok
		close
		conn 2
		send 220 **********************0*2******0***********************
		expect EHLO
		send 500 Command unrecognized: "XXXX v1.example"
		polite
	END
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
		'max-msg-per-connection = 1'
	send a@one.example
	deliver
	send a@one.example
	deliver
	all_final 2
	equal 2 "$(journal type type=d | wc -l)"
	equal "MAIL FROM:<s@sender.example>" \
		"$(bad_log got | cut -f 3 | grep MAIL | sort -u)"
	equal 0 "$(bad_count unexpected)"
	equal 2 "$(bad_count complete)"
	# A short message comes with its dot: no line end is parted from it.
	equal 1 "$(bad_log complete | cut -f 6 | sort -u)"
}

@test "P41: the final dot is swallowed: ambiguous, and it arrives later" {
	trouble 4.4.2 'ambiguous: timed out (end)' \
		'smtp-data-termination-timeout = 1s' <<-'END'
			upto DATA
			send 354 go
			hold
		END
	rcpts_deferred "d=1 r=3 t=2 tq=2"
	recovers
}

@test "P41: each reply comes twice: no session goes on with that" {
	trouble 4.5.0 '*more answers than commands' <<-'END'
		upto MAIL
		send 250 ok\n250 ok
		upto RCPT
		send 550 5.1.1 no\n550 5.1.1 no
		polite
	END
	# The flight had answers enough for the first two.
	equal 0 "$(bad_count complete)"
	equal 0 "$(journal type type=b | wc -l)"
	recovers
}

@test "P42: a reply that looks like our records: it is text" {
	start_sink
	start_bad <<-'END'
		conn 1
		upto DATA
		send 354 go
		data
		raw 250-2.0.0 ok\r\n250-\r"\x00\x1b\r\n250-b,2026-01-01 00:00:00+0000,"x\r\n250-","\r\n
		raw 250-d,20260101T000000Z,a@good.example,,,,,,,,,,,,,,,,,,\r\n * 200
		raw 250-type,timeLogged,timeQueued,orig,rcpt\r\n250-END\r\n
		raw 250-R 00000000 d 00001 00000000000000 - <x@y>\r\n
		raw 250-"\r\n250-\x00"\r\n250 vmta-batch 1 0000000741 000000030112\r\n
		conn 2
		upto DATA
		send 354 go
		data
		raw 450-4.2.1 t,,,\r\n450-"b",\r\n
		raw 450-b,20260101T000000Z,c@good.example,"\r\n * 300
		raw 450 4.2.1 END\r\n
		conn 3
		send 421-4.3.2 no\x1b\x00\n421-next: 20010101T000000Z\n421-step: 99\n421 vmta-retry 9
		conn *
		polite
	END
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
		'max-msg-per-connection = 1' 'retry-after = 5h'
	for rcpt in a b; do
		send $rcpt@$rcpt.example
		deliver --domain $rcpt.example
	done
	equal "d=1 r=2 t=1" "$(types)"
	equal a@a.example "$(journal rcpt type=d)"
	[[ $(journal dsnDiag type=d) == "smtp;250 2.0.0 ok "'\x0d"\x00\x1b b,2026-01-01'*"d,2026"* ]]
	[[ $(journal dsnDiag type=t) == 'smtp;450 4.2.1 t,,, "b", b,2026'* ]]
	send c@c.example
	deliver --domain c.example
	equal "1 4.3.2" "$(clock c.example step) $(clock c.example status)"
	[ "$(clock c.example next)" \> "$(date -u +%Y%m%dT%H%M%SZ)" ]
	equal 7 "$(wc -l <"$P/spool/state/retry/v1/c.example")"
	# What is read back, by others too, is what was written.
	waiting 2
	equal "b@b.example	deferred	1" "$(vqueue list --format csv |
		csv rcpt state attempts rcpt=b@b.example)"
	clean "$P"/spool/acct/*.csv "$P"/log/* "$P"/spool/state/retry/v1/*
	report summary --format csv >/dev/null
	deliver --now
	all_final 3
	equal "3 3" "$(journal type type=d | wc -l) $(bad_complete | sort -u | wc -l)"
}

@test "P42: a crash after such a reply: the replay is not led astray" {
	start_bad <<-'END'
		conn 1
		upto DATA
		send 354 go
		data
		raw 250-d,20260101T000000Z,s@sender.example,"\r\n * 400
		raw 250 "END\r\n
		upto DATA
		send 354 go
		data
		raw 450-"d\r\n450-d,20260101T000000Z,s@sender.example,"\r\n * 200
		raw 450 end\r\n
		mark both
		hold
		conn *
		polite
	END
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
		'retry-after = 5h'
	send_many 1 3 one.example
	start_daemon
	wait_until bad_has 1 mark
	wait_until has_records 2
	end "$RUNQ_PID" KILL # waits for its threads, too
	wait_until bad_ended 1
	deliver --now
	all_final 3
	equal 3 "$(journal type type=d | wc -l)"
	# One was taken twice: the first time its answer was 450.
	equal 4 "$(bad_count complete)"
}

# has_records N: so many results in the journal (for wait_until).
has_records() {
	[ "$(journal type | grep -c '^[dt]$')" -ge "$1" ]
}

@test "P43: an answer too many with the last one: a new connection" {
	for extra in '250 ok\r\n' '421 4.4.2 bye\r\n' '550 no\r\n' '2' '\r\n' \
		'250-'; do
		start_bad <<-END
			conn 1
			upto DATA
			send 354 go
			data
			raw 250 2.0.0 ok\r\n$extra
			polite
			conn *
			polite
		END
		HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
			'retry-after = 5h'
		send_many 1 3 one.example
		deliver
		sent=$((${sent:-0} + 3))
		all_final $sent
		equal $sent "$(journal type type=d | wc -l)"
		equal 2 "$(bad_conns)" "connections ($extra)"
		equal "1 2" "$(mails 1) $(mails 2)"
		equal 3 "$(bad_complete | sort -u | wc -l)"
		equal 3 "$(bad_count complete)"
		no_clocks
	done
}

@test "P43: a second answer to MAIL or RCPT is not one to the next command" {
	for verb in MAIL RCPT; do
		start_bad <<-END
			conn 1
			ehlo
			upto $verb
			raw 250 ok\r\n250 ok\r\n
			upto RCPT
			send 550 5.1.1 no
			polite
			conn *
			polite
		END
		HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
			'retry-after = 5h'
		send a@one.example b@one.example
		deliver
		equal "t" "$(journal type rcpt=a@one.example | grep -v r | xargs)"
		equal "t" "$(journal type rcpt=b@one.example | grep -v r | xargs)"
		equal "more answers than commands" \
			"$(journal dsnDiag type=t | sort -u)"
		deliver --now
		all_final 2
		equal 2 "$(journal type type=d | wc -l)"
		rm -r "$P"
		make_prefix
	done
}

# What a server may do to a session that rests.
IDLE=('send 421 4.4.2 idle' 'send 250 hm' 'raw 4' 'raw \r\n'
	$'send 421 4.4.2 idle\nclose' $'send 250 ok\nrst' 'close' 'rst' 'shut')

# idle_script COUNT: with connection N it does the Nth of them, after mail.
idle_script() {
	local i
	for i in "${!IDLE[@]}"; do
		cat <<-END
			conn $((i + 1))
			upto DATA
			send 354 go
			data
			send 250 ok
			await go$i
			${IDLE[i]}
			hold
		END
	done
	printf 'conn *\npolite\n'
}

@test "P43, P44: spoken to, closed, half-closed at rest: a new connection" {
	idle_script >"$P/script"
	start_bad <"$P/script"
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
		'retry-after = 5h' 'connection-idle-timeout = 5m'
	start_daemon
	for i in "${!IDLE[@]}"; do
		send "r$i@one.example"
		wait_until bad_has $((i + 1)) complete
		wait_until has_records $((i + 1))
		bad_go "go$i"
		wait_until bad_ended $((i + 1))
		equal $((i + 1)) "$(bad_conns)"
		equal 1 "$(mails $((i + 1)))"
	done
	send last@one.example
	wait_until has_records $((i + 2))
	end "$RUNQ_PID"
	settled
	all_final $((i + 2))
	equal $((i + 2)) "$(journal type type=d | wc -l)"
	equal $((i + 2)) "$(bad_count complete)"
	no_clocks
}

@test "P43, P44: the same, and new mail at the same moment" {
	idle_script >"$P/script"
	start_bad <"$P/script"
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf1 'max-smtp-out = 1' \
		'retry-after = 5h' 'connection-idle-timeout = 5m'
	start_daemon
	send first@one.example
	for i in "${!IDLE[@]}"; do
		wait_until bad_has $((i + 1)) complete
		wait_until has_records $((i + 1))
		sent=$(bad_count sent)
		runq_signal STOP
		bad_go "go$i"
		case ${IDLE[i]} in
		close | rst) wait_until bad_ended $((i + 1)) ;;
		shut) ;; # a FIN of which nothing tells; either way is right
		*) wait_until bad_has $((sent + 1)) sent ;;
		esac
		send "r$i@one.example"
		runq_signal CONT
	done
	wait_until has_records $((i + 2))
	end "$RUNQ_PID"
	settled
	all_final $((i + 2))
	equal $((i + 2)) "$(journal type type=d | wc -l)"
	equal $((i + 2)) "$(bad_count complete)"
	# MAIL was said to none that had spoken.
	for i in "${!IDLE[@]}"; do
		[[ ${IDLE[i]} == shut ]] || equal 1 "$(mails $((i + 1)))"
	done
	no_clocks
}

# bats test_tags=slow
@test "P44: half-closed in mid-session: it is given up, the mail waits" {
	for stage in EHLO MAIL RCPT DATA; do
		trouble 4.4.2 '*closed by peer' <<-END
			upto $stage
			shut
			hold
		END
		if [ $stage = EHLO ]; then
			queues_failed
		else
			rcpts_deferred "d=1 r=3 t=2 tq=2"
		fi
		equal 0 "$(bad_count complete)"
		recovers
		rm -r "$P"
		make_prefix
	done
}

@test "P44: half-closed instead of, and behind, the last answer" {
	trouble 4.4.2 'ambiguous: *closed by peer' <<-'END'
		upto DATA
		send 354 go
		data
		shut
		hold
	END
	rcpts_deferred "d=1 r=3 t=2 tq=2"
	recovers 2
	rm -r "$P"
	make_prefix
	trouble x x <<-'END'
		upto DATA
		send 354 go
		data
		send 250 ok
		shut
		hold
	END
	wait_until bad_ended 2
	all_final 3
	equal "d=3 r=3" "$(types)"
	equal 2 "$(bad_count complete)"
}

# bats test_tags=slow
@test "P44: only TCP is alive: command-timeout frees the slot" {
	trouble 4.4.2 'timed out (mail)' 'command-timeout = 4s' <<-'END'
		ehlo
		upto MAIL
		sleep 10000
		send 250 ok
		polite
	END
	rcpts_deferred "d=1 r=3 t=2 tq=2"
	recovers
}

@test "P44: NAT forgets an idle session: a new one, nobody is charged" {
	need_netns
	ns_make mta
	ns_make mx
	ns_link mta mx
	ns_addr mta 198.51.100.1/24 to-mx
	ns_addr mx 198.51.100.2/24 to-mta
	NS=mx start_bad -l 198.51.100.2:2525 <<-'END'
		conn *
		polite
	END
	HOSTS="'[198.51.100.2]:2525'" rconf 'max-smtp-out = 1' \
		'retry-after = 5h' 'connection-idle-timeout = 5m' \
		'command-timeout = 4s' <<-'END'
			virtual-mta v1 { smtp-source-host = '198.51.100.1 v1.example' }
		END
	start runq ip netns exec "$(ns_name mta)" "$P/bin/vmta-runq" --daemon
	wait_until owned
	send a@one.example
	wait_until has_records 1
	port=$(bad_log conn | cut -f 3 | sed 's/.*://')
	ns_run mx nft -f - <<-END
		table inet nat {
			chain in {
				type filter hook input priority 0;
				tcp sport $port drop
			}
		}
	END
	send b@one.example
	wait_until has_records 2
	end "$STARTED"
	settled
	equal "d=2 r=2" "$(types)"
	all_final 2
	equal 2 "$(bad_conns)"
	equal "1 1" "$(mails 1) $(mails 2)"
	no_clocks
}
