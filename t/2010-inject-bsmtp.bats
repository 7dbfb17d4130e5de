# vmta-inject --bsmtp: streams.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	iconf
	S=$BATS_TEST_TMPDIR/stream
	R=$BATS_TEST_TMPDIR/rejects
}

teardown() {
	end_test
}

@test "a stream: 0, totals in the last line, ids before with -v" {
	bsmtp 5 >"$S"
	run --separate-stderr inject --bsmtp "$S"
	equal 0 "$status"
	equal 'accepted 5 rejected 0 suppressed 0' "$output"
	equal '' "$stderr"
	equal 3 "$(batches | wc -l)"
	run --separate-stderr inject --bsmtp -v <"$S"
	equal 6 "${#lines[@]}"
	equal 5 "$(grep -c '^[0-9a-v]\{21\} 1$' <<<"$output")"
	equal 'accepted 5 rejected 0 suppressed 0' "${lines[5]}"
}

@test "an empty stream, QUIT alone: 0" {
	equal 'accepted 0 rejected 0 suppressed 0' "$(inject --bsmtp </dev/null)"
	equal 'accepted 0 rejected 0 suppressed 0' \
		"$(printf 'HELO x\r\nQUIT\r\n' | inject --bsmtp)"
	equal '' "$(batches)"
}

@test "several files, and standard input between" {
	bsmtp 3 >"$S"
	run inject --bsmtp "$S" - "$S" < <(bsmtp 2)
	equal 'accepted 8 rejected 0 suppressed 0' "$output"
	bsmtp 1 >"$S"
	printf 'MAIL FROM:<>\nRCPT TO:<a@x.example>\nDATA\n' >>"$S"
	run inject --bsmtp --rejects "$R" "$S" "$S"
	equal 1 "$status"
	equal 'accepted 2 rejected 2 suppressed 0' "$output"
	equal 2 "$(grep -c "^$S:11: stream ends inside a message" "$R")"
	run inject --bsmtp "$S" "$S.gone"
	equal 74 "$status"
	run inject --bsmtp "$S" "$BATS_TEST_TMPDIR"
	equal 65 "$status"
	equal 10 "$(mail | grep -c ^Subject)"
}

@test "part refused: 1, positions and reasons in the file" {
	{
		bsmtp 2
		printf 'MAIL FROM:<bad>\nRCPT TO:<a@x.example>\nDATA\n\n.\n'
		printf 'MAIL FROM:<>\nRCPT TO:<bad>\nDATA\nx: y\n\n.\n'
		printf 'MAIL FROM:<>\nRCPT TO:<a@x.example>\nDATA\n\na\rb\n.\n'
		printf 'MAIL FROM:<>\nRCPT TO:<bad>\nRCPT TO:<a@x.example>\n'
		printf 'DATA\nSubject: half\n\n.\nNONSENSE\n'
		bsmtp 1
	} >"$S"
	run --separate-stderr inject --bsmtp --rejects "$R" "$S"
	equal 1 "$status"
	equal 'accepted 4 rejected 5 suppressed 0' "$output"
	equal '' "$stderr"
	equal "15 21 22 26 33 39" "$(cut -d : -f 2 "$R" | xargs)"
	refute grep -qv "^$S:[0-9]*: [A-Za-z]" "$R"
	run --separate-stderr inject --bsmtp <"$S"
	equal 6 "$(grep -c '^-:[0-9]*: ' <<<"$stderr")"
	equal 2 "$(rcpts | grep -c 'a@x.example')"
}

@test "none accepted: 65" {
	printf 'MAIL FROM:<>\nRCPT TO:<bad>\nDATA\nx: y\n\n.\n' >"$S"
	run --separate-stderr inject --bsmtp "$S"
	equal 65 "$status"
	equal 'accepted 0 rejected 1 suppressed 0' "$output"
	equal '' "$(batches)"
}

@test "all or nothing: one commit, or nothing and 65" {
	bsmtp 600 >"$S"
	run --separate-stderr inject --bsmtp --all-or-nothing "$S"
	equal 0 "$status"
	equal 'accepted 600 rejected 0 suppressed 0' "$output"
	equal 3 "$(batches | wc -l)"
	printf 'MAIL FROM:<bad>\n' >>"$S"
	bsmtp 600 >>"$S"
	printf 'RCPT TO:<a@x.example>\n' >>"$S"
	before=$(spool_files)
	run --separate-stderr inject --bsmtp --all-or-nothing --rejects "$R" \
		"$S"
	equal 65 "$status"
	equal 'accepted 0 rejected 2 suppressed 0' "$output"
	equal "$before" "$(spool_files)"
	equal 2 "$(wc -l <"$R")"
}

@test "--vmta, --job, --priority and --at hold for all" {
	bsmtp 3 | inject --bsmtp --vmta b --job 'j 1' --priority 9 --at @4102444800
	equal 3 "$(batches | grep -c '^b/new/d[012].example/21000101T000000Z-009-')"
	equal 3 "$(mail | grep -cx 'job: j 1')"
	run --separate-stderr inject --bsmtp --vmta zz < <(bsmtp 3)
	equal 65 "$status"
	equal 'accepted 0 rejected 3 suppressed 0' "$output"
	[[ $stderr == *"unknown VirtualMTA 'zz'"* ]]
}

@test "parameters of MAIL and RCPT reach the batch" {
	printf '%s\n' 'EHLO x' 'MAIL FROM:<s@y.example> RET=HDRS ENVID=e+20v' \
		'RCPT TO:<a@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;z@y' \
		DATA 'x: y' '' . | inject --bsmtp
	mail | grep -Eq '^M .* H e\+20v s@y.example$'
	mail | grep -Eq '^R .* 0 SD rfc822;z@y a@x.example$'
}

@test "hostile content: smuggling is refused, dots are not commands" {
	{
		printf 'MAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n'
		printf 'x: y\r\n\r\nok\r\n..\r\n...\r\n.MAIL FROM:<evil@x.example>\r\n.\r\n'
		printf 'MAIL FROM:<>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n'
		printf 'x: y\r\n\r\na\r.\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<evil@x.example>\r\nDATA\r\nevil\r\n.\r\n'
		printf 'MAIL FROM:<>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n'
		printf 'x: y\r\n\r\na\0b\r\n.\r\n'
	} >"$S"
	run inject --bsmtp --rejects "$R" "$S"
	equal 1 "$status"
	equal 'accepted 1 rejected 2 suppressed 0' "$output"
	equal '0 a@x.example' "$(rcpts)"
	mail | grep -q '^MAIL FROM:<evil'
	equal 1 "$(mail | tr -d '\r' | grep -cx '\.')"
	equal 1 "$(mail | tr -d '\r' | grep -cx '\.\.')"
}

@test "the source may not: allow-bsmtp = no" {
	iconf "source 'user:$(id -un)' { allow-bsmtp = no }"
	refused 65 'batch SMTP' --bsmtp < <(bsmtp 1)
}

@test "the rejects file: no symbolic link is followed" {
	ln -s "$BATS_TEST_TMPDIR/target" "$R"
	run inject --bsmtp --rejects "$R" < <(bsmtp 1)
	equal 74 "$status"
	equal '' "$(batches)"
	[ ! -e "$BATS_TEST_TMPDIR/target" ]
}

@test "what has come is on disk while the stream is open" {
	start_reading one --bsmtp -v
	bsmtp 2 >&5
	wait_until queued 2
	bsmtp 1 >&5
	wait_until queued 3
	printf 'MAIL FROM:<>\n' >&5
	kill -s TERM "$STARTED"
	code=0
	wait "$STARTED" || code=$?
	exec 5>&-
	equal 75 "$code"
	equal 'accepted 3 rejected 0 suppressed 0' \
		"$(tail -n 1 "$BATS_TEST_TMPDIR/one.out")"
	grep -q '3 messages were accepted' "$BATS_TEST_TMPDIR/one.err"
}

# Are so many messages in the queues?
queued() {
	[ "$(mail | grep -c ^Subject)" = "$1" ]
}

@test "--submit-id: a stream that ended goes on, one that did not begins" {
	bsmtp 700 >"$S"
	head -n 3000 "$S" | run inject --bsmtp --submit-id k
	head -n 3000 "$S" >"$S.part"
	run inject --bsmtp --submit-id k --rejects "$R" "$S.part"
	equal 'accepted 428 rejected 1 suppressed 0' "$output"
	run inject --bsmtp --submit-id k "$S"
	equal 'accepted 700 rejected 0 suppressed 0' "$output"
	run inject --bsmtp --submit-id k -v "$S"
	equal 'accepted 700 rejected 0 suppressed 0' "${lines[700]}"
	equal 699 "$(grep -cx -- '- 1' <<<"$output")"
	equal "$(seq 700)" "$(numbers)"
}

# bats test_tags=slow
@test "killed in the middle, again and again: each message once" {
	local i done=no
	bsmtp 20000 >"$S"
	for i in $(seq 1 60); do
		start "run$i" "$P/bin/vmta-inject" --bsmtp --submit-id k "$S"
		# longer each time, so that it ends
		for _ in $(seq $((i * 40))); do
			alive "$STARTED" || break
		done
		kill -s KILL "$STARTED" 2>/dev/null || true
		wait "$STARTED" && done=yes && break
	done
	[ $done = yes ] || inject --bsmtp --submit-id k "$S"
	equal "$(seq 20000 | md5sum)" "$(numbers | md5sum)"
	equal '' "$(find "$P/spool/commit" -type f ! -name '.*')"
}
