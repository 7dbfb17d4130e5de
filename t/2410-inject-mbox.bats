# vmta-inject --mbox: mboxes as streams.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	iconf
	S=$BATS_TEST_TMPDIR/mbox
	R=$BATS_TEST_TMPDIR/rejects
}

teardown() {
	end_test
}

# mbox N [DOMAINS]: N messages.
mbox() {
	awk -v n="$1" -v d="${2:-3}" 'BEGIN {
		for (i = 1; i <= n; i++)
			printf "From s@y.example Mon Nov 30 21:54:05 2026\n" \
			    "To: u%d@d%d.example\nSubject: number %d\n\n" \
			    "body %d\n>From the mbox\n\n", i, i % d, i, i
	}'
}

# stream [ARG...]: $S through inject, refusals to $R.
stream() {
	run --separate-stderr inject --mbox -t --rejects "$R" "$@" "$S"
}

# senders: those of the messages, sorted.
senders() {
	mail | sed -n 's/^M \([^ ]* \)\{9\}//p' | sort
}

@test "an mbox: 0, totals in the last line, ids before with -v; files and -" {
	mbox 5 >"$S"
	stream
	equal 0 "$status" "$stderr"
	equal 'accepted 5 rejected 0 suppressed 0' "$output"
	equal 3 "$(batches | wc -l)"
	equal 5 "$(mail | tr -d '\r' | grep -cx 'From the mbox')"
	equal 0 "$(mail | grep -ac '^From s@y')"
	run --separate-stderr inject --mbox -t -v <"$S"
	equal 6 "${#lines[@]}"
	equal 5 "$(grep -c '^[0-9a-v]\{21\} 1$' <<<"$output")"
	run inject --mbox -t "$S" - "$S" < <(mbox 2)
	equal 'accepted 12 rejected 0 suppressed 0' "$output"
	equal 'accepted 0 rejected 0 suppressed 0' "$(inject --mbox -t </dev/null)"
	run inject --mbox -t "$S" "$S.gone"
	equal 74 "$status"
	run inject --mbox -t "$S" "$BATS_TEST_TMPDIR"
	equal 65 "$status"
}

@test "as Python's mailbox writes it: each message comes back as it was" {
	python3 - "$S" <<-'END'
		import mailbox, random, sys
		random.seed(5)
		box = mailbox.mbox(sys.argv[1])
		words = ['From here', 'From a@b Mon Nov 30 21:54:05 2026', '', '.',
		         '>quoted', 'text', 'F', ' From', '\u00e9']
		for i in range(200):
		    m = mailbox.mboxMessage()
		    m.set_from(f'sender{i}@y.example', True)
		    m['To'] = f'r{i}@d{i % 5}.example'
		    m['X-Number'] = str(i)
		    body = '\n'.join(random.choice(words)
		                     for _ in range(random.randrange(12)))
		    m.set_payload(body + '\nend\n', 'utf-8')
		    box.add(m)
		box.flush()
	END
	start_sink -s
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'} }"
	stream
	equal 0 "$status" "$(cat "$R")"
	equal 'accepted 200 rejected 0 suppressed 0' "$output"
	equal 200 "$(senders | grep -c '^sender[0-9]*@y.example$')"
	runq
	sink_strict
	equal 200 "$(python3 - "$S" "$SINK_DIR/store" <<-'END'
		import email, glob, mailbox, sys
		want = {m['X-Number']: m for m in mailbox.mbox(sys.argv[1])}
		for name in glob.glob(sys.argv[2] + '/*.eml'):
		    got = email.message_from_binary_file(open(name, 'rb'))
		    m = want.pop(got['X-Number'])
		    for k, v in m.items():
		        assert got[k] == v, (k, v, got[k])
		    a = m.get_payload(decode=True)
		    b = got.get_payload(decode=True)
		    assert a == b.replace(b'\r\n', b'\n'), (a, b)
		assert not want, want
		print(200)
	END
	)"
}

@test "the sender: -f, Return-Path, the From_ line, else the caller's" {
	{
		printf 'From a@from.example Mon Nov 30 21:54:05 2026\n'
		printf 'Return-Path: <b@path.example>\nTo: x@x.example\n\n\n'
		printf 'From a@from.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: x@x.example\n\n\n'
		printf 'From MAILER-DAEMON Mon Nov 30 21:54:05 2026\n'
		printf 'To: x@x.example\n\n\n'
		printf 'From a@from.example Mon Nov 30 21:54:05 2026\n'
		printf 'Return-Path: <>\nTo: x@x.example\n\n\n'
		printf 'From 0123456789abcdef Mon Sep 17 00:00:00 2001\n'
		printf 'To: x@x.example\n\n\n'
		printf 'From - Mon Sep 17 00:00:00 2001\nTo: x@x.example\n\n\n'
	} >"$S"
	stream
	equal 'accepted 6 rejected 0 suppressed 0' "$output"
	self=$(id -un)@mta.example.com
	equal "$(printf '%s\n' '<>' '<>' a@from.example b@path.example \
		"$self" "$self" | sort)" "$(senders)"
	equal 0 "$(mail | grep -ac '^Return-Path')"
	rm -rf "$P/spool/queue"
	stream -f f@given.example --job j
	equal 'f@given.example' "$(senders | sort -u)"
	equal 1 "$(mail | grep -cx 'job: j' | sort -u)"
}

@test "fields of the store of mail are taken out, others stay" {
	{
		printf 'From a@from.example Mon Nov 30 21:54:05 2026\n'
		printf 'Status: RO\nX-Status: A\nContent-Length: 3\nLines: 1\n'
		printf 'X-UID: 7\nX-Mozilla-Status: 0001\nX-IMAPbase: 1 2\n'
		printf 'X-Statuses: kept\nTo: x@x.example\nBcc: y@x.example\n\nhi\n'
	} >"$S"
	stream
	equal '0 x@x.example 1 y@x.example' "$(rcpts | xargs)"
	equal 0 "$(mail | grep -acE '^(Status|X-Status|Content-L.*|Lines|X-[UMI].*):')"
	equal 1 "$(mail | grep -ac '^X-Statuses: kept')"
}

@test "part refused: 1, positions and reasons; none: 65; all or nothing" {
	{
		printf 'junk\nFrom nobody\n\n'
		mbox 1
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\nSubject: x\n\n\n'
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\nTo: bad\n\n\n'
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: a@x.example\n\na\rb\n\n'
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'Return-Path: <bad@>\nTo: a@x.example\n\nb\n\n'
		mbox 1
	} >"$S"
	stream
	equal 1 "$status"
	equal 'accepted 2 rejected 5 suppressed 0' "$output"
	equal '1 11 15 19 24' "$(cut -d : -f 2 "$R" | xargs)"
	refute grep -qv "^$S:[0-9]*: [A-Za-z]" "$R"
	grep -q ':11: no recipients' "$R"
	grep -q ':24: Return-Path: ' "$R"
	run --separate-stderr inject --mbox -t <"$S"
	equal 5 "$(grep -c '^-:[0-9]*: ' <<<"$stderr")"
	rm -rf "$P/spool/queue"
	stream --all-or-nothing
	equal 65 "$status"
	equal 'accepted 0 rejected 5 suppressed 0' "$output"
	equal '' "$(batches)"
	printf 'Subject: no mbox\n\nhi\n' >"$S"
	stream
	equal 65 "$status"
	equal "$S:1: text before the first From_ line" "$(cat "$R")"
	mbox 600 >"$S"
	stream --all-or-nothing
	equal 0 "$status"
	equal 3 "$(batches | wc -l)"
}

@test "what does not go together" {
	refused 64 'needs -t' --mbox </dev/null
	refused 64 'do not go with --bsmtp' --mbox --bsmtp -t </dev/null
	refused 64 'do not go with --merge' --mbox -t --merge x </dev/null
	refused 64 'need --bsmtp, --mbox or --merge' --rejects "$R" a@x.example
	# what the source may not do is refused message by message
	iconf "source 'user:$(id -un)' { allow-sender = '/@ok\\.example\$/' }"
	mbox 2 >"$S"
	stream
	equal 65 "$status"
	equal 2 "$(grep -c 'may not use this sender' "$R")"
	# batch SMTP is another thing
	iconf "source 'user:$(id -un)' { allow-bsmtp = no }"
	stream
	equal 0 "$status"
}

@test "what has come is on disk while the mbox is open; a signal: 75" {
	start_reading one --mbox -t
	mbox 3 >&5
	wait_until queued 2
	kill -s TERM "$STARTED"
	code=0
	wait "$STARTED" || code=$?
	exec 5>&-
	equal 75 "$code"
	equal 'accepted 2 rejected 0 suppressed 0' \
		"$(tail -n 1 "$BATS_TEST_TMPDIR/one.out")"
}

# Are so many messages in the queues?
queued() {
	[ "$(mail | grep -c ^Subject)" = "$1" ]
}

@test "--submit-id: killed and repeated, each message once" {
	local i
	mbox 3000 >"$S"
	for i in {1..15}; do
		start "run$i" "$P/bin/vmta-inject" --mbox -t --submit-id k "$S"
		for _ in $(seq $((i * 15))); do
			alive "$STARTED" || break
		done
		kill -s KILL "$STARTED" 2>/dev/null || true
		wait "$STARTED" && break
	done
	stream --submit-id k
	equal 'accepted 3000 rejected 0 suppressed 0' "$output"
	stream --submit-id k
	equal 'accepted 3000 rejected 0 suppressed 0' "$output"
	equal "$(seq 3000 | md5sum)" "$(numbers | md5sum)"
	equal '' "$(find "$P/spool/commit" -type f ! -name '.*')"
}

# bats test_tags=slow
@test "20,000 messages: memory does not grow with them" {
	need_plain memory
	need_command prlimit
	mbox 20000 >"$S"
	run prlimit --as=200000000 "$P/bin/vmta-inject" --mbox -t "$S"
	equal 0 "$status" "$output"
	equal 'accepted 20000 rejected 0 suppressed 0' "$output"
	equal "$(seq 20000 | md5sum)" "$(numbers | md5sum)"
}

@test "V02: senders of From_ and Return-Path, recipients of the header" {
	local bad n=0
	for bad in $'a\rb' $'a\x01b' $'a\x7fb' $'a\x80b' $'a\xc2\x80b' 'a>b' \
		'a> SIZE=1 <b' "$(printf '%065d' 1)"; do
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'Return-Path: <%s@y.example>\nTo: a@x.example\n\n\n' "$bad"
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: <%s@x.example>\n\n\n' "$bad"
		n=$((n + 2))
	done >"$S"
	stream
	equal 65 "$status" "$(rcpts)"
	equal "accepted 0 rejected $n suppressed 0" "$output"
	LC_ALL=C refute grep -aq $'[\x01-\x09\x0b-\x1f\x7f]' "$R"
	equal '' "$(batches)"
	# a sender of From_ that cannot be is none; it never reaches the spool
	printf 'From a\rb@y.example> SIZE=1 Mon Nov 30 21:54:05 2026\n' >"$S"
	printf 'To: a@x.example\n\nx\n' >>"$S"
	stream
	equal "$(id -un)@mta.example.com" "$(senders)"
}

@test "V03: a From_ line in the text begins no message, nor a field" {
	{
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: a@x.example\n>From evil@z.example: y\nX: y\n\n'
		printf '>From evil@z.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: evil@z.example\n\n'
		printf '>>From evil@z.example Mon Nov 30 21:54:05 2026\n\nx\n'
		printf 'From evil@z.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: evil@z.example\n\nFrom evil said so\n'
	} >"$S"
	stream
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	equal '0 a@x.example' "$(rcpts)"
	equal s@y.example "$(senders)"
}

@test "V08: addresses of an mbox are data; nothing is executed" {
	{
		printf 'From -f@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: -t@x.example, `id`@x.example, ${run{id}}@x.example,\n'
		printf ' %%n%%s@x.example\n\nx\n'
	} >"$S"
	stream
	equal '-f@y.example' "$(senders)"
	equal 4 "$(rcpts | wc -l)"
	rcpts | grep -qxF '0 -t@x.example'
	rcpts | grep -qxF '3 %n%s@x.example'
	need_strace
	strace -f -qq -e trace=execve,execveat,fork,vfork -o "$R" \
		"$P/bin/vmta-inject" --mbox -t "$S"
	equal 1 "$(grep -c execve "$R")"
	equal 0 "$(grep -c fork "$R")"
}

@test "V11: long lines of quotes and of dates take linear time" {
	python3 -c '
import sys
print("From a@b Mon Nov 30 21:54:05 2026\nTo: a@x.example\n")
for i in range(3000):
    print(">" * 999 + "From x")
    print("\nFrom " + "Mon Nov" * 130)
print("\nFrom " + "Mon " * 500000)
sys.stdout.write("\n" + ">" * 4000000 + "\n")' >"$S"
	# a minute is for a machine that is very busy: it takes tenths
	SECONDS=0
	stream
	equal 'accepted 1 rejected 0 suppressed 0' "$output" "$(cat "$R")"
	((SECONDS < 60)) || fail "$SECONDS s"
}

@test "V24: UTF-8 in From_ and fields: valid, or refused" {
	local bad
	for bad in $'\xff' $'\xed\xa0\x80' $'\xc0\x80' $'\xf4\x90\x80\x80'; do
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'Return-Path: <a%s@y.example>\nTo: a@x.example\n\n\n' "$bad"
		printf 'From s@y.example Mon Nov 30 21:54:05 2026\n'
		printf 'To: <a%s@x.example>\n\n\n' "$bad"
	done >"$S"
	printf 'From \xc3\xbc@y.example Mon Nov 30 21:54:05 2026\n' >>"$S"
	printf 'To: \xc3\xbc@b\xc3\xbccher.example\n\nx\n' >>"$S"
	stream
	equal 'accepted 1 rejected 8 suppressed 0' "$output" "$(cat "$R")"
	equal $'\xc3\xbc@y.example' "$(senders)"
	equal $'0 \xc3\xbc@xn--bcher-kva.example' "$(rcpts)"
}
