# What strangers wrote (replies, addresses, jobs, headers, file names) is shown
# by reports, listings, logs and errors: one event a line, nothing that a
# terminal, a spreadsheet's reader or a format string obeys, nothing changed
# on the way through CSV.

load helper/common
load helper/runq
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_test
}

# Texts that want to be more than texts; octets as Python writes them.
TEXTS='[
    "=cmd|\x27/C calc\x27!A0", "@SUM(1+1)", "+1", "-1", "<script>alert(1)</script>",
    "%n%n%s%d", "a,b;c", "quo\"te", "\x27single", "back\\slash", "\\x1b[2J", "\\r\\n",
    "  two blanks", "trail  ", "key=value key2=\"v\"", "#x", "d,2026-01-01,forged",
    "\xc2\x9b2J", "\xe2\x80\xaertl", "\xe2\x81\xa6iso", "\xd8\x9calm", "\xe2\x80\xa8ls",
    "\xef\xbb\xbfbom", "\xff\xfe", "\xc3", "\xc3\xbc", "u\xcc\x88",
]'

# each_text COMMAND...: run it with each as the last argument; quoted: as the
# content of a quoted string.
each_text() {
	python3 -c '
import ast, subprocess, sys
for t in ast.literal_eval(sys.argv[1]):
    b = t.encode("latin-1")
    subprocess.run([a.encode() if a != "{}" else b for a in sys.argv[2:]],
        check=True, input=b"Subject: x\n\nhi\n")' "$TEXTS" "$@"
}

# shown FILE...: UTF-8, lines, and nothing that is obeyed.
shown() {
	python3 - "$@" <<-'END'
		import sys
		bad = {0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f), *range(0x2066, 0x206a),
		    *range(0x7f, 0xa0), *(set(range(32)) - {10})}
		for f in sys.argv[1:]:
		    data = open(f, "rb").read().replace(b"\r\n", b"\n")
		    for n, line in enumerate(data.decode("utf-8").split("\n"), 1):
		        hit = [hex(ord(c)) for c in line if ord(c) in bad]
		        if hit:
		            sys.exit("%s:%d: %s in %r" % (f, n, hit, line))
	END
}

# outputs: everything that shows mail, into $P/out.*
outputs() {
	local format by
	rm -f "$P"/out.*
	for format in text csv json; do
		vqueue list --format $format >"$P/out.list.$format" || true
		vqueue why --format $format >"$P/out.why.$format" || true
		for what in find queues status summary; do
			report --format $format $what >"$P/out.$what.$format" || true
		done
		for by in job from domain vmta source; do
			report --format $format --by $by summary \
				>"$P/out.by-$by.$format" || true
		done
	done
	vqueue show --all >"$P/out.show" || true
	cp "$P/log/vmta.log" "$P/out.log" 2>/dev/null || true
}

@test "V10: jobs, in listings, reports, journal and log" {
	start_sink --reply 'rcpt:later@* 451 4.7.1 Later'
	rconf1 'retry-after = 1h'
	each_text "$P/bin/vmta-inject" -f s@y.example now@x.example later@z.example \
		--job '{}'
	n=$(python3 -c 'import sys; print(len(eval(sys.argv[1])))' "$TEXTS")
	deliver
	outputs
	shown "$P"/out.*
	# one event, one line: of each message one d and one t
	equal "d=$n r=$((2 * n)) t=$n" "$(types)"
	equal $((2 * n)) "$(grep -cE ' (delivered|deferred) ' "$P/log/vmta.log")"
	equal $((4 * n + 1)) "$(wc -l <"$P/out.find.csv")"
	equal $((4 * n)) "$(wc -l <"$P/out.find.json")"
	equal $((n + 1)) "$(wc -l <"$P/out.list.csv")"
	same_fields jobId "$P/out.find.csv" "$P/out.list.csv" "$P/spool/acct"/*.csv \
		"$P/log"/acct*.csv
	# JSON holds the texts themselves, as far as they are UTF-8
	python3 - "$TEXTS" "$P/out.list.json" <<-'END'
		import ast, json, sys
		want = [t.encode("latin-1") for t in ast.literal_eval(sys.argv[1])]
		got = {json.loads(l)["jobId"] for l in open(sys.argv[2], encoding="utf-8")}
		for w in want:
		    try:
		        assert w.decode() in got, w
		    except UnicodeDecodeError:
		        pass
	END
}

# same_fields COLUMN FILE...: each file's column, read as CSV and with \xHH and
# \\ taken back, is the texts.
same_fields() {
	python3 - "$TEXTS" "$@" <<-'END'
		import ast, csv, re, sys
		want = {t.encode("latin-1") for t in ast.literal_eval(sys.argv[1])}
		def back(s):
		    return re.sub(rb"\\(\\|x([0-9a-f]{2}))", lambda m: bytes([int(m[2], 16)])
		        if m[2] else b"\\", s.encode("utf-8"))
		for f in sys.argv[3:]:
		    data = open(f, "rb").read()
		    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r"), f
		    rows = list(csv.DictReader(open(f, newline="", encoding="utf-8")))
		    got = {back(r[sys.argv[2]]) for r in rows}
		    assert got == want, (f, got ^ want)
		    assert all(None not in r and None not in r.values() for r in rows), f
	END
}

@test "V10: addresses, in listings, reports, journal and log" {
	start_sink --reply 'rcpt:*later* 451 4.7.1 Later'
	rconf1 'retry-after = 1h'
	python3 - "$P/bin/vmta-inject" "$TEXTS" <<-'END'
		import ast, subprocess, sys
		for t in ast.literal_eval(sys.argv[2]):
		    b = t.encode("latin-1").replace(b"\\", b"\\\\").replace(b'"', b'\\"')
		    try:
		        if any(0x7f <= ord(c) < 0xa0 for c in b.decode()):
		            continue # injection refuses C1, and what is not UTF-8
		    except UnicodeDecodeError:
		        continue
		    subprocess.run([sys.argv[1], "-f", b'"' + b + b'"@y.example', "--",
		        b'"now ' + b + b'"@x.example', b'"later ' + b + b'"@z.example'],
		        check=True, input=b"Subject: x\n\nhi\n")
	END
	deliver
	outputs
	shown "$P"/out.*
	n=$(vqueue count)
	equal "d=$n r=$((2 * n)) t=$n" "$(types)"
	equal $((2 * n)) "$(grep -cE ' (delivered|deferred) ' "$P/log/vmta.log")"
	# the same addresses in CSV and JSON of both tools
	python3 - "$P/out.list.csv" "$P/out.list.json" "$P/out.find.csv" <<-'END'
		import csv, json, re, sys
		def back(s):
		    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]),
		        s.encode()).decode()
		one = sorted(back(r["rcpt"]) for r in csv.DictReader(open(sys.argv[1], newline="")))
		two = sorted(json.loads(l)["rcpt"] for l in open(sys.argv[2]))
		three = sorted(back(r["rcpt"]) for r in csv.DictReader(open(sys.argv[3],
		    newline="")) if r["type"] == "t")
		plain = lambda l: [x for x in l if "\\" not in x]
		assert plain(one) == plain(two), (one, two)
		assert len(one) == len(three)
	END
	sink_strict
}

@test "V10: replies and greetings, in reports, journal, retry state and log" {
	local esc=$'\033' c1=$'\xc2\x9b' rtl=$'\xe2\x80\xae' n=0 r
	REPLIES=("=cmd|'/C calc'!A0" '<script>alert(1)</script>' '%n%n%s' 'a,b "c" \ d'
		"${esc}[2J${esc}]0;x" "${c1}2J" "${rtl}rtl" $'tab\there' $'\xff\xfe'
		'd,2026-01-01,forged record' 'queue=x status=2.0.0 text="y"')
	rules=()
	for r in "${REPLIES[@]}"; do
		n=$((n + 1))
		r=${r//\\/\\\\} # the sink takes it as an escape
		rules+=(--reply "rcpt:t$n@* 451 4.7.1 $r" --reply "rcpt:b$n@* 550 5.7.1 $r")
	done
	start_sink "${rules[@]}" \
		--reply "greeting from=127.0.0.2 raw 421-4.3.2 ${esc}[1m\r\n421 4.3.2 $rtl\r\n"
	rconf 'retry-after = 1h' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
	for i in $(seq $n); do
		send "t$i@x.example" "b$i@x.example"
	done
	message | inject --vmta v2 q@q.example
	deliver
	outputs
	shown "$P"/out.*
	shown "$P/spool/state/retry/v2/q.example" "$P/spool/acct"/*.csv
	equal "b=$n r=$((2 * n + 1)) t=$n tq=1" "$(types)"
	equal $((2 * n)) "$(grep -cE ' (bounced|deferred) ' "$P/log/vmta.log")"
	# every reply comes back out of CSV as it was said
	printf '%s\n' "${REPLIES[@]}" >"$P/replies"
	python3 - "$P/replies" "$P/out.find.csv" "$P/log"/acct*.csv <<-'END'
		import csv, re, sys
		want = open(sys.argv[1], "rb").read().split(b"\n")[:-1]
		def back(s):
		    return re.sub(rb"\\(\\|x([0-9a-f]{2}))", lambda m: bytes([int(m[2], 16)])
		        if m[2] else b"\\", s.encode("utf-8"))
		for f in sys.argv[2:]:
		    rows = [r for r in csv.DictReader(open(f, newline="", encoding="utf-8"))
		        if r["type"] in "bt"]
		    for i, w in enumerate(want, 1):
		        got = [back(r["dsnDiag"]) for r in rows
		            if r["rcpt"] in ("t%d@x.example" % i, "b%d@x.example" % i)]
		        assert len(got) == 2 and all(w in g for g in got), (f, w, got)
	END
	# what was exported is read again and shown the same
	report --format csv find "$P/log"/acct*.csv >"$P/again"
	shown "$P/again"
}

@test "V10: header texts and file names, in show, rejects and errors" {
	local name=$P/$'bad\033[2J\nname\xe2\x80\xae\xff'
	rconf1_without_sink
	printf 'Subject: \033[2J\xc2\x9b\xe2\x80\xae\xff %%n <b>\nX-A: \x08\x07\n\nbody\n' |
		inject -f s@y.example a@x.example
	vqueue show --all >"$P/out.show"
	shown "$P/out.show"
	grep -q 'Subject: \\x1b\[2J\\xc2\\x9b\\xe2\\x80\\xae\\xff %n <b>' "$P/out.show"
	printf 'MAIL FROM:<bad>\nMAIL FROM:<a@y.example> \033[2J=1\n\x9b\n' >"$name"
	inject --bsmtp --rejects "$P/out.rejects" "$name" >/dev/null 2>"$P/out.err" || true
	shown "$P/out.rejects" "$P/out.err"
	equal 2 "$(wc -l <"$P/out.rejects")"
	for how in "vmta-inject --bsmtp|$name.none" "vmta-inject -C|$name" \
		"vmta-inject --vmta|$name" "vmta-inject -f|$name" "vmta-inject|$name" \
		"vmta-inject --at|$name" "vmta-queue|$name" "vmta-queue --format|$name" \
		"vmta-queue list --state|$name" "vmta-queue -C|$name" "vmta-runq|$name" \
		"vmta-runq --vmta|$name" "vmta-runq --queue|$name/v1" \
		"vmta-report|$name" "vmta-report --since|$name" "vmta-report find|$name" \
		"vmta-report summary|$name.none" "vmta-check|$name" \
		"vmta-check spool|$name" "vmta-check config --explain|$name" \
		"vmta-check config -C|$name"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$P/bin/"${how%%|*} "${how#*|}" </dev/null
		[ "$status" -ge 64 ] && [ "$status" -le 78 ] ||
			fail "$how: exit $status $output" || return 1
		equal 1 "${#stderr_lines[@]}" "lines of $how: $stderr"
		printf '%s\n%s\n' "$output" "$stderr" >"$P/out.x"
		shown "$P/out.x" || fail "$how" || return 1
	done
}

# A configuration for tests that send nothing.
rconf1_without_sink() {
	HOSTS="'[127.0.0.1]:1'" rconf1
}

@test "V10: a name planted in the spool, in vmta-check spool" {
	rconf1_without_sink
	send a@x.example
	: >"$P/spool/queue/v1/new/x.example/"$'\033]0;x\a\nbad\tall is well'
	mkdir "$P/spool/queue/"$'\xe2\x80\xae\xff'
	run "$P/bin/vmta-check" spool
	equal 1 "$status"
	printf '%s\n' "$output" >"$P/out.check"
	sed 's/\t/ /' "$P/out.check" >"$P/out.tabs"
	shown "$P/out.tabs"
	equal 3 "${#lines[@]}" # two findings, and the summary
}

@test "V10: on a terminal nothing else is said than to a file" {
	start_sink --reply $'rcpt:t@* 451 4.7.1 \033[31mred\033[0m'
	rconf1 'retry-after = 1h'
	send --job $'\xc2\x9b31m' t@x.example
	deliver
	for how in 'vmta-queue list' 'vmta-queue show --all' 'vmta-report find' \
		'vmta-report queues' 'vmta-report --by job summary'; do
		python3 - "$P/bin/" "$how" >"$P/out.tty" <<-'END'
			import os, pty, sys
			argv = sys.argv[2].split()
			argv[0] = sys.argv[1] + argv[0]
			pid, fd = pty.fork()
			if pid == 0:
			    os.execv(argv[0], argv)
			try:
			    while chunk := os.read(fd, 65536):
			        os.write(1, chunk)
			except OSError:
			    pass
			sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
		END
		tr -d '\r' <"$P/out.tty" >"$P/out.lines"
		shown "$P/out.lines"
		# shellcheck disable=SC2086
		"$P/bin/"$how | tr -d '\r' | diff - "$P/out.lines"
	done
}

@test "V24: directions and normal forms in reports" {
	start_sink --reply 'rcpt:* 451 4.7.1 Later'
	rconf1 'retry-after = 1h'
	send $'\xc3\xbc@x.example' $'u\xcc\x88@x.example' $'p\xd0\xb0y@x.example' \
		$'a\xe2\x80\xaemoc.evil@x.example' $'b\xd8\x9cx@x.example' \
		$'c\xe2\x81\xa7x@x.example' $'\xe4\xbe\x8b@\xe4\xbe\x8b.example'
	deliver
	outputs
	shown "$P"/out.*
	# readable letters stay so, in the form that they came in
	for want in $'\xc3\xbc@x.example' $'u\xcc\x88@x.example' \
		$'p\xd0\xb0y@x.example' 'a\xe2\x80\xaemoc.evil@x.example' \
		'b\xd8\x9cx@x.example' 'c\xe2\x81\xa7x@x.example' \
		$'\xe4\xbe\x8b@xn--fsq.example'; do
		for f in list.text list.csv find.csv show; do
			grep -qF -- "$want" "$P/out.$f" || fail "no $want in $f"
		done
	done
	equal 7 "$(vqueue list --format json | json 'x["rcpt"]' | sort -u | wc -l)"
	vqueue list --format json --rcpt $'\xc3\xbc@*' | json 'x["rcpt"]' >"$P/one"
	equal $'\xc3\xbc@x.example' "$(cat "$P/one")"
	vqueue list --format json | grep -qF '"a\u202emoc.evil@x.example"'
	vqueue list --format json | grep -qF '"b\u061cx@x.example"'
}
