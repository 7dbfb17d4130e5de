# Writes and reads that do less than was asked (strace cannot do that; a
# preloaded library can): all of them, and EINTR among them; and one write cut in
# half with ENOSPC after it, as a disk does that becomes full.
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash

setup() {
	need_plain 'the sanitizer wants to come first'
	make_prefix
	crash_seed
	TOTAL=200
	[ -z "${VMTA_CRASH_FULL:-}" ] || TOTAL=2000
	start_sink
	rconf1 'max-smtp-out = 4' 'retry-after = 1s'
}

teardown() {
	end_test
}

# short VARIABLE=N... COMMAND...
short() {
	env LD_PRELOAD="$BUILD/t/preload/short.so" "$@"
}

@test "every write and read is short, or interrupted: all goes well" {
	local i
	bsmtp 1 "$TOTAL" a.example b.example c.example >"$P/stream"
	short SHORT_SEED="$SEED" "$P/bin/vmta-inject" --bsmtp --submit-id all \
		"$P/stream" >"$P/said"
	equal "accepted $TOTAL rejected 0 suppressed 0" "$(cat "$P/said")"
	{
		message
		head -c 300000 /dev/zero | tr '\0' x | fold -w 70
	} >"$P/large"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		short SHORT_SEED=$((SEED + i)) "$P/bin/vmta-inject" \
			-f s@sender.example "l$i@a.example" "l$i@b.example" \
			"l$i@c.example" <"$P/large"
	done
	short SHORT_SEED="$SEED" timeout 120 "$P/bin/vmta-runq"
	settled
	sink_strict
	all_final $((TOTAL + 30))
	each_taken $((TOTAL + 30)) 0
	accounts $((TOTAL + 30))
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}

# half N ERROR COMMAND...: its N-th write is half done, the next one fails.
half() {
	short SHORT_AT="$1" SHORT_ERROR="$2" "${@:3}"
}

@test "the N-th write of an injection is half done, then the disk is full" {
	local n=0 at error code refused=0 accepted=0
	message warm | inject -f s@sender.example "w@a.example"
	for error in 28 5 4; do # ENOSPC EIO EINTR
		for ((at = 1; at <= 12; at++)); do
			n=$((n + 1)) code=0
			message "number $n" | half $at $error \
				"$P/bin/vmta-inject" -f s@sender.example \
				"r$n@a.example" "r$n@b.example" \
				2>"$P/err" || code=$?
			case $code in
			0) accepted=$((accepted + 1)) ;;
			74 | 75)
				refused=$((refused + 1))
				equal 1 "$(wc -l <"$P/err")" \
					"lines, write $at, errno $error"
				;;
			*) fail "write $at, errno $error: exit $code" ;;
			esac
			equal $((code == 0 ? 2 : 0)) "$(vqueue list --all |
				grep -c "r$n@")" "queued, write $at, errno $error"
		done
	done
	[ $refused -gt 0 ]
	deliver
	all_final $((2 * accepted + 1))
	each_taken $((2 * accepted + 1)) 0 "faults=$n"
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}

@test "the N-th write of a delivery is half done, then the disk is full" {
	local n=0 at error code=0 refused=0
	send w@a.example
	deliver
	for error in 28 5 4; do
		for ((at = 1; at <= 12; at++)); do
			n=$((n + 1)) code=0
			send "r$n@a.example" "r$n@b.example"
			half $at $error timeout 60 "$P/bin/vmta-runq" \
				2>"$P/err" || code=$?
			case $code in
			0) ;;
			74 | 75)
				refused=$((refused + 1))
				[ -s "$P/err" ] ||
					fail "write $at, errno $error: no word"
				;;
			*) fail "write $at, errno $error: exit $code" ;;
			esac
			deliver --now || fail "after write $at, errno $error"
			nothing_waits || fail "after write $at, errno $error"
		done
	done
	[ $refused -gt 0 ]
	equal '' "$(journal type type=b)" bounced
	all_final $((2 * n + 1))
	each_taken $((2 * n + 1)) $((2 * n)) "faults=$n"
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}
