# A receiver that vanishes after the final dot, again and again, in one run: it
# may have taken the message. Such recipients are sent again, none is lost, and
# what came twice is counted.
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash

setup() {
	make_prefix
	crash_seed
	TOTAL=600
	[ -z "${VMTA_CRASH_FULL:-}" ] || TOTAL=10000
}

teardown() {
	end_test
}

# vanishing RULE [SINK-OPTION...]: a run over a receiver that drops connections
# by that rule, and runs after it until all are gone.
vanishing() {
	local rule=$1 n
	shift
	start_sink --seed "$SEED" --drop "$rule" "$@"
	rconf1 'max-smtp-out = 4' 'retry-after = 1s' 'bounce-after = 4d'
	send_many 1 "$TOTAL" a.example b.example c.example d.example
	for ((RUNS = 1; RUNS < 200; RUNS++)); do
		deliver --now
		[ "$(vqueue count)" != 0 ] || break
	done
	n=$(sink_log drop | wc -l)
	[ "$n" -ge $((TOTAL / 20)) ] || fail "vanished $n times only"
	all_final "$TOTAL"
	equal '' "$(journal type type=b)" bounced
	# taken with an answer: once; without one: those, and no other, twice
	equal $((TOTAL + n)) "$(sink_log msg | wc -l)" 'contents at the receiver'
	equal "$n" "$(sink_log msg | grep -c 'reply=-')" 'taken, no answer'
	equal "$n" "$(journal dsnDiag type=t | grep -c ambiguous)" \
		'ambiguous records'
	tally "faults=$n" "duplicates=$n"
	each_taken "$TOTAL" 0
	accounts "$TOTAL"
}

@test "gone after the dot, many times in one run" {
	vanishing 'dot prob=10' --no CHUNKING
}

@test "gone after the last chunk, by a reset, many times in one run" {
	vanishing 'dot prob=10 rst'
}
