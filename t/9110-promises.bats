# What DESIGN promises, where a reading of the code has found it wanting: a
# sync that failed, records of a batch that only a newer vmta can read, a
# transaction that is larger than the room for its results; and what a spool lies
# on.

load helper/common
load helper/runq
load helper/crash
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_spool
	end_test
}

# unsynced: a run whose last sync fails: 74, and its records are left for the
# next one.
unsynced() {
	local code=0
	strace -f -qq -o "$P/strace" -e trace=syncfs \
		-e inject=syncfs:error=EIO "$P/bin/vmta-runq" || code=$?
	equal 74 $code 'exit code of a run that could not sync'
	[ -n "$(live)" ] || fail 'no segment is left'
}

live() {
	find "$P/spool/acct" -name '*.live'
}

batches() {
	find "$P/spool/queue" -type f
}

@test "UNSYNCED: states that a failed sync may have lost are written again" {
	need_strace
	start_sink --reply 'rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send a@one.example b@one.example
	unsynced
	# What is there for readers may not be on the disk, and the next sync
	# would not say so.
	grep -q '^R t 001' "$(batches)"
	timeout 60 strace -f -y -qq -o "$P/strace" -e trace=pwrite64 \
		"$P/bin/vmta-runq"
	grep -Eq 'pwrite64\([0-9]+<[^>]*/queue/v1/cur/.*t 001' "$P/strace" ||
		fail 'the state was not written again'
	equal '' "$(live)" 'segments that wait'
	waiting 1
}

@test "NEWER: a batch of a newer version keeps the records it needs" {
	need_strace
	start_sink --reply 'rcpt:b@* first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send a@one.example b@one.example
	cp "$(batches)" "$P/fresh"
	unsynced
	equal 'd=1 r=2 t=1' "$(types)"
	# The states are lost, and a newer vmta has the batch in hand.
	sed '1s/^vmta-batch 1/vmta-batch 9/' "$P/fresh" >"$(batches)"
	run -69 --separate-stderr timeout 60 "$P/bin/vmta-runq" --now
	# shellcheck disable=SC2154 # run sets it
	[[ $stderr == *'newer version'* ]]
	[ -n "$(live)" ] || fail 'its records were retired'
	equal 1 "$(sink_count messages)" 'messages'
	# It is back: who has the mail does not get it again.
	sed '1s/^vmta-batch 9/vmta-batch 1/' "$P/fresh" >"$(batches)"
	deliver --now
	all_final 2
	equal 2 "$(sink_count messages)" 'messages'
	equal 1 "$(sink_log msg | grep -c "rcpt=<a@one.example>")" 'copies'
}

# bats test_tags=slow
@test "LARGE: results that the disk has no room for hold up no other mail" {
	local n
	need_root
	need_command mkfs.ext4
	loop_spool 32M
	start_sink
	rconf1 'max-rcpt-per-transaction = 1000'
	printf '%s\n' 'min-free-space = 0' 'min-free-inodes = 0' \
		>>"$P/etc/vmta.conf"
	for n in {1..900}; do
		echo "r$n@one.example"
	done >"$P/rcpts"
	xargs -a "$P/rcpts" bash -c 'printf "x\n" |
		"$0" -f s@sender.example "$@"' "$P/bin/vmta-inject" >/dev/null
	send small@two.example
	# Room for a journal, and not for a thousand results.
	fallocate -l $(($(df --output=avail -B1 "$P/spool" | tail -1) -
		4500000)) "$P/spool/ballast"
	timeout 120 "$P/bin/vmta-runq"
	settled
	rm "$P/spool/ballast"
	all_final 901
}

@test "MEDIUM: a spool in memory is warned of, which is no finding" {
	need_root
	SINK_PORT=25 rconf1
	send a@one.example
	run --separate-stderr vmta-check spool
	equal 0 "$status" 'exit code'
	[[ $stderr != *warning:* ]] || skip "where tests run is doubtful: $stderr"
	mount -t tmpfs -o size=2m,mode=0700 vmta-test "$P/spool" 2>/dev/null ||
		skip "needs to mount a tmpfs"
	run --separate-stderr vmta-check spool
	equal 0 "$status" 'exit code'
	equal '' "$output" 'findings'
	[[ $stderr == *'warning: the spool'*tmpfs* ]] ||
		fail "no warning: $stderr"
}
