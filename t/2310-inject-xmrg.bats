# XMRG, XDFN, XPRT and XACK: mail merges in batch SMTP and in sendmail -bs.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

FIX=$ROOT/t/fixtures/merge

setup() {
	make_prefix
	iconf
	S=$BATS_TEST_TMPDIR/stream
	R=$BATS_TEST_TMPDIR/rejects
}

teardown() {
	end_test
}

render() {
	python3 "$HELPER/render.py" "$@"
}

xmrg() {
	python3 "$HELPER/xmrg.py" "$@"
}

# sink_conf: a sink, and everything goes there.
sink_conf() {
	start_sink -s
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'}" \
		"max-smtp-out = 4 retry-after = 1s }"
}

# stream [ARG...]: $S through inject, refusals to $R.
stream() {
	run --separate-stderr inject --bsmtp --rejects "$R" "$@" "$S"
}

# bs: standard input as what is said to sendmail -bs; replies to $output.
bs() {
	[ -e "$BATS_TEST_TMPDIR/sendmail" ] ||
		ln -s "$BUILD/bin/vmta-inject" "$BATS_TEST_TMPDIR/sendmail"
	run "$BATS_TEST_TMPDIR/sendmail" -bs
}

# one XDFN...: a transaction with these XDFN arguments before its recipient.
one() {
	local d
	printf 'XMRG FROM:<s@y.example>\n'
	for d; do
		printf 'XDFN %s\n' "$d"
	done
	printf 'RCPT TO:<a@x.example>\nXPRT 1 LAST\n'
	printf 'To: [*to]\nX: [first]\n\n[first] [other]\n.\n'
}

@test "a transaction: one message, one content, a line of values each" {
	printf '%s\n' 'EHLO x' 'XACK OFF' \
		'XMRG FROM: s@y.example ENVID=e+20v RET=HDRS' \
		'XDFN first="Ann" unused=1' 'RCPT TO: <a@x.example> NOTIFY=NEVER' \
		'XDFN FIRST="Bob"' 'RCPT TO:<b@x.example>' 'XDFN' \
		'RCPT TO:<c@z.example>' 'XPRT 1 LAST' 'To: [*to]' '' \
		'Hello [first].' . QUIT >"$S"
	stream -v
	equal 0 "$status" "$stderr"
	[[ ${lines[0]} =~ ^[0-9a-v]{21}\ 3$ ]] || fail "${lines[0]}"
	equal 'accepted 1 rejected 0 suppressed 0' "${lines[1]}"
	equal "$(printf 'V Ann\nV Bob\nV \\-')" "$(mail | grep -a '^V' |
		LC_ALL=C sort -r | sort)"
	equal "$(printf '0 a@x.example\n1 b@x.example\n2 c@z.example')" "$(rcpts)"
	equal 1 "$(find "$P/spool/content" -type f -printf '%i\n' | sort -u |
		wc -l)"
	mail | grep -q '^M .* H e+20v - s@y.example$'
	mail | grep -Eq '^R .* 0 N - a@x.example$'
	run "$P/bin/vmta-check" spool
	equal 0 "$status" "$output"
}

@test "values: quotes, blanks, none; the last one of a name; names in any case" {
	sink_conf
	{
		one 'first="say \"x\" \\ \n"' 'OTHER=plain,1'
		one 'first="one" other=""' 'First="two"'
		one 'first=1 other="  two  " x="[first]"'
		one 'other="[first] [[ \\"'
	} >"$S"
	stream
	equal 'accepted 4 rejected 0 suppressed 0' "$output"
	runq
	cat "$SINK_DIR"/store/*.eml | tr -d '\r' >"$R"
	grep -qxF 'say "x" \ \n plain,1' "$R"
	grep -qxF 'two ' "$R"
	grep -qxF '1   two  ' "$R"
	grep -qxF ' [first] [[ \' "$R"
	sink_strict
}

@test "V03: nobody has a value of somebody else's" {
	sink_conf
	printf '%s\n' 'XMRG FROM:<s@y.example>' 'XDFN n="a" code="secret"' \
		'RCPT TO:<a@x.example>' 'RCPT TO:<a2@x.example>' 'XDFN n="b"' \
		'RCPT TO:<b@x.example>' 'XPRT 1 LAST' 'X-To: [*to]' '' \
		'[n] [code]' . >"$S"
	stream
	runq
	equal 3 "$(xmrg parts "$S" "$SINK_DIR/store")"
	equal 2 "$(cat "$SINK_DIR"/store/*.eml | grep -c secret)"
}

@test "V03: nobody has a value of one who was refused" {
	printf '%s\n' 'XMRG FROM:<s@y.example>' 'XDFN first="one"' \
		'RCPT TO:<a@x.example>' 'XDFN first="bad" other="secret"' \
		'RCPT TO:<not an address>' 'XDFN first="two"' \
		'RCPT TO:<b@x.example>' 'XPRT 1 LAST' 'Subject: x' '' \
		'[first] [other]' '.' >"$S"
	stream
	equal 'accepted 1 rejected 1 suppressed 0' "$output"
	refute grep -ra secret "$P/spool"
}

@test "parts: chosen and ordered by *parts; dots; undefined variables" {
	sink_conf
	{
		printf 'XMRG FROM:<s@y.example>\n'
		for i in {1..40}; do
			case $((i % 5)) in
			0) printf 'XDFN *parts=1,2\n' ;;
			1) printf 'XDFN *parts="1,3,2" n="Ann %d"\n' $i ;;
			2) printf 'XDFN *parts="1" x="y" *jobid="j"\n' ;;
			3) printf 'XDFN n="\xc3\x85sa [x] \\"q\\" %d"\n' $i ;;
			4) printf 'XDFN *parts="1,2,2,3,3" *envid="e%d"\n' $i ;;
			esac
			printf 'RCPT TO:<r%d@d%d.example>\n' $i $((i % 3))
		done
		printf 'XPRT 1\nFrom: <s@y.example>\nX-To: [*to]\nX-N: x\n'
		printf 'Content-Type: text/plain; charset=utf-8\n'
		printf 'MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n'
		printf '..one [n]\n...\n.\n'
		printf 'XPRT 2\ntwo [n] [[ [*envid]\n..\n.\nXPRT 3 LAST\n'
		printf '\nthree [x] [nobody] [n]\n.\n'
	} >"$S"
	sed -i 's/ \[\*envid\]//' "$S"
	stream -v
	equal 0 "$status" "$stderr"
	runq
	equal 40 "$(sink_count messages)"
	sink_strict
	equal 40 "$(xmrg parts "$S" "$SINK_DIR/store")"
	equal 0 "$(find "$P/spool/content" "$P/spool/queue" -type f | wc -l)"
}

@test "a newsletter in one part and in five: as another renderer makes it" {
	sink_conf
	render list 60 7 11 >"$BATS_TEST_TMPDIR/list"
	# a value in SMTP is one line
	python3 -c '
import csv, sys
rows = list(csv.reader(open(sys.argv[1], newline="")))
out = csv.writer(open(sys.argv[2], "w", newline=""))
for r in rows:
    out.writerow([c.replace("\r", " ").replace("\n", " ") for c in r])
' "$BATS_TEST_TMPDIR/list" "$BATS_TEST_TMPDIR/list.csv"
	xmrg make "$BATS_TEST_TMPDIR/list.csv" "$FIX/mjml.eml" >"$S"
	stream
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	runq
	equal 60 "$(render check "$FIX/mjml.eml" "$BATS_TEST_TMPDIR/list.csv" \
		"$SINK_DIR/store")"
	rm "$SINK_DIR"/store/*
	xmrg make "$BATS_TEST_TMPDIR/list.csv" "$FIX/mjml.eml" 5 >"$S"
	stream
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	runq
	equal 60 "$(render check "$FIX/mjml.eml" "$BATS_TEST_TMPDIR/list.csv" \
		"$SINK_DIR/store")"
	sink_strict
}

@test "mailmerge-expands-undefined-variables: nothing, or as it is written" {
	sink_conf
	one 'first="x"' >"$S"
	stream
	runq
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'} }" \
		"source 'user:$(id -un)' {" \
		'mailmerge-expands-undefined-variables = no }'
	stream
	runq
	equal "$(printf 'x \nx [other]')" "$(cat "$SINK_DIR"/store/*.eml |
		tr -d '\r' | grep '^x')"
}

# bats test_tags=slow
@test "reserved names, VERP, --vmta, --job; what they must not be" {
	{
		printf 'XMRG FROM:<s@y.example> VERP\n'
		printf 'XDFN *vmta="b" *jobId="j 1" *envId="e 1" *priority=90\n'
		printf 'RCPT TO:<a@x.example>\n'
		printf 'XDFN *from="o@y.example" *schedule="2090-01-02T03:04:05Z"\n'
		printf 'RCPT TO:<b@x.example>\nXPRT 1 LAST\n\nx\n.\n'
	} >"$S"
	stream --job all
	equal 0 "$status" "$stderr"
	equal "$(printf '%s\t' a@x.example s-a=x.example@y.example 'j 1' 90)" \
		"$(vqueue list --vmta b --format csv |
			csv rcpt orig jobId priority)	"
	equal "$(printf '%s\t' b@x.example o-b=x.example@y.example all \
		'2090-01-02 03:04:05+0000')" "$(vqueue list --vmta a --format csv |
			csv rcpt orig jobId nextTry)	"
	for bad in '*to="x"' '*date="x"' '*msgid="x"' '*nothing="x"' '1x="y"' \
		'x' '="y"' 'x y="z"' 'x="y' 'x="y"z="a"' 'x=a"b' 'x-y="z"' \
		"$(printf 'n%.0s' {1..65})=1"; do
		one "$bad" >"$S"
		stream
		equal 65 "$status" "$bad"
		equal "$S:2: XDFN:" "$(cut -d ' ' -f 1,2 "$R")" "$bad"
	done
	for bad in '*vmta="zz"' '*from="bad"' '*priority=101' '*parts=2' \
		'*parts=x' '*schedule=soon'; do
		one "$bad" >"$S"
		stream
		equal 65 "$status" "$bad"
		equal 'accepted 0 rejected 1 suppressed 0' "$output" "$bad"
		equal "$(printf '%s:3:\n%s:1:' "$S" "$S")" "$(cut -d ' ' -f 1 "$R")"
	done
}

@test "a recipient that cannot be is refused alone, with its line" {
	{
		printf 'XMRG FROM:<s@y.example>\nXDFN first="x"\n'
		printf 'RCPT TO:<bad>\nRCPT TO:<a@x.example>\n'
		printf 'XDFN first="a\rb"\nRCPT TO:<b@x.example>\n'
		printf 'XDFN first="\xff"\nRCPT TO:<c@x.example>\n'
		printf 'XPRT 1 LAST\nX: [first]\n\nx\n.\n'
		bsmtp 1
	} >"$S"
	stream
	equal 1 "$status"
	equal 'accepted 2 rejected 3 suppressed 0' "$output"
	equal '3 6 8' "$(cut -d : -f 2 "$R" | xargs)"
	equal "$(printf '0 a@x.example\n0 u1@d1.example')" "$(rcpts)"
}

# What a transaction may not be: LINE TEXT, then the stream.
refused_merge() {
	local line=$1 text=$2
	printf '%b' "$3" >"$S"
	bsmtp 1 >>"$S"
	stream
	equal 1 "$status" "$3"
	equal 'accepted 1 rejected 1 suppressed 0' "$output" "$3"
	equal 1 "$(wc -l <"$R")" "$3"
	[[ $(cat "$R") == "$S:$line: "*"$text"* ]] ||
		fail "$3: $(cat "$R"), not $line: $text"
	refute grep -rq evil "$P/spool/queue" "$P/spool/content"
}

# bats test_tags=slow
@test "V03: what is wrong with all of a merge: one line, and no part is a command" {
	local x='XMRG FROM:<s@y.example>\n' r='RCPT TO:<a@x.example>\n'
	local evil='MAIL FROM:<evil@x.example>\nRCPT TO:<evil@x.example>\n.\n'
	refused_merge 1 'XMRG without FROM:' "XMRG\nXDFN a=1\n${r}XPRT 1\n${evil}XPRT 2 LAST\n$evil"
	refused_merge 1 'sender' "XMRG FROM:<bad>\n${r}XPRT 1\n${evil}XPRT 2 LAST\n$evil"
	refused_merge 1 'sender' "XMRG FROM:<s@y.example> FOO\n${r}XPRT 1 LAST\n$evil"
	refused_merge 1 'XDFN without XMRG' "XDFN a=1\nXPRT 1 LAST\n$evil"
	refused_merge 1 'XPRT without XMRG' "XPRT 1\n${evil}XPRT 2 LAST\n$evil"
	refused_merge 2 'XPRT without XMRG' "MAIL FROM:<>\nXPRT 1 LAST\n$evil"
	refused_merge 2 'no recipient' "${x}XPRT 1\n${evil}XPRT 2 LAST\n$evil"
	refused_merge 3 'DATA in a mail merge' "$x${r}DATA\n$evil"
	refused_merge 3 'a number' "$x${r}XPRT\n${evil}XPRT 1 LAST\n$evil"
	refused_merge 3 'a number' "$x${r}XPRT 0 LAST\n$evil"
	refused_merge 3 'a number' "$x${r}XPRT 101 LAST\n$evil"
	refused_merge 3 'only LAST' "$x${r}XPRT 1 FIRST\n${evil}XPRT 2 LAST\n$evil"
	refused_merge 6 'part 1 again' "$x${r}XPRT 1\n\n.\nXPRT 1 LAST\n$evil"
	refused_merge 3 'part 1 is missing' "$x${r}XPRT 2 LAST\n$evil"
	refused_merge 6 'RCPT after XPRT' "$x${r}XPRT 1\nx: y\n.\n${r}XPRT 2 LAST\n$evil"
	refused_merge 1 'merge without XPRT LAST' "$x${r}XPRT 1\nx: y\n.\n"
	refused_merge 1 'merge without XPRT LAST' "$x${r}"
	refused_merge 1 'XACK' "XACK PERHAPS\n"
	refused_merge 2 'too long' "${x}XDFN a=\"$(printf 'x%.0s' {1..66000})\"\n${r}XPRT 1 LAST\n$evil"
	refused_merge 1 'CR' "$x${r}XPRT 1 LAST\na\rb\n.\n"
	refused_merge 1 'NUL' "$x${r}XPRT 1 LAST\na\0b\n.\n"
}

@test "a stream that ends inside a part; a long line of values; RSET" {
	local x='XMRG FROM:<s@y.example>\nXDFN a="x"\nRCPT TO:<a@x.example>\n'
	printf "${x}XPRT 1\nx: y\n.\n" >"$S"
	stream
	equal 65 "$status"
	equal "$S:1: merge without XPRT LAST" "$(cat "$R")"
	printf "${x}XPRT 1 LAST\nx: y\n" >"$S"
	stream
	equal "$S:6: stream ends inside a message" "$(cat "$R")"
	{
		printf 'XMRG FROM:<s@y.example>\nXDFN a="old"\nRSET\n'
		printf 'XMRG FROM:<s@y.example>\nXDFN a="%s"\n' \
			"$(printf 'x%.0s' {1..60000})"
		printf 'RCPT TO:<a@x.example>\nXPRT 1 LAST\n\n[a]\n.\n'
	} >"$S"
	stream
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	equal 60002 "$(mail | grep -a '^V' | tr -d '\n' | wc -c)"
}

@test "the source may not: allow-mailmerge = no; sizes, recipients" {
	one 'first="x"' >"$S"
	iconf "source 'user:$(id -un)' { allow-mailmerge = no }"
	stream
	equal 65 "$status"
	equal "$S:1: source user:$(id -un) may not merge" "$(cat "$R")"
	bs <<-'END'
		EHLO x
		XMRG FROM:<s@y.example>
	END
	[[ $output != *XMRG* ]] || fail "$output"
	[[ $output == *'550 5.7.1 '*'may not merge'* ]] || fail "$output"
	iconf "source 'user:$(id -un)' { max-message-size = 20" \
		'max-rcpt-per-message = 2 }'
	stream
	equal "$S:1: message too large" "$(cat "$R")"
	sed -i 's/^XPRT/RCPT TO:<b@x.example>\nRCPT TO:<c@x.example>\n&/' "$S"
	stream
	equal "$S:5: too many recipients" "$(cat "$R")"
}

@test "all or nothing: a merge alone; nothing when anything is refused" {
	one 'first="x"' >"$S"
	stream --all-or-nothing
	equal 0 "$status"
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	equal 1 "$(batches | wc -l)"
	sed -i 's/^RCPT/RCPT TO:<bad>\n&/' "$S"
	stream --all-or-nothing
	equal 65 "$status"
	equal 'accepted 0 rejected 1 suppressed 0' "$output"
	{
		one 'first="x"'
		bsmtp 1
	} >"$S"
	stream --all-or-nothing
	equal 65 "$status"
	grep -q ':10: all or nothing: mail beside a mail merge' "$R"
	{
		bsmtp 1
		one 'first="x"'
	} >"$S"
	stream --all-or-nothing
	equal 65 "$status"
	grep -q ':8: all or nothing: a mail merge can only be alone' "$R"
	equal 1 "$(batches | wc -l)"
}

# bats test_tags=slow
@test "--submit-id: merges among other mail, killed and repeated: each once" {
	local i k
	for i in {1..40}; do
		bsmtp 20
		printf 'XMRG FROM:<s@y.example>\n'
		for k in {1..25}; do
			printf 'XDFN n="%d"\nRCPT TO:<m%d-%d@d%d.example>\n' $i $i $k \
				$((k % 4))
		done
		printf 'XPRT 1 LAST\n\n[n]\n.\n'
	done >"$S"
	for i in {1..12}; do
		start "run$i" "$P/bin/vmta-inject" --bsmtp --submit-id k "$S"
		for _ in $(seq $((i * 10))); do
			alive "$STARTED" || break
		done
		kill -s KILL "$STARTED" 2>/dev/null || true
		wait "$STARTED" && break
	done
	stream --submit-id k
	equal 0 "$status" "$stderr"
	equal 'accepted 840 rejected 0 suppressed 0' "$output"
	stream --submit-id k -v
	equal 'accepted 840 rejected 0 suppressed 0' "${lines[840]}"
	equal 839 "$(grep -c '^- ' <<<"$output")"
	equal 1000 "$(rcpts | grep -c ' m')"
	equal 1000 "$(rcpts | grep ' m' | cut -d ' ' -f 2 | sort -u | wc -l)"
	equal 800 "$(mail | grep -ac '^Subject')"
	equal '' "$(find "$P/spool/commit" -type f ! -name '.*')"
	run "$P/bin/vmta-check" spool --repair
	equal 0 "$("$P/bin/vmta-check" spool >/dev/null; echo $?)" "$output"
}

@test "-bs: XMRG is offered, answered, durable; a dot in a line is none" {
	sink_conf
	bs <<-'END'
		EHLO x
		XMRG FROM:<s@y.example>
		XDFN *parts="1,2" n="Ann"
		RCPT TO:<a@x.example>
		XDFN n="Bob"
		RCPT TO:<b@x.example>
		XPRT 1
		X-To: [*to]

		..[n]
		..
		.
		XPRT 2
		two
		.
		XPRT 3 LAST
		three
		.
		MAIL FROM:<s@y.example>
		RCPT TO:<c@x.example>
		DATA
		X-To: c@x.example

		..
		after
		.
		QUIT
	END
	equal 0 "$status"
	for want in XMRG XDFN XPRT XACK VERP; do
		[[ $output == *"250-$want"* ]] || fail "$output"
	done
	equal 2 "$(grep -c '^250 2.0.0 Ok: queued as' <<<"$output")"
	equal 3 "$(rcpts | wc -l)"
	runq
	equal 3 "$(sink_count messages)"
	cat "$SINK_DIR"/store/*.eml | tr -d '\r' >"$R"
	equal 3 "$(grep -cx '\.' "$R")"
	equal 1 "$(grep -cx after "$R")"
	equal "$(printf '.Ann\n.Bob')" "$(grep '^\.[AB]' "$R" | sort)"
	equal 2 "$(grep -cx two "$R")"
	equal 1 "$(grep -cx three "$R")"
}

@test "-bs: XACK OFF answers nothing to XDFN and RCPT, and loses no refusal" {
	bs <<-'END'
		EHLO x
		XACK OFF
		XMRG FROM:<s@y.example>
		XDFN n="1"
		RCPT TO:<a@x.example>
		XPRT 1 LAST
		x: [n]

		.
		XMRG FROM:<s@y.example>
		XDFN n="1"
		RCPT TO:<a@@x.example>
		RCPT TO:<b@x.example>
		XPRT 1 LAST
		XMRG FROM:<s@y.example>
		XDFN n=1"2
		RCPT TO:<c@x.example>
		XPRT 1 LAST
		XACK ON
		XMRG FROM:<s@y.example>
		XDFN n="1"
		RCPT TO:<bad@@x>
		QUIT
	END
	mapfile -t codes < <(sed -n '/^250 ENH/,$p' <<<"$output" | cut -c 1-3)
	equal '250 250 250 354 250 250 554 250 554 250 250 250 501 221' "${codes[*]}"
	equal '0 a@x.example' "$(rcpts)"
}

@test "-bs: one recipient that cannot be refuses the merge, by name" {
	bs <<-'END'
		EHLO x
		XMRG FROM:<s@y.example>
		XDFN *vmta="zz"
		RCPT TO:<a@x.example>
		XDFN n="1"
		RCPT TO:<b@x.example>
		XPRT 1 LAST
		x: [n]

		.
		DATA
		XPRT 1
		XDFN a=1
		MAIL FROM:<s@y.example>
		XPRT 1
		RSET
		XMRG FROM:<s@y.example>
		DATA
		XPRT 1
		XDFN a="b
		XPRT 1
		RCPT TO:<a@x.example>
		XPRT 2 LAST
		QUIT
	END
	[[ $output == *"554 5.6.0 a@x.example: "*"'zz'"* ]] || fail "$output"
	mapfile -t codes < <(sed -n '/^554/,$p' <<<"$output" | cut -c 1-3)
	equal '554 503 503 503 250 503 250 250 503 554 501 554 503 503 221' \
		"${codes[*]}"
	equal '' "$(batches)"
}

@test "V02: envelopes and reserved values of a merge" {
	local bad n=0
	for bad in $'a\rb' $'a\tb' $'a\x01b' $'a\x7fb' $'a\x80b' $'a\xc2\x80b' \
		'a> SIZE=1 <b' 'a b' 'a@b' "$(printf '%065d' 1)"; do
		printf 'XMRG FROM:<%s@y.example>\nRCPT TO:<a@x.example>\n' "$bad"
		printf 'XPRT 1 LAST\n\n.\n'
		printf 'XMRG FROM:<s@y.example>\nRCPT TO:<%s@x.example>\n' "$bad"
		printf 'XPRT 1 LAST\n\n.\n'
		printf 'XMRG FROM:<s@y.example>\nXDFN *from="%s@y.example"\n' "$bad"
		printf 'RCPT TO:<a@x.example>\nXPRT 1 LAST\n\n.\n'
		n=$((n + 3))
	done >"$S"
	for bad in $'e\rv' $'e\x01' "$(printf '%0101d' 1)" $'e\xc3\xa4'; do
		one "*envid=\"$bad\""
		one "*vmta=\"$bad\""
		n=$((n + 2))
	done >>"$S"
	one $'*jobid="j\x01"' >>"$S"
	one "*jobid=\"$(printf '%0300d' 1)\"" >>"$S"
	n=$((n + 2))
	stream
	equal 65 "$status" "$(cat "$R")"
	equal "accepted 0 rejected $n suppressed 0" "$output"
	LC_ALL=C refute grep -aq $'[\x01-\x09\x0b-\x1f\x7f]' "$R"
	equal '' "$(batches)"
}

@test "V03: what values may not do: headers, brackets, dots, boundaries" {
	sink_conf
	cat >"$BATS_TEST_TMPDIR/t" <<-'END'
		From: <s@y.example>
		To: [name] <[email]>
		Subject: for [name]
		X-Row: [token]
		MIME-Version: 1.0
		Content-Type: multipart/mixed; boundary=bbb

		--bbb
		Content-Type: text/plain; charset=utf-8
		Content-Transfer-Encoding: 8bit

		[text]
		--bbb
		Content-Type: text/plain; charset=utf-8

		second
		--bbb--
	END
	{
		printf 'email,name,text,token\n'
		printf 'a@x.example,Ann,.,t1\n'
		printf 'b@x.example,[text],[name] [[ [*to] ],t2\n'
		printf 'c@x.example,"C <evil@z.example>, D",..,t3\n'
		printf 'd@x.example,"D ""q"" \\ x",--bbb--,t4\n'
		printf 'e@x.example,Z\xc3\xab \xe2\x80\xae,--bbb,t5\n'
		printf 'f@x.example,=?utf-8?Q?=0D=0AX:_y?=,=?utf-8?q?x?=,t6\n'
	} >"$BATS_TEST_TMPDIR/list"
	xmrg make "$BATS_TEST_TMPDIR/list" "$BATS_TEST_TMPDIR/t" >"$S"
	sed -i 's/^XPRT/XDFN name="G\rBcc: e@x" email="g@x.example"\nRCPT TO:<g@x.example>\n&/' "$S"
	stream
	equal 'accepted 1 rejected 1 suppressed 0' "$output" "$(cat "$R")"
	grep -q 'line end in the value of \[name\]' "$R"
	runq
	equal 6 "$(sink_count messages)"
	sink_strict
	equal 6 "$(render check "$BATS_TEST_TMPDIR/t" "$BATS_TEST_TMPDIR/list" \
		"$SINK_DIR/store")"
}

@test "V08: addresses and values of a merge are data; nothing is executed" {
	local odd
	{
		printf 'XMRG FROM:<-f@y.example>\n'
		for odd in '-oQ/tmp' '$(id)' '`id`' '${run{id}}' '%n%s' '|id'; do
			printf 'XDFN n="%%s%%n %s"\n' "${odd//%/%%}"
			case $odd in *[\(\)]*) odd="\"$odd\"" ;; esac
			printf 'RCPT TO:<%s@x.example>\n' "${odd//%/%}"
		done
		printf 'XPRT 1 LAST\n\n[n]\n.\n'
	} >"$S"
	stream
	equal 'accepted 1 rejected 0 suppressed 0' "$output" "$(cat "$R")"
	equal 6 "$(rcpts | wc -l)"
	rcpts | grep -qxF '0 -oQ/tmp@x.example'
	rcpts | grep -qxF '3 ${run{id}}@x.example'
	mail | grep -qaF 'V %s%n `id`'
	mail | grep -q ' -f@y.example$'
	need_strace
	strace -f -qq -e trace=execve,execveat,fork,vfork -o "$R" \
		"$P/bin/vmta-inject" --bsmtp "$S"
	equal 1 "$(grep -c execve "$R")"
	equal 0 "$(grep -c fork "$R")"
}

@test "V11: long lines, quotes and brackets take linear time" {
	{
		printf 'XMRG FROM:<s@y.example>\nXDFN a="'
		printf '\\"%.0s' {1..30000}
		printf '"\n'
		for i in {1..900}; do
			printf 'XDFN v%d="%s" ' $i "[a] [[[[["
			printf "V$i=1 %.0s" {1..200}
			printf '\n'
		done
		printf 'RCPT TO:<a@x.example>\nXPRT 1 LAST\n\n'
		for i in {1..2000}; do
			printf '[[%.0s' {1..200}
			printf '[v%d]\n' $i
		done
		printf '.\n'
	} >"$S"
	# a minute is for a machine that is very busy: it takes tenths
	SECONDS=0
	stream
	equal 'accepted 1 rejected 0 suppressed 0' "$output" "$(cat "$R")"
	((SECONDS < 60)) || fail "$SECONDS s"
}

@test "V24: octets that are no UTF-8, NUL, bidirectional controls" {
	{
		printf 'XMRG FROM:<s@y.example>\n'
		for bad in $'\xff' $'\xed\xa0\x80' $'\xc0\x80' $'\xf4\x90\x80\x80'; do
			printf 'XDFN first="%s"\nRCPT TO:<a@x.example>\n' "$bad"
			printf 'XDFN first="x"\nRCPT TO:<a%s@x.example>\n' "$bad"
		done
		printf 'XDFN first="a\0b"\nRCPT TO:<b@x.example>\n'
		printf 'XDFN first="\xe2\x80\xaeevil"\nRCPT TO:<c@x.example>\n'
		printf 'XPRT 1 LAST\n\n[first]\n.\n'
	} >"$S"
	stream
	equal 'accepted 1 rejected 9 suppressed 0' "$output" "$(cat "$R")"
	equal 0 "$(LC_ALL=C grep -c "$(printf '\xff')" "$R")"
	equal 'V \xe2\x80\xaeevil' "$(mail | grep -a '^V')"
	equal '5 c@x.example' "$(rcpts)"
}
