# What a peer says is data wherever it is kept and shown: the batch, the
# journal, the accounting file, the queue's clock, the log, and every output of
# vmta-queue and vmta-report. The peer (helper/hostile.py) answers with our own
# keywords and separators, line ends, NUL, escape sequences, and octets that
# are no UTF-8.

load helper/common
load helper/runq

# Every line of this is hostile in another way; 550 and 450 differ in the code.
# The joined text, escaped, is $TEXT.
LINES='CODE-R d 001 20261123T215405Z\r
CODE-END 0000000000000001\r
CODE-INDEX 0123456789abcdef\r
CODE-vmta-retry 1\r
CODE-error: none\r
CODE-d,2026-11-23,"x","y\r
CODE \x1b[2J\x1b]0;t\x07 nul\0cr\rx \xff \xc2\x9b8m \xe2\x80\xae \\n %s%n\r
'
TEXT='R d 001 20261123T215405Z END 0000000000000001 INDEX 0123456789abcdef '
TEXT+='vmta-retry 1 error: none d,2026-11-23,"x","y '
TEXT+='\x1b[2J\x1b]0;t\x07 nul\x00cr\x0dx \xff \xc2\x9b8m \xe2\x80\xae \\n %s%n'

setup() {
	make_prefix
}

teardown() {
	end_test
}

# hostile CODE: the reply, as hostile.py reads it.
hostile() {
	local line
	while read -r line; do
		printf '%s\\n' "${line//CODE/$1}"
	done <<<"${LINES%$'\n'}"
}

# start_peer [STAGE=TEXT...]: the peer; then a configuration that sends to it.
start_peer() {
	rm -f "$P/port"
	start peer python3 "$HELPER/hostile.py" "$P/port" "$@"
	wait_until test -s "$P/port"
	SINK_PORT=$(cat "$P/port")
	rconf1 'retry-after = 5h' 'log-connections = yes' 'log-commands = yes' \
		'command-timeout = 20s'
}

# one_line_each FORMAT FILE ROWS: so many rows (with a header, in text and
# csv), each one line of printable UTF-8.
one_line_each() {
	python3 - "$@" <<-'END'
		import csv, io, json, sys
		form, name, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
		data = open(name, "rb").read()
		text = data.decode("utf-8")
		eol = "\r\n" if form == "csv" else "\n"
		assert text.endswith(eol), text
		lines = text[:-len(eol)].split(eol)
		for line in lines:
		    bad = [c for c in line if ord(c) < 32 or 127 <= ord(c) < 160
		        or ord(c) in (0x202e, 0x2028, 0x2029)]
		    if form == "json":
		        assert not [c for c in bad if ord(c) < 128], line
		        json.loads(line)
		    else:
		        assert not bad, (bad, line)
		found = len(lines) - (0 if form == "json" else 1)
		assert found == rows, (found, rows, text)
		if form == "csv":
		    r = list(csv.reader(io.StringIO(text, newline=""),
		        strict=True))
		    assert len({len(x) for x in r}) == 1, r
	END
}

# shown ROWS COMMAND...: with --format text, csv and json.
shown() {
	local rows=$1 format
	shift
	for format in text csv json; do
		"$@" --format $format >"$P/shown" || fail "$* $format"
		one_line_each $format "$P/shown" "$rows" || fail "$* $format"
	done
}

# The log: each line an event with its time, nothing but printable text.
log_is_whole() {
	python3 - "$P/log/vmta.log" <<-'END'
		import re, sys
		data = open(sys.argv[1], "rb").read()
		assert data.endswith(b"\n")
		for line in data.decode("utf-8")[:-1].split("\n"):
		    assert re.match(r"^\d{4}-\d\d-\d\d", line), line
		    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", line), line
	END
}

# Only these keys, each once and in this order.
clock_is_whole() {
	local keys='vmta-retry step next since status host error'
	equal "$keys" "$(sed 's/[: ].*//' \
		"$P/spool/state/retry/v1/one.example" | xargs)" 'keys'
	equal 1 "$(sed -n 's/^step: //p' \
		"$P/spool/state/retry/v1/one.example")" step
}

# The batch's octets without its fixed-width fields.
masked() {
	cat "$P"/spool/queue/v1/*/one.example/* | sed 's/^R .\{62\}/R/'
}

@test "V07: a hostile 4xx: batch, journal and every output stay whole" {
	start_peer rcpt="$(hostile 450)"
	send a@one.example b@one.example
	masked >"$P/before"
	deliver
	masked | cmp - "$P/before"
	equal 2 "$(cat "$P"/spool/queue/v1/cur/one.example/* |
		grep -c '^R t 001 ')"
	equal "$(printf '450 %s\n' "$TEXT" "$TEXT" | sed 's/^/smtp;/')" \
		"$(journal dsnDiag type=t)"
	equal "r=2 t=2" "$(types)"
	equal "$(journal dsnDiag type=t)" "$(accounting dsnDiag type=t)"
	shown 2 vqueue list
	shown 1 vqueue why
	shown 4 report find
	shown 1 report queues
	log_is_whole
	vmta-check spool
	# and it can still be delivered
	end "$STARTED"
	start_peer
	deliver --now
	all_final 2
}

@test "V07: a hostile 5xx bounces with the very text" {
	start_peer dot="$(hostile 554)"
	send a@one.example
	deliver
	equal "smtp;554 $TEXT" "$(journal dsnDiag type=b)"
	equal "smtp;554 $TEXT" "$(accounting dsnDiag type=b)"
	equal "smtp;554 $TEXT" \
		"$(report --format csv --type b find | csv dsnDiag)"
	shown 2 report find
	report --format json --type b find | json 'x["dsnDiag"]' >"$P/diag"
	equal "smtp;554 $TEXT" "$(cat "$P/diag")"
	log_is_whole
	all_final 1
}

@test "V07: a hostile greeting: the queue's clock has its lines and no more" {
	start_peer greeting="$(hostile 421)"
	send a@one.example
	deliver
	clock_is_whole
	equal "421 $TEXT" "$(sed -n 's/^error: //p' \
		"$P/spool/state/retry/v1/one.example")"
	equal "smtp;421 $TEXT" "$(journal dsnDiag type=tq)"
	shown 1 vqueue list
	shown 1 vqueue why
	shown 1 report queues
	shown 2 report find
	log_is_whole
	vmta-check spool
	# read, kept and written again it does not grow
	cp "$P/spool/state/retry/v1/one.example" "$P/clock"
	deliver --now
	equal "$(sed -n '/^error/p; /^host/p' "$P/clock")" \
		"$(sed -n '/^error/p; /^host/p' \
			"$P/spool/state/retry/v1/one.example")"
	end "$STARTED"
	start_peer
	deliver --now
	all_final 1
}

@test "V07: lines behind a reply are no answer to anything" {
	# One reply, then octets that look like a file of ours.
	start_peer greeting='220 x\nvmta-retry 1\nstep: 99\nerror: y\n'
	send a@one.example
	deliver
	clock_is_whole
	refute grep -q 'step: 99' "$P/spool/state/retry/v1/one.example"
	equal "r=1 tq=1" "$(types)"
	log_is_whole
	waiting 1
}

@test "V07: hostile EHLO keywords are not copied anywhere" {
	start_peer ehlo='250-x\r\n250-SIZE 9"\r\n250-"DSN,\x1b,X\r\n250-8BITMIME\r\n250 d,b\r\n'
	send a@one.example
	deliver
	equal 8BITMIME,SIZE "$(journal dlvEsmtpAvailable type=d)"
	shown 2 report find
	log_is_whole
	all_final 1
}

@test "V07: short and odd replies, each in its place" {
	# The status of one answer is never taken for another's.
	start_peer mail='250 5.7.1\r\n' rcpt='550\r\n' rset='250-\r\n250\r\n'
	send a@one.example
	deliver
	equal "5.0.0 (undefined status)	smtp;550 " \
		"$(journal dsnStatus dsnDiag type=b)"
	all_final 1
}
