# kill -9 of a daemon, of the injector that feeds it, and of both, at random
# moments and again and again: each recipient one final record, none lost, no
# more than 256 a kill of the daemon sent twice. (t/2010 and t/8110 kill the
# injector alone, t/3450 a run alone.)
#
# VMTA_CRASH_FULL=1: 500 kills, 20,000 recipients; else 20 and 800. VMTA_SEED
# repeats the moments, as far as the machine does.
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash

STREAM=400 # recipients of one, with a submit id of its own

setup() {
	make_prefix
	KILLS=20 TOTAL=800
	[ -z "${VMTA_CRASH_FULL:-}" ] || KILLS=500 TOTAL=20000
	crash_seed
}

teardown() {
	end_test
}

# stream K: the K-th, from 0 on.
stream() {
	[ -f "$P/stream$1" ] ||
		bsmtp $(($1 * STREAM + 1)) $((($1 + 1) * STREAM)) a.example \
			b.example c.example d.example >"$P/stream$1"
}

# feed K: all of it, at last.
feed() {
	stream "$1"
	inject --bsmtp --submit-id "s$1" "$P/stream$1" >"$P/said"
	equal "accepted $STREAM rejected 0 suppressed 0" "$(cat "$P/said")"
}

# up_to K: the streams before that, completely.
up_to() {
	while [ "$fed" -lt "$1" ]; do
		feed "$fed"
		fed=$((fed + 1))
	done
}

# moment MS: up to so many milliseconds.
moment() {
	sleep "$(printf '0.%06d' $((RANDOM % ($1 * 10) * 100)))"
}

# kill_it PID: was it there? Gone until its last thread is: a lock lives as
# long (gone asks about the first one only).
kill_it() {
	local there=0
	alive "$1" || there=1
	kill -s KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
	return $there
}

# The injector lives for up to 20 ms; PID or nothing.
start_injector() {
	stream "$fed"
	start inject "$P/bin/vmta-inject" --bsmtp --submit-id "s$fed" \
		"$P/stream$fed"
	INJECT_PID=$STARTED
	moment 20
}

kill_runner() {
	alive "$RUNQ_PID" || fail "the daemon ended: $(cat \
		"$BATS_TEST_TMPDIR/runq.err" "$P/log/vmta.log" | tail -n 3)"
	kill_it "$RUNQ_PID"
	runner=$((runner + 1))
	start_runq --daemon
}

# One round: what is killed is chosen anew each time.
round() {
	case $((RANDOM % 4)) in
	0 | 1)
		moment 250
		kill_runner
		;;
	2)
		start_injector
		! kill_it "$INJECT_PID" || injector=$((injector + 1))
		;;
	3)
		start_injector
		if alive "$INJECT_PID"; then
			both=$((both + 1))
			kill -s KILL "$INJECT_PID" "$RUNQ_PID" 2>/dev/null || true
		fi
		kill_it "$INJECT_PID" || true
		kill_it "$RUNQ_PID" || true
		runner=$((runner + 1))
		start_runq --daemon
		;;
	esac
}

@test "kill -9 of a daemon, of its injector, of both" {
	local fed=0 runner=0 injector=0 both=0 kills=0
	start_sink --sync-log --delay 'bdat 20'
	rconf1 'max-smtp-out = 3'
	start_runq --daemon
	while [ $kills -lt $KILLS ]; do
		round
		kills=$((runner + injector + both))
		up_to $((kills * TOTAL / STREAM / (KILLS + 1)))
	done
	kill_it "$RUNQ_PID"
	up_to $((TOTAL / STREAM))
	deliver
	deliver --now
	echo "# killed: the daemon $runner times, the injector" \
		"$((injector + both)) times, $both of them together" >&3
	all_final "$TOTAL"
	each_taken "$TOTAL" $((256 * (runner + 1))) "kills=$kills"
	accounts "$TOTAL"
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}
