# vmta-runq and peers that behave badly in the dialogue: every recipient gets
# the right record, nothing is lost, nothing is delivered that was not, and
# others do not wait for it. The numbers are those of the list of bad peers.

load helper/common
load helper/badpeer
load helper/runq
load helper/meet

teardown() {
	end_test
}

# What comes after a refused MAIL with two recipients.
no=('expect RCPT\nsend 503 no' 'expect RCPT\nsend 503 no'
	'expect DATA\nsend 503 no')

@test "P15: MAIL refused: all recipients; the next message in the same session" {
	local n=0 priority=100 reply type want=()
	while read -r type reply; do
		want+=("$type $reply")
	done <<-'END'
		t 451 4.3.0 Later
		t 452 4.3.1 Disk is full
		b 550 5.7.1 Not you
		b 552 5.3.4 Message is too large
		b 553 5.1.8 No such sender
	END
	meet < <(
		echo conn 1
		printf 'upto MAIL\nsend %s\n%b\n%b\n%b\n' \
			"${want[0]#* }" "${no[@]}"
		printf 'expect MAIL\nsend %s\n%b\n%b\n%b\n' \
			"${want[1]#* }" "${no[@]}" "${want[2]#* }" "${no[@]}" \
			"${want[3]#* }" "${no[@]}" "${want[4]#* }" "${no[@]}"
		echo polite
	)
	for ((n = 0; n < 5; n++)); do
		send --priority $((priority--)) a$n@bad.example b$n@bad.example
	done
	send last@bad.example
	deliver
	for ((n = 0; n < 5; n++)); do
		reply=${want[n]#* }
		became "${want[n]%% *}" a$n@bad.example "${reply:4:5}" "$reply"
		became "${want[n]%% *}" b$n@bad.example "${reply:4:5}" "$reply"
	done
	became d last@bad.example 2.0.0
	equal 1 "$(bad_conns)"
	equal 1 "$(bad_count complete)"
	no_clock
	in_the_end 11
	equal 3 "$(bad_count complete)"
}

@test "P16: mixed answers to RCPT: each his own; 452 and 552 split it" {
	meet <<-'END'
		conn 1
		upto RCPT
		send 250 2.1.5 ok
		expect RCPT
		send 450 4.2.1 busy
		expect RCPT
		send 550 5.1.1 nobody
		expect RCPT
		send 452 4.5.3 too many
		expect RCPT
		send 552 too many
		expect RCPT
		send 251 will forward
		expect RCPT
		send 551 5.1.6 moved
		expect RCPT
		send 452 4.2.2 full
		polite
	END
	send r{1..8}@bad.example
	deliver
	for r in 1 4 5 6; do
		became d r$r@bad.example 2.0.0
	done
	became t r2@bad.example 4.2.1 '450 4.2.1 busy'
	became t r8@bad.example 4.2.2 '452 4.2.2 full'
	became b r3@bad.example 5.1.1 '550 5.1.1 nobody'
	became b r7@bad.example 5.1.6 '551 5.1.6 moved'
	# The rest at once, and only the rest.
	equal "r1 r2 r3 r4 r5 r6 r7 r8 r4 r5" "$(bad_log got |
		sed -n 's/.*RCPT TO:<\(r[0-9]\)@.*/\1/p' | xargs)"
	equal 3 "$(bad_count complete)" # one was accepted before "too many"
	equal 1 "$(bad_conns)"
	# No attempt was charged for "too many".
	equal "1 1" "$(journal attempts type=d rcpt=r4@bad.example) $(journal \
		attempts type=d rcpt=r5@bad.example)"
	no_clock
	deliver --now
	all_final 9
	equal 2 "$(journal attempts type=d rcpt=r2@bad.example)"
}

@test "P17: all RCPT refused, then 354: a lone dot, and its 250 is nobody's" {
	local n=0 reply type
	for reply in '550 5.1.1 nobody' '450 4.2.1 busy'; do
		type=b
		[ "${reply:0:1}" = 5 ] || type=t
		meet -n "dot$((++n))" <<-END
			conn 1
			upto RCPT
			send $reply
			expect RCPT
			send $reply
			expect DATA
			send 354 go
			expect .
			send 250 2.0.0 fine
			polite
		END
		send --priority 90 r1@bad.example r2@bad.example
		send r3@bad.example
		deliver
		became $type r1@bad.example "${reply:4:5}" "$reply"
		became $type r2@bad.example "${reply:4:5}" "$reply"
		became d r3@bad.example 2.0.0
		# Nothing of the content went, and the session went on.
		equal . "$(bad_log got "$BAD_NAME" | sed -n '6s/.*	//p')"
		equal 0 "$(bad_count unexpected "$BAD_NAME")"
		equal 1 "$(bad_conns "$BAD_NAME")"
		in_the_end 3
	done
}

@test "P18: answers in one segment, byte by byte" {
	local n=0 way
	for way in 'raw 250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n' \
		'slow 1 250 ok\r\n250-o\r\n250 k\r\n250 ok\r\n354 go\r\n'; do
		meet -n "way$((++n))" <<-END
			conn 1
			upto MAIL
			expect RCPT
			expect RCPT
			expect DATA
			$way
			data
			${way%% 250*} 250 2.0.0 ok\\r\\n
			polite
		END
		send r1@bad.example r2@bad.example
		deliver
		became d r1@bad.example 2.0.0
		became d r2@bad.example 2.0.0
		equal 1 "$(bad_conns "$BAD_NAME")"
		in_the_end 2
	done
}

# Who is refused here is not who was meant, and 250 is not for whom it seems.
# bats test_tags=slow
@test "P18: out of step before 354: nobody is bounced, nobody delivered" {
	local n=0 what answers
	while read -r what answers; do
		meet -n "step$((++n))" <<-END
			conn 1
			upto MAIL
			expect RCPT
			expect RCPT
			expect DATA
			raw $answers
			hold
		END
		send r1@bad.example r2@bad.example
		deliver
		for r in r1 r2; do
			became t $r@bad.example 4.5.0
		done
		queue_failed 4.5.0 ''
		equal 0 "$(bad_count complete "$BAD_NAME")" "$what"
		wait_until bad_ended 1 '' "$BAD_NAME"
		in_the_end 2
	done <<-'END'
		many 250 ok\r\n250 ok\r\n550 5.1.1 not r1\r\n250 r2\r\n354 go\r\n
		missing 250 ok\r\n550 5.1.1 not r2\r\n354 go\r\n
		order 250 ok\r\n354 go\r\n250 r1\r\n250 r2\r\n
		order 354 go\r\n250 ok\r\n250 r1\r\n550 5.1.1 not r2\r\n
		refused 250 ok\r\n250 ok\r\n450 4.2.1 not r1\r\n250 r2\r\n354 go\r\n
	END
}

@test "P18: an answer to a command that was not sent yet" {
	meet <<-'END'
		conn 1
		ehlo 8BITMIME
		upto MAIL
		send 250 ok\n250 and again
		expect RCPT
		send 550 5.1.1 nobody
		expect DATA
		send 550 5.1.1 nobody
		hold
	END
	send r1@bad.example
	deliver
	became t r1@bad.example 4.5.0 'more answers than commands'
	refute grep RCPT "$BAD_LOG"
	in_the_end 1
}

# bats test_tags=slow
@test "P18: the last answer is missing: time is up" {
	local n=0 at
	for at in RCPT DATA; do
		meet -n "last$((++n))" 'command-timeout = 3s' <<-END
			conn 1
			upto $at
			hold
		END
		send r1@bad.example
		deliver
		became t r1@bad.example 4.4.2 "timed out (${at,,})"
		queue_failed 4.4.2 'timed out'
		in_the_end 1
	done
}

@test "P18: one answer too many after the dot: no further message there" {
	meet <<-'END'
		conn 1
		upto DATA
		send 354 go
		data
		raw 250 2.0.0 ok\r\n250 2.0.0 and once more\r\n
		hold
	END
	send --priority 90 r1@bad.example
	send r2@bad.example
	deliver
	became d r1@bad.example 2.0.0
	became d r2@bad.example 2.0.0
	equal 2 "$(bad_conns)"
	equal 1 "$(grep -c '	1	MAIL' "$BAD_LOG")"
	in_the_end 2
}

@test "P18: one answer too many in an idle session: it is not used again" {
	meet 'connection-idle-timeout = 5m' <<-'END'
		conn 1
		upto DATA
		send 354 go
		data
		send 250 2.0.0 ok
		sleep 200
		send 250 2.0.0 and once more
		hold
	END
	start_daemon
	send r1@bad.example
	wait_until bad_ended 1 peer
	send r2@bad.example
	wait_until grep -q 'complete	2' "$BAD_LOG"
	end "$RUNQ_PID"
	became d r1@bad.example 2.0.0
	became d r2@bad.example 2.0.0
	equal 1 "$(grep -c '	1	MAIL' "$BAD_LOG")"
	in_the_end 2
}

@test "P18: one flight (BDAT), one answer too many: nobody is delivered" {
	meet <<-'END'
		conn 1
		ehlo PIPELINING CHUNKING
		upto MAIL
		expect RCPT
		expect BDAT
		bdat
		raw 250 ok\r\n250 ok\r\n250 hm\r\n554 5.7.1 spam\r\n
		hold
	END
	send r1@bad.example
	deliver
	became t r1@bad.example 4.5.0 'ambiguous: more answers than commands'
	wait_until bad_ended 1 peer
	in_the_end 1 1
}

# More answers than the kernel keeps for both, and more commands than it keeps.
@test "P19: long answers to a thousand pipelined RCPT: no dead-lock" {
	meet -o --rcvbuf=2048 -o --sndbuf=2048 \
		'max-rcpt-per-transaction = 1000' \
		'data-send-timeout = 30s' <<-END
		conn 1
		upto RCPT
		send 250 $(printf '%01900d' 0)
		repeat 999
		expect RCPT
		send 250 $(printf '%01900d' 0)
		end
		polite
	END
	# shellcheck disable=SC2046
	send $(seq -f "$(printf '%060d' 0)%g@bad.example" 1000)
	deliver
	good_went
	equal 1 "$(bad_count complete)"
	in_the_end 1000
}

@test "P19: the peer answers and reads nothing: data-send-timeout" {
	meet -o --rcvbuf=2048 'max-rcpt-per-transaction = 1000' \
		'data-send-timeout = 1s' <<-'END'
		conn 1
		upto EHLO
		send 250-bad.example\n250 PIPELINING
		stall
	END
	# shellcheck disable=SC2046
	send $(seq -f "$(printf '%060d' 0)%g@bad.example" 1000)
	deliver
	queue_failed 4.4.2 'timed out (sending)'
	equal "1000 timed out (sending)" "$(journal dsnDiag type=t |
		sort | uniq -c | sed 's/^ *//; s/smtp;//')"
	in_the_end 1000
}

@test "P20: DATA refused, or answered by 250" {
	local n=0 type status reply
	while read -r type status reply; do
		meet -n "data$((++n))" <<-END
			conn 1
			upto DATA
			send $reply
			polite
		END
		send --priority 90 r1@bad.example
		send r2@bad.example
		deliver
		became "$type" r1@bad.example "$status"
		# A refusal ends nothing; who says 250 is out of step.
		if [ "$status" = 4.5.0 ]; then
			queue_failed 4.5.0 '2xx answer to DATA'
		else
			became d r2@bad.example 2.0.0
		fi
		equal 1 "$(bad_conns "$BAD_NAME")" "connections ($reply)"
		in_the_end 2
	done <<-'END'
		t 4.3.0 451 4.3.0 Later
		b 5.7.1 554 5.7.1 Never
		t 4.5.0 250 2.0.0 Thanks
	END
}

# bats test_tags=slow
@test "P20: an answer in the middle of the content ends it" {
	local n=0 type status reply
	while read -r type status reply; do
		meet -n "body$((++n))" <<-END
			conn 1
			upto DATA
			send 354 go
			take 1000
			send $reply
			stall
		END
		big_send 20 r1@bad.example
		deliver
		became "$type" r1@bad.example "$status"
		refute logged deferred ambiguous
		equal 0 "$(bad_count complete "$BAD_NAME")" "$reply"
		wait_until bad_ended 1 '' "$BAD_NAME"
		in_the_end 1
	done <<-'END'
		b 5.6.0 550 5.6.0 Seen enough
		t 4.3.1 452 4.3.1 Full
		t 4.5.0 250 2.0.0 Thanks
	END
}

# zero LINES SETTING...: a message of so many KB to a peer that reads no more
# than the first of it, and the rest when we are gone.
zero() {
	meet -n "zero$1" -o --rcvbuf=2048 "${@:2}" <<-'END'
		conn 1
		upto DATA
		send 354 go
		take 100
		await
		data
	END
	{
		message
		yes "$(printf '%0998d' 0)" | head -n "$1"
	} | inject -f s@sender.example r1@bad.example
	deliver
	became t r1@bad.example 4.4.2 'timed out (sending)'
	refute logged deferred ambiguous
	queue_failed 4.4.2 'timed out (sending)'
	wait_until bad_ended 1 '' "$BAD_NAME"
	equal 0 "$(bad_count complete "$BAD_NAME")" "$1 lines"
	in_the_end 1
	equal 1 "$(bad_count complete "$BAD_NAME")"
}

# Also when the kernel could take all of it.
@test "P21: the window is zero in mid-content: data-send-timeout" {
	zero 60 'data-send-timeout = 1s'
	zero 20000 'data-send-timeout = 1s'
}

@test "P21: a short message that never left is not ambiguous, and never comes" {
	zero 10 'smtp-data-termination-timeout = 1s'
}

@test "P21: the peer goes after so many bytes of content" {
	local n=0 how
	for how in close rst; do
		meet -n "cut$((++n))" <<-END
			conn 1
			upto DATA
			send 354 go
			take 100000
			$how
		END
		big_send 20 r1@bad.example
		deliver
		became t r1@bad.example 4.4.2
		refute logged deferred ambiguous
		queue_failed 4.4.2 ''
		in_the_end 1
	done
}

# How a script takes a whole message, with what the peer offers.
by_data='upto DATA\nsend 354 go\ndata'
by_bdat='ehlo PIPELINING CHUNKING\nupto BDAT\nbdat'

# bats test_tags=slow
@test "P22: the peer goes after the final dot: ambiguous, counted, again" {
	local n=0 how body
	for body in "$by_data" "$by_bdat"; do
		for how in close rst; do
			meet -n "dot$((++n))" < <(printf 'conn 1\n%b\n%s\n' \
				"$body" $how)
			send r1@bad.example r2@bad.example
			deliver
			became t r1@bad.example 4.4.2 ambiguous
			became t r2@bad.example 4.4.2 ambiguous
			logged run-end ambiguous=2
			queue_failed 4.4.2 ''
			in_the_end 2 1
			logged run-end ambiguous=0
		done
	done
}

@test "P23: 250 comes when we have gone: ambiguous, and no second record" {
	local n=0 body
	for body in "$by_data" "$by_bdat"; do
		meet -n "late$((++n))" 'smtp-data-termination-timeout = 1s' \
			< <(printf 'conn 1\n%b\nawait\nsend 250 2.0.0 ok\n' \
				"$body")
		send r1@bad.example
		deliver
		became t r1@bad.example 4.4.2 'ambiguous: timed out (end)'
		equal "d=1 r=2 t=1 tq=1" "$(types)"
		logged run-end ambiguous=1
		wait_until bad_ended 1 '' "$BAD_NAME"
		in_the_end 1 1
		equal "d=2 r=2 t=1 tq=1" "$(types)"
	done
}

# RFC 5321 4.5.3.2. A shorter one for the end of data makes duplicates.
@test "P01, P21, P23: a peer has the time that RFC 5321 gives it, by default" {
	local want
	make_prefix
	for want in 'smtp-greeting-timeout = 5m' 'command-timeout = 5m' \
		'data-send-timeout = 3m' 'smtp-data-termination-timeout = 10m'
	do
		vmta-check config --print-defaults |
			grep -q "^[[:space:]]*$want " || fail "not $want"
	done
}

@test "P24: 250 to the dot, then a reset instead of the answer to QUIT" {
	local n=0 when
	for when in '' 'expect QUIT\n'; do
		meet -n "quit$((++n))" < <(printf 'conn 1\n%b\n%s\n%brst\n' \
			"$by_data" 'send 250 2.0.0 ok' "$when")
		send r1@bad.example
		deliver
		became d r1@bad.example 2.0.0
		equal "d=2 r=2" "$(types)"
		no_clock
		in_the_end 1
	done
}

# The next connection begins when the one before is closed, in seconds and not
# after minutes (RFC 5321, 4.5.3.2 is for answers that matter); the run ends.
@test "P24: QUIT is never answered: the slot is free in seconds" {
	meet 'max-msg-per-connection = 1' < <(printf '%b\n' \
		"conn 1\n$by_data\nsend 250 2.0.0 ok\nexpect QUIT\nstall" \
		"conn 2\n$by_data\nsend 250 2.0.0 ok\nexpect QUIT\nstall")
	send r1@bad.example
	send r2@bad.example
	send r3@bad.example
	timeout 100 "$P/bin/vmta-runq"
	equal 3 "$(grep -c '^conn' "$BAD_LOG")" connections
	wait_until bad_ended 3
	equal "d=4 r=4" "$(types)"
	in_the_end 3
}

# bats test_tags=slow
@test "P24: QUIT is never answered: the connection ends soon" {
	meet < <(printf '%b\n' \
		"conn 1\n$by_data\nsend 250 2.0.0 ok\nexpect QUIT\nstall")
	start_daemon
	send r1@bad.example
	wait_until grep -q QUIT "$BAD_LOG"
	wait_until -t 30 bad_ended 1 peer
	end "$RUNQ_PID"
	became d r1@bad.example 2.0.0
	in_the_end 1
}

# bats test_tags=slow
@test "P25: 421 at any command, and after the dot" {
	local n=0 at script body
	while read -r at script; do
		case $at in
		end) body="$by_data\nsend 421 4.3.2 going" ;;
		bdat) body="$by_bdat\nsend 421 4.3.2 going" ;;
		content) body="upto DATA\nsend 354 go\ntake 100\nsend 421 4.3.2 going" ;;
		CONNECT) body="send 421 4.3.2 going" ;;
		*) body="upto $at\nsend 421 4.3.2 going" ;;
		esac
		meet -n "bye$((++n))" < <(printf 'conn 1\n%b\nhold\n' "$body")
		if [ "$at" = content ]; then
			big_send 20 r1@bad.example
		else
			send r1@bad.example r2@bad.example
		fi
		deliver
		case $at in
		CONNECT | EHLO) equal 0 "$(journal type type=t | wc -l)" ;;
		*) became t r1@bad.example 4.3.2 '421 4.3.2 going' ;;
		esac
		refute logged deferred ambiguous
		queue_failed 4.3.2 '421 4.3.2 going'
		wait_until bad_ended 1 '' "$BAD_NAME"
		case $at in
		content) in_the_end 1 ;;
		end | bdat) in_the_end 2 1 ;; # refused, and again
		*) in_the_end 2 ;;
		esac
	done < <(printf '%s\n' CONNECT EHLO MAIL RCPT DATA content end bdat)
}

# answers N TEXT: the N-th recipient is answered so; a script and a table.
@test "P26, P27: enhanced codes of another class, malformed, missing" {
	local i=0 rcpts=() replies=() want=() text type status
	while read -r type status text; do
		rcpts+=("r$((++i))@bad.example")
		want+=("$type $status")
		replies+=("$text")
	done <<-'END'
		b 5.0.0 550 2.0.0 another class
		b 5.0.0 550 4.2.2 another class
		t 4.0.0 450 5.1.1 another class
		t 4.0.0 451 2.1.5 another class
		b 5.0.0 550 no status at all
		b 5.0.0 550
		b 5.0.0 550 5.1 too short
		b 5.0.0 550 5.1.1.1 too long
		b 5.0.0 550 05.1.1 leading zero
		b 5.0.0 550 5.01.1 leading zero
		b 5.0.0 550 5.1.1234 too many digits
		b 5.0.0 550 5..1 a part is missing
		b 5.0.0 550 5.1.x no number
		b 5.0.0 550 5.1.1: no blank
		b 5.1.1 550 5.1.1
		b 5.1.1 550 #5.1.1 hint at the begin
		b 5.2.1 550 mailbox disabled (#5.2.1)
		b 5.0.0 550 #5.1.1.1 hint too long
		t 4.0.0 450 #5.1.1 hint of another class
		t 4.7.1 450 4.7.1 as it should be
	END
	meet < <(
		printf 'conn 1\nupto RCPT\n'
		printf 'send %s\n' "${replies[0]}"
		printf 'expect RCPT\nsend %s\n' "${replies[@]:1}"
		printf 'polite\n'
	)
	send "${rcpts[@]}"
	deliver
	for ((i = 0; i < ${#rcpts[@]}; i++)); do
		became "${want[i]% *}" "${rcpts[i]}" "${want[i]#* }" \
			"smtp;${replies[i]}"
	done
	equal 1 "$(bad_conns)"
	deliver --now
	all_final 21
}

@test "P26: the end of data: the basic code decides, the text is kept" {
	local n=0 type status reply
	while read -r type status reply; do
		meet -n "class$((++n))" < <(printf 'conn 1\n%b\n%s\npolite\n' \
			"$by_data" "send $reply")
		send r1@bad.example
		deliver
		became "$type" r1@bad.example "$status" "smtp;$reply"
	done <<-'END'
		d 2.0.0 250 5.7.1 Rejected, or not
		d 2.0.0 250 4.2.1 Later, or not
		b 5.0.0 554 2.0.0 Ok, or not
		b 5.0.0 554 4.7.1 Later, or not
		t 4.0.0 451 2.0.0 Ok, or not
		t 4.0.0 451 5.7.1 Rejected, or not
	END
}
