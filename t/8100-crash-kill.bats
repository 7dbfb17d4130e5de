# kill -9 of a daemon and of the injector that feeds it, both at once and again
# and again: each recipient one final record, none lost, no more than 256 a
# kill of the daemon sent twice. (t/2010 kills the injector alone, t/3450 a run
# alone.)
#
# VMTA_CRASH_FULL=1: 50 kills, 20,000 recipients; else 5 and 2,000. VMTA_SEED
# repeats the moments, as far as the machine does.
# bats file_tags=slow

load helper/common
load helper/runq

setup() {
	make_prefix
	KILLS=5 TOTAL=2000
	[ -z "${VMTA_CRASH_FULL:-}" ] || KILLS=50 TOTAL=20000
	SEED=${VMTA_SEED:-$((RANDOM * 32768 + RANDOM))}
	echo "VMTA_SEED=$SEED" # shown when the test fails
	RANDOM=$SEED
}

teardown() {
	end_test
}

# One call for the whole stream; exits with its code.
feed() {
	inject --bsmtp --submit-id campaign "$P/stream"
}

# Kill it and wait until its last thread is gone: a lock lives as long (gone
# asks about the first one only).
kill_all_of() {
	kill -s KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# The injector lives for up to 20 ms.
kill_injector() {
	start inject "$P/bin/vmta-inject" --bsmtp --submit-id campaign \
		"$P/stream"
	sleep "0.0$(printf %04d $((RANDOM % 200)))"
	! alive "$STARTED" || cut=$((cut + 1))
	kill_all_of "$STARTED"
}

# Has the sink taken so many, or all there is?
arrived() {
	[ "$(sink_count recipients)" -ge "$1" ] || [ "$(vqueue count)" = 0 ]
}

# The numbers of the recipients that the sink took, one a line.
taken() {
	sink_log msg | grep -P '\treply=2' | field rcpt | tr ' ' '\n'
}

@test "kill -9 of a daemon while a killed injector feeds it" {
	local i at seen=0 cut=0 twice
	start_sink --sync-log --delay 'bdat 20'
	rconf1
	bsmtp 1 "$TOTAL" a.example b.example c.example d.example >"$P/stream"
	for ((i = 0; i < KILLS; i++)); do
		start_daemon
		kill_injector
		[ $i -lt $((KILLS / 2)) ] || feed >/dev/null
		at=$((seen + RANDOM % (TOTAL / KILLS) + 1))
		[ $i -lt $((KILLS / 2)) ] || wait_until arrived "$at"
		alive "$RUNQ_PID" || fail "the daemon ended by itself"
		kill_all_of "$RUNQ_PID"
		seen=$(sink_count recipients)
	done
	feed >"$P/said"
	equal "accepted $TOTAL rejected 0 suppressed 0" "$(cat "$P/said")"
	deliver
	deliver --now
	all_final "$TOTAL"
	equal "$TOTAL" "$(taken | sort -u | wc -l)" 'recipients that arrived'
	twice=$(($(taken | wc -l) - TOTAL))
	echo "# $KILLS kills, $cut of an injector at work," \
		"$TOTAL recipients, $twice sent twice" >&3
	[ "$twice" -le $((256 * KILLS)) ]
	vmta-check spool >"$P/findings"
	equal '' "$(cat "$P/findings")"
}
