# X-Schedule: delivery windows.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/runq

setup() {
	make_prefix
	start_sink
}

teardown() {
	end_test
}

# wconf [SETTING...]: X-Schedule is obeyed; the settings are every domain's.
wconf() {
	DEFAULT_VMTA='v1  process-x-schedule = yes  allow-mailmerge = yes' \
		rconf1 "$@"
}

# timed WINDOWS: a message with them.
timed() {
	printf '%s\n' "X-Schedule: $1" 'Subject: x' '' body
}

# when OFFSET: that many seconds from now, as people write it.
when() {
	date -u -d "@$(($(date +%s) + $1))" '+%F %T'
}

# passed SECOND: is it over?
passed() {
	(($(date +%s) > $1))
}

@test "HEADER: inside of a window mail leaves; the field never does" {
	wconf
	timed "$(when -3600) / $(when 3600)" | inject -f s@s.example a@one.example
	timed "$(when -9000)/$(when -8000), $(when -10)/$(when 3600)" |
		inject -f s@s.example b@one.example
	deliver
	all_final 2
	equal 'd=2 r=2' "$(types)"
}

@test "HEADER: outside of it mail waits, whatever is said, and does not age" {
	wconf 'bounce-after = 0s'
	local from
	from=$(when 3600)
	timed "$from / $(when 7200)" | inject -f s@s.example a@one.example
	deliver
	deliver --now
	waiting 1
	equal 0 "$(sink_count messages)"
	equal "$from+0000" "$(vqueue list --all --format csv | csv nextTry)"
	vqueue retry-now --all
	deliver --now
	waiting 1
	equal "$from+0000" "$(vqueue list --all --format csv | csv nextTry)"
	equal 0 "$(sink_count messages)"
}

@test "HEADER: between two windows it waits for the next one" {
	wconf
	local from end
	from=$(when 3600)
	end=$(($(date +%s) + 3))
	timed "$(when -3600)/$(date -u -d @$end '+%F %T'), $from/$(when 7200)" |
		inject -f s@s.example a@one.example
	wait_until passed $end
	deliver
	waiting 1
	equal "$from+0000" "$(vqueue list --all --format csv | csv nextTry)"
	equal r=1 "$(types)"
}

@test "HEADER: when the last window is over, mail bounces" {
	wconf
	local end
	end=$(($(date +%s) + 3))
	timed "now / $(date -u -d @$end '+%F %T')" |
		inject -f s@s.example a@one.example b@one.example
	wait_until passed $end
	deliver
	equal 'b=2 r=2' "$(types)"
	equal message-expired "$(journal bounceCat type=b | sort -u)"
	equal 0 "$(sink_count messages)"
	all_final 2
}

@test "HEADER: a retry that would be after the last window is none" {
	stop_sink
	start_sink --reply 'rcpt 451 later'
	wconf 'retry-recipients-after = 1h'
	timed "$(when -10) / $(when 600)" | inject -f s@s.example a@one.example
	local from
	from=$(when 9000)
	timed "$(when -10) / $(when 600), $from / $(when 9100)" |
		inject -f s@s.example b@one.example
	deliver
	equal 'b=1 r=2 t=1' "$(types)"
	equal a@one.example "$(journal rcpt type=b)"
	equal "$from+0000" "$(vqueue list --all --format csv | csv nextTry)"
}

@test "HEADER: scheduled mail of a queue that cannot connect does not age" {
	HOSTS="'[127.0.0.1]:1'" wconf 'bounce-after = 0s'
	timed "$(when -10) / $(when 600)" | inject -f s@s.example a@one.example
	inject -f s@s.example b@one.example <<<$'Subject: x\n\nbody'
	deliver
	equal 'b@one.example' "$(journal rcpt type=b)"
	waiting 1
}

@test "HEADER: windows that cannot be are refused" {
	wconf
	local bad
	for bad in '' x "$(when 60)" "$(when 60)/$(when 30)" \
		"$(when -60)/$(when -30)" "$(when 60)/$(when 90)," \
		'2026-11-31 10:00/2026-12-01 10:00'; do
		run --separate-stderr -65 inject -f s@s.example a@one.example \
			< <(timed "$bad")
		[[ $stderr == *'X-Schedule: '* ]] || fail "$bad: $stderr"
	done
	# who may not use it is not held up by it
	rconf1
	timed x | inject -f s@s.example a@one.example
	deliver
	all_final 1
}

@test "HEADER: rows of a merge have windows of their own" {
	wconf
	local from
	from=$(when 3600)
	printf '%s\n' 'email,*schedule' 'a@one.example,' \
		"b@one.example,$from / $(when 7200)" \
		"c@one.example,$(when -10) / $(when 3600)" \
		"d@one.example,now" >"$P/list.csv"
	timed "$from / $(when 7200)" | inject -f s@s.example \
		--merge "$P/list.csv" >"$P/out"
	equal 'accepted 4 rejected 0 suppressed 0' "$(cat "$P/out")"
	deliver
	equal 'c@one.example d@one.example' \
		"$(journal rcpt type=d | sort | xargs)"
	equal "$from+0000" \
		"$(vqueue list --all --format csv | csv nextTry | sort -u)"
	waiting 2
	printf '%s\n' 'email,*schedule' \
		"a@one.example,$(when -20)/$(when -10)" >"$P/list.csv"
	run --separate-stderr -65 inject -f s@s.example \
		--merge "$P/list.csv" < <(timed "$from / $(when 7200)")
	[[ $stderr == *'*schedule: '* ]]
}
