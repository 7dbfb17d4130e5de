# The scripted sink itself: features, replies, delays, drops, what it records,
# and what it calls a violation.

load helper/common

teardown() {
	end_test
}

# A dialogue with one sink, after greeting and EHLO.
after_ehlo() {
	{
		printf '< 220\n> EHLO client.example\n< 250\n'
		cat
	} | talk "${1:-$SINK_ADDR}"
}

@test "it offers all features, and none that are switched off" {
	start_sink --ehlo 'XTEST a b' --limits 'RCPTMAX=3 MAILMAX=2'
	talk "$SINK_ADDR" >"$BATS_TEST_TMPDIR/all" <<-'END'
		< 220 sink.example ESMTP
		> EHLO client.example
		<<
		> QUIT
		< 221 2.0.0
		eof
	END
	diff - "$BATS_TEST_TMPDIR/all" <<-'END'
		250-sink.example
		250-PIPELINING
		250-CHUNKING
		250-8BITMIME
		250-SMTPUTF8
		250-DSN
		250-ENHANCEDSTATUSCODES
		250-SIZE 52428800
		250-LIMITS RCPTMAX=3 MAILMAX=2
		250 XTEST a b
	END
	start_sink -n bare --host bare.example --no PIPELINING --no CHUNKING \
		--no SIZE --no 8BITMIME --no SMTPUTF8 --no DSN \
		--no ENHANCEDSTATUSCODES
	talk "$SINK_ADDR" >"$BATS_TEST_TMPDIR/none" <<-'END'
		< 220 bare.example
		> EHLO client.example
		<<
		> MAIL FROM:<>
		< 250 Ok
	END
	equal "250 bare.example" "$(cat "$BATS_TEST_TMPDIR/none")"
	sink_strict
	sink_strict bare
}

@test "it listens on several addresses, IPv6 too, and refuses on others" {
	need_ipv6
	start_sink -l 127.0.0.2:0 -l 127.0.0.3:= -l '[::1]:=' \
		--refuse 127.0.0.4:=
	equal 4 "${#SINK_ADDRS[@]}"
	equal "127.0.0.3:$SINK_PORT" "${SINK_ADDRS[1]}"
	equal "[::1]:$SINK_PORT" "${SINK_ADDRS[2]}"
	for a in "${SINK_ADDRS[@]:0:3}"; do
		after_ehlo "$a" <<<'> QUIT'
	done
	run talk "${SINK_ADDRS[3]}" <<<'< 220'
	[ "$status" != 0 ]
	[[ $output == *refused* ]]
	talk "127.0.0.3:$SINK_PORT" 127.0.0.77 <<<'< 220'
	equal "127.0.0.1 127.0.0.77 ::1" "$(sink_sources | xargs)"
	equal 1 "$(sink_source 127.0.0.77 connections)"
	equal 0 "$(sink_source 127.0.0.78 connections)"
	equal "127.0.0.77	127.0.0.3:$SINK_PORT" \
		"$(sink_log connect | tail -n 1 | field src local)"
}

@test "DATA: envelope, content without stuffed dots, what the log says" {
	start_sink -s --log-header X-Seq
	after_ehlo <<-'END'
		> MAIL FROM:<a@sender.example> SIZE=100 RET=HDRS ENVID=e+2B1
		< 250 2.1.0
		> RCPT TO:<b@rcpt.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@rcpt.example
		< 250 2.1.5
		> RCPT TO:<"o dd>"@rcpt.example>
		< 250
		> DATA
		< 354
		>> Message-ID:\r\n <1@x>\r\nx-seq: seven\r\n\r\n..dot\r\n..\r\nend\r\n.\r\n
		< 250 2.0.0
		> QUIT
		< 221
		eof
	END
	sink_strict
	printf 'Message-ID:\r\n <1@x>\r\nx-seq: seven\r\n\r\n.dot\r\n.\r\nend\r\n' |
		cmp - "$SINK_DIR/store/00000001.eml"
	sink_log msg >"$BATS_TEST_TMPDIR/msg"
	equal "DATA	51	<1@x>	seven	client.example" "$(field method size \
		msgid X-Seq ehlo <"$BATS_TEST_TMPDIR/msg")"
	equal "<a@sender.example> SIZE=100 RET=HDRS ENVID=e+2B1" \
		"$(field from <"$BATS_TEST_TMPDIR/msg")"
	equal "<b@rcpt.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@rcpt.example <\"o dd>\"@rcpt.example>" \
		"$(field rcpt <"$BATS_TEST_TMPDIR/msg")"
	equal "quit	1" "$(sink_log close | field how msgs)"
	equal 2 "$(sink_count recipients)"
}

@test "BDAT: chunks, all in one flight, binary-safe" {
	start_sink -s
	after_ehlo <<-'END'
		+ MAIL FROM:<>
		+ RCPT TO:<b@rcpt.example>
		>> BDAT 5\r\n.\r\n..BDAT 3\r\n.\r\nBDAT 2 LAST\r\n\r\n
		< 250 2.1.0
		< 250 2.1.5
		< 250 2.0.0 Ok: 5
		< 250 2.0.0 Ok: 8
		< 250 2.0.0 Ok: queued
		+ MAIL FROM:<>
		+ RCPT TO:<b@rcpt.example>
		> BDAT 0 LAST
		< 250
		< 250
		< 250 2.0.0 Ok: queued
	END
	sink_strict
	printf '.\r\n...\r\n\r\n' | cmp - "$SINK_DIR/store/00000001.eml"
	[ ! -s "$SINK_DIR/store/00000002.eml" ]
	equal "BDAT	3	10
BDAT	1	0" "$(sink_log msg | field method chunks size)"
}

@test "swaks delivers" {
	need_command swaks
	start_sink -s
	swaks --server "$SINK_ADDR" --ehlo swaks.example --from a@s.example \
		--to b@r.example --body hello >"$BATS_TEST_TMPDIR/swaks"
	equal 1 "$(sink_count messages)"
	grep -q '^hello' "$SINK_DIR/store/00000001.eml"
	sink_strict
}

@test "smtplib delivers, EHLO refused: HELO" {
	start_sink --reply 'ehlo 502 5.5.1 no'
	python3 - "$SINK_PORT" <<-'END'
		import smtplib, sys
		s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "py.example")
		s.sendmail("a@s.example", ["b@r.example"], "Subject: x\r\n\r\n.y\r\n")
		s.quit()
	END
	equal "HELO	py.example" "$(sink_log ehlo | field verb name)"
	equal 1 "$(sink_count messages)"
	sink_strict
}

@test "scripted replies: globs, many lines, conditions, counters" {
	start_sink --reply 'rcpt:no*@* 550 5.1.1 No such user\n5.1.1 Really' \
		--reply 'rcpt:grey@* per-rcpt first=1 451 4.7.1 Later' \
		--reply 'rcpt:third@* every=3 452 4.2.2 Full' \
		--reply 'rcpt:skip@* skip=1 first=1 450 4.0.0 Second' \
		--reply 'rcpt:other@* to=127.9.9.9:* 554 5.0.0 Elsewhere' \
		--reply 'dot:bad@* 554 5.7.1 Spam' --delay 'mail first=1 1'
	after_ehlo >"$BATS_TEST_TMPDIR/out" <<-'END'
		> MAIL FROM:<bad@s.example>
		< 250
		> RCPT TO:<NObody@r.example>
		<<
		> RCPT TO:<grey@r.example>
		< 451 4.7.1
		> RCPT TO:<grey@r.example>
		< 250
		> RCPT TO:<grey@q.example>
		< 451
		> RCPT TO:<third@r.example>
		< 250
		> RCPT TO:<third@r.example>
		< 250
		> RCPT TO:<third@r.example>
		< 452
		> RCPT TO:<skip@r.example>
		< 250
		> RCPT TO:<skip@r.example>
		< 450
		> RCPT TO:<skip@r.example>
		< 250
		> RCPT TO:<other@r.example>
		< 250
		> DATA
		< 354
		> .
		< 554 5.7.1 Spam
	END
	equal "550-5.1.1 No such user 550 5.1.1 Really" \
		"$(xargs <"$BATS_TEST_TMPDIR/out")"
	equal "rcpt	NObody@r.example	550" \
		"$(sink_log refuse | head -n 1 | field stage arg code)"
	equal 0 "$(sink_count messages)"
	equal 6 "$(sink_count refused)"
	equal "554 5.7.1 Spam" "$(sink_log msg | field reply)"
	sink_strict
}

@test "greylisting, a rules file, a wrong rule" {
	printf '%s\n' '# comment' '' 'reply mail:x@* 421 4.3.2 Going down' \
		'drop rset' >"$BATS_TEST_TMPDIR/rules"
	start_sink --greylist --rules "$BATS_TEST_TMPDIR/rules"
	after_ehlo <<-'END'
		> MAIL FROM:<a@s.example>
		< 250
		> RCPT TO:<b@r.example>
		< 451 4.7.1
		> RCPT TO:<b@r.example>
		< 250
		> RSET
		eof
	END
	after_ehlo <<-'END'
		> MAIL FROM:<x@s.example>
		< 421 4.3.2
		eof
	END
	equal "drop 421" "$(sink_log close | field how | xargs)"
	for r in 'nowhere 250 x' 'rcpt 199 x' 'rcpt first=x 250 y' 'rcpt'; do
		run "$SINK" -l 127.0.0.1:0 --reply "$r"
		equal 64 "$status" "$r"
	done
}

@test "a chunk is refused though offered; the next ones too, until RSET" {
	start_sink --reply 'bdat first=1 502 5.5.1 Never heard of it'
	after_ehlo <<-'END'
		+ MAIL FROM:<a@s.example>
		+ RCPT TO:<b@r.example>
		>> BDAT 5\r\nRSET\nBDAT 2 LAST\r\n\r\n
		< 250
		< 250
		< 502
		< 503
		> MAIL FROM:<a@s.example>
		< 250
		> RCPT TO:<b@r.example>
		< 250
		>> BDAT 2 LAST\r\n\r\n
		< 250
	END
	equal 1 "$(sink_count messages)"
	equal 2 "$(sink_count wasted)"
}

@test "a body that was sent ahead of refused recipients is counted" {
	start_sink --reply 'rcpt 550 5.1.1 No'
	after_ehlo <<-'END'
		+ MAIL FROM:<a@s.example>
		+ RCPT TO:<b@r.example>
		>> BDAT 7 LAST\r\nx: y\r\n\n
		< 250
		< 550
		< 554 5.5.1
	END
	equal 7 "$(sink_count wasted)"
	sink_strict
}

@test "delays hold the reply back and what was sent meanwhile waits" {
	start_sink --delay 'dot 300' --delay 'greeting 1' --delay 'mail 1' \
		--delay 'ehlo 1' --delay 'rcpt 1' --delay 'quit 1'
	before=$(date +%s%3N)
	after_ehlo <<-'END'
		+ MAIL FROM:<a@s.example>
		+ RCPT TO:<b@r.example>
		>> BDAT 4 LAST\r\nx:\r\nMAIL FROM:<>\r\n
		< 250
		< 250
		< 250
		< 250
		> QUIT
		< 221
		eof
	END
	[ $(($(date +%s%3N) - before)) -ge 300 ]
	sink_strict
}

@test "drops: instead of a reply, after it, in the body, by reset" {
	local stage
	start_sink --drop 'greeting to=*' -l 127.0.0.1:0
	talk "$SINK_ADDR" <<<eof
	for stage in ehlo mail rcpt data dot; do
		start_sink -n $stage --drop "$stage"
		sed "/^< $stage/{s/.*/eof/;q}; s/^< .* /< /" <<-'END' |
			< greeting 220
			> EHLO client.example
			< ehlo 250
			> MAIL FROM:<a@s.example>
			< mail 250
			> RCPT TO:<b@r.example>
			< rcpt 250
			> DATA
			< data 354
			> .
			< dot 250
		END
			talk "$SINK_ADDR"
		equal "$stage" "$(sink_log drop $stage | field stage)"
		equal drop "$(sink_log close $stage | field how)"
	done
	equal 1 "$(sink_count lost dot)"
	equal 0 "$(sink_count messages dot)"
	equal - "$(sink_log msg dot | field reply)"
	start_sink -n body --drop 'body bytes=10 rst'
	after_ehlo <<-'END'
		> MAIL FROM:<a@s.example>
		< 250
		> RCPT TO:<b@r.example>
		< 250
		> DATA
		< 354
		> 1234567890
		reset
	END
	equal 0 "$(sink_log msg body | wc -l)"
	sink_strict body
	start_sink -n after --drop 'dot after'
	after_ehlo <<-'END'
		> MAIL FROM:<a@s.example>
		< 250
		> RCPT TO:<b@r.example>
		< 250
		> DATA
		< 354
		> .
		< 250
		eof
	END
	equal 1 "$(sink_count messages after)"
}

@test "limits and size are enforced" {
	start_sink --limits 'RCPTMAX=1 MAILMAX=1' --size 10
	after_ehlo <<-'END'
		> MAIL FROM:<a@s.example> SIZE=11
		< 552 5.3.4
		> MAIL FROM:<a@s.example> SIZE=3
		< 250
		> RCPT TO:<b@r.example>
		< 250
		> RCPT TO:<c@r.example>
		< 452 4.5.3
		> DATA
		< 354
		> x: y
		> .
		< 250
		> MAIL FROM:<a@s.example>
		< 421
		eof
	END
	equal "rcptmax larger-than-declared mailmax" \
		"$(sink_log violation | field what | xargs)"
}

@test "raw and dribbled replies" {
	start_sink --dribble 1 --reply 'noop raw 250-a\r\n250 b\r\n'
	after_ehlo >"$BATS_TEST_TMPDIR/out" <<-'END'
		> NOOP
		<<
	END
	equal "250-a 250 b" "$(xargs <"$BATS_TEST_TMPDIR/out")"
}

# violation WHAT: the dialogue on stdin (after EHLO) must be called WHAT.
violation() {
	local before
	before=$(sink_count violations)
	after_ehlo
	equal "$1" "$(sink_log violation | tail -n "+$((before + 1))" |
		field what | xargs)"
}

@test "violations in commands" {
	start_sink
	violation not-waited <<-'END'
		+ EHLO client.example
		> RSET
		< 250
		< 250
	END
	violation not-waited <<-'END'
		+ MAIL FROM:<>
		+ RCPT TO:<b@r.example>
		+ DATA
		> .
		< 250
		< 250
		< 354
		< 250
	END
	violation bare-lf <<-'END'
		>> NOOP\n
		< 250
	END
	violation syntax <<-'END'
		> MAIL FROM: <a@s.example>
		< 501
	END
	violation unknown-parameter <<-'END'
		> MAIL FROM:<a@s.example> X=1
		< 555
	END
	violation "bad-parameter bad-parameter" <<-'END'
		> MAIL FROM:<a@s.example> ENVID=a=b
		< 501
		> MAIL FROM:<a@s.example> BODY=9BIT
		< 501
	END
	violation address-without-smtputf8 <<-'END'
		> MAIL FROM:<ä@s.example>
		< 553
	END
	violation "sequence sequence" <<-'END'
		> RCPT TO:<a@s.example>
		< 503
		>> BDAT 2 LAST\r\n\r\n
		< 503
	END
	violation sequence <<-'END'
		> MAIL FROM:<a@s.example>
		< 250
		> MAIL FROM:<a@s.example>
		< 503
	END
	violation helo-name <<-'END'
		> EHLO a_b
		< 250
	END
	violation unknown-command <<-'END'
		> XYZZY
		< 500
	END
}

@test "violations in content" {
	start_sink
	violation "bare-lf bare-cr nul long-line dot-stuffing 8bit-undeclared no-final-crlf" \
		< <(
			printf '> MAIL FROM:<>\n< 250\n> RCPT TO:<b@r.example>\n'
			printf '< 250\n> DATA\n< 354\n'
			printf '>> a: b\\nc: d\\re\\r\\n\\0\\r\\n'
			head -c 999 /dev/zero | tr '\0' x
			printf '\\r\\n.x\\r\\n\\xff\\r\\n.\\r\\n\n< 250\n'
			printf '> MAIL FROM:<>\n< 250\n> RCPT TO:<b@r.example>\n'
			printf '< 250\n>> BDAT 1 LAST\\r\\nx\n< 250\n'
		)
}

@test "998 octets, 8-bit and UTF-8 that are announced are no violations" {
	start_sink
	{
		printf '> MAIL FROM:<ä@s.example> BODY=8BITMIME SMTPUTF8\n< 250\n'
		printf '> RCPT TO:<b@r.example>\n< 250\n> DATA\n< 354\n>> '
		head -c 998 /dev/zero | tr '\0' x
		printf '\\r\\n\\r\\n\\xff\\r\\n..\\r\\n.\\r\\n\n< 250\n'
	} | after_ehlo
	sink_strict
}

@test "violations against what was not offered" {
	start_sink --no PIPELINING --no CHUNKING --no 8BITMIME --no DSN
	violation pipelining-not-offered <<-'END'
		+ MAIL FROM:<>
		> RCPT TO:<b@r.example>
		< 250
		< 250
	END
	violation "bdat-not-offered" <<-'END'
		> MAIL FROM:<>
		< 250
		>> BDAT 2 LAST\r\n\r\n
		< 503
	END
	violation "parameter-not-offered parameter-not-offered" <<-'END'
		> MAIL FROM:<> BODY=8BITMIME
		< 555
		> MAIL FROM:<> RET=FULL
		< 555
	END
	violation "sequence" <<-'END'
		> DATA
		< 503
	END
}

@test "open connections are counted as the client sees them" {
	start_sink
	python3 - "$SINK_PORT" <<-'END'
		import socket, sys
		for i in range(300):
		    a = [socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		         for i in range(3)]
		    for s in a:
		        s.recv(100)  # greeted: the sink has seen it open
		    for s in a:
		        s.close()
	END
	equal 900 "$(sink_count connections)"
	equal 3 "$(sink_count max-concurrent)"
	equal 3 "$(sink_source 127.0.0.1 max-concurrent)"
}

@test "the log is whole when a reply has been seen (--sync-log)" {
	start_sink --sync-log
	after_ehlo <<-'END'
		> MAIL FROM:<a@s.example>
		< 250
		> RCPT TO:<b@r.example>
		< 250
		> DATA
		< 354
		> .
		< 250
	END
	kill -KILL "$SINK_PID"
	grep -q '^msg	' "$SINK_LOG"
}

@test "at SIGTERM it writes everything and prints its totals" {
	start_sink
	after_ehlo <<<'> QUIT'
	stop_sink
	grep -q '^close	' "$SINK_LOG"
	grep -q '^total connections=1 messages=0' "$SINK_DIR/process.out"
}
