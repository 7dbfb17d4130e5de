# The server that behaves badly: that it does what its script says.

load helper/common
load helper/badpeer

teardown() {
	end_test
}

# smtplib STATEMENTS: Python's client c, connected.
smtplib() {
	python3 -c '
import smtplib, sys
c = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "client.example", 60)
exec(sys.argv[2])' "$BAD_PORT" "$1"
}

@test "polite: Python's smtplib can send through it, dots and all" {
	start_bad <<-'END'
		conn *
		polite
	END
	smtplib '
text = "Message-ID: <%d@x>\r\n\r\n.one\r\n..two\r\n"
for i in range(2):
    c.sendmail("a@s.example", ["b@r.example", "c@r.example"], text % i)
c.quit()'
	equal "<0@x> <1@x>" "$(bad_complete | xargs)"
	equal "$(printf 'Message-ID: <0@x>\r\n\r\n.one\r\n..two\r\n' |
		sha256sum | cut -d ' ' -f 1)" \
		"$(bad_log complete | head -n 1 | cut -f 5)"
	equal 34 "$(bad_log complete | head -n 1 | cut -f 4)"
	equal 1 "$(bad_conns)"
	equal 4 "$(bad_log got | grep -c 'rcpt TO')"
	wait_until bad_ended 1 us
}

@test "upto: good until then; what was refused has its consequences" {
	start_bad <<-'END'
		conn *
		ehlo XONE SIZE=1000
		upto RCPT TO:<no
		send 550-5.1.1 No\n550 5.1.1 user
		upto DATA
		send 354 Go
		take 3
		data
		send 451 Later
		polite
	END
	talk "$BAD_ADDR" >"$BATS_TEST_TMPDIR/said" <<-'END'
		< 220
		> EHLO x
		<<
		> MAIL FROM:<a@x>
		< 250
		> RCPT TO:<NO@x>
		<<
		> RCPT TO:<yes@x>
		< 250
		> DATA
		< 354
		>> Message-ID: <1@x>\n.\n\r\n.\r\n
		< 451
		> DATA
		< 503
		> MAIL FROM:<a@x>
		< 250
		> DATA
		< 503
		> BLAH
		< 500
		> QUIT
		< 221
		eof
	END
	equal "250-bad.example 250-XONE 250 SIZE 1000 550-5.1.1 No 550 5.1.1 user" \
		"$(xargs <"$BATS_TEST_TMPDIR/said")"
	equal "<1@x>" "$(bad_complete)"
}

@test "sections: by number, by address, else; expect ends what differs" {
	start_bad -l 127.0.0.1:0 -l 127.0.0.2:= <<-'END'
		# The first of all.
		conn 1-2
		await go
		send 421 one
		conn to=127.0.0.2
		send 220 two
		expect HELO there
		send 250 yes
		conn from=127.0.0.3
		expect go
		rst
		conn *
		mark here
		send 220 rest
		polite
	END
	talk "$BAD_ADDR" <<<$'< 421 one\neof' 3>&- &
	wait_until bad_has 1 conn
	equal 0 "$(bad_count sent)"
	bad_go go
	wait $!
	talk "${BAD_ADDRS[1]}" <<<$'< 421 one\neof'
	talk "${BAD_ADDRS[1]}" <<<$'< 220 two\n> helo There!\n< 250\neof'
	talk "${BAD_ADDRS[1]}" <<<$'< 220 two\n> EHLO there\neof'
	talk "$BAD_ADDR" 127.0.0.3 <<<$'> GO\nreset'
	talk "$BAD_ADDR" <<<'< 220 rest'
	equal "unexpected	4	HELO there	EHLO there" "$(bad_log unexpected)"
	equal "mark	6	here" "$(bad_log mark)"
	wait_until bad_ended 5 us
	wait_until bad_ended 1 peer
}

@test "bytes: raw, slow, repeated, half-closed, and many" {
	start_bad <<-'END'
		conn *
		slow 1 22
		raw 0-\x00\xff\t\\\r\n
		repeat 2
			repeat 2
			raw 220-a\r\n
			end
		raw 220-b\r\n * 2
		end
		send 220 c
		shut
		expect more
		raw  x * 2
	END
	python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
got = b"".join(iter(lambda: s.recv(100), b""))
a, b = b"220-a\r\n", b"220-b\r\n"
assert got == b"220-\0\xff\t\\\r\n" + (a + a + b + b) * 2 + b"220 c\r\n", got
s.sendall(b"MORE\r\n")' "$BAD_PORT"
	wait_until bad_ended 1
	equal "got	1	MORE" "$(bad_log got)"
	start_bad <<-'END'
		conn *
		raw 0123456789abcdef * 4194304
	END
	python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
n = 0
while got := s.recv(1 << 20):
    n += len(got)
assert n == 1 << 26, n' "$BAD_PORT"
}

@test "BDAT: read in pieces, by the script or the good server" {
	start_bad <<-'END'
		conn *
		ehlo CHUNKING
		upto BDAT
		bdat
		send 250 first
		polite
	END
	talk "$BAD_ADDR" <<-'END'
		< 220
		> EHLO x
		< 250
		> MAIL FROM:<a@x>
		< 250
		> RCPT TO:<b@x>
		< 250
		>> BDAT 12\r\nMessage-ID:\x20
		< 250 first
		>> BDAT 9 LAST\r\n<9@x>\r\n\r\n
		< 250 2
		> QUIT
		< 221
		eof
	END
	equal "<9@x>	21" "$(bad_log complete | cut -f 3,4)"
}

@test "slow readers: drip, hold and stall; close-listen refuses" {
	start_bad --rcvbuf 4096 <<-'END'
		conn 1
		drip 2 1
		send 250 all
		conn 2
		hold
		conn 3
		close-listen
		send 220 x
		stall
	END
	talk "$BAD_ADDR" <<<$'>> ..a\\r\\n.\\r\\n\n< 250 all\neof'
	equal "complete	1	-	4" "$(bad_log complete | cut -f 1-4)"
	talk "$BAD_ADDR" <<<'> something'
	wait_until bad_ended 1 peer
	equal 0 "$(bad_count got)"
	python3 -c '
import socket, sys
to = "127.0.0.1", int(sys.argv[1])
s = socket.create_connection(to, 60)
assert s.recv(100) == b"220 x\r\n"
try:
    socket.create_connection(to, 60)
    sys.exit("accepted")
except ConnectionRefusedError:
    pass
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
s.setblocking(False)
try:
    for i in range(1000):
        s.send(bytes(1000))
    sys.exit("it reads")
except BlockingIOError:
    pass' "$BAD_PORT"
}

@test "a script that is none is refused, and says why" {
	for script in 'send before' $'conn *\nblah' $'conn *\nrepeat 2' \
		$'conn *\nend'; do
		run python3 "$HELPER/badpeer.py" <<<"$script"
		equal 1 "$status"
		[[ $output == "badpeer: script: "* ]]
	done
}
