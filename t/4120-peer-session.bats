# vmta-runq and peers that offer, limit or end things as they like: what is
# sent, what becomes of the mail, and what a session's end costs. The numbers
# are those of the list of bad peers.

load helper/common
load helper/badpeer
load helper/runq
load helper/meet

teardown() {
	end_test
}

# got N COMMAND [NAME]: how many of these connection N got.
got() {
	bad_log got "${3:-bad}" | grep -c "^got	$1	$2"
}

# A text in UTF-8, with a header of ASCII.
eightbit() {
	printf 'From: a@sender.example\nMIME-Version: 1.0\n'
	printf 'Content-Type: text/plain; charset=utf-8\n'
	printf 'Content-Transfer-Encoding: 8bit\n\nGr\303\274\303\237e\n'
}

@test "P31: no 8BITMIME, no SMTPUTF8: 7 bits on the wire, 5.6.7, 5.6.9" {
	start_sink -n other -s --no 8BITMIME --no SMTPUTF8
	HOSTS="'[127.0.0.1]:$SINK_PORT'" meet </dev/null
	eightbit | inject -f s@sender.example r1@bad.example
	message | inject -f s@sender.example r2@bad.example \
		$'gr\303\274n@bad.example'
	message | inject -f $'s\303\274d@sender.example' r3@bad.example
	message $'Gr\303\274\303\237e' | inject -f s@sender.example \
		r4@bad.example
	deliver
	became d r1@bad.example 2.0.0
	became d r2@bad.example 2.0.0
	became b $'gr\303\274n@bad.example' 5.6.7
	became b r3@bad.example 5.6.7
	became b r4@bad.example 5.6.9
	all_final 6
	no_clock
	# What arrived is ASCII, said to be so, and decodes to what was sent.
	equal 2 "$(sink_count messages other)"
	equal 0 "$(cat "$BATS_TEST_TMPDIR"/sink-other/store/*.eml |
		LC_ALL=C grep -c '[^ -~[:cntrl:]]')" '8-bit lines'
	refute grep -q BODY= <(sink_log msg other)
	cat "$BATS_TEST_TMPDIR"/sink-other/store/*.eml | python3 -c '
import email, sys
m = email.message_from_bytes(sys.stdin.buffer.read())
text = b"".join(p.get_payload(decode=True) for p in m.walk())
sys.exit("Gr\u00fc\u00dfe".encode() not in text)' ||
		grep -q '=C3=BC=C3=9F' \
			"$BATS_TEST_TMPDIR"/sink-other/store/*.eml
	sink_strict other
}

@test "P32: SIZE is too small: 5.3.4 without a word; SIZE= is what is sent" {
	meet <<-'END'
		conn *
		ehlo PIPELINING SIZE=2000
	END
	big_send 1 r1@bad.example r2@bad.example
	send r3@bad.example
	deliver
	became b r1@bad.example 5.3.4
	became b r2@bad.example 5.3.4
	became d r3@bad.example 2.0.0
	equal 1 "$(got 1 MAIL)"
	equal "$(bad_log complete | cut -f 4)" \
		"$(bad_log got | sed -n 's/.* SIZE=\([0-9]*\).*/\1/p')" SIZE
	no_clock
	all_final 4
}

@test "P32: SIZE without a number, 0, absurd: no limit" {
	local n=0 size
	for size in SIZE SIZE=0 SIZE=99999999999999999999999 SIZE=-1 SIZE=x; do
		meet -n "size$((++n))" <<-END
			conn *
			ehlo PIPELINING $size
		END
		big_send 1 r1@bad.example
		deliver
		became d r1@bad.example 2.0.0
	done
}

@test "P33: BDAT is refused though offered: DATA at once, nobody is charged" {
	local n=0 reply
	for reply in '500 5.5.1 What' '502 5.5.1 What' '503 5.5.1 What'; do
		meet -n "bdat$((++n))" <<-END
			conn 1
			ehlo PIPELINING CHUNKING
			upto BDAT
			send $reply
			hold
			conn *
			ehlo PIPELINING CHUNKING
		END
		send r1@bad.example r2@bad.example
		deliver
		became d r1@bad.example 2.0.0
		became d r2@bad.example 2.0.0
		equal "d=3 r=3" "$(types)"
		equal 1 "$(journal attempts type=d rcpt=r1@bad.example)"
		# So it stays for a day.
		equal 1 "$(got 2 DATA "$BAD_NAME")"
		send r3@bad.example
		deliver
		equal 1 "$(got 3 DATA "$BAD_NAME")"
		equal 1 "$(bad_log got "$BAD_NAME" | grep -c BDAT)" BDAT
		in_the_end 3
	done
}

# bats test_tags=slow
@test "P33: BDAT LAST: refused, not answered, broken off" {
	local n=0 type status what opt
	while read -r type status what; do
		opt=()
		[ "$what" != hold ] ||
			opt=('smtp-data-termination-timeout = 1s')
		meet -n "last$((++n))" "${opt[@]}" \
			< <(printf 'conn 1\nehlo PIPELINING CHUNKING
				upto BDAT\nbdat\n%b\n' "$what")
		send r1@bad.example r2@bad.example
		deliver
		became "$type" r1@bad.example "$status"
		became "$type" r2@bad.example "$status"
		case $what in
		send*)
			refute logged deferred ambiguous
			no_clock
			;;
		*)
			logged run-end ambiguous=2
			queue_failed 4.4.2 ''
			;;
		esac
		in_the_end 2 "$([ "$type" = t ] && echo 1 || echo 0)"
	done <<-'END'
		b 5.7.1 send 554 5.7.1 Spam\npolite
		b 5.3.4 send 552 5.3.4 Too big\npolite
		t 4.3.1 send 452 4.3.1 Full\npolite
		t 4.4.2 hold
		t 4.4.2 raw 25\nrst
	END
}

@test "P34: RCPTMAX and MAILMAX are kept, nobody is charged for them" {
	meet <<-'END'
		conn *
		upto EHLO
		send 250-bad.example\n250-PIPELINING\n250 LIMITS MAILMAX=3 RCPTMAX=2
	END
	send r{1..7}@bad.example
	send_many 11 16 bad.example
	deliver
	good_went
	equal "d=14 r=14" "$(types)"
	equal 1 "$(journal attempts type=d | sort -u)"
	# At most 2 RCPT a MAIL, at most 3 MAIL a connection.
	bad_log got | awk -F '\t' '
		$2 != conn { conn = $2; mails = 0 }
		/\tMAIL/ { mails++; rcpts = 0 }
		/\tRCPT/ { rcpts++ }
		mails > 3 || rcpts > 2 { exit 1 }'
	no_clock
	all_final 14
}

@test "P34: AUTH, XCLIENT and more are offered: no credentials, none is used" {
	meet "auth-username = 'someone'" "auth-password = 'sesame-open'" <<-'END'
		conn *
		upto EHLO
		send 250-bad.example\n250-AUTH PLAIN LOGIN\n250-AUTH=PLAIN LOGIN\n250-XCLIENT NAME ADDR LOGIN\n250-XFORWARD NAME\n250-ETRN\n250 VRFY
	END
	send r1@bad.example
	deliver
	became d r1@bad.example 2.0.0
	equal "EHLO MAIL RCPT DATA QUIT" "$(bad_log got | cut -f 3 |
		cut -d ' ' -f 1 | xargs)"
	refute grep -i -e sesame -e someone "$BAD_LOG" "$P/log/vmta.log"
	all_final 2
}

# The message that meets the end has cost nothing: the same run delivers it.
# bats test_tags=slow
@test "P35: RSET refused, 421 to the second MAIL, closed between messages" {
	local n=0 first end by_data='upto DATA\nsend 354 go\ndata\nsend 250 2.0.0 ok'
	while read -r first end; do
		[ "$first" = - ] && first=$by_data
		meet -n "reuse$((++n))" < <(printf 'conn 1\n%b\n%b\n' \
			"$first" "$end")
		send --priority 90 r1@bad.example
		send r2@bad.example
		deliver
		[ "$first" != "$by_data" ] || became d r1@bad.example 2.0.0
		became d r2@bad.example 2.0.0
		equal 1 "$(journal attempts type=d rcpt=r2@bad.example)"
		equal 0 "$(journal type type=t type=tq | wc -l)" "$end"
		equal 2 "$(bad_conns "$BAD_NAME")" "$end"
		no_clock
		in_the_end 2
	done <<-'END'
		upto\x20RCPT\nsend\x20550\x205.1.1\x20no\nexpect\x20DATA\nsend\x20503\x20no expect RSET\nsend 502 5.5.1 what\nhold
		upto\x20RCPT\nsend\x20550\x205.1.1\x20no\nexpect\x20DATA\nsend\x20503\x20no expect RSET\nsend 421 4.3.2 going\nhold
		upto\x20RCPT\nsend\x20550\x205.1.1\x20no\nexpect\x20DATA\nsend\x20503\x20no expect RSET\nclose
		- expect MAIL\nsend 421 4.7.0 enough\nclose
		- expect MAIL\nclose
		- expect MAIL\nrst
		- close
		- rst
	END
}

@test "P35: two messages a connection, then 421: all in one run, one attempt" {
	local two='upto DATA\nsend 354 go\ndata\nsend 250 2.0.0 ok'
	meet < <(printf 'conn *\n%b\n%b\nexpect MAIL\nsend 421 4.7.0 no\nclose\n' \
		"$two" "$two")
	send_many 1 9 bad.example
	deliver
	good_went
	equal "d=10 r=10" "$(types)"
	equal 1 "$(journal attempts type=d | sort -u)"
	equal 5 "$(bad_conns)"
	equal 9 "$(bad_complete | sort -u | wc -l)"
	no_clock
	all_final 10
}

@test "P35: the peer closes an idle session: a new one, and no attempt" {
	meet 'connection-idle-timeout = 5m' <<-'END'
		conn 1
		upto DATA
		send 354 go
		data
		send 250 2.0.0 ok
		sleep 100
		close
	END
	start_daemon
	send r1@bad.example
	wait_until bad_ended 1
	send r2@bad.example
	wait_until grep -q 'complete	2' "$BAD_LOG"
	end "$RUNQ_PID"
	became d r1@bad.example 2.0.0
	became d r2@bad.example 2.0.0
	equal "d=3 r=3" "$(types)"
	in_the_end 2
}

# The host knows us at 127.0.0.3 only, and greylists all others for ever.
@test "P36: greylisting: the same address, sender and recipient again" {
	meet 'max-msg-per-connection = 1' <<-'END'
		conn from=127.0.0.2
		upto RCPT
		send 451 4.7.1 Greylisted
		polite
		conn from=127.0.0.3
		polite
		conn from=127.0.0.4
		upto RCPT
		send 451 4.7.1 Greylisted
		polite
		conn from=127.0.0.5
		upto RCPT
		send 451 4.7.1 Greylisted
		polite
	END
	sed -i "s/'127.0.0.1 v1.example'/{'127.0.0.2 a.example', '127.0.0.3 b.example', '127.0.0.4 c.example', '127.0.0.5 d.example'}/" \
		"$P/etc/vmta.conf"
	for i in $(seq 12); do
		send "r$i@d$i.example"
	done
	deliver
	good_went
	journal rcpt dlvSourceIp type=t | sort >"$P/first"
	equal "127.0.0.2 127.0.0.4 127.0.0.5" \
		"$(cut -f 2 "$P/first" | sort -u | xargs)"
	# The R line keeps it.
	find "$P/spool/queue" -path '*/cur/*' -type f -exec cat {} + |
		awk '$1 == "R" && $2 == "t" { print $NF "\t" $5 }' | sort |
		diff "$P/first" -
	# Again from there, one recipient more beside them.
	deliver --now
	journal rcpt dlvSourceIp type=t | sort -u | diff "$P/first" -
	equal $(($(wc -l <"$P/first") * 2)) "$(journal rcpt type=t | wc -l)"
	equal '<s@sender.example>' "$(bad_log got |
		sed -n 's/.*MAIL FROM:\([^ ]*\).*/\1/p' | sort -u)"
	# 127.0.0.2 has waited long enough.
	stop_bad
	start_bad -n kind -l "127.0.0.1:$BAD_PORT" <<-'END'
		conn *
		polite
	END
	deliver --now
	journal rcpt dlvSourceIp type=d | grep -v -e 127.0.0.3 -e ^g@ | sort |
		diff "$P/first" -
	all_final 13
}

# 1 KiB at a time: there is always progress, and never an end.
@test "P37: a tarpit in the content: data-transfer-timeout" {
	meet -o --rcvbuf=2048 'data-transfer-timeout = 4s' <<-'END'
		conn 1
		upto DATA
		send 354 go
		drip 1024 50
	END
	big_send 3 r1@bad.example
	deliver
	became t r1@bad.example 4.4.2 'timed out (sending)'
	refute logged deferred ambiguous
	queue_failed 4.4.2 'timed out (sending)'
	# Others had their mail long before.
	equal delivered "$(grep -o -e ' delivered ' -e ' deferred ' \
		"$P/log/vmta.log" | head -n 1 | tr -d ' ')"
	wait_until bad_ended 1
	equal 0 "$(bad_count complete)"
	in_the_end 1
}

@test "P37: half an hour by default; 0 is no limit; slow is not too slow" {
	make_prefix
	vmta-check config --print-defaults |
		grep -q "data-transfer-timeout = 30m "
	meet -o --rcvbuf=2048 'data-transfer-timeout = 0s' \
		'data-send-timeout = 3s' 'smtp-data-termination-timeout = 3s' \
		<<-'END'
		conn 1
		upto DATA
		send 354 go
		drip 65536 60
		send 250 2.0.0 ok
		polite
	END
	{
		message
		yes "$(printf '%0998d' 0)" | head -n 200
	} | inject -f s@sender.example r1@bad.example
	deliver
	became d r1@bad.example 2.0.0
	all_final 2
}

@test "P45: one connection at a time, 421 to the others: no storm" {
	OUT=20 meet <<-'END'
		conn 1
		upto MAIL
		send 250 ok
		repeat *
		expect RCPT
		send 250 ok
		expect DATA
		send 354 go
		data
		sleep 30
		send 250 2.0.0 ok
		expect MAIL
		send 250 ok
		end
		conn *
		send 421 4.7.0 One at a time
		close
	END
	sed -i "s/'127.0.0.1 v1.example'/{'127.0.0.2 a.example', '127.0.0.3 b.example', '127.0.0.4 c.example'}/" \
		"$P/etc/vmta.conf"
	send_many 1 60 bad.example
	SECONDS=0
	deliver
	# The first works on; one more was tried beside it, and then none for
	# ten seconds each time.
	equal "d=61 r=61" "$(types)"
	n=$(bad_conns)
	[ "$n" -le $((3 + SECONDS / 10)) ] || fail "$n connections"
	equal 1 "$(journal dlvSourceIp type=d queue=bad.example/v1 |
		sort -u | wc -l)"
	equal 60 "$(bad_complete | sort -u | wc -l)"
	all_final 61
}

@test "P45: 421 at once, for another is there: the clock, one try a run" {
	OUT=20 meet <<-'END'
		conn 1
		send 421 4.7.0 One at a time
		close
		conn 2
		send 421 4.7.0 One at a time
		close
	END
	send_many 1 60 bad.example
	deliver
	queue_failed 4.7.0 '421 4.7.0 One at a time'
	equal 1 "$(bad_conns)"
	deliver
	equal 1 "$(bad_conns)"
	deliver --now
	equal 2 "$(bad_conns)"
	equal 2 "$(clock step)"
	equal 0 "$(journal type type=t | wc -l)"
	in_the_end 60
}
