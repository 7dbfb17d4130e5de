# vmta-inject against hostile input: envelopes, headers, arguments, signals,
# sizes. What is refused says so in one line, and leaves the spool as it was.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	iconf
	inject a@x.example <<<'x: y' # the tree of the spool is there
	S=$BATS_TEST_TMPDIR/stream
	R=$BATS_TEST_TMPDIR/rejects
}

teardown() {
	end_test
}

# Local parts that no envelope may have. NUL cannot be in an argument.
bad_locals() {
	BAD=($'a\rb' $'a\nb' $'a\r\nb' $'a\r\nRCPT TO:<evil@x.example>\r\nb'
		$'a\tb' $'a\x01b' $'a\x7fb' $'a\x80b' $'a\xffb' $'a\xc3b'
		$'a\xc0\xafb' $'a\xed\xa0\x80b' $'a\xf4\x90\x80\x80b'
		$'a\xc2\x80b' $'a\xc2\x9bb' 'a>b' 'a<b' 'a> SIZE=1 <b' 'a b' ' a'
		'a ' 'a,b' 'a;b' 'a:b' 'a\b' 'a@b' 'a"b"' '"a"b' '"a' '"a\"'
		$'"a\rb"' $'"a\nb"' $'"a\\\rb"' $'"a\\\nb"' $'"a\xffb"'
		$'"a\x7fb"' "$(printf '%065d' 1)" "\"$(printf '%063d' 1)\"")
	# and what is legal, however odd
	GOOD=('"a b"' '"a>b"' '"a\"b"' '"a\\b"' '"<>"' '" "' "a'b" '{a}|b'
		"$(printf '%064d' 1)" $'\xc3\xbc' $'"\xc3\xbc \xe4\xbe\x8b"')
}

# refused_stream N [LINES]: N transactions of $S are refused, in so many (N)
# lines, and nothing is left of them.
refused_stream() {
	local before
	before=$(spool_files)
	run --separate-stderr inject --bsmtp --rejects "$R" "$S"
	equal 65 "$status" "exit code of $output, $stderr"
	equal "accepted 0 rejected $1 suppressed 0" "$output"
	equal "${2:-$1}" "$(wc -l <"$R")" 'lines of refusals'
	LC_ALL=C refute grep -aq $'[\x01-\x09\x0b-\x1f\x7f]' "$R"
	equal "$before" "$(spool_files)" 'the spool'
}

@test "V02: controls, 8-bit, brackets, blanks and length in recipients" {
	local bad
	bad_locals
	for bad in "${BAD[@]}"; do
		refused 65 "recipient '" -f s@y.example -- "$bad@x.example" \
			<<<'x: y'
	done
}

@test "V02: the same in senders" {
	local bad
	bad_locals
	for bad in "${BAD[@]}"; do
		refused 65 "sender '" -f "$bad@y.example" r@x.example <<<'x: y'
	done
}

@test "V02: the same in domains; odd quoted forms are kept as they are" {
	local bad good domain
	bad_locals
	domain=$(printf '%0200d' 1)
	for bad in $'x\r.example' $'x.example\r\nDATA' $'x.example\n' 'x.example>' \
		'x.example> SIZE=1' 'x .example' $'x\xff.example' \
		$'x\xc2\x9b.example' $'x\xe2\x80\xae.example' 'x"y".example' \
		"$domain.example" "$(printf 'a%.0s.' {1..126})example" \
		$'[127.0.0.1\r]' '[127.0.0.1]>'; do
		refused 65 "recipient '" "r@$bad" <<<'x: y'
		refused 65 "sender '" -f "s@$bad" r@x.example <<<'x: y'
	done
	for good in "${GOOD[@]}"; do
		rm -rf "$P/spool/queue"
		inject -f "$good@y.example" -- "$good@x.example" <<<'x: y'
		equal "0 $good@x.example" "$(rcpts)"
		mail | grep -aqF " $good@y.example" || fail "sender $good"
	done
}

@test "V02: the same in To, Cc and Bcc with -t" {
	local bad field
	bad_locals
	for bad in "${BAD[@]}"; do
		# there commas, semicolons, colons and comments have a meaning of
		# their own, line feeds end the field, blanks go
		case $bad in *[,\;:]* | *$'\n'* | ' a' | 'a ' | $'a\tb') continue ;; esac
		refused 65 '' -t < <(printf 'To: ok@x.example\nCc: %s\n\n' \
			"$bad@x.example")
	done
	for field in To Cc Bcc Resent-To; do
		refused 65 'NUL' -t < <(printf '%s: a\0b@x.example\n\n' "$field")
		refused 65 'CR' -t < <(printf '%s: a@x.example\rb\n\n' "$field")
		refused 65 "$field" -t < <(printf '%s: a@x.example> <b\n\n' \
			"$field")
	done
	# a fold in a quoted string is no line end of the address
	rm -rf "$P/spool/queue"
	printf 'To: "a\r\n b"@x.example\r\n\r\n' | inject -t
	equal '0 "a b"@x.example' "$(rcpts)"
}

@test "V02: the same in batch SMTP, and in its parameters" {
	local bad n=0
	bad_locals
	for bad in "${BAD[@]}"; do
		case $bad in *$'\n'*) continue ;; esac
		printf 'MAIL FROM:<s@y.example>\nRCPT TO:<%s@x.example>\n' "$bad"
		printf 'DATA\nx: y\n\n.\n'
		printf 'MAIL FROM:<%s@y.example>\nRCPT TO:<a@x.example>\n' "$bad"
		printf 'DATA\nx: y\n\n.\n'
		n=$((n + 1))
	done >"$S"
	printf 'MAIL FROM:<a\0@y.example>\nRCPT TO:<a@x.example>\n' >>"$S"
	printf 'DATA\nx: y\n\n.\n' >>"$S"
	# where the recipient is bad, there is none: that is a line more
	refused_stream $((2 * n + 1)) $((3 * n + 1))
}

@test "V02: ENVID, ORCPT, RET and NOTIFY of batch SMTP" {
	local p n=0
	{
		for p in ENVID= 'ENVID=a b' $'ENVID=a\rb' $'ENVID=a\xffb' \
			ENVID=a+0D+0Ab ENVID=a+00 ENVID=a+7F ENVID=a+zz ENVID=a+0d \
			ENVID=a=b "ENVID=$(printf '%0101d' 1)" 'ENVID=a ENVID=b' \
			$'RET=FULL\rx' RET=ALL BODY=BINARYMIME 'AUTH=' 'XFOO=1' \
			$'\x1b[2JFOO=1' $'\xc2\x9bFOO'; do
			printf 'MAIL FROM:<s@y.example> %s\nRCPT TO:<a@x.example>\n' "$p"
			printf 'DATA\nx: y\n\n.\n'
			n=$((n + 1))
		done
		printf 'MAIL FROM:<s@y.example> ENVID=a\0b\nRCPT TO:<a@x.example>\n'
		printf 'DATA\nx: y\n\n.\n'
		n=$((n + 1))
		printf '%d' $n >"$S.n"
	} >"$S"
	refused_stream "$(cat "$S.n")"
	n=0
	{
		for p in ORCPT= ORCPT=rfc822 'ORCPT=;a' $'ORCPT=rfc822;a\rb' \
			'ORCPT=rfc822;a+0Ab' 'ORCPT=rfc822;a+zz' 'ORCPT=rf c;a' \
			$'ORCPT=rfc822;\xff' $'ORCPT=utf-8;a\xc2\x85b' \
			$'ORCPT=utf-8;\xffb' "ORCPT=rfc822;$(printf '%0500d' 1)" \
			NOTIFY= NOTIFY=NEVER,SUCCESS $'NOTIFY=SUCCESS\x01' \
			'NOTIFY=SUCCESS,,DELAY' 'NOTIFY=DELAY NOTIFY=DELAY' 'SIZE=1'; do
			printf 'MAIL FROM:<s@y.example>\nRCPT TO:<a@x.example> %s\n' "$p"
			n=$((n + 1))
		done
		printf 'RCPT TO:<b@x.example> ORCPT=rfc822;a\0b\n'
		printf '%d' $((n + 1)) >"$S.n"
	} >"$S"
	run inject --bsmtp --rejects "$R" "$S"
	equal 65 "$status" "$output"
	equal '' "$(rcpts | grep -v ' a@x.example$')"
	LC_ALL=C refute grep -aq $'[\x01-\x09\x0b-\x1f\x7f]' "$R"
	for p in $(seq 2 2 34); do
		grep -q "^$S:$p: " "$R" || fail "line $p was not refused: $(cat "$R")"
	done
	equal 1 "$(batches | wc -l)"
}

@test "V02: --envid, --job, --vmta and --submit-id" {
	local bad
	for bad in $'a\rb' $'a\nb' $'a\r\nX-Evil: 1' $'a\x7fb'; do
		refused 65 'envelope id' --envid "$bad" r@x.example <<<'x: y'
		refused 65 'job' --job "$bad" r@x.example <<<'x: y'
		refused 65 'VirtualMTA' --vmta "$bad" r@x.example <<<'x: y'
	done
	for bad in $'\x80' $'\xff' $'\xc3\xbc' "$(printf '%0101d' 1)"; do
		refused 65 'envelope id' --envid "$bad" r@x.example <<<'x: y'
	done
	refused 65 'job' --job "$(printf '%0256d' 1)" r@x.example <<<'x: y'
	refused 65 'submit id' --submit-id '' r@x.example <<<'x: y'
	refused 65 'submit id' --submit-id "$(printf '%01001d' 1)" r@x.example \
		<<<'x: y'
	# what has a meaning elsewhere is encoded
	rm -rf "$P/spool/queue"
	inject --envid 'a >+=b' --job 'a > b: "c"' --submit-id $'a\r\nb/../c' \
		r@x.example <<<'x: y'
	mail | grep -q '^M .* a+20>+2B+3Db '
	mail | grep -qx 'job: a > b: "c"'
	equal '' "$(find "$P/spool" -name '*..*' -o -name $'*\r*')"
}

@test "V02: host-name and the names of smtp-source-host in the configuration" {
	local bad n
	n=$(spool_files)
	for bad in 'mta\r\nMAIL' 'mta\nx' 'mta x' 'mta>x' 'mta<' 'mta\tx' \
		'[127.0.0.1]' '-x' 'x-' 'x..y' '.x' '..' '127.0.0.1' '$(id)' 'a/b' \
		'mta\\r' "$(printf '%064d' 1)" "$(printf 'a%.0s.' {1..127})b"; do
		conf <<<"host-name = \"$bad\""
		check_refuses "host-name"
		# an EHLO name may be a literal
		[ "$bad" != '[127.0.0.1]' ] || bad='[127.0.0.1\r]'
		conf <<<"virtual-mta a { smtp-source-host = \"127.0.0.1 $bad\" }"
		check_refuses "smtp-source-host"
	done
	for bad in $'m\xff' $'m\xc2\x80' $'m\rx'; do
		printf "host-name = '%s'\n" "$bad" | conf
		check_refuses "host-name"
		printf "virtual-mta a { smtp-source-host = '127.0.0.1 %s' }\n" \
			"$bad" | conf
		check_refuses "smtp-source-host"
	done
	equal "$n" "$(spool_files)"
}

# vmta-check config refuses it, with one line that names file and line.
check_refuses() {
	run --separate-stderr "$P/bin/vmta-check" config
	equal 78 "$status" "$(cat "$P/etc/vmta.conf")"
	equal 1 "${#stderr_lines[@]}" "lines of: $stderr"
	[[ $stderr == *vmta.conf:1:* && $stderr == *"$1"* ]] || fail "$stderr"
	LC_ALL=C refute grep -q $'[\x01-\x1f\x7f\x80-\xff]' <<<"$stderr"
}

@test "V03: no field comes from a job, an envelope id or a name" {
	local end
	for end in $'\r' $'\n' $'\r\n' $'\r\n '; do
		refused 65 'job' --job "j${end}X-Evil: 1" a@x.example <<<'x: y'
		refused 65 'envelope id' --envid "e${end}X-Evil: 1" a@x.example \
			<<<'x: y'
	done
	rm -rf "$P/spool/queue"
	inject --job 'j: X-Evil: 1' --envid 'X-Evil: 1' -f '"X-Evil: 1"@y.example' \
		'"X-Evil: 1"@x.example' <<<$'Subject: x\n\nhi'
	equal 0 "$(content | grep -ci '^x-evil')"
	equal "Subject,Message-ID,Date" "$(fields)"
}

# The content of the only message, line ends as they are stored.
content() {
	python3 - "$P/spool/queue"/*/new/*/* <<-'END'
		import sys
		d = open(sys.argv[1], "rb").read()
		i = int(d[13:23])
		sys.stdout.buffer.write(d[i:-21])
	END
}

# The names of its header fields as a mail program sees them.
fields() {
	content | python3 -c '
import email, email.policy, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(",".join(m.keys()))'
}

@test "V03: a name that is not ftext begins the body, after an empty line" {
	local bad
	for bad in 'Bad Name: v' $'B\x01d: v' $'B\x7fd: v' ': v' $'\xc3\xbcx: v' \
		'no colon' $'\x0bX: folded by no blank' $'\x0cX: v' '"q" : v' \
		$'\xc2\xa0nbsp: v'; do
		rm -rf "$P/spool/queue"
		printf 'Subject: x\n%s\nBcc: gone@x.example\nX-Last: z\n\nbody\n' \
			"$bad" | inject r@x.example
		[ "$bad" = '"q" : v' ] || # ftext, and a blank before the colon
			equal "Subject,Message-ID,Date" "$(fields)" "$bad"
		[ "$bad" = '"q" : v' ] || content | tr -d '\r' |
			grep -aqxF -- "$bad" || fail "lost: $bad"
		# every line ends in CRLF, whatever it was
		equal '' "$(content | LC_ALL=C grep -av $'\r$' || true)"
	done
}

@test "V03: folding is done at blanks only, and begins a line with one" {
	local long
	long=$(printf 'word%.0s ' {1..150})
	rm -rf "$P/spool/queue"
	printf 'Subject: %sBcc: evil@x.example %s\nX-B: %s\tX-Evil: 1\n\nbody\n' \
		"$long" "$long" "$long$long" | inject r@x.example
	equal "Subject,X-B,Message-ID,Date" "$(fields)"
	content | awk 'BEGIN { RS = "\r\n" } length($0) > 998 { exit 1 }
		$0 == "" { exit 0 }'
	equal '' "$(content | tr -d '\r' | sed '/^$/q' |
		grep -i '^\(bcc\|x-evil\)' || true)"
	equal "$long"'Bcc: evil@x.example '"${long% }" "$(content | tr -d '\r' |
		sed -n '/^Subject: /,/^X-B/p' | sed '$d' | tr -d '\n' |
		sed 's/^Subject: //')"
	# without a blank there is no way to send it
	refused 65 'over 998' r@x.example < <(
		printf 'X: %s\n\n' "$(printf '%01000d' 1)"
	)
}

@test "V08: what a shell, a printf or getopt would take is data" {
	local odd
	for odd in '-oQ/tmp' '--vmta=b' '-C/etc/passwd' "\$(touch$BATS_TEST_NUMBER)" \
		'`id`' '${run{id}}' '%n%n%n%s' '%d' '|id' ';id' '&id' '!id' \
		'${IFS}' '*' '?' '~root' '#x' "a'b" '-'; do
		case $odd in *[\;\(\)]*) odd="\"$odd\"" ;; esac
		rm -rf "$P/spool/queue"
		inject -f "$odd@y.example" -- "$odd@x.example" <<<'x: y'
		equal "0 $odd@x.example" "$(rcpts)"
		mail | grep -qF " $odd@y.example" || fail "sender $odd"
	done
	# a value of -f may begin with a dash, an operand needs --
	rm -rf "$P/spool/queue"
	inject -f -t@y.example -- -t@x.example <<<'To: evil@z.example'
	equal '0 -t@x.example' "$(rcpts)"
	refused 64 'unknown option' -oQ/tmp@x.example <<<'x: y'
	printf 'To: -f@x.example, --bsmtp@x.example\n\n' | inject -t
	equal 3 "$(rcpts | wc -l)"
}

@test "V08: vmta-inject executes nothing" {
	need_strace
	local how
	bsmtp 3 >"$S"
	for how in "-t -f \$(id)@y.example" "--bsmtp $S" "--job \`id\` a@x.example" \
		'bad'; do
		# shellcheck disable=SC2086
		strace -f -qq -e trace=execve,execveat,fork,vfork -o "$R" \
			"$P/bin/vmta-inject" $how <<<'To: |id@x.example' || true
		equal 1 "$(grep -c 'execve' "$R")" "$(cat "$R")"
		equal 0 "$(grep -c 'fork' "$R")"
	done
}

# strace, and the right to use it.
@test "V09: names of domains and VirtualMTAs that are paths" {
	local bad
	for bad in . .. ../x a/b /etc a//b ./x x/. '' $'x\x01' "$(printf '%0255d' 1)" \
		'x.' '.x' x..y '%2e%2e' '..%2f..' $'\xe2\x80\xa5' \
		$'\xef\xbc\x8e\xef\xbc\x8e' $'\xe2\x88\x95' $'x\xef\xbc\x8fy' '*' '-x'; do
		refused 65 "recipient '" -- "a@$bad" <<<'x: y'
	done
	for bad in . .. ../a a/b /etc '' ' a' "$(printf '%065d' 1)" -a _a .a 'a ' \
		$'a\n' $'\xc3\xa4' '*'; do
		[ -n "$bad" ] || continue
		refused 65 VirtualMTA "--vmta=$bad" a@x.example <<<'x: y'
	done
	# upper case, and both spellings and normal forms, are one queue
	rm -rf "$P/spool/queue"
	inject a@x.EXAMPLE a@X.example $'a@b\xc3\xbccher.example' \
		$'a@bu\xcc\x88cher.example' $'a@B\xc3\x9cCHER.example' \
		'a@xn--bcher-kva.example' <<<'x: y'
	equal $'x.example\nxn--bcher-kva.example' \
		"$(batches | cut -d / -f 3 | sort -u)"
	# look-alikes are others: Cyrillic a, dotless i
	inject $'a@p\xd0\xb0ypal.example' 'a@paypal.example' \
		$'a@wik\xc4\xb1.example' a@wiki.example <<<'x: y'
	equal 6 "$(batches | cut -d / -f 3 | sort -u | wc -l)"
	refute grep -q '[^a-z0-9.-]' <(batches | cut -d / -f 3)
}

@test "V18: a spool that others can write in, or of somebody else, is refused" {
	local dir
	for dir in . queue commit content state acct control bad; do
		for mode in 0770 0707 0777 1777; do
			chmod $mode "$P/spool/$dir"
			refused 78 'writable by group or others' a@x.example <<<'x: y'
			chmod 0700 "$P/spool/$dir"
		done
	done
	need_root
	need_user nobody
	for dir in queue commit content state acct control bad; do
		chown nobody "$P/spool/$dir"
		refused 78 'belongs to uid' a@x.example <<<'x: y'
		chown root "$P/spool/$dir"
	done
	inject a@x.example <<<'x: y'
}

@test "V18: whatever the umask, nobody else can read what is made" {
	rm -rf "$P/spool"
	(umask 0 && inject --submit-id k --vmta p a@x.example b@z.example <<<'x: y')
	equal '' "$(find "$P/spool" -perm /077)"
	(umask 0777 && inject a@w.example <<<'x: y')
	equal '' "$(find "$P/spool" -perm /077 -o -type d ! -perm 0700 -o \
		-type f ! -perm 0600)"
}

# takes RCPT...: how many milliseconds a message takes, here and now.
takes() {
	local began=${EPOCHREALTIME/./} i
	for i in 1 2 3 4 5; do
		inject "$@" <<<"Subject: $i" >/dev/null || return 1
	done
	echo $(((${EPOCHREALTIME/./} - began) / 5000))
}

# bats test_tags=slow
@test "V19: a storm of signals: accepted, or not and repeatable, never half" {
	local seed n=300 f within
	seed=${VMTA_SEED:-$((RANDOM * 32768 + RANDOM))}
	within=$(takes a@x.example b@z.example)
	echo "VMTA_SEED=$seed, within $within ms"
	rm -rf "$P/spool/queue"
	for f in $(seq $n); do
		printf 'Subject: number %d\n\nbody\n' "$f" >"$S.$f"
	done
	python3 "$HELPER/storm.py" --runs $n --seed "$seed" \
		--within $((within + within / 2 + 1)) \
		--signals TERM,HUP,CHLD,ALRM,PIPE,USR1,WINCH,INT --stdin "$S.{}" \
		-- "$P/bin/vmta-inject" --submit-id 'k{}' a@x.example b@z.example \
		>"$R" 2>"$R.err"
	# 0, 75, or killed by a signal that kills (PIPE: before main)
	refute grep -vE '^[0-9]+ (0|75|-1|-2|-10|-13|-14|-15)$' "$R"
	numbers | uniq -c | awk '$1 == 2 { print $2 }' >"$R.there"
	for f in $(sed -n 's/ 0$//p' "$R"); do
		grep -qx "$f" "$R.there" || fail "$f was accepted, and is lost"
	done
	for f in $(sed '/ 0$/d; s/ .*//' "$R"); do
		inject --submit-id "k$f" a@x.example b@z.example <"$S.$f"
	done
	# each once for each of its two queues
	equal "$(seq $n | sed p | md5sum)" "$(numbers | md5sum)"
	"$P/bin/vmta-check" spool --repair >/dev/null || true
	"$P/bin/vmta-check" spool >"$S" || fail "$(cat "$S")"
	# a share of each kind of end, or the storm was none
	[ "$(grep -c ' 0$' "$R")" -gt 20 ] && [ "$(grep -vc ' 0$' "$R")" -gt 20 ] ||
		fail "ends: $(sed 's/.* //' "$R" | sort | uniq -c | xargs)"
}

@test "V19: only libraries' handlers are in the programs" {
	# handlers that do more than to set a flag cannot be ours: there are none
	refute grep -nE 'sa_handler = [a-z]|sa_sigaction|signal\(SIG[A-Z0-9]+, [a-z]' \
		"$ROOT"/bin/*.c "$ROOT"/lib/*/*.c
}

@test "V20: no randomness: 75, and nothing is written" {
	need_strace
	local before err
	bsmtp 3 >"$S"
	before=$(spool_files)
	for err in EIO ENOSYS EAGAIN; do
		for how in 'a@x.example' '--submit-id k a@x.example' "--bsmtp $S"; do
			# shellcheck disable=SC2086
			run --separate-stderr strace -f -o /dev/null -e trace=getrandom \
				-e inject=getrandom:error=$err "$P/bin/vmta-inject" $how \
				<<<'x: y'
			equal 75 "$status" "$how: $stderr"
			[[ $stderr == *'no random numbers'* ]] || fail "$stderr"
			equal "$before" "$(spool_files | grep -v submit/.lock)"
		done
	done
}

@test "V22: a header line, a header and a body without end" {
	local before
	iconf 'max-message-size = 8M'
	before=$(spool_files)
	refused 65 'over' a@x.example < <(
		printf 'X: '
		head -c 9000000 /dev/zero | tr '\0' a
	)
	refused 65 'over 998' a@x.example < <(
		printf 'X: '
		head -c 8000000 /dev/zero | tr '\0' a
	)
	refused 65 'over' a@x.example < <(yes 'X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzz')
	refused 65 'over' a@x.example < <(printf 'x: y\n\n' && yes)
	refused 65 'over' a@x.example < <(printf 'X:' && yes '')
	{
		printf 'MAIL FROM:<>\nRCPT TO:<a@x.example>\nDATA\nx: y\n\n'
		yes | head -c 9000000
		printf '.\n'
	} >"$S"
	run inject --bsmtp --rejects "$R" "$S"
	equal 65 "$status"
	equal 1 "$(wc -l <"$R")"
	yes | head -c 300000 | tr -d '\n' >"$S" # a command line without end
	run inject --bsmtp --rejects "$R" "$S"
	equal 65 "$status"
	equal "$before" "$(spool_files)"
}

@test "V22: max-rcpt-per-message, from all three kinds of input" {
	iconf 'max-rcpt-per-message = 100'
	# shellcheck disable=SC2046
	refused 65 'recipients' $(seq -f 'u%g@x.example' 101) <<<'x: y'
	refused 65 'recipients' -t < <(
		printf 'To: a@x.example'
		seq -f ', u%g@x.example' 100 | tr -d '\n'
		printf '\n\n'
	)
	{
		echo 'MAIL FROM:<>'
		seq -f 'RCPT TO:<u%g@x.example>' 101
		printf 'DATA\nx: y\n\n.\n'
	} >"$S"
	refused_stream 1
	# shellcheck disable=SC2046
	inject $(seq -f 'u%g@z.example' 100) <<<'x: y'
}

# bats test_tags=slow
@test "V22: a million recipients in one transaction" {
	need_plain 'memory is limited'
	{
		echo 'MAIL FROM:<s@y.example>'
		seq -f 'RCPT TO:<u%.0f@x.example>' 1000000
		printf 'DATA\nx: y\n\nhi\n.\n'
	} >"$S"
	rm -rf "$P/spool/queue"
	run prlimit --as=134217728 "$P/bin/vmta-inject" --bsmtp "$S"
	equal 75 "$status" "$output"
	[[ $output == *'out of memory'* ]]
	"$P/bin/vmta-check" spool --repair >/dev/null
	equal '' "$(batches)"
	run inject --bsmtp "$S"
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	equal 1000000 "$(batches | awk -F - '{ n += $4 } END { print n }')"
	"$P/bin/vmta-check" spool
}

@test "V22: without memory or descriptors: 75, or all of it" {
	need_plain 'memory is limited'
	local n bytes code
	need_command prlimit
	printf 'x: y\n\n' >"$S"
	head -c 6000000 /dev/zero | tr '\0' '\n' >>"$S"
	for bytes in 10 12 16 20 24; do
		rm -rf "$P/spool/queue"
		code=0
		prlimit --as=$((bytes << 20)) "$P/bin/vmta-inject" a@x.example \
			b@z.example <"$S" 2>"$R" || code=$?
		all_or_75 $code 2 "$bytes MiB"
	done
	# 3 and 4 are bats's own; with fewer no program starts
	for n in $(seq 5 24); do
		rm -rf "$P/spool/queue"
		code=0
		prlimit --nofile="$n" "$P/bin/vmta-inject" a@x.example \
			b@z.example <<<'x: y' 2>"$R" 3>&- 4>&- || code=$?
		all_or_75 $code 2 "$n descriptors"
	done
	equal 0 "$code"
}

# all_or_75 CODE BATCHES WHAT: accepted and there, or 75, one line, and not.
all_or_75() {
	"$P/bin/vmta-check" spool --repair >/dev/null || fail "$3: spool"
	case $1 in
	0) equal "$2" "$(batches | wc -l)" "$3" ;;
	75)
		equal '' "$(batches)" "$3"
		equal 1 "$(wc -l <"$R")" "$3: $(cat "$R")"
		;;
	*) fail "$3: exit $1, $(cat "$R")" ;;
	esac
}

@test "V24: UTF-8 in addresses: valid or refused, and never changed" {
	local bad
	for bad in $'\xff' $'\x80' $'\xc3' $'\xc3\x28' $'\xc0\x80' $'\xe0\x80\x80' \
		$'\xed\xa0\x80' $'\xed\xbf\xbf' $'\xf0\x80\x80\x80' \
		$'\xf4\x90\x80\x80' $'\xf8\x88\x80\x80\x80' $'\xc2\x85'; do
		refused 65 "recipient '" "a${bad}b@x.example" <<<'x: y'
		refused 65 "recipient '" "a@x${bad}y.example" <<<'x: y'
		refused 65 "sender '" -f "\"a${bad}b\"@y.example" r@x.example <<<'x: y'
		printf 'MAIL FROM:<a%sb@y.example>\nRCPT TO:<a@x.example>\n%s' \
			"$bad" $'DATA\nx: y\n\n.\n' >"$S"
		refused_stream 1
	done
	# U+0000 raw and overlong
	refused 65 NUL -t < <(printf 'To: a\0@x.example\n\n')
	printf 'MAIL FROM:<a\0@y.example>\nRCPT TO:<a@x.example>\nDATA\n\n.\n' >"$S"
	refused_stream 1
	# NFC and NFD are two mailboxes of one domain, mixed scripts are legal
	rm -rf "$P/spool/queue"
	inject $'\xc3\xbc@b\xc3\xbccher.example' $'u\xcc\x88@bu\xcc\x88cher.example' \
		$'p\xd0\xb0y@x.example' $'a\xe2\x80\xaeb@x.example' <<<'x: y'
	equal 4 "$(rcpts | wc -l)"
	rcpts | grep -qx $'0 \xc3\xbc@xn--bcher-kva.example'
	rcpts | grep -qx $'1 u\xcc\x88@xn--bcher-kva.example'
	equal $'x.example\nxn--bcher-kva.example' "$(batches | cut -d / -f 3 | sort)"
	# bidirectional controls are no part of a domain
	for bad in $'\xe2\x80\xae' $'\xe2\x80\x8f' $'\xd8\x9c' $'\xe2\x81\xa6'; do
		refused 65 "recipient '" "a@x${bad}y.example" <<<'x: y'
	done
	# what UTS 46 leaves out does not make another queue
	inject $'a@x\xe2\x80\x8b.example' $'b@x\xef\xbb\xbf.example' <<<'x: y'
	equal $'x.example\nxn--bcher-kva.example' \
		"$(batches | cut -d / -f 3 | sort -u)"
}
