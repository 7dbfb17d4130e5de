# What once was wrong with the plan.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

@test "a due time beyond the longest wait is due now, also in its name" {
	start_sink -n busy --reply 'rcpt 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send a@one.example b@one.example
	send c@one.example
	deliver
	waiting 3
	# The ladder is shorter from now on (or the clock was wrong).
	start_sink
	rconf1 'retry-after = 10m'
	deliver
	equal 3 "$(sink_count recipients)"
	equal 2 "$(sink_count messages)"
	all_final 3
}

@test "such a time, with --now" {
	start_sink -n busy --reply 'rcpt 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send a@one.example
	deliver
	start_sink
	rconf1 'retry-after = 10m'
	deliver --now
	equal 1 "$(sink_count messages)"
	all_final 1
}
