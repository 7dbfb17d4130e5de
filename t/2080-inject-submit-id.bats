# vmta-inject --submit-id: what is the same call, and what is another one; what
# is told when mail is accepted and something else goes wrong.

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

# again CODE TEXT ARG...: a repeated call that exits so, and queues nothing.
again() {
	local before
	before=$(batches)
	run --separate-stderr inject "${@:3}" </dev/fd/0
	equal "$1" "$status" "exit code of ${*:3} ($stderr)"
	[[ $stderr == *"$2"* ]] || fail "no '$2' in: $stderr"
	[ "$1" != 65 ] || equal 1 "$(grep -c 'submit id' <<<"$stderr")" "$stderr"
	equal "$before" "$(batches)" 'the spool'
}

@test "SUBPRINT: a message with the key of another one: 65, nothing is queued" {
	inject --submit-id k a@x.example b@x.example <<<'x: y'
	again 0 '' --submit-id k a@x.example b@x.example <<<'x: y'
	again 0 '' --submit-id k --vmta b a@x.example b@x.example <<<'x: y'
	again 65 'other messages' --submit-id k a@x.example b@x.example <<<'x: z'
	again 65 'other messages' --submit-id k a@x.example <<<'x: y'
	again 65 'other messages' --submit-id k b@x.example a@x.example <<<'x: y'
	again 65 'other messages' --submit-id k -f s@y.example \
		a@x.example b@x.example <<<'x: y'
	again 0 '' --submit-id k a@x.example b@x.example <<<'x: y'
}

@test "SUBPRINT: a stream that is another one: 65, nothing is queued" {
	bsmtp 700 >"$S"
	inject --bsmtp --submit-id k "$S"
	# another message, another recipient, another order, fewer
	sed 's/^body 300$/body x/' "$S" >"$S.1"
	sed 's/u20@/x20@/' "$S" >"$S.2"
	{
		tail -n +8 "$S"
		head -n 7 "$S"
	} >"$S.3"
	bsmtp 699 >"$S.4"
	for i in 1 2 3; do
		again 65 'other messages' --bsmtp --submit-id k "$S.$i"
		equal 'accepted 0 rejected 0 suppressed 0' "$output"
	done
	again 65 'for 700 accepted messages, now there are 699' \
		--bsmtp --submit-id k "$S.4"
	again 0 '' --bsmtp --submit-id k "$S"
	# in files, in pieces: the same
	head -n 3000 "$S" >"$S.5"
	tail -n +3001 "$S" >"$S.6"
	again 0 '' --bsmtp --submit-id k <<<"$(cat "$S.5" "$S.6")"
	equal "$(seq 700)" "$(numbers)"
}

@test "SUBPRINT: other rules refuse others: nothing is lost, nothing doubled" {
	bsmtp 30 >"$S"
	awk '/^Subject: number 10$/ { print; print "X-Big: " big; next } 1' \
		big="$(printf '%0600d' 7)" "$S" >"$S.big"
	iconf 'max-message-size = 500'
	run inject --bsmtp --submit-id k --rejects "$R" "$S.big"
	equal 'accepted 29 rejected 1 suppressed 0' "$output"
	again 1 '' --bsmtp --submit-id k "$S.big"
	iconf
	# by count, number 10 would be new, and 30 skipped
	again 65 'or some were refused then' --bsmtp --submit-id k "$S.big"
	# the same the other way round
	run inject --bsmtp --submit-id k2 "$S.big"
	equal 'accepted 30 rejected 0 suppressed 0' "$output"
	iconf 'max-message-size = 500'
	run --separate-stderr inject --bsmtp --submit-id k2 "$S.big"
	equal 65 "$status" "$stderr"
	equal "$(for i in {1..30}; do
		echo $i
		[ $i = 10 ] || echo $i
	done)" "$(numbers)"
}

@test "SUBPRINT: without what was refused it is another stream: 65" {
	bsmtp 5 | sed 's/u3@.*/u3@-bad->/' >"$S"
	run inject --bsmtp --submit-id k --rejects "$R" "$S"
	equal 'accepted 4 rejected 1 suppressed 0' "$output"
	sed 15,21d "$S" >"$S.4"
	again 65 'or some were refused then' --bsmtp --submit-id k "$S.4"
	again 1 '' --bsmtp --submit-id k "$S"
	equal '1 2 4 5' "$(numbers | xargs)"
}

@test "SUBPRINT: a broken stream goes on where it ended, whatever was refused" {
	bsmtp 900 | sed '/^RCPT TO:<u\(7\|300\|500\)@/s/@.*/@-bad->/' >"$S"
	head -n 3001 "$S" >"$S.part" # number 429 is open
	run inject --bsmtp --submit-id k --rejects "$R" "$S.part"
	equal 'accepted 426 rejected 3 suppressed 0' "$output"
	run inject --bsmtp --submit-id k --rejects "$R" "$S"
	equal 'accepted 897 rejected 3 suppressed 0' "$output"
	equal "$(seq 900 | grep -vx '7\|300\|500')" "$(numbers)"
}

@test "SUBMERGE: a list or a template that is another one: 65" {
	local L=$BATS_TEST_TMPDIR/list.csv T=$BATS_TEST_TMPDIR/template
	printf 'email,first\na@x.example,Ann\nb@x.example,Bob\nbad,x\n' >"$L"
	printf 'To: [*to]\n\nHello [first].\n' >"$T"
	run inject -f s@y.example --merge "$L" --submit-id k <"$T"
	equal 1 "$status" "$output"
	again 1 '' -f s@y.example --merge "$L" --submit-id k <"$T"
	for how in 's/Ann/Eve/' 's/a@x/c@x/' 's/^bad/good@x.example/' '4d' \
		's/first/last/'; do
		sed "$how" "$L" >"$L.2"
		again 65 'other messages' -f s@y.example --undefined keep \
			--merge "$L.2" --submit-id k <"$T"
	done
	sed s/Hello/Hi/ "$T" >"$T.2"
	again 65 'other messages' -f s@y.example --merge "$L" \
		--submit-id k <"$T.2"
	again 1 '' -f s@y.example --merge "$L" --submit-id k <"$T"
}

@test "ACCEPTED: what cannot be said of accepted mail is a warning" {
	[ -w /dev/full ] || skip 'no /dev/full'
	bsmtp 3 | sed 's/u2@.*/u2@-bad->/' >"$S"
	run --separate-stderr inject --bsmtp --rejects /dev/full "$S"
	equal 1 "$status" "$stderr"
	[[ $stderr == *'warning: /dev/full: cannot be written'* ]] ||
		fail "$stderr"
	# nothing is accepted: the list matters
	bsmtp 1 | sed 's/u1@.*/u1@-bad->/' >"$S"
	run --separate-stderr inject --bsmtp --rejects /dev/full "$S"
	equal 74 "$status" "$stderr"
	bsmtp 2 >"$S"
	run --separate-stderr bash -c '"$@" >/dev/full' - \
		"$P/bin/vmta-inject" --bsmtp "$S"
	equal 0 "$status" "$stderr"
	[[ $stderr == *'standard output'* ]] || fail "$stderr"
	run --separate-stderr bash -c '"$@" >/dev/full' - \
		"$P/bin/vmta-inject" -v a@x.example <<<'x: y'
	equal 0 "$status" "$stderr"
	[[ $stderr == *'standard output'* ]] || fail "$stderr"
}

@test "ACCEPTED: a commit that is left to the next run: 0, and a line says so" {
	inject u@b.example <<<'x: y'
	echo 'in the way' >"$P/spool/queue/a/new/z.example"
	run --separate-stderr inject a@x.example b@z.example <<<'x: y'
	equal 0 "$status" "$stderr"
	equal 1 "${#stderr_lines[@]}" "$stderr"
	[[ $stderr == *'accepted, and left to the next run: '*z.example* ]] ||
		fail "$stderr"
	# the key of another submission is not held up; this one's waits
	inject --submit-id k a@x.example <<<'x: y'
	run --separate-stderr inject --submit-id k2 a@x.example b@z.example \
		<<<'x: y'
	equal 0 "$status" "$stderr"
	run --separate-stderr inject --submit-id k2 a@x.example b@z.example \
		<<<'x: y'
	equal 74 "$status" "$stderr"
	rm "$P/spool/queue/a/new/z.example"
	inject --submit-id k2 a@x.example b@z.example <<<'x: y'
	equal 2 "$(rcpts | grep -c b@z.example)"
	"$P/bin/vmta-check" spool
}

@test "SUBMERGE: a merge with the key of a stream: 65, nothing is queued" {
	bsmtp 3 >"$S"
	inject --bsmtp --submit-id k "$S"
	printf 'email\na@x.example\n' >"$S.csv"
	again 65 'submit id' --merge "$S.csv" --submit-id k -f s@y.example \
		<<<'x: y'
}
