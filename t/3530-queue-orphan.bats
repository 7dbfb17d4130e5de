# Mail of a VirtualMTA that left the configuration: it waits.

load helper/common
load helper/runq
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_test
}

# both, alone [SETTING...]: with the VirtualMTA `old`, and without it.
both() {
	rconf "$@" <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta old { smtp-source-host = '127.0.0.2 old.example' }
	END
}

alone() {
	rconf1 "$@"
}

# shown RCPTS: by each of those who show queues.
shown() {
	equal "one.example/old $1 orphan VirtualMTA not configured" \
		"$(report --format csv queues | csv queue rcpts state reason |
			xargs)" report
	equal "one.example/old $1 orphan VirtualMTA not configured" \
		"$(vqueue why --vmta old --format csv |
			csv queue rcpts state reason | xargs)" why
	equal "$1 one.example/old no-virtual-mta" \
		"$(vqueue list --format csv | csv queue reason | sort |
			uniq -c | xargs)" list
}

hup() {
	kill -s HUP "$RUNQ_PID"
	wait_until reloaded "$1"
}

reloaded() {
	[ "$(logged reloaded | wc -l)" -ge "$1" ]
}

delivered() {
	[ "$(journal type type=d | wc -l)" -ge "$1" ]
}

@test "ORPHAN: it waits, does not expire, is shown; put back it is delivered" {
	start_sink
	both
	send_many 1 20 one.example -- --vmta old
	alone 'bounce-after = 0s'
	for opt in '' --now; do
		# shellcheck disable=SC2086
		run --separate-stderr runq $opt
		equal 0 "$status"
		equal 1 "$(grep -c '' <<<"$stderr")" "$stderr"
		[[ $stderr == *"vmta=old"*"not in the configuration"* ]]
	done
	shown 20
	equal "no-virtual-mta" "$(runq --dry-run | awk '{ print $NF }')"
	equal 0 "$(sink_count connections)"
	equal 0 "$(journal type | grep -c '[dbt]')"
	settled
	both
	run --separate-stderr runq
	equal '' "$output$stderr"
	equal 127.0.0.2 "$(sink_sources)"
	all_final 20
	# Nothing left: nothing to be said.
	alone
	run --separate-stderr runq
	equal '' "$output$stderr"
}

@test "ORPHAN: what was deferred, and a queue that failed, do not expire" {
	start_sink --reply 'rcpt:a@* 451 4.7.1 Later' \
		--reply 'greeting skip=1 421 4.3.2 Busy'
	both 'retry-after = 5h'
	send --vmta old a@one.example
	deliver
	send --vmta old b@two.example
	deliver
	equal "t=1 tq=1" "$(types | grep -o 't=.*')"
	n=$(sink_count connections)
	alone 'bounce-after = 0s' 'retry-after = 5h'
	deliver --now
	start_daemon
	equal "2 of 2 recipients" "$(vqueue retry-now --all)"
	# It has looked at the queue since: it says why it waits.
	wait_until says_why
	end "$RUNQ_PID"
	equal "$n" "$(sink_count connections)"
	equal 0 "$(journal type type=b | wc -l)"
	waiting 2
}

says_why() {
	grep -qs 'one.example/old 0 no-virtual-mta' "$P"/spool/state/live.*
}

@test "ORPHAN: moved, it is delivered from the new VirtualMTA's address" {
	start_sink
	both
	send_many 1 20 one.example two.example -- --vmta old
	alone 'bounce-after = 0s'
	deliver
	equal "10 of 10 recipients" "$(vqueue move --queue one.example/old \
		--to v1)"
	deliver
	equal 127.0.0.1 "$(sink_sources)"
	equal 10 "$(sink_count messages)"
	equal "10 of 10 recipients" "$(vqueue move --vmta old --to v1)"
	deliver
	equal 127.0.0.1 "$(sink_sources)"
	all_final 20
	# Not to where nobody is.
	run vqueue move --all --to old
	equal 65 "$status"
}

@test "ORPHAN: in a daemon, after SIGHUP; moved, and put back" {
	start_sink
	both
	send_many 1 20 one.example -- --vmta old
	send a@two.example
	vqueue pause --vmta old
	start_daemon
	wait_until sink_has 1
	alone 'bounce-after = 0s'
	hup 1
	vqueue resume --vmta old
	send b@two.example
	wait_until sink_has 2
	equal 1 "$(logged no-virtual-mta vmta=old | wc -l)"
	shown 20
	mapfile -t ten < <(seq -f '--rcpt=r%g@*' 10)
	equal "10 of 10 recipients" "$(vqueue move "${ten[@]}" --vmta old \
		--to v1)"
	wait_until sink_has 12
	equal 127.0.0.1 "$(sink_sources)"
	shown 10
	both
	hup 2
	wait_until sink_has 22
	equal 10 "$(sink_source 127.0.0.2 messages)"
	wait_until delivered 22
	end "$RUNQ_PID"
	all_final 22
}

@test "ORPHAN: in mid-run: what is in flight ends, the rest waits" {
	start_sink --delay 'bdat 10'
	both 'max-smtp-out = 2'
	send_many 1 1000 one.example -- --vmta old
	start_daemon
	wait_until sink_has 20
	alone 'bounce-after = 0s'
	hup 1
	wait_until no_connection
	n=$(sink_count messages)
	[ "$n" -lt 1000 ] || fail "all had left"
	send a@two.example
	wait_until sink_has $((n + 1))
	wait_until waiting $((1000 - n)) 2>/dev/null
	shown $((1000 - n))
	vqueue move --vmta old --to v1
	wait_until sink_has 1001
	wait_until delivered 1001
	end "$RUNQ_PID"
	equal 0 "$(journal type type=b | wc -l)"
	all_final 1001
	vmta-check spool >"$P/findings"
	equal '' "$(cat "$P/findings")"
}

no_connection() {
	[ "$(sink_count open)" = 0 ]
}
