# vmta-runq: what the peer can and cannot, and peers that hang up.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

# eightbit: a message with an 8-bit body of text, UTF-8.
eightbit() {
	printf 'From: <s@sender.example>\nMIME-Version: 1.0\n'
	printf 'Content-Type: text/plain; charset=utf-8\n'
	printf 'Content-Transfer-Encoding: 8bit\n\nGr\303\274\303\237e\n.\nend\n'
}

# body_of FILE: the decoded text of a stored message.
body_of() {
	python3 -c '
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"),
    policy=email.policy.default)
sys.stdout.write(m.get_content().replace("\r\n", "\n"))' "$1"
}

methods() {
	sink_log msg | grep reply=2 | field method | sort | uniq -c | awk '{ print $2 "=" $1 }' |
		xargs
}

@test "CHUNKING and PIPELINING, on and off: the same messages arrive" {
	start_sink -n both -s
	start_sink -n nochunk -s --no CHUNKING
	start_sink -n nopipe -s --no PIPELINING
	start_sink -n none -s --no PIPELINING --no CHUNKING
	for name in both nochunk nopipe none; do
		dir=$BATS_TEST_TMPDIR/sink-$name
		SINK_PORT=$(sed 's/.*://' "$dir/ready")
		rconf1 'max-smtp-out = 1'
		eightbit | inject -f s@sender.example a@one.example b@one.example
		send_many 1 20 one.example
		deliver
		all_final $(((++runs) * 22))
		sink_strict $name
		equal 21 "$(sink_count messages $name)" $name
		method=BDAT
		case $name in nochunk | none) method=DATA ;; esac
		equal $method "$(sink_log msg $name | field method | sort -u)"
		cat "$dir"/store/*.eml | tr -d '\r' |
			sed '/^Message-I[dD]:/d; /^Date:/d; /^Received:/,/;/d' |
			sort >"$P/$name"
	done
	for name in nochunk nopipe none; do
		diff "$P/both" "$P/$name"
	done
}

@test "ignore-chunking and ignore-pipelining" {
	start_sink
	rconf1 'ignore-chunking = yes' 'ignore-pipelining = yes' \
		'log-commands = yes'
	send_many 1 5 one.example
	deliver
	equal DATA=5 "$(methods)"
	equal 0 "$(logged smtp BDAT | wc -l)"
	all_final 5
}

@test "a peer that knows HELO only" {
	start_sink --reply 'ehlo 502 5.5.1 What?' --no CHUNKING
	rconf1
	send_many 1 5 one.example
	deliver
	equal HELO "$(sink_log ehlo | field verb | tail -n 1)"
	equal DATA=5 "$(methods)"
	equal "" "$(journal dlvEsmtpAvailable type=d | sort -u)"
	all_final 5
	sink_strict
}

@test "BDAT refused: DATA, and for a day DATA at once" {
	start_sink --reply 'bdat 502 5.5.1 Never heard of it'
	rconf1 'max-smtp-out = 1' 'retry-after = 5h'
	send_many 1 5 one.example
	deliver
	deliver --now
	equal DATA=5 "$(methods)"
	all_final 5
	[ -n "$(find "$P/spool/state/nochunk" -type f)" ]
	n=$(sink_log refuse | grep -c stage=bdat)
	[ "$n" -le 2 ]
	send_many 6 8 one.example
	deliver
	equal DATA=8 "$(methods)"
	equal "$n" "$(sink_log refuse | grep -c stage=bdat)"
	all_final 8
}

@test "SIZE too small: 5.3.4, without trying" {
	start_sink --size 1000
	rconf1
	{
		message
		seq 1000
	} | inject -f s@sender.example big@one.example
	send small@one.example
	deliver
	equal small@one.example "$(journal rcpt type=d)"
	[[ $(journal rcpt dsnStatus type=b) == "big@one.example	5.3.4"* ]]
	equal 0 "$(sink_count refused)"
	all_final 2
}

@test "no 8BITMIME: re-encoded, readable" {
	start_sink -s --no 8BITMIME
	rconf1
	eightbit | inject -f s@sender.example a@one.example
	deliver
	all_final 1
	file=$(ls "$SINK_DIR"/store/*.eml)
	equal 0 "$(LC_ALL=C grep -c '[^ -~[:space:]]' "$file")" '8-bit lines'
	equal "$(printf 'Grüße\n.\nend')" "$(body_of "$file")"
	sink_strict
}

@test "ignore-8bitmime does the same; else 8 bits leave as they are" {
	start_sink -s
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		domain 'old.example' { ignore-8bitmime = yes }
	END
	eightbit | inject -f s@sender.example a@old.example
	eightbit | inject -f s@sender.example a@one.example
	deliver
	all_final 2
	equal 1 "$(cat "$SINK_DIR"/store/*.eml | grep -c Grüße)"
	equal 1 "$(sink_log msg | field from | grep -c BODY=8BITMIME)"
	for file in "$SINK_DIR"/store/*.eml; do
		equal "$(printf 'Grüße\n.\nend')" "$(body_of "$file")"
	done
}

@test "no SMTPUTF8: 5.6.7 for such an address, others go" {
	start_sink --no SMTPUTF8
	rconf1
	send 'ü@one.example' plain@one.example
	deliver
	[[ $(journal rcpt dsnStatus type=b | grep 5.6.7) == *@one.example* ]]
	equal 0 "$(sink_log msg | grep -c SMTPUTF8)"
	all_final 2
}

@test "SMTPUTF8: an address in UTF-8 arrives" {
	start_sink
	rconf1
	send 'ü@one.example' 'b@bücher.example'
	deliver
	all_final 2
	equal 1 "$(sink_log msg | grep -c SMTPUTF8)"
	equal "<b@xn--bcher-kva.example>" "$(sink_log msg | field rcpt |
		grep bcher)"
}

@test "LIMITS RCPTMAX and MAILMAX are kept" {
	start_sink --limits 'RCPTMAX=3 MAILMAX=2'
	rconf1
	# shellcheck disable=SC2046
	send $(seq -f 'r%g@one.example' 20)
	deliver
	equal 7 "$(sink_count messages)"
	all_final 20
	sink_strict
}

@test "dropped at a stage: tried again, one final record" {
	for stage in greeting ehlo mail rcpt bdat dot rset quit; do
		start_sink -n $stage --drop "$stage first=1"
		rconf1 'retry-after = 5h' 'max-smtp-out = 1'
		send_many 1 3 $stage.example
		runs=0
		until [ "$(vqueue count)" = 0 ]; do
			[ $((++runs)) -le 4 ] || fail "$stage: does not get on"
			deliver --now
		done
		all_final $((total += 3))
		equal 3 "$(sink_log msg $stage | field rcpt | sort -u | wc -l)"
		sink_strict $stage
	done
	equal 0 "$(journal type type=b | wc -l)"
}

@test "dropped at a stage of DATA, in the body, by reset" {
	for stage in data body dot 'body bytes=10 rst' 'dot rst' 'greeting rst'
	do
		name=$(tr -dc a-z <<<"$stage")
		start_sink -n "$name" --no CHUNKING --drop "$stage first=1"
		rconf1 'retry-after = 5h' 'max-smtp-out = 1'
		send_many 1 3 "$name.example"
		deliver
		deliver --now
		all_final $((total += 3))
		equal 3 "$(sink_log msg "$name" | field rcpt | sort -u | wc -l)"
	done
	equal 0 "$(journal type type=b | wc -l)"
}

@test "dropped after the final dot: tried again, one d record" {
	start_sink --drop 'dot first=1'
	rconf1 'retry-after = 5h'
	send a@one.example
	deliver
	[[ $(journal dsnDiag type=t) == *ambiguous* ]]
	equal 0 "$(journal type type=d | wc -l)"
	deliver --now
	equal 2 "$(sink_log msg | wc -l)"
	equal 1 "$(journal type type=d | wc -l)"
	all_final 1
}

@test "dropped after the reply to the final dot: it was delivered" {
	start_sink --no CHUNKING --drop 'dot after'
	rconf1
	send_many 1 5 one.example
	deliver
	# What the peer cannot have begun is not an attempt.
	equal "d=5 r=5" "$(types)"
	equal 5 "$(sink_log msg | wc -l)"
	all_final 5
}

@test "the same with BDAT: what was on its way is tried again" {
	start_sink --drop 'dot after'
	rconf1 'retry-after = 5h'
	send_many 1 5 one.example
	until [ "$(vqueue count)" = 0 ]; do
		[ $((++runs)) -le 5 ] || fail "does not get on"
		deliver --now
	done
	equal 5 "$(sink_log msg | wc -l)"
	all_final 5
}

@test "a peer that writes an octet at a time, and answers in many lines" {
	start_sink --dribble 1 --reply 'greeting 220 a\nb\nc\nd' \
		--reply 'rcpt 250 2.1.5 one\n2.1.5 two'
	rconf1
	send_many 1 5 one.example
	deliver
	all_final 5
	sink_strict
}

@test "replies that are none: the queue's clock, never a bounce" {
	start_sink -n a --reply 'greeting raw hello\r\n'
	start_sink -n b --reply 'mail raw 999 what\r\n'
	start_sink -n c --reply 'rcpt raw 2\r\n'
	for name in a b c; do
		SINK_PORT=$(sed 's/.*://' "$BATS_TEST_TMPDIR/sink-$name/ready")
		rconf1 'retry-after = 5h' 'command-timeout = 2s' \
			'smtp-greeting-timeout = 2s'
		send "r@$name.example"
		deliver
	done
	waiting 3
	equal 0 "$(journal type type=b | wc -l)"
	equal 0 "$(journal type type=d | wc -l)"
}

@test "an endless reply ends at its ceiling" {
	start_sink --reply "ehlo raw $(printf '250-x%.0s\\r\\n' $(seq 200))"
	rconf1 'retry-after = 5h' 'command-timeout = 2s'
	send a@one.example
	deliver
	waiting 1
}

@test "dot-stuffing, long lines, empty bodies: byte by byte, DATA and BDAT" {
	start_sink -s -n bdat
	bdat=$SINK_PORT
	start_sink -s -n data --no CHUNKING
	rconf <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		domain 'bdat.example' { smtp-hosts = {'[127.0.0.1]:$bdat'} }
	END
	python3 "$HELPER/gen.py" corpus "$P/corpus" --count 60
	n=0
	for f in "$P"/corpus/*.eml; do
		inject -f s@sender.example a@bdat.example a@data.example <"$f"
		n=$((n + 2))
	done
	deliver
	all_final $n
	sink_strict data
	sink_strict bdat
	for name in data bdat; do
		cat "$BATS_TEST_TMPDIR/sink-$name/store"/*.eml >"$P/$name"
		# shellcheck disable=SC2012
		sha256sum "$BATS_TEST_TMPDIR/sink-$name/store"/*.eml |
			cut -d ' ' -f 1 | sort >"$P/$name"
	done
	diff "$P/data" "$P/bdat"
}
