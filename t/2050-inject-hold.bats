# vmta-inject --hold and --seed-first: mail that waits for its release.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/runq

setup() {
	make_prefix
	start_sink
	rconf1
}

teardown() {
	end_test
}

# Who was delivered to, sorted.
delivered() {
	journal rcpt type=d | sort | xargs
}

@test "--hold: nothing leaves, not even with --now, until it is released" {
	send_many 1 5 one.example two.example -- --hold --job j1
	send --hold x@one.example
	deliver
	deliver --now
	waiting 6
	equal 0 "$(sink_count messages)"
	equal 'held' "$(vqueue list --format csv --all | csv state | sort -u)"
	vqueue release --job j1
	deliver
	equal 5 "$(sink_count messages)"
	waiting 1
	vqueue release --all
	deliver
	all_final 6
}

@test "--hold: held mail does not expire" {
	rconf1 'bounce-after = 0s'
	send --hold x@one.example
	deliver --now
	waiting 1
	vqueue release --all
	deliver
	equal "d=1 r=1" "$(types)"
}

@test "--seed-first: the seeds go, the rest waits" {
	printf '# our own\nSeed@one.example # case does not count\n\n s2@two.example\t\n' \
		>"$BATS_TEST_TMPDIR/seeds"
	send --seed-first "$BATS_TEST_TMPDIR/seeds" --job j \
		a@one.example seed@one.example s2@two.example b@two.example
	deliver
	equal 's2@two.example seed@one.example' "$(delivered)"
	waiting 2
	vqueue release --job j
	deliver
	all_final 4
}

@test "--seed-first in a stream" {
	echo r3@one.example >"$BATS_TEST_TMPDIR/seeds"
	send_many 1 20 one.example -- --seed-first "$BATS_TEST_TMPDIR/seeds"
	deliver
	equal r3@one.example "$(delivered)"
	vqueue release --all
	deliver
	all_final 20
}

@test "--seed-first: what is wrong with the file is said, and nothing queued" {
	printf 'a@one.example\nnobody\n' >"$BATS_TEST_TMPDIR/seeds"
	run --separate-stderr -65 send --seed-first "$BATS_TEST_TMPDIR/seeds" \
		a@one.example
	[[ $stderr == *"seeds:2: "* ]]
	: >"$BATS_TEST_TMPDIR/seeds"
	run --separate-stderr -65 send --seed-first "$BATS_TEST_TMPDIR/seeds" \
		a@one.example
	[[ $stderr == *"no address"* ]]
	run --separate-stderr -74 send --seed-first "$BATS_TEST_TMPDIR/none" \
		a@one.example
	waiting 0
}
