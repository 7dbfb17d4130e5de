# vmta-inject: a single message.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	iconf
}

teardown() {
	end_test
}

@test "a message: exit 0, silent, one batch, as the format says" {
	run --separate-stderr inject -f s@sender.example --job j1 \
		--envid 'e 1' --priority 70 B@Rcpt.Example <<<$'Subject: x\n\nhi'
	equal 0 "$status"
	equal '' "$output$stderr"
	[[ $(batches) =~ ^a/new/rcpt.example/[0-9]{8}T[0-9]{6}Z-070-[0-9a-v]{21}-1-[0-9]+-[0-9a-f]{8}$ ]]
	mail | grep -qx 'job: j1'
	mail | grep -qx "source: user:$(id -un)"
	mail | grep -qx 'source-type: api'
	mail | grep -q '^M [0-9a-v]\{21\} .* e+201 s@sender.example$'
	equal '0 B@rcpt.example' "$(rcpts)"
}

@test "-v: id and recipients; Message-ID and Date are made of them" {
	run --separate-stderr inject -v -f s@y.example a@x.example b@x.example \
		a@x.example <<<$'Subject: x\n\nhi'
	[[ $output =~ ^([0-9a-v]{21})\ 2$ ]]
	equal "Message-ID: <${BASH_REMATCH[1]}@mta.example.com>" \
		"$(mail | tr -d '\r' | grep ^Message-ID)"
	mail | grep -Eq $'^Date: [A-Z][a-z]{2}, [0-9]+ [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} \\+0000\r$'
	equal $'0 a@x.example\n1 b@x.example' "$(rcpts)"
}

@test "a Message-ID and a Date that are there stay" {
	printf 'date: Mon, 1 Jan 2024 00:00:00 +0000\nMESSAGE-ID: <x@y>\n\n' |
		inject a@x.example
	equal 1 "$(mail | grep -ci '^date:')"
	equal 1 "$(mail | grep -ci '^message-id:')"
}

@test "the sender: default, given, null, odd" {
	local from
	inject a@x.example <<<'x: y'
	mail | grep -q "^M .* $(id -un)@mta.example.com$"
	for from in '<>' ''; do
		rm -rf "$P/spool"/*
		inject -f "$from" a@x.example <<<'x: y'
		mail | grep -q '^M .* <>$'
	done
	# BATV, SRS, VERP and what else is seen
	for from in 'prvs=1234567890=joe@y.example' \
		'SRS0=HHH=TT=orig.example=user@y.example' \
		'b+joe=x.example@y.example' "o'neil@y.example" \
		'{a}!#$%&*/?^_`|~@y.example' '-x@y.example' \
		'"a b"@y.example' 'a@[127.0.0.1]'; do
		rm -rf "$P/spool"/*
		inject -f "$from" a@x.example <<<'x: y'
		mail | grep -qF " $from" || fail "$from: $(mail)"
	done
}

@test "recipients that look like options go behind --" {
	inject -- -f@x.example --vmta@x.example <<<'x: y'
	equal $'0 -f@x.example\n1 --vmta@x.example' "$(rcpts)"
	refused 64 'unknown option' -q@x.example <<<'x: y'
}

@test "refusals leave nothing behind, and say why in a line" {
	local bad
	inject a@x.example <<<'x: y'
	refused 65 'no recipients' <<<'x: y'
	refused 65 'no recipients' -t <<<$'Subject: x\n\n'
	refused 65 'no recipients' -t <<<$'To: undisclosed-recipients:;\n\n'
	for bad in x x@ @x.example 'a b@x.example' a@x..example a@-x.example \
		'a@x.example,b@x.example' 'a@[300.1.1.1]' 'a@x/y' 'a@..' \
		$'a@x.example\n' $'a\r@x.example' "a@$(printf %0300d 1).example" \
		'../../a@..%2f' $'\xff@x.example' ''; do
		refused 65 "recipient '" -f s@y.example b@x.example "$bad" \
			<<<'x: y'
	done
	refused 65 "sender 'x'" -f x a@x.example <<<'x: y'
	refused 65 'To' -t <<<$'To: a@x.example, <b\n\n'
	refused 65 "unknown VirtualMTA 'zz'" --vmta zz a@x.example <<<'x: y'
	refused 65 'VirtualMTA' --vmta ../a a@x.example <<<'x: y'
	refused 65 'job' --job $'a\nb' a@x.example <<<'x: y'
	refused 65 '' --envid $'a\nb' a@x.example <<<'x: y'
	refused 65 'line 1: ' a@x.example < <(
		printf 'x: '
		head -c 2000 /dev/zero | tr '\0' x
	)
}

@test "usage: 64" {
	inject a@x.example <<<'x: y'
	refused 64 '--priority' --priority 101 a@x.example <<<'x: y'
	refused 64 '--priority' --priority -1 a@x.example <<<'x: y'
	refused 64 '--priority' --priority 1x a@x.example <<<'x: y'
	refused 64 '--at' --at someday a@x.example <<<'x: y'
	refused 64 '--rejects' --rejects f a@x.example <<<'x: y'
	refused 64 '--all-or-nothing' --all-or-nothing a@x.example <<<'x: y'
	refused 64 '--bsmtp' --bsmtp -t <<<''
	refused 64 'unknown' --nonsense a@x.example <<<'x: y'
	refused 64 'needs an argument' -f <<<'x: y'
}

@test "--help and --version, and both name what the manual names" {
	local opt
	run inject --help
	equal 0 "$status"
	for opt in $(grep -o -- '--[a-z-]*' <<<"$output" | sort -u); do
		grep -q -- "Fl -${opt#--}\\b" "$ROOT/share/man/vmta-inject.8" ||
			fail "not in the manual: $opt"
	done
	run inject --version
	equal 0 "$status"
}

@test "smuggling: no CR, no NUL, at whatever place of the buffer (V01-V03)" {
	local size seq
	inject a@x.example <<<'x: y'
	for seq in '\r.\r' '\n.\r.' '\r\r\n' '.\0\r\n' '\r\n\r.\r\n' '\rMAIL'; do
		for size in 0 65533 65534 65535 65536 262141 262142 262143 \
			262144; do
			refused 65 'line ' a@x.example < <(
				printf 'x: y\n\n'
				# shellcheck disable=SC2059
				head -c $size /dev/zero | tr '\0' '\n'
				printf "$seq")
		done
	done
	refused 65 'CR without LF' a@x.example < <(printf 'x: y\n\nz\r')
}

@test "lone dots, with LF and CRLF, are lines like others" {
	printf 'x: y\n\n.\n.\r\n..\n.\nMAIL FROM:<evil@x.example>\n.' |
		inject -f s@y.example a@x.example
	mail | grep -q 'MAIL FROM:<evil'
	equal 5 "$(mail | grep -c '^\.')"
	mail | grep -Eq '^M [0-9a-v]{21} 0 [0-9]+ [0-9a-f]{16} - [0-9]+ 5 - - s@y.example$'
	refute grep -q '[^'$'\r'']$' <(mail | sed -n '/^x: y/,/^END/p' | grep -v ^END)
}

@test "odd messages: empty, no header, no body, no final newline, 8-bit" {
	local text
	for text in '' '\n' 'x: y' 'x: y\n' 'x: y\n\n' 'just text' 'x: y\n\nz' \
		'\n\n\n' 'x: y\n z\n\t\n\nb' 'From a@b Mon Jan 1\nx: y\n\nz'; do
		# shellcheck disable=SC2059
		printf "$text" | inject -f s@y.example a@x.example
	done
	equal 10 "$(batches | wc -l)"
	equal 20 "$(mail | grep -cE '^(Date|Message-ID): ')"
	rm -rf "$P/spool"/*
	printf 'Subject: \303\274\n\n\377\n' | inject -f s@y.example a@x.example
	mail | grep -aq '^M .* 8h '
	rm -rf "$P/spool"/*
	printf 'Subject: x\n\nx\n' | inject -f $'\xc3\xbc@y.example' a@x.example
	mail | grep -aq '^M .* u '
}

@test "a huge header, long body lines, a large message" {
	{
		for i in $(seq 20000); do
			echo "X-Field-$i: some words to fill the line with"
		done
		echo
		head -c 100000 /dev/zero | tr '\0' x
	} | inject -f s@y.example a@x.example
	mail | grep -q '^X-Field-20000: '
	mail | grep -Eq '^M .* - 100000 0 - - s@y.example$'
	iconf 'max-message-size = 1M'
	head -c 1100000 /dev/zero | tr '\0' '\n' | (
		refused 65 'over 1048576 octets' a@x.example
	)
}

@test "-t: names, comments, groups, folding, IDN; Bcc is gone" {
	inject -t -f s@y.example first@x.example <<-'END'
		To: "Joe, the \"man\"" <joe@x.example>, plain@x.example (hi <no@x.example>),
		 friends: ann@x.example,
		   bob@x.example;, <@route.example:sue@x.example>
		Cc: ü@bücher.example
		Bcc: secret@x.example,
		 joe@X.EXAMPLE
		Subject: x

		hi
	END
	equal $'0 first@x.example\n1 joe@x.example\n2 plain@x.example\n3 ann@x.example\n4 bob@x.example\n5 sue@x.example\n6 ü@xn--bcher-kva.example\n7 secret@x.example' \
		"$(rcpts)"
	refute grep -aq secret <(mail | sed '/^R /d')
	refute grep -aqi ^bcc <(mail)
}

@test "-t: Resent- fields, when there are any, alone" {
	inject -t <<-'END'
		Resent-To: new@x.example
		Resent-Bcc: hidden@x.example
		To: old@x.example

	END
	equal $'0 new@x.example\n1 hidden@x.example' "$(rcpts)"
	refute grep -q ^Resent-Bcc <(mail)
}

@test "Bcc is taken out without -t as well" {
	inject a@x.example <<<$'Bcc: b@x.example\n c@x.example\nTo: d@x.example\n'
	equal '0 a@x.example' "$(rcpts)"
	refute grep -q 'b@x.example' <(mail)
}

@test "both spellings of a domain, and literals, are one queue each" {
	inject a@BÜCHER.example b@xn--bcher-kva.example c@xn--BCHER-kva.EXAMPLE \
		'd@[127.0.0.1]' 'e@[IPv6:2001:DB8:0::1]' <<<'x: y'
	equal $'[127.0.0.1]\n[ipv6:2001:db8::1]\nxn--bcher-kva.example' \
		"$(batches | cut -d / -f 3 | sort)"
}

@test "100,000 recipients, from To and from operands" {
	{
		printf 'To: '
		seq -f 'u%.0f@x.example,' 99999 | sed 's/^/ /'
		printf ' last@x.example\n\nhi\n'
	} >"$BATS_TEST_TMPDIR/m"
	run inject -v -t <"$BATS_TEST_TMPDIR/m"
	equal 0 "$status" "$output"
	equal 100000 "${output#* }"
	equal 100000 "$(rcpts | cut -d ' ' -f 2 | sort -u | wc -l)"
	rm -rf "$P/spool"/*
	# shellcheck disable=SC2046
	run inject -v $(seq -f 'u%.0f@x.example' 60000) <<<'x: y'
	equal 60000 "${output#* }"
}

@test "--at: not before; --priority in the name" {
	local n
	inject --at '2100-01-02 03:04:05+0100' --priority 0 a@x.example <<<'x: y'
	[[ $(batches) == a/new/x.example/21000102T020405Z-000-* ]]
	mail | grep -qx 'due: 21000102T020405Z'
	rm -rf "$P/spool"/*
	inject --at @5 --priority 100 a@x.example <<<'x: y'
	n=$(date -u +%Y)
	[[ $(batches) == a/new/x.example/"$n"*-100-* ]]
}

@test "a single VirtualMTA, a pool with its name, an unknown one" {
	inject --vmta b a@x.example <<<'x: y'
	[[ $(batches) == b/new/* ]]
	refute grep -q ^pool: <(mail)
	inject --vmta p a@z.example <<<'x: y'
	mail | grep -qx 'pool: p'
	iconf 'source "user:'"$(id -un)"'" { reject-invalid-virtual-mta = no }' \
		'invalid-virtual-mta-fallback = c'
	inject --vmta gone a@w.example <<<'x: y'
	batches | grep -q ^c/new/w.example/
}

@test "no default VirtualMTA: refused" {
	conf <<-'END'
		host-name = mta.example.com
		smtp-source-host = {'127.0.0.1 x.example'}
		virtual-mta a { }
	END
	refused 65 default-virtual-mta a@x.example <<<'x: y'
	inject --vmta a a@x.example <<<'x: y'
}

@test "what the source may not do" {
	local me
	me=$(id -un)
	iconf "source 'user:$me' { allow-virtual-mta = {'b'}" \
		"allow-sender = {'*@ok.example', 'boss@other.example'}" \
		'allow-priority = no  max-rcpt-per-message = 2 }'
	inject a@x.example <<<'x: y'
	refused 65 "may not use VirtualMTA 'c'" --vmta c a@x.example <<<'x: y'
	refused 65 sender -f x@other.example a@x.example <<<'x: y'
	refused 65 priority --priority 50 a@x.example <<<'x: y'
	refused 65 recipients a@x.example b@x.example c@x.example <<<'x: y'
	inject --vmta b -f Boss@other.example a@x.example <<<'x: y'
	inject -f any@OK.example a@x.example b@x.example <<<'x: y'
	inject -f "$me@mta.example.com" a@x.example <<<'x: y'
	inject -f '' a@x.example <<<'x: y'
}

# bats test_tags=slow
@test "a pool 3:1 over 1,000 calls: within 5 points, and mixed" {
	local i n run
	for i in $(seq 1000); do
		inject --vmta p "u@d$((i % 7)).example" <<<'x: y'
	done
	n=$(batches | grep -c ^b/)
	[ "$n" -ge 200 ] && [ "$n" -le 300 ] || fail "$n of 1000 went to b"
	equal 1000 "$(batches | wc -l)"
	equal 1000 "$(cat "$P/spool/state/counter/pool.p")"
}

@test "a pool: a domain's recipients go to one member, 64 at a time" {
	# shellcheck disable=SC2046
	inject --vmta even $(seq -f 'u%.0f@x.example' 200) <<<'x: y'
	equal 'a 1 64 b 1 64 c 1 64 a 1 8' "$(for v in a b c; do
		batches | sed -n "s,^$v/new/x.example/.*-\([0-9]*\)-[0-9]*-[0-9a-f]*$,$v \1,p"
	done | awk '$1 == "a" && $2 == 72 { print "a 1 64 b 1 64 c 1 64 a 1 8" }')"
	equal 3 "$(batches | wc -l)"
	equal 4 "$(cat "$P/spool/state/counter/pool.even")"
}

@test "SHARED: a large message to several VirtualMTAs is stored once" {
	iconf 'pattern-list l { match = {' \
		"'rcpt-to /^a/ virtual-mta=a', 'rcpt-to /^b/ virtual-mta=b'," \
		"'* virtual-mta=c'} }" \
		"source 'user:$(id -un)' { pattern-list = l }"
	{
		echo 'Subject: x'
		echo
		yes 'a line of text' | head -n 60000
	} >"$BATS_TEST_TMPDIR/large"
	inject a@x.example b@x.example c@x.example \
		<"$BATS_TEST_TMPDIR/large"
	equal 3 "$(batches | wc -l)"
	equal 3 "$(find "$P/spool/content" -type f -links 3 | wc -l)"
	equal '' "$(find "$P/spool/queue" -type f -size +20k)"
	"$P/bin/vmta-check" spool
}

@test "a broken configuration: 78, FILE:LINE; the last good one stays" {
	conf <<<'virtual-mta {'
	refused 78 vmta.conf:1 a@x.example <<<'x: y'
	rm "$P/etc/vmta.conf"
	refused 78 vmta.conf a@x.example <<<'x: y'
}

@test "--submit-id: a repeated call prints the same and queues nothing" {
	local first
	first=$(inject -v --submit-id k a@x.example <<<'x: y')
	equal "$first" "$(inject -v --submit-id k a@x.example <<<'x: y')"
	equal "$first" "$(inject -v --submit-id k a@x.example <<<'x: y')"
	equal 1 "$(batches | wc -l)"
	inject --submit-id other a@x.example <<<'x: y'
	equal 2 "$(batches | wc -l)"
	# what is refused takes no key
	run inject --submit-id third bad <<<'x: y'
	equal 65 "$status"
	inject --submit-id third a@x.example <<<'x: y'
	equal 3 "$(batches | wc -l)"
}

@test "--submit-id: of calls at the same time one queues it" {
	local i codes pids=()
	for i in 1 2 3 4 5 6; do
		(
			inject --submit-id k a@x.example <<<'x: y' 2>/dev/null
			echo $? >"$BATS_TEST_TMPDIR/code.$i"
		) 3>&- &
		pids+=($!)
	done
	wait "${pids[@]}" || true
	codes=$(cat "$BATS_TEST_TMPDIR"/code.* | sort -u | xargs)
	[ "$codes" = 0 ] || [ "$codes" = '0 75' ] || fail "$codes"
	inject --submit-id k a@x.example <<<'x: y'
	equal 1 "$(batches | wc -l)"
}

@test "a signal before the end: 75, nothing is queued" {
	start_reading one a@x.example
	echo 'x: y' >&5
	wait_until takes_signals "$STARTED"
	kill -s TERM "$STARTED"
	code=0
	wait "$STARTED" || code=$?
	exec 5>&-
	equal 75 "$code"
	grep -q 'nothing was accepted' "$BATS_TEST_TMPDIR/one.err"
	equal '' "$(batches)"
}

@test "it is linked with neither DNS nor TLS" {
	need_command ldd
	refute grep -E 'unbound|ssl|crypto|opendkim' \
		<(ldd "$BUILD/bin/vmta-inject")
}
