# Two runners and five injectors at once, with killed ones among them: each
# recipient one final record; the receiver's totals and the accounting's agree.
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash

setup() {
	make_prefix
	crash_seed
}

teardown() {
	end_test
}

@test "two runners and five injectors at once" {
	local i each=400 pids=()
	[ -z "${VMTA_CRASH_FULL:-}" ] || each=4000
	start_sink
	rconf 'max-smtp-out = 5' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
		virtual-mta-pool v { virtual-mta = {v1, v2} }
	END
	sed -i 's/default-virtual-mta = v1/default-virtual-mta = v/' \
		"$P/etc/vmta.conf"
	for i in 1 2 3 4 5; do
		bsmtp $(((i - 1) * each + 1)) $((i * each)) a.example b.example \
			c.example d.example >"$P/stream$i"
		start "inject$i" "$P/bin/vmta-inject" --bsmtp \
			--submit-id "s$i" "$P/stream$i"
		pids+=("$STARTED")
	done
	start one "$P/bin/vmta-runq" --workers 2
	local one=$STARTED
	start two "$P/bin/vmta-runq"
	local two=$STARTED
	# one of the injectors does not come to its end
	kill -s KILL "${pids[RANDOM % 5]}" 2>/dev/null || true
	for i in "${pids[@]}" "$one" "$two"; do
		wait_until -t 120 gone "$i"
	done
	for i in 1 2 3 4 5; do
		inject --bsmtp --submit-id "s$i" "$P/stream$i" >"$P/said"
		equal "accepted $each rejected 0 suppressed 0" "$(cat "$P/said")"
	done
	deliver
	all_final $((5 * each))
	each_taken $((5 * each)) 0 kills=1
	accounts $((5 * each))
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}
