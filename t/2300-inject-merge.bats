# vmta-inject --merge: a template and a list.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

FIX=$ROOT/t/fixtures/merge

setup() {
	make_prefix
	iconf
	L=$BATS_TEST_TMPDIR/list.csv
	T=$BATS_TEST_TMPDIR/template
	R=$BATS_TEST_TMPDIR/rejects
	printf 'To: [*to]\nX: [first]\n\nHello [first].\n' >"$T"
}

teardown() {
	end_test
}

# merge ARG...: the list and the template through inject; stderr to $ERR.
merge() {
	run --separate-stderr inject -f s@y.example --merge "$L" "$@" <"$T"
}

# preview ROW [OPTION...]: the message of a row.
preview() {
	inject -f s@y.example --merge "$L" --preview "$@" <"$T"
}

# merge_refused CODE TEXT [OPTION...]: nothing of it is accepted.
merge_refused() {
	local before
	before=$(spool_files)
	merge "${@:3}"
	equal "$1" "$status" "exit code ($stderr)"
	[[ $stderr == *"$2"* ]] || fail "no '$2' in: $stderr"
	equal "$before" "$(spool_files)" 'the spool'
}

render() {
	python3 "$HELPER/render.py" "$@"
}

# to_sink TEMPLATE [OPTION...]: merge it with the list, deliver it all.
to_sink() {
	inject -f s@y.example --merge "$L" "${@:2}" <"$1" >"$BATS_TEST_TMPDIR/out"
	runq
}

# sink_conf: a sink, and everything goes there.
sink_conf() {
	start_sink -s
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'}" \
		"max-smtp-out = 4 retry-after = 1s }"
}

@test "ROWLIMIT: a row whose values are too large is refused, and the others are readable" {
	python3 - "$L" <<-'EOF'
		import sys
		with open(sys.argv[1], "w") as f:
		    f.write("email,first\n")
		    for i in range(6):
		        f.write("u%d@x.example,%s\n" % (i, "v" * (1024 * 1024 - 2)))
		    f.write("big@x.example,%s\n" % ("v" * (1024 * 1024 + 1)))
		    # as many octets when they are stored
		    f.write("tab@x.example,%s\n" % ("\t" * (1024 * 256 + 1)))
		    f.write("last@x.example,small\n")
	EOF
	printf 'To: [*to]\n\nHello [first].\n' >"$T"
	merge --rejects "$R"
	equal 1 "$status" "$stderr"
	equal 'accepted 7 rejected 2 suppressed 0' "$output"
	equal 2 "$(wc -l <"$R")" "$(cut -c1-300 "$R")"
	grep -q ':8: its values take 1048577 octets, more than 1048576$' "$R" ||
		fail "$(cut -c1-300 "$R")"
	grep -q ':9: its values take 1048580 octets' "$R" ||
		fail "$(cut -c1-300 "$R")"
	"$P/bin/vmta-check" spool
	equal 7 "$("$P/bin/vmta-queue" count --all)"
}

@test "a list: totals, one id, one template, a line of values each" {
	printf 'email,first\na@x.example,Ann\nb@x.example,Bob\nc@z.example,\n' \
		>"$L"
	merge -v
	equal 0 "$status" "$stderr"
	[[ ${lines[0]} =~ ^[0-9a-v]{21}\ 3$ ]] || fail "${lines[0]}"
	equal 'accepted 3 rejected 0 suppressed 0' "${lines[1]}"
	equal '' "$stderr"
	equal 2 "$(batches | wc -l)"
	equal 2 "$(find "$P/spool/content" -type f | wc -l)"
	equal 1 "$(find "$P/spool/content" -type f -printf '%i\n' | sort -u |
		wc -l)" 'files of content'
	equal "$(printf 'V \nV Ann\nV Bob')" "$(mail | grep -a '^V' | sort)"
	equal "$(printf '0 a@x.example\n1 b@x.example\n2 c@z.example')" \
		"$(rcpts)"
	equal 2 "$(mail | grep -ac '^vmta-batch 2 ')"
	run "$P/bin/vmta-check" spool
	equal 0 "$status" "$output"
	equal 3 "$(vqueue list --all --format csv | csv rcpt | wc -l)"
	run vqueue show --rcpt b@x.example
	[[ $output == *'first'*'Bob'* ]] || fail "$output"
}

@test "header cells: BOM, case, blanks, punctuation; short and long rows" {
	printf '\xef\xbb\xbf"E-Mail", First Name,2nd\xc3\xa9 (x),,EMAIL\n' >"$L"
	printf 'x,Ann,two,ignored,a@x.example\nx,Ann,two\nx,a,b,c,d,e\n' >>"$L"
	printf '[e_mail] [FIRST_name] [v_2nd___x_] [Email]\n' >"$T"
	equal 'x Ann two a@x.example' "$(preview 1 | tail -n 1)"
	merge --rejects "$R"
	equal 1 "$status"
	equal 'accepted 1 rejected 2 suppressed 0' "$output"
	equal "$L:3: 3 fields, the header has 5" "$(sed -n 1p "$R")"
	equal "$L:4: 6 fields, the header has 5" "$(sed -n 2p "$R")"
	equal 'x Ann two e@x.example' "$(
		printf 'mail;First Name;2nd\xc3\xa9 (x);e-mail\n' >"$L"
		printf 'e@x.example;Ann;"two";x\n' >>"$L"
		sed -i 's/Email/mail/' "$T"
		preview 1 --delimiter ';' --email-column MAIL | tail -n 1)"
}

@test "lists that cannot be: nothing of them is taken" {
	printf 'email,first name,First_Name\n' >"$L"
	merge_refused 65 "columns 'first name' and 'First_Name'"
	printf 'mail,first\nx,y\n' >"$L"
	merge_refused 65 "no column 'email'"
	printf 'email,first,*to\n' >"$L"
	merge_refused 65 'no column can be named *to'
	printf 'email,first,*nothing\n' >"$L"
	merge_refused 65 'no column can be named *nothing'
	: >"$L"
	merge_refused 65 'no header row'
	printf '\xff\xfee\0m\0' >"$L"
	merge_refused 65 'UTF-16'
	# A quote that is never closed may have swallowed anything.
	printf 'email,first\na@x.example,Ann\nb@x.example,"Bob\nc@x.example,C\n' \
		>"$L"
	merge_refused 65 'line 3: a quote is not closed'
	rm "$L"
	merge_refused 74 "$L"
	merge_refused 64 'do not go with --merge' a@x.example
	merge_refused 64 'keep or empty' --undefined no
	refused 64 'need --merge' --dedupe a@x.example <"$T"
}

@test "rows that cannot be: positions and reasons; 1, 65, all or nothing" {
	printf 'email,first\n\nbad,Ann\na@x.example,"A\nnn"\nb@x.example,\xff\n' \
		>"$L"
	printf 'c@x.example,"C"x\nd@x.example,D\0\n' >>"$L"
	merge --rejects "$R"
	equal 65 "$status"
	equal 'accepted 0 rejected 5 suppressed 0' "$output"
	equal '' "$(batches)"
	grep -q ":3: recipient 'bad': " "$R"
	grep -q ':4: line end in the value of \[first\]' "$R"
	grep -q ':6: the value of \[first\] is not UTF-8' "$R"
	grep -q ':7: text after a closing quote' "$R"
	grep -q ':8: NUL in the value of \[first\]' "$R"
	printf 'good@x.example,G\n' >>"$L"
	merge --all-or-nothing
	equal 65 "$status"
	equal 'accepted 0 rejected 5 suppressed 0' "$output"
	equal '' "$(batches)"
	merge
	equal 1 "$status"
	equal 'accepted 1 rejected 5 suppressed 0' "$output"
	equal '5 good@x.example' "$(rcpts)"
}

@test "undefined variables: all are listed; keep, empty" {
	printf 'email,first\na@x.example,Ann\n' >"$L"
	printf 'Subject: [Gone]\n\n[first] [gone] [and this] [Two_2] [[x]\n' >"$T"
	merge_refused 65 'undefined variables: [gone], [two_2]'
	equal "$(printf 'Ann [gone] [and this] [Two_2] [x]')" \
		"$(preview 1 --undefined keep | tail -n 1)"
	equal "$(printf 'Ann  [and this]  [x]')" \
		"$(preview 1 --undefined empty | tail -n 1)"
	sink_conf
	inject -f s@y.example --merge "$L" --undefined keep <"$T" >/dev/null
	runq
	grep -q '^Ann \[gone\] \[and this\] \[Two_2\] \[x\]' "$SINK_DIR"/store/00000001.eml
	inject -f s@y.example --merge "$L" --undefined empty <"$T" >/dev/null
	runq
	grep -q '^Ann  \[and this\]  \[x\]' "$SINK_DIR"/store/00000002.eml
}

@test "duplicates are counted; --dedupe keeps the first" {
	printf 'email,first\na@x.example,1\nb@x.example,2\nA@X.example,3\n' >"$L"
	printf 'a@x.example,4\na@y.example,5\n' >>"$L"
	merge
	equal 0 "$status"
	equal 'accepted 5 rejected 0 suppressed 0' "$output"
	[[ $stderr == *'2 duplicates, submitted all the same' ]]
	rm -rf "$P/spool/queue"
	merge --dedupe
	equal 0 "$status"
	equal 'accepted 3 rejected 0 suppressed 0' "$output"
	[[ $stderr == *'2 duplicates, left out' ]]
	equal "$(printf '0 a@x.example\n1 b@x.example\n4 a@y.example')" \
		"$(rcpts)"
}

@test "reserved columns: each row its own" {
	printf 'email,*vmta,*jobid,*envid,*from,*priority,*schedule\n' >"$L"
	printf 'a@x.example,,,,,,\n' >>"$L"
	printf 'b@x.example,b,job b,env b,b@from.example,90,\n' >>"$L"
	printf 'c@x.example,c,,,,,2090-01-02T03:04:05Z\n' >>"$L"
	printf 'To: [*to]\n\n[*vmta] [*jobid] [*envid] [*from] [*priority]\n' >"$T"
	equal 'b job b env b b@from.example 90' "$(preview 2 | tail -n 1)"
	merge --job all
	equal 0 "$status" "$stderr"
	equal 3 "$(batches | wc -l)"
	[ -n "$(batches | grep ^a/)" ]
	equal 'b@x.example	b@from.example	job b	90' "$(vqueue list --vmta b \
		--format csv | csv rcpt orig jobId priority)"
	equal 'c@x.example	s@y.example	all	2090-01-02 03:04:05+0000' \
		"$(vqueue list --vmta c --format csv |
			csv rcpt orig jobId nextTry)"
	printf 'email,*vmta,*priority,*from,*schedule\n' >"$L"
	printf 'a@x.example,zzz,,,\nb@x.example,,101,,\nc@x.example,,,bad,\n' >>"$L"
	printf 'd@x.example,,,,soon\ne@x.example,,,,\n' >>"$L"
	merge --rejects "$R"
	equal 'accepted 1 rejected 4 suppressed 0' "$output"
	grep -q ":2: unknown VirtualMTA 'zzz'" "$R"
	grep -q ':3: \*priority: not 0 to 100' "$R"
	grep -q ':4: \*from: ' "$R"
	grep -q ':5: \*schedule: not a time' "$R"
}

@test "what the source may not do" {
	printf 'email,*vmta\na@x.example,b\n' >"$L"
	printf '\nx\n' >"$T"
	iconf "source 'user:$(id -un)' { allow-mailmerge = no }"
	merge_refused 65 'may not merge'
	iconf "source 'user:$(id -un)' { allow-virtual-mta = 'a' }"
	merge
	equal 65 "$status"
	[[ $stderr == *"may not use VirtualMTA 'b'"* ]]
	iconf "source 'user:$(id -un)' { allow-sender = 'x@y.example' }"
	merge_refused 65 'may not use this sender'
}

@test "V02: envelopes from a list: what cannot be is refused, all of it" {
	local long
	long=$(printf 'x%.0s' {1..250})
	printf 'To: [email]\n\n[*envid]\n' >"$T"
	{
		printf 'email,*from,*envid,*jobid,*vmta\n'
		printf '"a\r\nRCPT TO:<b@x.example>",,,,\n"a@x.exa\nmple",,,,\n'
		printf '<a@x.example> x,,,,\na@x.example>,,,,\n'
		printf '%s@x.example,,,,\na\0@x.example,,,,\n' "$long"
		printf 'a@x.example,"s@y.example\n",,,\n'
		printf 'a@x.example,s@y.example> SIZE=1,,,\n'
		printf 'a@x.example,,"e\rv",,\na@x.example,,%s,,\n' "$long"
		printf 'a@x.example,,e\xc3\xa4,,\n'
		printf 'a@x.example,,,"j\nb",\na@x.example,,,%s%s,\n' \
			"$long" "$long"
		printf 'a@x.example,,,,"../x"\na@x.example,,,,zzz\n'
	} >"$L"
	merge --rejects "$R"
	equal 65 "$status" "$stderr"
	equal 'accepted 0 rejected 15 suppressed 0' "$output"
	equal 15 "$(wc -l <"$R")"
	equal '' "$(batches)"
}

@test "V08, V09: addresses of a list are data, and no paths" {
	sink_conf
	{
		printf 'email,first\n'
		printf '%s,x\n' '-oQ/tmp@x.example' '$(id)@x.example' \
			'`id`@x.example' '${run{id}}@x.example' '%s@x.example' \
			'a@../x' 'a@..' 'a@x..y' 'a@x/../y.example' 'a@' 'a@CON' \
			'"""a/../b""@x.example"'
	} >"$L"
	merge --rejects "$R"
	equal 1 "$status"
	equal 'accepted 6 rejected 6 suppressed 0' "$output"
	# by the first who reads it
	equal 6 "$(grep -c ": recipient '" "$R")" "$(cat "$R")"
	runq
	equal 5 "$(sink_log msg | field rcpt | grep -c '@x.example>')"
	equal 1 "$(sink_log msg | field rcpt |
		grep -cF '<-oQ/tmp@x.example>')"
	equal 1 "$(sink_log msg | field rcpt | grep -cF '<`id`@x.example>')"
	equal 1 "$(sink_log msg | field rcpt |
		grep -cF '<${run{id}}@x.example>')"
	sink_strict
}

@test "V24: octets that are no UTF-8, NUL, and bidirectional controls" {
	printf 'To: [*to]\n\n[first]\n' >"$T"
	{
		printf 'email,first\na@x.example,\xff\n\xff@x.example,x\n'
		printf 'b@x.example,\xed\xa0\x80\nc@x.example,x\0y\n'
		printf 'd@x.example,\xe2\x80\xaeevil\n'
	} >"$L"
	merge --rejects "$R"
	equal 'accepted 1 rejected 4 suppressed 0' "$output"
	grep -aq ':2: the value of \[first\] is not UTF-8' "$R"
	grep -aq ':5: NUL in the value' "$R"
	equal 0 "$(LC_ALL=C grep -c "$(printf '\xff')" "$R")"
	# The spool and the lists show it escaped.
	equal 'V \xe2\x80\xaeevil' "$(mail | grep -a '^V')"
	vqueue show --all >"$R"
	equal 0 "$(LC_ALL=C grep -c "$(printf '\xe2\x80\xae')" "$R")"
	grep -q 'first = \\xe2\\x80\\xaeevil' "$R"
}

@test "V03: what values may not do: headers, brackets, dots, boundaries" {
	sink_conf
	cat >"$T" <<-'END'
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
		printf 'a@x.example,Ann,"\r\n.\r\n",t1\n'
		printf 'b@x.example,[text],[name] [[ [*to] ],t2\n'
		printf 'c@x.example,"C <evil@z.example>, D",".\n..\n.",t3\n'
		printf 'd@x.example,"D ""q"" \\ x","\n--bbb\nContent-Type: text/x'
		printf '\n\nevil\n--bbb--\n",t4\n'
		printf 'e@x.example,Z\xc3\xab \xe2\x80\xae,--bbb--,t5\n'
		printf 'f@x.example,=?utf-8?Q?=0D=0AX:_y?=,=?utf-8?q?x?=,t6\n'
		printf 'g@x.example,"G\r\nBcc: e@x",x,t7\n'
		printf 'h@x.example,"H\rX: y",x,t8\n'
	} >"$L"
	run --separate-stderr inject -f s@y.example --merge "$L" \
		--rejects "$R" <"$T"
	equal 'accepted 6 rejected 2 suppressed 0' "$output"
	runq
	equal 6 "$(sink_count messages)"
	sink_strict
	equal 6 "$(render check "$T" "$L" "$SINK_DIR/store")"
}

@test "Message-ID and Date: from the ids, the same at every attempt" {
	start_sink -s --sync-log --reply 'dot first=2 451 later' \
		--reply 'rcpt first=1 450 later'
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'}" \
		"retry-recipients-after = 1s max-smtp-out = 1 }"
	printf 'email,first\na@x.example,Ann\nb@x.example,Bob\n' >"$L"
	merge -v
	id=${lines[0]% *}
	runq
	sed -i 's/^host-name = .*/host-name = other.example/' "$P/etc/vmta.conf"
	runq --now
	runq --now
	[ "$(find "$SINK_DIR/store" -name '*.eml' | wc -l)" -ge 3 ]
	for i in 0 1; do
		equal 1 "$(grep -ah "^Message-ID: <$id.$i@mta.example.com>" \
			"$SINK_DIR"/store/*.eml | sort -u | wc -l)" "id $i"
	done
	equal 1 "$(grep -ah '^Date: ' "$SINK_DIR"/store/*.eml | sort -u | wc -l)"
	equal 2 "$(grep -ah '^Message-ID: ' "$SINK_DIR"/store/*.eml | sort -u |
		wc -l)"
	equal 0 "$(vqueue count)"
}

@test "a newsletter in the manner of MJML: as another renderer makes it" {
	sink_conf
	render list 120 7 11 >"$L"
	to_sink "$FIX/mjml.eml"
	equal 'accepted 120 rejected 0 suppressed 0' \
		"$(cat "$BATS_TEST_TMPDIR/out")"
	equal 120 "$(sink_count messages)"
	sink_strict
	equal 120 "$(render check "$FIX/mjml.eml" "$L" "$SINK_DIR/store")"
	equal 0 "$(find "$P/spool/content" "$P/spool/queue" -type f | wc -l)"
}

@test "a newsletter in the manner of Mailchimp; peers without 8BITMIME" {
	sink_conf
	{
		printf 'email,FNAME,City,joined,points,long text,u,preview,'
		printf 'subject line,token\n'
		printf 'a@x.example,Ann,Bonn,2020-01-01,1,short,u1,pre,Sub,t1\n'
		printf 'b@x.example,\xc3\x85sa,Lule\xc3\xa5,2021,2,%s,u2,\xe2\x98\x95,' \
			"$(printf 'w\xc3\xb6rd%.0s ' {1..400})"
		printf 'Ein sehr langer Betreff mit \xc3\x9cml\xc3\xa4uten und '
		printf 'vielen Worten darin: %s,t2\n' "$(printf 'x%.0s' {1..300})"
		printf 'c@x.example,%s,C,D,3,%s,u3,,S,t3\n' \
			"$(printf 'n%.0s' {1..90})" "$(printf 'y%.0s' {1..2000})"
	} >"$L"
	to_sink "$FIX/mailchimp.eml"
	sink_strict
	equal 3 "$(render check "$FIX/mailchimp.eml" "$L" "$SINK_DIR/store")"
	# The same to a peer that takes 7 bits.
	stop_sink
	start_sink -n seven -s --no 8BITMIME
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'} }"
	to_sink "$FIX/mailchimp.eml"
	sink_strict seven
	equal 3 "$(render check "$FIX/mailchimp.eml" "$L" "$SINK_DIR/store")"
}

# bats test_tags=slow
@test "a template as it is, octet by octet: 2,000 of 20,000 rows" {
	sink_conf
	{
		printf 'From: <n@y.example>\nTo: <[email]>\nSubject: for you\n'
		printf 'X-Row: [token]\nMIME-Version: 1.0\n'
		printf 'Content-Type: text/plain; charset=utf-8\n'
		printf 'Content-Transfer-Encoding: 8bit\n\n\n'
		printf 'Dear [first_name] of [city]: [token] [email]\n'
	} >"$T"
	render list 20000 200 5 | sed 's/\[first_name\]/brackets/' >"$L"
	inject -f s@y.example --vmta even --merge "$L" <"$T" >/dev/null
	# at most one file a queue
	equal "$(batches | cut -d/ -f1-3 | sort -u | wc -l)" \
		"$(batches | wc -l)" files
	equal 20000 "$(rcpts | cut -d' ' -f1 | sort -un | wc -l)"
	runq
	equal 20000 "$(sink_count messages)"
	equal 2000 "$(render bytes "$T" "$L" "$SINK_DIR/store" 2000)"
}

@test "kill -9 at any moment of --submit-id, repeated: each once" {
	render list 3000 50 3 >"$L"
	printf 'To: [email]\n\n[first_name] [city] [note]\n' >"$T"
	for i in {1..12}; do
		inject -f s@y.example --vmta even --merge "$L" --submit-id k \
			<"$T" >/dev/null 2>&1 &
		own $!
		# the later, the further it comes
		for ((k = 0; k < i * 40; k++)); do :; done
		[ $((i % 3)) != 0 ] || sleep "0.0$i"
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
	done
	merge --vmta even --submit-id k
	equal 0 "$status" "$stderr"
	equal 'accepted 3000 rejected 0 suppressed 0' "$output"
	merge --vmta even --submit-id k
	equal 'accepted 3000 rejected 0 suppressed 0' "$output"
	equal 3000 "$(rcpts | wc -l)"
	equal 3000 "$(rcpts | cut -d' ' -f1 | sort -un | wc -l)"
	start_sink
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'} }"
	runq
	equal 3000 "$(sink_count recipients)"
	run "$P/bin/vmta-check" spool
	equal 0 "$status" "$output"
}

@test "a full disk: 75, and nothing of it" {
	need_root
	mount -t tmpfs -o size=3m,nr_inodes=4000,mode=700 tmpfs "$P/spool" 2>/dev/null ||
		skip 'needs to mount'
	printf '%s\n' 'min-free-space = 0' 'min-free-inodes = 0' \
		>>"$P/etc/vmta.conf"
	render list 30000 300 3 >"$L"
	printf 'To: [email]\n\n[first_name] [note]\n' >"$T"
	merge
	local rc=$status out=$stderr left
	left=$(find "$P/spool/queue" "$P/spool/content" "$P/spool/commit" \
		-type f | wc -l)
	umount "$P/spool"
	equal 75 "$rc" "$out"
	equal 0 "$left" files
	[[ $output == *'accepted 0 '* ]] || fail "$output"
}

@test "a damaged template is set aside, and nothing is half sent" {
	sink_conf
	printf 'email,first\na@x.example,Ann\nb@x.example,Bob\n' >"$L"
	merge
	chmod 600 "$P"/spool/content/*
	printf 'X' | dd of="$(echo "$P"/spool/content/*)" bs=1 seek=30 \
		conv=notrunc 2>/dev/null
	runq
	equal 0 "$(sink_count messages)"
	equal 2 "$(find "$P/spool/bad" -type f | wc -l)"
}

@test "a signal while the list is read: 75, nothing is accepted" {
	mkfifo "$L"
	start reading "$P/bin/vmta-inject" --merge "$L" -f s@y.example
	pid=$STARTED
	exec 5>"$L"
	printf 'email,first\na@x.example,Ann\n' >&5
	wait_until takes_signals "$pid"
	kill "$pid"
	wait_until gone "$pid"
	exec 5>&-
	local rc=0
	wait "$pid" || rc=$?
	equal 75 "$rc"
	equal '' "$(batches)"
}

@test "MOVE: what waits of a merge is moved with its values" {
	start_sink -s --reply 'rcpt first=2 450 later'
	iconf "domain '*' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'}" \
		"retry-recipients-after = 5h max-smtp-out = 1 }"
	printf 'email,first\na@x.example,Ann\nb@x.example,B\\ob\nc@x.example,\n' \
		>"$L"
	merge --vmta a
	runq
	equal "2 of 2 recipients" "$(vqueue move --vmta a --to b)"
	vmta-check spool
	equal 'b b' "$(vqueue list --format csv --all | csv queue |
		sed 's/.*\///' | xargs)"
	vqueue retry-now --all
	runq
	equal 3 "$(sink_count messages)"
	sink_strict
	equal 'Hello .
Hello Ann.
Hello B\ob.' "$(cat "$SINK_DIR"/store/*.eml | tr -d '\r' | grep ^Hello | sort)"
}
