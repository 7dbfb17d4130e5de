# A kill at every single system call of one injection and of one delivery, and
# each call on the spool's path failing in turn.
#
# Here one in some, from a random one on; VMTA_CRASH_FULL=1: all. VMTA_SEED
# repeats the choice.
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash

setup() {
	need_strace
	need_plain 'too many calls'
	make_prefix
	crash_seed
	start_sink
	rconf1
}

teardown() {
	end_test
}

# put N [SPOT WHAT]: inject a message to rN at two domains, N the submit id;
# at that spot this happens.
put() {
	local n=$1 where=()
	[ $# = 1 ] || where=(at_spot "$2" "$3")
	message "number $n" | "${where[@]}" "$P/bin/vmta-inject" \
		--submit-id "k$n" -f s@sender.example \
		"r$n@a.example" "r$n@b.example"
}

# The same without a submit id.
put_once() {
	local n=$1
	message "number $n" | at_spot "$2" "$3" "$P/bin/vmta-inject" \
		-f s@sender.example "r$n@a.example" "r$n@b.example"
}

# queued N: how often rN is in the spool.
queued() {
	vqueue list --all | grep -c "r$1@" || true
}

# What a process does to a spool: calls that can fail.
FILE_CALLS='openat open read pread64 write pwrite64 writev pwritev fsync
	fdatasync syncfs rename renameat renameat2 link linkat unlink unlinkat
	mkdir mkdirat rmdir ftruncate fallocate fcntl flock newfstatat fstat
	statx getdents64 lseek fstatfs getrandom sendfile'

@test "a kill at each call of an injection: repeated, it is there once" {
	local n=0 killed=0 spot code
	put 0
	message | traced "$P/calls" "$P/bin/vmta-inject" --submit-id traced \
		-f s@sender.example t@a.example t@b.example
	spots "$P/calls" | some 4 >"$P/spots"
	while read -r spot <&7; do
		n=$((n + 1)) code=0
		put $n "$spot" signal=KILL 2>"$P/err" || code=$?
		case $code in
		137) killed=$((killed + 1)) ;;
		0) ;;
		*) fail "$spot: exit $code: $(cat "$P/err")" ;;
		esac
		put $n || fail "$spot: the repeated call: exit $?"
	done 7<"$P/spots"
	[ "$killed" -gt 0 ]
	deliver
	equal '' "$(vmta-check spool)" 'vmta-check spool'
	all_final $((2 * n + 4))
	each_taken $((2 * n + 4)) 0 "kills=$killed"
}

@test "a kill at each call of a delivery: each recipient ends once" {
	local n=0 killed=0 spot code
	put 0
	traced "$P/calls" "$P/bin/vmta-runq"
	spots "$P/calls" | some 50 >"$P/spots"
	while read -r spot <&7; do
		n=$((n + 1)) code=0
		put $n
		at_spot "$spot" signal=KILL "$P/bin/vmta-runq" \
			2>"$P/err" || code=$?
		case $code in
		137) killed=$((killed + 1)) ;;
		0) ;;
		*) fail "$spot: exit $code: $(cat "$P/err")" ;;
		esac
		deliver --now || fail "after a kill at $spot"
		nothing_waits || fail "after a kill at $spot"
	done 7<"$P/spots"
	[ "$killed" -gt 0 ]
	equal '' "$(vmta-check spool)" 'vmta-check spool'
	all_final $((2 * n + 2))
	each_taken $((2 * n + 2)) $((2 * killed)) "kills=$killed"
}

@test "each call of an injection failing: its exit code tells the truth" {
	local n=0 failed=0 spot code error all
	put 0
	message | traced "$P/calls" "$P/bin/vmta-inject" \
		-f s@sender.example t@a.example t@b.example
	# shellcheck disable=SC2086
	spots "$P/calls" $FILE_CALLS >"$P/all"
	for error in EIO ENOSPC EMFILE EINTR; do
		sed "s/\$/ $error/" "$P/all"
	done | some 16 >"$P/spots"
	while read -r spot error <&7; do
		n=$((n + 1)) code=0
		put_once $n "$spot" "error=$error" 2>"$P/err" || code=$?
		# accepted: after the commit point the next run may have to do
		# the rest, hence counted at the end
		[ $code != 0 ] || continue
		failed=$((failed + 1))
		# (is standard error open? it believes that it is not)
		[ -s "$P/err" ] || [[ $spot == fcntl:[1-3] ]] ||
			fail "$spot $error: exit $code, no word"
		equal 0 "$(queued $n)" "$spot $error: exit $code, yet queued"
	done 7<"$P/spots"
	deliver
	equal '' "$(vmta-check spool)" 'vmta-check spool'
	all_final $((2 * (n - failed) + 4))
	each_taken $((2 * (n - failed) + 4)) 0 "faults=$n"
}

@test "each call of a delivery failing: nothing is lost, nothing bounces" {
	local n=0 spot code error
	put 0
	traced "$P/calls" "$P/bin/vmta-runq"
	# shellcheck disable=SC2086
	spots "$P/calls" $FILE_CALLS >"$P/all"
	for error in EIO ENOSPC EMFILE EINTR; do
		sed "s/\$/ $error/" "$P/all"
	done | some 160 >"$P/spots"
	while read -r spot error <&7; do
		n=$((n + 1)) code=0
		put $n
		at_spot "$spot" "error=$error" "$P/bin/vmta-runq" \
			2>"$P/err" || code=$?
		[ $code = 0 ] || [ -s "$P/err" ] || [ -s "$P/log/vmta.log" ] ||
			fail "$spot $error: exit $code, no word"
		[ $code -lt 124 ] || fail "$spot $error: exit $code"
		deliver --now || fail "after $spot $error"
		nothing_waits || fail "after $spot $error"
	done 7<"$P/spots"
	equal '' "$(journal type type=b)" 'bounced'
	equal '' "$(vmta-check spool)" 'vmta-check spool'
	all_final $((2 * n + 2))
	each_taken $((2 * n + 2)) $((2 * n)) "faults=$n"
}
