# vmta-runq killed at random moments (VMTA_KILLS times, 5 unless told): every
# recipient one final record, none lost, few twice.

load helper/common
load helper/runq
load helper/crash
# bats file_tags=slow

setup() {
	KILLS=${VMTA_KILLS:-5}
	make_prefix
	crash_seed
}

teardown() {
	end_test
}

# kill_runs WORKERS: start a run, kill it when a random share of what is left
# has arrived, again and again.
kill_runs() {
	local kills=$KILLS i left seen hit=0
	RANDOM=$SEED
	for ((i = 0; i < kills; i++)); do
		seen=$(sink_count messages)
		left=$(vqueue count) || true
		left=$((left / RCPTS))
		[ $left -gt 0 ] || break
		start_runq --workers "$1"
		wait_until arrived_or_gone \
			$((seen + RANDOM % (left / (kills - i) + 1))) "$RUNQ_PID"
		alive "$RUNQ_PID" && hit=$((hit + 1))
		kill_run "$RUNQ_PID"
		# A zombie's threads may still hold its locks; waited for, none.
		wait "$RUNQ_PID" 2>/dev/null || true
	done
	HIT=$hit
	[ $hit -ge 1 ] || fail "no kill met a run"
}

# The run and its workers.
kill_run() {
	local workers
	workers=$(cat "/proc/$1/task/$1/children" 2>/dev/null) || true
	# shellcheck disable=SC2086
	kill -s KILL "$1" $workers 2>/dev/null || true
}

arrived_or_gone() {
	gone "$2" || [ "$(sink_count messages)" -ge "$1" ]
}

@test "kill -9 of a run, 400 messages a kill" {
	start_sink --delay 'bdat 40'
	rconf1 'max-smtp-out = 6'
	n=$((400 * KILLS))
	send_many 1 $n a.example b.example c.example d.example
	RCPTS=1
	kill_runs 1
	deliver
	deliver --now
	all_final $n
	each_taken $n $((256 * KILLS)) "kills=$HIT"
}

@test "kill -9: several recipients a message, some deferred, some refused" {
	start_sink --delay 'bdat 20' --reply 'rcpt:*7@* per-rcpt first=1 451 4.7.1 Later' \
		--reply 'rcpt:*3@* 550 5.1.1 No'
	rconf1 'retry-after = 5h' 'max-smtp-out = 3' \
		'max-rcpt-per-transaction = 10'
	n=$((400 * KILLS))
	for i in $(seq $((n / 100))); do
		# shellcheck disable=SC2046
		send $(seq -f 'r%g@one.example' $((i * 100 - 99)) $((i * 100)))
	done
	RCPTS=10
	kill_runs 1
	deliver
	deliver --now
	all_final $n
	equal $((n / 10)) "$(journal type type=b | wc -l)"
	each_taken $((n * 9 / 10)) $((256 * KILLS)) "kills=$HIT"
}

@test "kill -9 of three workers and their parent" {
	start_sink --delay 'bdat 40'
	for i in $(seq 9); do
		echo "virtual-mta v$i { smtp-source-host = '127.9.$i.7 v$i.example' }"
	done | rconf 'max-smtp-out = 2'
	n=$((40 * KILLS))
	for i in $(seq 9); do
		send_many $((i * n - n + 1)) $((i * n)) a.example b.example -- \
			--vmta "v$i"
	done
	RCPTS=1
	kill_runs 3
	# Workers may be at their end still.
	wait_until no_live_worker
	deliver
	deliver --now
	all_final $((9 * n))
	each_taken $((9 * n)) $((3 * 256 * KILLS)) "kills=$HIT"
}

# A run that owns all of them: nobody else does.
no_live_worker() {
	"$P/bin/vmta-runq" --now && [ -z "$(find "$P/spool/acct" -name '*.live')" ]
}
